/* SPDX-License-Identifier: MIT */

/* States and what refresh does in each (client-server §2), status, failure, arguments. */

#include <errno.h>
#include <nipc/clock.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

static void test_starts_disconnected(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_client *client;
        uint64_t value;

        config.run_dir = util_run_dir();
        config.service = "nobody";
        tap_require(nipc_client_new(&config, &client) == 0);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_DISCONNECTED);
        tap_check(!nipc_client_is_ready(client));
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ENOTCONN);
        tap_eq_int(nipc_client_get_status(client, &status), 0);
        tap_eq_uint(status.n_errors, 1);
        tap_eq_int(status.peer_pid, -1);
        nipc_client_free(client);
}

static void test_finds_nobody(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client *client = util_client("nobody");

        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_NOT_FOUND);
        tap_eq_int(nipc_client_refresh(client), 0);
        tap_eq_int(nipc_client_get_failure(client, &failure), 0);
        tap_eq_int(failure.error, -ENOENT);
        tap_eq_str(failure.step, "connect");
        tap_check(failure.os_error == ENOENT);
        nipc_client_free(client);
}

static void test_finds_a_late_provider(void)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_client *client = util_client("late");
        struct util_script script;

        util_script_init(&script, "late");
        tap_require(util_script_start(&script));
        tap_eq_int(nipc_client_refresh(client), 1);
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(nipc_client_refresh(client), 0);
        tap_eq_int(nipc_client_get_status(client, &status), 0);
        tap_eq_uint(status.n_connects, 1);
        tap_eq_uint(status.n_reconnects, 0);
        tap_eq_uint(status.profile, NIPC_PROFILE_BASELINE);
        tap_eq_uint(status.max_request_bytes, 1024);
        tap_eq_uint(status.max_response_bytes, 65536);
        tap_eq_uint(status.max_batch_items, 64);
        tap_check(status.peer_pid > 0);
        nipc_client_free(client);
        util_script_stop(&script);
}

/* What a refused handshake makes of the state, and whether refresh tries again. */
static void check_refusal(uint16_t transport_status, enum nipc_client_state state, int error,
                          unsigned n_connects)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "refuse");
        script.refuse = transport_status;
        tap_require(util_script_start(&script));
        client = util_client("refuse");
        tap_eq_int(nipc_client_get_state(client), state);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, error);
        tap_eq_uint(failure.transport_status, transport_status);
        nipc_client_refresh(client);
        tap_eq_int(nipc_client_get_state(client), state);
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_connects), n_connects);
}

static void test_refusals(void)
{
        check_refusal(NIPC_TRANSPORT_STATUS_AUTH_FAILED, NIPC_CLIENT_STATE_AUTH_FAILED, -EACCES, 1);
        check_refusal(NIPC_TRANSPORT_STATUS_INCOMPATIBLE, NIPC_CLIENT_STATE_INCOMPATIBLE,
                      -EPROTONOSUPPORT, 1);
        check_refusal(NIPC_TRANSPORT_STATUS_UNSUPPORTED, NIPC_CLIENT_STATE_INCOMPATIBLE,
                      -EPROTONOSUPPORT, 1);
        check_refusal(NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED, NIPC_CLIENT_STATE_DISCONNECTED,
                      -EMSGSIZE, 2);
        check_refusal(NIPC_TRANSPORT_STATUS_INTERNAL_ERROR, NIPC_CLIENT_STATE_DISCONNECTED,
                      -ECONNREFUSED, 2);
}

static void test_wrong_token(void)
{
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "token");
        script.config.auth_token = 7;
        tap_require(util_script_start(&script));
        client = util_client("token");
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_AUTH_FAILED);
        nipc_client_free(client);
        util_script_stop(&script);
}

static void test_mute_provider(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client *client;
        struct util_script script;
        uint64_t before;

        util_script_init(&script, "mute");
        script.mute_from = 1;
        tap_require(util_script_start(&script));
        config.run_dir = util_run_dir();
        config.service = "mute";
        config.timeout_ms = 30;
        tap_require(nipc_client_new(&config, &client) == 0);
        before = nipc_clock_now_ns();
        tap_eq_int(nipc_client_refresh(client), 0);
        tap_check(nipc_clock_now_ns() - before >= 30000000);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_DISCONNECTED);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, -ETIMEDOUT);
        tap_eq_str(failure.step, "handshake");
        nipc_client_free(client);
        util_script_stop(&script);
}

/* A provider that went away and came back: BROKEN, then READY by refresh. */
static int answer_leave(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        return UTIL_LEAVE;
}

static void test_comes_back(void)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_client *client;
        struct util_script script;
        uint64_t value = 0;

        util_script_init(&script, "back");
        script.answer = answer_leave;
        tap_require(util_script_start(&script));
        client = util_client("back");
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ECONNRESET);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_NOT_FOUND);
        util_script_stop(&script);
        util_script_init(&script, "back");
        tap_require(util_script_start(&script));
        tap_eq_int(nipc_client_refresh(client), 1);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), 0);
        tap_eq_uint(value, 2);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_connects, 2);
        tap_eq_uint(status.n_calls, 1);
        nipc_client_free(client);
        util_script_stop(&script);
}

static void test_arguments(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct {
                struct nipc_client_config config;
                uint64_t tail;
        } newer = {.config = {sizeof(newer)}};
        struct nipc_client *client = NULL;
        char long_name[300] = {0};

        config.run_dir = util_run_dir();
        tap_eq_int(nipc_client_new(NULL, &client), -EINVAL);
        tap_eq_int(nipc_client_new(&config, NULL), -EINVAL);
        tap_eq_int(nipc_client_new(&config, &client), -EINVAL);
        config.service = "../etc";
        tap_eq_int(nipc_client_new(&config, &client), -EINVAL);
        memset(long_name, 'x', sizeof(long_name) - 1);
        config.service = long_name;
        tap_eq_int(nipc_client_new(&config, &client), -ENAMETOOLONG);
        newer.config.run_dir = util_run_dir();
        newer.config.service = "name";
        newer.tail = 1;
        tap_eq_int(nipc_client_new(&newer.config, &client), -E2BIG);
        tap_check(client == NULL);
        newer.tail = 0;
        tap_eq_int(nipc_client_new(&newer.config, &client), 0);
        tap_check(nipc_client_free(client) == NULL);
        tap_check(nipc_client_free(NULL) == NULL);
}

/* Callers built against another header: what they know is filled, what we do not know is zero. */
static void test_sizes_of_results(void)
{
        struct {
                struct nipc_client_status status;
                uint64_t tail;
        } newer = {.status = {sizeof(newer)}, .tail = 1};
        struct nipc_client_status older = {.size = offsetof(struct nipc_client_status, profile)};
        struct nipc_client *client = util_client("nobody");

        older.n_calls = 99;
        tap_eq_int(nipc_client_get_status(client, &newer.status), 0);
        tap_eq_int(newer.status.state, NIPC_CLIENT_STATE_NOT_FOUND);
        tap_eq_uint(newer.status.size, sizeof(newer));
        tap_eq_uint(newer.tail, 0);
        tap_eq_int(nipc_client_get_status(client, &older), 0);
        tap_eq_int(older.state, NIPC_CLIENT_STATE_NOT_FOUND);
        tap_eq_uint(older.n_calls, 99);
        older.size = 1;
        tap_eq_int(nipc_client_get_status(client, &older), -EINVAL);
        tap_eq_int(nipc_client_get_status(client, NULL), -EINVAL);
        tap_eq_int(nipc_client_get_failure(NULL, NULL), -EINVAL);
        nipc_client_free(client);
}

static void test_names(void)
{
        int i;

        for (i = NIPC_CLIENT_STATE_DISCONNECTED; i <= NIPC_CLIENT_STATE_BROKEN; i++)
                tap_check(strcmp(nipc_client_state_name((enum nipc_client_state)i), "UNKNOWN") !=
                          0);
        tap_eq_str(nipc_client_state_name((enum nipc_client_state)99), "UNKNOWN");
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_starts_disconnected), TAP_CASE(test_finds_nobody),
         TAP_CASE(test_finds_a_late_provider), TAP_CASE(test_refusals), TAP_CASE(test_wrong_token),
         TAP_CASE(test_mute_provider), TAP_CASE(test_comes_back), TAP_CASE(test_arguments),
         TAP_CASE(test_sizes_of_results), TAP_CASE(test_names), TAP_CASE(test_leaks_nothing))
