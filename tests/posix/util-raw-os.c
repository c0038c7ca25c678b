/* SPDX-License-Identifier: MIT */

/* The part of util-raw.h that is sockets. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>

/* socket(2) and bind(2) or connect(2) to the path of a service. */
static int open_socket(const char *service, int type,
                       int (*attach)(int, const struct sockaddr *, socklen_t))
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, n, r;

        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", util_dir(), service);
        if (n < 0 || (size_t)n >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (attach(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        r = -errno;
        close(fd);
        return r;
}

int raw_bind(const char *service, int type)
{
        return open_socket(service, type, bind);
}

int raw_listen(const char *service, int type, int backlog)
{
        int fd = raw_bind(service, type), r;

        if (fd < 0 || listen(fd, backlog) == 0)
                return fd;
        r = -errno;
        close(fd);
        return r;
}

int raw_connect(const char *service, int type)
{
        return open_socket(service, type, connect);
}

int raw_accept(int listen_fd)
{
        int fd;

        util_waiting_for("a client to connect");
        do
                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : fd;
}

size_t raw_fill_backlog(const char *service, int *ret_fds, size_t max_fds)
{
        size_t n = 0;

        while (n < max_fds) {
                int fd = raw_connect(service, SOCK_SEQPACKET | SOCK_NONBLOCK);

                if (fd < 0)
                        break;
                ret_fds[n++] = fd;
        }
        return n;
}

void raw_hang_up(int fd)
{
        close(fd);
}

bool raw_send(int fd, const void *packet, size_t size)
{
        ssize_t n;

        util_waiting_for("a peer to read");
        do
                n = send(fd, packet, size, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)size;
}

ssize_t raw_receive(int fd, void *buf, size_t size)
{
        ssize_t n;

        util_waiting_for("a peer to say something");
        do
                n = recv(fd, buf, size, MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

bool raw_is_readable(int fd)
{
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        return poll(&pollfd, 1, 0) == 1;
}

bool raw_is_closed(int fd)
{
        char byte;
        ssize_t n = raw_receive(fd, &byte, 1);

        /* What we said and was not read is a reset first. */
        if (n == -ECONNRESET)
                n = raw_receive(fd, &byte, 1);
        return n == 0;
}

void raw_unlisten(int fd)
{
        struct sockaddr_un address;
        socklen_t size = sizeof(address);

        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
                unlink(address.sun_path);
        close(fd);
}
