/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The ASN table of a file that may be replaced while requests are answered: a request holds the
 * table it began with, whatever is loaded meanwhile, and never waits for a load.
 *
 * All calls but new and free may run in any number of threads. Tables may be held longer than the
 * source.
 */

#include "asn-table.h"

struct asn_source;

/* Loads the file, generation 1. NULL: as asn_table_load(). */
struct asn_source *asn_source_new(const char *path, GError **error);

/* Takes NULL; returns NULL. */
struct asn_source *asn_source_free(struct asn_source *source);

/*
 * Loads the file anew and puts it in the place of the table there is; its generation is one higher.
 * FALSE: the old one stays, and its generation, also if this is no regular file, which new takes
 * (the output of another program, say). Several at once: one after another.
 */
gboolean asn_source_reload(struct asn_source *source, GError **error);

/*
 * The current table, owned: asn_table_unref(). ret_generation: of that table, may be NULL. Waits
 * for nothing longer than a few instructions of other threads.
 */
struct asn_table *asn_source_acquire(struct asn_source *source, uint64_t *ret_generation);
