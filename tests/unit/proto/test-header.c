/* SPDX-License-Identifier: MIT */

/* The outer header: layout, order of the checks, what is not judged. */

#include <nipc/header.h>

#include "util-bytes.h"

static const struct nipc_header sample = {
        .kind = NIPC_KIND_RESPONSE,
        .flags = NIPC_FLAG_BATCH,
        .code = NIPC_METHOD_INCREMENT,
        .transport_status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED,
        .payload_len = 0x01020304,
        .item_count = 0x05060708,
        .message_id = UINT64_C(0x1112131415161718),
};

static void sample_bytes(uint8_t *buf)
{
        put_u32(buf, 0, 0x4e495043);
        put_u16(buf, 4, 1);
        put_u16(buf, 6, 32);
        put_u16(buf, 8, 2);
        put_u16(buf, 10, 1);
        put_u16(buf, 12, 1);
        put_u16(buf, 14, 5);
        put_u32(buf, 16, 0x01020304);
        put_u32(buf, 20, 0x05060708);
        put_u64(buf, 24, UINT64_C(0x1112131415161718));
}

static void test_encode(void)
{
        uint8_t expected[32], buf[33];

        sample_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        nipc_header_encode(&sample, buf);
        tap_eq_mem(buf, 32, expected, 32);
        tap_eq_uint(buf[32], 0xaa);
}

static void test_decode(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_header header;
        uint8_t buf[32];

        sample_bytes(buf);
        tap_require(nipc_header_decode(buf, sizeof(buf), &header, &fault) == 0);
        tap_eq_mem(&header, sizeof(header), &sample, sizeof(sample));
        tap_check(fault_untouched(&fault));
        tap_eq_int(nipc_header_decode(buf, sizeof(buf), &header, NULL), 0);
}

static void test_unjudged_fields(void)
{
        struct nipc_header header;
        uint8_t buf[32];

        sample_bytes(buf);
        memset(buf + 10, 0xff, sizeof(buf) - 10);
        tap_require(nipc_header_decode(buf, sizeof(buf), &header, NULL) == 0);
        tap_eq_uint(header.flags, UINT16_MAX);
        tap_eq_uint(header.code, UINT16_MAX);
        tap_eq_uint(header.transport_status, UINT16_MAX);
        tap_eq_uint(header.payload_len, UINT32_MAX);
        tap_eq_uint(header.item_count, UINT32_MAX);
        tap_eq_uint(header.message_id, UINT64_MAX);
}

static void test_truncated(void)
{
        uint8_t bytes[32];
        size_t size;

        sample_bytes(bytes);
        for (size = 0; size < sizeof(bytes); size++) {
                struct nipc_header header = {.kind = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);

                check_fault(nipc_header_decode(buf, size, &header, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
                tap_eq_uint(header.kind, 77);
                free(buf);
        }
}

/* All is wrong; each step repairs what the last one named, so the order shows. */
static void test_order_of_checks(void)
{
        struct nipc_header header = {.kind = 77};
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[32] = {0};
        uint16_t kind;

        check_fault(nipc_header_decode(buf, 31, &header, &fault), fault, NIPC_PROTO_E_TRUNCATED,
                    31);
        check_fault(nipc_header_decode(buf, 32, &header, &fault), fault, NIPC_PROTO_E_BAD_MAGIC, 0);
        put_u32(buf, 0, NIPC_MAGIC);
        check_fault(nipc_header_decode(buf, 32, &header, &fault), fault, NIPC_PROTO_E_BAD_VERSION,
                    4);
        put_u16(buf, 4, 1);
        check_fault(nipc_header_decode(buf, 32, &header, &fault), fault,
                    NIPC_PROTO_E_BAD_HEADER_LEN, 6);
        put_u16(buf, 6, 32);
        check_fault(nipc_header_decode(buf, 32, &header, &fault), fault, NIPC_PROTO_E_BAD_KIND, 8);
        tap_eq_uint(header.kind, 77);
        for (kind = NIPC_KIND_REQUEST; kind <= NIPC_KIND_CONTROL; kind++) {
                put_u16(buf, 8, kind);
                tap_eq_int(nipc_header_decode(buf, 32, &header, &fault), 0);
                tap_eq_uint(header.kind, kind);
        }
}

static void test_edges(void)
{
        static const struct {
                size_t at;
                uint16_t value;
                int error;
        } edges[] = {
                {4, 0, NIPC_PROTO_E_BAD_VERSION},     {4, 2, NIPC_PROTO_E_BAD_VERSION},
                {6, 31, NIPC_PROTO_E_BAD_HEADER_LEN}, {6, 33, NIPC_PROTO_E_BAD_HEADER_LEN},
                {8, 0, NIPC_PROTO_E_BAD_KIND},        {8, 4, NIPC_PROTO_E_BAD_KIND},
                {8, 0xffff, NIPC_PROTO_E_BAD_KIND},
        };
        size_t i;

        for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
                struct nipc_fault fault = FAULT_NONE;
                struct nipc_header header;
                uint8_t buf[32];

                sample_bytes(buf);
                put_u16(buf, edges[i].at, edges[i].value);
                check_fault(nipc_header_decode(buf, 32, &header, &fault), fault, edges[i].error,
                            edges[i].at);
        }
}

/* The magic of a machine of the other byte order, and that of a chunk, are not ours. */
static void test_foreign_magic(void)
{
        struct nipc_header header;
        uint8_t buf[32];

        sample_bytes(buf);
        put_u32(buf, 0, 0x4350494e);
        tap_eq_int(nipc_header_decode(buf, 32, &header, NULL), NIPC_PROTO_E_BAD_MAGIC);
        put_u32(buf, 0, 0x4e43484b);
        tap_eq_int(nipc_header_decode(buf, 32, &header, NULL), NIPC_PROTO_E_BAD_MAGIC);
}

static void test_status_names(void)
{
        tap_eq_str(nipc_transport_status_name(0), "OK");
        tap_eq_str(nipc_transport_status_name(1), "BAD_ENVELOPE");
        tap_eq_str(nipc_transport_status_name(2), "AUTH_FAILED");
        tap_eq_str(nipc_transport_status_name(3), "INCOMPATIBLE");
        tap_eq_str(nipc_transport_status_name(4), "UNSUPPORTED");
        tap_eq_str(nipc_transport_status_name(5), "LIMIT_EXCEEDED");
        tap_eq_str(nipc_transport_status_name(6), "INTERNAL_ERROR");
        tap_eq_str(nipc_transport_status_name(7), "UNKNOWN");
        tap_eq_str(nipc_transport_status_name(0xffff), "UNKNOWN");
}

/* Whatever decodes encodes to the bytes it came from. */
static void test_mutations(void)
{
        uint64_t seed = 1;
        int i;

        for (i = 0; i < 20000; i++) {
                struct nipc_header header;
                uint8_t buf[32], again[32];

                sample_bytes(buf);
                buf[tap_random(&seed) % 32] = (uint8_t)tap_random(&seed);
                buf[tap_random(&seed) % 32] ^= (uint8_t)(1u << (tap_random(&seed) % 8));
                if (nipc_header_decode(buf, 32, &header, NULL))
                        continue;
                nipc_header_encode(&header, again);
                if (!tap_eq_mem(again, 32, buf, 32))
                        return;
        }
}

TAP_MAIN(TAP_CASE(test_encode), TAP_CASE(test_decode), TAP_CASE(test_unjudged_fields),
         TAP_CASE(test_truncated), TAP_CASE(test_order_of_checks), TAP_CASE(test_edges),
         TAP_CASE(test_foreign_magic), TAP_CASE(test_status_names), TAP_CASE(test_mutations))
