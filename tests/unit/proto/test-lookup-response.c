/* SPDX-License-Identifier: MIT */

/*
 * Responses of lookups (codecs §4): message, directory, strings and labels, by way of method 4.
 * What only one method knows is tested with the method.
 */

#include "util-lookup.h"

enum {
        ITEM0 = 16 + 2 * 8, /* of responses of two */

        /* A cgroup of path "/a" and name "n": 28, 3, 2 bytes. */
        PATH_FIELD = ITEM0 + 8,
        NAME_FIELD = ITEM0 + 16,
        PATH = ITEM0 + 28,
        NAME = ITEM0 + 31,
};

static const char *const two_labels[] = {"k", "vv", "key", ""};

static int judge(const struct lookup_message *message, struct nipc_fault *ret_fault)
{
        return lookup_judge(nipc_cgroups_lookup_get_class(), false, message->bytes, message->size,
                            ret_fault);
}

/* "/a" called "n", and "/b", which is not known: 33 and 32 bytes. */
static void plain_response(struct lookup_message *message)
{
        uint8_t item[256];

        lookup_message_init(message, 2);
        put_u64(message->bytes, 8, UINT64_C(0x1112131415161718));
        lookup_message_add(message, item, lookup_put_cgroup(item, 0, 3, "/a", "n"));
        lookup_message_add(message, item, lookup_put_cgroup(item, 1, 0, "/b", ""));
}

static void test_message(void)
{
        static const struct lookup_break breaks[] = {
                {0, 2, 0, NIPC_PROTO_E_BAD_LAYOUT, 0},
                {0, 2, 2, NIPC_PROTO_E_BAD_LAYOUT, 0},
                {2, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, 2},
                {4, 4, 0xffffffff, NIPC_PROTO_E_TRUNCATED, ITEM0 + 40 + 32},
                {4, 4, 12, NIPC_PROTO_E_TRUNCATED, ITEM0 + 40 + 32},
        };
        static const struct lookup_break entries[] = {
                {16, 4, 4, NIPC_PROTO_E_BAD_ALIGNMENT, 16},
                {24, 4, 41, NIPC_PROTO_E_BAD_ALIGNMENT, 24},
                {20, 4, 27, NIPC_PROTO_E_BAD_LAYOUT, 20},
                {28, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, 28},
                {28, 4, 33, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {28, 4, 0xffffffff, NIPC_PROTO_E_OUT_OF_BOUNDS, 28},
                {24, 4, 80, NIPC_PROTO_E_OUT_OF_BOUNDS, 24},
                {24, 4, 0xfffffff8, NIPC_PROTO_E_OUT_OF_BOUNDS, 24},
                {24, 4, 32, NIPC_PROTO_E_BAD_LAYOUT, 24},
                {20, 4, 41, NIPC_PROTO_E_BAD_LAYOUT, 24},
        };
        struct lookup_message message;

        plain_response(&message);
        check_breaks(nipc_cgroups_lookup_get_class(), false, &message, breaks);
        check_breaks(nipc_cgroups_lookup_get_class(), false, &message, entries);
}

/* All of the directory comes before any item. */
static void test_directory_first(void)
{
        struct lookup_message message;
        struct nipc_fault fault;

        plain_response(&message);
        put_u16(message.bytes, ITEM0, 2);
        check_fault(judge(&message, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM0);
        put_u32(message.bytes, 24, 44);
        check_fault(judge(&message, &fault), fault, NIPC_PROTO_E_BAD_ALIGNMENT, 24);
}

static void test_strings(void)
{
        static const struct lookup_break breaks[] = {
                {ITEM0, 2, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM0},
                {ITEM0, 2, 2, NIPC_PROTO_E_BAD_LAYOUT, ITEM0},
                {PATH_FIELD, 4, 27, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {PATH_FIELD, 4, 0, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {PATH_FIELD, 4, 31, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {PATH_FIELD, 4, 0xffffffff, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {PATH_FIELD + 4, 4, 5, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {PATH_FIELD + 4, 4, 0xffffffe4, NIPC_PROTO_E_OUT_OF_BOUNDS, PATH_FIELD},
                {NAME_FIELD, 4, 27, NIPC_PROTO_E_OUT_OF_BOUNDS, NAME_FIELD},
                {NAME_FIELD + 4, 4, 2, NIPC_PROTO_E_OUT_OF_BOUNDS, NAME_FIELD},
                {PATH_FIELD + 4, 4, 1, NIPC_PROTO_E_MISSING_NUL, PATH + 1},
                {PATH + 2, 1, 'x', NIPC_PROTO_E_MISSING_NUL, PATH + 2},
                {NAME + 1, 1, 'x', NIPC_PROTO_E_MISSING_NUL, NAME + 1},
                {PATH, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, PATH},
                {PATH + 1, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, PATH},
                {NAME, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, NAME},
                {PATH_FIELD + 4, 4, 4, NIPC_PROTO_E_BAD_LAYOUT, PATH}, /* "/a NUL n" */
        };
        struct lookup_message message;

        plain_response(&message);
        check_breaks(nipc_cgroups_lookup_get_class(), false, &message, breaks);
}

/* Strings in any order, with gaps; but not a byte of both. */
static void test_string_places(void)
{
        static const struct {
                uint32_t path, path_length, name, name_length;
                bool is_good;
        } places[] = {
                {28, 2, 31, 1, true},                         /* as encoders do */
                {31, 1, 28, 2, true},  {28, 2, 30, 0, false}, /* the same NUL */
                {30, 0, 28, 2, false}, /* likewise; and a path is never empty */
                {31, 1, 31, 1, false}, {31, 1, 32, 0, false},
                {28, 2, 29, 1, false}, /* the end of the path */
                {29, 1, 28, 2, false},
        };
        struct lookup_message message;
        struct nipc_fault fault;
        size_t i;
        int r;

        for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                plain_response(&message);
                put_u32(message.bytes, PATH_FIELD, places[i].path);
                put_u32(message.bytes, PATH_FIELD + 4, places[i].path_length);
                put_u32(message.bytes, NAME_FIELD, places[i].name);
                put_u32(message.bytes, NAME_FIELD + 4, places[i].name_length);
                r = judge(&message, &fault);
                if (places[i].is_good)
                        tap_eq_int(r, 0);
                else if (places[i].path_length)
                        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, NAME_FIELD);
                else
                        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, PATH_FIELD + 4);
        }
}

static void test_string_gaps(void)
{
        struct lookup_message message;
        struct nipc_lookup_view view;
        uint8_t item[64];

        /* 'x' bytes before, between; the end is the end of the last one. */
        memset(item, 'x', sizeof(item));
        lookup_put_cgroup(item, 0, 0, "/", "");
        put_u32(item, 8, 40);
        memcpy(item + 40, "/", 2);
        put_u32(item, 16, 33);
        item[33] = 0;
        lookup_message_init(&message, 1);
        lookup_message_add(&message, item, 42);
        tap_eq_int(judge(&message, NULL), 0);
        tap_require(!nipc_lookup_view_init(&view, nipc_cgroups_lookup_get_class(), message.bytes,
                                           message.size, NULL));
        tap_eq_str(nipc_lookup_item_get_string(view.class_, nipc_lookup_view_get(&view, 0), 0).str,
                   "/");
}

/* Without labels there is nothing behind the strings. */
static void test_slack(void)
{
        struct lookup_message message;
        struct nipc_fault fault;
        uint8_t item[64] = {0};
        size_t size = lookup_put_cgroup(item, 0, 0, "/a", "n"), slack;

        for (slack = 1; slack <= 8; slack++) {
                memset(item + size, 0, 8);
                lookup_message_init(&message, 1);
                lookup_message_add(&message, item, size + slack);
                check_fault(judge(&message, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 24 + size);
        }
}

/* One item of path "/a", name "n": labels k=vv and key= in a table at 40. */
static void labels_response(struct lookup_message *message)
{
        uint8_t item[256];
        size_t size = lookup_put_cgroup(item, 0, 3, "/a", "n");

        lookup_message_init(message, 1);
        lookup_message_add(message, item,
                           lookup_put_labels(item, &lookup_layout_cgroups, size, two_labels, 2));
}

static void test_labels(void)
{
        enum { ITEM = 24, TABLE = ITEM + 40, TEXTS = TABLE + 32, END = TEXTS + 2 + 3 + 4 + 1 };
        static const struct lookup_break breaks[] = {
                {ITEM + 33, 1, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 33}, /* padding */
                {ITEM + 39, 1, 0xff, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 39},
                {ITEM + 24, 2, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 33}, /* count */
                {ITEM + 24, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, TABLE},
                {ITEM + 24, 2, 3, NIPC_PROTO_E_OUT_OF_BOUNDS, END},
                {ITEM + 24, 2, 0xffff, NIPC_PROTO_E_OUT_OF_BOUNDS, END},
                {TABLE, 4, 71, NIPC_PROTO_E_BAD_LAYOUT, TABLE}, /* offset of the first key */
                {TABLE, 4, 73, NIPC_PROTO_E_BAD_LAYOUT, TABLE},
                {TABLE + 4, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 4},
                {TABLE + 4, 4, 2, NIPC_PROTO_E_MISSING_NUL, TEXTS + 2},
                {TABLE + 4, 4, 4, NIPC_PROTO_E_BAD_LAYOUT, TEXTS}, /* k NUL vv */
                {TABLE + 4, 4, 10, NIPC_PROTO_E_OUT_OF_BOUNDS, TABLE},
                {TABLE + 4, 4, 0xffffffff, NIPC_PROTO_E_OUT_OF_BOUNDS, TABLE},
                {TABLE + 8, 4, 75, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 8},
                {TABLE + 12, 4, 1, NIPC_PROTO_E_MISSING_NUL, TEXTS + 3},
                {TABLE + 12, 4, 0xfffffff0, NIPC_PROTO_E_OUT_OF_BOUNDS, TABLE + 8},
                {TABLE + 20, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 20},
                {TABLE + 24, 4, 82, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 24},
                {TABLE + 28, 4, 1, NIPC_PROTO_E_OUT_OF_BOUNDS, TABLE + 24},
                {TEXTS, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, TEXTS},
                {TEXTS + 1, 1, 'x', NIPC_PROTO_E_MISSING_NUL, TEXTS + 1},
                {TEXTS + 2, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, TEXTS + 2},
                {TEXTS + 6, 1, 0, NIPC_PROTO_E_BAD_LAYOUT, TEXTS + 5},
                {END - 1, 1, 'x', NIPC_PROTO_E_MISSING_NUL, END - 1},
                {20, 4, 81, NIPC_PROTO_E_OUT_OF_BOUNDS, TABLE + 24}, /* the item ends too early */
        };
        struct lookup_message message;

        labels_response(&message);
        tap_eq_uint(message.size, END);
        check_breaks(nipc_cgroups_lookup_get_class(), false, &message, breaks);
}

/* Slack behind labels; strings behind each other at every distance from a multiple of 8. */
static void test_label_places(void)
{
        static const char *const names[] = {"",     "n",     "nn",     "nnn",
                                            "nnnn", "nnnnn", "nnnnnn", "1234567"};
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct lookup_message message;
        struct nipc_lookup_view view;
        struct nipc_label label;
        struct nipc_fault fault;
        uint8_t item[256];
        size_t i, size;

        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                size = lookup_put_cgroup(item, 0, 3, "/a", names[i]);
                size = lookup_put_labels(item, &lookup_layout_cgroups, size, two_labels, 2);
                lookup_message_init(&message, 1);
                lookup_message_add(&message, item, size);
                tap_require(
                        !nipc_lookup_view_init(&view, class_, message.bytes, message.size, NULL));
                tap_eq_uint(nipc_lookup_item_get_label_count(class_,
                                                             nipc_lookup_view_get(&view, 0)),
                            2);
                label = nipc_lookup_item_get_label(class_, nipc_lookup_view_get(&view, 0), 1);
                tap_eq_str(label.key, "key");
                tap_eq_uint(label.key_len, 3);
                tap_eq_str(label.value, "");
                tap_eq_uint(label.value_len, 0);

                item[size] = 0;
                lookup_message_init(&message, 1);
                lookup_message_add(&message, item, size + 1);
                check_fault(judge(&message, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 24 + size);
        }
}

/* Labels come behind the string that ends last, wherever it is told. */
static void test_labels_behind_path(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct lookup_message message;
        struct nipc_lookup_view view;
        uint8_t item[256];
        size_t size = lookup_put_cgroup(item, 0, 3, "/a", "n");

        memcpy(item + 28, "n\0/a", 5);
        put_u32(item, 8, 30);
        put_u32(item, 16, 28);
        size = lookup_put_labels(item, &lookup_layout_cgroups, size, two_labels, 2);
        lookup_message_init(&message, 1);
        lookup_message_add(&message, item, size);
        tap_require(!nipc_lookup_view_init(&view, class_, message.bytes, message.size, NULL));
        tap_eq_str(nipc_lookup_item_get_label(class_, nipc_lookup_view_get(&view, 0), 0).value,
                   "vv");
}

/* Every beginning is refused without reading beyond it, and leaves the view alone. */
static void test_cut(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc_lookup_view view = {.item_count = 77};
        struct lookup_message message;
        struct nipc_fault fault;
        size_t size;
        int r;

        labels_response(&message);
        for (size = 0; size < message.size; size++) {
                uint8_t *copy = copy_exact(message.bytes, size);

                r = nipc_lookup_view_init(&view, class_, copy, size, &fault);
                if (size < 24)
                        check_fault(r, fault, NIPC_PROTO_E_TRUNCATED, size);
                else
                        check_fault(r, fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 20);
                tap_eq_uint(view.item_count, 77);
                free(copy);
        }
}

/* An item on its own: as in a response, with offsets of its own. */
static void test_item_check(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc_lookup_item item;
        struct nipc_fault fault;
        uint8_t bytes[64];

        item.bytes = bytes;
        item.size = (uint32_t)lookup_put_cgroup(bytes, 0, 3, "/a", "n");
        tap_eq_int(nipc_lookup_item_check(class_, item, NULL), 0);
        bytes[30] = 'x';
        check_fault(nipc_lookup_item_check(class_, item, &fault), fault, NIPC_PROTO_E_MISSING_NUL,
                    30);
        for (item.size = 0; item.size < 28; item.size++)
                check_fault(nipc_lookup_item_check(class_, item, &fault), fault,
                            NIPC_PROTO_E_BAD_LAYOUT, item.size);
}

/* Gaps and what is in them, bytes behind the last item, any generation. */
static void test_tolerated(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct lookup_message message;
        struct nipc_lookup_view view;
        uint8_t item[64];

        lookup_message_init(&message, 2);
        put_u64(message.bytes, 8, UINT64_MAX);
        memset(message.bytes + message.size, 0xee, 256);
        lookup_message_add(&message, item, lookup_put_cgroup(item, 0, 9999, "/a", ""));
        message.size += 20;
        lookup_message_add(&message, item, lookup_put_cgroup(item, 4, 0, "/a", ""));
        message.size += 5;
        tap_require(!nipc_lookup_view_init(&view, class_, message.bytes, message.size, NULL));
        tap_eq_uint(view.generation, UINT64_MAX);
        tap_eq_uint(nipc_lookup_item_get_status(nipc_lookup_view_get(&view, 1)), 4);

        lookup_message_init(&message, 0);
        tap_require(!nipc_lookup_view_init(&view, class_, message.bytes, 16, NULL));
        tap_eq_uint(view.item_count, 0);
}

TAP_MAIN(TAP_CASE(test_message), TAP_CASE(test_directory_first), TAP_CASE(test_strings),
         TAP_CASE(test_string_places), TAP_CASE(test_string_gaps), TAP_CASE(test_slack),
         TAP_CASE(test_labels), TAP_CASE(test_label_places), TAP_CASE(test_labels_behind_path),
         TAP_CASE(test_cut), TAP_CASE(test_item_check), TAP_CASE(test_tolerated))
