/* SPDX-License-Identifier: MIT */

#include "util-vectors.h"

#include "codec.h"

JsonObject *find_vector(JsonArray *vectors, const char *name)
{
        guint i;

        for (i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_array_get_object_element(vectors, i);

                if (!strcmp(json_object_get_string_member(vector, "name"), name))
                        return vector;
        }
        g_assert_not_reached();
}

JsonNode *load_json(const char *name)
{
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, name, NULL);
        g_autofree char *text = NULL;
        GError *error = NULL;
        JsonNode *node;
        gsize size;

        g_file_get_contents(path, &text, &size, &error);
        g_assert_no_error(error);
        node = codec_load(text, (gssize)size, &error);
        g_assert_no_error(error);
        return node;
}

GBytes *unhex(const char *text)
{
        GByteArray *bytes = g_byte_array_new();
        int high = -1;

        for (; *text; text++) {
                int digit = g_ascii_xdigit_value(*text);
                guint8 byte;

                if (digit < 0)
                        continue;
                if (high < 0) {
                        high = digit;
                        continue;
                }
                byte = (guint8)(high << 4 | digit);
                g_byte_array_append(bytes, &byte, 1);
                high = -1;
        }
        g_assert_cmpint(high, ==, -1);
        return g_byte_array_free_to_bytes(bytes);
}

GBytes *load_bytes(JsonObject *vector)
{
        g_autofree char *path =
                g_test_build_filename(G_TEST_DIST, json_object_get_string_member(vector, "file"),
                                      NULL);
        g_autofree char *text = NULL;
        GError *error = NULL;
        GBytes *bytes;

        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        bytes = unhex(text);
        g_assert_cmpint((gint64)g_bytes_get_size(bytes), ==,
                        json_object_get_int_member(vector, "length"));
        return bytes;
}
