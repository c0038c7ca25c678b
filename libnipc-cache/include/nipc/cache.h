/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A snapshot cache: the last good answer of a snapshot service, indexed, in this process's memory,
 * for any number of reader threads. This header is the generic part, for services of one's own;
 * for cgroups see <nipc/cgroups-cache.h>.
 *
 * One thread refreshes: it asks the provider, builds a new snapshot privately and publishes it in
 * one step. Readers acquire the current snapshot, look things up in it, and release it: acquiring
 * and releasing never wait for anybody, a lookup writes nothing, and what a reader holds stays
 * valid and unchanged until it lets go, whatever happens meanwhile. A failed refresh changes
 * nothing; a successful empty one empties the cache (cache §2).
 *
 * How to use: describe the items in a struct nipc_cache_class; nipc_cache_new(); refresh now and
 * then; acquire, lookup or iterate, release.
 *
 * Threading: refresh by one thread at a time (others get -EBUSY); acquire, release, lookup, get
 * and get_status from any thread; free when nobody uses it, all snapshots released.
 */

#include <nipc/client.h>
#include <nipc/init.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_cache;

/* One immutable generation of items. Held from acquire to release. */
struct nipc_cache_snapshot;

/* Collects the items of a snapshot that is being built; valid inside fetch only. */
struct nipc_cache_loader;

/*
 * Every item begins with this, filled by the loader. The key is (hash, name): hash is whatever the
 * provider says, opaque (cache §1); of equal keys the first in snapshot order is found.
 */
struct nipc_cache_item {
        uint32_t hash;
        uint32_t name_len;
        const char *name; /* NUL-terminated, lives as long as the snapshot */
};

/* What a cache holds and where it comes from. */
struct nipc_cache_class {
        size_t size;      /* sizeof(struct nipc_cache_class) */
        size_t item_size; /* of the item struct, which begins with struct nipc_cache_item; 64 KiB
                             at most, nothing in it needs more than 8-byte alignment */
        /*
         * Asks the provider through `client` (ready) and feeds every item to the loader. Returns
         * 0 to publish, anything else to drop what was loaded: a negative errno, or a positive
         * NIPC_PROTO_E_* for an item that cannot be decoded (one bad item rejects the snapshot).
         */
        int (*fetch)(void *userdata, struct nipc_client *client, uint32_t timeout_ms,
                     struct nipc_cache_loader *loader);
        void *userdata; /* borrowed until free */
};

/*
 * Room for n_items items with string_bytes bytes of strings in all, names included, NULs apart.
 * Both are promises that make loading one allocation, and lookup its fastest; more may come.
 * Returns 0, -EOVERFLOW, -ENOMEM. Since: 0.1
 */
int nipc_cache_loader_begin(struct nipc_cache_loader *loader, uint32_t n_items,
                            size_t string_bytes);

/*
 * Adds an item: name is copied, everything after struct nipc_cache_item is zero for the caller to
 * fill. ret_item: of item_size bytes, aligned to 8; the address is final.
 * Returns 0, -EMSGSIZE for a name of more than UINT32_MAX bytes, -ENOMEM. Since: 0.1
 */
int nipc_cache_loader_add(struct nipc_cache_loader *loader, uint32_t hash, const char *name,
                          size_t name_len, void **ret_item);

/* Copies a string, NUL-terminated, into the snapshot. Returns 0 or -ENOMEM. Since: 0.1 */
int nipc_cache_loader_copy(struct nipc_cache_loader *loader, const char *str, size_t len,
                           const char **ret_str);

/* Facts about the snapshot itself, readable from it later. Since: 0.1 */
void nipc_cache_loader_set_generation(struct nipc_cache_loader *loader, uint64_t generation,
                                      uint32_t flags);

/*
 * Says what was wrong with an item that could not be decoded, for nipc_cache_get_failure(). Fetch
 * then returns fault->error. fault: copied. Since: 0.1
 */
void nipc_cache_loader_set_fault(struct nipc_cache_loader *loader, const struct nipc_fault *fault);

/*
 * Makes an empty cache with a client of its own; no I/O. client_config, class: copied.
 * ret_cache: owned. Returns 0, -EINVAL, -E2BIG, -ENOMEM, ... as nipc_client_new(). Since: 0.1
 */
int nipc_cache_new(const struct nipc_client_config *client_config,
                   const struct nipc_cache_class *class_, struct nipc_cache **ret_cache);

/* Takes NULL. All snapshots must have been released. Returns NULL. Since: 0.1 */
struct nipc_cache *nipc_cache_free(struct nipc_cache *cache);

/*
 * Connects if need be, fetches, publishes. Blocks for the provider, never for readers: at most
 * timeout_ms (0: the client's timeout), or while connecting the client's timeout if that is longer.
 * Returns 0, or why the old snapshot stays: -ENOTCONN (no provider), -ECHILD (the cache is that of
 * a process of which the caller is a child by fork(): it can be read and freed there), -EBUSY
 * (another thread refreshes; not counted as a failure), -EBADMSG (also an item that cannot be
 * decoded; the client stays READY then), -ENOMEM, and all that calls return. Since: 0.1
 */
int nipc_cache_refresh(struct nipc_cache *cache, uint32_t timeout_ms);

/*
 * Ends a refresh from another thread or a signal handler, and refuses new ones until reset: they
 * return -ECANCELED. As nipc_client_cancel(). Since: 0.1
 */
void nipc_cache_cancel(struct nipc_cache *cache);

/* By the thread that refreshes. Since: 0.1 */
void nipc_cache_reset_cancel(struct nipc_cache *cache);

/* Whether a snapshot was ever published; one load, any thread. Since: 0.1 */
bool nipc_cache_is_ready(const struct nipc_cache *cache);

/*
 * The current snapshot, held until released; NULL before the first successful refresh. Lock-free,
 * wait-free but for a concurrent refresh. Since: 0.1
 */
const struct nipc_cache_snapshot *nipc_cache_acquire(struct nipc_cache *cache);

/*
 * Lets go of a snapshot. Takes NULL. Lock-free, and no allocator is called: the memory of one that
 * nobody holds any more is used again or freed by the next refresh. Returns NULL. Since: 0.1
 */
const struct nipc_cache_snapshot *nipc_cache_release(struct nipc_cache *cache,
                                                     const struct nipc_cache_snapshot *snapshot);

/*
 * Finds an item: pure memory, a few nanoseconds, no write. name: name_len bytes, need not end in
 * NUL. Returns the item, valid until the snapshot is released, or NULL. Since: 0.1
 */
const void *nipc_cache_snapshot_lookup(const struct nipc_cache_snapshot *snapshot, uint32_t hash,
                                       const char *name, size_t name_len);

/* Items in snapshot order, duplicates included. Since: 0.1 */
uint32_t nipc_cache_snapshot_get_count(const struct nipc_cache_snapshot *snapshot);

/* Item `index`, or NULL when out of range. Since: 0.1 */
const void *nipc_cache_snapshot_get(const struct nipc_cache_snapshot *snapshot, uint32_t index);

/* As given to nipc_cache_loader_set_generation(). Since: 0.1 */
uint64_t nipc_cache_snapshot_get_generation(const struct nipc_cache_snapshot *snapshot);
uint32_t nipc_cache_snapshot_get_flags(const struct nipc_cache_snapshot *snapshot);

struct nipc_cache_status {
        size_t size; /* sizeof(struct nipc_cache_status), set by the caller */
        bool populated;
        uint32_t item_count;
        uint64_t generation;
        uint32_t flags;
        uint64_t n_successes;
        uint64_t n_failures;
        uint64_t last_refresh_ms; /* monotonic clock of the last success, 0: never */
        enum nipc_client_state client_state;
};

#define NIPC_CACHE_STATUS_INIT NIPC_INIT(struct nipc_cache_status)

/* Never blocks, also while a refresh is under way; client_state is as the last one left it.
 * Returns 0, -EINVAL. Since: 0.1 */
int nipc_cache_get_status(struct nipc_cache *cache, struct nipc_cache_status *ret_status);

/*
 * The status as text, see nipc_server_format_metrics() in <nipc/metrics.h>. service: the label of
 * all of it, borrowed for the call. As get_status: any thread, never blocks.
 * Returns 0, -EINVAL, -ENOSPC (*ret_size is what is needed). Since: 0.1
 */
int nipc_cache_format_metrics(struct nipc_cache *cache, const char *service, char *buf,
                              size_t capacity, size_t *ret_size);

/*
 * Why the last refresh failed: the client's failure, or that of an item. By the thread that
 * refreshes. Returns 0, -EINVAL. Since: 0.1
 */
int nipc_cache_get_failure(const struct nipc_cache *cache, struct nipc_client_failure *ret_failure);

#ifdef __cplusplus
}
#endif
