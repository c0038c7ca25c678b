/* SPDX-License-Identifier: MIT */
/*
 * `nipc doctor`: it tells what there is, survives what it looks for, and leaves nothing. Where the
 * machine is made worse than it is, that happens in the child that becomes the tool.
 */
#include "util-process.h"
#include "util-seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define CANNOT 77 /* the exit status of a child that could not be made worse off */

static const char *const names[] = {
        "seqpacket",
        "fd-passing",
        "memfd",
        "seals",
        "double-mapping",
        "futex",
        "futex-waitv",
        "eventfd",
        "epoll",
        "aio-poll",
        "cpus",
        "sock-diag",
        "proc",
        "cgroups",
        "descriptors",
        "file-size",
        "socket-buffer",
        "epoll-watches",
        "aio-contexts",
        "run-dir",
        "run-dir-path",
        "run-dir-fs",
        "run-dir-space",
        "run-dir-locks",
        "dev-shm",
        "session-baseline",
        "session-shm-hybrid",
        "session-ring",
        "service",
};

/* One run of the tool, with --json. */
struct report {
        int status; /* exit status; -1: it could not be run like that */
        char *err;
        JsonNode *root;
};

static void report_clear(struct report *report)
{
        g_clear_pointer(&report->err, g_free);
        g_clear_pointer(&report->root, json_node_unref);
}

static struct report doctor(const char *run_dir, GSpawnChildSetupFunc setup, const void *data)
{
        const char *const argv[] = {process_get_tool(), "--run-dir", run_dir,
                                    "--json",           "doctor",    NULL};
        struct report report = {.status = -1};
        g_autoptr(GError) error = NULL;
        g_autofree char *out = NULL;
        int status;

        if (!g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_DEFAULT, setup,
                          (gpointer)(uintptr_t)data, &out, &report.err, &status, &error)) {
                g_test_message("%s", error->message);
                return report;
        }
        g_assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == CANNOT)
                return report;
        report.status = WEXITSTATUS(status);
        report.root = json_from_string(out, &error);
        g_assert_no_error(error);
        return report;
}

/* The row of a check, borrowed. */
static JsonObject *find_row(const struct report *report, const char *name)
{
        JsonArray *rows =
                json_object_get_array_member(json_node_get_object(report->root), "checks");

        for (guint i = 0; i < json_array_get_length(rows); i++) {
                JsonObject *row = json_array_get_object_element(rows, i);

                if (!strcmp(json_object_get_string_member(row, "name"), name))
                        return row;
        }
        g_error("no check has the name %s", name);
}

static void check_row(const struct report *report, const char *name, const char *result,
                      const char *found)
{
        JsonObject *row = find_row(report, name);

        g_assert_cmpstr(json_object_get_string_member(row, "result"), ==, result);
        g_assert_nonnull(strstr(json_object_get_string_member(row, "found"), found));
        if (strcmp(result, "ok")) {
                g_assert_cmpint((int)strlen(json_object_get_string_member(row, "effect")), >, 0);
                g_assert_cmpint((int)strlen(json_object_get_string_member(row, "advice")), >, 0);
        } else {
                g_assert_true(json_object_get_null_member(row, "effect"));
        }
}

static void check_error(const struct report *report, const char *name, int error)
{
        g_assert_cmpint((int)json_object_get_int_member(find_row(report, name), "errno"), ==,
                        error);
}

static bool says(const struct report *report, const char *member)
{
        return json_object_get_boolean_member(json_node_get_object(report->root), member);
}

/* Nothing is left in a directory. */
static void check_empty(const char *path)
{
        GDir *directory = g_dir_open(path, 0, NULL);

        g_assert_nonnull(directory);
        g_assert_cmpstr(g_dir_read_name(directory), ==, NULL);
        g_dir_close(directory);
}

static void test_normal(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct report report = doctor(run_dir, NULL, NULL);

        g_assert_cmpint(report.status, ==, 0);
        g_assert_cmpstr(report.err, ==, "");
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                find_row(&report, names[i]);
        g_assert_true(says(&report, "baseline"));
        check_row(&report, "seqpacket", "ok", "packets");
        check_row(&report, "session-baseline", "ok", "answered");
        check_row(&report, "run-dir-locks", "ok", "F_OFD_SETLK");
        check_row(&report, "service", "ok", "profile in use");
        check_empty(run_dir);
        report_clear(&report);
        process_remove_dir(run_dir);
}

static void test_table(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(run_dir, &out, NULL, "doctor", NULL), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *pattern = g_strdup_printf("^%s +(ok|limited|missing) ", names[i]);

                g_assert_true(g_regex_match_simple(pattern, out, G_REGEX_MULTILINE, 0));
        }
        g_assert_nonnull(strstr(out, "\nThe baseline works, RING "));
        process_remove_dir(run_dir);
}

/* ---- filters of system calls ---------------------------------------------------------------- */

static void refuse_memfd(gpointer data)
{
        static const int calls[] = {SYS_memfd_create};

        if (!util_seccomp_install(calls, G_N_ELEMENTS(calls), EPERM))
                _exit(CANNOT);
}

static void test_refused(void)
{
        g_autofree char *run_dir = NULL;
        struct report report;

        if (!util_seccomp_is_there()) {
                g_test_skip("no filters of system calls here");
                return;
        }
        run_dir = process_make_dir();
        report = doctor(run_dir, refuse_memfd, NULL);
        g_assert_cmpint(report.status, ==, 0); /* the baseline works */
        check_row(&report, "memfd", "limited", "memfd_create");
        check_error(&report, "memfd", EPERM);
        check_row(&report, "seals", "limited", "memfd_create");
        check_row(&report, "session-ring", "limited", "baseline instead: memfd_create");
        check_error(&report, "session-ring", EPERM);
        check_row(&report, "session-baseline", "ok", "answered");
        g_assert_true(says(&report, "baseline"));
        g_assert_false(says(&report, "ring"));
        report_clear(&report);
        check_empty(run_dir);
        process_remove_dir(run_dir);
}

static void kill_for_waits(gpointer data)
{
        static const int calls[] = {SYS_futex_waitv, SYS_io_submit};

        signal(SIGCHLD, SIG_IGN); /* as some who start programs have it, and leave it */
        if (!util_seccomp_install(calls, G_N_ELEMENTS(calls), UTIL_SECCOMP_KILL))
                _exit(CANNOT);
}

static void test_killed(void)
{
        g_autofree char *run_dir = NULL;
        struct report report;
        JsonObject *row;

        if (!util_seccomp_is_there()) {
                g_test_skip("no filters of system calls here");
                return;
        }
        run_dir = process_make_dir();
        report = doctor(run_dir, kill_for_waits, NULL);
        g_assert_cmpint(report.status, ==, 0);
        check_row(&report, "futex-waitv", "limited", "killed by seccomp");
        check_row(&report, "aio-poll", "limited", "killed by seccomp");
        check_row(&report, "session-shm-hybrid", "limited", "killed by seccomp");
        check_row(&report, "session-baseline", "ok", "answered");
        row = find_row(&report, "futex-waitv");
        g_assert_cmpint((int)json_object_get_int_member(row, "signal"), ==, SIGSYS);
        g_assert_nonnull(strstr(json_object_get_string_member(row, "effect"), "is killed"));
        check_empty(run_dir); /* what the killed probes left, too */
        report_clear(&report);
        process_remove_dir(run_dir);
}

static void kill_for_sockets(gpointer data)
{
        static const int calls[] = {SYS_socket, SYS_socketpair};

        if (!util_seccomp_install(calls, G_N_ELEMENTS(calls), UTIL_SECCOMP_KILL))
                _exit(CANNOT);
}

static void test_no_baseline(void)
{
        g_autofree char *run_dir = NULL;
        struct report report;

        if (!util_seccomp_is_there()) {
                g_test_skip("no filters of system calls here");
                return;
        }
        run_dir = process_make_dir();
        report = doctor(run_dir, kill_for_sockets, NULL);
        g_assert_cmpint(report.status, ==, 1);
        g_assert_cmpstr(report.err, ==,
                        "nipc doctor: the baseline does not work: killed by seccomp (SIGSYS)\n");
        check_row(&report, "seqpacket", "missing", "killed by seccomp");
        check_row(&report, "sock-diag", "limited", "killed by seccomp");
        report_clear(&report);
        process_remove_dir(run_dir);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void limit_descriptors(gpointer data)
{
        const rlim_t n = *(const rlim_t *)data;
        const struct rlimit limit = {n, n};

        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                _exit(CANNOT);
}

static void test_few_descriptors(void)
{
        static const rlim_t few = 64, none = 5;
        g_autofree char *run_dir = process_make_dir();
        struct report report = doctor(run_dir, limit_descriptors, &few);

        g_assert_cmpint(report.status, ==, 0);
        check_row(&report, "descriptors", "limited", "64 per process");
        report_clear(&report);

        report = doctor(run_dir, limit_descriptors, &none);
        g_assert_cmpint(report.status, ==, 1);
        check_error(&report, "session-baseline", EMFILE);
        report_clear(&report);
        check_empty(run_dir);
        process_remove_dir(run_dir);
}

/* ---- run directories ------------------------------------------------------------------------ */

static void test_missing_directory(void)
{
        g_autofree char *parent = process_make_dir();
        g_autofree char *run_dir = g_build_filename(parent, "missing", NULL);
        struct report report = doctor(run_dir, NULL, NULL);

        g_assert_cmpint(report.status, ==, 1);
        g_assert_nonnull(strstr(report.err, run_dir));
        g_assert_true(strchr(report.err, '\n') == report.err + strlen(report.err) - 1);
        check_row(&report, "run-dir", "missing", run_dir);
        check_error(&report, "run-dir", ENOENT);
        check_empty(parent);
        report_clear(&report);
        process_remove_dir(parent);
}

/* The default one is made by `nipc serve`: that it is not there yet is no harm. */
static void test_default_directory(void)
{
        g_autofree char *parent = process_make_dir();
        g_autofree char *variable = g_strdup_printf("XDG_RUNTIME_DIR=%s", parent);
        const char *const argv[] = {
                "/usr/bin/env", "-u", "NIPC_RUN_DIR", variable, process_get_tool(), "doctor", NULL};
        g_autofree char *out = NULL;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_true(g_regex_match_simple("^run-dir +limited ", out, G_REGEX_MULTILINE, 0));
        g_assert_true(g_regex_match_simple("^session-baseline +ok ", out, G_REGEX_MULTILINE, 0));
        check_empty(parent);
        process_remove_dir(parent);
}

/* Root may write anywhere: then as somebody else. */
static void drop_root(gpointer data)
{
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                _exit(CANNOT);
}

static void test_not_writable(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct report report;

        g_assert_cmpint(g_chmod(run_dir, 0555), ==, 0);
        report = doctor(run_dir, drop_root, NULL);
        if (report.status < 0) {
                g_test_skip("cannot run the tool as somebody else");
        } else {
                g_assert_cmpint(report.status, ==, 1);
                check_row(&report, "run-dir", "missing", "mode 0555");
                check_error(&report, "run-dir", EACCES);
                check_row(&report, "session-baseline", "missing", "nothing can be made");
        }
        report_clear(&report);
        process_remove_dir(run_dir);
}

static void test_world_writable(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct report report;

        g_assert_cmpint(g_chmod(run_dir, 0777), ==, 0);
        report = doctor(run_dir, NULL, NULL);
        g_assert_cmpint(report.status, ==, 0);
        check_row(&report, "run-dir", "limited", "writable by others");
        report_clear(&report);
        process_remove_dir(run_dir);
}

/* From within, endpoints are tried whatever the length of the path; names are not possible. */
static void test_long_path(void)
{
        g_autofree char *parent = process_make_dir();
        g_autofree char *component = g_strnfill(110, 'x');
        g_autofree char *run_dir = g_build_filename(parent, component, NULL);
        struct report report;

        g_assert_cmpint(g_mkdir(run_dir, 0700), ==, 0);
        report = doctor(run_dir, NULL, NULL);
        check_row(&report, "run-dir-path", "missing", "nothing left");
        check_error(&report, "run-dir-path", ENAMETOOLONG);
        report_clear(&report);
        process_remove_dir(parent);
}

/* Over the run directory, in a mount namespace of the child's own: 1 MiB, and nothing left of it.
 */
static void mount_full(gpointer data)
{
        static const char zeros[4096];
        const char *run_dir = data;
        int fd;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", run_dir, "tmpfs", 0, "size=1m") < 0 || chdir(run_dir) < 0)
                _exit(CANNOT);
        fd = open("full", O_WRONLY | O_CREAT, 0600);
        while (write(fd, zeros, sizeof(zeros)) > 0)
                ;
        close(fd);
}

static void test_full_directory(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct report report = doctor(run_dir, mount_full, run_dir);

        if (report.status < 0) {
                g_test_skip("cannot mount a file system");
        } else {
                g_assert_cmpint(report.status, ==, 0); /* sockets need no space */
                check_row(&report, "run-dir-fs", "ok", "tmpfs");
                check_row(&report, "run-dir-space", "limited", "reserving");
                check_error(&report, "run-dir-space", ENOSPC);
                check_row(&report, "session-shm-hybrid", "limited", "baseline instead");
                check_error(&report, "session-shm-hybrid", ENOSPC);
                check_row(&report, "session-baseline", "ok", "answered");
        }
        report_clear(&report);
        process_remove_dir(run_dir);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/doctor/normal", test_normal);
        g_test_add_func("/doctor/table", test_table);
        g_test_add_func("/doctor/refused", test_refused);
        g_test_add_func("/doctor/killed", test_killed);
        g_test_add_func("/doctor/no-baseline", test_no_baseline);
        g_test_add_func("/doctor/few-descriptors", test_few_descriptors);
        g_test_add_func("/doctor/missing-directory", test_missing_directory);
        g_test_add_func("/doctor/default-directory", test_default_directory);
        g_test_add_func("/doctor/not-writable", test_not_writable);
        g_test_add_func("/doctor/world-writable", test_world_writable);
        g_test_add_func("/doctor/long-path", test_long_path);
        g_test_add_func("/doctor/full-directory", test_full_directory);
        return g_test_run();
}
