/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bytes for the tests of the codecs. Integers are written in host order with memcpy and not with
 * nipc/wire.h, so that the tests do not judge the library by itself.
 */

#include <nipc/error.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static inline void put_u16(void *buf, size_t at, uint16_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline void put_u32(void *buf, size_t at, uint32_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline void put_u64(void *buf, size_t at, uint64_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline uint32_t get_u32(const void *buf, size_t at)
{
        uint32_t v;
        memcpy(&v, (const uint8_t *)buf + at, sizeof(v));
        return v;
}

/* A copy that ends where its memory ends, so that a sanitizer sees any read beyond. Free it. */
static inline uint8_t *copy_exact(const void *buf, size_t size)
{
        uint8_t *copy = malloc(size ? size : 1);

        if (!copy)
                abort();
        memcpy(copy, buf, size);
        return copy;
}

/* What a fault is before a call that must not touch it. */
#define FAULT_NONE                                            \
        {                                                     \
                .error = -1, .offset = SIZE_MAX, .rule = NULL \
        }

static inline bool fault_untouched(const struct nipc_fault *fault)
{
        return fault->error == -1 && fault->offset == SIZE_MAX && !fault->rule;
}

/* The cause was returned, and the fault says the same and where. */
#define check_fault(r, fault, cause, at) \
        check__fault(__FILE__, __LINE__, (r), &(fault), (cause), (at))

static inline bool check__fault(const char *file, int line, int r, const struct nipc_fault *fault,
                                int cause, size_t at)
{
        if (r == cause && fault->error == cause && fault->offset == at && fault->rule)
                return true;
        return tap__fail(file, line, "returned %d, fault %d at %zu (%s); expected %d at %zu", r,
                         fault->error, fault->offset, fault->rule ? fault->rule : "no rule", cause,
                         at);
}
