/* SPDX-License-Identifier: MIT */

/*
 * Type "batch_payload": the items as hex. "builder_buffer" tells of a payload without the padding
 * of its tail, which a builder leaves out when its buffer ends; "builder_max_items" is accepted.
 */

#include <nipc/batch.h>
#include <nipc/wire.h>

#include "codec-private.h"

/* The number of items is not in the bytes: it comes with them, in the header of a message. */
static bool batch_items(const struct codec_options *options, uint32_t *ret_n_items)
{
        bool good = true;
        uint64_t n;

        if (options->has_items) {
                *ret_n_items = options->n_items;
                return true;
        }
        n = codec_params_uint(options->params, "item_count", UINT32_MAX, UINT64_MAX, &good);
        *ret_n_items = (uint32_t)n;
        return good && n != UINT64_MAX;
}

/* Entries that make sense read in this order. A bad one must not decide against the others. */
static size_t batch_evidence(const uint8_t *bytes, size_t size, const struct codec_options *options)
{
        size_t at, n = 0;
        uint32_t n_items;

        if (!batch_items(options, &n_items))
                return 0;
        for (at = 0; n_items && size - at >= NIPC_BATCH_ENTRY_SIZE; n_items--) {
                uint64_t offset = nipc_load_u32(bytes + at);

                if (offset % NIPC_ALIGNMENT == 0 && offset + nipc_load_u32(bytes + at + 4) <= size)
                        n++;
                at += NIPC_BATCH_ENTRY_SIZE;
        }
        return n;
}

static int batch_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                        JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_batch_view view;
        struct nipc_fault fault;
        uint64_t end = 0;
        JsonArray *items;
        uint32_t i, n;

        if (!batch_items(options, &n))
                return codec_usage(ret_fault, "a batch needs its number of items");
        if (nipc_batch_view_init(&view, bytes, size, n, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        items = json_array_sized_new(n);
        for (i = 0; i < n; i++) {
                g_autofree char *hex = NULL;
                const void *item;
                size_t item_size;

                nipc_batch_view_get(&view, i, &item, &item_size);
                hex = codec_hex(item, item_size);
                json_array_add_string_element(items, hex);
                end = MAX(end, (uint64_t)((const uint8_t *)item - bytes) + item_size);
        }
        json_object_set_array_member(json, "items_hex", items);
        if (n && size == end && size % NIPC_ALIGNMENT)
                codec_set_uint(json, "builder_buffer", size);
        return 0;
}

static void batch_fail(struct codec_reader *reader, int r)
{
        if (r)
                codec_reader_fail(reader, "items_hex", "do not fit builder_buffer");
}

/* Directory, items and padding: what a builder needs at most. */
static uint64_t batch_bound(JsonArray *items, uint32_t max_items)
{
        uint64_t bound = (uint64_t)max_items * NIPC_BATCH_ENTRY_SIZE;
        guint i;

        for (i = 0; i < json_array_get_length(items); i++) {
                const char *hex = json_array_get_string_element(items, i);

                bound += nipc_align8(hex ? strlen(hex) / 2 : 0);
        }
        return bound;
}

static void batch_build(struct codec_reader *reader, JsonArray *items, uint32_t max_items,
                        GByteArray *out)
{
        struct nipc_batch_builder builder;
        size_t size = 0;
        guint i;

        nipc_batch_builder_init(&builder, out->data, out->len, max_items);
        for (i = 0; i < json_array_get_length(items); i++) {
                const char *hex = json_array_get_string_element(items, i);
                g_autofree uint8_t *item = hex ? codec_unhex(hex, &size) : NULL;

                if (item)
                        nipc_batch_builder_add(&builder, item, size);
                else
                        codec_reader_fail(reader, "items_hex", "must be pairs of hex digits");
        }
        batch_fail(reader, nipc_batch_builder_finish(&builder, &size));
        g_byte_array_set_size(out, (guint)size);
}

static void batch_encode(struct codec_reader *reader, GByteArray *out)
{
        JsonArray *items = codec_read_array(reader, "items_hex");
        uint32_t n = items ? json_array_get_length(items) : 0;
        uint32_t max_items = (uint32_t)codec_read_uint(reader, "builder_max_items", 1u << 20, n);
        uint64_t bound = items ? batch_bound(items, max_items) : 0;
        uint64_t room = codec_read_uint(reader, "builder_buffer", 1u << 30, bound);

        if (!items)
                return;
        if (bound > UINT32_MAX / 2)
                codec_reader_fail(reader, "items_hex", "are too many bytes");
        if (!reader->object)
                return;
        g_byte_array_set_size(out, (guint)room);
        batch_build(reader, items, max_items, out);
}

const struct codec_type codec_type_batch_payload = {
        .name = "batch_payload",
        .evidence = batch_evidence,
        .decode = batch_decode,
        .encode = batch_encode,
};
