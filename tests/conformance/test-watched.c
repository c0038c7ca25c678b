/* SPDX-License-Identifier: MIT */

/* Sessions in a poller: whatever else is done with them, it hears of what comes. */

#include "util-conformance.h"
#include <nipc/poller.h>

struct watched {
        struct pair pair;
        struct nipc_poller *poller;
        struct nipc_poller_event events[8];
};

static bool watched_open(struct watched *w, struct pair_config *config)
{
        *w = (struct watched){.poller = NULL};
        return pair_open(&w->pair, config) && util_eq_error(nipc_poller_new(&w->poller), 0);
}

static void watched_close(struct watched *w)
{
        pair_close(&w->pair);
        nipc_poller_free(w->poller);
}

static int answer(struct nipc_session *server, uint64_t id)
{
        struct nipc_header response = make_response(id);
        struct nipc_message message;
        int r = nipc_session_receive(server, util_soon(), &message);

        return r < 0 ? r : nipc_session_send(server, &response, &id, 8, util_soon());
}

struct other {
        struct nipc_session *server;
        uint64_t id;
        int error;
};

static void *answer_main(void *userdata)
{
        struct other *other = userdata;

        other->error = answer(other->server, other->id);
        return NULL;
}

/* A call that waits by itself takes the session out of the poller's hands, and gives it back. */
static void test_call_between(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct watched w;

        pair_config_init(&config);
        tap_require(watched_open(&w, &config));
        util_eq_error(nipc_poller_add_session(w.poller, w.pair.client, &w), 0);
        for (uint64_t id = 1; id <= 60; id += 2) {
                struct other other = {.server = w.pair.server, .id = id};
                struct nipc_header first = make_request(id), second = make_request(id + 1);
                pthread_t thread;

                /* Nothing there: it is armed. */
                tap_eq_int(nipc_poller_wait(w.poller, nipc_clock_now_ns(), w.events, 8), 0);
                tap_require(pthread_create(&thread, NULL, answer_main, &other) == 0);
                util_eq_error(
                        nipc_session_call(w.pair.client, &first, &id, 8, util_soon(), &message), 0);
                pthread_join(thread, NULL);
                util_eq_error(other.error, 0);
                util_eq_error(nipc_session_send(w.pair.client, &second, &id, 8, util_soon()), 0);
                util_eq_error(answer(w.pair.server, id + 1), 0);
                util_waiting_for("the poller to hear of an answer");
                tap_eq_int(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 8), 1);
                util_eq_error(nipc_session_receive(w.pair.client, NIPC_DEADLINE_NOW, &message), 0);
        }
        nipc_poller_remove_session(w.poller, w.pair.client);
        watched_close(&w);
}

/* A session that always has something, and room for one event: the others are not forgotten. */
static void test_one_event(void)
{
        struct nipc_header request = make_request(1);
        bool has_timer = false, has_wake = false;
        struct pair_config config;
        struct watched w;

        pair_config_init(&config);
        tap_require(watched_open(&w, &config));
        util_eq_error(nipc_poller_add_session(w.poller, w.pair.server, &w), 0);
        util_eq_error(nipc_session_send(w.pair.client, &request, NULL, 0, util_soon()), 0);
        util_eq_error(nipc_poller_set_timer(w.poller, nipc_deadline_after_ms(1)), 0);
        nipc_poller_wake(w.poller);
        util_waiting_for("the timer and the wake-up");
        while (!has_timer || !has_wake) {
                tap_require(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 1) == 1);
                has_timer |= !!(w.events->events & NIPC_EVENT_TIMER);
                has_wake |= !!(w.events->events & NIPC_EVENT_WAKE);
        }
        nipc_poller_remove_session(w.poller, w.pair.server);
        watched_close(&w);
}

/* Whoever polls the poller's descriptor is not told of wake-ups that nobody made. */
static void test_no_wake(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct watched w;

        pair_config_init(&config);
        tap_require(watched_open(&w, &config));
        tap_check(nipc_poller_get_fd(w.poller) >= 0);
        util_eq_error(nipc_poller_add_session(w.poller, w.pair.server, &w), 0);
        for (uint64_t id = 1; id <= 50; id++) {
                struct nipc_header request = make_request(id), response = make_response(id);

                util_eq_error(nipc_session_send(w.pair.client, &request, &id, 8, util_soon()), 0);
                util_waiting_for("the poller to hear of a request");
                tap_eq_int(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 8), 1);
                tap_check(w.events->userdata == &w);
                util_eq_error(nipc_session_receive(w.pair.server, NIPC_DEADLINE_NOW, &message), 0);
                util_eq_error(nipc_session_send(w.pair.server, &response, &id, 8, util_soon()), 0);
                util_eq_error(nipc_session_receive(w.pair.client, util_soon(), &message), 0);
        }
        nipc_poller_remove_session(w.poller, w.pair.server);
        watched_close(&w);
}

/* A session that ended with something unread is one event, however it became known. */
static void test_named_once(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct watched w;

        pair_config_init(&config);
        tap_require(watched_open(&w, &config));
        util_eq_error(nipc_poller_add_session(w.poller, w.pair.server, &w), 0);
        util_eq_error(nipc_session_send(w.pair.client, &request, "x", 1, util_soon()), 0);
        w.pair.client = nipc_session_close(w.pair.client);
        util_waiting_for("the poller to hear of the end");
        for (unsigned i = 0; i < 1000; i++)
                tap_require(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 8) == 1);
        util_eq_error(nipc_session_receive(w.pair.server, NIPC_DEADLINE_NOW, &message), 0);
        do {
                tap_require(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 8) == 1);
        } while (nipc_session_receive(w.pair.server, NIPC_DEADLINE_NOW, &message) == -EAGAIN);
        util_eq_error(nipc_session_receive(w.pair.server, NIPC_DEADLINE_NOW, &message),
                      -ECONNRESET);
        nipc_poller_remove_session(w.poller, w.pair.server);
        watched_close(&w);
}

/* A full ring or socket is no reason to turn and turn: room is told of when there is some. */
static void test_room(void)
{
        struct nipc_header request = make_request(0);
        struct nipc_message message;
        struct pair_config config;
        static uint8_t payload[1000];
        struct watched w;
        int r;

        if (!conformance_can_pipeline())
                tap_skip("sending never waits for room");
        pair_config_init_large(&config, 0);
        config.session.max_in_flight = 100000;
        tap_require(watched_open(&w, &config));
        util_eq_error(nipc_poller_add_session(w.poller, w.pair.client, &w), 0);
        while ((r = nipc_session_send(w.pair.client, &request, payload, sizeof(payload),
                                      NIPC_DEADLINE_NOW)) == 0)
                request.message_id++;
        util_eq_error(r, -EAGAIN);
        util_eq_error(nipc_poller_update_session(w.poller, w.pair.client, NIPC_EVENT_OUT), 0);
        tap_eq_int(nipc_poller_wait(w.poller, nipc_clock_now_ns(), w.events, 8), 0);
        while (nipc_session_receive(w.pair.server, NIPC_DEADLINE_NOW, &message) == 0)
                continue;
        util_waiting_for("room");
        tap_eq_int(nipc_poller_wait(w.poller, NIPC_DEADLINE_NEVER, w.events, 8), 1);
        /* A pipe may have kept the one that there was no room for. */
        util_eq_error(nipc_session_flush(w.pair.client, NIPC_DEADLINE_NOW), 0);
        request.message_id++;
        util_eq_error(nipc_session_send(w.pair.client, &request, payload, sizeof(payload),
                                        NIPC_DEADLINE_NOW),
                      0);
        nipc_poller_remove_session(w.poller, w.pair.client);
        watched_close(&w);
}

UTIL_MAIN(TAP_CASE(test_call_between), TAP_CASE(test_one_event), TAP_CASE(test_no_wake),
          TAP_CASE(test_named_once), TAP_CASE(test_room))
