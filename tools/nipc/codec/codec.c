/* SPDX-License-Identifier: MIT */

/* Finds the type and the byte order; the types do the rest. Compiled once, for the host. */

#include "codec-private.h"

G_DEFINE_QUARK(codec - error - quark, codec_error)

static const struct codec_type *type_find(const struct codec_type *const *table, const char *type)
{
        for (; *table; table++)
                if (!strcmp((*table)->name, type))
                        return *table;
        return NULL;
}

bool codec_has_type(const char *type)
{
        return type_find(codec_table(), type);
}

const char *const *codec_list_types(void)
{
        static const char *names[32];
        const struct codec_type *const *table = codec_table();
        size_t i;

        for (i = 0; table[i] && i + 1 < G_N_ELEMENTS(names); i++)
                names[i] = table[i]->name;
        return names;
}

/* Names of the two orders as this machine has them. */
static const char *order_name(bool swapped)
{
        return (G_BYTE_ORDER == G_LITTLE_ENDIAN) != swapped ? "little" : "big";
}

static bool order_is_swapped(const char *type, const uint8_t *bytes, size_t size,
                             const struct codec_options *options)
{
        const struct codec_type *host = type_find(codec_table(), type);
        const struct codec_type *swapped = type_find(codec_swapped_table(), type);

        switch (options->order) {
        case CODEC_ORDER_LITTLE:
                return G_BYTE_ORDER != G_LITTLE_ENDIAN;
        case CODEC_ORDER_BIG:
                return G_BYTE_ORDER == G_LITTLE_ENDIAN;
        case CODEC_ORDER_AUTO:
                return host->evidence && swapped->evidence(bytes, size, options) >
                                                 host->evidence(bytes, size, options);
        case CODEC_ORDER_HOST:
        default:
                return false;
        }
}

int codec_decode(const char *type, const void *bytes, size_t size,
                 const struct codec_options *options, JsonNode **ret_json,
                 struct codec_fault *ret_fault)
{
        static const struct codec_options none;
        const struct codec_type *codec;
        JsonObject *json;
        bool swapped;
        int r;

        if (!codec_has_type(type))
                return codec_usage(ret_fault, "there is no such type");
        if (!options)
                options = &none;
        swapped = order_is_swapped(type, bytes, size, options);
        codec = type_find(swapped ? codec_swapped_table() : codec_table(), type);
        json = json_object_new();
        r = codec->decode(bytes, size, options, json, ret_fault);
        if (!r) {
                if (swapped)
                        json_object_set_string_member(json, "byte_order", order_name(true));
                *ret_json = json_node_alloc();
                json_node_init_object(*ret_json, json);
        }
        json_object_unref(json);
        return r;
}

/* Reads the optional "byte_order". */
static bool reader_is_swapped(struct codec_reader *reader)
{
        g_autofree char *order = NULL;
        size_t size;

        if (!codec_reader_has(reader, "byte_order"))
                return false;
        order = codec_read_bytes(reader, "byte_order", &size);
        if (!strcmp(order, order_name(true)))
                return true;
        if (strcmp(order, order_name(false)))
                codec_reader_fail(reader, "byte_order", "must be \"little\" or \"big\"");
        return false;
}

GByteArray *codec_encode(const char *type, JsonNode *json, GError **error)
{
        g_autoptr(GByteArray) out = g_byte_array_new();
        struct codec_reader reader;
        bool swapped;

        if (!codec_has_type(type)) {
                g_set_error(error, CODEC_ERROR, CODEC_ERROR_TYPE, "there is no type %s", type);
                return NULL;
        }
        codec_reader_init(&reader, json, g_strdup(""), error);
        swapped = reader_is_swapped(&reader);
        if (reader.object)
                type_find(swapped ? codec_swapped_table() : codec_table(), type)
                        ->encode(&reader, out);
        return codec_reader_deinit(&reader) ? g_steal_pointer(&out) : NULL;
}
