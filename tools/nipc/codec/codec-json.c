/* SPDX-License-Identifier: MIT */

/*
 * JSON text without loss. JSON-GLib keeps numbers as signed 64 bits and ends strings at a NUL. So,
 * before parsing, whole numbers that are not 0..2^63-1 are put in quotes, and what would be cut is
 * refused; and numbers are printed unsigned. Compiled once.
 */

#include "codec-private.h"

enum { DEPTH_MAX = 64 }; /* chosen: messages need 5; JSON-GLib's parser recurses */

static bool load_fail(GError **error, const char *what)
{
        g_set_error_literal(error, CODEC_ERROR, CODEC_ERROR_JSON, what);
        return false;
}

/* Copies a string with its quotes; *text is at the opening one and moves behind the closing one. */
static bool copy_string(const char **text, const char *end, GString *out, GError **error)
{
        const char *p = *text + 1;

        for (; p < end && *p != '"'; p++) {
                if (*p != '\\')
                        continue;
                if (end - p >= 6 && !strncmp(p, "\\u0000", 6))
                        return load_fail(error, "\\u0000 in a string: write {\"hex\": \"...\"}");
                if (++p == end)
                        break;
        }
        if (p >= end)
                return load_fail(error, "a string does not end");
        g_string_append_len(out, *text, p + 1 - *text);
        *text = p + 1;
        return true;
}

/* Copies a number, in quotes if JSON-GLib would not keep its value. */
static void copy_number(const char **text, const char *end, GString *out)
{
        const char *p = *text, *start = *text;
        bool whole = true, kept;
        g_autofree char *number = NULL;

        for (; p < end && (g_ascii_isalnum(*p) || strchr("+-.", *p)); p++)
                whole = whole && (g_ascii_isdigit(*p) || (*p == '-' && p == start));
        number = g_strndup(start, (size_t)(p - start));
        kept = !whole || g_ascii_string_to_unsigned(number, 10, 0, INT64_MAX, NULL, NULL);
        g_string_append_printf(out, kept ? "%s" : "\"%s\"", number);
        *text = p;
}

static bool quote_numbers(const char *text, const char *end, GString *out, GError **error)
{
        unsigned depth = 0;

        if (memchr(text, '\0', (size_t)(end - text)))
                return load_fail(error, "a NUL byte in the text");
        while (text < end) {
                if (*text == '"') {
                        if (!copy_string(&text, end, out, error))
                                return false;
                } else if (*text == '-' || g_ascii_isdigit(*text)) {
                        copy_number(&text, end, out);
                } else {
                        if ((*text == '{' || *text == '[') && ++depth > DEPTH_MAX)
                                return load_fail(error, "too deep");
                        if ((*text == '}' || *text == ']') && depth)
                                depth--;
                        g_string_append_c(out, *text++);
                }
        }
        return true;
}

JsonNode *codec_load(const char *text, gssize size, GError **error)
{
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autoptr(GString) quoted = g_string_new(NULL);
        g_autoptr(GError) local = NULL;
        JsonNode *root;

        if (size < 0)
                size = (gssize)strlen(text);
        if (!quote_numbers(text, text + size, quoted, error))
                return NULL;
        if (!json_parser_load_from_data(parser, quoted->str, (gssize)quoted->len, &local)) {
                load_fail(error, local->message);
                return NULL;
        }
        root = json_parser_steal_root(parser);
        if (!root)
                load_fail(error, "no JSON");
        return root;
}

static void print_string(GString *out, const char *text)
{
        g_string_append_c(out, '"');
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        g_string_append_printf(out, "\\%c", *text);
                else if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        g_string_append_printf(out, "\\u%04x", (unsigned)*text);
                else
                        g_string_append_c(out, *text);
        }
        g_string_append_c(out, '"');
}

static void print_node(GString *out, JsonNode *node, int indent);

/* A new line at the given depth; nothing at all when all goes on one line (negative). */
static void print_break(GString *out, int indent)
{
        if (indent >= 0)
                g_string_append_printf(out, "\n%*s", indent * 2, "");
}

static void print_object(GString *out, JsonObject *object, int indent)
{
        int inner = indent < 0 ? indent : indent + 1;
        const char *separator = "";
        JsonObjectIter iter;
        const char *name;
        JsonNode *member;

        g_string_append_c(out, '{');
        json_object_iter_init_ordered(&iter, object);
        while (json_object_iter_next_ordered(&iter, &name, &member)) {
                g_string_append(out, separator);
                print_break(out, inner);
                print_string(out, name);
                g_string_append(out, ": ");
                print_node(out, member, inner);
                separator = indent < 0 ? ", " : ",";
        }
        if (*separator)
                print_break(out, indent);
        g_string_append_c(out, '}');
}

static void print_array(GString *out, JsonArray *array, int indent)
{
        int inner = indent < 0 ? indent : indent + 1;
        guint i, n = json_array_get_length(array);

        g_string_append_c(out, '[');
        for (i = 0; i < n; i++) {
                if (i)
                        g_string_append(out, indent < 0 ? ", " : ",");
                print_break(out, inner);
                print_node(out, json_array_get_element(array, i), inner);
        }
        if (n)
                print_break(out, indent);
        g_string_append_c(out, ']');
}

static void print_value(GString *out, JsonNode *node)
{
        char number[G_ASCII_DTOSTR_BUF_SIZE];

        switch (json_node_get_value_type(node)) {
        case G_TYPE_STRING:
                print_string(out, json_node_get_string(node));
                break;
        case G_TYPE_INT64:
                g_string_append_printf(out, "%" G_GUINT64_FORMAT, (guint64)json_node_get_int(node));
                break;
        case G_TYPE_DOUBLE:
                g_string_append(out,
                                g_ascii_dtostr(number, sizeof(number), json_node_get_double(node)));
                break;
        default:
                g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
                break;
        }
}

static void print_node(GString *out, JsonNode *node, int indent)
{
        switch (json_node_get_node_type(node)) {
        case JSON_NODE_OBJECT:
                print_object(out, json_node_get_object(node), indent);
                break;
        case JSON_NODE_ARRAY:
                print_array(out, json_node_get_array(node), indent);
                break;
        case JSON_NODE_VALUE:
                print_value(out, node);
                break;
        case JSON_NODE_NULL:
        default:
                g_string_append(out, "null");
                break;
        }
}

char *codec_print(JsonNode *json)
{
        GString *out = g_string_new(NULL);

        print_node(out, json, 0);
        g_string_append_c(out, '\n');
        return g_string_free(out, FALSE);
}

char *codec_print_line(JsonNode *json)
{
        GString *out = g_string_new(NULL);

        print_node(out, json, -1);
        return g_string_free(out, FALSE);
}
