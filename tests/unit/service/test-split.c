/* SPDX-License-Identifier: MIT */

/*
 * Large batches that several workers have a part in are answered byte for byte as by one: a server
 * that splits and one that does not get the same requests. And the ends of a server meanwhile.
 */

#include <errno.h>
#include <nipc/batch.h>
#include <sched.h>
#include <string.h>

#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

#define N_MAX 3000u

static const uint32_t profiles[] = {NIPC_PROFILE_BASELINE, NIPC_PROFILE_SHM_HYBRID,
                                    NIPC_PROFILE_RING};

/* Two servers of one handler: the first splits, the second does not; and a client of each. */
struct pair {
        struct nipc_server *servers[2];
        struct nipc_client *clients[2];
};

static struct nipc_server_config server_config(unsigned which, uint32_t profile)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.run_dir = util_run_dir();
        config.service = which ? "whole" : "split";
        config.n_workers = 3; /* N_WORKERS */
        config.profiles = profile | NIPC_PROFILE_BASELINE;
        config.max_request_bytes = 1u << 20;
        config.split_items = which ? UINT32_MAX : 2;
        return config;
}

static struct nipc_client *client_of(unsigned which, uint32_t profile, uint32_t response_bytes)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client;

        config.run_dir = util_run_dir();
        config.service = which ? "whole" : "split";
        config.profiles = profile | NIPC_PROFILE_BASELINE;
        config.max_request_bytes = 1u << 20;
        config.max_response_bytes = response_bytes;
        config.max_batch_items = N_MAX;
        if (nipc_client_new(&config, &client) < 0)
                return NULL;
        nipc_client_refresh(client);
        return client;
}

static void pair_free(struct pair *pair)
{
        unsigned i;

        for (i = 0; i < 2; i++) {
                nipc_client_free(pair->clients[i]);
                nipc_server_free(pair->servers[i]);
        }
}

/* ---- batches ---- */

/*
 * Answers item i with itself, i and the number of items. Its first byte chooses: 'e' no more, 'f'
 * all the room there is, 'n' -EIO, 'o' OVERFLOW, else so many zeros more.
 */
static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const uint8_t *in = request->payload;
        size_t more = 0;

        if (request->payload_size && in[0] == 'n')
                return -EIO;
        if (request->payload_size && in[0] == 'o')
                return NIPC_PROTO_E_OVERFLOW;
        if (request->payload_size && in[0] < 'a')
                more = in[0];
        *ret_size = 8 + request->payload_size + more;
        if (*ret_size > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        memset(response, 0, *ret_size);
        memcpy(response, &request->item_index, 4);
        memcpy((char *)response + 4, &request->item_count, 4);
        if (request->payload_size)
                memcpy((char *)response + 8, in, request->payload_size);
        if (request->payload_size && in[0] == 'f') {
                memset((char *)response + *ret_size, 'f', capacity - *ret_size);
                *ret_size = capacity;
        }
        return 0;
}

static bool batch_pair(struct pair *pair, uint32_t profile, uint32_t response_bytes)
{
        const struct nipc_handler handler = {.size = sizeof(handler),
                                             .code = UTIL_CODE,
                                             .handle = handle};
        struct nipc_server_config config;
        unsigned i;

        *pair = (struct pair){0};
        for (i = 0; i < 2; i++) {
                config = server_config(i, profile);
                config.max_response_bytes = config.initial_response_bytes = response_bytes;
                if (nipc_server_new(&config, &handler, &pair->servers[i]) < 0 ||
                    nipc_server_start(pair->servers[i]) < 0)
                        return false;
                pair->clients[i] = client_of(i, profile, response_bytes);
        }
        return true;
}

/* The same batch to both; what they say must be the same. Returns the status. */
static int batch_both(struct pair *pair, const void *payload, size_t size, uint32_t n_items)
{
        struct nipc_response responses[2] = {{0}};
        uint16_t statuses[2] = {0};
        int r[2];
        unsigned i;

        for (i = 0; i < 2; i++) {
                nipc_client_refresh(pair->clients[i]);
                r[i] = nipc_client_call_batch(pair->clients[i], UTIL_CODE, payload, size, n_items,
                                              0, &responses[i], &statuses[i]);
        }
        tap_eq_int(r[0], r[1]);
        tap_eq_uint(statuses[0], statuses[1]);
        if (!r[0] && !r[1])
                tap_eq_mem(responses[0].payload, responses[0].payload_size, responses[1].payload,
                           responses[1].payload_size);
        return r[0];
}

/* A batch of n_items of up to 20 bytes; `odd` of them begin with the letter, from `at` on. */
static size_t make_batch(uint8_t *buf, size_t size, uint32_t n_items, uint32_t at, uint32_t odd,
                         uint8_t letter)
{
        struct nipc_batch_builder builder;
        uint8_t item[20];
        uint32_t i;

        nipc_batch_builder_init(&builder, buf, size, n_items);
        for (i = 0; i < n_items; i++) {
                memset(item, 'e', sizeof(item));
                if (i >= at && i - at < odd)
                        item[0] = letter;
                nipc_batch_builder_add(&builder, item,
                                       i >= at && i - at < odd ? 1 + i % 20 : i * 7 % 20);
        }
        nipc_batch_builder_finish(&builder, &size);
        return size;
}

static uint8_t payload[N_MAX * 32];

static void test_batches_are_as_one(void)
{
        static const uint32_t counts[] = {1, 2, 3, 4, 11, 12, 13, 100, 1023, N_MAX};
        struct pair pair;
        unsigned p, i;
        size_t size;

        for (p = 0; p < 3; p++) {
                tap_require(batch_pair(&pair, profiles[p], 1u << 20));
                for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                        size = make_batch(payload, sizeof(payload), counts[i], 0, 0, 'e');
                        tap_eq_int(batch_both(&pair, payload, size, counts[i]), 0);
                }
                pair_free(&pair);
        }
}

/* Every limit around the one that the answer just fits. */
static void test_batches_that_hardly_fit(void)
{
        const size_t size = make_batch(payload, sizeof(payload), 100, 0, 0, 'e');
        uint32_t limit, needed = 100 * 8;
        unsigned i, n_fit = 0, n_not = 0;
        struct pair pair;

        for (i = 0; i < 100; i++)
                needed += (8 + i * 7 % 20 + 7) & ~7u;
        for (limit = needed - 20; limit < needed + 20; limit++) {
                tap_require(batch_pair(&pair, 0, limit));
                if (batch_both(&pair, payload, size, 100) == 0)
                        n_fit++;
                else
                        n_not++;
                pair_free(&pair);
        }
        tap_check(n_fit >= 20 && n_not >= 13); /* the last item is not always padded */
}

/* One part that needs almost all there is, wherever it is, and items that take what they get. */
static void test_uneven_batches(void)
{
        static const uint8_t letters[] = {96, 'f', 'o', 'n'};
        struct pair pair;
        uint32_t at, i;
        size_t size;

        for (i = 0; i < sizeof(letters); i++)
                for (at = 0; at < 120; at += 17) {
                        tap_require(batch_pair(&pair, 0, 6000));
                        size = make_batch(payload, sizeof(payload), 120, at, i ? 1 : 20,
                                          letters[i]);
                        batch_both(&pair, payload, size, 120);
                        pair_free(&pair);
                }
}

/* ---- who does it ---- */

#define N_WORKERS 3u

static struct {
        pthread_mutex_t lock;
        pthread_t seen[N_WORKERS];
        atomic_uint n_seen;
} workers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Notes which thread it is, and lets others run. */
static int note_thread(void *userdata, uint64_t value, uint64_t *ret_value)
{
        unsigned i, n;

        pthread_mutex_lock(&workers.lock);
        n = atomic_load(&workers.n_seen);
        for (i = 0; i < n && !pthread_equal(workers.seen[i], pthread_self()); i++)
                ;
        if (i == n && n < N_WORKERS) {
                workers.seen[n] = pthread_self();
                atomic_store(&workers.n_seen, n + 1);
        }
        pthread_mutex_unlock(&workers.lock);
        for (i = 0; i < 100; i++)
                sched_yield();
        *ret_value = value + 1;
        return 0;
}

/* Whether one is idle is a hint, so that it may take a few requests; but all come in the end. */
static void test_all_workers_take_part(void)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = note_thread};
        struct nipc_server_config config = server_config(0, 0);
        uint64_t values[48] = {0}, results[48];
        struct nipc_client *client;
        struct nipc_server *server;

        tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
        tap_require(nipc_server_start(server) == 0);
        client = client_of(0, 0, 65536);
        while (atomic_load(&workers.n_seen) < N_WORKERS)
                if (!tap_eq_int(nipc_client_increment_batch(client, values, 48, 0, results), 0))
                        break;
        nipc_client_free(client);
        nipc_server_free(server);
}

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static void *hammer(void *userdata)
{
        static _Thread_local uint64_t values[1000], results[1000];
        struct nipc_client *client = client_of(0, NIPC_PROFILE_RING, 65536);
        unsigned i, n;

        for (n = 0; n < 50; n++) {
                for (i = 0; i < 1000; i++)
                        values[i] = n + i;
                tap_eq_int(nipc_client_increment_batch(client, values, 1000, 0, results), 0);
                for (i = 0; i < 1000 && results[i] == values[i] + 1; i++)
                        ;
                tap_eq_uint(i, 1000);
        }
        nipc_client_free(client);
        return NULL;
}

/* All workers split at once, and the server is drained while they may be at it. */
static void test_all_workers_split(void)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = server_config(0, NIPC_PROFILE_RING);
        struct nipc_server *server;
        pthread_t threads[6];
        unsigned i;

        tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
        tap_require(nipc_server_start(server) == 0);
        for (i = 0; i < 6; i++)
                tap_require(pthread_create(&threads[i], NULL, hammer, NULL) == 0);
        for (i = 0; i < 6; i++)
                pthread_join(threads[i], NULL);
        tap_eq_int(nipc_server_drain(server, 10000), 0);
        nipc_server_free(server);
}

static void *ask_until_it_ends(void *userdata)
{
        static _Thread_local uint64_t values[3000], results[3000];
        struct nipc_client *client = client_of(0, NIPC_PROFILE_RING, 65536);
        atomic_uint *n_answers = userdata;

        while (nipc_client_increment_batch(client, values, 3000, 0, results) == 0)
                atomic_fetch_add(n_answers, 1);
        nipc_client_free(client);
        return NULL;
}

/* Stop, drain and free in the middle of requests. */
static void test_ends_in_the_middle(void)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = server_config(0, NIPC_PROFILE_RING);
        struct nipc_server *server;
        pthread_t threads[4];
        unsigned how, i;

        for (how = 0; how < 9; how++) {
                atomic_uint n_answers = 0;

                tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
                tap_require(nipc_server_start(server) == 0);
                for (i = 0; i < 4; i++)
                        tap_require(pthread_create(&threads[i], NULL, ask_until_it_ends,
                                                   &n_answers) == 0);
                while (atomic_load(&n_answers) < 10)
                        sched_yield();
                if (how % 3 == 0)
                        nipc_server_stop(server);
                if (how % 3 == 1)
                        nipc_server_drain(server, 1);
                nipc_server_free(server);
                for (i = 0; i < 4; i++)
                        pthread_join(threads[i], NULL);
        }
}

/* However many workers had a part in it: one request, one answer, one time of each stage. */
static void test_counts_once(void)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = server_config(0, 0);
        uint64_t values[1000] = {0}, results[1000];
        struct nipc_server_metrics m;
        struct nipc_client *client;
        struct nipc_server *server;
        unsigned i;

        config.metrics_sample_every = 1;
        tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
        tap_require(nipc_server_start(server) == 0);
        client = client_of(0, 0, 65536);
        for (i = 0; i < 20; i++)
                tap_eq_int(nipc_client_increment_batch(client, values, 1000, 0, results), 0);
        nipc_client_free(client);
        nipc_server_drain(server, 10000);
        m = util_metrics(server);
        tap_eq_uint(m.answers[NIPC_TRANSPORT_STATUS_OK], 20);
        tap_eq_uint(m.n_batches, 20);
        tap_eq_uint(m.n_batch_items, 20000);
        for (i = 0; i < NIPC_METRICS_N_STAGES; i++)
                tap_eq_uint(m.stages[i].count, 20);
        tap_check(m.stages[NIPC_METRICS_STAGE_HANDLE].sum_ns > 0);
        nipc_server_free(server);
}

/* A limit on the memory for parts: one worker does it. */
static void test_no_memory_for_parts(void)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = server_config(0, 0);
        uint64_t values[1000] = {0}, results[1000];
        struct nipc_client *client;
        struct nipc_server *server;

        for (config.max_split_bytes = 1; config.max_split_bytes < 1u << 20;
             config.max_split_bytes *= 32) {
                tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
                tap_require(nipc_server_start(server) == 0);
                client = client_of(0, 0, 65536);
                tap_eq_int(nipc_client_increment_batch(client, values, 1000, 0, results), 0);
                tap_eq_uint(results[999], 1);
                nipc_client_free(client);
                nipc_server_free(server);
        }
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_batches_are_as_one), TAP_CASE(test_batches_that_hardly_fit),
         TAP_CASE(test_uneven_batches), TAP_CASE(test_all_workers_take_part),
         TAP_CASE(test_all_workers_split), TAP_CASE(test_ends_in_the_middle),
         TAP_CASE(test_counts_once), TAP_CASE(test_no_memory_for_parts),
         TAP_CASE(test_leaks_nothing))
