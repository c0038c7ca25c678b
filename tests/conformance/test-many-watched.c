/* SPDX-License-Identifier: MIT */

/*
 * Many sessions on one poller, more than it tells of at once: whether few or all of them have news,
 * and whether it slept in between, each is told of, and none that has none for long.
 */

#include "util-conformance.h"
#include <nipc/poller.h>
#include <string.h>

#define N_SESSIONS 150u
#define N_EVENTS   64u

struct crowd {
        struct pair pair; /* of which the listener is everybody's */
        struct nipc_poller *poller;
        struct nipc_session *clients[N_SESSIONS];
        struct nipc_session *servers[N_SESSIONS];
        bool has_asked[N_SESSIONS];
        uint64_t id;
};

static bool crowd_open(struct crowd *crowd)
{
        struct pair_config config;
        bool good;

        *crowd = (struct crowd){.poller = NULL};
        pair_config_init(&config);
        good = pair_open(&crowd->pair, &config) &&
               util_eq_error(nipc_poller_new(&crowd->poller), 0);
        for (unsigned i = 0; good && i < N_SESSIONS; i++)
                good = pair_open_more(&crowd->pair, &config, &crowd->clients[i],
                                      &crowd->servers[i]) &&
                       util_eq_error(nipc_poller_add_session(crowd->poller, crowd->servers[i],
                                                             &crowd->servers[i]),
                                     0);
        return good;
}

static void crowd_close(struct crowd *crowd)
{
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                nipc_poller_remove_session(crowd->poller, crowd->servers[i]);
                nipc_session_close(crowd->servers[i]);
                nipc_session_close(crowd->clients[i]);
        }
        nipc_poller_free(crowd->poller);
        pair_close(&crowd->pair);
}

/* Nobody has anything: the poller has gone to sleep once, and what it is told now it hears. */
static void let_sleep(struct crowd *crowd)
{
        struct nipc_poller_event event;

        tap_eq_int(nipc_poller_wait(crowd->poller, nipc_deadline_after_ms(1), &event, 1), 0);
}

static void ask(struct crowd *crowd, unsigned index)
{
        struct nipc_header request = make_request(++crowd->id);

        util_eq_error(
                nipc_session_send(crowd->clients[index], &request, &crowd->id, 8, util_soon()), 0);
        crowd->has_asked[index] = true;
}

/* Answers whoever the event is about, and the client takes it. Returns whether he had asked. */
static bool answer(struct crowd *crowd, const struct nipc_poller_event *event)
{
        const size_t index = (size_t)((struct nipc_session **)event->userdata - crowd->servers);
        struct nipc_header response;
        struct nipc_message message;
        int r;

        r = nipc_session_receive(crowd->servers[index], NIPC_DEADLINE_NOW, &message);
        if (r == -EAGAIN)
                return false;
        util_eq_error(r, 0);
        tap_check(crowd->has_asked[index]);
        crowd->has_asked[index] = false;
        response = make_response(message.header.message_id);
        util_eq_error(
                nipc_session_send(crowd->servers[index], &response, "12345678", 8, util_soon()), 0);
        util_eq_error(nipc_session_receive(crowd->clients[index], util_soon(), &message), 0);
        return true;
}

/* Every so-manieth asks; all of them are told of. */
static void try_some(struct crowd *crowd, unsigned step)
{
        struct nipc_poller_event events[N_EVENTS];
        unsigned n_asked = 0, n_answered = 0;
        int n;

        for (unsigned i = 0; i < N_SESSIONS; i += step, n_asked++)
                ask(crowd, i);
        util_waiting_for("all who asked to be told of");
        while (n_answered < n_asked) {
                n = nipc_poller_wait(crowd->poller, util_soon(), events, N_EVENTS);
                tap_require(n > 0);
                for (int i = 0; i < n; i++)
                        n_answered += answer(crowd, &events[i]);
        }
        for (unsigned i = 0; i < N_SESSIONS; i++)
                tap_check(!crowd->has_asked[i]);
}

static void test_few_and_all(void)
{
        static const unsigned steps[] = {1, N_SESSIONS, 40, 3, 1, 1, 20, N_SESSIONS, 2};
        static struct crowd crowd;

        if (crowd_open(&crowd))
                for (unsigned i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
                        if (i % 2 == 0)
                                let_sleep(&crowd);
                        try_some(&crowd, steps[i / 2]);
                }
        crowd_close(&crowd);
}

/* Those who leave, while others ask, are told of as well. */
static void test_some_leave(void)
{
        struct nipc_poller_event events[N_EVENTS];
        struct nipc_message message;
        static struct crowd crowd;
        unsigned n_left = 0, n_gone = 0;
        int n;

        if (crowd_open(&crowd)) {
                let_sleep(&crowd);
                for (unsigned i = 0; i < N_SESSIONS; i += 5, n_left++)
                        crowd.clients[i] = nipc_session_close(crowd.clients[i]);
                util_waiting_for("all who left to be told of");
                while (n_gone < n_left) {
                        n = nipc_poller_wait(crowd.poller, util_soon(), events, N_EVENTS);
                        tap_require(n > 0);
                        for (int i = 0; i < n; i++) {
                                struct nipc_session *const *server = events[i].userdata;

                                if (nipc_session_receive(*server, NIPC_DEADLINE_NOW, &message) !=
                                    -ECONNRESET)
                                        continue;
                                nipc_poller_remove_session(crowd.poller, *server);
                                n_gone++;
                        }
                }
                let_sleep(&crowd);
        }
        crowd_close(&crowd);
}

UTIL_MAIN(TAP_CASE(test_few_and_all), TAP_CASE(test_some_leave))
