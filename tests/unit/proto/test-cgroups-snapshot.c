/* SPDX-License-Identifier: MIT */

/* Method 2, reading: the two stages, every broken rule, all that is tolerated. */

#include <nipc/cgroups-snapshot.h>

#include "util-bytes.h"

enum {
        PACKED = 24 + 2 * 8,
        ITEM0 = PACKED,      /* name "ab", path "/p": 38 bytes */
        ITEM1 = PACKED + 40, /* name "", path "/q": 36 bytes */
        SAMPLE_SIZE = ITEM1 + 36,
};

static void item_bytes(uint8_t *item, uint32_t hash, const char *name, const char *path)
{
        uint32_t name_len = (uint32_t)strlen(name), path_len = (uint32_t)strlen(path);

        put_u16(item, 0, 1);
        put_u16(item, 2, 0);
        put_u32(item, 4, hash);
        put_u32(item, 8, 3);
        put_u32(item, 12, 0xfffffff0);
        put_u32(item, 16, 32);
        put_u32(item, 20, name_len);
        put_u32(item, 24, 33 + name_len);
        put_u32(item, 28, path_len);
        memcpy(item + 32, name, name_len + 1);
        memcpy(item + 33 + name_len, path, path_len + 1);
}

static void sample_bytes(uint8_t buf[SAMPLE_SIZE])
{
        memset(buf, 0, SAMPLE_SIZE);
        put_u16(buf, 0, 1);
        put_u32(buf, 4, 2);
        put_u32(buf, 8, 7);
        put_u64(buf, 16, UINT64_C(0x1112131415161718));
        put_u32(buf, 24, 0);
        put_u32(buf, 28, 38);
        put_u32(buf, 32, 40);
        put_u32(buf, 36, 36);
        item_bytes(buf + ITEM0, 100, "ab", "/p");
        item_bytes(buf + ITEM1, 101, "", "/q");
}

static void test_request(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t expected[4], buf[6] = {0, 0, 0, 0, 0xaa, 0xaa};
        size_t size;

        put_u16(expected, 0, 1);
        put_u16(expected, 2, 0);
        nipc_cgroups_snapshot_request_encode(buf);
        tap_eq_mem(buf, 4, expected, 4);
        tap_eq_uint(buf[4], 0xaa);
        tap_eq_int(nipc_cgroups_snapshot_request_decode(buf, 4, &fault), 0);
        tap_eq_int(nipc_cgroups_snapshot_request_decode(buf, 6, &fault), 0);
        tap_check(fault_untouched(&fault));
        for (size = 0; size < 4; size++)
                check_fault(nipc_cgroups_snapshot_request_decode(buf, size, &fault), fault,
                            NIPC_PROTO_E_TRUNCATED, size);
        put_u16(buf, 0, 2);
        put_u16(buf, 2, 1);
        check_fault(nipc_cgroups_snapshot_request_decode(buf, 4, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u16(buf, 0, 1);
        check_fault(nipc_cgroups_snapshot_request_decode(buf, 4, &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 2);
}

static void test_view(void)
{
        struct nipc_cgroups_snapshot_view view;
        struct nipc_cgroups_snapshot_item item;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        tap_require(nipc_cgroups_snapshot_view_init(&view, buf, sizeof(buf), &fault) == 0);
        tap_eq_uint(view.item_count, 2);
        tap_eq_uint(view.systemd_enabled, 7);
        tap_eq_uint(view.generation, UINT64_C(0x1112131415161718));
        tap_require(nipc_cgroups_snapshot_view_get(&view, 0, &item, &fault) == 0);
        tap_eq_uint(item.hash, 100);
        tap_eq_uint(item.options, 3);
        tap_eq_uint(item.enabled, 0xfffffff0);
        tap_eq_mem(item.name, item.name_len + 1, "ab", 3);
        tap_eq_mem(item.path, item.path_len + 1, "/p", 3);
        tap_require(nipc_cgroups_snapshot_view_get(&view, 1, &item, &fault) == 0);
        tap_eq_mem(item.name, item.name_len + 1, "", 1);
        tap_eq_mem(item.path, item.path_len + 1, "/q", 3);
        tap_check(fault_untouched(&fault));
        item.hash = 77;
        check_fault(nipc_cgroups_snapshot_view_get(&view, 2, &item, &fault), fault,
                    NIPC_PROTO_E_OUT_OF_BOUNDS, 4);
        tap_eq_uint(item.hash, 77);
}

static void test_empty(void)
{
        struct nipc_cgroups_snapshot_view view;
        uint8_t buf[24] = {0};

        put_u16(buf, 0, 1);
        tap_eq_int(nipc_cgroups_snapshot_view_init(&view, buf, 24, NULL), 0);
        tap_eq_uint(view.item_count, 0);
}

/* Both stages of a whole response. */
static int decode_all(const void *buf, size_t size, struct nipc_fault *ret_fault)
{
        struct nipc_cgroups_snapshot_view view;
        struct nipc_cgroups_snapshot_item item;
        uint32_t i;
        int r;

        r = nipc_cgroups_snapshot_view_init(&view, buf, size, ret_fault);
        for (i = 0; !r && i < view.item_count; i++) {
                r = nipc_cgroups_snapshot_view_get(&view, i, &item, ret_fault);
                if (!r && (item.name[item.name_len] || item.path[item.path_len]))
                        tap_fail("item %u is not terminated", (unsigned)i);
        }
        return r;
}

static void test_truncated(void)
{
        uint8_t bytes[SAMPLE_SIZE];
        size_t size;

        sample_bytes(bytes);
        for (size = 0; size < SAMPLE_SIZE; size++) {
                struct nipc_cgroups_snapshot_view view = {.item_count = 77};
                struct nipc_fault fault = FAULT_NONE;
                uint8_t *buf = copy_exact(bytes, size);
                int r = nipc_cgroups_snapshot_view_init(&view, buf, size, &fault);

                if (size < 24)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, size);
                else if (size < PACKED)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, 4);
                else
                        tap_eq_int(r, NIPC_PROTO_E_OUT_OF_BOUNDS);
                tap_eq_uint(view.item_count, 77);
                free(buf);
        }
}

static void test_order_of_header_checks(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        memset(buf, 0xff, 24);
        check_fault(decode_all(buf, 23, &fault), fault, NIPC_PROTO_E_TRUNCATED, 23);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 0);
        put_u16(buf, 0, 1);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 2);
        put_u16(buf, 2, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 12);
        put_u32(buf, 12, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 4);
        /* 8 * count is 16 more than a multiple of 2^32. */
        put_u32(buf, 4, 0x20000002);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 4);
        put_u32(buf, 4, 2);
        tap_eq_int(decode_all(buf, sizeof(buf), &fault), 0);
}

/* One u32 of the sample overwritten, and what follows from it. */
struct spoilt {
        size_t at;
        uint32_t value;
        int error;
        size_t fault_at;
};

static void check_spoilt(const struct spoilt *spoilt, size_t n)
{
        size_t i;

        for (i = 0; i < n; i++) {
                struct nipc_fault fault = FAULT_NONE;
                uint8_t buf[SAMPLE_SIZE];

                sample_bytes(buf);
                put_u32(buf, spoilt[i].at, spoilt[i].value);
                if (!check_fault(decode_all(buf, sizeof(buf), &fault), fault, spoilt[i].error,
                                 spoilt[i].fault_at))
                        tap_note("case %zu", i);
        }
}

static void test_directory(void)
{
        static const struct spoilt spoilt[] = {
                {24, 4, NIPC_PROTO_E_BAD_ALIGNMENT, 24},
                {32, 41, NIPC_PROTO_E_BAD_ALIGNMENT, 32},
                {28, 77, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {28, UINT32_MAX, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {32, 48, NIPC_PROTO_E_OUT_OF_BOUNDS, 36},
                {32, 80, NIPC_PROTO_E_OUT_OF_BOUNDS, 32},
                {32, 0xfffffff8, NIPC_PROTO_E_OUT_OF_BOUNDS, 32},
                {36, 31, NIPC_PROTO_E_TRUNCATED, 36},
                {28, 0, NIPC_PROTO_E_TRUNCATED, 28},
                /* Room for a header and nothing else: the entry is good, its item is not. */
                {28, 32, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 16},
        };

        check_spoilt(spoilt, sizeof(spoilt) / sizeof(spoilt[0]));
}

static void test_directory_order(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];

        /* Alignment, bounds, length; the first entry first, and all entries before any item. */
        sample_bytes(buf);
        put_u16(buf, ITEM0, 9);
        put_u32(buf, 36, 31);
        put_u32(buf, 24, 0xffffffff);
        put_u32(buf, 28, 1);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_ALIGNMENT, 24);
        put_u32(buf, 24, 0xfffffff8);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 24);
        put_u32(buf, 24, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 28);
        put_u32(buf, 28, 38);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 36);
        /* An item that ends where the payload ends is not the one to blame for the next. */
        put_u32(buf, 28, 76);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 36);
        put_u32(buf, 28, 32);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_TRUNCATED, 36);
        put_u32(buf, 36, 36);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM0);
}

static void test_item(void)
{
        static const struct spoilt spoilt[] = {
                {ITEM0 + 16, 31, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 16},
                {ITEM0 + 16, 0, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 16},
                {ITEM0 + 16, 38, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 16},
                {ITEM0 + 16, UINT32_MAX, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 16},
                {ITEM0 + 20, 6, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 20},
                {ITEM0 + 20, UINT32_MAX, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 20},
                {ITEM0 + 20, UINT32_MAX - 31, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 20},
                {ITEM0 + 20, 1, NIPC_PROTO_E_MISSING_NUL, ITEM0 + 33},
                {ITEM0 + 24, 31, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 24},
                {ITEM0 + 28, 3, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM0 + 28},
                {ITEM0 + 28, 1, NIPC_PROTO_E_MISSING_NUL, ITEM0 + 36},
                /* The path begins on the name's NUL; the name runs into the path. */
                {ITEM1 + 24, 32, NIPC_PROTO_E_MISSING_NUL, ITEM1 + 34},
                {ITEM0 + 24, 32, NIPC_PROTO_E_BAD_LAYOUT, ITEM0 + 24},
                {ITEM0 + 20, 5, NIPC_PROTO_E_BAD_LAYOUT, ITEM0 + 24},
        };

        check_spoilt(spoilt, sizeof(spoilt) / sizeof(spoilt[0]));
}

static void test_item_order(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        memset(buf + ITEM1, 0xff, 36);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM1);
        put_u16(buf, ITEM1, 1);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                    ITEM1 + 2);
        put_u16(buf, ITEM1 + 2, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                    ITEM1 + 16);
        put_u32(buf, ITEM1 + 16, 32);
        put_u32(buf, ITEM1 + 20, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_MISSING_NUL,
                    ITEM1 + 32);
        buf[ITEM1 + 32] = 0;
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                    ITEM1 + 24);
        put_u32(buf, ITEM1 + 24, 32);
        put_u32(buf, ITEM1 + 28, 1);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_MISSING_NUL,
                    ITEM1 + 33);
        put_u32(buf, ITEM1 + 28, 0);
        check_fault(decode_all(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                    ITEM1 + 24);
        put_u32(buf, ITEM1 + 24, 35);
        buf[ITEM1 + 35] = 0;
        tap_eq_int(decode_all(buf, sizeof(buf), &fault), 0);
}

static void test_tolerance(void)
{
        uint8_t buf[SAMPLE_SIZE + 9];
        size_t i;

        /* Trailing bytes, reordered and repeated entries, padding that is not zero. */
        memset(buf, 0xff, sizeof(buf));
        sample_bytes(buf);
        memset(buf + ITEM0 + 38, 0xff, 2);
        tap_eq_int(decode_all(buf, sizeof(buf), NULL), 0);
        for (i = 0; i < 8; i++)
                buf[24 + i] = buf[32 + i];
        tap_eq_int(decode_all(buf, sizeof(buf), NULL), 0);
        /* Slack in an item, path before name, NUL inside a string. */
        sample_bytes(buf);
        put_u32(buf, 28, 40);
        put_u32(buf, ITEM0 + 16, 35);
        put_u32(buf, ITEM0 + 24, 32);
        tap_eq_int(decode_all(buf, sizeof(buf), NULL), 0);
        buf[ITEM0 + 36] = 0;
        tap_eq_int(decode_all(buf, sizeof(buf), NULL), 0);
}

/* Whatever both stages accept can be read without leaving the payload. */
static void test_mutations(void)
{
        uint64_t seed = 1;
        uint8_t bytes[SAMPLE_SIZE];
        int i, good = 0;

        for (i = 0; i < 50000; i++) {
                size_t size = SAMPLE_SIZE - tap_random(&seed) % 3 * (tap_random(&seed) % 40);
                uint64_t n;
                uint8_t *buf;

                sample_bytes(bytes);
                for (n = tap_random(&seed) % 4; n; n--)
                        bytes[tap_random(&seed) % SAMPLE_SIZE] =
                                (uint8_t)(tap_random(&seed) % 48 * (tap_random(&seed) % 6));
                buf = copy_exact(bytes, size);
                good += !decode_all(buf, size, NULL);
                free(buf);
        }
        tap_note("%d of %d were good", good, i);
        tap_check(good > 0 && good < i);
}

TAP_MAIN(TAP_CASE(test_request), TAP_CASE(test_view), TAP_CASE(test_empty),
         TAP_CASE(test_truncated), TAP_CASE(test_order_of_header_checks), TAP_CASE(test_directory),
         TAP_CASE(test_directory_order), TAP_CASE(test_item), TAP_CASE(test_item_order),
         TAP_CASE(test_tolerance), TAP_CASE(test_mutations))
