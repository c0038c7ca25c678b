/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The index of a cache of lookups: key to entry. Entries come and go, unlike those of a snapshot.
 *
 * A hit costs two cache lines: the group that the hash names (tags and slots share it), and half of
 * one for the entry; a string key also those of the item that repeats it. All is in one block of
 * memory, which grows by doubling:
 *
 *      | groups, 64 each | entries, 32 each | keys of fixed size above 8 | wanted, 4 each |
 *
 * Entries keep their number for life. Items are blocks of their own and never move.
 *
 * In groups, `spilled` counts the entries that belonged there or before and went further, so that
 * removing one takes back what adding it did. At 255 it stays, until the groups are made anew.
 * Seeds make keys spread whoever chose them; if some do not all the same, there is another seed.
 */

#include <nipc/lookup.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "group.h"
#include "lookup-hash.h"
#include "stdaux.h"

#define NIPC__LOOKUP_NONE UINT32_MAX

enum nipc__lookup_state {
        NIPC__LOOKUP_FREE = 0,
        NIPC__LOOKUP_WANTED,   /* never answered; of a string, bytes and size are the key's */
        NIPC__LOOKUP_KEPT,     /* bytes: a block of its own */
        NIPC__LOOKUP_DEAD,     /* the same, must not be had any more; here for its key */
        NIPC__LOOKUP_BORROWED, /* bytes: the client's, until its next call */
};

struct nipc__lookup_entry {
        uint64_t word;           /* a key of 8 bytes at most, or the hash of any other */
        uint64_t fresh_until_ms; /* of what is KEPT; else 0, and the short way ends here */
        uint8_t *bytes;
        uint32_t size; /* of a free one: the next, plus 1 */
        uint16_t seen; /* the epoch in which it was asked for */
        uint8_t state;
        bool is_wanted; /* it is in the list */
};

_Static_assert(sizeof(struct nipc__lookup_entry) <= 32, "two to a cache line");

enum nipc__lookup_kind {
        NIPC__LOOKUP_STRINGS,
        NIPC__LOOKUP_WORDS, /* 8 bytes at most */
        NIPC__LOOKUP_BYTES, /* of fixed size, more than 8 */
};

struct nipc__lookup_table {
        struct nipc__group *groups;
        struct nipc__lookup_entry *entries;
        struct nipc__hash_seed seed;
        uint32_t group_mask;
        uint32_t key_size;       /* of the class */
        uint32_t strings_offset; /* of the class */
        enum nipc__lookup_kind kind;

        uint8_t *keys; /* NIPC__LOOKUP_BYTES */
        uint32_t *wanted;
        uint32_t n_wanted;
        uint32_t capacity;   /* of entries, keys, wanted */
        uint32_t n_high;     /* entries that were ever used */
        uint32_t first_free; /* plus 1 */
        uint32_t n_seeds;    /* hashes that were made under another are worth nothing */
        bool is_crowded;
        void *memory;
        size_t memory_size;
};

/* A key that was looked at. */
struct nipc__lookup_probe {
        const void *key;
        size_t size;
        uint64_t word;
        uint64_t mixed;
};

/* Bytes of the block for `capacity` entries; SIZE_MAX if that cannot be. */
size_t nipc__lookup_table_size(const struct nipc__lookup_table *table, uint32_t capacity);

/* Makes an empty one. Returns 0 or -ENOMEM. */
int nipc__lookup_table_init(struct nipc__lookup_table *table,
                            const struct nipc_lookup_class *class_, uint32_t capacity);

/* Blocks of entries are not its. */
void nipc__lookup_table_deinit(struct nipc__lookup_table *table);

/* More room; both blocks are there for a moment. Returns 0 or -ENOMEM, unchanged. */
int nipc__lookup_table_grow(struct nipc__lookup_table *table, uint32_t capacity);

/*
 * Adds the key, which is not there, when there is room: has_room(). The entry is WANTED and has
 * neither bytes nor size; of a string its block is to be set before anything else. Returns its
 * number.
 */
uint32_t nipc__lookup_table_add(struct nipc__lookup_table *table,
                                const struct nipc__lookup_probe *probe);

/* What adding may have found: to be called when all entries have their keys. */
void nipc__lookup_table_settle(struct nipc__lookup_table *table);

/* Its block was freed, its key can still be read or is in no need of that. */
void nipc__lookup_table_remove(struct nipc__lookup_table *table, uint32_t index);

/* Any way of looking up; NIPC__LOOKUP_NONE. */
uint32_t nipc__lookup_table_find(const struct nipc__lookup_table *table,
                                 const struct nipc__lookup_probe *probe);

/* The key of an entry. scratch: NIPC_LOOKUP_MAX_KEY_SIZE bytes. */
const void *nipc__lookup_table_key(const struct nipc__lookup_table *table, uint32_t index,
                                   void *scratch, size_t *ret_size);

static inline bool nipc__lookup_table_has_room(const struct nipc__lookup_table *table)
{
        return table->first_free || table->n_high < table->capacity;
}

static inline uint32_t nipc__lookup_first_group(const struct nipc__lookup_table *table,
                                                uint64_t mixed)
{
        return (uint32_t)(mixed >> 32) & table->group_mask;
}

static inline uint8_t nipc__lookup_tag(uint64_t mixed)
{
        return (uint8_t)(mixed >> 56);
}

/* The 8 bytes `u32 pid, u32 0` as one word. Two stores that one load reads would cost 4 ns. */
static inline uint64_t nipc__lookup_pid_word(uint32_t pid)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return (uint64_t)pid << 32;
#else
        return pid;
#endif
}

static inline void nipc__lookup_probe_word(const struct nipc__lookup_table *table, uint64_t word,
                                           struct nipc__lookup_probe *ret_probe)
{
        ret_probe->word = word;
        ret_probe->mixed = nipc__hash_word(table->seed, word);
}

/* key: of a size that the class allows. */
static inline void nipc__lookup_probe_init(const struct nipc__lookup_table *table, const void *key,
                                           size_t size, struct nipc__lookup_probe *ret_probe)
{
        uint64_t word = 0;

        ret_probe->key = key;
        ret_probe->size = size;
        if (table->kind != NIPC__LOOKUP_WORDS) {
                ret_probe->word = ret_probe->mixed = nipc__hash_bytes(table->seed, key, size);
                return;
        }
        /* The usual sizes as constants; the bytes of the word are those of the key. */
        if (NIPC__LIKELY(size == sizeof(word)))
                memcpy(&word, key, sizeof(word));
        else if (size == sizeof(uint32_t))
                memcpy(&word, key, sizeof(uint32_t));
        else
                memcpy(&word, key, NIPC__MIN(size, sizeof(word)));
        nipc__lookup_probe_word(table, word, ret_probe);
}

/* Whether this entry, which has an item, is for this string. */
static inline bool nipc__lookup_item_is(const struct nipc__lookup_table *table,
                                        const struct nipc__lookup_entry *entry, const void *key,
                                        size_t size)
{
        const uint8_t *field = entry->bytes + table->strings_offset;

        return nipc_load_u32(field + 4) == size &&
               nipc__bytes_equal((const char *)entry->bytes + nipc_load_u32(field), key, size);
}

/*
 * The short way, which is nearly all: the first candidate is the key, kept and fresh. NULL is no
 * answer at all. A free slot may pass for a candidate and refers to entry 0: if that is the key
 * that is looked for and fresh, it is right.
 */
static NIPC__ALWAYS_INLINE struct nipc__lookup_entry *nipc__lookup_table_find_fresh(
        const struct nipc__lookup_table *table, const struct nipc__lookup_probe *probe,
        uint64_t now_ms, enum nipc__lookup_kind kind)
{
        const struct nipc__group *group =
                &table->groups[nipc__lookup_first_group(table, probe->mixed)];
        const uint32_t matches = nipc__group_match(group, nipc__lookup_tag(probe->mixed));
        struct nipc__lookup_entry *entry;
        uint32_t index;

        if (NIPC__UNLIKELY(!matches))
                return NULL;
        index = group->slots[__builtin_ctz(matches)];
        entry = &table->entries[index];
        if (NIPC__UNLIKELY(entry->word != probe->word || now_ms >= entry->fresh_until_ms))
                return NULL;
        if (kind == NIPC__LOOKUP_STRINGS &&
            NIPC__UNLIKELY(!nipc__lookup_item_is(table, entry, probe->key, probe->size)))
                return NULL;
        if (kind == NIPC__LOOKUP_BYTES &&
            NIPC__UNLIKELY(
                    !nipc__bytes_equal((const char *)table->keys + (size_t)index * table->key_size,
                                       probe->key, table->key_size)))
                return NULL;
        return entry;
}
