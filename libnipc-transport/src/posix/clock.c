/* SPDX-License-Identifier: MIT */

/* The monotonic clock: CLOCK_MONOTONIC, which a vDSO reads without a system call. */

#include "link.h"
#include "stdaux.h"
#include <limits.h>
#include <nipc/clock.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

NIPC__EXPORT uint64_t nipc_clock_now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        /* A machine whose clock reads 0 would make a deadline look like "do not wait". */
        return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec + 1;
}

/* Milliseconds for poll and its like, upwards: 0 only when the deadline has passed. */
int nipc__deadline_to_poll_ms(uint64_t deadline_ns)
{
        uint64_t now, ms;

        if (deadline_ns == NIPC_DEADLINE_NEVER)
                return -1;
        if (deadline_ns == NIPC_DEADLINE_NOW)
                return 0;
        now = nipc_clock_now_ns();
        if (now >= deadline_ns)
                return 0;
        ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
        return ms > INT_MAX ? INT_MAX : (int)ms;
}
