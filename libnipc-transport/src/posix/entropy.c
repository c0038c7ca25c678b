/* SPDX-License-Identifier: MIT */

/* See <nipc/entropy.h>: up to 256 bytes come whole or not at all, and no signal interrupts that. */

#include "stdaux.h"
#include <errno.h>
#include <nipc/entropy.h>
#include <sys/random.h>

#define MAX_SIZE 256

NIPC__EXPORT int nipc_entropy_get(void *buf, size_t size)
{
        const int saved_errno = errno;
        ssize_t n;
        int r = 0;

        if (!buf || size > MAX_SIZE)
                return -EINVAL;
        n = getrandom(buf, size, GRND_NONBLOCK);
        if (n < 0)
                r = -errno;
        else if ((size_t)n != size)
                r = -EAGAIN;
        errno = saved_errno;
        return r;
}
