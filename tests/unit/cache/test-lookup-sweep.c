/* SPDX-License-Identifier: MIT */

/* Sweeps: a list of keys, one call for what is missing or old, an item for each. */

#include "util-fake-lookup.h"

enum { MAX_KEYS = 20000 };

static uint32_t pids[MAX_KEYS];
static struct nipc_lookup_item items[MAX_KEYS];

/* PIDs first, first + 1, ... */
static int sweep(struct nipc_lookup_cache *cache, uint32_t first, uint32_t n)
{
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, n);
        uint32_t i;

        for (i = 0; i < n; i++)
                pids[i] = first + i;
        memset(items, 0xee, n * sizeof(*items));
        return nipc_lookup_cache_sweep(cache, &keys, 0, items);
}

/* How many of them have an item of this version; all others have none. */
static uint32_t count(uint32_t n, uint32_t version)
{
        uint32_t i, found, n_found = 0;

        for (i = 0; i < n; i++) {
                found = pid_version(items[i], pids[i]);
                if (found && !tap_eq_uint(found, version))
                        return 0;
                n_found += found != 0;
        }
        return n_found;
}

/* One percent of the processes is new each time: one call, for those. */
static void test_one_call(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        uint32_t round;

        tap_require(cache != NULL);
        for (round = 0; round < 10; round++) {
                tap_eq_int(sweep(cache, round * 100, 10000), 0);
                tap_eq_uint(count(10000, 1), 10000);
                tap_eq_uint(provider.n_calls, round + 1);
                tap_eq_uint(provider.n_keys, round ? 100 : 10000);
        }
        tap_eq_int(sweep(cache, 900, 10000), 0);
        tap_eq_uint(count(10000, 1), 10000);
        tap_eq_uint(provider.n_calls, 10);
        tap_eq_uint(status_of(cache).n_hits, 9 * 9900 + 10000);
        tap_eq_uint(status_of(cache).n_misses, 10000 + 9 * 100);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_duplicates(void)
{
        static const char *const paths[] = {"/a", "/b", "/a", "?c", "/b", "/a", "?c"};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(paths, 7);
        struct nipc_lookup_cache *cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
        unsigned i;

        tap_require(cache != NULL);
        get_string(cache, "/d");
        tap_eq_int(nipc_lookup_cache_sweep(cache, &keys, 0, items), 0);
        tap_eq_uint(provider.n_keys, 4);
        for (i = 0; i < 7; i++)
                tap_check(nipc_lookup_item_is_for(nipc_cgroups_lookup_get_class(), items[i],
                                                  paths[i], 2));
        tap_eq_ptr(items[0].bytes, items[5].bytes);
        tap_eq_uint(get_string(cache, "/d"), 1);
        nipc_lookup_cache_free(cache);
}

static void test_nothing(void)
{
        const struct nipc_lookup_keys none = nipc_lookup_keys_of_pids(NULL, 0);
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);

        tap_require(cache != NULL);
        tap_eq_int(nipc_lookup_cache_sweep(cache, &none, 0, NULL), 0);
        tap_eq_int(nipc_lookup_cache_sweep(cache, NULL, 0, items), -EINVAL);
        tap_eq_uint(provider.n_calls, 0);
        tap_eq_uint(fake.n_refreshes, 0);
        nipc_lookup_cache_free(cache);
}

/* What is no key has no item, and takes none from others. */
static void test_bad_keys(void)
{
        static const char *const paths[] = {"/a", "", "/b", NULL};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(paths, 4);
        struct nipc_lookup_cache *cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
        struct nipc_lookup_cache *apps;
        const uint32_t bad[4] = {1, 1, 2, 0};
        const struct nipc_lookup_keys bad_pids = nipc_lookup_keys_of_array(bad, 8, 2);

        tap_require(cache != NULL);
        tap_eq_int(nipc_lookup_cache_sweep(cache, &keys, 0, items), -EINVAL);
        tap_check(items[0].bytes && !items[1].bytes && items[2].bytes && !items[3].bytes);
        tap_eq_int(nipc_lookup_cache_sweep(cache, &keys, 0, items), -EINVAL);
        tap_check(items[0].bytes && !items[1].bytes && items[2].bytes && !items[3].bytes);
        tap_eq_uint(provider.n_calls, 1);
        tap_eq_uint(status_of(cache).n_failures, 0);
        nipc_lookup_cache_free(cache);

        apps = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        tap_require(apps != NULL);
        tap_eq_int(nipc_lookup_cache_sweep(apps, &bad_pids, 0, items), -EINVAL);
        tap_check(!items[0].bytes);
        tap_eq_uint(pid_version(items[1], 2), 1);
        nipc_lookup_cache_free(apps);
}

/* Stale answers are renewed if that can be, and had if not. */
static void test_stale(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config),
                                                        .max_age_ms = 1000,
                                                        .stale_ms = 1000};
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), &config, 0);

        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0, 1000), 0);
        clock_advance(1000);
        provider.version = 2;
        provider.results[1] = -ECONNRESET;
        provider.results[3] = -ETIMEDOUT;
        tap_eq_int(sweep(cache, 10, 1000), -ECONNRESET);
        tap_eq_uint(count(1000, 1), 990);
        tap_eq_uint(status_of(cache).n_stale, 990);
        tap_eq_int(sweep(cache, 10, 1000), 0);
        tap_eq_uint(count(1000, 2), 1000);
        tap_eq_uint(provider.n_keys, 1000);
        clock_advance(2000);
        tap_eq_int(sweep(cache, 0, 1000), -ETIMEDOUT);
        tap_eq_uint(count(1000, 2), 0);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* The items of a sweep are of one generation. */
static void test_generation(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0, 1000), 0);
        provider.version = 2;
        provider.generation = 2;
        tap_eq_int(sweep(cache, 0, 1000), 0); /* nobody knows yet */
        tap_eq_uint(count(1000, 1), 1000);
        tap_eq_int(sweep(cache, 5, 1000), 0);
        tap_eq_uint(count(1000, 2), 1000);
        tap_eq_uint(provider.n_calls, 3);
        tap_eq_uint(provider.n_all_keys, 1000 + 5 + 995);
        tap_eq_uint(status_of(cache).n_generations, 1);

        /* One that never stays the same is given up. */
        provider.new_generation_at = 1;
        tap_eq_int(sweep(cache, 10, 1000), -EBADMSG);
        tap_eq_int(nipc_lookup_cache_get_failure(cache, &failure), 0);
        tap_eq_int(failure.error, -EBADMSG);
        tap_eq_uint(provider.n_calls, 3 + 4);
        tap_check(count(1000, 2) < 1000);

        /* The one after which it fails has the answers that it brought. */
        provider.new_generation_at = 0;
        tap_eq_int(sweep(cache, 10, 1000), 0);
        tap_eq_uint(count(1000, 2), 1000);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_failure_after_generation(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);

        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0, 100), 0);
        provider.version = provider.generation = 2;
        provider.results[2] = -ETIMEDOUT;
        tap_eq_int(sweep(cache, 10, 100), -ETIMEDOUT);
        tap_eq_uint(count(100, 2), 10);
        tap_eq_uint(status_of(cache).n_wanted, 90);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_int(sweep(cache, 10, 100), 0);
        tap_eq_uint(count(100, 2), 100);
        tap_eq_uint(provider.n_calls, 4);
        nipc_lookup_cache_free(cache);
}

/* More keys than the client asks for at once, or than are remembered. */
static void test_several_calls(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config), .max_wanted = 300};
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 1000);

        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0, 3500), 0);
        tap_eq_uint(count(3500, 1), 3500);
        tap_eq_uint(provider.n_calls, 4);
        tap_eq_uint(provider.n_max_keys, 1000);
        nipc_lookup_cache_free(cache);

        cache = cache_new_with(nipc_apps_lookup_get_class(), &config, 0);
        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0, 1000), 0);
        tap_eq_uint(count(1000, 1), 1000);
        tap_eq_uint(provider.n_calls, 4);
        nipc_lookup_cache_free(cache);
}

/* An answer that was too large is asked for in parts from then on. */
static void test_too_large(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);

        tap_require(cache != NULL);
        provider.results[0] = provider.results[1] = -EMSGSIZE;
        tap_eq_int(sweep(cache, 0, 1000), -EMSGSIZE);
        tap_eq_int(sweep(cache, 0, 1000), -EMSGSIZE);
        tap_eq_uint(provider.n_keys, 500);
        tap_eq_int(sweep(cache, 0, 1000), 0);
        tap_eq_uint(count(1000, 1), 1000);
        tap_eq_uint(provider.n_calls, 2 + 3);
        tap_eq_uint(provider.n_all_keys, 1000);
        nipc_lookup_cache_free(cache);
}

/* One that is too large alone is asked for last. */
static void test_too_large_alone(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 1);
        uint32_t pid;

        tap_require(cache != NULL);
        for (pid = 1; pid <= 3; pid++)
                get_pid(cache, pid);
        provider.results[0] = provider.results[3] = -EMSGSIZE;
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -EMSGSIZE);
        tap_eq_uint(status_of(cache).n_wanted, 3);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -EMSGSIZE);
        tap_eq_uint(status_of(cache).n_wanted, 1);
        tap_eq_uint(get_pid(cache, 1), 0);
        tap_eq_uint(get_pid(cache, 2), 1);
        tap_eq_uint(get_pid(cache, 3), 1);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

TAP_MAIN(TAP_CASE(test_one_call), TAP_CASE(test_duplicates), TAP_CASE(test_nothing),
         TAP_CASE(test_bad_keys), TAP_CASE(test_stale), TAP_CASE(test_generation),
         TAP_CASE(test_failure_after_generation), TAP_CASE(test_several_calls),
         TAP_CASE(test_too_large), TAP_CASE(test_too_large_alone))
