/* SPDX-License-Identifier: MIT */

/* Entries that come and go, and the lookups that are not the common case. See lookup-table.h. */

#include "lookup-table.h"

#include <errno.h>
#include <nipc/entropy.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
        CACHE_LINE = 64,
        ENTRIES_PER_GROUP = 4, /* of 12 slots, when it is full: few spill. A power of two. */
        /* What one insertion may pass over. With an even spread this is beyond what chance does. */
        MAX_GROUPS = 8,
        /* Seeds to try before one is kept whatever it costs. */
        MAX_SEEDS = 4,
};

static uint32_t groups_for(uint32_t capacity)
{
        uint32_t n = 1;

        while ((uint64_t)n * ENTRIES_PER_GROUP < capacity)
                n *= 2;
        return n;
}

static size_t key_room(const struct nipc__lookup_table *table)
{
        return table->kind == NIPC__LOOKUP_BYTES ? table->key_size : 0;
}

size_t nipc__lookup_table_size(const struct nipc__lookup_table *table, uint32_t capacity)
{
        const uint64_t size = CACHE_LINE - 1 + (uint64_t)groups_for(capacity) * CACHE_LINE +
                              capacity * (sizeof(struct nipc__lookup_entry) + sizeof(uint32_t) +
                                          (uint64_t)key_room(table));

        return size > SIZE_MAX / 2 ? SIZE_MAX : (size_t)size;
}

/* Gives out the parts of a block. Returns 0 or -ENOMEM. */
static int take_memory(struct nipc__lookup_table *table, uint32_t capacity)
{
        const size_t size = nipc__lookup_table_size(table, capacity);
        const uint32_t n_groups = groups_for(capacity);
        uint8_t *memory, *p;

        memory = size == SIZE_MAX ? NULL : calloc(1, size);
        if (!memory)
                return -ENOMEM;
        p = memory + (-(uintptr_t)memory & (CACHE_LINE - 1));
        table->groups = (void *)p;
        p += (size_t)n_groups * CACHE_LINE;
        table->entries = (void *)p;
        p += capacity * sizeof(struct nipc__lookup_entry);
        /* Before the keys, which may have any size. */
        table->wanted = (void *)p;
        table->keys = p + capacity * sizeof(uint32_t);
        table->group_mask = n_groups - 1;
        table->capacity = capacity;
        table->memory = memory;
        table->memory_size = size;
        return 0;
}

/*
 * What the system made up, and where it has nothing, where memory lies and what time it is: we know
 * that, and no peer does.
 */
static void new_seed(struct nipc__lookup_table *table)
{
        struct nipc__hash_seed seed = table->seed;
        struct timespec now = {0};

        if (nipc_entropy_get(&seed, sizeof(seed))) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                seed.multiply |= 1;
                seed.add = nipc__hash_bytes(seed, &now, sizeof(now)) ^ (uintptr_t)table->memory;
                seed.multiply =
                        nipc__hash_word(seed, (uintptr_t)&now) ^ UINT64_C(0x9e3779b97f4a7c15);
                seed.add = nipc__hash_word((struct nipc__hash_seed){seed.add, seed.multiply | 1},
                                           (uintptr_t)&new_seed);
        }
        seed.multiply |= 1;
        table->seed = seed;
}

int nipc__lookup_table_init(struct nipc__lookup_table *table,
                            const struct nipc_lookup_class *class_, uint32_t capacity)
{
        int r;

        *table = (struct nipc__lookup_table){
                .key_size = class_->key_size,
                .strings_offset = class_->strings_offset,
                .kind = class_->key_size == 0                  ? NIPC__LOOKUP_STRINGS
                        : class_->key_size <= sizeof(uint64_t) ? NIPC__LOOKUP_WORDS
                                                               : NIPC__LOOKUP_BYTES,
        };
        r = take_memory(table, capacity);
        if (r)
                return r;
        new_seed(table);
        return 0;
}

void nipc__lookup_table_deinit(struct nipc__lookup_table *table)
{
        free(table->memory);
        *table = (struct nipc__lookup_table){0};
}

const void *nipc__lookup_table_key(const struct nipc__lookup_table *table, uint32_t index,
                                   void *scratch, size_t *ret_size)
{
        const struct nipc__lookup_entry *entry = &table->entries[index];
        const uint8_t *field;

        *ret_size = table->key_size;
        if (table->kind == NIPC__LOOKUP_WORDS)
                return memcpy(scratch, &entry->word, table->key_size);
        if (table->kind == NIPC__LOOKUP_BYTES)
                return table->keys + (size_t)index * table->key_size;
        if (entry->state == NIPC__LOOKUP_WANTED) {
                *ret_size = entry->size;
                return entry->bytes;
        }
        field = entry->bytes + table->strings_offset;
        *ret_size = nipc_load_u32(field + 4);
        return entry->bytes + nipc_load_u32(field);
}

static uint64_t entry_mixed(const struct nipc__lookup_table *table,
                            const struct nipc__lookup_entry *entry)
{
        return table->kind == NIPC__LOOKUP_WORDS ? nipc__hash_word(table->seed, entry->word)
                                                 : entry->word;
}

/* Puts an entry into a group. */
static void insert(struct nipc__lookup_table *table, uint32_t index, uint64_t mixed)
{
        uint32_t g = nipc__lookup_first_group(table, mixed);
        struct nipc__group *group = &table->groups[g];
        unsigned n_groups;

        /* There are three slots for each entry: one group has room. */
        for (n_groups = 1; group->count == NIPC__GROUP_SLOTS; n_groups++) {
                if (group->spilled < UINT8_MAX)
                        group->spilled++;
                g = (g + 1) & table->group_mask;
                group = &table->groups[g];
        }
        group->tags[group->count] = nipc__lookup_tag(mixed);
        group->slots[group->count++] = index;
        if (n_groups > MAX_GROUPS)
                table->is_crowded = true;
}

static void insert_all(struct nipc__lookup_table *table)
{
        uint32_t i;

        for (i = 0; i < table->n_high; i++)
                if (table->entries[i].state != NIPC__LOOKUP_FREE)
                        insert(table, i, entry_mixed(table, &table->entries[i]));
}

int nipc__lookup_table_grow(struct nipc__lookup_table *table, uint32_t capacity)
{
        const struct nipc__lookup_table old = *table;
        int r;

        r = take_memory(table, capacity);
        if (r)
                return r;
        memcpy(table->entries, old.entries, old.n_high * sizeof(*old.entries));
        memcpy(table->wanted, old.wanted, old.n_wanted * sizeof(*old.wanted));
        memcpy(table->keys, old.keys, old.n_high * key_room(table));
        insert_all(table);
        free(old.memory);
        return 0;
}

static void reseed(struct nipc__lookup_table *table)
{
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        struct nipc__lookup_probe probe;
        const void *key;
        size_t size;
        uint32_t i;

        new_seed(table);
        memset(table->groups, 0, ((size_t)table->group_mask + 1) * sizeof(*table->groups));
        for (i = 0; i < table->n_high; i++) {
                if (table->entries[i].state == NIPC__LOOKUP_FREE)
                        continue;
                key = nipc__lookup_table_key(table, i, scratch, &size);
                nipc__lookup_probe_init(table, key, size, &probe);
                table->entries[i].word = probe.word;
        }
        insert_all(table);
}

void nipc__lookup_table_settle(struct nipc__lookup_table *table)
{
        unsigned n;

        for (n = 0; NIPC__UNLIKELY(table->is_crowded) && n < MAX_SEEDS; n++) {
                table->is_crowded = false;
                reseed(table);
        }
        table->is_crowded = false;
}

uint32_t nipc__lookup_table_add(struct nipc__lookup_table *table,
                                const struct nipc__lookup_probe *probe)
{
        uint32_t index = table->first_free;
        struct nipc__lookup_entry *entry;

        if (index)
                table->first_free = table->entries[--index].size;
        else
                index = table->n_high++;
        entry = &table->entries[index];
        *entry = (struct nipc__lookup_entry){.word = probe->word, .state = NIPC__LOOKUP_WANTED};
        if (table->kind == NIPC__LOOKUP_BYTES)
                memcpy(table->keys + (size_t)index * table->key_size, probe->key, table->key_size);
        insert(table, index, probe->mixed);
        return index;
}

/* Where in a group an entry is; NIPC__GROUP_SLOTS if it is not. */
static uint32_t group_position(const struct nipc__group *group, uint32_t index)
{
        uint32_t i;

        for (i = 0; i < group->count; i++)
                if (group->slots[i] == index)
                        return i;
        return NIPC__GROUP_SLOTS;
}

void nipc__lookup_table_remove(struct nipc__lookup_table *table, uint32_t index)
{
        struct nipc__lookup_entry *entry = &table->entries[index];
        uint32_t g = nipc__lookup_first_group(table, entry_mixed(table, entry));
        struct nipc__group *group = &table->groups[g];
        uint32_t at;

        while ((at = group_position(group, index)) == NIPC__GROUP_SLOTS) {
                if (group->spilled < UINT8_MAX)
                        group->spilled--;
                g = (g + 1) & table->group_mask;
                group = &table->groups[g];
        }
        group->count--;
        group->tags[at] = group->tags[group->count];
        group->slots[at] = group->slots[group->count];
        group->tags[group->count] = 0;
        group->slots[group->count] = 0;
        *entry = (struct nipc__lookup_entry){.size = table->first_free};
        table->first_free = index + 1;
}

static bool entry_is(const struct nipc__lookup_table *table, uint32_t index,
                     const struct nipc__lookup_probe *probe)
{
        const struct nipc__lookup_entry *entry = &table->entries[index];

        if (entry->word != probe->word)
                return false;
        if (table->kind == NIPC__LOOKUP_WORDS)
                return true;
        if (table->kind == NIPC__LOOKUP_BYTES)
                return nipc__bytes_equal((const char *)table->keys +
                                                 (size_t)index * table->key_size,
                                         probe->key, table->key_size);
        if (entry->state != NIPC__LOOKUP_WANTED)
                return nipc__lookup_item_is(table, entry, probe->key, probe->size);
        return entry->size == probe->size &&
               nipc__bytes_equal((const char *)entry->bytes, probe->key, probe->size);
}

uint32_t nipc__lookup_table_find(const struct nipc__lookup_table *table,
                                 const struct nipc__lookup_probe *probe)
{
        const uint8_t tag = nipc__lookup_tag(probe->mixed);
        uint32_t g = nipc__lookup_first_group(table, probe->mixed), n;

        for (n = 0; n <= table->group_mask; n++, g = (g + 1) & table->group_mask) {
                const struct nipc__group *group = &table->groups[g];
                uint32_t matches = nipc__group_match(group, tag) & ((1u << group->count) - 1);

                for (; matches; matches &= matches - 1) {
                        const uint32_t index = group->slots[__builtin_ctz(matches)];

                        if (entry_is(table, index, probe))
                                return index;
                }
                if (!nipc__group_has_spilled(group))
                        break;
        }
        return NIPC__LOOKUP_NONE;
}
