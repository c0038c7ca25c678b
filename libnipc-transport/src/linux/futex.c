/* SPDX-License-Identifier: MIT */

/* See futex.h. */

#include "futex.h"
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on all systems that do not number on their own */
#endif
#ifdef SYS_futex
#define SYSCALL SYS_futex
typedef long kernel_time;
#else /* younger 32-bit systems */
#define SYSCALL SYS_futex_time64
typedef int64_t kernel_time;
#endif

/* futex(2). Not from <linux/futex.h>: a directory of ours has the name of the kernel's. */
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define SIZE_32    2u /* of a word, in futex_waitv */

int nipc__futex_wait(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
        const struct {
                kernel_time seconds;
                kernel_time ns;
        } timeout = {
                (kernel_time)(timeout_ns / 1000000000),
                (kernel_time)(timeout_ns % 1000000000),
        };

        return syscall(SYSCALL, word, FUTEX_WAIT, value, &timeout, NULL, 0) < 0 ? -errno : 0;
}

void nipc__futex_wake(const _Atomic uint32_t *word)
{
        int saved = errno;

        /* Fails only on memory that is not there any more, where nobody can wait either. */
        syscall(SYSCALL, word, FUTEX_WAKE, 1, NULL, NULL, 0);
        errno = saved;
}

struct nipc__futex_waiter nipc__futex_waiter(const _Atomic uint32_t *word, uint32_t value)
{
        return (struct nipc__futex_waiter){.value = value,
                                           .address = (uintptr_t)word,
                                           .flags = SIZE_32};
}

int nipc__futex_waitv(const struct nipc__futex_waiter *waiters, unsigned n_waiters)
{
        long r = syscall(SYS_futex_waitv, waiters, n_waiters, 0, NULL, 0);

        return r < 0 ? -errno : (int)r;
}

int nipc__futex_probe_waitv(void)
{
        static atomic_int answer = 1; /* 1: not asked yet; whoever asks twice hears the same */
        int r = atomic_load_explicit(&answer, memory_order_relaxed);

        if (r > 0) {
                r = nipc__futex_waitv(NULL, 0);
                if (r == -EINVAL) /* it is there, and does not like it */
                        r = 0;
                atomic_store_explicit(&answer, r, memory_order_relaxed);
        }
        return r;
}
