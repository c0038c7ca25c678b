/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Batches (wire-v1 §3) item by item, inline: for the functions of the same names in <nipc/batch.h>,
 * and for whoever goes through thousands of small items.
 */

#include "stdaux.h"
#include <nipc/batch.h>
#include <nipc/error.h>
#include <nipc/wire.h>
#include <string.h>

enum {
        NIPC__BATCH_ENTRY_OFFSET = 0,
        NIPC__BATCH_ENTRY_LENGTH = 4,
};

_Static_assert(NIPC__BATCH_ENTRY_LENGTH + sizeof(uint32_t) == NIPC_BATCH_ENTRY_SIZE, "wire-v1 §3");

static inline int nipc__batch_view_get(const struct nipc_batch_view *view, uint32_t index,
                                       const void **ret_item, size_t *ret_size)
{
        const uint8_t *entry;

        if (NIPC__UNLIKELY(index >= view->item_count))
                return NIPC_PROTO_E_OUT_OF_BOUNDS;
        entry = view->payload + (size_t)index * NIPC_BATCH_ENTRY_SIZE;
        *ret_item = view->payload + view->packed_offset +
                    nipc_load_u32(entry + NIPC__BATCH_ENTRY_OFFSET);
        *ret_size = nipc_load_u32(entry + NIPC__BATCH_ENTRY_LENGTH);
        return 0;
}

static inline int nipc__batch_builder_fail(struct nipc_batch_builder *builder, int error)
{
        if (!builder->error)
                builder->error = error;
        return builder->error;
}

/* Where the next item starts in the packed area, and how many bytes it may have. */
static inline int nipc__batch_builder_next(struct nipc_batch_builder *builder, uint64_t *ret_start,
                                           size_t *ret_capacity)
{
        uint64_t packed_size, start;

        if (NIPC__UNLIKELY(builder->error))
                return builder->error;
        if (NIPC__UNLIKELY(builder->n_items >= builder->max_items))
                return nipc__batch_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);
        packed_size = builder->size - (uint64_t)builder->max_items * NIPC_BATCH_ENTRY_SIZE;
        start = nipc_align8(builder->end);
        if (NIPC__UNLIKELY(start > packed_size))
                return nipc__batch_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);
        *ret_start = start;
        *ret_capacity = (size_t)(packed_size - start);
        return 0;
}

static inline uint8_t *nipc__batch_builder_packed(const struct nipc_batch_builder *builder)
{
        return builder->buf + (size_t)builder->max_items * NIPC_BATCH_ENTRY_SIZE;
}

/* Enters an item of which the bytes are in place: the gap before it, its entry, the new end. */
static inline void nipc__batch_builder_enter(struct nipc_batch_builder *builder, size_t start,
                                             size_t size)
{
        uint8_t *entry = builder->buf + (size_t)builder->n_items * NIPC_BATCH_ENTRY_SIZE;

        if (start != builder->end)
                memset(nipc__batch_builder_packed(builder) + builder->end, 0, start - builder->end);
        nipc_store_u32(entry + NIPC__BATCH_ENTRY_OFFSET, (uint32_t)start);
        nipc_store_u32(entry + NIPC__BATCH_ENTRY_LENGTH, (uint32_t)size);
        builder->end = start + size;
        builder->n_items++;
}

static inline int nipc__batch_builder_reserve(struct nipc_batch_builder *builder, void **ret_item,
                                              size_t *ret_capacity)
{
        uint64_t start;
        size_t capacity;
        int r;

        r = nipc__batch_builder_next(builder, &start, &capacity);
        if (NIPC__UNLIKELY(r))
                return r;
        *ret_item = nipc__batch_builder_packed(builder) + start;
        *ret_capacity = capacity;
        return 0;
}

static inline int nipc__batch_builder_commit(struct nipc_batch_builder *builder, size_t size)
{
        uint64_t start;
        size_t capacity;
        int r;

        r = nipc__batch_builder_next(builder, &start, &capacity);
        if (NIPC__UNLIKELY(r))
                return r;
        if (NIPC__UNLIKELY(size > capacity))
                return nipc__batch_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);
        nipc__batch_builder_enter(builder, (size_t)start, size);
        return 0;
}
