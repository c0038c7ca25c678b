/* SPDX-License-Identifier: MIT */

/* Whether a class describes a layout that can be. Done once per client, server or cache. */

#include <nipc/lookup.h>

#include "fault.h"
#include "lookup-layout.h"

static int check_key(const struct nipc_lookup_class *class_, struct nipc_fault *ret_fault)
{
        if (class_->key_size > NIPC_LOOKUP_MAX_KEY_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "key_size must be at most NIPC_LOOKUP_MAX_KEY_SIZE");
        if (!class_->key_size)
                return class_->n_strings && !class_->key_echo_size && !class_->check_key
                               ? 0
                               : fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                           "string keys are repeated by string 0 and checked here");
        if (!class_->key_echo_size || class_->key_echo_size > class_->key_size)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "key_echo_size must be 1 to key_size");
        if (class_->key_offset < ITEM_STATUS + sizeof(uint16_t) ||
            class_->key_offset + class_->key_echo_size > class_->item_header_size)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "the key must be repeated in the header, behind the status");
        return 0;
}

static bool ranges_meet(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
        return a < b + b_size && b < a + a_size;
}

static int check_header(const struct nipc_lookup_class *class_, struct nipc_fault *ret_fault)
{
        const uint32_t strings_size = class_->n_strings * (uint32_t)STRING_FIELD_SIZE;
        const uint32_t labels_size = class_->labels_offset ? sizeof(uint16_t) : 0;
        const uint32_t begin = ITEM_STATUS + sizeof(uint16_t);

        if (class_->n_strings > NIPC_LOOKUP_MAX_STRINGS)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "n_strings must be at most NIPC_LOOKUP_MAX_STRINGS");
        if (class_->item_header_size < NIPC_ALIGNMENT ||
            class_->item_header_size > NIPC_LOOKUP_MAX_HEADER_SIZE)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "item_header_size must be 8 to NIPC_LOOKUP_MAX_HEADER_SIZE");
        if ((strings_size && class_->strings_offset < begin) ||
            class_->strings_offset + strings_size > class_->item_header_size)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "the fields of strings must be in the header, behind the status");
        if (labels_size && (class_->labels_offset < begin ||
                            class_->labels_offset + labels_size > class_->item_header_size))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "the count of labels must be in the header, behind the status");
        if (ranges_meet(class_->strings_offset, strings_size, class_->labels_offset, labels_size) ||
            ranges_meet(class_->strings_offset, strings_size, class_->key_offset,
                        class_->key_echo_size) ||
            ranges_meet(class_->labels_offset, labels_size, class_->key_offset,
                        class_->key_echo_size))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "key, strings and labels must not share bytes of the header");
        return 0;
}

NIPC__EXPORT int nipc_lookup_class_check(const struct nipc_lookup_class *class_,
                                         struct nipc_fault *ret_fault)
{
        int r;

        if (class_->size != sizeof(*class_))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "size must be sizeof(struct nipc_lookup_class)");
        if (class_->own && class_->own->class_ != class_)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "own must be NULL, also in a copy of one of nipc's classes");
        if (class_->status_exceeded == NIPC_LOOKUP_STATUS_KNOWN ||
            class_->status_oversized == NIPC_LOOKUP_STATUS_KNOWN ||
            class_->status_exceeded == class_->status_oversized)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, 0,
                                 "status_exceeded and status_oversized must be two, and not 0");
        r = check_key(class_, ret_fault);
        return r ? r : check_header(class_, ret_fault);
}
