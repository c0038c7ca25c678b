/* SPDX-License-Identifier: MIT */

/*
 * The bare exchange over what has no messages: a SOCK_STREAM socket, or two pipes. Each end takes
 * as many of the 40-byte messages as a read brings and answers them with one write, as such servers
 * do; one at a time that is one of each.
 */

#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER_SIZE  32u
#define MESSAGE_SIZE (HEADER_SIZE + 8u)
#define BUFFER_SIZE  (256u * MESSAGE_SIZE) /* of the deepest pipeline */
#define SOCKET_NAME  "bare-stream.sock"
#define REQUESTS     "bare-pipe.requests"
#define RESPONSES    "bare-pipe.responses"

struct subject_client {
        int in, out; /* the same socket, or a pipe each */
        size_t start, end;
        unsigned char buf[BUFFER_SIZE];
};

static int make_path(const char *run_dir, const char *name, char *buf, size_t size)
{
        int n = snprintf(buf, size, "%s/%s", run_dir, name);

        return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int make_address(const char *run_dir, struct sockaddr_un *ret_address)
{
        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        return make_path(run_dir, SOCKET_NAME, ret_address->sun_path,
                         sizeof(ret_address->sun_path));
}

static int write_all(int fd, const unsigned char *buf, size_t size)
{
        ssize_t n;

        for (size_t at = 0; at < size; at += (size_t)n) {
                n = write(fd, buf + at, size - at);
                if (n <= 0)
                        return n ? -errno : -EIO;
        }
        return 0;
}

/* ---- the server ----------------------------------------------------------------------------- */

static int serve_fds(const struct subject_options *options, int in, int out)
{
        static unsigned char buf[BUFFER_SIZE];
        size_t end = 0, whole;
        uint64_t value;
        ssize_t n;

        while ((n = read(in, buf + end, sizeof(buf) - end)) > 0) {
                end += (size_t)n;
                whole = end - end % MESSAGE_SIZE;
                for (size_t at = HEADER_SIZE; at < whole; at += MESSAGE_SIZE) {
                        memcpy(&value, buf + at, sizeof(value));
                        value++;
                        memcpy(buf + at, &value, sizeof(value));
                }
                subject_count(options->served, whole / MESSAGE_SIZE);
                if (write_all(out, buf, whole) < 0)
                        return -1;
                memmove(buf, buf + whole, end - whole);
                end -= whole;
        }
        return -1;
}

static int stream_serve(const struct subject_options *options, int ready_fd)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
        struct sockaddr_un address;

        if (fd < 0 || make_address(options->run_dir, &address) < 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0 ||
            write(ready_fd, "", 1) != 1)
                return -1;
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        return client < 0 ? -1 : serve_fds(options, client, client);
}

static int pipe_serve(const struct subject_options *options, int ready_fd)
{
        char requests[256], responses[256];
        int in, out;

        if (make_path(options->run_dir, REQUESTS, requests, sizeof(requests)) < 0 ||
            make_path(options->run_dir, RESPONSES, responses, sizeof(responses)) < 0 ||
            mkfifo(requests, 0600) < 0 || mkfifo(responses, 0600) < 0 ||
            write(ready_fd, "", 1) != 1)
                return -1;
        in = open(requests, O_RDONLY | O_CLOEXEC); /* each open waits for the other end's */
        out = open(responses, O_WRONLY | O_CLOEXEC);
        return in < 0 || out < 0 ? -1 : serve_fds(options, in, out);
}

/* ---- the client ----------------------------------------------------------------------------- */

static void bytes_close(struct subject_client *client)
{
        if (!client)
                return;
        if (client->out >= 0 && client->out != client->in)
                close(client->out);
        if (client->in >= 0)
                close(client->in);
        free(client);
}

static int stream_connect(const struct subject_options *options, struct subject_client *client)
{
        struct sockaddr_un address;
        int r = make_address(options->run_dir, &address);

        if (r < 0)
                return r;
        client->in = client->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return client->in < 0 || connect(client->in, (const struct sockaddr *)&address,
                                         sizeof(address)) < 0
                       ? -errno
                       : 0;
}

static int pipe_connect(const struct subject_options *options, struct subject_client *client)
{
        char requests[256], responses[256];

        if (make_path(options->run_dir, REQUESTS, requests, sizeof(requests)) < 0 ||
            make_path(options->run_dir, RESPONSES, responses, sizeof(responses)) < 0)
                return -ENAMETOOLONG;
        client->out = open(requests, O_WRONLY | O_CLOEXEC);
        client->in = open(responses, O_RDONLY | O_CLOEXEC);
        return client->out < 0 || client->in < 0 ? -errno : 0;
}

static int bytes_open(const struct subject_options *options,
                      int (*make)(const struct subject_options *, struct subject_client *),
                      struct subject_client **ret_client)
{
        struct subject_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        client->in = client->out = -1;
        r = make(options, client);
        if (r < 0) {
                bytes_close(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

static int stream_open(const struct subject_options *options, struct subject_client **ret_client)
{
        return bytes_open(options, stream_connect, ret_client);
}

static int pipe_open(const struct subject_options *options, struct subject_client **ret_client)
{
        return bytes_open(options, pipe_connect, ret_client);
}

static int bytes_send(struct subject_client *client, uint64_t value)
{
        unsigned char message[MESSAGE_SIZE] = {0};

        memcpy(message + HEADER_SIZE, &value, sizeof(value));
        return write_all(client->out, message, sizeof(message));
}

static int bytes_receive(struct subject_client *client, uint64_t value)
{
        uint64_t answer;
        ssize_t n;

        while (client->end - client->start < MESSAGE_SIZE) {
                memmove(client->buf, client->buf + client->start, client->end - client->start);
                client->end -= client->start;
                client->start = 0;
                n = read(client->in, client->buf + client->end, BUFFER_SIZE - client->end);
                if (n <= 0)
                        return n ? -errno : -ECONNRESET;
                client->end += (size_t)n;
        }
        memcpy(&answer, client->buf + client->start + HEADER_SIZE, sizeof(answer));
        client->start += MESSAGE_SIZE;
        return answer == value + 1 ? 0 : -EBADMSG;
}

static int bytes_ping(struct subject_client *client, uint64_t value)
{
        int r = bytes_send(client, value);

        return r < 0 ? r : bytes_receive(client, value);
}

const struct subject subject_bare_stream = {
        .name = "bare-stream",
        .serve = stream_serve,
        .open = stream_open,
        .close = bytes_close,
        .ping = bytes_ping,
        .send = bytes_send,
        .receive = bytes_receive,
};

const struct subject subject_bare_pipe = {
        .name = "bare-pipe",
        .serve = pipe_serve,
        .open = pipe_open,
        .close = bytes_close,
        .ping = bytes_ping,
        .send = bytes_send,
        .receive = bytes_receive,
};
