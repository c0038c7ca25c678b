/* SPDX-License-Identifier: MIT */

/*
 * A server whose client is alone and asks again at once: it is waited for in its own receive, and
 * still is where the caller looks for it. And who gets what: the answer that ends a session, the
 * last place.
 */

#include "tap.h"
#include "util-service.h"
#include <errno.h>
#include <nipc/chunk.h>
#include <nipc/clock.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

static struct nipc_server_status status_of(struct nipc_server *server)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;

        nipc_server_get_status(server, &status);
        return status;
}

/* ---- one client that asks in a loop --------------------------------------------------------- */

struct asker {
        const char *service;
        unsigned n_calls;
        unsigned n_answered;
        int error;
        atomic_bool is_done;
};

static void *asker_main(void *userdata)
{
        struct asker *asker = userdata;
        struct nipc_client *client = util_client(asker->service);
        struct nipc_response response;

        while (!asker->error && asker->n_answered < asker->n_calls) {
                asker->error = nipc_client_call(client, UTIL_CODE, "e", 1, 0, &response, NULL);
                asker->n_answered += !asker->error;
        }
        atomic_store(&asker->is_done, true);
        nipc_client_free(client); /* the end of it wakes the server, too */
        return NULL;
}

/* Waits in dispatch for a while, and then for the descriptor for a while. */
static int dispatch_by_turns(struct nipc_server *server, unsigned turn, unsigned period)
{
        const int server_fd = nipc_server_get_fd(server);

        if (turn % period < period / 2)
                return nipc_server_dispatch(server, 50);
        return util_wait_fd(server_fd, UTIL_WATCHDOG_MS) ? nipc_server_dispatch(server, 0)
                                                         : -ETIMEDOUT;
}

static bool try_turns(unsigned period)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct asker asker = {.service = "turns", .n_calls = util_rounds(5000)};
        struct nipc_server *server = util_server(&config, "turns");
        unsigned turn = 0, n_handled = 0;
        pthread_t thread;
        int r = 0;

        if (!tap_check(server && pthread_create(&thread, NULL, asker_main, &asker) == 0))
                return false;
        while (r >= 0 && !atomic_load(&asker.is_done)) {
                r = dispatch_by_turns(server, turn++, period);
                n_handled += r > 0 ? (unsigned)r : 0;
        }
        if (!tap_check(r >= 0))
                tap_note("%d after %u requests, turn %u of %u", r, n_handled, turn, period);
        nipc_server_free(server);
        pthread_join(thread, NULL);
        tap_eq_int(asker.error, 0);
        tap_eq_uint(asker.n_answered, asker.n_calls);
        return tap_eq_uint(n_handled, asker.n_calls);
}

/* However the caller waits, what he did not handle yet is seen at the descriptor. */
static void test_dispatch_and_poll(void)
{
        static const unsigned periods[] = {2, 20, 40, 100, 500};

        for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++)
                if (!try_turns(periods[i]))
                        break;
}

/* ---- the answer that ends a session --------------------------------------------------------- */

/* What comes first from a server that did not listen to the rest; util_pump() waited for it. */
static void check_told_first(int fd)
{
        struct nipc_header header = {.kind = 0};

        tap_require(util_raw_receive(fd, &header, NULL, 0) == 0);
        tap_eq_uint(header.kind, NIPC_KIND_RESPONSE);
        tap_eq_uint(header.transport_status, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        tap_eq_uint(header.message_id, 1);
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), -1);
}

static void test_limit_before_pipelined(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "behind");
        struct nipc_header request = util_request(1, 1);
        int fd = util_pump_open(server, "behind");

        tap_require(fd >= 0);
        request.item_count = 5; /* one was agreed */
        tap_check(util_raw_send(fd, &request, "e", 1));
        for (uint64_t id = 2; id < 100; id++) {
                request = util_request(id, 1);
                tap_check(util_raw_send(fd, &request, "e", 1));
        }
        tap_require(util_pump(server, fd));
        check_told_first(fd);
        tap_eq_uint(status_of(server).n_requests, 0);
        tap_eq_uint(status_of(server).n_failed, 1);
        close(fd);
        nipc_server_free(server);
}

static void test_limit_before_chunks(void)
{
        enum { PART = 96, N_PACKETS = 50 };
        struct nipc_chunk_header chunk = {
                .message_id = 1,
                .total_message_len = NIPC_HEADER_SIZE + N_PACKETS * PART,
                .chunk_count = N_PACKETS,
                .chunk_payload_len = PART,
        };
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "chunks");
        struct nipc_header request = util_request(1, N_PACKETS * PART);
        uint8_t packet[NIPC_CHUNK_HEADER_SIZE + PART] = {0};
        int fd = util_pump_open(server, "chunks");

        tap_require(fd >= 0);
        tap_check(util_raw_send(fd, &request, packet, PART));
        for (chunk.chunk_index = 1; chunk.chunk_index < N_PACKETS; chunk.chunk_index++) {
                nipc_chunk_header_encode(&chunk, packet);
                tap_check(util_raw_packet(fd, packet, sizeof(packet)));
        }
        tap_require(util_pump(server, fd));
        check_told_first(fd);
        close(fd);
        nipc_server_free(server);
}

/* ---- the last place ------------------------------------------------------------------------- */

enum { N_RIVALS = 2 };

struct rival {
        pthread_barrier_t *barrier; /* of the rivals, and who watches them */
        int fd;
        int status;
        const atomic_bool *is_over;
};

/* Each round: connected by the watcher, off, told, seen. */
static void *rival_main(void *userdata)
{
        struct rival *rival = userdata;

        for (;;) {
                pthread_barrier_wait(rival->barrier);
                if (atomic_load(rival->is_over))
                        return NULL;
                rival->status = util_raw_hello(rival->fd, 1) ? util_raw_ack(rival->fd, NULL) : -1;
                pthread_barrier_wait(rival->barrier);
        }
}

/* Waits until so many clients are ready and so many are not yet. */
static bool wait_for(struct nipc_server *server, uint32_t n_sessions, uint32_t n_handshakes)
{
        uint64_t deadline_ns = nipc_deadline_after_ms(UTIL_WATCHDOG_MS);
        struct nipc_server_status status;

        do {
                sched_yield();
                status = status_of(server);
        } while ((status.n_sessions != n_sessions || status.n_handshakes != n_handshakes) &&
                 nipc_clock_now_ns() < deadline_ns);
        return tap_eq_uint(status.n_sessions, n_sessions) &&
               tap_eq_uint(status.n_handshakes, n_handshakes);
}

/* Both say HELLO at once. Returns whether one got the place. */
static bool contest(struct nipc_server *server, struct rival *rivals)
{
        unsigned i, n_taken = 0, n_full = 0;
        bool good;

        for (i = 0; i < N_RIVALS; i++)
                rivals[i].fd = util_raw_connect("place");
        good = wait_for(server, 0, N_RIVALS);
        pthread_barrier_wait(rivals->barrier);
        pthread_barrier_wait(rivals->barrier);
        for (i = 0; i < N_RIVALS; i++) {
                n_taken += rivals[i].status == 0;
                n_full += rivals[i].status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        }
        good = tap_eq_uint(n_taken, 1) && tap_eq_uint(n_full, N_RIVALS - 1) && good &&
               wait_for(server, 1, 0);
        for (i = 0; i < N_RIVALS; i++)
                close(rivals[i].fd);
        return wait_for(server, 0, 0) && good;
}

static void test_last_place(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct rival rivals[N_RIVALS] = {{.fd = -1}};
        struct nipc_server *server;
        atomic_bool is_over = false;
        pthread_t threads[N_RIVALS];
        pthread_barrier_t barrier;
        const unsigned n_rounds = util_rounds(3000);
        unsigned i, round;

        config.n_workers = 2;
        config.max_sessions = 1;
        server = util_server(&config, "place");
        tap_require(server && pthread_barrier_init(&barrier, NULL, N_RIVALS + 1) == 0);
        for (i = 0; i < N_RIVALS; i++) {
                rivals[i] = (struct rival){.barrier = &barrier, .fd = -1, .is_over = &is_over};
                tap_require(pthread_create(&threads[i], NULL, rival_main, &rivals[i]) == 0);
        }
        for (round = 0; round < n_rounds && contest(server, rivals); round++)
                ;
        tap_eq_uint(round, n_rounds);
        atomic_store(&is_over, true);
        pthread_barrier_wait(&barrier);
        for (i = 0; i < N_RIVALS; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&barrier);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_dispatch_and_poll), TAP_CASE(test_limit_before_pipelined),
         TAP_CASE(test_limit_before_chunks), TAP_CASE(test_last_place),
         TAP_CASE(test_leaks_nothing))
