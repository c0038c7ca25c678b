/* SPDX-License-Identifier: MIT */

/*
 * Building responses of lookups (codecs §7): what add accepts, how errors stick, what finish says.
 * Which items fit a budget is compared with a model in test-lookup-budget.c.
 */

#include "util-lookup.h"

static const char *const paths[] = {"/a", "/bb", "/ccc"};

/* A request for the first n paths, and a builder that answers it. */
struct answer {
        uint8_t request[256], buf[4096];
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
};

static void answer_init(struct answer *answer, uint32_t n, size_t budget)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(paths, n);
        size_t size = 0;

        nipc_lookup_request_encode(class_, &keys, 0, n, answer->request, sizeof(answer->request),
                                   &size);
        nipc_lookup_request_view_init(&answer->view, class_, answer->request, size, NULL);
        memset(answer->buf, 0xee, sizeof(answer->buf));
        nipc_lookup_builder_init(&answer->builder, &answer->view, answer->buf, budget);
}

static int add(struct nipc_lookup_builder *builder, const char *path, const char *name)
{
        const struct nipc_cgroups_lookup_item item = {
                .path = {path, strlen(path)},
                .name = {name, strlen(name)},
        };

        return nipc_cgroups_lookup_builder_add(builder, &item);
}

static int add_status(struct nipc_lookup_builder *builder, const char *path, uint16_t status)
{
        return nipc_lookup_builder_add_status(builder, path, strlen(path), status);
}

/* The three ways to add give the same bytes, and those are what the specification says. */
static void test_ways(void)
{
        static const struct nipc_lookup_string strings[] = {{"/a", 2}, {"n", 1}};
        struct lookup_message expected;
        struct nipc_lookup_item raw;
        struct answer answer;
        uint8_t item[64];
        size_t size, i;

        lookup_message_init(&expected, 2);
        lookup_message_add(&expected, item, lookup_put_cgroup(item, 2, 0, "/a", ""));
        lookup_message_add(&expected, item, lookup_put_cgroup(item, 0, 5, "/bb", "n"));

        for (i = 0; i < 2; i++) {
                answer_init(&answer, 2, sizeof(answer.buf));
                raw.bytes = expected.bytes + expected.items[0];
                raw.size = 32;
                tap_eq_int(i ? add_status(&answer.builder, "/a", 2)
                             : nipc_lookup_builder_add_item(&answer.builder, raw),
                           0);
                if (i) {
                        struct nipc_lookup_string other[] = {{"/bb", 3}, strings[1]};

                        tap_eq_int(nipc_lookup_builder_add(&answer.builder,
                                                           expected.bytes + expected.items[1],
                                                           other, NULL, 0),
                                   0);
                } else {
                        raw.bytes = expected.bytes + expected.items[1];
                        raw.size = 34;
                        tap_eq_int(nipc_lookup_builder_add_item(&answer.builder, raw), 0);
                }
                tap_require(!nipc_lookup_builder_finish(&answer.builder, &size));
                tap_eq_mem(answer.buf, size, expected.bytes, expected.size);
        }
}

static void test_empty(void)
{
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view view;
        struct answer answer;
        size_t size;

        answer_init(&answer, 0, 16);
        nipc_lookup_builder_set_generation(&answer.builder, 99);
        tap_require(!nipc_lookup_builder_finish(&answer.builder, &size));
        tap_eq_uint(size, 16);
        tap_require(!nipc_lookup_view_init(&view, answer.view.class_, answer.buf, size, NULL));
        tap_eq_uint(view.generation, 99);
        tap_eq_uint(view.item_count, 0);

        answer_init(&answer, 0, 16);
        tap_eq_int(add(&answer.builder, "/a", ""), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_lookup_builder_init(&builder, &answer.view, answer.buf, 15),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
}

/* The directory alone needs room; nothing is written when there is none. */
static void test_no_directory(void)
{
        struct answer answer;
        size_t size = 7, i;

        answer_init(&answer, 3, 16 + 3 * 8 - 1);
        tap_eq_int(add(&answer.builder, "/a", ""), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(add_status(&answer.builder, "/a", 1), NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_lookup_builder_finish(&answer.builder, &size), NIPC_PROTO_E_OVERFLOW);
        tap_eq_uint(size, 7);
        for (i = 0; i < sizeof(answer.buf); i++)
                tap_check(answer.buf[i] == 0xee);
}

/* The first error is the one that stays. */
static void check_sticks(struct answer *answer, int error)
{
        size_t size = 7;

        tap_eq_int(add(&answer->builder, "/a", ""), error);
        tap_eq_int(add_status(&answer->builder, "/a", 1), error);
        tap_eq_int(nipc_lookup_builder_finish(&answer->builder, &size), error);
        tap_eq_int(nipc_lookup_builder_finish(&answer->builder, &size), error);
        tap_eq_uint(size, 7);
}

static void test_too_many(void)
{
        struct answer answer;

        answer_init(&answer, 1, sizeof(answer.buf));
        tap_eq_int(add(&answer.builder, "/a", ""), 0);
        tap_eq_int(add(&answer.builder, "/bb", ""), NIPC_PROTO_E_OVERFLOW);
        check_sticks(&answer, NIPC_PROTO_E_OVERFLOW);

        /* Before anything else is looked at. */
        answer_init(&answer, 1, sizeof(answer.buf));
        tap_eq_int(add(&answer.builder, "/a", ""), 0);
        tap_eq_int(add(&answer.builder, "", ""), NIPC_PROTO_E_OVERFLOW);
}

static void test_too_few(void)
{
        struct answer answer;
        size_t size = 7;

        answer_init(&answer, 2, sizeof(answer.buf));
        tap_eq_int(add(&answer.builder, "/a", ""), 0);
        tap_eq_int(nipc_lookup_builder_finish(&answer.builder, &size), NIPC_PROTO_E_BAD_ITEM_COUNT);
        tap_eq_int(add(&answer.builder, "/bb", ""), NIPC_PROTO_E_BAD_ITEM_COUNT);
        tap_eq_uint(size, 7);
}

static void test_after_finish(void)
{
        struct answer answer;
        size_t size;

        answer_init(&answer, 1, sizeof(answer.buf));
        nipc_lookup_builder_init_unasked(&answer.builder, nipc_cgroups_lookup_get_class(),
                                         answer.buf, sizeof(answer.buf), 5);
        tap_eq_int(add(&answer.builder, "/a", ""), 0);
        tap_eq_int(nipc_lookup_builder_finish(&answer.builder, &size), 0);
        tap_eq_int(nipc_lookup_builder_finish(&answer.builder, &size), 0);
        tap_eq_uint(size, 16 + 8 + 32);
        tap_eq_int(add(&answer.builder, "/a", ""), NIPC_PROTO_E_OVERFLOW);
}

/* Keys in order, as they were asked for, and each once. */
static void test_keys(void)
{
        static const char *const wrong[] = {"/bb", "/", "/ab", "/b", "a"};
        struct nipc_lookup_item raw;
        struct answer answer;
        uint8_t item[64];
        size_t i;

        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                answer_init(&answer, 2, sizeof(answer.buf));
                tap_eq_int(add(&answer.builder, wrong[i], ""), NIPC_PROTO_E_BAD_LAYOUT);
                check_sticks(&answer, NIPC_PROTO_E_BAD_LAYOUT);
                answer_init(&answer, 2, sizeof(answer.buf));
                tap_eq_int(add_status(&answer.builder, wrong[i], 1), NIPC_PROTO_E_BAD_LAYOUT);
                answer_init(&answer, 2, sizeof(answer.buf));
                raw.size = (uint32_t)lookup_put_cgroup(item, 1, 0, wrong[i], "");
                raw.bytes = item;
                tap_eq_int(nipc_lookup_builder_add_item(&answer.builder, raw),
                           NIPC_PROTO_E_BAD_LAYOUT);
                /* Also when it would not fit. */
                answer_init(&answer, 2, 16 + 16 + 72);
                tap_eq_int(add(&answer.builder, wrong[i], "a long name that needs much room"),
                           NIPC_PROTO_E_BAD_LAYOUT);
        }
        answer_init(&answer, 2, sizeof(answer.buf));
        tap_eq_int(add(&answer.builder, "/a", ""), 0);
        tap_eq_int(add(&answer.builder, "/a", ""), NIPC_PROTO_E_BAD_LAYOUT);
}

static void test_fixed_keys(void)
{
        static const uint32_t pids[] = {7, 8}, key[] = {7, 0}, other[] = {8, 0};
        const struct nipc_lookup_class *class_ = nipc_apps_lookup_get_class();
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, 2);
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        uint8_t request[64], buf[512];
        size_t size;

        tap_require(
                !nipc_lookup_request_encode(class_, &keys, 0, 2, request, sizeof(request), &size));
        tap_require(!nipc_lookup_request_view_init(&view, class_, request, size, NULL));
        nipc_lookup_builder_init(&builder, &view, buf, sizeof(buf));
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 8, 1), 0);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 8, 1), NIPC_PROTO_E_BAD_LAYOUT);
        nipc_lookup_builder_init(&builder, &view, buf, sizeof(buf));
        tap_eq_int(nipc_lookup_builder_add_status(&builder, other, 8, 1), NIPC_PROTO_E_BAD_LAYOUT);
        nipc_lookup_builder_init(&builder, &view, buf, sizeof(buf));
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 4, 1), NIPC_PROTO_E_BAD_LAYOUT);
        nipc_lookup_builder_init(&builder, &view, buf, sizeof(buf));
        /* KNOWN needs a comm, which nobody gave. */
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 8, 0), NIPC_PROTO_E_BAD_LAYOUT);
}

/* That an item was left out is for the builder to say, when it answers. */
static void test_exceeded(void)
{
        struct nipc_lookup_item raw;
        struct answer answer;
        uint8_t item[64];

        raw.bytes = item;
        raw.size = (uint32_t)lookup_put_cgroup(item, 3, 0, "/a", "");
        answer_init(&answer, 2, sizeof(answer.buf));
        tap_eq_int(add_status(&answer.builder, "/a", 3), NIPC_PROTO_E_BAD_LAYOUT);
        answer_init(&answer, 2, sizeof(answer.buf));
        tap_eq_int(nipc_lookup_builder_add_item(&answer.builder, raw), NIPC_PROTO_E_BAD_LAYOUT);
        answer_init(&answer, 2, sizeof(answer.buf));
        tap_eq_int(add_status(&answer.builder, "/a", 4), 0); /* that it is too large, anybody */
        nipc_lookup_builder_init_unasked(&answer.builder, answer.view.class_, answer.buf, 256, 2);
        tap_eq_int(add_status(&answer.builder, "/a", 3), 0);
        tap_eq_int(nipc_lookup_builder_add_item(&answer.builder, raw), 0);
}

/* What no item can be is refused, whether it would fit or not. */
static void test_refused(void)
{
        static char long_name[3000];
        const struct nipc_cgroups_lookup_item wrong[] = {
                {.path = {"/a", 2}, .name = {"a\0b", 3}},
                {.path = {"/a", 2}, .name = {NULL, 1}},
                {.path = {NULL, 2}},
                {.path = {"", 0}},
                {.status = 5, .path = {"/a", 2}},
                {.status = 1, .path = {"/a", 2}, .name = {"n", 1}},
                {.status = 1, .path = {"/a", 2}, .orchestrator = 1},
        };
        struct answer answer;
        size_t i;

        memset(long_name, 'n', sizeof(long_name));
        long_name[2999] = 0;
        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                struct nipc_cgroups_lookup_item item = wrong[i];

                answer_init(&answer, 2, sizeof(answer.buf));
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                answer_init(&answer, 2, 16 + 16 + 40 + 33); /* just the placeholders */
                if (!item.name.len && !item.status)
                        item.name = (struct nipc_lookup_string){long_name, 2000};
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                check_sticks(&answer, NIPC_PROTO_E_BAD_LAYOUT);
        }
        answer_init(&answer, 1, 64);
        tap_eq_int(nipc_cgroups_lookup_builder_add(
                           &answer.builder,
                           &(struct nipc_cgroups_lookup_item){.path = {"/a", 2},
                                                              .name = {long_name, 3000}}),
                   NIPC_PROTO_E_BAD_LAYOUT);
}

static void test_labels_refused(void)
{
        static const struct nipc_label wrong[] = {
                {"", 0, "v", 1},   {NULL, 0, "v", 1},  {NULL, 1, "v", 1},
                {"k", 1, NULL, 1}, {"k\0k", 3, "", 0}, {"k", 1, "\0", 1},
        };
        struct nipc_cgroups_lookup_item item = {.path = {"/a", 2}, .n_labels = 1};
        struct answer answer;
        size_t i;

        for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                item.labels = &wrong[i];
                answer_init(&answer, 1, sizeof(answer.buf));
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                answer_init(&answer, 1, 16 + 8 + 32);
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
        }
        item.labels = &(const struct nipc_label){"k", 1, NULL, 0};
        answer_init(&answer, 1, sizeof(answer.buf));
        tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item), 0);
        item.status = 1;
        answer_init(&answer, 1, sizeof(answer.buf));
        tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                   NIPC_PROTO_E_BAD_LAYOUT);
}

/* As many labels as can be, and one more. */
static void test_labels_many(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc_cgroups_lookup_item item = {.path = {"/a", 2}, .n_labels = UINT16_MAX};
        const size_t capacity = 2 * 1024 * 1024;
        struct nipc_label *labels = calloc((size_t)UINT16_MAX + 1, sizeof(*labels));
        uint8_t *buf = malloc(capacity);
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view view;
        struct nipc_label last;
        size_t i, size = 0;

        for (i = 0; i <= UINT16_MAX; i++)
                labels[i] = (struct nipc_label){"key", 3, i % 2 ? "v" : "", i % 2};
        item.labels = labels;
        nipc_lookup_builder_init_unasked(&builder, class_, buf, capacity, 1);
        tap_eq_int(nipc_cgroups_lookup_builder_add(&builder, &item), 0);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
        tap_eq_int(nipc_lookup_view_init(&view, class_, buf, size, NULL), 0);
        tap_eq_uint(nipc_lookup_item_get_label_count(class_, nipc_lookup_view_get(&view, 0)),
                    UINT16_MAX);
        last = nipc_lookup_item_get_label(class_, nipc_lookup_view_get(&view, 0), UINT16_MAX - 2);
        tap_eq_str(last.value, "v");

        item.n_labels++;
        nipc_lookup_builder_init_unasked(&builder, class_, buf, capacity, 1);
        tap_eq_int(nipc_cgroups_lookup_builder_add(&builder, &item), NIPC_PROTO_E_BAD_LAYOUT);
        free(labels);
        free(buf);
}

/* Without a request: slots to spare, room to the last byte, and what does not fit is an error. */
static void test_unasked(void)
{
        struct nipc_lookup_builder builder;
        struct lookup_message expected;
        uint8_t buf[256] = {0}, item[64];
        size_t size = 7, budget;

        lookup_message_init(&expected, 2);
        lookup_message_add(&expected, item, lookup_put_cgroup(item, 1, 0, "/a", ""));
        lookup_message_add(&expected, item, lookup_put_cgroup(item, 1, 0, "/bb", ""));
        tap_eq_uint(expected.size, 16 + 16 + 32 + 33);

        for (budget = 0; budget <= expected.size + 24; budget++) {
                uint8_t *exact = copy_exact(buf, budget);

                nipc_lookup_builder_init_unasked(&builder, nipc_cgroups_lookup_get_class(), exact,
                                                 budget, 5);
                add_status(&builder, "/a", 1);
                add_status(&builder, "/bb", 1);
                if (budget >= expected.size + 24) {
                        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
                        tap_eq_mem(exact, size, expected.bytes, expected.size);
                } else {
                        tap_eq_int(nipc_lookup_builder_finish(&builder, &size),
                                   NIPC_PROTO_E_OVERFLOW);
                        tap_eq_uint(size, 7);
                }
                free(exact);
        }
}

/* The gap before an item is zero, whatever the buffer was. */
static void test_gaps(void)
{
        struct answer answer;
        size_t size, i;

        answer_init(&answer, 3, sizeof(answer.buf));
        tap_eq_int(add(&answer.builder, "/a", "n"), 0);
        tap_eq_int(add(&answer.builder, "/bb", ""), 0);
        tap_eq_int(add_status(&answer.builder, "/ccc", 2), 0);
        tap_require(!nipc_lookup_builder_finish(&answer.builder, &size));
        for (i = 40 + 34; i < 40 + 40; i++)
                tap_eq_uint(answer.buf[i], 0);
        for (i = 40 + 40 + 33; i < 40 + 80; i++)
                tap_eq_uint(answer.buf[i], 0);
        tap_eq_uint(size, 40 + 80 + 34);
}

/* Lengths that no field can say, whose sums wrap: a result of read() that was not looked at. */
static void test_impossible_lengths(void)
{
        static const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 30, SIZE_MAX / 2 + 1};
        struct nipc_label label = {"k", 1, "v", 1};
        struct nipc_cgroups_lookup_item item = {.path = {"/a", 2}, .labels = &label};
        struct answer answer;
        size_t i;

        if (SIZE_MAX == UINT32_MAX)
                return; /* there a field can say all */
        for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                item.name = (struct nipc_lookup_string){"n", lengths[i]};
                item.n_labels = 0;
                answer_init(&answer, 1, sizeof(answer.buf));
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                item.name.len = 1;
                item.n_labels = 1;
                label.key_len = lengths[i];
                answer_init(&answer, 1, sizeof(answer.buf));
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                label.key_len = 1;
                label.value_len = lengths[i];
                answer_init(&answer, 1, sizeof(answer.buf));
                tap_eq_int(nipc_cgroups_lookup_builder_add(&answer.builder, &item),
                           NIPC_PROTO_E_BAD_LAYOUT);
                label.value_len = 1;
        }
}

TAP_MAIN(TAP_CASE(test_ways), TAP_CASE(test_empty), TAP_CASE(test_no_directory),
         TAP_CASE(test_too_many), TAP_CASE(test_too_few), TAP_CASE(test_after_finish),
         TAP_CASE(test_keys), TAP_CASE(test_fixed_keys), TAP_CASE(test_exceeded),
         TAP_CASE(test_refused), TAP_CASE(test_labels_refused), TAP_CASE(test_labels_many),
         TAP_CASE(test_unasked), TAP_CASE(test_gaps), TAP_CASE(test_impossible_lengths))
