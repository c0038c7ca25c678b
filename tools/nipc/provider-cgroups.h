/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The cgroups of this machine, or the items of a file, as encoded answers of cgroups-snapshot.
 *
 * A hierarchy is looked at when somebody asks, at most every CGROUPS_RESCAN_MS. When it cannot be
 * seen whole, the last answer stays, and that is said on stderr when it begins and when it ends.
 * The generation goes up when the content changed and not otherwise; the bytes of the current
 * generation are kept, so that an answer is one copy.
 *
 * Items: hash is djb2 of the name, see cgroup-name.h; options has the bits below; enabled is 1;
 * path is relative to the root of the hierarchy and begins with a slash.
 *
 * Threading: answer from any thread.
 */

#include "provider.h"

#define CGROUPS_RESCAN_MS 500 /* chosen: twice as often as a collector asks */

#define CGROUPS_OPTION_UNIFIED (1u << 0) /* the group is of a cgroup v2 hierarchy */

struct cgroups_source;

/* path: NULL, the root directory of a hierarchy, or a .json file. */
struct cgroups_source *cgroups_source_new(const char *path, GError **error);

struct cgroups_source *cgroups_source_free(struct cgroups_source *source);

/* Bytes of the answer as of the last look. */
size_t cgroups_source_get_size(struct cgroups_source *source);

/* Writes the answer. Returns 0, NIPC_PROTO_E_OVERFLOW, or a negative errno. */
int cgroups_source_answer(struct cgroups_source *source, void *buf, size_t capacity,
                          size_t *ret_size);
