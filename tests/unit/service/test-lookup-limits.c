/* SPDX-License-Identifier: MIT */

/* Lookups when answers do not fit: what is cut, asked for again, asked for alone, and believed. */

#include <errno.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        N_KEYS = 100,
};

static struct util_lookup lookup;
static struct nipc_client *client;

/* A provider whose responses are between two limits, and its client. */
static bool open_limited(bool is_apps, uint32_t initial, uint32_t ceiling,
                         uint32_t (*label_size)(uint32_t n))
{
        struct nipc_client_config config;

        util_lookup_init(&lookup, "limited", is_apps);
        lookup.config.initial_response_bytes = initial;
        lookup.config.max_response_bytes = ceiling;
        lookup.label_size = label_size;
        if (!util_lookup_start(&lookup))
                return false;
        config = util_lookup_client_config(&lookup);
        config.max_request_bytes = 65536;
        client = util_lookup_client(&config);
        return client != NULL;
}

static void close_limited(void)
{
        client = nipc_client_free(client);
        util_lookup_stop(&lookup);
}

/* Requests since the last time. */
static unsigned count_requests(void)
{
        return atomic_exchange(&lookup.n_requests, 0);
}

/* From a few bytes to some thousands, in no order. */
static uint32_t mixed_label(uint32_t n)
{
        return n % 7 == 0 ? n * 50 : n % 3 * 40;
}

static uint32_t first_is_3900(uint32_t n)
{
        return n ? 0 : 3900;
}

static uint32_t first_is_5000(uint32_t n)
{
        return n ? 0 : 5000;
}

static uint32_t first_is_100000(uint32_t n)
{
        return n ? 0 : 100000;
}

/* ---- budgets ---- */

static uint32_t sizes[N_KEYS];

static void measure_items(bool is_apps)
{
        struct nipc_lookup_view view;
        uint32_t i;

        tap_require(open_limited(is_apps, 1024 * 1024, 1024 * 1024, mixed_label));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, N_KEYS, &view), 0);
        for (i = 0; i < N_KEYS; i++)
                sizes[i] = nipc_lookup_view_get(&view, i).size;
        close_limited();
}

/* What fits a response that it has for itself is had; nothing else is called oversized. */
static void check_budget(bool is_apps, uint32_t budget)
{
        struct nipc_lookup_view view;
        uint32_t i;
        bool fits;

        tap_require(open_limited(is_apps, budget, budget, mixed_label));
        if (tap_eq_int(util_lookup_ask(&lookup, client, 0, N_KEYS, &view), 0)) {
                tap_eq_uint(view.item_count, N_KEYS);
                for (i = 0; i < N_KEYS; i++) {
                        fits = 24 + nipc_align8(sizes[i]) <= budget;
                        if (!tap_check(fits ? util_lookup_is_item(&lookup, &view, i, i)
                                            : util_lookup_is_oversized(&lookup, &view, i, i)))
                                tap_note("key %u, %u bytes, budget %u", (unsigned)i,
                                         (unsigned)sizes[i], (unsigned)budget);
                }
        } else {
                tap_note("budget %u", (unsigned)budget);
        }
        tap_check(nipc_client_is_ready(client));
        close_limited();
}

static void check_budgets(bool is_apps)
{
        uint32_t budget;

        measure_items(is_apps);
        for (budget = 128; budget < 1024; budget += 56)
                check_budget(is_apps, budget);
        for (; budget <= 1024 * 1024; budget *= 2) {
                check_budget(is_apps, budget - 1);
                check_budget(is_apps, budget);
        }
        check_budget(is_apps, 1024 * 1024);
}

static void test_budgets(void)
{
        check_budgets(false);
        check_budgets(true);
}

/* ---- one that is too large ---- */

/* It fits alone, but not with what the others need at least. */
static void test_falsely_oversized(void)
{
        struct nipc_lookup_view view;

        tap_require(open_limited(false, 4096, 4096, first_is_3900));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 10, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 10));
        tap_eq_uint(count_requests(), 2);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 1, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 1));
        tap_eq_uint(count_requests(), 1);
        close_limited();
}

static void check_first_is_oversized(uint32_t n_keys)
{
        struct nipc_lookup_view view;
        uint32_t i;

        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys, &view), 0);
        tap_eq_uint(view.item_count, n_keys);
        tap_check(util_lookup_is_oversized(&lookup, &view, 0, 0));
        for (i = 1; i < n_keys; i++)
                tap_check(util_lookup_is_item(&lookup, &view, i, i));
}

/* It never fits: asked for alone, and once more after reconnecting; then that is known. */
static void test_truly_oversized(void)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        tap_require(open_limited(false, 4096, 4096, first_is_5000));
        check_first_is_oversized(10);
        tap_eq_uint(count_requests(), 3);
        check_first_is_oversized(10);
        tap_eq_uint(count_requests(), 2);
        check_first_is_oversized(1);
        tap_eq_uint(count_requests(), 1);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_reconnects, 1);
        close_limited();
}

/* A provider that may make larger responses comes to do so. */
static void check_growth(bool is_apps, uint32_t n_keys)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_lookup_view view;

        tap_require(open_limited(is_apps, 4096, 1024 * 1024, first_is_100000));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, n_keys));
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.max_response_bytes, 131072);
        tap_eq_uint(status.n_reconnects, 5);
        tap_eq_uint(count_requests(), n_keys == 1 ? 6 : 7);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, n_keys));
        tap_eq_uint(count_requests(), 1);
        close_limited();
}

static void test_growth(void)
{
        check_growth(false, 10);
        check_growth(true, 10);
        check_growth(true, 1);
}

static int next_generation(struct util_lookup *l, const struct nipc_lookup_request_view *request,
                           struct nipc_lookup_builder *builder)
{
        (void)request;
        (void)builder;
        atomic_fetch_add(&l->generation, 1);
        return 0;
}

/* An answer that is asked for again says nothing about the generation of those that are kept. */
static void test_growth_and_generation(void)
{
        struct nipc_lookup_view view;

        tap_require(open_limited(true, 4096, 1024 * 1024, first_is_100000));
        lookup.before = next_generation;
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 1, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 1));
        close_limited();
}

static int say_oversized(void *userdata, const struct nipc_lookup_request_view *request,
                         struct nipc_lookup_builder *builder)
{
        struct util_lookup *l = userdata;
        const void *key;
        size_t key_size;
        uint32_t i;

        atomic_fetch_add(&l->n_requests, 1);
        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                nipc_lookup_builder_add_status(builder, key, key_size,
                                               request->class_->status_oversized);
        }
        return 0;
}

/* The limit of requests is not used up by doubt: in the end the provider is believed. */
static void check_all_oversized(uint32_t max_calls, unsigned n_requests)
{
        struct nipc_client_config config;
        struct nipc_lookup_view view;
        uint32_t i;

        config = util_lookup_client_config(&lookup);
        config.max_lookup_calls = max_calls;
        client = util_lookup_client(&config);
        tap_require(client);
        tap_require(!util_lookup_ask(&lookup, client, 0, N_KEYS, &view));
        tap_eq_uint(view.item_count, N_KEYS);
        for (i = 0; i < N_KEYS; i++)
                tap_check(util_lookup_is_oversized(&lookup, &view, i, i));
        tap_eq_uint(count_requests(), n_requests);
        client = nipc_client_free(client);
}

static void test_all_oversized(void)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = say_oversized,
                .userdata = &lookup,
        };

        util_lookup_init(&lookup, "oversized", true);
        lookup.config.initial_response_bytes = lookup.config.max_response_bytes = 16384;
        tap_require(!nipc_server_new_apps_lookup(&lookup.config, &handler, &lookup.server));
        tap_require(!nipc_server_start(lookup.server));
        /* One of all keys; each alone; the first of these again after reconnecting in vain. */
        check_all_oversized(0, 1 + N_KEYS + 1);
        check_all_oversized(10, 1 + 5 + 1);
        check_all_oversized(1, 1);
        util_lookup_stop(&lookup);
}

/* ---- the limits of a lookup ---- */

static void check_refused(struct nipc_client_config *config, uint32_t n_keys, const char *rule)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view = {0};

        client = util_lookup_client(config);
        tap_require(client);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys - 1, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, n_keys - 1));
        view = (struct nipc_lookup_view){0};
        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys, &view), -EMSGSIZE);
        tap_eq_ptr(view.class_, NULL);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, -EMSGSIZE);
        tap_eq_int(failure.fault.error, NIPC_PROTO_E_LIMIT_EXCEEDED);
        tap_check(failure.fault.rule && strstr(failure.fault.rule, rule));
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, n_keys - 1, &view), 0);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, 0);
        client = nipc_client_free(client);
}

static void test_lookup_limits(void)
{
        struct nipc_client_config config;

        util_lookup_init(&lookup, "ceilings", true);
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        config.max_lookup_keys = 100;
        check_refused(&config, 101, "max_lookup_keys");
        config.max_lookup_keys = 0;
        config.max_request_bytes = 1024; /* 63 PIDs */
        config.max_lookup_calls = 3;
        check_refused(&config, 3 * 63 + 1, "max_lookup_calls");
        config.max_lookup_calls = 0;
        /* "comm-9" and so on: 8 + 88 bytes each while numbers have one digit. */
        config.max_lookup_bytes = 16 + 7 * 88;
        check_refused(&config, 8, "max_lookup_bytes");
        config.max_request_bytes = 16 + 2 * 16; /* the same, of several responses */
        check_refused(&config, 8, "max_lookup_bytes");
        util_lookup_stop(&lookup);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_budgets), TAP_CASE(test_falsely_oversized), TAP_CASE(test_truly_oversized),
         TAP_CASE(test_growth), TAP_CASE(test_growth_and_generation), TAP_CASE(test_all_oversized),
         TAP_CASE(test_lookup_limits), TAP_CASE(test_leaks_nothing))
