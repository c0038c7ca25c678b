/* SPDX-License-Identifier: MIT */

/* Method 2, building: the bytes, whatever was reserved; every way to run out of room. */

#include <nipc/cgroups-snapshot.h>

#include "util-bytes.h"

static const struct nipc_cgroups_snapshot_item samples[] = {
        {.hash = 1,
         .options = 2,
         .enabled = 3,
         .name = "ab",
         .name_len = 2,
         .path = "/p",
         .path_len = 2},
        {.hash = 4, .name = NULL, .path = NULL},
        {.hash = 5, .name = "x\0y", .name_len = 3, .path = "/long/path", .path_len = 10},
};

enum {
        N_SAMPLES = 3,
        /* header, directory, 38 padded to 40, 34 padded to 40, 47 */
        SAMPLE_SIZE = 24 + 24 + 40 + 40 + 47,
};

static int build(uint8_t *buf, size_t budget, uint32_t slots, uint32_t n_items, size_t *ret_size)
{
        struct nipc_cgroups_snapshot_builder builder;
        uint32_t i;

        nipc_cgroups_snapshot_builder_init(&builder, buf, budget, slots);
        for (i = 0; i < n_items; i++)
                nipc_cgroups_snapshot_builder_add(&builder, &samples[i]);
        return nipc_cgroups_snapshot_builder_finish(&builder, 7, 42, ret_size);
}

static uint8_t *filled(size_t size)
{
        uint8_t *buf = malloc(size ? size : 1);

        if (!buf)
                abort();
        memset(buf, 0xee, size);
        return buf;
}

static void test_bytes(void)
{
        uint8_t buf[40 + 38], expected[40 + 38] = {0};
        struct nipc_cgroups_snapshot_builder builder;
        size_t size = 0;

        put_u16(expected, 0, 1);
        put_u32(expected, 4, 1);
        put_u32(expected, 8, 7);
        put_u64(expected, 16, 42);
        put_u32(expected, 24, 0);
        put_u32(expected, 28, 38);
        put_u16(expected, 32, 1);
        put_u32(expected, 36, 1);
        put_u32(expected, 40, 2);
        put_u32(expected, 44, 3);
        put_u32(expected, 48, 32);
        put_u32(expected, 52, 2);
        put_u32(expected, 56, 35);
        put_u32(expected, 60, 2);
        memcpy(expected + 64, "ab\0/p", 6);
        memset(buf, 0xee, sizeof(buf));
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, 70, 1), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[0]), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 7, 42, &size), 0);
        tap_eq_mem(buf, size, expected, 70);
        tap_eq_uint(buf[70], 0xee);
}

static void test_roundtrip(void)
{
        struct nipc_cgroups_snapshot_view view;
        struct nipc_cgroups_snapshot_item item;
        uint8_t buf[SAMPLE_SIZE];
        size_t size = 0;
        uint32_t i;

        tap_require(build(buf, sizeof(buf), N_SAMPLES, N_SAMPLES, &size) == 0);
        tap_eq_uint(size, SAMPLE_SIZE);
        tap_require(nipc_cgroups_snapshot_view_init(&view, buf, size, NULL) == 0);
        tap_eq_uint(view.systemd_enabled, 7);
        tap_eq_uint(view.generation, 42);
        for (i = 0; i < N_SAMPLES; i++) {
                tap_require(nipc_cgroups_snapshot_view_get(&view, i, &item, NULL) == 0);
                tap_eq_uint(item.hash, samples[i].hash);
                tap_eq_uint(item.options, samples[i].options);
                tap_eq_uint(item.enabled, samples[i].enabled);
                tap_eq_mem(item.name, item.name_len, samples[i].name, samples[i].name_len);
                tap_eq_mem(item.path, item.path_len, samples[i].path, samples[i].path_len);
        }
}

/* Reserved slots never show, and use exactly eight bytes each while building. */
static void test_compaction(void)
{
        uint8_t expected[SAMPLE_SIZE];
        uint32_t slots;

        tap_eq_int(build(expected, SAMPLE_SIZE, N_SAMPLES, N_SAMPLES, &(size_t){0}), 0);
        for (slots = N_SAMPLES; slots < 20; slots++) {
                size_t room = SAMPLE_SIZE + (slots - N_SAMPLES) * 8, size = 77;
                uint8_t *buf = filled(room);

                tap_eq_int(build(buf, room - 1, slots, N_SAMPLES, &size), NIPC_PROTO_E_OVERFLOW);
                tap_eq_uint(size, 77);
                tap_eq_int(build(buf, room, slots, N_SAMPLES, &size), 0);
                tap_eq_mem(buf, size, expected, SAMPLE_SIZE);
                free(buf);
        }
}

/* All budgets below the exact one fail, whichever item it is that does not fit. */
static void test_budgets(void)
{
        size_t budget;

        for (budget = 0; budget < SAMPLE_SIZE; budget++) {
                uint8_t *buf = filled(budget);
                size_t size = 77;

                tap_eq_int(build(buf, budget, N_SAMPLES, N_SAMPLES, &size), NIPC_PROTO_E_OVERFLOW);
                tap_eq_uint(size, 77);
                free(buf);
        }
}

static void test_default_reservation(void)
{
        static const struct {
                size_t budget;
                uint32_t slots;
                int error;
        } cases[] = {
                {0, 0, NIPC_PROTO_E_OVERFLOW},
                {23, 0, NIPC_PROTO_E_OVERFLOW},
                {24, 0, 0},
                {71, 0, 0},
                {72, 1, 0},
                {119, 1, 0},
                {120, 2, 0},
                {65536, 1364, 0},
        };
        size_t i;

        for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct nipc_cgroups_snapshot_builder builder;

                tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, NULL, cases[i].budget, 0),
                           cases[i].error);
                tap_eq_uint(builder.max_items, cases[i].slots);
        }
}

static void test_nothing(void)
{
        struct nipc_cgroups_snapshot_view view;
        uint8_t *buf = filled(24);
        size_t size = 0;

        tap_eq_int(build(buf, 24, 0, 0, &size), 0);
        tap_eq_uint(size, 24);
        tap_eq_int(nipc_cgroups_snapshot_view_init(&view, buf, size, NULL), 0);
        tap_eq_uint(view.item_count, 0);
        tap_eq_uint(view.generation, 42);
        free(buf);
}

static void test_slots_sticky(void)
{
        struct nipc_cgroups_snapshot_builder builder;
        uint8_t buf[256];
        size_t size = 77;

        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 1), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[0]), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[1]), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 0, 0, &size),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 30),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[0]), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 0, 0, &size),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), UINT32_MAX),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 0x20000001),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_uint(size, 77);
}

/* The first error is the one that is reported, also when a later item would fit. */
static void test_budget_sticky(void)
{
        struct nipc_cgroups_snapshot_item large = samples[0];
        struct nipc_cgroups_snapshot_builder builder;
        uint8_t buf[256];
        size_t size = 77;

        large.name_len = UINT32_MAX;
        large.path_len = UINT32_MAX;
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 3), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &large), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[0]), NIPC_PROTO_E_OVERFLOW);
        large.name = NULL;
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &large), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 0, 0, &size),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_uint(size, 77);
}

static void test_null_strings(void)
{
        struct nipc_cgroups_snapshot_item item = {.name_len = 1, .path = "/"};
        struct nipc_cgroups_snapshot_builder builder;
        uint8_t buf[256];
        size_t size = 77;

        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &item), NIPC_PROTO_E_BAD_LAYOUT);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &samples[0]),
                   NIPC_PROTO_E_BAD_LAYOUT);
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 0, 0, &size),
                   NIPC_PROTO_E_BAD_LAYOUT);
        item = (struct nipc_cgroups_snapshot_item){.name = "a", .path_len = 1};
        tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), 2), 0);
        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &item), NIPC_PROTO_E_BAD_LAYOUT);
        tap_eq_uint(size, 77);
}

static void test_size_bound(void)
{
        uint64_t bound = nipc_cgroups_snapshot_size_bound(N_SAMPLES, 2 + 2 + 3 + 10);
        uint8_t *buf = filled((size_t)bound);
        size_t size = 0;

        tap_check(bound >= SAMPLE_SIZE);
        tap_eq_int(build(buf, (size_t)bound, N_SAMPLES, N_SAMPLES, &size), 0);
        free(buf);
        tap_eq_uint(nipc_cgroups_snapshot_size_bound(0, 0), 24);
        tap_check(nipc_cgroups_snapshot_size_bound(UINT32_MAX, 0) > UINT32_MAX);
        tap_eq_uint(nipc_cgroups_snapshot_size_bound(1, UINT64_MAX), UINT64_MAX);
}

/* Random items: what was built decodes to them, however many slots were reserved. */
static void test_random_items(void)
{
        static char bytes[256];
        uint64_t seed = 7;
        int round;

        for (round = 0; round < 500; round++) {
                uint32_t n = (uint32_t)(tap_random(&seed) % 20), i;
                uint32_t slots = n + (uint32_t)(tap_random(&seed) % 20);
                struct nipc_cgroups_snapshot_item items[20], item;
                struct nipc_cgroups_snapshot_builder builder;
                struct nipc_cgroups_snapshot_view view;
                uint8_t buf[16384];
                size_t size = 0;

                tap_eq_int(nipc_cgroups_snapshot_builder_init(&builder, buf, sizeof(buf), slots),
                           0);
                for (i = 0; i < n; i++) {
                        items[i] = (struct nipc_cgroups_snapshot_item){
                                .hash = (uint32_t)tap_random(&seed),
                                .name = bytes,
                                .name_len = (uint32_t)(tap_random(&seed) % 200),
                                .path = bytes,
                                .path_len = (uint32_t)(tap_random(&seed) % 200)};
                        tap_eq_int(nipc_cgroups_snapshot_builder_add(&builder, &items[i]), 0);
                }
                tap_require(nipc_cgroups_snapshot_builder_finish(&builder, 0, 0, &size) == 0);
                tap_require(nipc_cgroups_snapshot_view_init(&view, buf, size, NULL) == 0);
                tap_eq_uint(view.item_count, n);
                for (i = 0; i < view.item_count; i++) {
                        tap_eq_int(nipc_cgroups_snapshot_view_get(&view, i, &item, NULL), 0);
                        tap_eq_uint(item.hash, items[i].hash);
                        tap_eq_uint(item.name_len, items[i].name_len);
                        tap_eq_uint(item.path_len, items[i].path_len);
                }
        }
}

TAP_MAIN(TAP_CASE(test_bytes), TAP_CASE(test_roundtrip), TAP_CASE(test_compaction),
         TAP_CASE(test_budgets), TAP_CASE(test_default_reservation), TAP_CASE(test_nothing),
         TAP_CASE(test_slots_sticky), TAP_CASE(test_budget_sticky), TAP_CASE(test_null_strings),
         TAP_CASE(test_size_bound), TAP_CASE(test_random_items))
