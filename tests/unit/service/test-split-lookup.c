/* SPDX-License-Identifier: MIT */

/*
 * Large lookups that several workers have a part in are answered byte for byte as by one, whatever
 * the budget cuts off: a server that splits and one that does not get the same requests.
 */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

#define N_MAX 2000u

/* The first splits, the second does not; and a client of each. */
struct pair {
        struct util_lookup lookups[2];
        struct nipc_client *clients[2];
};

static uint32_t uneven_size(uint32_t n)
{
        return n % 7 == 3 ? 20 + n % 90 : 0;
}

/* One key among many has a label larger than any part has room for. */
static uint32_t large_size(uint32_t n)
{
        return n == 50 ? 3000 : 0;
}

static bool pair_start(struct pair *pair, bool is_apps, uint32_t response_bytes,
                       uint32_t (*label_size)(uint32_t n))
{
        struct nipc_client_config config;
        unsigned i;

        for (i = 0; i < 2; i++) {
                struct util_lookup *lookup = &pair->lookups[i];

                util_lookup_init(lookup, i ? "whole" : "split", is_apps);
                lookup->config.n_workers = 3;
                lookup->config.split_items = i ? UINT32_MAX : 2;
                lookup->config.max_response_bytes = response_bytes;
                lookup->config.initial_response_bytes = response_bytes;
                lookup->label_size = label_size;
                if (!util_lookup_start(lookup))
                        return false;
                config = util_lookup_client_config(lookup);
                pair->clients[i] = util_lookup_client(&config);
        }
        return pair->clients[0] && pair->clients[1];
}

static void pair_stop(struct pair *pair)
{
        unsigned i;

        for (i = 0; i < 2; i++) {
                nipc_client_free(pair->clients[i]);
                util_lookup_stop(&pair->lookups[i]);
        }
}

static uint8_t payload[N_MAX * 32];

/* The request for keys 0 to n_keys - 1 to both. What they say must be the same; returns it. */
static int ask_both(struct pair *pair, uint32_t n_keys)
{
        const bool is_apps = pair->lookups[0].is_apps;
        const struct nipc_lookup_class *class_ =
                is_apps ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
        static char paths[N_MAX][16];
        static const char *strings[N_MAX];
        static uint32_t pids[N_MAX];
        struct nipc_lookup_keys keys;
        struct nipc_response responses[2] = {{0}};
        size_t size = 0;
        uint32_t i;
        int r[2];

        for (i = 0; i < n_keys; i++) {
                snprintf(paths[i], sizeof(paths[i]), "/k/%u", i);
                strings[i] = paths[i];
                pids[i] = i;
        }
        keys = is_apps ? nipc_lookup_keys_of_pids(pids, n_keys)
                       : nipc_lookup_keys_of_strings(strings, n_keys);
        tap_eq_int(nipc_lookup_request_encode(class_, &keys, 0, n_keys, payload, sizeof(payload),
                                              &size),
                   0);
        for (i = 0; i < 2; i++) {
                nipc_client_refresh(pair->clients[i]);
                r[i] = nipc_client_call(pair->clients[i], class_->method, payload, size, 0,
                                        &responses[i], NULL);
        }
        tap_eq_int(r[0], r[1]);
        if (!r[0] && !r[1])
                tap_eq_mem(responses[0].payload, responses[0].payload_size, responses[1].payload,
                           responses[1].payload_size);
        return r[0];
}

static void test_lookups_are_as_one(void)
{
        static const uint32_t counts[] = {0, 1, 2, 3, 4, 11, 12, 13, 100, N_MAX};
        struct pair pair;
        unsigned i, is_apps;

        for (is_apps = 0; is_apps < 2; is_apps++) {
                tap_require(pair_start(&pair, is_apps, 1u << 20, uneven_size));
                for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
                        tap_eq_int(ask_both(&pair, counts[i]), 0);
                tap_check(atomic_load(&pair.lookups[0].n_requests) >
                          atomic_load(&pair.lookups[1].n_requests));
                pair_stop(&pair);
        }
}

/* The whole of what a budget can do, from nothing fits to all fits. */
static void test_every_budget(void)
{
        struct pair pair;
        unsigned is_apps;
        uint32_t budget;

        for (is_apps = 0; is_apps < 2; is_apps++)
                for (budget = 1500; budget < 3200; budget += 37) {
                        tap_require(pair_start(&pair, is_apps, budget, uneven_size));
                        ask_both(&pair, 24);
                        pair_stop(&pair);
                }
}

static void test_one_large_item(void)
{
        static const uint32_t budgets[] = {4000, 8000, 12000, 16000, 20000};
        struct pair pair;
        unsigned i;

        for (i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
                tap_require(pair_start(&pair, false, budgets[i], large_size));
                ask_both(&pair, 40);
                ask_both(&pair, 60);
                ask_both(&pair, 120);
                pair_stop(&pair);
        }
}

/* Fails for some keys, in one way or another. */
static int fail_by_key(struct util_lookup *lookup, const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder)
{
        const char *how = lookup->userdata;
        uint32_t i;
        size_t size;

        for (i = 0; i < request->item_count; i++)
                if (!strcmp(nipc_lookup_request_view_get(request, i, &size), "/k/17"))
                        break;
        if (i == request->item_count)
                return 0;
        if (*how == 'n')
                return -EIO;
        if (*how == 'o')
                return NIPC_PROTO_E_OVERFLOW;
        /* An item for another key. */
        return nipc_lookup_builder_add_status(builder, "/other", 6, 1) ? 0 : -EIO;
}

static void test_handlers_that_fail(void)
{
        static char how[] = "nox";
        struct pair pair;
        unsigned i, j;

        for (i = 0; i < 3; i++) {
                tap_require(pair_start(&pair, false, 1u << 16, NULL));
                for (j = 0; j < 2; j++) {
                        pair.lookups[j].userdata = &how[i];
                        pair.lookups[j].before = fail_by_key;
                }
                tap_check(ask_both(&pair, 40) < 0);
                pair_stop(&pair);
        }
}

/* Each call of the handler says another generation: those of the parts cannot agree. */
static int next_generation(struct util_lookup *lookup,
                           const struct nipc_lookup_request_view *request,
                           struct nipc_lookup_builder *builder)
{
        atomic_fetch_add(&lookup->generation, 1);
        return 0;
}

static void test_generations_that_differ(void)
{
        struct nipc_lookup_view view;
        struct pair pair;
        unsigned i, n;

        tap_require(pair_start(&pair, false, 1u << 16, NULL));
        pair.lookups[0].before = next_generation;
        for (i = 0; i < 40; i++) {
                tap_eq_int(util_lookup_ask(&pair.lookups[0], pair.clients[0], 0, 40, &view), 0);
                tap_check(util_lookup_is_all(&pair.lookups[0], &view, 0, 40));
        }
        /* Ever fewer of them are split: not 40 times all parts, and the whole once more. */
        n = atomic_load(&pair.lookups[0].n_requests);
        tap_note("%u calls of the handler", n);
        tap_check(n < 40 * 13 / 3);
        pair_stop(&pair);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_lookups_are_as_one), TAP_CASE(test_every_budget),
         TAP_CASE(test_one_large_item), TAP_CASE(test_handlers_that_fail),
         TAP_CASE(test_generations_that_differ), TAP_CASE(test_leaks_nothing))
