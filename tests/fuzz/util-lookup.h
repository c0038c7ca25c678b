/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * For the targets of lookups: what decodes is built again, from its fields and from its items as
 * they are, and asked for again within a budget.
 */

#include <nipc/lookup.h>

#include "fuzz.h"

/* What a target knows of its items. */
struct lookup_subject {
        const struct nipc_lookup_class *class_;
        /* Adds a decoded item by its fields. */
        int (*add)(struct nipc_lookup_builder *builder, struct nipc_lookup_item item);
        /* Asserts that what an item points to lies in it, and that two items say the same. */
        void (*check)(struct nipc_lookup_item item);
        void (*check_equal)(struct nipc_lookup_item a, struct nipc_lookup_item b);
};

static inline struct nipc_lookup_key *list_keys(const struct nipc_lookup_request_view *view)
{
        struct nipc_lookup_key *keys = fuzz_alloc(view->item_count * sizeof(*keys));
        uint32_t i;

        for (i = 0; i < view->item_count; i++)
                keys[i].data = nipc_lookup_request_view_get(view, i, &keys[i].size);
        return keys;
}

/* No gap is needed that was not there: the bytes are as many at most. */
static inline void check_lookup_request(const struct lookup_subject *subject, const uint8_t *data,
                                        size_t size)
{
        struct nipc_lookup_request_view view, again;
        struct nipc_fault fault = {0};
        struct nipc_lookup_keys list;
        struct nipc_lookup_key *keys;
        size_t n = 0, a_size, b_size;
        uint8_t *buf;
        uint32_t i;
        int r;

        r = nipc_lookup_request_view_init(&view, subject->class_, data, size, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return;
        keys = list_keys(&view);
        buf = fuzz_alloc(size);
        list = nipc_lookup_keys_of(keys, view.item_count);
        fuzz_assert(
                !nipc_lookup_request_encode(subject->class_, &list, 0, list.n_keys, buf, size, &n));
        fuzz_assert(n == nipc_lookup_request_size(subject->class_, &list, 0, list.n_keys));
        fuzz_assert(!nipc_lookup_request_view_init(&again, subject->class_, buf, n, NULL));
        fuzz_assert(again.item_count == view.item_count);
        fuzz_assert(again.placeholder_bytes == view.placeholder_bytes);
        for (i = 0; i < view.item_count; i++) {
                const void *a = nipc_lookup_request_view_get(&view, i, &a_size);
                const void *b = nipc_lookup_request_view_get(&again, i, &b_size);

                fuzz_assert(a_size == b_size && !memcmp(a, b, a_size));
        }
        free(buf);
        free(keys);
}

static inline void check_rebuilt_lookup(const struct lookup_subject *subject,
                                        const struct nipc_lookup_view *view, size_t size,
                                        bool as_it_is)
{
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view again;
        uint8_t *buf = fuzz_alloc(size);
        struct nipc_lookup_item a, b;
        size_t n = 0;
        uint32_t i;

        fuzz_assert(!nipc_lookup_builder_init_unasked(&builder, subject->class_, buf, size,
                                                      view->item_count));
        nipc_lookup_builder_set_generation(&builder, view->generation);
        for (i = 0; i < view->item_count; i++) {
                a = nipc_lookup_view_get(view, i);
                fuzz_assert(!(as_it_is ? nipc_lookup_builder_add_item(&builder, a)
                                       : subject->add(&builder, a)));
        }
        fuzz_assert(!nipc_lookup_builder_finish(&builder, &n));
        fuzz_assert(!nipc_lookup_view_init(&again, subject->class_, buf, n, NULL));
        fuzz_assert(again.item_count == view->item_count && again.generation == view->generation);
        for (i = 0; i < view->item_count; i++) {
                a = nipc_lookup_view_get(view, i);
                b = nipc_lookup_view_get(&again, i);
                subject->check_equal(a, b);
                fuzz_assert(as_it_is ? a.size == b.size && !memcmp(a.bytes, b.bytes, a.size)
                                     : a.size >= b.size);
        }
        free(buf);
}

/* A request for the keys of a response. Owned. */
static inline uint8_t *ask_again(const struct lookup_subject *subject,
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
static inline void check_answer(const struct lookup_subject *subject,
                                const struct nipc_lookup_view *view, size_t budget)
{
        const uint16_t exceeded = subject->class_->status_exceeded;
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view again;
        size_t request_size, key_size, n = 0;
        uint8_t *asked = ask_again(subject, view, &request_size), *buf = fuzz_alloc(budget);
        bool is_exceeded = false;
        uint32_t i;
        int r;

        fuzz_assert(!nipc_lookup_request_view_init(&request, subject->class_, asked, request_size,
                                                   NULL));
        r = nipc_lookup_builder_init(&builder, &request, buf, budget);
        for (i = 0; !r && i < view->item_count; i++)
                r = subject->add(&builder, nipc_lookup_view_get(view, i));
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

static inline void check_lookup_response(const struct lookup_subject *subject, const uint8_t *data,
                                         size_t size)
{
        struct nipc_lookup_view view;
        struct nipc_fault fault = {0};
        uint32_t i;
        int r;

        r = nipc_lookup_view_init(&view, subject->class_, data, size, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return;
        for (i = 0; i < view.item_count; i++) {
                fuzz_assert(nipc_lookup_view_get(&view, i).bytes >= data);
                fuzz_assert(nipc_lookup_view_get(&view, i).bytes +
                                    nipc_lookup_view_get(&view, i).size <=
                            data + size);
                subject->check(nipc_lookup_view_get(&view, i));
        }
        check_rebuilt_lookup(subject, &view, size, false);
        check_rebuilt_lookup(subject, &view, size, true);
        check_answer(subject, &view, size + 8); /* enough: the last item may end unpadded */
        check_answer(subject, &view, size - (size_t)(view.generation % (size + 1)));
}
