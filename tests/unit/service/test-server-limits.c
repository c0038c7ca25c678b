/* SPDX-License-Identifier: MIT */

/*
 * What a server puts up with, and for how long: sessions, silent and slow clients, descriptors;
 * and limits that grow (client-server §7.2).
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

static struct nipc_server_status status_of(struct nipc_server *server)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;

        nipc_server_get_status(server, &status);
        return status;
}

/* A round trip on a session of a server without threads. */
static bool pump_echo(struct nipc_server *server, int fd)
{
        const struct nipc_header request = util_request(1, 1);
        struct nipc_header header;

        return util_raw_send(fd, &request, "e", 1) && util_pump(server, fd) &&
               util_raw_receive(fd, &header, NULL, 0) == 1;
}

static void test_max_sessions(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int fds[4], i;

        config.max_sessions = 2;
        server = util_server(&config, "full");
        /* Silent clients take no places. */
        fds[3] = util_raw_connect("full");
        fds[0] = util_pump_open(server, "full");
        fds[1] = util_pump_open(server, "full");
        fds[2] = util_raw_connect("full");
        util_raw_hello(fds[2], 1);
        tap_check(util_pump(server, fds[2]));
        tap_eq_int(util_raw_ack(fds[2], NULL), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        close(fds[2]);
        tap_check(pump_echo(server, fds[0]));
        tap_eq_uint(status_of(server).n_sessions, 2);
        tap_eq_uint(status_of(server).n_refused, 1);
        close(fds[1]);
        /* Who left is seen before who comes. */
        fds[1] = util_pump_open(server, "full");
        tap_check(pump_echo(server, fds[1]));
        for (i = 0; i < 2; i++)
                close(fds[i]);
        close(fds[3]);
        nipc_server_free(server);
}

static void test_silent_client(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_header header;
        int silent, fd;

        config.handshake_timeout_ms = 20;
        server = util_server(&config, "silent");
        silent = util_raw_connect("silent");
        fd = util_pump_open(server, "silent");
        tap_check(pump_echo(server, fd));
        tap_check(util_pump(server, silent));
        tap_eq_int(util_raw_receive(silent, &header, NULL, 0), -1);
        tap_eq_uint(status_of(server).n_refused, 1);
        tap_eq_uint(status_of(server).n_handshakes, 0);
        tap_check(pump_echo(server, fd));
        close(silent);
        close(fd);
        nipc_server_free(server);
}

static void test_half_request(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_header request = util_request(1, 1000);
        struct nipc_server *server;
        struct nipc_header header;
        char payload[100] = "e";
        int half, fd;

        config.request_timeout_ms = 20;
        server = util_server(&config, "half");
        half = util_pump_open(server, "half");
        fd = util_pump_open(server, "half");
        util_raw_send(half, &request, payload, sizeof(payload));
        tap_check(pump_echo(server, fd));
        tap_check(util_pump(server, half));
        tap_eq_int(util_raw_receive(half, &header, NULL, 0), -1);
        tap_check(pump_echo(server, fd));
        tap_eq_uint(status_of(server).n_failed, 1);
        close(half);
        close(fd);
        nipc_server_free(server);
}

/* Asks for large answers until the server stops reading. Returns how many were asked for. */
static unsigned fill_up(struct nipc_server *server, int fd)
{
        struct nipc_header request;
        const int server_fd = nipc_server_get_fd(server);
        unsigned n = 0;

        for (n = 0; n < 200; n++) {
                request = util_request(n + 1, 1);
                if (!util_raw_send(fd, &request, "f", 1) || nipc_server_dispatch(server, 0) < 0)
                        break;
                if (n > 20 && !util_wait_fd(server_fd, 0) && nipc_server_dispatch(server, 0) == 0)
                        return n + 1;
        }
        return n;
}

static void test_slow_reader_loses_nothing(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "slow");
        struct nipc_header header;
        unsigned n, i;
        int fd, other;

        fd = util_pump_open(server, "slow");
        other = util_pump_open(server, "slow");
        n = fill_up(server, fd);
        tap_check(pump_echo(server, other));
        tap_check(status_of(server).n_requests < n + 1);
        for (i = 1; i <= n; i++) {
                tap_require(util_pump(server, fd));
                if (!tap_check(util_raw_receive(fd, &header, NULL, 0) >= 0) ||
                    !tap_eq_uint(header.message_id, i))
                        break;
                /* The payload is 65536 bytes, 32 of them in a second packet. */
                tap_eq_uint(header.payload_len, 65536);
                tap_require(util_pump(server, fd));
                tap_check(util_raw_receive_packet(fd, (char[128]){0}, 128) > 0);
        }
        tap_eq_uint(status_of(server).n_requests, n + 1);
        tap_check(pump_echo(server, fd));
        close(fd);
        close(other);
        nipc_server_free(server);
}

/* Small answers that nobody reads, until one is stuck. Returns how many there are with that. */
static unsigned fill_with_small(struct nipc_server *server, int fd, unsigned max, const char *last)
{
        uint64_t before = status_of(server).n_requests;
        struct nipc_header request;
        const int server_fd = nipc_server_get_fd(server);
        unsigned n;

        for (n = 1; n <= max; n++) {
                request = util_request(n, 1);
                util_raw_send(fd, &request, n == max ? last : "e", 1);
                if (!util_wait_fd(server_fd, 0))
                        break; /* the server does not read any more */
                nipc_server_dispatch(server, 0);
        }
        return (unsigned)(status_of(server).n_requests - before);
}

/* The answer that ends the session is stuck: it reaches the client all the same. */
static void test_error_answer_that_is_stuck(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "stuck");
        struct nipc_header header;
        unsigned n, i;
        int fd;

        fd = util_pump_open(server, "stuck");
        n = fill_with_small(server, fd, 10000, "e");
        tap_check(n > 10 && n < 10000);
        close(fd);
        while (status_of(server).n_sessions)
                tap_require(nipc_server_dispatch(server, 1) >= 0);

        fd = util_pump_open(server, "stuck");
        tap_eq_uint(fill_with_small(server, fd, n, "n"), n - 1);
        tap_eq_uint(status_of(server).n_sessions, 1);
        tap_eq_uint(status_of(server).n_failed, 1);
        for (i = 1; i < n; i++) {
                tap_require(util_pump(server, fd));
                tap_require(util_raw_receive(fd, &header, NULL, 0) == 1);
        }
        tap_require(util_pump(server, fd));
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 0);
        tap_eq_uint(header.transport_status, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        tap_eq_uint(header.message_id, n);
        tap_require(util_pump(server, fd));
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), -1);
        tap_eq_uint(status_of(server).n_sessions, 0);
        close(fd);
        nipc_server_free(server);
}

static void test_client_that_never_reads(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int fd, other;

        config.response_timeout_ms = 20;
        server = util_server(&config, "never");
        fd = util_pump_open(server, "never");
        other = util_pump_open(server, "never");
        fill_up(server, fd);
        tap_check(pump_echo(server, other));
        while (status_of(server).n_sessions > 1)
                tap_require(nipc_server_dispatch(server, 1) >= 0);
        tap_check(pump_echo(server, other));
        close(fd);
        close(other);
        nipc_server_free(server);
}

/* No descriptors: the client stays queued, the server neither spins nor forgets it. */
static void test_no_descriptors(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "fds");
        const int server_fd = nipc_server_get_fd(server);
        int fds[3], i, n;

        if (getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "vgpreload")) {
                nipc_server_free(server);
                tap_skip("Valgrind drops the client when it plays the limit");
        }
        if (!util_limit_fds(1024)) {
                nipc_server_free(server);
                tap_skip("no limit on descriptors here");
        }
        fds[0] = util_pump_open(server, "fds");
        for (i = 1; i < 3; i++) {
                fds[i] = util_raw_connect("fds");
                util_raw_hello(fds[i], 1);
        }
        tap_require(util_limit_fds((unsigned)fds[2] + 1));
        for (n = 0; n < 10 && util_wait_fd(server_fd, 0); n++)
                nipc_server_dispatch(server, 0);
        tap_check(n < 10);
        tap_eq_uint(status_of(server).n_handshakes, 0);
        tap_eq_uint(util_metrics(server).n_shortages, 1);
        tap_check(pump_echo(server, fds[0]));
        /* One leaves: its descriptor serves the next at once. */
        close(fds[0]);
        tap_check(util_pump(server, fds[1]));
        tap_eq_int(util_raw_ack(fds[1], NULL), 0);
        util_has_room_for_fds(1024);
        tap_check(util_pump(server, fds[2]));
        tap_eq_int(util_raw_ack(fds[2], NULL), 0);
        tap_check(pump_echo(server, fds[2]));
        close(fds[1]);
        close(fds[2]);
        nipc_server_free(server);
}

static void test_too_many_silent_clients(void)
{
        enum { N = 1040 };
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        static int fds[N];
        struct nipc_server *server;
        struct nipc_header header;
        int i, fd;

        if (!util_has_room_for_fds(2 * N + 50))
                tap_skip("not enough descriptors");
        server = util_server(&config, "crowd");
        for (i = 0; i < N; i++) {
                fds[i] = util_raw_connect("crowd");
                tap_require(fds[i] >= 0);
                nipc_server_dispatch(server, 0);
        }
        tap_check(util_pump(server, fds[0])); /* the oldest had to go */
        tap_eq_int(util_raw_receive(fds[0], &header, NULL, 0), -1);
        tap_check(status_of(server).n_handshakes <= 1024);
        tap_check(util_metrics(server).n_evictions > 0);
        tap_eq_uint(util_metrics(server).handshakes[NIPC_METRICS_HANDSHAKE_EVICTED],
                    util_metrics(server).n_evictions);
        fd = util_pump_open(server, "crowd");
        tap_check(pump_echo(server, fd));
        close(fd);
        for (i = 0; i < N; i++)
                close(fds[i]);
        nipc_server_free(server);
}

/* 100000 bytes from a server that begins with 1024: each session is offered more. */
static void test_responses_grow(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_response response;
        struct nipc_server *server;
        struct nipc_client *client;

        config.n_workers = 1;
        config.initial_response_bytes = 1024;
        server = util_server(&config, "grow");
        client = util_client("grow");
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "z", 1, 0, &response, NULL), 0);
        tap_eq_uint(response.payload_size, 100000);
        nipc_client_get_status(client, &status);
        tap_eq_uint(status.n_reconnects, 7);
        tap_eq_uint(status_of(server).max_response_bytes, 131072);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_ceiling(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_response response;
        struct nipc_server *server;
        struct nipc_client *client;

        config.n_workers = 1;
        config.max_response_bytes = 50000;
        server = util_server(&config, "ceiling");
        client = util_client("ceiling");
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "z", 1, 0, &response, NULL), -EMSGSIZE);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        tap_eq_uint(status_of(server).max_response_bytes, 50000);
        nipc_client_free(client);
        nipc_server_free(server);
}

/* A request above what is offered: what clients want is learned, up to the ceiling. */
static void test_requests_grow(void)
{
        static char payload[8000] = "e";
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_response response;
        struct nipc_server *server;
        struct nipc_client *client;
        unsigned i;
        int r;

        config.n_workers = 1;
        server = util_server(&config, "ask");
        client = util_client("ask");
        for (i = 0; i < 5; i++) {
                r = nipc_client_call(client, UTIL_CODE, payload, sizeof(payload), 0, &response,
                                     NULL);
                if (!r)
                        break;
                tap_eq_int(r, -EMSGSIZE);
                tap_eq_int(nipc_client_refresh(client), 1);
        }
        tap_eq_int(r, 0);
        tap_eq_uint(response.payload_size, sizeof(payload));
        tap_eq_uint(status_of(server).max_request_bytes, 8192);
        nipc_client_free(client);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_max_sessions), TAP_CASE(test_silent_client), TAP_CASE(test_half_request),
         TAP_CASE(test_slow_reader_loses_nothing), TAP_CASE(test_error_answer_that_is_stuck),
         TAP_CASE(test_client_that_never_reads), TAP_CASE(test_no_descriptors),
         TAP_CASE(test_too_many_silent_clients), TAP_CASE(test_responses_grow),
         TAP_CASE(test_ceiling), TAP_CASE(test_requests_grow), TAP_CASE(test_leaks_nothing))
