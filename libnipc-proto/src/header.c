/* SPDX-License-Identifier: MIT */

/* The outer header: 32 fixed bytes (wire-v1 §2). Unknown flags, codes and statuses pass. */

#include <nipc/header.h>
#include <nipc/wire.h>

#include "fault.h"
#include "stdaux.h"

enum {
        HEADER_MAGIC = 0,
        HEADER_VERSION = 4,
        HEADER_HEADER_LEN = 6,
        HEADER_KIND = 8,
        HEADER_FLAGS = 10,
        HEADER_CODE = 12,
        HEADER_TRANSPORT_STATUS = 14,
        HEADER_PAYLOAD_LEN = 16,
        HEADER_ITEM_COUNT = 20,
        HEADER_MESSAGE_ID = 24,
};

_Static_assert(HEADER_MESSAGE_ID + sizeof(uint64_t) == NIPC_HEADER_SIZE, "wire-v1 §2");
_Static_assert(sizeof(struct nipc_header) == 24, "the fields that are carried, without padding");

NIPC__EXPORT int nipc_header_decode(const void *buf, size_t size, struct nipc_header *ret_header,
                                    struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;
        uint16_t kind;

        if (NIPC__UNLIKELY(size < NIPC_HEADER_SIZE))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a message header has 32 bytes");
        if (NIPC__UNLIKELY(nipc_load_u32(p + HEADER_MAGIC) != NIPC_MAGIC))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_MAGIC, HEADER_MAGIC,
                                 "magic must be 0x4e495043");
        if (NIPC__UNLIKELY(nipc_load_u16(p + HEADER_VERSION) != NIPC_VERSION))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_VERSION, HEADER_VERSION,
                                 "version must be 1");
        if (NIPC__UNLIKELY(nipc_load_u16(p + HEADER_HEADER_LEN) != NIPC_HEADER_SIZE))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_HEADER_LEN, HEADER_HEADER_LEN,
                                 "header_len must be 32");
        kind = nipc_load_u16(p + HEADER_KIND);
        if (NIPC__UNLIKELY(kind < NIPC_KIND_REQUEST || kind > NIPC_KIND_CONTROL))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_KIND, HEADER_KIND,
                                 "kind must be 1, 2 or 3");

        ret_header->kind = kind;
        ret_header->flags = nipc_load_u16(p + HEADER_FLAGS);
        ret_header->code = nipc_load_u16(p + HEADER_CODE);
        ret_header->transport_status = nipc_load_u16(p + HEADER_TRANSPORT_STATUS);
        ret_header->payload_len = nipc_load_u32(p + HEADER_PAYLOAD_LEN);
        ret_header->item_count = nipc_load_u32(p + HEADER_ITEM_COUNT);
        ret_header->message_id = nipc_load_u64(p + HEADER_MESSAGE_ID);
        return 0;
}

NIPC__EXPORT void nipc_header_encode(const struct nipc_header *header, void *buf)
{
        uint8_t *p = buf;

        nipc_store_u32(p + HEADER_MAGIC, NIPC_MAGIC);
        nipc_store_u16(p + HEADER_VERSION, NIPC_VERSION);
        nipc_store_u16(p + HEADER_HEADER_LEN, NIPC_HEADER_SIZE);
        nipc_store_u16(p + HEADER_KIND, header->kind);
        nipc_store_u16(p + HEADER_FLAGS, header->flags);
        nipc_store_u16(p + HEADER_CODE, header->code);
        nipc_store_u16(p + HEADER_TRANSPORT_STATUS, header->transport_status);
        nipc_store_u32(p + HEADER_PAYLOAD_LEN, header->payload_len);
        nipc_store_u32(p + HEADER_ITEM_COUNT, header->item_count);
        nipc_store_u64(p + HEADER_MESSAGE_ID, header->message_id);
}

NIPC__EXPORT const char *nipc_transport_status_name(uint16_t status)
{
        switch (status) {
        case NIPC_TRANSPORT_STATUS_OK:
                return "OK";
        case NIPC_TRANSPORT_STATUS_BAD_ENVELOPE:
                return "BAD_ENVELOPE";
        case NIPC_TRANSPORT_STATUS_AUTH_FAILED:
                return "AUTH_FAILED";
        case NIPC_TRANSPORT_STATUS_INCOMPATIBLE:
                return "INCOMPATIBLE";
        case NIPC_TRANSPORT_STATUS_UNSUPPORTED:
                return "UNSUPPORTED";
        case NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED:
                return "LIMIT_EXCEEDED";
        case NIPC_TRANSPORT_STATUS_INTERNAL_ERROR:
                return "INTERNAL_ERROR";
        default:
                return "UNKNOWN";
        }
}
