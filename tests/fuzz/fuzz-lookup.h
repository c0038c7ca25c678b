/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A lookup method, both directions: what decodes lies within, and asked or built again it is the
 * same, by whichever way; asked for again within a budget, every key has an item. What does not
 * decode has a fault within. Each method is a target of its own, because what speaks for the bytes
 * of one is noise for another.
 */

#include <nipc/lookup.h>
#include <stdbool.h>

#include "fuzz.h"

/* What a target knows of its items besides; all but the class may be NULL. */
struct fuzz_lookup {
        const struct nipc_lookup_class *class_;
        /* Adds a decoded item by its fields. */
        int (*add)(struct nipc_lookup_builder *builder, struct nipc_lookup_item item);
        void (*check)(struct nipc_lookup_item item);
        void (*check_equal)(struct nipc_lookup_item a, struct nipc_lookup_item b);
};

static inline bool fuzz_same(const void *a, size_t a_size, const void *b, size_t b_size)
{
        return a_size == b_size && (!a_size || !memcmp(a, b, a_size));
}

/* Keys of a checked request as a list; get: of nipc_lookup_keys. */
static inline const void *fuzz_get_key(const struct nipc_lookup_keys *list, uint32_t index,
                                       void *scratch, size_t *ret_size)
{
        (void)scratch;
        return nipc_lookup_request_view_get(list->keys, index, ret_size);
}

/* No gap is needed that was not there: the bytes are as many as they were at most. */
static inline void fuzz_check_request_again(const struct nipc_lookup_request_view *view,
                                            size_t max_size)
{
        const struct nipc_lookup_keys keys = {
                .keys = view,
                .n_keys = view->item_count,
                .get = fuzz_get_key,
        };
        const size_t capacity =
                (size_t)nipc_lookup_request_size(view->class_, &keys, 0, keys.n_keys);
        uint8_t *buf = fuzz_alloc(capacity);
        struct nipc_lookup_request_view again;
        size_t size = 0, a_size, b_size;
        const void *a, *b;
        uint32_t i;

        fuzz_assert(!nipc_lookup_request_encode(view->class_, &keys, 0, keys.n_keys, buf, capacity,
                                                &size));
        fuzz_assert(size == capacity && size <= max_size);
        fuzz_assert(!nipc_lookup_request_view_init(&again, view->class_, buf, size, NULL));
        fuzz_assert(again.item_count == view->item_count);
        fuzz_assert(again.placeholder_bytes == view->placeholder_bytes);
        for (i = 0; i < view->item_count; i++) {
                a = nipc_lookup_request_view_get(view, i, &a_size);
                b = nipc_lookup_request_view_get(&again, i, &b_size);
                fuzz_assert(fuzz_same(a, a_size, b, b_size));
        }
        free(buf);
}

static inline void fuzz_check_request(const struct nipc_lookup_class *class_, const uint8_t *data,
                                      size_t size)
{
        struct nipc_lookup_request_view view;
        struct nipc_fault fault = {0};
        const uint8_t *key;
        size_t key_size;
        uint32_t i;
        int r;

        r = nipc_lookup_request_view_init(&view, class_, data, size, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return;
        for (i = 0; i < view.item_count; i++) {
                key = nipc_lookup_request_view_get(&view, i, &key_size);
                fuzz_assert(key >= data && key + key_size <= data + size);
                fuzz_assert(key_size);
                fuzz_assert(class_->key_size || strlen((const char *)key) == key_size);
        }
        fuzz_check_request_again(&view, size);
}

static inline void fuzz_check_text(struct nipc_lookup_item item, const char *str, size_t len)
{
        const char *begin = (const char *)item.bytes, *end = begin + item.size;

        fuzz_assert(str >= begin && str < end && len < (size_t)(end - str));
        fuzz_assert(strlen(str) == len);
}

static inline void fuzz_check_item(const struct nipc_lookup_class *class_,
                                   struct nipc_lookup_item item)
{
        const uint32_t n_labels = nipc_lookup_item_get_label_count(class_, item);
        struct nipc_lookup_string string;
        struct nipc_label label;
        uint32_t i;

        for (i = 0; i < class_->n_strings; i++) {
                string = nipc_lookup_item_get_string(class_, item, i);
                fuzz_check_text(item, string.str, string.len);
        }
        for (i = 0; i < n_labels; i++) {
                label = nipc_lookup_item_get_label(class_, item, i);
                fuzz_check_text(item, label.key, label.key_len);
                fuzz_check_text(item, label.value, label.value_len);
                fuzz_assert(label.key_len);
        }
        fuzz_assert(!nipc_lookup_item_check(class_, item, NULL));
}

/* Whether two items say the same; their strings may lie differently. */
static inline void fuzz_check_equal(const struct nipc_lookup_class *class_,
                                    struct nipc_lookup_item a, struct nipc_lookup_item b)
{
        const uint32_t n_labels = nipc_lookup_item_get_label_count(class_, a);
        const uint32_t strings_end = class_->strings_offset + class_->n_strings * 8u;
        struct nipc_lookup_string s, t;
        struct nipc_label k, l;
        uint32_t i;

        fuzz_assert(!memcmp(a.bytes, b.bytes, class_->strings_offset));
        fuzz_assert(fuzz_same(a.bytes + strings_end, class_->item_header_size - strings_end,
                              b.bytes + strings_end, class_->item_header_size - strings_end));
        for (i = 0; i < class_->n_strings; i++) {
                s = nipc_lookup_item_get_string(class_, a, i);
                t = nipc_lookup_item_get_string(class_, b, i);
                fuzz_assert(fuzz_same(s.str, s.len, t.str, t.len));
        }
        fuzz_assert(n_labels == nipc_lookup_item_get_label_count(class_, b));
        for (i = 0; i < n_labels; i++) {
                k = nipc_lookup_item_get_label(class_, a, i);
                l = nipc_lookup_item_get_label(class_, b, i);
                fuzz_assert(fuzz_same(k.key, k.key_len, l.key, l.key_len));
                fuzz_assert(fuzz_same(k.value, k.value_len, l.value, l.value_len));
        }
}

/* Adds what an item says, string by string. */
static inline int fuzz_add_parts(struct nipc_lookup_builder *builder, struct nipc_lookup_item item)
{
        const struct nipc_lookup_class *class_ = builder->class_;
        const uint32_t n_labels = nipc_lookup_item_get_label_count(class_, item);
        struct nipc_label *labels = fuzz_alloc(n_labels * sizeof(*labels));
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS];
        uint32_t i;
        int r;

        for (i = 0; i < class_->n_strings; i++)
                strings[i] = nipc_lookup_item_get_string(class_, item, i);
        for (i = 0; i < n_labels; i++)
                labels[i] = nipc_lookup_item_get_label(class_, item, i);
        fuzz_assert(nipc_lookup_item_size(class_, strings, labels, n_labels) <= item.size);
        r = nipc_lookup_builder_add(builder, item.bytes, strings, labels, n_labels);
        free(labels);
        return r;
}

/* Adds by its fields, if the target does, or string by string. */
static inline int fuzz_add_fields(const struct fuzz_lookup *subject,
                                  struct nipc_lookup_builder *builder, struct nipc_lookup_item item)
{
        return subject->add ? subject->add(builder, item) : fuzz_add_parts(builder, item);
}

enum fuzz_way {
        FUZZ_AS_IT_IS,
        FUZZ_PARTS,
        FUZZ_FIELDS,
};

static inline int fuzz_add(const struct fuzz_lookup *subject, struct nipc_lookup_builder *builder,
                           struct nipc_lookup_item item, enum fuzz_way way)
{
        if (way == FUZZ_AS_IT_IS)
                return nipc_lookup_builder_add_item(builder, item);
        return way == FUZZ_PARTS ? fuzz_add_parts(builder, item)
                                 : fuzz_add_fields(subject, builder, item);
}

static inline void fuzz_check_same_item(const struct fuzz_lookup *subject,
                                        struct nipc_lookup_item a, struct nipc_lookup_item b,
                                        enum fuzz_way way)
{
        fuzz_check_equal(subject->class_, a, b);
        if (subject->check_equal)
                subject->check_equal(a, b);
        fuzz_assert(way == FUZZ_AS_IT_IS ? fuzz_same(a.bytes, a.size, b.bytes, b.size)
                                         : a.size >= b.size);
}

/* Built again: in no more room, and the same. */
static inline void fuzz_check_rebuilt(const struct fuzz_lookup *subject,
                                      const struct nipc_lookup_view *view, size_t size,
                                      enum fuzz_way way)
{
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view again;
        uint8_t *buf = fuzz_alloc(size);
        size_t again_size;
        uint32_t i;

        fuzz_assert(!nipc_lookup_builder_init_unasked(&builder, view->class_, buf, size,
                                                      view->item_count));
        nipc_lookup_builder_set_generation(&builder, view->generation);
        for (i = 0; i < view->item_count; i++)
                fuzz_assert(!fuzz_add(subject, &builder, nipc_lookup_view_get(view, i), way));
        fuzz_assert(!nipc_lookup_builder_finish(&builder, &again_size));
        fuzz_assert(!nipc_lookup_view_init(&again, view->class_, buf, again_size, NULL));
        fuzz_assert(again.item_count == view->item_count && again.generation == view->generation);
        for (i = 0; i < view->item_count; i++)
                fuzz_check_same_item(subject, nipc_lookup_view_get(view, i),
                                     nipc_lookup_view_get(&again, i), way);
        free(buf);
}

/* A request for the keys of a response. Owned. */
static inline uint8_t *fuzz_ask_again(const struct fuzz_lookup *subject,
                                      const struct nipc_lookup_view *view, size_t *ret_size)
{
        const struct nipc_lookup_class *class_ = subject->class_;
        uint8_t(*fixed)[NIPC_LOOKUP_MAX_KEY_SIZE] = fuzz_alloc(view->item_count * sizeof(*fixed));
        struct nipc_lookup_key *keys = fuzz_alloc(view->item_count * sizeof(*keys));
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(keys, view->item_count);
        struct nipc_lookup_string string;
        size_t capacity;
        uint8_t *buf;
        uint32_t i;

        for (i = 0; i < view->item_count; i++) {
                const struct nipc_lookup_item item = nipc_lookup_view_get(view, i);

                if (class_->key_size) {
                        memset(fixed[i], 0, sizeof(fixed[i]));
                        memcpy(fixed[i], item.bytes + class_->key_offset, class_->key_echo_size);
                        keys[i] = (struct nipc_lookup_key){fixed[i], class_->key_size};
                } else {
                        string = nipc_lookup_item_get_string(class_, item, 0);
                        keys[i] = (struct nipc_lookup_key){string.str, string.len};
                }
        }
        capacity = (size_t)nipc_lookup_request_size(class_, &list, 0, list.n_keys);
        buf = fuzz_alloc(capacity);
        fuzz_assert(!nipc_lookup_request_encode(class_, &list, 0, list.n_keys, buf, capacity,
                                                ret_size));
        free(keys);
        free(fixed);
        return buf;
}

/* Whatever the budget: an error, or an item for every key, all good. */
static inline void fuzz_check_answer(const struct fuzz_lookup *subject,
                                     const struct nipc_lookup_view *view, size_t budget)
{
        const uint16_t exceeded = subject->class_->status_exceeded;
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view again;
        size_t request_size, key_size, n = 0;
        uint8_t *asked = fuzz_ask_again(subject, view, &request_size), *buf = fuzz_alloc(budget);
        bool is_exceeded = false;
        uint32_t i;
        int r;

        fuzz_assert(!nipc_lookup_request_view_init(&request, subject->class_, asked, request_size,
                                                   NULL));
        r = nipc_lookup_builder_init(&builder, &request, buf, budget);
        for (i = 0; !r && i < view->item_count; i++)
                r = fuzz_add_fields(subject, &builder, nipc_lookup_view_get(view, i));
        if (!r)
                r = nipc_lookup_builder_finish(&builder, &n);
        fuzz_assert(!r == !builder.error);
        if (!r) {
                fuzz_assert(n <= budget);
                fuzz_assert(!nipc_lookup_view_init(&again, subject->class_, buf, n, NULL));
                fuzz_assert(again.item_count == request.item_count);
        }
        for (i = 0; !r && i < again.item_count; i++) {
                const struct nipc_lookup_item item = nipc_lookup_view_get(&again, i);
                const void *key = nipc_lookup_request_view_get(&request, i, &key_size);

                fuzz_assert(nipc_lookup_item_is_for(subject->class_, item, key, key_size));
                fuzz_assert(!is_exceeded || nipc_lookup_item_get_status(item) == exceeded);
                is_exceeded = nipc_lookup_item_get_status(item) == exceeded;
        }
        free(asked);
        free(buf);
}

static inline void fuzz_check_response(const struct fuzz_lookup *subject, const uint8_t *data,
                                       size_t size)
{
        struct nipc_lookup_item item;
        struct nipc_lookup_view view;
        struct nipc_fault fault = {0};
        uint32_t i;
        int r;

        r = nipc_lookup_view_init(&view, subject->class_, data, size, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return;
        for (i = 0; i < view.item_count; i++) {
                item = nipc_lookup_view_get(&view, i);
                fuzz_assert(item.bytes >= data && item.size <= (size_t)(data + size - item.bytes));
                fuzz_check_item(subject->class_, item);
                if (subject->check)
                        subject->check(item);
        }
        fuzz_check_rebuilt(subject, &view, size, FUZZ_AS_IT_IS);
        fuzz_check_rebuilt(subject, &view, size, FUZZ_PARTS);
        fuzz_check_rebuilt(subject, &view, size, FUZZ_FIELDS);
        fuzz_check_answer(subject, &view, size + 8); /* enough: the last item may end unpadded */
        fuzz_check_answer(subject, &view, size - (size_t)(view.generation % (size + 1)));
}

static inline int fuzz_check_lookup(const struct fuzz_lookup *subject, const uint8_t *data,
                                    size_t size)
{
        fuzz_check_request(subject->class_, data, size);
        fuzz_check_response(subject, data, size);
        return 0;
}
