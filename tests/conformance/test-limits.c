/* SPDX-License-Identifier: MIT */

/*
 * What was agreed is kept, by us and by the peer (wire-v1 §6): refused here before anything is
 * sent, refused there before anything is spent on it.
 */

#include "util-conformance.h"
#include <nipc/error.h>
#include <unistd.h>

static void limited_config(struct pair_config *config)
{
        pair_config_init(config);
        config->listener.max_request_payload_bytes = 4096;
        config->listener.max_response_payload_bytes = 2000;
        config->session.max_request_payload_bytes = 3000;
        config->session.max_request_batch_items = 5;
}

static void try_too_large(struct nipc_session *session, const struct nipc_header *header,
                          size_t size, size_t capacity)
{
        static uint8_t payload[8192];
        void *space = NULL;

        util_eq_error(nipc_session_send(session, header, payload, size, util_soon()), -EMSGSIZE);
        tap_check(!nipc_session_has_pending(session));
        tap_eq_int(session_failure(session).error, -EMSGSIZE);
        tap_eq_uint(session_failure(session).stage, NIPC_FAILURE_SEND);
        tap_eq_int(session_fault(session).error, NIPC_PROTO_E_LIMIT_EXCEEDED);
        tap_check(session_fault(session).rule != NULL);
        if (capacity) {
                util_eq_error(nipc_session_reserve(session, capacity, &space), -EMSGSIZE);
                tap_eq_ptr(space, NULL);
        }
}

/* Up to the limit and not a byte more; refused ones cost nothing and the session goes on. */
static void test_outbound_bytes(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct pair_config config;
        struct pair pair;

        limited_config(&config);
        tap_require(pair_open(&pair, &config));
        for (unsigned i = 0; i < 3; i++) {
                try_too_large(pair.client, &request, 3001, 3001);
                try_too_large(pair.client, &request, 8192, SIZE_MAX);
                tap_eq_uint(nipc_session_get_in_flight(pair.client), 0);
                tap_check(transfer(pair.client, pair.server, &request, 3000, SEND_COPY));
                try_too_large(pair.server, &response, 2001, 2001);
                tap_check(transfer(pair.server, pair.client, &response, 2000, SEND_IN_PLACE));
        }
        pair_close(&pair);
}

static void test_outbound_items(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct pair_config config;
        struct pair pair;

        limited_config(&config);
        tap_require(pair_open(&pair, &config));
        request.item_count = 6;
        try_too_large(pair.client, &request, 0, 0);
        request.item_count = UINT32_MAX;
        try_too_large(pair.client, &request, 0, 0);
        request.item_count = 5;
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        response.item_count = 6; /* the limit of responses is that of requests */
        try_too_large(pair.server, &response, 0, 0);
        response.item_count = 5;
        tap_check(transfer(pair.server, pair.client, &response, 10, SEND_COPY));
        pair_close(&pair);
}

/* A commit that is refused for its header leaves the reserved memory with the caller. */
static void test_outbound_commit(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        limited_config(&config);
        tap_require(pair_open(&pair, &config));
        util_eq_error(nipc_session_reserve(pair.client, 100, &payload), 0);
        pattern_fill(payload, 100, 1);
        request.item_count = 6;
        util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), -EMSGSIZE);
        request.item_count = 1;
        util_eq_error(nipc_session_commit(pair.client, &request, 100, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        pattern_check(message.payload, 100, 1);
        pair_close(&pair);
}

/* CONTROL is not held to what was agreed, but to what the envelope can say. */
static void test_outbound_envelope(void)
{
#if SIZE_MAX > UINT32_MAX
        struct nipc_header header = {.kind = NIPC_KIND_CONTROL, .item_count = 1};
        struct pair_config config;
        struct pair pair;

        limited_config(&config);
        tap_require(pair_open(&pair, &config));
        /* Refused before a byte is looked at. */
        util_eq_error(nipc_session_send(pair.client, &header, "", (size_t)UINT32_MAX - 31,
                                        util_soon()),
                      -EMSGSIZE);
        util_eq_error(nipc_session_send(pair.client, &header, "", SIZE_MAX, util_soon()),
                      -EMSGSIZE);
        tap_check(!nipc_session_has_pending(pair.client));
        pair_close(&pair);
#else
        tap_skip("no size is too large here");
#endif
}

/* Out it goes, whatever its size; in, the limit is for every kind (wire-v1 §6). */
static void test_outbound_other_kinds(void)
{
        struct nipc_header header = {.kind = NIPC_KIND_CONTROL, .item_count = 1};
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;

        limited_config(&config);
        for (unsigned i = 0; i < 2; i++) {
                tap_require(pair_open(&pair, &config));
                tap_check(transfer(pair.client, pair.server, &header, 3000, SEND_COPY));
                tap_check(transfer(pair.server, pair.client, &header, 2000, SEND_COPY));
                util_eq_error(pattern_send(pair.client, &header, 3001, 1, SEND_COPY, util_soon()),
                              0);
                util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), -EMSGSIZE);
                header.item_count = 6;
                util_eq_error(pattern_send(pair.server, &header, 10, 1, SEND_COPY, util_soon()), 0);
                util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), -EMSGSIZE);
                pair_close(&pair);
                header = (struct nipc_header){.kind = NIPC_KIND_CONTROL, .item_count = 5};
        }
}

/* ---- inbound -------------------------------------------------------------------------------- */

struct inbound {
        const char *name;
        uint32_t payload_len;
        uint32_t item_count;
        int expected;
        uint32_t max_request; /* in HELLO */
        uint32_t max_items;
};

static void try_inbound(const struct inbound *row)
{
        struct nipc_message message = {.payload = NULL, .payload_size = 77};
        struct nipc_header response = make_response(9);
        struct pair_config config;
        uint8_t packet[32 + 2000] = {0}, hello[RAW_HELLO_SIZE];
        struct nipc_session *session;
        int fd;

        pair_config_init(&config);
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, row->max_request);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, row->max_items);
        session = open_server(&config.listener, hello, &fd);
        tap_require(session != NULL);
        raw_header(packet, 1, 7, row->payload_len, row->item_count, 9);
        tap_check(raw_send(fd, packet, 32 + (row->payload_len <= 2000 ? row->payload_len : 0)));
        if (!util_eq_error(nipc_session_receive(session, util_soon(), &message), row->expected))
                tap_note("row: %s", row->name);
        tap_check(message.payload != NULL);
        tap_eq_uint(message.header.message_id, 9);
        tap_eq_uint(message.header.payload_len, row->payload_len);
        tap_eq_uint(message.payload_size, row->expected ? 0 : row->payload_len);
        if (row->expected) {
                tap_eq_int(session_fault(session).error, NIPC_PROTO_E_LIMIT_EXCEEDED);
                util_eq_error(nipc_session_receive(session, util_soon(), &message), -EMSGSIZE);
                response.transport_status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        }
        /* One can still say why. */
        if (row->max_items || !row->expected)
                util_eq_error(nipc_session_send(session, &response, NULL, 0, util_soon()), 0);
        nipc_session_close(session);
        close(fd);
}

static void test_inbound(void)
{
        static const struct inbound rows[] = {
                {"bytes, all", 1000, 1, 0, 1000, 1},
                {"bytes + 1", 1001, 1, -EMSGSIZE, 1000, 1},
                {"bytes, 4 GiB", 0xffffffff, 1, -EMSGSIZE, 1000, 1},
                {"no bytes allowed, none", 0, 1, 0, 0, 1},
                {"no bytes allowed, one", 1, 1, -EMSGSIZE, 0, 1},
                {"items, all", 8, 3, 0, 1000, 3},
                {"no items", 8, 0, 0, 1000, 3},
                {"items + 1", 8, 4, -EMSGSIZE, 1000, 3},
                {"items, 4 G", 8, 0xffffffff, -EMSGSIZE, 1000, 3},
                {"no items allowed, one", 8, 1, -EMSGSIZE, 1000, 0},
                {"no items allowed, none", 8, 0, 0, 1000, 0},
        };

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_inbound(&rows[i]);
}

/* On a client the limit decides before the id does. */
static void test_inbound_limit_before_id(void)
{
        struct nipc_message message = {.payload = NULL};
        struct pair_config config;
        uint8_t packet[32];
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        pair_config_init(&config);
        session = open_client(&config.session, NULL, &fd);
        tap_require(session != NULL);
        raw_header(packet, 2, 7, 1025, 1, 4711); /* nobody asked, and too large */
        tap_check(raw_send(fd, packet, sizeof(packet)));
        util_eq_error(nipc_session_receive(session, util_soon(), &message), -EMSGSIZE);
        tap_eq_int(session_fault(session).error, NIPC_PROTO_E_LIMIT_EXCEEDED);
        nipc_session_close(session);
        close(fd);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Address space in use, in KiB; what malloc was asked for is in it, touched or not. */
static long address_space_kib(void)
{
        FILE *file = fopen("/proc/self/status", "r");
        char line[128];
        long kib = -1;

        while (file && kib < 0 && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmSize: %ld", &kib) != 1)
                        kib = -1;
        if (file)
                fclose(file);
        return kib;
}

/* The server announces 4 GiB for everything; we are willing to hold 1 MiB. */
static void try_announcement(uint32_t payload_len, int expected)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message = {.payload = NULL};
        struct pair_config config;
        uint8_t packet[64] = {0}, ack[RAW_ACK_SIZE];
        struct nipc_session *session;
        long before;
        int fd;

        pair_config_init(&config);
        config.session.max_receive_bytes = 1024 * 1024;
        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, 0xffffffff);
        raw_put32(ack, RAW_ACK_PACKET_SIZE, 0xffffffff);
        session = open_client(&config.session, ack, &fd);
        tap_require(session != NULL);
        util_eq_error(nipc_session_send(session, &request, NULL, 0, util_soon()), 0);
        before = address_space_kib();
        raw_header(packet, 2, 7, payload_len, 1, 1);
        tap_check(raw_send(fd, packet, sizeof(packet)));
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), expected);
        if (!tap_check(address_space_kib() - before < 16 * 1024))
                tap_note("%ld KiB more", address_space_kib() - before);
        nipc_session_close(session);
        close(fd);
}

static void test_announcements(void)
{
        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        try_announcement(0xffffffff, -EMSGSIZE);
        try_announcement(0xffffffdf, -EMSGSIZE);
        try_announcement(1024 * 1024 + 1, -EMSGSIZE);
        try_announcement(1024 * 1024, -EAGAIN); /* the rest may come */
}

/* Both directions at the largest there is, between two of ours. */
static void test_max_receive(void)
{
        struct nipc_header request = make_request(1), response = make_response(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        int r;

        pair_config_init_large(&config, 0);
        config.session.max_receive_bytes = 100000;
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 1000, SEND_COPY));
        tap_check(transfer(pair.server, pair.client, &response, 100000, SEND_COPY));
        tap_check(transfer(pair.client, pair.server, &request, 1000, SEND_COPY));
        r = pattern_send(pair.server, &response, 100001, 1, SEND_COPY, NIPC_DEADLINE_NOW);
        tap_check(r == 0 || r == -EAGAIN); /* it was never told */
        util_eq_error(nipc_session_receive(pair.client, util_soon(), &message), -EMSGSIZE);
        tap_eq_int(session_fault(pair.client).error, NIPC_PROTO_E_LIMIT_EXCEEDED);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_outbound_bytes), TAP_CASE(test_outbound_items),
          TAP_CASE(test_outbound_commit), TAP_CASE(test_outbound_envelope),
          TAP_CASE(test_outbound_other_kinds), TAP_CASE(test_inbound),
          TAP_CASE(test_inbound_limit_before_id), TAP_CASE(test_announcements),
          TAP_CASE(test_max_receive))
