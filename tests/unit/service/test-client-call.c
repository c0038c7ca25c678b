/* SPDX-License-Identifier: MIT */

/*
 * Attempts and retries of a call (client-server §3, §4): how many requests a provider sees, on how
 * many connections, and what the caller hears.
 */

#include <errno.h>
#include <nipc/clock.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

/* What a call came to. */
struct outcome {
        int error;
        uint16_t transport_status;
        enum nipc_client_state state;
        unsigned n_requests;
        unsigned n_connects;
        struct nipc_client_status status;
        struct nipc_client_failure failure;
};

static uint8_t large[2 * 1024 * 1024];

/* One raw call of `size` bytes to a provider that follows the script. */
static struct outcome call(struct util_script *script, size_t size, uint32_t timeout_ms)
{
        struct outcome outcome = {
                .status = NIPC_CLIENT_STATUS_INIT,
                .failure = NIPC_CLIENT_FAILURE_INIT,
        };
        struct nipc_response response;
        struct nipc_client *client;

        if (!util_script_start(script))
                return outcome;
        client = util_client(script->config.service);
        tap_check(nipc_client_is_ready(client));
        outcome.error = nipc_client_call(client, UTIL_CODE, large, size, timeout_ms, &response,
                                         &outcome.transport_status);
        outcome.state = nipc_client_get_state(client);
        nipc_client_get_status(client, &outcome.status);
        nipc_client_get_failure(client, &outcome.failure);
        tap_eq_int(outcome.failure.error, outcome.error);
        nipc_client_free(client);
        util_script_stop(script);
        outcome.n_requests = atomic_load(&script->n_requests);
        outcome.n_connects = atomic_load(&script->n_connects);
        return outcome;
}

static void expect(const struct outcome *outcome, int error, enum nipc_client_state state,
                   unsigned n_requests, unsigned n_connects)
{
        tap_eq_int(outcome->error, error);
        tap_eq_int(outcome->state, state);
        tap_eq_uint(outcome->n_requests, n_requests);
        tap_eq_uint(outcome->n_connects, n_connects);
        tap_eq_uint(outcome->status.n_calls, error == 0);
        tap_eq_uint(outcome->status.n_errors, error != 0);
        tap_eq_uint(outcome->status.n_reconnects, n_connects - 1);
}

static int answer_ok(struct util_script *script, struct nipc_session *session,
                     const struct nipc_message *request)
{
        return util_reply(session, request, 0, "ok", 2);
}

static int answer_status(struct util_script *script, struct nipc_session *session,
                         const struct nipc_message *request)
{
        tap_eq_uint(request->header.message_id, 1);
        util_reply(session, request, *(uint16_t *)script->userdata, NULL, 0);
        return 0;
}

static void test_success(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "call");
        script.answer = answer_ok;
        outcome = call(&script, 10, 0);
        expect(&outcome, 0, NIPC_CLIENT_STATE_READY, 1, 1);
        tap_eq_uint(outcome.transport_status, 0);
}

static void test_message_ids_count_successes(void)
{
        struct nipc_response response;
        struct nipc_client *client;
        struct util_script script;
        unsigned i;

        util_script_init(&script, "ids");
        script.answer = answer_ok;
        tap_require(util_script_start(&script));
        client = util_client("ids");
        for (i = 0; i < 5; i++)
                tap_eq_int(nipc_client_call(client, UTIL_CODE, NULL, 0, 0, &response, NULL), 0);
        tap_eq_mem(response.payload, response.payload_size, "ok", 2);
        tap_eq_uint(response.item_count, 1);
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(script.message_id, 5);
}

/* Everything that is not OK and not about limits: once more, then an error. */
static void test_other_statuses(void)
{
        static const uint16_t statuses[] = {
                NIPC_TRANSPORT_STATUS_BAD_ENVELOPE,
                NIPC_TRANSPORT_STATUS_AUTH_FAILED,
                NIPC_TRANSPORT_STATUS_UNSUPPORTED,
                NIPC_TRANSPORT_STATUS_INTERNAL_ERROR,
                77,
        };
        struct util_script script;
        struct outcome outcome;
        uint16_t status;
        size_t i;

        for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
                status = statuses[i];
                util_script_init(&script, "status");
                script.answer = answer_status;
                script.userdata = &status;
                outcome = call(&script, 10, 0);
                expect(&outcome, -EREMOTEIO, NIPC_CLIENT_STATE_BROKEN, 2, 2);
                tap_eq_uint(outcome.transport_status, status);
                tap_eq_uint(outcome.failure.transport_status, status);
        }
}

static void grow_limits(struct util_script *script)
{
        nipc_listener_set_limits(script->listener, 1024 * 1024,
                                 1024u << (atomic_load(&script->n_connects) + 1));
}

static void test_growing_limits(void)
{
        uint16_t status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "growing");
        script.answer = answer_status;
        script.userdata = &status;
        script.before_accept = grow_limits;
        outcome = call(&script, 10, 0);
        expect(&outcome, -EMSGSIZE, NIPC_CLIENT_STATE_BROKEN, 8, 9);
        tap_check(outcome.failure.fault.rule && strstr(outcome.failure.fault.rule, "max_response"));
}

/* The hint doubles once; then nothing grows any more. */
static void test_fixed_limits(void)
{
        uint16_t status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "fixed");
        script.answer = answer_status;
        script.userdata = &status;
        outcome = call(&script, 10, 0);
        expect(&outcome, -EMSGSIZE, NIPC_CLIENT_STATE_BROKEN, 2, 3);
}

static void test_large_request_grows_the_proposal(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "large");
        script.answer = answer_ok;
        outcome = call(&script, 300000, 0);
        expect(&outcome, 0, NIPC_CLIENT_STATE_READY, 1, 2);
        tap_eq_uint(outcome.status.max_request_bytes, 524288);
}

static void test_hopeless_request_is_not_sent(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "hopeless");
        script.answer = answer_ok;
        outcome = call(&script, sizeof(large), 0);
        expect(&outcome, -EMSGSIZE, NIPC_CLIENT_STATE_READY, 0, 1);
        tap_check(outcome.failure.fault.rule && strstr(outcome.failure.fault.rule, "max_request"));
}

/* Growing was refused: the old proposal takes the client back. */
static void test_refused_growth_is_taken_back(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_response response;
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "small");
        script.config.max_request_payload_bytes = 1024;
        script.answer = answer_ok;
        tap_require(util_script_start(&script));
        client = util_client("small");
        tap_eq_int(nipc_client_call(client, UTIL_CODE, large, 5000, 0, &response, NULL), -EMSGSIZE);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_DISCONNECTED);
        nipc_client_get_failure(client, &failure);
        tap_eq_str(failure.step, "handshake");
        tap_check(failure.fault.rule && strstr(failure.fault.rule, "max_request_bytes"));
        tap_eq_int(nipc_client_refresh(client), 1);
        tap_eq_int(nipc_client_call(client, UTIL_CODE, large, 1000, 0, &response, NULL), 0);
        nipc_client_free(client);
        util_script_stop(&script);
}

static int answer_nothing(struct util_script *script, struct nipc_session *session,
                          const struct nipc_message *request)
{
        return 0;
}

static void test_timeout_is_final(void)
{
        struct util_script script;
        struct outcome outcome;
        uint64_t before = nipc_clock_now_ns();

        util_script_init(&script, "slow");
        script.answer = answer_nothing;
        outcome = call(&script, 10, 100);
        tap_check(nipc_clock_now_ns() - before >= 100000000);
        expect(&outcome, -ETIMEDOUT, NIPC_CLIENT_STATE_BROKEN, 1, 1);
}

static int answer_close(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        return UTIL_CLOSE;
}

static void test_disconnect_twice(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "close");
        script.answer = answer_close;
        outcome = call(&script, 10, 0);
        expect(&outcome, -ECONNRESET, NIPC_CLIENT_STATE_BROKEN, 2, 2);
}

static int answer_close_once(struct util_script *script, struct nipc_session *session,
                             const struct nipc_message *request)
{
        if (atomic_load(&script->n_requests) == 1)
                return UTIL_CLOSE;
        tap_eq_uint(request->header.message_id, 1);
        return answer_ok(script, session, request);
}

static void test_disconnect_once(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "once");
        script.answer = answer_close_once;
        outcome = call(&script, 10, 0);
        expect(&outcome, 0, NIPC_CLIENT_STATE_READY, 2, 2);
}

/* One deadline for the whole call: the handshake of the second connection gets no answer. */
static void test_deadline_covers_reconnects(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "whole");
        script.answer = answer_close;
        script.mute_from = 2;
        outcome = call(&script, 10, 250);
        expect(&outcome, -ETIMEDOUT, NIPC_CLIENT_STATE_BROKEN, 1, 1);
        tap_eq_str(outcome.failure.step, "handshake");
}

static int answer_leave(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        return UTIL_LEAVE;
}

/* Nobody is there to reconnect to, and the deadline is earlier than the last try. */
static void test_deadline_covers_pauses(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "pause");
        script.answer = answer_leave;
        outcome = call(&script, 10, 3);
        tap_eq_int(outcome.error, -ETIMEDOUT);
        tap_eq_int(outcome.state, NIPC_CLIENT_STATE_BROKEN);
}

static void refuse_second(struct util_script *script)
{
        if (atomic_load(&script->n_connects) == 1)
                script->refuse = NIPC_TRANSPORT_STATUS_AUTH_FAILED;
}

static void test_refused_while_reconnecting(void)
{
        struct util_script script;
        struct outcome outcome;

        util_script_init(&script, "refused");
        script.answer = answer_close;
        script.before_accept = refuse_second;
        outcome = call(&script, 10, 0);
        tap_eq_int(outcome.error, -EACCES);
        tap_eq_int(outcome.state, NIPC_CLIENT_STATE_AUTH_FAILED);
        tap_eq_uint(outcome.n_connects, 2);
}

/* A response whose header is not the one of the request. userdata: which field is off. */
static int answer_wrong(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        struct nipc_header header = request->header;
        const char *field = script->userdata;

        header.kind = NIPC_KIND_RESPONSE;
        if (!strcmp(field, "kind"))
                header.kind = NIPC_KIND_CONTROL;
        else if (!strcmp(field, "code"))
                header.code++;
        else if (!strcmp(field, "message_id"))
                header.message_id++;
        nipc_session_send(session, &header, NULL, 0, nipc_deadline_after_ms(10000));
        return 0;
}

static void test_wrong_answers(void)
{
        static char fields[][12] = {"kind", "code", "message_id"};
        struct util_script script;
        struct outcome outcome;
        size_t i;

        for (i = 0; i < 3; i++) {
                util_script_init(&script, "wrong");
                script.answer = answer_wrong;
                script.userdata = fields[i];
                outcome = call(&script, 10, 0);
                expect(&outcome, -EBADMSG, NIPC_CLIENT_STATE_BROKEN, 2, 2);
                tap_check(outcome.failure.fault.rule != NULL);
        }
}

static int refuse_bytes(void *userdata, const void *payload, size_t payload_size,
                        struct nipc_fault *ret_fault)
{
        unsigned *n_decoded = userdata;

        ++*n_decoded;
        *ret_fault = (struct nipc_fault){NIPC_PROTO_E_BAD_LAYOUT, 0, "a test refuses it"};
        return NIPC_PROTO_E_BAD_LAYOUT;
}

static void test_decoding_is_part_of_the_attempt(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client *client;
        struct util_script script;
        unsigned n_decoded = 0;

        util_script_init(&script, "decode");
        script.answer = answer_ok;
        tap_require(util_script_start(&script));
        client = util_client("decode");
        tap_eq_int(nipc_client_call_decoded(client, UTIL_CODE, "x", 1, 0, refuse_bytes, &n_decoded),
                   -EBADMSG);
        tap_eq_uint(n_decoded, 2);
        nipc_client_get_failure(client, &failure);
        tap_eq_str(failure.step, "decode");
        tap_eq_str(failure.fault.rule, "a test refuses it");
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_requests), 2);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_success), TAP_CASE(test_message_ids_count_successes),
         TAP_CASE(test_other_statuses), TAP_CASE(test_growing_limits), TAP_CASE(test_fixed_limits),
         TAP_CASE(test_large_request_grows_the_proposal),
         TAP_CASE(test_hopeless_request_is_not_sent), TAP_CASE(test_refused_growth_is_taken_back),
         TAP_CASE(test_timeout_is_final), TAP_CASE(test_disconnect_twice),
         TAP_CASE(test_disconnect_once), TAP_CASE(test_deadline_covers_reconnects),
         TAP_CASE(test_deadline_covers_pauses), TAP_CASE(test_refused_while_reconnecting),
         TAP_CASE(test_wrong_answers), TAP_CASE(test_decoding_is_part_of_the_attempt),
         TAP_CASE(test_leaks_nothing))
