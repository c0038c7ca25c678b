/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the index compares, 16 bytes at a time: the control bytes of a group with a tag, and the
 * bytes of two names. SSE2 where it is, whole words elsewhere, the same results in any byte order.
 * Nothing here reads beyond what it is given: names belong to callers.
 */

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "stdaux.h"

#if defined(__SSE2__) && !defined(NIPC__GROUP_PORTABLE)
#define NIPC__GROUP_SSE2 1
#include <emmintrin.h>
#else
#define NIPC__GROUP_SSE2 0
#endif

enum {
        NIPC__GROUP_SLOTS = 12,
        NIPC__SHORT_NAME = 64, /* what is compared in line */
};

/*
 * One cache line of the index:
 *
 *       0            12       13      14  16                                   64
 *      | tags, 0 free | spilled | count |  | what each slot refers to, 12 x u32 |
 *
 * Slots fill from 0 up and are never emptied, so only a full group is ever spilled over.
 */
struct nipc__group {
        alignas(16) uint8_t tags[NIPC__GROUP_SLOTS];
        uint8_t spilled; /* an item that belonged here went on to the next group */
        uint8_t count;
        uint8_t reserved[2];
        uint32_t slots[NIPC__GROUP_SLOTS];
};

_Static_assert(sizeof(struct nipc__group) == 64, "a group is a cache line");
_Static_assert(offsetof(struct nipc__group, slots) == 16, "tags are read as 16 bytes");

/* Bit 7 of each byte of x that is zero; exact, no carry between bytes. */
static inline uint64_t nipc__zero_bytes(uint64_t x)
{
        const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);

        return ~(((x & low) + low) | x | low);
}

/* Collects bit 7 of each byte into the low 8 bits, byte 0 first. */
static inline uint32_t nipc__gather_bytes(uint64_t x)
{
        return (uint32_t)(((x >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

/* Whether to look at the next group, too. clang would take the byte out of the vector of tags, by
 * way of the stack, if it knew that this is the same memory. */
static inline bool nipc__group_has_spilled(const struct nipc__group *group)
{
        __asm__("" : "+r"(group));
        return group->spilled;
}

static inline uint64_t nipc__native_u64(const void *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline uint32_t nipc__native_u32(const void *p)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

/* The 8 bytes at p, the first one lowest: tags are slots in order on every machine. */
static inline uint64_t nipc__bytes_u64(const void *p)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return __builtin_bswap64(nipc__native_u64(p));
#else
        return nipc__native_u64(p);
#endif
}

/* The slots whose tag is `tag`, one bit each. */
static inline uint32_t nipc__group_match_portable(const struct nipc__group *group, uint8_t tag)
{
        const uint64_t all = UINT64_C(0x0101010101010101) * tag;
        const uint64_t low = nipc__bytes_u64(group) ^ all;
        const uint64_t high = nipc__bytes_u64((const uint8_t *)group + 8) ^ all;

        return (nipc__gather_bytes(nipc__zero_bytes(low)) |
                nipc__gather_bytes(nipc__zero_bytes(high)) << 8) &
               ((1u << NIPC__GROUP_SLOTS) - 1);
}

static inline uint32_t nipc__group_match(const struct nipc__group *group, uint8_t tag)
{
#if NIPC__GROUP_SSE2
        const __m128i tags = _mm_load_si128((const __m128i *)(const void *)group);
        const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag));

        return (uint32_t)_mm_movemask_epi8(equal) & ((1u << NIPC__GROUP_SLOTS) - 1);
#else
        return nipc__group_match_portable(group, tag);
#endif
}

/* Whether the 16 bytes at a and b, and those at c and d, are equal. */
static inline bool nipc__equal_2x16(const char *a, const char *b, const char *c, const char *d)
{
#if NIPC__GROUP_SSE2
        const __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a),
                                         _mm_loadu_si128((const __m128i *)(const void *)b));
        const __m128i y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)c),
                                         _mm_loadu_si128((const __m128i *)(const void *)d));

        return _mm_movemask_epi8(_mm_and_si128(x, y)) == 0xffff;
#else
        return ((nipc__native_u64(a) ^ nipc__native_u64(b)) |
                (nipc__native_u64(a + 8) ^ nipc__native_u64(b + 8)) |
                (nipc__native_u64(c) ^ nipc__native_u64(d)) |
                (nipc__native_u64(c + 8) ^ nipc__native_u64(d + 8))) == 0;
#endif
}

/*
 * memcmp() == 0 without the call, for n up to NIPC__SHORT_NAME. The last bytes are read again
 * rather than one by one.
 */
static inline bool nipc__short_equal(const char *a, const char *b, size_t n)
{
        if (n >= 16) {
                if (!nipc__equal_2x16(a, b, a + n - 16, b + n - 16))
                        return false;
                return n <= 32 || nipc__equal_2x16(a + 16, b + 16, a + n - 32, b + n - 32);
        }
        if (n >= 8)
                return ((nipc__native_u64(a) ^ nipc__native_u64(b)) |
                        (nipc__native_u64(a + n - 8) ^ nipc__native_u64(b + n - 8))) == 0;
        if (n >= 4)
                return ((nipc__native_u32(a) ^ nipc__native_u32(b)) |
                        (nipc__native_u32(a + n - 4) ^ nipc__native_u32(b + n - 4))) == 0;
        return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

/* The same for any n. */
static inline bool nipc__bytes_equal(const char *a, const char *b, size_t n)
{
        return n <= NIPC__SHORT_NAME ? nipc__short_equal(a, b, n) : memcmp(a, b, n) == 0;
}
