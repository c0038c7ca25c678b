/* SPDX-License-Identifier: MIT */

/* A caller with an event loop of his own: he polls the session's descriptor and nothing else. */

#include "util-conformance.h"

#define LARGE_BYTES 2000000u

/* Waits for what the session says it waits for. */
static void wait_for_events(const struct nipc_session *session)
{
        util_waiting_for("a descriptor to become ready");
        tap_check(util_poll(nipc_session_get_fd(session), nipc_session_get_events(session), true));
}

/* Nothing is there. The descriptor may be ready in vain, but not for ever. */
static void wait_quiet(struct nipc_session *session)
{
        struct nipc_message message;

        util_waiting_for("a descriptor to go quiet");
        do {
                util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        } while (util_poll(nipc_session_get_fd(session), NIPC_EVENT_IN, false));
}

/* Every request is seen by polling, however often it was looked in between. */
static void test_requests(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        for (uint64_t id = 1; id <= 100; id++) {
                struct nipc_header request = make_request(id), response = make_response(id);

                wait_quiet(pair.server);
                util_eq_error(nipc_session_send(pair.client, &request, &id, 8, util_soon()), 0);
                wait_for_events(pair.server);
                util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), 0);
                tap_eq_uint(message.header.message_id, id);
                util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message),
                              -EAGAIN);
                util_eq_error(nipc_session_send(pair.server, &response, &id, 8, util_soon()), 0);
                wait_for_events(pair.client);
                util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), 0);
                util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message),
                              -EAGAIN);
        }
        pair_close(&pair);
}

/* The end of the peer is something to poll for. */
static void test_end(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        wait_quiet(pair.server);
        pair.client = nipc_session_close(pair.client);
        wait_for_events(pair.server);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -ECONNRESET);
        pair_close(&pair);
}

/* What the peer has read of a message that did not fit makes the descriptor ready. */
static void test_half_sent(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        int sent, received;

        if (!conformance_can_pipeline())
                tap_skip("a message is sent whole or not at all");
        if (!util_can_poll_out())
                tap_skip("descriptors say nothing of room here");
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_check(nipc_session_get_fd(pair.client) >= 0);
        sent = pattern_send(pair.client, &request, LARGE_BYTES, 1, SEND_COPY, NIPC_DEADLINE_NOW);
        util_eq_error(sent, -EAGAIN);
        util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        do {
                received = nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message);
                if (sent != -EAGAIN)
                        continue;
                wait_for_events(pair.client);
                sent = nipc_session_flush(pair.client, NIPC_DEADLINE_NOW);
                util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message),
                              -EAGAIN);
        } while (received == -EAGAIN);
        util_eq_error(sent, 0);
        if (util_eq_error(received, 0) && tap_eq_uint(message.payload_size, LARGE_BYTES))
                pattern_check(message.payload, LARGE_BYTES, 1);
        pair_close(&pair);
}

/* A send that timed out leaves nothing undone, and an answer that came meanwhile is told of. */
static void test_answer_meanwhile(void)
{
        struct nipc_header request = make_request(0), response = make_response(0);
        static uint8_t payload[60000];
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        int r;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits for room");
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        tap_check(nipc_session_get_fd(pair.client) >= 0);
        do {
                r = nipc_session_send(pair.client, &request, payload, sizeof(payload),
                                      nipc_deadline_after_ms(2));
                if (request.message_id++ == 0) {
                        tap_require(nipc_session_receive(pair.server, util_soon(), &message) == 0);
                        tap_require(nipc_session_send(pair.server, &response, "x", 1,
                                                      util_soon()) == 0);
                }
        } while (r == 0);
        util_eq_error(r, -ETIMEDOUT);
        wait_for_events(pair.client);
        util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), 0);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_requests), TAP_CASE(test_end), TAP_CASE(test_half_sent),
          TAP_CASE(test_answer_meanwhile))
