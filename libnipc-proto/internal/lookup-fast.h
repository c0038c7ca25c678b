/* SPDX-License-Identifier: MIT */
#pragma once

/* What both ends of a lookup ask of every item, in line. Internal. */

#include <nipc/lookup.h>

#include "lookup-text.h"
#include "stdaux.h"

/* Bytes of an item that repeats a key and says nothing else: header, key, NULs. */
static inline uint64_t nipc__lookup_placeholder_size(const struct nipc_lookup_class *class_,
                                                     uint64_t key_size)
{
        return (uint64_t)class_->item_header_size + class_->n_strings +
               (class_->key_size ? 0 : key_size);
}

/* nipc_lookup_item_is_for() */
static NIPC__ALWAYS_INLINE bool nipc__lookup_item_is_for(const struct nipc_lookup_class *class_,
                                                         struct nipc_lookup_item item,
                                                         const void *key, size_t key_size)
{
        struct nipc_lookup_string string;

        if (class_->key_size && NIPC__LIKELY(class_->key_echo_size == sizeof(uint32_t)))
                return key_size == class_->key_size &&
                       nipc__text_half(item.bytes + class_->key_offset) == nipc__text_half(key);
        if (class_->key_size)
                return key_size == class_->key_size &&
                       nipc__text_equal(item.bytes + class_->key_offset, key,
                                        class_->key_echo_size);
        string = nipc_lookup_item_get_string(class_, item, 0);
        return string.len == key_size && nipc__text_equal(string.str, key, key_size);
}
