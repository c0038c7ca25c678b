/* SPDX-License-Identifier: MIT */

/* Batches, as the client sees them: what it sends, and which answers it takes. */

#include <errno.h>
#include <nipc/batch.h>
#include <nipc/increment.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

static void test_increments(void)
{
        uint64_t values[64];
        struct nipc_client *client;
        struct util_script script;
        uint32_t n, i;

        util_script_init(&script, "batch");
        tap_require(util_script_start(&script));
        client = util_client("batch");
        for (n = 1; n <= 64; n += 21) {
                for (i = 0; i < n; i++)
                        values[i] = i * 1000;
                tap_eq_int(nipc_client_increment_batch(client, values, n, 0, values), 0);
                for (i = 0; i < n; i++)
                        tap_eq_uint(values[i], i * 1000 + 1);
        }
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_connects), 1);
}

static void test_too_many_items(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        uint64_t values[65] = {0};
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "many");
        tap_require(util_script_start(&script));
        client = util_client("many");
        tap_eq_int(nipc_client_increment_batch(client, values, 65, 0, values), -EMSGSIZE);
        nipc_client_get_failure(client, &failure);
        tap_check(failure.fault.rule && strstr(failure.fault.rule, "max_batch_items"));
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(nipc_client_increment_batch(client, values, 0, 0, values), -EINVAL);
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_requests), 0);
}

static void test_raw_batch(void)
{
        struct nipc_batch_builder builder;
        struct nipc_batch_view view;
        struct nipc_response response;
        struct nipc_client *client;
        struct util_script script;
        uint8_t buf[64], item[8];
        uint16_t status = 99;
        size_t size;

        util_script_init(&script, "raw");
        tap_require(util_script_start(&script));
        client = util_client("raw");
        nipc_batch_builder_init(&builder, buf, sizeof(buf), 1);
        nipc_increment_encode(41, item);
        nipc_batch_builder_add(&builder, item, sizeof(item));
        nipc_batch_builder_finish(&builder, &size);
        tap_eq_int(nipc_client_call_batch(client, NIPC_METHOD_INCREMENT, buf, size, 1, 0, &response,
                                          &status),
                   0);
        tap_eq_uint(status, 0);
        tap_eq_uint(response.item_count, 1);
        tap_eq_int(nipc_batch_view_init(&view, response.payload, response.payload_size, 1, NULL),
                   0);
        /* A directory that does not hold is not sent. */
        tap_eq_int(nipc_client_call_batch(client, NIPC_METHOD_INCREMENT, buf, 4, 1, 0, &response,
                                          NULL),
                   -EINVAL);
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_requests), 1);
}

/* Answers that are no answer to a batch of two: which one is off is the script's userdata. */
static int answer_off(struct util_script *script, struct nipc_session *session,
                      const struct nipc_message *request)
{
        const char *what = script->userdata;
        struct nipc_header header = request->header;
        size_t size = request->payload_size;

        header.kind = NIPC_KIND_RESPONSE;
        if (!strcmp(what, "flags")) {
                header.flags = 0;
        } else if (!strcmp(what, "count")) {
                header.item_count = 1;
        } else if (!strcmp(what, "directory")) {
                size = 12;
        } else { /* a reference server's error: BATCH, the count, no payload (§7.1) */
                header.transport_status = NIPC_TRANSPORT_STATUS_INTERNAL_ERROR;
                size = 0;
        }
        nipc_session_send(session, &header, request->payload, size, nipc_deadline_after_ms(10000));
        return 0;
}

static void test_answers_that_are_off(void)
{
        static char whats[][12] = {"flags", "count", "directory", "reference"};
        uint64_t values[2], results[2];
        struct nipc_client *client;
        struct util_script script;
        size_t i;

        for (i = 0; i < 4; i++) {
                util_script_init(&script, "off");
                script.answer = answer_off;
                script.userdata = whats[i];
                tap_require(util_script_start(&script));
                client = util_client("off");
                values[0] = values[1] = results[0] = results[1] = 7;
                tap_eq_int(nipc_client_increment_batch(client, values, 2, 0, results), -EBADMSG);
                tap_eq_uint(results[0], 7);
                nipc_client_free(client);
                util_script_stop(&script);
                tap_eq_uint(atomic_load(&script.n_requests), 2);
        }
}

/* Sessions leave the directory of a batch of one alone: the client looks at it. */
static void test_directory_of_one(void)
{
        static char what[] = "directory"; /* 12 bytes: an item of eight does not fit */
        uint64_t value = 7;
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "one");
        script.answer = answer_off;
        script.userdata = what;
        tap_require(util_script_start(&script));
        client = util_client("one");
        tap_eq_int(nipc_client_increment_batch(client, &value, 1, 0, &value), -EBADMSG);
        tap_eq_uint(value, 7);
        nipc_client_free(client);
        util_script_stop(&script);
}

/* The error answer that servers give for a failing item: one status, no batch. */
static int answer_error(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        util_reply(session, request, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR, NULL, 0);
        return 0;
}

static void test_error_answer(void)
{
        uint64_t values[2] = {1, 2};
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "error");
        script.answer = answer_error;
        tap_require(util_script_start(&script));
        client = util_client("error");
        tap_eq_int(nipc_client_increment_batch(client, values, 2, 0, values), -EREMOTEIO);
        nipc_client_free(client);
        util_script_stop(&script);
}

/* The second item is cut short once: the retry must send the numbers as they were. */
static int answer_short_once(struct util_script *script, struct nipc_session *session,
                             const struct nipc_message *request)
{
        uint8_t buf[32];
        struct nipc_batch_builder builder;
        size_t size;

        if (atomic_load(&script->n_requests) > 1)
                return util_answer_increment(script, session, request);
        nipc_batch_builder_init(&builder, buf, sizeof(buf), 2);
        nipc_batch_builder_add(&builder, "12345678", 8);
        nipc_batch_builder_add(&builder, "1234", 4);
        nipc_batch_builder_finish(&builder, &size);
        util_reply(session, request, 0, buf, size);
        return 0;
}

static void test_retry_sends_the_same_numbers(void)
{
        uint64_t values[2] = {10, 20};
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, "same");
        script.answer = answer_short_once;
        tap_require(util_script_start(&script));
        client = util_client("same");
        tap_eq_int(nipc_client_increment_batch(client, values, 2, 0, values), 0);
        tap_eq_uint(values[0], 11);
        tap_eq_uint(values[1], 21);
        nipc_client_free(client);
        util_script_stop(&script);
        tap_eq_uint(atomic_load(&script.n_requests), 2);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_increments), TAP_CASE(test_too_many_items), TAP_CASE(test_raw_batch),
         TAP_CASE(test_answers_that_are_off), TAP_CASE(test_directory_of_one),
         TAP_CASE(test_error_answer), TAP_CASE(test_retry_sends_the_same_numbers),
         TAP_CASE(test_leaks_nothing))
