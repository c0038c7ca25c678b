/* SPDX-License-Identifier: MIT */

/*
 * A poller on Linux: one epoll instance, which is its pollable descriptor, with an eventfd to wake
 * it and a timerfd for its timer. Registrations live in the watched sessions, so that adding one
 * allocates nothing; listeners, of which there are few, have a slot each.
 *
 * What epoll reports is told apart by the pointer it carries: our own eventfd and timerfd point at
 * members of the poller, listeners at their slot, everything else is a session.
 */

#include "news.h"
#include "session-list.h"
#include "spin.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_LISTENERS 8
#define BATCH         64

struct listener_slot {
        const struct nipc_listener *listener;
        void *userdata;
};

/*
 * While sessions in memory keep the poller busy the kernel is asked now and then whether there is
 * anything else: so often, after so many turns of our own between two looks at the clock. When that
 * has gone on for a while the kernel is asked to write its news to memory instead, see news.h;
 * where it cannot it is asked more rarely. Chosen, not tuned.
 */
#define ASK_INTERVAL_NS  UINT64_C(100000)
#define ASK_INTERVAL_MAX UINT64_C(2000000)
#define TURNS_PER_CLOCK  16u
#define ASKS_BEFORE_NEWS 8u

/* Where yielding is no use it is tried once in so many; chosen, not tuned. */
#define YIELD_PROBE 16u

struct nipc_poller {
        int epoll_fd;
        int wake_fd;
        int timer_fd;
        struct listener_slot listeners[MAX_LISTENERS];

        /*
         * Sessions whose messages come through memory and that are not armed: nobody but us will
         * notice what comes. Those that had something are put behind those that had not.
         */
        struct nipc_session *hot; /* circular, NULL when there is none */
        /* And those that are armed: the kernel tells of them. */
        struct nipc_session *cold;
        uint32_t n_cold;
        uint8_t yield_score; /* share of yields that brought something, of NIPC__SPIN_FULL */
        uint8_t yield_skip;
        struct nipc__spinner spinner;
        struct nipc__news news;
        uint64_t asked_ns; /* when the kernel was asked last while we were busy */
        uint64_t ask_interval_ns;
        uint32_t n_asks;
        uint32_t n_turns;
        uint64_t n_batches;   /* waits so far: which events belong together */
        atomic_bool is_woken; /* by nipc_poller_wake(), and not by ourselves */
        bool has_memory;      /* there are, or were, sessions in memory */
        struct nipc__fork_mark made_by;
        bool is_polled; /* by the caller: he sees what the kernel sees, so all must be armed */
};

static uint32_t to_epoll(uint32_t events)
{
        return (events & NIPC_EVENT_IN ? EPOLLIN | EPOLLRDHUP : 0) |
               (events & NIPC_EVENT_OUT ? (uint32_t)EPOLLOUT : 0);
}

/* A hang-up is something to receive, and to find out about when sending. */
static uint32_t from_epoll(uint32_t events)
{
        uint32_t out = 0;

        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                out |= NIPC_EVENT_IN;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                out |= NIPC_EVENT_OUT;
        return out;
}

static int add_fd(struct nipc_poller *poller, int fd, uint32_t events, void *ptr)
{
        struct epoll_event event = {.events = events, .data.ptr = ptr};

        return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

NIPC__EXPORT int nipc_poller_new(struct nipc_poller **ret_poller)
{
        struct nipc_poller *poller;
        int r = 0;

        if (!ret_poller)
                return -EINVAL;
        poller = calloc(1, sizeof(*poller));
        if (!poller)
                return -ENOMEM;
        if (nipc__fork_mark_init(&poller->made_by) < 0) {
                free(poller);
                return -ENOMEM;
        }
        poller->wake_fd = poller->timer_fd = -1;
        poller->ask_interval_ns = ASK_INTERVAL_NS;
        nipc__spinner_init(&poller->spinner, NIPC__SPIN_SERVER_NS);
        poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (poller->epoll_fd >= 0)
                poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (poller->wake_fd >= 0)
                poller->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (poller->timer_fd < 0)
                r = -errno;
        if (r == 0)
                r = add_fd(poller, poller->wake_fd, EPOLLIN, &poller->wake_fd);
        if (r == 0)
                r = add_fd(poller, poller->timer_fd, EPOLLIN, &poller->timer_fd);
        if (r < 0) {
                nipc_poller_free(poller);
                return r;
        }
        *ret_poller = poller;
        return 0;
}

NIPC__EXPORT struct nipc_poller *nipc_poller_free(struct nipc_poller *poller)
{
        if (!poller)
                return NULL;
        nipc__news_close(&poller->news);
        if (poller->timer_fd >= 0)
                close(poller->timer_fd);
        if (poller->wake_fd >= 0)
                close(poller->wake_fd);
        if (poller->epoll_fd >= 0)
                close(poller->epoll_fd);
        free(poller);
        return NULL;
}

NIPC__EXPORT bool nipc_poller_is_inherited(const struct nipc_poller *poller)
{
        return poller && nipc__fork_is_inherited(&poller->made_by);
}

/* ---- sessions in memory --------------------------------------------------------------------- */

/* Off either list. */
static void forget(struct nipc_poller *poller, struct nipc_session *session)
{
        if (session->watch.is_hot)
                nipc__session_list_remove(&poller->hot, session);
        if (session->watch.is_cold) {
                nipc__session_list_remove(&poller->cold, session);
                poller->n_cold--;
        }
        session->watch.is_hot = session->watch.is_cold = false;
}

static void heat(struct nipc_poller *poller, struct nipc_session *session)
{
        if (session->watch.is_hot)
                return;
        forget(poller, session);
        session->watch.is_hot = true;
        poller->has_memory = true;
        nipc__session_list_append(&poller->hot, session);
}

static void cool(struct nipc_poller *poller, struct nipc_session *session)
{
        forget(poller, session);
        session->watch.is_cold = true;
        nipc__session_list_append(&poller->cold, session);
        poller->n_cold++;
}

/*
 * Where one in so many rang, or more than can be told at once, all are worth a look: to look at a
 * session and to arm it again is some hundred nanoseconds, a doorbell of both sides is
 * microseconds. Chosen, not tuned.
 */
#define SESSIONS_PER_BELL 8u

static void heat_all(struct nipc_poller *poller)
{
        while (poller->cold) {
                struct nipc_session *session = poller->cold;

                session->plane->disarm(session);
                heat(poller, session);
        }
}

static bool has_hot_event(const void *arg)
{
        const struct nipc_poller *poller = arg;
        struct nipc_session *session = poller->hot;

        do {
                if (session->plane->look(session, session->watch.events))
                        return true;
                session = session->watch.next;
        } while (session != poller->hot);
        return false;
}

/* Looks once at each of them. n: events there are already. Returns how many there are then. */
static int look_at_hot(struct nipc_poller *poller, struct nipc_poller_event *events, int n,
                       int max_events)
{
        struct nipc_session *session = poller->hot, *last, *next;
        uint32_t there;

        if (!session || n == max_events)
                return n;
        last = session->watch.prev;
        for (;; session = next) {
                next = session->watch.next;
                there = session->plane->look(session, session->watch.events);
                if (there) {
                        n = nipc__watch_add_event(&session->watch, poller->n_batches, there, events,
                                                  n);
                        if (n == max_events)
                                poller->hot = next; /* the others first, next time */
                }
                if (session == last || n == max_events)
                        return n;
        }
}

/*
 * Before the kernel is waited for: it must hear of what comes. Returns what has come already; then
 * nobody waits, and the rest need not be armed unless somebody else looks at our descriptor.
 */
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
                there = session->plane->arm(session, session->watch.events);
                if (there)
                        n = nipc__watch_add_event(&session->watch, poller->n_batches, there, events,
                                                  n);
                else
                        cool(poller, session);
                if (session == last || n == max_events || (n > 0 && !poller->is_polled))
                        return n;
        }
}

/* Our own descriptor, for whoever polls it. */
static void make_readable(const struct nipc_poller *poller)
{
        static const uint64_t one = 1;
        ssize_t n = write(poller->wake_fd, &one, sizeof(one));

        (void)n; /* fails only when the counter is full, and then it is readable already */
}

/*
 * A caller who polls our descriptor sees what the kernel sees. So whatever is hot is armed, and if
 * something has come meanwhile, he is woken.
 */
static void show_hot(struct nipc_poller *poller)
{
        struct nipc_poller_event event;

        poller->n_batches++;
        if (arm_hot(poller, &event, 1) > 0)
                make_readable(poller);
}

NIPC__EXPORT int nipc_poller_get_fd(const struct nipc_poller *poller)
{
        struct nipc_poller *self = (struct nipc_poller *)(uintptr_t)poller;

        if (!self)
                return -EINVAL;
        if (nipc_poller_is_inherited(self))
                return -ECHILD;
        self->is_polled = true;
        show_hot(self);
        return self->epoll_fd;
}

static bool is_in_memory(const struct nipc_session *session)
{
        return session->plane && session->plane->look;
}

/* What the link is watched for: when messages come through memory, doorbells and its end. */
static uint32_t link_events(const struct nipc_session *session, uint32_t events)
{
        return to_epoll(is_in_memory(session) ? NIPC_EVENT_IN : events);
}

/* What rings for a session in memory beside its link, if there is such a thing. */
static int add_bell(struct nipc_poller *poller, struct nipc_session *session)
{
        struct nipc__watch *watch = &session->watch;
        int fd, r;

        if (!watch->is_in_memory || watch->has_bell || !session->plane->get_bell)
                return 0;
        fd = session->plane->get_bell(session);
        if (fd < 0)
                return fd;
        r = add_fd(poller, fd, EPOLLIN | EPOLLET, session);
        if (r < 0)
                return r;
        watch->has_bell = true;
        watch->bell_fd = fd;
        return 0;
}

NIPC__EXPORT int nipc_poller_add_session(struct nipc_poller *poller, struct nipc_session *session,
                                         void *userdata)
{
        uint32_t events;
        int r;

        if (!poller || !session || !userdata)
                return -EINVAL;
        if (nipc_poller_is_inherited(poller) || nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (session->watch.active)
                return -EEXIST;
        events = nipc__session_get_events(session);
        r = add_fd(poller, session->link.fd, link_events(session, events), session);
        if (r < 0)
                return r;
        session->watch = (struct nipc__watch){.userdata = userdata,
                                              .events = events,
                                              .active = true,
                                              .poller = poller,
                                              .is_in_memory = is_in_memory(session)};
        r = add_bell(poller, session);
        if (r < 0) {
                epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, session->link.fd, NULL);
                session->watch.active = false;
                return r;
        }
        if (session->watch.is_in_memory)
                heat(poller, session);
        if (poller->is_polled)
                show_hot(poller);
        return 0;
}

NIPC__EXPORT int nipc_poller_update_session(struct nipc_poller *poller,
                                            struct nipc_session *session, uint32_t events)
{
        struct epoll_event event = {.data.ptr = session};
        bool in_memory;
        int r;

        if (!poller || !session || !session->watch.active)
                return -EINVAL;
        if (nipc_poller_is_inherited(poller))
                return -ECHILD;
        in_memory = is_in_memory(session);
        if (events == session->watch.events && in_memory == session->watch.is_in_memory)
                return 0;
        event.events = link_events(session, events);
        if ((!in_memory || !session->watch.is_in_memory) &&
            epoll_ctl(poller->epoll_fd, EPOLL_CTL_MOD, session->link.fd, &event) < 0)
                return -errno;
        session->watch.events = events;
        session->watch.is_in_memory = in_memory;
        if (!in_memory)
                return 0;
        r = add_bell(poller, session);
        if (r < 0) {
                session->watch.is_in_memory = false;
                return r;
        }
        if (!session->watch.is_hot) { /* it waits for something else now */
                session->plane->disarm(session);
                heat(poller, session);
        }
        if (poller->is_polled)
                show_hot(poller);
        return 0;
}

NIPC__EXPORT void nipc_poller_remove_session(struct nipc_poller *poller,
                                             struct nipc_session *session)
{
        if (!poller || !session || !session->watch.active)
                return;
        session->watch.active = false;
        if (nipc_poller_is_inherited(poller)) /* what the kernel watches is the parent's */
                return;
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, session->link.fd, NULL);
        if (session->watch.has_bell)
                epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, session->watch.bell_fd, NULL);
        if (session->watch.is_in_memory && !session->watch.is_hot)
                session->plane->disarm(session);
        forget(poller, session);
}

void nipc__poller_look_again(struct nipc_session *session)
{
        struct nipc_poller *poller = session->watch.poller;

        heat(poller, session);
        if (poller->is_polled)
                show_hot(poller);
}

/* ---- listeners and the timer ---------------------------------------------------------------- */

NIPC__EXPORT int nipc_poller_add_listener(struct nipc_poller *poller,
                                          struct nipc_listener *listener, void *userdata)
{
        struct listener_slot *slot = NULL;
        int r;

        if (!poller || !listener || !userdata)
                return -EINVAL;
        if (nipc_poller_is_inherited(poller))
                return -ECHILD;
        for (size_t i = 0; i < MAX_LISTENERS; i++) {
                if (poller->listeners[i].listener == listener)
                        return -EEXIST;
                if (!poller->listeners[i].listener && !slot)
                        slot = &poller->listeners[i];
        }
        if (!slot)
                return -ENOSPC;
        r = add_fd(poller, nipc_listener_get_fd(listener), EPOLLIN | EPOLLEXCLUSIVE, slot);
        if (r < 0)
                return r;
        *slot = (struct listener_slot){listener, userdata};
        return 0;
}

NIPC__EXPORT void nipc_poller_remove_listener(struct nipc_poller *poller,
                                              struct nipc_listener *listener)
{
        if (!poller || !listener || nipc_poller_is_inherited(poller))
                return;
        for (size_t i = 0; i < MAX_LISTENERS; i++) {
                if (poller->listeners[i].listener != listener)
                        continue;
                epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, nipc_listener_get_fd(listener), NULL);
                poller->listeners[i] = (struct listener_slot){0};
        }
}

NIPC__EXPORT int nipc_poller_set_timer(struct nipc_poller *poller, uint64_t deadline_ns)
{
        /* Where time_t has 32 bits, 68 years after boot is as good as never. */
        uint64_t seconds = NIPC__MIN(deadline_ns / 1000000000, (uint64_t)INT32_MAX);
        struct itimerspec spec = {
                .it_value.tv_sec = (time_t)seconds,
                .it_value.tv_nsec = (long)(deadline_ns % 1000000000),
        };

        if (!poller)
                return -EINVAL;
        if (nipc_poller_is_inherited(poller))
                return -ECHILD;
        return timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static void drain(int fd)
{
        uint64_t count;
        ssize_t n = read(fd, &count, sizeof(count));

        (void)n; /* what it counted does not matter, and it may have been reset meanwhile */
}

/*
 * The link of a session in memory says something: doorbells, which are taken, or its end, which is
 * for the session to tell. Returns the events that there are.
 */
static uint32_t translate_link(struct nipc_poller *poller, struct nipc_session *session,
                               uint32_t said)
{
        session->watch.has_link_event = session->plane->hear(session, said != EPOLLIN);
        if (!session->watch.is_hot) {
                session->plane->disarm(session);
                heat(poller, session);
        }
        if (!session->watch.has_link_event)
                return session->plane->look(session, session->watch.events);
        return session->watch.events ? session->watch.events : NIPC_EVENT_IN;
}

/* What the kernel says of one descriptor. Returns how many events there are then. */
static int translate(struct nipc_poller *poller, const struct epoll_event *event,
                     struct nipc_poller_event *events, int n)
{
        void *ptr = event->data.ptr;
        struct nipc_session *session = ptr;
        uint32_t there;

        if (ptr == &poller->timer_fd) {
                drain(poller->timer_fd);
                events[n] = (struct nipc_poller_event){NULL, NIPC_EVENT_TIMER};
                return n + 1;
        }
        if (ptr == &poller->wake_fd) {
                drain(poller->wake_fd);
                /* We may have done that ourselves. Pairs with the store in nipc_poller_wake(). */
                if (!atomic_exchange(&poller->is_woken, false))
                        return n;
                events[n] = (struct nipc_poller_event){NULL, NIPC_EVENT_WAKE};
                return n + 1;
        }
        if ((uintptr_t)ptr >= (uintptr_t)poller->listeners &&
            (uintptr_t)ptr < (uintptr_t)(poller->listeners + MAX_LISTENERS)) {
                events[n] = (struct nipc_poller_event){((struct listener_slot *)ptr)->userdata,
                                                       NIPC_EVENT_IN};
                return n + 1;
        }
        there = session->watch.is_in_memory ? translate_link(poller, session, event->events)
                                            : from_epoll(event->events);
        return there ? nipc__watch_add_event(&session->watch, poller->n_batches, there, events, n)
                     : n;
}

/* Asks the kernel. Returns how many events there are, the n before included, or an error. */
static int ask_kernel(struct nipc_poller *poller, uint64_t deadline_ns,
                      struct nipc_poller_event *events, int n, int max_events)
{
        struct epoll_event ready[BATCH];
        int i, k, n_bells = 0, timeout_ms;

        do {
                timeout_ms = nipc__deadline_to_poll_ms(deadline_ns);
                k = epoll_wait(poller->epoll_fd, ready, NIPC__MIN(max_events - n, BATCH),
                               timeout_ms);
        } while ((k < 0 && errno == EINTR) || (k == 0 && timeout_ms != 0));
        if (k < 0)
                return -errno;
        for (i = 0; i < k; i++)
                n = translate(poller, &ready[i], events, n);
        for (i = 0; i < n && poller->cold; i++)
                n_bells += events[i].userdata != NULL;
        if (poller->cold && !poller->is_polled &&
            (k == BATCH || (uint64_t)n_bells * SESSIONS_PER_BELL >= poller->n_cold))
                heat_all(poller);
        return n;
}

/*
 * Peers that share our CPU cannot say anything while we look. To let them is cheaper than to sleep,
 * after which each of them would have to wake us. Returns whether that brought something; where it
 * mostly does not it is rarely tried.
 */
static bool yield_brings_something(struct nipc_poller *poller)
{
        bool found;

        if (poller->hot->watch.next == poller->hot) /* one is waited for better in other ways */
                return false;
        if (poller->yield_score < NIPC__SPIN_FULL / 4 && poller->yield_skip++ % YIELD_PROBE)
                return false;
        sched_yield();
        found = has_hot_event(poller);
        poller->yield_score =
                (uint8_t)((poller->yield_score * 7u + (found ? NIPC__SPIN_FULL : 0u)) / 8u);
        return found;
}

/* Has the kernel write to memory when there is something, from now on. */
static void ask_for_news(struct nipc_poller *poller)
{
        if (!poller->has_memory) /* asking is what such sessions need anyway */
                return;
        if (!poller->news.context && poller->n_asks++ == ASKS_BEFORE_NEWS)
                (void)nipc__news_open(&poller->news); /* without them asking goes on */
        if (poller->news.context && nipc__news_arm(&poller->news, poller->epoll_fd) < 0)
                nipc__news_close(&poller->news);
}

/* Whether it is time to ask the kernel, though memory keeps us busy. */
static bool is_time_to_ask(struct nipc_poller *poller)
{
        uint64_t now_ns;

        if (poller->news.is_armed) {
                if (NIPC__LIKELY(!nipc__news_has(&poller->news)))
                        return false;
                nipc__news_take(&poller->news);
                return true;
        }
        now_ns = nipc_clock_now_ns();
        if (now_ns - poller->asked_ns < poller->ask_interval_ns)
                return false;
        poller->asked_ns = now_ns;
        return true;
}

/* Asks the kernel if it is time to. Returns how many events there are. */
static int ask_in_passing(struct nipc_poller *poller, struct nipc_poller_event *events,
                          int max_events)
{
        int n;

        if (!is_time_to_ask(poller))
                return 0;
        n = ask_kernel(poller, NIPC_DEADLINE_NOW, events, 0, max_events);
        ask_for_news(poller);
        if (n > 0)
                poller->ask_interval_ns = ASK_INTERVAL_NS;
        else
                poller->ask_interval_ns = NIPC__MIN(poller->ask_interval_ns * 2, ASK_INTERVAL_MAX);
        return NIPC__MAX(n, 0);
}

/*
 * The kernel is asked first, when it is time to, so that sessions in memory which always have
 * something cannot keep all others out; then memory is looked at.
 */
static int wait_hot(struct nipc_poller *poller, uint64_t deadline_ns,
                    struct nipc_poller_event *events, int max_events)
{
        bool may_wait = deadline_ns > NIPC_DEADLINE_SPIN;
        int n = 0;

        if (poller->news.is_armed || ++poller->n_turns % TURNS_PER_CLOCK == 0)
                n = ask_in_passing(poller, events, max_events);
        if (poller->hot)
                n = look_at_hot(poller, events, n, max_events);
        if (n > 0)
                return n;
        if (poller->hot && may_wait && !poller->is_polled &&
            nipc__spin(&poller->spinner, has_hot_event, poller, NIPC__SPIN_UNKNOWN_CPU))
                return look_at_hot(poller, events, 0, max_events);
        if (poller->hot && may_wait && !poller->is_polled && yield_brings_something(poller))
                return look_at_hot(poller, events, 0, max_events);
        if (may_wait || poller->is_polled)
                n = arm_hot(poller, events, max_events);
        if (n > 0)
                return n;
        if (deadline_ns == NIPC_DEADLINE_SPIN)
                return ask_in_passing(poller, events, max_events);
        return ask_kernel(poller, deadline_ns, events, 0, max_events);
}

NIPC__EXPORT int nipc_poller_wait(struct nipc_poller *poller, uint64_t deadline_ns,
                                  struct nipc_poller_event *events, size_t max_events)
{
        int max, n;

        if (!poller || !events || !max_events)
                return -EINVAL;
        if (nipc_poller_is_inherited(poller))
                return -ECHILD;
        max = (int)NIPC__MIN(max_events, (size_t)BATCH);
        do {
                poller->n_batches++;
                if (poller->hot)
                        n = wait_hot(poller, deadline_ns, events, max);
                else if (deadline_ns == NIPC_DEADLINE_SPIN)
                        n = ask_in_passing(poller, events, max);
                else
                        n = ask_kernel(poller, deadline_ns, events, 0, max);
                /* A doorbell that meant nothing is no reason to return early. */
        } while (n == 0 && deadline_ns > NIPC_DEADLINE_SPIN && nipc_clock_now_ns() < deadline_ns);
        if (poller->is_polled && poller->hot)
                show_hot(poller);
        return n;
}

NIPC__EXPORT void nipc_poller_wake(struct nipc_poller *poller)
{
        int saved = errno;

        if (!poller || nipc_poller_is_inherited(poller))
                return;
        /* Before the descriptor becomes readable: pairs with the exchange in translate(). */
        atomic_store(&poller->is_woken, true);
        make_readable(poller);
        errno = saved;
}
