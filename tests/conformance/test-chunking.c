/* SPDX-License-Identifier: MIT */

/*
 * Messages larger than a packet, on the wire of the baseline (wire-v1 §4): the bytes we send, the
 * packets we take, and everything that is not a continuation.
 */

#include "util-conformance.h"
#include <unistd.h>

#define PACKET_SIZE  64u
#define ROOM         (PACKET_SIZE - 32)
#define PAYLOAD_SIZE 100u
#define N_PACKETS    4u

static struct nipc_session *open_chunking_server(int *ret_fd)
{
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];

        pair_config_init(&config);
        config.listener.max_response_payload_bytes = 4096;
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_PACKET_SIZE, PACKET_SIZE);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, 100);
        return open_server(&config.listener, hello, ret_fd);
}

static struct nipc_session *open_chunking_client(int *ret_fd)
{
        struct pair_config config;
        uint8_t ack[RAW_ACK_SIZE];

        pair_config_init(&config);
        raw_ack(ack);
        raw_put32(ack, RAW_ACK_PACKET_SIZE, PACKET_SIZE);
        return open_client(&config.session, ack, ret_fd);
}

/* ---- what we send --------------------------------------------------------------------------- */

/* Packet `index` of a message of PAYLOAD_SIZE bytes as it must be. Returns its length. */
static size_t expect_packet(uint8_t *packet, uint16_t kind, uint64_t id, uint32_t index)
{
        uint8_t payload[PAYLOAD_SIZE];
        uint32_t offset = index * ROOM;
        uint32_t part = PAYLOAD_SIZE - offset < ROOM ? PAYLOAD_SIZE - offset : ROOM;

        pattern_fill(payload, sizeof(payload), id);
        if (index == 0)
                raw_header(packet, kind, 7, PAYLOAD_SIZE, 1, id);
        else
                raw_chunk(packet, id, 32 + PAYLOAD_SIZE, index, N_PACKETS, part);
        memcpy(packet + 32, payload + offset, part);
        return 32 + part;
}

static void check_packets(int fd, uint16_t kind, uint64_t id)
{
        uint8_t packet[PACKET_SIZE + 1], expected[PACKET_SIZE];

        for (uint32_t i = 0; i < N_PACKETS; i++) {
                size_t size = expect_packet(expected, kind, id, i);
                ssize_t n = raw_receive(fd, packet, sizeof(packet));

                if (!tap_eq_int(n, size) || !tap_eq_mem(packet, size, expected, size))
                        tap_note("packet %u of message %u", i, (unsigned)id);
        }
        tap_check(!raw_is_readable(fd));
}

static void test_sent_bytes(void)
{
        struct nipc_header request, response;
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("bytes of the baseline");
        session = open_chunking_client(&fd);
        tap_require(session != NULL);
        for (enum send_way way = 0; way < N_SEND_WAYS; way++) {
                request = make_request(way + 10);
                util_eq_error(pattern_send(session, &request, PAYLOAD_SIZE, way + 10, way,
                                           util_soon()),
                              0);
                check_packets(fd, NIPC_KIND_REQUEST, way + 10);
        }
        nipc_session_close(session);
        close(fd);
        session = open_chunking_server(&fd);
        tap_require(session != NULL);
        for (enum send_way way = 0; way < N_SEND_WAYS; way++) {
                response = make_response(way + 10);
                util_eq_error(pattern_send(session, &response, PAYLOAD_SIZE, way + 10, way,
                                           util_soon()),
                              0);
                check_packets(fd, NIPC_KIND_RESPONSE, way + 10);
        }
        nipc_session_close(session);
        close(fd);
}

/* ---- what we take --------------------------------------------------------------------------- */

/* A message of PAYLOAD_SIZE bytes whose packets carry these many; 0 ends the list. */
static void try_parts(const char *name, const uint32_t *parts)
{
        struct nipc_message message = {.payload = NULL};
        uint8_t payload[PAYLOAD_SIZE], packet[32 + PAYLOAD_SIZE];
        uint32_t offset = parts[0], rest = PAYLOAD_SIZE - parts[0];
        uint32_t count = 1 + (rest + ROOM - 1) / ROOM;
        int fd, r;
        struct nipc_session *session = open_chunking_server(&fd);

        tap_require(session != NULL);
        tap_note("%s", name);
        pattern_fill(payload, sizeof(payload), 5);
        raw_header(packet, 1, 7, PAYLOAD_SIZE, 1, 5);
        memcpy(packet + 32, payload, parts[0]);
        tap_check(raw_send(fd, packet, 32 + parts[0]));
        for (uint32_t i = 1; offset < PAYLOAD_SIZE; i++) {
                r = nipc_session_receive(session, NIPC_DEADLINE_NOW, &message);
                if (!util_eq_error(r, -EAGAIN) || !tap_check(nipc_session_is_receiving(session)))
                        break;
                raw_chunk(packet, 5, 32 + PAYLOAD_SIZE, i, count, parts[i]);
                memcpy(packet + 32, payload + offset, parts[i]);
                tap_check(raw_send(fd, packet, 32 + parts[i]));
                offset += parts[i];
        }
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), 0);
        tap_check(!nipc_session_is_receiving(session));
        tap_eq_uint(message.payload_size, PAYLOAD_SIZE);
        if (message.payload)
                pattern_check(message.payload, PAYLOAD_SIZE, 5);
        nipc_session_close(session);
        close(fd);
}

/* Resumed after every packet; what the reference tolerates, we do (wire-v1 §4). */
static void test_packet_by_packet(void)
{
        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        try_parts("as it should be", (const uint32_t[]){32, 32, 32, 4});
        try_parts("nothing with the header", (const uint32_t[]){0, 32, 32, 32, 4});
        try_parts("little with the header", (const uint32_t[]){4, 32, 32, 32});
        try_parts("all but one byte", (const uint32_t[]){32, 32, 32, 3, 1});
        try_parts("more packets than announced", (const uint32_t[]){32, 10, 10, 10, 10, 10, 10, 8});
        try_parts("one larger than agreed", (const uint32_t[]){PAYLOAD_SIZE});
}

/* ---- what we refuse ------------------------------------------------------------------------- */

struct bad {
        const char *name;
        uint8_t at; /* in the first continuation */
        uint8_t width;
        uint64_t value;
        size_t size; /* of that packet; 0: as it should be */
};

static void try_bad(const struct bad *bad)
{
        struct nipc_header response = make_response(5);
        struct nipc_message message;
        uint8_t packet[200] = {0};
        int fd;
        struct nipc_session *session = open_chunking_server(&fd);

        tap_require(session != NULL);
        tap_check(raw_send(fd, packet, expect_packet(packet, 1, 5, 0)));
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        expect_packet(packet, 1, 5, 1);
        if (bad->width == 2)
                raw_put16(packet, bad->at, (uint16_t)bad->value);
        else if (bad->width == 4)
                raw_put32(packet, bad->at, (uint32_t)bad->value);
        else if (bad->width == 8)
                raw_put64(packet, bad->at, bad->value);
        tap_check(raw_send(fd, packet, bad->size ? bad->size : PACKET_SIZE));
        if (!util_eq_error(nipc_session_receive(session, util_soon(), &message), -EBADMSG) ||
            !tap_check(session_fault(session).rule != NULL))
                tap_note("continuation: %s", bad->name);
        /* That was it, for both directions. */
        util_eq_error(nipc_session_receive(session, util_soon(), &message), -EBADMSG);
        util_eq_error(nipc_session_wait(session, util_soon()), -EBADMSG);
        util_eq_error(nipc_session_send(session, &response, NULL, 0, util_soon()), -EBADMSG);
        tap_eq_uint(session_failure(session).stage, NIPC_FAILURE_RECEIVE);
        nipc_session_close(session);
        close(fd);
}

static void test_bad_continuations(void)
{
        static const struct bad rows[] = {
                {"magic", 0, 4, 0},
                {"magic of a message", 0, 4, 0x4e495043},
                {"version", 4, 2, 2},
                {"flags", 6, 2, 1},
                {"id", 8, 8, 6},
                {"id, high", 8, 8, UINT64_C(0x100000005)},
                {"total - 1", 16, 4, 131},
                {"total + 1", 16, 4, 133},
                {"index 0", 20, 4, 0},
                {"index 2", 20, 4, 2},
                {"count 3", 24, 4, 3},
                {"count 5", 24, 4, 5},
                {"count 0", 24, 4, 0},
                {"length 0", 28, 4, 0},
                {"length 31", 28, 4, 31},
                {"length 33", 28, 4, 33},
                {"length, all", 28, 4, 0xffffffff},
                {"header alone", 0, 0, 0, 32},
                {"header alone, length 0", 28, 4, 0, 32},
                {"31 bytes", 0, 0, 0, 31},
                {"1 byte", 0, 0, 0, 1},
                {"packet shorter than it says", 0, 0, 0, 63},
                {"packet longer than it says", 0, 0, 0, 65},
                {"all that is missing, but larger than agreed", 28, 4, 68, 32 + 68},
                {"more than is missing", 28, 4, 69, 32 + 69},
                {"far more than is missing", 28, 4, 168, 200},
        };

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_bad(&rows[i]);
}

/* Packet 0 promises less than it has, or another message begins in the middle of one. */
static void test_bad_first(void)
{
        struct nipc_message message;
        uint8_t packet[200] = {0};
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (uint32_t payload_len = 0; payload_len < 32; payload_len += 8) {
                session = open_chunking_server(&fd);
                tap_require(session != NULL);
                raw_header(packet, 1, 7, payload_len, 1, 5);
                tap_check(raw_send(fd, packet, 64));
                util_eq_error(nipc_session_receive(session, util_soon(), &message), -EBADMSG);
                nipc_session_close(session);
                close(fd);
        }
        session = open_chunking_server(&fd);
        tap_require(session != NULL);
        tap_check(raw_send(fd, packet, expect_packet(packet, 1, 5, 0)));
        tap_check(raw_send(fd, packet, expect_packet(packet, 1, 6, 0)));
        util_eq_error(nipc_session_receive(session, util_soon(), &message), -EBADMSG);
        nipc_session_close(session);
        close(fd);
}

/* A missing packet is waited for, not for ever; the half is kept and goes on. */
static void test_missing(void)
{
        struct nipc_message message = {.payload = NULL};
        uint8_t packet[PACKET_SIZE];
        uint64_t deadline_ns;
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_chunking_server(&fd);
        tap_require(session != NULL);
        for (uint32_t i = 0; i < N_PACKETS; i++) {
                deadline_ns = nipc_deadline_after_ms(5);
                util_eq_error(nipc_session_receive(session, deadline_ns, &message), -ETIMEDOUT);
                tap_check(nipc_clock_now_ns() >= deadline_ns);
                tap_check(nipc_session_is_receiving(session) == (i > 0));
                util_eq_error(nipc_session_wait(session, NIPC_DEADLINE_NOW), -EAGAIN);
                tap_check(raw_send(fd, packet, expect_packet(packet, 1, 5, i)));
                util_eq_error(nipc_session_wait(session, NIPC_DEADLINE_NOW), 0);
        }
        util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
        tap_require(message.payload != NULL);
        pattern_check(message.payload, PAYLOAD_SIZE, 5);
        tap_eq_int(session_failure(session).error, 0);
        nipc_session_close(session);
        close(fd);
}

/* The id of a response is settled with its first packet (wire-v1 §7). */
static void test_id_of_chunked_response(void)
{
        struct nipc_header request = make_request(5);
        struct nipc_message message = {.payload = NULL};
        uint8_t packet[PACKET_SIZE];
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_chunking_client(&fd);
        tap_require(session != NULL);
        util_eq_error(nipc_session_send(session, &request, NULL, 0, util_soon()), 0);
        tap_check(raw_send(fd, packet, expect_packet(packet, 2, 5, 0)));
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_eq_uint(nipc_session_get_in_flight(session), 0);
        util_eq_error(nipc_session_send(session, &request, NULL, 0, util_soon()), 0);
        for (uint32_t i = 1; i < N_PACKETS; i++)
                tap_check(raw_send(fd, packet, expect_packet(packet, 2, 5, i)));
        util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
        tap_require(message.payload != NULL);
        pattern_check(message.payload, PAYLOAD_SIZE, 5);
        tap_eq_uint(nipc_session_get_in_flight(session), 1);
        nipc_session_close(session);
        close(fd);
}

/* A directory is judged when all of it is there. */
static void test_chunked_batch(void)
{
        struct nipc_message message;
        struct nipc_session *session;
        uint8_t packet[PACKET_SIZE];
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_chunking_server(&fd);
        tap_require(session != NULL);
        for (uint32_t i = 0; i < N_PACKETS; i++) {
                size_t size = expect_packet(packet, 1, 5, i);

                if (i == 0) {
                        raw_put16(packet, RAW_FLAGS, 1);
                        raw_put32(packet, RAW_ITEM_COUNT, 2);
                }
                tap_check(raw_send(fd, packet, size));
        }
        util_eq_error(nipc_session_receive(session, util_soon(), &message), -EBADMSG);
        tap_check(session_fault(session).rule != NULL);
        nipc_session_close(session);
        close(fd);
}

UTIL_MAIN(TAP_CASE(test_sent_bytes), TAP_CASE(test_packet_by_packet),
          TAP_CASE(test_bad_continuations), TAP_CASE(test_bad_first), TAP_CASE(test_missing),
          TAP_CASE(test_id_of_chunked_response), TAP_CASE(test_chunked_batch))
