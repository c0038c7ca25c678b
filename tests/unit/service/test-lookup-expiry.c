/* SPDX-License-Identifier: MIT */

/*
 * Limits that were refused are tried for again after a while: a provider may have another
 * configuration by then. The clock of client and server is moved on by the test.
 */

#include <nipc/cgroups-lookup.h>
#include <nipc/clock.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

uint64_t __real_nipc_clock_now_ns(void);
uint64_t __wrap_nipc_clock_now_ns(void);
uint64_t __wrap_nipc_deadline_after_ms(uint32_t ms);

static atomic_ullong ahead_ns;

uint64_t __wrap_nipc_clock_now_ns(void)
{
        return __real_nipc_clock_now_ns() + atomic_load(&ahead_ns);
}

uint64_t __wrap_nipc_deadline_after_ms(uint32_t ms)
{
        return __wrap_nipc_clock_now_ns() + UINT64_C(1000000) * ms;
}

static struct util_lookup lookup;

static uint32_t all_are_5000(uint32_t n)
{
        (void)n;
        return 5000;
}

static uint64_t count_reconnects(const struct nipc_client *client)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        nipc_client_get_status(client, &status);
        return status.n_reconnects;
}

static void test_response(void)
{
        struct nipc_client_config config;
        struct nipc_lookup_view view;
        struct nipc_client *client;
        unsigned i;

        util_lookup_init(&lookup, "expiry", true);
        lookup.config.initial_response_bytes = lookup.config.max_response_bytes = 4096;
        lookup.label_size = all_are_5000;
        tap_require(util_lookup_start(&lookup));
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        tap_require(client);
        for (i = 0; i < 6; i++) {
                tap_eq_int(util_lookup_ask(&lookup, client, 0, 1, &view), 0);
                tap_check(util_lookup_is_oversized(&lookup, &view, 0, 0));
                tap_eq_uint(count_reconnects(client), i / 2 + 1);
                if (i % 2)
                        atomic_fetch_add(&ahead_ns, 61 * UINT64_C(1000000000));
        }
        nipc_client_free(client);
        util_lookup_stop(&lookup);
}

TAP_MAIN(TAP_CASE(test_response))
