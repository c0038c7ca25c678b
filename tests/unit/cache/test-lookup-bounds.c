/* SPDX-License-Identifier: MIT */

/* What a cache of lookups may hold: who goes first, bytes that are really allocated, no memory. */

#include <errno.h>

#include "util-fake-lookup.h"

enum { MAX_KEYS = 20000 };

static uint32_t pids[MAX_KEYS];
static struct nipc_lookup_item items[MAX_KEYS];
static uint32_t n_pids;

static void add_pids(uint32_t first, uint32_t n)
{
        uint32_t i;

        for (i = 0; i < n; i++)
                pids[n_pids++] = first + i;
}

/* The PIDs that were added. */
static int sweep_pids(struct nipc_lookup_cache *cache)
{
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, n_pids);

        return nipc_lookup_cache_sweep(cache, &keys, 0, items);
}

static bool sweep_is_whole(struct nipc_lookup_cache *cache)
{
        uint32_t i;

        if (!tap_eq_int(sweep_pids(cache), 0))
                return false;
        for (i = 0; i < n_pids; i++)
                if (!tap_eq_uint(pid_version(items[i], pids[i]), 1))
                        return false;
        return true;
}

static bool sweep(struct nipc_lookup_cache *cache, uint32_t first, uint32_t n)
{
        n_pids = 0;
        add_pids(first, n);
        return sweep_is_whole(cache);
}

static uint32_t count_cached(struct nipc_lookup_cache *cache, uint32_t first, uint32_t n)
{
        uint32_t i, n_cached = 0;

        for (i = 0; i < n; i++)
                n_cached += get_pid(cache, first + i) != 0;
        return n_cached;
}

static struct nipc_lookup_cache *apps_cache(uint32_t max_items, uint32_t max_wanted,
                                            uint64_t max_bytes)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config),
                                                        .max_items = max_items,
                                                        .max_wanted = max_wanted,
                                                        .max_bytes = max_bytes};

        alloc.peak_bytes = 0;
        return cache_new_with(nipc_apps_lookup_get_class(), &config, 0);
}

/* What was not asked for in this sweep goes first, and of that what was not in the last either. */
static void test_who_goes_first(void)
{
        struct nipc_lookup_cache *cache = apps_cache(100, 0, 0);

        tap_require(cache != NULL);
        sweep(cache, 0, 100);
        sweep(cache, 50, 50);
        n_pids = 0;
        add_pids(75, 25);
        add_pids(100, 25);
        tap_check(sweep_is_whole(cache));
        tap_eq_uint(status_of(cache).n_evictions, 25);
        tap_eq_uint(status_of(cache).n_items, 100);
        tap_eq_uint(count_cached(cache, 0, 50), 25);
        tap_eq_uint(count_cached(cache, 50, 75), 75);
        nipc_lookup_cache_free(cache);

        cache = apps_cache(100, 0, 0);
        tap_require(cache != NULL);
        sweep(cache, 0, 100);
        n_pids = 0;
        add_pids(20, 80);
        add_pids(100, 50);
        tap_check(sweep_is_whole(cache));
        tap_eq_uint(status_of(cache).n_evictions, 20);
        tap_eq_uint(status_of(cache).n_not_kept, 30);
        tap_eq_uint(count_cached(cache, 20, 80), 80);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* The same key by key: what was asked for since the last resolve stays. */
static void test_resolve_evicts(void)
{
        struct nipc_lookup_cache *cache = apps_cache(100, 0, 0);

        tap_require(cache != NULL);
        count_cached(cache, 0, 100);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(count_cached(cache, 40, 60), 60);
        tap_eq_uint(count_cached(cache, 100, 70), 0);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        /* Ten that there is no room for are had all the same, until the next one. */
        tap_eq_uint(count_cached(cache, 40, 130), 130);
        tap_eq_uint(status_of(cache).n_items, 100);
        tap_eq_uint(status_of(cache).n_not_kept, 30);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(count_cached(cache, 40, 130), 100);
        nipc_lookup_cache_forget(cache, pids, 8);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* What was wanted before a resolve that failed is had after the next all the same. */
static void test_resolve_after_failure(void)
{
        struct nipc_lookup_cache *cache = apps_cache(4, 0, 0);
        unsigned i;

        tap_require(cache != NULL);
        count_cached(cache, 0, 8);
        for (i = 0; i < 3; i++) {
                provider.results[i] = -ECONNRESET;
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -ECONNRESET);
        }
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_keys, 8);
        tap_eq_uint(count_cached(cache, 0, 8), 8);
        tap_eq_uint(status_of(cache).n_evictions, 0);
        nipc_lookup_cache_free(cache);
}

/* A list that is larger than the cache is whole each time, and what fits is not asked for again. */
static void test_more_than_fits(void)
{
        struct nipc_lookup_cache *cache = apps_cache(1000, 0, 0);
        unsigned i;

        tap_require(cache != NULL);
        for (i = 0; i < 5; i++) {
                tap_check(sweep(cache, 0, 3000));
                tap_eq_uint(provider.n_calls, i + 1);
                tap_eq_uint(provider.n_keys, i ? 2000 : 3000);
        }
        tap_eq_uint(status_of(cache).n_evictions, 0);
        nipc_lookup_cache_free(cache);
}

static void test_several_calls_and_no_room(void)
{
        struct nipc_lookup_cache *cache = apps_cache(10, 20, 0);
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        tap_require(cache != NULL);
        n_pids = 0;
        add_pids(0, 100);
        tap_eq_int(sweep_pids(cache), -EMSGSIZE);
        tap_eq_uint(provider.n_calls, 1);
        tap_eq_uint(pid_version(items[19], 19), 1);
        tap_check(!items[20].bytes);
        tap_eq_int(nipc_lookup_cache_get_failure(cache, &failure), 0);
        tap_eq_int(failure.error, -EMSGSIZE);
        tap_check(failure.fault.rule != NULL);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_wanted_is_bounded(void)
{
        struct nipc_lookup_cache *cache = apps_cache(0, 10, 0);

        tap_require(cache != NULL);
        count_cached(cache, 0, 25);
        count_cached(cache, 0, 10);
        tap_eq_uint(status_of(cache).n_wanted, 10);
        tap_eq_uint(status_of(cache).n_forgotten, 15);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(count_cached(cache, 0, 25), 10);
        tap_eq_uint(status_of(cache).n_wanted, 10);
        nipc_lookup_cache_free(cache);
}

/* Items of many sizes; whatever is asked for is had, and no byte more than allowed is allocated. */
static void test_bytes_are_bounded(void)
{
        static const uint64_t limits[] = {NIPC_LOOKUP_CACHE_MIN_BYTES, 100000, 1 << 20};
        static const uint32_t pads[] = {0, 10, 300, 20000, 0};
        struct nipc_lookup_cache *cache;
        unsigned i, k;

        for (i = 0; i < 3; i++) {
                cache = apps_cache(0, 0, limits[i]);
                tap_require(cache != NULL);
                for (k = 0; k < 200; k++) {
                        provider.pad = pads[k % 5];
                        if (!tap_check(sweep(cache, k * 20, 30 + k % 70)))
                                break;
                        tap_check(alloc.n_bytes == status_of(cache).n_bytes);
                }
                tap_check(alloc.peak_bytes <= limits[i]);
                tap_check(status_of(cache).n_evictions > 0);
                /* Small ones again: the room is used. */
                provider.pad = 0;
                for (k = 0; k < 10; k++)
                        tap_check(sweep(cache, k * 50, 300));
                tap_check(status_of(cache).n_items >= 300);
                nipc_lookup_cache_free(cache);
                tap_eq_uint(alloc.n_blocks, 0);
        }
}

/* As many small items as there may be: the index, too, stays within the bytes. */
static void test_index_is_bounded(void)
{
        struct nipc_lookup_cache *cache = apps_cache(0, 0, 1 << 20);
        unsigned i;

        tap_require(cache != NULL);
        for (i = 0; i < 100; i++)
                tap_check(sweep(cache, i * 200, 400));
        tap_check(alloc.peak_bytes <= 1 << 20);
        tap_check(status_of(cache).n_items > 3000);
        /* Nothing is refused to be asked for in a cache that is full. */
        tap_eq_uint(status_of(cache).n_forgotten, 0);
        nipc_lookup_cache_free(cache);
}

/* Keys that are never answered, however long, and items beside them. */
static void test_wanted_bytes_are_bounded(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config),
                                                        .max_bytes = NIPC_LOOKUP_CACHE_MIN_BYTES};
        struct nipc_lookup_cache *cache;
        static char key[1000];
        unsigned i, round, n_full = 0;

        alloc.peak_bytes = 0;
        cache = cache_new_with(nipc_cgroups_lookup_get_class(), &config, 0);
        tap_require(cache != NULL);
        memset(key, 'k', sizeof(key) - 1);
        for (round = 0; round < 20; round++) {
                for (i = 0; i < 100; i++) {
                        snprintf(key, 20, "%u-%u", round, i);
                        key[strlen(key)] = '-';
                        get_string(cache, key);
                        tap_check(alloc.n_bytes <= config.max_bytes);
                }
                tap_check(status_of(cache).n_wanted >= 1);
                n_full += status_of(cache).n_wanted >= 8;
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
                tap_eq_uint(status_of(cache).n_wanted, 0);
        }
        /* But for once or twice, when the index grew. */
        tap_check(n_full >= 18);
        tap_check(alloc.peak_bytes <= config.max_bytes);
        tap_eq_uint(alloc.n_bytes, status_of(cache).n_bytes);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* Each allocation fails once: an error or an answer that is not kept, and the next time all is
 * there. */
static void test_no_memory(void)
{
        static char names[200][64];
        static const char *paths[200];
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(paths, 200);
        struct nipc_lookup_cache *cache;
        unsigned i, n, n_made = 1;
        int r;

        for (i = 0; i < 200; i++) {
                snprintf(names[i], sizeof(names[i]), "/system.slice/unit-%u.service", i);
                paths[i] = names[i];
        }
        for (n = 1; n <= n_made; n++) {
                cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
                tap_require(cache != NULL);
                for (i = 0; i < 50; i++)
                        get_string(cache, paths[i]);
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
                alloc_arm(n);
                r = nipc_lookup_cache_sweep(cache, &keys, 0, items);
                n_made = alloc.count;
                tap_check(r == 0 || r == -ENOMEM);
                alloc_arm(0);
                for (i = 0; i < 50; i++)
                        tap_eq_uint(get_string(cache, paths[i]), 1);
                for (i = 0; r == 0 && i < 200; i++)
                        if (!tap_check(items[i].bytes != NULL))
                                break;
                tap_eq_int(nipc_lookup_cache_sweep(cache, &keys, 0, items), 0);
                for (i = 0; i < 200; i++)
                        if (!tap_eq_uint(get_string(cache, paths[i]), 1))
                                break;
                tap_eq_uint(status_of(cache).n_bytes, alloc.n_bytes);
                nipc_lookup_cache_free(cache);
                tap_eq_uint(alloc.n_blocks, 0);
        }
        tap_check(n_made > 300);
}

TAP_MAIN(TAP_CASE(test_who_goes_first), TAP_CASE(test_resolve_evicts),
         TAP_CASE(test_resolve_after_failure), TAP_CASE(test_more_than_fits),
         TAP_CASE(test_several_calls_and_no_room), TAP_CASE(test_wanted_is_bounded),
         TAP_CASE(test_bytes_are_bounded), TAP_CASE(test_index_is_bounded),
         TAP_CASE(test_wanted_bytes_are_bounded), TAP_CASE(test_no_memory))
