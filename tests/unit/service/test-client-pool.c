/* SPDX-License-Identifier: MIT */

/* A pool of clients: who gets one, when it grows and shrinks, and what providers do to it. */

#include <errno.h>
#include <nipc/client-pool.h>
#include <sched.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

#define SERVICE   "pool"
#define N_CLIENTS 4u
#define N_THREADS 16u

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static struct nipc_server *start_server(uint32_t profiles)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = NULL;

        config.run_dir = util_run_dir();
        config.service = SERVICE;
        config.n_workers = 2;
        config.profiles = profiles;
        if (nipc_server_new_increment(&config, &handler, &server) < 0)
                return NULL;
        nipc_server_start(server);
        return server;
}

static struct nipc_client_pool *make_pool(uint32_t profiles, uint32_t max_clients)
{
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_pool_config config = NIPC_CLIENT_POOL_CONFIG_INIT;
        struct nipc_client_pool *pool = NULL;

        client_config.run_dir = util_run_dir();
        client_config.service = SERVICE;
        client_config.profiles = profiles;
        config.max_clients = max_clients;
        tap_eq_int(nipc_client_pool_new(&client_config, &config, &pool), 0);
        return pool;
}

static struct nipc_client_pool_status status_of(struct nipc_client_pool *pool)
{
        struct nipc_client_pool_status status = NIPC_CLIENT_POOL_STATUS_INIT;

        tap_eq_int(nipc_client_pool_get_status(pool, &status), 0);
        return status;
}

static void test_arguments(void)
{
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_pool_config config = NIPC_CLIENT_POOL_CONFIG_INIT;
        struct nipc_client_pool_status status = NIPC_CLIENT_POOL_STATUS_INIT;
        struct nipc_client_pool *pool = NULL;
        struct nipc_client *client;

        tap_eq_int(nipc_client_pool_new(&client_config, NULL, &pool), -EINVAL);
        client_config.run_dir = util_run_dir();
        client_config.service = SERVICE;
        tap_eq_int(nipc_client_pool_new(&client_config, NULL, NULL), -EINVAL);
        config.max_clients = 2;
        config.min_idle = 3;
        tap_eq_int(nipc_client_pool_new(&client_config, &config, &pool), -EINVAL);
        config.min_idle = 0;
        config.max_clients = 65537;
        tap_eq_int(nipc_client_pool_new(&client_config, &config, &pool), -EINVAL);
        tap_eq_int(nipc_client_pool_take(NULL, 0, &client), -EINVAL);
        tap_eq_int(nipc_client_pool_get_status(NULL, &status), -EINVAL);
        tap_eq_int(nipc_client_pool_new(&client_config, NULL, &pool), 0);
        tap_eq_int(nipc_client_pool_take(pool, 0, NULL), -EINVAL);
        nipc_client_pool_give(pool, NULL);
        nipc_client_pool_give(NULL, NULL);
        nipc_client_pool_trim(NULL);
        nipc_client_pool_cancel(NULL);
        nipc_client_pool_reset_cancel(NULL);
        nipc_client_pool_free(pool);
        nipc_client_pool_free(NULL);
}

/* Of another pool, or of none. */
static void test_strange_clients(void)
{
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool = make_pool(0, 1), *other = make_pool(0, 1);
        struct nipc_client *client, *own = util_client(SERVICE);

        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        nipc_client_pool_give(other, client);
        nipc_client_pool_give(other, own);
        tap_eq_uint(status_of(other).n_idle, 0);
        tap_eq_uint(status_of(pool).n_in_use, 1);
        nipc_client_pool_give(pool, client);
        nipc_client_pool_give(pool, client); /* it is the pool's by now */
        tap_eq_uint(status_of(pool).n_idle, 1);
        tap_eq_uint(status_of(pool).n_in_use, 0);
        nipc_client_free(own);
        nipc_client_pool_free(other);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

static void test_grows_to_its_bound(void)
{
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool = make_pool(0, 3);
        struct nipc_client *clients[3], *again = NULL;
        unsigned i;

        for (i = 0; i < 3; i++) {
                tap_require(nipc_client_pool_take(pool, 0, &clients[i]) == 0);
                tap_check(nipc_client_is_ready(clients[i]));
        }
        tap_eq_int(nipc_client_pool_take(pool, 5, &again), -ETIMEDOUT);
        tap_eq_uint(status_of(pool).n_timeouts, 1);
        tap_eq_uint(status_of(pool).n_created, 3);
        nipc_client_pool_give(pool, clients[1]);
        tap_eq_int(nipc_client_pool_take(pool, 0, &again), 0);
        tap_eq_ptr(again, clients[1]);
        for (i = 0; i < 3; i++)
                nipc_client_pool_give(pool, clients[i]);
        /* The one that was used last, so that the others grow old. */
        tap_eq_int(nipc_client_pool_take(pool, 0, &again), 0);
        tap_eq_ptr(again, clients[2]);
        nipc_client_pool_give(pool, again);
        tap_eq_uint(status_of(pool).n_idle, 3);
        tap_eq_uint(status_of(pool).n_connects, 3);
        tap_eq_uint(status_of(pool).n_taken, 5);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

static void test_shrinks(void)
{
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_pool_config config = NIPC_CLIENT_POOL_CONFIG_INIT;
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool;
        struct nipc_client *clients[4];
        unsigned i;

        client_config.run_dir = util_run_dir();
        client_config.service = SERVICE;
        config.max_clients = 4;
        config.min_idle = 1;
        config.max_idle_ms = 1;
        tap_require(nipc_client_pool_new(&client_config, &config, &pool) == 0);
        for (i = 0; i < 4; i++)
                tap_require(nipc_client_pool_take(pool, 0, &clients[i]) == 0);
        for (i = 0; i < 4; i++)
                nipc_client_pool_give(pool, clients[i]);
        while (status_of(pool).n_idle > 1)
                nipc_client_pool_trim(pool);
        tap_eq_uint(status_of(pool).n_closed, 3);
        nipc_client_pool_trim(pool);
        tap_eq_uint(status_of(pool).n_idle, 1);
        tap_require(nipc_client_pool_take(pool, 0, &clients[0]) == 0);
        nipc_client_pool_give(pool, clients[0]);
        tap_eq_uint(status_of(pool).n_created, 4);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

static void test_no_provider(void)
{
        struct nipc_client_pool *pool = make_pool(0, 2);
        struct nipc_server *server;
        struct nipc_client *client;
        unsigned i;

        for (i = 0; i < 3; i++)
                tap_eq_int(nipc_client_pool_take(pool, 0, &client), -ENOTCONN);
        tap_eq_uint(status_of(pool).n_failures, 3);
        tap_eq_uint(status_of(pool).n_created, 1);
        tap_eq_uint(status_of(pool).n_in_use, 0);
        server = start_server(0);
        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        nipc_client_pool_give(pool, client);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

/* A client whose state is final is not kept. */
static void test_refused_for_good(void)
{
        struct nipc_client_pool *pool = make_pool(0, 2);
        struct nipc_client *client;
        struct util_script script;

        util_script_init(&script, SERVICE);
        script.refuse = NIPC_TRANSPORT_STATUS_AUTH_FAILED;
        tap_require(util_script_start(&script));
        tap_eq_int(nipc_client_pool_take(pool, 0, &client), -EACCES);
        tap_eq_int(nipc_client_pool_take(pool, 0, &client), -EACCES);
        tap_eq_uint(status_of(pool).n_created, 2);
        tap_eq_uint(status_of(pool).n_closed, 2);
        tap_eq_uint(status_of(pool).n_idle, 0);
        util_script_stop(&script);
        nipc_client_pool_free(pool);
}

/* Gone while it was lent: connected again by who takes it next, not before. */
static void test_broken_ones_are_refreshed(void)
{
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool = make_pool(0, 1);
        struct nipc_client *client;
        uint64_t value;

        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        nipc_server_free(server);
        tap_check(nipc_client_increment(client, 1, 0, &value) < 0);
        tap_check(!nipc_client_is_ready(client));
        nipc_client_pool_give(pool, client);
        tap_eq_int(nipc_client_pool_take(pool, 0, &client), -ENOTCONN);
        server = start_server(0);
        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        tap_check(nipc_client_is_ready(client));
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), 0);
        nipc_client_pool_give(pool, client);
        tap_eq_uint(status_of(pool).n_created, 1);
        tap_eq_uint(status_of(pool).n_connects, 3);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

/* ---- threads ---- */

struct taker {
        struct nipc_client_pool *pool;
        struct nipc_client *client;
        pthread_t thread;
        unsigned turn; /* in which it was served, from 1 */
        int result;
};

static atomic_uint n_turns;

static void *take_one(void *userdata)
{
        struct taker *taker = userdata;

        taker->result = nipc_client_pool_take(taker->pool, 20000, &taker->client);
        if (!taker->result) {
                taker->turn = atomic_fetch_add(&n_turns, 1) + 1;
                nipc_client_pool_give(taker->pool, taker->client);
        }
        return NULL;
}

static void wait_for_waiters(struct nipc_client_pool *pool, unsigned n)
{
        while (status_of(pool).n_waiting < n)
                sched_yield();
}

static void test_first_come_first_served(void)
{
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool = make_pool(0, 1);
        struct taker takers[5] = {{0}};
        struct nipc_client *client;
        unsigned i;

        atomic_store(&n_turns, 0);
        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        for (i = 0; i < 5; i++) {
                takers[i].pool = pool;
                tap_require(pthread_create(&takers[i].thread, NULL, take_one, &takers[i]) == 0);
                wait_for_waiters(pool, i + 1);
        }
        nipc_client_pool_give(pool, client);
        for (i = 0; i < 5; i++) {
                pthread_join(takers[i].thread, NULL);
                tap_eq_int(takers[i].result, 0);
                tap_eq_uint(takers[i].turn, i + 1);
        }
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

static void test_cancel(void)
{
        struct nipc_server *server = start_server(0);
        struct nipc_client_pool *pool = make_pool(0, 1);
        struct taker takers[3] = {{0}};
        struct nipc_client *client, *other;
        uint64_t value;
        unsigned i;

        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        for (i = 0; i < 3; i++) {
                takers[i].pool = pool;
                tap_require(pthread_create(&takers[i].thread, NULL, take_one, &takers[i]) == 0);
        }
        wait_for_waiters(pool, 3);
        nipc_client_pool_cancel(pool);
        for (i = 0; i < 3; i++) {
                pthread_join(takers[i].thread, NULL);
                tap_eq_int(takers[i].result, -ECANCELED);
        }
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ECANCELED);
        tap_eq_int(nipc_client_pool_take(pool, 0, &other), -ECANCELED);
        nipc_client_pool_give(pool, client);
        nipc_client_pool_reset_cancel(pool);
        tap_require(nipc_client_pool_take(pool, 0, &client) == 0);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), 0);
        nipc_client_pool_give(pool, client);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

/* A provider that says nothing: one attempt, for which all others wait; cancelling ends it. */
static void test_cancel_while_connecting(void)
{
        struct nipc_client_pool *pool = make_pool(0, N_CLIENTS);
        struct taker takers[6] = {{0}};
        struct util_script script;
        unsigned i;

        util_script_init(&script, SERVICE);
        script.mute_from = 1;
        tap_require(util_script_start(&script));
        for (i = 0; i < 6; i++) {
                takers[i].pool = pool;
                tap_require(pthread_create(&takers[i].thread, NULL, take_one, &takers[i]) == 0);
        }
        wait_for_waiters(pool, 5);
        tap_eq_uint(status_of(pool).n_connects, 1);
        nipc_client_pool_cancel(pool);
        for (i = 0; i < 6; i++) {
                pthread_join(takers[i].thread, NULL);
                tap_eq_int(takers[i].result, -ECANCELED);
        }
        util_script_stop(&script);
        nipc_client_pool_free(pool);
}

/* ---- a provider that comes and goes ---- */

struct caller {
        struct nipc_client_pool *pool;
        pthread_t thread;
        atomic_ulong n_good;
};

static atomic_bool is_over;

static void *call_often(void *userdata)
{
        struct caller *caller = userdata;
        struct nipc_client *client;
        uint64_t value = 0, n;
        int r;

        for (n = 0; !atomic_load(&is_over); n++) {
                r = nipc_client_pool_take(caller->pool, 20000, &client);
                if (r < 0) {
                        if (r != -ENOTCONN)
                                tap_eq_int(r, -ENOTCONN);
                        sched_yield();
                        continue;
                }
                r = nipc_client_increment(client, n, 20000, &value);
                if (!r && value != n + 1)
                        tap_eq_uint(value, n + 1);
                atomic_fetch_add(&caller->n_good, r == 0);
                nipc_client_pool_give(caller->pool, client);
        }
        return NULL;
}

/* All have had an answer more. */
static void wait_for_all(struct caller *callers)
{
        unsigned long before;
        unsigned i;

        for (i = 0; i < N_THREADS; i++) {
                before = atomic_load(&callers[i].n_good);
                while (atomic_load(&callers[i].n_good) < before + 2)
                        sched_yield();
        }
}

static void run_restarts(uint32_t profile)
{
        const uint32_t profiles = profile | NIPC_PROFILE_BASELINE;
        struct nipc_client_pool *pool = make_pool(profiles, N_CLIENTS);
        struct nipc_server *server = start_server(profiles);
        struct caller callers[N_THREADS];
        struct nipc_client_pool_status status;
        unsigned i;

        atomic_store(&is_over, false);
        for (i = 0; i < N_THREADS; i++) {
                callers[i].pool = pool;
                atomic_init(&callers[i].n_good, 0);
                tap_require(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]) == 0);
        }
        for (i = 0; i < 5; i++) {
                wait_for_all(callers);
                nipc_server_free(server);
                server = start_server(profiles);
                tap_require(server != NULL);
        }
        wait_for_all(callers);
        atomic_store(&is_over, true);
        for (i = 0; i < N_THREADS; i++)
                pthread_join(callers[i].thread, NULL);
        status = status_of(pool);
        tap_eq_uint(status.n_created, N_CLIENTS);
        tap_eq_uint(status.n_in_use, 0);
        tap_eq_uint(status.n_idle, N_CLIENTS);
        tap_eq_uint(status.n_waiting, 0);
        /* Successful ones: one for each client and provider, and no more. */
        tap_check(status.n_connects - status.n_failures <= 6 * N_CLIENTS);
        nipc_client_pool_free(pool);
        nipc_server_free(server);
}

static void test_restarts(void)
{
        run_restarts(NIPC_PROFILE_BASELINE);
        run_restarts(NIPC_PROFILE_SHM_HYBRID);
        run_restarts(NIPC_PROFILE_RING);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_arguments), TAP_CASE(test_strange_clients),
         TAP_CASE(test_grows_to_its_bound), TAP_CASE(test_shrinks), TAP_CASE(test_no_provider),
         TAP_CASE(test_refused_for_good), TAP_CASE(test_broken_ones_are_refreshed),
         TAP_CASE(test_first_come_first_served), TAP_CASE(test_cancel),
         TAP_CASE(test_cancel_while_connecting), TAP_CASE(test_restarts),
         TAP_CASE(test_leaks_nothing))
