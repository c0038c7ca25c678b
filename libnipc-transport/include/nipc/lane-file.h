/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lanes after the fact: what is in a file that a pool was, or that a controller recorded, whatever
 * has become of the file meanwhile. Nobody need be alive, nothing is written, nothing in the file
 * is believed that was not checked, and what is damaged is passed over and said: doc/lane.md §8.
 * Of what carries CRC-32C, pools in files and recordings, only records are given out that somebody
 * wrote, none of them twice. For those who follow a pool that is in use: <nipc/lane.h>.
 *
 * How to use: nipc_lane_recovery_open() on a descriptor, or nipc_lane_recovery_new() on bytes; then
 * nipc_lane_recovery_next() until -ENODATA; nipc_lane_recovery_free(). To record: write what
 * nipc_lane_recording_begin() makes, then what nipc_lane_recording_put() makes of each record.
 *
 * Threading: a recovery is used by one thread at a time; nothing is shared between two of them.
 */

#include <nipc/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- recovery -------------------------------------------------------------------------------- */

/* Lives from open or new to free. Opaque. */
struct nipc_lane_recovery;

enum nipc_lane_skip {
        NIPC_LANE_SKIP_NONE = 0,
        NIPC_LANE_SKIP_HEADER = 1, /* the file's header; where its rings are was found otherwise */
        NIPC_LANE_SKIP_RING = 2,   /* a ring that says not, or wrongly, what it holds */
        NIPC_LANE_SKIP_RECORD = 3, /* bytes between whole records */
        NIPC_LANE_SKIP_CUT = 4,    /* the file ends at offset, so many bytes early */
};

/* One thing that was found. */
struct nipc_lane_piece {
        struct nipc_lane_record record; /* NIPC_LANE_SKIP_NONE; data borrowed until the next call */
        uint64_t offset;                /* in the file, of the record or of what was skipped */
        uint64_t length;                /* there, in bytes; of a gap 0 if it follows from numbers */
        uint32_t skip;                  /* enum nipc_lane_skip: bytes were skipped, no record */
        uint32_t is_consumed; /* 1: a controller had taken it, as far as the pool knows; else 0 */
};

struct nipc_lane_file_info {
        size_t size;           /* NIPC_LANE_FILE_INFO_INIT */
        uint32_t is_recording; /* 1; 0: a pool */
        uint32_t pid;          /* of the agent, as its system called it; 0: not known */
        uint64_t key;          /* of a recording */
        uint64_t time_ns;      /* of a recording: when it was begun, since 1970; 0: not known */
        uint32_t kind;         /* of a pool, as the rest: NIPC_LANE_INDEX, ... */
        uint32_t policy;
        uint32_t n_lanes; /* 0: not known, the header is damaged */
        uint32_t n_rings;
        uint32_t ring_bytes;
        uint32_t has_crc;
};

#define NIPC_LANE_FILE_INFO_INIT NIPC_INIT(struct nipc_lane_file_info)

/*
 * Looks at a file. fd: a regular file or a memfd, open for reading; duplicated. It may be in use:
 * then what is written meanwhile is found or not. Memory: at most one ring, and up to 64 bytes for
 * each ring that the file has. Blocks for the disk. Returns 0, -EBADMSG (nothing in it is a pool's
 * or a recording's), -EPROTONOSUPPORT (another byte order), -EINVAL, -ENOMEM, -EMFILE, and what
 * reading it said. ret_recovery: owned, release with free. Since: 0.1
 */
int nipc_lane_recovery_open(int fd, struct nipc_lane_recovery **ret_recovery);

/* The same of bytes, borrowed until free, which nobody changes meanwhile. Since: 0.1 */
int nipc_lane_recovery_new(const void *bytes, size_t size,
                           struct nipc_lane_recovery **ret_recovery);

/* Takes NULL. Returns NULL. Since: 0.1 */
struct nipc_lane_recovery *nipc_lane_recovery_free(struct nipc_lane_recovery *recovery);

/*
 * The next record, gap, or stretch that was skipped. Of a pool lane by lane, each lane's records in
 * order, consumed ones that are still there included; what is missing before a lane's first record
 * and after its last one is not told. Of a recording in the order in which they were recorded.
 * Returns 0, -ENODATA (that was all), -ENOMEM, and what reading the file said. Since: 0.1
 */
int nipc_lane_recovery_next(struct nipc_lane_recovery *recovery, struct nipc_lane_piece *ret_piece);

/* Returns 0, -EINVAL. Since: 0.1 */
int nipc_lane_recovery_get_info(const struct nipc_lane_recovery *recovery,
                                struct nipc_lane_file_info *ret_info);

/* ---- recordings ------------------------------------------------------------------------------ */

#define NIPC_LANE_RECORDING_HEADER_BYTES 128u
#define NIPC_LANE_RECORDING_FRAME_BYTES  32u
#define NIPC_LANE_RECORDING_MAX_BYTES    65568u /* of one record with its frame */

/*
 * What a recording begins with. key: any number that other recordings do not have. pid: the agent's
 * or 0. time_ns: since 1970, or 0. ret_bytes: NIPC_LANE_RECORDING_HEADER_BYTES. Since: 0.1
 */
void nipc_lane_recording_begin(uint64_t key, uint32_t pid, uint64_t time_ns, void *ret_bytes);

/*
 * A record, or a gap, as it stands at `offset` of the recording with that key: the number of bytes
 * that came before it. ret_bytes: size of them, of which as many are written as is returned.
 * Returns that, a multiple of 8, or -EINVAL: not as many as nipc_lane_recording_get_size().
 * Since: 0.1
 */
int nipc_lane_recording_put(uint64_t key, uint64_t offset, const struct nipc_lane_record *record,
                            void *ret_bytes, size_t size);

static inline uint32_t nipc_lane_recording_get_size(const struct nipc_lane_record *record)
{
        const uint32_t size = record->type == NIPC_LANE_GAP ? 16u : record->size;

        return NIPC_LANE_RECORDING_FRAME_BYTES + ((size + 7u) & ~UINT32_C(7));
}

#ifdef __cplusplus
}
#endif
