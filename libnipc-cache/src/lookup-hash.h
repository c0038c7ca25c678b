/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hashes of keys that come from outside, under a seed that nobody outside can know: a product of
 * 128 bits, folded, spreads every bit of both factors over all of the result. Upper half and top
 * byte are what the index takes. The same key gives the same hash only in the same process.
 */

#include <stddef.h>
#include <stdint.h>

#include "group.h"
#include "stdaux.h"

struct nipc__hash_seed {
        uint64_t add;
        uint64_t multiply; /* odd */
};

/* Tests have the other way with NIPC__HASH_PORTABLE. */
#if defined(__SIZEOF_INT128__) && !defined(NIPC__HASH_PORTABLE)
#define NIPC__HASH_WIDE
__extension__ typedef unsigned __int128 nipc__hash_wide;
#endif

static inline uint64_t nipc__hash_fold(uint64_t a, uint64_t b)
{
#ifdef NIPC__HASH_WIDE
        const nipc__hash_wide product = (nipc__hash_wide)a * b;

        return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
        const uint64_t a_low = (uint32_t)a, a_high = a >> 32;
        const uint64_t b_low = (uint32_t)b, b_high = b >> 32;
        const uint64_t low = a_low * b_low, cross = a_high * b_low + (low >> 32);
        const uint64_t middle = a_low * b_high + (uint32_t)cross;

        return (middle << 32 | (uint32_t)low) ^ (a_high * b_high + (cross >> 32) + (middle >> 32));
#endif
}

static inline uint64_t nipc__hash_word(struct nipc__hash_seed seed, uint64_t word)
{
        return nipc__hash_fold(word ^ seed.add, seed.multiply);
}

/* Reads nothing beyond the key; its last bytes are read again rather than one by one. */
static inline uint64_t nipc__hash_bytes(struct nipc__hash_seed seed, const void *key, size_t n)
{
        uint64_t state = seed.add ^ n * UINT64_C(0x9e3779b97f4a7c15), a = 0, b = 0;
        const uint8_t *p = key;

        if (NIPC__LIKELY(n > 16)) {
                for (; n > 16; n -= 16, p += 16)
                        state = nipc__hash_fold(nipc__native_u64(p) ^ seed.multiply,
                                                nipc__native_u64(p + 8) ^ state);
                a = nipc__native_u64(p + n - 16);
                b = nipc__native_u64(p + n - 8);
        } else if (n >= 8) {
                a = nipc__native_u64(p);
                b = nipc__native_u64(p + n - 8);
        } else if (n >= 4) {
                a = nipc__native_u32(p);
                b = nipc__native_u32(p + n - 4);
        } else if (n) {
                a = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
        }
        return nipc__hash_fold(a ^ seed.multiply, b ^ state);
}
