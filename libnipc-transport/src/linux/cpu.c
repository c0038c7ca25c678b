/* SPDX-License-Identifier: MIT */

/* What a spinner asks about CPUs, see spin.h. */

#include "spin.h"
#include <sched.h>
#include <unistd.h>

uint32_t nipc__spin_own_cpu(void)
{
        int cpu = sched_getcpu();

        return cpu < 0 ? NIPC__SPIN_UNKNOWN_CPU : (uint32_t)cpu;
}

bool nipc__spin_has_cpus(void)
{
        return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}
