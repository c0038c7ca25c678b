/* SPDX-License-Identifier: MIT */

/*
 * The bare exchange that the baseline is held against: blocking send and recv on a SOCK_SEQPACKET
 * socket, the same message sizes, a number incremented in place, nothing else. No deadline, no
 * cancellation, no checks but that the answer is right.
 */

#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER_SIZE 32u
#define SOCKET_NAME "bare-seqpacket.sock"

struct subject_client {
        int fd;
        uint32_t batch_items;
        size_t batch_size; /* of a batch message: header, then 16 bytes an item */
        unsigned char *buf;
};

static int make_address(const char *run_dir, struct sockaddr_un *ret_address)
{
        int n;

        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        n = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/" SOCKET_NAME,
                     run_dir);
        return n < 0 || (size_t)n >= sizeof(ret_address->sun_path) ? -ENAMETOOLONG : 0;
}

static size_t batch_size(const struct subject_options *options)
{
        return HEADER_SIZE + (size_t)options->items * 16;
}

/* Adds one to the number behind the header, or to every number of a batch. Returns how many. */
static uint64_t increment_all(unsigned char *buf, size_t size)
{
        size_t offset = HEADER_SIZE, step = 8;
        uint64_t value, n = 0;

        if (size > HEADER_SIZE + 8) {
                offset = HEADER_SIZE + (size - HEADER_SIZE) / 2; /* behind the directory's bytes */
                step = 8;
        }
        for (; offset + 8 <= size; offset += step, n++) {
                memcpy(&value, buf + offset, sizeof(value));
                value++;
                memcpy(buf + offset, &value, sizeof(value));
        }
        return n;
}

/* One client after the other: each subject has one. */
static int bare_serve(const struct subject_options *options, int ready_fd)
{
        size_t size = batch_size(options) + 64;
        unsigned char *buf = malloc(size);
        struct sockaddr_un address;
        int fd, client;
        ssize_t n;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (!buf || fd < 0 || make_address(options->run_dir, &address) < 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0 ||
            write(ready_fd, "", 1) != 1)
                return -1;
        for (;;) {
                client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (client < 0)
                        return -1;
                while ((n = recv(client, buf, size, 0)) > 0) {
                        subject_count(options->served, increment_all(buf, (size_t)n));
                        if (send(client, buf, (size_t)n, MSG_NOSIGNAL) != n)
                                break;
                }
                close(client);
        }
}

static void bare_close(struct subject_client *client)
{
        if (!client)
                return;
        if (client->fd >= 0)
                close(client->fd);
        free(client->buf);
        free(client);
}

static int bare_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = calloc(1, sizeof(*client));
        struct sockaddr_un address;
        int r;

        if (!client)
                return -ENOMEM;
        client->batch_items = options->items;
        client->batch_size = batch_size(options);
        client->buf = calloc(1, client->batch_size + 64);
        client->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        r = client->buf && client->fd >= 0 ? make_address(options->run_dir, &address) : -ENOMEM;
        if (r == 0 && connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                r = -errno;
        if (r < 0) {
                bare_close(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

static int bare_send(struct subject_client *client, uint64_t value)
{
        memcpy(client->buf + HEADER_SIZE, &value, sizeof(value));
        if (send(client->fd, client->buf, HEADER_SIZE + 8, MSG_NOSIGNAL) != HEADER_SIZE + 8)
                return -errno;
        return 0;
}

static int bare_receive(struct subject_client *client, uint64_t value)
{
        uint64_t answer;
        ssize_t n;

        n = recv(client->fd, client->buf, HEADER_SIZE + 8, 0);
        if (n <= 0)
                return n ? -errno : -ECONNRESET;
        memcpy(&answer, client->buf + HEADER_SIZE, sizeof(answer));
        return n == HEADER_SIZE + 8 && answer == value + 1 ? 0 : -EBADMSG;
}

static int bare_ping(struct subject_client *client, uint64_t value)
{
        int r = bare_send(client, value);

        return r < 0 ? r : bare_receive(client, value);
}

static unsigned char *batch_numbers(const struct subject_client *client)
{
        return client->buf + HEADER_SIZE + (size_t)client->batch_items * 8;
}

static int bare_send_batch(struct subject_client *client, uint64_t value)
{
        unsigned char *numbers = batch_numbers(client);
        uint64_t number;

        for (uint32_t i = 0; i < client->batch_items; i++) {
                number = value + i;
                memcpy(numbers + (size_t)i * 8, &number, sizeof(number));
        }
        if (send(client->fd, client->buf, client->batch_size, MSG_NOSIGNAL) !=
            (ssize_t)client->batch_size)
                return -errno;
        return 0;
}

static int bare_receive_batch(struct subject_client *client, uint64_t value)
{
        const unsigned char *numbers = batch_numbers(client);
        uint64_t number;
        ssize_t n;

        n = recv(client->fd, client->buf, client->batch_size, 0);
        if (n != (ssize_t)client->batch_size)
                return n < 0 ? -errno : -ECONNRESET;
        for (uint32_t i = 0; i < client->batch_items; i++) {
                memcpy(&number, numbers + (size_t)i * 8, sizeof(number));
                if (number != value + i + 1)
                        return -EBADMSG;
        }
        return 0;
}

static int bare_batch(struct subject_client *client, uint64_t value)
{
        int r = bare_send_batch(client, value);

        return r < 0 ? r : bare_receive_batch(client, value);
}

const struct subject subject_bare_seqpacket = {
        .name = "bare-seqpacket",
        .by_default = true,
        .serve = bare_serve,
        .open = bare_open,
        .close = bare_close,
        .ping = bare_ping,
        .send = bare_send,
        .receive = bare_receive,
        .batch = bare_batch,
        .send_batch = bare_send_batch,
        .receive_batch = bare_receive_batch,
};
