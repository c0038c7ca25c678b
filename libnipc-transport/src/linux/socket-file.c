/* SPDX-License-Identifier: MIT */

/*
 * Owner and mode of a socket file, through a descriptor of the very file, which must be a socket:
 * whoever may write to the directory could put a link in its place meanwhile, and we may be root.
 */

#include "endpoint-private.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/listener.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int set_owner(int fd, const struct nipc_listener_config *config, struct stat *ret_st)
{
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];

        if (fstat(fd, ret_st) < 0)
                return -errno;
        if (!S_ISSOCK(ret_st->st_mode))
                return -EADDRINUSE;
        /* Owner first: changing it may clear permission bits. */
        if (config->set_owner &&
            fchownat(fd, "", (uid_t)config->uid, (gid_t)config->gid, AT_EMPTY_PATH) < 0)
                return -errno;
        if ((ret_st->st_mode & 0777) == config->mode)
                return 0;
        /* fchmod() refuses such descriptors, their name in /proc leads to the same file. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return chmod(path, (mode_t)config->mode) < 0 ? -errno : 0;
}

int nipc__socket_file_set_owner(int dir_fd, const char *name,
                                const struct nipc_listener_config *config, struct stat *ret_st)
{
        int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), r;
        struct stat st;

        if (fd < 0)
                return -errno;
        r = set_owner(fd, config, &st);
        close(fd);
        if (r == 0)
                *ret_st = st;
        return r;
}
