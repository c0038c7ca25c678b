/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A log-linear histogram of durations: 32 steps per power of two, so that a percentile is right to
 * about 3%, from 1 ns to hours, in a fixed 15 KiB. Recording is one increment.
 */

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_N_BUCKETS ((64 - HISTOGRAM_STEP_BITS) << HISTOGRAM_STEP_BITS)

struct histogram {
        uint64_t count;
        uint64_t buckets[HISTOGRAM_N_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
        unsigned shift;

        if (ns < (1u << HISTOGRAM_STEP_BITS))
                return (unsigned)ns;
        shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_STEP_BITS;
        return ((shift + 1) << HISTOGRAM_STEP_BITS) +
               (unsigned)((ns >> shift) & ((1u << HISTOGRAM_STEP_BITS) - 1));
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns)
{
        histogram->count++;
        histogram->buckets[histogram_bucket(ns)]++;
}

static inline void histogram_add(struct histogram *sum, const struct histogram *other)
{
        sum->count += other->count;
        for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++)
                sum->buckets[i] += other->buckets[i];
}

/* What stands for all that a bucket holds: its middle, in ns. */
double histogram_bucket_middle(unsigned bucket);

/* The duration that a share of all records does not exceed, share in 0..1; 0 if there are none. */
double histogram_percentile_us(const struct histogram *histogram, double share);
