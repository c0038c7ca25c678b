/* SPDX-License-Identifier: MIT */

/* Types "header" and "chunk_header". */

#include <nipc/chunk.h>
#include <nipc/header.h>
#include <nipc/wire.h>

#include "codec-private.h"

static size_t magic_evidence(const uint8_t *bytes, size_t size, uint32_t magic)
{
        return size >= sizeof(magic) && nipc_load_u32(bytes) == magic;
}

static size_t header_evidence(const uint8_t *bytes, size_t size,
                              const struct codec_options *options)
{
        return magic_evidence(bytes, size, NIPC_MAGIC);
}

static int header_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                         JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_header header;
        struct nipc_fault fault;

        if (nipc_header_decode(bytes, size, &header, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        codec_set_uint(json, "magic", NIPC_MAGIC);
        codec_set_uint(json, "version", NIPC_VERSION);
        codec_set_uint(json, "header_len", NIPC_HEADER_SIZE);
        codec_set_uint(json, "kind", header.kind);
        codec_set_uint(json, "flags", header.flags);
        codec_set_uint(json, "code", header.code);
        codec_set_uint(json, "transport_status", header.transport_status);
        codec_set_uint(json, "payload_len", header.payload_len);
        codec_set_uint(json, "item_count", header.item_count);
        codec_set_uint(json, "message_id", header.message_id);
        return 0;
}

static void header_encode(struct codec_reader *reader, GByteArray *out)
{
        const struct nipc_header header = {
                .kind = (uint16_t)codec_read_required_uint(reader, "kind", UINT16_MAX),
                .flags = (uint16_t)codec_read_uint(reader, "flags", UINT16_MAX, 0),
                .code = (uint16_t)codec_read_uint(reader, "code", UINT16_MAX, 0),
                .transport_status =
                        (uint16_t)codec_read_uint(reader, "transport_status", UINT16_MAX, 0),
                .payload_len = (uint32_t)codec_read_uint(reader, "payload_len", UINT32_MAX, 0),
                .item_count = (uint32_t)codec_read_uint(reader, "item_count", UINT32_MAX, 1),
                .message_id = codec_read_uint(reader, "message_id", UINT64_MAX, 0),
        };
        uint8_t bytes[NIPC_HEADER_SIZE];

        nipc_header_encode(&header, bytes);
        nipc_store_u32(bytes, (uint32_t)codec_read_uint(reader, "magic", UINT32_MAX, NIPC_MAGIC));
        nipc_store_u16(bytes + 4,
                       (uint16_t)codec_read_uint(reader, "version", UINT16_MAX, NIPC_VERSION));
        nipc_store_u16(bytes + 6, (uint16_t)codec_read_uint(reader, "header_len", UINT16_MAX,
                                                            NIPC_HEADER_SIZE));
        g_byte_array_append(out, bytes, sizeof(bytes));
}

const struct codec_type codec_type_header = {
        .name = "header",
        .evidence = header_evidence,
        .decode = header_decode,
        .encode = header_encode,
};

static size_t chunk_evidence(const uint8_t *bytes, size_t size, const struct codec_options *options)
{
        return magic_evidence(bytes, size, NIPC_CHUNK_MAGIC);
}

static int chunk_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                        JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_chunk_header chunk;
        struct nipc_fault fault;

        if (nipc_chunk_header_decode(bytes, size, &chunk, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        codec_set_uint(json, "magic", NIPC_CHUNK_MAGIC);
        codec_set_uint(json, "version", NIPC_VERSION);
        codec_set_uint(json, "flags", chunk.flags);
        codec_set_uint(json, "message_id", chunk.message_id);
        codec_set_uint(json, "total_message_len", chunk.total_message_len);
        codec_set_uint(json, "chunk_index", chunk.chunk_index);
        codec_set_uint(json, "chunk_count", chunk.chunk_count);
        codec_set_uint(json, "chunk_payload_len", chunk.chunk_payload_len);
        return 0;
}

static void chunk_encode(struct codec_reader *reader, GByteArray *out)
{
        const struct nipc_chunk_header chunk = {
                .flags = (uint16_t)codec_read_uint(reader, "flags", UINT16_MAX, 0),
                .message_id = codec_read_uint(reader, "message_id", UINT64_MAX, 0),
                .total_message_len =
                        (uint32_t)codec_read_uint(reader, "total_message_len", UINT32_MAX, 0),
                .chunk_index =
                        (uint32_t)codec_read_required_uint(reader, "chunk_index", UINT32_MAX),
                .chunk_count = (uint32_t)codec_read_uint(reader, "chunk_count", UINT32_MAX, 0),
                .chunk_payload_len =
                        (uint32_t)codec_read_uint(reader, "chunk_payload_len", UINT32_MAX, 0),
        };
        uint8_t bytes[NIPC_CHUNK_HEADER_SIZE];

        nipc_chunk_header_encode(&chunk, bytes);
        nipc_store_u32(bytes,
                       (uint32_t)codec_read_uint(reader, "magic", UINT32_MAX, NIPC_CHUNK_MAGIC));
        nipc_store_u16(bytes + 4,
                       (uint16_t)codec_read_uint(reader, "version", UINT16_MAX, NIPC_VERSION));
        g_byte_array_append(out, bytes, sizeof(bytes));
}

const struct codec_type codec_type_chunk_header = {
        .name = "chunk_header",
        .evidence = chunk_evidence,
        .decode = chunk_decode,
        .encode = chunk_encode,
};
