/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Futexes on memory that other processes map: always shared ones, never FUTEX_PRIVATE_FLAG, and
 * waits for many words at once (futex_waitv, Linux 5.16). Words are only ever looked at here by the
 * kernel, so a mapping that lost its pages is -EFAULT and no SIGBUS.
 */

#include <stdatomic.h>
#include <stdint.h>

#define NIPC__FUTEX_WAITV_MAX 128u

/* As the kernel wants it, see futex(2). */
struct nipc__futex_waiter {
        uint64_t value;
        uint64_t address;
        uint32_t flags;
        uint32_t reserved;
};

/*
 * Waits while the word has this value, timeout_ns at most. Returns 0 (woken, or so it seems),
 * -EAGAIN (it has another value), -EINTR, -ETIMEDOUT or -EFAULT.
 */
int nipc__futex_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);

/* Wakes one waiter, in whatever process. */
void nipc__futex_wake(const _Atomic uint32_t *word);

/* What nipc__futex_waitv() is given. */
struct nipc__futex_waiter nipc__futex_waiter(const _Atomic uint32_t *word, uint32_t value);

/*
 * Waits for any of them, without a time-out. Returns the index of one that was woken, -EAGAIN (one
 * has another value already), -EINTR, -EFAULT, or why it cannot be done at all.
 */
int nipc__futex_waitv(const struct nipc__futex_waiter *waiters, unsigned n_waiters);

/* Whether it can: 0, or -ENOSYS, or -EPERM and its like of a system call filter. Asked once. */
int nipc__futex_probe_waitv(void);
