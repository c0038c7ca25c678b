/* SPDX-License-Identifier: MIT */

/* Publishing, holding and letting go: by one thread step by step, and by many at once. */

#include <pthread.h>
#include <publication.h>
#include <stdatomic.h>

#include "util-alloc.h"
#include "util-items.h"

/* What a refresh does, without a client: n_items items that all carry the generation. */
static int publish(struct nipc__publication *publication, struct nipc__arena *spare,
                   uint64_t generation, uint32_t n_items)
{
        struct nipc_cache_snapshot *snapshot;
        struct nipc_cache_loader loader;
        uint32_t i;
        int r;

        nipc__publication_collect(publication, spare);
        r = nipc__publication_take(publication, &snapshot);
        if (r)
                return r;
        nipc__loader_init(&loader, sizeof(struct item), spare);
        r = nipc_cache_loader_begin(&loader, n_items, (size_t)n_items * 100);
        for (i = 0; r == 0 && i < n_items; i++) {
                char name[64];
                size_t len = item_name(i, name);
                struct item *item;
                void *added;

                r = nipc_cache_loader_add(&loader, hash_djb2(i, name), name, len, &added);
                if (r == 0) {
                        item = added;
                        item->number = (uint32_t)generation;
                        r = nipc_cache_loader_copy(&loader, name, len, &item->note);
                }
        }
        if (r) {
                nipc__loader_deinit(&loader, spare);
                nipc__publication_untake(publication, snapshot);
                return r;
        }
        snapshot->generation = generation;
        nipc__loader_finish(&loader, &snapshot->table, &snapshot->arena);
        nipc__publication_publish(publication, snapshot);
        return 0;
}

/* Everything in the snapshot is of its generation. */
static bool consistent(const struct nipc_cache_snapshot *snapshot)
{
        const struct items items = {.table = snapshot->table};
        const struct item *item;
        char name[64];
        uint32_t i;

        for (i = 0; i < snapshot->table.n_items; i++) {
                item = items_find(&items, i, hash_djb2);
                item_name(i, name);
                if (!item || item != (const void *)snapshot->table.items[i] ||
                    item->number != (uint32_t)snapshot->generation || strcmp(item->note, name) != 0)
                        return tap_fail("item %u of generation %u is wrong", i,
                                        (unsigned)snapshot->generation);
        }
        return true;
}

static unsigned count_retired(struct nipc__publication *publication)
{
        const struct nipc_cache_snapshot *snapshot;
        unsigned n = 0;

        for (snapshot = atomic_load(&publication->retired); snapshot; snapshot = snapshot->next)
                n++;
        return n;
}

static void test_nothing_published(void)
{
        struct nipc__publication publication;
        struct nipc__arena spare = {0};
        unsigned i;

        tap_require(nipc__publication_init(&publication) == 0);
        tap_check(!nipc__publication_has_current(&publication));
        for (i = 0; i < 10; i++)
                tap_check(nipc__publication_acquire(&publication) == NULL);
        tap_eq_int(publish(&publication, &spare, 1, 3), 0);
        tap_check(nipc__publication_has_current(&publication));
        tap_eq_uint(count_retired(&publication), 0);
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

static void test_held_snapshot_stays(void)
{
        struct nipc__publication publication;
        struct nipc_cache_snapshot *first, *again, *second;
        struct nipc__arena spare = {0};
        uint64_t generation;

        tap_require(nipc__publication_init(&publication) == 0);
        tap_eq_int(publish(&publication, &spare, 1, 20), 0);
        first = nipc__publication_acquire(&publication);
        again = nipc__publication_acquire(&publication);
        tap_eq_ptr(first, again);
        for (generation = 2; generation < 12; generation++)
                tap_eq_int(publish(&publication, &spare, generation, 20), 0);
        second = nipc__publication_acquire(&publication);
        tap_check(second != first);
        tap_eq_uint(second->generation, 11);
        tap_check(consistent(first) && consistent(second));
        tap_eq_uint(first->generation, 1);

        nipc__publication_release(&publication, first);
        tap_check(consistent(again));
        tap_eq_uint(count_retired(&publication), 1); /* generation 10 */
        nipc__publication_release(&publication, again);
        tap_eq_uint(count_retired(&publication), 2);
        nipc__publication_release(&publication, second);
        tap_eq_uint(count_retired(&publication), 2);
        tap_eq_uint(publication.n_used, 4); /* none, held, and two in turn */
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

/* Many generations held at once: more chunks, all whole, all memory comes back. */
static void test_many_held(void)
{
        enum { N = 300 };
        struct nipc__publication publication;
        struct nipc_cache_snapshot *held[N];
        struct nipc__arena spare = {0};
        unsigned i;

        tap_require(nipc__publication_init(&publication) == 0);
        for (i = 0; i < N; i++) {
                tap_eq_int(publish(&publication, &spare, i, 5), 0);
                held[i] = nipc__publication_acquire(&publication);
        }
        tap_check(publication.n_chunks > 4);
        for (i = 0; i < N; i++) {
                tap_eq_uint(held[i]->generation, i);
                tap_eq_uint((uintptr_t)held[i] % NIPC__CACHE_LINE, 0);
                tap_check(consistent(held[i]));
        }
        for (i = 0; i < N; i++)
                nipc__publication_release(&publication, held[i]);
        tap_eq_uint(count_retired(&publication), N - 1);
        tap_eq_int(publish(&publication, &spare, N, 5), 0);
        tap_eq_uint(count_retired(&publication), 1);
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

/* As if the current snapshot had been acquired and released n times more than it was. */
static void pretend_use(struct nipc__publication *publication, uint32_t n)
{
        const uint64_t word = atomic_fetch_add(&publication->word, n);

        atomic_fetch_sub(&nipc__publication_find(publication, (uint32_t)(word >> 32))->held, n);
}

static void test_count_is_folded(void)
{
        struct nipc__publication publication;
        struct nipc_cache_snapshot *before, *after;
        struct nipc__arena spare = {0};
        unsigned i;

        tap_require(nipc__publication_init(&publication) == 0);
        tap_eq_int(publish(&publication, &spare, 1, 5), 0);
        before = nipc__publication_acquire(&publication);
        for (i = 0; i < 5; i++) {
                pretend_use(&publication, NIPC__FOLD_THRESHOLD - 1);
                after = nipc__publication_acquire(&publication);
                tap_eq_ptr(after, before);
                nipc__publication_release(&publication, after);
                tap_check((uint32_t)atomic_load(&publication.word) < 10 ||
                          (uint32_t)atomic_load(&publication.word) >= NIPC__FOLD_THRESHOLD - 1);
                after = nipc__publication_acquire(&publication);
                nipc__publication_release(&publication, after);
                tap_check((uint32_t)atomic_load(&publication.word) < 10);
        }
        tap_eq_int(publish(&publication, &spare, 2, 5), 0);
        tap_eq_uint(count_retired(&publication), 0);
        tap_check(consistent(before));
        nipc__publication_release(&publication, before);
        tap_eq_uint(count_retired(&publication), 1);
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

/* Before anything is published there is a count, too. */
static void test_empty_count_is_folded(void)
{
        struct nipc__publication publication;
        struct nipc__arena spare = {0};
        unsigned i;

        tap_require(nipc__publication_init(&publication) == 0);
        for (i = 0; i < 3; i++) {
                atomic_fetch_add(&publication.word, NIPC__FOLD_THRESHOLD);
                tap_check(nipc__publication_acquire(&publication) == NULL);
                tap_eq_uint(atomic_load(&publication.word), 0);
        }
        tap_eq_int(publish(&publication, &spare, 1, 5), 0);
        tap_eq_int(publish(&publication, &spare, 2, 5), 0);
        tap_eq_uint(count_retired(&publication), 1);
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

static void test_out_of_memory(void)
{
        struct nipc__publication publication;
        struct nipc_cache_snapshot *held[40];
        struct nipc__arena spare = {0};
        unsigned i, n_held = 0, n_failed = 0;

        alloc_arm(1);
        tap_eq_int(nipc__publication_init(&publication), -ENOMEM);
        nipc__publication_deinit(&publication);
        alloc_arm(0);
        tap_require(nipc__publication_init(&publication) == 0);
        for (i = 0; i < 40; i++) {
                alloc_arm(1 + i % 3);
                n_failed += publish(&publication, &spare, i, 5) != 0;
                alloc_arm(0);
                held[n_held] = nipc__publication_acquire(&publication);
                n_held += held[n_held] != NULL;
        }
        tap_check(n_failed > 0 && n_held > 20);
        for (i = 0; i < n_held; i++) {
                tap_check(consistent(held[i]));
                nipc__publication_release(&publication, held[i]);
        }
        nipc__publication_deinit(&publication);
        nipc__arena_deinit(&spare);
}

struct shared {
        struct nipc__publication publication;
        atomic_bool done;
        atomic_uint n_ready; /* readers that have seen something */
};

/* Holds up to two snapshots at a time; generations never go back. */
static void *read_snapshots(void *userdata)
{
        struct nipc_cache_snapshot *snapshot, *older = NULL;
        struct shared *shared = userdata;
        uint64_t last = 0;
        bool ready = false;

        while (!atomic_load(&shared->done)) {
                snapshot = nipc__publication_acquire(&shared->publication);
                if (!snapshot)
                        continue;
                if (!tap_check(snapshot->generation >= last) || !consistent(snapshot))
                        atomic_store(&shared->done, true);
                last = snapshot->generation;
                if (older) {
                        if (!consistent(older))
                                atomic_store(&shared->done, true);
                        nipc__publication_release(&shared->publication, older);
                }
                older = snapshot;
                if (!ready)
                        atomic_fetch_add(&shared->n_ready, 1);
                ready = true;
        }
        if (older)
                nipc__publication_release(&shared->publication, older);
        return NULL;
}

static void test_threads(void)
{
        enum { N_READERS = 4, N_GENERATIONS = 5000 };
        struct nipc__arena spare = {0};
        static struct shared shared;
        pthread_t readers[N_READERS];
        uint64_t generation;
        unsigned i;

        tap_require(nipc__publication_init(&shared.publication) == 0);
        for (i = 0; i < N_READERS; i++)
                tap_require(pthread_create(&readers[i], NULL, read_snapshots, &shared) == 0);
        for (generation = 1;
             generation <= N_GENERATIONS || atomic_load(&shared.n_ready) < N_READERS;
             generation++) {
                if (atomic_load(&shared.done))
                        break;
                tap_eq_int(publish(&shared.publication, &spare, generation, 1 + generation % 30),
                           0);
        }
        atomic_store(&shared.done, true);
        for (i = 0; i < N_READERS; i++)
                pthread_join(readers[i], NULL);
        /* None was lost: all but the current one are retired or free. */
        nipc__publication_collect(&shared.publication, &spare);
        for (i = 0; shared.publication.free_list;
             shared.publication.free_list = shared.publication.free_list->next)
                i++;
        tap_eq_uint(shared.publication.n_chunks, 1 + (shared.publication.n_chunks > 1));
        tap_eq_uint(i, shared.publication.n_used + (shared.publication.n_chunks > 1 ? 8 : 0) - 2);
        nipc__publication_deinit(&shared.publication);
        nipc__arena_deinit(&spare);
}

TAP_MAIN(TAP_CASE(test_nothing_published), TAP_CASE(test_held_snapshot_stays),
         TAP_CASE(test_many_held), TAP_CASE(test_count_is_folded),
         TAP_CASE(test_empty_count_is_folded), TAP_CASE(test_out_of_memory), TAP_CASE(test_threads))
