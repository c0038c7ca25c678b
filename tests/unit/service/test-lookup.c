/* SPDX-License-Identifier: MIT */

/* Lookups there and back: few keys and many, both methods, every profile, large items. */

#include <errno.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

static const uint32_t profiles[] = {
        NIPC_PROFILE_BASELINE,
        NIPC_PROFILE_SHM_HYBRID,
        NIPC_PROFILE_RING,
};

static void check_count(struct util_lookup *lookup, struct nipc_client *client, uint32_t n_keys,
                        uint32_t min_requests)
{
        struct nipc_lookup_view view = {0};
        unsigned before = atomic_load(&lookup->n_requests);
        unsigned n_items = atomic_load(&lookup->n_items);

        if (tap_eq_int(util_lookup_ask(lookup, client, 0, n_keys, &view), 0))
                tap_check(util_lookup_is_all(lookup, &view, 0, n_keys));
        tap_check(atomic_load(&lookup->n_requests) - before >= min_requests);
        tap_check(atomic_load(&lookup->n_items) - n_items <= 2 * n_keys); /* few in vain */
        if (min_requests == 1)
                tap_eq_uint(atomic_load(&lookup->n_requests) - before, 1);
}

static void check_counts(const char *service, bool is_apps, uint32_t profile)
{
        struct nipc_client_config config;
        struct util_lookup lookup;
        struct nipc_client *client;

        util_lookup_init(&lookup, service, is_apps);
        /* What the machine has no sessions of after all falls back, under emulators for one. */
        lookup.config.profiles = profile | NIPC_PROFILE_BASELINE;
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        tap_require(client);
        check_count(&lookup, client, 0, 1);
        check_count(&lookup, client, 1, 1);
        check_count(&lookup, client, 16, 1);
        check_count(&lookup, client, 8192, 1);
        check_count(&lookup, client, 65536, 5);
        check_count(&lookup, client, 16, 1); /* after the largest, the smallest again */
        nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void test_counts(void)
{
        size_t i;

        for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
                if (!(profiles[i] & nipc_profile_get_available()))
                        continue;
                check_counts("cgroups", false, profiles[i]);
                check_counts("apps", true, profiles[i]);
        }
}

/* As small as both sides start: hundreds of requests. */
static void check_default_limits(bool is_apps)
{
        struct nipc_client_config config;
        struct util_lookup lookup;
        struct nipc_client *client;

        util_lookup_init(&lookup, "defaults", is_apps);
        lookup.config.initial_response_bytes = 0;
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        config.max_request_bytes = 0;
        client = util_lookup_client(&config);
        tap_require(client);
        check_count(&lookup, client, 8192, 8192 * 16 / 1024);
        tap_check(atomic_load(&lookup.n_requests) < 8192 * 40 / 1024);
        nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void test_default_limits(void)
{
        check_default_limits(false);
        check_default_limits(true);
}

static uint32_t large_label(uint32_t n)
{
        return n % 3 == 0 ? 100 * 1024 : 0;
}

static void check_large_labels(bool is_apps, uint32_t profile)
{
        struct nipc_client_config config;
        struct util_lookup lookup;
        struct nipc_client *client;

        util_lookup_init(&lookup, "large", is_apps);
        lookup.config.profiles = profile | NIPC_PROFILE_BASELINE;
        lookup.label_size = large_label;
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        tap_require(client);
        check_count(&lookup, client, 12, 1);
        check_count(&lookup, client, 100, 4);
        nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void test_large_labels(void)
{
        size_t i;

        for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
                if (!(profiles[i] & nipc_profile_get_available()))
                        continue;
                check_large_labels(false, profiles[i]);
                check_large_labels(true, profiles[i]);
        }
}

/* One session's answers are read where they are; what is put together stays as long. */
static void test_borrowing(void)
{
        struct nipc_client_config config;
        struct nipc_lookup_view view;
        struct util_lookup lookup;
        struct nipc_client *client;

        util_lookup_init(&lookup, "borrow", true);
        lookup.config.max_request_bytes = 1024;
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        tap_require(client);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 1000, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 1000));
        tap_eq_int(util_lookup_ask(&lookup, client, 5000, 63, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 5000, 63));
        tap_eq_int(util_lookup_ask(&lookup, client, 1000, 2000, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 1000, 2000));
        nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void check_arguments(struct nipc_client *client)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        const struct nipc_lookup_class bad_class = {0};
        const struct nipc_lookup_key with_nul[] = {{"/k/1", 4}, {"/k\0", 4}};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of(with_nul, 2), none = {0};
        const char *const empty[] = {"/k/1", ""}, *const missing[] = {NULL};
        struct nipc_lookup_view view = {0};

        tap_eq_int(nipc_client_lookup(NULL, class_, &none, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_lookup(client, NULL, &none, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_lookup(client, &bad_class, &none, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_lookup(client, class_, NULL, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_lookup(client, class_, &none, 0, NULL), -EINVAL);
        tap_eq_int(nipc_client_lookup(client, class_, &keys, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_cgroups_lookup(client, empty, 2, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_cgroups_lookup(client, missing, 1, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_cgroups_lookup(client, NULL, 1, 0, &view), -EINVAL);
        tap_eq_int(nipc_client_apps_lookup(client, NULL, 1, 0, &view), -EINVAL);
        tap_eq_ptr(view.class_, NULL);
        tap_check(nipc_client_is_ready(client)); /* nothing happened */
        tap_eq_int(nipc_client_lookup(client, class_, &none, 0, &view), 0);
        tap_eq_uint(view.item_count, 0);
}

static void test_arguments(void)
{
        struct nipc_client_config config;
        struct nipc_lookup_view view;
        struct util_lookup lookup;
        struct nipc_client *client;

        util_lookup_init(&lookup, "arguments", false);
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        tap_require(client);
        check_arguments(client);
        nipc_client_free(client);
        tap_eq_int(nipc_client_new(&config, &client), 0);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 3, &view), -ENOTCONN);
        nipc_client_free(client);
        config.max_lookup_bytes = 15;
        tap_eq_int(nipc_client_new(&config, &client), -EINVAL);
        util_lookup_stop(&lookup);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_counts), TAP_CASE(test_default_limits), TAP_CASE(test_large_labels),
         TAP_CASE(test_borrowing), TAP_CASE(test_arguments), TAP_CASE(test_leaks_nothing))
