/* SPDX-License-Identifier: MIT */

/* Types "cgroups_snapshot_request" and "cgroups_snapshot_response", method 2. */

#include <nipc/cgroups-snapshot.h>
#include <nipc/wire.h>

#include "codec-private.h"

static size_t snapshot_evidence(const uint8_t *bytes, size_t size,
                                const struct codec_options *options)
{
        return size >= sizeof(uint16_t) && nipc_load_u16(bytes) == 1;
}

static int request_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                          JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_fault fault;

        if (nipc_cgroups_snapshot_request_decode(bytes, size, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        codec_set_uint(json, "layout_version", 1);
        codec_set_uint(json, "flags", 0);
        return 0;
}

static void request_encode(struct codec_reader *reader, GByteArray *out)
{
        g_byte_array_set_size(out, NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE);
        nipc_cgroups_snapshot_request_encode(out->data);
        nipc_store_u16(out->data,
                       (uint16_t)codec_read_uint(reader, "layout_version", UINT16_MAX, 1));
        nipc_store_u16(out->data + 2, (uint16_t)codec_read_uint(reader, "flags", UINT16_MAX, 0));
}

const struct codec_type codec_type_cgroups_snapshot_request = {
        .name = "cgroups_snapshot_request",
        .evidence = snapshot_evidence,
        .decode = request_decode,
        .encode = request_encode,
};

static JsonObject *item_object(const struct nipc_cgroups_snapshot_item *item)
{
        JsonObject *json = json_object_new();

        codec_set_uint(json, "hash", item->hash);
        codec_set_uint(json, "options", item->options);
        codec_set_uint(json, "enabled", item->enabled);
        codec_set_bytes(json, "name", item->name, item->name_len);
        codec_set_bytes(json, "path", item->path, item->path_len);
        return json;
}

static int response_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                           JsonObject *json, struct codec_fault *ret_fault)
{
        g_autoptr(JsonArray) items = json_array_new();
        struct nipc_cgroups_snapshot_view view;
        struct nipc_cgroups_snapshot_item item;
        struct nipc_fault fault;
        uint32_t i;

        if (nipc_cgroups_snapshot_view_init(&view, bytes, size, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        for (i = 0; i < view.item_count; i++) {
                if (nipc_cgroups_snapshot_view_get(&view, i, &item, &fault))
                        return codec_refuse_fault(ret_fault, &fault);
                json_array_add_object_element(items, item_object(&item));
        }
        codec_set_uint(json, "systemd_enabled", view.systemd_enabled);
        codec_set_uint(json, "generation", view.generation);
        json_object_set_array_member(json, "items", g_steal_pointer(&items));
        return 0;
}

/* Items read from JSON; the strings are owned. */
struct items {
        struct nipc_cgroups_snapshot_item *items;
        uint32_t n_items;
        uint64_t string_bytes;
};

static void items_clear(struct items *items)
{
        uint32_t i;

        for (i = 0; i < items->n_items; i++) {
                g_free((gpointer)(uintptr_t)items->items[i].name);
                g_free((gpointer)(uintptr_t)items->items[i].path);
        }
        g_free(items->items);
}

static bool item_read(struct nipc_cgroups_snapshot_item *item, JsonNode *node, uint32_t index,
                      GError **error)
{
        struct codec_reader reader;
        size_t size;

        codec_reader_init(&reader, node, g_strdup_printf("items[%u].", index), error);
        item->hash = (uint32_t)codec_read_uint(&reader, "hash", UINT32_MAX, 0);
        item->options = (uint32_t)codec_read_uint(&reader, "options", UINT32_MAX, 0);
        item->enabled = (uint32_t)codec_read_uint(&reader, "enabled", UINT32_MAX, 0);
        item->name = codec_read_bytes(&reader, "name", &size);
        item->name_len = (uint32_t)size;
        item->path = codec_read_bytes(&reader, "path", &size);
        item->path_len = (uint32_t)size;
        return codec_reader_deinit(&reader);
}

static void items_read(struct items *items, JsonArray *array, struct codec_reader *reader)
{
        uint32_t i, n = json_array_get_length(array);

        items->items = g_new0(struct nipc_cgroups_snapshot_item, n);
        for (i = 0; i < n && reader->object; i++) {
                struct nipc_cgroups_snapshot_item *item = &items->items[items->n_items++];

                if (!item_read(item, json_array_get_element(array, i), i, reader->error))
                        reader->object = NULL;
                items->string_bytes += (uint64_t)item->name_len + item->path_len;
        }
}

static void response_build(const struct items *items, uint32_t systemd_enabled, uint64_t generation,
                           struct codec_reader *reader, GByteArray *out)
{
        uint64_t bound = nipc_cgroups_snapshot_size_bound(items->n_items, items->string_bytes);
        struct nipc_cgroups_snapshot_builder builder;
        size_t size = 0;
        uint32_t i;

        if (bound > UINT32_MAX / 2) {
                codec_reader_fail(reader, "items", "are too many bytes");
                return;
        }
        g_byte_array_set_size(out, (guint)bound);
        nipc_cgroups_snapshot_builder_init(&builder, out->data, out->len, items->n_items);
        for (i = 0; i < items->n_items; i++)
                nipc_cgroups_snapshot_builder_add(&builder, &items->items[i]);
        if (nipc_cgroups_snapshot_builder_finish(&builder, systemd_enabled, generation, &size))
                codec_reader_fail(reader, "items", "do not fit");
        g_byte_array_set_size(out, (guint)size);
}

static void response_encode(struct codec_reader *reader, GByteArray *out)
{
        uint32_t systemd_enabled =
                (uint32_t)codec_read_uint(reader, "systemd_enabled", UINT32_MAX, 0);
        uint64_t generation = codec_read_uint(reader, "generation", UINT64_MAX, 0);
        JsonArray *array = codec_read_array(reader, "items");
        struct items items = {0};

        if (array)
                items_read(&items, array, reader);
        if (reader->object)
                response_build(&items, systemd_enabled, generation, reader, out);
        items_clear(&items);
}

const struct codec_type codec_type_cgroups_snapshot_response = {
        .name = "cgroups_snapshot_response",
        .evidence = snapshot_evidence,
        .decode = response_decode,
        .encode = response_encode,
};
