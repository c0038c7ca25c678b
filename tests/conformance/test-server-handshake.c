/* SPDX-License-Identifier: MIT */

/*
 * Our server's side of the handshake, against every row of wire-v1 §5: what is answered, what is
 * met with silence, and in which order the rows decide.
 */

#include "util-conformance.h"
#include <unistd.h>

#define TOKEN UINT64_C(0x1122334455667788)

enum { OK, AUTH_FAILED = 2, INCOMPATIBLE = 3, UNSUPPORTED = 4, LIMIT_EXCEEDED = 5, SILENCE = -1 };

/* A change of one field of the good HELLO. */
struct patch {
        uint8_t at;
        uint8_t width;
        uint64_t value;
};

struct row {
        const char *name;
        int expected; /* a status, or SILENCE */
        struct patch patches[3];
        size_t size; /* of the packet; 0: 76 */
};

static struct nipc_listener *open_listener(void)
{
        struct nipc_listener *listener = NULL;
        struct pair_config config;

        pair_config_init(&config);
        config.listener.auth_token = TOKEN;
        config.listener.max_request_payload_bytes = 1024;
        config.listener.max_response_payload_bytes = 4096;
        config.listener.packet_size = 4000;
        util_eq_error(nipc_listener_open(&config.listener, &listener), 0);
        return listener;
}

static void make_hello(uint8_t *packet, const struct patch *patches)
{
        raw_hello(packet);
        raw_put64(packet, RAW_HELLO_TOKEN, TOKEN);
        for (unsigned i = 0; i < 3 && patches[i].width; i++) {
                if (patches[i].width == 2)
                        raw_put16(packet, patches[i].at, (uint16_t)patches[i].value);
                else if (patches[i].width == 4)
                        raw_put32(packet, patches[i].at, (uint32_t)patches[i].value);
                else
                        raw_put64(packet, patches[i].at, patches[i].value);
        }
}

/* What must be on the wire for an answer, byte for byte. */
static void expect_ack(uint8_t *ack, const uint8_t *hello, int status, uint64_t session_id)
{
        memset(ack, 0, RAW_ACK_SIZE);
        raw_header(ack, 3, 2, 48, 1, 0);
        raw_put16(ack, RAW_STATUS, (uint16_t)status);
        raw_put16(ack, RAW_ACK_LAYOUT, 1);
        if (status != OK)
                return;
        raw_put32(ack, RAW_ACK_PROFILES, conformance_profile()->bits);
        raw_put32(ack, RAW_ACK_INTERSECTION,
                  conformance_profile()->bits & raw_get32(hello, RAW_HELLO_PROFILES));
        raw_put32(ack, RAW_ACK_SELECTED, 1);
        raw_put32(ack, RAW_ACK_MAX_REQUEST, raw_get32(hello, RAW_HELLO_MAX_REQUEST));
        raw_put32(ack, RAW_ACK_MAX_REQUEST_ITEMS, raw_get32(hello, RAW_HELLO_MAX_REQUEST_ITEMS));
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, 4096); /* the server's, whatever the hint */
        raw_put32(ack, RAW_ACK_MAX_RESPONSE_ITEMS, raw_get32(hello, RAW_HELLO_MAX_REQUEST_ITEMS));
        raw_put32(ack, RAW_ACK_PACKET_SIZE,
                  raw_get32(hello, RAW_HELLO_PACKET_SIZE) < 4000
                          ? raw_get32(hello, RAW_HELLO_PACKET_SIZE)
                          : 4000);
        raw_put64(ack, RAW_ACK_SESSION_ID, session_id);
}

static void check_answer(int fd, const uint8_t *hello, int status, uint64_t session_id)
{
        uint8_t ack[RAW_ACK_SIZE + 1], expected[RAW_ACK_SIZE];

        expect_ack(expected, hello, status, session_id);
        if (tap_eq_int(raw_receive(fd, ack, sizeof(ack)), RAW_ACK_SIZE))
                tap_eq_mem(ack, RAW_ACK_SIZE, expected, RAW_ACK_SIZE);
}

static void try_row(struct nipc_listener *listener, const struct row *row, uint64_t session_id)
{
        static const int errors[] = {[OK] = 0,      -ECONNREFUSED, -ECONNREFUSED,
                                     -ECONNREFUSED, -ECONNREFUSED, -ECONNREFUSED};
        struct nipc_session *session = NULL;
        uint8_t hello[256] = {0};
        int fd = raw_connect("pair", SOCK_SEQPACKET);
        int error = row->expected == SILENCE ? -EBADMSG : errors[row->expected];
        unsigned failures = atomic_load(&tap__state.failures);

        make_hello(hello, row->patches);
        tap_check(raw_send(fd, hello, row->size ? row->size : RAW_HELLO_SIZE));
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        util_eq_error(nipc_session_handshake(session, util_soon()), error);
        util_eq_error(nipc_session_handshake(session, util_soon()), error); /* and again */
        tap_eq_int(session_failure(session).error, error);
        if (error)
                tap_eq_uint(session_failure(session).stage, NIPC_FAILURE_HANDSHAKE);
        if (row->expected == SILENCE)
                tap_check(session_fault(session).rule != NULL);
        else
                tap_eq_uint(session_failure(session).transport_status, (unsigned)row->expected);
        if (row->expected != SILENCE)
                check_answer(fd, hello, row->expected, session_id);
        nipc_session_close(session);
        tap_check(raw_is_closed(fd));
        close(fd);
        if (atomic_load(&tap__state.failures) != failures)
                tap_note("row: %s", row->name);
}

static void try_rows(const struct row *rows, size_t n_rows)
{
        struct nipc_listener *listener = open_listener();

        for (size_t i = 0; listener && i < n_rows; i++)
                try_row(listener, &rows[i], i + 1);
        nipc_listener_close(listener);
}

#define TRY_ROWS(rows) try_rows((rows), sizeof(rows) / sizeof((rows)[0]))

/* Rows 2 and 3. */
static void test_envelope(void)
{
        static const struct row rows[] = {
                {"version 2", INCOMPATIBLE, {{RAW_VERSION, 2, 2}}},
                {"version 0", INCOMPATIBLE, {{RAW_VERSION, 2, 0}}},
                {"version, nothing after", INCOMPATIBLE, {{RAW_VERSION, 2, 2}}, 32},
                {"version and magic", SILENCE, {{RAW_VERSION, 2, 2}, {RAW_MAGIC, 4, 1}}},
                {"version and header_len", SILENCE, {{RAW_VERSION, 2, 2}, {RAW_HEADER_LEN, 2, 33}}},
                {"version and kind", SILENCE, {{RAW_VERSION, 2, 2}, {RAW_KIND, 2, 1}}},
                {"version and code", SILENCE, {{RAW_VERSION, 2, 2}, {RAW_CODE, 2, 2}}},
                {"version, short", SILENCE, {{RAW_VERSION, 2, 2}}, 31},
                {"magic", SILENCE, {{RAW_MAGIC, 4, 0x4e43484b}}},
                {"header_len", SILENCE, {{RAW_HEADER_LEN, 2, 64}}},
                {"kind 0", SILENCE, {{RAW_KIND, 2, 0}}},
                {"kind 1", SILENCE, {{RAW_KIND, 2, 1}}},
                {"kind 2", SILENCE, {{RAW_KIND, 2, 2}}},
                {"kind 4", SILENCE, {{RAW_KIND, 2, 4}}},
                {"code 0", SILENCE, {{RAW_CODE, 2, 0}}},
                {"code 2", SILENCE, {{RAW_CODE, 2, 2}}},
                {"code 3", SILENCE, {{RAW_CODE, 2, 3}}},
                {"1 byte", SILENCE, {{0, 0, 0}}, 1},
                {"31 bytes", SILENCE, {{0, 0, 0}}, 31},
        };

        TRY_ROWS(rows);
}

/* Rows 4 to 6. */
static void test_payload(void)
{
        static const struct row rows[] = {
                {"75 bytes", SILENCE, {{0, 0, 0}}, 75},
                {"32 bytes", SILENCE, {{0, 0, 0}}, 32},
                {"75 bytes, layout", SILENCE, {{RAW_HELLO_LAYOUT, 2, 2}}, 75},
                {"layout 2", INCOMPATIBLE, {{RAW_HELLO_LAYOUT, 2, 2}}},
                {"layout 0", INCOMPATIBLE, {{RAW_HELLO_LAYOUT, 2, 0}}},
                {"layout and reserved",
                 INCOMPATIBLE,
                 {{RAW_HELLO_LAYOUT, 2, 2}, {RAW_HELLO_RESERVED, 4, 1}}},
                {"reserved", SILENCE, {{RAW_HELLO_RESERVED, 4, 1}}},
                {"reserved, high", SILENCE, {{RAW_HELLO_RESERVED, 4, 0x80000000}}},
                {"reserved and profile",
                 SILENCE,
                 {{RAW_HELLO_RESERVED, 4, 1}, {RAW_HELLO_PROFILES, 4, 0}}},
        };

        TRY_ROWS(rows);
}

/* Rows 7 to 10; each with the one that would decide next. */
static void test_refusals(void)
{
        static const struct row rows[] = {
                {"no profile", UNSUPPORTED, {{RAW_HELLO_PROFILES, 4, 0}}},
                {"unknown profile", UNSUPPORTED, {{RAW_HELLO_PROFILES, 4, 0x40000000}}},
                {"profile and token",
                 UNSUPPORTED,
                 {{RAW_HELLO_PROFILES, 4, 0}, {RAW_HELLO_TOKEN, 8, 0}}},
                {"no token", AUTH_FAILED, {{RAW_HELLO_TOKEN, 8, 0}}},
                {"first bit of token", AUTH_FAILED, {{RAW_HELLO_TOKEN, 8, TOKEN ^ 1}}},
                {"last bit of token", AUTH_FAILED, {{RAW_HELLO_TOKEN, 8, TOKEN ^ (1ull << 63)}}},
                {"token and limit",
                 AUTH_FAILED,
                 {{RAW_HELLO_TOKEN, 8, 0}, {RAW_HELLO_MAX_REQUEST, 4, 1025}}},
                {"limit", LIMIT_EXCEEDED, {{RAW_HELLO_MAX_REQUEST, 4, 1025}}},
                {"all the limit", LIMIT_EXCEEDED, {{RAW_HELLO_MAX_REQUEST, 4, 0xffffffff}}},
                {"limit and packet",
                 LIMIT_EXCEEDED,
                 {{RAW_HELLO_MAX_REQUEST, 4, 1025}, {RAW_HELLO_PACKET_SIZE, 4, 32}}},
                {"packet 32", INCOMPATIBLE, {{RAW_HELLO_PACKET_SIZE, 4, 32}}},
                {"packet 0", INCOMPATIBLE, {{RAW_HELLO_PACKET_SIZE, 4, 0}}},
        };

        TRY_ROWS(rows);
}

/* Row 11: what does not matter, and what is agreed. */
static void test_accepted(void)
{
        static const struct row rows[] = {
                {"good", OK, {{0, 0, 0}}},
                {"packet 33", OK, {{RAW_HELLO_PACKET_SIZE, 4, 33}}},
                {"packet 3999", OK, {{RAW_HELLO_PACKET_SIZE, 4, 3999}}},
                {"packet 4001", OK, {{RAW_HELLO_PACKET_SIZE, 4, 4001}}},
                {"packet, all", OK, {{RAW_HELLO_PACKET_SIZE, 4, 0xffffffff}}},
                {"flags", OK, {{RAW_HELLO_FLAGS, 2, 0xffff}}},
                {"no request", OK, {{RAW_HELLO_MAX_REQUEST, 4, 0}}},
                {"limit - 1", OK, {{RAW_HELLO_MAX_REQUEST, 4, 1023}}},
                {"no items", OK, {{RAW_HELLO_MAX_REQUEST_ITEMS, 4, 0}}},
                {"all items", OK, {{RAW_HELLO_MAX_REQUEST_ITEMS, 4, 0xffffffff}}},
                {"hint", OK, {{RAW_HELLO_MAX_RESPONSE, 4, 0xffffffff}}},
                {"no hint", OK, {{RAW_HELLO_MAX_RESPONSE, 4, 0}}},
                {"item hint", OK, {{RAW_HELLO_MAX_RESPONSE_ITEMS, 4, 77}}},
                {"more profiles", OK, {{RAW_HELLO_PROFILES, 4, 0x40000001}}},
                {"preferred, not there", OK, {{RAW_HELLO_PREFERRED, 4, 0xfffffffe}}},
                {"outer flags", OK, {{RAW_FLAGS, 2, 0xffff}, {RAW_STATUS, 2, 3}}},
                {"outer lengths",
                 OK,
                 {{RAW_PAYLOAD_LEN, 4, 0}, {RAW_ITEM_COUNT, 4, 9}, {RAW_MESSAGE_ID, 8, 5}}},
                {"77 bytes", OK, {{0, 0, 0}}, 77},
                {"128 bytes", OK, {{0, 0, 0}}, 128},
                {"129 bytes", OK, {{0, 0, 0}}, 129},
                {"256 bytes", OK, {{0, 0, 0}}, 256},
        };

        TRY_ROWS(rows);
}

/* Row 1, and a client that takes its time. */
static void test_silent_client(void)
{
        struct nipc_listener *listener = open_listener();
        struct nipc_session *session = NULL;
        struct nipc_message message;
        struct nipc_header header = make_request(1);
        uint64_t deadline_ns;
        void *payload;
        int fd = raw_connect("pair", SOCK_SEQPACKET);

        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), -EAGAIN);
        deadline_ns = nipc_deadline_after_ms(20);
        util_eq_error(nipc_session_handshake(session, deadline_ns), -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -ENOTCONN);
        util_eq_error(nipc_session_wait(session, NIPC_DEADLINE_NOW), -ENOTCONN);
        util_eq_error(nipc_session_send(session, &header, NULL, 0, NIPC_DEADLINE_NOW), -ENOTCONN);
        util_eq_error(nipc_session_reserve(session, 1, &payload), -ENOTCONN);
        tap_check(nipc_session_get_events(session) & NIPC_EVENT_IN);
        close(fd);
        util_eq_error(nipc_session_handshake(session, util_soon()), -ECONNRESET);
        util_eq_error(nipc_session_handshake(session, util_soon()), -ECONNRESET);
        nipc_session_close(session);
        nipc_listener_close(listener);
}

/* A client that comes late is still taken; ready is ready. */
static void test_late_client(void)
{
        struct nipc_listener *listener = open_listener();
        struct nipc_session *session = NULL;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        uint8_t hello[RAW_HELLO_SIZE];
        static const struct patch none[3];
        int fd = raw_connect("pair", SOCK_SEQPACKET);

        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        util_eq_error(nipc_session_handshake(session, nipc_deadline_after_ms(1)), -ETIMEDOUT);
        util_eq_error(nipc_session_get_info(session, &info), 0);
        tap_eq_uint(info.profile, 0);
        tap_eq_int(info.peer.pid, getpid());
        tap_eq_int(info.peer.uid, util_own_uid());
        make_hello(hello, none);
        tap_check(raw_send(fd, hello, sizeof(hello)));
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), 0);
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), 0);
        check_answer(fd, hello, OK, 1);
        util_eq_error(nipc_session_get_info(session, &info), 0);
        tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
        tap_eq_uint(info.session_id, 1);
        tap_eq_uint(info.max_request_payload_bytes, 1024);
        tap_eq_uint(info.max_response_payload_bytes, 4096);
        tap_eq_uint(info.packet_size, 4000);
        nipc_session_refuse(session, LIMIT_EXCEEDED); /* too late: nothing happens */
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), 0);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
}

static void try_refuse(struct nipc_listener *listener, const struct patch *patch, int status,
                       int error)
{
        struct nipc_session *session = NULL;
        struct patch patches[3] = {*patch};
        uint8_t hello[RAW_HELLO_SIZE];
        int fd = raw_connect("pair", SOCK_SEQPACKET);

        make_hello(hello, patches);
        tap_check(raw_send(fd, hello, sizeof(hello)));
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        nipc_session_refuse(session, LIMIT_EXCEEDED);
        util_eq_error(nipc_session_handshake(session, util_soon()), error);
        if (status != SILENCE)
                check_answer(fd, hello, status, 0);
        nipc_session_close(session);
        tap_check(raw_is_closed(fd));
        close(fd);
}

/* A server that is full says so to those who could have come in, and to nobody else. */
static void test_refuse(void)
{
        struct nipc_listener *listener = open_listener();

        try_refuse(listener, &(struct patch){0}, LIMIT_EXCEEDED, -ECONNREFUSED);
        try_refuse(listener, &(struct patch){RAW_HELLO_TOKEN, 8, 0}, AUTH_FAILED, -ECONNREFUSED);
        try_refuse(listener, &(struct patch){RAW_KIND, 2, 1}, SILENCE, -EBADMSG);
        nipc_listener_close(listener);
}

/* New limits are for handshakes of sessions accepted from then on. */
static void test_set_limits(void)
{
        static const struct row big = {"big", OK, {{RAW_HELLO_MAX_REQUEST, 4, 8192}}};
        static const struct row bigger = {"bigger",
                                          LIMIT_EXCEEDED,
                                          {{RAW_HELLO_MAX_REQUEST, 4, 8193}}};
        struct nipc_listener *listener = open_listener();

        nipc_listener_set_limits(listener, 8192, 4096);
        try_row(listener, &big, 1);
        try_row(listener, &bigger, 2);
        nipc_listener_close(listener);
}

UTIL_MAIN(TAP_CASE(test_envelope), TAP_CASE(test_payload), TAP_CASE(test_refusals),
          TAP_CASE(test_accepted), TAP_CASE(test_silent_client), TAP_CASE(test_late_client),
          TAP_CASE(test_refuse), TAP_CASE(test_set_limits))
