/* SPDX-License-Identifier: MIT */

/* Sessions of one thread that share their buffers: half messages stay apart, nothing leaks across.
 */

#include "util-conformance.h"

#define N_SESSIONS 3

struct crowd {
        struct pair pairs[N_SESSIONS]; /* the first has the listener */
        struct nipc_session_buffers *buffers;
};

static bool crowd_open(struct crowd *crowd, uint32_t packet_size)
{
        struct pair_config config;

        *crowd = (struct crowd){.buffers = NULL};
        pair_config_init_large(&config, packet_size);
        if (!util_eq_error(nipc_session_buffers_new(&crowd->buffers), 0) ||
            !pair_open(&crowd->pairs[0], &config))
                return false;
        for (unsigned i = 1; i < N_SESSIONS; i++)
                if (!pair_open_more(&crowd->pairs[0], &config, &crowd->pairs[i].client,
                                    &crowd->pairs[i].server))
                        return false;
        for (unsigned i = 0; i < N_SESSIONS; i++)
                nipc_session_set_buffers(crowd->pairs[i].server, crowd->buffers);
        return true;
}

static void crowd_close(struct crowd *crowd)
{
        for (unsigned i = N_SESSIONS; i-- > 0;)
                pair_close(&crowd->pairs[i]);
        tap_eq_ptr(nipc_session_buffers_free(crowd->buffers), NULL);
}

/* What sending a large message without waiting returns: it goes in parts, or whole. */
static int started(void)
{
        return conformance_can_pipeline() ? -EAGAIN : 0;
}

/* One after the other, in both ways of sending. */
static void test_taking_turns(void)
{
        struct crowd crowd;

        tap_require(crowd_open(&crowd, 1000));
        for (uint64_t id = 1; id <= 60; id++) {
                struct pair *pair = &crowd.pairs[id % N_SESSIONS];
                struct nipc_header request = make_request(id), response = make_response(id);
                size_t size = id * 997 % 5000;

                tap_check(transfer(pair->client, pair->server, &request, size, SEND_COPY));
                tap_check(transfer(pair->server, pair->client, &response, size,
                                   id % 2 ? SEND_COPY : SEND_IN_PLACE));
        }
        crowd_close(&crowd);
}

/* All of them in the middle of a large request, a packet at a time in turn. */
static void test_half_requests(void)
{
        struct crowd crowd;
        struct nipc_message message;
        unsigned n_done = 0;

        tap_require(crowd_open(&crowd, 4096));
        for (uint64_t i = 0; i < N_SESSIONS; i++) {
                struct nipc_header request = make_request(i);

                util_eq_error(pattern_send(crowd.pairs[i].client, &request, 900000 + i, i,
                                           SEND_COPY, NIPC_DEADLINE_NOW),
                              started());
        }
        util_waiting_for("all requests");
        while (n_done < N_SESSIONS)
                for (unsigned i = 0; i < N_SESSIONS; i++) {
                        int r = nipc_session_receive(crowd.pairs[i].server, NIPC_DEADLINE_NOW,
                                                     &message);

                        nipc_session_flush(crowd.pairs[i].client, NIPC_DEADLINE_NOW);
                        if (r == -EAGAIN)
                                continue;
                        tap_require(util_eq_error(r, 0));
                        tap_eq_uint(message.payload_size, 900000 + i);
                        pattern_check(message.payload, message.payload_size, i);
                        n_done++;
                }
        crowd_close(&crowd);
}

/* Small ones of one session between the packets of another's large one. */
static void test_small_between_large(void)
{
        struct nipc_header large = make_request(1);
        struct crowd crowd;
        struct nipc_message message;
        uint64_t id = 0;
        int r;

        tap_require(crowd_open(&crowd, 4096));
        util_eq_error(pattern_send(crowd.pairs[0].client, &large, 900000, 1, SEND_IN_PLACE,
                                   NIPC_DEADLINE_NOW),
                      started());
        do {
                struct nipc_header small = make_request(++id), response = make_response(id);

                r = nipc_session_receive(crowd.pairs[0].server, NIPC_DEADLINE_NOW, &message);
                nipc_session_flush(crowd.pairs[0].client, NIPC_DEADLINE_NOW);
                if (r == 0)
                        break;
                tap_check(transfer(crowd.pairs[1].client, crowd.pairs[1].server, &small, 3000,
                                   SEND_COPY));
                tap_check(transfer(crowd.pairs[1].server, crowd.pairs[1].client, &response, 9000,
                                   SEND_IN_PLACE));
        } while (r == -EAGAIN && id < 1000);
        tap_require(util_eq_error(r, 0));
        tap_eq_uint(message.payload_size, 900000);
        pattern_check(message.payload, 900000, 1);
        crowd_close(&crowd);
}

/* Half-sent responses leave the shared buffer to the others. */
static void test_half_responses(void)
{
        struct nipc_message message;
        struct crowd crowd;
        int r;

        tap_require(crowd_open(&crowd, 4096));
        for (uint64_t i = 0; i < N_SESSIONS; i++) {
                struct nipc_header request = make_request(i), response = make_response(i);

                tap_check(transfer(crowd.pairs[i].client, crowd.pairs[i].server, &request, 10,
                                   SEND_COPY));
                util_eq_error(pattern_send(crowd.pairs[i].server, &response, 900000 + i, i,
                                           i % 2 ? SEND_COPY : SEND_IN_PLACE, NIPC_DEADLINE_NOW),
                              started());
        }
        for (unsigned i = N_SESSIONS; i-- > 0;) {
                util_waiting_for("a response");
                do {
                        r = nipc_session_receive(crowd.pairs[i].client, NIPC_DEADLINE_NOW,
                                                 &message);
                        nipc_session_flush(crowd.pairs[i].server, NIPC_DEADLINE_NOW);
                } while (r == -EAGAIN);
                if (util_eq_error(r, 0) && tap_eq_uint(message.payload_size, 900000 + i))
                        pattern_check(message.payload, message.payload_size, i);
        }
        crowd_close(&crowd);
}

/* In the middle of a message one goes away: the others keep what is theirs. */
static void test_close_in_the_middle(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct crowd crowd;

        if (!conformance_can_pipeline())
                tap_skip("no message is ever half sent");
        tap_require(crowd_open(&crowd, 4096));
        for (unsigned i = 0; i < 2; i++) {
                util_eq_error(pattern_send(crowd.pairs[i].client, &request, 900000, i, SEND_COPY,
                                           NIPC_DEADLINE_NOW),
                              -EAGAIN);
                util_eq_error(nipc_session_receive(crowd.pairs[i].server, NIPC_DEADLINE_NOW,
                                                   &message),
                              -EAGAIN);
        }
        crowd.pairs[0].server = nipc_session_close(crowd.pairs[0].server);
        tap_check(transfer(crowd.pairs[2].client, crowd.pairs[2].server, &request, 500, SEND_COPY));
        tap_check(transfer(crowd.pairs[2].server, crowd.pairs[2].client, &response, 500,
                           SEND_IN_PLACE));
        tap_check(nipc_session_is_receiving(crowd.pairs[1].server));
        crowd_close(&crowd);
}

/* With its own again, and back. */
static void test_switching(void)
{
        struct crowd crowd;

        tap_require(crowd_open(&crowd, 1000));
        for (uint64_t id = 1; id <= 40; id++) {
                struct pair *pair = &crowd.pairs[id % 2];
                struct nipc_header request = make_request(id), response = make_response(id);

                nipc_session_set_buffers(pair->server, id % 3 ? crowd.buffers : NULL);
                tap_check(transfer(pair->client, pair->server, &request, id * 300, SEND_COPY));
                tap_check(transfer(pair->server, pair->client, &response, id * 200,
                                   id % 2 ? SEND_COPY : SEND_IN_PLACE));
        }
        crowd_close(&crowd);
}

UTIL_MAIN(TAP_CASE(test_taking_turns), TAP_CASE(test_half_requests),
          TAP_CASE(test_small_between_large), TAP_CASE(test_half_responses),
          TAP_CASE(test_close_in_the_middle), TAP_CASE(test_switching))
