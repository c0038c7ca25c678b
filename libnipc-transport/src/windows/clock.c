/* SPDX-License-Identifier: MIT */

/* The monotonic clock of Windows: the performance counter, read without a system call. */

#include "deadline.h"
#include "stdaux.h"
#include <nipc/clock.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

NIPC__EXPORT uint64_t nipc_clock_now_ns(void)
{
        LARGE_INTEGER frequency, ticks;
        uint64_t f, t;

        QueryPerformanceFrequency(&frequency); /* neither fails since Windows XP */
        QueryPerformanceCounter(&ticks);
        f = (uint64_t)frequency.QuadPart;
        t = (uint64_t)ticks.QuadPart;
        /* In two parts: the product alone would overflow after half an hour. Never 0. */
        return t / f * NS_PER_S + t % f * NS_PER_S / f + 1;
}

uint32_t nipc__deadline_to_wait_ms(uint64_t deadline_ns)
{
        uint64_t now, ms;

        if (deadline_ns == NIPC_DEADLINE_NEVER)
                return INFINITE;
        now = nipc_clock_now_ns();
        if (now >= deadline_ns)
                return 0;
        ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
        return ms >= INFINITE ? INFINITE - 1 : (uint32_t)ms;
}
