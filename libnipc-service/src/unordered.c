/* SPDX-License-Identifier: MIT */

/* Tasks and the threads that run them, see unordered.h. What becomes of them is connection.c's. */

#include "unordered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server-private.h"
#include "stdaux.h"

static uint64_t task_bytes(uint64_t request_bytes, uint64_t response_bytes)
{
        return nipc_align8(sizeof(struct nipc__task)) + nipc_align8(request_bytes) + response_bytes;
}

uint64_t nipc__tasks_bytes(const struct nipc_server_config *config)
{
        /* What malloc adds: a header, or most of a page around large ones. */
        const uint64_t one = task_bytes(config->max_request_bytes, config->max_response_bytes) +
                             (config->max_response_bytes >= 64 * 1024 ? 8192 : 32);

        return config->max_concurrent_requests < 2 ? 0 : one * config->max_concurrent_requests;
}

/* ---- tasks -------------------------------------------------------------------------------- */

struct nipc__task *nipc__task_new(struct nipc__worker *worker, struct nipc__conn *conn,
                                  const struct nipc_message *message)
{
        const size_t payload_at = nipc_align8(sizeof(struct nipc__task));
        const size_t response_at = payload_at + nipc_align8(message->payload_size);
        struct nipc__task *task;
        uint8_t *memory;

        memory = malloc(response_at + conn->max_response_bytes);
        if (!memory)
                return NULL;
        memcpy(memory + payload_at, message->payload, message->payload_size);
        task = (struct nipc__task *)(void *)memory;
        *task = (struct nipc__task){
                .worker = worker,
                .conn = conn,
                .header = message->header,
                .request = conn->request,
                .response = memory + response_at,
                .response_capacity = conn->max_response_bytes,
        };
        task->request.payload = memory + payload_at;
        task->request.payload_size = message->payload_size;
        nipc__list_init(&task->link);
        nipc__list_init(&task->conn_link);
        nipc__list_append(&conn->tasks, &task->conn_link);
        conn->n_tasks++;
        return task;
}

void nipc__task_free(struct nipc__task *task)
{
        if (task->conn)
                task->conn->n_tasks--;
        nipc__list_unlink(&task->conn_link);
        nipc__list_unlink(&task->link);
        free(task);
}

void nipc__task_post(struct nipc__task *task)
{
        struct nipc__tasks *tasks = &task->worker->server->tasks;

        pthread_mutex_lock(&tasks->lock);
        nipc__list_append(&tasks->open, &task->link);
        pthread_cond_signal(&tasks->posted);
        pthread_mutex_unlock(&tasks->lock);
}

void nipc__tasks_forget(struct nipc__conn *conn)
{
        struct nipc__list *link, *tmp;
        struct nipc__tasks *tasks;
        struct nipc__task *task;
        bool is_ours;

        nipc__list_for_each_safe (link, tmp, &conn->tasks) {
                task = NIPC__CONTAINER_OF(link, struct nipc__task, conn_link);
                tasks = &task->worker->server->tasks;
                pthread_mutex_lock(&tasks->lock);
                is_ours = !task->is_taken || task->is_back;
                if (is_ours)
                        nipc__list_unlink(&task->link);
                pthread_mutex_unlock(&tasks->lock);
                nipc__list_unlink(&task->conn_link);
                task->conn = NULL;
                if (is_ours)
                        nipc__task_free(task);
        }
        conn->n_tasks = 0;
}

/* ---- handlers ----------------------------------------------------------------------------- */

static void run(const struct nipc_server *server, struct nipc__task *task)
{
        if (task->is_timed)
                task->start_ns = nipc_clock_now_ns();
        task->result = nipc__handle(&server->handler, &task->request, &task->header, task->response,
                                    task->response_capacity, &task->response_size);
        if (task->is_timed)
                task->end_ns = nipc_clock_now_ns();
}

static void give_back(struct nipc__task *task)
{
        struct nipc__worker *worker = task->worker;
        bool was_empty;

        pthread_mutex_lock(&worker->mail_lock);
        was_empty = nipc__list_is_empty(&worker->finished);
        nipc__list_append(&worker->finished, &task->link);
        pthread_mutex_unlock(&worker->mail_lock);
        /* The worker stays until all handlers have ended. */
        if (was_empty)
                nipc_poller_wake(worker->poller);
}

/* Waits for a task; NULL: the end. A server that was stopped begins nothing. */
static struct nipc__task *take(struct nipc_server *server)
{
        struct nipc__tasks *tasks = &server->tasks;
        struct nipc__task *task = NULL;

        pthread_mutex_lock(&tasks->lock);
        for (;;) {
                const uint32_t flags = nipc__server_flags(server);
                const bool is_stopped = (flags & NIPC__STOP) && !(flags & NIPC__DRAIN);

                if (tasks->is_quitting)
                        break;
                if (!is_stopped && !nipc__list_is_empty(&tasks->open)) {
                        task = NIPC__CONTAINER_OF(tasks->open.next, struct nipc__task, link);
                        nipc__list_unlink(&task->link);
                        task->is_taken = true;
                        break;
                }
                pthread_cond_wait(&tasks->posted, &tasks->lock);
        }
        pthread_mutex_unlock(&tasks->lock);
        return task;
}

static void *handler_main(void *userdata)
{
        struct nipc_server *server = userdata;
        struct nipc__task *task;

        while ((task = take(server))) {
                run(server, task);
                give_back(task);
        }
        return NULL;
}

int nipc__tasks_init(struct nipc__tasks *tasks, const struct nipc_server_config *config)
{
        if (config->max_concurrent_requests < 2)
                return 0;
        tasks->threads = calloc(config->n_workers, sizeof(*tasks->threads));
        if (!tasks->threads)
                return -ENOMEM;
        if (pthread_mutex_init(&tasks->lock, NULL)) {
                free(tasks->threads);
                return -ENOMEM;
        }
        if (pthread_cond_init(&tasks->posted, NULL)) {
                pthread_mutex_destroy(&tasks->lock);
                free(tasks->threads);
                return -ENOMEM;
        }
        nipc__list_init(&tasks->open);
        tasks->max_per_session = config->max_concurrent_requests;
        return 0;
}

void nipc__tasks_deinit(struct nipc__tasks *tasks)
{
        if (!tasks->max_per_session)
                return;
        pthread_cond_destroy(&tasks->posted);
        pthread_mutex_destroy(&tasks->lock);
        free(tasks->threads);
}

int nipc__tasks_start_thread(struct nipc_server *server)
{
        struct nipc__tasks *tasks = &server->tasks;
        int r;

        r = -pthread_create(&tasks->threads[tasks->n_threads], NULL, handler_main, server);
        if (!r)
                tasks->n_threads++;
        return r;
}

void nipc__tasks_wake(struct nipc__tasks *tasks)
{
        if (!tasks->max_per_session)
                return;
        pthread_mutex_lock(&tasks->lock);
        pthread_cond_broadcast(&tasks->posted);
        pthread_mutex_unlock(&tasks->lock);
}

void nipc__tasks_quit(struct nipc__tasks *tasks)
{
        if (!tasks->max_per_session)
                return;
        pthread_mutex_lock(&tasks->lock);
        tasks->is_quitting = true;
        pthread_cond_broadcast(&tasks->posted);
        pthread_mutex_unlock(&tasks->lock);
        while (tasks->n_threads)
                pthread_join(tasks->threads[--tasks->n_threads], NULL);
        tasks->is_quitting = false;
}
