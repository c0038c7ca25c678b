/* SPDX-License-Identifier: MIT */

/*
 * nipc decode: the bytes of a message to JSON, or the rule that they break.
 *
 * The file holds the bytes themselves or hex digits, with white space anywhere; what consists of
 * nothing else is taken for hex. A message hardly ever does: nearly all have zero bytes.
 */

#include "codec/codec.h"
#include "command-file.h"
#include "command.h"

#include <stdio.h>

struct decode_options {
        char *type;
        char *params;
        char *byte_order;
        gint64 items;
};

/*
 * Messages are in host order, and a message of this machine that is wrong must not be taken for one
 * of another that is right. A big-endian machine also meets the vectors, which are little-endian.
 */
static enum codec_order default_order(void)
{
        return G_BYTE_ORDER == G_LITTLE_ENDIAN ? CODEC_ORDER_HOST : CODEC_ORDER_AUTO;
}

static bool order_parse(const char *text, enum codec_order *ret_order)
{
        static const char *const names[] = {
                [CODEC_ORDER_AUTO] = "auto",
                [CODEC_ORDER_HOST] = "host",
                [CODEC_ORDER_LITTLE] = "little",
                [CODEC_ORDER_BIG] = "big",
        };
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(names); i++) {
                if (strcmp(text, names[i]))
                        continue;
                *ret_order = (enum codec_order)i;
                return true;
        }
        return false;
}

/* JSON itself, or @FILE that holds it. */
static JsonNode *params_load(const char *text, GError **error)
{
        g_autofree char *contents = NULL;
        JsonNode *node;
        gsize size;

        if (*text != '@')
                return codec_load(text, -1, error);
        if (!command_file_read(text + 1, &contents, &size, error))
                return NULL;
        node = codec_load(contents, (gssize)size, error);
        if (!node)
                g_prefix_error(error, "%s: ", text + 1);
        return node;
}

static bool bytes_are_hex(const char *bytes, gsize size)
{
        gsize i;

        for (i = 0; i < size; i++)
                if (!g_ascii_isxdigit(bytes[i]) && !g_ascii_isspace(bytes[i]))
                        return false;
        return true;
}

/* Turns hex text into bytes, in place. Returns false for an odd number of digits. */
static bool unhex(char *bytes, gsize *size)
{
        gsize i, n = 0;

        for (i = 0; i < *size; i++) {
                int digit = g_ascii_xdigit_value(bytes[i]);

                if (digit < 0)
                        continue;
                bytes[n / 2] = (char)(n % 2 ? bytes[n / 2] | digit : digit << 4);
                n++;
        }
        *size = n / 2;
        return n % 2 == 0;
}

static int decode(const struct command *command, const char *type, const char *path,
                  const struct codec_options *options)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) json = NULL;
        g_autofree char *bytes = NULL;
        g_autofree char *text = NULL;
        struct codec_fault fault;
        gsize size;

        if (!command_file_read(path, &bytes, &size, &error))
                return command_fail(command, "%s", error->message);
        if (bytes_are_hex(bytes, size) && !unhex(bytes, &size))
                return command_fail(command, "%s: an odd number of hex digits", path);
        switch (codec_decode(type, bytes, size, options, &json, &fault)) {
        case 0:
                text = codec_print(json);
                return command_file_print(command, text);
        case CODEC_USAGE:
                return command_usage(command, "%s", fault.rule);
        default:
                return command_fail(command, "%s at offset %" G_GSIZE_FORMAT ": %s", fault.cause,
                                    fault.offset, fault.rule);
        }
}

/* Checks the options; on success runs. */
static int decode_with(const struct command *command, const struct decode_options *given,
                       const char *path)
{
        struct codec_options options = {.order = default_order()};
        g_autoptr(JsonNode) params = NULL;
        g_autoptr(GError) error = NULL;

        if (!given->type)
                return command_usage(command, "--type is missing");
        if (!codec_has_type(given->type))
                return command_usage(command, "there is no type %s", given->type);
        if (given->byte_order && !order_parse(given->byte_order, &options.order))
                return command_usage(command, "--byte-order is host, little, big or auto, not %s",
                                     given->byte_order);
        if (given->items < -1 || given->items > UINT32_MAX)
                return command_usage(command, "--items must be from 0 to 4294967295");
        if (given->items >= 0) {
                options.has_items = true;
                options.n_items = (uint32_t)given->items;
        }
        if (given->params) {
                params = params_load(given->params, &error);
                if (!params)
                        return command_usage(command, "--params: %s", error->message);
                if (!JSON_NODE_HOLDS_OBJECT(params))
                        return command_usage(command, "--params must be a JSON object");
                options.params = json_node_get_object(params);
        }
        return decode(command, given->type, path, &options);
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct decode_options options = {.items = -1};
        const GOptionEntry entries[] = {
                {"type", 't', 0, G_OPTION_ARG_STRING, &options.type,
                 "What the bytes are: header, hello, batch_payload, ...", "TYPE"},
                {"items", 'n', 0, G_OPTION_ARG_INT64, &options.items,
                 "Number of items of a batch_payload", "N"},
                {"params", 'p', 0, G_OPTION_ARG_STRING, &options.params,
                 "What to judge packets by: a JSON object", "JSON|@FILE"},
                {"byte-order", 0, 0, G_OPTION_ARG_STRING, &options.byte_order,
                 "host, little, big, or auto: by what the bytes look like", "ORDER"},
                {0},
        };
        int status;

        if (command_parse(&command_decode, entries, &argc, &argv, &status)) {
                if (argc != 2)
                        status = command_usage(&command_decode, "expected one FILE, or -");
                else
                        status = decode_with(&command_decode, &options, argv[1]);
        }
        g_free(options.type);
        g_free(options.params);
        g_free(options.byte_order);
        return status;
}

const struct command command_decode = {
        .name = "decode",
        .arguments = "--type TYPE FILE|-",
        .summary = "Print the bytes of a message as JSON, or say what is wrong with them",
        .run = run,
};
