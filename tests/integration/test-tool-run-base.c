/* SPDX-License-Identifier: MIT */
/* `nipc --run-base`: a run directory for each user and each boot, made by whoever serves. */
#include <glib/gstdio.h>
#include <unistd.h>

#include "util-process.h"

/* What the directory of this user and this boot is called. Owned. */
static char *compose(const char *base)
{
        g_autofree char *boot_id = NULL;

        g_assert_true(g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot_id, NULL, NULL));
        return g_strdup_printf("%s/%lu-%s", base, (unsigned long)geteuid(), g_strstrip(boot_id));
}

/* `nipc --run-base BASE COMMAND ARGUMENT` */
static int run(const char *base, char **ret_out, char **ret_err, const char *command,
               const char *argument, const char *second)
{
        const char *const argv[] = {process_get_tool(), "--run-base", base, command,
                                    argument,           second,       NULL};

        return process_run(argv, ret_out, ret_err);
}

static struct process *serve(const char *base)
{
        const char *const argv[] = {process_get_tool(), "serve", "increment",
                                    "--run-base",       base,    NULL};
        struct process *server = process_start(argv);

        process_wait_ready(server);
        return server;
}

static void test_made(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *run_dir = compose(base);
        g_autofree char *expected = g_build_filename(run_dir, "increment.sock", NULL);
        g_autofree char *out = NULL;
        g_autofree char *listed = NULL;
        struct process *server = serve(base);
        GStatBuf st;

        g_assert_cmpstr(process_get_endpoint(server), ==, expected);
        g_assert_cmpint(g_lstat(run_dir, &st), ==, 0);
        g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
        g_assert_cmpint(run(base, &out, NULL, "call", "increment", "41"), ==, 0);
        g_assert_cmpstr(out, ==, "42\n");
        g_assert_cmpint(run(base, &listed, NULL, "ls", NULL, NULL), ==, 0);
        g_assert_nonnull(strstr(listed, expected));
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(base);
}

/* Variables are weaker than options, and that of the base than that of the directory. */
static void check_environment(const char *named, const char *base, const char *option,
                              const char *value, const char *expected)
{
        g_autofree char *run_dir = g_strdup_printf("NIPC_RUN_DIR=%s", named);
        g_autofree char *run_base = g_strdup_printf("NIPC_RUN_BASE=%s", base);
        g_autofree char *endpoint = g_build_filename(expected, "increment.sock", NULL);
        const char *const argv[] = {
                "/usr/bin/env", run_dir, run_base, process_get_tool(), "serve", "increment",
                option,         value,   NULL};
        struct process *server = process_start(argv);

        process_wait_ready(server);
        g_assert_cmpstr(process_get_endpoint(server), ==, endpoint);
        g_assert_cmpint(process_stop(server), ==, 0);
}

static void test_environment(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *other = process_make_dir();
        g_autofree char *run_dir = compose(base);

        check_environment("", base, NULL, NULL, run_dir);
        check_environment(other, base, NULL, NULL, other);
        check_environment(other, "", "--run-base", base, run_dir);
        check_environment("", base, "--run-dir", other, other);
        process_remove_dir(base);
        process_remove_dir(other);
}

/* Without a provider there is no directory, which is no reason to make one or to trust another. */
static void test_nobody(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *run_dir = compose(base);
        g_autofree char *err = NULL;
        g_autofree char *found = NULL;

        g_assert_cmpint(run(base, NULL, &err, "call", "increment", "1"), ==, 1);
        g_assert_nonnull(strstr(err, run_dir));
        g_assert_false(g_file_test(run_dir, G_FILE_TEST_EXISTS));
        g_assert_cmpint(run(base, &found, NULL, "doctor", NULL, NULL), ==, 0);
        g_assert_true(g_regex_match_simple("^run-dir +limited ", found, G_REGEX_MULTILINE, 0));
        process_remove_dir(base);
}

static void check_refused(const char *base, const char *reason)
{
        static const char *const commands[][2] = {{"serve", "increment"}, {"ls", NULL},
                                                  {"call", "increment"},  {"clean", NULL},
                                                  {"stat", "increment"},  {"ping", "increment"}};

        for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
                g_autofree char *err = NULL;

                g_assert_cmpint(run(base, NULL, &err, commands[i][0], commands[i][1], NULL), ==, 1);
                g_assert_nonnull(strstr(err, reason));
                g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
        }
}

static void test_refused(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *run_dir = compose(base);
        g_autofree char *target = g_build_filename(base, "target", NULL);

        g_assert_cmpint(g_mkdir(target, 0700), ==, 0);
        g_assert_cmpint(symlink(target, run_dir), ==, 0);
        check_refused(base, "others may write");
        g_assert_cmpint(g_unlink(run_dir), ==, 0);
        g_assert_cmpint(g_mkdir(run_dir, 0700), ==, 0);
        g_assert_cmpint(g_chmod(run_dir, 0777), ==, 0);
        check_refused(base, "others may write");
        g_assert_cmpint(g_chmod(run_dir, 0700), ==, 0);
        g_assert_cmpint(g_chmod(base, 0777), ==, 0);
        check_refused(base, "others may write");
        process_remove_dir(base);
}

/* What another boot left is in nobody's way: not even its sockets are seen. */
static void test_other_boot(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *old = g_strdup_printf("%s/%lu-00000000-0000-4000-8000-000000000000", base,
                                               (unsigned long)geteuid());
        g_autofree char *out = NULL;
        struct process *dead;

        g_assert_cmpint(g_mkdir(old, 0700), ==, 0);
        dead = process_serve(old, "increment", NULL);
        process_kill(dead);
        g_assert_cmpint(run(base, NULL, NULL, "call", "increment", "1"), ==, 1);
        dead = serve(base);
        g_assert_cmpint(run(base, &out, NULL, "call", "increment", "1"), ==, 0);
        g_assert_cmpint(process_stop(dead), ==, 0);
        process_remove_dir(base);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_unsetenv("NIPC_RUN_DIR");
        g_unsetenv("NIPC_RUN_BASE");
        g_test_add_func("/run-base/made", test_made);
        g_test_add_func("/run-base/environment", test_environment);
        g_test_add_func("/run-base/nobody", test_nobody);
        g_test_add_func("/run-base/refused", test_refused);
        g_test_add_func("/run-base/other-boot", test_other_boot);
        return g_test_run();
}
