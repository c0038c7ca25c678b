/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The cgroups of this machine as a provider knows them, cached in this process (cache §1, §2): the
 * generic snapshot cache of <nipc/cache.h>, which has the rules for threads, over the
 * cgroups-snapshot service.
 *
 * How to use:
 *
 *      r = nipc_cgroups_cache_new(&client_config, &cache);
 *      r = nipc_cgroups_cache_refresh(cache, 0);                 // once a second, say
 *      snapshot = nipc_cgroups_cache_acquire(cache);             // any thread
 *      cgroup = nipc_cgroups_cache_lookup(snapshot, hash, name, strlen(name));
 *      snapshot = nipc_cgroups_cache_release(cache, snapshot);
 */

#include <nipc/cache.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One cgroup; strings are NUL-terminated and live as long as the snapshot. */
struct nipc_cgroup {
        struct nipc_cache_item item; /* hash and name */
        uint32_t options;
        uint32_t enabled;
        const char *path;
        uint32_t path_len;
};

/* Opaque; a cache of cgroups and one of its snapshots. */
struct nipc_cgroups_cache;
struct nipc_cgroups_cache_snapshot;

/* All as the function of <nipc/cache.h> with the same verb. Since: 0.1 */
int nipc_cgroups_cache_new(const struct nipc_client_config *client_config,
                           struct nipc_cgroups_cache **ret_cache);
struct nipc_cgroups_cache *nipc_cgroups_cache_free(struct nipc_cgroups_cache *cache);
int nipc_cgroups_cache_refresh(struct nipc_cgroups_cache *cache, uint32_t timeout_ms);
void nipc_cgroups_cache_cancel(struct nipc_cgroups_cache *cache);
void nipc_cgroups_cache_reset_cancel(struct nipc_cgroups_cache *cache);
bool nipc_cgroups_cache_is_ready(const struct nipc_cgroups_cache *cache);

const struct nipc_cgroups_cache_snapshot *nipc_cgroups_cache_acquire(
        struct nipc_cgroups_cache *cache);
const struct nipc_cgroups_cache_snapshot *nipc_cgroups_cache_release(
        struct nipc_cgroups_cache *cache, const struct nipc_cgroups_cache_snapshot *snapshot);

const struct nipc_cgroup *nipc_cgroups_cache_lookup(
        const struct nipc_cgroups_cache_snapshot *snapshot, uint32_t hash, const char *name,
        size_t name_len);
uint32_t nipc_cgroups_cache_get_count(const struct nipc_cgroups_cache_snapshot *snapshot);
const struct nipc_cgroup *nipc_cgroups_cache_get(const struct nipc_cgroups_cache_snapshot *snapshot,
                                                 uint32_t index);
uint64_t nipc_cgroups_cache_get_generation(const struct nipc_cgroups_cache_snapshot *snapshot);
bool nipc_cgroups_cache_is_systemd(const struct nipc_cgroups_cache_snapshot *snapshot);

int nipc_cgroups_cache_get_status(struct nipc_cgroups_cache *cache,
                                  struct nipc_cache_status *ret_status);
int nipc_cgroups_cache_format_metrics(struct nipc_cgroups_cache *cache, const char *service,
                                      char *buf, size_t capacity, size_t *ret_size);
int nipc_cgroups_cache_get_failure(const struct nipc_cgroups_cache *cache,
                                   struct nipc_client_failure *ret_failure);

#ifdef __cplusplus
}
#endif
