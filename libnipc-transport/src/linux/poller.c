/* SPDX-License-Identifier: MIT */

/*
 * A poller on Linux: one epoll instance, which is its pollable descriptor, with an eventfd to wake
 * it and a timerfd for its timer. Registrations live in the watched sessions, so that adding one
 * allocates nothing; listeners, of which there are few, have a slot each.
 *
 * What epoll reports is told apart by the pointer it carries: our own eventfd and timerfd point at
 * members of the poller, listeners at their slot, everything else is a session.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
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

struct nipc_poller {
        int epoll_fd;
        int wake_fd;
        int timer_fd;
        struct listener_slot listeners[MAX_LISTENERS];
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
        poller->wake_fd = poller->timer_fd = -1;
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
        if (poller->timer_fd >= 0)
                close(poller->timer_fd);
        if (poller->wake_fd >= 0)
                close(poller->wake_fd);
        if (poller->epoll_fd >= 0)
                close(poller->epoll_fd);
        free(poller);
        return NULL;
}

NIPC__EXPORT int nipc_poller_get_fd(const struct nipc_poller *poller)
{
        return poller ? poller->epoll_fd : -EINVAL;
}

NIPC__EXPORT int nipc_poller_add_session(struct nipc_poller *poller, struct nipc_session *session,
                                         void *userdata)
{
        uint32_t events;
        int r;

        if (!poller || !session || !userdata)
                return -EINVAL;
        if (session->watch.active)
                return -EEXIST;
        events = nipc_session_get_events(session);
        r = add_fd(poller, nipc_session_get_fd(session), to_epoll(events), session);
        if (r < 0)
                return r;
        session->watch = (struct nipc__watch){userdata, events, true};
        return 0;
}

NIPC__EXPORT int nipc_poller_update_session(struct nipc_poller *poller,
                                            struct nipc_session *session, uint32_t events)
{
        struct epoll_event event = {.events = to_epoll(events), .data.ptr = session};

        if (!poller || !session || !session->watch.active)
                return -EINVAL;
        if (events == session->watch.events)
                return 0;
        if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_MOD, nipc_session_get_fd(session), &event) < 0)
                return -errno;
        session->watch.events = events;
        return 0;
}

NIPC__EXPORT void nipc_poller_remove_session(struct nipc_poller *poller,
                                             struct nipc_session *session)
{
        if (!poller || !session || !session->watch.active)
                return;
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, nipc_session_get_fd(session), NULL);
        session->watch.active = false;
}

NIPC__EXPORT int nipc_poller_add_listener(struct nipc_poller *poller,
                                          struct nipc_listener *listener, void *userdata)
{
        struct listener_slot *slot = NULL;
        int r;

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
        r = add_fd(poller, nipc_listener_get_fd(listener), EPOLLIN | EPOLLEXCLUSIVE, slot);
        if (r < 0)
                return r;
        *slot = (struct listener_slot){listener, userdata};
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
        return timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

static void drain(int fd)
{
        uint64_t count;
        ssize_t n = read(fd, &count, sizeof(count));

        (void)n; /* what it counted does not matter, and it may have been reset meanwhile */
}

static void translate(struct nipc_poller *poller, const struct epoll_event *event,
                      struct nipc_poller_event *ret_event)
{
        void *ptr = event->data.ptr;

        if (ptr == &poller->wake_fd || ptr == &poller->timer_fd) {
                drain(*(int *)ptr);
                *ret_event = (struct nipc_poller_event){NULL, ptr == &poller->wake_fd
                                                                      ? NIPC_EVENT_WAKE
                                                                      : NIPC_EVENT_TIMER};
        } else if ((uintptr_t)ptr >= (uintptr_t)poller->listeners &&
                   (uintptr_t)ptr < (uintptr_t)(poller->listeners + MAX_LISTENERS)) {
                *ret_event = (struct nipc_poller_event){((struct listener_slot *)ptr)->userdata,
                                                        NIPC_EVENT_IN};
        } else {
                *ret_event =
                        (struct nipc_poller_event){((struct nipc_session *)ptr)->watch.userdata,
                                                   from_epoll(event->events)};
        }
}

NIPC__EXPORT int nipc_poller_wait(struct nipc_poller *poller, uint64_t deadline_ns,
                                  struct nipc_poller_event *events, size_t max_events)
{
        struct epoll_event ready[BATCH];
        int n, timeout_ms;

        if (!poller || !events || !max_events)
                return -EINVAL;
        do {
                timeout_ms = nipc__deadline_to_poll_ms(deadline_ns);
                n = epoll_wait(poller->epoll_fd, ready, (int)NIPC__MIN(max_events, (size_t)BATCH),
                               timeout_ms);
        } while ((n < 0 && errno == EINTR) || (n == 0 && timeout_ms != 0));
        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++)
                translate(poller, &ready[i], &events[i]);
        return n;
}

NIPC__EXPORT void nipc_poller_wake(struct nipc_poller *poller)
{
        static const uint64_t one = 1;
        int saved = errno;
        ssize_t n = poller ? write(poller->wake_fd, &one, sizeof(one)) : 0;

        (void)n; /* fails only when the counter is full, and then it is readable already */
        errno = saved;
}
