/* SPDX-License-Identifier: MIT */

/* Deadlines, by whatever clock the system has. */

#include "stdaux.h"
#include <nipc/clock.h>

#define NS_PER_MS UINT64_C(1000000)

NIPC__EXPORT uint64_t nipc_deadline_after_ms(uint64_t timeout_ms)
{
        uint64_t now = nipc_clock_now_ns();

        /* UINT64_MAX means never; the largest deadline is one before it, 584 years away. */
        if (timeout_ms > (NIPC_DEADLINE_NEVER - 1 - now) / NS_PER_MS)
                return NIPC_DEADLINE_NEVER - 1;
        return now + timeout_ms * NS_PER_MS;
}
