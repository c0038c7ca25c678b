/* SPDX-License-Identifier: MIT */
#pragma once

/* Snapshots of numbered items for the tests of the cache: made with the loader, checked by lookup.
 */

#include <loader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <table.h>

#include "tap.h"

struct item {
        struct nipc_cache_item item;
        uint32_t number;
        const char *note;
};

/* An indexed set of items and the memory behind it. */
struct items {
        struct nipc__table table;
        struct nipc__arena arena;
};

typedef uint32_t (*hash_fn)(uint32_t number, const char *name);

static TAP__UNUSED uint32_t hash_djb2(uint32_t number, const char *name)
{
        uint32_t hash = 5381;

        while (*name)
                hash = hash * 33 + (unsigned char)*name++;
        return hash;
}

static inline size_t item_name(uint32_t number, char name[64])
{
        return (size_t)snprintf(name, 64, "system.slice/unit-%u.service", number);
}

/* Adds item `number`. Returns what the loader does. */
static inline int item_add(struct nipc_cache_loader *loader, uint32_t number, hash_fn hash)
{
        struct item *item;
        char name[64];
        size_t len = item_name(number, name);
        void *added;
        int r;

        r = nipc_cache_loader_add(loader, hash(number, name), name, len, &added);
        if (r)
                return r;
        item = added;
        item->number = number;
        return nipc_cache_loader_copy(loader, name, len, &item->note);
}

/* n_items items, numbered from 0, after a promise that is kept. */
static inline void items_init(struct items *items, uint32_t n_items, hash_fn hash)
{
        struct nipc__arena spare = {0};
        struct nipc_cache_loader loader;
        uint32_t i;

        nipc__loader_init(&loader, sizeof(struct item), &spare);
        tap_eq_int(nipc_cache_loader_begin(&loader, n_items, (size_t)n_items * 2 * 64), 0);
        for (i = 0; i < n_items; i++)
                tap_eq_int(item_add(&loader, i, hash), 0);
        nipc__loader_finish(&loader, &items->table, &items->arena);
}

static inline void items_deinit(struct items *items)
{
        nipc__arena_deinit(&items->arena);
}

static inline const struct item *items_find_key(const struct items *items, uint32_t hash,
                                                const char *name, size_t len)
{
        return (const void *)nipc__table_lookup(&items->table, hash, name, len,
                                                items->table.name_offset);
}

/* Looks item `number` up by its key, in memory that ends where the name does. */
static inline const struct item *items_find(const struct items *items, uint32_t number,
                                            hash_fn hash)
{
        char name[64], *exact;
        size_t len = item_name(number, name);
        const struct item *found;

        exact = malloc(len);
        if (!exact)
                abort();
        memcpy(exact, name, len);
        found = items_find_key(items, hash(number, name), exact, len);
        free(exact);
        return found;
}

/* Items 0 to n_items - 1 are found, are what was added and are in order; the next ones are not. */
static inline void items_check(const struct items *items, uint32_t n_items, hash_fn hash)
{
        const struct item *found;
        char name[64];
        uint32_t i;

        if (!tap_eq_uint(items->table.n_items, n_items))
                return;
        for (i = 0; i < n_items; i++) {
                found = items_find(items, i, hash);
                item_name(i, name);
                if (!tap_check(found != NULL) || !tap_eq_uint(found->number, i) ||
                    !tap_eq_str(found->item.name, name) || !tap_eq_str(found->note, name) ||
                    !tap_eq_ptr(found, items->table.items[i]))
                        return;
        }
        for (i = n_items; i < 2 * n_items + 16; i++)
                if (!tap_check(items_find(items, i, hash) == NULL))
                        return;
}
