/* SPDX-License-Identifier: MIT */
/* `nipc serve` and `nipc call`: every service that can be provided, asked by the tool itself. */
#include "util-process.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
        char *run_dir;
        struct process *server;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->run_dir = process_make_dir();
}

/* Whatever was served ends well, and leaves nothing behind. */
static void tear_down(struct fixture *fixture, gconstpointer data)
{
        g_autoptr(GDir) dir = NULL;

        if (fixture->server)
                g_assert_cmpint(process_stop(fixture->server), ==, 0);
        dir = g_dir_open(fixture->run_dir, 0, NULL);
        for (const char *name; (name = g_dir_read_name(dir));)
                g_assert_false(g_str_has_suffix(name, ".sock"));
        process_remove_dir(fixture->run_dir);
        g_free(fixture->run_dir);
}

static void test_increment(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *out = NULL;
        g_autofree char *batch = NULL;
        g_autofree char *json = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment", "41",
                                     "18446744073709551615", "--repeat", "100", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "42\n0\n");
        g_assert_cmpint(process_nipc(fixture->run_dir, &batch, NULL, "call", "increment", "--batch",
                                     "1", "2", "3", NULL),
                        ==, 0);
        g_assert_cmpstr(batch, ==, "2\n3\n4\n");
        g_assert_cmpint(process_nipc(fixture->run_dir, &json, NULL, "--json", "call", "increment",
                                     "41", NULL),
                        ==, 0);
        g_assert_cmpstr(json, ==, "{\n  \"value\": 42\n}\n");
}

static void test_string_reverse(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *out = NULL;

        fixture->server =
                process_serve(fixture->run_dir, "string-reverse", "--name", "backwards", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "string-reverse",
                                     "--name", "backwards", "--", "stressed", "-x", "", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "desserts\nx-\n\n");
}

static void test_echo(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *out = NULL;

        fixture->server = process_serve(fixture->run_dir, "echo", "--method", "0x9001", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "raw", "--name", "echo",
                                     "--method", "0x9001", "--hex", "00ffC0de", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "00ffc0de\n");
}

static void test_main_loop(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *out = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", "--workers", "0", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment", "41",
                                     "--repeat", "100", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "42\n");
}

static void test_large_answers(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *argument = g_strnfill(120000, 'a'); /* one argument has at most 128 KiB */
        g_autofree char *expected = g_strdup_printf("%s\n", argument);
        g_autofree char *out = NULL;

        argument[0] = 'b';
        expected[0] = 'a';
        expected[strlen(argument) - 1] = 'b';
        fixture->server = process_serve(fixture->run_dir, "string-reverse", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "string-reverse",
                                     argument, NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, expected);
}

static void test_json_source(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", "cgroups.json", NULL);
        g_autofree char *expected = NULL;
        g_autofree char *out = NULL;
        g_autofree char *table = NULL;
        g_autofree char *filtered = NULL;

        g_assert_true(g_file_get_contents(path, &expected, NULL, NULL));
        fixture->server =
                process_serve(fixture->run_dir, "cgroups-snapshot", "--source", path, NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "--json", "call",
                                     "cgroups-snapshot", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, expected);
        g_assert_cmpint(process_nipc(fixture->run_dir, &table, NULL, "call", "cgroups-snapshot",
                                     NULL),
                        ==, 0);
        g_assert_nonnull(strstr(table, "0xffffffff"));
        g_assert_nonnull(strstr(table, "/system.slice/ssh.service\n"));
        g_assert_cmpint(process_nipc(fixture->run_dir, &filtered, NULL, "call", "cgroups-snapshot",
                                     "a", "nobody", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(filtered, " a "));
        g_assert_null(strstr(filtered, "ssh.service"));
}

static void test_wrong_service(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "string-reverse",
                                     "--name", "increment", "x", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "UNSUPPORTED"));
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
}

static void test_wrong_token(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;
        g_autofree char *out = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", "--auth-token", "7", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "increment", "1", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "AUTH_FAILED"));
        g_assert_nonnull(strstr(err, "--auth-token"));
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "--auth-token", "0x7", "call",
                                     "increment", "1", NULL),
                        ==, 0);
}

static void test_two_owners(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "serve", "increment", NULL), ==,
                        1);
        g_assert_nonnull(strstr(err, "live owner"));
}

static void test_foreign_owner(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *fifo = g_build_filename(fixture->run_dir, "pipe.sock", NULL);
        g_autofree char *err = NULL;

        g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "serve", "increment", "--name",
                                     "pipe", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "no endpoint"));
        g_assert_null(strstr(err, "live owner"));
        g_assert_cmpint(unlink(fifo), ==, 0);
}

/* Nobody could know that it serves. */
static void test_unannounced(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *command =
                g_strdup_printf("timeout 20 %s --run-dir %s serve increment >/dev/full",
                                process_get_tool(), fixture->run_dir);
        const char *const argv[] = {"/bin/sh", "-c", command, NULL};
        g_autofree char *err = NULL;

        g_assert_cmpint(process_run(argv, NULL, &err), ==, 1);
        g_assert_nonnull(strstr(err, "READY"));
}

/* One line, which says what was in the way once. */
static void test_limit(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "increment", "1",
                                     "--max-request-bytes", "400000000", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "LIMIT_EXCEEDED"));
        g_assert_null(strstr(err, "refuses the handshake"));
}

static void test_interrupt(struct fixture *fixture, gconstpointer data)
{
        struct process *server = process_serve(fixture->run_dir, "increment", NULL);

        g_assert_true(g_file_test(process_get_endpoint(server), G_FILE_TEST_EXISTS));
        process_signal(server, SIGINT);
        g_assert_cmpint(process_wait(server), ==, 0);
}

static void test_no_provider(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "increment", "1", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "--run-dir"));
}

static void test_ping(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        fixture->server = process_serve(fixture->run_dir, "string-reverse", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "ping", "string-reverse", "-c",
                                     "3", "-i", "0", "--profiles", "baseline", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(out, "profile baseline"));
        g_assert_nonnull(strstr(out, "3 requests, 3 answers"));
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "ping", "nobody", NULL), ==, 1);
        g_assert_nonnull(strstr(err, "connect"));
}

/* What a build lacks is left out: said if it was asked for by name, else not worth a word. */
static void test_profiles(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *by_default = NULL;
        g_autofree char *by_name = NULL;
        g_autofree char *out = NULL;

        fixture->server = process_serve(fixture->run_dir, "increment", "--profiles",
                                        "baseline,shm-hybrid,shm-busywait,ring,0x40000000", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, &by_default, NULL, "ping", "increment", "-c",
                                     "1", NULL),
                        ==, 0);
        g_assert_null(strstr(by_default, "not built in"));
        g_assert_cmpint(process_nipc(fixture->run_dir, &by_name, NULL, "ping", "increment", "-c",
                                     "1", "--profiles", "baseline,0x40000000", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(by_name, "not usable: 0x40000000: profile not built in"));
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment", "41",
                                     "--profiles", "ring,baseline", NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, "42\n");
}

int main(int argc, char **argv)
{
        static const struct {
                const char *path;
                void (*run)(struct fixture *fixture, gconstpointer data);
        } tests[] = {
                {"/serve/increment", test_increment},
                {"/serve/string-reverse", test_string_reverse},
                {"/serve/echo", test_echo},
                {"/serve/main-loop", test_main_loop},
                {"/serve/large-answers", test_large_answers},
                {"/serve/json-source", test_json_source},
                {"/serve/wrong-service", test_wrong_service},
                {"/serve/wrong-token", test_wrong_token},
                {"/serve/two-owners", test_two_owners},
                {"/serve/foreign-owner", test_foreign_owner},
                {"/serve/unannounced", test_unannounced},
                {"/serve/limit", test_limit},
                {"/serve/interrupt", test_interrupt},
                {"/serve/no-provider", test_no_provider},
                {"/serve/ping", test_ping},
                {"/serve/profiles", test_profiles},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
                g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].run, tear_down);
        return g_test_run();
}
