/* SPDX-License-Identifier: MIT */

/*
 * Our client's side of the handshake, against every row of wire-v1 §5; what it says, and what it
 * makes of servers that are none.
 */

#include "util-conformance.h"
#include <unistd.h>

struct patch {
        uint8_t at;
        uint8_t width;
        uint64_t value;
};

struct row {
        const char *name;
        int expected; /* result of open */
        struct patch patches[2];
        size_t size;     /* of the packet; 0: 80 */
        unsigned status; /* in the failure */
};

static void make_ack(uint8_t *ack, const struct patch *patches)
{
        raw_ack(ack);
        for (unsigned i = 0; i < 2 && patches[i].width; i++) {
                if (patches[i].width == 2)
                        raw_put16(ack, patches[i].at, (uint16_t)patches[i].value);
                else if (patches[i].width == 4)
                        raw_put32(ack, patches[i].at, (uint32_t)patches[i].value);
                else
                        raw_put64(ack, patches[i].at, patches[i].value);
        }
}

static void try_row(const struct row *row)
{
        struct nipc_session *session = NULL;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct pair_config config;
        struct raw_server server;
        uint8_t ack[256] = {0};
        unsigned failures = atomic_load(&tap__state.failures);

        pair_config_init(&config);
        make_ack(ack, row->patches);
        tap_require(raw_server_start(&server, "pair", ack, row->size ? row->size : RAW_ACK_SIZE));
        util_eq_error(nipc_session_open(&config.session, util_soon(), &session, &failure),
                      row->expected);
        tap_check((session != NULL) == (row->expected == 0));
        if (row->expected) {
                tap_eq_int(failure.error, row->expected);
                tap_eq_uint(failure.stage, NIPC_FAILURE_HANDSHAKE);
                tap_eq_uint(failure.transport_status, row->status);
                tap_check((failure.fault.rule != NULL) == (row->expected == -EBADMSG));
        }
        close(raw_server_join(&server));
        nipc_session_close(session);
        if (atomic_load(&tap__state.failures) != failures)
                tap_note("row: %s", row->name);
}

#define TRY_ROWS(rows)                                                    \
        do {                                                              \
                for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) \
                        try_row(&(rows)[i]);                              \
        } while (0)

static void test_envelope(void)
{
        static const struct row rows[] = {
                {"version", -EPROTONOSUPPORT, {{RAW_VERSION, 2, 2}}, 0, 3},
                {"magic", -EBADMSG, {{RAW_MAGIC, 4, 1}}},
                {"header_len", -EBADMSG, {{RAW_HEADER_LEN, 2, 31}}},
                {"kind 0", -EBADMSG, {{RAW_KIND, 2, 0}}},
                {"kind 1", -EBADMSG, {{RAW_KIND, 2, 1}}},
                {"kind 2", -EBADMSG, {{RAW_KIND, 2, 2}}},
                {"code 1", -EBADMSG, {{RAW_CODE, 2, 1}}},
                {"code 3", -EBADMSG, {{RAW_CODE, 2, 3}}},
                {"1 byte", -EBADMSG, {{0, 0, 0}}, 1},
                {"31 bytes", -EBADMSG, {{0, 0, 0}}, 31},
                {"kind before status", -EBADMSG, {{RAW_KIND, 2, 1}, {RAW_STATUS, 2, 2}}},
        };

        TRY_ROWS(rows);
}

static void test_status(void)
{
        static const struct row rows[] = {
                {"BAD_ENVELOPE", -ECONNREFUSED, {{RAW_STATUS, 2, 1}}, 0, 1},
                {"AUTH_FAILED", -EACCES, {{RAW_STATUS, 2, 2}}, 0, 2},
                {"INCOMPATIBLE", -EPROTONOSUPPORT, {{RAW_STATUS, 2, 3}}, 0, 3},
                {"UNSUPPORTED", -EPROTONOSUPPORT, {{RAW_STATUS, 2, 4}}, 0, 4},
                {"LIMIT_EXCEEDED", -EMSGSIZE, {{RAW_STATUS, 2, 5}}, 0, 5},
                {"INTERNAL_ERROR", -ECONNREFUSED, {{RAW_STATUS, 2, 6}}, 0, 6},
                {"7", -ECONNREFUSED, {{RAW_STATUS, 2, 7}}, 0, 7},
                {"65535", -ECONNREFUSED, {{RAW_STATUS, 2, 0xffff}}, 0, 0xffff},
                /* Before anything of the payload. */
                {"status, no payload", -EACCES, {{RAW_STATUS, 2, 2}}, 32, 2},
                {"status, layout", -EACCES, {{RAW_STATUS, 2, 2}, {RAW_ACK_LAYOUT, 2, 2}}, 0, 2},
        };

        TRY_ROWS(rows);
}

static void test_payload(void)
{
        static const struct row rows[] = {
                {"79 bytes", -EBADMSG, {{0, 0, 0}}, 79},
                {"32 bytes", -EBADMSG, {{0, 0, 0}}, 32},
                {"76 bytes", -EBADMSG, {{0, 0, 0}}, 76},
                {"79 bytes, layout", -EBADMSG, {{RAW_ACK_LAYOUT, 2, 2}}, 79},
                {"layout 2", -EPROTONOSUPPORT, {{RAW_ACK_LAYOUT, 2, 2}}, 0, 3},
                {"layout 0", -EPROTONOSUPPORT, {{RAW_ACK_LAYOUT, 2, 0}}, 0, 3},
                {"layout, flags",
                 -EPROTONOSUPPORT,
                 {{RAW_ACK_LAYOUT, 2, 0}, {RAW_ACK_FLAGS, 2, 1}},
                 0,
                 3},
                {"flags", -EBADMSG, {{RAW_ACK_FLAGS, 2, 1}}},
                {"packet 32", -EBADMSG, {{RAW_ACK_PACKET_SIZE, 4, 32}}},
                {"packet 0", -EBADMSG, {{RAW_ACK_PACKET_SIZE, 4, 0}}},
        };

        TRY_ROWS(rows);
}

/* What the client is not to judge. */
static void test_accepted(void)
{
        static const struct row rows[] = {
                {"good", 0, {{0, 0, 0}}},
                {"packet 33", 0, {{RAW_ACK_PACKET_SIZE, 4, 33}}},
                {"packet, all", 0, {{RAW_ACK_PACKET_SIZE, 4, 0xffffffff}}},
                {"reserved", 0, {{RAW_ACK_RESERVED, 4, 0xffffffff}}},
                {"selected, not offered", 0, {{RAW_ACK_SELECTED, 4, 0x40000000}}},
                {"selected, none", 0, {{RAW_ACK_SELECTED, 4, 0}}},
                {"session id 0", 0, {{RAW_ACK_SESSION_ID, 8, 0}}},
                {"session id, all", 0, {{RAW_ACK_SESSION_ID, 8, UINT64_MAX}}},
                {"limits", 0, {{RAW_ACK_MAX_REQUEST, 4, 3}, {RAW_ACK_MAX_RESPONSE, 4, 0xffffffff}}},
                {"message id", 0, {{RAW_MESSAGE_ID, 8, 9}, {RAW_ITEM_COUNT, 4, 0}}},
                {"payload_len", 0, {{RAW_PAYLOAD_LEN, 4, 0}, {RAW_FLAGS, 2, 0xffff}}},
                {"81 bytes", 0, {{0, 0, 0}}, 81},
                {"256 bytes", 0, {{0, 0, 0}}, 256},
        };

        TRY_ROWS(rows);
}

/* It uses what it is given. */
static void test_agreed(void)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session;
        struct pair_config config;
        uint8_t ack[RAW_ACK_SIZE];
        int fd;

        pair_config_init(&config);
        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_REQUEST, 11);
        raw_put32(ack, RAW_ACK_MAX_REQUEST_ITEMS, 12);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, 13);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE_ITEMS, 14);
        raw_put32(ack, RAW_ACK_PACKET_SIZE, 15000);
        raw_put64(ack, RAW_ACK_SESSION_ID, UINT64_C(0xfedcba9876543210));
        session = open_client(&config.session, ack, &fd);
        tap_require(session != NULL);
        util_eq_error(nipc_session_get_info(session, &info), 0);
        tap_eq_uint(info.max_request_payload_bytes, 11);
        tap_eq_uint(info.max_request_batch_items, 12);
        tap_eq_uint(info.max_response_payload_bytes, 13);
        tap_eq_uint(info.max_response_batch_items, 14);
        tap_eq_uint(info.packet_size, 15000);
        tap_check(info.session_id == UINT64_C(0xfedcba9876543210));
        tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
        tap_eq_int(info.peer.pid, getpid());
        tap_eq_int(info.peer.uid, util_own_uid());
        tap_eq_int(session_failure(session).error, 0);
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), 0);
        nipc_session_close(session);
        close(fd);
}

/* A profile that only one side has is no reason to fail: what was refused can be read. */
static void test_refused_profiles(void)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session;
        struct pair_config config;
        int fd;

        pair_config_init(&config);
        config.session.supported_profiles = NIPC_PROFILE_BASELINE | 0x40000000;
        config.session.preferred_profiles = 0x40000000;
        session = open_client(&config.session, NULL, &fd);
        tap_require(session != NULL);
        util_eq_error(nipc_session_get_info(session, &info), 0);
        tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
        tap_eq_uint(info.refused_profiles, 0x40000000);
        tap_check(info.downgrade_error < 0);
        tap_check(info.downgrade_step != NULL);
        nipc_session_close(session);
        close(fd);
}

/* ---- no server, no answer ------------------------------------------------------------------- */

static int try_open(uint64_t deadline_ns, struct nipc_failure *failure)
{
        struct nipc_session *session = NULL;
        struct pair_config config;
        int r;

        *failure = (struct nipc_failure)NIPC_FAILURE_INIT;
        pair_config_init(&config);
        r = nipc_session_open(&config.session, deadline_ns, &session, failure);
        tap_eq_ptr(session, NULL);
        tap_eq_int(failure->error, r);
        return r;
}

static void test_nobody(void)
{
        struct nipc_failure failure;

        util_eq_error(try_open(util_soon(), &failure), -ENOENT);
        tap_eq_uint(failure.stage, NIPC_FAILURE_CONNECT);
        tap_eq_int(failure.os_error, ENOENT);
}

static void test_hang_up(void)
{
        struct nipc_failure failure;
        struct raw_server server;

        tap_require(raw_server_start(&server, "pair", NULL, 0));
        util_eq_error(try_open(util_soon(), &failure), -ECONNRESET);
        tap_eq_uint(failure.stage, NIPC_FAILURE_HANDSHAKE);
        raw_server_join(&server);
}

static void try_silent_server(uint64_t deadline_ns, int expected)
{
        struct nipc_failure failure;
        struct raw_server server;
        int fd;

        tap_require(raw_server_start_silent(&server, "pair"));
        util_eq_error(try_open(deadline_ns, &failure), expected);
        tap_eq_uint(failure.stage, NIPC_FAILURE_HANDSHAKE);
        fd = raw_server_join(&server);
        if (fd >= 0)
                close(fd);
}

static void test_silent_server(void)
{
        uint64_t deadline_ns = nipc_deadline_after_ms(30);

        try_silent_server(deadline_ns, -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        try_silent_server(NIPC_DEADLINE_NOW, -EAGAIN);
        try_silent_server(NIPC_DEADLINE_LINGER, -EAGAIN);
}

UTIL_MAIN(TAP_CASE(test_envelope), TAP_CASE(test_status), TAP_CASE(test_payload),
          TAP_CASE(test_accepted), TAP_CASE(test_agreed), TAP_CASE(test_refused_profiles),
          TAP_CASE(test_nobody), TAP_CASE(test_hang_up), TAP_CASE(test_silent_server))
