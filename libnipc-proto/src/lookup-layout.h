/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What both halves of the lookup mechanism know of the layout (codecs §4):
 *
 *       0               16            16 + 8N
 *      | message header | N x {offset, length} | items or keys, each at a multiple of 8 |
 *
 * and of an item:
 *
 *       0       H
 *      | header | string NUL string NUL.. | zeros to 8 | n x {key, value} | key NUL value NUL.. |
 *
 * Strings of received items may lie in any order and with gaps; labels may not.
 */

#include <nipc/lookup.h>

#include "lookup-fast.h"
#include "lookup-text.h"
#include "stdaux.h"

enum {
        NIPC__LOOKUP_LAYOUT_VERSION = 1,
};

enum {
        MESSAGE_LAYOUT_VERSION = 0,
        MESSAGE_FLAGS = 2,
        MESSAGE_ITEM_COUNT = 4,
        REQUEST_RESERVED0 = 8,
        REQUEST_RESERVED1 = 12,
        RESPONSE_GENERATION = 8,
        MESSAGE_DIRECTORY = 16,
};

enum {
        ENTRY_OFFSET = 0,
        ENTRY_LENGTH = 4,
        ENTRY_SIZE = 8,
};

enum {
        ITEM_LAYOUT_VERSION = 0,
        ITEM_STATUS = 2,
};

enum {
        STRING_OFFSET = 0,
        STRING_LENGTH = 4,
        STRING_FIELD_SIZE = 8,
};

enum {
        LABEL_KEY_OFFSET = 0,
        LABEL_KEY_LENGTH = 4,
        LABEL_VALUE_OFFSET = 8,
        LABEL_VALUE_LENGTH = 12,
        LABEL_ENTRY_SIZE = 16,
};

_Static_assert(MESSAGE_DIRECTORY == NIPC_LOOKUP_HEADER_SIZE, "codecs §4");
_Static_assert(RESPONSE_GENERATION + sizeof(uint64_t) == MESSAGE_DIRECTORY, "codecs §4");
_Static_assert(REQUEST_RESERVED1 + sizeof(uint32_t) == MESSAGE_DIRECTORY, "codecs §4");
_Static_assert(ENTRY_SIZE == NIPC_LOOKUP_ENTRY_SIZE, "codecs §4");
_Static_assert(ITEM_STATUS == NIPC_LOOKUP_STATUS_OFFSET, "codecs §5, §6");
_Static_assert(LABEL_ENTRY_SIZE == NIPC_LOOKUP_LABEL_ENTRY_SIZE, "codecs §4");
_Static_assert(MESSAGE_DIRECTORY % NIPC_ALIGNMENT == 0, "items stay aligned in the payload");

/* Before loops over strings: there are few, and a class that is known tells how many. */
#define NIPC__UNROLL _Pragma("GCC unroll 4")

/* The functions of a method that comes with nipc, compiled for its class alone. */
struct nipc__lookup_own {
        const struct nipc_lookup_class *class_; /* a copy of it is not ours any more */
        int (*read_request)(struct nipc_lookup_request_view *ret_view, const void *payload,
                            size_t size, struct nipc_fault *ret_fault);
        int (*read_response)(struct nipc_lookup_view *ret_view, const void *payload, size_t size,
                             struct nipc_fault *ret_fault);
        int (*add_status)(struct nipc_lookup_builder *builder, const void *key, size_t key_size,
                          uint16_t status);
};
