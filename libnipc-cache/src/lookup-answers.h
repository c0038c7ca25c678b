/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a cache of lookups knows and for how long: the table, the rules of age and generation, the
 * bounds. It asks nobody; it says what is wanted and takes answers.
 *
 * Items that were handed out stay where they are until begin. An eighth of max_bytes is for keys
 * that are wanted and never for items, so that what is new can always be asked for.
 */

#include <nipc/lookup-cache.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lookup-table.h"

struct nipc__lookup_counters {
        uint64_t n_hits;
        uint64_t n_misses;
        uint64_t n_stale;
        uint64_t n_forgotten;
};

struct nipc__answers {
        struct nipc__lookup_table table;
        uint64_t now_ms;
        struct nipc__lookup_counters counters; /* of keys that were looked up */
        uint16_t epoch; /* one more with each resolve or sweep; entries keep its low bits */

        const struct nipc_lookup_class *class_;
        struct nipc_lookup_cache_config config; /* without zeroes */
        uint32_t max_entries;
        uint64_t n_bytes;
        uint64_t n_key_bytes; /* of n_bytes: keys that were never answered */
        uint64_t generation;
        bool has_generation;

        uint32_t n_items; /* KEPT and DEAD */
        uint32_t n_dead;
        uint32_t n_borrowed;
        uint32_t purge_at;
        uint32_t evict_at;
        /* Of looking for what may go: how old it must be, entries looked at since that changed. */
        uint16_t evict_age;
        uint32_t n_looked_at;

        uint64_t n_expired;
        uint64_t n_evictions;
        uint64_t n_not_kept;
        uint64_t n_generations;
};

/*
 * config: without zeroes. n_bytes: of what they lie in; it counts. Returns 0, -ENOMEM, or
 * -EINVAL when max_bytes is not even enough for that.
 */
int nipc__answers_init(struct nipc__answers *answers, const struct nipc_lookup_class *class_,
                       const struct nipc_lookup_cache_config *config, uint64_t n_bytes);

void nipc__answers_deinit(struct nipc__answers *answers);

/* Any key, any state of it. ret_r: NULL, or 0 when the item is fresh, 1 when the key is wanted
 * (there may be an older item), or why it cannot be: -EINVAL, -EMSGSIZE, -ENOMEM. */
struct nipc_lookup_item nipc__answers_get(struct nipc__answers *answers, const void *key,
                                          size_t size, int *ret_r);

/* The same when the key was hashed and is not simply there. */
struct nipc_lookup_item nipc__answers_get_probed(struct nipc__answers *answers,
                                                 const struct nipc__lookup_probe *probe,
                                                 int *ret_r);

/* Before a resolve or sweep: reclaims what may not be had any more. */
void nipc__answers_begin(struct nipc__answers *answers);

/* Lets go of answers that are the client's: it is about to be called. */
void nipc__answers_release(struct nipc__answers *answers);

/*
 * Takes the answers to the first view->item_count keys of table.wanted. Returns whether all that
 * was known was dropped for it. Cannot fail: what there is no room for is borrowed.
 */
bool nipc__answers_put(struct nipc__answers *answers, const struct nipc_lookup_view *view);

/* After a resolve or sweep: what was asked for until now has no more privilege. */
void nipc__answers_end(struct nipc__answers *answers);

void nipc__answers_forget(struct nipc__answers *answers, const void *key, size_t size);

static inline bool nipc__answers_is_key(const struct nipc__answers *answers, const void *key,
                                        size_t size)
{
        return key && (answers->table.key_size ? size == answers->table.key_size : size != 0);
}

/* A hit: one write at most to the entry in each epoch. */
static inline struct nipc_lookup_item nipc__answers_hit(struct nipc__answers *answers,
                                                        struct nipc__lookup_entry *entry)
{
        struct nipc_lookup_item item;

        if (entry->seen != answers->epoch)
                entry->seen = answers->epoch;
        answers->counters.n_hits++;
        item.bytes = entry->bytes;
        item.size = entry->size;
        return item;
}
