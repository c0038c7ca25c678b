/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lanes: one-way streams of small records from the threads of a traced program (the agent) to one
 * controller, in memory that both map. Neither waits for the other unless it was told to, and what
 * was written outlives the agent. Nothing goes back, nothing is asked, no session is needed: what
 * the two must share is a descriptor or a path. Layout and rules: doc/lane.md. Linux only so far.
 *
 * A pool is one memory with lanes of equal size. A lane belongs to one thread at a time and has a
 * few rings; the thread fills one, submits it, and takes a spare one that the controller gave back.
 *
 *   NIPC_LANE_INDEX   submits every ring that is full
 *   NIPC_LANE_DETAIL  submits a full ring only if the lane was marked, together with the one before
 *                     it; otherwise they are filled anew: it always holds the last moments
 *
 * How to use, agent: nipc_lane_pool_new(); in each thread nipc_lane_lease_thread(), once, then
 * nipc_lane_put() (inline) or nipc_lane_write() for every record; the lane is returned when the
 * thread ends. Controller: nipc_lane_reader_open() on the descriptor or
 * nipc_lane_reader_open_path(); nipc_lane_reader_next() until -EAGAIN; nipc_lane_reader_wait(); and
 * again.
 *
 * Writing makes no system call, takes no lock and allocates nothing, except that a ring that is
 * submitted wakes a controller that said it sleeps, and that NIPC_LANE_BLOCK blocks. A signal
 * handler may write to the lane of the thread it interrupts, whatever it interrupts.
 *
 * Threading: a lane is used by the thread that leased it and by its signal handlers; mark by any
 * thread. A pool may be used by any thread, and is freed when none uses it or its lanes. A reader
 * is used by one thread at a time; a pool has one reader at a time.
 *
 * fork: a child cannot write: -ECHILD, nothing is counted; it makes a pool of its own.
 */

#include <nipc/init.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the agent, lives from new to free. Opaque. */
struct nipc_lane_pool;
/* Of one thread, lives from lease to return; its memory belongs to the pool. Opaque. */
struct nipc_lane;
/* Of the controller, lives from open to close. Opaque. */
struct nipc_lane_reader;

enum nipc_lane_kind {
        NIPC_LANE_INDEX = 0,
        NIPC_LANE_DETAIL = 1,
};

/* What happens to a record when there is no spare ring. */
enum nipc_lane_policy {
        NIPC_LANE_DROP_NEWEST = 0,      /* it is dropped */
        NIPC_LANE_OVERWRITE_OLDEST = 1, /* the oldest submitted ring that nobody reads is */
        NIPC_LANE_BLOCK = 2,            /* its write waits for block_timeout_ms, then drops it */
};

/* Types of records are the user's, below this. */
#define NIPC_LANE_RESERVED_TYPES 0xff00u
/* Given out by a reader: records are missing here, see n_dropped and n_recycled. */
#define NIPC_LANE_GAP 0xffffu

#define NIPC_LANE_MAX_RECORD_BYTES 65528u

struct nipc_lane_pool_config {
        size_t size;      /* NIPC_LANE_POOL_CONFIG_INIT */
        const char *path; /* of a file to be made, mode 0600, records with CRC-32C; NULL: a memfd.
                             Borrowed during new */
        uint32_t kind;    /* NIPC_LANE_INDEX, NIPC_LANE_DETAIL */
        uint32_t policy;  /* NIPC_LANE_DROP_NEWEST, ... */
        uint32_t n_lanes; /* 1 to 4,096; 0: 16 */
        uint32_t n_rings; /* of a lane, 3 to 64; 0: 8 */
        uint32_t ring_bytes;       /* multiple of 4,096 up to 16 MiB; 0: 256 KiB */
        uint32_t block_timeout_ms; /* of NIPC_LANE_BLOCK; 0: 30,000 */
};

#define NIPC_LANE_POOL_CONFIG_INIT NIPC_INIT(struct nipc_lane_pool_config)

/* ---- the agent ------------------------------------------------------------------------------- */

/*
 * Makes the memory and reserves all of it. config may be NULL. Never blocks, but for the disk.
 * Returns 0, -EINVAL, -E2BIG, -ENOMEM, -EMFILE, -EEXIST (something is at path), -ENOSPC, or what
 * the system said of path. ret_pool: owned, release with free. Since: 0.1
 */
int nipc_lane_pool_new(const struct nipc_lane_pool_config *config,
                       struct nipc_lane_pool **ret_pool);

/*
 * Returns what lanes are still leased, whose threads must not write any more, and lets go of the
 * memory; a file stays. Takes NULL. Returns NULL. Since: 0.1
 */
struct nipc_lane_pool *nipc_lane_pool_free(struct nipc_lane_pool *pool);

/* The memory, for nipc_lane_reader_open(): to be inherited or sent. Borrowed. Since: 0.1 */
int nipc_lane_pool_get_fd(const struct nipc_lane_pool *pool);

/* The eventfd that wakes the reader, to go the same way. Borrowed. Since: 0.1 */
int nipc_lane_pool_get_wake_fd(const struct nipc_lane_pool *pool);

/*
 * Takes a lane that is free, to be returned with nipc_lane_return(). Returns 0, -EAGAIN (all are in
 * use, or wait for the controller to drain them), -ENOMEM, -ECHILD. Never blocks. Since: 0.1
 */
int nipc_lane_lease(struct nipc_lane_pool *pool, struct nipc_lane **ret_lane);

/* The calling thread's lane: leased at the first call, returned when the thread ends. Errors as
 * lease. Not for signal handlers. Since: 0.1 */
int nipc_lane_lease_thread(struct nipc_lane_pool *pool, struct nipc_lane **ret_lane);

/*
 * Submits what the lane holds (detail: if it was marked) and gives it back. Takes NULL. Returns
 * NULL. Since: 0.1
 */
struct nipc_lane *nipc_lane_return(struct nipc_lane *lane);

/*
 * Writes one record: a type below NIPC_LANE_RESERVED_TYPES and up to NIPC_LANE_MAX_RECORD_BYTES or
 * what a ring holds. Returns 0; -ENOBUFS: dropped, and counted; -ETIMEDOUT: the same, after waiting
 * (NIPC_LANE_BLOCK, the one that blocks); not counted: -EMSGSIZE, -EINVAL, -ECHILD, and -ESTALE
 * (the lane was given to somebody else). From a signal handler that interrupted a write it returns
 * 0 and the record follows that write, or -ENOBUFS when there is no room for it meanwhile.
 * Async-signal-safe. Since: 0.1
 */
int nipc_lane_write(struct nipc_lane *lane, uint32_t type, const void *data, uint32_t size);

/*
 * The same in place: gives a place for up to size bytes, which become a record with
 * nipc_lane_commit(). Between the two the thread's handlers may write, the thread not.
 * Returns as write; also -EBUSY (begun already). ret_data: 8-byte aligned, borrowed until commit.
 * Since: 0.1
 */
int nipc_lane_begin(struct nipc_lane *lane, uint32_t type, uint32_t size, void **ret_data);

/* size: at most what was begun, or nothing is written: -EINVAL. Returns 0. Since: 0.1 */
int nipc_lane_commit(struct nipc_lane *lane, uint32_t size);

/*
 * Something happened: what the ring in use and the one before it hold is to be submitted when the
 * ring is full. For detail lanes. Any thread; async-signal-safe. Since: 0.1
 */
void nipc_lane_mark(struct nipc_lane *lane);

/* Submits now what would be submitted once the ring is full. Returns 0, -EBUSY (a write is under
 * way), -ECHILD. Since: 0.1 */
int nipc_lane_flush(struct nipc_lane *lane);

/* Which one of the pool it is. Since: 0.1 */
uint32_t nipc_lane_get_index(const struct nipc_lane *lane);

/* Takes in what handlers wrote during a write. Called by nipc_lane_put(). Since: 0.1 */
void nipc_lane_settle(struct nipc_lane *lane);

/* ---- the agent, inline ----------------------------------------------------------------------- */

/* What a lane begins with. For nipc_lane_put() alone. */
struct nipc_lane_cursor {
        uint64_t word;       /* records in the ring << 32 | bytes in it: what is published next */
        uint64_t *published; /* in the ring: where that goes */
        uint8_t *data;
        uint32_t limit; /* bytes of the ring, or 0: nothing is written inline */
        uint32_t key;   /* of the ring */
        uint32_t busy;  /* a write is under way */
        uint32_t maker_value;
        uint64_t nested;            /* what handlers wrote meanwhile; 0: nothing */
        const uint32_t *maker_word; /* of the process that may write */
};

/*
 * nipc_lane_write() without a function call, unless the ring is full or file-backed. The same
 * results. The compiler sees `size` when it is a constant, and copies accordingly.
 */
static inline int nipc_lane_put(struct nipc_lane *lane, uint32_t type, const void *data,
                                uint32_t size)
{
#if defined(__GNUC__)
        struct nipc_lane_cursor *c = (struct nipc_lane_cursor *)(void *)lane;
        const uint32_t total = (size + 15u) & ~UINT32_C(7);
        uint64_t word;
        uint8_t *place;

        if (__builtin_expect(
                    __atomic_load_n(&c->busy, __ATOMIC_RELAXED) != 0 ||
                            __atomic_load_n(c->maker_word, __ATOMIC_RELAXED) != c->maker_value ||
                            type >= NIPC_LANE_RESERVED_TYPES || size > NIPC_LANE_MAX_RECORD_BYTES,
                    0))
                return nipc_lane_write(lane, type, data, size);
        /* A handler that comes from here on leaves the ring alone: doc/lane.md §5. */
        __atomic_store_n(&c->busy, 1, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        word = c->word;
        if (__builtin_expect((uint64_t)(uint32_t)word + total > c->limit, 0)) {
                __atomic_store_n(&c->busy, 0, __ATOMIC_RELAXED);
                __atomic_signal_fence(__ATOMIC_SEQ_CST);
                return nipc_lane_write(lane, type, data, size);
        }
        place = c->data + (uint32_t)word;
        {
                const uint32_t head[2] = {type | size << 16, c->key + (uint32_t)word};

                memcpy(place, head, sizeof(head));
        }
        if (size)
                memcpy(place + 8, data, size);
        word += (UINT64_C(1) << 32) + total;
        c->word = word;
        /* Pairs with the reader's load: doc/lane.md §4. */
        __atomic_store_n(c->published, word, __ATOMIC_RELEASE);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        __atomic_store_n(&c->busy, 0, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (__builtin_expect(__atomic_load_n(&c->nested, __ATOMIC_RELAXED) != 0, 0))
                nipc_lane_settle(lane);
        return 0;
#else
        return nipc_lane_write(lane, type, data, size);
#endif
}

/* ---- the controller -------------------------------------------------------------------------- */

struct nipc_lane_record {
        const void *data; /* borrowed until the next call for the reader */
        uint32_t size;
        uint32_t type;       /* the writer's, or NIPC_LANE_GAP */
        uint64_t sequence;   /* from 0 on in each lane, across epochs; of a gap, its first */
        uint64_t n_dropped;  /* of a gap: were lost here, by policy or damage */
        uint64_t n_recycled; /* of a gap: were let go, because nobody marked them */
        uint32_t lane;
        uint32_t epoch; /* of the lease; wraps */
        uint32_t tid;   /* of the lane's thread, as the agent's system calls it */
        uint32_t reserved;
};

struct nipc_lane_stats {
        size_t size;        /* NIPC_LANE_STATS_INIT */
        uint32_t is_leased; /* 1 or 0 */
        uint32_t epoch;     /* of the last lease */
        uint32_t tid;       /* of the last owner */
        uint32_t n_waiting; /* rings that are submitted and not taken */
        uint64_t n_sent;    /* so far, dropped ones included; the last ring's at its last publish */
        uint64_t n_dropped; /* of these, by policy, overwritten ones included */
        uint64_t n_recycled;   /* and those that nobody marked */
        uint64_t n_consumed;   /* how far the reader is in the stream */
        uint64_t n_submitted;  /* rings, ever */
        uint64_t n_blocked;    /* writes that waited */
        uint64_t n_violations; /* what one side found of the other that breaks the rules */
        uint64_t torn_bytes;   /* that were skipped, by this reader */
};

#define NIPC_LANE_STATS_INIT NIPC_INIT(struct nipc_lane_stats)

/*
 * Reads the lanes of a pool. fd: its memory, and wake_fd: its eventfd, or -1: waiting then takes a
 * futex and is not pollable; both are duplicated. Goes on where the last reader stopped.
 * Returns 0, -EBADMSG (no pool, or one that is not sealed against being cut), -EPROTONOSUPPORT
 * (another version or byte order), -ENOMEM, -EMFILE. ret_reader: owned. Since: 0.1
 */
int nipc_lane_reader_open(int fd, int wake_fd, struct nipc_lane_reader **ret_reader);

/* The same of a file, during and after the agent's life; also what open(2) says. Since: 0.1 */
int nipc_lane_reader_open_path(const char *path, struct nipc_lane_reader **ret_reader);

/* Takes NULL. Returns NULL. Since: 0.1 */
struct nipc_lane_reader *nipc_lane_reader_close(struct nipc_lane_reader *reader);

/*
 * Takes the next record; each lane's in order, the lanes in turn. With it the one before counts as
 * consumed: a reader that follows does not get it again. Never blocks. Returns 0, -EAGAIN.
 * What is in rings that are not submitted yet is found after a wait that found nothing else, once.
 * Since: 0.1
 */
int nipc_lane_reader_next(struct nipc_lane_reader *reader, struct nipc_lane_record *ret_record);

/*
 * Waits until next has something. Lanes of threads that died without returning them are drained and
 * freed from here. Returns 0; -EAGAIN or -ETIMEDOUT: not until the deadline (<nipc/clock.h>);
 * -EINTR; -EIO: the memory is gone. Since: 0.1
 */
int nipc_lane_reader_wait(struct nipc_lane_reader *reader, uint64_t deadline_ns);

/*
 * For a loop of one's own: true: next may have something; false: from here on the eventfd becomes
 * readable when a ring is submitted. Since: 0.1
 */
bool nipc_lane_reader_arm(struct nipc_lane_reader *reader);

/* A trigger fired: as nipc_lane_mark(). lane: below n_lanes, or UINT32_MAX: all. Returns 0,
 * -EINVAL. Since: 0.1 */
int nipc_lane_reader_mark(struct nipc_lane_reader *reader, uint32_t lane);

/* How many lanes the pool has. Since: 0.1 */
uint32_t nipc_lane_reader_get_n_lanes(const struct nipc_lane_reader *reader);

/* Live figures, or those of the end; also of a reader beside the one that reads, which does nothing
 * else. Returns 0, -EINVAL. Since: 0.1 */
int nipc_lane_reader_get_stats(struct nipc_lane_reader *reader, uint32_t lane,
                               struct nipc_lane_stats *ret_stats);

/* Whether the agent is known to have ended: nothing comes any more. Since: 0.1 */
bool nipc_lane_reader_is_orphan(struct nipc_lane_reader *reader);

#ifdef __cplusplus
}
#endif
