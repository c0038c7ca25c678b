/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The large payloads of `nipc bench`. Marks at both ends and once in a page differ for each value:
 * an answer that is old, short, or has a page missing is seen, at a cost that is small beside one
 * copy of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LARGE_STRIDE 4096u

/* payload: of size 8 or more. */
static inline void large_mark(uint8_t *payload, size_t size, uint64_t value)
{
        uint64_t mark;

        for (size_t at = 0; at + 16 <= size; at += LARGE_STRIDE) {
                mark = value + at;
                memcpy(payload + at, &mark, sizeof(mark));
        }
        mark = value + size;
        memcpy(payload + size - sizeof(mark), &mark, sizeof(mark));
}

static inline bool large_is_marked(const uint8_t *payload, size_t size, uint64_t value)
{
        uint64_t mark;

        for (size_t at = 0; at + 16 <= size; at += LARGE_STRIDE) {
                memcpy(&mark, payload + at, sizeof(mark));
                if (mark != value + at)
                        return false;
        }
        memcpy(&mark, payload + size - sizeof(mark), sizeof(mark));
        return mark == value + size;
}
