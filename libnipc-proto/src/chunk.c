/* SPDX-License-Identifier: MIT */

/*
 * Continuation packets (wire-v1 §4). The stateless decoder judges what a header says alone; the
 * assembly judges whether it continues the message that packet 0 began. The loop of a receiver
 * ends on bytes, not on packets: nipc_assembly_missing().
 */

#include <nipc/chunk.h>
#include <nipc/wire.h>

#include "fault.h"
#include "stdaux.h"

enum {
        CHUNK_MAGIC = 0,
        CHUNK_VERSION = 4,
        CHUNK_FLAGS = 6,
        CHUNK_MESSAGE_ID = 8,
        CHUNK_TOTAL_MESSAGE_LEN = 16,
        CHUNK_INDEX = 20,
        CHUNK_COUNT = 24,
        CHUNK_PAYLOAD_LEN = 28,

        /* Of the outer header, to name what a limit was broken by. */
        HEADER_PAYLOAD_LEN = 16,
        HEADER_ITEM_COUNT = 20,
};

_Static_assert(CHUNK_PAYLOAD_LEN + sizeof(uint32_t) == NIPC_CHUNK_HEADER_SIZE, "wire-v1 §4");

NIPC__EXPORT int nipc_chunk_header_decode(const void *buf, size_t size,
                                          struct nipc_chunk_header *ret_chunk,
                                          struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;

        if (NIPC__UNLIKELY(size < NIPC_CHUNK_HEADER_SIZE))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a chunk header has 32 bytes");
        if (NIPC__UNLIKELY(nipc_load_u32(p + CHUNK_MAGIC) != NIPC_CHUNK_MAGIC))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_MAGIC, CHUNK_MAGIC,
                                 "magic of a chunk must be 0x4e43484b");
        if (NIPC__UNLIKELY(nipc_load_u16(p + CHUNK_VERSION) != NIPC_VERSION))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_VERSION, CHUNK_VERSION,
                                 "version must be 1");
        if (NIPC__UNLIKELY(nipc_load_u16(p + CHUNK_FLAGS) != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, CHUNK_FLAGS,
                                 "flags of a chunk must be 0");
        if (NIPC__UNLIKELY(nipc_load_u32(p + CHUNK_PAYLOAD_LEN) == 0))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, CHUNK_PAYLOAD_LEN,
                                 "chunk_payload_len must not be 0");

        ret_chunk->flags = 0;
        ret_chunk->message_id = nipc_load_u64(p + CHUNK_MESSAGE_ID);
        ret_chunk->total_message_len = nipc_load_u32(p + CHUNK_TOTAL_MESSAGE_LEN);
        ret_chunk->chunk_index = nipc_load_u32(p + CHUNK_INDEX);
        ret_chunk->chunk_count = nipc_load_u32(p + CHUNK_COUNT);
        ret_chunk->chunk_payload_len = nipc_load_u32(p + CHUNK_PAYLOAD_LEN);
        return 0;
}

NIPC__EXPORT void nipc_chunk_header_encode(const struct nipc_chunk_header *chunk, void *buf)
{
        uint8_t *p = buf;

        nipc_store_u32(p + CHUNK_MAGIC, NIPC_CHUNK_MAGIC);
        nipc_store_u16(p + CHUNK_VERSION, NIPC_VERSION);
        nipc_store_u16(p + CHUNK_FLAGS, chunk->flags);
        nipc_store_u64(p + CHUNK_MESSAGE_ID, chunk->message_id);
        nipc_store_u32(p + CHUNK_TOTAL_MESSAGE_LEN, chunk->total_message_len);
        nipc_store_u32(p + CHUNK_INDEX, chunk->chunk_index);
        nipc_store_u32(p + CHUNK_COUNT, chunk->chunk_count);
        nipc_store_u32(p + CHUNK_PAYLOAD_LEN, chunk->chunk_payload_len);
}

NIPC__EXPORT uint32_t nipc_chunk_count(uint32_t payload_len, uint32_t first, uint32_t packet_size)
{
        uint64_t room, count;

        if (payload_len <= first)
                return 1;
        /* No number of packets carries the rest: 0 is a count that no chunk header matches. */
        if (packet_size <= NIPC_CHUNK_HEADER_SIZE)
                return 0;
        room = packet_size - NIPC_CHUNK_HEADER_SIZE;
        count = 1 + ((uint64_t)(payload_len - first) + room - 1) / room;
        return count <= UINT32_MAX ? (uint32_t)count : 0;
}

NIPC__EXPORT int nipc_limits_check(const struct nipc_limits *limits,
                                   const struct nipc_header *header, struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(header->payload_len > limits->max_payload_bytes))
                return fault_set(ret_fault, NIPC_PROTO_E_LIMIT_EXCEEDED, HEADER_PAYLOAD_LEN,
                                 "payload_len is above the agreed maximum");
        if (NIPC__UNLIKELY(header->item_count > limits->max_items))
                return fault_set(ret_fault, NIPC_PROTO_E_LIMIT_EXCEEDED, HEADER_ITEM_COUNT,
                                 "item_count is above the agreed maximum");
        return 0;
}

NIPC__EXPORT int nipc_assembly_begin(struct nipc_assembly *ret_assembly,
                                     const struct nipc_header *header, size_t packet_len,
                                     uint32_t packet_size, struct nipc_fault *ret_fault)
{
        uint32_t first;

        if (NIPC__UNLIKELY(packet_len < NIPC_HEADER_SIZE))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, packet_len,
                                 "a message header has 32 bytes");
        if (NIPC__UNLIKELY(packet_len - NIPC_HEADER_SIZE > header->payload_len))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, HEADER_PAYLOAD_LEN,
                                 "the packet is longer than its message");
        first = (uint32_t)(packet_len - NIPC_HEADER_SIZE);

        ret_assembly->header = *header;
        ret_assembly->packet_size = packet_size;
        ret_assembly->chunk_count = nipc_chunk_count(header->payload_len, first, packet_size);
        ret_assembly->next_index = 1;
        ret_assembly->received = first;
        return 0;
}

NIPC__EXPORT uint32_t nipc_assembly_missing(const struct nipc_assembly *assembly)
{
        return assembly->header.payload_len - assembly->received;
}

NIPC__EXPORT int nipc_assembly_continue(struct nipc_assembly *assembly, const void *buf,
                                        size_t packet_len, struct nipc_fault *ret_fault)
{
        struct nipc_chunk_header chunk;
        int r;

        r = nipc_chunk_header_decode(buf, packet_len, &chunk, ret_fault);
        if (NIPC__UNLIKELY(r))
                return r;
        if (NIPC__UNLIKELY(chunk.message_id != assembly->header.message_id))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_MESSAGE_ID,
                                 "message_id must be that of packet 0");
        if (NIPC__UNLIKELY(chunk.chunk_index != assembly->next_index))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_INDEX,
                                 "chunk_index must be 1 first and grow by one");
        if (NIPC__UNLIKELY(chunk.chunk_count != assembly->chunk_count))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_COUNT,
                                 "chunk_count must follow from packet 0 and the packet size");
        /* 64 bits: a total that does not fit 32 matches no chunk. */
        if (NIPC__UNLIKELY(chunk.total_message_len !=
                           (uint64_t)NIPC_HEADER_SIZE + assembly->header.payload_len))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_TOTAL_MESSAGE_LEN,
                                 "total_message_len must be 32 + payload_len");
        if (NIPC__UNLIKELY(chunk.chunk_payload_len != packet_len - NIPC_CHUNK_HEADER_SIZE ||
                           packet_len > assembly->packet_size))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_PAYLOAD_LEN,
                                 "chunk_payload_len must be what the packet carries");
        if (NIPC__UNLIKELY(chunk.chunk_payload_len > nipc_assembly_missing(assembly)))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_CHUNK, CHUNK_PAYLOAD_LEN,
                                 "a chunk must not run over its message");

        assembly->next_index++;
        assembly->received += chunk.chunk_payload_len;
        return 0;
}
