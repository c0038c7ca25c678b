/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How items are added to lookup responses, in line; as lookup-read.h is for reading.
 */

#include "fault.h"
#include "lookup-layout.h"

/* Of an item with a length that no field can say: fits nowhere, and can still be added to. */
#define NIPC__LOOKUP_NO_SIZE (UINT64_MAX / 2)

/* Out of line: the first error sticks; labels; what does not fit, or comes too late. */
int nipc__lookup_fail(struct nipc_lookup_builder *builder, int error);
uint64_t nipc__lookup_labels_end(uint64_t end, const struct nipc_label *labels, uint32_t n_labels);
bool nipc__lookup_write_labels(uint8_t *item, uint64_t end, const struct nipc_label *labels,
                               uint32_t n_labels);
int nipc__lookup_add_instead(struct nipc_lookup_builder *builder, uint8_t *header,
                             const struct nipc_lookup_string *strings,
                             const struct nipc_label *labels, uint32_t n_labels);
int nipc__lookup_add_none(struct nipc_lookup_builder *builder);

/* Start of the packed area while building. */
static NIPC__ALWAYS_INLINE uint64_t
nipc__lookup_packed_start(const struct nipc_lookup_builder *builder)
{
        return MESSAGE_DIRECTORY + (uint64_t)builder->max_items * ENTRY_SIZE;
}

/* Bytes of the placeholder for key `index`, not aligned. */
static NIPC__ALWAYS_INLINE uint64_t
nipc__lookup_suffix_item(const struct nipc_lookup_class *class_,
                         const struct nipc_lookup_request_view *request, uint32_t index)
{
        const uint8_t *entry = request->directory + (size_t)index * ENTRY_SIZE;

        return nipc__lookup_placeholder_size(class_, nipc_load_u32(entry + ENTRY_LENGTH) - 1);
}

static NIPC__ALWAYS_INLINE uint64_t nipc__lookup_size(const struct nipc_lookup_class *class_,
                                                      const struct nipc_lookup_string *strings,
                                                      const struct nipc_label *labels,
                                                      uint32_t n_labels)
{
        uint64_t size = (uint64_t)class_->item_header_size + class_->n_strings, lengths = 0;
        uint32_t i;

        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++) {
                size += strings[i].len;
                lengths |= strings[i].len;
        }
        if (NIPC__UNLIKELY(lengths > UINT32_MAX))
                return NIPC__LOOKUP_NO_SIZE;
        return NIPC__UNLIKELY(n_labels) ? nipc__lookup_labels_end(size, labels, n_labels) : size;
}

/* What the mechanism fills in in the header of an item. */
static NIPC__ALWAYS_INLINE void nipc__lookup_write_fields(const struct nipc_lookup_class *class_,
                                                          uint8_t *p,
                                                          const struct nipc_lookup_string *strings,
                                                          uint32_t n_labels)
{
        uint64_t offset = class_->item_header_size;
        uint8_t *field = p + class_->strings_offset;
        uint32_t i;

        nipc_store_u16(p + ITEM_LAYOUT_VERSION, NIPC__LOOKUP_LAYOUT_VERSION);
        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++, field += STRING_FIELD_SIZE) {
                nipc_store_u32(field + STRING_OFFSET, (uint32_t)offset);
                nipc_store_u32(field + STRING_LENGTH, (uint32_t)strings[i].len);
                offset += (uint64_t)strings[i].len + 1;
        }
        if (class_->labels_offset)
                nipc_store_u16(p + class_->labels_offset, (uint16_t)n_labels);
}

/* Whether a header and its first string repeat the key that is next. */
static NIPC__ALWAYS_INLINE bool nipc__lookup_is_for_next(const struct nipc_lookup_builder *builder,
                                                         const struct nipc_lookup_class *class_,
                                                         const uint8_t *header,
                                                         const struct nipc_lookup_string *strings)
{
        const struct nipc_lookup_request_view *request = builder->request;
        const uint8_t *entry = request->directory + (size_t)builder->n_items * ENTRY_SIZE;
        const uint8_t *key = request->packed + nipc_load_u32(entry + ENTRY_OFFSET);
        const size_t key_size = nipc_load_u32(entry + ENTRY_LENGTH) - 1;

        if (class_->key_size)
                return memcmp(header + class_->key_offset, key, class_->key_echo_size) == 0;
        return strings[0].len == key_size && NIPC__LIKELY(strings[0].str != NULL) &&
               (NIPC__LIKELY((const void *)strings[0].str == key) || /* what handlers do */
                nipc__text_equal(strings[0].str, key, key_size));
}

/* What comes behind the header; room was checked. False: a text has a NUL inside, or is missing. */
static NIPC__ALWAYS_INLINE bool nipc__lookup_write_texts(const struct nipc_lookup_class *class_,
                                                         uint8_t *item,
                                                         const struct nipc_lookup_string *strings,
                                                         const struct nipc_label *labels,
                                                         uint32_t n_labels)
{
        uint64_t pos = class_->item_header_size;
        uint32_t i;

        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++) {
                if (NIPC__UNLIKELY(strings[i].len && !strings[i].str))
                        return false;
                if (NIPC__UNLIKELY(!nipc__text_copy(item + pos, strings[i].str, strings[i].len)))
                        return false;
                pos += (uint64_t)strings[i].len + 1;
        }
        return NIPC__LIKELY(!n_labels) || nipc__lookup_write_labels(item, pos, labels, n_labels);
}

/* The item of `size` bytes at `at` is there: enters it and goes on to the next. */
static NIPC__ALWAYS_INLINE void nipc__lookup_commit(struct nipc_lookup_builder *builder,
                                                    uint64_t at, uint64_t size)
{
        uint8_t *entry = builder->buf + MESSAGE_DIRECTORY + (size_t)builder->n_items * ENTRY_SIZE;

        nipc_store_u32(entry + ENTRY_OFFSET, (uint32_t)(at - nipc__lookup_packed_start(builder)));
        nipc_store_u32(entry + ENTRY_LENGTH, (uint32_t)size);
        builder->end = at + size;
        builder->n_items++;
}

/* What is left of `suffix` once the next key has its item. */
static NIPC__ALWAYS_INLINE uint64_t nipc__lookup_suffix_after_next(
        const struct nipc_lookup_builder *builder, const struct nipc_lookup_class *class_)
{
        if (!builder->request)
                return 0;
        return builder->suffix -
               nipc_align8(nipc__lookup_suffix_item(class_, builder->request, builder->n_items));
}

/* Whether this header may be that of the next item. */
static NIPC__ALWAYS_INLINE bool nipc__lookup_check_header(const struct nipc_lookup_builder *builder,
                                                          const struct nipc_lookup_class *class_,
                                                          const uint8_t *header,
                                                          const struct nipc_lookup_string *strings,
                                                          uint32_t n_labels)
{
        if (NIPC__UNLIKELY(n_labels > (class_->labels_offset ? UINT16_MAX : 0u)))
                return false;
        if (class_->check_item && NIPC__UNLIKELY(class_->check_item(header, NULL)))
                return false;
        if (!builder->request)
                return true;
        return NIPC__LIKELY(nipc_load_u16(header + ITEM_STATUS) != class_->status_exceeded) &&
               NIPC__LIKELY(nipc__lookup_is_for_next(builder, class_, header, strings));
}

static NIPC__ALWAYS_INLINE bool nipc__lookup_takes_items(const struct nipc_lookup_builder *builder)
{
        return NIPC__LIKELY(builder->n_items < builder->n_open);
}

/* Steps 4 and 5: whether an item of `size` bytes at `at` leaves room for what must follow. */
static NIPC__ALWAYS_INLINE bool nipc__lookup_fits(const struct nipc_lookup_builder *builder,
                                                  uint64_t at, uint64_t size, uint64_t suffix)
{
        const uint64_t end = at + size;

        if (!builder->request)
                return end <= builder->budget;
        return nipc_align8(end) <= builder->budget &&
               suffix <= builder->budget - nipc_align8(end) + builder->slack;
}

/* What is not taken, out of line; a copy of strings, so that where they are taken they need none.
 */
static NIPC__ALWAYS_INLINE int nipc__lookup_add_other(struct nipc_lookup_builder *builder,
                                                      const struct nipc_lookup_class *class_,
                                                      void (*fill)(uint8_t *p, const void *arg),
                                                      const void *arg,
                                                      const struct nipc_lookup_string *strings,
                                                      const struct nipc_label *labels,
                                                      uint32_t n_labels)
{
        struct nipc_lookup_string copy[NIPC_LOOKUP_MAX_STRINGS] = {{0}};
        uint8_t header[NIPC_LOOKUP_MAX_HEADER_SIZE];
        uint32_t i;

        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++)
                copy[i] = strings[i];
        fill(header, arg);
        return nipc__lookup_add_instead(builder, header, copy, labels, n_labels);
}

/*
 * Adds an item. fill: writes the method's own fields of the header at p, from arg; in place, for
 * what is written in small pieces cannot be copied at once without waiting for it.
 */
static NIPC__ALWAYS_INLINE int nipc__lookup_add(struct nipc_lookup_builder *builder,
                                                const struct nipc_lookup_class *class_,
                                                void (*fill)(uint8_t *p, const void *arg),
                                                const void *arg,
                                                const struct nipc_lookup_string *strings,
                                                const struct nipc_label *labels, uint32_t n_labels)
{
        const uint64_t at = nipc_align8(builder->end);
        uint64_t size, suffix;
        uint8_t *p;

        if (!nipc__lookup_takes_items(builder))
                return nipc__lookup_add_none(builder);
        size = nipc__lookup_size(class_, strings, labels, n_labels);
        suffix = nipc__lookup_suffix_after_next(builder, class_);
        if (NIPC__UNLIKELY(!nipc__lookup_fits(builder, at, size, suffix)))
                return nipc__lookup_add_other(builder, class_, fill, arg, strings, labels,
                                              n_labels);
        p = builder->buf + at;
        /* The gap before the item; what this writes beyond it is the item's header. */
        nipc_store_u64(builder->buf + builder->end, 0);
        fill(p, arg);
        nipc__lookup_write_fields(class_, p, strings, n_labels);
        if (NIPC__UNLIKELY(!nipc__lookup_check_header(builder, class_, p, strings, n_labels)) ||
            NIPC__UNLIKELY(!nipc__lookup_write_texts(class_, p, strings, labels, n_labels)))
                return nipc__lookup_fail(builder, NIPC_PROTO_E_BAD_LAYOUT);
        builder->suffix = suffix;
        nipc__lookup_commit(builder, at, size);
        return 0;
}

/* An item that only has a status, for nipc__lookup_fill_status(). */
struct nipc__lookup_status {
        const struct nipc_lookup_class *class_;
        const void *key;
        uint16_t status;
};

static NIPC__ALWAYS_INLINE void nipc__lookup_fill_status(uint8_t *p, const void *arg)
{
        const struct nipc__lookup_status *item = arg;
        const struct nipc_lookup_class *class_ = item->class_;

        if (class_->neutral_header)
                memcpy(p, class_->neutral_header, class_->item_header_size);
        else
                memset(p, 0, class_->item_header_size);
        nipc_store_u16(p + ITEM_STATUS, item->status);
        if (class_->key_size)
                memcpy(p + class_->key_offset, item->key, class_->key_echo_size);
}

static NIPC__ALWAYS_INLINE int nipc__lookup_add_status(struct nipc_lookup_builder *builder,
                                                       const struct nipc_lookup_class *class_,
                                                       const void *key, size_t key_size,
                                                       uint16_t status)
{
        const struct nipc__lookup_status item = {.class_ = class_, .key = key, .status = status};
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS];
        uint32_t i;

        NIPC__UNROLL
        for (i = 0; i < class_->n_strings; i++)
                strings[i] = (struct nipc_lookup_string){0};
        if (!class_->key_size)
                strings[0] = (struct nipc_lookup_string){.str = key, .len = key_size};
        else if (NIPC__UNLIKELY(key_size != class_->key_size))
                return nipc__lookup_fail(builder, NIPC_PROTO_E_BAD_LAYOUT);
        return nipc__lookup_add(builder, class_, nipc__lookup_fill_status, &item, strings, NULL, 0);
}
