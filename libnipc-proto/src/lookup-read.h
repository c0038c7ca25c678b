/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How lookup messages are checked, in line: with a class that the compiler knows, what is
 * particular to a method becomes constants. The methods that come with nipc are compiled this way,
 * lookup.c does it for all others; the code is one.
 *
 * Invariant: a view exists only of a payload of which every byte that its functions will ever look
 * at was checked; they only load. The payload must not change meanwhile: what lies in memory that a
 * peer can write was copied before.
 */

#include "fault.h"
#include "lookup-layout.h"

/* What an entry of a directory may say. */
struct nipc__lookup_limits {
        uint64_t packed_size;
        uint32_t min_size, max_size;
};

/* Out of line, rarely needed: the first entry that is wrong; strings that share bytes; labels. */
int nipc__lookup_check_directory(const uint8_t *payload, const struct nipc__lookup_limits *limits,
                                 uint32_t item_count, struct nipc_fault *ret_fault);
int nipc__lookup_check_disjoint(const struct nipc_lookup_class *class_, const uint8_t *item,
                                struct nipc_fault *ret_fault);
int nipc__lookup_check_labels(const uint8_t *item, size_t item_size, uint64_t strings_end,
                              uint32_t count, struct nipc_fault *ret_fault);

/* What requests and responses begin with. Of responses there is a generation, which may be any. */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_message(const uint8_t *p, size_t size,
                                                          bool is_request, uint32_t *ret_item_count,
                                                          struct nipc_fault *ret_fault)
{
        uint32_t item_count;

        if (size < MESSAGE_DIRECTORY)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a lookup message has a header of 16 bytes");
        if (nipc_load_u16(p + MESSAGE_LAYOUT_VERSION) != NIPC__LOOKUP_LAYOUT_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, MESSAGE_LAYOUT_VERSION,
                                 "layout_version must be 1");
        if (nipc_load_u16(p + MESSAGE_FLAGS) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, MESSAGE_FLAGS,
                                 "flags must be 0");
        if (is_request && nipc_load_u32(p + REQUEST_RESERVED0) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, REQUEST_RESERVED0,
                                 "reserved0 must be 0");
        if (is_request && nipc_load_u32(p + REQUEST_RESERVED1) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, REQUEST_RESERVED1,
                                 "reserved1 must be 0");
        item_count = nipc_load_u32(p + MESSAGE_ITEM_COUNT);
        if (MESSAGE_DIRECTORY + (uint64_t)item_count * ENTRY_SIZE > size)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "the directory has an entry of 8 bytes per item");
        if ((uint64_t)size - MESSAGE_DIRECTORY - (uint64_t)item_count * ENTRY_SIZE > UINT32_MAX)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, MESSAGE_ITEM_COUNT,
                                 "the packed area must be below 4 GiB");
        *ret_item_count = item_count;
        return 0;
}

/* Aligned, of a size that can be, within the packed area, behind the last. */
static NIPC__ALWAYS_INLINE bool nipc__lookup_entry_is_bad(const struct nipc__lookup_limits *limits,
                                                          uint64_t previous_end, uint32_t offset,
                                                          uint32_t length)
{
        return (offset % NIPC_ALIGNMENT != 0) | (offset < previous_end) |
               (length - limits->min_size > limits->max_size - limits->min_size) |
               ((uint64_t)offset + length > limits->packed_size);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* What check_key() says of its key, with offsets in the payload. */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_fixed_key(const struct nipc_lookup_class *class_,
                                                            const uint8_t *payload,
                                                            const uint8_t *key,
                                                            struct nipc_fault *ret_fault)
{
        int r;

        r = class_->check_key(key, ret_fault);
        if (NIPC__UNLIKELY(r) && ret_fault)
                ret_fault->offset += (size_t)(key - payload);
        return r;
}

static NIPC__ALWAYS_INLINE int nipc__lookup_check_string_key(const uint8_t *payload,
                                                             const uint8_t *key, uint32_t length,
                                                             struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(key[length - 1] != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_MISSING_NUL,
                                 (size_t)(key - payload) + length - 1, "a key must end in NUL");
        if (NIPC__UNLIKELY(nipc__text_has_nul(key, length - 1)))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, (size_t)(key - payload),
                                 "a key must not have a NUL inside");
        return 0;
}

static NIPC__ALWAYS_INLINE int nipc__lookup_check_key(const struct nipc_lookup_class *class_,
                                                      const uint8_t *payload, const uint8_t *key,
                                                      uint32_t length, struct nipc_fault *ret_fault)
{
        if (!class_->key_size)
                return nipc__lookup_check_string_key(payload, key, length, ret_fault);
        return class_->check_key ? nipc__lookup_check_fixed_key(class_, payload, key, ret_fault)
                                 : 0;
}

/*
 * Entries and keys in one pass. A wrong entry is named before any wrong key, so what comes after a
 * wrong key is looked at before it is named.
 */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_keys(struct nipc_lookup_request_view *view,
                                                       const struct nipc_lookup_class *class_,
                                                       const uint8_t *payload, size_t size,
                                                       struct nipc_fault *ret_fault)
{
        const struct nipc__lookup_limits limits = {
                .packed_size = (uint64_t)(payload + size - view->packed),
                .min_size = class_->key_size ? class_->key_size : 2,
                .max_size = class_->key_size ? class_->key_size : UINT32_MAX,
        };
        const uint8_t *entry = view->directory, *entries_end = view->packed, *key;
        uint64_t placeholder_bytes = 0, previous_end = 0;
        uint32_t offset, length;
        int r, d;

        for (; entry < entries_end; entry += ENTRY_SIZE) {
                offset = nipc_load_u32(entry + ENTRY_OFFSET);
                length = nipc_load_u32(entry + ENTRY_LENGTH);
                if (NIPC__UNLIKELY(
                            nipc__lookup_entry_is_bad(&limits, previous_end, offset, length)))
                        return nipc__lookup_check_directory(payload, &limits, view->item_count,
                                                            ret_fault);
                key = view->packed + offset;
                r = nipc__lookup_check_key(class_, payload, key, length, ret_fault);
                if (NIPC__UNLIKELY(r)) {
                        d = nipc__lookup_check_directory(payload, &limits, view->item_count,
                                                         ret_fault);
                        return d ? d : r;
                }
                previous_end = (uint64_t)offset + length;
                placeholder_bytes += nipc_align8(nipc__lookup_placeholder_size(class_, length - 1));
        }
        view->placeholder_bytes = placeholder_bytes;
        return 0;
}

static NIPC__ALWAYS_INLINE int nipc__lookup_read_request(struct nipc_lookup_request_view *ret_view,
                                                         const struct nipc_lookup_class *class_,
                                                         const void *payload, size_t size,
                                                         struct nipc_fault *ret_fault)
{
        struct nipc_lookup_request_view view = {.class_ = class_};
        const uint8_t *p = payload;
        int r;

        r = nipc__lookup_check_message(p, size, true, &view.item_count, ret_fault);
        if (r)
                return r;
        view.directory = p + MESSAGE_DIRECTORY;
        view.packed = view.directory + (size_t)view.item_count * ENTRY_SIZE;
        r = nipc__lookup_check_keys(&view, class_, p, size, ret_fault);
        if (!r)
                *ret_view = view;
        return r;
}

/* ---- responses ---------------------------------------------------------------------------- */

/* A string or the half of a label: within the item, NUL at its end and none inside. */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_text(const uint8_t *item, size_t item_size,
                                                       size_t field, uint64_t offset,
                                                       uint64_t length,
                                                       struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(offset + length >= item_size))
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS, field,
                                 "a string and its NUL must lie within the item");
        if (NIPC__UNLIKELY(item[offset + length] != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_MISSING_NUL, (size_t)(offset + length),
                                 "a string must end in NUL");
        if (NIPC__UNLIKELY(nipc__text_has_nul(item + offset, (size_t)length)))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, (size_t)offset,
                                 "a string must not have a NUL inside");
        return 0;
}

/* The strings of an item. ret_end: behind the last of their NULs. */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_strings(const struct nipc_lookup_class *class_,
                                                          const uint8_t *item, size_t item_size,
                                                          uint64_t *ret_end,
                                                          struct nipc_fault *ret_fault)
{
        const uint8_t *field = item + class_->strings_offset;
        uint64_t end = class_->item_header_size;
        bool in_order = true;
        uint32_t i;
        int r;

        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++, field += STRING_FIELD_SIZE) {
                const uint64_t offset = nipc_load_u32(field + STRING_OFFSET);
                const uint64_t length = nipc_load_u32(field + STRING_LENGTH);

                if (NIPC__UNLIKELY(offset < class_->item_header_size))
                        return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                                         (size_t)(field - item),
                                         "a string must start behind the item's header");
                r = nipc__lookup_check_text(item, item_size, (size_t)(field - item), offset, length,
                                            ret_fault);
                if (NIPC__UNLIKELY(r))
                        return r;
                in_order &= offset >= end;
                end = NIPC__MAX(end, offset + length + 1);
        }
        *ret_end = end;
        return NIPC__LIKELY(in_order) ? 0 : nipc__lookup_check_disjoint(class_, item, ret_fault);
}

/* codecs §5: layout, what the method says, strings, labels. Offsets of faults are in the item. */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_item(const struct nipc_lookup_class *class_,
                                                       const uint8_t *item, size_t item_size,
                                                       struct nipc_fault *ret_fault)
{
        uint32_t n_labels = 0;
        uint64_t end = 0;
        int r;

        if (NIPC__UNLIKELY(nipc_load_u16(item + ITEM_LAYOUT_VERSION) !=
                           NIPC__LOOKUP_LAYOUT_VERSION))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_LAYOUT_VERSION,
                                 "layout_version of an item must be 1");
        if (class_->check_item) {
                r = class_->check_item(item, ret_fault);
                if (NIPC__UNLIKELY(r))
                        return r;
        }
        r = nipc__lookup_check_strings(class_, item, item_size, &end, ret_fault);
        if (NIPC__UNLIKELY(r))
                return r;
        if (class_->labels_offset)
                n_labels = nipc_load_u16(item + class_->labels_offset);
        if (n_labels)
                return nipc__lookup_check_labels(item, item_size, end, n_labels, ret_fault);
        if (NIPC__UNLIKELY(end != item_size))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, (size_t)end,
                                 "an item without labels must end with its strings");
        return 0;
}

/* Entries and items in one pass, as nipc__lookup_check_keys(). */
static NIPC__ALWAYS_INLINE int nipc__lookup_check_items(const struct nipc_lookup_view *view,
                                                        const struct nipc_lookup_class *class_,
                                                        const uint8_t *payload, size_t size,
                                                        struct nipc_fault *ret_fault)
{
        const struct nipc__lookup_limits limits = {
                .packed_size = (uint64_t)(payload + size - view->packed),
                .min_size = class_->item_header_size,
                .max_size = UINT32_MAX,
        };
        const uint8_t *entry = view->directory, *entries_end = view->packed, *item;
        uint64_t previous_end = 0;
        uint32_t offset, length;
        int r, d;

        for (; entry < entries_end; entry += ENTRY_SIZE) {
                offset = nipc_load_u32(entry + ENTRY_OFFSET);
                length = nipc_load_u32(entry + ENTRY_LENGTH);
                if (NIPC__UNLIKELY(
                            nipc__lookup_entry_is_bad(&limits, previous_end, offset, length)))
                        return nipc__lookup_check_directory(payload, &limits, view->item_count,
                                                            ret_fault);
                item = view->packed + offset;
                r = nipc__lookup_check_item(class_, item, length, ret_fault);
                if (NIPC__UNLIKELY(r)) {
                        if (ret_fault)
                                ret_fault->offset += (size_t)(item - payload);
                        d = nipc__lookup_check_directory(payload, &limits, view->item_count,
                                                         ret_fault);
                        return d ? d : r;
                }
                previous_end = (uint64_t)offset + length;
        }
        return 0;
}

static NIPC__ALWAYS_INLINE int nipc__lookup_read_response(struct nipc_lookup_view *ret_view,
                                                          const struct nipc_lookup_class *class_,
                                                          const void *payload, size_t size,
                                                          struct nipc_fault *ret_fault)
{
        struct nipc_lookup_view view = {.class_ = class_};
        const uint8_t *p = payload;
        int r;

        r = nipc__lookup_check_message(p, size, false, &view.item_count, ret_fault);
        if (r)
                return r;
        view.generation = nipc_load_u64(p + RESPONSE_GENERATION);
        view.directory = p + MESSAGE_DIRECTORY;
        view.packed = view.directory + (size_t)view.item_count * ENTRY_SIZE;
        r = nipc__lookup_check_items(&view, class_, p, size, ret_fault);
        if (!r)
                *ret_view = view;
        return r;
}
