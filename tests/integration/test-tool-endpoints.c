/* SPDX-License-Identifier: MIT */
/* `nipc ls` and `nipc clean`: what a crashed provider left is told from what is live. */
#include "util-process.h"

static void test_crash(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *live = process_serve(run_dir, "increment", NULL);
        struct process *dead = process_serve(run_dir, "echo", "--method", "9", NULL);
        g_autofree char *endpoint = g_strdup(process_get_endpoint(dead));
        g_autofree char *out = NULL;
        g_autofree char *cleaned = NULL;

        process_kill(dead);
        g_assert_true(g_file_test(endpoint, G_FILE_TEST_EXISTS));
        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "ls", NULL), ==, 0);
        g_assert_true(g_regex_match_simple("^echo +dead ", out, G_REGEX_MULTILINE, 0));
        g_assert_true(g_regex_match_simple("^increment +live ", out, G_REGEX_MULTILINE, 0));

        g_assert_cmpint(process_nipc(run_dir, &cleaned, NULL, "clean", NULL), ==, 0);
        g_assert_nonnull(strstr(cleaned, "echo: removed\n"));
        g_assert_nonnull(strstr(cleaned, "increment: live, left alone\n"));
        g_assert_false(g_file_test(endpoint, G_FILE_TEST_EXISTS));
        g_assert_cmpint(process_nipc(run_dir, NULL, NULL, "call", "increment", "1", NULL), ==, 0);

        g_assert_cmpint(process_stop(live), ==, 0);
        process_remove_dir(run_dir);
}

static void test_named(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *live = process_serve(run_dir, "increment", NULL);
        g_autofree char *err = NULL;
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(run_dir, NULL, &err, "clean", "increment", NULL), ==, 1);
        g_assert_nonnull(strstr(err, "live"));
        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "clean", "nobody", NULL), ==, 0);
        g_assert_cmpstr(out, ==, "nobody: nothing to remove\n");
        g_assert_cmpint(process_stop(live), ==, 0);
        process_remove_dir(run_dir);
}

static void test_not_an_endpoint(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *path = g_build_filename(run_dir, "file.sock", NULL);
        g_autofree char *other = g_build_filename(run_dir, "notes.txt", NULL);

        g_assert_true(g_file_set_contents(path, "x", 1, NULL));
        g_assert_true(g_file_set_contents(other, "x", 1, NULL));
        g_assert_cmpint(process_nipc(run_dir, NULL, NULL, "clean", NULL), ==, 0);
        g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
        g_assert_true(g_file_test(other, G_FILE_TEST_EXISTS));
        process_remove_dir(run_dir);
}

static void test_json(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *live = process_serve(run_dir, "increment", NULL);
        g_autofree char *pid = g_strdup_printf("\"pid\": %d,", process_get_pid(live));
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "ls", "--json", NULL), ==, 0);
        g_assert_nonnull(strstr(out, "\"name\": \"increment\""));
        g_assert_nonnull(strstr(out, "\"mode\": \"0600\""));
        g_assert_nonnull(strstr(out, pid));
        g_assert_cmpint(process_stop(live), ==, 0);
        process_remove_dir(run_dir);
}

static void test_no_directory(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *missing = g_build_filename(run_dir, "missing", NULL);
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(missing, NULL, &err, "ls", NULL), ==, 1);
        g_assert_nonnull(strstr(err, missing));
        process_remove_dir(run_dir);
}

static void check_failure(const char *run_dir, const char *expected, const char *const *command)
{
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(run_dir, NULL, &err, command[0], command[1], command[2], NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, expected));
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
}

/* What is wrong with the run directory is said in one line, with what to do. */
static void test_bad_directory(void)
{
        static const char *const ls[] = {"ls", NULL, NULL};
        static const char *const clean[] = {"clean", "x", NULL};
        static const char *const call[] = {"call", "increment", "1"};
        static const char *const serve[] = {"serve", "increment", NULL};
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *component = g_strnfill(120, 'x');
        g_autofree char *lengthy = g_build_filename(run_dir, component, NULL);
        g_autofree char *file = g_build_filename(run_dir, "file", NULL);

        g_assert_cmpint(g_mkdir_with_parents(lengthy, 0700), ==, 0);
        g_assert_true(g_file_set_contents(file, "x", 1, NULL));
        check_failure(lengthy, "use a shorter --run-dir", ls);
        check_failure(lengthy, "use a shorter --run-dir", clean);
        check_failure(lengthy, "use a shorter --run-dir", call);
        check_failure(lengthy, "use a shorter --run-dir", serve);
        check_failure(file, "name a directory with --run-dir", ls);
        check_failure(file, "name a directory with --run-dir", clean);
        check_failure(file, "name a directory with --run-dir", serve);
        process_remove_dir(run_dir);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/endpoints/crash", test_crash);
        g_test_add_func("/endpoints/named", test_named);
        g_test_add_func("/endpoints/not-an-endpoint", test_not_an_endpoint);
        g_test_add_func("/endpoints/json", test_json);
        g_test_add_func("/endpoints/no-directory", test_no_directory);
        g_test_add_func("/endpoints/bad-directory", test_bad_directory);
        return g_test_run();
}
