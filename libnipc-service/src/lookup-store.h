/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Items of several responses, put together: a directory and a packed area as in one response, in
 * memory that the next lookup uses again. Items are copied as they are; they were checked when
 * they came. They lie in the order in which they were added, which need not be that of the keys.
 */

#include <nipc/lookup.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct nipc__lookup_store {
        uint8_t *directory;
        uint8_t *packed;
        size_t directory_capacity;
        size_t packed_capacity;
        size_t end;        /* of the last item in packed, a multiple of 8 */
        size_t max_packed; /* what packed may grow to */
};

void nipc__lookup_store_deinit(struct nipc__lookup_store *store);

/*
 * Begins anew: n_items without anything yet. max_bytes: of header, directory and items, each
 * aligned. Returns 0, -ENOMEM, -EMSGSIZE.
 */
int nipc__lookup_store_begin(struct nipc__lookup_store *store, uint32_t n_items,
                             uint32_t max_bytes);

/* The item at `index` of all. Returns 0, -ENOMEM, -EMSGSIZE. */
int nipc__lookup_store_add(struct nipc__lookup_store *store, uint32_t index,
                           struct nipc_lookup_item item);

/*
 * An item that only has a status. Returns 0, -ENOMEM, -EMSGSIZE, -EINVAL for a key that cannot be.
 */
int nipc__lookup_store_add_status(struct nipc__lookup_store *store,
                                  const struct nipc_lookup_class *class_, uint32_t index,
                                  const void *key, size_t key_size, uint16_t status);

/* Says that the item at `index` is still to come. */
void nipc__lookup_store_leave_out(struct nipc__lookup_store *store, uint32_t index);
bool nipc__lookup_store_is_left_out(const struct nipc__lookup_store *store, uint32_t index);
