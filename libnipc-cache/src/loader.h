/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where a snapshot's items live while it is built and after: an arena of segments, one of them if
 * the promises of nipc_cache_loader_begin() were kept, and no allocation per item.
 *
 *      segment: | header | item pointers | item name item name ... > free < ... str str str |
 *
 * Items grow upwards with their names behind them: what a lookup reads lies together. Other
 * strings grow downwards from the end, out of its way. Addresses never change: a segment that is
 * full is left and another one is begun.
 *
 * The memory of a snapshot that nobody holds any more is handed back to the loader of a later one
 * (nipc__arena_adopt): a cache that is refreshed once a second touches no new page.
 */

#include <errno.h>
#include <nipc/cache.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "table.h"

/* Begins a segment; the rest of it follows. */
struct nipc__segment {
        struct nipc__segment *next; /* older, smaller than what came after it */
        size_t size;                /* header included */
};

/* The memory behind one snapshot: all zero when there is none. */
struct nipc__arena {
        struct nipc__segment *segments; /* the latest first */
        void *item_array;               /* pointers that outgrew their segment, or NULL */
        void *groups;                   /* the index, with room to align it */
        size_t groups_size;
};

struct nipc_cache_loader {
        uint32_t item_size;
        uint32_t n_items;
        /* low and high are not neighbours: a compiler that moves both as one vector makes each
         * item wait for the one before. */
        uint8_t *low; /* free memory of the latest segment, aligned for an item */
        struct nipc_cache_item **items;
        uint8_t *high;
        uint32_t max_items; /* that `items` has room for */
        bool scattered;     /* items in more than one segment */
        uint64_t limit;     /* of what grows beyond the first promise, in bytes */
        struct nipc__arena arena;
        struct nipc__arena spare; /* at most one segment and one index, from an older snapshot */
        uint64_t generation;
        uint32_t flags;
        struct nipc_fault fault; /* as the fetch told, see nipc_cache_loader_set_fault() */
};

/* Starts an empty snapshot of items of item_size bytes. spare: what may be reused, moved here. */
void nipc__loader_init(struct nipc_cache_loader *loader, uint32_t item_size,
                       struct nipc__arena *spare);

/*
 * Ends loading: indexes the items. Cannot fail, without memory the table scans.
 * ret_arena: all that the table refers to, owned.
 */
void nipc__loader_finish(struct nipc_cache_loader *loader, struct nipc__table *ret_table,
                         struct nipc__arena *ret_arena);

/* Drops what was loaded and not finished. ret_spare: what is worth keeping of it, or empty. */
void nipc__loader_deinit(struct nipc_cache_loader *loader, struct nipc__arena *ret_spare);

/* Takes the best of `from` into `spare` and frees the rest; `from` is empty afterwards. */
void nipc__arena_adopt(struct nipc__arena *spare, struct nipc__arena *from);

/* Frees everything; may be empty, and is afterwards. */
void nipc__arena_deinit(struct nipc__arena *arena);

/* Makes room for `size` more bytes of items and strings, or for one more pointer to an item.
 * Returns 0, -ENOMEM, or -EMSGSIZE above the loader's limit. */
int nipc__loader_grow(struct nipc_cache_loader *loader, uint64_t size);
int nipc__loader_grow_items(struct nipc_cache_loader *loader);

/*
 * Copies n bytes; most are a few words, for which a call costs more than the copy. What is longer
 * than a word or two is read and written from both ends, the middle twice.
 */
static inline void nipc__copy_bytes(uint8_t *to, const char *from, size_t n)
{
        if (n >= 16) {
                if (NIPC__UNLIKELY(n > 64)) {
                        memcpy(to, from, n);
                        return;
                }
                if (n > 32) {
                        memcpy(to + 16, from + 16, 16);
                        memcpy(to + n - 32, from + n - 32, 16);
                }
                memcpy(to, from, 16);
                memcpy(to + n - 16, from + n - 16, 16);
        } else if (n >= 8) {
                memcpy(to, from, 8);
                memcpy(to + n - 8, from + n - 8, 8);
        } else if (n >= 4) {
                memcpy(to, from, 4);
                memcpy(to + n - 4, from + n - 4, 4);
        } else if (n) {
                to[0] = (uint8_t)from[0];
                to[n / 2] = (uint8_t)from[n / 2];
                to[n - 1] = (uint8_t)from[n - 1];
        }
}

/*
 * Adds an item and, with_str, a string beside it. item_size: of the
 * loader, it and with_str are constants to the compiler. ret_item: but for its struct
 * nipc_cache_item it is undefined.
 *
 * One check for all, and what changes in the loader changes before the first byte is written: the
 * compiler must suppose that those bytes are the loader's.
 */
static inline int nipc__loader_add(struct nipc_cache_loader *loader, uint32_t item_size,
                                   uint32_t hash, const char *name, uint32_t name_len,
                                   bool with_str, const char *str, uint32_t str_len,
                                   void **ret_item, const char **ret_str)
{
        const uint64_t name_end = (uint64_t)item_size + name_len + 1;
        const uint64_t size =
                (name_end + NIPC__ITEM_ALIGNMENT - 1) & ~(uint64_t)(NIPC__ITEM_ALIGNMENT - 1);
        const uint64_t str_size = with_str ? (uint64_t)str_len + 1 : 0;
        struct nipc_cache_item *item;
        uint8_t *copy, *str_copy;
        int r;

        if (NIPC__UNLIKELY(loader->n_items == loader->max_items)) {
                r = nipc__loader_grow_items(loader);
                if (r)
                        return r;
        }
        if (NIPC__UNLIKELY(size + str_size > (size_t)(loader->high - loader->low))) {
                r = nipc__loader_grow(loader, size + str_size);
                if (r)
                        return r;
        }
        item = (void *)loader->low;
        copy = loader->low + item_size;
        str_copy = loader->high - str_size;
        loader->low += size;
        loader->high = str_copy;
        loader->items[loader->n_items++] = item;

        item->hash = hash;
        item->name_len = name_len;
        item->name = (const char *)copy;
        *ret_item = item;
        nipc__copy_bytes(copy, name, name_len);
        copy[name_len] = 0;
        if (with_str) {
                *ret_str = (const char *)str_copy;
                nipc__copy_bytes(str_copy, str, str_len);
                str_copy[str_len] = 0;
        }
        return 0;
}
