/* SPDX-License-Identifier: MIT */

/*
 * Every wait ends when it was told to: not before, and never without a word. What was half done
 * goes on afterwards.
 */

#include "util-conformance.h"
#include <unistd.h>

/* Calls with a deadline that is over or soon will be time out, and not before it. */
#define TIMES_OUT(call)                                                   \
        do {                                                              \
                uint64_t deadline_ns = nipc_deadline_after_ms(15);        \
                util_eq_error((call), -ETIMEDOUT);                        \
                tap_check(nipc_clock_now_ns() >= deadline_ns);            \
                util_eq_error((call), -ETIMEDOUT); /* it still is over */ \
        } while (0)

static void test_clock(void)
{
        uint64_t before = nipc_clock_now_ns(), after = nipc_clock_now_ns(), deadline_ns;

        tap_check(before > 0 && after >= before);
        deadline_ns = nipc_deadline_after_ms(0);
        tap_check(deadline_ns != NIPC_DEADLINE_NOW && deadline_ns != NIPC_DEADLINE_LINGER);
        deadline_ns = nipc_deadline_after_ms(1000);
        tap_check(deadline_ns >= after + 1000000000);
        tap_check(nipc_deadline_after_ms(UINT64_MAX) != NIPC_DEADLINE_NEVER);
        tap_check(nipc_deadline_after_ms(UINT64_MAX) > nipc_deadline_after_ms(UINT32_MAX));
        tap_check(nipc_deadline_after_ms(UINT64_MAX / 1000000) > deadline_ns);
}

static void test_connect_to_full_backlog(void)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session *session = NULL;
        struct nipc_cancel *cancel = NULL;
        struct pair_config config;
        int fds[64], listen_fd = raw_listen("pair", SOCK_SEQPACKET, 1);
        size_t n = raw_fill_backlog("pair", fds, 64);

        pair_config_init(&config);
        util_eq_error(nipc_cancel_new(&cancel), 0);
        for (unsigned i = 0; i < 2; i++) {
                TIMES_OUT(nipc_session_open(&config.session, deadline_ns, &session, &failure));
                tap_eq_uint(failure.stage, NIPC_FAILURE_CONNECT);
                util_eq_error(nipc_session_open(&config.session, NIPC_DEADLINE_NOW, &session,
                                                &failure),
                              -EAGAIN);
                tap_eq_uint(failure.stage, NIPC_FAILURE_CONNECT);
                config.session.cancel = cancel; /* waits in another way */
        }
        tap_eq_ptr(session, NULL);
        while (n)
                close(fds[--n]);
        close(listen_fd);
        util_remove(util_path("pair.sock"));
        nipc_cancel_free(cancel);
}

/* Only receive lingers; to all else it is "now". */
static void test_linger(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_session *session = NULL;
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        int listen_fd;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_LINGER, &message), -EAGAIN);
        util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_LINGER), -EAGAIN);
        util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_LINGER), 0);
        util_eq_error(nipc_session_send(pair.client, &request, "x", 1, NIPC_DEADLINE_LINGER), 0);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_LINGER, &message), 0);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        pair_close(&pair);
        listen_fd = raw_listen("pair", SOCK_SEQPACKET, 5);
        util_eq_error(nipc_session_open(&config.session, NIPC_DEADLINE_LINGER, &session, NULL),
                      -EAGAIN);
        close(listen_fd);
        util_remove(util_path("pair.sock"));
}

static void test_receive(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        for (unsigned i = 0; i < 3; i++) {
                util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message),
                              -EAGAIN);
                util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_NOW), -EAGAIN);
                TIMES_OUT(nipc_session_receive(pair.server, deadline_ns, &message));
                TIMES_OUT(nipc_session_wait(pair.server, deadline_ns));
                TIMES_OUT(nipc_session_receive(pair.client, deadline_ns, &message));
                tap_check(!nipc_session_is_receiving(pair.server));
                request.message_id = i;
                tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
                take_turn(&pair, i);
        }
        tap_eq_int(session_failure(pair.server).error, 0);
        tap_eq_int(session_failure(pair.client).error, 0);
        pair_close(&pair);
}

/* Deadlines of all lengths, one after the other, on one session. */
static void test_mixed_deadlines(void)
{
        static const uint64_t timeouts_ms[] = {0, 1, 3, 2, 20, 1, 40, 10, 5, 0, 30, 1};
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        for (size_t i = 0; i < sizeof(timeouts_ms) / sizeof(timeouts_ms[0]); i++) {
                uint64_t deadline_ns = nipc_deadline_after_ms(timeouts_ms[i]);

                util_eq_error(nipc_session_receive(pair.server, deadline_ns, &message), -ETIMEDOUT);
                tap_check(nipc_clock_now_ns() >= deadline_ns);
                if (i % 3 == 0)
                        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_LINGER,
                                                           &message),
                                      -EAGAIN);
                request.message_id = i;
                util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), 0);
                util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NEVER, &message), 0);
                take_turn(&pair, i);
        }
        pair_close(&pair);
}

/* ---- a peer that does not read -------------------------------------------------------------- */

/* Small messages until no more fit. Returns how many did. */
static uint64_t fill(struct nipc_session *session)
{
        uint64_t id = 0;
        int r;

        do {
                struct nipc_header request = make_request(++id);

                r = pattern_send(session, &request, 500, id, SEND_COPY, NIPC_DEADLINE_NOW);
        } while (r == 0 && id < 100000);
        util_eq_error(r, -EAGAIN);
        return id - 1;
}

/* Whole messages: what did not go was not kept, and can be sent again. */
static void test_full_of_small_ones(void)
{
        struct nipc_header request = make_request(UINT64_MAX);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        uint64_t n;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        if (conformance_keeps_packets())
                tap_skip("what there is no room for is kept all the same");
        pair_config_init_large(&config, 0);
        config.session.max_in_flight = 200000;
        tap_require(pair_open(&pair, &config));
        n = fill(pair.client);
        tap_check(n > 1);
        tap_check(!nipc_session_has_pending(pair.client));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), n);
        TIMES_OUT(pattern_send(pair.client, &request, 500, 0, SEND_COPY, deadline_ns));
        tap_check(!nipc_session_has_pending(pair.client));
        util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NOW), 0);
        tap_eq_uint(nipc_session_get_in_flight(pair.client), n);
        tap_eq_int(session_failure(pair.client).error, 0);
        for (uint64_t id = 1; id <= n; id++) {
                tap_require(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message) == 0);
                tap_require(message.header.message_id == id);
                tap_require(pattern_check(message.payload, 500, id));
        }
        tap_check(transfer(pair.client, pair.server, &request, 500, SEND_COPY));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), n + 1);
        pair_close(&pair);
}

/* Receives `size` bytes while the other end flushes. */
static void finish(struct pair *pair, size_t size, uint64_t seed)
{
        struct nipc_message message = {.payload = NULL};
        int sent, received;

        util_waiting_for("the rest of a message");
        do {
                sent = nipc_session_flush(pair->client, NIPC_DEADLINE_NOW);
                received = nipc_session_receive(pair->server, NIPC_DEADLINE_NOW, &message);
        } while ((sent == 0 || sent == -EAGAIN) && received == -EAGAIN);
        util_eq_error(received, 0);
        util_eq_error(nipc_session_flush(pair->client, NIPC_DEADLINE_NOW), 0);
        if (tap_check(message.payload != NULL) && tap_eq_uint(message.payload_size, size))
                pattern_check(message.payload, size, seed);
}

/* A large one gets stuck half way: it is kept, it is in the way, and it goes on. */
static void try_half_sent(enum send_way way, uint32_t packet_size, size_t size)
{
        struct nipc_header request = make_request(1), other = make_request(2);
        struct pair_config config;
        struct pair pair;
        void *payload;

        pair_config_init_large(&config, packet_size);
        tap_require(pair_open(&pair, &config));
        util_eq_error(pattern_send(pair.client, &request, size, 3, way, nipc_deadline_after_ms(5)),
                      -ETIMEDOUT);
        tap_check(nipc_session_has_pending(pair.client));
        tap_eq_uint(nipc_session_get_events(pair.client),
                    NIPC_EVENT_IN | (conformance_is_baseline() ? NIPC_EVENT_OUT : 0));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 1);
        util_eq_error(nipc_session_send(pair.client, &other, NULL, 0, util_soon()), -EBUSY);
        util_eq_error(nipc_session_reserve(pair.client, 1, &payload), -EBUSY);
        util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NOW), -EAGAIN);
        TIMES_OUT(nipc_session_flush(pair.client, deadline_ns));
        finish(&pair, size, 3);
        tap_check(!nipc_session_has_pending(pair.client));
        tap_check(transfer(pair.client, pair.server, &other, size, way));
        tap_check(transfer(
                pair.server, pair.client,
                &(struct nipc_header){.kind = NIPC_KIND_RESPONSE, .item_count = 1, .message_id = 1},
                10, way));
        tap_eq_int(session_failure(pair.client).error, 0);
        pair_close(&pair);
}

static void test_half_sent(void)
{
        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        for (enum send_way way = 0; way < N_SEND_WAYS; way++) {
                try_half_sent(way, 0, 2000000);
                if (!conformance_is_baseline()) /* packets have nothing to do with it */
                        continue;
                try_half_sent(way, 4096, 1000000);
                try_half_sent(way, 100, 1000000);
        }
}

/* What was built in place is kept even when nothing of it went. */
static void test_commit_is_kept(void)
{
        struct nipc_header request = make_request(UINT64_MAX);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        uint64_t n;
        int r;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        if (conformance_keeps_packets())
                tap_skip("what there is no room for is kept all the same");
        pair_config_init_large(&config, 0);
        config.session.max_in_flight = 200000;
        tap_require(pair_open(&pair, &config));
        n = fill(pair.client);
        util_eq_error(pattern_send(pair.client, &request, 500, 9, SEND_IN_PLACE, NIPC_DEADLINE_NOW),
                      -EAGAIN);
        tap_check(nipc_session_has_pending(pair.client));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), n + 1);
        TIMES_OUT(nipc_session_flush(pair.client, deadline_ns));
        while (n--)
                tap_require(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message) == 0);
        util_eq_error(nipc_session_flush(pair.client, NIPC_DEADLINE_NOW), 0);
        r = nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message);
        if (util_eq_error(r, 0))
                pattern_check(message.payload, 500, 9);
        pair_close(&pair);
}

/* Receiving goes on while sending is stuck: two peers that both have much to say do not lock up. */
static void test_both_directions_stuck(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message = {.payload = NULL};
        struct pair_config config;
        struct pair pair;
        int r;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits");
        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        request.message_id = 2;
        util_eq_error(pattern_send(pair.client, &request, 3000000, 2, SEND_IN_PLACE,
                                   NIPC_DEADLINE_NOW),
                      -EAGAIN);
        util_eq_error(pattern_send(pair.server, &response, 3000000, 1, SEND_IN_PLACE,
                                   NIPC_DEADLINE_NOW),
                      -EAGAIN);
        do {
                r = nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message);
                nipc_session_flush(pair.server, NIPC_DEADLINE_NOW);
        } while (r == -EAGAIN);
        if (util_eq_error(r, 0) && tap_eq_uint(message.payload_size, 3000000))
                pattern_check(message.payload, 3000000, 1);
        finish(&pair, 3000000, 2);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_clock), TAP_CASE(test_connect_to_full_backlog), TAP_CASE(test_linger),
          TAP_CASE(test_receive), TAP_CASE(test_mixed_deadlines), TAP_CASE(test_full_of_small_ones),
          TAP_CASE(test_half_sent), TAP_CASE(test_commit_is_kept),
          TAP_CASE(test_both_directions_stuck))
