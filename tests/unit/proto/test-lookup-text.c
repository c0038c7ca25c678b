/* SPDX-License-Identifier: MIT */

/*
 * Strings of lookups (lookup-text.h) against the C library: all lengths, all alignments, every
 * place of a NUL, and not a byte beyond: before and behind the texts are pages that fault. Compiled
 * twice, for machines with and without vectors.
 */

#include "lookup-text.h"

#include "tap.h"
#include "util-fence.h"

enum { LENGTH_MAX = 300 };

/* Bytes of a text, none 0; of all values, the ones next to 0 and with a high bit among them. */
static void fill(uint8_t *p, size_t n, uint64_t seed)
{
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)(1 + tap_random(&seed) % 255);
}

static void check_nul(uint8_t *p, size_t n)
{
        size_t i;

        fill(p, n, n);
        tap_check(!nipc__text_has_nul(p, n));
        for (i = 0; i < n; i++) {
                const uint8_t was = p[i];

                p[i] = 0;
                if (!tap_check(nipc__text_has_nul(p, n)))
                        tap_note("length %zu, NUL at %zu", n, i);
                p[i] = was;
        }
}

static void test_has_nul(void)
{
        struct fence fence;
        size_t n;

        tap_require(fence_init(&fence));
        for (n = 0; n <= LENGTH_MAX; n++) {
                check_nul(fence.end - n, n);
                check_nul(fence.begin, n);
                check_nul(fence.begin + n % 17, n);
        }
        tap_check(!nipc__text_has_nul(NULL, 0));
        fence_deinit(&fence);
}

/* 0x01 behind 0x00, 0x80 and 0xff: what tricks with carries get wrong. */
static void test_near_nul(void)
{
        static const uint8_t values[] = {0x01, 0x02, 0x7f, 0x80, 0x81, 0xfe, 0xff};
        uint8_t text[40];
        size_t n, i;

        for (i = 0; i < sizeof(values); i++) {
                for (n = 1; n <= sizeof(text); n++) {
                        memset(text, values[i], n);
                        tap_check(!nipc__text_has_nul(text, n));
                        text[0] = 0;
                        tap_check(nipc__text_has_nul(text, n));
                }
        }
}

static void check_equal(uint8_t *a, uint8_t *b, size_t n)
{
        size_t i;

        fill(a, n, n);
        memcpy(b, a, n);
        tap_check(nipc__text_equal(a, b, n));
        for (i = 0; i < n; i++) {
                b[i] ^= (uint8_t)(1u << i % 8);
                if (!tap_check(!nipc__text_equal(a, b, n)))
                        tap_note("length %zu, another byte at %zu", n, i);
                b[i] = a[i];
        }
}

static void test_equal(void)
{
        struct fence a, b;
        size_t n;

        tap_require(fence_init(&a));
        tap_require(fence_init(&b));
        for (n = 0; n <= LENGTH_MAX; n++) {
                check_equal(a.end - n, b.end - n, n);
                check_equal(a.begin, b.begin, n);
                check_equal(a.begin + n % 17, b.end - n, n);
        }
        tap_check(nipc__text_equal(NULL, NULL, 0));
        fence_deinit(&a);
        fence_deinit(&b);
}

/* `to` has n + 1 bytes; what lies before it stays. */
static void check_copy(uint8_t *to, uint8_t *from, size_t n)
{
        size_t i;

        fill(from, n, n + 1);
        memset(to, 0xaa, n + 1);
        tap_check(nipc__text_copy(to, from, n));
        tap_check(!memcmp(to, from, n) && to[n] == 0);
        for (i = 0; i < n; i++) {
                const uint8_t was = from[i];

                from[i] = 0;
                if (!tap_check(!nipc__text_copy(to, from, n)))
                        tap_note("length %zu, NUL at %zu", n, i);
                from[i] = was;
        }
}

static void test_copy(void)
{
        struct fence to, from;
        size_t n;

        tap_require(fence_init(&to));
        tap_require(fence_init(&from));
        for (n = 0; n <= LENGTH_MAX; n++) {
                check_copy(to.end - n - 1, from.end - n, n);
                check_copy(to.begin, from.begin, n);
                check_copy(to.begin + n % 17, from.end - n, n);
        }
        tap_check(nipc__text_copy(to.begin, NULL, 0));
        fence_deinit(&to);
        fence_deinit(&from);
}

/* A copy leaves alone what is before and behind. */
static void test_copy_bounds(void)
{
        uint8_t from[LENGTH_MAX], to[LENGTH_MAX + 33];
        size_t n, i;

        fill(from, sizeof(from), 7);
        for (n = 0; n <= LENGTH_MAX; n++) {
                memset(to, 0xaa, sizeof(to));
                nipc__text_copy(to + 16, from, n);
                for (i = 0; i < 16; i++)
                        tap_check(to[i] == 0xaa && to[16 + n + 1 + i] == 0xaa);
        }
}

TAP_MAIN(TAP_CASE(test_has_nul), TAP_CASE(test_near_nul), TAP_CASE(test_equal), TAP_CASE(test_copy),
         TAP_CASE(test_copy_bounds))
