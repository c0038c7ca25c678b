/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Waits for many sessions and listeners at once, over any data plane, and is itself one pollable
 * descriptor: a whole server can sit in somebody else's event loop.
 *
 * How to use: new; add sessions and listeners with a pointer of one's own; wait; handle events;
 * remove before closing what was added. nipc_poller_wake() from anywhere ends a wait early. In a
 * foreign loop: poll nipc_poller_get_fd() for reading, then wait with NIPC_DEADLINE_NOW.
 *
 * Readiness is level-triggered: what is not drained is reported again.
 *
 * Sessions with the SHM_HYBRID profile are watched with the help of a thread of the library, see
 * nipc_session_get_fd() in <nipc/session.h>; it ends when the last of them is closed.
 *
 * On Windows the descriptor is the value of the HANDLE of a completion port. While there are
 * sessions with SHM_BUSYWAIT, which nothing wakes, a wait looks at them without a pause as long as
 * something comes, and every millisecond when nothing does; the port is then signalled as often.
 *
 * fork: a poller stays its maker's. In a child add, update, set_timer, wait and get_fd return
 * -ECHILD, remove and wake do nothing to the parent; free gives the child's descriptors back.
 *
 * Threading: wake from any thread and from signal handlers; all else by the one thread that waits.
 */

#include <nipc/listener.h>
#include <nipc/session.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_poller;

struct nipc_poller_event {
        void *userdata;  /* as given to add; NULL for wake and timer */
        uint32_t events; /* NIPC_EVENT_IN, NIPC_EVENT_OUT, or one of the two below */
};

#define NIPC_EVENT_WAKE  (1u << 2) /* nipc_poller_wake() was called since the last wait */
#define NIPC_EVENT_TIMER (1u << 3) /* the time of nipc_poller_set_timer() has come */

/* Returns 0, -ENOMEM, -EMFILE, -ENFILE. ret_poller: owned, release with free. Since: 0.1 */
int nipc_poller_new(struct nipc_poller **ret_poller);

/* Takes NULL. Returns NULL. Since: 0.1 */
struct nipc_poller *nipc_poller_free(struct nipc_poller *poller);

/*
 * Whether another process made it, of which the caller is a child by fork(). One load; false for
 * NULL. Since: 0.1
 */
bool nipc_poller_is_inherited(const struct nipc_poller *poller);

/* Readable when wait would return at once. Borrowed. Since: 0.1 */
int nipc_poller_get_fd(const struct nipc_poller *poller);

/*
 * Watches a session for nipc_session_get_events(). userdata must not be NULL.
 * Returns 0, -EINVAL, -EEXIST, -ENOMEM, -ENOSPC (the system's limit on watches), or for SHM_HYBRID
 * what nipc_session_get_fd() may. Since: 0.1
 */
int nipc_poller_add_session(struct nipc_poller *poller, struct nipc_session *session,
                            void *userdata);

/*
 * Watches a listener; several pollers may watch one, a client then wakes at least one of them.
 * Returns as add_session. Since: 0.1
 */
int nipc_poller_add_listener(struct nipc_poller *poller, struct nipc_listener *listener,
                             void *userdata);

/*
 * Tells the poller that what a session waits for may have changed: call it when a handshake ended,
 * a send stayed pending or was flushed. Costs nothing when nothing changed. events: what to wait
 * for; 0 parks the session (nothing is reported but, possibly, the end of it). Returns as
 * add_session. Since: 0.1
 */
int nipc_poller_update_session(struct nipc_poller *poller, struct nipc_session *session,
                               uint32_t events);

/*
 * Stops watching: no later wait reports it. Events that the last wait has returned are the caller's
 * to skip. Since: 0.1
 */
void nipc_poller_remove_session(struct nipc_poller *poller, struct nipc_session *session);
void nipc_poller_remove_listener(struct nipc_poller *poller, struct nipc_listener *listener);

/* Reports NIPC_EVENT_TIMER once at that time; NIPC_DEADLINE_NOW disarms. Since: 0.1 */
int nipc_poller_set_timer(struct nipc_poller *poller, uint64_t deadline_ns);

/*
 * Waits for events; NIPC_DEADLINE_NEVER waits until an event, a wake or the timer. events:
 * max_events slots (1 or more) for the caller to read. Returns how many were filled (0 when the
 * deadline passed), or a negative errno. Since: 0.1
 */
int nipc_poller_wait(struct nipc_poller *poller, uint64_t deadline_ns,
                     struct nipc_poller_event *events, size_t max_events);

/* Ends the current or the next wait. Async-signal-safe, keeps errno. Since: 0.1 */
void nipc_poller_wake(struct nipc_poller *poller);

#ifdef __cplusplus
}
#endif
