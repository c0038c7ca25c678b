/* SPDX-License-Identifier: MIT */

/* Messages of every size around what packets carry, both directions, copied and built in place. */

#include "util-conformance.h"

/* One message of `size` bytes each way. */
static bool try_size(const struct pair *pair, size_t size, enum send_way way)
{
        struct nipc_header request = make_request(size + 1), response = make_response(size + 1);

        if (transfer(pair->client, pair->server, &request, size, way) &&
            transfer(pair->server, pair->client, &response, size, way))
                return true;
        return tap_fail("size %zu, way %d", size, (int)way);
}

static void try_around_packets(uint32_t packet_size)
{
        static const size_t small[] = {0, 1, 7, 8};
        struct pair_config config;
        struct pair pair;
        bool good = true;

        tap_note("packets of %u", packet_size);
        pair_config_init_large(&config, packet_size);
        tap_require(pair_open(&pair, &config));
        for (enum send_way way = 0; good && way < N_SEND_WAYS; way++) {
                for (size_t i = 0; good && i < 4; i++)
                        good = try_size(&pair, small[i], way);
                for (size_t size = packet_size - 33; good && size <= packet_size + 33; size++)
                        good = try_size(&pair, size, way);
                for (size_t n = 2; good && n <= 5; n++)
                        for (size_t size = n * (packet_size - 32) - 2;
                             good && size <= n * (packet_size - 32) + 2; size++)
                                good = try_size(&pair, size, way);
                for (size_t n = 2; good && n <= 4; n++)
                        good = try_size(&pair, n * packet_size, way);
        }
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 0);
        pair_close(&pair);
}

static void test_small_packets(void)
{
        try_around_packets(33);
        try_around_packets(64);
        try_around_packets(100);
}

static void test_page_packets(void)
{
        try_around_packets(4096);
}

static void test_large_packets(void)
{
        try_around_packets(65536);
        try_around_packets(212960);
}

static void try_large(uint32_t packet_size, size_t size)
{
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, packet_size);
        tap_require(pair_open(&pair, &config));
        for (enum send_way way = 0; way < N_SEND_WAYS; way++)
                try_size(&pair, size, way);
        pair_close(&pair);
}

static void test_megabytes(void)
{
        try_large(0, 1024 * 1024);
        try_large(0, 8 * 1024 * 1024);
        try_large(1000, 1024 * 1024);
        try_large(4096, 8 * 1024 * 1024);
}

/* Every size there is, one after the other, through the same buffers. */
static void test_every_size(void)
{
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, 128);
        tap_require(pair_open(&pair, &config));
        for (size_t size = 0; size <= 700; size++)
                if (!try_size(&pair, size, size % 3 ? SEND_COPY : SEND_IN_PLACE))
                        break;
        pair_close(&pair);
}

/* The header is the caller's; only payload_len is not. */
static void test_header_fields(void)
{
        struct pair_config config;
        struct pair pair;
        struct nipc_header request = {
                .kind = NIPC_KIND_REQUEST,
                .flags = 0xfff0,
                .code = 0xfffe,
                .transport_status = 0xfffd,
                .payload_len = 12345,
                .item_count = 65535,
                .message_id = UINT64_MAX,
        };

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 100, SEND_COPY));
        tap_check(transfer(pair.server, pair.client,
                           &(struct nipc_header){.kind = NIPC_KIND_RESPONSE,
                                                 .flags = 0x8000,
                                                 .transport_status = 6,
                                                 .item_count = 0,
                                                 .message_id = UINT64_MAX},
                           0, SEND_IN_PLACE));
        /* Chunked ones keep theirs. */
        request.message_id = 0;
        tap_check(transfer(pair.client, pair.server, &request, 300000, SEND_IN_PLACE));
        pair_close(&pair);
}

/* No bytes at all: there is still something to point at. */
static void test_empty(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message = {.payload = NULL};
        struct pair_config config;
        struct pair pair;
        void *payload = NULL;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_send(pair.client, &request, NULL, 0, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        tap_check(message.payload != NULL);
        tap_eq_uint(message.payload_size, 0);
        take_turn(&pair, 1);
        request.message_id = 2;
        util_eq_error(nipc_session_reserve(pair.client, 0, &payload), 0);
        tap_check(payload != NULL);
        util_eq_error(nipc_session_commit(pair.client, &request, 0, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        tap_eq_uint(message.header.message_id, 2);
        util_eq_error(nipc_session_send(pair.client, &request, NULL, 1, util_soon()), -EINVAL);
        util_eq_error(nipc_session_send(pair.client, NULL, NULL, 0, util_soon()), -EINVAL);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), NULL), -EINVAL);
        pair_close(&pair);
}

/* Less may be committed than was reserved, never more, and only once. */
static void test_reserve_commit(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        pair_config_init_large(&config, 256);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_commit(pair.client, &request, 0, util_soon()), -EINVAL);
        util_eq_error(nipc_session_reserve(pair.client, 1000, &payload), 0);
        util_eq_error(nipc_session_commit(pair.client, &request, 1001, util_soon()), -EINVAL);
        util_eq_error(nipc_session_commit(pair.client, NULL, 0, util_soon()), -EINVAL);
        pattern_fill(payload, 700, 1);
        util_eq_error(nipc_session_commit(pair.client, &request, 700, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        tap_eq_uint(message.payload_size, 700);
        pattern_check(message.payload, 700, 1);
        util_eq_error(nipc_session_commit(pair.client, &request, 0, util_soon()), -EINVAL);
        /* Another reserve takes the place of the last; receiving does not disturb it. */
        util_eq_error(nipc_session_reserve(pair.client, 10, &payload), 0);
        util_eq_error(nipc_session_reserve(pair.client, 20000, &payload), 0);
        pattern_fill(payload, 20000, 2);
        tap_check(transfer(
                pair.server, pair.client,
                &(struct nipc_header){.kind = NIPC_KIND_RESPONSE, .item_count = 1, .message_id = 1},
                5000, SEND_COPY));
        request.message_id = 2;
        util_eq_error(nipc_session_commit(pair.client, &request, 20000, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        pattern_check(message.payload, 20000, 2);
        /* A send ends the loan, too. */
        take_turn(&pair, 2);
        util_eq_error(nipc_session_reserve(pair.client, 10, &payload), 0);
        tap_check(transfer(
                pair.client, pair.server,
                &(struct nipc_header){.kind = NIPC_KIND_REQUEST, .item_count = 1, .message_id = 3},
                500, SEND_COPY));
        util_eq_error(nipc_session_commit(pair.client, &request, 10, util_soon()), -EINVAL);
        util_eq_error(nipc_session_reserve(pair.client, 1, NULL), -EINVAL);
        pair_close(&pair);
}

/* A message stays as it is while other things happen, until the next receive. */
static void test_borrowed_until_receive(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        util_eq_error(pattern_send(pair.client, &request, 3000, 1, SEND_COPY, util_soon()), 0);
        request.message_id = 2;
        if (conformance_can_pipeline())
                util_eq_error(pattern_send(pair.client, &request, 3000, 2, SEND_COPY, util_soon()),
                              0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        util_eq_error(pattern_send(pair.server, &response, 50000, 3, SEND_IN_PLACE,
                                   NIPC_DEADLINE_NOW),
                      0);
        if (!conformance_can_pipeline()) {
                util_eq_error(nipc_session_wait(pair.server, NIPC_DEADLINE_NOW), -EAGAIN);
                pattern_check(message.payload, 3000, 1);
                pair_close(&pair);
                return;
        }
        util_eq_error(nipc_session_wait(pair.server, util_soon()), 0);
        pattern_check(message.payload, 3000, 1);
        /* Echoed from where it lies. */
        response.message_id = 2;
        util_eq_error(nipc_session_send(pair.server, &response, message.payload,
                                        message.payload_size, util_soon()),
                      0);
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), 0);
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), 0);
        pattern_check(message.payload, 3000, 1);
        pair_close(&pair);
}

/* CONTROL and the wrong kind pass: what they mean is not the session's business (wire-v1 §6). */
static void test_other_kinds(void)
{
        struct nipc_header header = {.kind = NIPC_KIND_CONTROL, .code = 99, .item_count = 1};
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &header, 10, SEND_COPY));
        tap_check(transfer(pair.server, pair.client, &header, 10, SEND_COPY));
        header.kind = NIPC_KIND_RESPONSE;
        tap_check(transfer(pair.client, pair.server, &header, 10, SEND_COPY));
        header.kind = NIPC_KIND_REQUEST;
        tap_check(transfer(pair.server, pair.client, &header, 10, SEND_COPY));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 0);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_small_packets), TAP_CASE(test_page_packets), TAP_CASE(test_large_packets),
          TAP_CASE(test_megabytes), TAP_CASE(test_every_size), TAP_CASE(test_header_fields),
          TAP_CASE(test_empty), TAP_CASE(test_reserve_commit),
          TAP_CASE(test_borrowed_until_receive), TAP_CASE(test_other_kinds))
