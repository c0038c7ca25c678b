/* SPDX-License-Identifier: MIT */

/*
 * Building the index, and the lookups that are not the common case. See table.h.
 *
 * A key is stored once, for its first item: a later duplicate meets it on its own probe path and is
 * left out, so duplicates cost no slot and lookup finds the first. A group never loses items, so
 * whatever stopped one insertion at a full group stops each later one and each lookup there too.
 */

#include "table.h"

#include <nipc/entropy.h>
#include <string.h>

enum {
        /*
         * On average at most, of 12: 1 group in 500 spills at 5, and 1 in 16 at 8, which a lookup
         * in 1,000 items pays with half a nanosecond. Measured with bench-cache.
         */
        ITEMS_PER_GROUP = 5,
        /*
         * What one insertion may look at before the hash is given up. With tags of 8 bits and an
         * even spread both are beyond anything that chance does within 2^31 items.
         */
        MAX_CANDIDATES = 8,
        MAX_GROUPS = 8,
        /* Seeds to try by name; the last is kept whatever it costs. */
        MAX_SEEDS = 4,
};

uint32_t nipc__table_groups_for(uint32_t n_items)
{
        uint32_t n = 1;

        if (n_items == 0 || n_items > UINT32_MAX / 2)
                return 0;
        while ((uint64_t)n * ITEMS_PER_GROUP < n_items)
                n *= 2;
        return n;
}

static uint64_t mix_word(uint64_t state, uint64_t word)
{
        state = (state ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        return state ^ state >> 32;
}

/* All of the key; reads no byte beyond the name. */
static uint64_t mix_name(uint64_t seed, uint32_t hash, const char *name, size_t n)
{
        uint64_t state = mix_word(seed ^ hash, n);
        uint64_t tail = 0;

        for (; n >= 8; n -= 8, name += 8)
                state = mix_word(state, nipc__native_u64(name));
        memcpy(&tail, name, n);
        /* Once more for the upper half, from which group and tag are taken. */
        return mix_word(mix_word(state, tail), seed);
}

static uint64_t key_mix(const struct nipc__table *table, uint32_t hash, const char *name,
                        size_t name_len)
{
        return table->by_name ? mix_name(table->seed, hash, name, name_len) : nipc__table_mix(hash);
}

static const struct nipc_cache_item *slot_item(const struct nipc__table *table, uint32_t slot)
{
        if (table->scattered)
                return table->items[slot];
        return (const void *)(table->base + (size_t)slot * NIPC__ITEM_ALIGNMENT);
}

static uint32_t slot_of(const struct nipc__table *table, uint32_t index)
{
        const char *item = (const char *)table->items[index];

        if (table->scattered)
                return index;
        return (uint32_t)((size_t)(item - table->base) / NIPC__ITEM_ALIGNMENT);
}

/* Whether an item of this key is in the group already. Counts what it had to look at. */
static bool group_has(const struct nipc__table *table, const struct nipc__group *group, uint8_t tag,
                      const struct nipc_cache_item *item, unsigned *n_candidates)
{
        const char *name = (const char *)item + table->name_offset;
        uint32_t matches = nipc__group_match(group, tag) & ((1u << group->count) - 1);

        for (; matches; matches &= matches - 1) {
                const uint32_t slot = group->slots[__builtin_ctz(matches)];

                if (nipc__table_item_is(slot_item(table, slot), nipc__native_u64(item), name,
                                        item->name_len, table->name_offset))
                        return true;
                ++*n_candidates;
        }
        return false;
}

static inline void group_add(struct nipc__group *group, uint8_t tag, uint32_t slot)
{
        group->tags[group->count] = tag;
        group->slots[group->count++] = slot;
}

/* Adds an item unless an equal one is there. Returns false if that was too much work. */
static bool insert(const struct nipc__table *table, struct nipc__group *groups, uint32_t index,
                   uint64_t mixed)
{
        const struct nipc_cache_item *item = table->items[index];
        const uint8_t tag = nipc__table_tag(mixed);
        uint32_t g = nipc__table_first_group(mixed, table->all_mask);
        unsigned n_groups = 1, n_candidates = 0;

        for (;; g = (g + 1) & table->all_mask, n_groups++) {
                if (group_has(table, &groups[g], tag, item, &n_candidates))
                        return true;
                if (groups[g].count < NIPC__GROUP_SLOTS)
                        break;
                groups[g].spilled = 1;
        }
        group_add(&groups[g], tag, slot_of(table, index));
        return n_candidates <= MAX_CANDIDATES && n_groups <= MAX_GROUPS;
}

/* Fills the groups. Returns false, if it may give up, when the keys do not spread. */
static bool fill(const struct nipc__table *table, struct nipc__group *groups, bool may_give_up)
{
        uint32_t i;

        memset(groups, 0, ((size_t)table->all_mask + 1) * sizeof(*groups));
        for (i = 0; i < table->n_items; i++) {
                const struct nipc_cache_item *item = table->items[i];
                const uint64_t mixed =
                        key_mix(table, item->hash, (const char *)item + table->name_offset,
                                item->name_len);

                if (!insert(table, groups, i, mixed) && may_give_up)
                        return false;
        }
        return true;
}

/* The same for an index by hash with offsets: nearly every item is the first of its tag in a group
 * with room, and for that it is enough to look at group and hash. */
static bool fill_by_hash(const struct nipc__table *table, struct nipc__group *groups)
{
        const struct nipc_cache_item *const *items = table->items;
        const uint32_t mask = table->all_mask, n_items = table->n_items;
        const char *base = table->base;
        uint32_t i;

        memset(groups, 0, ((size_t)mask + 1) * sizeof(*groups));
        for (i = 0; i < n_items; i++) {
                const uint64_t mixed = nipc__table_mix(items[i]->hash);
                const uint8_t tag = nipc__table_tag(mixed);
                struct nipc__group *group = &groups[nipc__table_first_group(mixed, mask)];

                if (NIPC__LIKELY(!nipc__group_match(group, tag) &&
                                 group->count < NIPC__GROUP_SLOTS))
                        group_add(group, tag,
                                  (uint32_t)((size_t)((const char *)items[i] - base) /
                                             NIPC__ITEM_ALIGNMENT));
                else if (!insert(table, groups, i, mixed))
                        return false;
        }
        return true;
}

void nipc__table_build(struct nipc__table *table, struct nipc__group *groups)
{
        static const struct nipc__group spilled = {.spilled = 1};
        /* What a free slot refers to where there is no first item: longer than a short name. */
        static const struct nipc_cache_item none = {.name_len = UINT32_MAX};
        unsigned n_seeds;

        table->groups = &spilled;
        table->group_mask = 0;
        table->base = table->n_items ? (const char *)table->items[0] : (const char *)&none;
        table->by_name = false;
        table->all_groups = groups;
        if (!groups)
                return;
        table->all_mask = nipc__table_groups_for(table->n_items) - 1;
        if (!table->scattered && fill_by_hash(table, groups)) {
                table->groups = groups;
                table->group_mask = table->all_mask;
                return;
        }
        if (table->scattered && fill(table, groups, true))
                return;

        table->by_name = true;
        /* Where the system has nothing: where memory lies we know, and a provider does not. */
        if (nipc_entropy_get(&table->seed, sizeof(table->seed)))
                table->seed = mix_word((uintptr_t)groups, (uintptr_t)&n_seeds);
        for (n_seeds = 1; !fill(table, groups, n_seeds < MAX_SEEDS); n_seeds++)
                table->seed = mix_word(table->seed, n_seeds);
}

static const struct nipc_cache_item *scan(const struct nipc__table *table, uint64_t head,
                                          const char *name, size_t name_len)
{
        uint32_t i;

        for (i = 0; i < table->n_items; i++)
                if (nipc__table_item_is(table->items[i], head, name, name_len, table->name_offset))
                        return table->items[i];
        return NULL;
}

const struct nipc_cache_item *nipc__table_lookup_general(const struct nipc__table *table,
                                                         uint32_t hash, const char *name,
                                                         size_t name_len)
{
        const uint64_t head = nipc__table_item_head(hash, name_len);
        uint64_t mixed;
        uint8_t tag;
        uint32_t g;

        if (!name || name_len > UINT32_MAX)
                return NULL;
        if (!table->all_groups)
                return scan(table, head, name, name_len);
        mixed = key_mix(table, hash, name, name_len);
        tag = nipc__table_tag(mixed);
        for (g = nipc__table_first_group(mixed, table->all_mask);; g = (g + 1) & table->all_mask) {
                const struct nipc__group *group = &table->all_groups[g];
                uint32_t matches = nipc__group_match(group, tag);

                for (; matches; matches &= matches - 1) {
                        const struct nipc_cache_item *item =
                                slot_item(table, group->slots[__builtin_ctz(matches)]);

                        if (nipc__table_item_is(item, head, name, name_len, table->name_offset))
                                return item;
                }
                if (!group->spilled)
                        return NULL;
        }
}
