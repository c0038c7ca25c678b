/* SPDX-License-Identifier: MIT */

/*
 * A child by fork() has copies of its parent's sessions. Whatever it does to them, it does nothing
 * to the parent's: not to the connection, nor to memory that it shares with the parent and the
 * peer.
 */

#include "util-conformance.h"
#include <nipc/poller.h>

/* All that a session can be asked to do. */
static void try_everything(struct nipc_session *session, enum nipc_kind kind)
{
        struct nipc_header header = make_request(99);
        struct nipc_message message;
        size_t used, capacity;
        void *payload = NULL;

        header.kind = kind;
        for (unsigned i = 0; i < 2; i++) {
                const uint64_t deadline_ns = i ? NIPC_DEADLINE_NOW : NIPC_DEADLINE_NEVER;

                util_eq_error(nipc_session_send(session, &header, "x", 1, deadline_ns), -ECHILD);
                util_eq_error(nipc_session_receive(session, deadline_ns, &message), -ECHILD);
                util_eq_error(nipc_session_call(session, &header, "x", 1, deadline_ns, &message),
                              -ECHILD);
                util_eq_error(nipc_session_wait(session, deadline_ns), -ECHILD);
                util_eq_error(nipc_session_flush(session, deadline_ns), -ECHILD);
                util_eq_error(nipc_session_handshake(session, deadline_ns), -ECHILD);
        }
        util_eq_error(nipc_session_reserve(session, 8, &payload), -ECHILD);
        tap_check(!payload);
        util_eq_error(nipc_session_get_fd(session), -ECHILD);
        util_eq_error(nipc_session_get_queued(session, &used, &capacity), -ECHILD);
        nipc_session_discard(session);
}

static void in_child(void *userdata)
{
        struct pair *pair = userdata;

        try_everything(pair->client, NIPC_KIND_REQUEST);
        try_everything(pair->server, NIPC_KIND_RESPONSE);
        pair_close(pair);
}

/* A request and its answer. */
static void round_trip(const struct pair *pair, uint64_t id)
{
        struct nipc_header request = make_request(id), response = make_response(id);

        transfer(pair->client, pair->server, &request, 100, SEND_COPY);
        transfer(pair->server, pair->client, &response, 200, SEND_IN_PLACE);
}

static void test_idle(void)
{
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        round_trip(&pair, 1);
        util_in_child(in_child, &pair);
        for (uint64_t id = 2; id < 1002; id++)
                round_trip(&pair, id);
        pair_close(&pair);
}

static void let_go(void *userdata)
{
        struct pair *pair = userdata;

        nipc_session_close(pair->client);
        nipc_session_close(pair->server);
}

/* A child that lets go of its copies, and does nothing else, does not end the sessions. */
static void test_let_go(void)
{
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        util_in_child(let_go, &pair);
        round_trip(&pair, 1);
        pair_close(&pair);
}

/* Nothing of what is under way is taken, and nothing is added to it. */
static void test_under_way(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        util_eq_error(pattern_send(pair.client, &request, 100, 1, SEND_COPY, util_soon()), 0);
        util_in_child(in_child, &pair);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        pattern_check(message.payload, 100, 1);
        util_eq_error(pattern_send(pair.server, &response, 300, 2, SEND_COPY, util_soon()), 0);
        util_in_child(in_child, &pair);
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), 0);
        pattern_check(message.payload, 300, 2);
        util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        round_trip(&pair, 2);
        pair_close(&pair);
}

/* What was reserved, and half written, before the fork is sent by the parent alone. */
static void test_reserved(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_reserve(pair.client, 64, &payload), 0);
        pattern_fill(payload, 64, 3);
        util_in_child(in_child, &pair);
        util_eq_error(nipc_session_commit(pair.client, &request, 64, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        pattern_check(message.payload, 64, 3);
        pair_close(&pair);
}

static void commit_in_child(void *userdata)
{
        struct nipc_header request = make_request(1);
        struct pair *pair = userdata;

        util_eq_error(nipc_session_commit(pair->client, &request, 64, NIPC_DEADLINE_NOW), -ECHILD);
        pair_close(pair);
}

static void test_commit(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_reserve(pair.client, 64, &payload), 0);
        pattern_fill(payload, 64, 3);
        util_in_child(commit_in_child, &pair);
        util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        round_trip(&pair, 1);
        pair_close(&pair);
}

/* Those who are polled for, by descriptor and by a poller, are so afterwards. */
struct polled {
        struct pair pair;
        struct nipc_poller *poller;
};

static void polled_in_child(void *userdata)
{
        struct polled *polled = userdata;

        try_everything(polled->pair.client, NIPC_KIND_REQUEST);
        try_everything(polled->pair.server, NIPC_KIND_RESPONSE);
        nipc_poller_remove_session(polled->poller, polled->pair.server);
        pair_close(&polled->pair);
        nipc_poller_free(polled->poller);
}

static void test_polled(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_poller_event event = {0};
        struct nipc_message message;
        struct pair_config config;
        struct polled polled;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&polled.pair, &config));
        util_eq_error(nipc_poller_new(&polled.poller), 0);
        util_eq_error(nipc_poller_add_session(polled.poller, polled.pair.server, &polled), 0);
        tap_check(nipc_session_get_fd(polled.pair.client) >= 0);
        tap_eq_int(nipc_poller_wait(polled.poller, nipc_deadline_after_ms(1), &event, 1), 0);
        util_in_child(polled_in_child, &polled);
        util_eq_error(nipc_session_send(polled.pair.client, &request, "x", 1, util_soon()), 0);
        tap_eq_int(nipc_poller_wait(polled.poller, util_soon(), &event, 1), 1);
        tap_check(event.userdata == &polled);
        util_eq_error(nipc_session_receive(polled.pair.server, util_soon(), &message), 0);
        nipc_poller_remove_session(polled.poller, polled.pair.server);
        pair_close(&polled.pair);
        nipc_poller_free(polled.poller);
}

UTIL_MAIN(TAP_CASE(test_idle), TAP_CASE(test_let_go), TAP_CASE(test_under_way),
          TAP_CASE(test_reserved), TAP_CASE(test_commit), TAP_CASE(test_polled))
