/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The 32-byte outer header that starts every message (wire-v1 §1, §2).
 *
 * How to use: fill a struct nipc_header, encode it in front of a payload; or decode the first 32
 * bytes of what was received. magic, version and header_len are constants: they are checked and
 * written, not carried. flags, code, transport_status and message_id are never judged here.
 */

#include <nipc/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_MAGIC       0x4e495043u
#define NIPC_VERSION     1u
#define NIPC_HEADER_SIZE 32u

enum nipc_kind {
        NIPC_KIND_REQUEST = 1,
        NIPC_KIND_RESPONSE = 2,
        NIPC_KIND_CONTROL = 3,
};

/* Other flag bits are reserved: sent as 0, ignored on receipt. */
#define NIPC_FLAG_BATCH (1u << 0)

enum nipc_control {
        NIPC_CONTROL_HELLO = 1,
        NIPC_CONTROL_HELLO_ACK = 2,
};

/*
 * Codes from 0x8000 up are outside NetIPC v1: nipc's own, and from NIPC_METHOD_PRIVATE up those of
 * anybody's services.
 */
enum nipc_method {
        NIPC_METHOD_INCREMENT = 1,
        NIPC_METHOD_CGROUPS_SNAPSHOT = 2,
        NIPC_METHOD_STRING_REVERSE = 3,
        NIPC_METHOD_CGROUPS_LOOKUP = 4,
        NIPC_METHOD_APPS_LOOKUP = 5,
        NIPC_METHOD_STAT = 0x8000, /* any managed server of ours, beside its own method */
        NIPC_METHOD_IP_TO_ASN = 0x8001,
        NIPC_METHOD_PID_TRAFFIC = 0x8002,
        NIPC_METHOD_PRIVATE = 0x9000,
};

/* What a peer says about a request or a handshake; a remote failure is data, not an error. */
enum nipc_transport_status {
        NIPC_TRANSPORT_STATUS_OK = 0,
        NIPC_TRANSPORT_STATUS_BAD_ENVELOPE = 1,
        NIPC_TRANSPORT_STATUS_AUTH_FAILED = 2,
        NIPC_TRANSPORT_STATUS_INCOMPATIBLE = 3,
        NIPC_TRANSPORT_STATUS_UNSUPPORTED = 4,
        NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED = 5,
        NIPC_TRANSPORT_STATUS_INTERNAL_ERROR = 6,
};

struct nipc_header {
        uint16_t kind;             /* enum nipc_kind */
        uint16_t flags;            /* NIPC_FLAG_* */
        uint16_t code;             /* enum nipc_method, or enum nipc_control for CONTROL */
        uint16_t transport_status; /* enum nipc_transport_status; requests send 0 */
        uint32_t payload_len;      /* bytes of the logical message after this header */
        uint32_t item_count;       /* 1, or the number of items of a batch */
        uint64_t message_id;       /* chosen by the client, echoed by the server; 0 in handshakes */
};

/*
 * Decodes the first 32 bytes of buf; bytes beyond are not looked at.
 * buf: borrowed for the call; size: bytes in buf; ret_header: filled on success;
 * ret_fault: NULL, or filled on failure.
 * Returns 0, or in this order TRUNCATED, BAD_MAGIC, BAD_VERSION, BAD_HEADER_LEN, BAD_KIND
 * (NIPC_PROTO_E_*, wire-v1 §2). Never blocks. Since: 0.1
 */
int nipc_header_decode(const void *buf, size_t size, struct nipc_header *ret_header,
                       struct nipc_fault *ret_fault);

/*
 * Writes 32 bytes at buf, which must have room for them. The fields are not judged.
 * Never blocks, never fails. Since: 0.1
 */
void nipc_header_encode(const struct nipc_header *header, void *buf);

/* "BAD_ENVELOPE" and so on as the specification writes it; "UNKNOWN" otherwise. Since: 0.1 */
const char *nipc_transport_status_name(uint16_t status);

#ifdef __cplusplus
}
#endif
