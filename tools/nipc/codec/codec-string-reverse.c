/* SPDX-License-Identifier: MIT */

/* Type "string_reverse", method 3. */

#include <nipc/string-reverse.h>
#include <nipc/wire.h>

#include "codec-private.h"

static size_t string_evidence(const uint8_t *bytes, size_t size,
                              const struct codec_options *options)
{
        return size >= sizeof(uint32_t) && nipc_load_u32(bytes) == NIPC_STRING_REVERSE_HEADER_SIZE;
}

static int string_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                         JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_string_reverse_view view;
        struct nipc_fault fault;

        if (nipc_string_reverse_decode(bytes, size, &view, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        codec_set_bytes(json, "string", view.str, view.str_len);
        codec_set_uint(json, "str_offset", NIPC_STRING_REVERSE_HEADER_SIZE);
        codec_set_uint(json, "str_length", view.str_len);
        return 0;
}

static void string_encode(struct codec_reader *reader, GByteArray *out)
{
        size_t length, size;
        g_autofree char *string = codec_read_bytes(reader, "string", &length);

        g_byte_array_set_size(out, (guint)(length + NIPC_STRING_REVERSE_HEADER_SIZE + 1));
        if (nipc_string_reverse_encode(string, length, out->data, out->len, &size))
                codec_reader_fail(reader, "string", "is too long");
        nipc_store_u32(out->data, (uint32_t)codec_read_uint(reader, "str_offset", UINT32_MAX,
                                                            NIPC_STRING_REVERSE_HEADER_SIZE));
        nipc_store_u32(out->data + 4,
                       (uint32_t)codec_read_uint(reader, "str_length", UINT32_MAX, length));
}

const struct codec_type codec_type_string_reverse = {
        .name = "string_reverse",
        .evidence = string_evidence,
        .decode = string_decode,
        .encode = string_encode,
};
