/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the two sides of a lane share, word by word (doc/lane.md §2), and the seam to the system:
 * the algorithm (lane.c, lane-reader.c, lane-parse.c) knows no system, memory and owners are of
 * linux/lane-memory.c and linux/lane-owner.c.
 */

#include "fork.h"
#include "stdaux.h"
#include <nipc/lane.h>
#include <stdatomic.h>

#define NIPC__LANE_MAGIC       UINT64_C(0x31656e616c63706e) /* "npclane1", little-endian */
#define NIPC__LANE_VERSION     1u
#define NIPC__LANE_RING_MAGIC  UINT32_C(0x474e524c) /* "LRNG" */
#define NIPC__LANE_PAGE        4096u
#define NIPC__LANE_MAX_LANES   4096u
#define NIPC__LANE_MIN_RINGS   3u
#define NIPC__LANE_MAX_RINGS   64u
#define NIPC__LANE_MAX_RING    (16u << 20)
#define NIPC__LANE_RING_HEADER 128u
#define NIPC__LANE_MAX_POOL    (UINT64_C(64) << 30)
#define NIPC__LANE_NONE        UINT32_MAX
#define NIPC__LANE_FLAG_CRC    1u
#define NIPC__LANE_HEAD        8u      /* of a record in a memfd */
#define NIPC__LANE_CRC_HEAD    16u     /* and in a file */
#define NIPC__LANE_DROPS       0xfffeu /* a record's type: so many are missing, u64 */

/* The low half of a lane's state word; above it is the epoch. */
enum {
        NIPC__LANE_FREE = 0,
        NIPC__LANE_INIT = 1,
        NIPC__LANE_LEASED = 2,
        NIPC__LANE_RETURNED = 3,
};

/* What `sleeps` says. */
enum {
        NIPC__LANE_AWAKE = 0,
        NIPC__LANE_SLEEPS_EVENTFD = 1,
        NIPC__LANE_SLEEPS_FUTEX = 2,
};

struct nipc__lane_owner {
        uint32_t pid;
        uint32_t reserved;
        uint64_t start_time; /* of the process, as the system counts; 0: not known */
        uint64_t pid_ns;     /* where the numbers are valid */
        uint8_t boot_id[16];
};

struct nipc__lane_header {
        uint64_t magic; /* written last */
        uint32_t version;
        uint32_t header_bytes;
        uint32_t n_lanes;
        uint32_t n_rings;
        uint32_t ring_bytes;
        uint32_t kind;
        uint32_t policy;
        uint32_t flags;
        uint64_t lane_bytes;
        struct nipc__lane_owner owner;
        uint8_t reserved[256 - 88];
        _Atomic uint32_t sleeps;
        uint8_t reserved_sleeps[60];
        _Atomic uint32_t is_closed;
};

/* Each group on lines of its own; who writes is said at each. */
struct nipc__lane_control {
        _Atomic uint64_t state; /* both, by exchange */
        _Atomic uint32_t tid;
        uint32_t reserved_tid;
        _Atomic uint64_t tid_start;
        uint8_t reserved_owner[40];
        /* the agent */
        _Atomic uint64_t active; /* entry, or 0 */
        _Atomic uint64_t previous;
        _Atomic uint64_t n_sent; /* before the ring in use, or ever when there is none */
        _Atomic uint64_t n_dropped;
        _Atomic uint64_t n_recycled;
        _Atomic uint64_t n_submitted;
        _Atomic uint64_t n_blocked;
        _Atomic uint64_t n_violations;
        _Atomic uint64_t generation;
        uint8_t reserved_agent[56];
        _Atomic uint64_t submit_tail; /* the agent */
        uint8_t reserved_tail[56];
        _Atomic uint64_t submit_head; /* both: position << 16 | index + 1 of the ring held */
        uint8_t reserved_head[56];
        _Atomic uint64_t free_head; /* the agent */
        uint8_t reserved_free[56];
        _Atomic uint64_t free_tail; /* the controller; a writer without a ring looks at it */
        uint8_t reserved_free_tail[56];
        _Atomic uint32_t mark; /* anybody, by exchange */
        uint8_t reserved_mark[60];
        _Atomic uint32_t blocked; /* the agent waits for a spare ring; futex */
        uint8_t reserved_blocked[60];
        _Atomic uint64_t consumed; /* the controller, with each record, and what follows */
        _Atomic uint64_t consumed_recycled;
        _Atomic uint64_t held_entry;
        _Atomic uint64_t reader_violations;
        uint8_t reserved_reader[416];
        _Atomic uint64_t submit[NIPC__LANE_MAX_RINGS]; /* entries: generation << 16 | index */
        _Atomic uint64_t spare[NIPC__LANE_MAX_RINGS];
};

struct nipc__lane_ring {
        uint32_t magic;
        uint32_t lane;
        uint32_t epoch;
        uint32_t index;
        uint64_t generation;
        uint64_t first;    /* sequence of its first record */
        uint64_t recycled; /* records of the lane that were recycled before it */
        uint32_t crc;      /* of the 32 bytes up to recycled; 0 in a memfd */
        uint32_t reserved;
        uint8_t reserved_line[16];
        _Atomic uint64_t published; /* records << 32 | bytes */
        uint8_t reserved_published[56];
};

_Static_assert(sizeof(struct nipc__lane_owner) == 40, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_header, lane_bytes) == 40, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_header, sleeps) == 256, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_header, is_closed) == 320, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, active) == 64, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, submit_tail) == 192, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, submit_head) == 256, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, free_head) == 320, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, free_tail) == 384, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, mark) == 448, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, blocked) == 512, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, consumed) == 576, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, submit) == 1024, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_control, spare) == 1536, "doc/lane.md §2");
_Static_assert(sizeof(struct nipc__lane_control) <= NIPC__LANE_PAGE, "doc/lane.md §2");
_Static_assert(offsetof(struct nipc__lane_ring, published) == 64, "doc/lane.md §2");
_Static_assert(sizeof(struct nipc__lane_ring) == NIPC__LANE_RING_HEADER, "doc/lane.md §2");

/* A pool's memory as one side has it; what is in it was checked, and is not read again. */
struct nipc__lane_memory {
        uint8_t *map;
        size_t size;
        int fd;
        int wake_fd;
        struct nipc__fault_entry *fault; /* of a file, whose pages somebody can take away */
        uint32_t n_lanes, n_rings, ring_bytes, kind, policy, flags;
        uint64_t lane_bytes;
        struct nipc__lane_owner owner;
};

static inline struct nipc__lane_header *nipc__lane_header(const struct nipc__lane_memory *memory)
{
        return (void *)memory->map;
}

static inline struct nipc__lane_control *nipc__lane_control(const struct nipc__lane_memory *memory,
                                                            uint32_t lane)
{
        return (void *)(memory->map + NIPC__LANE_PAGE + lane * memory->lane_bytes);
}

static inline struct nipc__lane_ring *nipc__lane_ring(const struct nipc__lane_memory *memory,
                                                      uint32_t lane, uint32_t index)
{
        return (void *)(memory->map + 2 * NIPC__LANE_PAGE + lane * memory->lane_bytes +
                        (uint64_t)index * memory->ring_bytes);
}

static inline uint8_t *nipc__lane_data(struct nipc__lane_ring *ring)
{
        return (uint8_t *)ring + NIPC__LANE_RING_HEADER;
}

static inline uint32_t nipc__lane_head_bytes(uint32_t flags)
{
        return flags & NIPC__LANE_FLAG_CRC ? NIPC__LANE_CRC_HEAD : NIPC__LANE_HEAD;
}

/* What a record takes of a ring. */
static inline uint32_t nipc__lane_total(uint32_t flags, uint32_t size)
{
        return (nipc__lane_head_bytes(flags) + size + 7) & ~UINT32_C(7);
}

/* By which records of one use of a ring are told from those of another. */
static inline uint32_t nipc__lane_key(uint32_t lane, uint32_t epoch, uint64_t generation)
{
        uint64_t x = generation * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)epoch << 32 ^ lane;

        return (uint32_t)((x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

/*
 * Store, full fence, load, as in linux/ring-words.h: the one side publishes and then looks whether
 * the other sleeps, that one says so and then looks once more. ThreadSanitizer knows no fences.
 */
#ifdef NIPC__THREAD_SANITIZER
#define NIPC__LANE_AFTER_FENCE           memory_order_seq_cst
#define nipc__lane_announce(word, value) ((void)atomic_exchange(word, value))
#else
#define NIPC__LANE_AFTER_FENCE memory_order_acquire
#define nipc__lane_announce(word, value)                                  \
        do {                                                              \
                atomic_store_explicit(word, value, memory_order_release); \
                atomic_thread_fence(memory_order_seq_cst);                \
        } while (0)
#endif

/* ---- lane-crc.c ------------------------------------------------------------------------------ */

/* CRC-32C (Castagnoli), of what follows bytes whose CRC is `crc`; 0: of nothing. */
uint32_t nipc__crc32c(uint32_t crc, const void *data, size_t size);

/* The same without the processor's help, for tests. */
uint32_t nipc__crc32c_table(uint32_t crc, const void *data, size_t size);

/* Over key, offset, the first word, the sequence and the bytes of a record. */
uint32_t nipc__lane_record_crc(uint32_t key, uint32_t offset, const uint8_t *record, uint32_t size);

/* ---- lane-parse.c ---------------------------------------------------------------------------- */

/* Reads the records of one ring from a copy of some of its bytes. */
struct nipc__lane_parser {
        const uint8_t *bytes;
        uint32_t offset; /* in the ring, of the first byte */
        uint32_t size;   /* how many there are */
        uint32_t pos;    /* where in them we are */
        uint32_t key;
        uint32_t flags;
        uint64_t sequence; /* of the record at pos; of a file: at least */
        uint64_t torn_bytes;
};

/*
 * The next whole record. Returns 0 and sets type, size and data, and sequence where the bytes say
 * it (else it is parser->sequence, which goes on); -EAGAIN: no more whole ones in these bytes.
 * After a torn record it looks for the next one, in files; elsewhere nothing more is found.
 */
int nipc__lane_parse(struct nipc__lane_parser *parser, bool is_last,
                     struct nipc_lane_record *ret_record);

/*
 * Whether a pool's header says what it may, and how many bytes the pool has then. Returns 0,
 * -EBADMSG, -EPROTONOSUPPORT (another version or byte order).
 */
int nipc__lane_check_header(const struct nipc__lane_header *header, uint64_t *ret_size);

/* ---- the system ------------------------------------------------------------------------------ */

/* Makes memory for a checked config. Returns 0 or an error of nipc_lane_pool_new(). */
int nipc__lane_memory_make(const struct nipc_lane_pool_config *config,
                           struct nipc__lane_memory *memory);
/* From the descriptors, which stay the caller's. */
int nipc__lane_memory_open(int fd, int wake_fd, struct nipc__lane_memory *memory);
int nipc__lane_memory_open_path(const char *path, struct nipc__lane_memory *memory);
void nipc__lane_memory_close(struct nipc__lane_memory *memory);
bool nipc__lane_memory_is_gone(const struct nipc__lane_memory *memory);

/* Ends what the reader said in `sleeps`. Keeps errno. */
void nipc__lane_wake(const struct nipc__lane_memory *memory, uint32_t how);
/* Waits for that. Returns 0, -ETIMEDOUT, -EINTR. */
int nipc__lane_sleep(const struct nipc__lane_memory *memory, uint64_t deadline_ns);
void nipc__lane_forget_wakes(const struct nipc__lane_memory *memory);
/* Waits while the word is 1. */
void nipc__lane_block(const _Atomic uint32_t *word, uint64_t deadline_ns);
void nipc__lane_unblock(const _Atomic uint32_t *word);

void nipc__lane_owner_init(struct nipc__lane_owner *owner);
/* The calling thread. */
void nipc__lane_owner_thread(uint32_t *ret_tid, uint64_t *ret_start_time);
/* Whether it is proven that no thread of the process, or that thread, is there any more. */
bool nipc__lane_owner_is_dead(const struct nipc__lane_owner *owner);
bool nipc__lane_thread_is_dead(const struct nipc__lane_owner *owner, uint32_t tid,
                               uint64_t start_time);

/* A slot per thread, of which `end` is called with what is in it when the thread ends. */
int nipc__lane_slot_new(void (*end)(void *), void **ret_slot);
void nipc__lane_slot_free(void *slot);
void *nipc__lane_slot_get(const void *slot);
int nipc__lane_slot_set(const void *slot, void *value);
