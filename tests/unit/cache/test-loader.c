/* SPDX-License-Identifier: MIT */

/* The arena of a snapshot: promises kept and broken, memory reused, every allocation failing. */

#include "util-alloc.h"
#include "util-items.h"

static void loader_start(struct nipc_cache_loader *loader, struct nipc__arena *spare)
{
        struct nipc__arena none = {0};

        nipc__loader_init(loader, sizeof(struct item), spare ? spare : &none);
}

static unsigned count_segments(const struct nipc__arena *arena)
{
        const struct nipc__segment *segment;
        unsigned n = 0;

        for (segment = arena->segments; segment; segment = segment->next)
                n++;
        return n;
}

/* Items `first` to `first + n - 1`. Returns the first failure. */
static int add_items(struct nipc_cache_loader *loader, uint32_t first, uint32_t n)
{
        uint32_t i;
        int r;

        for (i = first; i < first + n; i++) {
                r = item_add(loader, i, hash_djb2);
                if (r)
                        return r;
        }
        return 0;
}

static size_t string_bytes(uint32_t n_items)
{
        char name[64];
        size_t sum = 0;

        while (n_items--)
                sum += 2 * item_name(n_items, name);
        return sum;
}

/* Exactly what was promised: one allocation for the items, one for the index. */
static void test_promise_is_enough(void)
{
        static const uint32_t sizes[] = {1, 2, 3, 10, 1000, 5000};
        struct nipc_cache_loader loader;
        struct items items;
        size_t i;

        for (i = 0; i < NIPC__ARRAY_SIZE(sizes); i++) {
                loader_start(&loader, NULL);
                alloc_arm(0);
                tap_eq_int(nipc_cache_loader_begin(&loader, sizes[i], string_bytes(sizes[i])), 0);
                tap_eq_int(add_items(&loader, 0, sizes[i]), 0);
                nipc__loader_finish(&loader, &items.table, &items.arena);
                tap_eq_uint(alloc_count, 2);
                tap_eq_uint(count_segments(&items.arena), 1);
                tap_check(!items.table.scattered);
                items_check(&items, sizes[i], hash_djb2);
                items_deinit(&items);
        }
}

/* More items than promised, in segments of their own. */
static void test_more_than_promised(void)
{
        static const struct {
                bool begin;
                uint32_t promised;
                size_t bytes;
        } cases[] = {{false, 0, 0},      {true, 0, 0},    {true, 1, 0},
                     {true, 10, 100000}, {true, 5000, 0}, {true, 4999, 1000000}};
        struct nipc_cache_loader loader;
        struct items items;
        size_t i;

        for (i = 0; i < NIPC__ARRAY_SIZE(cases); i++) {
                loader_start(&loader, NULL);
                if (cases[i].begin)
                        tap_eq_int(nipc_cache_loader_begin(&loader, cases[i].promised,
                                                           cases[i].bytes),
                                   0);
                tap_eq_int(add_items(&loader, 0, 5000), 0);
                nipc__loader_finish(&loader, &items.table, &items.arena);
                items_check(&items, 5000, hash_djb2);
                items_deinit(&items);
        }
}

/* A bad hash and items all over the place: both kinds of the general lookup at once. */
static void test_scattered_by_name(void)
{
        struct nipc_cache_loader loader;
        struct items items;
        uint32_t i;

        loader_start(&loader, NULL);
        for (i = 0; i < 5000; i++) {
                char name[64];
                size_t len = item_name(i, name);
                struct item *item;
                void *added;

                tap_eq_int(nipc_cache_loader_add(&loader, 1, name, len, &added), 0);
                item = added;
                item->number = i;
        }
        nipc__loader_finish(&loader, &items.table, &items.arena);
        tap_check(items.table.scattered);
        tap_check(items.table.by_name);
        for (i = 0; i < 5000; i++) {
                char name[64];
                size_t len = item_name(i, name);

                if (!tap_eq_ptr(items_find_key(&items, 1, name, len), items.table.items[i]))
                        break;
        }
        items_deinit(&items);
}

static void test_begin_twice(void)
{
        struct nipc_cache_loader loader;
        struct items items;

        loader_start(&loader, NULL);
        tap_eq_int(nipc_cache_loader_begin(&loader, 10, 1000), 0);
        tap_eq_int(nipc_cache_loader_begin(&loader, 10, 1000), 0);
        tap_eq_uint(count_segments(&loader.arena), 1);
        tap_eq_int(nipc_cache_loader_begin(&loader, 100, 10000), 0);
        tap_eq_int(add_items(&loader, 0, 100), 0);
        tap_eq_int(nipc_cache_loader_begin(&loader, 400, 40000), 0);
        tap_eq_int(add_items(&loader, 100, 400), 0);
        nipc__loader_finish(&loader, &items.table, &items.arena);
        items_check(&items, 500, hash_djb2);
        items_deinit(&items);
}

static void test_item_is_zero_and_aligned(void)
{
        static const struct item zero;
        struct nipc_cache_loader loader;
        struct nipc__arena spare;
        struct item *item;
        unsigned round;
        uint32_t i;
        void *added;

        /* The second time in memory that was written to. */
        for (round = 0; round < 2; round++) {
                loader_start(&loader, round ? &spare : NULL);
                tap_eq_int(nipc_cache_loader_begin(&loader, 100, 1000), 0);
                for (i = 0; i < 100; i++) {
                        tap_eq_int(nipc_cache_loader_add(&loader, i, "name", i % 5, &added), 0);
                        item = added;
                        tap_eq_uint((uintptr_t)item % 8, 0);
                        tap_eq_uint(item->item.name_len, i % 5);
                        tap_eq_uint(item->item.name[i % 5], 0);
                        tap_check(memcmp(item->item.name, "name", i % 5) == 0);
                        tap_eq_mem(&item->item + 1, sizeof(*item) - sizeof(item->item),
                                   &zero.item + 1, sizeof(zero) - sizeof(zero.item));
                        memset(&item->item + 1, 0xff, sizeof(*item) - sizeof(item->item));
                }
                nipc__loader_deinit(&loader, &spare);
        }
        nipc__arena_deinit(&spare);
}

/* Strings of every length arrive whole and do not touch their neighbours. */
static void test_copy(void)
{
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        const char *copies[300];
        char *str;
        size_t len, i;

        loader_start(&loader, &spare);
        for (len = 0; len < 300; len++) {
                str = malloc(len + !len);
                tap_require(str != NULL);
                for (i = 0; i < len; i++)
                        str[i] = (char)(len + i);
                tap_eq_int(nipc_cache_loader_copy(&loader, str, len, &copies[len]), 0);
                free(str);
        }
        for (len = 0; len < 300; len++) {
                tap_eq_uint(copies[len][len], 0);
                for (i = 0; i < len; i++)
                        if (!tap_eq_int(copies[len][i], (char)(len + i)))
                                return;
        }
        nipc__loader_deinit(&loader, &spare);
        nipc__arena_deinit(&spare);
}

static void test_limits(void)
{
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        const char *str;
        void *item;

        loader_start(&loader, &spare);
        tap_eq_int(nipc_cache_loader_begin(&loader, UINT32_MAX, SIZE_MAX), -EOVERFLOW);
        tap_eq_int(nipc_cache_loader_begin(&loader, 0, SIZE_MAX), -EOVERFLOW);
        tap_eq_int(nipc_cache_loader_copy(&loader, "", SIZE_MAX, &str), -ENOMEM);
#if SIZE_MAX > UINT32_MAX
        tap_eq_int(nipc_cache_loader_add(&loader, 0, "", (size_t)UINT32_MAX + 1, &item), -EMSGSIZE);
#endif
        loader.limit = 100000;
        tap_eq_int(nipc_cache_loader_add(&loader, 0, "a", 1, &item), 0);
        tap_eq_int(add_items(&loader, 0, 5000), -EMSGSIZE);
        nipc__loader_deinit(&loader, &spare);
        nipc__arena_deinit(&spare);
}

/* One refresh: into what the last one but one left. Returns the allocations that it took. */
static unsigned refresh(struct items *current, struct nipc__arena *spare, uint32_t n_items)
{
        struct nipc_cache_loader loader;
        struct items next;
        unsigned n;

        loader_start(&loader, spare);
        alloc_arm(0);
        tap_eq_int(nipc_cache_loader_begin(&loader, n_items, string_bytes(n_items)), 0);
        tap_eq_int(add_items(&loader, 0, n_items), 0);
        nipc__loader_finish(&loader, &next.table, &next.arena);
        n = alloc_count;
        nipc__arena_adopt(spare, &current->arena);
        *current = next;
        items_check(current, n_items, hash_djb2);
        return n;
}

static void test_memory_is_reused(void)
{
        struct nipc__arena spare = {0};
        struct items current = {0};
        unsigned i;

        tap_eq_uint(refresh(&current, &spare, 1000), 2);
        tap_eq_uint(refresh(&current, &spare, 1000), 2);
        for (i = 0; i < 10; i++)
                tap_eq_uint(refresh(&current, &spare, 1000 - i), 0);
        /* Once large is not large for ever. */
        refresh(&current, &spare, 50000);
        refresh(&current, &spare, 10);
        refresh(&current, &spare, 10);
        refresh(&current, &spare, 10);
        tap_check(current.arena.segments->size < 500000);
        tap_check(!spare.segments || spare.segments->size < 500000);
        items_deinit(&current);
        nipc__arena_deinit(&spare);
}

/* Each allocation of a load fails once: an error and nothing lost, or a table that scans. */
static void test_out_of_memory(void)
{
        struct nipc_cache_loader loader;
        struct nipc__arena spare = {0};
        struct items items;
        unsigned n, n_scans = 0, n_failures = 0;
        bool begin;
        int r;

        for (n = 0; n < 30; n++) {
                begin = n % 2;
                loader_start(&loader, NULL);
                alloc_arm(n / 2 + 1);
                r = begin ? nipc_cache_loader_begin(&loader, 300, string_bytes(300)) : 0;
                if (r == 0)
                        r = add_items(&loader, 0, 1000);
                if (r) {
                        tap_eq_int(r, -ENOMEM);
                        nipc__loader_deinit(&loader, &spare);
                        nipc__arena_deinit(&spare);
                        n_failures++;
                        continue;
                }
                nipc__loader_finish(&loader, &items.table, &items.arena);
                alloc_arm(0);
                n_scans += !items.table.all_groups;
                items_check(&items, 1000, hash_djb2);
                items_deinit(&items);
        }
        tap_check(n_failures > 2);
        tap_eq_uint(n_scans, 2);
}

TAP_MAIN(TAP_CASE(test_promise_is_enough), TAP_CASE(test_more_than_promised),
         TAP_CASE(test_scattered_by_name), TAP_CASE(test_begin_twice),
         TAP_CASE(test_item_is_zero_and_aligned), TAP_CASE(test_copy), TAP_CASE(test_limits),
         TAP_CASE(test_memory_is_reused), TAP_CASE(test_out_of_memory))
