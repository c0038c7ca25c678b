/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Batch payloads (wire-v1 §3): a directory of {offset, length}, then the items, each at a multiple
 * of 8. Homogeneous: one method, item i of the response answers item i of the request.
 *
 * How to read: nipc_batch_view_init() checks the whole directory once; nipc_batch_view_get() then
 * borrows item after item. Item payloads are not judged here.
 * How to build: nipc_batch_builder_init() over a buffer of one's own, add (copy) or
 * reserve + commit (in place) for each item, finish. No allocation.
 */

#include <nipc/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_BATCH_ENTRY_SIZE 8u

/* A checked batch payload; borrows the bytes it was made from. */
struct nipc_batch_view {
        const uint8_t *payload;
        uint32_t item_count;
        size_t packed_offset; /* start of the packed area = item_count * 8 */
        size_t packed_size;
};

/*
 * Checks a batch payload of item_count items. payload: borrowed for as long as the view is used.
 * Returns 0, or TRUNCATED (the directory does not fit), BAD_ALIGNMENT, OUT_OF_BOUNDS. Order,
 * overlap, gaps and padding are not judged (wire-v1 §3). Since: 0.1
 */
int nipc_batch_view_init(struct nipc_batch_view *ret_view, const void *payload, size_t size,
                         uint32_t item_count, struct nipc_fault *ret_fault);

/*
 * Borrows item `index`; *ret_item is valid as long as the payload. index must be below item_count,
 * else OUT_OF_BOUNDS. Since: 0.1
 */
int nipc_batch_view_get(const struct nipc_batch_view *view, uint32_t index, const void **ret_item,
                        size_t *ret_size);

/* Builds a batch payload in a caller's buffer. Embeddable; needs no release. */
struct nipc_batch_builder {
        uint8_t *buf;
        size_t size;
        uint32_t max_items;
        uint32_t n_items;
        size_t end; /* end of the last item, from the start of the packed area */
        int error;  /* sticky */
};

/*
 * Starts a batch of at most max_items items in buf (borrowed until finish). Directory slots are
 * reserved for max_items; finishing with fewer moves the items, so that the bytes are always those
 * of an exact build. Returns 0 or OVERFLOW (no room for the directory). Since: 0.1
 */
int nipc_batch_builder_init(struct nipc_batch_builder *ret_builder, void *buf, size_t size,
                            uint32_t max_items);

/* Copies one item. Returns 0 or OVERFLOW (slots or bytes), which sticks. Since: 0.1 */
int nipc_batch_builder_add(struct nipc_batch_builder *builder, const void *item, size_t size);

/*
 * Lends the space for the next item: *ret_item is valid until the next call on the builder and has
 * *ret_capacity bytes (may be 0). Follow with nipc_batch_builder_commit(). Returns 0, or OVERFLOW
 * when no slot or aligned start is left. Since: 0.1
 */
int nipc_batch_builder_reserve(struct nipc_batch_builder *builder, void **ret_item,
                               size_t *ret_capacity);

/* Keeps the first `size` bytes of what was reserved. Returns 0 or OVERFLOW. Since: 0.1 */
int nipc_batch_builder_commit(struct nipc_batch_builder *builder, size_t size);

/*
 * Ends the batch. The tail is padded with zeros to a multiple of 8 if the buffer has room for all
 * of the padding, and not at all otherwise (wire-v1 §3).
 * ret_size: bytes of the payload. Returns 0, or the sticky error. Since: 0.1
 */
int nipc_batch_builder_finish(struct nipc_batch_builder *builder, size_t *ret_size);

#ifdef __cplusplus
}
#endif
