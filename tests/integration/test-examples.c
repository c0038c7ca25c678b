/* SPDX-License-Identifier: MIT */
/* The programs of tools/examples do what they say. $NIPC_EXAMPLES is where they were built. */
#include <glib/gstdio.h>
#include <net/if.h>
#include <pwd.h>
#include <signal.h>

#include "util-process.h"

static char *find_example(const char *name)
{
        const char *directory = g_getenv("NIPC_EXAMPLES");

        g_assert_nonnull(directory);
        return g_build_filename(directory, name, NULL);
}

static void test_increment_client(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *program = find_example("example-increment-client");
        const char *const argv[] = {program, run_dir, NULL};
        struct process *server = process_serve(run_dir, "increment", NULL);
        g_autofree char *out = NULL;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_cmpstr(out, ==, "42\n43\n44\n45\n46\n");
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

static void test_cgroups_consumer(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *source = g_test_build_filename(G_TEST_DIST, "data", "cgroups.json", NULL);
        g_autofree char *program = find_example("example-cgroups-consumer");
        const char *const all[] = {program, run_dir, NULL};
        const char *const one[] = {program, run_dir, "a", NULL};
        const char *const unknown[] = {program, run_dir, "nobody", NULL};
        struct process *server =
                process_serve(run_dir, "cgroups-snapshot", "--source", source, NULL);
        g_autofree char *out = NULL;
        g_autofree char *found = NULL;

        g_assert_cmpint(process_run(all, &out, NULL), ==, 0);
        g_assert_cmpstr(out, ==,
                        "ffffffff  any hash will do  /x\n"
                        "0002b606  a  /a\n"
                        "f3844af2  ssh.service  /system.slice/ssh.service\n");
        g_assert_cmpint(process_run(one, &found, NULL), ==, 0);
        g_assert_cmpstr(found, ==, "a  /a\n");
        g_assert_cmpint(process_run(unknown, NULL, NULL), ==, 1);
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

/* Without a provider it says so and goes on. */
static void test_apps_cache(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *program = find_example("example-apps-cache");
        const char *const argv[] = {program, run_dir, "1", "1", "2", NULL};
        g_autofree char *out = NULL;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_cmpstr(out, ==, "1: no answer\n2: no answer\n");
        process_remove_dir(run_dir);
}

static struct process *start_server(const char *name, const char *run_dir)
{
        g_autofree char *program = find_example(name);
        const char *const argv[] = {program, run_dir, NULL};
        struct process *server = process_start(argv);

        process_wait_ready(server);
        return server;
}

static void check_call(const char *run_dir, const char *name, const char *method, const char *hex,
                       const char *expected)
{
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "call", "raw", "--name", name, "--method",
                                     method, "--hex", hex, NULL),
                        ==, 0);
        g_assert_cmpstr(out, ==, expected);
}

static void test_server_poll(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *server = start_server("example-server-poll", run_dir);

        check_call(run_dir, "square", "0x9000", "0c00000000000000", "9000000000000000\n");
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

static void test_server_epoll(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *server = start_server("example-server-epoll", run_dir);

        check_call(run_dir, "square", "0x9000", "0c00000000000000", "9000000000000000\n");
        check_call(run_dir, "cube", "0x9001", "0300000000000000", "1b00000000000000\n");
        check_call(run_dir, "square", "0x9000", "0200000000000000", "0400000000000000\n");
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

static void test_server_glib(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *server = start_server("example-server-glib", run_dir);
        g_autofree char *line = NULL;

        check_call(run_dir, "square", "0x9000", "0c00000000000000", "9000000000000000\n");
        check_call(run_dir, "square", "0x9000", "0200000000000000", "0400000000000000\n");
        process_signal(server, SIGTERM);
        line = process_read_line(server);
        g_assert_cmpstr(line, ==, "2 answers");
        g_assert_cmpint(process_wait(server), ==, 0);
        process_remove_dir(run_dir);
}

/* Runs a program where it may leave something; it leaves nothing. Owned: what it printed. */
static char *run_alone(const char *name)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *program = find_example(name);
        const char *const argv[] = {program, NULL};
        char *out = NULL;

        g_assert_cmpint(g_chdir(run_dir), ==, 0);
        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_cmpint(g_chdir("/"), ==, 0);
        g_assert_cmpint(g_rmdir(run_dir), ==, 0);
        return out;
}

static void test_user_lookup(void)
{
        const struct passwd *root = getpwuid(0);
        g_autofree char *out = run_alone("example-user-lookup");
        g_autofree char *expected =
                g_strdup_printf("0  %s  %s  %s\n4294967294  (unknown)    \n",
                                root ? root->pw_name : "(unknown)", root ? root->pw_dir : "",
                                root ? root->pw_shell : "");

        g_assert_cmpstr(out, ==, expected);
}

static void test_user_snapshot(void)
{
        g_autofree char *out = run_alone("example-user-snapshot");
        g_autofree char *expected = g_strdup_printf("lo  %u\n", if_nametoindex("lo"));

        g_assert_cmpstr(out, ==, expected);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/examples/increment-client", test_increment_client);
        g_test_add_func("/examples/cgroups-consumer", test_cgroups_consumer);
        g_test_add_func("/examples/apps-cache", test_apps_cache);
        g_test_add_func("/examples/server-epoll", test_server_epoll);
        g_test_add_func("/examples/server-glib", test_server_glib);
        g_test_add_func("/examples/server-poll", test_server_poll);
        g_test_add_func("/examples/user-lookup", test_user_lookup);
        g_test_add_func("/examples/user-snapshot", test_user_snapshot);
        return g_test_run();
}
