/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strings of lookups: they end in NUL and have none inside, and most are short. So they are looked
 * through, compared and copied here, in line, 16 bytes at a time where SSE2 is and 8 elsewhere; the
 * last piece is read again rather than byte by byte. Nothing is read or written beyond the n bytes
 * given.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "stdaux.h"

#if defined(__SSE2__) && !defined(NIPC__TEXT_PORTABLE)
#include <emmintrin.h>
#define NIPC__TEXT_SSE2 1
#else
#define NIPC__TEXT_SSE2 0
#endif

enum {
        NIPC__TEXT_SHORT = 128, /* beyond, the C library is faster; chosen */
};

static inline uint64_t nipc__text_word(const void *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline uint32_t nipc__text_half(const void *p)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

/* Not 0 if one of the bytes is 0; says nothing about which. */
static inline uint64_t nipc__text_zero(uint64_t v)
{
        return (v - UINT64_C(0x0101010101010101)) & ~v & UINT64_C(0x8080808080808080);
}

/* 1 to 7 bytes as one word, the ones that are missing not 0. */
static inline uint64_t nipc__text_few(const uint8_t *p, size_t n)
{
        if (n >= 4)
                return (uint64_t)nipc__text_half(p) << 32 | nipc__text_half(p + n - 4);
        return UINT64_C(0x0101010101000000) | (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 |
               p[n - 1];
}

/* 1 to 15 bytes, no matter in which order: zero if one of them is. */
static inline bool nipc__text_few_has_nul(const uint8_t *p, size_t n)
{
        if (n < 8)
                return nipc__text_zero(nipc__text_few(p, n)) != 0;
        return (nipc__text_zero(nipc__text_word(p)) |
                nipc__text_zero(nipc__text_word(p + n - 8))) != 0;
}

static inline bool nipc__text_few_equal(const uint8_t *p, const uint8_t *q, size_t n)
{
        if (n < 8)
                return nipc__text_few(p, n) == nipc__text_few(q, n);
        return ((nipc__text_word(p) ^ nipc__text_word(q)) |
                (nipc__text_word(p + n - 8) ^ nipc__text_word(q + n - 8))) == 0;
}

/* As nipc__text_copy(), of 1 to 15 bytes. */
static inline bool nipc__text_few_copy(uint8_t *to, const uint8_t *from, size_t n)
{
        uint64_t first, last;
        uint32_t first4, last4;
        uint8_t a, b, c;

        if (n >= 8) {
                first = nipc__text_word(from);
                last = nipc__text_word(from + n - 8);
                memcpy(to, &first, sizeof(first));
                memcpy(to + n - 8, &last, sizeof(last));
                return !(nipc__text_zero(first) | nipc__text_zero(last));
        }
        if (n >= 4) {
                first4 = nipc__text_half(from);
                last4 = nipc__text_half(from + n - 4);
                memcpy(to, &first4, sizeof(first4));
                memcpy(to + n - 4, &last4, sizeof(last4));
                return !nipc__text_zero((uint64_t)first4 << 32 | last4);
        }
        a = from[0];
        b = from[n / 2];
        c = from[n - 1];
        to[0] = a;
        to[n / 2] = b;
        to[n - 1] = c;
        return a && b && c;
}

#if NIPC__TEXT_SSE2
static inline __m128i nipc__text_load(const void *p)
{
        return _mm_loadu_si128((const __m128i *)p);
}

/* Whether one of the bytes is 0: the least of all that were met is kept, and looked at once. */
static inline bool nipc__text_any_zero(__m128i least)
{
        return _mm_movemask_epi8(_mm_cmpeq_epi8(least, _mm_setzero_si128())) != 0;
}

/* The same three, of 16 bytes and more. */
static inline bool nipc__text_many_have_nul(const uint8_t *p, size_t n)
{
        __m128i least = nipc__text_load(p + n - 16);
        size_t i;

        for (i = 0; i + 16 < n; i += 16)
                least = _mm_min_epu8(least, nipc__text_load(p + i));
        return nipc__text_any_zero(least);
}

static inline bool nipc__text_many_equal(const uint8_t *p, const uint8_t *q, size_t n)
{
        __m128i differ = _mm_xor_si128(nipc__text_load(p + n - 16), nipc__text_load(q + n - 16));
        size_t i;

        for (i = 0; i + 16 < n; i += 16)
                differ = _mm_or_si128(differ, _mm_xor_si128(nipc__text_load(p + i),
                                                            nipc__text_load(q + i)));
        return _mm_movemask_epi8(_mm_cmpeq_epi8(differ, _mm_setzero_si128())) == 0xffff;
}

static inline bool nipc__text_many_copy(uint8_t *to, const uint8_t *from, size_t n)
{
        const __m128i last = nipc__text_load(from + n - 16);
        __m128i piece, least = last;
        size_t i;

        for (i = 0; i + 16 < n; i += 16) {
                piece = nipc__text_load(from + i);
                least = _mm_min_epu8(least, piece);
                _mm_storeu_si128((__m128i *)(void *)(to + i), piece);
        }
        _mm_storeu_si128((__m128i *)(void *)(to + n - 16), last);
        return !nipc__text_any_zero(least);
}
#else
static inline bool nipc__text_many_have_nul(const uint8_t *p, size_t n)
{
        uint64_t found = nipc__text_zero(nipc__text_word(p + n - 8));
        size_t i;

        for (i = 0; i + 8 < n; i += 8)
                found |= nipc__text_zero(nipc__text_word(p + i));
        return found != 0;
}

static inline bool nipc__text_many_equal(const uint8_t *p, const uint8_t *q, size_t n)
{
        uint64_t differ = nipc__text_word(p + n - 8) ^ nipc__text_word(q + n - 8);
        size_t i;

        for (i = 0; i + 8 < n; i += 8)
                differ |= nipc__text_word(p + i) ^ nipc__text_word(q + i);
        return !differ;
}

static inline bool nipc__text_many_copy(uint8_t *to, const uint8_t *from, size_t n)
{
        uint64_t word = nipc__text_word(from + n - 8);
        uint64_t found = nipc__text_zero(word);
        size_t i;

        memcpy(to + n - 8, &word, sizeof(word));
        for (i = 0; i + 8 < n; i += 8) {
                word = nipc__text_word(from + i);
                found |= nipc__text_zero(word);
                memcpy(to + i, &word, sizeof(word));
        }
        return !found;
}
#endif

/* The three of not empty texts, called; below them, in line, what is most often asked of none. */
static inline bool nipc__text_some_have_nul(const void *text, size_t n)
{
        if (n < 16)
                return nipc__text_few_has_nul(text, n);
        if (NIPC__LIKELY(n <= NIPC__TEXT_SHORT))
                return nipc__text_many_have_nul(text, n);
        return memchr(text, 0, n) != NULL;
}

static inline bool nipc__text_some_equal(const void *a, const void *b, size_t n)
{
        if (n < 16)
                return nipc__text_few_equal(a, b, n);
        if (NIPC__LIKELY(n <= NIPC__TEXT_SHORT))
                return nipc__text_many_equal(a, b, n);
        return memcmp(a, b, n) == 0;
}

static inline bool nipc__text_some_copy(uint8_t *to, const void *text, size_t n)
{
        if (n < 16)
                return nipc__text_few_copy(to, text, n);
        if (NIPC__LIKELY(n <= NIPC__TEXT_SHORT))
                return nipc__text_many_copy(to, text, n);
        memcpy(to, text, n);
        return memchr(text, 0, n) == NULL;
}

/* Whether one of the n bytes is NUL. */
static NIPC__ALWAYS_INLINE bool nipc__text_has_nul(const void *text, size_t n)
{
        return n && nipc__text_some_have_nul(text, n);
}

/* memcmp() == 0 for texts. */
static NIPC__ALWAYS_INLINE bool nipc__text_equal(const void *a, const void *b, size_t n)
{
        return !n || nipc__text_some_equal(a, b, n);
}

/* Copies n bytes and a NUL behind them; false if one of the n was NUL. No overlap. */
static NIPC__ALWAYS_INLINE bool nipc__text_copy(uint8_t *to, const void *text, size_t n)
{
        to[n] = 0;
        return !n || nipc__text_some_copy(to, text, n);
}
