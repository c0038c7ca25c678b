/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a worker counts (<nipc/metrics.h>). All of it is written by the worker's own thread with
 * plain stores and read by anybody, relaxed: each number is meaningful alone, none publishes
 * anything, but for the reasons, see there. The padding keeps other threads' writes off its lines.
 */

#include <nipc/clock.h>
#include <nipc/metrics.h>
#include <stdatomic.h>
#include <stdint.h>

#include "stdaux.h"

#define NIPC__CACHE_LINE 64u

struct nipc__metrics_stage {
        _Atomic uint64_t sum_ns;
        _Atomic uint64_t buckets[NIPC_METRICS_N_BUCKETS];
};

struct nipc__metrics_reason {
        /* NULL: not used. Stored with release once error is there; pairs with the acquire in
         * add_reasons(). */
        _Atomic(const char *) step;
        int error;
        _Atomic uint64_t count;
};

struct nipc__metrics {
        char padding_before[NIPC__CACHE_LINE];
        /* With every request. */
        uint32_t sample_left; /* requests until one is timed; at 0 one is due */
        uint32_t random;
        _Atomic uint64_t answers[NIPC_METRICS_N_STATUSES];
        _Atomic uint64_t request_bytes;
        _Atomic uint64_t response_bytes;
        /* Now and then. */
        uint64_t woken_ns;         /* when this turn began, 0: it was not looked at */
        uint64_t n_answers_then;   /* when the last turn began */
        _Atomic uint64_t n_failed; /* all answers but OK, and n_dropped */
        _Atomic uint64_t n_dropped;
        _Atomic uint64_t n_batches;
        _Atomic uint64_t n_batch_items;
        _Atomic uint64_t n_stat_requests;
        _Atomic uint64_t sessions_opened[NIPC_METRICS_N_PROFILES];
        _Atomic uint64_t sessions_closed[NIPC_METRICS_N_PROFILES];
        _Atomic uint64_t handshakes[NIPC_METRICS_N_HANDSHAKES];
        _Atomic uint64_t refusals[NIPC_METRICS_N_REFUSALS];
        _Atomic uint64_t timeouts[NIPC_METRICS_N_TIMEOUTS];
        _Atomic uint64_t n_backpressure;
        _Atomic uint64_t backpressure_ns;
        _Atomic uint64_t n_evictions;
        _Atomic uint64_t n_shortages;
        _Atomic uint64_t n_ring_samples;
        _Atomic uint64_t ring_used_bytes;
        _Atomic uint64_t ring_used_max_bytes;
        struct nipc__metrics_stage stages[NIPC_METRICS_N_STAGES];
        struct nipc__metrics_reason downgrades[NIPC_METRICS_N_REASONS];
        char padding_after[NIPC__CACHE_LINE];
};

/* Counters that one thread writes: no locked instruction. Read relaxed in metrics.c. */
static inline void nipc__count_more(_Atomic uint64_t *counter, uint64_t n)
{
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

static inline void nipc__count(_Atomic uint64_t *counter)
{
        nipc__count_more(counter, 1);
}

/*
 * After a wait that returned n_events: notes the time if one of the requests that they bring is
 * likely to be timed. There may be several in an event, as in the last turn.
 */
static inline void nipc__metrics_begin_turn(struct nipc__metrics *metrics, int n_events)
{
        uint64_t n_answers = atomic_load_explicit(&metrics->answers[0], memory_order_relaxed);
        uint64_t n_expected = 2 * (n_answers - metrics->n_answers_then) + (uint64_t)n_events;

        metrics->n_answers_then = n_answers;
        metrics->woken_ns = 0;
        if (NIPC__UNLIKELY(metrics->sample_left <= n_expected && n_events > 0))
                metrics->woken_ns = nipc_clock_now_ns();
}

/* sample_every: 0: none is timed. */
void nipc__metrics_init(struct nipc__metrics *metrics, uint32_t sample_every, uint32_t seed);

/* Chooses the next request to be timed. */
void nipc__metrics_resume_sampling(struct nipc__metrics *metrics, uint32_t sample_every);

void nipc__metrics_add_time(struct nipc__metrics *metrics, enum nipc_metrics_stage stage,
                            uint64_t ns);
void nipc__metrics_add_downgrade(struct nipc__metrics *metrics, const char *step, int error);
void nipc__metrics_add_ring(struct nipc__metrics *metrics, uint64_t used_bytes);

/* Where a profile is counted. */
enum nipc_metrics_profile nipc__metrics_profile(uint32_t profile);
