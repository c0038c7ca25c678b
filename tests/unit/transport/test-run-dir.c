/* SPDX-License-Identifier: MIT */

/*
 * Run directories by user and boot: what they are called, that they are made for their owner alone
 * whatever the umask says, and that nothing else is taken for one.
 */

#include "util-env.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nipc/endpoint.h>
#include <nipc/run-dir.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct base {
        char path[NIPC_ENDPOINT_PATH_MAX];
        char dir[NIPC_ENDPOINT_PATH_MAX + NIPC_RUN_DIR_SUFFIX_MAX];
};

/* A new base, and what the caller's directory in it will be called. */
static struct base make_base(const char *name, mode_t mode)
{
        struct base base;

        snprintf(base.path, sizeof(base.path), "%s", util_path(name));
        tap_check(mkdir(base.path, 0700) == 0 && chmod(base.path, mode) == 0);
        util_eq_error(nipc_run_dir_format(base.path, -1, base.dir, sizeof(base.dir)), 0);
        return base;
}

static int make(const struct base *base)
{
        char buf[sizeof(base->dir)] = "untouched";
        int r = nipc_run_dir_make(base->path, buf, sizeof(buf));

        tap_eq_str(buf, r ? "untouched" : base->dir);
        return r;
}

static int find(const struct base *base)
{
        char buf[sizeof(base->dir)] = "untouched";
        int r = nipc_run_dir_find(base->path, -1, buf, sizeof(buf));

        tap_eq_str(buf, r ? "untouched" : base->dir);
        return r;
}

static unsigned mode_of(const char *path)
{
        struct stat st = {0};

        tap_check(lstat(path, &st) == 0);
        return st.st_mode & 07777;
}

static void test_format(void)
{
        char boot_id[37] = "", expected[128], buf[128];
        FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

        tap_require(file && fread(boot_id, 1, 36, file) == 36);
        fclose(file);
        snprintf(expected, sizeof(expected), "x//y/%lu-%s", (unsigned long)geteuid(), boot_id);
        util_eq_error(nipc_run_dir_format("x//y", -1, buf, sizeof(buf)), 0);
        tap_eq_str(buf, expected);
        snprintf(expected, sizeof(expected), "/b/4294967295-%s", boot_id);
        util_eq_error(nipc_run_dir_format("/b", UINT32_MAX, buf, strlen(expected) + 1), 0);
        tap_eq_str(buf, expected);
        tap_check(strlen(expected) - strlen("/b") + 1 <= NIPC_RUN_DIR_SUFFIX_MAX);
        util_eq_error(nipc_run_dir_format("/b", UINT32_MAX, buf, strlen(expected)), -ENAMETOOLONG);
        util_eq_error(nipc_run_dir_format("/b", UINT32_MAX, buf, 0), -ENAMETOOLONG);
}

static void test_arguments(void)
{
        char buf[128] = "untouched";

        util_eq_error(nipc_run_dir_format(NULL, -1, buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_format("", -1, buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_format("/b", -2, buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_format("/b", (int64_t)UINT32_MAX + 1, buf, sizeof(buf)),
                      -EINVAL);
        util_eq_error(nipc_run_dir_format("/b", -1, NULL, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_find(NULL, -1, buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_find("/b", -2, buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_make("", buf, sizeof(buf)), -EINVAL);
        util_eq_error(nipc_run_dir_make("/b", NULL, sizeof(buf)), -EINVAL);
        tap_eq_str(buf, "untouched");
}

static void test_make(void)
{
        struct base base = make_base("made", 0700);

        util_eq_error(find(&base), -ENOENT);
        util_eq_error(make(&base), 0);
        tap_eq_uint(mode_of(base.dir), 0700);
        util_eq_error(make(&base), 0);
        util_eq_error(find(&base), 0);
}

static void make_unmasked(void *userdata)
{
        struct base *base = userdata;

        umask(0777);
        util_eq_error(make(base), 0);
}

static void test_umask(void)
{
        struct base base = make_base("umask", 0700);

        util_in_child(make_unmasked, &base);
        tap_eq_uint(mode_of(base.dir), 0700);
}

static void test_no_base(void)
{
        struct base base = make_base("gone", 0700);
        char buf[4];

        tap_check(rmdir(base.path) == 0);
        util_eq_error(make(&base), -ENOENT);
        util_eq_error(find(&base), -ENOENT);
        close(open(base.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        util_eq_error(make(&base), -ENOTDIR);
        util_eq_error(find(&base), -ENOTDIR);
        util_eq_error(nipc_run_dir_make(util_dir(), buf, sizeof(buf)), -ENAMETOOLONG);
}

/* ---- what is not relied on ------------------------------------------------------------------- */

static void test_open_base(void)
{
        struct base base = make_base("open", 0777);
        struct stat st;

        util_eq_error(make(&base), -EACCES);
        tap_check(lstat(base.dir, &st) < 0); /* nor is anything made there */
        tap_check(chmod(base.path, 01777) == 0);
        util_eq_error(make(&base), 0);
        tap_check(chmod(base.path, 0777) == 0);
        util_eq_error(find(&base), -EACCES);
        tap_check(chmod(base.path, 0770) == 0);
        util_eq_error(find(&base), 0);
}

static void test_open_dir(void)
{
        struct base base = make_base("wide", 0700);

        util_eq_error(make(&base), 0);
        tap_check(chmod(base.dir, 0720) == 0);
        util_eq_error(make(&base), -EACCES);
        util_eq_error(find(&base), -EACCES);
        tap_check(chmod(base.dir, 0702) == 0);
        util_eq_error(find(&base), -EACCES);
        tap_eq_uint(mode_of(base.dir), 0702); /* what its owner did is left alone */
        tap_check(chmod(base.dir, 0755) == 0);
        util_eq_error(make(&base), 0);
        util_eq_error(find(&base), 0);
}

/* A directory behind a link, even one that would do. */
static void test_link(void)
{
        struct base base = make_base("link", 0700);
        char target[sizeof(base.path) + 8];

        snprintf(target, sizeof(target), "%s/target", base.path);
        tap_require(symlink(target, base.dir) == 0);
        util_eq_error(make(&base), -EACCES); /* it leads nowhere, and nothing is made there */
        tap_check(rmdir(target) < 0 && errno == ENOENT);
        tap_check(mkdir(target, 0000) == 0);
        util_eq_error(make(&base), -EACCES);
        util_eq_error(find(&base), -EACCES);
        tap_eq_uint(mode_of(target), 0);
}

static void test_no_directory(void)
{
        struct base base = make_base("file", 0700);

        tap_require(mkfifo(base.dir, 0700) == 0);
        util_eq_error(make(&base), -EACCES);
        util_eq_error(find(&base), -EACCES);
}

static void test_foreign(void)
{
        struct base base = make_base("foreign", 01777);
        char buf[sizeof(base.dir)], other[sizeof(base.dir)];

        util_eq_error(make(&base), 0);
        util_eq_error(nipc_run_dir_format(base.path, 12345, other, sizeof(other)), 0);
        util_eq_error(nipc_run_dir_find(base.path, 12345, buf, sizeof(buf)), -ENOENT);
        tap_require(rename(base.dir, other) == 0); /* it has a name that is not its owner's */
        util_eq_error(nipc_run_dir_find(base.path, 12345, buf, sizeof(buf)), -EACCES);
        tap_require(rename(other, base.dir) == 0);
        if (chown(base.dir, 12345, (gid_t)-1) < 0)
                tap_skip("only root can give directories away");
        util_eq_error(make(&base), -EACCES);
        util_eq_error(find(&base), -EACCES);
        tap_require(rename(base.dir, other) == 0);
        util_eq_error(nipc_run_dir_find(base.path, 12345, buf, sizeof(buf)), 0);
        tap_eq_str(buf, other);
}

UTIL_MAIN(TAP_CASE(test_format), TAP_CASE(test_arguments), TAP_CASE(test_make),
          TAP_CASE(test_umask), TAP_CASE(test_no_base), TAP_CASE(test_open_base),
          TAP_CASE(test_open_dir), TAP_CASE(test_link), TAP_CASE(test_no_directory),
          TAP_CASE(test_foreign))
