/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allocation that fails on demand: link with --wrap=malloc and --wrap=calloc. Counts what the code
 * under test asks for; the test itself may allocate, too, while nothing is armed.
 */

#include <stdatomic.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static atomic_uint alloc_count; /* since it was last set to 0 */
static unsigned alloc_fail_at;  /* which one fails, from 1; 0: none */

static int alloc_fails(void)
{
        /* Relaxed: counting must not order what a thread sanitizer is to find unordered. */
        return atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed) + 1 ==
               alloc_fail_at;
}

void *__wrap_malloc(size_t size)
{
        return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return alloc_fails() ? NULL : __real_calloc(n, size);
}

/* From here on the n-th allocation fails, once. 0: none does. */
static void alloc_arm(unsigned n)
{
        alloc_count = 0;
        alloc_fail_at = n;
}
