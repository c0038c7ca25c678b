/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the snapshots and lookups of `nipc bench` are about: cgroups with names and paths as they
 * are on machines with containers, pods, users and many instances; the same on both sides.
 */

#include <nipc/cgroups-lookup.h>
#include <nipc/cgroups-snapshot.h>
#include <stddef.h>
#include <stdint.h>

/* By which the client knows item `index` of a snapshot. */
static inline uint32_t subject_item_hash(uint32_t index)
{
        return (index + 1) * 2654435761u;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

/* Owned, as long as the process: servers end by being killed. */
struct nipc_cgroups_snapshot_item *subject_items_new(uint32_t n_items);

/* The most that n_items of these take. */
size_t subject_items_size_bound(uint32_t n_items);

/* Returns what nipc_cgroups_snapshot_builder_finish() does. */
int subject_items_encode(struct nipc_cgroups_snapshot_builder *builder,
                         const struct nipc_cgroups_snapshot_item *items, uint32_t n_items,
                         void *buf, size_t capacity, size_t *ret_size);

/* Looks at all of them. Returns 0 or -EBADMSG. */
int subject_items_check(const struct nipc_cgroups_snapshot_view *view, uint32_t n_items);

/* ---- lookups -------------------------------------------------------------------------------- */

#define SUBJECT_LOOKUP_NAME_LEN   12u  /* a cgroup is called as its path ends */
#define SUBJECT_LOOKUP_KEY_BYTES  128u /* at most, of a request */
#define SUBJECT_LOOKUP_ITEM_BYTES 256u /* at most, of a response */

/* The paths that are asked for; owned, release with subject_paths_free(). */
char **subject_paths_new(uint32_t n_paths);
void subject_paths_free(char **paths);

/* What a handler of lookups does and returns: each is known, has a name and two labels. */
int subject_lookup_answer(const struct nipc_lookup_request_view *request,
                          struct nipc_lookup_builder *builder);

/* Looks at all of them. Returns 0 or -EBADMSG. */
int subject_lookup_check(const struct nipc_lookup_view *view, char *const *paths, uint32_t n_paths);
