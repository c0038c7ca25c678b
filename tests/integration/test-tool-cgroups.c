/* SPDX-License-Identifier: MIT */
/* `nipc serve cgroups-snapshot` over a directory tree, and `nipc watch` over its restarts. */
#include "util-process.h"

#include <glib/gstdio.h>
#include <unistd.h>

struct fixture {
        char *run_dir;
        char *root; /* of the hierarchy */
        struct process *server;
};

static void make_group(struct fixture *fixture, const char *path)
{
        g_autofree char *whole = g_build_filename(fixture->root, path, NULL);

        g_assert_cmpint(g_mkdir_with_parents(whole, 0755), ==, 0);
}

static void remove_group(struct fixture *fixture, const char *path)
{
        g_autofree char *whole = g_build_filename(fixture->root, path, NULL);

        g_assert_cmpint(g_rmdir(whole), ==, 0);
}

static void serve(struct fixture *fixture)
{
        fixture->server = process_serve(fixture->run_dir, "cgroups-snapshot", "--source",
                                        fixture->root, NULL);
}

static void set_up(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *controllers = NULL;

        fixture->run_dir = process_make_dir();
        fixture->root = process_make_dir();
        controllers = g_build_filename(fixture->root, "cgroup.controllers", NULL);
        g_assert_true(g_file_set_contents(controllers, "cpu memory\n", -1, NULL));
        make_group(fixture, "system.slice/ssh.service");
        serve(fixture);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        g_assert_cmpint(process_stop(fixture->server), ==, 0);
        process_remove_dir(fixture->root);
        process_remove_dir(fixture->run_dir);
        g_free(fixture->root);
        g_free(fixture->run_dir);
}

static char *get_snapshot(struct fixture *fixture)
{
        char *out;

        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "--json", "call",
                                     "cgroups-snapshot", NULL),
                        ==, 0);
        return out;
}

static void test_items(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *first = get_snapshot(fixture);
        g_autofree char *second = get_snapshot(fixture);

        g_assert_nonnull(strstr(first, "\"systemd_enabled\": 1"));
        g_assert_nonnull(strstr(first, "\"generation\": 1"));
        g_assert_nonnull(strstr(first, "\"name\": \"root\""));
        g_assert_nonnull(strstr(first, "\"path\": \"/system.slice/ssh.service\""));
        g_assert_nonnull(strstr(first, "\"options\": 1"));
        g_assert_null(strstr(first, "cgroup.controllers"));
        g_assert_cmpstr(second, ==, first);
}

/* Groups of one name are told apart, and links are not followed. */
static void test_odd_trees(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *link = g_build_filename(fixture->root, "link", NULL);
        g_autofree char *out = NULL;
        g_autoptr(GRegex) twice = g_regex_new("\"name\": \"a.service", 0, 0, NULL);
        g_autoptr(GMatchInfo) match = NULL;

        g_assert_cmpint(process_stop(fixture->server), ==, 0);
        g_assert_cmpint(symlink("/", link), ==, 0);
        make_group(fixture, "x.slice/a.service");
        make_group(fixture, "y.slice/a.service");
        make_group(fixture, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20");
        serve(fixture);
        out = get_snapshot(fixture);
        g_assert_null(strstr(out, "link"));
        g_assert_nonnull(strstr(out, "/18/19/20\""));
        g_assert_nonnull(strstr(out, "\"name\": \"a.service\""));
        g_assert_nonnull(strstr(out, "\"name\": \"a.service~"));
        g_assert_true(g_regex_match(twice, out, 0, &match));
}

/* The watcher sees a change, outlives its provider, and says once that it is gone. */
static void test_watch(struct fixture *fixture, gconstpointer data)
{
        struct process *watcher = process_start_nipc(fixture->run_dir, "watch", "cgroups-snapshot",
                                                     "--interval", "0.05", NULL);
        static const char *const first[] = {
                "+ root  /",
                "+ system.slice  /system.slice",
                "+ ssh.service  /system.slice/ssh.service",
        };
        g_autofree char *line = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(first); i++) {
                g_autofree char *appeared = process_read_line(watcher);

                g_assert_cmpstr(appeared, ==, first[i]);
        }
        make_group(fixture, "system.slice/cron.service");
        line = process_read_line(watcher);
        g_assert_cmpstr(line, ==, "+ cron.service  /system.slice/cron.service");

        process_kill(fixture->server);
        g_free(line);
        line = process_read_error_line(watcher);
        g_assert_nonnull(strstr(line, "keeping the last snapshot"));

        remove_group(fixture, "system.slice/ssh.service");
        serve(fixture);
        g_free(line);
        line = process_read_error_line(watcher);
        g_assert_nonnull(strstr(line, "back"));
        g_free(line);
        line = process_read_line(watcher);
        g_assert_cmpstr(line, ==, "- ssh.service  /system.slice/ssh.service");
        g_assert_cmpint(process_stop(watcher), ==, 0);
}

static void test_watch_without_provider(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "watch", "cgroups-snapshot",
                                     "--name", "nobody", "--count", "2", "--interval", "0.01",
                                     NULL),
                        ==, 1);
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/cgroups/items", struct fixture, NULL, set_up, test_items, tear_down);
        g_test_add("/cgroups/odd-trees", struct fixture, NULL, set_up, test_odd_trees, tear_down);
        g_test_add("/cgroups/watch", struct fixture, NULL, set_up, test_watch, tear_down);
        g_test_add("/cgroups/watch-without-provider", struct fixture, NULL, set_up,
                   test_watch_without_provider, tear_down);
        return g_test_run();
}
