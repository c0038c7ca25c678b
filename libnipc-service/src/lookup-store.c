/* SPDX-License-Identifier: MIT */

/* See lookup-store.h. Memory grows by doubling, and never above what the owner allows. */

#include "lookup-store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stdaux.h"

#define PACKED_MIN 4096u /* chosen: tens of items */

void nipc__lookup_store_deinit(struct nipc__lookup_store *store)
{
        free(store->directory);
        free(store->packed);
        *store = (struct nipc__lookup_store){0};
}

/* Room for size bytes at *p, of which capacity are there. Returns 0 or -ENOMEM. */
static int grow(uint8_t **p, size_t *capacity, size_t size)
{
        void *grown;

        if (size <= *capacity)
                return 0;
        grown = realloc(*p, size);
        if (!grown)
                return -ENOMEM;
        *p = grown;
        *capacity = size;
        return 0;
}

int nipc__lookup_store_begin(struct nipc__lookup_store *store, uint32_t n_items, uint32_t max_bytes)
{
        const uint64_t fixed = NIPC_LOOKUP_HEADER_SIZE + (uint64_t)n_items * NIPC_LOOKUP_ENTRY_SIZE;

        if (fixed > max_bytes)
                return -EMSGSIZE;
        store->end = 0;
        store->max_packed = (size_t)(max_bytes - fixed);
        return grow(&store->directory, &store->directory_capacity,
                    (size_t)n_items * NIPC_LOOKUP_ENTRY_SIZE);
}

/* Room for size bytes behind the last item. */
static int reserve(struct nipc__lookup_store *store, uint64_t size, uint8_t **ret_p)
{
        const uint64_t end = store->end + size;
        uint64_t capacity = store->packed_capacity;
        int r;

        if (end > capacity) {
                capacity = NIPC__MAX(2 * capacity, PACKED_MIN);
                capacity = NIPC__MAX(NIPC__MIN(capacity, store->max_packed), end);
                if (capacity > SIZE_MAX)
                        return -ENOMEM;
                r = grow(&store->packed, &store->packed_capacity, (size_t)capacity);
                if (r < 0)
                        return r;
        }
        *ret_p = store->packed + store->end;
        return 0;
}

/* The item of `size` bytes is there, behind the last. */
static void commit(struct nipc__lookup_store *store, uint32_t index, uint32_t size)
{
        uint8_t *entry = store->directory + (size_t)index * NIPC_LOOKUP_ENTRY_SIZE;

        nipc_store_u32(entry, (uint32_t)store->end);
        nipc_store_u32(entry + sizeof(uint32_t), size);
        store->end += (size_t)nipc_align8(size);
}

static bool is_too_much(const struct nipc__lookup_store *store, uint64_t size)
{
        return nipc_align8(size) > store->max_packed - store->end;
}

int nipc__lookup_store_add(struct nipc__lookup_store *store, uint32_t index,
                           struct nipc_lookup_item item)
{
        uint8_t *p;
        int r;

        if (is_too_much(store, item.size))
                return -EMSGSIZE;
        r = reserve(store, nipc_align8(item.size), &p);
        if (r < 0)
                return r;
        memcpy(p, item.bytes, item.size);
        commit(store, index, item.size);
        return 0;
}

/* The item is built as the only one of a response, and moved to where the response began. */
int nipc__lookup_store_add_status(struct nipc__lookup_store *store,
                                  const struct nipc_lookup_class *class_, uint32_t index,
                                  const void *key, size_t key_size, uint16_t status)
{
        const size_t before = NIPC_LOOKUP_HEADER_SIZE + NIPC_LOOKUP_ENTRY_SIZE;
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS] = {{0}};
        struct nipc_lookup_builder builder;
        uint64_t item_size;
        size_t size;
        uint8_t *p;
        int r;

        if (!class_->key_size)
                strings[0].len = key_size;
        item_size = nipc_lookup_item_size(class_, strings, NULL, 0);
        if (is_too_much(store, item_size))
                return -EMSGSIZE;
        r = reserve(store, before + nipc_align8(item_size), &p);
        if (r < 0)
                return r;
        r = nipc_lookup_builder_init_unasked(&builder, class_, p, before + (size_t)item_size, 1);
        if (!r)
                r = nipc_lookup_builder_add_status(&builder, key, key_size, status);
        if (!r)
                r = nipc_lookup_builder_finish(&builder, &size);
        if (r)
                return -EINVAL;
        memmove(p, p + before, (size_t)item_size);
        commit(store, index, (uint32_t)item_size);
        return 0;
}

void nipc__lookup_store_leave_out(struct nipc__lookup_store *store, uint32_t index)
{
        nipc_store_u64(store->directory + (size_t)index * NIPC_LOOKUP_ENTRY_SIZE, 0);
}

bool nipc__lookup_store_is_left_out(const struct nipc__lookup_store *store, uint32_t index)
{
        const uint8_t *entry = store->directory + (size_t)index * NIPC_LOOKUP_ENTRY_SIZE;

        return nipc_load_u32(entry + sizeof(uint32_t)) == 0;
}
