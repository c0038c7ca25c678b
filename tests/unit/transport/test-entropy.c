/* SPDX-License-Identifier: MIT */

/* Numbers of the system: as many as asked for, and never the same. */

#include "util-env.h"
#include <errno.h>
#include <nipc/entropy.h>

static void test_fills(void)
{
        uint8_t bytes[256 + 2];
        unsigned i, n, zeros;

        for (n = 1; n <= 256; n *= 2) {
                memset(bytes, 0xa5, sizeof(bytes));
                tap_eq_int(nipc_entropy_get(bytes + 1, n), 0);
                tap_check(bytes[0] == 0xa5 && bytes[1 + n] == 0xa5);
        }
        for (i = zeros = 0; i < 256; i++)
                zeros += bytes[1 + i] == 0;
        tap_check(zeros < 32);
        tap_eq_int(nipc_entropy_get(bytes, 0), 0);
}

static void test_differs(void)
{
        uint64_t numbers[64];
        unsigned i, k;

        for (i = 0; i < 64; i++) {
                tap_require(nipc_entropy_get(&numbers[i], sizeof(numbers[i])) == 0);
                for (k = 0; k < i; k++)
                        tap_check(numbers[i] != numbers[k]);
        }
}

static void test_arguments(void)
{
        uint8_t bytes[257] = {0};

        tap_eq_int(nipc_entropy_get(NULL, 8), -EINVAL);
        tap_eq_int(nipc_entropy_get(bytes, 257), -EINVAL);
}

UTIL_MAIN(TAP_CASE(test_fills), TAP_CASE(test_differs), TAP_CASE(test_arguments))
