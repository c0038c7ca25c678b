/* SPDX-License-Identifier: MIT */
/* Answers from JSON files, see json-source.h. */
#include "json-source.h"

#include "codec/codec.h"

GByteArray *json_source_load(const char *path, const char *type, GError **error)
{
        g_autofree char *text = NULL;
        g_autoptr(GError) local = NULL;
        g_autoptr(JsonNode) json = NULL;
        GByteArray *bytes = NULL;
        gsize size;

        if (!g_file_get_contents(path, &text, &size, error))
                return NULL;
        json = codec_load(text, (gssize)size, &local);
        if (json)
                bytes = codec_encode(type, json, &local);
        if (!bytes)
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                            "%s is no %s: %s; 'nipc decode --type %s' prints what is expected",
                            path, type, local->message, type);
        return bytes;
}
