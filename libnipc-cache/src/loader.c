/* SPDX-License-Identifier: MIT */

/* Filling the arena of a snapshot. See loader.h for its layout. */

#include "loader.h"

#include <errno.h>
#include <stdlib.h>

enum {
        /* Of a segment that no promise sized; chosen, not tuned. */
        MIN_SEGMENT = 65536,
        MIN_ITEMS = 256,
        /* NULs an item is supposed to need beside its name's: three more strings. */
        NULS_PER_ITEM = 3,
        CACHE_LINE = 64,
};

static size_t align_up(size_t n, size_t alignment)
{
        return (n + alignment - 1) & ~(alignment - 1);
}

void nipc__arena_deinit(struct nipc__arena *arena)
{
        struct nipc__segment *segment;

        while ((segment = arena->segments)) {
                arena->segments = segment->next;
                free(segment);
        }
        free(arena->item_array);
        free(arena->groups);
        *arena = (struct nipc__arena){0};
}

void nipc__arena_adopt(struct nipc__arena *spare, struct nipc__arena *from)
{
        struct nipc__segment *segment = from->segments;

        /* The latest segment is the largest one of a loader that had to grow. */
        if (segment && (!spare->segments || segment->size > spare->segments->size)) {
                from->segments = segment->next;
                free(spare->segments);
                segment->next = NULL;
                spare->segments = segment;
        }
        if (from->groups && from->groups_size > spare->groups_size) {
                free(spare->groups);
                spare->groups = from->groups;
                spare->groups_size = from->groups_size;
                from->groups = NULL;
        }
        nipc__arena_deinit(from);
}

/*
 * Takes spare memory of `have` bytes for a need of `need`? Not for a small part of it: a snapshot
 * that was large once must not keep its memory for ever.
 */
static bool worth_reusing(size_t have, size_t need)
{
        return have >= need && have / 4 <= need + MIN_SEGMENT;
}

static struct nipc__segment *segment_new(struct nipc_cache_loader *loader, size_t size)
{
        struct nipc__segment *segment = loader->spare.segments;

        loader->spare.segments = NULL;
        if (segment && worth_reusing(segment->size, size))
                return segment;
        free(segment);
        segment = malloc(size);
        if (segment)
                segment->size = size;
        return segment;
}

/* Begins a segment with `size` bytes of room or more. */
static int segment_begin(struct nipc_cache_loader *loader, size_t size)
{
        struct nipc__segment *segment;

        if (size > SIZE_MAX - sizeof(*segment) - NIPC__ITEM_ALIGNMENT)
                return -ENOMEM;
        segment = segment_new(loader, sizeof(*segment) + align_up(size, NIPC__ITEM_ALIGNMENT));
        if (!segment)
                return -ENOMEM;
        segment->next = loader->arena.segments;
        loader->arena.segments = segment;
        loader->low = (uint8_t *)(segment + 1);
        loader->high = (uint8_t *)segment + segment->size;
        return 0;
}

int nipc__loader_grow(struct nipc_cache_loader *loader, uint64_t size)
{
        uint64_t last = loader->arena.segments ? loader->arena.segments->size : 0;
        int r;

        if (size > loader->limit)
                return -EMSGSIZE;
        /* Doubling: few segments whatever comes, and the latest is the largest. */
        size = NIPC__MAX(NIPC__MAX(last * 2, size), (uint64_t)MIN_SEGMENT);
        size = NIPC__MIN(size, NIPC__MAX(loader->limit, (uint64_t)MIN_SEGMENT));
        if (size > SIZE_MAX / 2)
                return -ENOMEM;
        r = segment_begin(loader, (size_t)size);
        if (r)
                return r;
        loader->limit -= NIPC__MIN(loader->limit, size);
        if (loader->n_items)
                loader->scattered = true;
        return 0;
}

int nipc__loader_grow_items(struct nipc_cache_loader *loader)
{
        const uint32_t max = loader->max_items;
        const uint32_t n = max > UINT32_MAX / 2 ? UINT32_MAX : NIPC__MAX(max * 2, MIN_ITEMS);
        struct nipc_cache_item **items;

        if (n == max || (uint64_t)n * sizeof(*items) > SIZE_MAX / 2)
                return -ENOMEM;
        items = malloc((size_t)n * sizeof(*items));
        if (!items)
                return -ENOMEM;
        if (loader->n_items)
                memcpy(items, loader->items, (size_t)loader->n_items * sizeof(*items));
        free(loader->arena.item_array);
        loader->arena.item_array = items;
        loader->items = items;
        loader->max_items = n;
        return 0;
}

void nipc__loader_init(struct nipc_cache_loader *loader, uint32_t item_size,
                       struct nipc__arena *spare)
{
        *loader = (struct nipc_cache_loader){
                .item_size = item_size,
                .limit = UINT64_MAX,
                .spare = *spare,
        };
        *spare = (struct nipc__arena){0};
}

void nipc__loader_deinit(struct nipc_cache_loader *loader, struct nipc__arena *ret_spare)
{
        nipc__arena_adopt(&loader->spare, &loader->arena);
        *ret_spare = loader->spare;
        loader->spare = (struct nipc__arena){0};
}

/* Memory for the index, on a cache line; NULL for none. */
static struct nipc__group *groups_new(struct nipc_cache_loader *loader)
{
        const uint64_t n_groups = nipc__table_groups_for(loader->n_items);
        const uint64_t size = n_groups * sizeof(struct nipc__group) + CACHE_LINE;
        struct nipc__arena *spare = &loader->spare;
        void *groups;

        if (n_groups == 0 || size > SIZE_MAX)
                return NULL;
        if (worth_reusing(spare->groups_size, (size_t)size)) {
                groups = spare->groups;
                loader->arena.groups_size = spare->groups_size;
        } else {
                free(spare->groups);
                groups = malloc((size_t)size);
                loader->arena.groups_size = groups ? (size_t)size : 0;
        }
        spare->groups = NULL;
        spare->groups_size = 0;
        loader->arena.groups = groups;
        return groups ? (void *)align_up((uintptr_t)groups, CACHE_LINE) : NULL;
}

void nipc__loader_finish(struct nipc_cache_loader *loader, struct nipc__table *ret_table,
                         struct nipc__arena *ret_arena)
{
        const uint32_t n_items = loader->n_items;

        /* Items ascend within a segment; an offset has 32 bits. */
        if (n_items && !loader->scattered)
                loader->scattered =
                        (size_t)((char *)loader->items[n_items - 1] - (char *)loader->items[0]) /
                                NIPC__ITEM_ALIGNMENT >
                        UINT32_MAX;
        *ret_table = (struct nipc__table){
                .name_offset = loader->item_size,
                .scattered = loader->scattered,
                .n_items = n_items,
                .items = (const struct nipc_cache_item *const *)loader->items,
        };
        nipc__table_build(ret_table, groups_new(loader));
        nipc__arena_deinit(&loader->spare);
        *ret_arena = loader->arena;
        loader->arena = (struct nipc__arena){0};
}

NIPC__EXPORT int nipc_cache_loader_begin(struct nipc_cache_loader *loader, uint32_t n_items,
                                         size_t string_bytes)
{
        /* No sum of these wraps: item_size is limited and n_items has 32 bits. */
        const uint64_t pointers = (uint64_t)n_items * sizeof(*loader->items) + NIPC__ITEM_ALIGNMENT;
        const uint64_t items = n_items * ((uint64_t)loader->item_size + 1 + NULS_PER_ITEM +
                                          NIPC__ITEM_ALIGNMENT - 1);
        const uint64_t size = pointers + items;
        int r;

        if (size > SIZE_MAX / 2 || string_bytes > SIZE_MAX / 2 - size)
                return -EOVERFLOW;
        if (items + string_bytes <= (size_t)(loader->high - loader->low) &&
            n_items <= loader->max_items - loader->n_items)
                return 0;
        r = segment_begin(loader, (size_t)size + string_bytes);
        if (r)
                return r;
        if (loader->n_items) {
                /* Begun late: the pointers that are there keep their place. */
                loader->scattered = true;
                return 0;
        }
        free(loader->arena.item_array);
        loader->arena.item_array = NULL;
        loader->items = (void *)loader->low;
        loader->max_items = n_items;
        loader->low += align_up(n_items * sizeof(*loader->items), NIPC__ITEM_ALIGNMENT);
        return 0;
}

NIPC__EXPORT int nipc_cache_loader_add(struct nipc_cache_loader *loader, uint32_t hash,
                                       const char *name, size_t name_len, void **ret_item)
{
        void *item;
        int r;

        if (name_len > UINT32_MAX)
                return -EMSGSIZE;
        r = nipc__loader_add(loader, loader->item_size, hash, name, (uint32_t)name_len, false, NULL,
                             0, &item, NULL);
        if (r)
                return r;
        memset((struct nipc_cache_item *)item + 1, 0,
               loader->item_size - sizeof(struct nipc_cache_item));
        *ret_item = item;
        return 0;
}

NIPC__EXPORT int nipc_cache_loader_copy(struct nipc_cache_loader *loader, const char *str,
                                        size_t len, const char **ret_str)
{
        int r;

        if (len > SIZE_MAX / 2)
                return -ENOMEM;
        if (len >= (size_t)(loader->high - loader->low)) {
                r = nipc__loader_grow(loader, (uint64_t)len + 1);
                if (r)
                        return r;
        }
        loader->high -= len + 1;
        nipc__copy_bytes(loader->high, str, len);
        loader->high[len] = 0;
        *ret_str = (const char *)loader->high;
        return 0;
}

NIPC__EXPORT void nipc_cache_loader_set_generation(struct nipc_cache_loader *loader,
                                                   uint64_t generation, uint32_t flags)
{
        loader->generation = generation;
        loader->flags = flags;
}

NIPC__EXPORT void nipc_cache_loader_set_fault(struct nipc_cache_loader *loader,
                                              const struct nipc_fault *fault)
{
        loader->fault = *fault;
}
