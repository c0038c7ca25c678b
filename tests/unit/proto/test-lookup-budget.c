/* SPDX-License-Identifier: MIT */

/*
 * What of an answer fits its budget (codecs §7): the builder against the rule written down as it is
 * read, with a table of placeholders and one step after the other; random keys, items and budgets,
 * and every budget of some answers. Each item must be the same, where it lies as well.
 */

#include "util-lookup.h"

enum {
        KEYS_MAX = 12,
        LABELS_MAX = 3,
        CASES = 100000,
        HEADER = 16,
};

/* A question, what a handler has to say to it, and how much room there is. */
struct scene {
        const struct nipc_lookup_class *class_;
        bool is_apps;
        uint32_t n;
        size_t budget;
        char paths[KEYS_MAX][40];
        uint32_t pids[KEYS_MAX];
        char names[KEYS_MAX][120];
        bool is_known[KEYS_MAX];
        uint32_t n_labels[KEYS_MAX];
        bool is_wrong[KEYS_MAX]; /* has a NUL in its name */
};

/* What comes out. */
struct outcome {
        int error;   /* of the first add that failed */
        uint32_t n;  /* items there are */
        size_t size; /* of the whole */
        struct {
                uint64_t offset, size;
                uint16_t status;
        } items[KEYS_MAX];
};

static const struct nipc_label labels[LABELS_MAX] = {
        {"k", 1, "vvv", 3},
        {"image", 5, "", 0},
        {"a-long-key", 10, "1234567", 7},
};

static uint64_t align8(uint64_t v)
{
        return (v + 7) / 8 * 8;
}

/* ---- the rule ----------------------------------------------------------------------------- */

/* Bytes of what the handler offers for key k. */
static uint64_t offered_size(const struct scene *scene, uint32_t k)
{
        uint64_t size = scene->is_apps ? 60 + 3 : 28 + 2 + strlen(scene->paths[k]);
        uint32_t i;

        if (!scene->is_known[k])
                return size;
        size += strlen(scene->names[k]);
        if (scene->is_apps)
                size += strlen("comm") + strlen("/p");
        if (scene->n_labels[k])
                size = align8(size) + 16 * (uint64_t)scene->n_labels[k];
        for (i = 0; i < scene->n_labels[k]; i++)
                size += labels[i].key_len + 1 + labels[i].value_len + 1;
        return size;
}

struct rule {
        const struct scene *scene;
        struct outcome *out;
        uint64_t packed, end;
        uint64_t L[KEYS_MAX], suffix[KEYS_MAX + 1];
        bool suffix_mode;
};

static void rule_write(struct rule *rule, uint64_t size, uint16_t status)
{
        const uint64_t start = align8(rule->end);

        rule->out->items[rule->out->n].offset = start - rule->packed;
        rule->out->items[rule->out->n].size = size;
        rule->out->items[rule->out->n].status = status;
        rule->out->n++;
        rule->end = start + size;
}

static int rule_placeholder(struct rule *rule, uint16_t status)
{
        const uint64_t L = rule->L[rule->out->n];

        if (align8(rule->end) + L > rule->scene->budget)
                return NIPC_PROTO_E_OVERFLOW;
        rule_write(rule, L, status);
        return 0;
}

static int rule_add(struct rule *rule)
{
        const uint16_t exceeded = rule->scene->is_apps ? 2 : 3,
                       oversized = rule->scene->is_apps ? 3 : 4;
        const uint64_t budget = rule->scene->budget, start = align8(rule->end);
        const uint32_t k = rule->out->n;
        uint64_t size, e;

        if (rule->suffix_mode) /* 1 */
                return rule_placeholder(rule, exceeded);
        if (k >= rule->scene->n) /* 2 */
                return NIPC_PROTO_E_OVERFLOW;
        if (rule->scene->is_wrong[k]) /* 3 */
                return NIPC_PROTO_E_BAD_LAYOUT;
        size = offered_size(rule->scene, k);
        if (start + size <= budget) { /* 4 */
                e = align8(start + size);
                if (e <= budget && rule->suffix[k + 1] <= budget - e) { /* 5 */
                        rule_write(rule, size, rule->scene->is_known[k] ? 0 : 1);
                        return 0;
                }
        }
        if (k == 0) /* 6 */
                return rule_placeholder(rule, oversized);
        rule->suffix_mode = true;
        return rule_placeholder(rule, exceeded);
}

static void rule_run(const struct scene *scene, struct outcome *out)
{
        struct rule rule = {.scene = scene, .out = out};
        uint32_t i;

        *out = (struct outcome){0};
        rule.packed = rule.end = HEADER + 8 * (uint64_t)scene->n;
        if (rule.packed > scene->budget) {
                out->error = NIPC_PROTO_E_OVERFLOW;
                return;
        }
        for (i = scene->n; i-- > 0;) {
                rule.L[i] = scene->is_apps ? 63 : 30 + strlen(scene->paths[i]);
                rule.suffix[i] = (rule.suffix[i + 1] > 0 ? align8(rule.L[i]) : rule.L[i]) +
                                 rule.suffix[i + 1];
        }
        for (i = 0; i < scene->n && !out->error; i++)
                out->error = rule_add(&rule);
        out->size = rule.end;
}

/* ---- the builder -------------------------------------------------------------------------- */

static int builder_add(const struct scene *scene, struct nipc_lookup_builder *builder,
                       const void *key, size_t key_size, uint32_t k)
{
        const struct nipc_lookup_string name = {
                scene->names[k], strlen(scene->names[k]) + (scene->is_wrong[k] ? 1 : 0)};
        struct nipc_cgroups_lookup_item cgroup = {
                .path = {key, key_size},
                .name = name,
                .labels = labels,
                .n_labels = scene->n_labels[k],
        };
        struct nipc_apps_lookup_item app = {
                .pid = scene->pids[k],
                .comm = {"comm", 4},
                .cgroup_path = {"/p", 2},
                .cgroup_name = name,
                .labels = labels,
                .n_labels = scene->n_labels[k],
        };

        if (!scene->is_known[k])
                return nipc_lookup_builder_add_status(builder, key, key_size, 1);
        return scene->is_apps ? nipc_apps_lookup_builder_add(builder, &app)
                              : nipc_cgroups_lookup_builder_add(builder, &cgroup);
}

static int request_view(const struct scene *scene, uint8_t *request, size_t capacity,
                        struct nipc_lookup_request_view *ret_view)
{
        struct nipc_lookup_keys keys;
        const char *paths[KEYS_MAX];
        size_t size = 0;
        uint32_t i;
        int r;

        for (i = 0; i < scene->n; i++)
                paths[i] = scene->paths[i];
        keys = scene->is_apps ? nipc_lookup_keys_of_pids(scene->pids, scene->n)
                              : nipc_lookup_keys_of_strings(paths, scene->n);
        r = nipc_lookup_request_encode(scene->class_, &keys, 0, scene->n, request, capacity, &size);
        if (!r)
                r = nipc_lookup_request_view_init(ret_view, scene->class_, request, size, NULL);
        return r;
}

static void builder_run(const struct scene *scene, uint8_t *buf, struct outcome *out)
{
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        uint8_t request[2048];
        const void *key;
        size_t key_size;
        uint32_t i;

        *out = (struct outcome){0};
        out->error = request_view(scene, request, sizeof(request), &view);
        if (!out->error)
                out->error = nipc_lookup_builder_init(&builder, &view, buf, scene->budget);
        for (i = 0; i < scene->n && !out->error; i++) {
                key = nipc_lookup_request_view_get(&view, i, &key_size);
                out->error = builder_add(scene, &builder, key, key_size, i);
        }
        if (out->error)
                return;
        out->error = nipc_lookup_builder_finish(&builder, &out->size);
}

/* ---- both --------------------------------------------------------------------------------- */

static bool item_is_right(const struct scene *scene, const struct nipc_lookup_view *view,
                          const struct outcome *expected, uint32_t i)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, i);
        const uint32_t pid[] = {scene->pids[i], 0};
        const void *key = scene->is_apps ? (const void *)pid : scene->paths[i];
        const size_t key_size = scene->is_apps ? 8 : strlen(scene->paths[i]);

        return (uint64_t)(item.bytes - view->packed) == expected->items[i].offset &&
               item.size == expected->items[i].size &&
               nipc_lookup_item_get_status(item) == expected->items[i].status &&
               nipc_lookup_item_is_for(scene->class_, item, key, key_size);
}

/* Whether the builder does what the rule says; notes what it does instead. */
static bool scene_is_right(const struct scene *scene)
{
        struct outcome expected, got;
        struct nipc_lookup_view view;
        bool good = true;
        uint8_t *buf = malloc(scene->budget ? scene->budget : 1); /* sanitizers watch its end */
        uint32_t i;

        rule_run(scene, &expected);
        builder_run(scene, buf, &got);
        if (got.error != expected.error) {
                good = tap_fail("error %d, expected %d", got.error, expected.error);
        } else if (!got.error) {
                if (nipc_lookup_view_init(&view, scene->class_, buf, got.size, NULL) ||
                    view.item_count != expected.n || got.size != expected.size)
                        good = tap_fail("%zu bytes, expected %zu", got.size, expected.size);
                for (i = 0; good && i < expected.n; i++)
                        if (!item_is_right(scene, &view, &expected, i))
                                good = tap_fail("item %u, expected status %u", (unsigned)i,
                                                (unsigned)expected.items[i].status);
        }
        if (!good)
                tap_note("%s, %u keys, budget %zu", scene->is_apps ? "apps" : "cgroups",
                         (unsigned)scene->n, scene->budget);
        free(buf);
        return good;
}

static void text_fill(char *text, uint64_t length, uint64_t *seed)
{
        for (uint64_t i = 0; i < length; i++)
                text[i] = (char)('a' + tap_random(seed) % 26);
        text[length] = 0;
}

static void scene_fill(struct scene *scene, uint64_t *seed)
{
        uint64_t total = HEADER;
        uint32_t i;

        *scene = (struct scene){.is_apps = tap_random(seed) % 2};
        scene->class_ =
                scene->is_apps ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
        scene->n = (uint32_t)(tap_random(seed) % (KEYS_MAX + 1));
        for (i = 0; i < scene->n; i++) {
                text_fill(scene->paths[i], 1 + tap_random(seed) % 38, seed);
                text_fill(scene->names[i],
                          tap_random(seed) % 3 ? tap_random(seed) % 20 : tap_random(seed) % 119,
                          seed);
                scene->pids[i] = (uint32_t)tap_random(seed);
                scene->is_known[i] = tap_random(seed) % 3;
                if (tap_random(seed) % 2)
                        scene->n_labels[i] = (uint32_t)(tap_random(seed) % (LABELS_MAX + 1));
                scene->is_wrong[i] = scene->is_known[i] && tap_random(seed) % 64 == 0;
                total += 8 + align8(offered_size(scene, i));
        }
        /* Mostly about as much as is needed, where it is interesting. */
        scene->budget = (size_t)(tap_random(seed) % 4 ? total - tap_random(seed) % (total / 2 + 1)
                                                      : tap_random(seed) % (total + 64));
}

static void test_random(void)
{
        uint64_t seed = 20260101;
        struct scene scene;
        uint32_t i;

        for (i = 0; i < CASES; i++) {
                scene_fill(&scene, &seed);
                if (!scene_is_right(&scene)) {
                        tap_note("case %u", (unsigned)i);
                        return;
                }
        }
}

/* From no room at all to more than enough, byte by byte. */
static void test_every_budget(void)
{
        uint64_t seed = 77;
        struct scene scene;
        size_t budget;
        uint32_t i;

        for (i = 0; i < 20; i++) {
                scene_fill(&scene, &seed);
                for (budget = 0; budget < 2048; budget++) {
                        scene.budget = budget;
                        if (!scene_is_right(&scene))
                                return;
                }
        }
}

/* One item, then none: the end of the last, rounded up to 8, must fit (step 5). */
static void test_last_is_rounded(void)
{
        struct scene scene = {
                .class_ = nipc_apps_lookup_get_class(),
                .is_apps = true,
                .n = 1,
                .names = {"nnnnnnnnnn"},
                .is_known = {true},
        };
        struct outcome expected, got;
        uint8_t buf[104];

        scene.budget = 104;
        rule_run(&scene, &expected);
        builder_run(&scene, buf, &got);
        tap_eq_uint(got.size, 103);
        tap_eq_uint(expected.items[0].status, 0);
        scene.budget = 103;
        rule_run(&scene, &expected);
        builder_run(&scene, buf, &got);
        tap_eq_uint(got.size, 87);
        tap_eq_uint(expected.items[0].status, 3);
}

TAP_MAIN(TAP_CASE(test_random), TAP_CASE(test_every_budget), TAP_CASE(test_last_is_rounded))
