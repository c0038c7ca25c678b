/* SPDX-License-Identifier: MIT */

/* What a spinner learns, see spin.h. */

#include "spin.h"

/* The moving averages follow the last eight spins; chosen, not tuned. */
#define WEIGHT 8

static uint32_t short_limit(const struct nipc__spinner *spinner)
{
        return NIPC__MIN(spinner->cap_ns, 2 * spinner->typical_ns + 1000);
}

/* p * sleep > (1 - p) * limit, in whole numbers. */
static bool is_worth_it(const struct nipc__spinner *spinner, uint32_t limit_ns)
{
        return spinner->score * (spinner->sleep_us * 1000u + limit_ns) > NIPC__SPIN_FULL * limit_ns;
}

void nipc__spinner_init(struct nipc__spinner *spinner, uint32_t cap_ns)
{
        *spinner = (struct nipc__spinner){
                .cap_ns = nipc__spin_has_cpus() ? cap_ns : 0,
                .typical_ns = cap_ns / 2,
                .score = NIPC__SPIN_FULL - WEIGHT,
                .max_shift = NIPC__SPIN_MAX_SHIFT_BLIND,
                .sleep_us = NIPC__SPIN_SLEEP_NS / 1000,
        };
}

void nipc__spinner_hit(struct nipc__spinner *spinner, uint64_t ns)
{
        int32_t distance =
                (int32_t)NIPC__MIN(ns, (uint64_t)spinner->cap_ns) - (int32_t)spinner->typical_ns;

        spinner->typical_ns = (uint32_t)((int32_t)spinner->typical_ns + distance / WEIGHT);
        if (!is_worth_it(spinner, short_limit(spinner)))
                spinner->score = NIPC__SPIN_FULL / 2 + NIPC__SPIN_FULL / 4; /* try in earnest */
        spinner->score = (uint8_t)(spinner->score +
                                   (NIPC__SPIN_FULL - spinner->score + WEIGHT - 1) / WEIGHT);
        spinner->skip_shift = 0;
        spinner->skip = 0;
}

void nipc__spinner_miss(struct nipc__spinner *spinner)
{
        spinner->score = (uint8_t)(spinner->score - (spinner->score + WEIGHT - 1) / WEIGHT);
        if (is_worth_it(spinner, short_limit(spinner)))
                return;
        if (spinner->skip_shift < spinner->max_shift)
                spinner->skip_shift++;
        spinner->skip = (uint16_t)(1u << spinner->skip_shift);
}

uint32_t nipc__spinner_limit(struct nipc__spinner *spinner, uint32_t peer_cpu)
{
        if (!spinner->cap_ns ||
            (peer_cpu != NIPC__SPIN_UNKNOWN_CPU && peer_cpu == nipc__spin_own_cpu()))
                return 0;
        spinner->max_shift = peer_cpu == NIPC__SPIN_UNKNOWN_CPU ? NIPC__SPIN_MAX_SHIFT_BLIND
                                                                : NIPC__SPIN_MAX_SHIFT;
        if (spinner->score >= NIPC__SPIN_PATIENCE_SCORE)
                return NIPC__SPIN_PATIENCE_NS;
        if (is_worth_it(spinner, spinner->cap_ns))
                return spinner->cap_ns;
        if (is_worth_it(spinner, short_limit(spinner)))
                return short_limit(spinner);
        if (spinner->skip) {
                spinner->skip--;
                return 0;
        }
        return spinner->cap_ns; /* a probe: has anything changed? */
}
