/* SPDX-License-Identifier: MIT */

/* Percentiles of a log-linear histogram; the middle of the bucket stands for all it holds. */

#include "histogram.h"

double histogram_bucket_middle(unsigned bucket)
{
        unsigned shift = bucket >> HISTOGRAM_STEP_BITS;
        uint64_t step = bucket & ((1u << HISTOGRAM_STEP_BITS) - 1);

        if (shift == 0)
                return (double)step;
        shift--;
        return (double)((step | (1u << HISTOGRAM_STEP_BITS)) << shift) +
               (double)(UINT64_C(1) << shift) / 2;
}

double histogram_percentile_us(const struct histogram *histogram, double share)
{
        uint64_t rank = (uint64_t)(share * (double)histogram->count), seen = 0;

        if (!histogram->count)
                return 0;
        if (rank >= histogram->count)
                rank = histogram->count - 1;
        for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++) {
                seen += histogram->buckets[i];
                if (seen > rank)
                        return histogram_bucket_middle(i) / 1000;
        }
        return 0;
}
