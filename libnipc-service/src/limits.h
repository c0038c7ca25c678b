/* SPDX-License-Identifier: MIT */
#pragma once

/* How limits grow, on both sides, and how structs are handed out (client-server §1, §7.2). */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NIPC__DEFAULT_REQUEST_BYTES  1024u
#define NIPC__DEFAULT_RESPONSE_BYTES 65536u
#define NIPC__GROWTH_CAP             (1024u * 1024u) /* what limits grow to by themselves */
#define NIPC__OVERFLOW_ATTEMPTS      8u

/* The next power of two, at least 16, but never above cap. */
static inline uint32_t nipc__limit_round(uint64_t size, uint32_t cap)
{
        uint64_t rounded = 16;

        while (rounded < size && rounded < cap)
                rounded *= 2;
        return rounded < cap ? (uint32_t)rounded : cap;
}

/*
 * Hands a struct out into one of the caller's, which says its size in its first field: an older
 * caller gets the fields it knows, a newer one zeros where we know nothing. Returns 0, -EINVAL.
 */
static inline int nipc__abi_store(void *dst, const void *src, size_t src_size)
{
        size_t dst_size;

        if (!dst)
                return -EINVAL;
        memcpy(&dst_size, dst, sizeof(dst_size));
        if (dst_size < sizeof(size_t))
                return -EINVAL;
        if (dst_size > src_size)
                memset((char *)dst + src_size, 0, dst_size - src_size);
        memcpy((char *)dst + sizeof(size_t), (const char *)src + sizeof(size_t),
               (dst_size < src_size ? dst_size : src_size) - sizeof(size_t));
        return 0;
}
