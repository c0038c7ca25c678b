/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The writer's side of a lane: what lane.c (records) and lane-rotate.c (rings) share, and
 * lane-pool.c (leases) sets up. All of it is memory of the agent's own; what the controller could
 * have changed is checked against it.
 */

#include "lane-private.h"

#define NIPC__LANE_NESTED_BYTES 4096u

struct nipc_lane {
        struct nipc_lane_cursor cursor; /* first: the header's inline functions know it */
        struct nipc__lane_memory *memory;
        struct nipc__lane_control *control;
        struct nipc__fork_mark maker;
        void *slot; /* of the pool, if the lane is to be found by its thread; else NULL */
        uint32_t index, epoch, block_timeout_ms;
        uint32_t ring_limit;       /* bytes for records in a ring; 0: there is no ring in use */
        uint32_t active, previous; /* rings, or NIPC__LANE_NONE */
        uint32_t begun_type, begun_size; /* of nipc_lane_begin(); type NIPC__LANE_NONE: not begun */
        uint64_t first;                  /* sequence of the first record in the active ring */
        uint64_t more;                   /* sequence numbers in it beyond one for each record */
        uint64_t n_dropped, n_recycled, n_submitted, n_blocked, n_violations;
        uint64_t told_at_start; /* n_dropped + n_submitted */
        uint64_t generation;
        uint64_t submit_tail, free_head;
        bool must_wake;
        uint32_t n_mine; /* rings that nobody has */
        uint8_t mine[NIPC__LANE_MAX_RINGS];
        bool is_submitted[NIPC__LANE_MAX_RINGS];  /* a ring */
        uint64_t entries[NIPC__LANE_MAX_RINGS];   /* of a ring: its generation << 16 | index */
        uint64_t counts[NIPC__LANE_MAX_RINGS];    /* sequence numbers in it */
        uint64_t submitted[NIPC__LANE_MAX_RINGS]; /* the queue, as we filled it */
        uint32_t is_nesting;                      /* a handler fills nested_bytes */
        uint8_t nested_bytes[NIPC__LANE_NESTED_BYTES];
};

/* ---- lane-rotate.c: all of it with the lane busy --------------------------------------------- */

/* The sequence of the next record. */
uint64_t nipc__lane_next_sequence(const struct nipc_lane *lane);

/*
 * Gets rid of the ring in use, if there is one, and takes another. Returns 0; -ENOBUFS, -ETIMEDOUT:
 * there is none; -ESTALE.
 */
int nipc__lane_rotate(struct nipc_lane *lane);

/* Submits, keeps or recycles the ring in use. */
void nipc__lane_retire(struct nipc_lane *lane);

/* Wakes the reader if it sleeps, after what it is to see was stored. */
void nipc__lane_wake_reader(const struct nipc__lane_memory *memory);

/* The same, if something was submitted. */
void nipc__lane_tell(struct nipc_lane *lane);

/* So many records are missing before the next ring. */
void nipc__lane_count_drops(struct nipc_lane *lane, uint64_t n);

bool nipc__lane_is_stale(const struct nipc_lane *lane);
