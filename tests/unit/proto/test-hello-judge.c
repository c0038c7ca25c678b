/* SPDX-License-Identifier: MIT */

/*
 * The judgement of both sides (wire-v1 §5). The rows of the server's table are met one after the
 * other: a packet that breaks all of them is repaired row by row, so the order shows.
 */

#include <nipc/hello.h>

#include "util-bytes.h"

static const struct nipc_hello_policy policy = {
        .supported_profiles = 3,
        .preferred_profiles = 2,
        .max_request_payload_bytes = 4096,
        .max_response_payload_bytes = 65536,
        .auth_token = UINT64_C(0x1122334455667788),
        .packet_size = 65536,
        .session_id = 9,
};

static struct nipc_hello good_hello(void)
{
        return (struct nipc_hello){
                .supported_profiles = 3,
                .max_request_payload_bytes = 1024,
                .max_request_batch_items = 8,
                .max_response_payload_bytes = 512,
                .max_response_batch_items = 4,
                .auth_token = UINT64_C(0x1122334455667788),
                .packet_size = 1000,
        };
}

enum { STATUS_NONE = 999 };

/* What the server would do: the status to answer with, or STATUS_NONE and a cause. */
static uint16_t judge(const uint8_t *packet, size_t size, struct nipc_hello_ack *ret_ack,
                      struct nipc_fault *ret_fault)
{
        uint16_t status = STATUS_NONE;
        struct nipc_hello hello;
        int r;

        *ret_fault = (struct nipc_fault)FAULT_NONE;
        r = nipc_hello_judge(packet, size, &policy, &hello, ret_ack, &status, ret_fault);
        if (r)
                tap_eq_int(ret_fault->error, r);
        else
                tap_check(fault_untouched(ret_fault));
        return status;
}

static uint16_t judge_hello(const struct nipc_hello *hello, struct nipc_hello_ack *ret_ack)
{
        struct nipc_fault fault;
        uint8_t packet[76];

        nipc_hello_encode_packet(hello, packet);
        return judge(packet, sizeof(packet), ret_ack, &fault);
}

static void test_accept(void)
{
        struct nipc_hello hello = good_hello();
        struct nipc_hello_ack ack = {0};

        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_OK);
        tap_eq_uint(ack.flags, 0);
        tap_eq_uint(ack.server_supported_profiles, 3);
        tap_eq_uint(ack.intersection_profiles, 3);
        tap_eq_uint(ack.selected_profile, 2);
        tap_eq_uint(ack.agreed_max_request_payload_bytes, 1024);
        tap_eq_uint(ack.agreed_max_request_batch_items, 8);
        tap_eq_uint(ack.agreed_max_response_payload_bytes, 65536);
        tap_eq_uint(ack.agreed_max_response_batch_items, 8);
        tap_eq_uint(ack.agreed_packet_size, 1000);
        tap_eq_uint(ack.reserved, 0);
        tap_eq_uint(ack.session_id, 9);
}

static void test_rows_without_answer(void)
{
        struct nipc_hello hello = good_hello();
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint8_t packet[76];

        /* All wrong at once: reserved, layout, length, code, kind, magic. */
        hello.supported_profiles = 8;
        nipc_hello_encode_packet(&hello, packet);
        put_u32(packet, 32 + 28, 1);
        put_u16(packet, 32, 1);
        put_u16(packet, 12, 2);
        put_u16(packet, 8, 1);
        put_u32(packet, 0, 0);
        tap_eq_uint(judge(packet, 75, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_MAGIC, 0);
        put_u32(packet, 0, NIPC_MAGIC);
        tap_eq_uint(judge(packet, 75, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_KIND, 8);
        put_u16(packet, 8, 3);
        tap_eq_uint(judge(packet, 75, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_LAYOUT, 12);
        put_u16(packet, 12, 1);
        tap_eq_uint(judge(packet, 75, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_TRUNCATED, 75);
        tap_eq_uint(judge(packet, 76, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_LAYOUT, 60);
        put_u32(packet, 60, 0);
        tap_eq_uint(judge(packet, 76, &ack, &fault), NIPC_TRANSPORT_STATUS_UNSUPPORTED);
}

static void test_rows_with_answer(void)
{
        struct nipc_hello hello = {
                .supported_profiles = 8,
                .auth_token = 1,
                .max_request_payload_bytes = 4097,
                .packet_size = 32,
        };
        struct nipc_hello_ack ack = {.session_id = 77};

        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_UNSUPPORTED);
        hello.supported_profiles = 0xb;
        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_AUTH_FAILED);
        hello.auth_token = policy.auth_token;
        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        hello.max_request_payload_bytes = 4096;
        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        tap_eq_uint(ack.session_id, 77);
        hello.packet_size = 33;
        tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_OK);
        tap_eq_uint(ack.agreed_packet_size, 33);
}

/* Every bit of the token counts. */
static void test_token(void)
{
        struct nipc_hello_ack ack;
        int bit;

        for (bit = 0; bit < 64; bit++) {
                struct nipc_hello hello = good_hello();

                hello.auth_token ^= UINT64_C(1) << bit;
                tap_eq_uint(judge_hello(&hello, &ack), NIPC_TRANSPORT_STATUS_AUTH_FAILED);
        }
}

/* Only a HELLO whose version alone is foreign is told so. */
static void test_other_version(void)
{
        static const struct {
                size_t at;
                uint16_t value;
        } spoilt[] = {{6, 40}, {8, 1}, {12, 2}};
        struct nipc_hello hello = good_hello();
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint8_t packet[76];
        size_t i;

        nipc_hello_encode_packet(&hello, packet);
        put_u16(packet, 4, 2);
        tap_eq_uint(judge(packet, 76, &ack, &fault), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        /* Its payload is not looked at. */
        tap_eq_uint(judge(packet, 32, &ack, &fault), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        tap_eq_uint(judge(packet, 31, &ack, &fault), STATUS_NONE);
        for (i = 0; i < 3; i++) {
                nipc_hello_encode_packet(&hello, packet);
                put_u16(packet, 4, 2);
                put_u16(packet, spoilt[i].at, spoilt[i].value);
                tap_eq_uint(judge(packet, 76, &ack, &fault), STATUS_NONE);
                check_fault(fault.error, fault, NIPC_PROTO_E_BAD_VERSION, 4);
        }
}

/* Another layout is answered, and before the reserved word is looked at. */
static void test_other_layout(void)
{
        struct nipc_hello hello = good_hello();
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint8_t packet[76];

        nipc_hello_encode_packet(&hello, packet);
        put_u16(packet, 32, 2);
        put_u32(packet, 60, 1);
        tap_eq_uint(judge(packet, 76, &ack, &fault), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        tap_eq_uint(judge(packet, 75, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_TRUNCATED, 75);
}

static void test_hello_truncated(void)
{
        struct nipc_hello hello = good_hello();
        uint8_t bytes[76];
        size_t size;

        nipc_hello_encode_packet(&hello, bytes);
        for (size = 0; size < 76; size++) {
                uint8_t *packet = copy_exact(bytes, size);
                struct nipc_hello_ack ack;
                struct nipc_fault fault;

                tap_eq_uint(judge(packet, size, &ack, &fault), STATUS_NONE);
                check_fault(fault.error, fault, NIPC_PROTO_E_TRUNCATED, size);
                free(packet);
        }
}

/* What the receiver of HELLO does not look at: the rest of the header, its flags, what follows. */
static void test_hello_tolerance(void)
{
        struct nipc_hello hello = good_hello(), asked = {0};
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint8_t packet[128];
        uint16_t status;

        memset(packet, 0xff, sizeof(packet));
        hello.flags = 0xffff;
        nipc_hello_encode_packet(&hello, packet);
        put_u16(packet, 10, 0xffff);
        memset(packet + 14, 0xff, 18);
        tap_eq_uint(judge(packet, sizeof(packet), &ack, &fault), NIPC_TRANSPORT_STATUS_OK);
        tap_eq_int(nipc_hello_judge(packet, 128, &policy, &asked, &ack, &status, NULL), 0);
        tap_eq_uint(asked.flags, 0xffff);
        tap_eq_uint(asked.max_response_payload_bytes, 512);
        tap_eq_int(nipc_hello_judge(packet, 128, &policy, NULL, &ack, &status, NULL), 0);
}

static uint32_t selected(uint32_t client, uint32_t client_prefers, uint32_t server,
                         uint32_t server_prefers)
{
        struct nipc_hello_policy offer = policy;
        struct nipc_hello hello = good_hello();
        struct nipc_hello_ack ack = {0};
        uint16_t status = STATUS_NONE;
        uint8_t packet[76];

        hello.supported_profiles = client;
        hello.preferred_profiles = client_prefers;
        offer.supported_profiles = server;
        offer.preferred_profiles = server_prefers;
        nipc_hello_encode_packet(&hello, packet);
        tap_eq_int(nipc_hello_judge(packet, 76, &offer, NULL, &ack, &status, NULL), 0);
        return status == NIPC_TRANSPORT_STATUS_OK ? ack.selected_profile : 0;
}

static void test_profiles(void)
{
        tap_eq_uint(selected(1, 0, 1, 0), 1);
        tap_eq_uint(selected(3, 0, 3, 0), 2);
        tap_eq_uint(selected(7, 1, 7, 1), 1);
        tap_eq_uint(selected(7, 3, 7, 6), 2);
        tap_eq_uint(selected(7, 1, 7, 2), 4);
        tap_eq_uint(selected(3, 4, 7, 4), 2);
        tap_eq_uint(selected(2, 0, 1, 0), 0);
        /* 0 at the server means baseline, at the client nothing. */
        tap_eq_uint(selected(3, 0, 0, 0), 1);
        tap_eq_uint(selected(2, 0, 0, 0), 0);
        tap_eq_uint(selected(0, 0, 1, 0), 0);
        tap_eq_uint(selected(UINT32_MAX, 0, UINT32_MAX, 0), 0x80000000);
}

/* The client's side: status or STATUS_NONE. */
static uint16_t judge_ack(const uint8_t *packet, size_t size, struct nipc_hello_ack *ret_ack,
                          struct nipc_fault *ret_fault)
{
        uint16_t status = STATUS_NONE;
        int r;

        *ret_fault = (struct nipc_fault)FAULT_NONE;
        r = nipc_hello_ack_judge(packet, size, ret_ack, &status, ret_fault);
        if (r)
                tap_eq_int(ret_fault->error, r);
        else
                tap_check(fault_untouched(ret_fault));
        return status;
}

static void good_ack_packet(uint8_t *packet)
{
        const struct nipc_hello_ack ack = {.selected_profile = 4, .agreed_packet_size = 33};

        nipc_hello_ack_encode_packet(&ack, NIPC_TRANSPORT_STATUS_OK, packet);
}

static void test_ack_accept(void)
{
        struct nipc_hello_ack ack = {0};
        struct nipc_fault fault;
        uint8_t packet[96];

        memset(packet, 0xff, sizeof(packet));
        good_ack_packet(packet);
        tap_eq_uint(judge_ack(packet, 96, &ack, &fault), NIPC_TRANSPORT_STATUS_OK);
        tap_eq_uint(ack.selected_profile, 4);
        tap_eq_uint(ack.agreed_packet_size, 33);
}

static void test_ack_rejections(void)
{
        struct nipc_hello_ack ack = {.session_id = 77};
        struct nipc_fault fault;
        uint8_t packet[80];
        uint16_t status;

        for (status = 1; status < 9; status++) {
                nipc_hello_ack_encode_packet(NULL, status, packet);
                tap_eq_uint(judge_ack(packet, 80, &ack, &fault), status);
                /* The status comes before the length of the payload. */
                tap_eq_uint(judge_ack(packet, 32, &ack, &fault), status);
        }
        tap_eq_uint(ack.session_id, 77);
}

static void test_ack_order_of_checks(void)
{
        struct nipc_hello_ack ack = {.session_id = 77};
        struct nipc_fault fault;
        uint8_t packet[80];

        good_ack_packet(packet);
        put_u32(packet, 64, 32);
        put_u16(packet, 34, 1);
        put_u16(packet, 32, 2);
        put_u16(packet, 12, 1);
        put_u16(packet, 8, 2);
        put_u16(packet, 4, 2);
        tap_eq_uint(judge_ack(packet, 79, &ack, &fault), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        put_u16(packet, 4, 1);
        tap_eq_uint(judge_ack(packet, 79, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_KIND, 8);
        put_u16(packet, 8, 3);
        tap_eq_uint(judge_ack(packet, 79, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_LAYOUT, 12);
        put_u16(packet, 12, 2);
        tap_eq_uint(judge_ack(packet, 79, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_TRUNCATED, 79);
        tap_eq_uint(judge_ack(packet, 80, &ack, &fault), NIPC_TRANSPORT_STATUS_INCOMPATIBLE);
        put_u16(packet, 32, 1);
        tap_eq_uint(judge_ack(packet, 80, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_LAYOUT, 34);
        put_u16(packet, 34, 0);
        tap_eq_uint(judge_ack(packet, 80, &ack, &fault), STATUS_NONE);
        check_fault(fault.error, fault, NIPC_PROTO_E_BAD_LAYOUT, 64);
        tap_eq_uint(ack.session_id, 77);
}

static void test_ack_truncated(void)
{
        uint8_t bytes[80];
        size_t size;

        good_ack_packet(bytes);
        for (size = 0; size < 80; size++) {
                uint8_t *packet = copy_exact(bytes, size);
                struct nipc_hello_ack ack;
                struct nipc_fault fault;

                tap_eq_uint(judge_ack(packet, size, &ack, &fault), STATUS_NONE);
                check_fault(fault.error, fault, NIPC_PROTO_E_TRUNCATED, size);
                free(packet);
        }
}

TAP_MAIN(TAP_CASE(test_accept), TAP_CASE(test_rows_without_answer), TAP_CASE(test_rows_with_answer),
         TAP_CASE(test_token), TAP_CASE(test_other_version), TAP_CASE(test_other_layout),
         TAP_CASE(test_hello_truncated), TAP_CASE(test_hello_tolerance), TAP_CASE(test_profiles),
         TAP_CASE(test_ack_accept), TAP_CASE(test_ack_rejections),
         TAP_CASE(test_ack_order_of_checks), TAP_CASE(test_ack_truncated))
