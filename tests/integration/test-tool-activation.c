/* SPDX-License-Identifier: MIT */
/* `nipc serve --fd`: the socket is there before the provider, and stays behind it. */
#include "util-process.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
        char *run_dir;
        int fd; /* what a service manager has */
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        fixture->run_dir = process_make_dir();
        g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/increment.sock",
                   fixture->run_dir);
        fixture->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        g_assert_cmpint(fixture->fd, >=, 0);
        g_assert_cmpint(bind(fixture->fd, (const struct sockaddr *)&address, sizeof(address)), ==,
                        0);
        g_assert_cmpint(listen(fixture->fd, 10), ==, 0);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        close(fixture->fd);
        process_remove_dir(fixture->run_dir);
        g_free(fixture->run_dir);
}

/* The provider with the socket as its descriptor 3, started by a line of shell. */
static GSubprocess *start(const struct fixture *fixture, const char *how)
{
        const char *argv[] = {"/bin/sh", "-c", how, process_get_tool(), fixture->run_dir, NULL};
        g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
                G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
        g_autoptr(GError) error = NULL;
        GSubprocess *subprocess;

        g_subprocess_launcher_take_fd(launcher, dup(fixture->fd), 3);
        subprocess = g_subprocess_launcher_spawnv(launcher, argv, &error);
        g_assert_no_error(error);
        return subprocess;
}

static void expect_served(const struct fixture *fixture, const char *how)
{
        g_autoptr(GSubprocess) provider = start(fixture, how);
        g_autofree char *out = NULL;

        /* Whoever comes early waits in the socket's queue. */
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment", "41", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "42\n");
        g_subprocess_send_signal(provider, SIGTERM);
        g_assert_true(g_subprocess_wait_check(provider, NULL, NULL));
}

static void test_number(struct fixture *fixture, gconstpointer data)
{
        unsigned i;

        for (i = 0; i < 2; i++) /* the socket is as good as before */
                expect_served(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd 3");
}

static void test_systemd(struct fixture *fixture, gconstpointer data)
{
        expect_served(fixture, "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --run-dir \"$1\" "
                               "serve increment --fd systemd");
}

/* The socket is the manager's, to whom a successor has to come. */
static void test_no_hand_over(struct fixture *fixture, gconstpointer data)
{
        g_autoptr(GSubprocess) provider =
                start(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd 3");
        g_autoptr(GDataInputStream) err =
                g_data_input_stream_new(g_subprocess_get_stderr_pipe(provider));
        g_autoptr(GDataInputStream) out =
                g_data_input_stream_new(g_subprocess_get_stdout_pipe(provider));
        g_autofree char *ready = g_data_input_stream_read_line(out, NULL, NULL, NULL);
        g_autofree char *reason = NULL;

        g_assert_nonnull(ready);
        g_subprocess_send_signal(provider, SIGUSR2);
        reason = g_data_input_stream_read_line(err, NULL, NULL, NULL);
        g_assert_nonnull(strstr(reason, "no successor: the socket is another's"));
        g_subprocess_send_signal(provider, SIGTERM);
        g_assert_true(g_subprocess_wait_check(provider, NULL, NULL));
}

static void expect_status(const struct fixture *fixture, const char *how, int status)
{
        g_autoptr(GSubprocess) provider = start(fixture, how);

        g_assert_true(g_subprocess_wait(provider, NULL, NULL));
        g_assert_true(g_subprocess_get_if_exited(provider));
        g_assert_cmpint(g_subprocess_get_exit_status(provider), ==, status);
}

static void test_refused(struct fixture *fixture, gconstpointer data)
{
        expect_status(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd 2", 2);
        expect_status(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd x", 2);
        expect_status(fixture,
                      "LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\" --run-dir \"$1\" "
                      "serve increment --fd systemd",
                      2);
        expect_status(fixture,
                      "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" --run-dir \"$1\" "
                      "serve increment --fd systemd",
                      2);
}

/* What is wrong is said of the descriptor, not of something else. */
static void expect_reason(const struct fixture *fixture, const char *how, const char *reason)
{
        g_autoptr(GSubprocess) provider = start(fixture, how);
        g_autofree char *err = NULL;

        g_assert_true(g_subprocess_communicate_utf8(provider, NULL, NULL, NULL, &err, NULL));
        g_assert_cmpint(g_subprocess_get_exit_status(provider), ==, 1);
        if (!strstr(err, reason))
                g_error("not \"%s\": %s", reason, err);
}

static void test_wrong(struct fixture *fixture, gconstpointer data)
{
        /* Another endpoint's socket, no socket, and nothing. */
        expect_reason(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --name other --fd 3",
                      "descriptor 3 of --fd");
        expect_reason(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd 3 3</dev/null",
                      "descriptor 3 of --fd");
        expect_reason(fixture, "exec \"$0\" --run-dir \"$1\" serve increment --fd 3 3<&-",
                      "descriptor 3 of --fd");
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/tool/activation/number", struct fixture, NULL, set_up, test_number, tear_down);
        g_test_add("/tool/activation/systemd", struct fixture, NULL, set_up, test_systemd,
                   tear_down);
        g_test_add("/tool/activation/wrong", struct fixture, NULL, set_up, test_wrong, tear_down);
        g_test_add("/tool/activation/no-hand-over", struct fixture, NULL, set_up, test_no_hand_over,
                   tear_down);
        g_test_add("/tool/activation/refused", struct fixture, NULL, set_up, test_refused,
                   tear_down);
        return g_test_run();
}
