/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the parts of the managed server share.
 *
 *   server.c      the endpoint, threads, limits, start to free
 *   worker.c      one loop: events, accepting, the mailbox, timers
 *   connection.c  one client: handshake, requests, back-pressure, end
 *   dispatch.c    one request: what is answered
 *   observe.c     what is counted and said when sessions come and go
 *   metrics.c     counters of workers, added up; server-metrics.c: as text
 *   plan.c        the config's defaults, and what a server of it takes
 *   quota.c       who takes how much of that, and who is refused
 *   split*.c      one large request: parts of it to other workers (job.c)
 *   unordered.c   requests of one session side by side: tasks, and threads for them
 *
 * A connection belongs to one worker from the mailbox on, and a worker to one thread at a time: no
 * lock is taken to serve a request. Shared are the atomics, the mailboxes, the jobs of requests
 * that are large enough to be split, tasks, and the two things that nipc_server.lock guards.
 */

#include <nipc/clock.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "list.h"
#include "metrics-private.h"
#include "quota.h"
#include "split.h"
#include "stdaux.h"
#include "unordered.h"

struct nipc__log;

/*
 * Requests of one client in one turn, before the others have theirs, and how long they may take
 * once there are others: as long as it takes to wake somebody, which is what those wait for anyway.
 * Chosen, not tuned.
 */
#define NIPC__FAIR_BUDGET    64u
#define NIPC__FAIR_BUDGET_NS UINT64_C(20000)

/* Who keeps us waiting. The time-out of a kind is constant, so each list is in order of time. */
enum nipc__wait {
        NIPC__WAIT_HANDSHAKE,
        NIPC__WAIT_REQUEST,
        NIPC__WAIT_RESPONSE,
        NIPC__WAIT_FIRST, /* before a hand-over: for what a new session was made for */
        NIPC__N_WAITS,
        NIPC__WAIT_NONE = NIPC__N_WAITS,
};

enum nipc__conn_state {
        NIPC__CONN_HANDSHAKE,
        NIPC__CONN_READY,
        NIPC__CONN_FLUSHING, /* a response is pending: nothing is read meanwhile */
        NIPC__CONN_DEAD,     /* no session any more, freed at the end of the turn */
};

/* One client. No buffers: an idle one costs this and what its session costs. */
struct nipc__conn {
        struct nipc__list link;      /* in a mailbox, then conns, then graveyard of its worker */
        struct nipc__list wait_link; /* in waits[wait], if any */
        uint64_t wait_until_ns;
        struct nipc_session *session;
        struct nipc_request request; /* what handlers are told; all but the payload stays */
        /* The limit for which the handshake will end in a refusal, a literal; or NULL. */
        const char *refused_by;
        uint32_t max_response_bytes;
        struct nipc__charge charge; /* while is_counted */
        uint8_t state;              /* enum nipc__conn_state */
        uint8_t wait;               /* enum nipc__wait */
        bool is_counted;            /* in n_sessions */
        bool is_closing;            /* ends when what is in hand was answered, and that was sent */
        bool is_bursting;           /* the last wake-ups found more than one request */
        bool is_detached;           /* lingered with: not in the poller */
        bool has_asked;             /* at least once */
        bool has_yielded; /* asked for what takes long: others come before its next request */
        uint8_t outcome;  /* enum nipc_metrics_handshake, if it ends in the handshake */
        uint8_t profile;  /* enum nipc_metrics_profile, once it is ready */
        uint16_t refusal; /* what it was told, if it was refused */
        int error;        /* why it ends, as far as that is known */
        uint8_t probe_shift;
        uint16_t probe_skip; /* wake-ups until the next look for a second request */
        /* Requests that are handled beside others, see unordered.h. */
        struct nipc__list tasks; /* all that were not answered yet */
        struct nipc__list done;  /* of these, what can be answered */
        uint32_t n_tasks;
        bool is_full;         /* nothing more is read now: the poller does not watch it */
        uint8_t n_end_events; /* so many since then: what is reported all the same is its end */
};

struct nipc__worker {
        struct nipc_server *server;
        struct nipc_poller *poller;
        struct nipc_session_buffers *buffers; /* of all its sessions */
        struct nipc__list conns;
        struct nipc__list graveyard;
        struct nipc__list waits[NIPC__N_WAITS];
        uint32_t n_handshakes;   /* in waits[NIPC__WAIT_HANDSHAKE] */
        uint64_t timer_ns;       /* what the poller's timer is set to, 0: nothing */
        uint64_t resume_ns;      /* when to accept again after a shortage, 0: accepting */
        uint64_t drain_ns;       /* the deadline while draining, 0: not */
        struct nipc__conn *lone; /* the only one that the last turns were about */
        uint32_t n_lone;         /* so many of them */
        int n_events;            /* of this turn */
        uint64_t turn_ns;        /* when the first few requests of a client were answered */
        uint32_t n_lone_needed;  /* so many it takes to linger with it */
        bool is_quick;           /* the last requests of the lone one came at full speed */
        bool is_watching;        /* counted in nipc_server.n_watching */
        bool was_freed;          /* a session ended in this turn: descriptors came back */
        bool is_short;           /* the last client could not be accepted */
        struct nipc__log *log;   /* NULL: nobody listens */

        pthread_t thread;
        struct nipc__split split;

        /* Waits for events. Relaxed everywhere: a hint whom to wake for parts of a request. */
        _Atomic bool is_idle;

        /* The mailbox: new clients from the worker that accepted them, and tasks that are done. */
        pthread_mutex_t mail_lock;
        struct nipc__list mail;
        struct nipc__list finished;

        /* Connections here and in the mailbox. Relaxed everywhere: a hint for balancing. */
        _Atomic uint32_t load;

        struct nipc__metrics metrics;
};

/* nipc_server.flags */
#define NIPC__STOP  (1u << 0) /* return as soon as possible */
#define NIPC__DRAIN (1u << 1) /* end in good order */
#define NIPC__QUIT  (1u << 2) /* threads end */

struct nipc_server {
        struct nipc_server_config config; /* defaults filled in; its strings are not ours */
        struct nipc_handler handler;
        char *path;
        char *service;
        uint32_t n_stale; /* files that open removed */
        struct nipc__worker **workers;
        uint32_t n_workers; /* objects: 1 when the caller dispatches */
        uint32_t n_threads; /* that run */
        bool is_drained;
        bool is_handed_over; /* there is a successor: nobody is refused. Set before NIPC__DRAIN */
        bool is_polled;      /* the caller of dispatch has our descriptor */

        /*
         * NIPC__STOP and so on. Set with release, read with acquire in nipc__server_flags(), so
         * that drain_ns is there when NIPC__DRAIN is.
         */
        _Atomic uint32_t flags;
        uint64_t drain_ns;

        /* Workers that watch the listener; the last to leave closes it. Changes with acq_rel. */
        _Atomic uint32_t n_watching;

        pthread_mutex_t lock; /* guards listener (closing, limits) and the wait on `parked` */
        pthread_cond_t parked;
        struct nipc_listener *listener;

        /* What new sessions are offered. Written under `lock`, read relaxed to see if it is time.
         */
        _Atomic uint32_t request_bytes;
        _Atomic uint32_t response_bytes;

        struct nipc__tasks tasks;
        struct nipc__jobs jobs;
        _Atomic uint64_t split_bytes; /* of all nipc__split.memory; relaxed, a count */
        uint32_t split_above;         /* items; larger batches may be split */
        /*
         * For payloads of more than large_bytes that are not batches, in place of the handler: a
         * method that knows how to split them. Set before the start.
         */
        size_t large_bytes;
        int (*handle_large)(struct nipc__worker *worker, const struct nipc_request *request,
                            void *response, size_t capacity, size_t *ret_size);

        /* Gauges and counters of connections; relaxed, each is meaningful alone. */
        _Atomic uint32_t n_sessions;
        _Atomic uint32_t n_handshakes;
        _Atomic uint32_t n_cut;
        struct nipc__quota quota;
        _Atomic uint64_t n_accepted;
        _Atomic uint64_t n_refused;
};

/* ---- server.c ---- */
static inline uint32_t nipc__server_flags(const struct nipc_server *server)
{
        /* Pairs with the releases in server_raise(). */
        return atomic_load_explicit(&server->flags, memory_order_acquire);
}

/* 0: no request is timed. */
static inline uint32_t nipc__server_sample_every(const struct nipc_server *server)
{
        uint32_t every = server->config.metrics_sample_every;

        return every == NIPC_METRICS_NO_TIMES ? 0 : every;
}

/* Reads what all workers counted. */
void nipc__server_collect(const struct nipc_server *server,
                          struct nipc_server_metrics *ret_metrics);

/* Sizes that were seen or wanted: later sessions are offered as much (client-server §7.2). */
void nipc__server_learn_request(struct nipc_server *server, uint64_t size);
void nipc__server_learn_response(struct nipc_server *server, uint64_t size);

static inline void nipc__server_note_request(struct nipc_server *server, uint64_t size)
{
        if (NIPC__UNLIKELY(size >
                           atomic_load_explicit(&server->request_bytes, memory_order_relaxed)))
                nipc__server_learn_request(server, size);
}

static inline void nipc__server_note_response(struct nipc_server *server, uint64_t size)
{
        if (NIPC__UNLIKELY(size >
                           atomic_load_explicit(&server->response_bytes, memory_order_relaxed)))
                nipc__server_learn_response(server, size);
}

/* The worker's poller does not watch the listener any more; the last one closes it. */
void nipc__server_leave_listener(struct nipc__worker *worker);

/* ---- plan.c ---- */

/* Copies a config and fills its defaults in. Returns 0, -EINVAL or -E2BIG. */
int nipc__server_load_config(struct nipc_server_config *c, const struct nipc_server_config *config);

/* ---- worker.c ---- */
int nipc__worker_new(struct nipc_server *server, struct nipc__worker **ret_worker);
struct nipc__worker *nipc__worker_free(struct nipc__worker *worker);

/* Closes all it has, and leaves the listener; it can still be looked at. */
void nipc__worker_end(struct nipc__worker *worker);

/* It says nothing any more. */
void nipc__worker_silence(struct nipc__worker *worker);

/* Waits, and does what there is to do. Returns 0, or the poller's negative errno. */
int nipc__worker_turn(struct nipc__worker *worker, uint64_t deadline_ns);

/* Whether it waits for one client in that client's own receive, and an end to that. */
bool nipc__worker_lingers(const struct nipc__worker *worker);
void nipc__worker_end_linger(struct nipc__worker *worker);

/* Answers what has arrived, closes everything; connections that must be cut are counted. */
void nipc__worker_drain(struct nipc__worker *worker, uint64_t deadline_ns);

/* Closes all connections as they are. Returns how many there were. */
uint32_t nipc__worker_cut(struct nipc__worker *worker);

/* Puts a connection on a list of those that keep us waiting, or takes it off (NIPC__WAIT_NONE). */
void nipc__worker_wait_for(struct nipc__worker *worker, struct nipc__conn *conn,
                           enum nipc__wait wait);

/* ---- connection.c ---- */

/* Takes over an accepted session. */
void nipc__conn_adopt(struct nipc__worker *worker, struct nipc__conn *conn);

/* The poller says that the session can go on. */
void nipc__conn_event(struct nipc__worker *worker, struct nipc__conn *conn);

/*
 * Waits for the next request of this session alone, for a moment, and answers it. Returns whether
 * there was one and the session goes on. The poller does not watch it meanwhile, nor afterwards:
 * a socket that is watched costs the kernel a look at its watcher with every message.
 */
bool nipc__conn_linger(struct nipc__worker *worker, struct nipc__conn *conn);

/* Has the poller watch it again, if it does not. Returns false if that ended the session. */
bool nipc__conn_attach(struct nipc__worker *worker, struct nipc__conn *conn);

/* One of its tasks is back. */
void nipc__conn_finished(struct nipc__worker *worker, struct nipc__task *task);

/* Its time has run out. */
void nipc__conn_timeout(struct nipc__worker *worker, struct nipc__conn *conn);

/* Ends it; the struct stays until the end of the turn. */
void nipc__conn_close(struct nipc__worker *worker, struct nipc__conn *conn);

/* ---- dispatch.c ---- */

/*
 * Answers one request. Returns what the session said to the answer: 0, -EAGAIN when it is pending,
 * or an error that ends the session. *ret_close: the session must end once the answer is sent.
 */
int nipc__dispatch(struct nipc__worker *worker, struct nipc__conn *conn,
                   const struct nipc_message *message, bool *ret_close);

/*
 * Handles the items first to end - 1 of a batch into a builder. request: item_count and what is
 * known of the client; the rest is written. Returns as a handler.
 */
struct nipc_batch_builder;
int nipc__handle_items(const struct nipc_handler *handler, struct nipc_request *request,
                       const struct nipc_batch_view *view, uint32_t first, uint32_t end,
                       struct nipc_batch_builder *builder);

/*
 * Handles a request of our method, a batch or not, on whatever thread; nothing is counted. header:
 * of the request. request: what is known of the client, and the payload. Returns as a handler.
 */
int nipc__handle(const struct nipc_handler *handler, struct nipc_request *request,
                 const struct nipc_header *header, void *response, size_t capacity,
                 size_t *ret_size);

/*
 * A request of our method that will be handled by nipc__handle() is counted; and its answer is sent
 * once it was. Returns as nipc__dispatch(); the session must end after a result that is not 0.
 */
void nipc__dispatch_begin(struct nipc__worker *worker, struct nipc__task *task);
int nipc__dispatch_finish(struct nipc__worker *worker, struct nipc__conn *conn,
                          const struct nipc__task *task);

/* Answers with a status other than OK and nothing else. Returns as nipc__dispatch(). */
int nipc__dispatch_error(struct nipc__worker *worker, struct nipc__conn *conn,
                         const struct nipc_message *message, uint16_t transport_status);

/* ---- observe.c ---- */

/* The handshake is complete. */
void nipc__observe_ready(struct nipc__worker *worker, struct nipc__conn *conn,
                         const struct nipc_session_info *info);

/* The handshake is over; why the session is about to be closed. */
void nipc__observe_handshake_failed(struct nipc__worker *worker, struct nipc__conn *conn,
                                    int error);

/* The client kept us waiting for too long, and is about to be closed. */
void nipc__observe_timeout(struct nipc__worker *worker, struct nipc__conn *conn);

/* A silent client makes room, and is about to be closed. */
void nipc__observe_evicted(struct nipc__worker *worker, struct nipc__conn *conn);

/* Any session, before it is closed. */
void nipc__observe_end(struct nipc__worker *worker, const struct nipc__conn *conn);

/* Something did not fit. limit: a literal, its name in the config. */
void nipc__observe_limit(struct nipc__worker *worker, const struct nipc__conn *conn,
                         const char *limit, uint64_t value);

/* Clients cannot be accepted for this reason; 0: they can again. */
void nipc__observe_shortage(struct nipc__worker *worker, int error);

/* An answer that was pending is pending no more. */
void nipc__observe_pressure_end(struct nipc__worker *worker, const struct nipc__conn *conn);
