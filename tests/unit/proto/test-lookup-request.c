/* SPDX-License-Identifier: MIT */

/* Requests of lookups (codecs §4-6): what a decoder refuses and tolerates, what an encoder makes.
 */

#include "util-lookup.h"

enum {
        PACKED = 16 + 2 * 8, /* of requests of two */
        KEY0 = PACKED,
        KEY1 = PACKED + 8,
};

/* Keys "/a" and "/bcd"; 45 bytes. */
static void paths_request(struct lookup_message *message)
{
        lookup_message_init(message, 2);
        lookup_message_add(message, "/a", 3);
        lookup_message_add(message, "/bcd", 5);
}

static void pids_request(struct lookup_message *message)
{
        lookup_message_init(message, 2);
        lookup_put_pid(message, 1);
        lookup_put_pid(message, 0xfffefdfc);
}

static void test_header(void)
{
        static const struct lookup_break breaks[] = {
                {0, 2, 0, NIPC_PROTO_E_BAD_LAYOUT, 0},
                {0, 2, 2, NIPC_PROTO_E_BAD_LAYOUT, 0},
                {0, 2, 0x100, NIPC_PROTO_E_BAD_LAYOUT, 0},
                {2, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, 2},
                {2, 2, 0x8000, NIPC_PROTO_E_BAD_LAYOUT, 2},
                {8, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, 8},
                {12, 4, 0x80000000, NIPC_PROTO_E_BAD_LAYOUT, 12},
                {4, 8, UINT64_MAX, NIPC_PROTO_E_BAD_LAYOUT, 8},
        };
        static const struct lookup_break counts[] = {
                {4, 4, 0xffffffff, NIPC_PROTO_E_TRUNCATED, 45},
                {4, 4, 0x20000000, NIPC_PROTO_E_TRUNCATED, 45}, /* times 8 is 0 in 32 bits */
                {4, 4, 4, NIPC_PROTO_E_TRUNCATED, 45},
        };
        struct lookup_message message;

        paths_request(&message);
        tap_eq_uint(message.size, 45);
        check_breaks(nipc_cgroups_lookup_get_class(), true, &message, breaks);
        check_breaks(nipc_cgroups_lookup_get_class(), true, &message, counts);
        pids_request(&message);
        check_breaks(nipc_apps_lookup_get_class(), true, &message, breaks);
}

static void test_directory(void)
{
        static const struct lookup_break breaks[] = {
                {16, 4, 1, NIPC_PROTO_E_BAD_ALIGNMENT, 16},
                {24, 4, 12, NIPC_PROTO_E_BAD_ALIGNMENT, 24},
                {20, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, 20},
                {20, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, 20},
                {28, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, 28},
                {28, 4, 6, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {28, 4, 0xffffffff, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {24, 4, 16, NIPC_PROTO_E_OUT_OF_BOUNDS, 24},
                {24, 4, 0xfffffff8, NIPC_PROTO_E_OUT_OF_BOUNDS, 24}, /* wraps in 32 bits */
                {20, 4, 9, NIPC_PROTO_E_BAD_LAYOUT, 24},             /* the second is not behind */
                {24, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, 24},
                {16, 4, 8, NIPC_PROTO_E_BAD_LAYOUT, 24},
        };
        struct lookup_message message;
        struct nipc_fault fault;
        int r;

        paths_request(&message);
        check_breaks(nipc_cgroups_lookup_get_class(), true, &message, breaks);

        /* All entries before any key, and each entry before the next. */
        message.bytes[KEY0 + 1] = 0;
        put_u32(message.bytes, 28, 1);
        r = lookup_judge(nipc_cgroups_lookup_get_class(), true, message.bytes, message.size,
                         &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, 28);
        put_u32(message.bytes, 16, 3);
        r = lookup_judge(nipc_cgroups_lookup_get_class(), true, message.bytes, message.size,
                         &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_ALIGNMENT, 16);
}

static void test_string_keys(void)
{
        static const struct lookup_break breaks[] = {
                {KEY0 + 2, 1, 'x', NIPC_PROTO_E_MISSING_NUL, KEY0 + 2},
                {KEY1 + 4, 1, 0xff, NIPC_PROTO_E_MISSING_NUL, KEY1 + 4},
                {KEY0 + 0, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, KEY0},
                {KEY0 + 1, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, KEY0},
                {KEY1 + 0, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, KEY1},
                {KEY1 + 3, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, KEY1},
                {20, 4, 2, NIPC_PROTO_E_MISSING_NUL, KEY0 + 1}, /* the length says too little */
                {20, 4, 4, NIPC_PROTO_E_BAD_LAYOUT, KEY0},      /* and too much */
        };
        struct lookup_message message;

        paths_request(&message);
        check_breaks(nipc_cgroups_lookup_get_class(), true, &message, breaks);
}

static void test_fixed_keys(void)
{
        static const struct lookup_break breaks[] = {
                {20, 4, 7, NIPC_PROTO_E_BAD_LAYOUT, 20},
                {20, 4, 9, NIPC_PROTO_E_BAD_LAYOUT, 20},
                {28, 4, 4, NIPC_PROTO_E_BAD_LAYOUT, 28},
                {24, 4, 4, NIPC_PROTO_E_BAD_ALIGNMENT, 24},
                {24, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, 24},
                {24, 4, 16, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {24, 4, 24, NIPC_PROTO_E_OUT_OF_BOUNDS, 24},
                {KEY0 + 4, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, KEY0 + 4},
                {KEY1 + 4, 4, 0x1000000, NIPC_PROTO_E_BAD_LAYOUT, KEY1 + 4},
        };
        struct lookup_message message;

        pids_request(&message);
        check_breaks(nipc_apps_lookup_get_class(), true, &message, breaks);
}

/* Every beginning is refused without reading beyond it, and leaves the view alone. */
static void test_cut(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc_lookup_request_view view = {.item_count = 77};
        struct lookup_message message;
        struct nipc_fault fault;
        size_t size;
        int r;

        paths_request(&message);
        for (size = 0; size < message.size; size++) {
                uint8_t *copy = copy_exact(message.bytes, size);

                r = nipc_lookup_request_view_init(&view, class_, copy, size, &fault);
                if (size < PACKED)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, size);
                else
                        tap_eq_int(r, NIPC_PROTO_E_OUT_OF_BOUNDS);
                tap_eq_uint(view.item_count, 77);
                free(copy);
        }
}

/* Gaps, what is in them, bytes behind the last key, the same key twice. */
static void test_tolerated(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc_lookup_request_view view;
        struct lookup_message message;
        size_t key_size;

        lookup_message_init(&message, 2);
        lookup_message_add(&message, "/a", 3);
        memset(message.bytes + message.size, 0xee, 64);
        message.size += 20;
        lookup_message_add(&message, "/a", 3);
        message.size += 9;
        tap_require(
                !nipc_lookup_request_view_init(&view, class_, message.bytes, message.size, NULL));
        tap_eq_uint(view.item_count, 2);
        tap_eq_str(nipc_lookup_request_view_get(&view, 0, &key_size), "/a");
        tap_eq_uint(key_size, 2);
        tap_eq_str(nipc_lookup_request_view_get(&view, 1, &key_size), "/a");
        tap_eq_uint(view.placeholder_bytes, 32 + 32);

        lookup_message_init(&message, 0);
        tap_require(!nipc_lookup_request_view_init(&view, class_, message.bytes, 16, NULL));
        tap_eq_uint(view.item_count, 0);
        tap_eq_uint(view.placeholder_bytes, 0);
}

static void check_encoded(const struct nipc_lookup_class *class_,
                          const struct nipc_lookup_keys *keys, const struct lookup_message *message)
{
        const size_t expected = message->size;
        uint8_t ones[LOOKUP_MESSAGE_MAX];
        size_t size = 0, room;
        int r;

        memset(ones, 0xff, sizeof(ones));
        tap_eq_uint(nipc_lookup_request_size(class_, keys, 0, keys->n_keys), expected);
        for (room = 0; room <= expected + 8; room++) {
                uint8_t *buf = copy_exact(ones, room);

                size = 7;
                r = nipc_lookup_request_encode(class_, keys, 0, keys->n_keys, buf, room, &size);
                tap_eq_int(r, room < expected ? NIPC_PROTO_E_OVERFLOW : 0);
                if (r)
                        tap_eq_uint(size, 7);
                else
                        tap_eq_mem(buf, size, message->bytes, expected);
                free(buf);
        }
}

static void test_encode(void)
{
        static const char *const paths[] = {"/a", "/bcd"};
        static const struct nipc_lookup_key keys[] = {{"/ax", 2}, {"/bcd", 4}};
        static const uint32_t pids[] = {1, 0xfffefdfc};
        struct nipc_lookup_keys list = nipc_lookup_keys_of_strings(paths, 2);
        struct lookup_message message;

        paths_request(&message);
        check_encoded(nipc_cgroups_lookup_get_class(), &list, &message);
        list = nipc_lookup_keys_of(keys, 2);
        check_encoded(nipc_cgroups_lookup_get_class(), &list, &message);
        pids_request(&message);
        list = nipc_lookup_keys_of_pids(pids, 2);
        check_encoded(nipc_apps_lookup_get_class(), &list, &message);
        list = nipc_lookup_keys_of_array(message.bytes + KEY0, 8, 2);
        check_encoded(nipc_apps_lookup_get_class(), &list, &message);
        lookup_message_init(&message, 0);
        list = nipc_lookup_keys_of_pids(NULL, 0);
        check_encoded(nipc_apps_lookup_get_class(), &list, &message);
        check_encoded(nipc_cgroups_lookup_get_class(), &list, &message);
}

/* A part of a list. */
static void test_encode_part(void)
{
        static const char *const paths[] = {"/0", "/11", "/222", "/3333"};
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        const struct nipc_lookup_keys list = nipc_lookup_keys_of_strings(paths, 4);
        struct nipc_lookup_request_view view;
        uint8_t buf[256];
        size_t size, key_size;

        tap_require(!nipc_lookup_request_encode(class_, &list, 1, 2, buf, sizeof(buf), &size));
        tap_eq_uint(size, nipc_lookup_request_size(class_, &list, 1, 2));
        tap_require(!nipc_lookup_request_view_init(&view, class_, buf, size, NULL));
        tap_eq_uint(view.item_count, 2);
        tap_eq_str(nipc_lookup_request_view_get(&view, 0, &key_size), "/11");
        tap_eq_str(nipc_lookup_request_view_get(&view, 1, &key_size), "/222");
        tap_eq_uint(key_size, 4);
}

static void check_refused(const struct nipc_lookup_class *class_, const void *key, size_t key_size)
{
        const struct nipc_lookup_key keys[] = {{"12345678", 8}, {key, key_size}};
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(keys, 2);
        uint8_t buf[256];
        size_t size = 7;

        tap_eq_int(nipc_lookup_request_encode(class_, &list, 0, 2, buf, sizeof(buf), &size),
                   NIPC_PROTO_E_BAD_LAYOUT);
        tap_eq_uint(size, 7);
}

static void test_encode_refused(void)
{
        static const char *const missing[] = {NULL};
        const struct nipc_lookup_keys none = nipc_lookup_keys_of_strings(missing, 1);
        const struct nipc_lookup_class *strings = nipc_cgroups_lookup_get_class();
        const struct nipc_lookup_class *pids = nipc_apps_lookup_get_class();
        const struct nipc_lookup_key endless = {"/", SIZE_MAX};
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(&endless, 1);
        uint8_t buf[64];
        size_t size;

        check_refused(strings, "", 0);
        check_refused(strings, "a\0b", 3);
        check_refused(strings, "ab", 3);
        check_refused(strings, NULL, 3);
        check_refused(pids, "1234567", 7);
        check_refused(pids, "123456789", 9);
        check_refused(pids, "", 0);
        check_refused(pids, NULL, 8);
        tap_eq_int(nipc_lookup_request_encode(strings, &none, 0, 1, buf, sizeof(buf), &size),
                   NIPC_PROTO_E_BAD_LAYOUT);
        tap_eq_int(nipc_lookup_request_encode(strings, &list, 0, 1, buf, sizeof(buf), &size),
                   NIPC_PROTO_E_OVERFLOW);
}

TAP_MAIN(TAP_CASE(test_header), TAP_CASE(test_directory), TAP_CASE(test_string_keys),
         TAP_CASE(test_fixed_keys), TAP_CASE(test_cut), TAP_CASE(test_tolerated),
         TAP_CASE(test_encode), TAP_CASE(test_encode_part), TAP_CASE(test_encode_refused))
