/* SPDX-License-Identifier: MIT */

/*
 * A listening socket that somebody else has bound: a service manager, or the process that served
 * the endpoint before. It is believed nothing that the kernel does not say.
 *
 * From a predecessor the lock comes with it: an open file description that holds the lock of the
 * endpoint, so that it is never free in between. The file then is ours to remove at the end. What a
 * service manager has bound is its own.
 */

#include "uds-inherit.h"
#include "endpoint-private.h"
#include "listener-private.h"
#include "stdaux.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool has_option(int fd, int option, int value)
{
        int found = -1;
        socklen_t size = sizeof(found);

        return getsockopt(fd, SOL_SOCKET, option, &found, &size) == 0 && found == value;
}

/* The path that a socket is bound to, with its NUL; or an empty one. */
static int bound_path(int fd, char *path, size_t path_size)
{
        struct sockaddr_un address = {0};
        socklen_t size = sizeof(address);
        size_t len;

        if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return -errno;
        if (address.sun_family != AF_UNIX || size <= offsetof(struct sockaddr_un, sun_path) ||
            size > sizeof(address))
                return -EINVAL;
        len = strnlen(address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
        if (!len || len >= path_size)
                return -EINVAL;
        memcpy(path, address.sun_path, len);
        path[len] = 0;
        return 0;
}

/*
 * The directory may have several names: what counts is that the socket's leads to the file that
 * clients of ours will find.
 */
static int check_path(const struct nipc__listener_os *os, struct stat *ret_st)
{
        char name[NIPC_ENDPOINT_PATH_MAX], path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
        struct stat bound;
        int r;

        r = bound_path(os->fd, path, sizeof(path));
        if (r == 0)
                r = nipc__endpoint_file_name(os->service, NIPC__SOCKET_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        if (fstatat(os->dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISSOCK(ret_st->st_mode) || lstat(path, &bound) < 0 ||
            bound.st_dev != ret_st->st_dev || bound.st_ino != ret_st->st_ino)
                return -EINVAL;
        return 0;
}

/* Shared with all who have the socket: none of ours waits in accept. */
static int set_nonblocking(int fd)
{
        const int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int nipc__listener_inherit(struct nipc__listener_os *os, bool has_lock)
{
        struct stat st;
        int r;

        if (!has_option(os->fd, SO_TYPE, SOCK_SEQPACKET) || !has_option(os->fd, SO_ACCEPTCONN, 1))
                return -EINVAL;
        r = check_path(os, &st);
        if (r == 0)
                r = set_nonblocking(os->fd);
        if (r == 0 && has_lock) {
                os->dev = st.st_dev;
                os->ino = st.st_ino;
        }
        return r;
}
