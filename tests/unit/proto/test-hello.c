/* SPDX-License-Identifier: MIT */

/* Payloads and packets of the handshake, byte for byte. The judgement has its own test. */

#include <nipc/hello.h>

#include "util-bytes.h"

static const struct nipc_hello hello_sample = {
        .flags = 0,
        .supported_profiles = 3,
        .preferred_profiles = 2,
        .max_request_payload_bytes = 4096,
        .max_request_batch_items = 16,
        .max_response_payload_bytes = 65536,
        .max_response_batch_items = 17,
        .auth_token = UINT64_C(0x1112131415161718),
        .packet_size = 1000,
};

static const struct nipc_hello_ack ack_sample = {
        .server_supported_profiles = 7,
        .intersection_profiles = 3,
        .selected_profile = 2,
        .agreed_max_request_payload_bytes = 4096,
        .agreed_max_request_batch_items = 16,
        .agreed_max_response_payload_bytes = 131072,
        .agreed_max_response_batch_items = 18,
        .agreed_packet_size = 65536,
        .session_id = UINT64_C(0x2122232425262728),
};

static void hello_bytes(uint8_t *buf)
{
        put_u16(buf, 0, 1);
        put_u16(buf, 2, 0);
        put_u32(buf, 4, 3);
        put_u32(buf, 8, 2);
        put_u32(buf, 12, 4096);
        put_u32(buf, 16, 16);
        put_u32(buf, 20, 65536);
        put_u32(buf, 24, 17);
        put_u32(buf, 28, 0);
        put_u64(buf, 32, hello_sample.auth_token);
        put_u32(buf, 40, 1000);
}

static void ack_bytes(uint8_t *buf)
{
        put_u16(buf, 0, 1);
        put_u16(buf, 2, 0);
        put_u32(buf, 4, 7);
        put_u32(buf, 8, 3);
        put_u32(buf, 12, 2);
        put_u32(buf, 16, 4096);
        put_u32(buf, 20, 16);
        put_u32(buf, 24, 131072);
        put_u32(buf, 28, 18);
        put_u32(buf, 32, 65536);
        put_u32(buf, 36, 0);
        put_u64(buf, 40, ack_sample.session_id);
}

static void test_hello_encode(void)
{
        uint8_t expected[44], buf[45];

        hello_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        nipc_hello_encode(&hello_sample, buf);
        tap_eq_mem(buf, 44, expected, 44);
        tap_eq_uint(buf[44], 0xaa);
}

static void test_hello_decode(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_hello hello = {0};
        uint8_t buf[48] = {0}, again[44];

        hello_bytes(buf);
        put_u16(buf, 2, 0xffff);
        tap_eq_int(nipc_hello_decode(buf, 44, &hello, &fault), 0);
        tap_eq_uint(hello.flags, 0xffff);
        tap_eq_uint(hello.auth_token, hello_sample.auth_token);
        tap_check(fault_untouched(&fault));
        nipc_hello_encode(&hello, again);
        tap_eq_mem(again, 44, buf, 44);
        /* Bytes after the payload are ignored. */
        memset(buf + 44, 0xff, 4);
        tap_eq_int(nipc_hello_decode(buf, 48, &hello, &fault), 0);
}

static void test_hello_truncated(void)
{
        uint8_t bytes[44];
        size_t size;

        hello_bytes(bytes);
        for (size = 0; size < 44; size++) {
                struct nipc_hello hello = {.packet_size = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);

                check_fault(nipc_hello_decode(buf, size, &hello, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
                tap_eq_uint(hello.packet_size, 77);
                free(buf);
        }
}

static void test_hello_order_of_checks(void)
{
        struct nipc_hello hello = {.packet_size = 77};
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[44];

        memset(buf, 0xff, sizeof(buf));
        check_fault(nipc_hello_decode(buf, 43, &hello, &fault), fault, NIPC_PROTO_E_TRUNCATED, 43);
        check_fault(nipc_hello_decode(buf, 44, &hello, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u16(buf, 0, 0);
        check_fault(nipc_hello_decode(buf, 44, &hello, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u16(buf, 0, 1);
        check_fault(nipc_hello_decode(buf, 44, &hello, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 28);
        tap_eq_uint(hello.packet_size, 77);
        put_u32(buf, 28, 0);
        tap_eq_int(nipc_hello_decode(buf, 44, &hello, &fault), 0);
}

static void test_ack_encode(void)
{
        uint8_t expected[48], buf[49];

        ack_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        nipc_hello_ack_encode(&ack_sample, buf);
        tap_eq_mem(buf, 48, expected, 48);
        tap_eq_uint(buf[48], 0xaa);
}

static void test_ack_decode(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_hello_ack ack = {0};
        uint8_t buf[48], again[48];

        ack_bytes(buf);
        put_u32(buf, 36, 5);
        tap_eq_int(nipc_hello_ack_decode(buf, 48, &ack, &fault), 0);
        tap_eq_uint(ack.reserved, 5);
        tap_eq_uint(ack.session_id, ack_sample.session_id);
        tap_check(fault_untouched(&fault));
        nipc_hello_ack_encode(&ack, again);
        tap_eq_mem(again, 48, buf, 48);
}

static void test_ack_truncated(void)
{
        uint8_t bytes[48];
        size_t size;

        ack_bytes(bytes);
        for (size = 0; size < 48; size++) {
                struct nipc_hello_ack ack = {.selected_profile = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);

                check_fault(nipc_hello_ack_decode(buf, size, &ack, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
                tap_eq_uint(ack.selected_profile, 77);
                free(buf);
        }
}

static void test_ack_order_of_checks(void)
{
        struct nipc_hello_ack ack;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[48];

        memset(buf, 0xff, sizeof(buf));
        check_fault(nipc_hello_ack_decode(buf, 47, &ack, &fault), fault, NIPC_PROTO_E_TRUNCATED,
                    47);
        check_fault(nipc_hello_ack_decode(buf, 48, &ack, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                    0);
        put_u16(buf, 0, 1);
        check_fault(nipc_hello_ack_decode(buf, 48, &ack, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                    2);
        put_u16(buf, 2, 0);
        tap_eq_int(nipc_hello_ack_decode(buf, 48, &ack, &fault), 0);
}

static void header_bytes(uint8_t *buf, uint16_t code, uint16_t status, uint32_t payload_len)
{
        memset(buf, 0, 32);
        put_u32(buf, 0, 0x4e495043);
        put_u16(buf, 4, 1);
        put_u16(buf, 6, 32);
        put_u16(buf, 8, 3);
        put_u16(buf, 12, code);
        put_u16(buf, 14, status);
        put_u32(buf, 16, payload_len);
        put_u32(buf, 20, 1);
}

static void test_hello_packet(void)
{
        uint8_t expected[76], buf[76];

        header_bytes(expected, 1, 0, 44);
        hello_bytes(expected + 32);
        nipc_hello_encode_packet(&hello_sample, buf);
        tap_eq_mem(buf, 76, expected, 76);
}

static void test_ack_packet(void)
{
        uint8_t expected[80], buf[80];

        header_bytes(expected, 2, 0, 48);
        ack_bytes(expected + 32);
        nipc_hello_ack_encode_packet(&ack_sample, NIPC_TRANSPORT_STATUS_OK, buf);
        tap_eq_mem(buf, 80, expected, 80);
}

/* A rejection tells nothing but the status, whatever ack it is given. */
static void test_rejection_packet(void)
{
        uint8_t expected[80], buf[80];
        uint16_t status;

        for (status = 1; status < 8; status++) {
                header_bytes(expected, 2, status, 48);
                memset(expected + 32, 0, 48);
                put_u16(expected, 32, 1);
                nipc_hello_ack_encode_packet(&ack_sample, status, buf);
                tap_eq_mem(buf, 80, expected, 80);
                memset(buf, 0xaa, sizeof(buf));
                nipc_hello_ack_encode_packet(NULL, status, buf);
                tap_eq_mem(buf, 80, expected, 80);
        }
}

TAP_MAIN(TAP_CASE(test_hello_encode), TAP_CASE(test_hello_decode), TAP_CASE(test_hello_truncated),
         TAP_CASE(test_hello_order_of_checks), TAP_CASE(test_ack_encode), TAP_CASE(test_ack_decode),
         TAP_CASE(test_ack_truncated), TAP_CASE(test_ack_order_of_checks),
         TAP_CASE(test_hello_packet), TAP_CASE(test_ack_packet), TAP_CASE(test_rejection_packet))
