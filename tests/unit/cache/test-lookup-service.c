/* SPDX-License-Identifier: MIT */

/* The cache of lookups against a real server, on each profile: how often it is asked, and what
 * becomes of the cache when the server goes and comes back. */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/lookup-cache.h>
#include <stdio.h>
#include <stdlib.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        N_PIDS = 10000,
        N_NEW = N_PIDS / 100,
};

static const uint32_t profiles[] = {
        NIPC_PROFILE_BASELINE,
        NIPC_PROFILE_SHM_HYBRID,
        NIPC_PROFILE_RING,
};

static uint32_t pids[N_PIDS];
static struct nipc_lookup_item items[N_PIDS];

/* With room for all answers in one response. */
static bool start(struct util_lookup *lookup, bool is_apps, uint32_t profile)
{
        util_lookup_init(lookup, is_apps ? "apps" : "cgroups", is_apps);
        lookup->config.profiles = profile | NIPC_PROFILE_BASELINE; /* where it falls back */
        lookup->config.max_response_bytes = 8 << 20;
        lookup->config.initial_response_bytes = 8 << 20;
        return tap_check(util_lookup_start(lookup));
}

static struct nipc_lookup_cache *cache_of(const struct util_lookup *lookup)
{
        const struct nipc_client_config config = util_lookup_client_config(lookup);
        struct nipc_lookup_cache *cache = NULL;

        tap_eq_int(nipc_lookup_cache_new(&config,
                                         lookup->is_apps ? nipc_apps_lookup_get_class()
                                                         : nipc_cgroups_lookup_get_class(),
                                         NULL, &cache),
                   0);
        return cache;
}

static int sweep(struct nipc_lookup_cache *cache, uint32_t first)
{
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, N_PIDS);
        uint32_t i;

        for (i = 0; i < N_PIDS; i++)
                pids[i] = first + i;
        return nipc_lookup_cache_sweep(cache, &keys, 0, items);
}

/* All are there but the first n_missing; one of ten is not known. */
static bool are_all(uint32_t n_missing)
{
        struct nipc_apps_lookup_item item;
        uint32_t i;

        for (i = 0; i < n_missing; i++)
                if (!tap_check(!items[i].bytes))
                        return false;
        for (; i < N_PIDS; i++) {
                if (!tap_check(items[i].bytes != NULL))
                        return false;
                nipc_apps_lookup_item_load(items[i], &item);
                if (!tap_eq_uint(item.pid, pids[i]) ||
                    !tap_eq_uint(item.status, pids[i] % 10 == 9 ? NIPC_APPS_LOOKUP_UNKNOWN
                                                                : NIPC_APPS_LOOKUP_KNOWN))
                        return false;
        }
        return true;
}

/* One percent of the processes is new in each sweep: one request, for those. */
static void check_sweeps(uint32_t profile)
{
        struct nipc_lookup_cache *cache;
        struct util_lookup lookup;
        uint32_t round;

        tap_require(start(&lookup, true, profile));
        cache = cache_of(&lookup);
        tap_require(cache != NULL);
        for (round = 0; round < 10; round++) {
                tap_eq_int(sweep(cache, N_PIDS - round * N_NEW), 0);
                tap_check(are_all(0));
                tap_eq_uint(atomic_load(&lookup.n_requests), round + 1);
                tap_eq_uint(atomic_load(&lookup.n_items), N_PIDS + round * N_NEW);
        }
        tap_eq_int(sweep(cache, N_PIDS), 0);
        tap_eq_uint(atomic_load(&lookup.n_requests), 10);
        nipc_lookup_cache_free(cache);
        util_lookup_stop(&lookup);
}

static void test_sweeps(void)
{
        size_t i;

        for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
                if (profiles[i] & nipc_profile_get_available())
                        check_sweeps(profiles[i]);
}

/* The server goes: what is known is had, what is new is not. It comes back with other data. */
static void check_restart(uint32_t profile)
{
        struct nipc_lookup_cache *cache;
        struct util_lookup lookup;

        tap_require(start(&lookup, true, profile));
        cache = cache_of(&lookup);
        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 1000), 0);
        util_lookup_stop(&lookup);
        tap_check(sweep(cache, 1000 - N_NEW) < 0);
        tap_check(are_all(N_NEW));
        tap_eq_int(sweep(cache, 1000 - N_NEW), -ENOTCONN);
        tap_check(are_all(N_NEW));

        tap_require(start(&lookup, true, profile));
        atomic_store(&lookup.generation, 8);
        tap_eq_int(sweep(cache, 1000 - N_NEW), 0);
        tap_check(are_all(0));
        tap_eq_uint(atomic_load(&lookup.n_requests), 2);
        tap_eq_uint(atomic_load(&lookup.n_items), N_PIDS);
        nipc_lookup_cache_free(cache);
        util_lookup_stop(&lookup);
}

static void test_restart(void)
{
        size_t i;

        for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
                if (profiles[i] & nipc_profile_get_available())
                        check_restart(profiles[i]);
}

/* Key by key: paths that come up are asked for together. */
static void test_paths(void)
{
        struct nipc_cgroups_lookup_item item;
        struct nipc_lookup_cache *cache;
        struct nipc_lookup_item raw;
        struct util_lookup lookup;
        char path[32], name[32];
        unsigned round, i;

        tap_require(start(&lookup, false, NIPC_PROFILE_BASELINE));
        cache = cache_of(&lookup);
        tap_require(cache != NULL);
        for (round = 0; round < 3; round++) {
                for (i = 0; i < 1000; i++) {
                        snprintf(path, sizeof(path), "/k/%u", i);
                        raw = nipc_lookup_cache_get_string(cache, path);
                        if (!tap_check((raw.bytes != NULL) == (round > 0)) || !raw.bytes)
                                continue;
                        nipc_cgroups_lookup_item_load(raw, &item);
                        snprintf(name, sizeof(name), "name-%u", i);
                        tap_eq_str(item.path.str, path);
                        tap_eq_str(item.name.str, i % 10 == 9 ? "" : name);
                }
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        }
        tap_eq_uint(atomic_load(&lookup.n_requests), 1);
        nipc_lookup_cache_free(cache);
        util_lookup_stop(&lookup);
}

/* A resolve that is cancelled, before it begins here, leaves all as it was. */
static void test_cancel(void)
{
        struct nipc_lookup_cache *cache;
        struct util_lookup lookup;

        tap_require(start(&lookup, true, NIPC_PROFILE_BASELINE));
        cache = cache_of(&lookup);
        tap_require(cache != NULL);
        tap_eq_int(sweep(cache, 0), 0);
        nipc_lookup_cache_get_pid(cache, 1000000);
        nipc_lookup_cache_cancel(cache);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -ECANCELED);
        tap_check(nipc_lookup_cache_get_pid(cache, 1).bytes != NULL);
        nipc_lookup_cache_reset_cancel(cache);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_check(nipc_lookup_cache_get_pid(cache, 1000000).bytes != NULL);
        nipc_lookup_cache_free(cache);
        util_lookup_stop(&lookup);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_sweeps), TAP_CASE(test_restart), TAP_CASE(test_paths), TAP_CASE(test_cancel),
         TAP_CASE(test_leaks_nothing))
