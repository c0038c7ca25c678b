/* SPDX-License-Identifier: MIT */

/*
 * The managed server as a whole: the endpoint, the workers and their threads, what is offered to
 * new clients, and the ends: stop (leave everything as it is), drain (finish), free.
 *
 * Threads that were stopped stay parked until they are told to drain or to quit, so that draining
 * has them all, whatever came before.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "limits.h"
#include "log-private.h"
#include "server-private.h"
#include "stdaux.h"

/* Requests of one lone client in one dispatch; chosen, not tuned. */
#define DISPATCH_BUDGET 256u

/* ---- limits ------------------------------------------------------------------------------- */

static void note(struct nipc_server *server, _Atomic uint32_t *learned, uint64_t size,
                 uint32_t ceiling)
{
        uint32_t wanted;

        wanted = nipc__limit_round(size, ceiling);
        pthread_mutex_lock(&server->lock);
        if (wanted > atomic_load_explicit(learned, memory_order_relaxed)) {
                atomic_store_explicit(learned, wanted, memory_order_relaxed);
                if (server->listener)
                        nipc_listener_set_limits(server->listener,
                                                 atomic_load_explicit(&server->request_bytes,
                                                                      memory_order_relaxed),
                                                 atomic_load_explicit(&server->response_bytes,
                                                                      memory_order_relaxed));
        }
        pthread_mutex_unlock(&server->lock);
}

void nipc__server_learn_request(struct nipc_server *server, uint64_t size)
{
        note(server, &server->request_bytes, size, server->config.max_request_bytes);
}

void nipc__server_learn_response(struct nipc_server *server, uint64_t size)
{
        note(server, &server->response_bytes, size, server->config.max_response_bytes);
}

/* ---- new and free ------------------------------------------------------------------------- */

static int open_listener(struct nipc_server *server)
{
        const struct nipc_server_config *c = &server->config;
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        int r;

        config.run_dir = c->run_dir;
        config.service = c->service;
        config.mode = c->endpoint_mode;
        config.set_owner = c->set_endpoint_owner;
        config.uid = c->endpoint_uid;
        config.gid = c->endpoint_gid;
        config.supported_profiles = c->profiles;
        config.preferred_profiles = c->profiles;
        config.max_request_payload_bytes = c->initial_request_bytes;
        config.max_response_payload_bytes = c->initial_response_bytes;
        config.auth_token = c->auth_token;
        config.listen_fd = c->listen_fd;
        config.lock_fd = c->lock_fd;
        r = nipc_listener_open(&config, &server->listener);
        if (r < 0)
                return r;
        server->n_stale = nipc_listener_get_n_stale(server->listener);
        server->path = strdup(nipc_listener_get_path(server->listener));
        server->service = strdup(c->service);
        return server->path && server->service ? 0 : -ENOMEM;
}

static int make_workers(struct nipc_server *server)
{
        uint32_t n = NIPC__MAX(server->config.n_workers, 1u);
        int r;

        server->workers = calloc(n, sizeof(*server->workers));
        if (!server->workers)
                return -ENOMEM;
        for (; server->n_workers < n; server->n_workers++) {
                r = nipc__worker_new(server, &server->workers[server->n_workers]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void say_opened(const struct nipc_server *server)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_LISTENER_OPENED);
        struct nipc__log *log = server->workers[0]->log;

        nipc__log_say(log, record);
        if (!server->n_stale)
                return;
        record.event = NIPC_LOG_STALE_CLEANED;
        record.value = server->n_stale;
        nipc__log_say(log, record);
}

/* What workers share, but for atomics; see deinit_shared(). */
static int init_shared(struct nipc_server *server, const struct nipc_server_config *config)
{
        int r = -ENOMEM;

        if (pthread_mutex_init(&server->lock, NULL))
                return -ENOMEM;
        if (pthread_cond_init(&server->parked, NULL) == 0) {
                r = nipc__quota_init(&server->quota, config);
                if (!r) {
                        r = nipc__jobs_init(&server->jobs);
                        if (!r) {
                                r = nipc__tasks_init(&server->tasks, config);
                                if (!r)
                                        return 0;
                                nipc__jobs_deinit(&server->jobs);
                        }
                        nipc__quota_deinit(&server->quota);
                }
                pthread_cond_destroy(&server->parked);
        }
        pthread_mutex_destroy(&server->lock);
        return r;
}

static void deinit_shared(struct nipc_server *server)
{
        nipc__tasks_deinit(&server->tasks);
        nipc__jobs_deinit(&server->jobs);
        nipc__quota_deinit(&server->quota);
        pthread_cond_destroy(&server->parked);
        pthread_mutex_destroy(&server->lock);
}

static int server_new(const struct nipc_server_config *config, const struct nipc_handler *handler,
                      struct nipc_server **ret_server)
{
        struct nipc_server_config c;
        struct nipc_server *server;
        int r;

        r = nipc__server_load_config(&c, config);
        if (!r && (!c.run_dir || !c.service))
                r = -EINVAL;
        if (r < 0)
                return r;
        server = calloc(1, sizeof(*server));
        if (!server)
                return -ENOMEM;
        r = init_shared(server, &c);
        if (r < 0) {
                free(server);
                return r;
        }
        server->config = c;
        server->large_bytes = SIZE_MAX;
        server->split_above = c.n_workers < 2 ? UINT32_MAX
                              : c.split_items ? c.split_items
                                              : NIPC__SPLIT_MIN_ITEMS - 1;
        atomic_init(&server->request_bytes, c.initial_request_bytes);
        atomic_init(&server->response_bytes, c.initial_response_bytes);
        r = open_listener(server);
        if (!r)
                r = make_workers(server);
        server->config.run_dir = server->config.service = NULL; /* were borrowed */
        if (r < 0) {
                if (c.lock_fd) /* the predecessor goes on */
                        nipc_listener_leave(server->listener);
                nipc_server_free(server);
                return r;
        }
        server->handler = *handler;
        say_opened(server);
        *ret_server = server;
        return 0;
}

NIPC__EXPORT int nipc_server_new(const struct nipc_server_config *config,
                                 const struct nipc_handler *handler,
                                 struct nipc_server **ret_server)
{
        struct nipc_handler h;
        int r;

        r = nipc__abi_load(&h, sizeof(h), handler);
        if (r < 0)
                return r;
        /* Every server answers that one itself. */
        if (!h.handle || !ret_server || h.code == NIPC_METHOD_STAT)
                r = -EINVAL;
        else
                r = server_new(config, &h, ret_server);
        if (r < 0 && h.release)
                h.release(h.userdata);
        return r;
}

static void wake_workers(struct nipc_server *server)
{
        uint32_t i;

        for (i = 0; i < server->n_workers; i++)
                nipc_poller_wake(server->workers[i]->poller);
}

/* The last worker to leave closes the listener: new clients see at once that nobody is there. */
void nipc__server_leave_listener(struct nipc__worker *worker)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_LISTENER_CLOSED);
        struct nipc_server *server = worker->server;

        /* Pairs with itself: all other workers have finished with the listener. */
        if (atomic_fetch_sub_explicit(&server->n_watching, 1, memory_order_acq_rel) != 1)
                return;
        pthread_mutex_lock(&server->lock);
        if (server->is_handed_over)
                nipc_listener_leave(server->listener);
        server->listener = nipc_listener_close(server->listener);
        pthread_mutex_unlock(&server->lock);
        if (server->is_handed_over) {
                record.step = "hand-over";
                wake_workers(server); /* nobody is sent to them any more */
        }
        nipc__log_say(worker->log, record);
}

/* Tells all workers, wherever they are: in a wait, or parked. Not for signal handlers. */
static void server_raise(struct nipc_server *server, uint32_t flag)
{
        pthread_mutex_lock(&server->lock);
        /* Pairs with the acquire in nipc__server_flags(). */
        atomic_fetch_or_explicit(&server->flags, flag, memory_order_release);
        pthread_cond_broadcast(&server->parked);
        pthread_mutex_unlock(&server->lock);
        nipc__tasks_wake(&server->tasks);
        wake_workers(server);
}

/* Whether the caller is a child of the process whose server this is. */
static bool is_inherited(const struct nipc_server *server)
{
        return server->n_workers && nipc_poller_is_inherited(server->workers[0]->poller);
}

static void join_threads(struct nipc_server *server)
{
        uint32_t i;

        for (i = 0; i < server->n_threads; i++)
                pthread_join(server->workers[i]->thread, NULL);
        server->n_threads = 0;
        nipc__tasks_quit(&server->tasks); /* what they would have done is for nobody */
}

static void free_workers(struct nipc_server *server)
{
        uint32_t i;

        /* What a child gives back goes on where it is: there is nothing to say. */
        for (i = 0; i < server->n_workers && is_inherited(server); i++)
                nipc__worker_silence(server->workers[i]);
        server_raise(server, NIPC__STOP | NIPC__QUIT);
        join_threads(server);
        /* All of them are there until the last has said what there is to say: a log's callback may
         * look at their counters. */
        for (i = 0; i < server->n_workers; i++)
                nipc__worker_end(server->workers[i]);
        for (i = 0; i < server->n_workers; i++)
                nipc__worker_free(server->workers[i]);
        deinit_shared(server);
}

/*
 * In a child, which has none of the threads, but what they were in the midst of: locks that nobody
 * will give back, lists that may be half changed. None of that is looked at. The connections stay
 * until the child runs another program or ends.
 */
static void abandon_workers(struct nipc_server *server)
{
        uint32_t i;

        for (i = 0; i < server->n_workers; i++)
                nipc_poller_free(server->workers[i]->poller);
}

NIPC__EXPORT struct nipc_server *nipc_server_free(struct nipc_server *server)
{
        if (!server)
                return NULL;
        if (server->n_threads && is_inherited(server))
                abandon_workers(server);
        else
                free_workers(server);
        free(server->workers);
        nipc_listener_close(server->listener);
        if (server->handler.release)
                server->handler.release(server->handler.userdata);
        free(server->service);
        free(server->path);
        free(server);
        return NULL;
}

/* ---- running ------------------------------------------------------------------------------ */

static void park(struct nipc_server *server)
{
        pthread_mutex_lock(&server->lock);
        while (!(nipc__server_flags(server) & (NIPC__DRAIN | NIPC__QUIT)))
                pthread_cond_wait(&server->parked, &server->lock);
        pthread_mutex_unlock(&server->lock);
}

static void say_failed(const struct nipc__worker *worker, int error)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_WORKER_FAILED);

        record.error = error;
        nipc__log_say(worker->log, record);
}

static void *worker_main(void *userdata)
{
        struct nipc__worker *worker = userdata;
        struct nipc_server *server = worker->server;
        int r;

        for (;;) {
                uint32_t flags = nipc__server_flags(server);

                if (flags & NIPC__QUIT)
                        return NULL;
                if (flags & NIPC__DRAIN) {
                        nipc__worker_drain(worker, server->drain_ns);
                        return NULL;
                }
                if (flags & NIPC__STOP) {
                        park(server);
                        continue;
                }
                r = nipc__worker_turn(worker, NIPC_DEADLINE_NEVER);
                if (r < 0) {
                        /* Nothing can be waited for any more: clients shall know, nobody spins. */
                        say_failed(worker, r);
                        nipc__worker_cut(worker);
                        park(server);
                }
        }
}

/* All threads, or as many as there can be. Returns 0 or a negative errno. */
static int start_all(struct nipc_server *server)
{
        int r = 0;

        while (!r && server->n_threads < server->n_workers) {
                struct nipc__worker *worker = server->workers[server->n_threads];

                r = -pthread_create(&worker->thread, NULL, worker_main, worker);
                server->n_threads += !r;
        }
        while (!r && server->tasks.max_per_session && server->tasks.n_threads < server->n_workers)
                r = nipc__tasks_start_thread(server);
        return r;
}

/*
 * Signals are for the threads of the process that knows what they mean; but a fault is the thread's
 * own, and whoever handles faults wants to see ours.
 */
static int start_threads(struct nipc_server *server)
{
        int r;
#ifdef SIGUSR1 /* where threads have signals */
        static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        sigset_t blocked, before;
        size_t i;

        sigfillset(&blocked);
        for (i = 0; i < NIPC__ARRAY_SIZE(faults); i++)
                sigdelset(&blocked, faults[i]);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
#endif
        r = start_all(server);
#ifdef SIGUSR1
        pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
        return r;
}

NIPC__EXPORT int nipc_server_start(struct nipc_server *server)
{
        int r;

        if (!server || !server->config.n_workers)
                return -EINVAL;
        if (is_inherited(server))
                return -ECHILD;
        if (server->n_threads || server->is_drained)
                return -EINVAL;
        r = start_threads(server);
        if (!r)
                return 0;
        server_raise(server, NIPC__QUIT);
        join_threads(server);
        /* No thread is left to pair with. */
        atomic_fetch_and_explicit(&server->flags, ~NIPC__QUIT, memory_order_relaxed);
        return r;
}

/* Our own counters, we are the worker. */
static uint64_t count_answers(const struct nipc__worker *worker)
{
        return atomic_load_explicit(&worker->metrics.answers[NIPC_TRANSPORT_STATUS_OK],
                                    memory_order_relaxed) +
               atomic_load_explicit(&worker->metrics.n_failed, memory_order_relaxed);
}

NIPC__EXPORT int nipc_server_dispatch(struct nipc_server *server, uint32_t timeout_ms)
{
        uint64_t before, after, deadline_ns = NIPC_DEADLINE_NOW;
        struct nipc__worker *worker;
        int r;

        if (!server || server->config.n_workers)
                return -EINVAL;
        if (is_inherited(server))
                return -ECHILD;
        worker = server->workers[0];
        before = count_answers(worker);
        if (timeout_ms)
                deadline_ns = nipc_deadline_after_ms(timeout_ms);
        do {
                if (server->is_drained || (nipc__server_flags(server) & NIPC__STOP))
                        return -ESHUTDOWN;
                r = nipc__worker_turn(worker, deadline_ns);
                if (r < 0)
                        return r;
                after = count_answers(worker);
                /* A client that is lingered with may go on, but not for ever. */
        } while ((after == before ||
                  (nipc__worker_lingers(worker) && after - before < DISPATCH_BUDGET)) &&
                 timeout_ms && nipc_clock_now_ns() < deadline_ns);
        if (server->is_polled)
                nipc__worker_end_linger(worker); /* the caller polls our descriptor for the rest */
        return (int)NIPC__MIN(after - before, (uint64_t)INT32_MAX);
}

NIPC__EXPORT int nipc_server_get_fd(const struct nipc_server *server)
{
        if (!server || server->config.n_workers)
                return -EINVAL;
        if (is_inherited(server))
                return -ECHILD;
        /* That somebody polls changes how he is told, and nothing else. */
        ((struct nipc_server *)(uintptr_t)server)->is_polled = true;
        nipc__worker_end_linger(server->workers[0]);
        return nipc_poller_get_fd(server->workers[0]->poller);
}

NIPC__EXPORT const char *nipc_server_get_path(const struct nipc_server *server)
{
        return server ? server->path : NULL;
}

NIPC__EXPORT void nipc_server_stop(struct nipc_server *server)
{
        if (!server)
                return;
        /* Pairs with the acquire in nipc__server_flags(). */
        atomic_fetch_or_explicit(&server->flags, NIPC__STOP, memory_order_release);
        wake_workers(server);
}

NIPC__EXPORT int nipc_server_drain(struct nipc_server *server, uint32_t timeout_ms)
{
        uint32_t i;

        if (!server)
                return -EINVAL;
        if (is_inherited(server))
                return -ECHILD;
        if (!server->is_drained) {
                server->is_drained = true;
                server->drain_ns = nipc_deadline_after_ms(timeout_ms);
                if (server->n_threads) {
                        server_raise(server, NIPC__DRAIN);
                        join_threads(server);
                } else {
                        for (i = 0; i < server->n_workers; i++)
                                nipc__worker_drain(server->workers[i], server->drain_ns);
                }
                /* Clients that one worker posted to another that had finished already. */
                for (i = 0; i < server->n_workers; i++)
                        nipc__worker_cut(server->workers[i]);
        }
        return atomic_load_explicit(&server->n_cut, memory_order_relaxed) ? -ETIMEDOUT : 0;
}

NIPC__EXPORT int nipc_server_dup_fds(struct nipc_server *server, int *ret_listen_fd,
                                     int *ret_lock_fd)
{
        int r;

        if (!server)
                return -EINVAL;
        if (is_inherited(server)) /* the lock may be that of a thread that is not here */
                return -ECHILD;
        pthread_mutex_lock(&server->lock);
        r = nipc_listener_dup_fds(server->listener, ret_listen_fd, ret_lock_fd);
        pthread_mutex_unlock(&server->lock);
        return r;
}

NIPC__EXPORT int nipc_server_hand_over(struct nipc_server *server, uint32_t timeout_ms)
{
        if (server && !server->is_drained && !is_inherited(server))
                server->is_handed_over = true;
        return nipc_server_drain(server, timeout_ms);
}

NIPC__EXPORT int nipc_server_get_status(const struct nipc_server *server,
                                        struct nipc_server_status *ret_status)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        const memory_order relaxed = memory_order_relaxed;
        uint32_t i;

        if (!server)
                return -EINVAL;
        status.n_sessions = atomic_load_explicit(&server->n_sessions, relaxed);
        status.n_handshakes = atomic_load_explicit(&server->n_handshakes, relaxed);
        status.n_accepted = atomic_load_explicit(&server->n_accepted, relaxed);
        status.n_refused = atomic_load_explicit(&server->n_refused, relaxed);
        status.max_request_bytes = atomic_load_explicit(&server->request_bytes, relaxed);
        status.max_response_bytes = atomic_load_explicit(&server->response_bytes, relaxed);
        status.refused_limit = nipc__quota_get_refused_limit(&server->quota);
        for (i = 0; i < server->n_workers; i++) {
                const struct nipc__metrics *metrics = &server->workers[i]->metrics;

                /* Pairs with nipc__count(). */
                status.n_requests +=
                        atomic_load_explicit(&metrics->answers[NIPC_TRANSPORT_STATUS_OK], relaxed);
                status.n_failed += atomic_load_explicit(&metrics->n_failed, relaxed);
        }
        return nipc__abi_store(ret_status, &status, sizeof(status));
}
