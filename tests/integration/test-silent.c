/* SPDX-License-Identifier: MIT */

/*
 * A managed server between clients that say nothing, half a handshake, half a message, or never
 * read: the one that behaves gets all its answers (design, "Trust and failure").
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/client.h>
#include <nipc/server.h>
#include <stdatomic.h>
#include <unistd.h>

#define N_EACH      40
#define N_TRIPS     300
#define MAX_CLIENTS (6 * N_EACH)

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static struct nipc_server *start_server(uint32_t n_workers)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_increment_handler handler = {.size = sizeof(handler), .increment = increment};
        struct nipc_server *server = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.n_workers = n_workers;
        if (util_eq_error(nipc_server_new_increment(&config, &handler, &server), 0) && n_workers)
                util_eq_error(nipc_server_start(server), 0);
        return server;
}

/* ---- clients that do not behave ------------------------------------------------------------- */

static int connect_and_say(const void *packet, size_t size)
{
        int fd = raw_connect("svc", SOCK_SEQPACKET);

        if (size)
                tap_check(raw_send(fd, packet, size));
        return fd;
}

/* With a handshake that is complete, as far as the client cares. */
static int connect_ready(void)
{
        uint8_t hello[RAW_HELLO_SIZE], ack[RAW_ACK_SIZE];
        int fd;

        raw_hello(hello);
        fd = connect_and_say(hello, sizeof(hello));
        tap_eq_int(raw_receive(fd, ack, sizeof(ack)), RAW_ACK_SIZE);
        tap_eq_uint(raw_get16(ack, RAW_STATUS), 0);
        return fd;
}

static int make_silent(void)
{
        return connect_and_say(NULL, 0);
}

static int make_half_handshake(void)
{
        uint8_t hello[RAW_HELLO_SIZE];

        raw_hello(hello);
        return connect_and_say(hello, sizeof(hello)); /* and never reads the answer */
}

static int make_short_handshake(void)
{
        uint8_t hello[RAW_HELLO_SIZE];

        raw_hello(hello);
        return connect_and_say(hello, 40);
}

static int make_idle(void)
{
        return connect_ready();
}

static int make_half_message(void)
{
        uint8_t packet[RAW_HEADER_SIZE];
        int fd = connect_ready();

        raw_header(packet, 1, 1, 8, 1, 1);
        tap_check(raw_send(fd, packet, sizeof(packet))); /* of which the payload never comes */
        return fd;
}

/* Asks as long as there is room, and reads no answer. */
static int make_deaf(void)
{
        uint8_t packet[RAW_HEADER_SIZE + 8] = {0};
        int fd = connect_ready();

        raw_header(packet, 1, 1, 8, 1, 1);
        for (unsigned i = 0; i < 2000; i++)
                if (send(fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                        break;
        return fd;
}

static size_t make_crowd(int *fds)
{
        static int (*const makers[])(void) = {make_silent,          make_half_handshake,
                                              make_short_handshake, make_idle,
                                              make_half_message,    make_deaf};
        size_t n = 0;

        for (unsigned i = 0; i < N_EACH; i++)
                for (size_t j = 0; j < sizeof(makers) / sizeof(makers[0]); j++) {
                        fds[n] = makers[j]();
                        tap_check(fds[n] >= 0);
                        n++;
                }
        return n;
}

/* ---- the one that does ---------------------------------------------------------------------- */

static void be_polite(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;
        uint64_t value = 0;

        config.run_dir = util_dir();
        config.service = "svc";
        util_waiting_for("answers to the polite client");
        tap_require(util_eq_error(nipc_client_new(&config, &client), 0));
        nipc_client_refresh(client);
        tap_check(nipc_client_is_ready(client));
        for (uint64_t i = 0; i < N_TRIPS; i++)
                if (!util_eq_error(nipc_client_increment(client, i, 0, &value), 0) ||
                    !tap_eq_uint(value, i + 1))
                        break;
        nipc_client_free(client);
}

static void try_workers(uint32_t n_workers)
{
        struct nipc_server *server = start_server(n_workers);
        int fds[MAX_CLIENTS];
        size_t n;

        tap_require(server != NULL);
        n = make_crowd(fds);
        be_polite();
        be_polite();
        /* Half of them go; the rest is cut off by the end of the server. */
        for (size_t i = 0; i < n; i += 2)
                close(fds[i]);
        be_polite();
        nipc_server_free(server);
        for (size_t i = 1; i < n; i += 2)
                close(fds[i]);
}

static void test_one_worker(void)
{
        try_workers(1);
}

static void test_workers(void)
{
        try_workers(3);
}

/* ---- in the caller's loop ------------------------------------------------------------------- */

struct loop {
        struct nipc_server *server;
        atomic_bool stop;
};

static void *loop_main(void *userdata)
{
        struct loop *loop = userdata;

        while (!atomic_load(&loop->stop))
                if (nipc_server_dispatch(loop->server, 1000) < 0)
                        break;
        return NULL;
}

static void test_own_loop(void)
{
        struct loop loop = {.server = start_server(0)};
        int fds[MAX_CLIENTS];
        pthread_t thread;
        size_t n;

        tap_require(loop.server != NULL);
        tap_require(pthread_create(&thread, NULL, loop_main, &loop) == 0);
        n = make_crowd(fds);
        be_polite();
        atomic_store(&loop.stop, true);
        nipc_server_stop(loop.server);
        pthread_join(thread, NULL);
        nipc_server_free(loop.server);
        while (n)
                close(fds[--n]);
}

UTIL_MAIN(TAP_CASE(test_one_worker), TAP_CASE(test_workers), TAP_CASE(test_own_loop))
