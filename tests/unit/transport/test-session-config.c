/* SPDX-License-Identifier: MIT */

/*
 * How configs and other structs with a size cross the API: of callers older and newer than the
 * library, with every field at its default, and with every field wrong.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <unistd.h>

static struct nipc_session_config make_config(void)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        return config;
}

static struct nipc_listener_config make_listener_config(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        return config;
}

/* Opens against a server that takes anything; what was said is left in hello. */
static int try_open(const struct nipc_session_config *config, uint8_t hello[RAW_HELLO_SIZE])
{
        struct nipc_session *session = NULL;
        struct raw_server server;
        uint8_t ack[RAW_ACK_SIZE];
        int r;

        raw_ack(ack);
        if (!tap_check(raw_server_start(&server, "svc", ack, sizeof(ack))))
                return -1;
        r = nipc_session_open(config, util_soon(), &session, NULL);
        tap_check((r == 0) == (session != NULL));
        close(raw_server_join(&server));
        tap_eq_int(server.hello_size, RAW_HELLO_SIZE);
        memcpy(hello, server.hello, RAW_HELLO_SIZE);
        nipc_session_close(session);
        return r;
}

static int open_error(const struct nipc_session_config *config)
{
        struct nipc_session *session = (struct nipc_session *)&session;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        int r = nipc_session_open(config, util_soon(), &session, &failure);

        tap_eq_ptr(session, &session); /* untouched */
        tap_eq_int(failure.error, r);
        tap_eq_uint(failure.stage, NIPC_FAILURE_CONFIG);
        return r;
}

static int listen_error(const struct nipc_listener_config *config)
{
        struct nipc_listener *listener = (struct nipc_listener *)&listener;
        int r = nipc_listener_open(config, &listener);

        tap_eq_ptr(listener, &listener);
        return r;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static void test_defaults(void)
{
        struct nipc_session_config config = make_config();
        uint8_t hello[RAW_HELLO_SIZE], expected[RAW_HELLO_SIZE];
        uint32_t packet_size;

        util_eq_error(try_open(&config, hello), 0);
        /* The packet size is what sockets here carry; all else is the specification's. */
        packet_size = raw_get32(hello, RAW_HELLO_PACKET_SIZE);
        tap_check(packet_size > 4000 && packet_size <= 212960);
        raw_hello(expected);
        raw_put32(expected, RAW_HELLO_PACKET_SIZE, packet_size);
        tap_eq_mem(hello, sizeof(hello), expected, sizeof(expected));
}

static void test_every_field(void)
{
        struct nipc_session_config config = make_config();
        uint8_t hello[RAW_HELLO_SIZE], expected[RAW_HELLO_SIZE];

        config.preferred_profiles = NIPC_PROFILE_BASELINE;
        config.max_request_payload_bytes = 0xffffffff;
        config.max_request_batch_items = 0xfffffffe;
        config.max_response_payload_bytes = 0xfffffffd;
        config.packet_size = 33;
        config.auth_token = UINT64_C(0x1122334455667788);
        util_eq_error(try_open(&config, hello), 0);
        raw_hello(expected);
        raw_put32(expected, RAW_HELLO_PREFERRED, 1);
        raw_put32(expected, RAW_HELLO_MAX_REQUEST, 0xffffffff);
        raw_put32(expected, RAW_HELLO_MAX_REQUEST_ITEMS, 0xfffffffe);
        raw_put32(expected, RAW_HELLO_MAX_RESPONSE, 0xfffffffd);
        raw_put32(expected, RAW_HELLO_MAX_RESPONSE_ITEMS, 0xfffffffe);
        raw_put64(expected, RAW_HELLO_TOKEN, UINT64_C(0x1122334455667788));
        raw_put32(expected, RAW_HELLO_PACKET_SIZE, 33);
        tap_eq_mem(hello, sizeof(hello), expected, sizeof(expected));
}

/* A caller that knows fewer fields: what it does not know is at its default. */
static void test_older_caller(void)
{
        struct nipc_session_config config = make_config();
        struct nipc_listener_config listener_config = make_listener_config();
        struct nipc_listener *listener = NULL;
        uint8_t hello[RAW_HELLO_SIZE];

        config.size = offsetof(struct nipc_session_config, service) + sizeof(config.service);
        config.supported_profiles = 0x80; /* beyond its size: not looked at */
        config.max_request_payload_bytes = 5;
        config.auth_token = 7;
        util_eq_error(try_open(&config, hello), 0);
        tap_eq_uint(raw_get32(hello, RAW_HELLO_MAX_REQUEST), 1024);
        tap_eq_uint(raw_get64(hello, RAW_HELLO_TOKEN), 0);
        listener_config.size = offsetof(struct nipc_listener_config, backlog);
        listener_config.mode = 0xffff;
        util_eq_error(nipc_listener_open(&listener_config, &listener), 0);
        nipc_listener_close(listener);
}

/* A caller that knows more: fine, as long as it does not use it. */
static void test_newer_caller(void)
{
        struct {
                struct nipc_session_config known;
                uint8_t unknown[24];
        } config = {.known = make_config()};
        struct {
                struct nipc_listener_config known;
                uint8_t unknown[24];
        } listener_config = {.known = make_listener_config()};
        struct nipc_listener *listener = NULL;
        uint8_t hello[RAW_HELLO_SIZE];

        config.known.size = sizeof(config);
        util_eq_error(try_open(&config.known, hello), 0);
        listener_config.known.size = sizeof(listener_config);
        util_eq_error(nipc_listener_open(&listener_config.known, &listener), 0);
        nipc_listener_close(listener);
        for (size_t i = 0; i < sizeof(config.unknown); i++) {
                config.unknown[i] = 1;
                util_eq_error(open_error(&config.known), -E2BIG);
                config.unknown[i] = 0;
                listener_config.unknown[i] = 0x80;
                util_eq_error(listen_error(&listener_config.known), -E2BIG);
                listener_config.unknown[i] = 0;
        }
        /* What lies beyond the size it names is nobody's business. */
        config.unknown[8] = 1;
        config.known.size = sizeof(config.known) + 8;
        util_eq_error(try_open(&config.known, hello), 0);
}

static void test_impossible_sizes(void)
{
        struct nipc_session_config config = make_config();
        struct nipc_listener_config listener_config = make_listener_config();

        for (size_t size = 0; size < sizeof(size_t); size++) {
                config.size = size;
                util_eq_error(open_error(&config), -EINVAL);
                listener_config.size = size;
                util_eq_error(listen_error(&listener_config), -EINVAL);
        }
        util_eq_error(open_error(NULL), -EINVAL);
        util_eq_error(listen_error(NULL), -EINVAL);
        /* Nothing but the size: the required fields are missing. */
        config.size = listener_config.size = sizeof(size_t);
        util_eq_error(open_error(&config), -EINVAL);
        util_eq_error(listen_error(&listener_config), -EINVAL);
}

/* ---- wrong values --------------------------------------------------------------------------- */

static void test_session_values(void)
{
        static const char *const names[] = {"", ".", "..", "a/b", "a b", "\x80"};
        struct nipc_session_config config = make_config();
        static char long_name[300];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                config.service = names[i];
                util_eq_error(open_error(&config), -EINVAL);
        }
        config.service = NULL;
        util_eq_error(open_error(&config), -EINVAL);
        config = make_config();
        config.run_dir = NULL;
        util_eq_error(open_error(&config), -EINVAL);
        config.run_dir = "";
        util_eq_error(open_error(&config), -EINVAL);
        config = make_config();
        for (uint32_t size = 1; size <= 32; size++) {
                config.packet_size = size;
                util_eq_error(open_error(&config), -EINVAL);
        }
        config = make_config();
        memset(long_name, 'x', sizeof(long_name) - 1); /* whatever an endpoint is here */
        config.service = long_name;
        util_eq_error(open_error(&config), -ENAMETOOLONG);
        util_eq_error(nipc_session_open(&config, util_soon(), NULL, NULL), -EINVAL);
}

static void test_listener_values(void)
{
        struct nipc_listener_config config = make_listener_config();

        config.service = "x/y";
        util_eq_error(listen_error(&config), -EINVAL);
        config.service = NULL;
        util_eq_error(listen_error(&config), -EINVAL);
        config = make_listener_config();
        config.run_dir = NULL;
        util_eq_error(listen_error(&config), -EINVAL);
        config.run_dir = "";
        util_eq_error(listen_error(&config), -EINVAL);
        config = make_listener_config();
        config.mode = 01600;
        util_eq_error(listen_error(&config), -EINVAL);
        config.mode = 0x80000000;
        util_eq_error(listen_error(&config), -EINVAL);
        config = make_listener_config();
        for (uint32_t size = 1; size <= 32; size++) {
                config.packet_size = size;
                util_eq_error(listen_error(&config), -EINVAL);
        }
        config = make_listener_config();
        config.max_request_payload_bytes = 0xffffffe0;
        util_eq_error(listen_error(&config), -EINVAL);
        config = make_listener_config();
        config.max_response_payload_bytes = 0xffffffff;
        util_eq_error(listen_error(&config), -EINVAL);
        config = make_listener_config();
        config.supported_profiles = 0x40000000; /* nothing that this library has */
        util_eq_error(listen_error(&config), -EPROTONOSUPPORT);
        util_eq_error(nipc_listener_open(&config, NULL), -EINVAL);
}

/* ---- structs that come back ----------------------------------------------------------------- */

/* A caller that knows fewer fields gets those, and not a byte more is written. */
static void test_results(void)
{
        struct nipc_session_config config = make_config();
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session *session = NULL;
        struct raw_server server;
        uint8_t ack[RAW_ACK_SIZE];

        raw_ack(ack);
        tap_require(raw_server_start(&server, "svc", ack, sizeof(ack)));
        util_eq_error(nipc_session_open(&config, util_soon(), &session, NULL), 0);
        info.size = offsetof(struct nipc_session_info, profile);
        info.profile = 0xabcd;
        util_eq_error(nipc_session_get_info(session, &info), 0);
        tap_eq_uint(info.session_id, 1);
        tap_eq_uint(info.profile, 0xabcd);
        tap_eq_uint(info.size, offsetof(struct nipc_session_info, profile));
        failure.size = offsetof(struct nipc_failure, stage);
        failure.error = 5;
        failure.stage = 0xabcd;
        util_eq_error(nipc_session_get_failure(session, &failure), 0);
        tap_eq_int(failure.error, 0);
        tap_eq_uint(failure.stage, 0xabcd);
        tap_eq_uint(failure.size, offsetof(struct nipc_failure, stage));
        info.size = 0;
        util_eq_error(nipc_session_get_info(session, &info), -EINVAL);
        failure.size = 0;
        util_eq_error(nipc_session_get_failure(session, &failure), -EINVAL);
        util_eq_error(nipc_session_get_info(session, NULL), -EINVAL);
        util_eq_error(nipc_session_get_failure(NULL, &failure), -EINVAL);
        nipc_session_close(session);
        close(raw_server_join(&server));
}

/* The failure of a session that never came to be; the caller's size stays the caller's. */
static void test_open_failure(void)
{
        struct nipc_session_config config = make_config();
        struct nipc_failure failure = {.size = offsetof(struct nipc_failure, fault)};
        struct nipc_session *session = NULL;

        failure.fault.error = 12345;
        config.service = "nobody";
        util_eq_error(nipc_session_open(&config, util_soon(), &session, &failure), -ENOENT);
        tap_eq_uint(failure.size, offsetof(struct nipc_failure, fault));
        tap_eq_int(failure.error, -ENOENT);
        tap_eq_int(failure.os_error, ENOENT);
        tap_eq_uint(failure.stage, NIPC_FAILURE_CONNECT);
        tap_eq_uint(failure.transport_status, 0);
        tap_eq_int(failure.fault.error, 12345);
}

/* NULL in the place of a session is an argument error or nothing at all, never a crash. */
static void test_no_session(void)
{
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST};
        struct nipc_message message;
        void *payload;

        util_eq_error(nipc_session_handshake(NULL, NIPC_DEADLINE_NOW), -EINVAL);
        util_eq_error(nipc_session_send(NULL, &header, NULL, 0, NIPC_DEADLINE_NOW), -EINVAL);
        util_eq_error(nipc_session_reserve(NULL, 1, &payload), -EINVAL);
        util_eq_error(nipc_session_commit(NULL, &header, 0, NIPC_DEADLINE_NOW), -EINVAL);
        util_eq_error(nipc_session_flush(NULL, NIPC_DEADLINE_NOW), -EINVAL);
        util_eq_error(nipc_session_receive(NULL, NIPC_DEADLINE_NOW, &message), -EINVAL);
        util_eq_error(nipc_session_wait(NULL, NIPC_DEADLINE_NOW), -EINVAL);
        tap_check(!nipc_session_has_pending(NULL));
        tap_check(!nipc_session_is_receiving(NULL));
        tap_check(nipc_session_get_fd(NULL) < 0);
        tap_eq_uint(nipc_session_get_events(NULL), 0);
        tap_eq_uint(nipc_session_get_in_flight(NULL), 0);
        nipc_session_refuse(NULL, 1);
        nipc_session_set_buffers(NULL, NULL);
        tap_eq_ptr(nipc_session_close(NULL), NULL);
        util_eq_error(nipc_session_buffers_new(NULL), -EINVAL);
        tap_eq_ptr(nipc_session_buffers_free(NULL), NULL);
}

UTIL_MAIN(TAP_CASE(test_defaults), TAP_CASE(test_every_field), TAP_CASE(test_older_caller),
          TAP_CASE(test_newer_caller), TAP_CASE(test_impossible_sizes),
          TAP_CASE(test_session_values), TAP_CASE(test_listener_values), TAP_CASE(test_results),
          TAP_CASE(test_open_failure), TAP_CASE(test_no_session))
