/* SPDX-License-Identifier: MIT */

/* The outer header: 32 fixed bytes (wire-v1 §2). Unknown flags, codes and statuses pass. */

#include "fault.h"
#include "header-fast.h"
#include "stdaux.h"

_Static_assert(sizeof(struct nipc_header) == 24, "the fields that are carried, without padding");

/* Why nipc__header_read() refused it, in the order of wire-v1 §2. */
static int header_fault(const uint8_t *p, size_t size, struct nipc_fault *ret_fault)
{
        if (size < NIPC_HEADER_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "a message header has 32 bytes");
        if (nipc_load_u32(p + NIPC__HEADER_MAGIC) != NIPC_MAGIC)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_MAGIC, NIPC__HEADER_MAGIC,
                                 "magic must be 0x4e495043");
        if (nipc_load_u16(p + NIPC__HEADER_VERSION) != NIPC_VERSION)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_VERSION, NIPC__HEADER_VERSION,
                                 "version must be 1");
        if (nipc_load_u16(p + NIPC__HEADER_HEADER_LEN) != NIPC_HEADER_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_HEADER_LEN, NIPC__HEADER_HEADER_LEN,
                                 "header_len must be 32");
        return fault_set(ret_fault, NIPC_PROTO_E_BAD_KIND, NIPC__HEADER_KIND,
                         "kind must be 1, 2 or 3");
}

NIPC__EXPORT int nipc_header_decode(const void *buf, size_t size, struct nipc_header *ret_header,
                                    struct nipc_fault *ret_fault)
{
        if (NIPC__LIKELY(nipc__header_read(buf, size, ret_header)))
                return 0;
        return header_fault(buf, size, ret_fault);
}

NIPC__EXPORT void nipc_header_encode(const struct nipc_header *header, void *buf)
{
        nipc__header_write(header, buf);
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
