/* SPDX-License-Identifier: MIT */

/*
 * Ours against peers of NetIPC v1, in both directions: what is said arrives, what breaks the rules
 * ends the session, and nothing is left behind.
 */

#include "util-env.h"
#include "util-raw.h"
#include "util-shm-peer.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/batch.h>
#include <nipc/fault.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_BYTES 70000u

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static void fill(uint8_t *message, uint16_t kind, uint32_t payload_len, uint64_t id)
{
        raw_header(message, kind, 7, payload_len, 1, id);
        for (uint32_t i = 0; i < payload_len; i++)
                message[32 + i] = (uint8_t)(i * 131 + id);
}

static bool check(const uint8_t *payload, size_t size, uint64_t id)
{
        for (size_t i = 0; i < size; i++)
                if (payload[i] != (uint8_t)(i * 131 + id))
                        return tap_fail("byte %zu of message %u", i, (unsigned)id);
        return true;
}

/* ---- our server, their client --------------------------------------------------------------- */

struct victim {
        struct nipc_listener *listener;
        struct nipc_session *session;
        struct shm_peer peer;
};

static bool victim_open(struct victim *victim)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        uint8_t hello[RAW_HELLO_SIZE];
        int fd;

        *victim = (struct victim){.listener = NULL};
        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID;
        config.preferred_profiles = config.supported_profiles;
        config.max_request_payload_bytes = config.max_response_payload_bytes = MAX_BYTES;
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_PROFILES, 3);
        raw_put32(hello, RAW_HELLO_PREFERRED, 3);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, 60000);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, 100);
        util_eq_error(nipc_listener_open(&config, &victim->listener), 0);
        fd = raw_connect("svc", SOCK_SEQPACKET);
        tap_check(raw_send(fd, hello, sizeof(hello)));
        util_eq_error(nipc_listener_accept(victim->listener, util_soon(), &victim->session), 0);
        util_eq_error(nipc_session_handshake(victim->session, util_soon()), 0);
        return tap_check(shm_peer_attach(&victim->peer, "svc", fd));
}

static void victim_close(struct victim *victim)
{
        char path[256];

        snprintf(path, sizeof(path), "%s", victim->peer.path);
        nipc_listener_close(victim->listener);
        nipc_session_close(victim->session); /* outlives its listener */
        tap_check(!exists(path));
        shm_peer_close(&victim->peer);
}

static void *echo_main(void *userdata)
{
        struct nipc_session *session = userdata;
        struct nipc_message message;
        int r;

        while ((r = nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message)) == 0) {
                message.header.kind = NIPC_KIND_RESPONSE;
                r = nipc_session_send(session, &message.header, message.payload,
                                      message.payload_size, util_soon());
                if (r < 0)
                        break;
        }
        return (void *)(intptr_t)r;
}

static void test_their_client(void)
{
        static uint8_t message[32 + MAX_BYTES], answer[32 + MAX_BYTES];
        struct victim victim;
        pthread_t thread;
        void *error = NULL;

        tap_require(victim_open(&victim));
        tap_require(pthread_create(&thread, NULL, echo_main, victim.session) == 0);
        for (uint64_t id = 1; id <= 20000; id++) {
                uint32_t len = id % 100 ? (uint32_t)(id % 200) : (uint32_t)(id * 3);

                fill(message, 1, len, id);
                tap_require(shm_peer_send(&victim.peer, message, 32 + len));
                tap_require(shm_peer_receive(&victim.peer, answer, sizeof(answer), 30000) ==
                            32 + (int64_t)len);
                raw_put16(message, RAW_KIND, 2);
                tap_require(!memcmp(message, answer, 32 + len));
        }
        close(victim.peer.fd);
        victim.peer.fd = -1;
        pthread_join(thread, &error);
        tap_eq_int((intptr_t)error, -ECONNRESET);
        victim_close(&victim);
}

struct bad_row {
        const char *name;
        uint32_t len, payload_len, item_count;
        uint16_t flags;
        int expected;
};

static void try_bad(const struct bad_row *row)
{
        static uint8_t bytes[32 + MAX_BYTES + 64];
        struct nipc_message message = {.payload = NULL};
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct victim victim;

        tap_require(victim_open(&victim));
        raw_header(bytes, 1, 7, row->payload_len, row->item_count, 5);
        raw_put16(bytes, RAW_FLAGS, row->flags);
        memset(bytes + 32, row->flags ? 0xff : 0, 64);
        tap_check(shm_peer_send(&victim.peer, bytes, row->len));
        if (!util_eq_error(nipc_session_receive(victim.session, util_soon(), &message),
                           row->expected))
                tap_note("row: %s", row->name);
        nipc_session_get_failure(victim.session, &failure);
        tap_check(!row->expected || failure.fault.rule);
        if (row->expected == -EMSGSIZE) {
                struct nipc_header header = message.header;

                tap_eq_uint(header.message_id, 5);
                header.kind = NIPC_KIND_RESPONSE;
                header.item_count = 1;
                header.transport_status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
                util_eq_error(nipc_session_send(victim.session, &header, NULL, 0, util_soon()), 0);
                tap_eq_int(shm_peer_receive(&victim.peer, bytes, sizeof(bytes), 1000), 32);
                tap_eq_uint(raw_get16(bytes, RAW_STATUS), 5);
        }
        victim_close(&victim);
}

static void test_bad_messages(void)
{
        static const struct bad_row rows[] = {
                {"good", 96, 64, 1, 0, 0},
                {"as much as agreed", 60032, 60000, 1, 0, 0},
                {"no header", 31, 0, 1, 0, -EBADMSG},
                {"more than it says", 97, 64, 1, 0, -EBADMSG},
                {"less than it says", 95, 64, 1, 0, -EBADMSG},
                {"far less", 32, 0xffffffff, 1, 0, -EBADMSG},
                {"too much", 60033, 60001, 1, 0, -EMSGSIZE},
                {"too many", 96, 64, 101, 0, -EMSGSIZE},
                {"bad directory", 96, 64, 2, 1, -EBADMSG},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_bad(&rows[i]);
}

static void test_bad_lengths(void)
{
        static const uint32_t lengths[] = {0, 1, 70081, 0x7fffffff, 0xffffffff};
        struct nipc_message message;
        struct victim victim;

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                tap_require(victim_open(&victim));
                shm_peer_announce(&victim.peer, lengths[i]);
                util_eq_error(nipc_session_receive(victim.session, util_soon(), &message),
                              -EBADMSG);
                victim_close(&victim);
        }
}

/* ---- our client, their server --------------------------------------------------------------- */

struct server {
        int listen_fd;
        uint8_t ack[RAW_ACK_SIZE];
        unsigned n_answers;
        bool good;
        struct shm_peer peer;
        pthread_t thread;
};

static void *server_main(void *userdata)
{
        static uint8_t bytes[32 + MAX_BYTES];
        struct server *server = userdata;
        int64_t len;

        server->good = shm_peer_serve(&server->peer, "theirs", server->listen_fd, server->ack);
        for (unsigned i = 0; server->good && i < server->n_answers; i++) {
                len = shm_peer_receive(&server->peer, bytes, sizeof(bytes), 30000);
                raw_put16(bytes, RAW_KIND, 2);
                server->good = len > 0 && shm_peer_send(&server->peer, bytes, (uint32_t)len);
        }
        return NULL;
}

static bool server_start(struct server *server, unsigned n_answers)
{
        *server = (struct server){.n_answers = n_answers};
        raw_ack(server->ack);
        raw_put32(server->ack, RAW_ACK_MAX_REQUEST, MAX_BYTES);
        raw_put32(server->ack, RAW_ACK_MAX_RESPONSE, MAX_BYTES);
        raw_put64(server->ack, RAW_ACK_SESSION_ID, UINT64_C(0xffffffff00000000));
        server->listen_fd = raw_listen("theirs", SOCK_SEQPACKET, 5);
        return server->listen_fd >= 0 &&
               pthread_create(&server->thread, NULL, server_main, server) == 0;
}

static void server_stop(struct server *server)
{
        pthread_join(server->thread, NULL);
        shm_peer_close(&server->peer);
        close(server->listen_fd);
        unlink(util_path("theirs.sock"));
}

static int open_client(uint32_t profiles, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "theirs";
        config.supported_profiles = config.preferred_profiles = profiles;
        config.max_request_payload_bytes = MAX_BYTES;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

static void test_their_server(void)
{
        static uint8_t payload[32 + MAX_BYTES];
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .code = 7, .item_count = 1};
        struct nipc_session *session = NULL;
        struct nipc_message message;
        struct server server;

        tap_require(server_start(&server, 20000));
        util_eq_error(open_client(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, &session), 0);
        nipc_session_get_info(session, &info);
        tap_eq_uint(info.profile, NIPC_PROFILE_SHM_HYBRID);
        for (uint64_t id = 1; id <= 20000; id++) {
                size_t len = id % 100 ? id % 200 : id * 3;

                header.message_id = id;
                fill(payload, 1, (uint32_t)len, id);
                tap_require(nipc_session_send(session, &header, payload + 32, len, util_soon()) ==
                            0);
                tap_require(nipc_session_receive(session, util_soon(), &message) == 0);
                tap_require(message.payload_size == len && check(message.payload, len, id));
        }
        server_stop(&server);
        tap_check(server.good);
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message), -ECONNRESET);
        nipc_session_close(session);
}

/* A server that says SHM and has no region: another session without, and it says why. */
static void *liar_main(void *userdata)
{
        struct server *server = userdata;
        uint8_t hello[128];
        int fd = raw_accept(server->listen_fd), fd2;

        raw_put32(server->ack, RAW_ACK_SELECTED, 2);
        server->good = raw_receive(fd, hello, sizeof(hello)) == RAW_HELLO_SIZE &&
                       raw_get32(hello, RAW_HELLO_PROFILES) == 3 &&
                       raw_send(fd, server->ack, RAW_ACK_SIZE);
        fd2 = raw_accept(server->listen_fd);
        raw_put32(server->ack, RAW_ACK_SELECTED, 1);
        server->good = server->good && raw_is_closed(fd) &&
                       raw_receive(fd2, hello, sizeof(hello)) == RAW_HELLO_SIZE &&
                       raw_get32(hello, RAW_HELLO_PROFILES) == 1 &&
                       raw_get32(hello, RAW_HELLO_PREFERRED) == 1 &&
                       raw_send(fd2, server->ack, RAW_ACK_SIZE);
        close(fd);
        close(fd2);
        return NULL;
}

static void test_no_region(void)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session = NULL;
        struct server server = {.n_answers = 0};

        raw_ack(server.ack);
        server.listen_fd = raw_listen("theirs", SOCK_SEQPACKET, 5);
        tap_require(pthread_create(&server.thread, NULL, liar_main, &server) == 0);
        util_eq_error(open_client(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, &session), 0);
        pthread_join(server.thread, NULL);
        tap_check(server.good);
        nipc_session_get_info(session, &info);
        tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
        tap_eq_uint(info.refused_profiles, NIPC_PROFILE_SHM_HYBRID);
        tap_eq_uint(info.unusable_profiles, NIPC_PROFILE_SHM_HYBRID);
        tap_eq_int(info.downgrade_error, -ENOENT);
        tap_eq_str(info.downgrade_step, "opening the region");
        nipc_session_close(session);
        close(server.listen_fd);
        unlink(util_path("theirs.sock"));
}

/* A server that selects what was not offered gets what was: no region, and no second session. */
static void test_not_offered(void)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session = NULL;
        struct raw_server server;
        uint8_t ack[RAW_ACK_SIZE];

        raw_ack(ack);
        raw_put32(ack, RAW_ACK_SELECTED, 2);
        tap_require(raw_server_start(&server, "theirs", ack, sizeof(ack)));
        util_eq_error(open_client(NIPC_PROFILE_BASELINE, &session), 0);
        nipc_session_get_info(session, &info);
        tap_eq_uint(info.profile, NIPC_PROFILE_BASELINE);
        nipc_session_close(session);
        close(raw_server_join(&server));
}

/* A full server of v1 hangs up after it agreed: that is no reason to wait for its region. */
static void *leaver_main(void *userdata)
{
        struct server *server = userdata;
        uint8_t hello[128];
        int fd = raw_accept(server->listen_fd);

        raw_put32(server->ack, RAW_ACK_SELECTED, 2);
        raw_receive(fd, hello, sizeof(hello));
        raw_send(fd, server->ack, RAW_ACK_SIZE);
        close(fd);
        return NULL;
}

static void test_leaves_at_once(void)
{
        struct nipc_session *session = NULL;
        struct server server = {.n_answers = 0};

        raw_ack(server.ack);
        server.listen_fd = raw_listen("theirs", SOCK_SEQPACKET, 5);
        tap_require(pthread_create(&server.thread, NULL, leaver_main, &server) == 0);
        util_eq_error(open_client(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, &session),
                      -ECONNRESET);
        pthread_join(server.thread, NULL);
        tap_check(!session);
        close(server.listen_fd);
        unlink(util_path("theirs.sock"));
}

/* ---- a peer that takes the memory away ------------------------------------------------------ */

static void on_fault(int number, siginfo_t *info, void *context)
{
        if (nipc_fault_handle(info->si_addr))
                return;
        signal(SIGBUS, SIG_DFL);
        raise(SIGBUS);
}

static void survive_faults(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        sigaction(SIGBUS, &action, NULL);
}

static void test_shortened(void)
{
        static const off_t sizes[] = {0, 64, 4096, 70000};
        struct nipc_header header = {.kind = NIPC_KIND_RESPONSE, .item_count = 1};
        struct nipc_message message;
        struct victim victim;
        static uint8_t bytes[32 + 60000];
        int r;

        survive_faults();
        tap_check(!nipc_fault_handle(bytes));
        tap_check(!nipc_fault_handle(NULL));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                tap_require(victim_open(&victim));
                tap_check(ftruncate(victim.peer.region_fd, sizes[i]) == 0);
                util_eq_error(nipc_session_receive(victim.session, util_soon(), &message),
                              -EBADMSG);
                victim_close(&victim);
                tap_require(victim_open(&victim));
                fill(bytes, 1, 60000, 1);
                tap_check(shm_peer_send(&victim.peer, bytes, sizeof(bytes)));
                util_eq_error(nipc_session_receive(victim.session, util_soon(), &message), 0);
                tap_check(ftruncate(victim.peer.region_fd, sizes[i]) == 0);
                r = nipc_session_send(victim.session, &header, bytes, 60000, util_soon());
                if (sizes[i] < 70000 + 60000)
                        util_eq_error(r, -EBADMSG);
                victim_close(&victim);
        }
        signal(SIGBUS, SIG_DFL);
}

/* Before anything else is done. */
__attribute__((__constructor__)) static void skip_unless_watchable(void)
{
        shm_peer_skip_unless_watchable();
}

UTIL_MAIN(TAP_CASE(test_their_client), TAP_CASE(test_bad_messages), TAP_CASE(test_bad_lengths),
          TAP_CASE(test_their_server), TAP_CASE(test_no_region), TAP_CASE(test_not_offered),
          TAP_CASE(test_leaves_at_once), TAP_CASE(test_shortened))
