/* SPDX-License-Identifier: MIT */

/* Providers that answer lookups wrongly, or oddly, and what the client makes of it. */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        STEP_SIZE = 4, /* items in an answer that is cut */
};

enum mode {
        GOOD,
        MORE_ITEMS,
        FEWER_ITEMS,
        WRONG_KEY,
        SWAPPED,
        EXCEEDED_FIRST,
        EXCEEDED_THEN_UNKNOWN,
        EXCEEDED_WRONG_KEY,
        UNKNOWN_STATUS,
        NEW_GENERATION, /* with each answer, which are cut */
        TRUNCATED,
        EMPTY,
        STEPS,       /* every answer is cut */
        OVERSIZED,   /* the second item of an answer to several keys */
        SELDOM_MANY, /* more than 10 keys: LIMIT_EXCEEDED */
        NEVER,       /* LIMIT_EXCEEDED */
        NO_SECOND,   /* INTERNAL_ERROR for the second request and after */
};

static enum mode mode;
static atomic_uint n_requests;
static struct nipc_server *server;
static struct nipc_client *client;

static uint16_t status_of(const struct nipc_lookup_class *class_, uint32_t i, uint32_t n)
{
        switch (mode) {
        case EXCEEDED_FIRST:
                return class_->status_exceeded;
        case EXCEEDED_THEN_UNKNOWN:
                return i == 1 ? class_->status_exceeded : 1;
        case EXCEEDED_WRONG_KEY:
                return i ? class_->status_exceeded : 1;
        case NEW_GENERATION:
        case STEPS:
                return i < STEP_SIZE ? 1 : class_->status_exceeded;
        case OVERSIZED:
                return i == 1 && n > 1 ? class_->status_oversized : 1;
        default:
                return 1; /* UNKNOWN, UNKNOWN_RETRY_LATER */
        }
}

/* Which key item i pretends to answer. */
static uint32_t key_of(uint32_t i, uint32_t n)
{
        if (mode == SWAPPED && n > 1)
                return i == 0 ? 1 : i == 1 ? 0 : i;
        if ((mode == WRONG_KEY || mode == EXCEEDED_WRONG_KEY) && i + 1 == n)
                return 0;
        return i;
}

static void fill(struct nipc_lookup_builder *builder,
                 const struct nipc_lookup_request_view *request, uint32_t n_items)
{
        const uint32_t n = request->item_count;
        const void *key;
        size_t key_size;
        uint32_t i;

        for (i = 0; i < n_items; i++) {
                key = nipc_lookup_request_view_get(request, key_of(i < n ? i : n - 1, n),
                                                   &key_size);
                nipc_lookup_builder_add_status(builder, key, key_size,
                                               status_of(request->class_, i, n));
        }
        nipc_lookup_builder_set_generation(builder,
                                           mode == NEW_GENERATION ? atomic_load(&n_requests) : 7);
}

/* The last item says what no method knows. */
static void break_status(uint8_t *response, uint32_t n_items)
{
        uint8_t *packed = response + NIPC_LOOKUP_HEADER_SIZE + 8 * (size_t)n_items;

        nipc_store_u16(packed + nipc_load_u32(packed - 8) + NIPC_LOOKUP_STATUS_OFFSET, 9);
}

/* userdata: the class. */
static int answer(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        uint32_t n_items;
        unsigned n;
        int r;

        n = atomic_fetch_add(&n_requests, 1) + 1;
        r = nipc_lookup_request_view_init(&view, userdata, request->payload, request->payload_size,
                                          NULL);
        if (r)
                return r;
        if (mode == NEVER || (mode == SELDOM_MANY && view.item_count > 10))
                return NIPC_PROTO_E_OVERFLOW;
        if (mode == NO_SECOND && n > 1)
                return -EIO;
        n_items = view.item_count + (mode == MORE_ITEMS) - (mode == FEWER_ITEMS);
        nipc_lookup_builder_init_unasked(&builder, userdata, response, capacity, n_items);
        fill(&builder, &view, n_items);
        r = nipc_lookup_builder_finish(&builder, ret_size);
        if (mode == TRUNCATED)
                --*ret_size;
        else if (mode == EMPTY)
                *ret_size = 0;
        else if (mode == UNKNOWN_STATUS && n_items)
                break_status(response, n_items);
        return r;
}

static bool open_provider(bool is_apps)
{
        const struct nipc_lookup_class *class_ =
                is_apps ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
        union {
                const struct nipc_lookup_class *class_;
                void *userdata;
        } context = {.class_ = class_};
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = class_->method,
                .handle = answer,
                .userdata = context.userdata,
        };
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;

        server_config.run_dir = client_config.run_dir = util_run_dir();
        server_config.service = client_config.service = "answers";
        server_config.n_workers = 1;
        server_config.max_request_bytes = 65536;
        server_config.max_response_bytes = 65536;
        client_config.max_request_bytes = 65536;
        if (nipc_server_new(&server_config, &handler, &server) < 0 || nipc_server_start(server) < 0)
                return false;
        client = util_lookup_client(&client_config);
        return client != NULL;
}

static void close_provider(void)
{
        client = nipc_client_free(client);
        server = nipc_server_free(server);
}

static int ask(bool is_apps, enum mode how, uint32_t n_keys, struct nipc_lookup_view *ret_view)
{
        const struct util_lookup lookup = {.is_apps = is_apps};

        mode = how;
        atomic_store(&n_requests, 0);
        return util_lookup_ask(&lookup, client, 0, n_keys, ret_view);
}

/* Whether all keys were answered, with the status 1. */
static bool is_good(bool is_apps, const struct nipc_lookup_view *view, uint32_t n_keys)
{
        char path[32];
        uint32_t i, pid[2] = {0, 0};
        bool good = view->item_count == n_keys;

        for (i = 0; good && i < n_keys; i++) {
                struct nipc_lookup_item item = nipc_lookup_view_get(view, i);

                pid[0] = i;
                snprintf(path, sizeof(path), "/k/%u", (unsigned)i);
                good = nipc_lookup_item_is_for(view->class_, item,
                                               is_apps ? (const void *)pid : path,
                                               is_apps ? sizeof(pid) : strlen(path)) &&
                       nipc_lookup_item_get_status(item) == 1;
        }
        return good;
}

/* Refused for a reason; the session is as good as before. */
static void check_bad(bool is_apps, enum mode how, int error, const char *rule)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view = {0};

        if (!tap_eq_int(ask(is_apps, how, 9, &view), error))
                tap_note("mode %d", (int)how);
        tap_eq_ptr(view.class_, NULL);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, error);
        tap_eq_str(failure.step, "decode");
        tap_check(failure.fault.error > 0);
        if (!tap_check(failure.fault.rule && strstr(failure.fault.rule, rule)))
                tap_note("mode %d: %s", (int)how, failure.fault.rule);
        tap_eq_uint(atomic_load(&n_requests), how == NEW_GENERATION ? 2 : 1);
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(ask(is_apps, GOOD, 9, &view), 0);
        tap_check(is_good(is_apps, &view, 9));
}

static void check_all_bad(bool is_apps)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        tap_require(open_provider(is_apps));
        check_bad(is_apps, MORE_ITEMS, -EBADMSG, "as many items");
        check_bad(is_apps, FEWER_ITEMS, -EBADMSG, "as many items");
        check_bad(is_apps, WRONG_KEY, -EBADMSG, "repeat its key");
        check_bad(is_apps, SWAPPED, -EBADMSG, "repeat its key");
        check_bad(is_apps, EXCEEDED_FIRST, -EMSGSIZE, "first item");
        check_bad(is_apps, EXCEEDED_THEN_UNKNOWN, -EBADMSG, "left out");
        check_bad(is_apps, EXCEEDED_WRONG_KEY, -EBADMSG, "repeat its key");
        check_bad(is_apps, UNKNOWN_STATUS, -EBADMSG, "");
        check_bad(is_apps, NEW_GENERATION, -EBADMSG, "generation");
        check_bad(is_apps, TRUNCATED, -EBADMSG, "");
        check_bad(is_apps, EMPTY, -EBADMSG, "header");
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_errors, 0);
        tap_eq_uint(status.n_reconnects, 0);
        close_provider();
}

static void test_bad_answers(void)
{
        check_all_bad(false);
        check_all_bad(true);
}

static void test_cut_answers(void)
{
        struct nipc_lookup_view view;

        tap_require(open_provider(true));
        tap_eq_int(ask(true, STEPS, 41, &view), 0);
        tap_check(is_good(true, &view, 41));
        tap_eq_uint(view.generation, 7);
        tap_eq_uint(atomic_load(&n_requests), (41 + STEP_SIZE - 1) / STEP_SIZE);
        close_provider();
}

/* Handlers may call any item oversized; it is asked for alone before that is believed. */
static void test_oversized_in_the_middle(void)
{
        struct nipc_lookup_view view;

        tap_require(open_provider(false));
        tap_eq_int(ask(false, OVERSIZED, 5, &view), 0);
        tap_check(is_good(false, &view, 5));
        tap_eq_uint(atomic_load(&n_requests), 2);
        close_provider();
}

/* A provider that takes only a few keys at once gets only a few. */
static void test_too_many_at_once(void)
{
        struct nipc_lookup_view view;

        tap_require(open_provider(true));
        tap_eq_int(ask(true, SELDOM_MANY, 37, &view), 0);
        tap_check(is_good(true, &view, 37));
        tap_check(nipc_client_is_ready(client));
        close_provider();
}

static void test_never(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view;

        tap_require(open_provider(true));
        tap_eq_int(ask(true, NEVER, 37, &view), -EMSGSIZE);
        nipc_client_get_failure(client, &failure);
        tap_eq_uint(failure.transport_status, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        nipc_client_refresh(client);
        tap_eq_int(ask(true, GOOD, 37, &view), 0);
        tap_check(is_good(true, &view, 37));
        close_provider();
}

/* What ends a call ends the lookup, in whatever request. */
static void test_failure_in_the_middle(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view;

        tap_require(open_provider(true));
        tap_eq_int(ask(true, NO_SECOND, 5000, &view), -EREMOTEIO);
        nipc_client_get_failure(client, &failure);
        tap_eq_uint(failure.transport_status, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        tap_eq_uint(atomic_load(&n_requests), 3);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        close_provider();
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_bad_answers), TAP_CASE(test_cut_answers),
         TAP_CASE(test_oversized_in_the_middle), TAP_CASE(test_too_many_at_once),
         TAP_CASE(test_never), TAP_CASE(test_failure_in_the_middle), TAP_CASE(test_leaks_nothing))
