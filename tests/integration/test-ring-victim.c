/* SPDX-License-Identifier: MIT */

/*
 * A session of the ring profile whose peer breaks the rules one at a time: on either side its calls
 * end in the right error. What is wrong in the handshake costs the profile and not the session.
 */

#include "util-env.h"
#include "util-ring-attack.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_BYTES  32768u
#define MAX_PAYLOAD 65536u
#define PROFILES    (NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING)

/* The victim, and its peer by hand. */
struct pair {
        bool is_server;
        struct nipc_listener *listener;
        int listen_fd;
        struct nipc_session *session;
        struct ring_peer peer;
        int error; /* of the thread */
};

static struct nipc_header header_of(const struct pair *pair, uint64_t id)
{
        return (struct nipc_header){.kind = pair->is_server ? NIPC_KIND_RESPONSE
                                                            : NIPC_KIND_REQUEST,
                                    .code = 1,
                                    .item_count = 1,
                                    .message_id = id};
}

static int open_listener(struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = PROFILES;
        config.preferred_profiles = NIPC_PROFILE_RING;
        config.max_request_payload_bytes = MAX_PAYLOAD;
        config.max_response_payload_bytes = MAX_PAYLOAD;
        config.max_ring_bytes = RING_BYTES;
        return nipc_listener_open(&config, ret_listener);
}

static int open_client(struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "raw";
        config.supported_profiles = PROFILES;
        config.preferred_profiles = NIPC_PROFILE_RING;
        config.max_request_payload_bytes = MAX_PAYLOAD;
        config.max_request_batch_items = 16;
        config.max_ring_bytes = RING_BYTES;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

static void *open_victim(void *userdata)
{
        struct pair *pair = userdata;

        if (!pair->is_server) {
                pair->error = open_client(&pair->session);
                return NULL;
        }
        pair->error = nipc_listener_accept(pair->listener, util_soon(), &pair->session);
        if (pair->error == 0)
                pair->error = nipc_session_handshake(pair->session, util_soon());
        return NULL;
}

static bool pair_open(struct pair *pair, bool is_server)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_header header;
        pthread_t thread;
        bool good;

        *pair = (struct pair){.is_server = is_server, .listen_fd = -1, .peer = {.fd = -1}};
        if (is_server)
                good = util_eq_error(open_listener(&pair->listener), 0);
        else
                good = (pair->listen_fd = raw_listen("raw", SOCK_SEQPACKET, 4)) >= 0;
        if (!tap_check(good) || !tap_check(pthread_create(&thread, NULL, open_victim, pair) == 0))
                return false;
        if (is_server)
                good = ring_peer_connect(&pair->peer, "svc", RING_BYTES, MAX_PAYLOAD);
        else
                good = ring_peer_accept(&pair->peer, pair->listen_fd, RING_BYTES, MAX_PAYLOAD);
        pthread_join(thread, NULL);
        if (!tap_check(good) || !util_eq_error(pair->error, 0))
                return false;
        nipc_session_get_info(pair->session, &info);
        if (!tap_eq_uint(info.profile, NIPC_PROFILE_RING))
                return false;
        header = header_of(pair, 1);
        return is_server ||
               util_eq_error(nipc_session_send(pair->session, &header, NULL, 0, NIPC_DEADLINE_NOW),
                             0);
}

static void pair_close(struct pair *pair)
{
        nipc_session_close(pair->session);
        nipc_listener_close(pair->listener);
        ring_peer_close(&pair->peer);
        if (pair->listen_fd >= 0) {
                close(pair->listen_fd);
                util_remove(util_path("raw.sock"));
        }
}

static uint16_t kind_of_peer(const struct pair *pair)
{
        return pair->is_server ? NIPC_KIND_REQUEST : NIPC_KIND_RESPONSE;
}

/* Until it cannot. */
static void *send_on(void *userdata)
{
        static const uint8_t payload[1000];
        struct pair *pair = userdata;
        struct nipc_header header;

        for (uint64_t id = 2;; id++) {
                header = header_of(pair, id);
                pair->error = nipc_session_send(pair->session, &header, payload, sizeof(payload),
                                                util_soon());
                if (pair->error < 0)
                        return NULL;
        }
}

static int receive(struct pair *pair, uint64_t deadline_ns)
{
        struct nipc_message message;

        util_waiting_for("a victim to notice");
        return nipc_session_receive(pair->session, deadline_ns, &message);
}

static void try_attack(const struct ring_attack *attack, bool is_server)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct pair pair;
        pthread_t thread;

        if (!pair_open(&pair, is_server)) {
                pair_close(&pair);
                return;
        }
        if (!attack->reads)
                attack->play(&pair.peer, kind_of_peer(&pair));
        if (attack->is_for_send) {
                tap_require(pthread_create(&thread, NULL, send_on, &pair) == 0);
                if (attack->reads)
                        attack->play(&pair.peer, kind_of_peer(&pair));
                util_waiting_for("a victim that sends to notice");
                pthread_join(thread, NULL);
        } else {
                pair.error = receive(&pair, util_soon());
        }
        nipc_session_get_failure(pair.session, &failure);
        if (pair.error != attack->error || failure.error != attack->error)
                tap_fail("%s of %s: %d (%d), expected %d", attack->name,
                         is_server ? "a client" : "a server", pair.error, failure.error,
                         attack->error);
        if (pair.error == -EBADMSG)
                tap_check(failure.fault.rule != NULL);
        pair_close(&pair);
}

static void test_attacks_on_a_server(void)
{
        for (size_t i = 0; i < n_ring_attacks; i++)
                try_attack(&ring_attacks[i], true);
}

static void test_attacks_on_a_client(void)
{
        for (size_t i = 0; i < n_ring_attacks; i++)
                try_attack(&ring_attacks[i], false);
}

/* ---- what is no violation -------------------------------------------------------------------- */

static bool still_works(struct pair *pair)
{
        struct nipc_message message;
        uint64_t number = 42;

        if (!ring_peer_send_message(&pair->peer, kind_of_peer(pair), 1, 1, &number, 8))
                return false;
        util_waiting_for("a good message");
        return util_eq_error(nipc_session_receive(pair->session, util_soon(), &message), 0) &&
               tap_eq_mem(message.payload, message.payload_size, &number, sizeof(number));
}

static void try_doorbells(bool is_server)
{
        struct pair pair;
        unsigned n = 0;

        if (pair_open(&pair, is_server)) {
                while (ring_peer_ring(&pair.peer)) /* until the socket is full of them */
                        n++;
                tap_note("%u doorbells", n);
                util_eq_error(receive(&pair, NIPC_DEADLINE_NOW), -EAGAIN);
                util_eq_error(receive(&pair, nipc_deadline_after_ms(5)), -ETIMEDOUT);
                while (ring_peer_ring(&pair.peer))
                        ;
                tap_check(still_works(&pair));
        }
        pair_close(&pair);
}

static void test_doorbells_for_nothing(void)
{
        try_doorbells(true);
        try_doorbells(false);
}

static void try_garbage(bool is_server)
{
        struct nipc_header header;
        struct pair pair;
        uint64_t random = 1;

        if (pair_open(&pair, is_server)) {
                for (unsigned i = 2; i < 20; i++) {
                        header = header_of(&pair, i);
                        ring_peer_set_n_rung(&pair.peer, (uint32_t)tap_random(&random));
                        ring_peer_set_wait(&pair.peer,
                                           (uint32_t)tap_random(&random) & ~RING_IS_CLOSED);
                        util_eq_error(nipc_session_send(pair.session, &header, "", 0, util_soon()),
                                      0);
                        util_eq_error(receive(&pair, NIPC_DEADLINE_NOW), -EAGAIN);
                }
                tap_check(still_works(&pair));
        }
        pair_close(&pair);
}

static void test_garbage_in_words(void)
{
        try_garbage(true);
        try_garbage(false);
}

static void test_full_ring(void)
{
        for (int is_server = 0; is_server < 2; is_server++) {
                static const uint8_t payload[1000];
                struct nipc_header header;
                struct pair pair;
                int r = 0;

                if (pair_open(&pair, is_server)) {
                        for (uint64_t id = 2; r == 0; id++) {
                                header = header_of(&pair, id);
                                r = nipc_session_send(pair.session, &header, payload,
                                                      sizeof(payload), nipc_deadline_after_ms(5));
                        }
                        util_eq_error(r, -ETIMEDOUT);
                        tap_check(still_works(&pair)); /* the other direction */
                }
                pair_close(&pair);
        }
}

/* Half a message, and then nothing. */
static void test_half_a_message(void)
{
        for (int is_server = 0; is_server < 2; is_server++) {
                struct pair pair;

                if (pair_open(&pair, is_server)) {
                        raw_header(ring_peer_record(&pair.peer), kind_of_peer(&pair), 1, 8, 1, 1);
                        ring_peer_publish(&pair.peer, RAW_HEADER_SIZE);
                        util_eq_error(receive(&pair, NIPC_DEADLINE_NOW), -EAGAIN);
                        tap_check(nipc_session_is_receiving(pair.session));
                        util_eq_error(receive(&pair, nipc_deadline_after_ms(5)), -ETIMEDOUT);
                        shutdown(pair.peer.fd, SHUT_RDWR);
                        util_eq_error(receive(&pair, util_soon()), -ECONNRESET);
                }
                pair_close(&pair);
        }
}

/* Nothing can be done to memory that somebody works with. */
static void test_memory_stays(void)
{
        const off_t whole = (off_t)ring_page_size() + RING_BYTES;
        struct pair pair;

        if (pair_open(&pair, true)) {
                const int fd = pair.peer.memory_fd;

                tap_check(ftruncate(fd, 0) < 0 && errno == EPERM);
                tap_check(ftruncate(fd, 2 * whole) < 0 && errno == EPERM);
                tap_check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, whole) < 0);
                tap_check(madvise(pair.peer.own, ring_page_size(), MADV_REMOVE) < 0);
                tap_check(still_works(&pair));
        }
        pair_close(&pair);
}

/* ---- the handshake --------------------------------------------------------------------------- */

/* Says HELLO with so many descriptors, takes the answer. Returns the profile it selected. */
static uint32_t shake_hands(struct pair *pair, const int *fds, size_t n_fds, uint32_t profiles)
{
        uint8_t packet[RAW_ACK_SIZE];
        pthread_t thread;
        int fd;

        *pair = (struct pair){.is_server = true, .listen_fd = -1, .peer = {.fd = -1}};
        pair->peer.memory_fd = -1;
        if (!util_eq_error(open_listener(&pair->listener), 0) ||
            pthread_create(&thread, NULL, open_victim, pair) != 0)
                return 0;
        pair->peer.fd = raw_connect("svc", SOCK_SEQPACKET);
        raw_hello(packet);
        raw_put32(packet, RAW_HELLO_PROFILES, profiles);
        raw_put32(packet, RAW_HELLO_PREFERRED, profiles);
        tap_check(ring_send_fds(pair->peer.fd, packet, RAW_HELLO_SIZE, fds, n_fds));
        tap_eq_int(ring_receive_fd(pair->peer.fd, packet, sizeof(packet), &fd), RAW_ACK_SIZE);
        pthread_join(thread, NULL);
        if (fd >= 0)
                close(fd);
        if (raw_get16(packet, RAW_STATUS))
                return 0;
        tap_eq_int(fd >= 0, raw_get32(packet, RAW_ACK_SELECTED) == RING_PROFILE);
        return raw_get32(packet, RAW_ACK_SELECTED);
}

static void test_bad_descriptors(void)
{
        uint8_t *map = NULL, *unsealed_map = NULL;
        int fds[4] = {ring_memory_new_unsealed(RING_BYTES, &unsealed_map), -1, -1, -1}, ends[2];
        struct pair pair;

        tap_require(fds[0] >= 0 && pipe2(ends, O_CLOEXEC) == 0);
        tap_eq_uint(shake_hands(&pair, NULL, 0, PROFILES), NIPC_PROFILE_BASELINE);
        pair_close(&pair);
        tap_eq_uint(shake_hands(&pair, fds, 1, PROFILES), NIPC_PROFILE_BASELINE);
        pair_close(&pair);
        tap_eq_uint(shake_hands(&pair, ends, 2, PROFILES), NIPC_PROFILE_BASELINE);
        pair_close(&pair);
        /* Not one profile is left: refused. */
        tap_eq_uint(shake_hands(&pair, fds, 1, NIPC_PROFILE_RING), 0);
        util_eq_error(pair.error, -ECONNREFUSED);
        pair_close(&pair);
        /* A good one among others is taken, the rest is not kept. */
        fds[0] = (close(fds[0]), ring_memory_new(RING_BYTES, &map));
        fds[1] = ends[0];
        fds[2] = ends[1];
        tap_eq_uint(shake_hands(&pair, fds, 3, PROFILES), NIPC_PROFILE_RING);
        pair_close(&pair);
        /* One that nobody asked for. */
        tap_eq_uint(shake_hands(&pair, fds, 3, NIPC_PROFILE_BASELINE), NIPC_PROFILE_BASELINE);
        pair_close(&pair);
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
        ring_memory_unmap(map, RING_BYTES);
        ring_memory_unmap(unsealed_map, RING_BYTES);
}

/* The server selects the ring and hands over something else: the client comes again without. */
static void test_client_does_without(void)
{
        struct pair pair = {.listen_fd = raw_listen("raw", SOCK_SEQPACKET, 4)};
        uint8_t packet[RAW_ACK_SIZE];
        pthread_t thread;
        int fd, ends[2], conn;

        pair.peer.fd = pair.peer.memory_fd = -1;
        tap_require(pair.listen_fd >= 0 && pipe2(ends, O_CLOEXEC) == 0 &&
                    pthread_create(&thread, NULL, open_victim, &pair) == 0);
        for (unsigned i = 0; i < 2; i++) {
                conn = raw_accept(pair.listen_fd);
                tap_eq_int(ring_receive_fd(conn, packet, sizeof(packet), &fd), RAW_HELLO_SIZE);
                tap_eq_int(fd >= 0, i == 0);
                tap_eq_uint(raw_get32(packet, RAW_HELLO_PROFILES),
                            i == 0 ? PROFILES : NIPC_PROFILE_BASELINE);
                if (fd >= 0)
                        close(fd);
                raw_ack(packet);
                if (i == 0)
                        raw_put32(packet, RAW_ACK_SELECTED, RING_PROFILE);
                if (i == 0)
                        raw_put32(packet, RAW_ACK_INTERSECTION, RING_PROFILE | 1);
                tap_check(ring_send_fds(conn, packet, RAW_ACK_SIZE, ends, i == 0 ? 2 : 0));
                if (i == 0)
                        tap_check(raw_is_closed(conn));
                close(conn);
        }
        pthread_join(thread, NULL);
        util_eq_error(pair.error, 0);
        close(ends[0]);
        close(ends[1]);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_attacks_on_a_server), TAP_CASE(test_attacks_on_a_client),
          TAP_CASE(test_doorbells_for_nothing), TAP_CASE(test_garbage_in_words),
          TAP_CASE(test_full_ring), TAP_CASE(test_half_a_message), TAP_CASE(test_memory_stays),
          TAP_CASE(test_bad_descriptors), TAP_CASE(test_client_does_without))
