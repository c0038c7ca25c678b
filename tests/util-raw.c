/* SPDX-License-Identifier: MIT */

/* See util-raw.h. */

#include "util-raw.h"
#include "util-env.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- bytes ---------------------------------------------------------------------------------- */

void raw_header(void *buf, uint16_t kind, uint16_t code, uint32_t payload_len, uint32_t item_count,
                uint64_t message_id)
{
        memset(buf, 0, RAW_HEADER_SIZE);
        raw_put32(buf, RAW_MAGIC, 0x4e495043);
        raw_put16(buf, RAW_VERSION, 1);
        raw_put16(buf, RAW_HEADER_LEN, 32);
        raw_put16(buf, RAW_KIND, kind);
        raw_put16(buf, RAW_CODE, code);
        raw_put32(buf, RAW_PAYLOAD_LEN, payload_len);
        raw_put32(buf, RAW_ITEM_COUNT, item_count);
        raw_put64(buf, RAW_MESSAGE_ID, message_id);
}

void raw_chunk(void *buf, uint64_t message_id, uint32_t total, uint32_t index, uint32_t count,
               uint32_t payload_len)
{
        memset(buf, 0, RAW_HEADER_SIZE);
        raw_put32(buf, 0, 0x4e43484b);
        raw_put16(buf, 4, 1);
        raw_put64(buf, 8, message_id);
        raw_put32(buf, 16, total);
        raw_put32(buf, 20, index);
        raw_put32(buf, 24, count);
        raw_put32(buf, 28, payload_len);
}

void raw_hello(void *packet)
{
        memset(packet, 0, RAW_HELLO_SIZE);
        raw_header(packet, 3, 1, 44, 1, 0);
        raw_put16(packet, RAW_HELLO_LAYOUT, 1);
        raw_put32(packet, RAW_HELLO_PROFILES, 1);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST, 1024);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST_ITEMS, 1);
        raw_put32(packet, RAW_HELLO_MAX_RESPONSE, 1024);
        raw_put32(packet, RAW_HELLO_MAX_RESPONSE_ITEMS, 1);
        raw_put32(packet, RAW_HELLO_PACKET_SIZE, 65536);
}

void raw_ack(void *packet)
{
        memset(packet, 0, RAW_ACK_SIZE);
        raw_header(packet, 3, 2, 48, 1, 0);
        raw_put16(packet, RAW_ACK_LAYOUT, 1);
        raw_put32(packet, RAW_ACK_PROFILES, 1);
        raw_put32(packet, RAW_ACK_INTERSECTION, 1);
        raw_put32(packet, RAW_ACK_SELECTED, 1);
        raw_put32(packet, RAW_ACK_MAX_REQUEST, 1024);
        raw_put32(packet, RAW_ACK_MAX_REQUEST_ITEMS, 1);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE, 1024);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE_ITEMS, 1);
        raw_put32(packet, RAW_ACK_PACKET_SIZE, 65536);
        raw_put64(packet, RAW_ACK_SESSION_ID, 1);
}

/* ---- sockets -------------------------------------------------------------------------------- */

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

/* ---- a server for one client ---------------------------------------------------------------- */

static void *raw_server_main(void *userdata)
{
        struct raw_server *server = userdata;

        server->fd = raw_accept(server->listen_fd);
        if (server->fd < 0)
                return NULL;
        server->hello_size = raw_receive(server->fd, server->hello, sizeof(server->hello));
        if (server->answer) {
                raw_send(server->fd, server->answer, server->answer_size);
        } else if (!server->silent) {
                close(server->fd);
                server->fd = -1;
        }
        return NULL;
}

static bool server_start(struct raw_server *server, const char *service)
{
        server->fd = -1;
        server->listen_fd = raw_listen(service, SOCK_SEQPACKET, 16);
        if (server->listen_fd < 0)
                return false;
        return pthread_create(&server->thread, NULL, raw_server_main, server) == 0;
}

bool raw_server_start(struct raw_server *server, const char *service, const void *answer,
                      size_t answer_size)
{
        *server = (struct raw_server){.answer = answer, .answer_size = answer_size};
        return server_start(server, service);
}

bool raw_server_start_silent(struct raw_server *server, const char *service)
{
        *server = (struct raw_server){.silent = true};
        return server_start(server, service);
}

int raw_server_join(struct raw_server *server)
{
        struct sockaddr_un address;
        socklen_t size = sizeof(address);

        util_waiting_for("the raw server");
        pthread_join(server->thread, NULL);
        if (getsockname(server->listen_fd, (struct sockaddr *)&address, &size) == 0)
                unlink(address.sun_path);
        close(server->listen_fd);
        return server->fd;
}
