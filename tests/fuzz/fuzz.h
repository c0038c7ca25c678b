/* SPDX-License-Identifier: MIT */
#pragma once

/* The entry point of a fuzz target, and how it says that something must not happen. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_assert(condition)                                                          \
        do {                                                                            \
                if (!(condition)) {                                                     \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                        \
                }                                                                       \
        } while (0)

/* Not initialised, so that reading what nobody wrote is seen; but for the byte behind nothing. */
static inline void *fuzz_alloc(size_t size)
{
        void *p = size ? malloc(size) : calloc(1, 1);

        fuzz_assert(p);
        return p;
}
