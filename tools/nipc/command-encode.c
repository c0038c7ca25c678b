/* SPDX-License-Identifier: MIT */

/* nipc encode: JSON as decode prints it to the bytes of a message, in hex, 32 bytes per line. */

#include "codec/codec.h"
#include "command-file.h"
#include "command.h"

#include <stdio.h>

enum { BYTES_PER_LINE = 32 }; /* as in tests/vectors */

static char *format_hex(const GByteArray *bytes)
{
        GString *text = g_string_sized_new(bytes->len * 2 + bytes->len / BYTES_PER_LINE + 2);
        guint i;

        for (i = 0; i < bytes->len; i++) {
                if (i && i % BYTES_PER_LINE == 0)
                        g_string_append_c(text, '\n');
                g_string_append_printf(text, "%02x", bytes->data[i]);
        }
        g_string_append_c(text, '\n');
        return g_string_free(text, FALSE);
}

/* Whether JSON has as many items as was said; -1: nothing was said. */
static bool items_match(JsonNode *json, gint64 n_items)
{
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(json) ? json_node_get_object(json) : NULL;
        JsonNode *items = object ? json_object_get_member(object, "items_hex") : NULL;

        return n_items < 0 || !items || !JSON_NODE_HOLDS_ARRAY(items) ||
               (gint64)json_array_get_length(json_node_get_array(items)) == n_items;
}

static int encode(const struct command *command, const char *type, gint64 n_items, const char *path)
{
        g_autoptr(GByteArray) bytes = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) json = NULL;
        g_autofree char *text = NULL;
        g_autofree char *hex = NULL;
        gsize size;

        if (!type)
                return command_usage(command, "--type is missing");
        if (!codec_has_type(type))
                return command_usage(command, "there is no type %s", type);
        if (!command_file_read(path, &text, &size, &error))
                return command_fail(command, "%s", error->message);
        json = codec_load(text, (gssize)size, &error);
        if (json && !items_match(json, n_items))
                return command_fail(command, "%s: items_hex has not --items items", path);
        if (json)
                bytes = codec_encode(type, json, &error);
        if (!bytes)
                return command_fail(command, "%s: %s", path, error->message);
        hex = format_hex(bytes);
        return command_file_print(command, hex);
}

static int run(const struct command_context *context, int argc, char **argv)
{
        g_autofree char *type = NULL;
        gint64 n_items = -1;
        const GOptionEntry entries[] = {
                {"type", 't', 0, G_OPTION_ARG_STRING, &type,
                 "What to encode: header, hello, batch_payload, ...", "TYPE"},
                {"items", 'n', 0, G_OPTION_ARG_INT64, &n_items,
                 "Number of items that a batch_payload must have", "N"},
                {0},
        };
        int status;

        if (!command_parse(&command_encode, entries, &argc, &argv, &status))
                return status;
        if (argc != 2)
                return command_usage(&command_encode, "expected one FILE, or -");
        if (n_items < -1 || n_items > UINT32_MAX)
                return command_usage(&command_encode, "--items must be from 0 to 4294967295");
        return encode(&command_encode, type, n_items, argv[1]);
}

const struct command command_encode = {
        .name = "encode",
        .arguments = "--type TYPE [--items N] FILE|-",
        .summary = "Print the bytes of a message, given as JSON, in hex",
        .run = run,
};
