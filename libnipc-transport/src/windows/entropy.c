/* SPDX-License-Identifier: MIT */

/* See <nipc/entropy.h>: RtlGenRandom, which the C libraries use, too. */

#include "stdaux.h"
#include <errno.h>
#include <nipc/entropy.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <ntsecapi.h> /* needs the one before */

#define MAX_SIZE 256

NIPC__EXPORT int nipc_entropy_get(void *buf, size_t size)
{
        if (!buf || size > MAX_SIZE)
                return -EINVAL;
        return RtlGenRandom(buf, (ULONG)size) ? 0 : -EAGAIN;
}
