/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The handshake (wire-v1 §5): HELLO and HELLO_ACK payloads, and both sides' judgement of the whole
 * packet as pure functions, so that a transport only moves the bytes.
 *
 * How to use, client: nipc_hello_encode_packet(), send, receive, nipc_hello_ack_judge().
 * Server: receive, nipc_hello_judge(), send what it left in the acknowledgement packet unless it
 * says that the peer deserves no answer.
 */

#include <nipc/error.h>
#include <nipc/header.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_HELLO_SIZE            44u
#define NIPC_HELLO_ACK_SIZE        48u
#define NIPC_HELLO_PACKET_SIZE     76u /* header and payload */
#define NIPC_HELLO_ACK_PACKET_SIZE 80u
#define NIPC_LAYOUT_VERSION        1u

/* Profile bits (wire-v1 §1); what a bit means is the transport's business. */
#define NIPC_PROFILE_BASELINE     0x01u
#define NIPC_PROFILE_SHM_HYBRID   0x02u
#define NIPC_PROFILE_SHM_BUSYWAIT 0x04u
#define NIPC_PROFILE_RING         0x0100u /* not NetIPC v1: between peers that both offer it */

struct nipc_hello {
        uint16_t flags; /* sent as 0, not judged by receivers */
        uint32_t supported_profiles;
        uint32_t preferred_profiles;
        uint32_t max_request_payload_bytes;
        uint32_t max_request_batch_items;
        uint32_t max_response_payload_bytes; /* a hint; servers ignore it */
        uint32_t max_response_batch_items;   /* ignored */
        uint64_t auth_token;
        uint32_t packet_size;
};

struct nipc_hello_ack {
        uint16_t flags; /* 0 */
        uint32_t server_supported_profiles;
        uint32_t intersection_profiles;
        uint32_t selected_profile;
        uint32_t agreed_max_request_payload_bytes;
        uint32_t agreed_max_request_batch_items;
        uint32_t agreed_max_response_payload_bytes;
        uint32_t agreed_max_response_batch_items;
        uint32_t agreed_packet_size;
        uint32_t reserved; /* sent as 0, not judged */
        uint64_t session_id;
};

/*
 * Decodes a HELLO payload of at least 44 bytes; more are ignored.
 * Returns 0, TRUNCATED, or BAD_LAYOUT (layout_version, then the reserved word). Since: 0.1
 */
int nipc_hello_decode(const void *buf, size_t size, struct nipc_hello *ret_hello,
                      struct nipc_fault *ret_fault);

/* Writes 44 bytes at buf. Since: 0.1 */
void nipc_hello_encode(const struct nipc_hello *hello, void *buf);

/*
 * Decodes a HELLO_ACK payload of at least 48 bytes.
 * Returns 0, TRUNCATED, or BAD_LAYOUT (layout_version, then flags). Since: 0.1
 */
int nipc_hello_ack_decode(const void *buf, size_t size, struct nipc_hello_ack *ret_ack,
                          struct nipc_fault *ret_fault);

/* Writes 48 bytes at buf. Since: 0.1 */
void nipc_hello_ack_encode(const struct nipc_hello_ack *ack, void *buf);

/* Writes the whole 76-byte HELLO packet at buf. Since: 0.1 */
void nipc_hello_encode_packet(const struct nipc_hello *hello, void *buf);

/*
 * Writes the whole 80-byte HELLO_ACK packet at buf. For a status other than OK the payload is that
 * of a rejection: layout_version 1, all else zero; ack may then be NULL. Since: 0.1
 */
void nipc_hello_ack_encode_packet(const struct nipc_hello_ack *ack, uint16_t status, void *buf);

/* What a server offers; the highest bit wins among equals (wire-v1 §5, profile selection). */
struct nipc_hello_policy {
        uint32_t supported_profiles; /* 0 means baseline */
        uint32_t preferred_profiles;
        uint32_t max_request_payload_bytes;
        uint32_t max_response_payload_bytes;
        uint64_t auth_token;
        uint32_t packet_size;
        uint64_t session_id;
};

/*
 * The server's side: judges a received packet in the order of wire-v1 §5, rows 2 to 11. The token
 * is compared in constant time.
 * ret_status: the transport_status to answer with; ret_ack: what was agreed, when that is OK;
 * ret_hello: what was asked, filled whenever it decoded (may be NULL).
 * Returns 0 when the client must be answered (with nipc_hello_ack_encode_packet), or the cause
 * when it must be dropped without an answer (rows 3, 4, 6). Since: 0.1
 */
int nipc_hello_judge(const void *packet, size_t size, const struct nipc_hello_policy *policy,
                     struct nipc_hello *ret_hello, struct nipc_hello_ack *ret_ack,
                     uint16_t *ret_status, struct nipc_fault *ret_fault);

/*
 * The client's side: judges a received HELLO_ACK packet.
 * ret_status: the server's answer; a version or layout mismatch of the packet itself is reported
 * as INCOMPATIBLE. ret_ack is filled when the status is OK.
 * Returns 0 when *ret_status was set, or the cause when the packet is a protocol error: header,
 * kind, code, length, flags, or a packet size of 32 or less. Since: 0.1
 */
int nipc_hello_ack_judge(const void *packet, size_t size, struct nipc_hello_ack *ret_ack,
                         uint16_t *ret_status, struct nipc_fault *ret_fault);

#ifdef __cplusplus
}
#endif
