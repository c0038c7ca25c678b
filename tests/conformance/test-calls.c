/* SPDX-License-Identifier: MIT */

/*
 * nipc_session_call() at full speed, where planes take short ways, and whatever may come in the
 * place of a plain answer then. The server is a thread; what it does is in the request's code.
 */

#include "util-conformance.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Calls in a row until whoever learns from them has learnt. */
#define N_WARM 500

enum {
        ECHO = 1,
        ANSWER_STATUS,
        ANSWER_RESERVED_FLAGS,
        ANSWER_BATCH_OF_ONE,
        ANSWER_OTHER_CODE,
        ANSWER_LARGE,
        ANSWER_NO_ITEM,
        ANSWER_REQUEST,
        ANSWER_OTHER_ID,
        ANSWER_LATE,
        N_CODES,
};

static const uint8_t large[300] = {1, 2, 3};

/* What ANSWER_LATE waits for. */
static atomic_bool is_late_enough;

static int answer(struct nipc_session *session, const struct nipc_message *message)
{
        struct nipc_header header = make_response(message->header.message_id);
        const void *payload = message->payload;
        size_t size = message->payload_size;

        header.code = message->header.code;
        switch (message->header.code) {
        case ANSWER_STATUS:
                header.transport_status = NIPC_TRANSPORT_STATUS_INTERNAL_ERROR;
                size = 0;
                break;
        case ANSWER_RESERVED_FLAGS:
                header.flags = 0x8000;
                break;
        case ANSWER_BATCH_OF_ONE:
                header.flags = NIPC_FLAG_BATCH;
                break;
        case ANSWER_OTHER_CODE:
                header.code = ECHO;
                break;
        case ANSWER_LARGE:
                payload = large;
                size = sizeof(large);
                break;
        case ANSWER_NO_ITEM:
                header.item_count = 0;
                break;
        case ANSWER_REQUEST:
                header.kind = NIPC_KIND_REQUEST;
                break;
        case ANSWER_OTHER_ID:
                header.message_id++;
                break;
        case ANSWER_LATE:
                while (!atomic_load(&is_late_enough))
                        sched_yield();
                break;
        }
        return nipc_session_send(session, &header, payload, size, util_soon());
}

static void *serve(void *userdata)
{
        struct nipc_session *session = userdata;
        struct nipc_message message;
        intptr_t r;

        do {
                r = nipc_session_receive(session, util_soon(), &message);
                if (r == 0)
                        r = answer(session, &message);
        } while (r == 0);
        return (void *)r;
}

struct server {
        struct pair pair;
        pthread_t thread;
        uint64_t id;
};

static void start(struct server *server)
{
        struct pair_config config;

        *server = (struct server){.id = 1};
        atomic_store(&is_late_enough, false);
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&server->pair, &config));
        tap_require(pthread_create(&server->thread, NULL, serve, server->pair.server) == 0);
}

static void stop(struct server *server)
{
        void *result;

        server->pair.client = nipc_session_close(server->pair.client);
        pthread_join(server->thread, &result);
        util_eq_error((int)(intptr_t)result, -ECONNRESET);
        pair_close(&server->pair);
}

static int call(struct server *server, uint16_t code, size_t size, struct nipc_message *ret_message)
{
        struct nipc_header header = make_request(++server->id);
        uint8_t payload[64];

        pattern_fill(payload, size, server->id);
        header.code = code;
        return nipc_session_call(server->pair.client, &header, payload, size, util_soon(),
                                 ret_message);
}

/* Returns whether it was answered by what it said. */
static bool call_echo(struct server *server, size_t size)
{
        struct nipc_message message = {0};
        int r = call(server, ECHO, size, &message);

        if (r != 0 || message.header.kind != NIPC_KIND_RESPONSE || message.header.flags ||
            message.header.code != ECHO || message.header.transport_status ||
            message.header.payload_len != size || message.header.item_count != 1 ||
            message.header.message_id != server->id || message.payload_size != size)
                return tap_fail("size %zu: %d, kind %d, id %llu of %llu", size, r,
                                message.header.kind, (unsigned long long)message.header.message_id,
                                (unsigned long long)server->id);
        return pattern_check(message.payload, size, server->id) &&
               tap_eq_uint(nipc_session_get_in_flight(server->pair.client), 0);
}

static bool warm_up(struct server *server)
{
        for (int i = 0; i < N_WARM; i++)
                if (!call_echo(server, 8))
                        return false;
        return true;
}

/* Around what one cache line carries, up and down, and so often that rings go round. */
static void test_sizes(void)
{
        struct server server;
        bool good;

        start(&server);
        good = warm_up(&server);
        for (int i = 0; good && i < 100; i++)
                for (size_t size = 0; good && size <= sizeof(uint64_t) * 8; size++)
                        good = call_echo(&server, i % 2 ? size : sizeof(uint64_t) * 8 - size);
        stop(&server);
}

/* None of them is an error of the session: the caller has to look at what came. */
static void test_other_answers(void)
{
        static const struct {
                uint16_t code;
                struct nipc_header expected; /* but for the id */
        } cases[] = {
                {ANSWER_STATUS, {2, 0, ANSWER_STATUS, 6, 0, 1, 0}},
                {ANSWER_RESERVED_FLAGS, {2, 0x8000, ANSWER_RESERVED_FLAGS, 0, 8, 1, 0}},
                {ANSWER_BATCH_OF_ONE, {2, 1, ANSWER_BATCH_OF_ONE, 0, 8, 1, 0}},
                {ANSWER_OTHER_CODE, {2, 0, ECHO, 0, 8, 1, 0}},
                {ANSWER_LARGE, {2, 0, ANSWER_LARGE, 0, sizeof(large), 1, 0}},
                {ANSWER_NO_ITEM, {2, 0, ANSWER_NO_ITEM, 0, 8, 0, 0}},
        };
        struct nipc_message message;
        struct nipc_header expected;
        struct server server;

        start(&server);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                tap_note("code %d", cases[i].code);
                if (!warm_up(&server))
                        break;
                message = (struct nipc_message){0};
                util_eq_error(call(&server, cases[i].code, 8, &message), 0);
                expected = cases[i].expected;
                expected.message_id = server.id;
                tap_check(memcmp(&message.header, &expected, sizeof(expected)) == 0);
                tap_eq_uint(message.payload_size, expected.payload_len);
                if (cases[i].code == ANSWER_LARGE)
                        tap_check(memcmp(message.payload, large, sizeof(large)) == 0);
                else
                        pattern_check(message.payload, expected.payload_len, server.id);
                tap_eq_uint(nipc_session_get_in_flight(server.pair.client), 0);
        }
        stop(&server);
}

/* What is no response is handed over as it is; the request still waits for its own. */
static void test_request_as_answer(void)
{
        struct nipc_message message = {0};
        struct server server;

        start(&server);
        if (warm_up(&server)) {
                util_eq_error(call(&server, ANSWER_REQUEST, 8, &message), 0);
                tap_eq_int(message.header.kind, NIPC_KIND_REQUEST);
                tap_eq_uint(nipc_session_get_in_flight(server.pair.client), 1);
        }
        stop(&server);
}

/* An answer to nobody ends the session, however fast it comes. */
static void test_answer_to_nobody(void)
{
        struct nipc_message message;
        struct server server;

        for (unsigned i = 0; i < 20; i++) {
                start(&server);
                if (warm_up(&server)) {
                        util_eq_error(call(&server, ANSWER_OTHER_ID, 8, &message), -EBADMSG);
                        tap_eq_int(session_fault(server.pair.client).error,
                                   NIPC_PROTO_E_UNKNOWN_MSG_ID);
                        util_eq_error(call(&server, ECHO, 8, &message), -EBADMSG);
                }
                stop(&server);
        }
}

/* One that is not there in time can be received later, and is the answer to what it answers. */
static void test_late_answer(void)
{
        struct nipc_header header = make_request(1000000);
        struct nipc_message message = {0};
        uint8_t payload[8] = {0};
        struct server server;
        int r;

        start(&server);
        if (warm_up(&server)) {
                header.code = ANSWER_LATE;
                util_eq_error(nipc_session_call(server.pair.client, &header, payload,
                                                sizeof(payload), NIPC_DEADLINE_SPIN, &message),
                              -EAGAIN);
                tap_eq_uint(nipc_session_get_in_flight(server.pair.client), 1);
                /* The id is taken, and another one is not. */
                r = nipc_session_call(server.pair.client, &header, payload, sizeof(payload),
                                      NIPC_DEADLINE_NOW, &message);
                tap_check(r == -EEXIST || r == -EBUSY);
                atomic_store(&is_late_enough, true);
                util_eq_error(nipc_session_receive(server.pair.client, util_soon(), &message), 0);
                tap_eq_uint(message.header.message_id, 1000000);
                tap_eq_uint(nipc_session_get_in_flight(server.pair.client), 0);
                tap_check(call_echo(&server, 8));
        }
        stop(&server);
}

/* A payload that was lent does not survive a call, however short its way. */
static void test_loan_ends(void)
{
        struct nipc_header header = make_request(1000000);
        struct server server;
        void *payload;

        start(&server);
        if (warm_up(&server)) {
                util_eq_error(nipc_session_reserve(server.pair.client, 8, &payload), 0);
                tap_check(call_echo(&server, 8));
                util_eq_error(nipc_session_commit(server.pair.client, &header, 8, util_soon()),
                              -EINVAL);
        }
        stop(&server);
}

UTIL_MAIN(TAP_CASE(test_sizes), TAP_CASE(test_other_answers), TAP_CASE(test_request_as_answer),
          TAP_CASE(test_answer_to_nobody), TAP_CASE(test_late_answer), TAP_CASE(test_loan_ends))
