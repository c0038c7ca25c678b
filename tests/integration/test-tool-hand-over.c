/* SPDX-License-Identifier: MIT */

/*
 * `nipc serve` hands over to a successor on SIGUSR2, while clients come and go. Successors are not
 * our children but their predecessors': we adopt them; and if the test fails, whoever started it
 * adopts and ends them.
 */

#include "util-process.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <nipc/client.h>
#include <nipc/session.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_CLIENTS    4
#define N_HAND_OVERS 5

struct fixture {
        char *run_dir;
        char *program; /* a link to the tool, which may lead elsewhere by the next time */
        struct process *first;
};

static void point_to(const struct fixture *fixture, const char *target)
{
        unlink(fixture->program);
        g_assert_cmpint(symlink(target, fixture->program), ==, 0);
}

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->run_dir = process_make_dir();
        fixture->program = g_build_filename(fixture->run_dir, "nipc", NULL);
        point_to(fixture, process_get_tool());
}

static bool has_endpoint(const struct fixture *fixture)
{
        g_autofree char *path = g_build_filename(fixture->run_dir, "increment.sock", NULL);

        return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        g_assert_false(has_endpoint(fixture));
        process_remove_dir(fixture->run_dir);
        g_free(fixture->program);
        g_free(fixture->run_dir);
}

/* workers: "0": the main loop. */
static void start(struct fixture *fixture, const char *workers)
{
        const char *const argv[] = {
                fixture->program, "--run-dir", fixture->run_dir, "serve", "--workers",
                workers,          "--",        "increment",      NULL};

        fixture->first = process_start(argv);
        process_wait_ready(fixture->first);
}

/* What is said on stderr, which successors inherit. */
static void expect_said(const struct fixture *fixture, const char *what)
{
        g_autofree char *line = process_read_error_line(fixture->first);

        g_assert_nonnull(line);
        if (!strstr(line, what))
                g_error("expected '%s', not '%s'", what, line);
}

static pid_t read_successor(const struct fixture *fixture)
{
        static const char before[] = "nipc serve: process ";
        g_autofree char *line = process_read_error_line(fixture->first);

        g_assert_nonnull(line);
        if (!g_str_has_prefix(line, before))
                g_error("expected a successor, not '%s'", line);
        return (pid_t)g_ascii_strtoll(line + strlen(before), NULL, 10);
}

/*
 * It becomes ours when its predecessor has ended, which may take until its sessions have; whoever
 * ends before that was its predecessor's to reap, and how it ended is not known here.
 */
static void expect_good_end(pid_t adopted)
{
        int status = -1;

        while (waitpid(adopted, &status, 0) < 0) {
                g_assert_cmpint(errno, ==, ECHILD);
                if (kill(adopted, 0) < 0)
                        return;
                g_thread_yield();
        }
        g_assert_cmpint(status, ==, 0);
}

static void expect_answer(const struct fixture *fixture)
{
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment", "41", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "42\n");
}

/* ---- clients -------------------------------------------------------------------------------- */

struct caller {
        GThread *thread;
        const char *run_dir;
        bool stays; /* one client for all calls, not one for each */
        gint n_calls;
};

static gint is_over;

/* Every attempt to connect succeeds, and every call is answered. */
static gpointer call_on(gpointer data)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct caller *caller = data;
        struct nipc_client *client = NULL;
        uint64_t value;

        config.run_dir = caller->run_dir;
        config.service = "increment";
        config.profiles = nipc_profile_get_available();
        while (!g_atomic_int_get(&is_over)) {
                if (!client) {
                        g_assert_cmpint(nipc_client_new(&config, &client), ==, 0);
                        nipc_client_refresh(client);
                        g_assert_true(nipc_client_is_ready(client));
                }
                g_assert_cmpint(nipc_client_increment(client, 41, 60000, &value), ==, 0);
                g_assert_cmpuint(value, ==, 42);
                g_atomic_int_inc(&caller->n_calls);
                if (!caller->stays)
                        client = nipc_client_free(client);
        }
        nipc_client_free(client);
        return NULL;
}

static void wait_for_calls(struct caller *callers)
{
        for (int i = 0; i < N_CLIENTS; i++) {
                gint before = g_atomic_int_get(&callers[i].n_calls);

                while (g_atomic_int_get(&callers[i].n_calls) == before)
                        g_thread_yield();
        }
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void test_calls(struct fixture *fixture, gconstpointer workers)
{
        struct caller callers[N_CLIENTS] = {{0}};
        pid_t pid = 0;

        start(fixture, workers);
        g_atomic_int_set(&is_over, 0);
        for (int i = 0; i < N_CLIENTS; i++) {
                callers[i].run_dir = fixture->run_dir;
                callers[i].stays = i % 2;
                callers[i].thread = g_thread_new("caller", call_on, &callers[i]);
        }
        for (int i = 0; i < N_HAND_OVERS; i++) {
                pid_t next;

                wait_for_calls(callers);
                if (pid)
                        kill(pid, SIGUSR2);
                else
                        process_signal(fixture->first, SIGUSR2);
                next = read_successor(fixture);
                if (pid)
                        expect_good_end(pid);
                pid = next;
        }
        wait_for_calls(callers);
        g_atomic_int_set(&is_over, 1);
        for (int i = 0; i < N_CLIENTS; i++)
                g_thread_join(callers[i].thread);
        kill(pid, SIGTERM);
        expect_good_end(pid);
        g_assert_cmpint(process_wait(fixture->first), ==, 0);
}

/* Whatever is wrong with the successor, the service goes on. */
static void test_failures(struct fixture *fixture, gconstpointer data)
{
        pid_t pid;

        start(fixture, "1");
        g_assert_cmpint(unlink(fixture->program), ==, 0);
        process_signal(fixture->first, SIGUSR2);
        expect_said(fixture, "no successor: ");
        expect_answer(fixture);
        point_to(fixture, "/bin/false");
        process_signal(fixture->first, SIGUSR2);
        expect_said(fixture, "no successor: it did not come to serve");
        expect_answer(fixture);
        point_to(fixture, process_get_tool());
        process_signal(fixture->first, SIGUSR2);
        pid = read_successor(fixture);
        expect_answer(fixture);
        g_assert_cmpint(process_wait(fixture->first), ==, 0);
        kill(pid, SIGTERM);
        expect_good_end(pid);
}

/* A provider that is to end takes a successor that does not come to serve with it. */
static void test_end_meanwhile(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *script = g_build_filename(fixture->run_dir, "script", NULL);
        g_autofree char *line = NULL;
        pid_t pid;

        g_assert_true(g_file_set_contents(
                script, "#!/bin/sh\necho started $$ >&2\nexec tail -f /dev/null\n", -1, NULL));
        g_assert_cmpint(g_chmod(script, 0700), ==, 0);
        start(fixture, "1");
        point_to(fixture, script);
        process_signal(fixture->first, SIGUSR2);
        line = process_read_error_line(fixture->first);
        g_assert_true(line && g_str_has_prefix(line, "started "));
        pid = (pid_t)g_ascii_strtoll(line + strlen("started "), NULL, 10);
        expect_answer(fixture);
        g_assert_cmpint(process_stop(fixture->first), ==, 0);
        g_assert_cmpint(kill(pid, 0), ==, -1);
        g_assert_cmpint(errno, ==, ESRCH);
}

/* Kills the children of this process, and theirs, which become its own. */
static void end_children(void)
{
        g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)getpid());
        g_autofree char *text = NULL;

        while (g_file_get_contents(path, &text, NULL, NULL) && *text) {
                g_auto(GStrv) pids = g_strsplit(g_strchomp(text), " ", -1);

                for (char **pid = pids; *pid; pid++)
                        kill((pid_t)g_ascii_strtoll(*pid, NULL, 10), SIGKILL);
                if (waitpid(-1, NULL, 0) < 0)
                        break;
                g_clear_pointer(&text, g_free);
        }
}

/* Returns in a child; the parent stays to see that nothing outlives it. */
static void start_under_guard(void)
{
        int status = 0;
        pid_t pid;

        g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
                return;
        }
        waitpid(pid, &status, 0);
        end_children();
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
        start_under_guard();
        g_test_init(&argc, &argv, NULL);
        g_test_add("/tool/hand-over/calls", struct fixture, "2", set_up, test_calls, tear_down);
        g_test_add("/tool/hand-over/calls-main-loop", struct fixture, "0", set_up, test_calls,
                   tear_down);
        g_test_add("/tool/hand-over/failures", struct fixture, NULL, set_up, test_failures,
                   tear_down);
        g_test_add("/tool/hand-over/end-meanwhile", struct fixture, NULL, set_up,
                   test_end_meanwhile, tear_down);
        return g_test_run();
}
