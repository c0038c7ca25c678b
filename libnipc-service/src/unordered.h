/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Requests of one session that are handled side by side, and answered in whatever order they are
 * finished (nipc_server_config.max_concurrent_requests). A request becomes a task, which has a copy
 * of it and room for the response; threads of their own, the handlers, take tasks in the order in
 * which they came. The worker that owns the session sends what they made: a session is used by one
 * thread, with or without all this.
 *
 * A task is its worker's until it is posted, then the handlers' and, once it is finished, its
 * worker's again. Between the two it changes hands under nipc__tasks.lock when a handler takes it,
 * and under nipc__worker.mail_lock when it comes back: each sees all that the other did before.
 * A connection that ends takes back what nobody has taken yet; the rest comes back to nobody.
 */

#include <nipc/header.h>
#include <nipc/server.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

struct nipc_message;
struct nipc_server_config;
struct nipc__conn;
struct nipc__worker;

struct nipc__task {
        struct nipc__list link;      /* in nipc__tasks.open, then in its worker's `finished`; or in
                                        the connection's `done` */
        struct nipc__list conn_link; /* in the connection's `tasks`; touched by the worker only */
        struct nipc__worker *worker;
        struct nipc__conn *conn; /* NULL: it has ended. Touched by the worker only */
        bool is_taken;           /* by a handler; under nipc__tasks.lock */
        bool is_back;            /* and waits to be sent; the worker's */
        bool is_timed;
        uint64_t woken_ns, start_ns, end_ns;
        struct nipc_header header; /* of the request */
        struct nipc_request request;
        int result; /* as of a handler */
        size_t response_size;
        size_t response_capacity;
        uint8_t *response; /* in this same piece of memory, like the request's payload */
};

/* What a server has of it. Embedded; all zero: nothing is concurrent. */
struct nipc__tasks {
        uint32_t max_per_session; /* 0: no tasks at all */
        pthread_mutex_t lock;
        pthread_cond_t posted; /* to `open`; or the server's flags have changed */
        struct nipc__list open;
        pthread_t *threads;
        uint32_t n_threads; /* that run */
        bool is_quitting;
};

/* Memory that one session's tasks may take at most; 0 without tasks. */
uint64_t nipc__tasks_bytes(const struct nipc_server_config *config);

/* config: defaults filled in. Returns 0 or -ENOMEM. deinit: no thread may run. */
int nipc__tasks_init(struct nipc__tasks *tasks, const struct nipc_server_config *config);
void nipc__tasks_deinit(struct nipc__tasks *tasks);

/* Starts the n_threads-th handler with signals as they are. Returns 0 or a negative errno. */
int nipc__tasks_start_thread(struct nipc_server *server);

/* The server's flags have changed. */
void nipc__tasks_wake(struct nipc__tasks *tasks);

/* Ends and joins all handlers; what was not taken yet stays. */
void nipc__tasks_quit(struct nipc__tasks *tasks);

/*
 * Copies a request of our method. Returns NULL when there is no memory.
 */
struct nipc__task *nipc__task_new(struct nipc__worker *worker, struct nipc__conn *conn,
                                  const struct nipc_message *message);

/* Gives it to the handlers. */
void nipc__task_post(struct nipc__task *task);

/* Takes it off its connection, and frees it. */
void nipc__task_free(struct nipc__task *task);

/* The connection ends: its tasks are freed, now or when they come back. */
void nipc__tasks_forget(struct nipc__conn *conn);
