/* SPDX-License-Identifier: MIT */

/* Lookup methods of one's own: which classes can be, and that their messages work as ours do. */

#include "util-lookup.h"

/* A class that is good, for tests to spoil: keys of 4 bytes, two strings, labels. */
static const struct nipc_lookup_class good = {
        .size = sizeof(good),
        .method = 4000,
        .key_size = 4,
        .key_echo_size = 4,
        .key_offset = 4,
        .item_header_size = 28,
        .n_strings = 2,
        .strings_offset = 8,
        .labels_offset = 24,
        .status_exceeded = 7,
        .status_oversized = 9,
};

static void check_spoiled(const char *what, const struct nipc_lookup_class *class_, bool is_good)
{
        struct nipc_fault fault = FAULT_NONE;
        const int r = nipc_lookup_class_check(class_, &fault);

        if (r != (is_good ? 0 : NIPC_PROTO_E_BAD_LAYOUT))
                tap_fail("%s: returned %d", what, r);
        if (is_good)
                tap_check(fault_untouched(&fault));
        else
                tap_check(fault.error == r && fault.rule);
        tap_eq_int(nipc_lookup_class_check(class_, NULL), r);
}

#define CHECK_SPOILED(is_good, ...)                             \
        do {                                                    \
                struct nipc_lookup_class spoiled = good;        \
                spoiled.__VA_ARGS__;                            \
                check_spoiled(#__VA_ARGS__, &spoiled, is_good); \
        } while (0)

static int refuse_key(const void *key, struct nipc_fault *ret_fault)
{
        (void)key;
        (void)ret_fault;
        return NIPC_PROTO_E_BAD_LAYOUT;
}

/* What was compiled for one of nipc's classes is not for a copy of it, which may be another. */
static void test_copy(void)
{
        struct nipc_lookup_class copy = *nipc_cgroups_lookup_get_class();

        check_spoiled("ours", nipc_cgroups_lookup_get_class(), true);
        check_spoiled("a copy", &copy, false);
        copy.own = NULL;
        check_spoiled("a copy without own", &copy, true);
}

static void test_fields(void)
{
        check_spoiled("good", &good, true);
        CHECK_SPOILED(false, size = 0);
        CHECK_SPOILED(false, size = sizeof(good) - 1);
        CHECK_SPOILED(false, key_size = NIPC_LOOKUP_MAX_KEY_SIZE + 1);
        CHECK_SPOILED(true, key_size = NIPC_LOOKUP_MAX_KEY_SIZE);
        CHECK_SPOILED(false, key_size = 3);
        CHECK_SPOILED(false, key_echo_size = 0);
        CHECK_SPOILED(true, key_echo_size = 1);
        CHECK_SPOILED(false, key_echo_size = 5);
        CHECK_SPOILED(false, key_offset = 3);
        CHECK_SPOILED(false, key_offset = 5);
        CHECK_SPOILED(false, key_offset = 26);
        CHECK_SPOILED(false, key_offset = UINT16_MAX);
        CHECK_SPOILED(false, item_header_size = 7);
        CHECK_SPOILED(false, item_header_size = 25);
        CHECK_SPOILED(true, item_header_size = NIPC_LOOKUP_MAX_HEADER_SIZE);
        CHECK_SPOILED(false, item_header_size = NIPC_LOOKUP_MAX_HEADER_SIZE + 1);
        CHECK_SPOILED(false, n_strings = NIPC_LOOKUP_MAX_STRINGS + 1);
        CHECK_SPOILED(false, n_strings = 3);
        CHECK_SPOILED(true, n_strings = 0);
        CHECK_SPOILED(false, n_strings = UINT16_MAX);
        CHECK_SPOILED(false, strings_offset = 3);
        CHECK_SPOILED(false, strings_offset = 7);
        CHECK_SPOILED(false, strings_offset = 9);
        CHECK_SPOILED(false, strings_offset = 13);
        CHECK_SPOILED(false, labels_offset = 3);
        CHECK_SPOILED(false, labels_offset = 4);
        CHECK_SPOILED(false, labels_offset = 6);
        CHECK_SPOILED(false, labels_offset = 23);
        CHECK_SPOILED(true, labels_offset = 26);
        CHECK_SPOILED(false, labels_offset = 27);
        CHECK_SPOILED(true, labels_offset = 0);
        CHECK_SPOILED(false, status_exceeded = 0);
        CHECK_SPOILED(false, status_oversized = 0);
        CHECK_SPOILED(false, status_oversized = 7);
}

static void test_string_key_fields(void)
{
        struct nipc_lookup_class class_ = good;

        class_.key_size = class_.key_echo_size = class_.key_offset = 0;
        check_spoiled("string keys", &class_, true);
        class_.key_echo_size = 4;
        check_spoiled("string keys in the header", &class_, false);
        class_.key_echo_size = 0;
        class_.check_key = refuse_key;
        check_spoiled("string keys that the method checks", &class_, false);
        class_.check_key = NULL;
        class_.n_strings = 0;
        check_spoiled("string keys without strings", &class_, false);
}

/* ---- messages of such classes ------------------------------------------------------------- */

enum { ITEMS = 3 };

/* A header with its own bytes counted up, and the key where the class wants it. */
static void header_fill(const struct nipc_lookup_class *class_, uint8_t *header, const void *key)
{
        uint16_t i;

        for (i = 0; i < class_->item_header_size; i++)
                header[i] = (uint8_t)(i * 3 + 1);
        put_u16(header, 2, 0);
        if (class_->key_size)
                memcpy(header + class_->key_offset, key, class_->key_echo_size);
}

static const char *const texts[NIPC_LOOKUP_MAX_STRINGS] = {
        "zero", "", "2", "threethreethreethree", "", "five", "6", "seven-seven-seven-seven-seven",
};

static size_t build(const struct nipc_lookup_class *class_,
                    const struct nipc_lookup_request_view *request, uint8_t *buf, size_t budget)
{
        const struct nipc_label label = {"key", 3, "value", 5};
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS];
        uint8_t header[NIPC_LOOKUP_MAX_HEADER_SIZE];
        struct nipc_lookup_builder builder;
        size_t size = 0, key_size;
        const void *key;
        uint32_t i, k;

        nipc_lookup_builder_init(&builder, request, buf, budget);
        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                for (k = 0; k < class_->n_strings; k++)
                        strings[k] = (struct nipc_lookup_string){texts[k], strlen(texts[k])};
                if (!class_->key_size)
                        strings[0] = (struct nipc_lookup_string){key, key_size};
                header_fill(class_, header, key);
                if (i == 1)
                        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, key_size, 5), 0);
                else
                        tap_eq_int(nipc_lookup_builder_add(&builder, header, strings, &label,
                                                           class_->labels_offset ? i / 2 : 0),
                                   0);
        }
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
        return size;
}

/* The bytes of the header that are the method's own are as they were given. */
static void check_header(const struct nipc_lookup_class *class_, struct nipc_lookup_item item,
                         const void *key)
{
        const uint16_t strings_end = (uint16_t)(class_->strings_offset + class_->n_strings * 8);
        uint8_t header[NIPC_LOOKUP_MAX_HEADER_SIZE];
        uint16_t i;

        header_fill(class_, header, key);
        for (i = 4; i < class_->item_header_size; i++) {
                if (i >= class_->strings_offset && i < strings_end)
                        continue;
                if (class_->labels_offset &&
                    (i == class_->labels_offset || i == class_->labels_offset + 1))
                        continue;
                if (!tap_eq_uint(item.bytes[i], header[i]))
                        return;
        }
}

static void check_item(const struct nipc_lookup_class *class_, const struct nipc_lookup_view *view,
                       uint32_t i, const void *key, size_t key_size)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, i);
        uint32_t k;

        tap_check(nipc_lookup_item_is_for(class_, item, key, key_size));
        tap_eq_int(nipc_lookup_item_check(class_, item, NULL), 0);
        tap_eq_uint(nipc_lookup_item_get_status(item), i == 1 ? 5 : 0);
        for (k = class_->key_size ? 0 : 1; k < class_->n_strings; k++)
                tap_eq_str(nipc_lookup_item_get_string(class_, item, k).str,
                           i == 1 ? "" : texts[k]);
        if (i != 1)
                check_header(class_, item, key);
        tap_eq_uint(nipc_lookup_item_get_label_count(class_, item),
                    class_->labels_offset ? i / 2 : 0);
        if (class_->labels_offset && i == 2)
                tap_eq_str(nipc_lookup_item_get_label(class_, item, 0).value, "value");
}

/* Asks, answers, reads the answer; then with so little room that nothing but the keys fits. */
static void check_class(const struct nipc_lookup_class *class_, const struct nipc_lookup_key *keys)
{
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(keys, ITEMS);
        struct nipc_lookup_request_view request;
        uint8_t question[1024], *buf;
        struct nipc_lookup_view view;
        size_t size, full;
        uint32_t i;

        tap_require(!nipc_lookup_class_check(class_, NULL));
        tap_require(!nipc_lookup_request_encode(class_, &list, 0, ITEMS, question, sizeof(question),
                                                &size));
        tap_eq_uint(size, nipc_lookup_request_size(class_, &list, 0, ITEMS));
        tap_require(!nipc_lookup_request_view_init(&request, class_, question, size, NULL));
        buf = malloc(4096);
        full = build(class_, &request, buf, 4096);
        tap_eq_int(nipc_lookup_view_init(&view, class_, buf, full, NULL), 0);
        tap_eq_uint(view.item_count, ITEMS);
        for (i = 0; i < ITEMS; i++)
                check_item(class_, &view, i, keys[i].data, keys[i].size);
        free(buf);

        size = 16 + ITEMS * 8 + (size_t)request.placeholder_bytes;
        buf = malloc(size);
        size = build(class_, &request, buf, size);
        tap_eq_int(nipc_lookup_view_init(&view, class_, buf, size, NULL), 0);
        for (i = 0; i < ITEMS; i++)
                tap_check(nipc_lookup_item_is_for(class_, nipc_lookup_view_get(&view, i),
                                                  keys[i].data, keys[i].size));
        if (size < full)
                tap_check(nipc_lookup_item_get_status(nipc_lookup_view_get(&view, 0)) ==
                                  class_->status_oversized ||
                          nipc_lookup_item_get_status(nipc_lookup_view_get(&view, 2)) ==
                                  class_->status_exceeded);
        free(buf);
}

static void test_no_strings(void)
{
        static const struct nipc_lookup_class class_ = {
                .size = sizeof(class_),
                .key_size = 1,
                .key_echo_size = 1,
                .key_offset = 7,
                .item_header_size = 8,
                .status_exceeded = 1,
                .status_oversized = 2,
        };
        static const struct nipc_lookup_key keys[] = {{"a", 1}, {"\0", 1}, {"\xff", 1}};

        check_class(&class_, keys);
}

static void test_eight_strings(void)
{
        struct nipc_lookup_class class_ = {
                .size = sizeof(class_),
                .item_header_size = 80,
                .n_strings = 8,
                .strings_offset = 13, /* nothing needs to be aligned */
                .labels_offset = 77,
                .status_exceeded = 1,
                .status_oversized = 2,
        };
        static const struct nipc_lookup_key keys[] = {{"a", 1},
                                                      {"bcdefghijklmnopqr", 17},
                                                      {"s", 1}};
        static char key_bytes[3][8] = {"aaaaaaa", "bbbbbbb", "ccccccc"};
        const struct nipc_lookup_key fixed[] = {{key_bytes[0], 8},
                                                {key_bytes[1], 8},
                                                {key_bytes[2], 8}};

        check_class(&class_, keys);
        class_.key_size = 8;
        class_.key_echo_size = 5;
        class_.key_offset = 5;
        check_class(&class_, fixed);
        class_.labels_offset = 0;
        check_class(&class_, fixed);
}

static void test_large_keys(void)
{
        static const struct nipc_lookup_class class_ = {
                .size = sizeof(class_),
                .key_size = 64,
                .key_echo_size = 64,
                .key_offset = 192,
                .item_header_size = 256,
                .n_strings = 1,
                .strings_offset = 4,
                .labels_offset = 12,
                .status_exceeded = 0xfffe,
                .status_oversized = 0xffff,
        };
        static uint8_t bytes[3][64];
        const struct nipc_lookup_key keys[] = {{bytes[0], 64}, {bytes[1], 64}, {bytes[2], 64}};
        size_t i;

        for (i = 0; i < sizeof(bytes); i++)
                ((uint8_t *)bytes)[i] = (uint8_t)(i * 7);
        check_class(&class_, keys);
}

/* A part of the key: it is what tells items apart, the rest may be anything. */
static void test_echo(void)
{
        static const struct nipc_lookup_class class_ = {
                .size = sizeof(class_),
                .key_size = 3,
                .key_echo_size = 2,
                .key_offset = 4,
                .item_header_size = 8,
                .status_exceeded = 1,
                .status_oversized = 2,
        };
        static const struct nipc_lookup_key keys[] = {{"abc", 3}, {"abd", 3}, {"xbc", 3}};
        struct nipc_lookup_item item;
        uint8_t bytes[8] = {1, 0, 0, 0, 'a', 'b', 0, 0};

        check_class(&class_, keys);
        item.bytes = bytes;
        item.size = sizeof(bytes);
        tap_check(nipc_lookup_item_is_for(&class_, item, "abz", 3));
        tap_check(!nipc_lookup_item_is_for(&class_, item, "axc", 3));
}

/* ---- what a method of one's own says ------------------------------------------------------ */

static int check_even_key(const void *key, struct nipc_fault *ret_fault)
{
        if (((const uint8_t *)key)[0] % 2 == 0)
                return 0;
        if (ret_fault)
                *ret_fault = (struct nipc_fault){NIPC_PROTO_E_BAD_ALIGNMENT, 0, "keys are even"};
        return NIPC_PROTO_E_BAD_ALIGNMENT;
}

static int check_small_item(const void *header, struct nipc_fault *ret_fault)
{
        if (((const uint8_t *)header)[6] < 10)
                return 0;
        if (ret_fault)
                *ret_fault = (struct nipc_fault){NIPC_PROTO_E_LIMIT_EXCEEDED, 6, "it is small"};
        return NIPC_PROTO_E_LIMIT_EXCEEDED;
}

static const uint8_t neutral[8] = {0, 0, 0, 0, 0, 0, 9, 0xab};

static const struct nipc_lookup_class checked = {
        .size = sizeof(checked),
        .key_size = 1,
        .key_echo_size = 1,
        .key_offset = 4,
        .item_header_size = 8,
        .status_exceeded = 1,
        .status_oversized = 2,
        .neutral_header = neutral,
        .check_key = check_even_key,
        .check_item = check_small_item,
};

static void test_checks(void)
{
        struct lookup_message message;
        struct nipc_fault fault;
        uint8_t item[8] = {0, 0, 0, 0, 2, 0, 9, 0};
        int r;

        lookup_message_init(&message, 2);
        lookup_message_add(&message, "\2", 1);
        lookup_message_add(&message, "\4", 1);
        tap_eq_int(lookup_judge(&checked, true, message.bytes, message.size, NULL), 0);
        message.bytes[message.items[1]] = 3;
        r = lookup_judge(&checked, true, message.bytes, message.size, &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_ALIGNMENT, message.items[1]);

        put_u16(item, 0, 1);
        lookup_message_init(&message, 2);
        lookup_message_add(&message, item, 8);
        lookup_message_add(&message, item, 8);
        tap_eq_int(lookup_judge(&checked, false, message.bytes, message.size, NULL), 0);
        message.bytes[message.items[1] + 6] = 10;
        r = lookup_judge(&checked, false, message.bytes, message.size, &fault);
        check_fault(r, fault, NIPC_PROTO_E_LIMIT_EXCEEDED, message.items[1] + 6);
}

/* An item with nothing to say has the method's neutral header; what is built is checked too. */
static void test_neutral_header(void)
{
        struct nipc_lookup_builder builder;
        uint8_t buf[128], header[8] = {0, 0, 0, 0, 2, 0, 10, 0};
        size_t size;

        nipc_lookup_builder_init_unasked(&builder, &checked, buf, sizeof(buf), 2);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, "\2", 1, 5), 0);
        tap_require(!nipc_lookup_builder_finish(&builder, &size));
        tap_eq_uint(size, 32);
        tap_eq_mem(buf + 24 + 4, 4, "\2\0\x09\xab", 4);
        nipc_lookup_builder_init_unasked(&builder, &checked, buf, sizeof(buf), 2);
        tap_eq_int(nipc_lookup_builder_add(&builder, header, NULL, NULL, 0),
                   NIPC_PROTO_E_BAD_LAYOUT);
}

TAP_MAIN(TAP_CASE(test_copy), TAP_CASE(test_fields), TAP_CASE(test_string_key_fields),
         TAP_CASE(test_no_strings), TAP_CASE(test_eight_strings), TAP_CASE(test_large_keys),
         TAP_CASE(test_echo), TAP_CASE(test_checks), TAP_CASE(test_neutral_header))
