/* SPDX-License-Identifier: MIT */

/* The managed server as a whole: making it, running it with threads or without, many clients. */

#include <errno.h>
#include <nipc/chunk.h>
#include <nipc/increment.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

static unsigned n_released;

static void release(void *userdata)
{
        n_released += *(unsigned *)userdata;
}

static void test_new_and_its_failures(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        unsigned one = 1;
        struct nipc_handler handler = {
                .size = sizeof(handler),
                .handle = util_handle,
                .userdata = &one,
                .release = release,
        };
        struct nipc_server *server = NULL, *second = NULL;
        const char *path;
        size_t n;

        config.run_dir = util_run_dir();
        tap_eq_int(nipc_server_new(&config, &handler, &server), -EINVAL);
        config.service = "new";
        config.max_request_bytes = 10;
        config.initial_request_bytes = 11;
        tap_eq_int(nipc_server_new(&config, &handler, &server), -EINVAL);
        config.initial_request_bytes = 0;
        tap_eq_int(nipc_server_new(&config, NULL, &server), -EINVAL);
        tap_eq_int(nipc_server_new(NULL, &handler, &server), -EINVAL);
        tap_eq_int(nipc_server_new(&config, &handler, NULL), -EINVAL);
        handler.code = NIPC_METHOD_STAT; /* every server's own */
        tap_eq_int(nipc_server_new(&config, &handler, &server), -EINVAL);
        handler.code = 0;
        tap_check(server == NULL);
        tap_eq_uint(n_released, 5);

        tap_require(nipc_server_new(&config, &handler, &server) == 0);
        tap_eq_int(nipc_server_new(&config, &handler, &second), -EADDRINUSE);
        tap_eq_uint(n_released, 6);
        path = nipc_server_get_path(server);
        n = strlen(util_path_suffix());
        tap_check(strlen(path) > n && !strcmp(path + strlen(path) - n, util_path_suffix()));
        tap_check(nipc_server_free(server) == NULL);
        tap_eq_uint(n_released, 7);
        tap_check(nipc_server_free(NULL) == NULL);
        tap_check(second == NULL);
}

static void test_calls_of_the_wrong_mode(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "mode");

        tap_eq_int(nipc_server_start(server), -EINVAL);
        tap_check(nipc_server_get_fd(server) >= 0);
        nipc_server_free(server);
        config.n_workers = 2;
        server = util_server(&config, "mode");
        tap_eq_int(nipc_server_start(server), -EINVAL);
        tap_eq_int(nipc_server_dispatch(server, 0), -EINVAL);
        tap_eq_int(nipc_server_get_fd(server), -EINVAL);
        nipc_server_free(server);
}

static void test_in_the_callers_loop(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "loop");
        const struct nipc_header request = util_request(1, 3);
        struct nipc_header header;
        const int server_fd = nipc_server_get_fd(server);
        int fd, i;

        tap_check(util_becomes_quiet(server));
        tap_eq_int(nipc_server_dispatch(server, 0), 0);
        fd = util_pump_open(server, "loop");
        tap_require(fd >= 0);
        for (i = 0; i < 10; i++) {
                util_raw_send(fd, &request, "eee", 3);
                tap_check(util_wait_fd(server_fd, 10000));
                tap_eq_int(nipc_server_dispatch(server, 10000), 1);
                tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 3);
        }
        tap_check(util_becomes_quiet(server));
        tap_eq_int(nipc_server_dispatch(server, 1), 0);
        close(fd);
        nipc_server_free(server);
}

/* Answers everything, in order, whatever the burst detection thinks of it. */
static void test_pipelining(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_header request, header;
        uint64_t sent = 0, received = 0;
        unsigned round, i;
        int fd;

        config.n_workers = 1;
        server = util_server(&config, "pipe");
        fd = util_raw_open("pipe", 1);
        tap_require(fd >= 0);
        for (round = 0; round < 60; round++) {
                /* Singles and bursts by turns, some above one turn's budget. */
                unsigned n = round % 3 == 2 ? 1 + round * 2 : 1;

                for (i = 0; i < n; i++) {
                        request = util_request(++sent, 1);
                        tap_require(util_raw_send(fd, &request, "e", 1));
                }
                for (i = 0; i < n; i++) {
                        tap_require(util_raw_receive(fd, &header, NULL, 0) == 1);
                        tap_require(tap_eq_uint(header.message_id, ++received));
                }
        }
        close(fd);
        nipc_server_free(server);
}

/* A request of two packets, the second one later. */
static void test_request_in_two_parts(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "parts");
        const struct nipc_header request = util_request(1, 1000);
        const struct nipc_chunk_header chunk = {
                .message_id = 1,
                .total_message_len = NIPC_HEADER_SIZE + 1000,
                .chunk_index = 1,
                .chunk_count = 2,
                .chunk_payload_len = 900,
        };
        uint8_t payload[1000], answer[1000], packet[NIPC_CHUNK_HEADER_SIZE + 900];
        struct nipc_header header;
        int fd = util_pump_open(server, "parts"), i;

        tap_require(fd >= 0);
        memset(payload, 'e', sizeof(payload));
        nipc_chunk_header_encode(&chunk, packet);
        memcpy(packet + NIPC_CHUNK_HEADER_SIZE, payload + 100, 900);
        for (i = 0; i < 3; i++) {
                util_raw_send(fd, &request, payload, 100);
                tap_eq_int(nipc_server_dispatch(server, 0), 0);
                tap_check(util_raw_packet(fd, packet, sizeof(packet)));
                tap_require(util_pump(server, fd));
                tap_eq_int(util_raw_receive(fd, &header, answer, sizeof(answer)), 1000);
                tap_eq_mem(answer, 1000, payload, 1000);
        }
        close(fd);
        nipc_server_free(server);
}

/* The request counts although its sender has gone before it was read. */
static void test_request_and_close(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct nipc_server *server = util_server(&config, "gone");
        const struct nipc_header request = util_request(1, 1);
        int fd = util_pump_open(server, "gone");

        tap_require(fd >= 0);
        util_raw_send(fd, &request, "e", 1);
        close(fd);
        tap_eq_int(nipc_server_dispatch(server, 10000), 1);
        while (status.n_sessions || !status.n_requests) {
                tap_require(nipc_server_dispatch(server, 1) >= 0);
                nipc_server_get_status(server, &status);
        }
        tap_eq_uint(status.n_accepted, 1);
        tap_eq_uint(status.n_requests, 1);
        nipc_server_free(server);
}

struct swarm {
        const char *service;
        unsigned n_calls;
        atomic_uint n_good;
};

static void *swarm_main(void *userdata)
{
        struct swarm *swarm = userdata;
        struct nipc_client *client = util_client(swarm->service);
        struct nipc_response response;
        unsigned i;

        for (i = 0; i < swarm->n_calls; i++)
                if (!nipc_client_call(client, UTIL_CODE, &i, sizeof(i), 0, &response, NULL) &&
                    response.payload_size == sizeof(i) && !memcmp(response.payload, &i, sizeof(i)))
                        atomic_fetch_add(&swarm->n_good, 1);
        nipc_client_free(client);
        return NULL;
}

static void test_many_clients_many_workers(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct swarm swarm = {.service = "swarm", .n_calls = 97};
        struct nipc_server *server;
        pthread_t threads[16];
        unsigned i;

        config.n_workers = 4;
        server = util_server(&config, "swarm");
        for (i = 0; i < 16; i++)
                tap_eq_int(pthread_create(&threads[i], NULL, swarm_main, &swarm), 0);
        for (i = 0; i < 16; i++)
                pthread_join(threads[i], NULL);
        tap_eq_uint(atomic_load(&swarm.n_good), 16 * 97);
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        tap_eq_int(nipc_server_get_status(server, &status), 0);
        tap_eq_uint(status.n_accepted, 16);
        tap_eq_uint(status.n_requests, 16 * 97);
        tap_eq_uint(status.n_failed, 0);
        tap_eq_uint(status.n_sessions, 0);
        tap_eq_uint(status.n_handshakes, 0);
        nipc_server_free(server);
}

struct flood {
        int fd;
        atomic_uint n_answers;
        atomic_bool stop;
};

/* Keeps requests in flight without a pause, so that the server never finds the session empty. */
static void *flood_main(void *userdata)
{
        struct flood *flood = userdata;
        struct nipc_header request, header;
        uint64_t sent = 0;

        while (sent < 32) {
                request = util_request(++sent, 1);
                util_raw_send(flood->fd, &request, "e", 1);
        }
        while (!atomic_load(&flood->stop) && util_raw_receive(flood->fd, &header, NULL, 0) == 1) {
                request = util_request(++sent, 1);
                util_raw_send(flood->fd, &request, "e", 1);
                atomic_fetch_add(&flood->n_answers, 1);
        }
        return NULL;
}

static void test_floods_do_not_starve_others(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct flood flood = {.fd = -1};
        struct nipc_server *server;
        struct nipc_client *client;
        struct nipc_response response;
        pthread_t thread;
        unsigned i;

        config.n_workers = 1;
        server = util_server(&config, "flood");
        flood.fd = util_raw_open("flood", 1);
        tap_require(pthread_create(&thread, NULL, flood_main, &flood) == 0);
        while (atomic_load(&flood.n_answers) < 5000)
                sched_yield();
        for (i = 0; i < 10; i++) {
                client = util_client("flood");
                tap_eq_int(nipc_client_call(client, UTIL_CODE, "e", 1, 0, &response, NULL), 0);
                nipc_client_free(client);
        }
        nipc_server_stop(server);
        nipc_server_free(server);
        atomic_store(&flood.stop, true);
        pthread_join(thread, NULL);
        close(flood.fd);
}

/* What a handler is told about who asks. */
static int tell_who(void *userdata, const struct nipc_request *request, void *response,
                    size_t capacity, size_t *ret_size)
{
        /* Our threads leave the process's signals alone, and its faults visible. */
        tap_check(util_has_quiet_signals());
        tap_eq_uint(request->item_index, 0);
        tap_eq_uint(request->item_count, 1);
        tap_eq_int(request->peer_pid, getpid());
        tap_check(util_is_own_uid(request->peer_uid));
        tap_eq_uint((uintptr_t)response % 8, 0);
        memcpy(response, &request->session_id, sizeof(uint64_t));
        *ret_size = sizeof(uint64_t);
        return 0;
}

static void test_handlers_know_who_asks(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {.size = sizeof(handler),
                                             .code = UTIL_CODE,
                                             .handle = tell_who};
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_server *server;
        struct nipc_client *client;
        uint64_t id = 0;
        struct nipc_response response;

        config.run_dir = util_run_dir();
        config.service = "who";
        config.n_workers = 1;
        tap_require(nipc_server_new(&config, &handler, &server) == 0);
        nipc_server_start(server);
        client = util_client("who");
        tap_eq_int(nipc_client_call(client, UTIL_CODE, NULL, 0, 0, &response, NULL), 0);
        memcpy(&id, response.payload, sizeof(id));
        nipc_client_get_status(client, &status);
        tap_eq_uint(id, status.session_id);
        nipc_client_free(client);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_new_and_its_failures), TAP_CASE(test_calls_of_the_wrong_mode),
         TAP_CASE(test_in_the_callers_loop), TAP_CASE(test_pipelining),
         TAP_CASE(test_request_in_two_parts), TAP_CASE(test_request_and_close),
         TAP_CASE(test_many_clients_many_workers), TAP_CASE(test_floods_do_not_starve_others),
         TAP_CASE(test_handlers_know_who_asks), TAP_CASE(test_leaks_nothing))
