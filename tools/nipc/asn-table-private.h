/* SPDX-License-Identifier: MIT */
#pragma once

/* What the table of asn-table.h is made of. asn-load.c fills it, asn-table.c reads it. */

#include "asn-table.h"
#include "asn-tree.h"

#include <stdatomic.h>

/* What ranges have in common. The strings are `country` NUL `name` NUL, at `at`. */
struct asn_info {
        uint32_t asn;
        uint32_t at;
        uint16_t country_len, name_len; /* a line has no more */
};

struct asn_range_v4 {
        uint32_t first, last;
        uint32_t info;
        uint32_t line; /* of the file */
};

struct asn_range_v6 {
        struct asn_address first, last;
        uint32_t info;
        uint32_t line;
};

_Static_assert(ASN_TABLE_MAX_LINE_BYTES <= UINT16_MAX, "lengths of strings have 16 bits");

#define ASN_INDEX_V4_SIZE 65537u

struct asn_table {
        atomic_uint n_refs;
        struct asn_range_v4 *v4; /* by first */
        struct asn_range_v6 *v6; /* by first */
        struct asn_info *infos;
        char *strings;
        size_t n_v4, n_v6, n_infos, string_bytes;
        /*
         * By the high 16 bits of an address: how many ranges begin below them. What is left for a
         * search is some 16 ranges where a million is spread evenly, and never more than 65,536. A
         * B+ tree of 32-bit keys took two to four times as long there, and a sixth to a half less
         * where they are dense (measured with bench-asn, a virtual machine on AMD EPYC).
         */
        uint32_t *index_v4;
        struct asn_tree tree_v6; /* of the high halves of the firsts */
};
