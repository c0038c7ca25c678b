/* SPDX-License-Identifier: MIT */

/*
 * The peer hangs up, at every stage there is. What it said before is still heard; then it is gone,
 * at once and for good.
 */

#include "util-conformance.h"
#include <unistd.h>

/* Both directions say so, and keep saying it. */
static void check_gone(struct nipc_session *session)
{
        struct nipc_header header = make_response(77);
        struct nipc_message message;
        int r;

        for (unsigned i = 0; i < 2; i++) {
                util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message),
                              -ECONNRESET);
                util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message),
                              -ECONNRESET);
                util_eq_error(nipc_session_send(session, &header, NULL, 0, NIPC_DEADLINE_NEVER),
                              -ECONNRESET);
                r = nipc_session_wait(session, NIPC_DEADLINE_NEVER);
                tap_check(r == 0 || r == -ECONNRESET);
        }
        tap_eq_int(session_failure(session).error, -ECONNRESET);
        tap_eq_uint(nipc_session_get_in_flight(session), 0);
}

static void test_idle(void)
{
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        pair.server = nipc_session_close(pair.server);
        util_eq_error(nipc_session_wait(pair.client, NIPC_DEADLINE_NEVER), 0); /* the end */
        check_gone(pair.client);
        pair_close(&pair);
        tap_require(pair_open(&pair, &config));
        pair.client = nipc_session_close(pair.client);
        check_gone(pair.server);
        pair_close(&pair);
}

/* Whoever speaks first into the void gets an error, and no signal. */
static void test_send_first(void)
{
        struct nipc_header request = make_request(1);
        struct pair_config config;
        struct pair pair;

        for (enum send_way way = 0; way < N_SEND_WAYS; way++)
                for (size_t size = 0; size <= 100000; size += 50000) {
                        pair_config_init_large(&config, 0);
                        tap_require(pair_open(&pair, &config));
                        pair.server = nipc_session_close(pair.server);
                        /* Where v1 peers leave no word of it in memory, it shows a moment later. */
                        util_eq_error(pattern_send(pair.client, &request, size, 1, way,
                                                   NIPC_DEADLINE_NEVER),
                                      conformance_can_pipeline() ? -ECONNRESET : 0);
                        tap_check(!nipc_session_has_pending(pair.client));
                        tap_eq_uint(nipc_session_get_in_flight(pair.client),
                                    !conformance_can_pipeline());
                        check_gone(pair.client);
                        pair_close(&pair);
                }
}

/* A client that asks and leaves at once was heard. */
static void try_ask_and_leave(uint64_t n_requests, size_t size)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        for (uint64_t id = 1; id <= n_requests; id++) {
                struct nipc_header request = make_request(id);

                util_eq_error(pattern_send(pair.client, &request, size, id, SEND_COPY,
                                           NIPC_DEADLINE_NOW),
                              0);
        }
        pair.client = nipc_session_close(pair.client);
        for (uint64_t id = 1; id <= n_requests; id++) {
                util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_NOW), 0);
                if (!util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0))
                        break;
                tap_eq_uint(message.header.message_id, id);
                pattern_check(message.payload, size, id);
        }
        check_gone(pair.server);
        pair_close(&pair);
}

static void test_ask_and_leave(void)
{
        try_ask_and_leave(1, 8);
        if (conformance_can_pipeline())
                try_ask_and_leave(20, 100);
        try_ask_and_leave(1, 80000); /* in packets */
}

/* Answers lie unread in the socket of a client that leaves: its requests are heard all the same. */
static void test_leave_with_unread_answers(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        if (!conformance_can_pipeline())
                tap_skip("one message at a time");
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        for (uint64_t id = 1; id <= 6; id++) {
                struct nipc_header request = make_request(id), response = make_response(id);

                util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), 0);
                if (id > 3)
                        continue;
                util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
                util_eq_error(nipc_session_send(pair.server, &response, NULL, 0, util_soon()), 0);
        }
        pair.client = nipc_session_close(pair.client);
        for (uint64_t id = 4; id <= 6; id++) {
                if (!util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0))
                        break;
                tap_eq_uint(message.header.message_id, id);
        }
        check_gone(pair.server);
        pair_close(&pair);
}

/* The other way round: a server answers, does not read what came after, and goes. */
static void test_answers_before_the_end(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        if (!conformance_can_pipeline())
                tap_skip("one message at a time");
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        for (uint64_t id = 1; id <= 6; id++) {
                struct nipc_header request = make_request(id), response = make_response(id);

                util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), 0);
                if (id > 3)
                        continue;
                util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
                util_eq_error(nipc_session_send(pair.server, &response, NULL, 0, util_soon()), 0);
        }
        pair.server = nipc_session_close(pair.server);
        for (uint64_t id = 1; id <= 3; id++) {
                if (!util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), 0))
                        break;
                tap_eq_uint(message.header.message_id, id);
        }
        check_gone(pair.client);
        pair_close(&pair);
}

/* The one message that there may be is heard, whoever said it. */
static void test_answer_before_the_end(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        for (enum send_way way = 0; way < N_SEND_WAYS; way++) {
                pair_config_init_large(&config, 0);
                tap_require(pair_open(&pair, &config));
                tap_check(transfer(pair.client, pair.server, &request, 10, way));
                util_eq_error(pattern_send(pair.server, &response, 5000, 1, way, NIPC_DEADLINE_NOW),
                              0);
                pair.server = nipc_session_close(pair.server);
                if (util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), 0))
                        pattern_check(message.payload, 5000, 1);
                check_gone(pair.client);
                pair_close(&pair);
        }
}

/* In the middle of a message, in either direction. */
static void test_half_received(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        int r;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        pair_config_init_large(&config, 4096);
        tap_require(pair_open(&pair, &config));
        util_eq_error(pattern_send(pair.client, &request, 1000000, 1, SEND_COPY, NIPC_DEADLINE_NOW),
                      -EAGAIN);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_check(nipc_session_is_receiving(pair.server));
        util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NOW), -EAGAIN);
        pair.client = nipc_session_close(pair.client);
        do
                r = nipc_session_receive(pair.server, NIPC_DEADLINE_NEVER, &message);
        while (r == -EAGAIN);
        util_eq_error(r, -ECONNRESET);
        check_gone(pair.server);
        pair_close(&pair);
}

static void test_half_sent(void)
{
        struct nipc_header request = make_request(1);
        struct pair_config config;
        struct pair pair;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        for (enum send_way way = 0; way < N_SEND_WAYS; way++) {
                pair_config_init_large(&config, 4096);
                tap_require(pair_open(&pair, &config));
                util_eq_error(pattern_send(pair.client, &request, 1000000, 1, way,
                                           NIPC_DEADLINE_NOW),
                              -EAGAIN);
                pair.server = nipc_session_close(pair.server);
                util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NEVER), -ECONNRESET);
                util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NEVER), -ECONNRESET);
                pair_close(&pair);
        }
}

/* Whoever is blocked learns of it then, not at his deadline. */

struct blocked {
        struct nipc_session *session;
        pid_t tid;
        atomic_int is_running;
        bool send;
        int error;
};

static void *blocked_main(void *userdata)
{
        static uint8_t payload[4000000];
        struct nipc_header request = make_request(1);
        struct blocked *blocked = userdata;
        struct nipc_message message;

        blocked->tid = util_gettid();
        atomic_store(&blocked->is_running, 1);
        if (blocked->send)
                blocked->error = nipc_session_send(blocked->session, &request, payload,
                                                   sizeof(payload), NIPC_DEADLINE_NEVER);
        else
                blocked->error =
                        nipc_session_receive(blocked->session, NIPC_DEADLINE_NEVER, &message);
        return NULL;
}

static void try_blocked(bool send)
{
        struct blocked blocked = {.send = send};
        struct pair_config config;
        struct pair pair;
        pthread_t thread;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        blocked.session = pair.client;
        tap_require(pthread_create(&thread, NULL, blocked_main, &blocked) == 0);
        util_waiting_for("a thread to start");
        while (!atomic_load(&blocked.is_running))
                ;
        util_wait_asleep(blocked.tid);
        util_waiting_for("a blocked call to see the end");
        pair.server = nipc_session_close(pair.server);
        pthread_join(thread, NULL);
        util_eq_error(blocked.error, -ECONNRESET);
        pair_close(&pair);
}

static void test_blocked(void)
{
        for (unsigned i = 0; i < 10; i++) {
                try_blocked(false);
                if (conformance_can_pipeline())
                        try_blocked(true);
        }
}

UTIL_MAIN(TAP_CASE(test_idle), TAP_CASE(test_send_first), TAP_CASE(test_ask_and_leave),
          TAP_CASE(test_leave_with_unread_answers), TAP_CASE(test_answers_before_the_end),
          TAP_CASE(test_answer_before_the_end), TAP_CASE(test_half_received),
          TAP_CASE(test_half_sent), TAP_CASE(test_blocked))
