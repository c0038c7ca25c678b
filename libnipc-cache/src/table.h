/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The immutable index of one snapshot: (hash, name) to item. Built once by its only owner, then
 * read by any number of threads that were handed it; it has no state of its own and no locks.
 *
 * A lookup normally costs three cache lines: the group that the mixed hash names (tags and slots
 * share it), the item, and the rest of its name, which lies right behind the item. Groups that
 * overflowed say so; a lookup ends at the first that did not.
 *
 * The hash comes from the provider and may be anything, so it is mixed before use, and the build
 * watches how much work its insertions are. When too many keys meet in one place it starts again
 * with an index that takes the name in as well, under a seed that nobody outside can know. Without
 * memory for an index, or with more items than it is made for, lookup scans: slow, never wrong.
 */

#include <nipc/cache.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "group.h"
#include "stdaux.h"

_Static_assert(offsetof(struct nipc_cache_item, hash) == 0 &&
                       offsetof(struct nipc_cache_item, name_len) == 4,
               "read as one word, see nipc__table_item_head()");

/*
 * Fits a cache line: all that a lookup reads besides groups and items. Only an index by hash, with
 * slots that count from base, is in `groups`. In place of any other there is one group without
 * tags that is marked as spilled: the short way ends there without having to ask.
 */
struct nipc__table {
        const struct nipc__group *groups;
        const char *base;     /* slots count from here in units of NIPC__ITEM_ALIGNMENT */
        uint32_t group_mask;  /* of `groups`, a power of two less 1 */
        uint32_t name_offset; /* of the name from its item */

        const struct nipc_cache_item *const *items; /* snapshot order */
        uint32_t n_items;
        bool by_name;      /* the name is mixed in */
        bool scattered;    /* slots are indices of items: one base cannot reach them all */
        uint32_t all_mask; /* of all_groups */
        const struct nipc__group *all_groups; /* whatever the index is; NULL: scan */
        uint64_t seed;
};

enum {
        NIPC__ITEM_ALIGNMENT = 8,
};

/*
 * How many groups an index of n_items has: a power of two with 5 of 12 slots in use at most, on
 * average. Returns 0 for none: no items, or more than UINT32_MAX / 2 (cache §1).
 */
uint32_t nipc__table_groups_for(uint32_t n_items);

/*
 * Indexes table->items. table: name_offset, n_items, items and scattered are set, the rest is made
 * here; it also makes anew what was made before.
 * groups: nipc__table_groups_for(n_items) of them, on a cache line, contents undefined, borrowed
 * for the life of the table; NULL for none. Cannot fail.
 */
void nipc__table_build(struct nipc__table *table, struct nipc__group *groups);

/* Any lookup in any table: what nipc__table_lookup() leaves aside. */
const struct nipc_cache_item *nipc__table_lookup_general(const struct nipc__table *table,
                                                         uint32_t hash, const char *name,
                                                         size_t name_len);

/* Upper half and top byte depend on every bit of the hash: 2^64 divided by the golden ratio. */
static inline uint64_t nipc__table_mix(uint32_t hash)
{
        return hash * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint32_t nipc__table_first_group(uint64_t mixed, uint32_t mask)
{
        return (uint32_t)(mixed >> 32) & mask;
}

/*
 * Any byte, 0 as well, which free slots have too: a lookup that takes a free slot for a candidate
 * finds the item of slot value 0, the first of all, and compares it like any other. One key in 256
 * pays for that, and no key for avoiding it.
 */
static inline uint8_t nipc__table_tag(uint64_t mixed)
{
        return (uint8_t)(mixed >> 56);
}

/* Hash and length as they begin an item: one comparison for both. */
static inline uint64_t nipc__table_item_head(uint32_t hash, size_t name_len)
{
        const uint32_t head[2] = {hash, (uint32_t)name_len};

        return nipc__native_u64(head);
}

/* head: of the key, whose length may not even fit an item's. */
static inline bool nipc__table_item_is(const struct nipc_cache_item *item, uint64_t head,
                                       const char *name, size_t name_len, uint32_t name_offset)
{
        return nipc__native_u64(item) == head &&
               nipc__bytes_equal((const char *)item + name_offset, name, name_len);
}

/*
 * The first item in snapshot order with this key, or NULL. name_offset: table->name_offset, a
 * constant to some.
 *
 * What nearly every lookup is: one group, one candidate that is right or none, a name of 64 bytes
 * at most. All else is left to the other function, which begins again: without loops and calls
 * this one fits the registers that need no saving.
 */
static inline const struct nipc_cache_item *nipc__table_lookup(const struct nipc__table *table,
                                                               uint32_t hash, const char *name,
                                                               size_t name_len,
                                                               uint32_t name_offset)
{
        const uint64_t mixed = nipc__table_mix(hash);
        const struct nipc__group *group =
                &table->groups[nipc__table_first_group(mixed, table->group_mask)];
        const uint32_t matches = nipc__group_match(group, nipc__table_tag(mixed));
        const struct nipc_cache_item *item;

        if (matches) {
                const size_t slot = group->slots[__builtin_ctz(matches)];

                item = (const void *)(table->base + slot * NIPC__ITEM_ALIGNMENT);
                if (NIPC__LIKELY(nipc__native_u64(item) == nipc__table_item_head(hash, name_len))) {
                        if (NIPC__LIKELY(name_len <= NIPC__SHORT_NAME) && NIPC__LIKELY(name) &&
                            NIPC__LIKELY(nipc__short_equal((const char *)item + name_offset, name,
                                                           name_len)))
                                return item;
                        return nipc__table_lookup_general(table, hash, name, name_len);
                }
        }
        if (NIPC__LIKELY(!nipc__group_has_spilled(group) && !(matches & (matches - 1))))
                return NULL;
        return nipc__table_lookup_general(table, hash, name, name_len);
}
