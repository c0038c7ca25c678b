/* SPDX-License-Identifier: MIT */

/*
 * Batch payloads (wire-v1 §3): directory, then items at multiples of 8.
 *
 * While building, the directory has max_items slots and the items follow it. Offsets count from
 * the packed area, so finishing with fewer items is one move of that area and no rewriting.
 */

#include <nipc/batch.h>
#include <nipc/wire.h>
#include <stdbool.h>

#include "batch-fast.h"
#include "fault.h"
#include "stdaux.h"

/* Names the first entry that is wrong; one is. Apart, so that the loop over good ones is tight. */
static __attribute__((__cold__, __noinline__)) int directory_fault(const uint8_t *payload,
                                                                   uint64_t packed_size,
                                                                   struct nipc_fault *ret_fault)
{
        size_t at;

        for (at = 0;; at += NIPC_BATCH_ENTRY_SIZE) {
                uint32_t offset = nipc_load_u32(payload + at + NIPC__BATCH_ENTRY_OFFSET);
                uint32_t length = nipc_load_u32(payload + at + NIPC__BATCH_ENTRY_LENGTH);

                if (offset % NIPC_ALIGNMENT)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_ALIGNMENT,
                                         at + NIPC__BATCH_ENTRY_OFFSET,
                                         "an item must start at a multiple of 8");
                if ((uint64_t)offset + length > packed_size)
                        return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                                         at + (offset > packed_size ? NIPC__BATCH_ENTRY_OFFSET
                                                                    : NIPC__BATCH_ENTRY_LENGTH),
                                         "an item must end within the packed area");
        }
}

NIPC__EXPORT int nipc_batch_view_init(struct nipc_batch_view *ret_view, const void *payload,
                                      size_t size, uint32_t item_count,
                                      struct nipc_fault *ret_fault)
{
        const uint8_t *p = payload;
        uint64_t directory = (uint64_t)item_count * NIPC_BATCH_ENTRY_SIZE;
        uint64_t packed_size;
        bool bad = false;
        size_t at;

        if (NIPC__UNLIKELY(directory > size))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "the directory must fit the payload");
        packed_size = size - directory;
        for (at = 0; at < directory; at += NIPC_BATCH_ENTRY_SIZE) {
                uint32_t offset = nipc_load_u32(p + at + NIPC__BATCH_ENTRY_OFFSET);
                uint32_t length = nipc_load_u32(p + at + NIPC__BATCH_ENTRY_LENGTH);

                bad |= (offset % NIPC_ALIGNMENT) | ((uint64_t)offset + length > packed_size);
        }
        if (NIPC__UNLIKELY(bad))
                return directory_fault(p, packed_size, ret_fault);

        ret_view->payload = p;
        ret_view->item_count = item_count;
        ret_view->packed_offset = (size_t)directory;
        ret_view->packed_size = (size_t)packed_size;
        return 0;
}

NIPC__EXPORT int nipc_batch_view_get(const struct nipc_batch_view *view, uint32_t index,
                                     const void **ret_item, size_t *ret_size)
{
        return nipc__batch_view_get(view, index, ret_item, ret_size);
}

NIPC__EXPORT int nipc_batch_builder_init(struct nipc_batch_builder *ret_builder, void *buf,
                                         size_t size, uint32_t max_items)
{
        *ret_builder = (struct nipc_batch_builder){
                .buf = buf,
                /* A payload is at most what its length field can say. */
                .size = NIPC__MIN(size, (size_t)UINT32_MAX),
                .max_items = max_items,
        };
        if ((uint64_t)max_items * NIPC_BATCH_ENTRY_SIZE > ret_builder->size)
                return nipc__batch_builder_fail(ret_builder, NIPC_PROTO_E_OVERFLOW);
        return 0;
}

NIPC__EXPORT int nipc_batch_builder_add(struct nipc_batch_builder *builder, const void *item,
                                        size_t size)
{
        uint64_t start;
        size_t capacity;
        int r;

        r = nipc__batch_builder_next(builder, &start, &capacity);
        if (NIPC__UNLIKELY(r))
                return r;
        if (NIPC__UNLIKELY(size > capacity))
                return nipc__batch_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);
        if (size)
                memcpy(nipc__batch_builder_packed(builder) + start, item, size);
        nipc__batch_builder_enter(builder, (size_t)start, size);
        return 0;
}

NIPC__EXPORT int nipc_batch_builder_reserve(struct nipc_batch_builder *builder, void **ret_item,
                                            size_t *ret_capacity)
{
        return nipc__batch_builder_reserve(builder, ret_item, ret_capacity);
}

NIPC__EXPORT int nipc_batch_builder_commit(struct nipc_batch_builder *builder, size_t size)
{
        return nipc__batch_builder_commit(builder, size);
}

NIPC__EXPORT int nipc_batch_builder_finish(struct nipc_batch_builder *builder, size_t *ret_size)
{
        size_t directory = (size_t)builder->n_items * NIPC_BATCH_ENTRY_SIZE;
        size_t end = builder->end, padding;

        if (builder->error)
                return builder->error;
        if (builder->n_items < builder->max_items) {
                if (end)
                        memmove(builder->buf + directory, nipc__batch_builder_packed(builder), end);
                builder->max_items = builder->n_items;
        }
        padding = (size_t)(nipc_align8(end) - end);
        if (padding && padding <= builder->size - directory - end) {
                memset(builder->buf + directory + end, 0, padding);
                end += padding;
        }
        *ret_size = directory + end;
        return 0;
}
