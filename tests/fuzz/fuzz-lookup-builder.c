/* SPDX-License-Identifier: MIT */

/*
 * Answers to lookups: bytes choose the method, the keys, what a handler does for each of them, and
 * the budget. Whatever it does, an answer that is finished decodes, fits, repeats the keys, and
 * leaves out only what codecs §7 lets it leave out.
 */

#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>

#include "fuzz-lookup.h"

enum {
        KEYS_MAX = 24,
        LABELS_MAX = 3,
        REQUEST_MAX = 8192,
};

struct input {
        const uint8_t *data;
        size_t size;
};

static unsigned take(struct input *input)
{
        if (!input->size)
                return 0;
        input->size--;
        return *input->data++;
}

/* Up to `max` bytes of the input, as they are: with a NUL inside, at times. */
static struct nipc_lookup_string take_text(struct input *input, size_t max)
{
        struct nipc_lookup_string text = {NULL, take(input)};

        text.str = (const char *)input->data;
        text.len %= max + 1;
        if (text.len > input->size)
                text.len = input->size;
        input->data += text.len;
        input->size -= text.len;
        return text;
}

/* A question; false when the keys cannot be any. */
static bool ask(struct input *input, const struct nipc_lookup_class *class_, uint8_t *request,
                struct nipc_lookup_request_view *ret_view)
{
        const uint32_t n = take(input) % (KEYS_MAX + 1);
        uint8_t fixed[KEYS_MAX][NIPC_APPS_LOOKUP_KEY_SIZE] = {{0}};
        struct nipc_lookup_key keys[KEYS_MAX];
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(keys, n);
        size_t size = 0;
        uint32_t i;

        for (i = 0; i < n; i++) {
                if (class_->key_size) {
                        fixed[i][0] = (uint8_t)take(input);
                        keys[i] = (struct nipc_lookup_key){fixed[i], sizeof(fixed[i])};
                } else {
                        struct nipc_lookup_string text = take_text(input, 63);

                        keys[i] = (struct nipc_lookup_key){text.str, text.len};
                }
        }
        if (nipc_lookup_request_encode(class_, &list, 0, n, request, REQUEST_MAX, &size))
                return false;
        fuzz_assert(!nipc_lookup_request_view_init(ret_view, class_, request, size, NULL));
        return true;
}

static int add_known(struct input *input, struct nipc_lookup_builder *builder, const void *key,
                     size_t key_size)
{
        struct nipc_label labels[LABELS_MAX];
        const uint32_t n_labels = take(input) % (LABELS_MAX + 1);
        const struct nipc_lookup_string name = take_text(input, 255);
        struct nipc_cgroups_lookup_item cgroup = {
                .status = (uint16_t)(take(input) % 8 ? 0 : 1),
                .orchestrator = (uint16_t)take(input),
                .path = {key, key_size},
                .name = name,
                .labels = labels,
                .n_labels = n_labels,
        };
        struct nipc_apps_lookup_item app = {
                .status = cgroup.status,
                .cgroup_path = {"/", 1},
                .cgroup_name = name,
                .labels = labels,
                .n_labels = n_labels,
        };
        uint32_t i;

        for (i = 0; i < n_labels; i++) {
                struct nipc_lookup_string text = take_text(input, 20), value = take_text(input, 20);

                labels[i] = (struct nipc_label){text.str, text.len, value.str, value.len};
        }
        if (!builder->class_->key_size)
                return nipc_cgroups_lookup_builder_add(builder, &cgroup);
        app.pid = nipc_apps_lookup_key_pid(key);
        app.comm = take_text(input, 16);
        return nipc_apps_lookup_builder_add(builder, &app);
}

static void check_answer(const struct nipc_lookup_request_view *request, const uint8_t *buf,
                         size_t size)
{
        const struct nipc_lookup_class *class_ = request->class_;
        struct nipc_lookup_view view;
        struct nipc_lookup_item item;
        bool is_exceeded = false;
        size_t key_size;
        const void *key;
        uint32_t i;

        fuzz_assert(!nipc_lookup_view_init(&view, class_, buf, size, NULL));
        fuzz_assert(view.item_count == request->item_count && view.generation == 77);
        for (i = 0; i < view.item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                item = nipc_lookup_view_get(&view, i);
                fuzz_assert(nipc_lookup_item_is_for(class_, item, key, key_size));
                /* Never the first, and once it is, to the end. */
                if (nipc_lookup_item_get_status(item) == class_->status_exceeded)
                        is_exceeded = true;
                else
                        fuzz_assert(!is_exceeded);
                fuzz_assert(i || !is_exceeded);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input input = {data, size};
        const struct nipc_lookup_class *class_ =
                take(&input) % 2 ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
        const size_t budget = take(&input) * 16 + take(&input) % 16;
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        uint8_t question[REQUEST_MAX], *buf;
        size_t key_size, answer_size;
        const void *key;
        uint32_t i;
        int r = 0;

        if (!ask(&input, class_, question, &request))
                return 0;
        buf = fuzz_alloc(budget);
        nipc_lookup_builder_init(&builder, &request, buf, budget);
        nipc_lookup_builder_set_generation(&builder, 77);
        for (i = 0; i < request.item_count && !r; i++) {
                key = nipc_lookup_request_view_get(&request, i, &key_size);
                if (take(&input) % 3)
                        r = add_known(&input, &builder, key, key_size);
                else
                        r = nipc_lookup_builder_add_status(&builder, key, key_size,
                                                           (uint16_t)(take(&input) % 6));
        }
        fuzz_assert(!r || nipc_lookup_builder_add_status(&builder, "/", 1, 1) == r);
        fuzz_assert(nipc_lookup_builder_finish(&builder, &answer_size) == builder.error);
        if (!r && !builder.error) {
                fuzz_assert(answer_size <= budget);
                check_answer(&request, buf, answer_size);
        }
        free(buf);
        return 0;
}
