/* SPDX-License-Identifier: MIT */
/* `nipc clean --older-than` and `--dry-run`: what is removed, what is left, and what is said of it.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util-process.h"

#define OTHER_BOOT "01234567-89ab-4def-8123-456789abcdef"

/* `nipc clean ...` in a base; owned. */
static char *clean_base(const char *base, const char *age, const char *option)
{
        const char *const argv[] = {process_get_tool(), "--run-base", base,   "clean",
                                    "--older-than",     age,          option, NULL};
        char *out = NULL;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        return out;
}

static void make_old(const char *directory, const char *name)
{
        g_autofree char *path = g_build_filename(directory, name, NULL);
        struct timespec times[2] = {{0}, {0}};

        times[0].tv_sec = times[1].tv_sec = g_get_real_time() / G_USEC_PER_SEC - 2 * 86400;
        g_assert_cmpint(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), ==, 0);
}

static void test_this_boot(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *live = process_serve(run_dir, "increment", NULL);
        g_autofree char *notes = g_build_filename(run_dir, "notes.txt", NULL);
        g_autofree char *young = NULL;
        g_autofree char *dry = NULL;
        g_autofree char *done = NULL;

        g_assert_true(g_file_set_contents(notes, "x", 1, NULL));
        process_kill(process_serve(run_dir, "echo", "--method", "9", NULL));
        g_assert_cmpint(process_nipc(run_dir, &young, NULL, "clean", "--older-than", "1d", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(young, "echo.sock: dead, but not that old, left alone\n"));
        make_old(run_dir, "echo.sock");
        make_old(run_dir, "echo.lock");
        make_old(run_dir, "increment.sock");
        make_old(run_dir, "notes.txt");
        g_assert_cmpint(process_nipc(run_dir, &dry, NULL, "clean", "--older-than", "1d",
                                     "--dry-run", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(dry, "echo.sock: would be removed\n"));
        g_assert_cmpint(process_nipc(run_dir, &done, NULL, "clean", "--older-than", "1d", NULL), ==,
                        0);
        g_assert_nonnull(strstr(done, "echo.sock: removed\n"));
        g_assert_nonnull(strstr(done, "increment.sock: live, left alone\n"));
        g_assert_nonnull(strstr(done, "notes.txt: nothing of ours, left alone\n"));
        g_assert_true(g_file_test(notes, G_FILE_TEST_EXISTS));
        g_assert_cmpint(process_nipc(run_dir, NULL, NULL, "call", "increment", "1", NULL), ==, 0);
        g_assert_cmpint(process_stop(live), ==, 0);
        process_remove_dir(run_dir);
}

static void test_other_boot(void)
{
        g_autofree char *base = process_make_dir();
        g_autofree char *name = g_strdup_printf("%lu-" OTHER_BOOT, (unsigned long)geteuid());
        g_autofree char *old = g_build_filename(base, name, NULL);
        g_autofree char *removed =
                g_strdup_printf("%s/echo.sock: removed\n%s: removed\n", name, name);
        g_autofree char *left = g_strdup_printf("%s: dead, but not that old, left alone\n", name);
        const char *const serve[] = {process_get_tool(), "--run-base", base, "serve",
                                     "increment",        NULL};
        struct process *server = process_start(serve);
        g_autofree char *young = NULL;
        g_autofree char *done = NULL;

        process_wait_ready(server);
        g_assert_cmpint(g_mkdir(old, 0700), ==, 0);
        process_kill(process_serve(old, "echo", "--method", "9", NULL));
        make_old(old, "echo.sock");
        make_old(old, "echo.lock");
        young = clean_base(base, "1h", NULL);
        g_assert_nonnull(strstr(young, left));
        make_old(base, name);
        done = clean_base(base, "1h", NULL);
        g_assert_nonnull(strstr(done, removed));
        g_assert_nonnull(strstr(done, "/increment.sock: live, left alone\n"));
        g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(base);
}

static void test_json(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *out = NULL;
        g_autoptr(JsonNode) root = NULL;
        JsonObject *item;

        process_kill(process_serve(run_dir, "increment", NULL));
        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "clean", "--older-than", "0", "--json",
                                     NULL),
                        ==, 0);
        root = json_from_string(out, NULL);
        g_assert_nonnull(root);
        g_assert_cmpuint(json_array_get_length(json_node_get_array(root)), ==, 1);
        item = json_array_get_object_element(json_node_get_array(root), 0);
        g_assert_cmpstr(json_object_get_string_member(item, "name"), ==, "increment.sock");
        g_assert_cmpstr(json_object_get_string_member(item, "outcome"), ==, "removed");
        g_assert_true(json_object_has_member(item, "age_s"));
        process_remove_dir(run_dir);
}

/* Without an age, too. */
static void test_dry_run(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *endpoint = g_build_filename(run_dir, "echo.sock", NULL);
        struct process *live = process_serve(run_dir, "increment", NULL);
        g_autofree char *out = NULL;
        g_autofree char *named = NULL;

        process_kill(process_serve(run_dir, "echo", "--method", "9", NULL));
        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "clean", "--dry-run", NULL), ==, 0);
        g_assert_nonnull(strstr(out, "echo: would be removed\n"));
        g_assert_nonnull(strstr(out, "increment: live, left alone\n"));
        g_assert_cmpint(process_nipc(run_dir, &named, NULL, "clean", "--dry-run", "echo", "none",
                                     NULL),
                        ==, 0);
        g_assert_cmpstr(named, ==, "echo: would be removed\nnone: nothing to remove\n");
        g_assert_true(g_file_test(endpoint, G_FILE_TEST_EXISTS));
        g_assert_cmpint(process_stop(live), ==, 0);
        process_remove_dir(run_dir);
}

/* What cannot be removed is a failure, and said. */
static void test_failure(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *missing = g_build_filename(run_dir, "missing", NULL);
        g_autofree char *err = NULL;
        g_autofree char *denied = NULL;

        g_assert_cmpint(process_nipc(missing, NULL, &err, "clean", "--older-than", "0", NULL), ==,
                        1);
        g_assert_nonnull(strstr(err, missing));
        if (geteuid() != 0) {
                process_kill(process_serve(run_dir, "increment", NULL));
                g_assert_cmpint(g_chmod(run_dir, 0500), ==, 0);
                g_assert_cmpint(process_nipc(run_dir, NULL, &denied, "clean", "--older-than", "0",
                                             NULL),
                                ==, 1);
                g_assert_nonnull(strstr(denied, "increment.sock"));
                g_assert_cmpint(g_chmod(run_dir, 0700), ==, 0);
        }
        process_remove_dir(run_dir);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_unsetenv("NIPC_RUN_DIR");
        g_unsetenv("NIPC_RUN_BASE");
        g_test_add_func("/clean/this-boot", test_this_boot);
        g_test_add_func("/clean/other-boot", test_other_boot);
        g_test_add_func("/clean/json", test_json);
        g_test_add_func("/clean/dry-run", test_dry_run);
        g_test_add_func("/clean/failure", test_failure);
        return g_test_run();
}
