/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The reader's side of lanes: what lane-reader.c (records), lane-take.c (rings) and lane-wait.c
 * share. Whatever is of the agent's memory is loaded once and checked; positions are our own.
 */

#include "lane-private.h"

#define NIPC__LANE_PIECE (128u << 10) /* copied at once; the largest record fits twice */

/* What we know of a lane. */
struct nipc__lane_view {
        uint64_t state;    /* the word, when last looked at */
        uint64_t expected; /* sequence of the record to come */
        uint64_t recycled; /* of those before it */
        uint64_t free_tail;
        uint64_t live_entry; /* ring that we read while it is filled, as far as here: */
        uint64_t live_sequence;
        uint64_t last_generation; /* given back */
        uint32_t live_used;
        uint8_t stage; /* of a dead lane: what was read */
        uint8_t n_bad; /* rings that were none */
        bool is_dead, is_broken;
};

struct nipc_lane_reader {
        struct nipc__lane_memory memory;
        struct nipc__lane_view *views;
        uint64_t *torn_bytes;
        uint8_t *piece;
        uint32_t piece_bytes;
        uint32_t turn;      /* the lane to look at next */
        uint32_t n_idle;    /* lanes looked at in a row that had nothing */
        bool is_live;       /* of the lane looked at, the ring in use is, too */
        uint32_t n_live;    /* for so many lanes it will be */
        bool is_orphan;     /* the agent is known to be dead */
        uint64_t looked_ns; /* when threads were last looked for */

        /* The ring that is read. */
        bool has_ring, is_held;
        uint32_t lane, used, next; /* of used bytes, up to here was copied */
        uint32_t epoch, tid;
        uint64_t entry, ring_recycled;
        struct nipc__lane_ring *ring;
        struct nipc__lane_parser parser;

        struct nipc__lane_view *view;       /* of its lane */
        struct nipc__lane_control *control; /* of its lane */

        uint32_t ack_lane; /* of the record that was given out last */
        bool has_pending;  /* a record after a gap */
        struct nipc_lane_record pending;
};

/* ---- lane-take.c ----------------------------------------------------------------------------- */

enum nipc__lane_found {
        NIPC__LANE_FOUND_NOTHING,
        NIPC__LANE_FOUND_RING, /* reader->has_ring */
        NIPC__LANE_FOUND_END,  /* the lane was drained, and is not freed yet */
};

/* Looks for a ring of the lane to read. */
enum nipc__lane_found nipc__lane_take(struct nipc_lane_reader *reader, uint32_t lane);

/* The next bytes of the ring, into the parser. false: there are no more. */
bool nipc__lane_take_piece(struct nipc_lane_reader *reader);

/* It is read: back to the agent, if we hold it. */
void nipc__lane_leave_ring(struct nipc_lane_reader *reader);

/* A writer that waits for a ring looks again. */
void nipc__lane_rouse(const struct nipc__lane_memory *memory, uint32_t lane);

/* After NIPC__LANE_FOUND_END. */
void nipc__lane_free(struct nipc_lane_reader *reader, uint32_t lane);

/* Whether nipc__lane_take() would find something, rings in use aside or included. */
bool nipc__lane_has_work(const struct nipc_lane_reader *reader, uint32_t lane, bool is_live);
