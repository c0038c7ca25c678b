/* SPDX-License-Identifier: MIT */

/* What happens to a lookup between its requests: time passes, it is cancelled, the provider goes.
 */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/clock.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        N_KEYS = 1000,
        KEYS_PER_REQUEST = 63, /* of 1024 bytes */
        SLOW_MS = 5,
        ENOUGH_MS = 500, /* for two requests */
};

static struct util_lookup lookup;
static struct nipc_client *client;

static bool open_service(int (*before)(struct util_lookup *lookup,
                                       const struct nipc_lookup_request_view *request,
                                       struct nipc_lookup_builder *builder))
{
        struct nipc_client_config config;

        util_lookup_init(&lookup, "time", true);
        lookup.config.max_request_bytes = 1024;
        lookup.before = before;
        if (!util_lookup_start(&lookup))
                return false;
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        return client != NULL;
}

static void close_service(void)
{
        client = nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void spend(uint32_t ms)
{
        const uint64_t until = nipc_deadline_after_ms(ms);

        while (nipc_clock_now_ns() < until)
                continue;
}

/* The next lookup is as good as ever. */
static int (*const nothing)(struct util_lookup *lookup,
                            const struct nipc_lookup_request_view *request,
                            struct nipc_lookup_builder *builder);

static void check_next(void)
{
        struct nipc_lookup_view view;

        lookup.before = nothing;
        nipc_client_refresh(client);
        if (tap_eq_int(util_lookup_ask(&lookup, client, 0, N_KEYS, &view), 0))
                tap_check(util_lookup_is_all(&lookup, &view, 0, N_KEYS));
}

/*
 * A list of PIDs that does something when key `at` is looked at for the second time: the first is
 * when it is asked for, the second when its answer is there, and the next request is not.
 */
struct list {
        struct nipc_lookup_keys keys;
        void (*act)(void);
        uint32_t at;
        unsigned n_looks;
};

static struct list list;

static const void *get_pid(const struct nipc_lookup_keys *keys, uint32_t index, void *scratch,
                           size_t *ret_size)
{
        const uint32_t pid[2] = {index, 0};

        if (index == list.at && ++list.n_looks == 2 && list.act)
                list.act();
        memcpy(scratch, pid, sizeof(pid));
        *ret_size = sizeof(pid);
        return scratch;
}

static int ask_list(void (*act)(void), uint32_t at, uint32_t timeout_ms,
                    struct nipc_lookup_view *ret_view)
{
        list = (struct list){.keys = {.n_keys = N_KEYS, .get = get_pid}, .act = act, .at = at};
        return nipc_client_lookup(client, nipc_apps_lookup_get_class(), &list.keys, timeout_ms,
                                  ret_view);
}

/* ---- the deadline ---- */

static int be_slow(struct util_lookup *self, const struct nipc_lookup_request_view *request,
                   struct nipc_lookup_builder *builder)
{
        spend(SLOW_MS);
        return 0;
}

/* One deadline for all requests: each alone would be in time. */
static void test_deadline(void)
{
        const unsigned n_needed = (N_KEYS + KEYS_PER_REQUEST - 1) / KEYS_PER_REQUEST;
        struct nipc_lookup_view view;

        tap_require(open_service(be_slow));
        tap_eq_int(ask_list(NULL, 0, SLOW_MS * n_needed / 2, &view), -ETIMEDOUT);
        tap_check(atomic_load(&lookup.n_requests) < n_needed);
        check_next();
        close_service();
}

static void spend_all(void)
{
        spend(ENOUGH_MS);
}

/* Time that passes between requests counts, and ends no session. */
static void test_deadline_between(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view;

        tap_require(open_service(NULL));
        tap_eq_int(ask_list(spend_all, 2 * KEYS_PER_REQUEST - 1, ENOUGH_MS, &view), -ETIMEDOUT);
        tap_eq_uint(atomic_load(&lookup.n_requests), 2);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, -ETIMEDOUT);
        tap_check(nipc_client_is_ready(client));
        check_next();
        close_service();
}

/* ---- cancelling ---- */

static int cancel_third(struct util_lookup *self, const struct nipc_lookup_request_view *request,
                        struct nipc_lookup_builder *builder)
{
        if (atomic_load(&self->n_requests) == 3)
                nipc_client_cancel(client);
        return 0;
}

static void check_cancelled(void)
{
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        nipc_client_reset_cancel(client);
        check_next();
}

static void test_cancel(void)
{
        struct nipc_lookup_view view;

        tap_require(open_service(cancel_third));
        tap_eq_int(ask_list(NULL, 0, 0, &view), -ECANCELED);
        tap_eq_uint(atomic_load(&lookup.n_requests), 3);
        check_cancelled();
        close_service();
}

static void cancel_client(void)
{
        nipc_client_cancel(client);
}

static void test_cancel_between(void)
{
        struct nipc_lookup_view view;

        tap_require(open_service(NULL));
        tap_eq_int(ask_list(cancel_client, KEYS_PER_REQUEST - 1, 0, &view), -ECANCELED);
        tap_eq_uint(atomic_load(&lookup.n_requests), 1);
        check_cancelled();
        close_service();
}

/* ---- the provider ---- */

static int fail_third(struct util_lookup *self, const struct nipc_lookup_request_view *request,
                      struct nipc_lookup_builder *builder)
{
        return atomic_load(&self->n_requests) == 3 ? -EIO : 0;
}

/* A session that ends in the middle is replaced, and its request sent again. */
static void test_session_lost(void)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_lookup_view view;

        tap_require(open_service(fail_third));
        tap_eq_int(ask_list(NULL, 0, 0, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, N_KEYS));
        tap_eq_uint(atomic_load(&lookup.n_requests), 1 + (N_KEYS - 1) / KEYS_PER_REQUEST + 1);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_reconnects, 1);
        close_service();
}

static void restart(void)
{
        util_lookup_stop(&lookup);
        if (!util_lookup_start(&lookup))
                lookup.server = NULL;
}

static void test_restart(void)
{
        struct nipc_lookup_view view;

        tap_require(open_service(NULL));
        tap_eq_int(ask_list(restart, 2 * KEYS_PER_REQUEST - 1, 0, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, N_KEYS));
        close_service();
}

static void restart_renewed(void)
{
        atomic_fetch_add(&lookup.generation, 1);
        restart();
}

/* The next provider knows something else: no mixture of the two. */
static void test_restart_renewed(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view = {0};

        tap_require(open_service(NULL));
        tap_eq_int(ask_list(restart_renewed, 2 * KEYS_PER_REQUEST - 1, 0, &view), -EBADMSG);
        tap_eq_ptr(view.class_, NULL);
        nipc_client_get_failure(client, &failure);
        tap_check(failure.fault.rule && strstr(failure.fault.rule, "generation"));
        tap_check(nipc_client_is_ready(client));
        check_next();
        close_service();
}

static void stop(void)
{
        util_lookup_stop(&lookup);
}

static void test_provider_gone(void)
{
        struct nipc_lookup_view view = {0};

        tap_require(open_service(NULL));
        tap_eq_int(ask_list(stop, 2 * KEYS_PER_REQUEST - 1, 0, &view), -ECONNRESET);
        tap_eq_ptr(view.class_, NULL);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_NOT_FOUND);
        tap_require(util_lookup_start(&lookup));
        check_next();
        close_service();
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_deadline), TAP_CASE(test_deadline_between), TAP_CASE(test_cancel),
         TAP_CASE(test_cancel_between), TAP_CASE(test_session_lost), TAP_CASE(test_restart),
         TAP_CASE(test_restart_renewed), TAP_CASE(test_provider_gone), TAP_CASE(test_leaks_nothing))
