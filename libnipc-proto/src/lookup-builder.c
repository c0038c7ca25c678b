/* SPDX-License-Identifier: MIT */

/*
 * Lookup responses as they are built (codecs §7).
 *
 * While building, the directory has max_items slots and the items follow it. Offsets count from the
 * packed area, so finishing with fewer items is one move of that area and no rewriting.
 *
 * The answer to a request must never end before its last key: so that what does not fit can be said
 * of every key, an item is taken only if the placeholders of all that follow would fit behind it.
 * How many bytes these need is known from the request and kept in `suffix`, without a table.
 */

#include <nipc/lookup.h>

#include "lookup-write.h"

NIPC__COLD int nipc__lookup_fail(struct nipc_lookup_builder *builder, int error)
{
        if (!builder->error)
                builder->error = error;
        builder->n_open = 0;
        return builder->error;
}

static int start(struct nipc_lookup_builder *builder)
{
        builder->budget = NIPC__MIN(builder->budget, UINT32_MAX); /* what a length field can say */
        builder->end = nipc__lookup_packed_start(builder);
        builder->n_open = builder->max_items;
        return builder->end > builder->budget ? nipc__lookup_fail(builder, NIPC_PROTO_E_OVERFLOW)
                                              : 0;
}

NIPC__EXPORT int nipc_lookup_builder_init(struct nipc_lookup_builder *ret_builder,
                                          const struct nipc_lookup_request_view *request, void *buf,
                                          size_t budget)
{
        const uint32_t n = request->item_count;
        uint64_t last;

        *ret_builder = (struct nipc_lookup_builder){
                .class_ = request->class_,
                .request = request,
                .buf = buf,
                .budget = budget,
                .max_items = n,
        };
        if (n) {
                last = nipc__lookup_suffix_item(request->class_, request, n - 1);
                ret_builder->suffix = request->placeholder_bytes;
                ret_builder->slack = nipc_align8(last) - last;
        }
        return start(ret_builder);
}

NIPC__EXPORT int nipc_lookup_builder_init_unasked(struct nipc_lookup_builder *ret_builder,
                                                  const struct nipc_lookup_class *class_, void *buf,
                                                  size_t budget, uint32_t max_items)
{
        *ret_builder = (struct nipc_lookup_builder){
                .class_ = class_,
                .buf = buf,
                .budget = budget,
                .max_items = max_items,
        };
        return start(ret_builder);
}

/* Bytes of labels behind strings that end at `end`. */
uint64_t nipc__lookup_labels_end(uint64_t end, const struct nipc_label *labels, uint32_t n_labels)
{
        uint64_t lengths = 0;
        uint32_t i;

        end = nipc_align8(end) + (uint64_t)n_labels * LABEL_ENTRY_SIZE;
        for (i = 0; i < n_labels; i++) {
                end += (uint64_t)labels[i].key_len + labels[i].value_len + 2;
                lengths |= labels[i].key_len | labels[i].value_len;
        }
        return lengths > UINT32_MAX ? NIPC__LOOKUP_NO_SIZE : end;
}

NIPC__EXPORT uint64_t nipc_lookup_item_size(const struct nipc_lookup_class *class_,
                                            const struct nipc_lookup_string *strings,
                                            const struct nipc_label *labels, uint32_t n_labels)
{
        return nipc__lookup_size(class_, strings, labels, n_labels);
}

/* Labels behind strings that end at `end`; room was checked. False: one cannot be. */
bool nipc__lookup_write_labels(uint8_t *item, uint64_t end, const struct nipc_label *labels,
                               uint32_t n_labels)
{
        const uint64_t table = nipc_align8(end);
        uint64_t pos = table + (uint64_t)n_labels * LABEL_ENTRY_SIZE;
        uint8_t *entry = item + table;
        uint32_t i;

        memset(item + end, 0, (size_t)(table - end));
        for (i = 0; i < n_labels; i++, entry += LABEL_ENTRY_SIZE) {
                const struct nipc_label *label = &labels[i];

                if (!label->key_len || !label->key || (label->value_len && !label->value))
                        return false;
                nipc_store_u32(entry + LABEL_KEY_OFFSET, (uint32_t)pos);
                nipc_store_u32(entry + LABEL_KEY_LENGTH, (uint32_t)label->key_len);
                if (!nipc__text_copy(item + pos, label->key, label->key_len))
                        return false;
                pos += (uint64_t)label->key_len + 1;
                nipc_store_u32(entry + LABEL_VALUE_OFFSET, (uint32_t)pos);
                nipc_store_u32(entry + LABEL_VALUE_LENGTH, (uint32_t)label->value_len);
                if (!nipc__text_copy(item + pos, label->value, label->value_len))
                        return false;
                pos += (uint64_t)label->value_len + 1;
        }
        return true;
}

/* An item for the next key that only repeats it; the key is a key, so there is nothing to check. */
static NIPC__COLD int add_placeholder(struct nipc_lookup_builder *builder, uint16_t status)
{
        const struct nipc_lookup_class *class_ = builder->class_;
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS] = {{0}};
        struct nipc__lookup_status item = {.class_ = class_, .status = status};
        const uint64_t at = nipc_align8(builder->end);
        uint8_t *p = builder->buf + at;
        uint64_t size;
        size_t key_size;

        item.key = nipc_lookup_request_view_get(builder->request, builder->n_items, &key_size);
        size = nipc__lookup_placeholder_size(class_, key_size);
        if (at + size > builder->budget)
                return nipc__lookup_fail(builder, NIPC_PROTO_E_OVERFLOW);
        if (!class_->key_size)
                strings[0] = (struct nipc_lookup_string){.str = item.key, .len = key_size};
        memset(builder->buf + builder->end, 0, (size_t)(at - builder->end));
        nipc__lookup_fill_status(p, &item);
        nipc__lookup_write_fields(class_, p, strings, 0);
        nipc__lookup_write_texts(class_, p, strings, NULL, 0);
        builder->suffix = nipc__lookup_suffix_after_next(builder, class_);
        nipc__lookup_commit(builder, at, size);
        return 0;
}

/* The first item that does not fit: it alone when it is the first of all, or it and all others. */
static int add_first_exceeded(struct nipc_lookup_builder *builder)
{
        if (!builder->n_items)
                return add_placeholder(builder, builder->class_->status_oversized);
        builder->is_exceeded = true;
        builder->n_open = 0;
        return add_placeholder(builder, builder->class_->status_exceeded);
}

static bool check_text(const char *text, uint64_t length)
{
        if (!length)
                return true;
        return text && length <= UINT32_MAX && !nipc__text_has_nul(text, (size_t)length);
}

/* Whether an item that is not written could have been: its texts, of lengths that can be said. */
static bool check_texts(const struct nipc_lookup_class *class_,
                        const struct nipc_lookup_string *strings, const struct nipc_label *labels,
                        uint32_t n_labels)
{
        uint32_t i;

        for (i = 0; i < class_->n_strings; i++)
                if (!check_text(strings[i].str, strings[i].len))
                        return false;
        for (i = 0; i < n_labels; i++)
                if (!labels[i].key_len || !check_text(labels[i].key, labels[i].key_len) ||
                    !check_text(labels[i].value, labels[i].value_len))
                        return false;
        return true;
}

/*
 * Step 6: the item does not fit. It must be good all the same. header: room for one, with the
 * method's own fields filled in.
 */
NIPC__COLD int nipc__lookup_add_instead(struct nipc_lookup_builder *builder, uint8_t *header,
                                        const struct nipc_lookup_string *strings,
                                        const struct nipc_label *labels, uint32_t n_labels)
{
        const struct nipc_lookup_class *class_ = builder->class_;

        nipc__lookup_write_fields(class_, header, strings, n_labels);
        if (!nipc__lookup_check_header(builder, class_, header, strings, n_labels) ||
            !check_texts(class_, strings, labels, n_labels))
                return nipc__lookup_fail(builder, NIPC_PROTO_E_BAD_LAYOUT);
        if (!builder->request)
                return nipc__lookup_fail(builder, NIPC_PROTO_E_OVERFLOW);
        return add_first_exceeded(builder);
}

/* Steps 1 and 2, and what went wrong before: no item is taken. */
NIPC__COLD int nipc__lookup_add_none(struct nipc_lookup_builder *builder)
{
        if (builder->error)
                return builder->error;
        if (builder->n_items >= builder->max_items)
                return nipc__lookup_fail(builder, NIPC_PROTO_E_OVERFLOW);
        return add_placeholder(builder, builder->class_->status_exceeded);
}

/* A header as the caller gave it. */
struct given {
        const void *header;
        size_t size;
};

static void fill_given(uint8_t *p, const void *arg)
{
        const struct given *given = arg;

        memcpy(p, given->header, given->size);
}

NIPC__EXPORT int nipc_lookup_builder_add(struct nipc_lookup_builder *builder, const void *header,
                                         const struct nipc_lookup_string *strings,
                                         const struct nipc_label *labels, uint32_t n_labels)
{
        const struct nipc_lookup_class *class_ = builder->class_;
        const struct given given = {.header = header, .size = class_->item_header_size};

        return nipc__lookup_add(builder, class_, fill_given, &given, strings, labels, n_labels);
}

NIPC__EXPORT int nipc_lookup_builder_add_status(struct nipc_lookup_builder *builder,
                                                const void *key, size_t key_size, uint16_t status)
{
        const struct nipc_lookup_class *class_ = builder->class_;

        if (class_->own)
                return class_->own->add_status(builder, key, key_size, status);
        return nipc__lookup_add_status(builder, class_, key, key_size, status);
}

NIPC__EXPORT int nipc_lookup_builder_add_item(struct nipc_lookup_builder *builder,
                                              struct nipc_lookup_item item)
{
        const struct nipc_lookup_class *class_ = builder->class_;
        const uint64_t at = nipc_align8(builder->end);
        struct nipc_lookup_string string = {0};
        uint64_t suffix;

        if (!nipc__lookup_takes_items(builder))
                return nipc__lookup_add_none(builder);
        if (!class_->key_size)
                string = nipc_lookup_item_get_string(class_, item, 0);
        if (NIPC__UNLIKELY(builder->request &&
                           (nipc_lookup_item_get_status(item) == class_->status_exceeded ||
                            !nipc__lookup_is_for_next(builder, class_, item.bytes, &string))))
                return nipc__lookup_fail(builder, NIPC_PROTO_E_BAD_LAYOUT);
        suffix = nipc__lookup_suffix_after_next(builder, class_);
        if (NIPC__UNLIKELY(!nipc__lookup_fits(builder, at, item.size, suffix))) {
                if (!builder->request)
                        return nipc__lookup_fail(builder, NIPC_PROTO_E_OVERFLOW);
                return add_first_exceeded(builder);
        }
        nipc_store_u64(builder->buf + builder->end, 0);
        memcpy(builder->buf + at, item.bytes, item.size);
        builder->suffix = suffix;
        nipc__lookup_commit(builder, at, item.size);
        return 0;
}

NIPC__EXPORT int nipc_lookup_builder_finish(struct nipc_lookup_builder *builder, size_t *ret_size)
{
        const uint64_t reserved = nipc__lookup_packed_start(builder);
        uint8_t *p = builder->buf;
        uint64_t packed, packed_size;

        if (builder->error)
                return builder->error;
        if (builder->request && builder->n_items != builder->max_items)
                return nipc__lookup_fail(builder, NIPC_PROTO_E_BAD_ITEM_COUNT);
        packed_size = builder->end - reserved;
        builder->max_items = builder->n_items;
        builder->n_open = 0;
        packed = nipc__lookup_packed_start(builder);
        if (packed != reserved && packed_size)
                memmove(p + packed, p + reserved, (size_t)packed_size);
        builder->end = packed + packed_size;

        nipc_store_u16(p + MESSAGE_LAYOUT_VERSION, NIPC__LOOKUP_LAYOUT_VERSION);
        nipc_store_u16(p + MESSAGE_FLAGS, 0);
        nipc_store_u32(p + MESSAGE_ITEM_COUNT, builder->n_items);
        nipc_store_u64(p + RESPONSE_GENERATION, builder->generation);
        *ret_size = (size_t)builder->end;
        return 0;
}
