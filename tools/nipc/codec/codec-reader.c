/* SPDX-License-Identifier: MIT */

/* Fields of JSON to values and back. Knows nothing of messages. Compiled once. */

#include "codec-private.h"

int codec_refuse(struct codec_fault *ret_fault, const char *cause, size_t offset, const char *rule)
{
        *ret_fault = (struct codec_fault){.cause = cause, .rule = rule, .offset = offset};
        return CODEC_REFUSED;
}

int codec_refuse_fault(struct codec_fault *ret_fault, const struct nipc_fault *fault)
{
        return codec_refuse(ret_fault, nipc_proto_error_name(fault->error), fault->offset,
                            fault->rule);
}

int codec_usage(struct codec_fault *ret_fault, const char *rule)
{
        *ret_fault = (struct codec_fault){.cause = "USAGE", .rule = rule};
        return CODEC_USAGE;
}

void codec_set_uint(JsonObject *json, const char *name, uint64_t value)
{
        json_object_set_int_member(json, name, (gint64)value);
}

char *codec_hex(const void *bytes, size_t size)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = bytes;
        char *hex = g_malloc(size * 2 + 1);
        size_t i;

        for (i = 0; i < size; i++) {
                hex[i * 2] = digits[p[i] >> 4];
                hex[i * 2 + 1] = digits[p[i] & 15];
        }
        hex[size * 2] = '\0';
        return hex;
}

uint8_t *codec_unhex(const char *hex, size_t *ret_size)
{
        size_t n = strlen(hex), i;
        g_autofree uint8_t *bytes = g_malloc(n / 2 + 1);

        if (n % 2)
                return NULL;
        for (i = 0; i < n; i++) {
                int digit = g_ascii_xdigit_value(hex[i]);

                if (digit < 0)
                        return NULL;
                bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] | digit : digit << 4);
        }
        *ret_size = n / 2;
        return g_steal_pointer(&bytes);
}

/* Would a person read these bytes? */
static bool bytes_are_text(const char *bytes, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (!g_ascii_isprint(bytes[i]))
                        return false;
        return true;
}

JsonNode *codec_bytes_node(const void *bytes, size_t size)
{
        JsonNode *node = json_node_alloc();

        if (bytes_are_text(bytes, size)) {
                g_autofree char *text = g_strndup(bytes, size);

                json_node_init_string(node, text);
        } else {
                g_autofree char *hex = codec_hex(bytes, size);
                g_autoptr(JsonObject) object = json_object_new();

                json_object_set_string_member(object, "hex", hex);
                json_node_init_object(node, object);
        }
        return node;
}

void codec_set_bytes(JsonObject *json, const char *name, const void *bytes, size_t size)
{
        json_object_set_member(json, name, codec_bytes_node(bytes, size));
}

bool codec_node_uint(JsonNode *node, uint64_t max, uint64_t *ret_value)
{
        uint64_t value;

        if (!JSON_NODE_HOLDS_VALUE(node))
                return false;
        if (json_node_get_value_type(node) == G_TYPE_INT64)
                value = (uint64_t)json_node_get_int(node);
        else if (json_node_get_value_type(node) != G_TYPE_STRING ||
                 !g_ascii_string_to_unsigned(json_node_get_string(node), 10, 0, max, &value, NULL))
                return false;
        if (value > max)
                return false;
        *ret_value = value;
        return true;
}

void codec_reader_init(struct codec_reader *reader, JsonNode *node, char *path, GError **error)
{
        *reader = (struct codec_reader){.path = path, .error = error};
        if (JSON_NODE_HOLDS_OBJECT(node))
                reader->object = json_node_get_object(node);
        else
                g_set_error(error, CODEC_ERROR, CODEC_ERROR_FIELD, "%smust be an object",
                            *path ? path : "the message ");
}

void codec_reader_fail(struct codec_reader *reader, const char *name, const char *what)
{
        if (!reader->object)
                return;
        reader->object = NULL;
        g_set_error(reader->error, CODEC_ERROR, CODEC_ERROR_FIELD, "%s%s %s", reader->path, name,
                    what);
}

bool codec_reader_deinit(struct codec_reader *reader)
{
        JsonObjectIter iter;
        const char *name;
        unsigned i;

        if (reader->object) {
                json_object_iter_init(&iter, reader->object);
                while (reader->object && json_object_iter_next(&iter, &name, NULL)) {
                        for (i = 0; i < reader->n_seen && strcmp(reader->seen[i], name); i++)
                                ;
                        if (i == reader->n_seen)
                                codec_reader_fail(reader, name, "is no field of this");
                }
        }
        g_clear_pointer(&reader->path, g_free);
        return reader->object;
}

/* The field, or NULL when it is not there or an error stuck. */
static JsonNode *reader_get(struct codec_reader *reader, const char *name)
{
        if (!reader->object)
                return NULL;
        g_assert(reader->n_seen < G_N_ELEMENTS(reader->seen));
        reader->seen[reader->n_seen++] = name;
        return json_object_get_member(reader->object, name);
}

static JsonNode *reader_require(struct codec_reader *reader, const char *name)
{
        JsonNode *node = reader_get(reader, name);

        if (!node)
                codec_reader_fail(reader, name, "is missing");
        return node;
}

bool codec_reader_has(struct codec_reader *reader, const char *name)
{
        return reader->object && json_object_has_member(reader->object, name);
}

static uint64_t reader_uint(struct codec_reader *reader, const char *name, JsonNode *node,
                            uint64_t max, uint64_t fallback)
{
        g_autofree char *what = NULL;
        uint64_t value;

        if (!node)
                return fallback;
        if (codec_node_uint(node, max, &value))
                return value;
        what = g_strdup_printf("must be a whole number from 0 to %" G_GUINT64_FORMAT, max);
        codec_reader_fail(reader, name, what);
        return fallback;
}

uint64_t codec_read_uint(struct codec_reader *reader, const char *name, uint64_t max,
                         uint64_t fallback)
{
        return reader_uint(reader, name, reader_get(reader, name), max, fallback);
}

uint64_t codec_read_required_uint(struct codec_reader *reader, const char *name, uint64_t max)
{
        return reader_uint(reader, name, reader_require(reader, name), max, 0);
}

static const char *node_string(JsonNode *node)
{
        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
                return NULL;
        return json_node_get_string(node);
}

uint8_t *codec_read_hex(struct codec_reader *reader, const char *name, size_t *ret_size)
{
        JsonNode *node = reader_require(reader, name);
        const char *hex = node ? node_string(node) : NULL;
        uint8_t *bytes = hex ? codec_unhex(hex, ret_size) : NULL;

        if (bytes)
                return bytes;
        codec_reader_fail(reader, name, "must be a string of pairs of hex digits");
        *ret_size = 0;
        return g_malloc0(1);
}

char *codec_node_bytes(JsonNode *node, size_t *ret_size)
{
        const char *text = node_string(node);

        if (text) {
                *ret_size = strlen(text);
                return g_strdup(text);
        }
        if (JSON_NODE_HOLDS_OBJECT(node)) {
                JsonObject *object = json_node_get_object(node);
                JsonNode *hex = json_object_get_member(object, "hex");

                if (hex && node_string(hex) && json_object_get_size(object) == 1)
                        return (char *)codec_unhex(node_string(hex), ret_size);
        }
        return NULL;
}

char *codec_read_bytes(struct codec_reader *reader, const char *name, size_t *ret_size)
{
        JsonNode *node = reader_require(reader, name);
        char *bytes = node ? codec_node_bytes(node, ret_size) : NULL;

        if (bytes)
                return bytes;
        codec_reader_fail(reader, name, "must be a string or {\"hex\": \"pairs of digits\"}");
        *ret_size = 0;
        return g_strdup("");
}

JsonArray *codec_read_array(struct codec_reader *reader, const char *name)
{
        JsonNode *node = reader_require(reader, name);

        if (node && JSON_NODE_HOLDS_ARRAY(node))
                return json_node_get_array(node);
        codec_reader_fail(reader, name, "must be an array");
        return NULL;
}

void codec_read_object(struct codec_reader *reader, const char *name, struct codec_reader *ret)
{
        JsonNode *node = reader_require(reader, name);

        if (node && !JSON_NODE_HOLDS_OBJECT(node)) {
                codec_reader_fail(reader, name, "must be an object");
                node = NULL;
        }
        *ret = (struct codec_reader){
                .object = node ? json_node_get_object(node) : NULL,
                .path = g_strdup_printf("%s%s.", reader->path, name),
                .error = reader->error,
        };
}

uint64_t codec_params_uint(JsonObject *params, const char *name, uint64_t max, uint64_t fallback,
                           bool *good)
{
        JsonNode *node = params ? json_object_get_member(params, name) : NULL;
        uint64_t value = fallback;

        if (node && !codec_node_uint(node, max, &value))
                *good = false;
        return value;
}

JsonObject *codec_params_object(JsonObject *params, const char *name, bool *good)
{
        JsonNode *node = params ? json_object_get_member(params, name) : NULL;

        if (node && !JSON_NODE_HOLDS_OBJECT(node))
                *good = false;
        return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *codec_params_array(JsonObject *params, const char *name, bool *good)
{
        JsonNode *node = params ? json_object_get_member(params, name) : NULL;

        if (node && !JSON_NODE_HOLDS_ARRAY(node))
                *good = false;
        return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}
