/* SPDX-License-Identifier: MIT */

/* Keys that are larger than a request may be, and the request without keys (client-server §6). */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        LONG_KEY = 5000,
};

static char long_path[LONG_KEY + 1];
static struct util_lookup lookup;
static struct nipc_client *client;

/* A provider of requests up to max_request bytes, and a client that starts with 1024. */
static bool open_service(bool is_apps, uint32_t max_request, uint32_t proposal)
{
        struct nipc_client_config config;

        memset(long_path, 'x', LONG_KEY);
        memcpy(long_path, "/k/7/", 5);
        util_lookup_init(&lookup, "keys", is_apps);
        lookup.config.max_request_bytes = max_request;
        lookup.config.initial_request_bytes = proposal;
        if (!util_lookup_start(&lookup))
                return false;
        config = util_lookup_client_config(&lookup);
        config.max_request_bytes = proposal;
        client = util_lookup_client(&config);
        return client != NULL;
}

static void close_service(void)
{
        client = nipc_client_free(client);
        util_lookup_stop(&lookup);
}

/* Asks for paths, and says which of them must be oversized ('o') and which known ('k'). */
static void check_paths(const char *const *paths, const char *expected, unsigned n_requests,
                        unsigned n_items)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        const uint32_t n_paths = (uint32_t)strlen(expected);
        struct nipc_lookup_view view;
        struct nipc_lookup_item item;
        uint32_t i;

        atomic_store(&lookup.n_requests, 0);
        atomic_store(&lookup.n_items, 0);
        tap_require(nipc_client_cgroups_lookup(client, paths, n_paths, 0, &view) == 0);
        tap_eq_uint(view.item_count, n_paths);
        tap_eq_uint(view.generation, 7);
        for (i = 0; i < n_paths; i++) {
                item = nipc_lookup_view_get(&view, i);
                tap_check(nipc_lookup_item_is_for(class_, item, paths[i], strlen(paths[i])));
                tap_eq_int(nipc_lookup_item_check(class_, item, NULL), 0);
                tap_eq_uint(nipc_lookup_item_get_status(item),
                            expected[i] == 'o' ? NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM
                                               : NIPC_CGROUPS_LOOKUP_KNOWN);
        }
        tap_eq_uint(atomic_load(&lookup.n_requests), n_requests);
        tap_eq_uint(atomic_load(&lookup.n_items), n_items);
        tap_check(nipc_client_is_ready(client));
}

/* The provider takes no larger requests: the client says so in its place. */
static void check_too_long(uint32_t max_request)
{
        const char *const only[] = {long_path};
        const char *const two[] = {long_path, long_path};
        const char *const first[] = {long_path, "/k/1", "/k/2"};
        const char *const middle[] = {"/k/1", long_path, "/k/2"};
        const char *const last[] = {"/k/1", "/k/2", long_path};

        tap_require(open_service(false, max_request, 1024));
        check_paths(only, "o", 1, 0); /* the request without keys brings the generation */
        check_paths(two, "oo", 1, 0);
        check_paths(first, "okk", 1, 2);
        check_paths(middle, "kok", 2, 2);
        check_paths(last, "kko", 2, 2);
        close_service();
}

static void test_too_long(void)
{
        check_too_long(1024);
        check_too_long(4096);
}

static void test_grows(void)
{
        const char *const paths[] = {"/k/1", long_path, "/k/2"};
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        tap_require(open_service(false, 65536, 1024));
        check_paths(paths, "kkk", 2, 3); /* the rest goes along once the limit has grown */
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.max_request_bytes, 8192);
        tap_eq_uint(status.n_reconnects, 1);
        check_paths(paths, "kkk", 1, 3);
        close_service();
}

/* A provider whose limit lies between what is needed and the next power of two. */
static void test_grows_exactly(void)
{
        const char *const paths[] = {long_path, "/k/1", long_path};
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        tap_require(open_service(false, 6000, 1024));
        check_paths(paths, "kkk", 3, 3);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.max_request_bytes, 16 + 8 + LONG_KEY + 1);
        check_paths(paths, "kkk", 3, 3);
        close_service();
}

/* A refusal is remembered: it costs two connections once, not every time. */
static void test_refused_once(void)
{
        const char *const paths[] = {"/k/1", long_path};
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        uint64_t n_reconnects;

        tap_require(open_service(false, 1024, 1024));
        check_paths(paths, "ko", 2, 1);
        nipc_client_get_status(client, &status);
        n_reconnects = status.n_reconnects;
        check_paths(paths, "ko", 2, 1);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_reconnects, n_reconnects);
        close_service();
}

/* Keys of fixed size have no item that says so. */
static void test_fixed_too_long(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view;

        tap_require(open_service(true, 24, 24));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 2, &view), -EMSGSIZE);
        nipc_client_get_failure(client, &failure);
        tap_check(failure.fault.rule && strstr(failure.fault.rule, "max_request_bytes"));
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 0, &view), 0);
        close_service();
        tap_require(open_service(true, 65536, 24));
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 5, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 5));
        close_service();
}

/* Above what limits grow to by themselves, nothing is tried. */
static void test_huge(void)
{
        enum {
                HUGE_KEY = 2 * 1024 * 1024,
        };
        char *huge = malloc(HUGE_KEY + 1);
        const char *paths[] = {huge, "/k/1"};
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        tap_require(huge && open_service(false, 8 * 1024 * 1024, 1024));
        memset(huge, 'h', HUGE_KEY);
        huge[HUGE_KEY] = 0;
        check_paths(paths, "ok", 1, 1);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_reconnects, 0);
        free(huge);
        close_service();
}

/* Keys that cannot be are found when it is their turn, and cost nothing but the call. */
static void test_bad_keys(void)
{
        const uint32_t bad_pid[][2] = {{1, 0}, {2, 1}};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_array(bad_pid, 8, 2);
        const struct nipc_lookup_keys short_keys = nipc_lookup_keys_of_array(bad_pid, 4, 2);
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view;

        tap_require(open_service(true, 1024, 1024));
        tap_eq_int(nipc_client_lookup(client, nipc_apps_lookup_get_class(), &keys, 0, &view),
                   -EINVAL);
        tap_eq_int(nipc_client_lookup(client, nipc_apps_lookup_get_class(), &short_keys, 0, &view),
                   -EINVAL);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, -EINVAL);
        tap_eq_uint(atomic_load(&lookup.n_requests), 0);
        tap_eq_int(util_lookup_ask(&lookup, client, 0, 20, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, 20));
        close_service();
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_too_long), TAP_CASE(test_grows), TAP_CASE(test_grows_exactly),
         TAP_CASE(test_refused_once), TAP_CASE(test_fixed_too_long), TAP_CASE(test_huge),
         TAP_CASE(test_bad_keys), TAP_CASE(test_leaks_nothing))
