/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How a snapshot reaches readers and how it leaves: publish, acquire, release, without locks, and
 * without an allocation or a free by any reader.
 *
 * The count of those who hold a snapshot is split. One word says which snapshot is current and how
 * often it was acquired since; the snapshot itself counts, from BIAS down, how often it was let go:
 *
 *      word     | id of the current snapshot (32) | acquired since it was published (32) |
 *      held     BIAS + moved from the word - released        while it is current
 *               held by readers                              afterwards
 *
 * acquire    adds 1 to the word. Reading the id and counting are one step, so there is no moment in
 *            which the snapshot just read could go away.
 * publish    swaps the word, and moves what the old one counted into the old snapshot's `held`,
 *            taking BIAS off: what is left are its readers.
 * release    takes 1 off `held`. Who reaches 0 was the last: while a snapshot is current BIAS keeps
 *            it far above, later only the readers are left. publish itself is last if nobody is.
 * fold       before the word's count can overflow, an acquirer moves it into `held`. It adds first:
 *            counted twice a snapshot lives too long for a moment, counted nowhere it would die.
 *
 * The last one pushes the snapshot, memory and all, on a stack that the writer empties with one
 * swap before each refresh. A snapshot is thus reused only after the last release, by the writer,
 * never under a reader; and as ids are reused only then too, an id cannot change its meaning while
 * anybody who counted under it is not through.
 *
 * Every atomic and its partner:
 *   word: the swap in publish (release) with the add in acquire (acquire): the items are seen.
 *         The add is a read-modify-write: it and what follows it stay in that release sequence.
 *   held: each release and publish (acq_rel) with the one that reaches 0: all reading is over.
 *   retired: the push (release) with the swap in collect (acquire): the writer may reuse.
 *
 * Snapshots live in chunks that are never freed nor moved before the publication is; `chunks` is
 * written by the writer before the word that leads there is published, and needs no atomic.
 *
 * Threading: init, collect, take, publish, deinit by one thread at a time (the writer); acquire and
 * release by any. After fork() the child owns a copy; what threads of the parent held stays held.
 */

#include <nipc/cache.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader.h"
#include "table.h"

enum {
        NIPC__CACHE_LINE = 64,
        NIPC__MAX_CHUNKS = 20, /* of 8, 16, ...: 8 million snapshots held at once */
};

/* One line that readers only read, one that they count on. */
struct nipc_cache_snapshot {
        alignas(NIPC__CACHE_LINE) struct nipc__table table;

        alignas(NIPC__CACHE_LINE) _Atomic(int64_t) held;
        struct nipc_cache_snapshot *next; /* retired, or free: of whoever owns that list */
        struct nipc__arena arena;
        uint64_t generation;
        uint32_t flags;
        uint32_t id;
};

_Static_assert(offsetof(struct nipc_cache_snapshot, held) == NIPC__CACHE_LINE,
               "what a lookup reads is one line");
_Static_assert(sizeof(struct nipc_cache_snapshot) == 2 * NIPC__CACHE_LINE, "no third line");

struct nipc__publication {
        /* Read by all, written when a chunk is added. Ids: 5 bits chunk, 27 bits within. */
        struct nipc_cache_snapshot *chunks[NIPC__MAX_CHUNKS];
        void *chunk_memory[NIPC__MAX_CHUNKS];

        /* The writer's. */
        struct nipc_cache_snapshot *free_list;
        uint32_t n_chunks;
        uint32_t n_used; /* of the last chunk */

        /* Written by every reader: apart from what is only read, whatever this struct is put in. */
        char padding_before[NIPC__CACHE_LINE];
        _Atomic(uint64_t) word;
        char padding_after[NIPC__CACHE_LINE];
        _Atomic(struct nipc_cache_snapshot *) retired;
};

#define NIPC__HELD_BIAS      (INT64_C(1) << 62)
#define NIPC__FOLD_THRESHOLD (UINT32_C(1) << 31)
#define NIPC__CHUNK_SHIFT    27

/* Nothing is published yet: acquire returns NULL. Returns 0 or -ENOMEM. */
int nipc__publication_init(struct nipc__publication *publication);

/* Frees every snapshot; nobody may hold one. May be all zero. */
void nipc__publication_deinit(struct nipc__publication *publication);

/* Takes back what nobody holds any more; the best of its memory goes to `spare`. */
void nipc__publication_collect(struct nipc__publication *publication, struct nipc__arena *spare);

/* A snapshot to fill in and publish; must be. Returns 0 or -ENOMEM. */
int nipc__publication_take(struct nipc__publication *publication,
                           struct nipc_cache_snapshot **ret_snapshot);

/* Gives back what was taken, unpublished and without memory of its own. */
void nipc__publication_untake(struct nipc__publication *publication,
                              struct nipc_cache_snapshot *snapshot);

/* Makes a taken snapshot the current one. */
void nipc__publication_publish(struct nipc__publication *publication,
                               struct nipc_cache_snapshot *snapshot);

/* Moves the word's count to the snapshot `id`, which the caller counts on. */
void nipc__publication_fold(struct nipc__publication *publication, uint32_t id);

/* Puts a snapshot that nobody holds on the stack. */
void nipc__publication_retire(struct nipc__publication *publication,
                              struct nipc_cache_snapshot *snapshot);

static inline struct nipc_cache_snapshot *nipc__publication_find(
        const struct nipc__publication *publication, uint32_t id)
{
        return &publication->chunks[id >> NIPC__CHUNK_SHIFT]
                                   [id & ((UINT32_C(1) << NIPC__CHUNK_SHIFT) - 1)];
}

/* Id 0 is what is current before anything is published: it counts, and holds nothing. */
static inline struct nipc_cache_snapshot *nipc__publication_acquire(
        struct nipc__publication *publication)
{
        /* Pairs with the swap in nipc__publication_publish(). */
        const uint64_t word =
                atomic_fetch_add_explicit(&publication->word, 1, memory_order_acquire);
        const uint32_t id = (uint32_t)(word >> 32);

        if (NIPC__UNLIKELY((uint32_t)word >= NIPC__FOLD_THRESHOLD))
                nipc__publication_fold(publication, id);
        if (NIPC__UNLIKELY(!id))
                return NULL;
        return nipc__publication_find(publication, id);
}

/* snapshot: acquired and not NULL. */
static inline void nipc__publication_release(struct nipc__publication *publication,
                                             struct nipc_cache_snapshot *snapshot)
{
        /* Pairs with the other releases and publish: the last one comes after all reading. */
        if (NIPC__UNLIKELY(atomic_fetch_sub_explicit(&snapshot->held, 1, memory_order_acq_rel) ==
                           1))
                nipc__publication_retire(publication, snapshot);
}

/* Whether anything was ever published. */
static inline bool nipc__publication_has_current(const struct nipc__publication *publication)
{
        return atomic_load_explicit(&publication->word, memory_order_relaxed) >> 32;
}
