/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deadlines. Every call that may wait takes an absolute deadline on the monotonic clock, in
 * nanoseconds, so that one deadline can cover many calls.
 *
 *   NIPC_DEADLINE_NOW (0)     do not wait: the call fails with -EAGAIN where it would
 *   NIPC_DEADLINE_LINGER (1)  wait for a moment, a few milliseconds at most, then -EAGAIN: for a
 *                             server that has just answered and expects the next request of the
 *                             same session, which is cheaper to wait for than for all sessions;
 *                             only receive waits, everything else takes it as NIPC_DEADLINE_NOW
 *   NIPC_DEADLINE_SPIN (2)    wait for as long as that needs no system call, then -EAGAIN: for a
 *                             caller who expects an answer at once and would rather not read the
 *                             clock for it; only receive waits, and only where messages come
 *                             through memory
 *   NIPC_DEADLINE_NEVER       no deadline: for loops that something else can wake
 *   any other value           the call fails with -ETIMEDOUT when it has passed
 *
 * A deadline is kept to within a few milliseconds, late rather than early.
 * Threading: any thread, any time; both functions are async-signal-safe.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_DEADLINE_NOW    UINT64_C(0)
#define NIPC_DEADLINE_LINGER UINT64_C(1)
#define NIPC_DEADLINE_SPIN   UINT64_C(2)
#define NIPC_DEADLINE_NEVER  UINT64_MAX

/* The time a wait takes at most when the caller named none. */
#define NIPC_DEFAULT_TIMEOUT_MS 30000u

/* Monotonic time in nanoseconds; never 0. Since: 0.1 */
uint64_t nipc_clock_now_ns(void);

/* The deadline `timeout_ms` milliseconds from now; never NIPC_DEADLINE_NOW. Since: 0.1 */
uint64_t nipc_deadline_after_ms(uint64_t timeout_ms);

#ifdef __cplusplus
}
#endif
