/* SPDX-License-Identifier: MIT */

/*
 * Method 2 (codecs §3): header, directory, packed items of a header and two strings each.
 *
 * Decoding is looser than building: entries in any order, overlapping, with gaps; strings anywhere
 * after the item's header as long as they do not share a byte. Only what a reader could be misled
 * by is judged.
 *
 * While building, the directory has max_items slots and the items follow it. Offsets count from
 * the packed area, so finishing with fewer items is one move of that area and no rewriting.
 */

#include <nipc/cgroups-snapshot.h>
#include <nipc/wire.h>
#include <stdbool.h>

#include "../fault.h"
#include "stdaux.h"

enum {
        REQUEST_LAYOUT_VERSION = 0,
        REQUEST_FLAGS = 2,
};

enum {
        RESPONSE_LAYOUT_VERSION = 0,
        RESPONSE_FLAGS = 2,
        RESPONSE_ITEM_COUNT = 4,
        RESPONSE_SYSTEMD_ENABLED = 8,
        RESPONSE_RESERVED = 12,
        RESPONSE_GENERATION = 16,
        RESPONSE_DIRECTORY = 24,
};

enum {
        ENTRY_OFFSET = 0,
        ENTRY_LENGTH = 4,
        ENTRY_SIZE = 8,
};

enum {
        ITEM_LAYOUT_VERSION = 0,
        ITEM_FLAGS = 2,
        ITEM_HASH = 4,
        ITEM_OPTIONS = 8,
        ITEM_ENABLED = 12,
        ITEM_NAME_OFFSET = 16,
        ITEM_NAME_LENGTH = 20,
        ITEM_PATH_OFFSET = 24,
        ITEM_PATH_LENGTH = 28,
        ITEM_STRINGS = 32,
};

enum {
        LAYOUT_VERSION = 1,
        /* What the default reservation supposes of an item: its header and entry, few bytes more.
         */
        RESERVATION = 48,
};

_Static_assert(REQUEST_FLAGS + sizeof(uint16_t) == NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE, "codecs §3");
_Static_assert(RESPONSE_DIRECTORY == NIPC_CGROUPS_SNAPSHOT_HEADER_SIZE, "codecs §3");
_Static_assert(RESPONSE_GENERATION + sizeof(uint64_t) == RESPONSE_DIRECTORY, "codecs §3");
_Static_assert(ENTRY_SIZE == NIPC_CGROUPS_SNAPSHOT_ENTRY_SIZE, "codecs §3");
_Static_assert(ITEM_STRINGS == NIPC_CGROUPS_SNAPSHOT_ITEM_HEADER_SIZE, "codecs §3");
_Static_assert(RESPONSE_DIRECTORY % NIPC_ALIGNMENT == 0, "items stay aligned in the payload");

NIPC__EXPORT int nipc_cgroups_snapshot_request_decode(const void *buf, size_t size,
                                                      struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;

        if (size < NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a snapshot request has 4 bytes");
        if (nipc_load_u16(p + REQUEST_LAYOUT_VERSION) != LAYOUT_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, REQUEST_LAYOUT_VERSION,
                                 "layout_version must be 1");
        if (nipc_load_u16(p + REQUEST_FLAGS) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, REQUEST_FLAGS,
                                 "flags must be 0");
        return 0;
}

NIPC__EXPORT void nipc_cgroups_snapshot_request_encode(void *buf)
{
        uint8_t *p = buf;

        nipc_store_u16(p + REQUEST_LAYOUT_VERSION, LAYOUT_VERSION);
        nipc_store_u16(p + REQUEST_FLAGS, 0);
}

/* Names the first entry that is wrong; one is. Apart, so that the loop over good ones is tight. */
static __attribute__((__cold__, __noinline__)) int directory_fault(const uint8_t *payload,
                                                                   uint64_t packed_size,
                                                                   struct nipc_fault *ret_fault)
{
        size_t at;

        for (at = RESPONSE_DIRECTORY;; at += ENTRY_SIZE) {
                uint32_t offset = nipc_load_u32(payload + at + ENTRY_OFFSET);
                uint32_t length = nipc_load_u32(payload + at + ENTRY_LENGTH);

                if (offset % NIPC_ALIGNMENT)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_ALIGNMENT, at + ENTRY_OFFSET,
                                         "an item must start at a multiple of 8");
                if ((uint64_t)offset + length > packed_size)
                        return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                                         at + (offset > packed_size ? ENTRY_OFFSET : ENTRY_LENGTH),
                                         "an item must end within the packed area");
                if (length < ITEM_STRINGS)
                        return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, at + ENTRY_LENGTH,
                                         "an item has a header of 32 bytes");
        }
}

/* Every entry: aligned, within the packed area, long enough for an item's header. */
static int directory_check(const uint8_t *payload, uint64_t directory_end, uint64_t packed_size,
                           struct nipc_fault *ret_fault)
{
        bool bad = false;
        size_t at;

        for (at = RESPONSE_DIRECTORY; at < directory_end; at += ENTRY_SIZE) {
                uint32_t offset = nipc_load_u32(payload + at + ENTRY_OFFSET);
                uint32_t length = nipc_load_u32(payload + at + ENTRY_LENGTH);

                bad |= (offset % NIPC_ALIGNMENT) | (length < ITEM_STRINGS) |
                       ((uint64_t)offset + length > packed_size);
        }
        return NIPC__UNLIKELY(bad) ? directory_fault(payload, packed_size, ret_fault) : 0;
}

NIPC__EXPORT int nipc_cgroups_snapshot_view_init(struct nipc_cgroups_snapshot_view *ret_view,
                                                 const void *payload, size_t size,
                                                 struct nipc_fault *ret_fault)
{
        const uint8_t *p = payload;
        uint64_t directory_end;
        uint32_t item_count;
        int r;

        if (size < RESPONSE_DIRECTORY)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a snapshot has a header of 24 bytes");
        if (nipc_load_u16(p + RESPONSE_LAYOUT_VERSION) != LAYOUT_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, RESPONSE_LAYOUT_VERSION,
                                 "layout_version must be 1");
        if (nipc_load_u16(p + RESPONSE_FLAGS) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, RESPONSE_FLAGS,
                                 "flags must be 0");
        if (nipc_load_u32(p + RESPONSE_RESERVED) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, RESPONSE_RESERVED,
                                 "the reserved word must be 0");
        item_count = nipc_load_u32(p + RESPONSE_ITEM_COUNT);
        directory_end = RESPONSE_DIRECTORY + (uint64_t)item_count * ENTRY_SIZE;
        if (directory_end > size)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, RESPONSE_ITEM_COUNT,
                                 "the directory must fit the payload");
        r = directory_check(p, directory_end, size - directory_end, ret_fault);
        if (r)
                return r;

        ret_view->payload = p;
        ret_view->size = size;
        ret_view->item_count = item_count;
        ret_view->systemd_enabled = nipc_load_u32(p + RESPONSE_SYSTEMD_ENABLED);
        ret_view->generation = nipc_load_u64(p + RESPONSE_GENERATION);
        return 0;
}

/* One string of an item: after the header, within the item, NUL at its end. field: of its offset.
 */
static inline int item_check_string(const uint8_t *item, size_t item_size, size_t item_at,
                                    size_t field, uint32_t offset, uint32_t length,
                                    struct nipc_fault *ret_fault)
{
        uint64_t nul = (uint64_t)offset + length;

        if (NIPC__UNLIKELY(offset < ITEM_STRINGS))
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS, item_at + field,
                                 "a string must start after its item's header");
        if (NIPC__UNLIKELY(nul >= item_size))
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                                 item_at + field + (offset >= item_size ? 0 : sizeof(uint32_t)),
                                 "a string and its NUL must fit their item");
        if (NIPC__UNLIKELY(item[nul] != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_MISSING_NUL, item_at + (size_t)nul,
                                 "a string must end in NUL");
        return 0;
}

static inline int item_decode(const uint8_t *item, size_t item_size, size_t item_at,
                              struct nipc_cgroups_snapshot_item *ret_item,
                              struct nipc_fault *ret_fault)
{
        uint32_t name, name_len, path, path_len;
        int r;

        if (NIPC__UNLIKELY(nipc_load_u16(item + ITEM_LAYOUT_VERSION) != LAYOUT_VERSION))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, item_at + ITEM_LAYOUT_VERSION,
                                 "layout_version of an item must be 1");
        if (NIPC__UNLIKELY(nipc_load_u16(item + ITEM_FLAGS) != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, item_at + ITEM_FLAGS,
                                 "flags of an item must be 0");
        name = nipc_load_u32(item + ITEM_NAME_OFFSET);
        name_len = nipc_load_u32(item + ITEM_NAME_LENGTH);
        r = item_check_string(item, item_size, item_at, ITEM_NAME_OFFSET, name, name_len,
                              ret_fault);
        if (NIPC__UNLIKELY(r))
                return r;
        path = nipc_load_u32(item + ITEM_PATH_OFFSET);
        path_len = nipc_load_u32(item + ITEM_PATH_LENGTH);
        r = item_check_string(item, item_size, item_at, ITEM_PATH_OFFSET, path, path_len,
                              ret_fault);
        if (NIPC__UNLIKELY(r))
                return r;
        /* Both ends, NUL included, lie within the item: no sum wraps. */
        if (NIPC__UNLIKELY(name <= (uint64_t)path + path_len && path <= (uint64_t)name + name_len))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, item_at + ITEM_PATH_OFFSET,
                                 "name and path must not share bytes");

        ret_item->hash = nipc_load_u32(item + ITEM_HASH);
        ret_item->options = nipc_load_u32(item + ITEM_OPTIONS);
        ret_item->enabled = nipc_load_u32(item + ITEM_ENABLED);
        ret_item->name_len = name_len;
        ret_item->path_len = path_len;
        ret_item->name = (const char *)item + name;
        ret_item->path = (const char *)item + path;
        return 0;
}

NIPC__EXPORT int nipc_cgroups_snapshot_view_get(const struct nipc_cgroups_snapshot_view *view,
                                                uint32_t index,
                                                struct nipc_cgroups_snapshot_item *ret_item,
                                                struct nipc_fault *ret_fault)
{
        const uint8_t *entry;
        size_t item_at;

        if (NIPC__UNLIKELY(index >= view->item_count))
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS, RESPONSE_ITEM_COUNT,
                                 "the index must be below item_count");
        entry = view->payload + RESPONSE_DIRECTORY + (size_t)index * ENTRY_SIZE;
        item_at = RESPONSE_DIRECTORY + (size_t)view->item_count * ENTRY_SIZE +
                  nipc_load_u32(entry + ENTRY_OFFSET);
        return item_decode(view->payload + item_at, nipc_load_u32(entry + ENTRY_LENGTH), item_at,
                           ret_item, ret_fault);
}

static int snapshot_builder_fail(struct nipc_cgroups_snapshot_builder *builder, int error)
{
        if (!builder->error)
                builder->error = error;
        return builder->error;
}

/* Start of the packed area while building. */
static size_t snapshot_builder_packed(const struct nipc_cgroups_snapshot_builder *builder)
{
        return RESPONSE_DIRECTORY + (size_t)builder->max_items * ENTRY_SIZE;
}

NIPC__EXPORT int nipc_cgroups_snapshot_builder_init(
        struct nipc_cgroups_snapshot_builder *ret_builder, void *buf, size_t budget,
        uint32_t max_items)
{
        /* A payload is at most what its length field can say. */
        budget = NIPC__MIN(budget, (size_t)UINT32_MAX);
        if (!max_items && budget > RESPONSE_DIRECTORY)
                max_items = (uint32_t)((budget - RESPONSE_DIRECTORY) / RESERVATION);
        *ret_builder = (struct nipc_cgroups_snapshot_builder){
                .buf = buf,
                .budget = budget,
                .max_items = max_items,
        };
        if (RESPONSE_DIRECTORY + (uint64_t)max_items * ENTRY_SIZE > budget)
                return snapshot_builder_fail(ret_builder, NIPC_PROTO_E_OVERFLOW);
        ret_builder->end = snapshot_builder_packed(ret_builder);
        return 0;
}

/* Writes an item, of which the room was checked, at p. */
static inline void item_encode(uint8_t *p, const struct nipc_cgroups_snapshot_item *item)
{
        const uint32_t path_offset = ITEM_STRINGS + item->name_len + 1;

        nipc_store_u16(p + ITEM_LAYOUT_VERSION, LAYOUT_VERSION);
        nipc_store_u16(p + ITEM_FLAGS, 0);
        nipc_store_u32(p + ITEM_HASH, item->hash);
        nipc_store_u32(p + ITEM_OPTIONS, item->options);
        nipc_store_u32(p + ITEM_ENABLED, item->enabled);
        nipc_store_u32(p + ITEM_NAME_OFFSET, ITEM_STRINGS);
        nipc_store_u32(p + ITEM_NAME_LENGTH, item->name_len);
        nipc_store_u32(p + ITEM_PATH_OFFSET, path_offset);
        nipc_store_u32(p + ITEM_PATH_LENGTH, item->path_len);
        if (item->name_len)
                memcpy(p + ITEM_STRINGS, item->name, item->name_len);
        p[ITEM_STRINGS + (size_t)item->name_len] = 0;
        if (item->path_len)
                memcpy(p + path_offset, item->path, item->path_len);
        p[path_offset + (size_t)item->path_len] = 0;
}

NIPC__EXPORT int nipc_cgroups_snapshot_builder_add(struct nipc_cgroups_snapshot_builder *builder,
                                                   const struct nipc_cgroups_snapshot_item *item)
{
        const uint64_t start = nipc_align8(builder->end);
        const uint64_t size = (uint64_t)ITEM_STRINGS + 2 + item->name_len + item->path_len;
        uint8_t *entry;

        if (NIPC__UNLIKELY(builder->error))
                return builder->error;
        if (NIPC__UNLIKELY((item->name_len && !item->name) || (item->path_len && !item->path)))
                return snapshot_builder_fail(builder, NIPC_PROTO_E_BAD_LAYOUT);
        if (NIPC__UNLIKELY(builder->n_items >= builder->max_items ||
                           start + size > builder->budget))
                return snapshot_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);

        /* The gap before the item; what this writes beyond it is the item's header. */
        nipc_store_u64(builder->buf + builder->end, 0);
        item_encode(builder->buf + start, item);
        entry = builder->buf + RESPONSE_DIRECTORY + (size_t)builder->n_items * ENTRY_SIZE;
        nipc_store_u32(entry + ENTRY_OFFSET, (uint32_t)(start - snapshot_builder_packed(builder)));
        nipc_store_u32(entry + ENTRY_LENGTH, (uint32_t)size);
        builder->end = (size_t)(start + size);
        builder->n_items++;
        return 0;
}

NIPC__EXPORT int nipc_cgroups_snapshot_builder_finish(struct nipc_cgroups_snapshot_builder *builder,
                                                      uint32_t systemd_enabled, uint64_t generation,
                                                      size_t *ret_size)
{
        uint8_t *p = builder->buf;
        size_t reserved, packed, packed_size;

        if (builder->error)
                return builder->error;
        reserved = snapshot_builder_packed(builder);
        packed_size = builder->end - reserved;
        builder->max_items = builder->n_items;
        packed = snapshot_builder_packed(builder);
        if (packed != reserved && packed_size)
                memmove(p + packed, p + reserved, packed_size);
        builder->end = packed + packed_size;

        nipc_store_u16(p + RESPONSE_LAYOUT_VERSION, LAYOUT_VERSION);
        nipc_store_u16(p + RESPONSE_FLAGS, 0);
        nipc_store_u32(p + RESPONSE_ITEM_COUNT, builder->n_items);
        nipc_store_u32(p + RESPONSE_SYSTEMD_ENABLED, systemd_enabled);
        nipc_store_u32(p + RESPONSE_RESERVED, 0);
        nipc_store_u64(p + RESPONSE_GENERATION, generation);
        *ret_size = builder->end;
        return 0;
}

NIPC__EXPORT uint64_t nipc_cgroups_snapshot_size_bound(uint32_t n_items, uint64_t string_bytes)
{
        /* Entry, header, two NULs, and the gap to the next multiple of 8. */
        const uint64_t fixed =
                RESPONSE_DIRECTORY + (uint64_t)n_items * (ENTRY_SIZE + ITEM_STRINGS + 2 + 7);

        return string_bytes > UINT64_MAX - fixed ? UINT64_MAX : fixed + string_bytes;
}
