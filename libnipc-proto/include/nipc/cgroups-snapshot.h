/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 2, CGROUPS_SNAPSHOT: nothing asks, all cgroups answer (codecs §3).
 *
 * How to read: nipc_cgroups_snapshot_view_init() checks header and directory;
 * nipc_cgroups_snapshot_view_get() checks and borrows item after item. A response is good when
 * every item is: check them all before you publish any.
 * How to build: nipc_cgroups_snapshot_builder_init() over a buffer of one's own, add each item,
 * finish. No allocation.
 */

#include <nipc/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE     4u
#define NIPC_CGROUPS_SNAPSHOT_HEADER_SIZE      24u
#define NIPC_CGROUPS_SNAPSHOT_ENTRY_SIZE       8u
#define NIPC_CGROUPS_SNAPSHOT_ITEM_HEADER_SIZE 32u

/* Returns 0, TRUNCATED (fewer than 4 bytes), BAD_LAYOUT (version, then flags). Since: 0.1 */
int nipc_cgroups_snapshot_request_decode(const void *buf, size_t size,
                                         struct nipc_fault *ret_fault);

/* Writes the 4 bytes of a request at buf. Since: 0.1 */
void nipc_cgroups_snapshot_request_encode(void *buf);

/* One cgroup. When decoded, the strings are borrowed from the payload and NUL-terminated. */
struct nipc_cgroups_snapshot_item {
        uint32_t hash;    /* opaque, chosen by the server; part of an item's identity */
        uint32_t options; /* opaque */
        uint32_t enabled; /* opaque, not normalised */
        uint32_t name_len;
        uint32_t path_len;
        const char *name;
        const char *path;
};

/* A checked response; borrows the payload it was made from. */
struct nipc_cgroups_snapshot_view {
        const uint8_t *payload;
        size_t size;
        uint32_t item_count;
        uint32_t systemd_enabled;
        uint64_t generation;
};

/*
 * Checks header and directory of a response (stage a of codecs §3).
 * payload: borrowed for as long as the view and its items are used.
 * Returns 0, TRUNCATED, BAD_LAYOUT, BAD_ALIGNMENT, OUT_OF_BOUNDS. Since: 0.1
 */
int nipc_cgroups_snapshot_view_init(struct nipc_cgroups_snapshot_view *ret_view,
                                    const void *payload, size_t size, struct nipc_fault *ret_fault);

/*
 * Checks and borrows item `index` (stage b). Entries may come in any order, overlap or repeat.
 * Returns 0, BAD_LAYOUT, OUT_OF_BOUNDS (index too), MISSING_NUL. Since: 0.1
 */
int nipc_cgroups_snapshot_view_get(const struct nipc_cgroups_snapshot_view *view, uint32_t index,
                                   struct nipc_cgroups_snapshot_item *ret_item,
                                   struct nipc_fault *ret_fault);

/* Builds a response in a caller's buffer. Embeddable; needs no release. */
struct nipc_cgroups_snapshot_builder {
        uint8_t *buf;
        size_t budget;
        uint32_t max_items;
        uint32_t n_items;
        size_t end; /* end of the last item, from the start of buf */
        int error;  /* sticky */
};

/*
 * Starts a response of at most max_items items in the first `budget` bytes of buf (borrowed until
 * finish). max_items 0 reserves (budget - 24) / 48 slots. Reserved slots use budget while building
 * and never show in the bytes. Returns 0, or OVERFLOW when the slots do not fit, which sticks:
 * finish then reports it too. Since: 0.1
 */
int nipc_cgroups_snapshot_builder_init(struct nipc_cgroups_snapshot_builder *ret_builder, void *buf,
                                       size_t budget, uint32_t max_items);

/*
 * Copies one item. item->name and item->path: borrowed for the call; may be NULL when their length
 * is 0. Returns 0, OVERFLOW (slots or budget) or BAD_LAYOUT (NULL with a length); both stick.
 * Since: 0.1
 */
int nipc_cgroups_snapshot_builder_add(struct nipc_cgroups_snapshot_builder *builder,
                                      const struct nipc_cgroups_snapshot_item *item);

/*
 * Ends the response. ret_size: its bytes; no padding after the last item.
 * Returns 0 or the sticky error. Since: 0.1
 */
int nipc_cgroups_snapshot_builder_finish(struct nipc_cgroups_snapshot_builder *builder,
                                         uint32_t systemd_enabled, uint64_t generation,
                                         size_t *ret_size);

/* Bytes that a response of n_items with names and paths of string_bytes in all needs at most. */
uint64_t nipc_cgroups_snapshot_size_bound(uint32_t n_items, uint64_t string_bytes);

#ifdef __cplusplus
}
#endif
