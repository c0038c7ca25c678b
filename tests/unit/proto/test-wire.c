/* SPDX-License-Identifier: MIT */

/* Loads and stores: host order, any alignment. Rounding in 64 bits. */

#include <nipc/wire.h>

#include "util-bytes.h"

static void test_every_alignment(void)
{
        uint8_t buf[32];
        size_t at;

        for (at = 0; at < 16; at++) {
                nipc_store_u16(buf + at, 0x0102);
                tap_eq_uint(nipc_load_u16(buf + at), 0x0102);
                nipc_store_u32(buf + at, 0x01020304);
                tap_eq_uint(nipc_load_u32(buf + at), 0x01020304);
                nipc_store_u64(buf + at, UINT64_C(0x0102030405060708));
                tap_eq_uint(nipc_load_u64(buf + at), UINT64_C(0x0102030405060708));
        }
}

static void test_host_order(void)
{
        const uint64_t v = UINT64_C(0xf1f2f3f4f5f6f7f8);
        uint8_t expected[8], buf[8];

        put_u64(expected, 0, v);
        nipc_store_u64(buf, v);
        tap_eq_mem(buf, 8, expected, 8);
        put_u32(expected, 0, (uint32_t)v);
        nipc_store_u32(buf, (uint32_t)v);
        tap_eq_mem(buf, 4, expected, 4);
        put_u16(expected, 0, (uint16_t)v);
        nipc_store_u16(buf, (uint16_t)v);
        tap_eq_mem(buf, 2, expected, 2);
}

static void test_align8(void)
{
        tap_eq_uint(nipc_align8(0), 0);
        tap_eq_uint(nipc_align8(1), 8);
        tap_eq_uint(nipc_align8(7), 8);
        tap_eq_uint(nipc_align8(8), 8);
        tap_eq_uint(nipc_align8(9), 16);
        tap_eq_uint(nipc_align8(UINT32_MAX), UINT64_C(0x100000000));
}

TAP_MAIN(TAP_CASE(test_every_alignment), TAP_CASE(test_host_order), TAP_CASE(test_align8))
