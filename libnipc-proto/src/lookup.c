/* SPDX-License-Identifier: MIT */

/*
 * Lookup messages as they are read, and requests as they are written (codecs §4). One mechanism for
 * every method: what is particular to one is in its class.
 */

#include <nipc/lookup.h>
#include <stddef.h>

#include "fault.h"
#include "lookup-read.h"

/* Names the first entry that is wrong, if one is. Apart, so that the loop over good ones is tight.
 */
NIPC__COLD int nipc__lookup_check_directory(const uint8_t *payload,
                                            const struct nipc__lookup_limits *limits,
                                            uint32_t item_count, struct nipc_fault *ret_fault)
{
        uint64_t previous_end = 0;
        size_t at = MESSAGE_DIRECTORY;
        uint32_t i;

        for (i = 0; i < item_count; i++, at += ENTRY_SIZE) {
                uint32_t offset = nipc_load_u32(payload + at + ENTRY_OFFSET);
                uint32_t length = nipc_load_u32(payload + at + ENTRY_LENGTH);

                if (offset % NIPC_ALIGNMENT)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_ALIGNMENT, at + ENTRY_OFFSET,
                                         "an item must start at a multiple of 8");
                if (length < limits->min_size || length > limits->max_size)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, at + ENTRY_LENGTH,
                                         limits->min_size == limits->max_size
                                                 ? "a key has a fixed size"
                                                 : "an item has a header, a key a byte and NUL");
                if ((uint64_t)offset + length > limits->packed_size)
                        return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS,
                                         at + (offset > limits->packed_size ? ENTRY_OFFSET
                                                                            : ENTRY_LENGTH),
                                         "an item must end within the packed area");
                if (offset < previous_end)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, at + ENTRY_OFFSET,
                                         "an item must start behind the one before it");
                previous_end = (uint64_t)offset + length;
        }
        return 0;
}

/* ---- requests ----------------------------------------------------------------------------- */

static const void *get_key(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                           size_t *ret_size)
{
        const struct nipc_lookup_key *key = (const struct nipc_lookup_key *)list->keys + index;

        *ret_size = key->size;
        return key->data;
}

NIPC__EXPORT struct nipc_lookup_keys nipc_lookup_keys_of(const struct nipc_lookup_key *keys,
                                                         uint32_t n_keys)
{
        return (struct nipc_lookup_keys){.keys = keys, .n_keys = n_keys, .get = get_key};
}

static const void *get_string(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                              size_t *ret_size)
{
        const char *key = ((const char *const *)list->keys)[index];

        *ret_size = key ? strlen(key) : 0;
        return key;
}

NIPC__EXPORT struct nipc_lookup_keys nipc_lookup_keys_of_strings(const char *const *keys,
                                                                 uint32_t n_keys)
{
        return (struct nipc_lookup_keys){.keys = keys, .n_keys = n_keys, .get = get_string};
}

static const void *get_element(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                               size_t *ret_size)
{
        *ret_size = list->key_size;
        return (const char *)list->keys + index * list->key_size;
}

NIPC__EXPORT struct nipc_lookup_keys nipc_lookup_keys_of_array(const void *keys, size_t key_size,
                                                               uint32_t n_keys)
{
        return (struct nipc_lookup_keys){
                .keys = keys,
                .key_size = key_size,
                .n_keys = n_keys,
                .get = get_element,
        };
}

/* `u32 pid, u32 0` as one word: what is written in two pieces cannot at once be read as one. */
static uint64_t pid_word(uint32_t pid)
{
        const uint64_t v = nipc_wire_order_u32(pid);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return v << 32;
#else
        return v;
#endif
}

static const void *get_pid(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                           size_t *ret_size)
{
        const uint64_t key = pid_word(((const uint32_t *)list->keys)[index]);

        *ret_size = sizeof(key);
        return memcpy(scratch, &key, sizeof(key));
}

NIPC__EXPORT struct nipc_lookup_keys nipc_lookup_keys_of_pids(const uint32_t *pids, uint32_t n_pids)
{
        return (struct nipc_lookup_keys){.keys = pids, .n_keys = n_pids, .get = get_pid};
}

NIPC__EXPORT uint64_t nipc_lookup_request_size(const struct nipc_lookup_class *class_,
                                               const struct nipc_lookup_keys *keys, uint32_t first,
                                               uint32_t n_keys)
{
        uint64_t size = MESSAGE_DIRECTORY + (uint64_t)n_keys * ENTRY_SIZE;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        size_t key_size;
        uint32_t i;

        if (class_->key_size)
                return n_keys ? size + (n_keys - 1) * nipc_align8(class_->key_size) +
                                        class_->key_size
                              : size;
        for (i = 0; i < n_keys; i++) {
                keys->get(keys, first + i, scratch, &key_size);
                size = nipc_align8(size) + key_size + 1;
        }
        return size;
}

/* One key at p, of which the room was checked; false if it cannot be one. */
static inline bool encode_key(uint8_t *p, const struct nipc_lookup_class *class_, const void *key,
                              size_t key_size)
{
        const size_t fixed = class_->key_size;

        if (NIPC__UNLIKELY(!key || !key_size))
                return false;
        if (!fixed)
                return nipc__text_copy(p, key, key_size);
        if (NIPC__UNLIKELY(key_size != fixed))
                return false;
        if (class_->check_key && NIPC__UNLIKELY(class_->check_key(key, NULL)))
                return false;
        if (NIPC__LIKELY(key_size == sizeof(uint64_t)))
                memcpy(p, key, sizeof(uint64_t)); /* in line */
        else
                memcpy(p, key, key_size);
        return true;
}

NIPC__EXPORT int nipc_lookup_request_encode(const struct nipc_lookup_class *class_,
                                            const struct nipc_lookup_keys *keys, uint32_t first,
                                            uint32_t n_keys, void *buf, size_t capacity,
                                            size_t *ret_size)
{
        const uint64_t packed = MESSAGE_DIRECTORY + (uint64_t)n_keys * ENTRY_SIZE;
        const size_t nul = class_->key_size ? 0 : 1;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        uint64_t start, end = packed;
        uint8_t *p = buf, *entry;
        const void *key;
        size_t key_size;
        uint32_t i;

        capacity = NIPC__MIN(capacity, (size_t)UINT32_MAX);
        if (packed > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        entry = p + MESSAGE_DIRECTORY;
        for (i = 0; i < n_keys; i++, entry += ENTRY_SIZE) {
                key = keys->get(keys, first + i, scratch, &key_size);
                start = nipc_align8(end);
                if (NIPC__UNLIKELY(start + nul > capacity || key_size > capacity - start - nul))
                        return NIPC_PROTO_E_OVERFLOW;
                if (NIPC__LIKELY(capacity - end >= sizeof(uint64_t)))
                        nipc_store_u64(p + end, 0); /* the gap, and some of the key's own bytes */
                else
                        memset(p + end, 0, (size_t)(start - end));
                if (NIPC__UNLIKELY(!encode_key(p + start, class_, key, key_size)))
                        return NIPC_PROTO_E_BAD_LAYOUT;
                nipc_store_u32(entry + ENTRY_OFFSET, (uint32_t)(start - packed));
                nipc_store_u32(entry + ENTRY_LENGTH, (uint32_t)(key_size + nul));
                end = start + key_size + nul;
        }
        nipc_store_u16(p + MESSAGE_LAYOUT_VERSION, NIPC__LOOKUP_LAYOUT_VERSION);
        nipc_store_u16(p + MESSAGE_FLAGS, 0);
        nipc_store_u32(p + MESSAGE_ITEM_COUNT, n_keys);
        nipc_store_u32(p + REQUEST_RESERVED0, 0);
        nipc_store_u32(p + REQUEST_RESERVED1, 0);
        *ret_size = (size_t)end;
        return 0;
}

NIPC__EXPORT int nipc_lookup_request_view_init(struct nipc_lookup_request_view *ret_view,
                                               const struct nipc_lookup_class *class_,
                                               const void *payload, size_t size,
                                               struct nipc_fault *ret_fault)
{
        if (class_->own)
                return class_->own->read_request(ret_view, payload, size, ret_fault);
        return nipc__lookup_read_request(ret_view, class_, payload, size, ret_fault);
}

/* ---- responses ---------------------------------------------------------------------------- */

/* Whether two of the strings, all within the item, share a byte. Rarely asked. */
NIPC__COLD int nipc__lookup_check_disjoint(const struct nipc_lookup_class *class_,
                                           const uint8_t *item, struct nipc_fault *ret_fault)
{
        uint32_t i, k;

        for (i = 1; i < class_->n_strings; i++) {
                const uint8_t *a = item + class_->strings_offset + (size_t)i * STRING_FIELD_SIZE;
                const uint32_t a_offset = nipc_load_u32(a + STRING_OFFSET);
                const uint32_t a_length = nipc_load_u32(a + STRING_LENGTH);

                for (k = 0; k < i; k++) {
                        const uint8_t *b =
                                item + class_->strings_offset + (size_t)k * STRING_FIELD_SIZE;
                        const uint32_t b_offset = nipc_load_u32(b + STRING_OFFSET);
                        const uint32_t b_length = nipc_load_u32(b + STRING_LENGTH);

                        if (a_offset <= b_offset + b_length && b_offset <= a_offset + a_length)
                                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT,
                                                 (size_t)(a - item),
                                                 "strings of an item must not share bytes");
                }
        }
        return 0;
}

/* Half a label: where it must be, then as any string. Moves *pos behind its NUL. */
static int check_label_text(const uint8_t *item, size_t item_size, size_t field, uint64_t *pos,
                            struct nipc_fault *ret_fault)
{
        const uint32_t offset = nipc_load_u32(item + field);
        const uint32_t length = nipc_load_u32(item + field + 4);
        int r;

        if (offset != *pos)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, field,
                                 "the texts of labels must follow each other without gaps");
        r = nipc__lookup_check_text(item, item_size, field, offset, length, ret_fault);
        *pos += (uint64_t)length + 1;
        return r;
}

/* The label area, from the end of the strings to the end of the item. */
int nipc__lookup_check_labels(const uint8_t *item, size_t item_size, uint64_t strings_end,
                              uint32_t count, struct nipc_fault *ret_fault)
{
        const uint64_t table = nipc_align8(strings_end);
        uint64_t pos = table + (uint64_t)count * LABEL_ENTRY_SIZE;
        size_t at;
        uint32_t i;
        int r;

        if (pos > item_size)
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS, item_size,
                                 "the table of labels must lie within the item");
        for (at = (size_t)strings_end; at < table; at++)
                if (item[at])
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, at,
                                         "bytes before the table of labels must be 0");
        for (i = 0, at = (size_t)table; i < count; i++, at += LABEL_ENTRY_SIZE) {
                if (nipc_load_u32(item + at + LABEL_KEY_LENGTH) == 0)
                        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, at + LABEL_KEY_LENGTH,
                                         "the key of a label must not be empty");
                r = check_label_text(item, item_size, at + LABEL_KEY_OFFSET, &pos, ret_fault);
                if (!r)
                        r = check_label_text(item, item_size, at + LABEL_VALUE_OFFSET, &pos,
                                             ret_fault);
                if (r)
                        return r;
        }
        if (pos != item_size)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, (size_t)pos,
                                 "an item must end with its last label");
        return 0;
}

NIPC__EXPORT int nipc_lookup_item_check(const struct nipc_lookup_class *class_,
                                        struct nipc_lookup_item item, struct nipc_fault *ret_fault)
{
        if (item.size < class_->item_header_size)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, item.size,
                                 "an item has a header");
        return nipc__lookup_check_item(class_, item.bytes, item.size, ret_fault);
}

NIPC__EXPORT int nipc_lookup_view_init(struct nipc_lookup_view *ret_view,
                                       const struct nipc_lookup_class *class_, const void *payload,
                                       size_t size, struct nipc_fault *ret_fault)
{
        if (class_->own)
                return class_->own->read_response(ret_view, payload, size, ret_fault);
        return nipc__lookup_read_response(ret_view, class_, payload, size, ret_fault);
}

NIPC__EXPORT struct nipc_label nipc_lookup_item_get_label(const struct nipc_lookup_class *class_,
                                                          struct nipc_lookup_item item,
                                                          uint32_t index)
{
        uint64_t end = class_->item_header_size;
        struct nipc_lookup_string string;
        const uint8_t *entry;
        uint32_t i;

        for (i = 0; i < class_->n_strings; i++) {
                string = nipc_lookup_item_get_string(class_, item, i);
                end = NIPC__MAX(end,
                                (uint64_t)(string.str - (const char *)item.bytes) + string.len + 1);
        }
        entry = item.bytes + nipc_align8(end) + (size_t)index * LABEL_ENTRY_SIZE;
        return (struct nipc_label){
                .key = (const char *)item.bytes + nipc_load_u32(entry + LABEL_KEY_OFFSET),
                .key_len = nipc_load_u32(entry + LABEL_KEY_LENGTH),
                .value = (const char *)item.bytes + nipc_load_u32(entry + LABEL_VALUE_OFFSET),
                .value_len = nipc_load_u32(entry + LABEL_VALUE_LENGTH),
        };
}

NIPC__EXPORT bool nipc_lookup_item_is_for(const struct nipc_lookup_class *class_,
                                          struct nipc_lookup_item item, const void *key,
                                          size_t key_size)
{
        return nipc__lookup_item_is_for(class_, item, key, key_size);
}
