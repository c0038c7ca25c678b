/* SPDX-License-Identifier: MIT */

/*
 * A server with workers, and clients that break the rules of the ring profile: each loses its own
 * session, nobody else notices, and nothing is left of it. A good client is there all the time.
 *
 * `test-ring-hostile --seconds N --seed S` goes on at random for so long, in both roles.
 */

#include "util-env.h"
#include "util-ring-attack.h"
#include <errno.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CODE        1u
#define RING_BYTES  32768u
#define MAX_PAYLOAD 65536u
#define PROFILES    (NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING)

static struct {
        unsigned seconds;
        uint64_t seed;
} options = {3, 1};

static struct {
        struct nipc_server *server;
        struct nipc_session *good;
        uint64_t n_pings;
} env;

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        if (request->payload_size > capacity)
                return -EMSGSIZE;
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return 0;
}

static int open_session(const char *service, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = service;
        config.supported_profiles = PROFILES;
        config.preferred_profiles = NIPC_PROFILE_RING;
        config.max_request_payload_bytes = MAX_PAYLOAD;
        config.max_request_batch_items = 16;
        config.max_ring_bytes = RING_BYTES;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

static bool begin(uint32_t n_workers, uint32_t patience_ms)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_handler handler = {.size = sizeof(handler), .code = CODE, .handle = echo};

        config.run_dir = util_dir();
        config.service = "svc";
        config.n_workers = n_workers;
        config.profiles = PROFILES;
        config.initial_request_bytes = MAX_PAYLOAD;
        config.initial_response_bytes = MAX_PAYLOAD;
        config.request_timeout_ms = patience_ms;
        config.response_timeout_ms = patience_ms;
        env.n_pings = 0;
        return util_eq_error(nipc_server_new(&config, &handler, &env.server), 0) &&
               util_eq_error(nipc_server_start(env.server), 0) &&
               util_eq_error(open_session("svc", &env.good), 0);
}

/* The good client: is it answered, and rightly? */
static bool ping(void)
{
        uint64_t number = ++env.n_pings;
        struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST, .code = CODE, .item_count = 1, .message_id = number};
        struct nipc_message message;

        util_waiting_for("the good client to be answered");
        return util_eq_error(nipc_session_send(env.good, &header, &number, 8, util_soon()), 0) &&
               util_eq_error(nipc_session_receive(env.good, util_soon(), &message), 0) &&
               tap_eq_mem(message.payload, message.payload_size, &number, 8);
}

static void end(void)
{
        nipc_session_close(env.good);
        env.good = NULL;
        env.server = nipc_server_free(env.server);
}

static bool connect_peer(struct ring_peer *peer)
{
        return tap_check(ring_peer_connect(peer, "svc", RING_BYTES, MAX_PAYLOAD));
}

/* ---- one by one ------------------------------------------------------------------------------ */

/* Asks without ever reading an answer, until it is thrown out. */
static void ask_on(struct ring_peer *peer)
{
        static const uint8_t payload[1000];
        uint64_t id = 2;

        while (ring_peer_send_message(peer, NIPC_KIND_REQUEST, CODE, id, payload, sizeof(payload)))
                id++;
}

static void test_each_loses_its_session(void)
{
        struct ring_peer peer;

        if (begin(2, 50)) {
                for (size_t i = 0; i < n_ring_attacks; i++) {
                        const struct ring_attack *attack = &ring_attacks[i];
                        uint8_t record[64];

                        if (!connect_peer(&peer))
                                break;
                        if (attack->is_for_send && attack->error == -EBADMSG)
                                /* Something to go back behind. */
                                for (unsigned n = 0; n < 300; n++) {
                                        uint8_t payload[1000] = {0};

                                        ring_peer_send_message(&peer, NIPC_KIND_REQUEST, CODE, n,
                                                               payload, sizeof(payload));
                                        if (ring_peer_receive(&peer, record, sizeof(record)) < 0)
                                                break;
                                }
                        if (attack->reads) /* as it did just now */
                                ring_peer_set_consumed(&peer, 0);
                        else
                                attack->play(&peer, NIPC_KIND_REQUEST);
                        if (attack->is_for_send)
                                ask_on(&peer);
                        tap_check(ring_peer_is_closed(&peer));
                        ring_peer_close(&peer);
                        if (!ping())
                                tap_fail("after %s", attack->name);
                }
        }
        end();
}

static void test_one_that_does_not_read(void)
{
        struct ring_peer peer;

        if (begin(2, 50)) {
                if (connect_peer(&peer)) {
                        ask_on(&peer);
                        tap_check(ring_peer_is_closed(&peer));
                }
                ring_peer_close(&peer);
                tap_check(ping());
        }
        end();
}

static void test_half_a_request(void)
{
        struct ring_peer peer;

        if (begin(2, 50)) {
                if (connect_peer(&peer)) {
                        raw_header(ring_peer_record(&peer), NIPC_KIND_REQUEST, CODE, 1000, 1, 1);
                        ring_peer_publish(&peer, RAW_HEADER_SIZE);
                        tap_check(ring_peer_is_closed(&peer));
                }
                ring_peer_close(&peer);
                tap_check(ping());
        }
        end();
}

/* What a half request has brought so far is not lost to the requests of others. */
static void test_halves_between_others(void)
{
        static uint8_t payload[8000], answer[sizeof(payload) + RAW_HEADER_SIZE];
        const uint32_t first = RING_BYTES / 4 - RING_CELL - RAW_HEADER_SIZE - 1000;
        struct ring_peer peer;
        uint8_t *record;

        memset(payload, 0x77, sizeof(payload));
        if (begin(1, 60000)) {
                if (connect_peer(&peer)) {
                        record = ring_peer_record(&peer);
                        raw_header(record, NIPC_KIND_REQUEST, CODE, sizeof(payload), 1, 1);
                        memcpy(record + RAW_HEADER_SIZE, payload, first);
                        ring_peer_publish(&peer, RAW_HEADER_SIZE + first);
                        for (unsigned i = 0; i < 3; i++)
                                tap_check(ping()); /* on the same worker */
                        record = ring_peer_record(&peer);
                        raw_chunk(record, 1, RAW_HEADER_SIZE + sizeof(payload), 1, 2,
                                  sizeof(payload) - first);
                        memcpy(record + RAW_HEADER_SIZE, payload, sizeof(payload) - first);
                        ring_peer_publish(&peer, RAW_HEADER_SIZE + sizeof(payload) - first);
                        tap_eq_int(ring_peer_receive(&peer, answer, sizeof(answer)),
                                   sizeof(answer));
                        tap_eq_mem(answer + RAW_HEADER_SIZE, sizeof(payload), payload,
                                   sizeof(payload));
                }
                ring_peer_close(&peer);
        }
        end();
}

static void test_doorbells(void)
{
        uint8_t record[64];
        struct ring_peer peer;
        uint64_t number = 7;

        if (begin(2, 60000)) {
                if (connect_peer(&peer)) {
                        for (unsigned i = 0; i < 20000; i++)
                                ring_peer_ring(&peer);
                        tap_check(ping());
                        tap_check(ring_peer_send_message(&peer, NIPC_KIND_REQUEST, CODE, 1, &number,
                                                         8));
                        tap_eq_int(ring_peer_receive(&peer, record, sizeof(record)), 40);
                        tap_eq_uint(raw_get64(record, RAW_HEADER_SIZE), number);
                }
                ring_peer_close(&peer);
                tap_check(ping());
        }
        end();
}

/* ---- bytes that change while they are read ----------------------------------------------------
 */

struct flipper {
        struct ring_peer *peer;
        atomic_bool stop; /* pairs with nothing: it stops a little later */
        uint64_t random;
};

/* It races with whoever writes or reads there, that is what it is for. */
static __attribute__((no_sanitize("thread"))) void *flip(void *userdata)
{
        struct flipper *flipper = userdata;
        struct ring_peer *peer = flipper->peer;

        while (!atomic_load(&flipper->stop)) {
                size_t at = tap_random(&flipper->random) % peer->own_size;
                volatile uint8_t *byte = peer->own + ring_page_size() + at;

                if (at % RING_CELL >= 8) /* words belong to the other thread */
                        *byte = (uint8_t)(*byte ^ 1u << tap_random(&flipper->random) % 8);
        }
        return NULL;
}

/* Whatever the server makes of it, an answer has the size that its header says. */
static void play_with_flips(uint64_t seed, unsigned n_requests)
{
        static uint8_t payload[3000], answer[4096];
        struct flipper flipper = {.random = seed | 1};
        struct ring_peer peer;
        pthread_t thread;
        ssize_t size;

        if (connect_peer(&peer)) {
                flipper.peer = &peer;
                tap_check(pthread_create(&thread, NULL, flip, &flipper) == 0);
                for (unsigned i = 0; i < n_requests; i++) {
                        if (!ring_peer_send_message(&peer, NIPC_KIND_REQUEST, CODE, i, payload,
                                                    (uint32_t)(tap_random(&seed) % 3000)))
                                break;
                        size = ring_peer_receive(&peer, answer, sizeof(answer));
                        if (size < 0)
                                break;
                        tap_eq_int(size, RAW_HEADER_SIZE + raw_get32(answer, RAW_PAYLOAD_LEN));
                }
                atomic_store(&flipper.stop, true);
                pthread_join(thread, NULL);
        }
        ring_peer_close(&peer);
}

static void test_bytes_that_change(void)
{
        if (begin(2, 50))
                for (unsigned i = 0; i < 50; i++) {
                        play_with_flips(i + 1, 200);
                        tap_check(ping());
                }
        end();
}

/* ---- at random ------------------------------------------------------------------------------- */

static void attack_server(uint64_t *random)
{
        struct ring_peer peer;

        if (connect_peer(&peer)) {
                for (unsigned i = (unsigned)(tap_random(random) % 20); i > 0; i--)
                        ring_attack_at_random(&peer, NIPC_KIND_REQUEST, random, 10);
                if (tap_random(random) % 2)
                        ring_peer_set_wait(&peer, RING_IS_CLOSED);
        }
        ring_peer_close(&peer);
}

/* A client of ours that asks a server by hand until its session ends; each receive ends soon. */
static void *ask_raw_server(void *userdata)
{
        struct nipc_session *session = NULL;
        struct nipc_message message;
        int r;

        r = open_session("raw", &session);
        for (uint64_t id = 1; r == 0 && id < 50; id++) {
                struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                             .code = CODE,
                                             .item_count = 1,
                                             .message_id = id == 2 ? 1 : id};
                static const uint8_t payload[900];

                r = nipc_session_send(session, &header, payload, sizeof(payload),
                                      nipc_deadline_after_ms(2));
                if (r == -EEXIST || r == -ETIMEDOUT || r == -EBUSY)
                        r = 0;
                if (r == 0)
                        r = nipc_session_receive(session, nipc_deadline_after_ms(2), &message);
                if (r == -ETIMEDOUT || r == -ENOMEM)
                        r = 0;
        }
        nipc_session_close(session);
        return NULL;
}

static void attack_client(uint64_t *random)
{
        int listen_fd = raw_listen("raw", SOCK_SEQPACKET, 4);
        struct ring_peer peer;
        pthread_t thread;

        if (!tap_check(listen_fd >= 0) ||
            !tap_check(pthread_create(&thread, NULL, ask_raw_server, NULL) == 0))
                return;
        if (tap_check(ring_peer_accept(&peer, listen_fd, RING_BYTES, MAX_PAYLOAD)))
                for (unsigned i = (unsigned)(tap_random(random) % 20); i > 0; i--)
                        ring_attack_at_random(&peer, NIPC_KIND_RESPONSE, random, 10);
        if (tap_random(random) % 2)
                ring_peer_close(&peer);
        util_waiting_for("a client of ours to give up");
        pthread_join(thread, NULL);
        ring_peer_close(&peer);
        close(listen_fd);
        util_remove(util_path("raw.sock"));
}

static void test_at_random(void)
{
        uint64_t until_ns = nipc_clock_now_ns() + UINT64_C(1000000000) * options.seconds;
        uint64_t random = options.seed;
        unsigned n = 0;

        tap_note("--seed %llu", (unsigned long long)options.seed);
        if (begin(2, 20))
                for (; nipc_clock_now_ns() < until_ns; n++) {
                        util_arm_watchdog();
                        attack_server(&random);
                        attack_client(&random);
                        if (n % 16 == 0)
                                play_with_flips(random, 50);
                        if (!tap_check(ping()))
                                break;
                }
        end();
        tap_note("%u rounds", n);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_each_loses_its_session),
                                                TAP_CASE(test_one_that_does_not_read),
                                                TAP_CASE(test_half_a_request),
                                                TAP_CASE(test_halves_between_others),
                                                TAP_CASE(test_doorbells),
                                                TAP_CASE(test_bytes_that_change),
                                                TAP_CASE(test_at_random),
                                                TAP_CASE(test_nothing_leaked)};

        for (; argc > 2 && argv[1][0] == '-'; argc -= 2, argv += 2) {
                if (!strcmp(argv[1], "--seconds"))
                        options.seconds = (unsigned)strtoul(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--seed"))
                        options.seed = strtoull(argv[2], NULL, 10);
                else
                        return 2;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
