/* SPDX-License-Identifier: MIT */

/*
 * Sessions in the shared memory of Windows, with a NetIPC v1 peer at the other end: ours as client
 * and as server, what a peer may not do, and what becomes of a profile that cannot be had.
 */

#include "names.h"
#include "util-env.h"
#include "util-raw.h"
#include "util-v1-shm.h"
#include <errno.h>
#include <nipc/error.h>
#include <nipc/hello.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <unistd.h>

enum { ROUNDS = 500, MAX_PAYLOAD = 4064, AREA = 4096, TOKEN = 4711 };

static const uint32_t profiles[] = {NIPC_PROFILE_SHM_HYBRID, NIPC_PROFILE_SHM_BUSYWAIT};

#define FOR_EACH_PROFILE(profile) \
        for (uint32_t k_ = 0, profile; k_ < 2 && (profile = profiles[k_], true); k_++)

/* Ours, and the peer. */
struct ends {
        struct nipc_listener *listener;
        struct nipc_session *session;
        struct v1_shm v1;
        struct raw_server server;
        int fd; /* the peer's end of the pipe */
};

/* What the names of a region have in common. */
static const wchar_t *stem_of(uint32_t profile, uint64_t session_id)
{
        static struct nipc__shm_names names;

        tap_eq_int(nipc__name_shm(util_dir(), "svc", TOKEN, profile, session_id, &names), 0);
        names.mapping[wcslen(names.mapping) - wcslen(L"-mapping")] = 0;
        return names.mapping;
}

static struct nipc_session_info info_of(const struct nipc_session *session)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        nipc_session_get_info(session, &info);
        return info;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static struct nipc_listener *open_listener(uint32_t offered)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.auth_token = TOKEN;
        config.supported_profiles = config.preferred_profiles = offered;
        config.max_request_payload_bytes = config.max_response_payload_bytes = MAX_PAYLOAD;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

/* Our server, and a client that says these profiles. Returns the one that came of it. */
static uint32_t begin_server(struct ends *ends, uint32_t profile)
{
        uint8_t packet[RAW_ACK_SIZE];

        *ends = (struct ends){.listener = open_listener(NIPC_PROFILE_BASELINE | profile)};
        ends->fd = raw_connect("svc", SOCK_SEQPACKET);
        raw_hello(packet);
        raw_put64(packet, RAW_HELLO_TOKEN, TOKEN);
        raw_put32(packet, RAW_HELLO_PROFILES, NIPC_PROFILE_BASELINE | profile);
        raw_put32(packet, RAW_HELLO_PREFERRED, profile);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST, MAX_PAYLOAD);
        tap_check(raw_send(ends->fd, packet, RAW_HELLO_SIZE));
        util_eq_error(nipc_listener_accept(ends->listener, util_soon(), &ends->session), 0);
        util_eq_error(nipc_session_handshake(ends->session, util_soon()), 0);
        tap_eq_int(raw_receive(ends->fd, packet, sizeof(packet)), RAW_ACK_SIZE);
        if (raw_get32(packet, RAW_ACK_SELECTED) == profile)
                tap_check(v1_shm_attach(stem_of(profile, raw_get64(packet, RAW_ACK_SESSION_ID)),
                                        profile, &ends->v1));
        return raw_get32(packet, RAW_ACK_SELECTED);
}

static int open_client(uint32_t offered, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.auth_token = TOKEN;
        config.supported_profiles = config.preferred_profiles = offered;
        config.max_request_payload_bytes = config.max_response_payload_bytes = MAX_PAYLOAD;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

static void make_ack(uint8_t *ack, uint32_t profile)
{
        raw_ack(ack);
        raw_put32(ack, RAW_ACK_PROFILES, NIPC_PROFILE_BASELINE | profile);
        raw_put32(ack, RAW_ACK_INTERSECTION, NIPC_PROFILE_BASELINE | profile);
        raw_put32(ack, RAW_ACK_SELECTED, profile);
        raw_put32(ack, RAW_ACK_MAX_REQUEST, MAX_PAYLOAD);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, MAX_PAYLOAD);
        raw_put64(ack, RAW_ACK_SESSION_ID, 77);
}

/* Our client, and a server that has made its region before, as v1 does. */
static void begin_client(struct ends *ends, uint32_t profile)
{
        uint8_t ack[RAW_ACK_SIZE];

        *ends = (struct ends){.listener = NULL};
        make_ack(ack, profile);
        tap_check(
                v1_shm_create(stem_of(profile, 77), profile, MAX_PAYLOAD, MAX_PAYLOAD, &ends->v1));
        tap_check(raw_server_start(&ends->server, "svc", ack, sizeof(ack)));
        util_eq_error(open_client(NIPC_PROFILE_BASELINE | profile, &ends->session), 0);
        ends->fd = raw_server_join(&ends->server);
}

static bool begin(struct ends *ends, uint32_t profile, bool is_server)
{
        if (is_server)
                begin_server(ends, profile);
        else
                begin_client(ends, profile);
        return ends->session && tap_eq_uint(info_of(ends->session).profile, profile);
}

static void end(struct ends *ends)
{
        v1_shm_drop(&ends->v1);
        if (ends->fd >= 0)
                close(ends->fd);
        nipc_session_close(ends->session);
        nipc_listener_close(ends->listener);
}

/* ---- to and fro ----------------------------------------------------------------------------- */

/* What one of v1 does for its part: answers all, or asks and looks at the answer. */
struct v1_loop {
        struct v1_shm *v1;
        unsigned n_good;
};

static void *v1_serve(void *userdata)
{
        struct v1_loop *loop = userdata;
        uint8_t message[AREA];
        int n;

        while ((n = v1_shm_receive(loop->v1, message, sizeof(message), 60000)) > 0) {
                raw_put16(message, RAW_KIND, 2);
                v1_shm_send(loop->v1, message, (uint32_t)n);
                loop->n_good++;
        }
        return NULL;
}

static void *v1_ask(void *userdata)
{
        struct v1_loop *loop = userdata;
        uint8_t message[AREA], answer[AREA];

        for (uint32_t i = 0; i < ROUNDS; i++) {
                const uint32_t size = i * 37 % (MAX_PAYLOAD + 1);

                memset(message, (int)i, sizeof(message));
                raw_header(message, 1, 7, size, 1, i);
                v1_shm_send(loop->v1, message, 32 + size);
                if (v1_shm_receive(loop->v1, answer, sizeof(answer), 60000) != (int)(32 + size) ||
                    memcmp(answer + 32, message + 32, size) != 0 ||
                    raw_get64(answer, RAW_MESSAGE_ID) != i)
                        break;
                loop->n_good++;
        }
        v1_shm_close(loop->v1);
        return NULL;
}

static void run_client(struct nipc_session *session)
{
        static uint8_t payload[MAX_PAYLOAD];
        struct nipc_message message;

        for (uint32_t i = 0; i < ROUNDS; i++) {
                struct nipc_header request = {
                        .kind = NIPC_KIND_REQUEST, .code = 7, .item_count = 1, .message_id = i};
                const size_t size = i * 37 % (MAX_PAYLOAD + 1);

                memset(payload, (int)i, size);
                tap_require(nipc_session_call(session, &request, payload, size, util_soon(),
                                              &message) == 0);
                tap_require(message.payload_size == size && message.header.message_id == i);
                tap_require(memcmp(message.payload, payload, size) == 0);
        }
}

/* Answers until the client goes, in place. */
static void run_server(struct nipc_session *session)
{
        struct nipc_message message;
        void *payload;
        int r;

        while ((r = nipc_session_receive(session, util_soon(), &message)) == 0) {
                message.header.kind = NIPC_KIND_RESPONSE;
                tap_require(nipc_session_reserve(session, message.payload_size, &payload) == 0);
                memcpy(payload, message.payload, message.payload_size);
                tap_require(nipc_session_commit(session, &message.header, message.payload_size,
                                                util_soon()) == 0);
        }
        util_eq_error(r, -ECONNRESET);
}

static void run_rounds(uint32_t profile, bool is_server)
{
        struct v1_loop loop = {0};
        struct ends ends;
        pthread_t thread;

        if (begin(&ends, profile, is_server)) {
                loop.v1 = &ends.v1;
                pthread_create(&thread, NULL, is_server ? v1_ask : v1_serve, &loop);
                util_waiting_for("a peer of v1");
                if (is_server)
                        run_server(ends.session);
                else
                        run_client(ends.session);
                ends.session = nipc_session_close(ends.session); /* who serves hears of it */
                pthread_join(thread, NULL);
                tap_eq_uint(loop.n_good, ROUNDS);
        }
        end(&ends);
}

static void test_rounds(void)
{
        FOR_EACH_PROFILE(profile)
        {
                run_rounds(profile, true);
                run_rounds(profile, false);
        }
}

/* ---- what a peer may not do ----------------------------------------------------------------- */

/* A message of `size` bytes, of which the header says so much payload. */
static void say(struct ends *ends, uint32_t size, uint32_t payload_len)
{
        uint8_t message[AREA] = {0};

        raw_header(message, 1, 7, payload_len, 1, 5);
        v1_shm_send(&ends->v1, message, size);
}

static volatile LONG *word(struct ends *ends, size_t at)
{
        return (volatile LONG *)(void *)(ends->v1.map + at);
}

static void count_one(struct ends *ends)
{
        InterlockedIncrement64((volatile LONG64 *)(volatile void *)word(ends, 64));
}

static void bad_lengths(struct ends *ends)
{
        say(ends, 40, 9);
}

static void short_message(struct ends *ends)
{
        say(ends, 31, 0);
}

static void bad_magic(struct ends *ends)
{
        uint8_t message[40] = {0};

        v1_shm_send(&ends->v1, message, sizeof(message));
}

static void zero_length(struct ends *ends)
{
        InterlockedExchange(word(ends, 36), 0);
        count_one(ends);
}

static void negative_length(struct ends *ends)
{
        InterlockedExchange(word(ends, 36), -1);
        count_one(ends);
}

static void beyond_area(struct ends *ends)
{
        InterlockedExchange(word(ends, 36), AREA + 1);
        count_one(ends);
}

static void two_at_once(struct ends *ends)
{
        say(ends, 40, 8);
        say(ends, 40, 8);
}

static void test_bad_messages(void)
{
        static void (*const bad[])(struct ends *) = {bad_lengths, short_message,   bad_magic,
                                                     zero_length, negative_length, beyond_area,
                                                     two_at_once};
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_message message;
        struct ends ends;

        FOR_EACH_PROFILE(profile)
        {
                for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                        if (begin(&ends, profile, true)) {
                                bad[i](&ends);
                                if (!util_eq_error(nipc_session_receive(ends.session, util_soon(),
                                                                        &message),
                                                   -EBADMSG))
                                        tap_note("row %zu", i);
                                nipc_session_get_failure(ends.session, &failure);
                                tap_check(failure.fault.rule != NULL);
                        }
                        end(&ends);
                }
        }
}

/* Above what was agreed: the session ends, but the server may say why. */
static void test_over_limit(void)
{
        struct nipc_header response = {.kind = NIPC_KIND_RESPONSE, .item_count = 1};
        struct nipc_message message;
        uint8_t answer[AREA];
        struct ends ends;

        FOR_EACH_PROFILE(profile)
        {
                if (begin(&ends, profile, true)) {
                        uint8_t request[64] = {0};

                        raw_header(request, 1, 7, 32, 1000000, 5); /* items */
                        v1_shm_send(&ends.v1, request, sizeof(request));
                        util_eq_error(nipc_session_receive(ends.session, util_soon(), &message),
                                      -EMSGSIZE);
                        tap_eq_uint(message.header.message_id, 5);
                        response.transport_status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
                        util_eq_error(nipc_session_send(ends.session, &response, NULL, 0,
                                                        util_soon()),
                                      0);
                        tap_eq_int(v1_shm_receive(&ends.v1, answer, sizeof(answer), 60000), 32);
                }
                end(&ends);
        }
}

/* What it writes after we have checked it changes nothing: neither sizes nor offsets are read. */
static void test_header_is_ours(void)
{
        struct nipc_header response = {.kind = NIPC_KIND_RESPONSE, .item_count = 1};
        struct nipc_message message;
        struct ends ends;

        FOR_EACH_PROFILE(profile)
        {
                if (begin(&ends, profile, true)) {
                        say(&ends, 40, 8);
                        for (size_t at = 0; at < 36; at += 4)
                                InterlockedExchange(word(&ends, at), -1);
                        InterlockedExchange(word(&ends, 40), -1);
                        util_eq_error(nipc_session_receive(ends.session, util_soon(), &message), 0);
                        util_eq_error(
                                nipc_session_send(ends.session, &response, "x", 1, util_soon()), 0);
                        tap_eq_int(*word(&ends, 40), 33);
                }
                end(&ends);
        }
}

/* ---- a profile that cannot be had ----------------------------------------------------------- */

/* Names of an earlier server that a client still has: another id, and not another profile. */
static void test_names_taken(void)
{
        struct v1_shm earlier[2];
        struct ends ends;

        FOR_EACH_PROFILE(profile)
        {
                tap_check(v1_shm_create(stem_of(profile, 1), profile, 64, 64, &earlier[0]));
                tap_check(v1_shm_create(stem_of(profile, 1 + (UINT64_C(1) << 32)), profile, 64, 64,
                                        &earlier[1]));
                if (begin(&ends, profile, true))
                        tap_eq_uint(info_of(ends.session).session_id, 1 + (UINT64_C(2) << 32));
                end(&ends);
                v1_shm_drop(&earlier[0]);
                v1_shm_drop(&earlier[1]);
        }
}

/* No region can be that large: the baseline, and a reason. */
static void test_too_large(void)
{
        struct nipc_session_info info;
        struct ends ends;

        FOR_EACH_PROFILE(profile)
        {
                uint8_t packet[RAW_ACK_SIZE];

                ends = (struct ends){.listener = open_listener(NIPC_PROFILE_BASELINE | profile)};
                nipc_listener_set_limits(ends.listener, UINT32_MAX - 32, UINT32_MAX - 32);
                ends.fd = raw_connect("svc", SOCK_SEQPACKET);
                raw_hello(packet);
                raw_put64(packet, RAW_HELLO_TOKEN, TOKEN);
                raw_put32(packet, RAW_HELLO_PROFILES, NIPC_PROFILE_BASELINE | profile);
                raw_put32(packet, RAW_HELLO_PREFERRED, profile);
                raw_send(ends.fd, packet, RAW_HELLO_SIZE);
                util_eq_error(nipc_listener_accept(ends.listener, util_soon(), &ends.session), 0);
                util_eq_error(nipc_session_handshake(ends.session, util_soon()), 0);
                info = info_of(ends.session);
                tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
                tap_eq_uint(info.refused_profiles, profile);
                util_eq_error(info.downgrade_error, -EOVERFLOW);
                tap_check(info.downgrade_step != NULL);
                tap_eq_int(raw_receive(ends.fd, packet, sizeof(packet)), RAW_ACK_SIZE);
                tap_eq_uint(raw_get32(packet, RAW_ACK_SELECTED), NIPC_PROFILE_BASELINE);
                end(&ends);
        }
}

/* A server that says it has a region, and has none: the client does without. */
static void test_nothing_there(void)
{
        struct nipc_session *session = NULL;
        uint8_t ack[RAW_ACK_SIZE];
        struct raw_server server;
        int fd;

        FOR_EACH_PROFILE(profile)
        {
                make_ack(ack, profile);
                tap_require(raw_server_start(&server, "svc", ack, sizeof(ack)));
                util_eq_error(open_client(profile, &session), -ENODATA);
                tap_eq_ptr(session, NULL);
                fd = raw_server_join(&server);
                tap_check(raw_is_closed(fd));
                close(fd);
        }
}

UTIL_MAIN(TAP_CASE(test_rounds), TAP_CASE(test_bad_messages), TAP_CASE(test_over_limit),
          TAP_CASE(test_header_is_ours), TAP_CASE(test_names_taken), TAP_CASE(test_too_large),
          TAP_CASE(test_nothing_there))
