/* SPDX-License-Identifier: MIT */

/*
 * Metrics that are read while they are counted: by threads of the process and by clients, with
 * several workers, under a thread sanitizer in particular. No number ever shrinks, and in the end
 * all of them are exact.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

#define N_CLIENTS 4
#define N_CALLS   500

static struct nipc_server *server;
static atomic_bool is_over;
static atomic_uint n_wrong;

static void *call(void *userdata)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;
        struct nipc_response response;
        unsigned i;

        config.run_dir = util_run_dir();
        config.service = "threads";
        config.profiles = *(const uint32_t *)userdata;
        if (nipc_client_new(&config, &client) < 0)
                return NULL;
        nipc_client_refresh(client);
        for (i = 0; i < N_CALLS; i++)
                if (nipc_client_call(client, UTIL_CODE, "e234", 4, 0, &response, NULL) != 0)
                        atomic_fetch_add(&n_wrong, 1);
        nipc_client_free(client);
        return NULL;
}

static bool has_shrunk(const struct nipc_server_metrics *before,
                       const struct nipc_server_metrics *now)
{
        unsigned i;

        for (i = 0; i < NIPC_METRICS_N_STAGES; i++)
                if (now->stages[i].count < before->stages[i].count ||
                    now->stages[i].sum_ns < before->stages[i].sum_ns)
                        return true;
        return now->answers[0] < before->answers[0] || now->request_bytes < before->request_bytes;
}

static void *read_metrics(void *userdata)
{
        struct nipc_server_metrics before = util_metrics(server), now;
        static char buf[65536];
        size_t size;

        while (!atomic_load(&is_over)) {
                now = util_metrics(server);
                if (has_shrunk(&before, &now))
                        atomic_fetch_add(&n_wrong, 1);
                before = now;
                if (nipc_server_format_metrics(server, buf, sizeof(buf), &size) != 0 ||
                    util_prometheus_check(buf, size))
                        atomic_fetch_add(&n_wrong, 1);
        }
        return NULL;
}

static void *ask_from_outside(void *userdata)
{
        struct nipc_client *client = util_client("threads");
        const char *text;
        size_t size;

        while (!atomic_load(&is_over))
                if (nipc_client_stat(client, 0, &text, &size) != 0 ||
                    util_prometheus_check(text, size))
                        atomic_fetch_add(&n_wrong, 1);
        nipc_client_free(client);
        return NULL;
}

static void test_read_while_serving(void)
{
        static const uint32_t profiles[N_CLIENTS] = {
                NIPC_PROFILE_BASELINE,
                NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID,
                NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING,
                NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING,
        };
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        pthread_t clients[N_CLIENTS], reader, asker;
        struct nipc_server_metrics m;
        unsigned i;

        config.n_workers = 3;
        config.profiles = nipc_profile_get_available();
        config.metrics_sample_every = 2;
        server = util_server(&config, "threads");
        tap_require(server != NULL);
        tap_require(pthread_create(&reader, NULL, read_metrics, NULL) == 0);
        tap_require(pthread_create(&asker, NULL, ask_from_outside, NULL) == 0);
        for (i = 0; i < N_CLIENTS; i++)
                tap_require(pthread_create(&clients[i], NULL, call,
                                           (void *)(uintptr_t)&profiles[i]) == 0);
        for (i = 0; i < N_CLIENTS; i++)
                pthread_join(clients[i], NULL);
        atomic_store(&is_over, true);
        pthread_join(reader, NULL);
        pthread_join(asker, NULL);
        nipc_server_drain(server, 10000);
        m = util_metrics(server);
        tap_eq_uint(atomic_load(&n_wrong), 0);
        tap_eq_uint(m.answers[NIPC_TRANSPORT_STATUS_OK], N_CLIENTS * N_CALLS);
        tap_eq_uint(m.request_bytes, 4 * N_CLIENTS * N_CALLS);
        tap_eq_uint(m.response_bytes, 4 * N_CLIENTS * N_CALLS);
        tap_check(m.stages[NIPC_METRICS_STAGE_HANDLE].count > 0);
        server = nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_read_while_serving), TAP_CASE(test_leaks_nothing))
