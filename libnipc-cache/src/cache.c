/* SPDX-License-Identifier: MIT */

/*
 * The generic cache: one refresh at a time, and what may be known about it meanwhile. Readers are
 * in publication.h, items in loader.h, the index in table.h.
 *
 * The thread that refreshes owns everything that is not atomic. (After fork() the child has a copy
 * that it can read, and whose refresh returns -ECHILD; if another thread of the parent was
 * refreshing, it stays busy for the child.) What
 * get_status() reports is mirrored into atomics by that thread, because the client belongs to it
 * alone. They are read one by one: each is right, together they may straddle a refresh; the facts
 * about the items come from one snapshot and belong together.
 */

#include <errno.h>
#include <nipc/cache.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "not-ready.h"
#include "publication.h"
#include "snapshot.h"
#include "stdaux.h"

enum {
        MAX_ITEM_SIZE = 65536,      /* keeps sums of sizes in range; chosen */
        DEFAULT_TIMEOUT_MS = 30000, /* what the client takes 0 for, see <nipc/client.h> */
};

struct nipc_cache {
        struct nipc__publication publication;
        struct nipc_cache_class class_;
        struct nipc_client *client;
        uint32_t timeout_ms; /* the client's */

        /* Of the thread that refreshes. */
        struct nipc__arena spare;
        struct nipc_client_failure failure; /* of ours; error 0: see the client's */

        atomic_bool refreshing; /* acquire to take, release to give: the above goes with it */
        /* Stored by the thread that refreshes, loaded by any; they order nothing: relaxed. */
        _Atomic(uint64_t) n_successes;
        _Atomic(uint64_t) n_failures;
        _Atomic(uint64_t) last_refresh_ms;
        _Atomic(int) client_state;
};

static uint64_t now_ms(void)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* By the only thread that stores it. */
static void counter_increment(_Atomic(uint64_t) *counter)
{
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

static void mirror_state(struct nipc_cache *cache)
{
        atomic_store_explicit(&cache->client_state, (int)nipc_client_get_state(cache->client),
                              memory_order_relaxed);
}

/* Copies as much of a result as the caller's struct has, and zero beyond what we know. */
static int result_store(void *dst, const void *src, size_t src_size)
{
        size_t size;

        if (!dst)
                return -EINVAL;
        memcpy(&size, dst, sizeof(size));
        if (size < sizeof(size))
                return -EINVAL;
        memset(dst, 0, size);
        memcpy(dst, src, NIPC__MIN(size, src_size));
        memcpy(dst, &size, sizeof(size));
        return 0;
}

NIPC__EXPORT int nipc_cache_new(const struct nipc_client_config *client_config,
                                const struct nipc_cache_class *class_,
                                struct nipc_cache **ret_cache)
{
        struct nipc_client_config config;
        struct nipc_cache_class copy;
        struct nipc_cache *cache;
        int r;

        if (!ret_cache)
                return -EINVAL;
        r = nipc__abi_load(&config, sizeof(config), client_config);
        if (r)
                return r;
        r = nipc__abi_load(&copy, sizeof(copy), class_);
        if (r)
                return r;
        if (copy.item_size < sizeof(struct nipc_cache_item) || copy.item_size > MAX_ITEM_SIZE ||
            !copy.fetch)
                return -EINVAL;

        cache = calloc(1, sizeof(*cache));
        if (!cache)
                return -ENOMEM;
        cache->class_ = copy;
        cache->timeout_ms = config.timeout_ms ? config.timeout_ms : DEFAULT_TIMEOUT_MS;
        r = nipc__publication_init(&cache->publication);
        if (r == 0)
                r = nipc_client_new(client_config, &cache->client);
        if (r) {
                nipc_cache_free(cache);
                return r;
        }
        mirror_state(cache);
        *ret_cache = cache;
        return 0;
}

NIPC__EXPORT struct nipc_cache *nipc_cache_free(struct nipc_cache *cache)
{
        if (!cache)
                return NULL;
        nipc_client_free(cache->client);
        nipc__publication_deinit(&cache->publication);
        nipc__arena_deinit(&cache->spare);
        free(cache);
        return NULL;
}

/*
 * Makes the client ready. timeout_ms: of the whole refresh, on success what is left of it for the
 * call, not 0. Connecting takes the client's own timeout at most.
 */
static int connect_client(struct nipc_cache *cache, uint32_t *timeout_ms)
{
        uint64_t start_ms, elapsed_ms;

        if (nipc_client_is_ready(cache->client))
                return 0;
        start_ms = now_ms();
        nipc_client_refresh(cache->client);
        mirror_state(cache);
        if (!nipc_client_is_ready(cache->client))
                return nipc__why_not_ready(cache->client);
        elapsed_ms = now_ms() - start_ms;
        if (elapsed_ms >= *timeout_ms)
                return -ETIMEDOUT;
        *timeout_ms -= (uint32_t)elapsed_ms;
        return 0;
}

/* What a fetch returned, as our callers know errors. */
static int fold_error(int error)
{
        if (error == NIPC_PROTO_E_LIMIT_EXCEEDED)
                return -EMSGSIZE;
        return error > 0 ? -EBADMSG : error;
}

/* Builds the next snapshot privately and makes it the current one, or leaves all as it is. */
static int load_and_publish(struct nipc_cache *cache, uint32_t timeout_ms)
{
        struct nipc_cache_snapshot *snapshot;
        struct nipc_cache_loader loader;
        int r;

        r = nipc__publication_take(&cache->publication, &snapshot);
        if (r)
                return r;
        nipc__loader_init(&loader, (uint32_t)cache->class_.item_size, &cache->spare);
        r = fold_error(
                cache->class_.fetch(cache->class_.userdata, cache->client, timeout_ms, &loader));
        if (r) {
                cache->failure.fault = loader.fault;
                nipc__loader_deinit(&loader, &cache->spare);
                nipc__publication_untake(&cache->publication, snapshot);
                return r;
        }
        snapshot->generation = loader.generation;
        snapshot->flags = loader.flags;
        nipc__loader_finish(&loader, &snapshot->table, &snapshot->arena);
        nipc__publication_publish(&cache->publication, snapshot);
        return 0;
}

static int refresh(struct nipc_cache *cache, uint32_t timeout_ms)
{
        int r;

        cache->failure = (struct nipc_client_failure){.step = "connect"};
        nipc__publication_collect(&cache->publication, &cache->spare);
        r = connect_client(cache, &timeout_ms);
        if (r)
                return r;
        cache->failure.step = "load";
        r = load_and_publish(cache, timeout_ms);
        mirror_state(cache);
        return r;
}

NIPC__EXPORT int nipc_cache_refresh(struct nipc_cache *cache, uint32_t timeout_ms)
{
        int r;

        /* Pairs with the store below: whoever refreshed last left the client to us. */
        if (atomic_exchange_explicit(&cache->refreshing, true, memory_order_acquire))
                return -EBUSY;
        r = refresh(cache, timeout_ms ? timeout_ms : cache->timeout_ms);
        if (r == 0) {
                atomic_store_explicit(&cache->last_refresh_ms, now_ms(), memory_order_relaxed);
                counter_increment(&cache->n_successes);
        } else {
                cache->failure.error = r;
                counter_increment(&cache->n_failures);
        }
        atomic_store_explicit(&cache->refreshing, false, memory_order_release);
        return r;
}

NIPC__EXPORT void nipc_cache_cancel(struct nipc_cache *cache)
{
        nipc_client_cancel(cache->client);
}

NIPC__EXPORT void nipc_cache_reset_cancel(struct nipc_cache *cache)
{
        nipc_client_reset_cancel(cache->client);
        mirror_state(cache);
}

NIPC__EXPORT bool nipc_cache_is_ready(const struct nipc_cache *cache)
{
        return nipc__publication_has_current(&cache->publication);
}

NIPC__EXPORT const struct nipc_cache_snapshot *nipc_cache_acquire(struct nipc_cache *cache)
{
        return nipc__publication_acquire(&cache->publication);
}

NIPC__EXPORT const struct nipc_cache_snapshot *nipc_cache_release(
        struct nipc_cache *cache, const struct nipc_cache_snapshot *snapshot)
{
        /* const to readers; the count is ours. */
        if (snapshot)
                nipc__publication_release(&cache->publication,
                                          (struct nipc_cache_snapshot *)(uintptr_t)snapshot);
        return NULL;
}

NIPC__EXPORT const void *nipc_cache_snapshot_lookup(const struct nipc_cache_snapshot *snapshot,
                                                    uint32_t hash, const char *name,
                                                    size_t name_len)
{
        if (!snapshot)
                return NULL;
        return nipc__snapshot_lookup(snapshot, hash, name, name_len, snapshot->table.name_offset);
}

NIPC__EXPORT uint32_t nipc_cache_snapshot_get_count(const struct nipc_cache_snapshot *snapshot)
{
        return snapshot ? snapshot->table.n_items : 0;
}

NIPC__EXPORT const void *nipc_cache_snapshot_get(const struct nipc_cache_snapshot *snapshot,
                                                 uint32_t index)
{
        if (index >= nipc_cache_snapshot_get_count(snapshot))
                return NULL;
        return snapshot->table.items[index];
}

NIPC__EXPORT uint64_t nipc_cache_snapshot_get_generation(const struct nipc_cache_snapshot *snapshot)
{
        return snapshot ? snapshot->generation : 0;
}

NIPC__EXPORT uint32_t nipc_cache_snapshot_get_flags(const struct nipc_cache_snapshot *snapshot)
{
        return snapshot ? snapshot->flags : 0;
}

NIPC__EXPORT int nipc_cache_get_status(struct nipc_cache *cache,
                                       struct nipc_cache_status *ret_status)
{
        const struct nipc_cache_snapshot *snapshot = nipc_cache_acquire(cache);
        const struct nipc_cache_status status = {
                .populated = snapshot != NULL,
                .item_count = nipc_cache_snapshot_get_count(snapshot),
                .generation = nipc_cache_snapshot_get_generation(snapshot),
                .flags = nipc_cache_snapshot_get_flags(snapshot),
                .n_successes = atomic_load_explicit(&cache->n_successes, memory_order_relaxed),
                .n_failures = atomic_load_explicit(&cache->n_failures, memory_order_relaxed),
                .last_refresh_ms =
                        atomic_load_explicit(&cache->last_refresh_ms, memory_order_relaxed),
                .client_state = (enum nipc_client_state)atomic_load_explicit(&cache->client_state,
                                                                             memory_order_relaxed),
        };

        nipc_cache_release(cache, snapshot);
        return result_store(ret_status, &status, sizeof(status));
}

NIPC__EXPORT int nipc_cache_get_failure(const struct nipc_cache *cache,
                                        struct nipc_client_failure *ret_failure)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        int r;

        r = nipc_client_get_failure(cache->client, &failure);
        if (r)
                return r;
        /* What failed before or after the call the client knows nothing of. */
        if (cache->failure.error && (failure.error == 0 || cache->failure.fault.error))
                failure = cache->failure;
        return result_store(ret_failure, &failure, sizeof(failure));
}
