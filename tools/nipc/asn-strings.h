/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The different triples of AS number, country and description of a file, each kept once: a hash
 * table for as long as the file is read. What it found goes to the table.
 */

#include "asn-table-private.h"

struct asn_strings {
        struct asn_info *infos;
        char *strings;
        size_t n_infos, infos_capacity;
        size_t string_bytes, strings_capacity;
        uint32_t *slots; /* index in infos + 1, 0: free */
        size_t n_slots;  /* a power of two, or 0 */
};

void asn_strings_init(struct asn_strings *strings);
void asn_strings_deinit(struct asn_strings *strings);

/* 0; -ENOMEM; -EOVERFLOW: more than a table holds. info: all but `at` set. */
int asn_strings_intern(struct asn_strings *strings, struct asn_info info, const char *country,
                       const char *name, uint32_t *ret_index);

/* Hands infos and strings over to the table. */
void asn_strings_take(struct asn_strings *strings, struct asn_table *table);

/*
 * Makes room for one more than `n` in an array. A large block that realloc() moves is not copied,
 * only mapped elsewhere, and its unused end takes no memory.
 */
int asn_array_reserve(void **array, size_t n, size_t *capacity, size_t item_bytes);
