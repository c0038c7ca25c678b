/* SPDX-License-Identifier: MIT */

/* The index: every size, every kind of hash, every length of name. Built a second time with the
 * portable comparison of groups. */

#include "util-items.h"

static uint32_t hash_zero(uint32_t number, const char *name)
{
        return 0;
}

static uint32_t hash_ones(uint32_t number, const char *name)
{
        return UINT32_MAX;
}

static uint32_t hash_sequential(uint32_t number, const char *name)
{
        return number;
}

static uint32_t hash_high_bits(uint32_t number, const char *name)
{
        return number << 20;
}

static uint32_t hash_low_bits_constant(uint32_t number, const char *name)
{
        return number << 8 | 0x5a;
}

static uint32_t hash_five_values(uint32_t number, const char *name)
{
        return number % 5;
}

static uint32_t hash_pairs(uint32_t number, const char *name)
{
        return number / 2 * 2654435761u;
}

/* The enemy of the mixing: hashes that all begin in the first group of any table up to 2^12. */
static uint32_t hash_one_group(uint32_t number, const char *name)
{
        static uint32_t hashes[20000], n, next;

        for (; n <= number; next++)
                if (((nipc__table_mix(next) >> 32) & 0xfff) == 0)
                        hashes[n++] = next;
        return hashes[number];
}

/* All tags 0, as free slots have. */
static uint32_t hash_tag_zero(uint32_t number, const char *name)
{
        static uint32_t hashes[20000], n, next;

        for (; n <= number; next++)
                if (nipc__table_tag(nipc__table_mix(next)) == 0)
                        hashes[n++] = next;
        return hashes[number];
}

/* The longest way of a lookup through the index, in groups. */
static unsigned longest_chain(const struct nipc__table *table)
{
        unsigned longest = 0, run = 0;
        uint32_t g;

        for (g = 0; table->all_groups && g <= table->all_mask; g++) {
                run = table->all_groups[g].spilled ? run + 1 : 0;
                longest = NIPC__MAX(longest, run + 1);
        }
        return longest;
}

static void check_sizes(hash_fn hash)
{
        static const uint32_t more[] = {100, 255, 256, 257, 1000, 4097};
        struct items items;
        uint32_t n, i;

        for (n = 0; n < 70; n++) {
                items_init(&items, n, hash);
                items_check(&items, n, hash);
                items_deinit(&items);
        }
        for (i = 0; i < NIPC__ARRAY_SIZE(more); i++) {
                items_init(&items, more[i], hash);
                items_check(&items, more[i], hash);
                tap_check(longest_chain(&items.table) <= 9);
                items_deinit(&items);
        }
}

static void test_sizes(void)
{
        check_sizes(hash_djb2);
}

static void test_bad_hashes(void)
{
        check_sizes(hash_zero);
        check_sizes(hash_ones);
        check_sizes(hash_sequential);
        check_sizes(hash_high_bits);
        check_sizes(hash_low_bits_constant);
        check_sizes(hash_five_values);
        check_sizes(hash_pairs);
        check_sizes(hash_one_group);
        check_sizes(hash_tag_zero);
}

/* Which hashes are good enough, and that the others do not make lookups walk. */
static void test_name_is_mixed_in(void)
{
        static const struct {
                hash_fn hash;
                bool by_name;
        } cases[] = {
                {hash_djb2, false},     {hash_sequential, false},
                {hash_pairs, false},    {hash_low_bits_constant, false},
                {hash_zero, true},      {hash_ones, true},
                {hash_one_group, true}, {hash_five_values, true},
                {hash_tag_zero, true},
        };
        struct items items;
        size_t i;

        for (i = 0; i < NIPC__ARRAY_SIZE(cases); i++) {
                items_init(&items, 5000, cases[i].hash);
                if (!tap_eq_uint(items.table.by_name, cases[i].by_name))
                        tap_note("hash %zu", i);
                tap_check(longest_chain(&items.table) <= 9);
                items_deinit(&items);
        }
}

static void test_large(void)
{
        struct items items;

        items_init(&items, 100000, hash_djb2);
        items_check(&items, 100000, hash_djb2);
        tap_check(!items.table.by_name);
        items_deinit(&items);
}

/* Adds n copies of the item named `number`, telling them apart by their number. */
static void add_copies(struct nipc_cache_loader *loader, uint32_t number, unsigned n, hash_fn hash,
                       uint32_t *next)
{
        char name[64];
        size_t len = item_name(number, name);
        struct item *item;
        void *added;

        while (n--) {
                tap_eq_int(nipc_cache_loader_add(loader, hash(number, name), name, len, &added), 0);
                item = added;
                item->number = (*next)++;
        }
}

static void check_duplicates(hash_fn hash, unsigned n_keys, unsigned n_copies)
{
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        const struct item *found;
        struct items items;
        uint32_t next = 0, i;

        nipc__loader_init(&loader, sizeof(struct item), &spare);
        tap_eq_int(nipc_cache_loader_begin(&loader, n_keys * n_copies,
                                           (size_t)n_keys * n_copies * 64),
                   0);
        for (i = 0; i < n_keys; i++)
                add_copies(&loader, i, 1, hash, &next);
        for (i = 0; i < n_keys; i++)
                add_copies(&loader, i, n_copies - 1, hash, &next);
        nipc__loader_finish(&loader, &items.table, &items.arena);
        tap_eq_uint(items.table.n_items, n_keys * n_copies);
        for (i = 0; i < n_keys; i++) {
                found = items_find(&items, i, hash);
                if (!tap_check(found != NULL) || !tap_eq_uint(found->number, i))
                        break;
        }
        for (i = 0; i < items.table.n_items; i++)
                tap_eq_uint(((const struct item *)items.table.items[i])->number, i);
        tap_check(items_find(&items, n_keys, hash) == NULL);
        items_deinit(&items);
}

static void test_duplicates_find_the_first(void)
{
        check_duplicates(hash_djb2, 1, 5000);
        check_duplicates(hash_djb2, 100, 50);
        check_duplicates(hash_zero, 100, 50);
        check_duplicates(hash_tag_zero, 100, 3);
        check_duplicates(hash_one_group, 1000, 2);
}

static void test_scan(void)
{
        struct items items;
        uint32_t n;

        for (n = 0; n < 50; n += 7) {
                items_init(&items, n, hash_djb2);
                nipc__table_build(&items.table, NULL);
                items_check(&items, n, hash_djb2);
                items_deinit(&items);
        }
}

/* Names of each length, and the same with one byte changed, which no item has. */
static void test_lengths(void)
{
        static const size_t longer[] = {127, 128, 129, 1000, 70000};
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        struct items items;
        size_t i, len, at, step;
        char *name;
        void *item;

        nipc__loader_init(&loader, sizeof(struct item), &spare);
        name = malloc(70000);
        tap_require(name != NULL);
        memset(name, 'n', 70000);
        for (i = 0; i < 105; i++) {
                len = i < 100 ? i : longer[i - 100];
                tap_eq_int(nipc_cache_loader_add(&loader, 7, name, len, &item), 0);
        }
        free(name);
        nipc__loader_finish(&loader, &items.table, &items.arena);
        for (i = 0; i < 105; i++) {
                len = i < 100 ? i : longer[i - 100];
                name = malloc(len + !len);
                tap_require(name != NULL);
                memset(name, 'n', len);
                tap_eq_ptr(items_find_key(&items, 7, name, len), items.table.items[i]);
                tap_check(items_find_key(&items, 8, name, len) == NULL);
                step = len > 1000 ? 997 : 1;
                for (at = 0; at < len; at += step) {
                        name[at] ^= 1;
                        tap_check(items_find_key(&items, 7, name, len) == NULL);
                        name[at] ^= 1;
                }
                free(name);
        }
        items_deinit(&items);
}

static void test_odd_names(void)
{
        static const struct {
                const char *name;
                size_t len;
        } names[] = {{"", 0}, {"a\0b", 3}, {"a\0c", 3}, {"a", 1}, {"a\0", 2}};
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        struct items items;
        size_t i;
        void *item;

        nipc__loader_init(&loader, sizeof(struct item), &spare);
        for (i = 0; i < NIPC__ARRAY_SIZE(names); i++)
                tap_eq_int(nipc_cache_loader_add(&loader, 0, names[i].name, names[i].len, &item),
                           0);
        nipc__loader_finish(&loader, &items.table, &items.arena);
        for (i = 0; i < NIPC__ARRAY_SIZE(names); i++)
                tap_eq_ptr(items_find_key(&items, 0, names[i].name, names[i].len),
                           items.table.items[i]);
        tap_check(items_find_key(&items, 0, NULL, 0) == NULL);
        tap_check(items_find_key(&items, 0, NULL, 1) == NULL);
#if SIZE_MAX > UINT32_MAX
        /* The low half of the length is that of an item. */
        tap_check(items_find_key(&items, 0, "a", (size_t)1 << 32 | 1) == NULL);
        tap_check(items_find_key(&items, 0, "", (size_t)1 << 32) == NULL);
        nipc__table_build(&items.table, NULL);
        tap_check(items_find_key(&items, 0, "a", (size_t)1 << 32 | 1) == NULL);
#endif
        items_deinit(&items);
}

static void test_empty(void)
{
        struct items items;

        items_init(&items, 0, hash_djb2);
        tap_check(items_find_key(&items, 0, "", 0) == NULL);
        tap_check(items_find_key(&items, 0, "x", 1) == NULL);
        tap_check(items_find_key(&items, 5381, "", 0) == NULL);
        tap_check(items_find_key(&items, 0, "", UINT32_MAX) == NULL);
        items_deinit(&items);
}

static void test_groups_for(void)
{
        tap_eq_uint(nipc__table_groups_for(0), 0);
        tap_eq_uint(nipc__table_groups_for(1), 1);
        tap_eq_uint(nipc__table_groups_for(UINT32_MAX / 2 + 1), 0);
        tap_eq_uint(nipc__table_groups_for(UINT32_MAX), 0);
        tap_check(nipc__table_groups_for(UINT32_MAX / 2) >= UINT32_MAX / 2 / NIPC__GROUP_SLOTS);
}

/* What the processor compares and what words compare are the same slots. */
static void test_group_match(void)
{
        struct nipc__group group;
        uint64_t state = 1;
        uint32_t expected;
        unsigned i, k;
        uint8_t tag;

        for (i = 0; i < 100000; i++) {
                _Alignas(64) struct nipc__group aligned = {0};

                for (k = 0; k < NIPC__GROUP_SLOTS; k++)
                        aligned.tags[k] = (uint8_t)(tap_random(&state) >> 33 & 0x83);
                aligned.spilled = aligned.count = (uint8_t)tap_random(&state);
                tag = (uint8_t)(tap_random(&state) >> 20 & 0x83);
                expected = 0;
                for (k = 0; k < NIPC__GROUP_SLOTS; k++)
                        expected |= (uint32_t)(aligned.tags[k] == tag) << k;
                group = aligned;
                if (!tap_eq_uint(nipc__group_match_portable(&group, tag), expected) ||
                    !tap_eq_uint(nipc__group_match(&aligned, tag), expected))
                        return;
        }
}

TAP_MAIN(TAP_CASE(test_sizes), TAP_CASE(test_bad_hashes), TAP_CASE(test_name_is_mixed_in),
         TAP_CASE(test_large), TAP_CASE(test_duplicates_find_the_first), TAP_CASE(test_scan),
         TAP_CASE(test_lengths), TAP_CASE(test_odd_names), TAP_CASE(test_empty),
         TAP_CASE(test_groups_for), TAP_CASE(test_group_match))
