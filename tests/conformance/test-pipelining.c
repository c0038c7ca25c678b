/* SPDX-License-Identifier: MIT */

/* Many requests in flight, answered in any order, and the ids that keep them apart (wire-v1 §7). */

#include "util-conformance.h"
#include <nipc/error.h>
#include <unistd.h>

#define MAX_DEPTH 1000

static void pipelining_config(struct pair_config *config)
{
        pair_config_init_large(config, 0);
        config->session.max_in_flight = MAX_DEPTH;
}

/* Sends without waiting; whatever the other end has to say in between is its business. */
static bool send_or_drain(struct nipc_session *from, const struct nipc_header *header,
                          const void *payload, size_t size, bool (*drain)(void *userdata),
                          void *userdata)
{
        int r;

        util_waiting_for("room for a message");
        while ((r = nipc_session_send(from, header, payload, size, NIPC_DEADLINE_NOW)) == -EAGAIN) {
                /* Small ones are sent whole or not at all. */
                if (!tap_check(!nipc_session_has_pending(from)) || !drain(userdata))
                        return false;
        }
        return util_eq_error(r, 0);
}

struct run {
        struct pair pair;
        uint64_t asked[MAX_DEPTH]; /* in the order in which the server saw them */
        size_t n_asked;
        bool answered[MAX_DEPTH + 1];
        size_t n_answered;
};

/* The server takes whatever is there. */
static bool take_requests(void *userdata)
{
        struct run *run = userdata;
        struct nipc_message message;
        int r;

        while ((r = nipc_session_receive(run->pair.server, NIPC_DEADLINE_NOW, &message)) == 0) {
                if (!tap_check(run->n_asked < MAX_DEPTH) || !tap_eq_uint(message.payload_size, 8))
                        return false;
                run->asked[run->n_asked++] = raw_get64(message.payload, 0);
        }
        return util_eq_error(r, -EAGAIN);
}

/* The client takes whatever is there: each answer once, and the one that was asked for. */
static bool take_responses(void *userdata)
{
        struct run *run = userdata;
        struct nipc_message message;
        int r;

        while ((r = nipc_session_receive(run->pair.client, NIPC_DEADLINE_NOW, &message)) == 0) {
                uint64_t id = message.header.message_id;

                if (!tap_check(id >= 1 && id <= MAX_DEPTH && !run->answered[id]) ||
                    !tap_eq_uint(raw_get64(message.payload, 0), id + 1))
                        return false;
                run->answered[id] = true;
                run->n_answered++;
        }
        return util_eq_error(r, -EAGAIN);
}

/* Which of `depth` requests is answered as number i. */
static size_t pick(unsigned order, size_t i, size_t depth)
{
        switch (order) {
        case 0:
                return i;
        case 1:
                return depth - 1 - i;
        default:
                return (i * 7 + 3) % depth; /* 7 divides no depth used here */
        }
}

static void try_depth(size_t depth, unsigned order)
{
        static struct run run;
        struct pair_config config;
        bool good = true;

        memset(&run, 0, sizeof(run));
        pipelining_config(&config);
        tap_require(pair_open(&run.pair, &config));
        for (uint64_t id = 1; good && id <= depth; id++) {
                struct nipc_header request = make_request(id);

                good = send_or_drain(run.pair.client, &request, &id, 8, take_requests, &run);
        }
        good = good && take_requests(&run) && tap_eq_uint(run.n_asked, depth) &&
               tap_eq_uint(nipc_session_get_in_flight(run.pair.client), depth);
        for (size_t i = 0; good && i < depth; i++) {
                uint64_t id = run.asked[pick(order, i, depth)], value = id + 1;
                struct nipc_header response = make_response(id);

                good = send_or_drain(run.pair.server, &response, &value, 8, take_responses, &run);
        }
        good = good && take_responses(&run) && tap_eq_uint(run.n_answered, depth) &&
               tap_eq_uint(nipc_session_get_in_flight(run.pair.client), 0);
        if (!good)
                tap_note("depth %zu, order %u", depth, order);
        pair_close(&run.pair);
}

static void test_depths(void)
{
        for (unsigned order = 0; order < 3; order++) {
                try_depth(1, order);
                if (!conformance_can_pipeline())
                        continue;
                try_depth(2, order);
                try_depth(16, order);
                try_depth(1000, order);
        }
}

/* A window that moves: never more than 16 outstanding, for a long time. */
static void test_window(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        uint64_t asked = 0, answered = 0, window = conformance_can_pipeline() ? 16 : 1;

        pipelining_config(&config);
        config.session.max_in_flight = 16;
        tap_require(pair_open(&pair, &config));
        while (answered < 5000) {
                for (; asked - answered < window; asked++) {
                        struct nipc_header request = make_request(asked * 1000003);

                        tap_require(nipc_session_send(pair.client, &request, &asked, 8,
                                                      util_soon()) == 0);
                }
                tap_require(nipc_session_receive(pair.server, util_soon(), &message) == 0);
                message.header.kind = NIPC_KIND_RESPONSE;
                tap_require(nipc_session_send(pair.server, &message.header, message.payload, 8,
                                              util_soon()) == 0);
                tap_require(nipc_session_receive(pair.client, util_soon(), &message) == 0);
                tap_require(message.header.message_id == answered++ * 1000003);
        }
        tap_eq_uint(nipc_session_get_in_flight(pair.client), window - 1);
        pair_close(&pair);
}

static void test_duplicate(void)
{
        struct nipc_header request = make_request(0), response = make_response(0);
        struct pair_config config;
        struct pair pair;
        void *payload;

        pipelining_config(&config);
        tap_require(pair_open(&pair, &config));
        for (unsigned i = 0; i < 3; i++) {
                tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
                util_eq_error(nipc_session_send(pair.client, &request, "x", 1, util_soon()),
                              -EEXIST);
                util_eq_error(nipc_session_reserve(pair.client, 10, &payload), 0);
                util_eq_error(nipc_session_commit(pair.client, &request, 10, util_soon()), -EEXIST);
                tap_eq_uint(nipc_session_get_in_flight(pair.client), 1);
                tap_eq_int(session_failure(pair.client).error, 0);
                tap_check(transfer(pair.server, pair.client, &response, 10, SEND_COPY));
        }
        util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_NOW),
                      -EAGAIN); /* no more came */
        pair_close(&pair);
}

/* A commit that is refused for its id leaves the reserved memory with the caller. */
static void test_duplicate_commit_again(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        pipelining_config(&config);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        util_eq_error(nipc_session_reserve(pair.client, 100, &payload), 0);
        pattern_fill(payload, 100, 2);
        util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), -EEXIST);
        take_turn(&pair, 1);
        request.message_id = 2;
        util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), 0);
        if (util_eq_error(nipc_session_receive(pair.server, NIPC_DEADLINE_NOW, &message), 0))
                pattern_check(message.payload, 100, 2);
        pair_close(&pair);
}

static void test_max_in_flight(void)
{
        struct nipc_header request = make_request(0), response = make_response(2);
        struct pair_config config;
        struct pair pair;

        if (!conformance_can_pipeline())
                tap_skip("see test_turns");
        pipelining_config(&config);
        config.session.max_in_flight = 3;
        tap_require(pair_open(&pair, &config));
        for (uint64_t id = 1; id <= 3; id++) {
                request.message_id = id;
                tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        }
        request.message_id = 4;
        util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), -EBUSY);
        tap_check(!nipc_session_has_pending(pair.client));
        request.message_id = 3;
        util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), -EEXIST);
        /* What is no request needs no id. */
        tap_check(transfer(pair.client, pair.server,
                           &(struct nipc_header){.kind = NIPC_KIND_CONTROL, .message_id = 1}, 0,
                           SEND_COPY));
        tap_check(transfer(pair.server, pair.client, &response, 10, SEND_COPY));
        request.message_id = 4;
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 3);
        pair_close(&pair);
}

/* Where messages take turns: out of turn nothing happens, and nothing is lost. */
static void test_turns(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        if (conformance_can_pipeline())
                tap_skip("there are no turns");
        pipelining_config(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_send(pair.server, &response, "x", 1, util_soon()), -EBUSY);
        for (uint64_t id = 1; id < 20; id += 2) {
                request.message_id = response.message_id = id;
                tap_check(transfer(pair.client, pair.server, &request, 100, SEND_COPY));
                request.message_id = id + 1;
                util_eq_error(nipc_session_send(pair.client, &request, "x", 1, util_soon()),
                              -EBUSY);
                util_eq_error(nipc_session_reserve(pair.client, 100, &payload), 0);
                pattern_fill(payload, 100, id);
                util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), -EBUSY);
                tap_check(!nipc_session_has_pending(pair.client));
                util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_NOW), -EAGAIN);
                tap_check(transfer(pair.server, pair.client, &response, 200, SEND_IN_PLACE));
                util_eq_error(nipc_session_send(pair.server, &response, "x", 1, util_soon()),
                              -EBUSY);
                util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), 0);
                util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
                pattern_check(message.payload, 100, id);
                response.message_id = id + 1;
                tap_check(transfer(pair.server, pair.client, &response, 300, SEND_COPY));
        }
        tap_eq_int(session_failure(pair.client).error, 0);
        tap_eq_int(session_failure(pair.server).error, 0);
        pair_close(&pair);
}

/* An answer that nobody asked for, or that came before, ends the session. */
static void test_unknown(void)
{
        struct nipc_header request = make_request(7), response = make_response(8);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pipelining_config(&config);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        util_eq_error(nipc_session_send(pair.server, &response, NULL, 0, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), -EBADMSG);
        tap_eq_int(session_fault(pair.client).error, NIPC_PROTO_E_UNKNOWN_MSG_ID);
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 0); /* the whole set, wire-v1 §7 */
        util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), -EBADMSG);
        pair_close(&pair);

        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        response.message_id = 7;
        tap_check(transfer(pair.server, pair.client, &response, 10, SEND_COPY));
        request.message_id = 9;
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        util_eq_error(nipc_session_send(pair.server, &response, NULL, 0, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), -EBADMSG);
        pair_close(&pair);
}

/* A server takes what ids come: two alike are its client's business. */
static void test_server_does_not_track(void)
{
        struct nipc_message message;
        struct pair_config config;
        struct nipc_session *session;
        uint8_t packet[32];
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        pair_config_init(&config);
        session = open_server(&config.listener, NULL, &fd);
        tap_require(session != NULL);
        raw_header(packet, 1, 7, 0, 1, 5);
        for (unsigned i = 0; i < 3; i++) {
                tap_check(raw_send(fd, packet, sizeof(packet)));
                util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
                tap_eq_uint(message.header.message_id, 5);
        }
        tap_eq_uint(nipc_session_get_in_flight(session), 0);
        nipc_session_close(session);
        close(fd);
}

/* How full the memory of a ring is; other profiles have none that could be. */
static void test_queued(void)
{
        struct nipc_header request = make_request(1);
        size_t used = 77, capacity = 77, before;
        struct pair_config config;
        uint8_t payload[1000] = {0};
        struct pair pair;

        pipelining_config(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_get_queued(NULL, &used, &capacity), -EINVAL);
        util_eq_error(nipc_session_get_queued(pair.client, NULL, &capacity), -EINVAL);
        if (conformance_profile()->selected != NIPC_PROFILE_RING) {
                util_eq_error(nipc_session_get_queued(pair.client, &used, &capacity), -EOPNOTSUPP);
                tap_eq_uint(used, 77);
                pair_close(&pair);
                return;
        }
        util_eq_error(nipc_session_get_queued(pair.client, &used, &capacity), 0);
        tap_check(capacity >= 1000);
        tap_eq_uint(used, 0);
        do {
                before = used;
                util_eq_error(nipc_session_send(pair.client, &request, payload, sizeof(payload),
                                                NIPC_DEADLINE_NOW),
                              0);
                request.message_id++;
                util_eq_error(nipc_session_get_queued(pair.client, &used, &capacity), 0);
                tap_check(used > before && used <= capacity);
        } while (used > before && used + 2 * (used - before) <= capacity);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_queued), TAP_CASE(test_depths), TAP_CASE(test_window),
          TAP_CASE(test_duplicate), TAP_CASE(test_duplicate_commit_again),
          TAP_CASE(test_max_in_flight), TAP_CASE(test_turns), TAP_CASE(test_unknown),
          TAP_CASE(test_server_does_not_track))
