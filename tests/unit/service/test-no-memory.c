/* SPDX-License-Identifier: MIT */

/*
 * Every allocation fails once: whatever was to be made is made or reported as -ENOMEM, nothing is
 * lost, and what was there before goes on. malloc, calloc and realloc are replaced by the linker.
 */

#include <errno.h>
#include <nipc/client-pool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* The allocation of this thread that fails, counted down; 0: none. */
static _Thread_local unsigned fail_at;

static bool fails(void)
{
        return fail_at && !--fail_at;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

/* A handler that makes the next allocation of its worker fail. */
static atomic_bool fail_in_handler;

static int increment_and_fail(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        if (atomic_exchange(&fail_in_handler, false))
                fail_at = 1;
        return 0;
}

static const struct nipc_increment_handler split_handler = {.size = sizeof(split_handler),
                                                            .increment = increment_and_fail};

static void count(void *userdata)
{
        ++*(unsigned *)userdata;
}

static void test_new_server(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        unsigned n_released = 0, n;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .handle = util_handle,
                .userdata = &n_released,
                .release = count,
        };
        struct nipc_server *server = NULL;
        int r = -ENOMEM;

        config.run_dir = util_run_dir();
        config.service = "memory";
        config.n_workers = 2;
        for (n = 1; r == -ENOMEM; n++) {
                fail_at = n;
                r = nipc_server_new(&config, &handler, &server);
                fail_at = 0;
                tap_eq_uint(n_released, r ? n : n - 1);
                tap_check((r == 0) == (server != NULL));
        }
        tap_eq_int(r, 0);
        tap_check(n > 5);
        nipc_server_free(server);
}

static void test_new_client(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;
        int r = -ENOMEM;
        unsigned n;

        config.run_dir = util_run_dir();
        config.service = "memory";
        for (n = 1; r == -ENOMEM; n++) {
                fail_at = n;
                r = nipc_client_new(&config, &client);
                fail_at = 0;
        }
        tap_eq_int(r, 0);
        tap_check(n > 2);
        nipc_client_free(client);
}

/* Connecting and calling: the client says so, and is well again afterwards. */
static void test_client_calls(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        static char large[100000];
        struct nipc_response response;
        struct nipc_client *client;
        struct util_script script;
        unsigned n, n_failed = 0;
        int r;

        util_script_init(&script, "calls");
        tap_require(util_script_start(&script));
        for (n = 1; n < 20; n++) {
                client = util_client("nobody");
                nipc_client_free(client);
                client = util_client("calls");
                fail_at = n;
                r = nipc_client_call(client, NIPC_METHOD_INCREMENT, large, sizeof(large), 0,
                                     &response, NULL);
                fail_at = 0;
                nipc_client_get_failure(client, &failure);
                tap_eq_int(failure.error, r);
                n_failed += r != 0;
                nipc_client_refresh(client);
                tap_eq_int(nipc_client_call(client, NIPC_METHOD_INCREMENT, large, sizeof(large), 0,
                                            &response, NULL),
                           0);
                nipc_client_free(client);
        }
        tap_note("%u of 19 calls failed", n_failed);
        util_script_stop(&script);
}

/* A server that cannot take a client now takes it later. */
static void test_accepting(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "accept");
        const struct nipc_header request = util_request(1, 1);
        struct nipc_header header;
        unsigned n;
        int fd;

        for (n = 1; n < 6; n++) {
                fd = util_raw_connect("accept");
                util_raw_hello(fd, 1);
                fail_at = n;
                nipc_server_dispatch(server, 0);
                fail_at = 0;
                tap_require(util_pump(server, fd));
                /* Dropped, or served as if nothing had been. */
                if (util_raw_ack(fd, NULL) == 0) {
                        util_raw_send(fd, &request, "e", 1);
                        tap_require(util_pump(server, fd));
                        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
                }
                close(fd);
        }
        nipc_server_free(server);
}

/* No memory for a request or its answer ends that session, at worst, and no other. */
static void test_serving(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "serve");
        const struct nipc_header request = util_request(1, 1);
        struct nipc_header header;
        unsigned n;
        int fd;

        for (n = 1; n < 6; n++) {
                fd = util_pump_open(server, "serve");
                tap_require(fd >= 0);
                util_raw_send(fd, &request, "e", 1);
                fail_at = n;
                nipc_server_dispatch(server, 0);
                fail_at = 0;
                tap_require(util_pump(server, fd));
                close(fd);
        }
        fd = util_pump_open(server, "serve");
        util_raw_send(fd, &request, "e", 1);
        tap_require(util_pump(server, fd));
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
        close(fd);
        nipc_server_free(server);
}

static void test_new_pool(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_pool *pool = NULL;
        int r = -ENOMEM;
        unsigned n;

        config.run_dir = util_run_dir();
        config.service = "memory";
        for (n = 1; r == -ENOMEM; n++) {
                fail_at = n;
                r = nipc_client_pool_new(&config, NULL, &pool);
                fail_at = 0;
        }
        tap_eq_int(r, 0);
        tap_check(n > 3);
        nipc_client_pool_free(pool);
}

/* A client that cannot be made or connected now can be later, and no place is lost. */
static void test_taking(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_pool_config pool_config = NIPC_CLIENT_POOL_CONFIG_INIT;
        struct nipc_client_pool *pool;
        struct nipc_client *client;
        struct util_script script;
        int r = -ENOMEM;
        unsigned n;

        util_script_init(&script, "taking");
        tap_require(util_script_start(&script));
        config.run_dir = util_run_dir();
        config.service = "taking";
        pool_config.max_clients = 1;
        tap_require(nipc_client_pool_new(&config, &pool_config, &pool) == 0);
        for (n = 1; r == -ENOMEM; n++) {
                fail_at = n;
                r = nipc_client_pool_take(pool, 0, &client);
                fail_at = 0;
        }
        tap_eq_int(r, 0);
        tap_check(n > 3);
        nipc_client_pool_give(pool, client);
        nipc_client_pool_free(pool);
        util_script_stop(&script);
}

/* No memory for the parts of a large batch: one worker does it. */
static void test_split(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        static uint64_t values[500], results[500];
        struct nipc_server *server;
        struct nipc_client *client;
        unsigned n;

        config.n_workers = 2;
        config.split_items = 10;
        config.run_dir = client_config.run_dir = util_run_dir();
        config.service = client_config.service = "split";
        client_config.max_batch_items = 500;
        client_config.max_request_bytes = 65536;
        config.max_request_bytes = 65536;
        for (n = 0; n < 3; n++) {
                tap_require(nipc_server_new_increment(&config, &split_handler, &server) == 0);
                tap_require(nipc_server_start(server) == 0);
                tap_require(nipc_client_new(&client_config, &client) == 0);
                nipc_client_refresh(client);
                atomic_store(&fail_in_handler, true);
                tap_eq_int(nipc_client_increment_batch(client, values, 5, 0, results), 0);
                tap_eq_int(nipc_client_increment_batch(client, values, 500, 0, results), 0);
                tap_eq_uint(results[499], 1);
                atomic_store(&fail_in_handler, false);
                nipc_client_free(client);
                nipc_server_free(server);
        }
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_new_server), TAP_CASE(test_new_client), TAP_CASE(test_client_calls),
         TAP_CASE(test_accepting), TAP_CASE(test_serving), TAP_CASE(test_new_pool),
         TAP_CASE(test_taking), TAP_CASE(test_split), TAP_CASE(test_leaks_nothing))
