/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Causes of malformed bytes: what a decoder of libnipc-proto found wrong, and where.
 *
 * Every decoder returns 0 or one of the positive causes below (never a negative errno), leaves its
 * results untouched on failure, and fills an optional struct nipc_fault that names the broken rule
 * and its offset. Encoders and builders return 0, NIPC_PROTO_E_OVERFLOW when the caller's buffer
 * is too small, or NIPC_PROTO_E_BAD_LAYOUT when what they were given cannot be encoded.
 *
 * The layers above fold a cause into -EBADMSG (-EMSGSIZE for LIMIT_EXCEEDED) and keep the fault.
 *
 * Threading: everything in libnipc-proto is a pure function of its arguments.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are part of the ABI; new causes are appended. */
enum nipc_proto_error {
        NIPC_PROTO_E_TRUNCATED = 1,        /* fewer bytes than the layout needs */
        NIPC_PROTO_E_BAD_MAGIC = 2,        /* not a message, not a chunk */
        NIPC_PROTO_E_BAD_VERSION = 3,      /* another version of the envelope */
        NIPC_PROTO_E_BAD_HEADER_LEN = 4,   /* header_len is not 32 */
        NIPC_PROTO_E_BAD_KIND = 5,         /* kind is none of 1..3, or the wrong one here */
        NIPC_PROTO_E_BAD_LAYOUT = 6,       /* a fixed, reserved or ordered field is off */
        NIPC_PROTO_E_OUT_OF_BOUNDS = 7,    /* offset + length leave the area */
        NIPC_PROTO_E_MISSING_NUL = 8,      /* a string does not end in NUL */
        NIPC_PROTO_E_BAD_ALIGNMENT = 9,    /* an item does not start at a multiple of 8 */
        NIPC_PROTO_E_BAD_ITEM_COUNT = 10,  /* fewer or more items than promised */
        NIPC_PROTO_E_OVERFLOW = 11,        /* the output does not fit its buffer */
        NIPC_PROTO_E_LIMIT_EXCEEDED = 12,  /* above a limit agreed in the handshake */
        NIPC_PROTO_E_BAD_CHUNK = 13,       /* a continuation packet does not continue the message */
        NIPC_PROTO_E_UNKNOWN_MSG_ID = 14,  /* a response that nobody asked for */
        NIPC_PROTO_E_DUPLICATE_MSG_ID = 15 /* a request whose id is still outstanding */
};

/* Where decoding stopped. `rule` is a string literal; it never needs to be freed. */
struct nipc_fault {
        int error;        /* enum nipc_proto_error, 0 if nothing failed */
        size_t offset;    /* byte offset of the offending field in the buffer that was decoded */
        const char *rule; /* the broken rule in words, NULL if nothing failed */
};

/*
 * The name of a cause as the specification writes it ("BAD_MAGIC"); "UNKNOWN" for other values.
 * Never blocks, never NULL. Since: 0.1
 */
const char *nipc_proto_error_name(int error);

#ifdef __cplusplus
}
#endif
