/* SPDX-License-Identifier: MIT */

/* Type "increment", method 1: eight bytes that look the same in either byte order. */

#include <nipc/increment.h>

#include "codec-private.h"

static int increment_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                            JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_fault fault;
        uint64_t value;

        if (nipc_increment_decode(bytes, size, &value, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        codec_set_uint(json, "value", value);
        return 0;
}

static void increment_encode(struct codec_reader *reader, GByteArray *out)
{
        g_byte_array_set_size(out, NIPC_INCREMENT_SIZE);
        nipc_increment_encode(codec_read_required_uint(reader, "value", UINT64_MAX), out->data);
}

const struct codec_type codec_type_increment = {
        .name = "increment",
        .decode = increment_decode,
        .encode = increment_encode,
};
