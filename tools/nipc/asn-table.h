/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which autonomous system announces an address: a table of address ranges, read from a file once
 * and not changed after that. The file has the columns of iptoasn.com, one range a line:
 *
 *         first TAB last TAB AS number TAB country TAB description
 *
 * IPv4 and IPv6 may be mixed and in any order. Blank lines and those that begin with '#' are
 * skipped, lines may end in CR LF; the last one has an end too, or else the file was cut. AS 0 says
 * that nobody announces the range. A range within ::ffff:0:0/96 is one of IPv4, as is an address;
 * in a range that merely reaches into that prefix such addresses are not found.
 *
 * Two ranges that overlap are an error: which of them is meant is not for us to guess, and an
 * answer that depends on the order of lines is worse than none. A line that says the same as
 * another is dropped. A file without any range is an error too: it was cut, or is not the one that
 * was meant. Description and country are the bytes of the file without a check of their encoding.
 *
 * Lookups allocate nothing and may run in any number of threads. A million ranges of IPv4 take
 * about 16 MB, of IPv6 49 MB, and 12 bytes and its texts for each different triple of number,
 * country and description; loading takes not much more than that.
 */

#include "asn-address.h"

#include <gio/gio.h>

/* What is beyond is an error. Chosen: ten times of what all tables of the Internet hold today. */
#define ASN_TABLE_MAX_RANGES       (16u * 1024u * 1024u) /* of each family */
#define ASN_TABLE_MAX_LINE_BYTES   4096u                 /* without its end */
#define ASN_TABLE_MAX_STRING_BYTES (512u * 1024u * 1024u)

struct asn_table;

enum asn_result {
        ASN_FOUND,
        ASN_NOT_ROUTED,     /* in a range of AS 0: the answer is set as for ASN_FOUND */
        ASN_NOT_FOUND,      /* in no range; the answer is untouched */
        ASN_NOT_AN_ADDRESS, /* the answer is untouched */
};

/* Borrowed from the table. */
struct asn_answer {
        uint32_t asn;
        uint32_t name_len, country_len;
        const char *name;    /* the description, ends with a NUL that name_len does not count */
        const char *country; /* likewise; "None" where there is none */
        struct asn_address first, last;
};

/* Owned, end with asn_table_unref(). NULL: error names the file, the line and what is wrong. */
struct asn_table *asn_table_load(const char *path, GError **error);

/*
 * The same while others wait for us: a file that is not a regular one is an error. A FIFO, say,
 * would keep us for as long as nobody writes to it.
 */
struct asn_table *asn_table_load_again(const char *path, GError **error);

/* Both take NULL; unref returns NULL. The last reference frees, in whatever thread that is. */
struct asn_table *asn_table_ref(struct asn_table *table);
struct asn_table *asn_table_unref(struct asn_table *table);

enum asn_result asn_table_lookup(const struct asn_table *table, const struct asn_address *address,
                                 struct asn_answer *ret_answer);

/* text: `size` bytes without a NUL, see asn_address_parse(). */
enum asn_result asn_table_lookup_text(const struct asn_table *table, const char *text, size_t size,
                                      struct asn_answer *ret_answer);

size_t asn_table_get_n_ranges(const struct asn_table *table); /* of both families */
size_t asn_table_get_size_bytes(const struct asn_table *table);
