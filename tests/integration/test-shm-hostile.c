/* SPDX-License-Identifier: MIT */

/*
 * Peers that attach as SHM_HYBRID says, and then break its rules: as clients of a server with
 * workers, and as servers of a client. Each loses its own session, and nothing else happens: a good
 * client is served beside them all the time, and nothing is left.
 *
 * `test-shm-hostile --seconds N --seed S` goes on at random for so long, in both roles.
 */

#include "util-env.h"
#include "util-shm-attack.h"
#include "util-shm-fault.h"
#include <errno.h>
#include <nipc/client.h>
#include <nipc/endpoint.h>
#include <nipc/hello.h>
#include <nipc/server.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE        1u
#define MAX_PAYLOAD 65536u
#define PROFILES    (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID)

static struct {
        unsigned seconds;
        uint64_t seed;
} options = {3, 1};

static struct {
        struct nipc_server *server;
        struct nipc_client *good;
        uint64_t n_pings;
} env;

/* ---- the victims ---------------------------------------------------------------------------- */

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        if (request->payload_size > capacity)
                return -EMSGSIZE;
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return 0;
}

static struct nipc_client *open_client(const char *service)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;

        config.run_dir = util_dir();
        config.service = service;
        config.profiles = PROFILES;
        if (util_eq_error(nipc_client_new(&config, &client), 0))
                nipc_client_refresh(client);
        return client;
}

static bool is_on_shm(const struct nipc_client *client)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        nipc_client_get_status(client, &status);
        return tap_eq_uint(status.profile, NIPC_PROFILE_SHM_HYBRID);
}

static bool begin(uint32_t n_workers)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_handler handler = {.size = sizeof(handler), .code = CODE, .handle = echo};

        shm_survive_faults();
        config.run_dir = util_dir();
        config.service = "svc";
        config.n_workers = n_workers;
        config.profiles = PROFILES;
        config.initial_request_bytes = MAX_PAYLOAD;
        config.initial_response_bytes = MAX_PAYLOAD;
        env.n_pings = 0;
        if (!util_eq_error(nipc_server_new(&config, &handler, &env.server), 0) ||
            !util_eq_error(nipc_server_start(env.server), 0))
                return false;
        env.good = open_client("svc");
        return is_on_shm(env.good);
}

/* The good client: is it answered, and rightly? */
static bool ping(void)
{
        struct nipc_response response;
        uint64_t number = ++env.n_pings;

        util_waiting_for("the good client to be answered");
        return util_eq_error(nipc_client_call(env.good, CODE, &number, 8, 0, &response, NULL), 0) &&
               tap_eq_mem(response.payload, response.payload_size, &number, 8);
}

/* Until only the good client is left. */
static void wait_alone(void)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;

        util_waiting_for("the sessions of bad clients to end");
        do {
                sched_yield();
                nipc_server_get_status(env.server, &status);
        } while (status.n_sessions > 1 || status.n_handshakes > 0);
}

static void end(void)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        wait_alone();
        nipc_client_get_status(env.good, &status);
        tap_eq_uint(status.n_errors, 0);
        tap_eq_uint(status.n_reconnects, 0);
        env.good = nipc_client_free(env.good);
        env.server = nipc_server_free(env.server);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), 0); /* not one region is left */
        shm_let_faults();
}

/* ---- the peers ------------------------------------------------------------------------------ */

static bool connect_peer(struct shm_peer *peer)
{
        uint8_t hello[RAW_HELLO_SIZE];
        bool good;

        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, 16);
        good = shm_peer_connect(peer, "svc", hello);
        shm_guard(peer);
        return good;
}

/* A good request and its answer. */
static bool ask(struct shm_peer *peer, uint64_t number)
{
        uint8_t request[40], answer[64];

        raw_header(request, NIPC_KIND_REQUEST, CODE, 8, 1, number);
        raw_put64(request, RAW_HEADER_SIZE, number);
        return tap_check(shm_peer_send(peer, request, sizeof(request))) &&
               tap_eq_int(shm_peer_receive(peer, answer, sizeof(answer), 60000), 40) &&
               tap_eq_uint(raw_get64(answer, RAW_HEADER_SIZE), number);
}

/* As a server, to one client: it cannot come back, nobody listens any more. */
struct host {
        int listen_fd;
        bool good;
        uint64_t random; /* 0: plays the attack */
        const struct shm_attack *attack;
        atomic_bool is_over; /* nobody waits for it: it only lets the peer go */
        pthread_t thread;
};

/* Answers rightly, but for what happens meanwhile. */
static void answer_meddled(struct shm_peer *peer, uint64_t random)
{
        struct shm_meddler meddler;
        uint8_t message[2000];
        int64_t len;

        shm_meddler_start(&meddler, peer, tap_random(&random) % 2, random);
        do {
                len = shm_peer_receive(peer, message, sizeof(message), 20);
                raw_put16(message, RAW_KIND, NIPC_KIND_RESPONSE);
        } while (len > 0 && len <= (int64_t)sizeof(message) &&
                 shm_peer_send(peer, message, (uint32_t)len));
        shm_meddler_stop(&meddler);
}

static void play_host(struct host *host, struct shm_peer *peer)
{
        uint8_t request[64];

        if (host->random && tap_random(&host->random) % 2) {
                answer_meddled(peer, host->random);
                return;
        }
        if (host->random) {
                shm_attack_at_random(peer, NIPC_KIND_RESPONSE, &host->random,
                                     (unsigned)(tap_random(&host->random) % 200));
                return;
        }
        host->good = shm_peer_receive(peer, request, sizeof(request), 60000) == 40;
        host->attack->play(peer, NIPC_KIND_RESPONSE);
        if (host->attack->error == 0) {
                raw_put16(request, RAW_KIND, NIPC_KIND_RESPONSE);
                shm_peer_send(peer, request, 40);
        }
        while (!atomic_load(&host->is_over))
                sched_yield();
}

static void *host_main(void *userdata)
{
        struct host *host = userdata;
        struct shm_peer peer;
        uint8_t ack[RAW_ACK_SIZE];

        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE_ITEMS, 16);
        host->good = shm_peer_serve(&peer, "raw", host->listen_fd, ack);
        shm_guard(&peer);
        close(host->listen_fd);
        util_remove(util_path("raw.sock"));
        if (host->good)
                play_host(host, &peer);
        shm_peer_close(&peer);
        return NULL;
}

static bool host_start(struct host *host)
{
        shm_survive_faults();
        host->listen_fd = raw_listen("raw", SOCK_SEQPACKET, 4);
        return tap_check(host->listen_fd >= 0) &&
               tap_check(pthread_create(&host->thread, NULL, host_main, host) == 0);
}

static void host_join(struct host *host)
{
        atomic_store(&host->is_over, true);
        pthread_join(host->thread, NULL);
        tap_check(host->good);
        shm_let_faults();
}

/* ---- one by one ----------------------------------------------------------------------------- */

static void attack_server(const struct shm_attack *attack)
{
        uint8_t answer[64];
        struct shm_peer peer;

        if (!tap_check(connect_peer(&peer)))
                return;
        tap_check(ask(&peer, 4711));
        attack->play(&peer, NIPC_KIND_REQUEST);
        if (attack->error == -EMSGSIZE) { /* said so, and then closed */
                tap_eq_int(shm_peer_receive(&peer, answer, sizeof(answer), 60000), 32);
                tap_eq_uint(raw_get16(answer, RAW_STATUS), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        }
        util_waiting_for("a session to end");
        if (attack->error == 0)
                tap_check(ask(&peer, 4712));
        else if (attack->error != -ETIMEDOUT)
                tap_check(raw_is_closed(peer.fd));
        tap_check(ping());
        shm_peer_close(&peer);
}

static void test_attacks_on_a_server(void)
{
        for (uint32_t n_workers = 1; n_workers <= 2; n_workers++) {
                if (begin(n_workers))
                        for (size_t i = 0; i < n_shm_attacks; i++) {
                                attack_server(&shm_attacks[i]);
                                wait_alone();
                                if (!ping())
                                        tap_fail("after %s", shm_attacks[i].name);
                        }
                end();
        }
}

/* The error is that of the call, and of what the client says about it. */
static void attack_client(const struct shm_attack *attack)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct host host = {.attack = attack};
        struct nipc_response response;
        struct nipc_client *client;
        const uint64_t number = 4711;
        int r;

        if (!host_start(&host))
                return;
        client = open_client("raw");
        tap_check(is_on_shm(client));
        util_waiting_for("a call to end");
        r = nipc_client_call(client, CODE, &number, 8, attack->error == -ETIMEDOUT ? 30 : 60000,
                             &response, NULL);
        nipc_client_get_failure(client, &failure);
        if (r != attack->error || failure.error != attack->error)
                tap_fail("%s: %d (%d at %s), expected %d", attack->name, r, failure.error,
                         failure.step, attack->error);
        if (r == 0)
                tap_eq_mem(response.payload, response.payload_size, &number, 8);
        if (r == -EBADMSG)
                tap_check(failure.fault.rule != NULL);
        nipc_client_free(client);
        host_join(&host);
}

static void test_attacks_on_a_client(void)
{
        for (size_t i = 0; i < n_shm_attacks; i++)
                attack_client(&shm_attacks[i]);
}

/* Asks on and on and reads nothing; the server has nothing to wait for. */
static void test_one_that_does_not_read(void)
{
        const uint64_t *answered;
        struct shm_peer peer;

        if (begin(1) && tap_check(connect_peer(&peer))) {
                answered = shm_peer_word(&peer, true, SHM_REQUEST_SEQ, 8);
                for (uint64_t i = 0; i < 1000; i++) {
                        util_waiting_for("an answer that nobody reads");
                        while (__atomic_load_n(answered, __ATOMIC_ACQUIRE) < i)
                                sched_yield();
                        shm_attack_write(&peer, NIPC_KIND_REQUEST, 1000, i);
                        shm_peer_announce(&peer, RAW_HEADER_SIZE + 1000);
                }
                tap_check(ping());
                shm_peer_close(&peer);
        }
        end();
}

/* ---- while messages flow --------------------------------------------------------------------- */

/* Whatever the server makes of it, an answer has the size that its header says. */
static void play_meddled(uint64_t seed, bool shortens)
{
        static uint8_t request[2000], answer[2000];
        struct shm_meddler meddler;
        struct shm_peer peer;
        int64_t len;

        if (!tap_check(connect_peer(&peer)))
                return;
        shm_meddler_start(&meddler, &peer, shortens, seed);
        for (unsigned i = 0; i < 100; i++) {
                uint32_t size = (uint32_t)(tap_random(&seed) % 1000);

                raw_header(request, NIPC_KIND_REQUEST, CODE, size, 1, i);
                shm_peer_send(&peer, request, RAW_HEADER_SIZE + size);
                len = shm_peer_receive(&peer, answer, sizeof(answer), 2);
                if (len < 0)
                        break;
                if (!shortens)
                        tap_eq_int(len, RAW_HEADER_SIZE + raw_get32(answer, RAW_PAYLOAD_LEN));
        }
        shm_meddler_stop(&meddler);
        shm_peer_close(&peer);
}

static void test_meddled(void)
{
        if (begin(2))
                for (unsigned i = 0; i < 60; i++) {
                        play_meddled(i + 1, i % 2);
                        tap_check(ping());
                }
        end();
}

/* ---- at random ------------------------------------------------------------------------------ */

static void attack_server_at_random(uint64_t *random)
{
        struct shm_peer peer;

        if (tap_check(connect_peer(&peer)))
                shm_attack_at_random(&peer, NIPC_KIND_REQUEST, random,
                                     (unsigned)(tap_random(random) % 200));
        shm_peer_close(&peer);
}

/* In a child that was made for it, and will be killed. It attacks whoever is there. */
static void be_killed(uint64_t random)
{
        struct shm_peer peer;

        for (;;) {
                if (connect_peer(&peer))
                        shm_attack_at_random(&peer, NIPC_KIND_REQUEST, &random, 20);
                shm_peer_close(&peer);
        }
}

static void kill_one(uint64_t *random)
{
        uint64_t until_ns;
        pid_t parent = getpid(), pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() == parent)
                        be_killed(tap_random(random));
                _exit(98);
        }
        until_ns = nipc_clock_now_ns() + tap_random(random) % 3000000;
        while (nipc_clock_now_ns() < until_ns)
                tap_check(ping());
        kill(pid, SIGKILL);
        util_waiting_for("a killed child");
        tap_check(waitpid(pid, NULL, 0) == pid);
}

static void test_killed(void)
{
        uint64_t random = options.seed;

        if (begin(2))
                for (unsigned i = 0; i < 30; i++) {
                        kill_one(&random);
                        wait_alone();
                }
        end();
}

/* A client of ours goes on as long as the session does; each call ends soon. */
static void attack_client_at_random(uint64_t *random)
{
        struct host host = {.random = tap_random(random) | 1};
        static const uint8_t payload[900];
        struct nipc_response response;
        struct nipc_client *client;

        if (!host_start(&host))
                return;
        client = open_client("raw");
        util_waiting_for("a client of ours to give up");
        while (nipc_client_call(client, CODE, payload, sizeof(payload), 20, &response, NULL) == 0)
                ;
        nipc_client_free(client);
        host_join(&host);
        shm_survive_faults();
}

static void test_at_random(void)
{
        uint64_t until_ns = nipc_clock_now_ns() + UINT64_C(1000000000) * options.seconds;
        uint64_t random = options.seed;
        unsigned n = 0;

        tap_note("--seed %llu", (unsigned long long)options.seed);
        if (begin(2))
                for (; nipc_clock_now_ns() < until_ns; n++) {
                        util_arm_watchdog();
                        attack_server_at_random(&random);
                        attack_client_at_random(&random);
                        if (n % 16 == 0)
                                kill_one(&random);
                        if (n % 4 == 0)
                                play_meddled(random, n % 8);
                        if (!tap_check(ping()))
                                break;
                }
        end();
        tap_note("%u rounds, %u faults in all", n, shm_count_faults());
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_attacks_on_a_server),
                                                TAP_CASE(test_attacks_on_a_client),
                                                TAP_CASE(test_one_that_does_not_read),

                                                TAP_CASE(test_meddled),
                                                TAP_CASE(test_killed),
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
