/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The outer header (wire-v1 §2) as four words of the machine, for where messages go through memory.
 * libnipc-proto itself reads and writes it field by field: it is also built for the other byte
 * order, which this is not.
 */

#include "header-fast.h"
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/*
 * From kind on struct nipc_header is the wire's own layout: host byte order, no padding. What comes
 * before is the same in every message. So a header is four words of which one is compared and three
 * are copied.
 */
#define NIPC__HEADER_WORDS 4u

#define NIPC__HEADER_ASSERT(field, offset)                                                  \
        _Static_assert(offsetof(struct nipc_header, field) + NIPC__HEADER_KIND == (offset), \
                       "wire-v1 §2")
NIPC__HEADER_ASSERT(kind, NIPC__HEADER_KIND);
NIPC__HEADER_ASSERT(flags, NIPC__HEADER_FLAGS);
NIPC__HEADER_ASSERT(code, NIPC__HEADER_CODE);
NIPC__HEADER_ASSERT(transport_status, NIPC__HEADER_TRANSPORT_STATUS);
NIPC__HEADER_ASSERT(payload_len, NIPC__HEADER_PAYLOAD_LEN);
NIPC__HEADER_ASSERT(item_count, NIPC__HEADER_ITEM_COUNT);
NIPC__HEADER_ASSERT(message_id, NIPC__HEADER_MESSAGE_ID);
_Static_assert(sizeof(struct nipc_header) == NIPC_HEADER_SIZE - NIPC__HEADER_KIND, "wire-v1 §2");

/* The first word: magic, version, header_len. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NIPC__HEADER_START \
        ((uint64_t)NIPC_MAGIC | (uint64_t)NIPC_VERSION << 32 | (uint64_t)NIPC_HEADER_SIZE << 48)
#else
#define NIPC__HEADER_START \
        ((uint64_t)NIPC_MAGIC << 32 | (uint64_t)NIPC_VERSION << 16 | (uint64_t)NIPC_HEADER_SIZE)
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The second word, without code and status; and the third. */
#define NIPC__HEADER_KIND_AND_FLAGS UINT64_C(0x00000000ffffffff)
#define NIPC__HEADER_SIZES(payload_len, item_count) \
        ((uint64_t)(payload_len) | (uint64_t)(item_count) << 32)
#else
#define NIPC__HEADER_KIND_AND_FLAGS UINT64_C(0xffffffff00000000)
#define NIPC__HEADER_SIZES(payload_len, item_count) \
        ((uint64_t)(payload_len) << 32 | (uint64_t)(item_count))
#endif

/* What no second word is without code and status. */
#define NIPC__HEADER_NO_KIND UINT64_MAX

static inline uint64_t nipc__header_kind_and_flags(uint16_t kind)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return kind;
#else
        return (uint64_t)kind << 48;
#endif
}

/* The second word of a response that says OK to a request with this code, and is no batch. */
static inline uint64_t nipc__header_response_to(uint16_t code)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return NIPC_KIND_RESPONSE | (uint64_t)code << 32;
#else
        return (uint64_t)NIPC_KIND_RESPONSE << 48 | (uint64_t)code << 16;
#endif
}

/* Words that are known to be good. */
static inline void nipc__header_from_good_words(uint64_t kind_to_status, uint64_t sizes,
                                                uint64_t message_id, struct nipc_header *ret_header)
{
        uint8_t *p = (uint8_t *)ret_header;

        memcpy(p, &kind_to_status, sizeof(kind_to_status));
        memcpy(p + sizeof(uint64_t), &sizes, sizeof(sizes));
        ret_header->message_id = message_id;
}

/*
 * A header from its four words, each of them in a register: stores that are read back as something
 * wider would cost more than all the rest. Returns whether it is a good one.
 */
static inline bool nipc__header_from_words(uint64_t start, uint64_t kind_to_status, uint64_t sizes,
                                           uint64_t message_id, struct nipc_header *ret_header)
{
        nipc__header_from_good_words(kind_to_status, sizes, message_id, ret_header);
        return start == NIPC__HEADER_START && ret_header->kind >= NIPC_KIND_REQUEST &&
               ret_header->kind <= NIPC_KIND_CONTROL;
}

/*
 * The four words of a header in memory that a peer can still write: read once, and never again.
 * What orders these reads is what told that the header is there.
 */
static inline void nipc__header_read_once(uint64_t words[NIPC__HEADER_WORDS], const void *buf)
{
        const _Atomic uint64_t *from = buf;

        words[0] = atomic_load_explicit(&from[0], memory_order_relaxed);
        words[1] = atomic_load_explicit(&from[1], memory_order_relaxed);
        words[2] = atomic_load_explicit(&from[2], memory_order_relaxed);
        words[3] = atomic_load_explicit(&from[3], memory_order_relaxed);
}

/* Why a message in memory with such a header is refused: for the header, or else its payload_len.
 */
static inline void nipc__header_get_fault(const uint64_t words[NIPC__HEADER_WORDS],
                                          struct nipc_fault *ret_fault)
{
        struct nipc_header ignored;

        if (nipc_header_decode(words, NIPC_HEADER_SIZE, &ignored, ret_fault) == 0)
                *ret_fault = (struct nipc_fault){
                        NIPC_PROTO_E_BAD_LAYOUT, NIPC__HEADER_PAYLOAD_LEN,
                        "payload_len must be the length of the message in the region less 32"};
}

/*
 * Writes a header, but for its payload_len, which is the third argument. Its small fields are read
 * one by one (volatile: a compiler would make one load of them again) and put together in
 * registers: they were written one by one a moment ago, and a load of several stores that are still
 * on their way has to wait for all of them.
 */
static inline void nipc__header_write_with(const struct nipc_header *header, void *buf,
                                           uint32_t payload_len)
{
        const uint64_t start = NIPC__HEADER_START;
        const uint64_t kind = *(const volatile uint16_t *)&header->kind;
        const uint64_t flags = *(const volatile uint16_t *)&header->flags;
        const uint64_t code = *(const volatile uint16_t *)&header->code;
        const uint64_t status = *(const volatile uint16_t *)&header->transport_status;
        uint8_t *p = buf;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        const uint64_t kind_to_status = kind | flags << 16 | code << 32 | status << 48;
        const uint64_t sizes = (uint64_t)payload_len | (uint64_t)header->item_count << 32;
#else
        const uint64_t kind_to_status = kind << 48 | flags << 32 | code << 16 | status;
        const uint64_t sizes = (uint64_t)payload_len << 32 | header->item_count;
#endif

        memcpy(p, &start, sizeof(start));
        memcpy(p + NIPC__HEADER_KIND, &kind_to_status, sizeof(kind_to_status));
        memcpy(p + NIPC__HEADER_PAYLOAD_LEN, &sizes, sizeof(sizes));
        memcpy(p + NIPC__HEADER_MESSAGE_ID, &header->message_id, sizeof(header->message_id));
}
