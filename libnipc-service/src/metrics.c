/* SPDX-License-Identifier: MIT */

/*
 * Counting what is not counted with every request, and adding up what workers counted. Nothing
 * here locks or waits: whoever reads sees each number as it was a moment ago.
 */

#include <nipc/hello.h>
#include <nipc/metrics.h>
#include <string.h>

#include "limits.h"
#include "log-private.h"
#include "server-private.h"

/* 1, 2 and 5 of each decade from 100 ns to 10 s, and one below; chosen, not tuned. */
static const uint64_t bounds_ns[NIPC_METRICS_N_BUCKETS - 1] = {
        50u,        100u,        200u,        500u,        1000u,        2000u,      5000u,
        10000u,     20000u,      50000u,      100000u,     200000u,      500000u,    1000000u,
        2000000u,   5000000u,    10000000u,   20000000u,   50000000u,    100000000u, 200000000u,
        500000000u, 1000000000u, 2000000000u, 5000000000u, 10000000000u,
};

NIPC__EXPORT uint64_t nipc_metrics_bucket_ns(uint32_t bucket)
{
        return bucket < NIPC__ARRAY_SIZE(bounds_ns) ? bounds_ns[bucket] : UINT64_MAX;
}

/* ---- counting ----------------------------------------------------------------------------- */

void nipc__metrics_init(struct nipc__metrics *metrics, uint32_t sample_every, uint32_t seed)
{
        metrics->random = seed * UINT32_C(2654435761) | 1; /* never 0, and another one each */
        nipc__metrics_resume_sampling(metrics, sample_every);
}

/* Any distance up to twice the mean: requests that come in a pattern must not hide behind it. */
void nipc__metrics_resume_sampling(struct nipc__metrics *metrics, uint32_t sample_every)
{
        uint32_t x = metrics->random;

        x ^= x << 13; /* xorshift32 */
        x ^= x >> 17;
        x ^= x << 5;
        metrics->random = x;
        metrics->sample_left =
                sample_every ? 1 + (uint32_t)(x % (2 * (uint64_t)sample_every - 1)) : UINT32_MAX;
}

void nipc__metrics_add_time(struct nipc__metrics *metrics, enum nipc_metrics_stage stage,
                            uint64_t ns)
{
        uint32_t i = 0;

        while (i < NIPC__ARRAY_SIZE(bounds_ns) && ns > bounds_ns[i])
                i++;
        nipc__count_more(&metrics->stages[stage].sum_ns, ns);
        nipc__count(&metrics->stages[stage].buckets[i]);
}

void nipc__metrics_add_downgrade(struct nipc__metrics *metrics, const char *step, int error)
{
        struct nipc__metrics_reason *reason = metrics->downgrades;
        const char *known;
        unsigned i;

        for (i = 0; i < NIPC_METRICS_N_REASONS - 1; i++, reason++) {
                known = atomic_load_explicit(&reason->step, memory_order_relaxed); /* our own */
                if (!known) {
                        reason->error = error;
                        /* Pairs with the acquire in add_reasons(). */
                        atomic_store_explicit(&reason->step, step, memory_order_release);
                        break;
                }
                if (reason->error == error && !strcmp(known, step))
                        break;
        }
        if (i == NIPC_METRICS_N_REASONS - 1) /* as above */
                atomic_store_explicit(&reason->step, "other", memory_order_release);
        nipc__count(&reason->count);
}

void nipc__metrics_add_ring(struct nipc__metrics *metrics, uint64_t used_bytes)
{
        nipc__count(&metrics->n_ring_samples);
        nipc__count_more(&metrics->ring_used_bytes, used_bytes);
        /* Read relaxed in add_worker(). */
        if (used_bytes > atomic_load_explicit(&metrics->ring_used_max_bytes, memory_order_relaxed))
                atomic_store_explicit(&metrics->ring_used_max_bytes, used_bytes,
                                      memory_order_relaxed);
}

enum nipc_metrics_profile nipc__metrics_profile(uint32_t profile)
{
        switch (profile) {
        case NIPC_PROFILE_BASELINE:
                return NIPC_METRICS_PROFILE_BASELINE;
        case NIPC_PROFILE_SHM_HYBRID:
                return NIPC_METRICS_PROFILE_SHM_HYBRID;
        case NIPC_PROFILE_SHM_BUSYWAIT:
                return NIPC_METRICS_PROFILE_SHM_BUSYWAIT;
        case NIPC_PROFILE_RING:
                return NIPC_METRICS_PROFILE_RING;
        default:
                return NIPC_METRICS_PROFILE_OTHER;
        }
}

/* ---- adding up ---------------------------------------------------------------------------- */

/* Pairs with nipc__count_more(): relaxed, each number is meaningful alone. */
static uint64_t get(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_all(uint64_t *to, const _Atomic uint64_t *from, unsigned n)
{
        unsigned i;

        for (i = 0; i < n; i++)
                to[i] += get(&from[i]);
}

static void add_stages(struct nipc_metrics_histogram *to, const struct nipc__metrics_stage *from)
{
        uint64_t n;
        unsigned i, k;

        for (i = 0; i < NIPC_METRICS_N_STAGES; i++) {
                to[i].sum_ns += get(&from[i].sum_ns);
                for (k = 0; k < NIPC_METRICS_N_BUCKETS; k++) {
                        n = get(&from[i].buckets[k]);
                        to[i].buckets[k] += n;
                        to[i].count += n; /* so that it is their sum at any moment */
                }
        }
}

static void add_reason(struct nipc_server_metrics *to, const char *step, int error, uint64_t count)
{
        struct nipc_metrics_reason *last = &to->downgrades[NIPC_METRICS_N_REASONS - 1];
        uint32_t i;

        for (i = 0; i < to->n_downgrades; i++)
                if (to->downgrades[i].error == error && !strcmp(to->downgrades[i].step, step)) {
                        to->downgrades[i].count += count;
                        return;
                }
        if (i < NIPC_METRICS_N_REASONS - 1) {
                to->downgrades[to->n_downgrades++] =
                        (struct nipc_metrics_reason){.step = step, .error = error, .count = count};
                return;
        }
        to->n_downgrades = NIPC_METRICS_N_REASONS;
        *last = (struct nipc_metrics_reason){.step = "other", .count = last->count + count};
}

static void add_reasons(struct nipc_server_metrics *to, const struct nipc__metrics_reason *from)
{
        const char *step;
        unsigned i;

        for (i = 0; i < NIPC_METRICS_N_REASONS; i++) {
                /* Pairs with the release in nipc__metrics_add_downgrade(). */
                step = atomic_load_explicit(&from[i].step, memory_order_acquire);
                if (step)
                        add_reason(to, step, from[i].error, get(&from[i].count));
        }
}

static void add_worker(struct nipc_server_metrics *to, const struct nipc__worker *worker)
{
        const struct nipc__metrics *from = &worker->metrics;

        add_all(to->answers, from->answers, NIPC_METRICS_N_STATUSES);
        add_all(to->sessions_closed, from->sessions_closed, NIPC_METRICS_N_PROFILES);
        add_all(to->sessions_opened, from->sessions_opened, NIPC_METRICS_N_PROFILES);
        add_all(to->handshakes, from->handshakes, NIPC_METRICS_N_HANDSHAKES);
        add_all(to->refusals, from->refusals, NIPC_METRICS_N_REFUSALS);
        add_all(to->timeouts, from->timeouts, NIPC_METRICS_N_TIMEOUTS);
        to->n_dropped += get(&from->n_dropped);
        to->request_bytes += get(&from->request_bytes);
        to->response_bytes += get(&from->response_bytes);
        to->n_batches += get(&from->n_batches);
        to->n_batch_items += get(&from->n_batch_items);
        to->n_stat_requests += get(&from->n_stat_requests);
        to->n_backpressure += get(&from->n_backpressure);
        to->backpressure_ns += get(&from->backpressure_ns);
        to->n_evictions += get(&from->n_evictions);
        to->n_shortages += get(&from->n_shortages);
        to->n_ring_samples += get(&from->n_ring_samples);
        to->ring_used_bytes += get(&from->ring_used_bytes);
        to->ring_used_max_bytes =
                NIPC__MAX(to->ring_used_max_bytes, get(&from->ring_used_max_bytes));
        add_stages(to->stages, from->stages);
        add_reasons(to, from->downgrades);
        if (worker->log)
                to->n_log_suppressed += get(&worker->log->n_suppressed);
}

void nipc__server_collect(const struct nipc_server *server, struct nipc_server_metrics *ret_metrics)
{
        uint32_t i;

        *ret_metrics = (struct nipc_server_metrics)NIPC_SERVER_METRICS_INIT;
        ret_metrics->n_workers = server->n_workers;
        ret_metrics->sample_every = nipc__server_sample_every(server);
        ret_metrics->n_sessions = atomic_load_explicit(&server->n_sessions, memory_order_relaxed);
        ret_metrics->n_handshakes =
                atomic_load_explicit(&server->n_handshakes, memory_order_relaxed);
        ret_metrics->n_stale = server->n_stale;
        for (i = 0; i < server->n_workers; i++)
                add_worker(ret_metrics, server->workers[i]);
}

NIPC__EXPORT int nipc_server_get_metrics(const struct nipc_server *server,
                                         struct nipc_server_metrics *ret_metrics)
{
        struct nipc_server_metrics metrics;

        if (!server)
                return -EINVAL;
        nipc__server_collect(server, &metrics);
        return nipc__abi_store(ret_metrics, &metrics, sizeof(metrics));
}
