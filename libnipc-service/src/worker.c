/* SPDX-License-Identifier: MIT */

/*
 * One loop of a managed server: waits on its poller, lets connections go on, accepts, hands new
 * clients to the worker with the least to do, and ends those that keep it waiting for too long.
 *
 * Invariants: every connection is in conns or, dead, in the graveyard, which is emptied at the end
 * of each turn; the timer is armed no later than the earliest deadline. It may be armed too early:
 * a timer that fires for nothing is cheaper than one that is moved for each request.
 */

#include <errno.h>
#include <stdlib.h>

#include "log-private.h"
#include "server-private.h"
#include "stdaux.h"

#define N_EVENTS 64u

/* Clients taken per turn, so that those we have are not forgotten over those who come. */
#define ACCEPT_BUDGET 8u

/* How long not to accept when descriptors or memory are short; chosen, not tuned. */
#define ACCEPT_PAUSE_MS 100u

/*
 * For how long at most a hand-over lets a session be that has not asked yet: its client may still
 * be busy with what it got in the handshake. Chosen, not tuned.
 */
#define FIRST_TIMEOUT_MS 100u

/* Turns in a row about one client before it is lingered with; chosen, not tuned. */
#define MIN_LONE_TURNS 8u
#define MAX_LONE_TURNS 4096u

/*
 * Requests between two looks at the poller, and how quickly they must come: 10,000 a second. Those
 * that came in less than a microsecond each, as they do through memory, are followed by a larger
 * block without a look at the clock, which would be a tenth of what they cost; chosen, not tuned.
 */
#define LONE_BLOCK       16u
#define LONE_BLOCK_NS    (LONE_BLOCK * UINT64_C(100000))
#define LONE_QUICK_BLOCK 128u
#define LONE_QUICK_NS    UINT64_C(1000)

static uint64_t wait_ns(const struct nipc_server *server, enum nipc__wait wait)
{
        const uint64_t ms[NIPC__N_WAITS] = {
                [NIPC__WAIT_HANDSHAKE] = server->config.handshake_timeout_ms,
                [NIPC__WAIT_REQUEST] = server->config.request_timeout_ms,
                [NIPC__WAIT_RESPONSE] = server->config.response_timeout_ms,
                [NIPC__WAIT_FIRST] = FIRST_TIMEOUT_MS,
        };

        return nipc_deadline_after_ms(ms[wait]);
}

void nipc__worker_wait_for(struct nipc__worker *worker, struct nipc__conn *conn,
                           enum nipc__wait wait)
{
        if (conn->wait == NIPC__WAIT_HANDSHAKE)
                worker->n_handshakes--;
        nipc__list_unlink(&conn->wait_link);
        conn->wait = (uint8_t)wait;
        if (wait == NIPC__WAIT_NONE)
                return;
        if (wait == NIPC__WAIT_HANDSHAKE)
                worker->n_handshakes++;
        conn->wait_until_ns = wait_ns(worker->server, wait);
        nipc__list_append(&worker->waits[wait], &conn->wait_link);
}

int nipc__worker_new(struct nipc_server *server, struct nipc__worker **ret_worker)
{
        struct nipc__worker *worker;
        unsigned i;
        int r;

        worker = calloc(1, sizeof(*worker));
        if (!worker)
                return -ENOMEM;
        worker->server = server;
        worker->n_lone_needed = MIN_LONE_TURNS;
        nipc__metrics_init(&worker->metrics, nipc__server_sample_every(server),
                           server->n_workers + 1);
        nipc__list_init(&worker->conns);
        nipc__list_init(&worker->graveyard);
        nipc__list_init(&worker->mail);
        nipc__list_init(&worker->finished);
        for (i = 0; i < NIPC__N_WAITS; i++)
                nipc__list_init(&worker->waits[i]);
        r = -pthread_mutex_init(&worker->mail_lock, NULL);
        if (r < 0) {
                free(worker);
                return r;
        }
        r = nipc_poller_new(&worker->poller);
        if (!r)
                r = nipc_session_buffers_new(&worker->buffers);
        if (!r)
                r = nipc__log_new(server->config.log, server->config.log_userdata, server->service,
                                  &worker->log);
        if (!r)
                r = nipc_poller_add_listener(worker->poller, server->listener, worker);
        if (r < 0) {
                nipc__worker_free(worker);
                return r;
        }
        worker->is_watching = true;
        atomic_fetch_add_explicit(&server->n_watching, 1, memory_order_relaxed);
        *ret_worker = worker;
        return 0;
}

static void worker_bury(struct nipc__worker *worker)
{
        struct nipc__list *link, *tmp;

        nipc__list_for_each_safe (link, tmp, &worker->graveyard)
                free(NIPC__CONTAINER_OF(link, struct nipc__conn, link));
        nipc__list_init(&worker->graveyard);
}

/* Stops watching the listener for good. */
static void worker_leave_listener(struct nipc__worker *worker)
{
        if (!worker->is_watching)
                return;
        if (!worker->resume_ns)
                nipc_poller_remove_listener(worker->poller, worker->server->listener);
        worker->is_watching = false;
        worker->resume_ns = 0;
        nipc__server_leave_listener(worker);
}

static void worker_adopt_mail(struct nipc__worker *worker)
{
        struct nipc__list mail, finished, *link, *tmp;

        nipc__list_init(&mail);
        nipc__list_init(&finished);
        pthread_mutex_lock(&worker->mail_lock);
        nipc__list_splice(&mail, &worker->mail);
        nipc__list_splice(&finished, &worker->finished);
        pthread_mutex_unlock(&worker->mail_lock);
        nipc__list_for_each_safe (link, tmp, &mail) {
                nipc__list_unlink(link);
                nipc__conn_adopt(worker, NIPC__CONTAINER_OF(link, struct nipc__conn, link));
        }
        while (!nipc__list_is_empty(&finished)) {
                struct nipc__task *task =
                        NIPC__CONTAINER_OF(finished.next, struct nipc__task, link);

                nipc__list_unlink(&task->link);
                nipc__conn_finished(worker, task);
        }
}

uint32_t nipc__worker_cut(struct nipc__worker *worker)
{
        struct nipc__list *link, *tmp;
        uint32_t n = 0;

        worker_adopt_mail(worker);
        nipc__list_for_each_safe (link, tmp, &worker->conns) {
                nipc__conn_close(worker, NIPC__CONTAINER_OF(link, struct nipc__conn, link));
                n++;
        }
        worker_bury(worker);
        return n;
}

void nipc__worker_end(struct nipc__worker *worker)
{
        nipc__worker_cut(worker);
        worker_leave_listener(worker);
}

void nipc__worker_silence(struct nipc__worker *worker)
{
        free(worker->log);
        worker->log = NULL;
}

struct nipc__worker *nipc__worker_free(struct nipc__worker *worker)
{
        if (!worker)
                return NULL;
        nipc__worker_end(worker);
        nipc__split_deinit(worker);
        nipc_session_buffers_free(worker->buffers);
        nipc_poller_free(worker->poller);
        pthread_mutex_destroy(&worker->mail_lock);
        free(worker->log);
        free(worker);
        return NULL;
}

/* ---- accepting ---------------------------------------------------------------------------- */

/* Nothing can be accepted now; a listener that stays readable must not make us spin. */
static void worker_pause(struct nipc__worker *worker)
{
        nipc_poller_remove_listener(worker->poller, worker->server->listener);
        worker->resume_ns = nipc_deadline_after_ms(ACCEPT_PAUSE_MS);
        worker->was_freed = false; /* what ended earlier in this turn was not enough */
}

static void worker_resume(struct nipc__worker *worker)
{
        worker->resume_ns = 0;
        if (nipc_poller_add_listener(worker->poller, worker->server->listener, worker) < 0)
                worker->resume_ns = nipc_deadline_after_ms(ACCEPT_PAUSE_MS);
}

/* The one with the least to do; on a tie this one, which is awake. */
static struct nipc__worker *worker_choose(struct nipc__worker *worker)
{
        struct nipc_server *server = worker->server;
        struct nipc__worker *best = worker;
        uint32_t i, load, least = atomic_load_explicit(&worker->load, memory_order_relaxed);

        for (i = 0; i < server->n_workers; i++) {
                load = atomic_load_explicit(&server->workers[i]->load, memory_order_relaxed);
                if (load < least) {
                        least = load;
                        best = server->workers[i];
                }
        }
        return best;
}

static void worker_post(struct nipc__worker *worker, struct nipc__conn *conn)
{
        bool was_empty;

        pthread_mutex_lock(&worker->mail_lock);
        was_empty = nipc__list_is_empty(&worker->mail);
        nipc__list_append(&worker->mail, &conn->link);
        pthread_mutex_unlock(&worker->mail_lock);
        if (was_empty)
                nipc_poller_wake(worker->poller);
}

/* Gives an accepted session to a worker. Returns 0 or -ENOMEM. */
static int worker_assign(struct nipc__worker *worker, struct nipc_session *session)
{
        struct nipc__worker *chosen = worker_choose(worker);
        struct nipc__conn *conn;

        conn = calloc(1, sizeof(*conn));
        if (!conn) {
                nipc_session_close(session);
                return -ENOMEM;
        }
        nipc__list_init(&conn->link);
        nipc__list_init(&conn->wait_link);
        nipc__list_init(&conn->tasks);
        nipc__list_init(&conn->done);
        conn->wait = NIPC__WAIT_NONE;
        conn->session = session;
        conn->state = NIPC__CONN_HANDSHAKE;
        conn->outcome = NIPC_METRICS_HANDSHAKE_FAILED; /* unless something better is known */
        atomic_fetch_add_explicit(&worker->server->n_handshakes, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&chosen->load, 1, memory_order_relaxed);
        if (chosen == worker)
                nipc__conn_adopt(worker, conn);
        else
                worker_post(chosen, conn);
        return 0;
}

/*
 * Descriptors or memory are short: the client that has been silent for longest has to go, so that
 * silent ones cannot keep out those who speak. Returns whether there was one that had its chance.
 */
static bool worker_evict(struct nipc__worker *worker)
{
        const struct nipc__list *handshakes = &worker->waits[NIPC__WAIT_HANDSHAKE];
        struct nipc__conn *oldest;
        uint64_t connected_ns;

        if (nipc__list_is_empty(handshakes))
                return false;
        oldest = NIPC__CONTAINER_OF(handshakes->next, struct nipc__conn, wait_link);
        connected_ns = oldest->wait_until_ns -
                       UINT64_C(1000000) * worker->server->config.handshake_timeout_ms;
        if (nipc_clock_now_ns() < connected_ns + UINT64_C(1000000) * ACCEPT_PAUSE_MS)
                return false;
        nipc__observe_evicted(worker, oldest);
        nipc__conn_close(worker, oldest);
        return true;
}

static void worker_accept(struct nipc__worker *worker)
{
        struct nipc_session *session;
        unsigned i;
        int r;

        for (i = 0; i < ACCEPT_BUDGET; i++) {
                r = nipc_listener_accept(worker->server->listener, NIPC_DEADLINE_NOW, &session);
                switch (r) {
                case 0:
                        r = worker_assign(worker, session);
                        if (!r)
                                nipc__observe_shortage(worker, 0);
                        break;
                case -EAGAIN:
                case -ETIMEDOUT:
                        return;
                case -EACCES:
                case -ECONNRESET:
                case -ECONNABORTED:
                        r = 0; /* that client is gone */
                        break;
                }
                if (r < 0 && !worker_evict(worker)) {
                        nipc__observe_shortage(worker, r);
                        worker_pause(worker);
                        return;
                }
        }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void worker_expire(struct nipc__worker *worker)
{
        uint64_t now_ns = nipc_clock_now_ns();
        struct nipc__conn *conn;
        unsigned i;

        for (i = 0; i < NIPC__N_WAITS; i++)
                while (!nipc__list_is_empty(&worker->waits[i])) {
                        conn = NIPC__CONTAINER_OF(worker->waits[i].next, struct nipc__conn,
                                                  wait_link);
                        if (conn->wait_until_ns > now_ns)
                                break;
                        nipc__conn_timeout(worker, conn);
                }
        if (worker->resume_ns && worker->resume_ns <= now_ns)
                worker_resume(worker);
}

/* Sets the timer if something is due before it; never moves it back. */
static void worker_arm(struct nipc__worker *worker)
{
        uint64_t due_ns = worker->resume_ns ? worker->resume_ns : UINT64_MAX;
        unsigned i;

        for (i = 0; i < NIPC__N_WAITS; i++)
                if (!nipc__list_is_empty(&worker->waits[i]))
                        due_ns = NIPC__MIN(due_ns, NIPC__CONTAINER_OF(worker->waits[i].next,
                                                                      struct nipc__conn, wait_link)
                                                           ->wait_until_ns);
        if (due_ns == UINT64_MAX || (worker->timer_ns && worker->timer_ns <= due_ns))
                return;
        if (nipc_poller_set_timer(worker->poller, due_ns) == 0)
                worker->timer_ns = due_ns;
}

/* Whether there is one client, known to ask again at once, and nothing else to do. */
static bool worker_is_lone(const struct nipc__worker *worker, uint64_t deadline_ns)
{
        if (NIPC__LIKELY(!worker->lone || worker->n_lone < worker->n_lone_needed))
                return false;
        return deadline_ns > NIPC_DEADLINE_LINGER && !worker->drain_ns && !worker->resume_ns &&
               !worker->server->tasks.max_per_session && worker->lone->state == NIPC__CONN_READY &&
               atomic_load_explicit(&worker->load, memory_order_relaxed) == 1;
}

/*
 * A client that is alone on its worker and asks again as soon as it is answered is waited for in
 * its own receive: one system call less a request than asking the poller first. Whoever else comes
 * waits for LONE_BLOCK requests, or until LONE_BLOCK_NS have passed and at most four more requests
 * or pauses of NIPC_DEADLINE_LINGER, and then the poller is asked. A client that pauses or takes
 * long over its block is not waited for like this again until it has shown for twice as long that
 * it asks at once.
 *
 * Returns whether anything was done: then nothing is to be waited for now.
 */
static bool worker_linger(struct nipc__worker *worker, uint64_t deadline_ns)
{
        const bool is_quick = worker->is_quick;
        const unsigned block = is_quick ? LONE_QUICK_BLOCK : LONE_BLOCK;
        uint64_t start_ns, took_ns;
        unsigned n;

        if (!worker_is_lone(worker, deadline_ns))
                return false;
        start_ns = nipc_clock_now_ns();
        for (n = 0; n < block && !nipc__server_flags(worker->server); n++) {
                if (!nipc__conn_linger(worker, worker->lone))
                        break;
                /* Not each time, the clock is not free; but soon, a handler may be slow. */
                if (!is_quick && n % 4 == 0 && nipc_clock_now_ns() - start_ns >= LONE_BLOCK_NS)
                        break;
        }
        took_ns = nipc_clock_now_ns() - start_ns;
        worker->is_quick = n == block && took_ns < block * LONE_QUICK_NS;
        if (n == block && took_ns < LONE_BLOCK_NS) {
                worker->n_lone_needed = MIN_LONE_TURNS;
                return true;
        }
        worker->n_lone = 0;
        worker->n_lone_needed = NIPC__MIN(worker->n_lone_needed * 2, MAX_LONE_TURNS);
        worker_arm(worker); /* it may have left half a request */
        return n > 0;
}

bool nipc__worker_lingers(const struct nipc__worker *worker)
{
        return worker->lone && worker->lone->is_detached;
}

void nipc__worker_end_linger(struct nipc__worker *worker)
{
        if (worker->lone)
                nipc__conn_attach(worker, worker->lone);
}

/* Whether this turn, like those before it, is about one client only. */
static void worker_note_lone(struct nipc__worker *worker, const struct nipc_poller_event *events,
                             int n)
{
        if (worker->lone && worker->lone->is_detached)
                return;
        if (n == 1 && events->userdata && events->userdata == worker->lone) {
                worker->n_lone++;
        } else if (n > 0) {
                worker->lone = n == 1 && events->userdata != worker ? events->userdata : NULL;
                worker->n_lone = 0;
        }
}

/*
 * Waits for events, known to be idle meanwhile; and before, runs a part of a request of another
 * worker, if there is one. One only: our own clients shall not wait for all of them.
 */
static int worker_wait(struct nipc__worker *worker, uint64_t deadline_ns,
                       struct nipc_poller_event *events)
{
        struct nipc__jobs *jobs = &worker->server->jobs;
        int n;

        if (NIPC__UNLIKELY(nipc__jobs_has_open(jobs)) && nipc__jobs_help(jobs))
                deadline_ns = NIPC_DEADLINE_NOW;
        /* Relaxed: see wake_idle(). */
        atomic_store_explicit(&worker->is_idle, deadline_ns > NIPC_DEADLINE_SPIN,
                              memory_order_relaxed);
        n = nipc_poller_wait(worker->poller, deadline_ns, events, N_EVENTS);
        atomic_store_explicit(&worker->is_idle, false, memory_order_relaxed);
        return n;
}

int nipc__worker_turn(struct nipc__worker *worker, uint64_t deadline_ns)
{
        struct nipc_poller_event events[N_EVENTS];
        bool has_client = false, has_mail = false, has_timer = false;
        int i, n;

        if (NIPC__UNLIKELY(worker_linger(worker, deadline_ns)))
                deadline_ns = NIPC_DEADLINE_SPIN; /* see to the others when it is time */
        else if (!worker_is_lone(worker, deadline_ns))
                nipc__worker_end_linger(worker); /* who is not lingered with must be watched */
        n = worker_wait(worker, deadline_ns, events);
        if (NIPC__UNLIKELY(n < 0))
                return n;
        nipc__metrics_begin_turn(&worker->metrics, n);
        worker->n_events = n;
        worker_note_lone(worker, events, n);
        for (i = 0; i < n; i++) {
                if (NIPC__UNLIKELY(!events[i].userdata)) {
                        has_mail |= !!(events[i].events & NIPC_EVENT_WAKE);
                        has_timer |= !!(events[i].events & NIPC_EVENT_TIMER);
                } else if (NIPC__UNLIKELY(events[i].userdata == worker)) {
                        has_client = true;
                } else if (NIPC__LIKELY(!(nipc__server_flags(worker->server) & NIPC__STOP)) ||
                           worker->drain_ns) {
                        nipc__conn_event(worker, events[i].userdata);
                }
        }
        if (NIPC__UNLIKELY(has_mail))
                worker_adopt_mail(worker);
        if (NIPC__UNLIKELY(has_timer)) {
                worker->timer_ns = 0;
                worker_expire(worker);
        }
        /* After those who left: a full server may have room again. */
        if (NIPC__UNLIKELY(has_client) && worker->is_watching && !worker->resume_ns)
                worker_accept(worker);
        if (NIPC__UNLIKELY(!nipc__list_is_empty(&worker->graveyard)))
                worker_bury(worker);
        if (NIPC__UNLIKELY(worker->was_freed && worker->resume_ns))
                worker_resume(worker);
        worker->was_freed = false;
        worker_arm(worker);
        return 0;
}

/*
 * There is a successor: first of all nobody here accepts any more, while all goes on as before. Who
 * loses his session afterwards, and connects again, does not find one that is about to end, too.
 */
static void worker_leave_to_successor(struct nipc__worker *worker, uint64_t deadline_ns)
{
        const struct nipc_server *server = worker->server;

        worker_leave_listener(worker);
        /* Pairs with the release of those who left: what they sent is in the mail. */
        while (atomic_load_explicit(&server->n_watching, memory_order_acquire) &&
               nipc_clock_now_ns() < deadline_ns && nipc__worker_turn(worker, deadline_ns) == 0)
                ;
}

void nipc__worker_drain(struct nipc__worker *worker, uint64_t deadline_ns)
{
        struct nipc__list *link, *tmp;
        struct nipc__conn *conn;
        uint32_t n_cut;

        if (worker->server->is_handed_over)
                worker_leave_to_successor(worker, deadline_ns);
        worker->drain_ns = deadline_ns;
        nipc__worker_end_linger(worker);
        worker_leave_listener(worker);
        worker_adopt_mail(worker);
        nipc__list_for_each_safe (link, tmp, &worker->conns) {
                conn = NIPC__CONTAINER_OF(link, struct nipc__conn, link);
                if (conn->state == NIPC__CONN_HANDSHAKE && !worker->server->is_handed_over)
                        nipc__conn_close(worker, conn);
                else if (!conn->is_full) /* else it goes on when something is finished */
                        nipc__conn_event(worker, conn);
        }
        worker_bury(worker);
        worker->timer_ns = 0; /* a turn that was cut short may have dropped its event */
        worker_arm(worker);
        while (!nipc__list_is_empty(&worker->conns) && nipc_clock_now_ns() < deadline_ns)
                if (nipc__worker_turn(worker, deadline_ns) < 0)
                        break;
        n_cut = nipc__worker_cut(worker);
        if (n_cut)
                atomic_fetch_add_explicit(&worker->server->n_cut, n_cut, memory_order_relaxed);
}
