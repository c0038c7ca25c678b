/* SPDX-License-Identifier: MIT */

/* Batch payloads: the view's checks, and that every way of building gives the same bytes. */

#include <nipc/batch.h>

#include "util-bytes.h"

/* Items "abc" at 0 and "defgh" at 8; 16 bytes of directory; 32 bytes with the tail padded. */
static void sample_bytes(uint8_t buf[32])
{
        memset(buf, 0, 32);
        put_u32(buf, 0, 0);
        put_u32(buf, 4, 3);
        put_u32(buf, 8, 8);
        put_u32(buf, 12, 5);
        memcpy(buf + 16, "abc", 3);
        memcpy(buf + 24, "defgh", 5);
}

static void test_view(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_batch_view view;
        const void *item;
        uint8_t buf[32];
        size_t size;

        sample_bytes(buf);
        tap_require(nipc_batch_view_init(&view, buf, 32, 2, &fault) == 0);
        tap_eq_uint(view.packed_offset, 16);
        tap_eq_uint(view.packed_size, 16);
        tap_check(fault_untouched(&fault));
        tap_eq_int(nipc_batch_view_get(&view, 0, &item, &size), 0);
        tap_eq_mem(item, size, "abc", 3);
        tap_eq_int(nipc_batch_view_get(&view, 1, &item, &size), 0);
        tap_eq_mem(item, size, "defgh", 5);
        item = NULL;
        tap_eq_int(nipc_batch_view_get(&view, 2, &item, &size), NIPC_PROTO_E_OUT_OF_BOUNDS);
        tap_eq_int(nipc_batch_view_get(&view, UINT32_MAX, &item, &size),
                   NIPC_PROTO_E_OUT_OF_BOUNDS);
        tap_eq_ptr(item, NULL);
}

static void test_view_empty(void)
{
        struct nipc_batch_view view;

        tap_eq_int(nipc_batch_view_init(&view, "", 0, 0, NULL), 0);
        tap_eq_uint(view.item_count, 0);
        tap_eq_uint(view.packed_size, 0);
}

/* The last item ends at 29: from there on the tail may be missing. */
static void test_view_truncated(void)
{
        uint8_t bytes[32];
        size_t size;

        sample_bytes(bytes);
        for (size = 0; size <= 32; size++) {
                struct nipc_batch_view view = {.item_count = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);
                int r = nipc_batch_view_init(&view, buf, size, 2, &fault);

                if (size >= 29)
                        tap_eq_int(r, 0);
                else if (size < 16)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, size);
                else if (size < 19)
                        check_fault(r, fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 4);
                else
                        check_fault(r, fault, NIPC_PROTO_E_OUT_OF_BOUNDS, size < 24 ? 8 : 12);
                tap_eq_uint(view.item_count, size >= 29 ? 2 : 77);
                free(buf);
        }
}

static void test_view_faults(void)
{
        static const struct {
                size_t at;
                uint32_t offset, length;
                int error;
                size_t fault_at;
        } faults[] = {
                {0, 4, 3, NIPC_PROTO_E_BAD_ALIGNMENT, 0},
                {8, 1, 5, NIPC_PROTO_E_BAD_ALIGNMENT, 8},
                {8, 12, 100, NIPC_PROTO_E_BAD_ALIGNMENT, 8}, /* alignment first */
                {0, 0, 17, NIPC_PROTO_E_OUT_OF_BOUNDS, 4},
                {8, 16, 1, NIPC_PROTO_E_OUT_OF_BOUNDS, 12},
                {8, 24, 0, NIPC_PROTO_E_OUT_OF_BOUNDS, 8},
                {0, 0xfffffff8, 16, NIPC_PROTO_E_OUT_OF_BOUNDS, 0},
                {0, 8, 0xfffffff8, NIPC_PROTO_E_OUT_OF_BOUNDS, 4},
                {0, 0xfffffff8, UINT32_MAX, NIPC_PROTO_E_OUT_OF_BOUNDS, 0},
        };
        size_t i;

        for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                struct nipc_fault fault = FAULT_NONE;
                struct nipc_batch_view view;
                uint8_t buf[32];

                sample_bytes(buf);
                put_u32(buf, faults[i].at, faults[i].offset);
                put_u32(buf, faults[i].at + 4, faults[i].length);
                check_fault(nipc_batch_view_init(&view, buf, 32, 2, &fault), fault, faults[i].error,
                            faults[i].fault_at);
        }
}

/* An item that ends where the payload ends is not the one to blame for the next. */
static void test_view_blame(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_batch_view view;
        uint8_t buf[32];

        sample_bytes(buf);
        put_u32(buf, 4, 16);
        put_u32(buf, 8, 4);
        check_fault(nipc_batch_view_init(&view, buf, 32, 2, &fault), fault,
                    NIPC_PROTO_E_BAD_ALIGNMENT, 8);
}

/* Order, overlap, gaps, an empty item at the very end: none is judged. */
static void test_view_tolerance(void)
{
        struct nipc_batch_view view;
        uint8_t buf[32];

        sample_bytes(buf);
        put_u32(buf, 0, 8);
        put_u32(buf, 8, 0);
        tap_eq_int(nipc_batch_view_init(&view, buf, 32, 2, NULL), 0);
        put_u32(buf, 0, 0);
        put_u32(buf, 4, 16);
        tap_eq_int(nipc_batch_view_init(&view, buf, 32, 2, NULL), 0);
        put_u32(buf, 0, 16);
        put_u32(buf, 4, 0);
        tap_eq_int(nipc_batch_view_init(&view, buf, 32, 2, NULL), 0);
}

static void test_view_huge_count(void)
{
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_batch_view view;
        uint8_t buf[32];

        sample_bytes(buf);
        check_fault(nipc_batch_view_init(&view, buf, 32, UINT32_MAX, &fault), fault,
                    NIPC_PROTO_E_TRUNCATED, 32);
        check_fault(nipc_batch_view_init(&view, buf, 32, 0x20000000, &fault), fault,
                    NIPC_PROTO_E_TRUNCATED, 32);
        tap_eq_int(nipc_batch_view_init(&view, buf, 32, 5, NULL), NIPC_PROTO_E_TRUNCATED);
}

/* Builds the sample in `room` bytes with `slots` slots; returns the cause or 0. */
static int build(uint8_t *buf, size_t room, uint32_t slots, size_t *ret_size)
{
        struct nipc_batch_builder builder;

        nipc_batch_builder_init(&builder, buf, room, slots);
        nipc_batch_builder_add(&builder, "abc", 3);
        nipc_batch_builder_add(&builder, "defgh", 5);
        return nipc_batch_builder_finish(&builder, ret_size);
}

/* More slots than items never show; in whatever room the slots and items fit. */
static void test_build(void)
{
        uint8_t expected[32];
        uint32_t slots;

        sample_bytes(expected);
        for (slots = 2; slots < 12; slots++) {
                size_t room = slots * 8 + 16, size = 0;
                uint8_t *buf = copy_exact(memset((uint8_t[128]){0}, 0xee, 128), room);

                tap_eq_int(build(buf, room, slots, &size), 0);
                tap_eq_mem(buf, size, expected, 32);
                free(buf);
        }
}

/* Every room: too small, exact without a tail, not enough for all of the tail, enough. */
static void test_build_exact_room(void)
{
        uint8_t expected[32];
        size_t room;

        sample_bytes(expected);
        for (room = 0; room <= 40; room++) {
                uint8_t *buf = copy_exact(memset((uint8_t[64]){0}, 0xee, 64), room);
                size_t size = 77;
                int r = build(buf, room, 2, &size);

                if (room < 29) {
                        tap_eq_int(r, NIPC_PROTO_E_OVERFLOW);
                        tap_eq_uint(size, 77);
                } else {
                        tap_eq_int(r, 0);
                        tap_eq_mem(buf, size, expected, room < 32 ? 29 : 32);
                }
                free(buf);
        }
}

/* A spare slot gives its eight bytes back to the tail. */
static void test_build_tail_after_compaction(void)
{
        uint8_t *buf = malloc(37), expected[32];
        size_t size = 0;

        sample_bytes(expected);
        tap_eq_int(build(buf, 37, 3, &size), 0);
        tap_eq_mem(buf, size, expected, 32);
        tap_eq_int(build(buf, 36, 3, &size), NIPC_PROTO_E_OVERFLOW);
        free(buf);
}

static void test_build_empty_items(void)
{
        static const char payload[] = "q";
        struct nipc_batch_builder builder;
        struct nipc_batch_view view;
        uint8_t buf[64];
        size_t size = 0;

        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 4), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, NULL, 0), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, payload, 1), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, payload, 0), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, payload, 0), 0);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), 0);
        tap_eq_uint(size, 40);
        tap_eq_uint(get_u32(buf, 8), 0);
        tap_eq_uint(get_u32(buf, 16), 8);
        tap_eq_uint(get_u32(buf, 20), 0);
        tap_eq_uint(get_u32(buf, 24), 8);
        tap_eq_int(nipc_batch_view_init(&view, buf, size, 4, NULL), 0);
}

/* The aligned start of an empty item must lie in the buffer too. */
static void test_build_empty_item_at_end(void)
{
        struct nipc_batch_builder builder;
        uint8_t buf[24];
        size_t size = 0;

        tap_eq_int(nipc_batch_builder_init(&builder, buf, 23, 2), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "x", 1), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "", 0), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, 24, 2), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "x", 1), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "", 0), 0);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), 0);
        tap_eq_uint(size, 24);
        tap_eq_mem(buf + 16, 8, "x\0\0\0\0\0\0\0", 8);
}

static void test_build_nothing(void)
{
        struct nipc_batch_builder builder;
        uint8_t buf[64];
        size_t size = 77;

        tap_eq_int(nipc_batch_builder_init(&builder, buf, 0, 0), 0);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), 0);
        tap_eq_uint(size, 0);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 8), 0);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), 0);
        tap_eq_uint(size, 0);
}

static void test_build_too_many(void)
{
        struct nipc_batch_builder builder;
        uint8_t buf[64];
        size_t size = 77;

        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 1), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "a", 1), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, "b", 1), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
        tap_eq_uint(size, 77);
}

static void test_build_sticky(void)
{
        struct nipc_batch_builder builder;
        uint8_t buf[64], large[64] = {0};
        void *item = NULL;
        size_t size = 77;

        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_batch_builder_add(&builder, large, 49), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_add(&builder, "a", 1), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_reserve(&builder, &item, &size), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_commit(&builder, 0), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
        tap_eq_ptr(item, NULL);
        tap_eq_uint(size, 77);
        /* A directory that does not fit sticks as well. */
        tap_eq_int(nipc_batch_builder_init(&builder, buf, 15, 2), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, 64, UINT32_MAX), NIPC_PROTO_E_OVERFLOW);
        /* 8 * slots is 8 more than 2^32. */
        tap_eq_int(nipc_batch_builder_init(&builder, buf, 64, 0x20000001), NIPC_PROTO_E_OVERFLOW);
}

static void test_build_in_place(void)
{
        uint8_t expected[32], buf[32];
        struct nipc_batch_builder builder;
        size_t capacity = 0, size = 0;
        void *item = NULL;

        sample_bytes(expected);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_batch_builder_reserve(&builder, &item, &capacity), 0);
        tap_eq_uint(capacity, 16);
        memset(item, 0xee, capacity);
        memcpy(item, "abc", 3);
        tap_eq_int(nipc_batch_builder_commit(&builder, 3), 0);
        tap_eq_int(nipc_batch_builder_reserve(&builder, &item, &capacity), 0);
        tap_eq_uint(capacity, 8);
        memcpy(item, "defgh", 5);
        tap_eq_int(nipc_batch_builder_commit(&builder, 5), 0);
        tap_eq_int(nipc_batch_builder_reserve(&builder, &item, &capacity), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
        builder.error = 0;
        tap_eq_int(nipc_batch_builder_finish(&builder, &size), 0);
        tap_eq_mem(buf, size, expected, 32);
}

static void test_commit_limits(void)
{
        struct nipc_batch_builder builder;
        size_t capacity = 0;
        void *item;
        uint8_t buf[32];

        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_batch_builder_reserve(&builder, &item, &capacity), 0);
        tap_eq_int(nipc_batch_builder_commit(&builder, capacity), 0);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_batch_builder_commit(&builder, capacity + 1), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_batch_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_batch_builder_commit(&builder, SIZE_MAX), NIPC_PROTO_E_OVERFLOW);
}

/* Whatever the view accepts can be read in full without leaving the payload. */
static void test_mutations(void)
{
        uint64_t seed = 1;
        int i;

        for (i = 0; i < 20000; i++) {
                uint8_t bytes[32], *buf;
                struct nipc_batch_view view;
                uint32_t n, sum = 0;
                size_t room, at, size;
                const void *item;

                sample_bytes(bytes);
                for (n = (uint32_t)(tap_random(&seed) % 4); n; n--)
                        bytes[tap_random(&seed) % 16] = (uint8_t)(tap_random(&seed) % 40);
                room = 20 + tap_random(&seed) % 13;
                buf = copy_exact(bytes, room);
                if (!nipc_batch_view_init(&view, buf, room, 2, NULL))
                        for (n = 0; n < 2; n++) {
                                tap_eq_int(nipc_batch_view_get(&view, n, &item, &size), 0);
                                for (at = 0; at < size; at++)
                                        sum += ((const uint8_t *)item)[at];
                        }
                tap_check(sum < 256 * 64);
                free(buf);
        }
}

TAP_MAIN(TAP_CASE(test_view), TAP_CASE(test_view_empty), TAP_CASE(test_view_truncated),
         TAP_CASE(test_view_faults), TAP_CASE(test_view_blame), TAP_CASE(test_view_tolerance),
         TAP_CASE(test_view_huge_count), TAP_CASE(test_build), TAP_CASE(test_build_exact_room),
         TAP_CASE(test_build_tail_after_compaction), TAP_CASE(test_build_empty_items),
         TAP_CASE(test_build_empty_item_at_end), TAP_CASE(test_build_nothing),
         TAP_CASE(test_build_too_many), TAP_CASE(test_build_sticky), TAP_CASE(test_build_in_place),
         TAP_CASE(test_commit_limits), TAP_CASE(test_mutations))
