/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What lane-recovery.c (the API), lane-salvage.c (pools) and lane-recording.c (recordings) share.
 * Nothing is looked at where somebody else could change it: it is copied first.
 */

#include "lane-private.h"
#include <nipc/lane-file.h>

struct nipc__lane_source {
        const uint8_t *bytes; /* or NULL: */
        int fd;
        uint64_t size;
};

/* A ring of the file that is one, or, with skip, one that is none. */
struct nipc__lane_finding {
        uint64_t offset;
        uint64_t generation;
        uint32_t lane;
        uint32_t bytes; /* header included, as many as the file has */
        uint32_t flags;
        uint32_t skip;
};

struct nipc_lane_recovery {
        struct nipc__lane_source source;
        struct nipc_lane_file_info info;
        struct nipc_lane_piece queue[4];
        uint32_t n_queued, n_taken;
        uint8_t *buffer;
        size_t buffer_size;

        /* Of a pool. */
        struct nipc__lane_finding *findings;
        size_t n_findings, n_room, next;
        uint64_t lane_bytes;
        struct nipc__lane_parser parser;
        uint64_t data_offset; /* of the ring's records */
        uint64_t recycled_at; /* as its header says */
        uint32_t published;   /* bytes */
        uint32_t epoch;
        bool has_ring, has_expected;
        uint32_t lane, owner_epoch, owner_tid;
        uint64_t expected, recycled, consumed;

        /* Of a recording. */
        uint64_t window; /* offset of what the buffer holds */
        size_t window_size;
        uint64_t pos; /* of the frame to come */
};

/* ---- lane-recovery.c ------------------------------------------------------------------------- */

/* All `size` bytes, or an error: -ENODATA where the file ends before. */
int nipc__lane_source_read(const struct nipc__lane_source *source, uint64_t offset, void *bytes,
                           size_t size);

/* There is room for four: header, cut; or skip, gap, record. */
struct nipc_lane_piece *nipc__lane_found(struct nipc_lane_recovery *recovery);
void nipc__lane_skipped(struct nipc_lane_recovery *recovery, uint32_t skip, uint64_t offset,
                        uint64_t length);
int nipc__lane_make_buffer(struct nipc_lane_recovery *recovery, size_t size);

/* ---- lane-salvage.c -------------------------------------------------------------------------- */

/* Finds the rings. */
int nipc__lane_salvage_begin(struct nipc_lane_recovery *recovery,
                             const struct nipc__lane_header *header, size_t header_size);
/* Queues at least one piece. Returns 0, -ENODATA, ... */
int nipc__lane_salvage_next(struct nipc_lane_recovery *recovery);

/* ---- lane-recording.c ------------------------------------------------------------------------ */

/* -EBADMSG: not a recording. */
int nipc__lane_recording_open(struct nipc_lane_recovery *recovery);
int nipc__lane_recording_next(struct nipc_lane_recovery *recovery);

/* ---- linux/lane-memory.c --------------------------------------------------------------------- */

int nipc__lane_file_open(int fd, struct nipc__lane_source *source);
void nipc__lane_file_close(struct nipc__lane_source *source);
/* As nipc__lane_source_read(). */
int nipc__lane_file_read(const struct nipc__lane_source *source, uint64_t offset, void *bytes,
                         size_t size);
