/* SPDX-License-Identifier: MIT */

/*
 * The handshake (wire-v1 §5): payloads, whole packets, and the judgement of both sides. The order
 * of the checks is part of the protocol: it decides which answer a peer gets, or none.
 */

#include <nipc/hello.h>
#include <nipc/wire.h>
#include <stdbool.h>

#include "fault.h"
#include "stdaux.h"

enum {
        HELLO_LAYOUT_VERSION = 0,
        HELLO_FLAGS = 2,
        HELLO_SUPPORTED_PROFILES = 4,
        HELLO_PREFERRED_PROFILES = 8,
        HELLO_MAX_REQUEST_PAYLOAD_BYTES = 12,
        HELLO_MAX_REQUEST_BATCH_ITEMS = 16,
        HELLO_MAX_RESPONSE_PAYLOAD_BYTES = 20,
        HELLO_MAX_RESPONSE_BATCH_ITEMS = 24,
        HELLO_RESERVED = 28,
        HELLO_AUTH_TOKEN = 32,
        HELLO_PACKET_SIZE = 40,
};

enum {
        ACK_LAYOUT_VERSION = 0,
        ACK_FLAGS = 2,
        ACK_SERVER_SUPPORTED_PROFILES = 4,
        ACK_INTERSECTION_PROFILES = 8,
        ACK_SELECTED_PROFILE = 12,
        ACK_AGREED_MAX_REQUEST_PAYLOAD_BYTES = 16,
        ACK_AGREED_MAX_REQUEST_BATCH_ITEMS = 20,
        ACK_AGREED_MAX_RESPONSE_PAYLOAD_BYTES = 24,
        ACK_AGREED_MAX_RESPONSE_BATCH_ITEMS = 28,
        ACK_AGREED_PACKET_SIZE = 32,
        ACK_RESERVED = 36,
        ACK_SESSION_ID = 40,
};

/* Fields of the outer header that the handshake looks at beyond its decoder. */
enum {
        HEADER_HEADER_LEN = 6,
        HEADER_KIND = 8,
        HEADER_CODE = 12,
};

_Static_assert(HELLO_PACKET_SIZE + sizeof(uint32_t) == NIPC_HELLO_SIZE, "wire-v1 §5");
_Static_assert(ACK_SESSION_ID + sizeof(uint64_t) == NIPC_HELLO_ACK_SIZE, "wire-v1 §5");
_Static_assert(NIPC_HEADER_SIZE + NIPC_HELLO_SIZE == NIPC_HELLO_PACKET_SIZE, "wire-v1 §5");
_Static_assert(NIPC_HEADER_SIZE + NIPC_HELLO_ACK_SIZE == NIPC_HELLO_ACK_PACKET_SIZE, "wire-v1 §5");

NIPC__EXPORT int nipc_hello_decode(const void *buf, size_t size, struct nipc_hello *ret_hello,
                                   struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;

        if (size < NIPC_HELLO_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size, "HELLO has 44 bytes");
        if (nipc_load_u16(p + HELLO_LAYOUT_VERSION) != NIPC_LAYOUT_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, HELLO_LAYOUT_VERSION,
                                 "layout_version must be 1");
        if (nipc_load_u32(p + HELLO_RESERVED) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, HELLO_RESERVED,
                                 "the reserved word of HELLO must be 0");

        ret_hello->flags = nipc_load_u16(p + HELLO_FLAGS);
        ret_hello->supported_profiles = nipc_load_u32(p + HELLO_SUPPORTED_PROFILES);
        ret_hello->preferred_profiles = nipc_load_u32(p + HELLO_PREFERRED_PROFILES);
        ret_hello->max_request_payload_bytes = nipc_load_u32(p + HELLO_MAX_REQUEST_PAYLOAD_BYTES);
        ret_hello->max_request_batch_items = nipc_load_u32(p + HELLO_MAX_REQUEST_BATCH_ITEMS);
        ret_hello->max_response_payload_bytes = nipc_load_u32(p + HELLO_MAX_RESPONSE_PAYLOAD_BYTES);
        ret_hello->max_response_batch_items = nipc_load_u32(p + HELLO_MAX_RESPONSE_BATCH_ITEMS);
        ret_hello->auth_token = nipc_load_u64(p + HELLO_AUTH_TOKEN);
        ret_hello->packet_size = nipc_load_u32(p + HELLO_PACKET_SIZE);
        return 0;
}

NIPC__EXPORT void nipc_hello_encode(const struct nipc_hello *hello, void *buf)
{
        uint8_t *p = buf;

        nipc_store_u16(p + HELLO_LAYOUT_VERSION, NIPC_LAYOUT_VERSION);
        nipc_store_u16(p + HELLO_FLAGS, hello->flags);
        nipc_store_u32(p + HELLO_SUPPORTED_PROFILES, hello->supported_profiles);
        nipc_store_u32(p + HELLO_PREFERRED_PROFILES, hello->preferred_profiles);
        nipc_store_u32(p + HELLO_MAX_REQUEST_PAYLOAD_BYTES, hello->max_request_payload_bytes);
        nipc_store_u32(p + HELLO_MAX_REQUEST_BATCH_ITEMS, hello->max_request_batch_items);
        nipc_store_u32(p + HELLO_MAX_RESPONSE_PAYLOAD_BYTES, hello->max_response_payload_bytes);
        nipc_store_u32(p + HELLO_MAX_RESPONSE_BATCH_ITEMS, hello->max_response_batch_items);
        nipc_store_u32(p + HELLO_RESERVED, 0);
        nipc_store_u64(p + HELLO_AUTH_TOKEN, hello->auth_token);
        nipc_store_u32(p + HELLO_PACKET_SIZE, hello->packet_size);
}

NIPC__EXPORT int nipc_hello_ack_decode(const void *buf, size_t size, struct nipc_hello_ack *ret_ack,
                                       struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;

        if (size < NIPC_HELLO_ACK_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size, "HELLO_ACK has 48 bytes");
        if (nipc_load_u16(p + ACK_LAYOUT_VERSION) != NIPC_LAYOUT_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ACK_LAYOUT_VERSION,
                                 "layout_version must be 1");
        if (nipc_load_u16(p + ACK_FLAGS) != 0)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ACK_FLAGS,
                                 "flags of HELLO_ACK must be 0");

        ret_ack->flags = 0;
        ret_ack->server_supported_profiles = nipc_load_u32(p + ACK_SERVER_SUPPORTED_PROFILES);
        ret_ack->intersection_profiles = nipc_load_u32(p + ACK_INTERSECTION_PROFILES);
        ret_ack->selected_profile = nipc_load_u32(p + ACK_SELECTED_PROFILE);
        ret_ack->agreed_max_request_payload_bytes =
                nipc_load_u32(p + ACK_AGREED_MAX_REQUEST_PAYLOAD_BYTES);
        ret_ack->agreed_max_request_batch_items =
                nipc_load_u32(p + ACK_AGREED_MAX_REQUEST_BATCH_ITEMS);
        ret_ack->agreed_max_response_payload_bytes =
                nipc_load_u32(p + ACK_AGREED_MAX_RESPONSE_PAYLOAD_BYTES);
        ret_ack->agreed_max_response_batch_items =
                nipc_load_u32(p + ACK_AGREED_MAX_RESPONSE_BATCH_ITEMS);
        ret_ack->agreed_packet_size = nipc_load_u32(p + ACK_AGREED_PACKET_SIZE);
        ret_ack->reserved = nipc_load_u32(p + ACK_RESERVED);
        ret_ack->session_id = nipc_load_u64(p + ACK_SESSION_ID);
        return 0;
}

NIPC__EXPORT void nipc_hello_ack_encode(const struct nipc_hello_ack *ack, void *buf)
{
        uint8_t *p = buf;

        nipc_store_u16(p + ACK_LAYOUT_VERSION, NIPC_LAYOUT_VERSION);
        nipc_store_u16(p + ACK_FLAGS, ack->flags);
        nipc_store_u32(p + ACK_SERVER_SUPPORTED_PROFILES, ack->server_supported_profiles);
        nipc_store_u32(p + ACK_INTERSECTION_PROFILES, ack->intersection_profiles);
        nipc_store_u32(p + ACK_SELECTED_PROFILE, ack->selected_profile);
        nipc_store_u32(p + ACK_AGREED_MAX_REQUEST_PAYLOAD_BYTES,
                       ack->agreed_max_request_payload_bytes);
        nipc_store_u32(p + ACK_AGREED_MAX_REQUEST_BATCH_ITEMS, ack->agreed_max_request_batch_items);
        nipc_store_u32(p + ACK_AGREED_MAX_RESPONSE_PAYLOAD_BYTES,
                       ack->agreed_max_response_payload_bytes);
        nipc_store_u32(p + ACK_AGREED_MAX_RESPONSE_BATCH_ITEMS,
                       ack->agreed_max_response_batch_items);
        nipc_store_u32(p + ACK_AGREED_PACKET_SIZE, ack->agreed_packet_size);
        nipc_store_u32(p + ACK_RESERVED, ack->reserved);
        nipc_store_u64(p + ACK_SESSION_ID, ack->session_id);
}

NIPC__EXPORT void nipc_hello_encode_packet(const struct nipc_hello *hello, void *buf)
{
        static const struct nipc_header header = {
                .kind = NIPC_KIND_CONTROL,
                .code = NIPC_CONTROL_HELLO,
                .payload_len = NIPC_HELLO_SIZE,
                .item_count = 1,
        };

        nipc_header_encode(&header, buf);
        nipc_hello_encode(hello, (uint8_t *)buf + NIPC_HEADER_SIZE);
}

NIPC__EXPORT void nipc_hello_ack_encode_packet(const struct nipc_hello_ack *ack, uint16_t status,
                                               void *buf)
{
        static const struct nipc_hello_ack rejection;
        const struct nipc_header header = {
                .kind = NIPC_KIND_CONTROL,
                .code = NIPC_CONTROL_HELLO_ACK,
                .transport_status = status,
                .payload_len = NIPC_HELLO_ACK_SIZE,
                .item_count = 1,
        };

        nipc_header_encode(&header, buf);
        if (status != NIPC_TRANSPORT_STATUS_OK)
                ack = &rejection;
        nipc_hello_ack_encode(ack, (uint8_t *)buf + NIPC_HEADER_SIZE);
}

/* The header of a handshake packet: decoded, CONTROL and of the given code, or the cause. */
static int control_decode(const void *packet, size_t size, uint16_t code,
                          struct nipc_header *ret_header, struct nipc_fault *ret_fault)
{
        struct nipc_header header;
        int r;

        r = nipc_header_decode(packet, size, &header, ret_fault);
        if (r)
                return r;
        if (header.kind != NIPC_KIND_CONTROL)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_KIND, HEADER_KIND,
                                 "a handshake packet must be of kind CONTROL");
        if (header.code != code)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, HEADER_CODE,
                                 code == NIPC_CONTROL_HELLO ? "the code must be HELLO"
                                                            : "the code must be HELLO_ACK");
        *ret_header = header;
        return 0;
}

/* Row 2: a HELLO of another envelope version, of which only the version is not ours. */
static bool hello_is_of_other_version(const uint8_t *packet)
{
        return nipc_load_u16(packet + HEADER_HEADER_LEN) == NIPC_HEADER_SIZE &&
               nipc_load_u16(packet + HEADER_KIND) == NIPC_KIND_CONTROL &&
               nipc_load_u16(packet + HEADER_CODE) == NIPC_CONTROL_HELLO;
}

/*
 * Nothing of how many bits agree may be learnt from how long it takes; the empty assembly keeps
 * the compiler from seeing that only zero or not zero is asked for.
 */
static bool tokens_differ(uint64_t a, uint64_t b)
{
        uint64_t difference = a ^ b;
        uint32_t folded;

        __asm__("" : "+r"(difference));
        folded = (uint32_t)(difference | (difference >> 32));
        return folded != 0;
}

static uint32_t highest_bit(uint32_t bits)
{
        return bits ? UINT32_C(1) << (31 - __builtin_clz(bits)) : 0;
}

static uint32_t profile_select(uint32_t intersection, uint32_t client, uint32_t server)
{
        uint32_t preferred = intersection & client & server;

        return highest_bit(preferred ? preferred : intersection);
}

/* Rows 7 to 11: the answer to a well-formed HELLO. */
static uint16_t hello_negotiate(const struct nipc_hello *hello,
                                const struct nipc_hello_policy *policy,
                                struct nipc_hello_ack *ret_ack)
{
        uint32_t supported =
                policy->supported_profiles ? policy->supported_profiles : NIPC_PROFILE_BASELINE;
        uint32_t intersection = hello->supported_profiles & supported;
        uint32_t packet_size = NIPC__MIN(hello->packet_size, policy->packet_size);

        if (!intersection)
                return NIPC_TRANSPORT_STATUS_UNSUPPORTED;
        if (tokens_differ(hello->auth_token, policy->auth_token))
                return NIPC_TRANSPORT_STATUS_AUTH_FAILED;
        if (hello->max_request_payload_bytes > policy->max_request_payload_bytes)
                return NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        if (packet_size <= NIPC_HEADER_SIZE)
                return NIPC_TRANSPORT_STATUS_INCOMPATIBLE;

        *ret_ack = (struct nipc_hello_ack){
                .server_supported_profiles = supported,
                .intersection_profiles = intersection,
                .selected_profile = profile_select(intersection, hello->preferred_profiles,
                                                   policy->preferred_profiles),
                .agreed_max_request_payload_bytes = hello->max_request_payload_bytes,
                .agreed_max_request_batch_items = hello->max_request_batch_items,
                .agreed_max_response_payload_bytes = policy->max_response_payload_bytes,
                .agreed_max_response_batch_items = hello->max_request_batch_items,
                .agreed_packet_size = packet_size,
                .session_id = policy->session_id,
        };
        return NIPC_TRANSPORT_STATUS_OK;
}

NIPC__EXPORT int nipc_hello_judge(const void *packet, size_t size,
                                  const struct nipc_hello_policy *policy,
                                  struct nipc_hello *ret_hello, struct nipc_hello_ack *ret_ack,
                                  uint16_t *ret_status, struct nipc_fault *ret_fault)
{
        struct nipc_header header = {0};
        struct nipc_fault fault;
        struct nipc_hello hello;
        int r;

        r = control_decode(packet, size, NIPC_CONTROL_HELLO, &header, &fault);
        if (r) {
                if (r != NIPC_PROTO_E_BAD_VERSION || !hello_is_of_other_version(packet))
                        return fault_set(ret_fault, r, fault.offset, fault.rule);
                *ret_status = NIPC_TRANSPORT_STATUS_INCOMPATIBLE;
                return 0;
        }
        r = nipc_hello_decode((const uint8_t *)packet + NIPC_HEADER_SIZE, size - NIPC_HEADER_SIZE,
                              &hello, &fault);
        if (r) {
                /* Of the payload's faults only another layout is answered. */
                if (r != NIPC_PROTO_E_BAD_LAYOUT || fault.offset != HELLO_LAYOUT_VERSION)
                        return fault_set(ret_fault, r, NIPC_HEADER_SIZE + fault.offset, fault.rule);
                *ret_status = NIPC_TRANSPORT_STATUS_INCOMPATIBLE;
                return 0;
        }
        if (ret_hello)
                *ret_hello = hello;
        *ret_status = hello_negotiate(&hello, policy, ret_ack);
        return 0;
}

NIPC__EXPORT int nipc_hello_ack_judge(const void *packet, size_t size,
                                      struct nipc_hello_ack *ret_ack, uint16_t *ret_status,
                                      struct nipc_fault *ret_fault)
{
        struct nipc_header header = {0};
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        int r;

        r = control_decode(packet, size, NIPC_CONTROL_HELLO_ACK, &header, &fault);
        if (r) {
                if (r != NIPC_PROTO_E_BAD_VERSION)
                        return fault_set(ret_fault, r, fault.offset, fault.rule);
                *ret_status = NIPC_TRANSPORT_STATUS_INCOMPATIBLE;
                return 0;
        }
        if (header.transport_status != NIPC_TRANSPORT_STATUS_OK) {
                *ret_status = header.transport_status;
                return 0;
        }
        r = nipc_hello_ack_decode((const uint8_t *)packet + NIPC_HEADER_SIZE,
                                  size - NIPC_HEADER_SIZE, &ack, &fault);
        if (r) {
                if (r != NIPC_PROTO_E_BAD_LAYOUT || fault.offset != ACK_LAYOUT_VERSION)
                        return fault_set(ret_fault, r, NIPC_HEADER_SIZE + fault.offset, fault.rule);
                *ret_status = NIPC_TRANSPORT_STATUS_INCOMPATIBLE;
                return 0;
        }
        if (ack.agreed_packet_size <= NIPC_HEADER_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT,
                                 NIPC_HEADER_SIZE + ACK_AGREED_PACKET_SIZE,
                                 "agreed_packet_size must be above 32");
        *ret_ack = ack;
        *ret_status = NIPC_TRANSPORT_STATUS_OK;
        return 0;
}
