/* SPDX-License-Identifier: MIT */

/* What a server counts: exactly what happened, whatever the profile (doc/metrics.md). */

#include <errno.h>
#include <nipc/batch.h>
#include <string.h>
#include <unistd.h>

#include "metrics-private.h"
#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

static const uint32_t profiles[] = {NIPC_PROFILE_BASELINE, NIPC_PROFILE_SHM_HYBRID,
                                    NIPC_PROFILE_RING};

/* One request of every kind, each on a session of its own. */
static void ask_all(const char *service, uint32_t profile)
{
        static const struct {
                const char *payload;
                uint16_t code;
                int status;
        } requests[] = {
                {"e234", UTIL_CODE, NIPC_TRANSPORT_STATUS_OK},
                {"e2", UTIL_CODE, NIPC_TRANSPORT_STATUS_OK},
                {"b", UTIL_CODE, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE},
                {"o", UTIL_CODE, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"m", UTIL_CODE, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"l", UTIL_CODE, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"n", UTIL_CODE, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR},
                {"e", UTIL_CODE + 1, NIPC_TRANSPORT_STATUS_UNSUPPORTED},
        };
        size_t i;

        for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
                tap_eq_int(util_ask(service, profile, requests[i].code, requests[i].payload,
                                    strlen(requests[i].payload)),
                           requests[i].status);
}

static void check_all(const struct nipc_server_metrics *m, uint32_t profile)
{
        enum nipc_metrics_profile index = nipc__metrics_profile(profile);
        unsigned i;

        tap_eq_uint(m->answers[NIPC_TRANSPORT_STATUS_OK], 2);
        tap_eq_uint(m->answers[NIPC_TRANSPORT_STATUS_BAD_ENVELOPE], 1);
        tap_eq_uint(m->answers[NIPC_TRANSPORT_STATUS_UNSUPPORTED], 1);
        tap_eq_uint(m->answers[NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED], 3);
        tap_eq_uint(m->answers[NIPC_TRANSPORT_STATUS_INTERNAL_ERROR], 1);
        tap_eq_uint(m->n_dropped, 0);
        tap_eq_uint(m->request_bytes, 11);
        tap_eq_uint(m->response_bytes, 6);
        tap_eq_uint(m->n_sessions, 0);
        tap_eq_uint(m->handshakes[NIPC_METRICS_HANDSHAKE_READY], 8);
        for (i = 0; i < NIPC_METRICS_N_PROFILES; i++) {
                tap_eq_uint(m->sessions_opened[i], i == index ? 8 : 0);
                tap_eq_uint(m->sessions_closed[i], i == index ? 8 : 0);
        }
        /* Each of those that had a handler, and that each bucket was counted once. */
        for (i = 0; i < NIPC_METRICS_N_STAGES; i++)
                tap_eq_uint(m->stages[i].count, 7);
}

static void check_profile(uint32_t profile)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_metrics m;
        struct nipc_server *server;

        config.n_workers = 1;
        config.profiles = profile;
        config.metrics_sample_every = 1;
        server = util_server(&config, "all");
        tap_require(server != NULL);
        ask_all("all", profile);
        nipc_server_drain(server, 10000);
        m = util_metrics(server);
        tap_eq_uint(m.n_workers, 1);
        tap_eq_uint(m.sample_every, 1);
        check_all(&m, profile);
        tap_check((m.n_ring_samples > 0) == (profile == NIPC_PROFILE_RING));
        nipc_server_free(server);
}

static void test_every_status_and_profile(void)
{
        size_t i;

        for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
                if ((profiles[i] & nipc_profile_get_available()) && util_can_serve(profiles[i]))
                        check_profile(profiles[i]);
}

static void test_batches(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_response response;
        struct nipc_batch_builder builder;
        struct nipc_client *client;
        uint8_t buf[256];
        size_t size, i;

        config.n_workers = 1;
        server = util_server(&config, "batches");
        client = util_client("batches");
        nipc_batch_builder_init(&builder, buf, sizeof(buf), 3);
        for (i = 0; i < 3; i++)
                nipc_batch_builder_add(&builder, "e", 1);
        nipc_batch_builder_finish(&builder, &size);
        for (i = 0; i < 5; i++)
                tap_eq_int(nipc_client_call_batch(client, UTIL_CODE, buf, size, 3, 0, &response,
                                                  NULL),
                           0);
        tap_eq_uint(util_metrics(server).answers[0], 5);
        tap_eq_uint(util_metrics(server).n_batches, 5);
        tap_eq_uint(util_metrics(server).n_batch_items, 15);
        tap_eq_uint(util_metrics(server).request_bytes, 5 * size);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_refusals(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_metrics m;
        struct nipc_server *server;
        int first, fd;

        config.max_sessions = 1;
        config.auth_token = 0;
        server = util_server(&config, "refusals");
        first = util_pump_open(server, "refusals");
        fd = util_raw_connect("refusals");
        util_raw_hello(fd, 1);
        tap_check(util_pump(server, fd));
        tap_eq_int(util_raw_ack(fd, NULL), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        close(fd);
        /* No HELLO at all. */
        fd = util_raw_connect("refusals");
        tap_check(util_raw_packet(fd, "x", 1));
        tap_check(util_pump(server, fd));
        tap_eq_int(util_raw_ack(fd, NULL), -1);
        close(fd);
        m = util_metrics(server);
        tap_eq_uint(m.refusals[NIPC_METRICS_REFUSAL_MAX_SESSIONS], 1);
        tap_eq_uint(m.handshakes[NIPC_METRICS_HANDSHAKE_REFUSED], 1);
        tap_eq_uint(m.handshakes[NIPC_METRICS_HANDSHAKE_INVALID], 1);
        tap_eq_uint(m.handshakes[NIPC_METRICS_HANDSHAKE_READY], 1);
        tap_eq_uint(m.n_sessions, 1);
        close(first);
        nipc_server_free(server);
}

static void test_timeouts(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_header request = util_request(1, 1000);
        struct nipc_server *server;
        struct nipc_header header;
        int silent, half;

        config.handshake_timeout_ms = 20;
        config.request_timeout_ms = 20;
        server = util_server(&config, "timeouts");
        silent = util_raw_connect("timeouts");
        tap_check(util_pump(server, silent));
        half = util_pump_open(server, "timeouts");
        util_raw_send(half, &request, "e", 1);
        tap_check(util_pump(server, half));
        tap_eq_int(util_raw_receive(half, &header, NULL, 0), -1);
        tap_eq_uint(util_metrics(server).timeouts[NIPC_METRICS_TIMEOUT_HANDSHAKE], 1);
        tap_eq_uint(util_metrics(server).timeouts[NIPC_METRICS_TIMEOUT_REQUEST], 1);
        tap_eq_uint(util_metrics(server).timeouts[NIPC_METRICS_TIMEOUT_RESPONSE], 0);
        tap_eq_uint(util_metrics(server).handshakes[NIPC_METRICS_HANDSHAKE_TIMED_OUT], 1);
        tap_eq_uint(util_metrics(server).n_dropped, 1);
        close(silent);
        close(half);
        nipc_server_free(server);
}

/* Asks for large answers without reading them until one has to wait. */
static void test_backpressure(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_header request, header;
        unsigned n = 0;
        int fd;

        config.initial_response_bytes = 16384; /* one packet each */
        server = util_server(&config, "pressure");
        fd = util_pump_open(server, "pressure");
        while (!util_metrics(server).n_backpressure && n < 1000) {
                request = util_request(++n, 1);
                tap_require(util_raw_send(fd, &request, "f", 1));
                tap_require(nipc_server_dispatch(server, 0) >= 0);
        }
        tap_eq_uint(util_metrics(server).n_backpressure, 1);
        tap_eq_uint(util_metrics(server).backpressure_ns, 0);
        while (n && util_pump(server, fd) && util_raw_receive(fd, &header, NULL, 0) >= 0)
                if (header.message_id == n)
                        break;
        tap_require(nipc_server_dispatch(server, 0) >= 0);
        tap_check(util_metrics(server).backpressure_ns > 0);
        close(fd);
        nipc_server_free(server);
}

/* Memory that cannot be had is a reason, and counted by what failed. */
static void test_downgrade_reasons(void)
{
        struct nipc__metrics metrics = {.sample_left = 0};
        static const char step[] = "memory";
        char other[] = "memory";
        int i;

        nipc__metrics_add_downgrade(&metrics, step, -ENOMEM);
        nipc__metrics_add_downgrade(&metrics, other, -ENOMEM);
        nipc__metrics_add_downgrade(&metrics, step, -EMFILE);
        tap_eq_uint(atomic_load(&metrics.downgrades[0].count), 2);
        tap_eq_uint(atomic_load(&metrics.downgrades[1].count), 1);
        for (i = 0; i < 100; i++)
                nipc__metrics_add_downgrade(&metrics, step, -1000 - i);
        tap_eq_uint(atomic_load(&metrics.downgrades[NIPC_METRICS_N_REASONS - 1].count), 86);
        tap_eq_str(atomic_load(&metrics.downgrades[NIPC_METRICS_N_REASONS - 1].step), "other");
}

static void test_buckets(void)
{
        struct nipc__metrics metrics = {.sample_left = 0};
        const _Atomic uint64_t *buckets = metrics.stages[0].buckets;
        uint64_t sum = 0, bound;
        uint32_t i;

        for (i = 0; i + 1 < NIPC_METRICS_N_BUCKETS; i++) {
                bound = nipc_metrics_bucket_ns(i);
                tap_check(!i || bound > nipc_metrics_bucket_ns(i - 1));
                nipc__metrics_add_time(&metrics, 0, bound);
                nipc__metrics_add_time(&metrics, 0, bound + 1);
                sum += 2 * bound + 1;
        }
        nipc__metrics_add_time(&metrics, 0, 0);
        nipc__metrics_add_time(&metrics, 0, UINT64_C(1) << 40);
        sum += UINT64_C(1) << 40;
        /* A bound itself belongs to the bucket below it. */
        for (i = 0; i < NIPC_METRICS_N_BUCKETS; i++)
                tap_eq_uint(atomic_load(&buckets[i]), 2);
        tap_eq_uint(atomic_load(&metrics.stages[0].sum_ns), sum);
        tap_eq_uint(nipc_metrics_bucket_ns(0), 50);
        tap_eq_uint(nipc_metrics_bucket_ns(NIPC_METRICS_N_BUCKETS - 2), UINT64_C(10000000000));
        tap_eq_uint(nipc_metrics_bucket_ns(NIPC_METRICS_N_BUCKETS - 1), UINT64_MAX);
        tap_eq_uint(nipc_metrics_bucket_ns(UINT32_MAX), UINT64_MAX);
}

/* Any distance, up to twice the mean, which it has. */
static void test_sampling(void)
{
        struct nipc__metrics metrics = {.sample_left = 0};
        uint64_t sum = 0;
        unsigned i;

        nipc__metrics_init(&metrics, 64, 7);
        for (i = 0; i < 10000; i++) {
                tap_check(metrics.sample_left >= 1 && metrics.sample_left <= 127);
                sum += metrics.sample_left;
                nipc__metrics_resume_sampling(&metrics, 64);
        }
        tap_check(sum > 10000 * 60 && sum < 10000 * 68);
        nipc__metrics_resume_sampling(&metrics, 1);
        tap_eq_uint(metrics.sample_left, 1);
        nipc__metrics_resume_sampling(&metrics, 0);
        tap_eq_uint(metrics.sample_left, UINT32_MAX);
}

static void test_no_times(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int i;

        config.n_workers = 1;
        config.metrics_sample_every = NIPC_METRICS_NO_TIMES;
        server = util_server(&config, "untimed");
        for (i = 0; i < 3; i++)
                tap_eq_int(util_ask("untimed", NIPC_PROFILE_BASELINE, UTIL_CODE, "e", 1), 0);
        nipc_server_drain(server, 10000);
        tap_eq_uint(util_metrics(server).answers[0], 3);
        tap_eq_uint(util_metrics(server).sample_every, 0);
        tap_eq_uint(util_metrics(server).stages[NIPC_METRICS_STAGE_HANDLE].count, 0);
        nipc_server_free(server);
}

static void test_sized_struct(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = util_server(&config, "sized");
        struct nipc_server_metrics m = {.size = offsetof(struct nipc_server_metrics, n_sessions)};

        m.n_sessions = 77;
        tap_eq_int(nipc_server_get_metrics(server, &m), 0);
        tap_eq_uint(m.n_workers, 1);
        tap_eq_uint(m.n_sessions, 77);
        m.size = 0;
        tap_eq_int(nipc_server_get_metrics(server, &m), -EINVAL);
        tap_eq_int(nipc_server_get_metrics(server, NULL), -EINVAL);
        tap_eq_int(nipc_server_get_metrics(NULL, &m), -EINVAL);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_every_status_and_profile), TAP_CASE(test_batches), TAP_CASE(test_refusals),
         TAP_CASE(test_timeouts), TAP_CASE(test_backpressure), TAP_CASE(test_downgrade_reasons),
         TAP_CASE(test_buckets), TAP_CASE(test_sampling), TAP_CASE(test_no_times),
         TAP_CASE(test_sized_struct), TAP_CASE(test_leaks_nothing))
