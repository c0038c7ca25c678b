/* SPDX-License-Identifier: MIT */

/*
 * One client of a managed server, driven by events: handshake, requests and answers, the answer
 * that does not fit, the end. Nothing here waits.
 *
 * A wake-up reads one request: a second look would cost a system call that a client which waits for
 * its answer makes useless. Clients that send several at once are found by looking again now and
 * then, ever more rarely as long as nothing is there; once found, they are read until they are
 * empty. What is left is reported again: readiness is a level.
 */

#include <errno.h>
#include <stdlib.h>

#include "server-private.h"
#include "stdaux.h"

/* So many clients with news at once share the costs of a wait; chosen, not tuned. */
#define CROWD 8

/* Requests for one look at the clock; those before the first are not counted. Chosen. */
#define CLOCK_EVERY 4u

/* One look for a second request in 1024 wake-ups costs a thousandth; chosen, not tuned. */
#define MAX_PROBE_SHIFT 10u

/* A place among the sessions: given to it by conn_claim(). */
static void conn_uncount(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (!conn->is_counted)
                return;
        conn->is_counted = false;
        nipc__quota_release(&worker->server->quota, &conn->charge);
        atomic_fetch_sub_explicit(&worker->server->n_sessions, 1, memory_order_relaxed);
}

void nipc__conn_close(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc_server *server = worker->server;

        if (conn->state == NIPC__CONN_DEAD)
                return;
        if (conn->state == NIPC__CONN_HANDSHAKE) {
                atomic_fetch_sub_explicit(&server->n_handshakes, 1, memory_order_relaxed);
                atomic_fetch_add_explicit(&server->n_refused, 1, memory_order_relaxed);
        }
        nipc__observe_end(worker, conn);
        if (worker->lone == conn)
                worker->lone = NULL;
        if (NIPC__UNLIKELY(conn->n_tasks))
                nipc__tasks_forget(conn);
        conn_uncount(worker, conn);
        nipc__worker_wait_for(worker, conn, NIPC__WAIT_NONE);
        nipc_poller_remove_session(worker->poller, conn->session);
        conn->session = nipc_session_close(conn->session);
        conn->state = NIPC__CONN_DEAD;
        atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
        worker->was_freed = true;

        /* Other events of this turn may still name it. */
        nipc__list_unlink(&conn->link);
        nipc__list_append(&worker->graveyard, &conn->link);
}

/*
 * Ends a session whose last answer was sent. What the client sent behind the request that ends it
 * must be read first: a socket that is closed with unread data takes the answer from the client.
 */
static void conn_close_answered(struct nipc__worker *worker, struct nipc__conn *conn)
{
        nipc_session_discard(conn->session);
        nipc__conn_close(worker, conn);
}

/*
 * Draining: a session that was read until it was empty, and that we owe nothing, is done. A new one
 * whose client does not know yet that it is ready would look like a refusal.
 */
static void conn_settle(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (!worker->drain_ns || conn->state != NIPC__CONN_READY || conn->n_tasks ||
            nipc_session_is_receiving(conn->session))
                return;
        if (conn->has_asked || !worker->server->is_handed_over)
                nipc__conn_close(worker, conn);
        else if (conn->wait == NIPC__WAIT_NONE)
                nipc__worker_wait_for(worker, conn, NIPC__WAIT_FIRST);
}

/* ---- handshake ---------------------------------------------------------------------------- */

void nipc__conn_adopt(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc__list *handshakes = &worker->waits[NIPC__WAIT_HANDSHAKE];
        uint32_t max =
                NIPC__MAX(worker->server->config.max_handshakes / worker->server->n_workers, 16u);
        struct nipc__conn *oldest;

        if (worker->n_handshakes >= max) {
                oldest = NIPC__CONTAINER_OF(handshakes->next, struct nipc__conn, wait_link);
                nipc__observe_evicted(worker, oldest);
                nipc__conn_close(worker, oldest);
        }
        nipc__list_append(&worker->conns, &conn->link);
        nipc_session_set_buffers(conn->session, worker->buffers);
        nipc__worker_wait_for(worker, conn, NIPC__WAIT_HANDSHAKE);
        /* A server that is about to end takes nobody in, if nobody else will: mail may arrive late.
         */
        if ((worker->drain_ns && !worker->server->is_handed_over) ||
            nipc_poller_add_session(worker->poller, conn->session, conn) < 0)
                nipc__conn_close(worker, conn);
}

/* Takes a place, if there is one, for as long as the handshake is answered. */
static void conn_claim(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_server *server = worker->server;

        if (conn->is_counted || conn->refused_by)
                return;
        (void)nipc_session_get_info(conn->session, &info);
        conn->refused_by =
                nipc__quota_charge(&server->quota, &server->config, info.peer.uid, &conn->charge);
        if (conn->refused_by) {
                nipc_session_refuse(conn->session, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
                return;
        }
        conn->is_counted = true;
        atomic_fetch_add_explicit(&server->n_sessions, 1, memory_order_relaxed);
}

static void conn_ready(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc_server *server = worker->server;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        (void)nipc_session_get_info(conn->session, &info);
        nipc__quota_settle(&server->quota, info.profile, &conn->charge);
        conn->request = (struct nipc_request){
                .item_count = 1,
                .session_id = info.session_id,
                .peer_pid = info.peer.pid,
                .peer_uid = info.peer.uid,
        };
        conn->max_response_bytes = info.max_response_payload_bytes;
        conn->state = NIPC__CONN_READY;
        nipc__worker_wait_for(worker, conn, NIPC__WAIT_NONE);
        atomic_fetch_sub_explicit(&server->n_handshakes, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&server->n_accepted, 1, memory_order_relaxed);
        nipc__observe_ready(worker, conn, &info);
        nipc__server_note_request(server, info.max_request_payload_bytes);
        nipc__server_note_response(server, info.max_response_payload_bytes);
        if (nipc_poller_update_session(worker->poller, conn->session, NIPC_EVENT_IN) < 0)
                nipc__conn_close(worker, conn);
}

/*
 * A client wanted larger requests than are offered now: the next one may have them, up to the
 * ceiling (client-server §7.2). Sessions that do not tell what was wanted make it double.
 */
static void conn_note_refused(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        uint64_t offered =
                atomic_load_explicit(&worker->server->request_bytes, memory_order_relaxed);

        (void)nipc_session_get_failure(conn->session, &failure);
        (void)nipc_session_get_info(conn->session, &info);
        if (conn->refused_by || failure.transport_status != NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED)
                return;
        nipc__server_note_request(worker->server, info.max_request_payload_bytes
                                                          ? info.max_request_payload_bytes
                                                          : 2 * offered);
}

static void conn_handshake(struct nipc__worker *worker, struct nipc__conn *conn)
{
        int r;

        conn_claim(worker, conn);
        r = nipc_session_handshake(conn->session, NIPC_DEADLINE_NOW);
        if (!r && conn->is_counted) {
                conn_ready(worker, conn);
                return;
        }
        conn_uncount(worker, conn);
        if (r < 0 && r != -EAGAIN)
                nipc__observe_handshake_failed(worker, conn, r);
        if (r == -ECONNREFUSED)
                conn_note_refused(worker, conn);
        if (r != -EAGAIN || nipc_poller_update_session(worker->poller, conn->session,
                                                       nipc_session_get_events(conn->session)) < 0)
                nipc__conn_close(worker, conn);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* A batch that is larger than the server takes, whatever was agreed. */
static bool is_too_many(const struct nipc_server *server, const struct nipc_header *header)
{
        return (header->flags & NIPC_FLAG_BATCH) &&
               header->item_count > server->config.max_batch_items;
}

/*
 * Nothing more is read for now: there are as many requests in hand as may be, or the session will
 * end once they are answered.
 */
static bool conn_park(struct nipc__worker *worker, struct nipc__conn *conn)
{
        conn->is_full = true;
        conn->n_end_events = 0;
        if (conn->state == NIPC__CONN_READY && /* else conn_flush() does it */
            nipc_poller_update_session(worker->poller, conn->session, 0) < 0)
                nipc__conn_close(worker, conn);
        return false;
}

/* The answer is on its way as said by r, or the session is lost. Returns whether to read on. */
static bool conn_answered(struct nipc__worker *worker, struct nipc__conn *conn, int r, bool is_last)
{
        if (NIPC__LIKELY(!r && !is_last))
                return true;
        if (is_last)
                conn->is_closing = conn->is_full = true;
        if (!r) {
                if (NIPC__UNLIKELY(conn->n_tasks))
                        return conn_park(worker, conn);
                conn_close_answered(worker, conn);
                return false;
        }
        if (!nipc__conn_attach(worker, conn))
                return false;
        conn->state = NIPC__CONN_FLUSHING;
        if (r == -EAGAIN && nipc_session_has_pending(conn->session) &&
            nipc_poller_update_session(worker->poller, conn->session, NIPC_EVENT_OUT) == 0) {
                nipc__count(&worker->metrics.n_backpressure);
                nipc__worker_wait_for(worker, conn, NIPC__WAIT_RESPONSE);
        } else {
                conn->error = r;
                nipc__conn_close(worker, conn);
        }
        return false;
}

static void observe_too_large(struct nipc__worker *worker, const struct nipc__conn *conn,
                              const struct nipc_header *header)
{
        if (is_too_many(worker->server, header))
                nipc__observe_limit(worker, conn, "max_batch_items",
                                    worker->server->config.max_batch_items);
        else
                nipc__observe_limit(worker, conn, "max_request_bytes",
                                    worker->server->config.max_request_bytes);
}

/* A request that is handled beside others. Returns whether to read on. */
static bool conn_submit(struct nipc__worker *worker, struct nipc__conn *conn,
                        const struct nipc_message *message)
{
        struct nipc__task *task = nipc__task_new(worker, conn, message);
        int r;

        if (!task) {
                r = nipc__dispatch_error(worker, conn, message,
                                         NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
                return conn_answered(worker, conn, r, true);
        }
        nipc__dispatch_begin(worker, task);
        nipc__task_post(task);
        return conn->n_tasks < worker->server->tasks.max_per_session || conn_park(worker, conn);
}

/* It was broken, or half there, and gets no answer. */
static void conn_drop_request(struct nipc__worker *worker)
{
        nipc__count(&worker->metrics.n_dropped);
        nipc__count(&worker->metrics.n_failed);
}

/* What receive returned, other than -EAGAIN. Returns whether to read on. */
static bool conn_request(struct nipc__worker *worker, struct nipc__conn *conn, int received,
                         const struct nipc_message *message)
{
        const struct nipc_header *header = &message->header;
        bool is_last;
        int r;

        if (NIPC__LIKELY(!received) && NIPC__LIKELY(header->kind == NIPC_KIND_REQUEST)) {
                nipc__server_note_request(worker->server, message->payload_size);
                if (NIPC__LIKELY(!is_too_many(worker->server, header))) {
                        if (NIPC__UNLIKELY(worker->server->tasks.max_per_session) &&
                            header->code == worker->server->handler.code)
                                return conn_submit(worker, conn, message);
                        r = nipc__dispatch(worker, conn, message, &is_last);
                        return conn_answered(worker, conn, r, is_last);
                }
                received = -EMSGSIZE;
        }
        if (received == -EMSGSIZE && header->kind == NIPC_KIND_REQUEST) {
                nipc__server_note_request(worker->server, header->payload_len);
                observe_too_large(worker, conn, header);
                r = nipc__dispatch_error(worker, conn, message,
                                         NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
                return conn_answered(worker, conn, r, true);
        }
        if (received != -ECONNRESET)
                conn_drop_request(worker);
        conn->error = received;
        nipc__conn_close(worker, conn);
        return false;
}

/* Whether the last request took so long that others have their turn first. */
static bool conn_yields(struct nipc__conn *conn)
{
        bool yields = conn->has_yielded;

        conn->has_yielded = false;
        return yields;
}

/* Many requests in a row are one client's turn, which must end when there are others. */
static bool conn_had_its_turn(struct nipc__worker *worker, unsigned n)
{
        uint64_t now_ns;

        if (n >= NIPC__FAIR_BUDGET)
                return true;
        if (n % CLOCK_EVERY || atomic_load_explicit(&worker->load, memory_order_relaxed) == 1)
                return false;
        now_ns = nipc_clock_now_ns();
        if (n == CLOCK_EVERY)
                worker->turn_ns = now_ns;
        return now_ns - worker->turn_ns >= NIPC__FAIR_BUDGET_NS;
}

/* After the n-th request of this wake-up: whether to look for another. */
static bool conn_looks_on(struct nipc__worker *worker, struct nipc__conn *conn, unsigned n)
{
        if (NIPC__UNLIKELY(conn_yields(conn)))
                return false;
        if (worker->drain_ns)
                return n < NIPC__FAIR_BUDGET && nipc_clock_now_ns() < worker->drain_ns;
        if (conn_had_its_turn(worker, n) || (nipc__server_flags(worker->server) & NIPC__STOP))
                return false;
        if (conn->is_bursting)
                return true;
        if (worker->n_events >= CROWD) /* the poller tells of it for next to nothing */
                return false;
        if (n > 1) {
                conn->is_bursting = true;
                conn->probe_shift = 0;
                return true;
        }
        if (conn->probe_skip) {
                conn->probe_skip--;
                return false;
        }
        return true;
}

/* Looked, and there was nothing but the n requests before. */
static void conn_looked(struct nipc__conn *conn, unsigned n)
{
        if (n != 1)
                return;
        conn->is_bursting = false;
        conn->probe_skip = (uint16_t)(1u << conn->probe_shift);
        if (conn->probe_shift < MAX_PROBE_SHIFT)
                conn->probe_shift++;
}

/* Receives and answers one request. Returns whether there was one and the session goes on. */
static bool conn_serve(struct nipc__worker *worker, struct nipc__conn *conn, uint64_t deadline_ns,
                       bool *ret_empty)
{
        struct nipc_message message;
        int r;

        r = nipc_session_receive(conn->session, deadline_ns, &message);
        *ret_empty = r == -EAGAIN;
        if (r == -EAGAIN) {
                if (nipc_session_is_receiving(conn->session) && conn->wait == NIPC__WAIT_NONE)
                        nipc__worker_wait_for(worker, conn, NIPC__WAIT_REQUEST);
                return false;
        }
        if (NIPC__UNLIKELY(conn->wait != NIPC__WAIT_NONE))
                nipc__worker_wait_for(worker, conn, NIPC__WAIT_NONE);
        conn->has_asked = true;
        return conn_request(worker, conn, r, &message);
}

/* Returns whether everything that had arrived was read. */
static bool conn_read(struct nipc__worker *worker, struct nipc__conn *conn)
{
        unsigned n = 0;
        bool is_empty;

        if (NIPC__UNLIKELY(conn->is_full))
                return false;
        do {
                if (!conn_serve(worker, conn, NIPC_DEADLINE_NOW, &is_empty)) {
                        if (is_empty)
                                conn_looked(conn, n);
                        return is_empty;
                }
        } while (conn_looks_on(worker, conn, ++n));
        return false;
}

bool nipc__conn_linger(struct nipc__worker *worker, struct nipc__conn *conn)
{
        bool is_empty;

        if (!conn->is_detached) {
                nipc_poller_remove_session(worker->poller, conn->session);
                conn->is_detached = true;
        }
        return conn_serve(worker, conn, NIPC_DEADLINE_LINGER, &is_empty) && !conn_yields(conn);
}

bool nipc__conn_attach(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (NIPC__LIKELY(!conn->is_detached))
                return true;
        conn->is_detached = false;
        if (nipc_poller_add_session(worker->poller, conn->session, conn) == 0)
                return true;
        nipc__conn_close(worker, conn);
        return false;
}

/* ---- answers to requests that were handled beside others ------------------------------------ */

/* Reads again once half of what may be in hand was answered: not one by one. */
static bool conn_unpark(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (!conn->is_full || conn->is_closing ||
            conn->n_tasks > worker->server->tasks.max_per_session / 2)
                return true;
        conn->is_full = false;
        if (nipc_poller_update_session(worker->poller, conn->session, NIPC_EVENT_IN) == 0)
                return true;
        nipc__conn_close(worker, conn);
        return false;
}

/* Answers what is finished, as long as the client takes it. */
static void conn_answer_finished(struct nipc__worker *worker, struct nipc__conn *conn)
{
        struct nipc__task *task;
        bool is_error;
        int r;

        while (conn->state == NIPC__CONN_READY && !nipc__list_is_empty(&conn->done)) {
                task = NIPC__CONTAINER_OF(conn->done.next, struct nipc__task, link);
                is_error = task->result != 0;
                r = nipc__dispatch_finish(worker, conn, task);
                nipc__task_free(task);
                (void)conn_answered(worker, conn, r, is_error);
        }
        if (conn->state != NIPC__CONN_READY)
                return;
        if (conn->is_closing && !conn->n_tasks)
                conn_close_answered(worker, conn);
        else if (conn_unpark(worker, conn) && worker->drain_ns && conn_read(worker, conn))
                conn_settle(worker, conn);
}

void nipc__conn_finished(struct nipc__worker *worker, struct nipc__task *task)
{
        struct nipc__conn *conn = task->conn;

        if (!conn) {
                nipc__task_free(task);
                return;
        }
        task->is_back = true;
        nipc__list_append(&conn->done, &task->link);
        if (conn->state == NIPC__CONN_READY)
                conn_answer_finished(worker, conn);
}

/* Returns as conn_read(). */
static bool conn_flush(struct nipc__worker *worker, struct nipc__conn *conn)
{
        int r;

        r = nipc_session_flush(conn->session, NIPC_DEADLINE_NOW);
        if (r == -EAGAIN)
                return false;
        nipc__observe_pressure_end(worker, conn);
        if (r < 0) {
                conn->error = r;
                nipc__conn_close(worker, conn);
                return false;
        }
        conn->state = NIPC__CONN_READY;
        nipc__worker_wait_for(worker, conn, NIPC__WAIT_NONE);
        if (nipc_poller_update_session(worker->poller, conn->session,
                                       conn->is_full ? 0 : NIPC_EVENT_IN) < 0)
                nipc__conn_close(worker, conn);
        else if (NIPC__UNLIKELY(conn->n_tasks || conn->is_full)) /* is_closing, too */
                conn_answer_finished(worker, conn);
        else if (worker->drain_ns)
                return conn_read(worker, conn);
        return false;
}

/* The poller names a session that it should not watch: once more than by chance, it has ended. */
static void conn_end_event(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (++conn->n_end_events < 3)
                return;
        conn->error = -ECONNRESET;
        nipc__conn_close(worker, conn);
}

void nipc__conn_event(struct nipc__worker *worker, struct nipc__conn *conn)
{
        bool is_empty = false;

        switch (conn->state) {
        case NIPC__CONN_HANDSHAKE:
                conn_handshake(worker, conn);
                if (!worker->drain_ns || conn->state != NIPC__CONN_READY)
                        return;
                is_empty = conn_read(worker, conn);
                break;
        case NIPC__CONN_READY:
                if (NIPC__UNLIKELY(conn->is_full))
                        conn_end_event(worker, conn);
                else
                        is_empty = conn_read(worker, conn);
                break;
        case NIPC__CONN_FLUSHING:
                is_empty = conn_flush(worker, conn);
                break;
        default: /* ended earlier in this turn */
                return;
        }
        if (is_empty)
                conn_settle(worker, conn);
}

void nipc__conn_timeout(struct nipc__worker *worker, struct nipc__conn *conn)
{
        if (conn->wait == NIPC__WAIT_FIRST) { /* it owes us nothing */
                nipc__conn_close(worker, conn);
                return;
        }
        if (conn->wait == NIPC__WAIT_REQUEST)
                conn_drop_request(worker);
        nipc__observe_pressure_end(worker, conn);
        nipc__observe_timeout(worker, conn);
        nipc__conn_close(worker, conn);
}
