/* SPDX-License-Identifier: MIT */

/* What a spinner asks about CPUs, see spin.h. */

#include "spin.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

uint32_t nipc__spin_own_cpu(void)
{
        return GetCurrentProcessorNumber();
}

bool nipc__spin_has_cpus(void)
{
        return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS) > 1;
}
