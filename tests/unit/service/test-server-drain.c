/* SPDX-License-Identifier: MIT */

/* The ends of a server: stop, drain, free, with every kind of client that may be there. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

static void expect_end(int fd)
{
        struct nipc_header header;

        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), -1);
        close(fd);
}

static void send_requests(int fd, unsigned n)
{
        struct nipc_header request;
        unsigned i;

        for (i = 0; i < n; i++) {
                request = util_request(i + 1, 1);
                tap_check(util_raw_send(fd, &request, "e", 1));
        }
}

static void expect_answers(int fd, unsigned n)
{
        struct nipc_header header = {0};
        unsigned i;

        for (i = 0; i < n; i++) {
                tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
                tap_eq_uint(header.message_id, i + 1);
        }
}

static void send_half(int fd)
{
        const struct nipc_header request = util_request(1, 1000);
        char payload[100] = "e";

        tap_check(util_raw_send(fd, &request, payload, sizeof(payload)));
}

static void test_what_arrived_is_answered(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "arrived");
        int fds[3], i;

        for (i = 0; i < 3; i++)
                fds[i] = util_pump_open(server, "arrived");
        send_requests(fds[0], 5);
        send_requests(fds[1], 100); /* more than a turn's budget */
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        tap_eq_int(util_raw_connect("arrived"), -1);
        expect_answers(fds[0], 5);
        expect_end(fds[0]);
        expect_answers(fds[1], 100);
        expect_end(fds[1]);
        expect_end(fds[2]);
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        tap_eq_int(nipc_server_dispatch(server, 0), -ESHUTDOWN);
        nipc_server_free(server);
}

static void test_silent_and_queued_clients_are_let_go(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "let-go");
        int silent, queued;

        silent = util_raw_connect("let-go");
        nipc_server_dispatch(server, 0);
        queued = util_raw_connect("let-go");
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        expect_end(silent);
        expect_end(queued);
        nipc_server_free(server);
}

static void test_half_a_request_is_cut(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "cut");
        int fd = util_pump_open(server, "cut"), half = util_pump_open(server, "cut");

        send_half(half);
        send_requests(fd, 1); /* one is answered however late it is */
        tap_eq_int(nipc_server_drain(server, 20), -ETIMEDOUT);
        expect_answers(fd, 1);
        expect_end(fd);
        expect_end(half);
        nipc_server_free(server);
}

/* Time is up before everything was read: that is cut, and not said to be finished. */
static void test_no_time_at_all(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "no-time");
        int fd = util_pump_open(server, "no-time");

        send_requests(fd, 5);
        tap_eq_int(nipc_server_drain(server, 0), -ETIMEDOUT);
        close(fd);
        nipc_server_free(server);

        server = util_server(&config, "no-time");
        fd = util_pump_open(server, "no-time");
        tap_eq_int(nipc_server_drain(server, 0), 0); /* idle: nothing is lost */
        expect_end(fd);
        nipc_server_free(server);
}

/* A client that asks for much and reads nothing. */
static void test_unread_answers_are_cut(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "unread");
        int fd = util_pump_open(server, "unread");
        struct nipc_header request;
        unsigned i;

        for (i = 0; i < 50; i++) {
                request = util_request(i + 1, 1);
                tap_check(util_raw_send(fd, &request, "f", 1));
        }
        tap_eq_int(nipc_server_drain(server, 20), -ETIMEDOUT);
        close(fd);
        nipc_server_free(server);
}

struct reader {
        int fd;
        unsigned n_answers;
};

/* Reads answers of two packets each until the end. */
static void *reader_main(void *userdata)
{
        struct reader *reader = userdata;
        struct nipc_header header;
        char rest[128];

        while (util_raw_receive(reader->fd, &header, NULL, 0) >= 0 &&
               util_raw_receive_packet(reader->fd, rest, sizeof(rest)) > 0)
                reader->n_answers++;
        return NULL;
}

/* Answers that were stuck when the drain began, and the requests behind them. */
static void test_slow_answers_are_waited_for(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "wait");
        struct reader reader = {.fd = util_pump_open(server, "wait")};
        struct nipc_header request;
        pthread_t thread;
        unsigned i;

        for (i = 0; i < 50; i++) {
                request = util_request(i + 1, 1);
                tap_check(util_raw_send(reader.fd, &request, "f", 1));
        }
        nipc_server_dispatch(server, 0);
        tap_require(pthread_create(&thread, NULL, reader_main, &reader) == 0);
        tap_eq_int(nipc_server_drain(server, 20000), 0);
        pthread_join(thread, NULL);
        tap_eq_uint(reader.n_answers, 50);
        close(reader.fd);
        nipc_server_free(server);
}

/* One of each kind, on workers. */
static void check_end_with_threads(bool stop, bool drain)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int silent, half, idle;

        config.n_workers = 2;
        server = util_server(&config, "threads");
        silent = util_raw_connect("threads");
        half = util_raw_open("threads", 1);
        idle = util_raw_open("threads", 1);
        send_half(half);
        send_requests(idle, 1);
        expect_answers(idle, 1);
        if (stop)
                nipc_server_stop(server);
        if (drain)
                tap_eq_int(nipc_server_drain(server, 20), -ETIMEDOUT);
        nipc_server_free(server);
        expect_end(silent);
        expect_end(half);
        expect_end(idle);
}

static void test_ends_with_threads(void)
{
        check_end_with_threads(false, false);
        check_end_with_threads(true, false);
        check_end_with_threads(false, true);
        check_end_with_threads(true, true);
}

/* Requests that arrive at a stopped server are answered by the drain. */
static void test_stop_then_drain_answers(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int fds[4], i;

        config.n_workers = 2;
        server = util_server(&config, "stopped");
        for (i = 0; i < 4; i++)
                fds[i] = util_raw_open("stopped", 1);
        nipc_server_stop(server);
        for (i = 0; i < 4; i++)
                send_requests(fds[i], 3);
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        for (i = 0; i < 4; i++) {
                expect_answers(fds[i], 3);
                expect_end(fds[i]);
        }
        nipc_server_free(server);
}

static void test_never_started(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {.size = sizeof(handler), .handle = util_handle};
        struct nipc_server *server;
        int fd;

        config.run_dir = util_run_dir();
        config.service = "never";
        config.n_workers = 3;
        tap_require(nipc_server_new(&config, &handler, &server) == 0);
        fd = util_raw_connect("never");
        tap_eq_int(nipc_server_drain(server, 0), 0);
        expect_end(fd);
        tap_eq_int(nipc_server_start(server), -EINVAL);
        nipc_server_free(server);
}

static struct nipc_server *stopped;

static void stop(void)
{
        nipc_server_stop(stopped);
}

static void test_stop_in_the_callers_loop(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        int fd;

        stopped = util_server(&config, "loop");
        fd = util_pump_open(stopped, "loop");
        util_run_interrupting(pthread_self(), stop);
        tap_check(util_wait_fd(nipc_server_get_fd(stopped), 0));
        tap_eq_int(nipc_server_dispatch(stopped, 10000), -ESHUTDOWN);
        send_requests(fd, 1);
        tap_eq_int(nipc_server_drain(stopped, 10000), 0);
        expect_answers(fd, 1);
        expect_end(fd);
        stopped = nipc_server_free(stopped);
}

/* The client of a server that ends hears of it in time to find the next one. */
static void test_successor(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_client *client;
        struct nipc_response response;

        config.n_workers = 1;
        server = util_server(&config, "next");
        client = util_client("next");
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "e", 1, 0, &response, NULL), 0);
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        nipc_server_free(server);
        server = util_server(&config, "next");
        tap_require(server != NULL);
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "e", 1, 0, &response, NULL), 0);
        nipc_client_free(client);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_what_arrived_is_answered),
         TAP_CASE(test_silent_and_queued_clients_are_let_go), TAP_CASE(test_half_a_request_is_cut),
         TAP_CASE(test_no_time_at_all), TAP_CASE(test_unread_answers_are_cut),
         TAP_CASE(test_slow_answers_are_waited_for), TAP_CASE(test_ends_with_threads),
         TAP_CASE(test_stop_then_drain_answers), TAP_CASE(test_never_started),
         TAP_CASE(test_stop_in_the_callers_loop), TAP_CASE(test_successor),
         TAP_CASE(test_leaks_nothing))
