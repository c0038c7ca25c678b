/* SPDX-License-Identifier: MIT */

/*
 * The bare exchange that many clients of the baseline and of the ring are held against: an epoll
 * loop on each side, SOCK_SEQPACKET, the same 40 bytes, a number incremented in place, nothing
 * else. bare-epoll has one thread that serves, as the nipc servers here have; bare-epoll-mt has
 * one for each CPU, the clients dealt out among them.
 */

#include "subject.h"

#include <errno.h>
#include <nipc/clock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER_SIZE  32u
#define MESSAGE_SIZE (HEADER_SIZE + 8u)
#define SOCKET_NAME  "bare-epoll.sock"
#define N_EVENTS     64
#define MAX_THREADS  64
#define TIMEOUT_MS   30000

struct member {
        int fd;
        uint64_t value;
        uint64_t sent_ns;
};

struct subject_client {
        int epoll_fd;
        struct member *members;
        uint32_t n_members;
        unsigned char message[MESSAGE_SIZE];
};

static int make_address(const char *run_dir, struct sockaddr_un *ret_address)
{
        int n;

        *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
        n = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/" SOCKET_NAME,
                     run_dir);
        return n < 0 || (size_t)n >= sizeof(ret_address->sun_path) ? -ENAMETOOLONG : 0;
}

static int watch(int epoll_fd, int fd, void *ptr)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* ---- the server ----------------------------------------------------------------------------- */

static struct subject_count *served; /* of this process, by all its threads; may be NULL */

/* Sockets are told apart by their descriptor, in the place of a pointer; the listener is NULL. */
static void *fd_to_ptr(int fd)
{
        return (void *)(intptr_t)fd;
}

static void answer(int fd)
{
        unsigned char message[MESSAGE_SIZE];
        uint64_t value;

        if (recv(fd, message, sizeof(message), 0) != (ssize_t)sizeof(message)) {
                close(fd);
                return;
        }
        memcpy(&value, message + HEADER_SIZE, sizeof(value));
        value++;
        memcpy(message + HEADER_SIZE, &value, sizeof(value));
        if (served)
                atomic_fetch_add_explicit(&served->n, 1, memory_order_relaxed);
        if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != (ssize_t)sizeof(message))
                close(fd);
}

/* epoll_fds: where clients go, in turn; NULL: this thread accepts nobody. */
static int loop(int epoll_fd, int listen_fd, const int *epoll_fds, unsigned n_loops)
{
        struct epoll_event events[N_EVENTS];
        unsigned next = 0;

        for (;;) {
                int n = epoll_wait(epoll_fd, events, N_EVENTS, -1);

                if (n < 0)
                        return -errno;
                for (int i = 0; i < n; i++) {
                        int fd = (int)(intptr_t)events[i].data.ptr;

                        if (fd) {
                                answer(fd);
                                continue;
                        }
                        fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
                        if (fd < 0 || watch(epoll_fds[next++ % n_loops], fd, fd_to_ptr(fd)) < 0)
                                return -1;
                }
        }
}

static void *loop_main(void *userdata)
{
        loop((int)(intptr_t)userdata, -1, NULL, 0);
        return NULL;
}

static int serve_with(const struct subject_options *options, int ready_fd, unsigned n_threads)
{
        struct sockaddr_un address;
        int epoll_fds[MAX_THREADS];
        pthread_t thread;
        int fd;

        served = options->served;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || make_address(options->run_dir, &address) < 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
                return -1;
        for (unsigned i = 0; i < n_threads; i++) {
                epoll_fds[i] = epoll_create1(EPOLL_CLOEXEC);
                if (epoll_fds[i] < 0)
                        return -1;
                if (i > 0 && pthread_create(&thread, NULL, loop_main, fd_to_ptr(epoll_fds[i])) != 0)
                        return -1;
        }
        if (watch(epoll_fds[0], fd, NULL) < 0 || write(ready_fd, "", 1) != 1)
                return -1;
        return loop(epoll_fds[0], fd, epoll_fds, n_threads);
}

static int bare_serve(const struct subject_options *options, int ready_fd)
{
        return serve_with(options, ready_fd, 1);
}

static int bare_serve_mt(const struct subject_options *options, int ready_fd)
{
        int n = get_nprocs();

        return serve_with(options, ready_fd, n < MAX_THREADS ? (unsigned)n : MAX_THREADS);
}

/* ---- the clients ---------------------------------------------------------------------------- */

static void bare_close(struct subject_client *client)
{
        if (!client)
                return;
        for (uint32_t i = 0; i < client->n_members; i++)
                close(client->members[i].fd);
        if (client->epoll_fd >= 0)
                close(client->epoll_fd);
        free(client->members);
        free(client);
}

static int open_member(struct subject_client *client, const struct sockaddr_un *address)
{
        struct member *member = &client->members[client->n_members];

        member->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (member->fd < 0)
                return -errno;
        client->n_members++;
        if (connect(member->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
                return -errno;
        return watch(client->epoll_fd, member->fd, member);
}

static int bare_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = calloc(1, sizeof(*client));
        struct sockaddr_un address;
        int r;

        if (!client)
                return -ENOMEM;
        client->members = calloc(options->n_clients, sizeof(*client->members));
        client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = client->members && client->epoll_fd >= 0 ? make_address(options->run_dir, &address)
                                                     : -ENOMEM;
        while (r == 0 && client->n_members < options->n_clients)
                r = open_member(client, &address);
        if (r < 0) {
                bare_close(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

static int ask(struct subject_client *client, struct member *member, uint64_t now_ns)
{
        ssize_t n;

        member->value++;
        member->sent_ns = now_ns;
        memcpy(client->message + HEADER_SIZE, &member->value, sizeof(member->value));
        n = send(member->fd, client->message, MESSAGE_SIZE, MSG_NOSIGNAL);
        return n == (ssize_t)MESSAGE_SIZE ? 0 : -errno;
}

static int take(const struct member *member)
{
        unsigned char message[MESSAGE_SIZE];
        uint64_t value;
        ssize_t n;

        n = recv(member->fd, message, sizeof(message), 0);
        if (n <= 0)
                return n ? -errno : -ECONNRESET;
        memcpy(&value, message + HEADER_SIZE, sizeof(value));
        return n == (ssize_t)MESSAGE_SIZE && value == member->value + 1 ? 0 : -EBADMSG;
}

/* Returns whether it goes on asking, or a negative errno. */
static int go_on(struct subject_client *client, struct member *member, uint64_t end_ns,
                 struct histogram *latency)
{
        uint64_t now_ns;
        int r = take(member);

        if (r < 0)
                return r;
        now_ns = nipc_clock_now_ns();
        histogram_record(latency, now_ns - member->sent_ns);
        if (now_ns >= end_ns)
                return 0;
        r = ask(client, member, now_ns);
        return r < 0 ? r : 1;
}

static int bare_crowd(struct subject_client *client, uint64_t end_ns, struct histogram *latency)
{
        struct epoll_event events[N_EVENTS];
        uint32_t n_in_flight = 0;
        int n, r;

        for (; n_in_flight < client->n_members; n_in_flight++) {
                r = ask(client, &client->members[n_in_flight], nipc_clock_now_ns());
                if (r < 0)
                        return r;
        }
        while (n_in_flight) {
                n = epoll_wait(client->epoll_fd, events, N_EVENTS, TIMEOUT_MS);
                if (n <= 0)
                        return n < 0 ? -errno : -ETIMEDOUT;
                for (int i = 0; i < n; i++) {
                        r = go_on(client, events[i].data.ptr, end_ns, latency);
                        if (r < 0)
                                return r;
                        n_in_flight -= r == 0;
                }
        }
        return 0;
}

/* As much as the server takes; nothing else is known here. */
static int bare_trouble(const struct subject_options *options)
{
        struct subject_options one = *options;
        struct subject_client *client;
        int r;

        if (options->trouble == SUBJECT_TROUBLE_CROWD)
                return -ENOTSUP;
        one.n_clients = 1;
        r = bare_open(&one, &client);
        while (r == 0) {
                const int fd = client->members[0].fd;
                unsigned n = 0;

                while (send(fd, client->message, MESSAGE_SIZE, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                        n++;
                while (n-- > 0 && recv(fd, client->message, MESSAGE_SIZE, 0) > 0)
                        continue;
        }
        return r;
}

const struct subject subject_bare_epoll = {
        .name = "bare-epoll",
        .by_default = true,
        .serve = bare_serve,
        .open = bare_open,
        .close = bare_close,
        .crowd = bare_crowd,
        .trouble = bare_trouble,
};

const struct subject subject_bare_epoll_mt = {
        .name = "bare-epoll-mt",
        .by_default = true,
        .serve = bare_serve_mt,
        .open = bare_open,
        .close = bare_close,
        .crowd = bare_crowd,
};
