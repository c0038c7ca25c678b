/* SPDX-License-Identifier: MIT */
/* `nipc serve cgroups-snapshot` over a directory tree, and `nipc watch` over its restarts. */
#include "util-process.h"

#include <glib/gstdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* More than CGROUPS_RESCAN_MS of the provider. */
#define LOOKED_AGAIN_MS 550

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
        g_assert_null(strstr(out, "\"name\": \"a.service\""));
        g_assert_nonnull(strstr(out, "\"name\": \"a.service~"));
        g_assert_true(g_regex_match(twice, out, 0, &match));
}

/* Asks until the provider must have looked again, and returns the last answer. */
static char *get_next_snapshot(struct fixture *fixture)
{
        gint64 end = g_get_monotonic_time() + LOOKED_AGAIN_MS * G_TIME_SPAN_MILLISECOND;
        char *out = NULL;

        do {
                g_free(out);
                out = get_snapshot(fixture);
        } while (g_get_monotonic_time() < end);
        g_free(out);
        return get_snapshot(fixture);
}

/* What cannot be seen whole is not served in part, and that is said once. */
static void test_out_of_descriptors(struct fixture *fixture, gconstpointer data)
{
        static const char deep[] = "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/"
                                   "25/26/27/28/29/30/31/32/33/34/35/36/37/38/39/40";
        struct rlimit limit = {32, 4096};
        g_autofree char *out = NULL;
        g_autofree char *again = NULL;
        g_autofree char *line = NULL;

        make_group(fixture, deep);
        g_assert_cmpint(prlimit(process_get_pid(fixture->server), RLIMIT_NOFILE, &limit, NULL), ==,
                        0);
        out = get_next_snapshot(fixture);
        g_assert_nonnull(strstr(out, "\"generation\": 1,"));
        g_assert_nonnull(strstr(out, "/system.slice/ssh.service"));
        g_assert_null(strstr(out, "\"/1"));
        line = process_read_error_line(fixture->server);
        g_assert_nonnull(strstr(line, "serving what was there before"));
        g_free(out);
        out = get_next_snapshot(fixture);

        limit.rlim_cur = 256;
        g_assert_cmpint(prlimit(process_get_pid(fixture->server), RLIMIT_NOFILE, &limit, NULL), ==,
                        0);
        again = get_next_snapshot(fixture);
        g_assert_nonnull(strstr(again, "/39/40\""));
        g_free(line);
        line = process_read_error_line(fixture->server); /* the second failure was not said */
        g_assert_nonnull(strstr(line, "readable again"));
}

static void test_watch_full_disk(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *command =
                g_strdup_printf("timeout 20 %s --run-dir %s watch cgroups-snapshot >/dev/full",
                                process_get_tool(), fixture->run_dir);
        const char *const argv[] = {"/bin/sh", "-c", command, NULL};

        g_assert_cmpint(process_run(argv, NULL, NULL), ==, 1);
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
        g_test_add("/cgroups/out-of-descriptors", struct fixture, NULL, set_up,
                   test_out_of_descriptors, tear_down);
        g_test_add("/cgroups/watch-full-disk", struct fixture, NULL, set_up, test_watch_full_disk,
                   tear_down);
        g_test_add("/cgroups/watch", struct fixture, NULL, set_up, test_watch, tear_down);
        g_test_add("/cgroups/watch-without-provider", struct fixture, NULL, set_up,
                   test_watch_without_provider, tear_down);
        return g_test_run();
}
