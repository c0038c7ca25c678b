/* SPDX-License-Identifier: MIT */

/*
 * Run directories by user and boot, see <nipc/run-dir.h>: their names, and whether what has such a
 * name may be relied on. All work is relative to a descriptor of the base, and follows no link
 * below it.
 */

#include "boot.h"
#include "stdaux.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nipc/run-dir.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

NIPC__EXPORT int nipc_run_dir_format(const char *base, int64_t uid, char *buf, size_t size)
{
        char boot_id[NIPC__BOOT_ID_LENGTH + 1];
        int n, r;

        if (!base || !base[0] || !buf || uid < -1 || uid > UINT32_MAX)
                return -EINVAL;
        r = nipc__boot_id_get(boot_id);
        if (r < 0)
                return r;
        if (uid < 0)
                uid = (int64_t)geteuid();
        n = snprintf(NULL, 0, "%s/%" PRId64 "-%s", base, uid, boot_id);
        if (n < 0 || (size_t)n >= size)
                return -ENAMETOOLONG;
        snprintf(buf, size, "%s/%" PRId64 "-%s", base, uid, boot_id);
        return 0;
}

/* Opens a base in which nobody can take the place of what others made. */
static int open_base(const char *base)
{
        struct stat st;
        int fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), r = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if ((st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
                r = -EACCES;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

static int check(int base_fd, const char *name, int64_t uid)
{
        struct stat st;

        if (fstatat(base_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode) || (int64_t)st.st_uid != uid || st.st_mode & (S_IWGRP | S_IWOTH))
                return -EACCES;
        return 0;
}

/* The umask, which is the process's own, may have taken bits away. */
static int restore_mode(int base_fd, const char *name)
{
        char path[32];
        int fd = openat(base_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;
        struct stat st;

        if (fd < 0)
                return -errno;
        r = fstat(fd, &st) < 0 ? -errno : 0;
        if (r == 0 && (st.st_mode & S_IRWXU) != S_IRWXU && st.st_uid == geteuid()) {
                /* By its descriptor, which fchmod(2) does not take. */
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                r = chmod(path, S_IRWXU) < 0 ? -errno : 0;
        }
        close(fd);
        return r;
}

static int make(int base_fd, const char *name)
{
        if (mkdirat(base_fd, name, S_IRWXU) < 0)
                return errno == EEXIST ? 0 : -errno;
        return restore_mode(base_fd, name);
}

/* Both of the public ones. */
static int look(const char *base, int64_t uid, bool is_to_be_made, char *buf, size_t size)
{
        NIPC__FREE char *path = NULL;
        size_t path_size;
        int base_fd, r;

        if (!base || !buf)
                return -EINVAL;
        path_size = strlen(base) + NIPC_RUN_DIR_SUFFIX_MAX;
        path = malloc(path_size);
        if (!path)
                return -ENOMEM;
        r = nipc_run_dir_format(base, uid, path, path_size);
        if (r < 0)
                return r;
        if (strlen(path) >= size)
                return -ENAMETOOLONG;
        base_fd = open_base(base);
        if (base_fd < 0)
                return base_fd;
        if (is_to_be_made)
                r = make(base_fd, path + strlen(base) + 1);
        if (r == 0)
                r = check(base_fd, path + strlen(base) + 1, uid < 0 ? (int64_t)geteuid() : uid);
        close(base_fd);
        if (r == 0)
                memcpy(buf, path, strlen(path) + 1);
        return r;
}

NIPC__EXPORT int nipc_run_dir_find(const char *base, int64_t uid, char *buf, size_t size)
{
        return look(base, uid, false, buf, size);
}

NIPC__EXPORT int nipc_run_dir_make(const char *base, char *buf, size_t size)
{
        return look(base, -1, true, buf, size);
}
