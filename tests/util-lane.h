/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Takes streams of numbered records out of lanes, and says what was wrong with them. Every record
 * is a struct util_lane_item; number and sequence agree, so that nothing can be missing, come twice
 * or come late without being seen.
 */

#include <nipc/lane.h>

struct util_lane_item {
        uint64_t number;
        uint64_t check; /* of the number, so that torn ones are seen */
        uint64_t more[5];
};

struct util_lane_tally {
        uint64_t n_received, n_dropped, n_recycled, n_gaps;
        uint64_t expected; /* the next sequence */
        const char *wrong; /* or NULL */
};

struct util_lane_item util_lane_item(uint64_t number);

/* Counts one record of one lane. Returns whether it was right. */
bool util_lane_count(struct util_lane_tally *tally, const struct nipc_lane_record *record);

/* Takes what there is of lane 0 and no other, unfilled rings included. */
void util_lane_drain(struct nipc_lane_reader *reader, struct util_lane_tally *tally);

/* What was sent and is accounted for. */
static inline uint64_t util_lane_total(const struct util_lane_tally *tally)
{
        return tally->n_received + tally->n_dropped + tally->n_recycled;
}
