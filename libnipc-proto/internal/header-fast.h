/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The outer header (wire-v1 §2), inline: for nipc_header_decode() and nipc_header_encode(), and for
 * where messages are moved. Reading says whether the header is good, not what is wrong with it:
 * that is nipc_header_decode()'s to say.
 */

#include <nipc/header.h>
#include <nipc/wire.h>
#include <stdbool.h>

enum {
        NIPC__HEADER_MAGIC = 0,
        NIPC__HEADER_VERSION = 4,
        NIPC__HEADER_HEADER_LEN = 6,
        NIPC__HEADER_KIND = 8,
        NIPC__HEADER_FLAGS = 10,
        NIPC__HEADER_CODE = 12,
        NIPC__HEADER_TRANSPORT_STATUS = 14,
        NIPC__HEADER_PAYLOAD_LEN = 16,
        NIPC__HEADER_ITEM_COUNT = 20,
        NIPC__HEADER_MESSAGE_ID = 24,
};

_Static_assert(NIPC__HEADER_MESSAGE_ID + sizeof(uint64_t) == NIPC_HEADER_SIZE, "wire-v1 §2");

static inline bool nipc__header_read(const void *buf, size_t size, struct nipc_header *ret_header)
{
        const uint8_t *p = buf;
        uint16_t kind;

        if (size < NIPC_HEADER_SIZE || nipc_load_u32(p + NIPC__HEADER_MAGIC) != NIPC_MAGIC ||
            nipc_load_u16(p + NIPC__HEADER_VERSION) != NIPC_VERSION ||
            nipc_load_u16(p + NIPC__HEADER_HEADER_LEN) != NIPC_HEADER_SIZE)
                return false;
        kind = nipc_load_u16(p + NIPC__HEADER_KIND);
        if (kind < NIPC_KIND_REQUEST || kind > NIPC_KIND_CONTROL)
                return false;
        ret_header->kind = kind;
        ret_header->flags = nipc_load_u16(p + NIPC__HEADER_FLAGS);
        ret_header->code = nipc_load_u16(p + NIPC__HEADER_CODE);
        ret_header->transport_status = nipc_load_u16(p + NIPC__HEADER_TRANSPORT_STATUS);
        ret_header->payload_len = nipc_load_u32(p + NIPC__HEADER_PAYLOAD_LEN);
        ret_header->item_count = nipc_load_u32(p + NIPC__HEADER_ITEM_COUNT);
        ret_header->message_id = nipc_load_u64(p + NIPC__HEADER_MESSAGE_ID);
        return true;
}

static inline void nipc__header_write(const struct nipc_header *header, void *buf)
{
        uint8_t *p = buf;

        nipc_store_u32(p + NIPC__HEADER_MAGIC, NIPC_MAGIC);
        nipc_store_u16(p + NIPC__HEADER_VERSION, NIPC_VERSION);
        nipc_store_u16(p + NIPC__HEADER_HEADER_LEN, NIPC_HEADER_SIZE);
        nipc_store_u16(p + NIPC__HEADER_KIND, header->kind);
        nipc_store_u16(p + NIPC__HEADER_FLAGS, header->flags);
        nipc_store_u16(p + NIPC__HEADER_CODE, header->code);
        nipc_store_u16(p + NIPC__HEADER_TRANSPORT_STATUS, header->transport_status);
        nipc_store_u32(p + NIPC__HEADER_PAYLOAD_LEN, header->payload_len);
        nipc_store_u32(p + NIPC__HEADER_ITEM_COUNT, header->item_count);
        nipc_store_u64(p + NIPC__HEADER_MESSAGE_ID, header->message_id);
}
