/* SPDX-License-Identifier: MIT */

/* Method 1: eight bytes; fewer are too few, more are ignored. */

#include <nipc/increment.h>

#include "util-bytes.h"

static void test_roundtrip(void)
{
        static const uint64_t values[] = {0, 1, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};
        size_t i;

        for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                uint8_t buf[9] = {0}, expected[8];
                uint64_t value;

                buf[8] = 0xaa;
                nipc_increment_encode(values[i], buf);
                put_u64(expected, 0, values[i]);
                tap_eq_mem(buf, 8, expected, 8);
                tap_eq_uint(buf[8], 0xaa);
                tap_eq_int(nipc_increment_decode(buf, 8, &value, NULL), 0);
                tap_eq_uint(value, values[i]);
        }
}

static void test_truncated(void)
{
        size_t size;

        for (size = 0; size < NIPC_INCREMENT_SIZE; size++) {
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact("12345678", size);
                uint64_t value = 7;

                check_fault(nipc_increment_decode(buf, size, &value, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
                tap_eq_uint(value, 7);
                free(buf);
        }
}

static void test_trailing_bytes(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[16];
        uint64_t value;

        memset(buf, 0xff, sizeof(buf));
        put_u64(buf, 0, 5);
        tap_eq_int(nipc_increment_decode(buf, sizeof(buf), &value, &fault), 0);
        tap_eq_uint(value, 5);
        tap_check(fault_untouched(&fault));
}

TAP_MAIN(TAP_CASE(test_roundtrip), TAP_CASE(test_truncated), TAP_CASE(test_trailing_bytes))
