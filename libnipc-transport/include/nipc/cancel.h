/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cancellation: one object that another thread or a signal handler can pull, whatever the owner is
 * waiting for. It outlives the sessions that are bound to it, so the one who pulls needs to know
 * nothing about their lifetime.
 *
 * How to use: nipc_cancel_new(); name it in the config of a session; nipc_cancel_trigger() from
 * anywhere: connect, handshake, send, receive and wait of the bound session return -ECANCELED, now
 * and until nipc_cancel_reset(). Cancelling ends the bound session (a half-sent message cannot be
 * taken back): after a reset open a new one.
 *
 * A cancel object serves one session at a time. On Linux it holds two descriptors.
 *
 * fork: what it is bound to stays the parent's. In a child, triggering marks the child's copy and
 * does nothing to the session; free gives the child's descriptors back.
 *
 * Threading: trigger and is_triggered from any thread and from signal handlers; all else by the
 * thread that uses the session. Free it when nobody can trigger it any more.
 */

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_cancel;

/* Returns 0, -ENOMEM, -EMFILE or -ENFILE. ret_cancel: owned, release with free. Since: 0.1 */
int nipc_cancel_new(struct nipc_cancel **ret_cancel);

/* Takes NULL. No session may be bound to it any more. Returns NULL. Since: 0.1 */
struct nipc_cancel *nipc_cancel_free(struct nipc_cancel *cancel);

/* Cancels; sticks until reset. Async-signal-safe, never blocks, keeps errno. Since: 0.1 */
void nipc_cancel_trigger(struct nipc_cancel *cancel);

/* Whether it was triggered and not reset. Async-signal-safe. Since: 0.1 */
bool nipc_cancel_is_triggered(const struct nipc_cancel *cancel);

/*
 * Makes it usable again. Never blocks. A trigger that has not returned yet may still end the
 * session that is bound next (with -ECONNRESET): reset when nobody is about to cancel. Since: 0.1
 */
void nipc_cancel_reset(struct nipc_cancel *cancel);

/*
 * Whether another process made it, of which the caller is a child by fork(). One load; false for
 * NULL. Async-signal-safe. Since: 0.1
 */
bool nipc_cancel_is_inherited(const struct nipc_cancel *cancel);

#ifdef __cplusplus
}
#endif
