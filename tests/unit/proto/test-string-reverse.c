/* SPDX-License-Identifier: MIT */

/* Method 3: borrowed strings, exact fits, every broken rule and the order they are met in. */

#include <nipc/string-reverse.h>

#include "util-bytes.h"

static size_t hello_bytes(uint8_t *buf)
{
        put_u32(buf, 0, 8);
        put_u32(buf, 4, 5);
        memcpy(buf + 8, "hello", 6);
        return 14;
}

static void test_decode(void)
{
        struct nipc_string_reverse_view view;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t bytes[16], *buf;

        buf = copy_exact(bytes, hello_bytes(bytes));
        tap_eq_int(nipc_string_reverse_decode(buf, 14, &view, &fault), 0);
        tap_eq_ptr(view.str, buf + 8);
        tap_eq_uint(view.str_len, 5);
        tap_check(fault_untouched(&fault));
        free(buf);
}

static void test_interior_nul_and_trailing_bytes(void)
{
        struct nipc_string_reverse_view view;
        uint8_t buf[20];

        memset(buf, 0xee, sizeof(buf));
        hello_bytes(buf);
        buf[10] = 0;
        tap_eq_int(nipc_string_reverse_decode(buf, sizeof(buf), &view, NULL), 0);
        tap_eq_mem(view.str, view.str_len, "he\0lo", 5);
}

/* Below 8 bytes there is no header; from there on the string does not fit. */
static void test_truncated(void)
{
        uint8_t bytes[16];
        size_t full = hello_bytes(bytes), size;

        for (size = 0; size < full; size++) {
                struct nipc_string_reverse_view view = {.str_len = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);
                int r = nipc_string_reverse_decode(buf, size, &view, &fault);

                if (size < 8)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, size);
                else
                        check_fault(r, fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 4);
                tap_eq_uint(view.str_len, 77);
                free(buf);
        }
}

static void test_order_of_checks(void)
{
        struct nipc_string_reverse_view view;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[16];

        memset(buf, 0xff, sizeof(buf));
        check_fault(nipc_string_reverse_decode(buf, 14, &view, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u32(buf, 0, 9);
        check_fault(nipc_string_reverse_decode(buf, 14, &view, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u32(buf, 0, 8);
        check_fault(nipc_string_reverse_decode(buf, 14, &view, &fault), fault,
                    NIPC_PROTO_E_OUT_OF_BOUNDS, 4);
        put_u32(buf, 4, 6);
        check_fault(nipc_string_reverse_decode(buf, 14, &view, &fault), fault,
                    NIPC_PROTO_E_OUT_OF_BOUNDS, 4);
        put_u32(buf, 4, 5);
        check_fault(nipc_string_reverse_decode(buf, 14, &view, &fault), fault,
                    NIPC_PROTO_E_MISSING_NUL, 13);
        buf[13] = 0;
        tap_eq_int(nipc_string_reverse_decode(buf, 14, &view, &fault), 0);
}

/* 8 + length + 1 must not wrap at 32 bits. */
static void test_length_wrap(void)
{
        uint32_t length;

        for (length = UINT32_MAX - 10; length; length++) {
                struct nipc_string_reverse_view view;
                uint8_t buf[16] = {0};

                put_u32(buf, 0, 8);
                put_u32(buf, 4, length);
                tap_eq_int(nipc_string_reverse_decode(buf, sizeof(buf), &view, NULL),
                           NIPC_PROTO_E_OUT_OF_BOUNDS);
        }
}

static void test_encode(void)
{
        uint8_t expected[16], buf[16];
        size_t size = 0, full = hello_bytes(expected);

        memset(buf, 0xaa, sizeof(buf));
        tap_eq_int(nipc_string_reverse_encode("hello", 5, buf, sizeof(buf), &size), 0);
        tap_eq_mem(buf, size, expected, full);
        tap_eq_uint(buf[full], 0xaa);
        tap_eq_int(nipc_string_reverse_encode(NULL, 0, buf, 9, &size), 0);
        tap_eq_uint(size, 9);
        tap_eq_uint(buf[8], 0);
}

static void test_encode_overflow(void)
{
        uint8_t *buf = malloc(14);
        size_t room, size = 77;

        for (room = 0; room < 14; room++) {
                uint8_t *small = copy_exact("0123456789abcd", room);

                tap_eq_int(nipc_string_reverse_encode("hello", 5, small, room, &size),
                           NIPC_PROTO_E_OVERFLOW);
                free(small);
        }
        tap_eq_uint(size, 77);
        tap_eq_int(nipc_string_reverse_finish(buf, SIZE_MAX, SIZE_MAX, &size),
                   NIPC_PROTO_E_OVERFLOW);
        /* The payload would need a length of 33 bits, or not fit its memory. */
        tap_eq_int(nipc_string_reverse_finish(buf, SIZE_MAX, UINT32_MAX - 8, &size),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_string_reverse_encode("hello", 5, buf, 14, &size), 0);
        tap_eq_uint(size, 14);
        free(buf);
}

static void test_in_place(void)
{
        uint8_t expected[16], buf[16];
        size_t size = 0, full = hello_bytes(expected);

        memcpy(buf + NIPC_STRING_REVERSE_HEADER_SIZE, "hello", 5);
        tap_eq_int(nipc_string_reverse_finish(buf, full, 5, &size), 0);
        tap_eq_mem(buf, size, expected, full);
}

static void test_capacity(void)
{
        tap_eq_uint(nipc_string_reverse_capacity(0), 0);
        tap_eq_uint(nipc_string_reverse_capacity(8), 0);
        tap_eq_uint(nipc_string_reverse_capacity(9), 0);
        tap_eq_uint(nipc_string_reverse_capacity(10), 1);
        tap_eq_uint(nipc_string_reverse_capacity(1024), 1015);
}

TAP_MAIN(TAP_CASE(test_decode), TAP_CASE(test_interior_nul_and_trailing_bytes),
         TAP_CASE(test_truncated), TAP_CASE(test_order_of_checks), TAP_CASE(test_length_wrap),
         TAP_CASE(test_encode), TAP_CASE(test_encode_overflow), TAP_CASE(test_in_place),
         TAP_CASE(test_capacity))
