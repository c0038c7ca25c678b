/* SPDX-License-Identifier: MIT */

/* The sides of publication that are not hot. The argument is in publication.h. */

#include "publication.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CHUNK 8u /* snapshots; chosen, each further chunk has twice as many */

static int chunk_add(struct nipc__publication *publication)
{
        const uint32_t k = publication->n_chunks;
        size_t size;
        void *memory;

        if (k == NIPC__MAX_CHUNKS)
                return -ENOMEM;
        size = ((size_t)FIRST_CHUNK << k) * sizeof(struct nipc_cache_snapshot) + NIPC__CACHE_LINE;
        memory = calloc(1, size);
        if (!memory)
                return -ENOMEM;
        publication->chunk_memory[k] = memory;
        publication->chunks[k] = (void *)(((uintptr_t)memory + NIPC__CACHE_LINE - 1) &
                                          ~(uintptr_t)(NIPC__CACHE_LINE - 1));
        publication->n_used = 0;
        publication->n_chunks++;
        return 0;
}

/* A snapshot that was never used, of the last chunk. */
static int chunk_take(struct nipc__publication *publication,
                      struct nipc_cache_snapshot **ret_snapshot)
{
        struct nipc_cache_snapshot *snapshot;
        uint32_t id;
        int r;

        if (!publication->n_chunks ||
            publication->n_used == FIRST_CHUNK << (publication->n_chunks - 1)) {
                r = chunk_add(publication);
                if (r)
                        return r;
        }
        id = (publication->n_chunks - 1) << NIPC__CHUNK_SHIFT | publication->n_used++;
        snapshot = nipc__publication_find(publication, id);
        snapshot->id = id;
        atomic_init(&snapshot->held, 0);
        *ret_snapshot = snapshot;
        return 0;
}

int nipc__publication_init(struct nipc__publication *publication)
{
        struct nipc_cache_snapshot *none;

        *publication = (struct nipc__publication){0};
        atomic_init(&publication->word, 0);
        atomic_init(&publication->retired, NULL);
        /* The first one is id 0 and stays out of use. */
        return chunk_take(publication, &none);
}

void nipc__publication_deinit(struct nipc__publication *publication)
{
        uint32_t k, i;

        for (k = 0; k < publication->n_chunks; k++) {
                for (i = 0; i < FIRST_CHUNK << k; i++)
                        nipc__arena_deinit(&publication->chunks[k][i].arena);
                free(publication->chunk_memory[k]);
        }
        publication->n_chunks = 0;
}

void nipc__publication_collect(struct nipc__publication *publication, struct nipc__arena *spare)
{
        struct nipc_cache_snapshot *snapshot, *next;

        /* Pairs with the push in nipc__publication_retire(). */
        snapshot = atomic_exchange_explicit(&publication->retired, NULL, memory_order_acquire);
        for (; snapshot; snapshot = next) {
                next = snapshot->next;
                nipc__arena_adopt(spare, &snapshot->arena);
                nipc__publication_untake(publication, snapshot);
        }
}

int nipc__publication_take(struct nipc__publication *publication,
                           struct nipc_cache_snapshot **ret_snapshot)
{
        struct nipc_cache_snapshot *snapshot = publication->free_list;

        if (!snapshot)
                return chunk_take(publication, ret_snapshot);
        publication->free_list = snapshot->next;
        *ret_snapshot = snapshot;
        return 0;
}

void nipc__publication_untake(struct nipc__publication *publication,
                              struct nipc_cache_snapshot *snapshot)
{
        snapshot->next = publication->free_list;
        publication->free_list = snapshot;
}

void nipc__publication_publish(struct nipc__publication *publication,
                               struct nipc_cache_snapshot *snapshot)
{
        struct nipc_cache_snapshot *old;
        int64_t acquired, held;
        uint64_t word;

        /* Nobody else can reach it yet: the swap below is what publishes this store. */
        atomic_store_explicit(&snapshot->held, NIPC__HELD_BIAS, memory_order_relaxed);
        /* Release pairs with the add in nipc__publication_acquire(). */
        word = atomic_exchange_explicit(&publication->word, (uint64_t)snapshot->id << 32,
                                        memory_order_acq_rel);
        if (!(word >> 32))
                return;
        old = nipc__publication_find(publication, (uint32_t)(word >> 32));
        acquired = (int64_t)(word & UINT32_MAX);
        /* Pairs with nipc__publication_release(): theirs if it is the last, else ours. */
        held = atomic_fetch_add_explicit(&old->held, acquired - NIPC__HELD_BIAS,
                                         memory_order_acq_rel);
        if (held + acquired == NIPC__HELD_BIAS)
                nipc__publication_retire(publication, old);
}

void nipc__publication_fold(struct nipc__publication *publication, uint32_t id)
{
        struct nipc_cache_snapshot *snapshot = nipc__publication_find(publication, id);
        uint64_t word = atomic_load_explicit(&publication->word, memory_order_relaxed);

        /* No other id can take the place of ours and give it back: we count on it. */
        while ((uint32_t)(word >> 32) == id && (uint32_t)word >= NIPC__FOLD_THRESHOLD) {
                const int64_t acquired = (int64_t)(word & UINT32_MAX);

                /* Release: publish must not see the word without it. */
                atomic_fetch_add_explicit(&snapshot->held, acquired, memory_order_relaxed);
                if (atomic_compare_exchange_weak_explicit(&publication->word, &word,
                                                          (uint64_t)id << 32, memory_order_release,
                                                          memory_order_relaxed))
                        return;
                atomic_fetch_sub_explicit(&snapshot->held, acquired, memory_order_relaxed);
        }
}

void nipc__publication_retire(struct nipc__publication *publication,
                              struct nipc_cache_snapshot *snapshot)
{
        struct nipc_cache_snapshot *head =
                atomic_load_explicit(&publication->retired, memory_order_relaxed);

        /* Release pairs with the swap in nipc__publication_collect(). Only ever emptied as a
         * whole: a head that comes back is the head that was meant. */
        do
                snapshot->next = head;
        while (!atomic_compare_exchange_weak_explicit(&publication->retired, &head, snapshot,
                                                      memory_order_release, memory_order_relaxed));
}
