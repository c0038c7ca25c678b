/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How every library takes a config or callback struct: it begins with `size_t size`, zero means
 * default, and a caller built against an older or newer header works. Older: the fields it does not
 * know are zero. Newer: accepted as long as what we do not know is zero too, else -E2BIG.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies the caller's struct at src into dst (dst_size bytes, all known fields).
 * Returns 0, -EINVAL for a NULL or impossible size, -E2BIG for an unknown tail that is not zero.
 */
static inline int nipc__abi_load(void *dst, size_t dst_size, const void *src)
{
        size_t src_size, n;

        if (!src)
                return -EINVAL;
        memcpy(&src_size, src, sizeof(src_size));
        if (src_size < sizeof(size_t))
                return -EINVAL;
        for (n = dst_size; n < src_size; n++)
                if (((const unsigned char *)src)[n])
                        return -E2BIG;
        n = src_size < dst_size ? src_size : dst_size;
        memset(dst, 0, dst_size);
        memcpy(dst, src, n);
        memcpy(dst, &dst_size, sizeof(dst_size));
        return 0;
}
