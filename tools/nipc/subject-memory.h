/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the bare subjects over shared memory have in common: all but how an end waits for the other
 * and wakes it, struct memory_kind, which each of their files says and is compiled for.
 *
 * One anonymous mapping, made before the fork. Each direction has cells of one cache line that hold
 * a message and the number that says which, so that a small message costs one line each way:
 *
 *      cell i % n_cells of requests:   [ number i + 1 | is_waiting | 40 bytes ]
 *      cell i % n_cells of responses:  the same
 *
 * There is one cell, or for a pipeline as many as its depth, to a power of two: a cell is written
 * again only after the answer to what it held was received, so nobody has to ask whether it is
 * free. Batches and large payloads lie in an area per cell, built and read in place; a message
 * says when they are complete. So do snapshots: copied there from where they were built once, and
 * copied out once, since a snapshot that stays is not read where its producer can write.
 *
 * No deadline, no cancellation, no limits: what nipc adds is what it is compared for.
 */

#include "subject-items.h"
#include "subject-large.h"
#include "subject.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define MEMORY_HEADER_SIZE  32u
#define MEMORY_MESSAGE_SIZE (MEMORY_HEADER_SIZE + 8u)

struct memory_cell {
        _Alignas(64) atomic_uint number;
        atomic_uint is_waiting;
        uint8_t message[MEMORY_MESSAGE_SIZE];
};

_Static_assert(sizeof(struct memory_cell) == 64, "a cell is a line");

/* The mapping, as one end sees it. */
struct subject_client {
        const struct subject_options *options;
        atomic_int *server_pid;
        struct memory_cell *requests;
        struct memory_cell *responses;
        uint32_t mask; /* cells - 1 */
        uint8_t *request_area;
        uint8_t *response_area;
        size_t area_size;    /* of one of them, an area for each cell */
        uint8_t *payload;    /* of large and of snapshot, an end's own */
        size_t payload_size; /* of snapshot, the server's */
        uint32_t n_sent;
        uint32_t n_received;
};

struct memory_kind {
        /*
         * Returns 0 once cell->number is `number`, what was written before being visible; or
         * -ECONNRESET when process `peer` (0: not asked) is gone.
         */
        int (*wait)(struct memory_cell *cell, uint32_t number, pid_t peer);
        /* Sets cell->number, and wakes who waits for it. */
        void (*publish)(struct memory_cell *cell, uint32_t number);
};

/* See struct subject. */
int memory_prepare(struct subject_options *options);
int memory_open(const struct subject_options *options, struct subject_client **ret_client);
void memory_close(struct subject_client *client);

/* In the server: lays out the mapping and says who we are. Returns 0 or a negative errno. */
int memory_begin(const struct subject_options *options, int ready_fd,
                 struct subject_client *ret_server);

/* In the server: what snapshots are copied from. Returns 0 or a negative errno. */
int memory_make_snapshot(struct subject_client *server);

/* Whether a child of ours has ended. It is left to be reaped. */
bool memory_is_gone(pid_t child);

/* FUTEX_WAIT, for a second at most if there is a peer to look after, and FUTEX_WAKE of one. */
int memory_futex_wait(struct memory_cell *cell, uint32_t seen, pid_t peer);
void memory_futex_wake(struct memory_cell *cell);

static inline void memory_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield" ::: "memory");
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Everything below is compiled into each kind's file, its two calls with it. */
#define MEMORY_INLINE static inline __attribute__((always_inline))

/* ---- the server ----------------------------------------------------------------------------- */

MEMORY_INLINE void memory_answer_batch(struct subject_client *server, size_t at)
{
        size_t n = server->options->items, front = MEMORY_HEADER_SIZE + n * 8;
        const uint64_t *numbers = (const void *)(server->request_area + at + front);
        uint64_t *answers = (void *)(server->response_area + at + front);

        memcpy(server->response_area + at, server->request_area + at, front);
        for (size_t i = 0; i < n; i++)
                answers[i] = numbers[i] + 1;
}

MEMORY_INLINE void memory_answer_snapshot(struct subject_client *server)
{
        uint64_t size = server->payload_size;

        memcpy(server->response_area, &size, sizeof(size));
        memcpy(server->response_area + MEMORY_HEADER_SIZE, server->payload, server->payload_size);
}

MEMORY_INLINE int memory_serve(const struct memory_kind *kind,
                               const struct subject_options *options, int ready_fd)
{
        struct subject_client server = {0};
        uint8_t message[MEMORY_MESSAGE_SIZE];
        const bool is_batch =
                options->scenario == SUBJECT_BATCH || options->scenario == SUBJECT_PIPELINE_BATCH;
        const uint64_t n_numbers = is_batch ? options->items : 1;
        struct memory_cell *request, *response;
        uint64_t value;
        int r = memory_begin(options, ready_fd, &server);

        if (r == 0 && options->scenario == SUBJECT_SNAPSHOT)
                r = memory_make_snapshot(&server);
        for (uint32_t i = 0; r == 0; i++) {
                request = &server.requests[i & server.mask];
                response = &server.responses[i & server.mask];
                r = kind->wait(request, i + 1, 0);
                memcpy(message, request->message, sizeof(message));
                if (is_batch)
                        memory_answer_batch(&server, (i & server.mask) * server.area_size);
                else if (options->scenario == SUBJECT_LARGE)
                        memcpy(server.response_area, server.request_area, options->bytes);
                else if (options->scenario == SUBJECT_SNAPSHOT)
                        memory_answer_snapshot(&server);
                memcpy(&value, message + MEMORY_HEADER_SIZE, sizeof(value));
                value++;
                memcpy(message + MEMORY_HEADER_SIZE, &value, sizeof(value));
                memcpy(response->message, message, sizeof(message));
                subject_count(options->served, n_numbers);
                kind->publish(response, i + 1);
        }
        return r;
}

/* ---- the client ----------------------------------------------------------------------------- */

MEMORY_INLINE int memory_send(const struct memory_kind *kind, struct subject_client *client,
                              uint64_t value)
{
        struct memory_cell *cell = &client->requests[client->n_sent & client->mask];
        uint8_t message[MEMORY_MESSAGE_SIZE] = {0};

        memcpy(message + MEMORY_HEADER_SIZE, &value, sizeof(value));
        memcpy(cell->message, message, sizeof(message));
        kind->publish(cell, ++client->n_sent);
        return 0;
}

MEMORY_INLINE int memory_receive(const struct memory_kind *kind, struct subject_client *client,
                                 uint64_t value)
{
        struct memory_cell *cell = &client->responses[client->n_received & client->mask];
        uint8_t message[MEMORY_MESSAGE_SIZE];
        uint64_t answer;
        int r;

        r = kind->wait(cell, ++client->n_received,
                       atomic_load_explicit(client->server_pid, memory_order_relaxed));
        if (r < 0)
                return r;
        memcpy(message, cell->message, sizeof(message));
        memcpy(&answer, message + MEMORY_HEADER_SIZE, sizeof(answer));
        return answer == value + 1 ? 0 : -EBADMSG;
}

MEMORY_INLINE int memory_ping(const struct memory_kind *kind, struct subject_client *client,
                              uint64_t value)
{
        memory_send(kind, client, value);
        return memory_receive(kind, client, value);
}

MEMORY_INLINE int memory_send_batch(const struct memory_kind *kind, struct subject_client *client,
                                    uint64_t value)
{
        size_t n = client->options->items, front = MEMORY_HEADER_SIZE + n * 8;
        size_t at = (client->n_sent & client->mask) * client->area_size;
        uint64_t *numbers = (void *)(client->request_area + at + front);

        for (size_t i = 0; i < n; i++)
                numbers[i] = value + i;
        return memory_send(kind, client, value);
}

MEMORY_INLINE int memory_receive_batch(const struct memory_kind *kind,
                                       struct subject_client *client, uint64_t value)
{
        size_t n = client->options->items, front = MEMORY_HEADER_SIZE + n * 8;
        size_t at = (client->n_received & client->mask) * client->area_size;
        const uint64_t *answers = (const void *)(client->response_area + at + front);
        int r = memory_receive(kind, client, value);

        for (size_t i = 0; r == 0 && i < n; i++)
                if (answers[i] != value + i + 1)
                        r = -EBADMSG;
        return r;
}

MEMORY_INLINE int memory_batch(const struct memory_kind *kind, struct subject_client *client,
                               uint64_t value)
{
        int r = memory_send_batch(kind, client, value);

        return r < 0 ? r : memory_receive_batch(kind, client, value);
}

MEMORY_INLINE int memory_snapshot(const struct memory_kind *kind, struct subject_client *client,
                                  uint64_t value)
{
        struct nipc_cgroups_snapshot_view view;
        uint64_t size;
        int r = memory_ping(kind, client, value);

        if (r < 0)
                return r;
        memcpy(&size, client->response_area, sizeof(size));
        if (size > client->area_size - MEMORY_HEADER_SIZE)
                return -EBADMSG;
        memcpy(client->payload, client->response_area + MEMORY_HEADER_SIZE, size);
        if (nipc_cgroups_snapshot_view_init(&view, client->payload, size, NULL))
                return -EBADMSG;
        return subject_items_check(&view, client->options->items);
}

/* Copied once in each direction, as the client's payload into the area and back by the server. */
MEMORY_INLINE int memory_large(const struct memory_kind *kind, struct subject_client *client,
                               uint64_t value)
{
        size_t size = client->options->bytes;
        int r;

        large_mark(client->payload, size, value);
        memcpy(client->request_area, client->payload, size);
        r = memory_ping(kind, client, value);
        if (r == 0 && !large_is_marked(client->response_area, size, value))
                r = -EBADMSG;
        return r;
}

/* The functions of one kind; MEMORY_SUBJECT then fills in its struct subject. */
/* clang-format off */
#define MEMORY_FUNCTIONS(kind)                                                                  \
        static int serve(const struct subject_options *options, int ready_fd)                   \
        { return memory_serve(&(kind), options, ready_fd); }                                    \
        static int ping(struct subject_client *client, uint64_t value)                          \
        { return memory_ping(&(kind), client, value); }                                         \
        static int send_one(struct subject_client *client, uint64_t value)                      \
        { return memory_send(&(kind), client, value); }                                         \
        static int receive_one(struct subject_client *client, uint64_t value)                   \
        { return memory_receive(&(kind), client, value); }                                      \
        static int batch(struct subject_client *client, uint64_t value)                         \
        { return memory_batch(&(kind), client, value); }                                        \
        static int large(struct subject_client *client, uint64_t value)                         \
        { return memory_large(&(kind), client, value); }                                        \
        static int send_batch(struct subject_client *client, uint64_t value)                    \
        { return memory_send_batch(&(kind), client, value); }                                   \
        static int receive_batch(struct subject_client *client, uint64_t value)                 \
        { return memory_receive_batch(&(kind), client, value); }                                \
        static int snapshot(struct subject_client *client, uint64_t value)                      \
        { return memory_snapshot(&(kind), client, value); }

#define MEMORY_SUBJECT(name_, ...)                                                              \
        {                                                                                       \
                .name = name_, .prepare = memory_prepare, .serve = serve, .open = memory_open,  \
                .close = memory_close, .ping = ping, .send = send_one, .receive = receive_one,  \
                .batch = batch, .send_batch = send_batch, .receive_batch = receive_batch,       \
                .snapshot = snapshot, .large = large, __VA_ARGS__                               \
        }
/* clang-format on */
