/* SPDX-License-Identifier: MIT */

/* Chunk headers and the assembly of a message from packets. */

#include <nipc/chunk.h>

#include "util-bytes.h"

static const struct nipc_chunk_header sample = {
        .message_id = UINT64_C(0x1112131415161718),
        .total_message_len = 132,
        .chunk_index = 3,
        .chunk_count = 4,
        .chunk_payload_len = 4,
};

static void sample_bytes(uint8_t *buf)
{
        put_u32(buf, 0, 0x4e43484b);
        put_u16(buf, 4, 1);
        put_u16(buf, 6, 0);
        put_u64(buf, 8, sample.message_id);
        put_u32(buf, 16, 132);
        put_u32(buf, 20, 3);
        put_u32(buf, 24, 4);
        put_u32(buf, 28, 4);
}

static void test_encode(void)
{
        uint8_t expected[32], buf[33];

        sample_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        nipc_chunk_header_encode(&sample, buf);
        tap_eq_mem(buf, 32, expected, 32);
        tap_eq_uint(buf[32], 0xaa);
}

static void test_decode(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_chunk_header chunk;
        uint8_t buf[32];

        sample_bytes(buf);
        tap_require(nipc_chunk_header_decode(buf, 32, &chunk, &fault) == 0);
        tap_eq_uint(chunk.flags, 0);
        tap_eq_uint(chunk.message_id, sample.message_id);
        tap_eq_uint(chunk.total_message_len, 132);
        tap_eq_uint(chunk.chunk_index, 3);
        tap_eq_uint(chunk.chunk_count, 4);
        tap_eq_uint(chunk.chunk_payload_len, 4);
        tap_check(fault_untouched(&fault));
}

static void test_truncated(void)
{
        uint8_t bytes[32];
        size_t size;

        sample_bytes(bytes);
        for (size = 0; size < 32; size++) {
                struct nipc_chunk_header chunk = {.chunk_index = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);

                check_fault(nipc_chunk_header_decode(buf, size, &chunk, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
                tap_eq_uint(chunk.chunk_index, 77);
                free(buf);
        }
}

static void test_order_of_checks(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_chunk_header chunk;
        uint8_t buf[32];

        memset(buf, 0xff, sizeof(buf));
        put_u32(buf, 28, 0);
        check_fault(nipc_chunk_header_decode(buf, 31, &chunk, &fault), fault,
                    NIPC_PROTO_E_TRUNCATED, 31);
        check_fault(nipc_chunk_header_decode(buf, 32, &chunk, &fault), fault,
                    NIPC_PROTO_E_BAD_MAGIC, 0);
        put_u32(buf, 0, NIPC_CHUNK_MAGIC);
        check_fault(nipc_chunk_header_decode(buf, 32, &chunk, &fault), fault,
                    NIPC_PROTO_E_BAD_VERSION, 4);
        put_u16(buf, 4, 1);
        check_fault(nipc_chunk_header_decode(buf, 32, &chunk, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 6);
        put_u16(buf, 6, 0);
        check_fault(nipc_chunk_header_decode(buf, 32, &chunk, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 28);
        put_u32(buf, 28, 1);
        tap_eq_int(nipc_chunk_header_decode(buf, 32, &chunk, &fault), 0);
        tap_eq_uint(chunk.chunk_count, UINT32_MAX);
}

static void test_count(void)
{
        tap_eq_uint(nipc_chunk_count(0, 0, 64), 1);
        tap_eq_uint(nipc_chunk_count(32, 32, 64), 1);
        tap_eq_uint(nipc_chunk_count(33, 32, 64), 2);
        tap_eq_uint(nipc_chunk_count(64, 32, 64), 2);
        tap_eq_uint(nipc_chunk_count(65, 32, 64), 3);
        tap_eq_uint(nipc_chunk_count(100, 32, 64), 4);
        tap_eq_uint(nipc_chunk_count(100, 0, 64), 5);
        tap_eq_uint(nipc_chunk_count(1, 2, 64), 1);
        tap_eq_uint(nipc_chunk_count(8, 8, 0), 1);
        /* payload_len + packet_size is above 32 bits. */
        tap_eq_uint(nipc_chunk_count(UINT32_MAX, 0, 65536), 65570);
        /* The largest message, one byte a packet: the last count that fits. */
        tap_eq_uint(nipc_chunk_count(UINT32_MAX - 32, 0, 33), UINT32_MAX - 31);
        tap_eq_uint(nipc_chunk_count(UINT32_MAX, 1, 33), UINT32_MAX);
        /* No count at all. */
        tap_eq_uint(nipc_chunk_count(UINT32_MAX, 0, 33), 0);
        tap_eq_uint(nipc_chunk_count(1, 0, 32), 0);
        tap_eq_uint(nipc_chunk_count(1, 0, 0), 0);
}

static void test_limits(void)
{
        const struct nipc_limits limits = {.max_payload_bytes = 100, .max_items = 3};
        struct nipc_header header = {.payload_len = 100, .item_count = 3};
        struct nipc_fault fault = FAULT_NONE;

        tap_eq_int(nipc_limits_check(&limits, &header, &fault), 0);
        tap_check(fault_untouched(&fault));
        header.item_count = 4;
        check_fault(nipc_limits_check(&limits, &header, &fault), fault, NIPC_PROTO_E_LIMIT_EXCEEDED,
                    20);
        header.payload_len = 101;
        check_fault(nipc_limits_check(&limits, &header, &fault), fault, NIPC_PROTO_E_LIMIT_EXCEEDED,
                    16);
}

static void test_zero_limits(void)
{
        const struct nipc_limits limits = {0};
        struct nipc_header header = {.item_count = 1};

        tap_eq_int(nipc_limits_check(&limits, &header, NULL), NIPC_PROTO_E_LIMIT_EXCEEDED);
        header.item_count = 0;
        tap_eq_int(nipc_limits_check(&limits, &header, NULL), 0);
        header.payload_len = 1;
        tap_eq_int(nipc_limits_check(&limits, &header, NULL), NIPC_PROTO_E_LIMIT_EXCEEDED);
}

/* A message of 100 bytes of which packet 0 carried 32, at 64 bytes a packet: four packets. */
static struct nipc_assembly begun(void)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST, .payload_len = 100, .item_count = 1, .message_id = 9};
        struct nipc_assembly assembly = {0};

        tap_eq_int(nipc_assembly_begin(&assembly, &header, 64, 64, NULL), 0);
        return assembly;
}

static void chunk_bytes(uint8_t *buf, uint32_t index, uint32_t payload_len)
{
        const struct nipc_chunk_header chunk = {
                .message_id = 9,
                .total_message_len = 132,
                .chunk_index = index,
                .chunk_count = 4,
                .chunk_payload_len = payload_len,
        };

        nipc_chunk_header_encode(&chunk, buf);
}

static void test_assembly(void)
{
        struct nipc_assembly assembly = begun();
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[32];

        tap_eq_uint(nipc_assembly_missing(&assembly), 68);
        tap_eq_uint(assembly.chunk_count, 4);
        chunk_bytes(buf, 1, 32);
        tap_eq_int(nipc_assembly_continue(&assembly, buf, 64, &fault), 0);
        tap_eq_uint(assembly.received, 64);
        chunk_bytes(buf, 2, 32);
        tap_eq_int(nipc_assembly_continue(&assembly, buf, 64, &fault), 0);
        chunk_bytes(buf, 3, 4);
        tap_eq_int(nipc_assembly_continue(&assembly, buf, 36, &fault), 0);
        tap_eq_uint(nipc_assembly_missing(&assembly), 0);
        tap_check(fault_untouched(&fault));
        /* Nothing may follow a complete message. */
        chunk_bytes(buf, 4, 1);
        check_fault(nipc_assembly_continue(&assembly, buf, 33, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 28);
}

static void test_assembly_single_packet(void)
{
        const struct nipc_header header = {.payload_len = 8};
        struct nipc_assembly assembly;

        tap_eq_int(nipc_assembly_begin(&assembly, &header, 40, 64, NULL), 0);
        tap_eq_uint(nipc_assembly_missing(&assembly), 0);
        tap_eq_uint(assembly.chunk_count, 1);
        /* A packet above the packet size is tolerated when the buffer held it. */
        tap_eq_int(nipc_assembly_begin(&assembly, &header, 40, 36, NULL), 0);
        tap_eq_uint(nipc_assembly_missing(&assembly), 0);
}

static void test_assembly_begin_refused(void)
{
        const struct nipc_header header = {.payload_len = 8};
        struct nipc_assembly assembly = {.received = 77};
        struct nipc_fault fault = FAULT_NONE;

        check_fault(nipc_assembly_begin(&assembly, &header, 41, 64, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 16);
        check_fault(nipc_assembly_begin(&assembly, &header, SIZE_MAX, 64, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 16);
        check_fault(nipc_assembly_begin(&assembly, &header, 31, 64, &fault), fault,
                    NIPC_PROTO_E_TRUNCATED, 31);
        tap_eq_uint(assembly.received, 77);
}

/* A short packet 0 is legal: the count follows from what it carried. */
static void test_assembly_short_first(void)
{
        const struct nipc_header header = {.payload_len = 68, .message_id = 9};
        struct nipc_chunk_header chunk = {.message_id = 9,
                                          .total_message_len = 100,
                                          .chunk_index = 1,
                                          .chunk_count = 4,
                                          .chunk_payload_len = 10};
        struct nipc_assembly assembly;
        uint8_t buf[32];

        tap_eq_int(nipc_assembly_begin(&assembly, &header, 32, 64, NULL), 0);
        tap_eq_uint(assembly.chunk_count, 4);
        /* And so is a continuation shorter than a packet, as long as the count stays. */
        nipc_chunk_header_encode(&chunk, buf);
        tap_eq_int(nipc_assembly_continue(&assembly, buf, 42, NULL), 0);
        tap_eq_uint(nipc_assembly_missing(&assembly), 58);
}

/* One wrong field at a time; the assembly stays as it was. */
static void test_assembly_mismatch(void)
{
        static const struct {
                size_t at;
                uint32_t value;
                int error;
        } wrong[] = {
                {0, NIPC_MAGIC, NIPC_PROTO_E_BAD_MAGIC},  {8, 1, NIPC_PROTO_E_BAD_CHUNK},
                {12, 1, NIPC_PROTO_E_BAD_CHUNK},          {16, 131, NIPC_PROTO_E_BAD_CHUNK},
                {16, 100, NIPC_PROTO_E_BAD_CHUNK},        {20, 0, NIPC_PROTO_E_BAD_CHUNK},
                {20, 2, NIPC_PROTO_E_BAD_CHUNK},          {24, 3, NIPC_PROTO_E_BAD_CHUNK},
                {24, 5, NIPC_PROTO_E_BAD_CHUNK},          {28, 31, NIPC_PROTO_E_BAD_CHUNK},
                {28, 33, NIPC_PROTO_E_BAD_CHUNK},         {28, 0, NIPC_PROTO_E_BAD_LAYOUT},
                {28, UINT32_MAX, NIPC_PROTO_E_BAD_CHUNK},
        };
        size_t i;

        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                struct nipc_assembly assembly = begun(), before = assembly;
                struct nipc_fault fault = FAULT_NONE;
                uint8_t buf[32];

                chunk_bytes(buf, 1, 32);
                put_u32(buf, wrong[i].at, wrong[i].value);
                check_fault(nipc_assembly_continue(&assembly, buf, 64, &fault), fault,
                            wrong[i].error, wrong[i].at == 12 ? 8 : wrong[i].at);
                tap_eq_mem(&assembly, sizeof(assembly), &before, sizeof(before));
        }
}

static void test_assembly_lengths(void)
{
        struct nipc_assembly assembly = begun();
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[32];
        size_t size;

        chunk_bytes(buf, 1, 32);
        for (size = 0; size < 32; size++)
                check_fault(nipc_assembly_continue(&assembly, buf, size, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
        check_fault(nipc_assembly_continue(&assembly, buf, 63, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 28);
        check_fault(nipc_assembly_continue(&assembly, buf, 65, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 28);
        /* Above the packet size although it says so itself, and although the bytes are missing. */
        chunk_bytes(buf, 1, 33);
        check_fault(nipc_assembly_continue(&assembly, buf, 65, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 28);
        tap_eq_uint(assembly.received, 32);
}

static void test_assembly_overrun(void)
{
        const struct nipc_header header = {.payload_len = 40, .message_id = 9};
        struct nipc_chunk_header chunk = {.message_id = 9,
                                          .total_message_len = 72,
                                          .chunk_index = 1,
                                          .chunk_count = 2,
                                          .chunk_payload_len = 9};
        struct nipc_assembly assembly;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[32];

        tap_eq_int(nipc_assembly_begin(&assembly, &header, 64, 64, NULL), 0);
        nipc_chunk_header_encode(&chunk, buf);
        check_fault(nipc_assembly_continue(&assembly, buf, 41, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 28);
        chunk.chunk_payload_len = 8;
        nipc_chunk_header_encode(&chunk, buf);
        tap_eq_int(nipc_assembly_continue(&assembly, buf, 40, NULL), 0);
        tap_eq_uint(nipc_assembly_missing(&assembly), 0);
}

/* 32 + payload_len does not fit 32 bits: no total can be right. */
static void test_assembly_total_wrap(void)
{
        const struct nipc_header header = {.payload_len = UINT32_MAX, .message_id = 9};
        struct nipc_chunk_header chunk = {.message_id = 9,
                                          .total_message_len = 31,
                                          .chunk_index = 1,
                                          .chunk_payload_len = 32};
        struct nipc_assembly assembly;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[32];

        tap_eq_int(nipc_assembly_begin(&assembly, &header, 64, 64, NULL), 0);
        chunk.chunk_count = assembly.chunk_count;
        nipc_chunk_header_encode(&chunk, buf);
        check_fault(nipc_assembly_continue(&assembly, buf, 64, &fault), fault,
                    NIPC_PROTO_E_BAD_CHUNK, 16);
}

TAP_MAIN(TAP_CASE(test_encode), TAP_CASE(test_decode), TAP_CASE(test_truncated),
         TAP_CASE(test_order_of_checks), TAP_CASE(test_count), TAP_CASE(test_limits),
         TAP_CASE(test_zero_limits), TAP_CASE(test_assembly), TAP_CASE(test_assembly_single_packet),
         TAP_CASE(test_assembly_begin_refused), TAP_CASE(test_assembly_short_first),
         TAP_CASE(test_assembly_mismatch), TAP_CASE(test_assembly_lengths),
         TAP_CASE(test_assembly_overrun), TAP_CASE(test_assembly_total_wrap))
