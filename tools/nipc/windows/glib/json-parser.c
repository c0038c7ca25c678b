/* SPDX-License-Identifier: MIT */

/* Text of JSON, RFC 8259, as values, see json-glib.h. Depth is limited, as everywhere. */

#include "json-glib/json-glib.h"

#define MAX_DEPTH 64

struct JsonParser {
        JsonNode *root;
        const char *start, *at, *end;
        unsigned depth;
        const char *reason;
};

JsonParser *json_parser_new(void)
{
        return g_new0(JsonParser, 1);
}

void json_parser_free(JsonParser *parser)
{
        if (parser->root)
                json_node_unref(parser->root);
        g_free(parser);
}

JsonNode *json_parser_steal_root(JsonParser *parser)
{
        return g_steal_pointer(&parser->root);
}

static JsonNode *parse_value(JsonParser *parser);

static void *fail(JsonParser *parser, const char *reason)
{
        if (!parser->reason)
                parser->reason = reason;
        return NULL;
}

/* The next character that means something; 0 at the end. */
static char peek(JsonParser *parser)
{
        while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) && *parser->at)
                parser->at++;
        return parser->at < parser->end ? *parser->at : '\0';
}

static bool take(JsonParser *parser, char c)
{
        if (peek(parser) != c)
                return false;
        parser->at++;
        return true;
}

static bool take_word(JsonParser *parser, const char *word)
{
        const size_t n = strlen(word);

        if ((size_t)(parser->end - parser->at) < n || memcmp(parser->at, word, n) != 0)
                return false;
        parser->at += n;
        return true;
}

/* Four digits behind \u. */
static bool take_unit(JsonParser *parser, gunichar *ret_unit)
{
        *ret_unit = 0;
        for (unsigned i = 0; i < 4; i++) {
                int digit = parser->at < parser->end ? g_ascii_xdigit_value(*parser->at++) : -1;

                if (digit < 0)
                        return false;
                *ret_unit = *ret_unit << 4 | (gunichar)digit;
        }
        return true;
}

static bool take_escaped_character(JsonParser *parser, GString *text)
{
        gunichar c, low;

        if (!take_unit(parser, &c) || !c || c >> 10 == 0x37)
                return false;
        if (c >> 10 == 0x36) {
                if (!take_word(parser, "\\u") || !take_unit(parser, &low) || low >> 10 != 0x37)
                        return false;
                c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
        }
        g_string_append_unichar(text, c);
        return true;
}

static bool take_escape(JsonParser *parser, GString *text)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char c = parser->at < parser->end ? *parser->at++ : '\0';
        const char *known = c ? strchr(from, c) : NULL;

        if (c == 'u')
                return take_escaped_character(parser, text);
        if (known)
                g_string_append_c(text, to[known - from]);
        return known != NULL;
}

/* Behind its opening quote. NULL if it is none. */
static char *parse_string(JsonParser *parser)
{
        GString *text = g_string_new(NULL);

        while (parser->at < parser->end && *parser->at != '"') {
                const gunichar c = g_utf8_get_char_validated(parser->at, parser->end - parser->at);

                if (c == (gunichar)-1) {
                        fail(parser, "invalid UTF-8");
                        break;
                }
                if (*parser->at == '\\') {
                        parser->at++;
                        if (!take_escape(parser, text)) {
                                fail(parser, "an escape that is none");
                                break;
                        }
                } else {
                        g_string_append_unichar(text, c);
                        parser->at += g_unichar_to_utf8(c, NULL);
                }
        }
        if (!parser->reason && take(parser, '"'))
                return g_string_free(text, FALSE);
        g_string_free(text, TRUE);
        return fail(parser, "a string that does not end");
}

static JsonNode *parse_number(JsonParser *parser)
{
        JsonBuilder *builder = json_builder_new();
        JsonNode *node;
        char text[64], *end;
        size_t n = 0;
        bool is_whole = true;

        while (parser->at < parser->end && n + 1 < sizeof(text) &&
               (g_ascii_isdigit(*parser->at) || strchr("+-.eE", *parser->at))) {
                is_whole = is_whole && !strchr(".eE", *parser->at);
                text[n++] = *parser->at++;
        }
        text[n] = '\0';
        if (is_whole)
                json_builder_add_int_value(builder, strtoll(text, &end, 10));
        else
                json_builder_add_double_value(builder, strtod(text, &end));
        node = json_builder_get_root(builder);
        json_builder_free(builder);
        if (n && !*end && end > text)
                return node;
        json_node_unref(node);
        return fail(parser, "a value that is none");
}

static JsonNode *parse_object(JsonParser *parser)
{
        g_autoptr(JsonObject) object = json_object_new();
        JsonNode *node;

        if (take(parser, '}'))
                return json_node_init_object(json_node_alloc(), object);
        do {
                g_autofree char *name = take(parser, '"') ? parse_string(parser) : NULL;

                if (!name)
                        return fail(parser, "expected the name of a member");
                if (!take(parser, ':'))
                        return fail(parser, "expected ':'");
                node = parse_value(parser);
                if (!node)
                        return NULL;
                json_object_set_member(object, name, node);
        } while (take(parser, ','));
        if (!take(parser, '}'))
                return fail(parser, "expected ',' or '}'");
        return json_node_init_object(json_node_alloc(), object);
}

static JsonNode *parse_array(JsonParser *parser)
{
        g_autoptr(JsonArray) array = json_array_new();
        JsonNode *node;

        if (!take(parser, ']')) {
                do {
                        node = parse_value(parser);
                        if (!node)
                                return NULL;
                        json_array_add_element(array, node);
                } while (take(parser, ','));
                if (!take(parser, ']'))
                        return fail(parser, "expected ',' or ']'");
        }
        node = json_node_new(JSON_NODE_ARRAY);
        json_node_set_array(node, array);
        return node;
}

static JsonNode *parse_word(JsonParser *parser)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        if (take_word(parser, "true"))
                json_builder_add_boolean_value(builder, TRUE);
        else if (take_word(parser, "false"))
                json_builder_add_boolean_value(builder, FALSE);
        else if (take_word(parser, "null"))
                json_builder_add_null_value(builder);
        else
                return fail(parser, "a value that is none");
        return json_builder_get_root(builder);
}

static JsonNode *parse_value(JsonParser *parser)
{
        g_autofree char *text = NULL;
        JsonNode *node = NULL;
        char c = peek(parser);

        if (parser->depth++ >= MAX_DEPTH)
                return fail(parser, "too deep");
        if (c == '-' || g_ascii_isdigit(c)) {
                node = parse_number(parser);
        } else if (!strchr("{[\"", c) || !c) {
                node = parse_word(parser);
        } else {
                parser->at++;
                if (c == '"')
                        text = parse_string(parser);
                node = c == '{'   ? parse_object(parser)
                       : c == '[' ? parse_array(parser)
                       : text     ? json_node_init_string(json_node_alloc(), text)
                                  : NULL;
        }
        parser->depth--;
        return node;
}

static guint count_lines(const JsonParser *parser, guint *ret_column)
{
        guint line = 1;

        *ret_column = 0;
        for (const char *p = parser->start; p < parser->at; p++) {
                ++*ret_column;
                if (*p == '\n')
                        line++, *ret_column = 0;
        }
        return line;
}

gboolean json_parser_load_from_data(JsonParser *parser, const char *text, gssize size,
                                    GError **error)
{
        JsonNode *node = NULL;
        guint line, column;

        parser->start = parser->at = text;
        parser->end = text + (size < 0 ? strlen(text) : (size_t)size);
        parser->reason = NULL;
        if (!peek(parser))
                return TRUE; /* nothing at all is no error */
        node = parse_value(parser);
        if (node && !peek(parser)) {
                parser->root = node;
                return TRUE;
        }
        if (node)
                json_node_unref(node);
        line = count_lines(parser, &column);
        g_set_error(error, g_quark_from_string("json-parser-error-quark"), 0,
                    "<data>:%u:%u: Parse error: %s", line, column,
                    parser->reason ? parser->reason : "something behind the end");
        return FALSE;
}
