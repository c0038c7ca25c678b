/* SPDX-License-Identifier: MIT */

/*
 * A poller on Windows: a completion port, which is its pollable handle, for any number of sessions.
 * A session that is watched has a read under way; when it ends the port says so. What the port says
 * is a hint only, that may be late or about another read: what there is, the pipe tells.
 *
 * Sessions that had something are hot: they are looked at again by the next wait, which starts the
 * next read. So readiness is a level.
 *
 * A pipe belongs to the port it was first watched by for as long as it is open. Its place there is
 * the poller's memory, so that a late hint finds nothing or somebody else, never memory that is
 * free. A pipe that is watched by another poller later is waited for by its event, as listeners
 * are: of those there may be few.
 *
 * Sessions in memory stay hot as long as there is no reason to sleep. Before we do they are armed:
 * their peer sets an event. The events of a few are waited for beside the port; all others', and
 * all if the port is polled, by the system's thread pool, which posts a hint. Those that have no
 * event (SHM_BUSYWAIT) stay hot: they are looked at all the time at first, and every millisecond
 * when nothing comes.
 *
 * What a foreign loop polls is the port. Listeners and the timer speak through it with the help of
 * the system's thread pool, if somebody asked for the port.
 */

#include "listener-private.h"
#include "pipe.h"
#include "session-list.h"
#include "shm.h"
#include "spin.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <pthread.h>

#define MAX_LISTENERS 8
#define MAX_EVENTS    (MAXIMUM_WAIT_OBJECTS - 1)
#define MAX_DIRECT    16 /* sessions in memory whose event we wait for ourselves */
#define MAX_STRANGERS (MAX_EVENTS - MAX_LISTENERS - MAX_DIRECT)
#define BATCH         64

#define BUSY_PAUSE_MS 1u /* of sessions without an event, see NIPC__SHM_BUSY_NS */

struct listener_slot {
        const struct nipc_listener *listener;
        void *userdata;
        HANDLE pool_wait; /* while somebody polls the port; NULL: none is registered */
};

/* A pipe's place at a port: its completion key. */
struct nipc__pipe_watch {
        struct nipc_poller *poller;
        struct nipc__pipe *pipe;      /* NULL: free */
        struct nipc_session *session; /* NULL: not watched now */
        struct nipc__pipe_watch *next_free;
        struct nipc__pipe_watch *next; /* all of the poller's */
};

struct nipc_poller {
        HANDLE port;
        struct listener_slot listeners[MAX_LISTENERS];
        pthread_mutex_t lock; /* of the places: sessions may be closed by other threads */
        struct nipc__pipe_watch *watches;
        struct nipc__pipe_watch *free_watches;
        struct nipc_session *hot;    /* circular, NULL when there is none */
        struct nipc_session *direct; /* armed, likewise; their events are ours to wait for */
        uint32_t n_direct;
        struct nipc__spinner spinner;
        uint64_t busy_until_ns;                        /* of sessions without an event */
        bool has_busy;                                 /* there are, or were, such sessions */
        struct nipc_session *strangers[MAX_STRANGERS]; /* of other ports */
        uint32_t n_strangers;
        uint64_t timer_ns; /* 0: none */
        HANDLE pool_timer;
        uint64_t n_batches;
        atomic_bool is_woken;
        bool was_full; /* of hot sessions: all else has its turn first */
        bool was_cut;  /* not all was looked at: no sleep before it is */
        bool is_polled;
};

static void post_hint(struct nipc_poller *poller)
{
        PostQueuedCompletionStatus(poller->port, 0, 0, NULL);
}

NIPC__EXPORT int nipc_poller_new(struct nipc_poller **ret_poller)
{
        struct nipc_poller *poller;

        if (!ret_poller)
                return -EINVAL;
        poller = calloc(1, sizeof(*poller));
        if (!poller)
                return -ENOMEM;
        if (pthread_mutex_init(&poller->lock, NULL)) {
                free(poller);
                return -ENOMEM;
        }
        nipc__shm_spinner_init(&poller->spinner);
        poller->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
        if (!poller->port) {
                pthread_mutex_destroy(&poller->lock);
                free(poller);
                return -EMFILE;
        }
        *ret_poller = poller;
        return 0;
}

/* Both wait for a callback that runs. */
static void end_pool_wait(struct listener_slot *slot)
{
        if (slot->pool_wait)
                UnregisterWaitEx(slot->pool_wait, INVALID_HANDLE_VALUE);
        slot->pool_wait = NULL;
}

static void end_pool_timer(struct nipc_poller *poller)
{
        if (poller->pool_timer)
                (void)DeleteTimerQueueTimer(NULL, poller->pool_timer, INVALID_HANDLE_VALUE);
        poller->pool_timer = NULL;
}

NIPC__EXPORT struct nipc_poller *nipc_poller_free(struct nipc_poller *poller)
{
        struct nipc__pipe_watch *watch, *next;
        size_t i;

        if (!poller)
                return NULL;
        for (i = 0; i < MAX_LISTENERS; i++)
                end_pool_wait(&poller->listeners[i]);
        end_pool_timer(poller);
        for (watch = poller->watches; watch; watch = next) {
                next = watch->next;
                if (watch->session && watch->session->watch.has_bell)
                        nipc__shm_ring_at(watch->session, NULL, NULL);
                if (watch->pipe)
                        watch->pipe->watch = NULL;
                free(watch);
        }
        for (i = 0; i < poller->n_strangers; i++)
                if (poller->strangers[i]->watch.has_bell)
                        nipc__shm_ring_at(poller->strangers[i], NULL, NULL);
        CloseHandle(poller->port);
        pthread_mutex_destroy(&poller->lock);
        free(poller);
        return NULL;
}

NIPC__EXPORT bool nipc_poller_is_inherited(const struct nipc_poller *poller)
{
        return false;
}

/* ---- places --------------------------------------------------------------------------------- */

static struct nipc__pipe_watch *take_watch(struct nipc_poller *poller)
{
        struct nipc__pipe_watch *watch;

        pthread_mutex_lock(&poller->lock);
        watch = poller->free_watches;
        if (watch) {
                poller->free_watches = watch->next_free;
        } else {
                watch = calloc(1, sizeof(*watch));
                if (watch) {
                        watch->poller = poller;
                        watch->next = poller->watches;
                        poller->watches = watch;
                }
        }
        pthread_mutex_unlock(&poller->lock);
        return watch;
}

static void give_watch(struct nipc__pipe_watch *watch)
{
        struct nipc_poller *poller = watch->poller;

        pthread_mutex_lock(&poller->lock);
        watch->pipe = NULL;
        watch->session = NULL;
        watch->next_free = poller->free_watches;
        poller->free_watches = watch;
        pthread_mutex_unlock(&poller->lock);
}

void nipc__pipe_unwatch(struct nipc__pipe *pipe)
{
        give_watch(pipe->watch);
        pipe->watch = NULL;
}

static int add_stranger(struct nipc_poller *poller, struct nipc_session *session)
{
        if (poller->n_strangers == NIPC__ARRAY_SIZE(poller->strangers))
                return -ENOSPC;
        poller->strangers[poller->n_strangers++] = session;
        return 0;
}

/* Gives a pipe its place at our port. */
static int add_pipe(struct nipc_poller *poller, struct nipc_session *session)
{
        struct nipc__pipe *pipe = session->link.pipe;
        struct nipc__pipe_watch *watch = pipe->watch;

        if (watch && watch->poller == poller) {
                watch->session = session;
                return 0;
        }
        if (watch) /* of another poller */
                return add_stranger(poller, session);
        watch = take_watch(poller);
        if (!watch)
                return -ENOMEM;
        if (!CreateIoCompletionPort(pipe->handle, poller->port, (ULONG_PTR)watch, 0)) {
                give_watch(watch);
                return add_stranger(poller, session); /* of one that is gone */
        }
        watch->pipe = pipe;
        watch->session = session;
        pipe->watch = watch;
        return 0;
}

static void remove_pipe(struct nipc_poller *poller, struct nipc_session *session)
{
        struct nipc__pipe_watch *watch = session->link.pipe->watch;
        uint32_t i;

        if (watch && watch->poller == poller)
                watch->session = NULL;
        for (i = 0; i < poller->n_strangers; i++)
                if (poller->strangers[i] == session)
                        poller->strangers[i--] = poller->strangers[--poller->n_strangers];
}

/* ---- hot sessions --------------------------------------------------------------------------- */

/* Off either list. */
static void forget(struct nipc_poller *poller, struct nipc_session *session)
{
        struct nipc__watch *watch = &session->watch;

        if (watch->is_hot)
                nipc__session_list_remove(&poller->hot, session);
        if (watch->is_cold) {
                nipc__session_list_remove(&poller->direct, session);
                poller->n_direct--;
        }
        watch->is_hot = watch->is_cold = false;
}

static void heat(struct nipc_poller *poller, struct nipc_session *session)
{
        if (session->watch.is_hot)
                return;
        forget(poller, session);
        if (session->watch.is_in_memory)
                session->plane->disarm(session);
        session->watch.is_hot = true;
        nipc__session_list_append(&poller->hot, session);
}

/* What there is of what the session waits for. If nothing, the port will say when there is. */
static uint32_t look(struct nipc_session *session)
{
        struct nipc__pipe *pipe = session->link.pipe;
        uint32_t events = session->watch.events, there = 0;
        bool is_written;

        if (session->watch.is_in_memory)
                return session->plane->look(session, events);
        is_written = !pipe->is_writing || HasOverlappedIoCompleted(&pipe->write);
        if ((events & NIPC_EVENT_IN) && nipc__pipe_look(pipe))
                there |= NIPC_EVENT_IN;
        if ((events & NIPC_EVENT_OUT) && is_written)
                there |= NIPC_EVENT_OUT;
        return there;
}

/* Looks once at each. Pipes that have nothing cool down. Returns how many events there are. */
static int look_at_hot(struct nipc_poller *poller, struct nipc_poller_event *events, int max_events)
{
        struct nipc_session *session = poller->hot, *last, *next;
        uint32_t there;
        int n = 0;

        if (!session)
                return 0;
        last = session->watch.prev;
        for (;; session = next) {
                next = session->watch.next;
                there = look(session);
                if (there)
                        n = nipc__watch_add_event(&session->watch, poller->n_batches, there, events,
                                                  n);
                else if (!session->watch.is_in_memory)
                        forget(poller, session);
                if (n == max_events && poller->hot)
                        poller->hot = next; /* the others first, next time */
                if (session == last || n == max_events)
                        return n;
        }
}

/* ---- sessions in memory --------------------------------------------------------------------- */

static bool is_in_memory(const struct nipc_session *session)
{
        return session->plane && session->plane->look;
}

static bool has_hot_event(const void *arg)
{
        const struct nipc_poller *poller = arg;
        struct nipc_session *session = poller->hot;

        do {
                if (look(session))
                        return true;
                session = session->watch.next;
        } while (session != poller->hot);
        return false;
}

/* Before we sleep: somebody must tell us. Returns what has come already; then nobody does. */
static uint32_t arm(struct nipc_poller *poller, struct nipc_session *session)
{
        struct nipc__watch *watch = &session->watch;
        struct nipc__pipe_watch *place = session->link.pipe->watch;
        uint32_t there = session->plane->arm(session, watch->events);

        if (there)
                return there;
        if (session->plane->get_bell(session) < 0) {
                poller->has_busy = true;
                return 0; /* nobody does: it stays hot */
        }
        /* One who asked for the session's descriptor has a bell: the event wakes one of us only. */
        if (poller->is_polled || poller->n_direct == MAX_DIRECT || session->shm->bell.pool_wait)
                watch->has_bell = true;
        if (watch->has_bell) {
                if (place && place->poller != poller)
                        place = NULL; /* a stranger: all of them are looked at */
                if (nipc__shm_ring_at(session, poller->port, place) == 0)
                        forget(poller, session);
                return 0;
        }
        forget(poller, session);
        watch->is_cold = true;
        nipc__session_list_append(&poller->direct, session);
        poller->n_direct++;
        return 0;
}

/* Arms what is hot. Returns how many of them have something already. */
static int arm_hot(struct nipc_poller *poller, struct nipc_poller_event *events, int max_events)
{
        struct nipc_session *session = poller->hot, *last, *next;
        uint32_t there;
        int n = 0;

        if (!session)
                return 0;
        last = session->watch.prev;
        for (;; session = next) {
                next = session->watch.next;
                there = arm(poller, session);
                if (there)
                        n = nipc__watch_add_event(&session->watch, poller->n_batches, there, events,
                                                  n);
                if (session == last || n == max_events || (n > 0 && !poller->is_polled))
                        return n;
        }
}

/* Whether one without an event has something, or it is time to ask the system again. */
static bool look_busily(struct nipc_poller *poller)
{
        const uint64_t until_ns = nipc_clock_now_ns() + NIPC__SHM_LOOK_NS;
        const uint32_t looks_per_yield = poller->hot->shm->channel.looks_per_yield;
        uint32_t i;

        do {
                for (i = 0; i < looks_per_yield; i++) {
                        if (has_hot_event(poller))
                                return true;
                        nipc__spin_pause();
                }
                SwitchToThread();
                /* Pairs with the exchange in nipc_poller_wake(). */
        } while (nipc_clock_now_ns() < until_ns && !atomic_load(&poller->is_woken));
        return false;
}

/* Sessions in memory have nothing. Returns how many have when it may be time to sleep. */
static int wait_hot(struct nipc_poller *poller, struct nipc_poller_event *events, int max_events)
{
        int n;

        if (!poller->is_polled &&
            nipc__spin(&poller->spinner, has_hot_event, poller, NIPC__SPIN_UNKNOWN_CPU))
                return look_at_hot(poller, events, max_events);
        n = arm_hot(poller, events, max_events);
        if (n == 0 && poller->hot && nipc_clock_now_ns() < poller->busy_until_ns &&
            look_busily(poller))
                n = look_at_hot(poller, events, max_events);
        return n;
}

/* Of those whose events we wait for ourselves. n: events there are already. */
static int look_at_direct(struct nipc_poller *poller, struct nipc_poller_event *events, int n,
                          int max_events)
{
        struct nipc_session *session = poller->direct, *next;
        uint32_t there;

        for (uint32_t i = poller->n_direct; i && n < max_events; i--, session = next) {
                next = session->watch.next;
                there = look(session);
                if (!there)
                        continue;
                heat(poller, session);
                n = nipc__watch_add_event(&session->watch, poller->n_batches, there, events, n);
        }
        return n;
}

static void heat_direct(struct nipc_poller *poller)
{
        while (poller->direct)
                heat(poller, poller->direct);
}

/* ---- for whoever polls the port ------------------------------------------------------------- */

static VOID CALLBACK on_pool(PVOID userdata, BOOLEAN timed_out)
{
        post_hint(userdata);
}

/* So that the port says what it does not know by itself, or knows no more. */
static void show(struct nipc_poller *poller)
{
        struct nipc_poller_event events[1];
        uint64_t due_ns = poller->timer_ns, now;
        size_t i;

        poller->n_batches++;
        heat_direct(poller);
        if (look_at_hot(poller, events, 1) > 0 || arm_hot(poller, events, 1) > 0 || poller->was_cut)
                post_hint(poller);
        for (i = 0; i < MAX_LISTENERS; i++) {
                struct listener_slot *slot = &poller->listeners[i];

                end_pool_wait(slot);
                if (slot->listener &&
                    !RegisterWaitForSingleObject(&slot->pool_wait, slot->listener->os.event,
                                                 on_pool, poller, INFINITE,
                                                 WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD))
                        slot->pool_wait = NULL;
        }
        end_pool_timer(poller);
        if (!due_ns && !poller->hot)
                return;
        now = nipc_clock_now_ns();
        if (poller->hot) /* has no event, and must be looked at */
                due_ns = NIPC__MIN(due_ns ? due_ns : NIPC_DEADLINE_NEVER,
                                   nipc_deadline_after_ms(BUSY_PAUSE_MS));
        if (!CreateTimerQueueTimer(&poller->pool_timer, NULL, on_pool, poller,
                                   now < due_ns ? nipc__deadline_to_wait_ms(due_ns) : 0, 0,
                                   WT_EXECUTEONLYONCE | WT_EXECUTEINTIMERTHREAD))
                poller->pool_timer = NULL;
}

NIPC__EXPORT int nipc_poller_get_fd(const struct nipc_poller *poller)
{
        struct nipc_poller *self = (struct nipc_poller *)(uintptr_t)poller;

        if (!self)
                return -EINVAL;
        self->is_polled = true;
        show(self);
        return (int)(intptr_t)self->port;
}

/* ---- sessions ------------------------------------------------------------------------------- */

NIPC__EXPORT int nipc_poller_add_session(struct nipc_poller *poller, struct nipc_session *session,
                                         void *userdata)
{
        int r;

        if (!poller || !session || !userdata)
                return -EINVAL;
        if (session->watch.active)
                return -EEXIST;
        if (!session->link.pipe)
                return -EBADF;
        r = add_pipe(poller, session);
        if (r < 0)
                return r;
        session->watch = (struct nipc__watch){.userdata = userdata,
                                              .events = nipc__session_get_events(session),
                                              .active = true,
                                              .is_in_memory = is_in_memory(session),
                                              .poller = poller};
        heat(poller, session);
        if (poller->is_polled)
                show(poller);
        return 0;
}

NIPC__EXPORT int nipc_poller_update_session(struct nipc_poller *poller,
                                            struct nipc_session *session, uint32_t events)
{
        bool in_memory;

        if (!poller || !session || !session->watch.active)
                return -EINVAL;
        in_memory = is_in_memory(session);
        if (events == session->watch.events && in_memory == session->watch.is_in_memory)
                return 0;
        session->watch.events = events;
        session->watch.is_in_memory = in_memory;
        heat(poller, session);
        if (poller->is_polled)
                show(poller);
        return 0;
}

NIPC__EXPORT void nipc_poller_remove_session(struct nipc_poller *poller,
                                             struct nipc_session *session)
{
        if (!poller || !session || !session->watch.active)
                return;
        session->watch.active = false;
        forget(poller, session);
        remove_pipe(poller, session);
        if (session->watch.has_bell)
                nipc__shm_ring_at(session, NULL, NULL);
        if (session->watch.is_in_memory)
                session->plane->disarm(session);
}

void nipc__poller_look_again(struct nipc_session *session)
{
        struct nipc_poller *poller = session->watch.poller;

        heat(poller, session);
        if (poller->is_polled)
                show(poller);
}

/* ---- listeners and the timer ---------------------------------------------------------------- */

NIPC__EXPORT int nipc_poller_add_listener(struct nipc_poller *poller,
                                          struct nipc_listener *listener, void *userdata)
{
        struct listener_slot *slot = NULL;

        if (!poller || !listener || !userdata)
                return -EINVAL;
        for (size_t i = 0; i < MAX_LISTENERS; i++) {
                if (poller->listeners[i].listener == listener)
                        return -EEXIST;
                if (!poller->listeners[i].listener && !slot)
                        slot = &poller->listeners[i];
        }
        if (!slot)
                return -ENOSPC;
        *slot = (struct listener_slot){listener, userdata, NULL};
        if (poller->is_polled)
                show(poller);
        return 0;
}

NIPC__EXPORT void nipc_poller_remove_listener(struct nipc_poller *poller,
                                              struct nipc_listener *listener)
{
        if (!poller || !listener)
                return;
        for (size_t i = 0; i < MAX_LISTENERS; i++) {
                if (poller->listeners[i].listener != listener)
                        continue;
                end_pool_wait(&poller->listeners[i]);
                poller->listeners[i] = (struct listener_slot){0};
        }
}

NIPC__EXPORT int nipc_poller_set_timer(struct nipc_poller *poller, uint64_t deadline_ns)
{
        if (!poller)
                return -EINVAL;
        poller->timer_ns = deadline_ns == NIPC_DEADLINE_NEVER ? 0 : deadline_ns;
        if (poller->is_polled)
                show(poller);
        return 0;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int tell(struct nipc_poller *poller, struct nipc_session *session,
                struct nipc_poller_event *events, int n)
{
        uint32_t there = look(session);

        if (!there)
                return n;
        heat(poller, session);
        return nipc__watch_add_event(&session->watch, poller->n_batches, there, events, n);
}

/* What the port has. Returns how many events there are then. */
static int take_hints(struct nipc_poller *poller, DWORD timeout_ms,
                      struct nipc_poller_event *events, int n, int max_events)
{
        OVERLAPPED_ENTRY hints[BATCH];
        ULONG k = 0, i;

        if (!GetQueuedCompletionStatusEx(poller->port, hints, (ULONG)(max_events - n), &k,
                                         timeout_ms, FALSE))
                return n;
        for (i = 0; i < k; i++) {
                struct nipc__pipe_watch *watch = (void *)hints[i].lpCompletionKey;

                if (watch && watch->session)
                        n = tell(poller, watch->session, events, n);
        }
        return n;
}

/*
 * Events of their own: the port first, listeners, strangers, sessions in memory. Returns how many
 * handles.
 */
static DWORD gather_handles(struct nipc_poller *poller, HANDLE handles[MAXIMUM_WAIT_OBJECTS])
{
        struct nipc_session *session;
        DWORD n = 0;
        uint32_t i;

        handles[n++] = poller->port;
        for (i = 0; i < MAX_LISTENERS; i++)
                if (poller->listeners[i].listener)
                        handles[n++] = poller->listeners[i].listener->os.event;
        for (i = 0; i < poller->n_strangers; i++) {
                session = poller->strangers[i];
                if (session->watch.is_hot || !session->watch.events)
                        continue;
                handles[n++] = session->watch.events & NIPC_EVENT_OUT
                                       ? session->link.pipe->write.hEvent
                                       : session->link.pipe->read.hEvent;
        }
        session = poller->direct;
        for (i = 0; i < poller->n_direct; i++, session = session->watch.next)
                handles[n++] = session->shm->channel.rx_event;
        return n;
}

static int look_at_listeners(struct nipc_poller *poller, struct nipc_poller_event *events, int n,
                             int max_events)
{
        for (size_t i = 0; i < MAX_LISTENERS && n < max_events; i++) {
                struct listener_slot *slot = &poller->listeners[i];

                if (slot->listener &&
                    WaitForSingleObject(slot->listener->os.event, 0) == WAIT_OBJECT_0)
                        events[n++] = (struct nipc_poller_event){slot->userdata, NIPC_EVENT_IN};
        }
        return n;
}

static int look_at_rest(struct nipc_poller *poller, struct nipc_poller_event *events, int n,
                        int max_events)
{
        uint32_t i;

        for (i = 0; i < poller->n_strangers && n < max_events; i++)
                if (!poller->strangers[i]->watch.is_hot)
                        n = tell(poller, poller->strangers[i], events, n);
        n = look_at_direct(poller, events, n, max_events);
        n = look_at_listeners(poller, events, n, max_events);
        /* Pairs with the store in nipc_poller_wake(). */
        if (n < max_events && atomic_exchange(&poller->is_woken, false))
                events[n++] = (struct nipc_poller_event){NULL, NIPC_EVENT_WAKE};
        if (n < max_events && poller->timer_ns && nipc_clock_now_ns() >= poller->timer_ns) {
                poller->timer_ns = 0;
                events[n++] = (struct nipc_poller_event){NULL, NIPC_EVENT_TIMER};
        }
        return n;
}

/* How long to sleep at most. */
static DWORD get_timeout(const struct nipc_poller *poller, uint64_t deadline_ns)
{
        DWORD timeout_ms;

        if (deadline_ns <= NIPC_DEADLINE_SPIN)
                return 0;
        timeout_ms = nipc__deadline_to_wait_ms(
                poller->timer_ns ? NIPC__MIN(poller->timer_ns, deadline_ns) : deadline_ns);
        if (!poller->hot)
                return timeout_ms;
        return nipc_clock_now_ns() < poller->busy_until_ns ? 0
                                                           : NIPC__MIN(timeout_ms, BUSY_PAUSE_MS);
}

static int wait_once(struct nipc_poller *poller, uint64_t deadline_ns,
                     struct nipc_poller_event *events, int max_events)
{
        HANDLE handles[MAXIMUM_WAIT_OBJECTS];
        DWORD timeout_ms, n_handles;
        int n;

        poller->n_batches++;
        if (poller->was_full) {
                poller->was_full = false;
                n = take_hints(poller, 0, events, 0, max_events);
                if (n < max_events)
                        n = look_at_rest(poller, events, n, max_events);
                if (n > 0) {
                        poller->was_cut |= n == max_events;
                        return n;
                }
        }
        n = look_at_hot(poller, events, max_events);
        if (n == 0 && poller->hot && deadline_ns > NIPC_DEADLINE_SPIN)
                n = wait_hot(poller, events, max_events);
        poller->was_full = n == max_events;
        if (n > 0 && poller->has_busy)
                poller->busy_until_ns = nipc_clock_now_ns() + NIPC__SHM_BUSY_NS;
        if (poller->was_full)
                return n;
        timeout_ms = n || poller->was_cut ? 0 : get_timeout(poller, deadline_ns);
        n_handles = gather_handles(poller, handles);
        if (timeout_ms && n_handles > 1) {
                WaitForMultipleObjects(n_handles, handles, FALSE, timeout_ms);
                timeout_ms = 0;
        }
        n = take_hints(poller, timeout_ms, events, n, max_events);
        if (n < max_events)
                n = look_at_rest(poller, events, n, max_events);
        /* What told of those that were left out is taken already, and comes once. */
        poller->was_cut = n == max_events;
        return n;
}

NIPC__EXPORT int nipc_poller_wait(struct nipc_poller *poller, uint64_t deadline_ns,
                                  struct nipc_poller_event *events, size_t max_events)
{
        int max, n;

        if (!poller || !events || !max_events)
                return -EINVAL;
        max = (int)NIPC__MIN(max_events, (size_t)BATCH);
        do {
                n = wait_once(poller, deadline_ns, events, max);
        } while (n == 0 && deadline_ns > NIPC_DEADLINE_SPIN && nipc_clock_now_ns() < deadline_ns);
        if (poller->is_polled)
                show(poller);
        return n;
}

NIPC__EXPORT void nipc_poller_wake(struct nipc_poller *poller)
{
        int saved = errno;

        if (!poller)
                return;
        /* One hint is enough for all who wake. Pairs with the exchange in look_at_rest(). */
        if (!atomic_exchange(&poller->is_woken, true))
                post_hint(poller);
        errno = saved;
}
