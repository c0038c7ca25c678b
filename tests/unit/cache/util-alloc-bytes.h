/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allocation that counts bytes and fails on demand: link with --wrap=malloc, --wrap=calloc and
 * --wrap=free. What the test itself allocates counts as well, but not what the C library took
 * before there was a test.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

enum { ALLOC_HEADER = 16 };

static struct {
        size_t n_bytes;
        size_t peak_bytes; /* since it was last set */
        unsigned n_blocks;
        unsigned count;   /* allocations since it was last set to 0 */
        unsigned fail_at; /* which one fails, from 1; 0: none */
} alloc;

void *__wrap_malloc(size_t size)
{
        uint8_t *p = ++alloc.count == alloc.fail_at ? NULL : __real_malloc(ALLOC_HEADER + size);

        if (!p)
                return NULL;
        memcpy(p, &size, sizeof(size));
        alloc.n_blocks++;
        alloc.n_bytes += size;
        if (alloc.n_bytes > alloc.peak_bytes)
                alloc.peak_bytes = alloc.n_bytes;
        return p + ALLOC_HEADER;
}

void *__wrap_calloc(size_t n, size_t size)
{
        void *p = __wrap_malloc(n * size);

        return p ? memset(p, 0, n * size) : NULL;
}

void __wrap_free(void *p)
{
        size_t size;

        if (!p)
                return;
        memcpy(&size, (uint8_t *)p - ALLOC_HEADER, sizeof(size));
        alloc.n_bytes -= size;
        alloc.n_blocks--;
        __real_free((uint8_t *)p - ALLOC_HEADER);
}

static void __attribute__((__constructor__)) alloc_begin(void)
{
        alloc.n_bytes = alloc.n_blocks = 0;
}

/* From here on the n-th allocation fails, once. 0: none does. */
static inline void alloc_arm(unsigned n)
{
        alloc.count = 0;
        alloc.fail_at = n;
}
