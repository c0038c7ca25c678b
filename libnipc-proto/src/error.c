/* SPDX-License-Identifier: MIT */

/* Names of causes, as the specification writes them. */

#include <nipc/error.h>

#include "stdaux.h"

NIPC__EXPORT const char *nipc_proto_error_name(int error)
{
        switch (error) {
        case NIPC_PROTO_E_TRUNCATED:
                return "TRUNCATED";
        case NIPC_PROTO_E_BAD_MAGIC:
                return "BAD_MAGIC";
        case NIPC_PROTO_E_BAD_VERSION:
                return "BAD_VERSION";
        case NIPC_PROTO_E_BAD_HEADER_LEN:
                return "BAD_HEADER_LEN";
        case NIPC_PROTO_E_BAD_KIND:
                return "BAD_KIND";
        case NIPC_PROTO_E_BAD_LAYOUT:
                return "BAD_LAYOUT";
        case NIPC_PROTO_E_OUT_OF_BOUNDS:
                return "OUT_OF_BOUNDS";
        case NIPC_PROTO_E_MISSING_NUL:
                return "MISSING_NUL";
        case NIPC_PROTO_E_BAD_ALIGNMENT:
                return "BAD_ALIGNMENT";
        case NIPC_PROTO_E_BAD_ITEM_COUNT:
                return "BAD_ITEM_COUNT";
        case NIPC_PROTO_E_OVERFLOW:
                return "OVERFLOW";
        case NIPC_PROTO_E_LIMIT_EXCEEDED:
                return "LIMIT_EXCEEDED";
        case NIPC_PROTO_E_BAD_CHUNK:
                return "BAD_CHUNK";
        case NIPC_PROTO_E_UNKNOWN_MSG_ID:
                return "UNKNOWN_MSG_ID";
        case NIPC_PROTO_E_DUPLICATE_MSG_ID:
                return "DUPLICATE_MSG_ID";
        default:
                return "UNKNOWN";
        }
}
