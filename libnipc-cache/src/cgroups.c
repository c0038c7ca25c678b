/* SPDX-License-Identifier: MIT */

/*
 * The cache of cgroups: the generic one, fed by method 2.
 *
 * Each item is checked as it is copied; the snapshot is private until the last one was good, so a
 * bad one drops them all. The response is not the client's fault: the session stays (cache §2).
 *
 * Items of a response may share bytes (codecs §3), so a small one can stand for a huge snapshot.
 * What any response of an encoder needs was promised to the loader and is there; what goes beyond
 * is held against the limit for responses: a provider cannot make us grow further than that.
 */

#include <errno.h>
#include <nipc/cgroups-cache.h>
#include <stdlib.h>

#include "abi.h"
#include "snapshot.h"
#include "stdaux.h"

enum {
        DEFAULT_MAX_BYTES = 64 << 20, /* what the client takes 0 for, see <nipc/client.h> */
        ITEM_WIRE_SIZE = NIPC_CGROUPS_SNAPSHOT_ENTRY_SIZE + NIPC_CGROUPS_SNAPSHOT_ITEM_HEADER_SIZE,
        NULS_PER_ITEM = 2,
};

struct nipc_cgroups_cache {
        struct nipc_cache *generic;
        uint32_t max_bytes;
};

static const struct nipc_cache_snapshot *generic_snapshot(
        const struct nipc_cgroups_cache_snapshot *snapshot)
{
        return (const struct nipc_cache_snapshot *)snapshot;
}

/* Room for all strings, unless items share bytes: then more comes when it is needed. */
static int promise(struct nipc_cache_loader *loader, const struct nipc_cgroups_snapshot_view *view)
{
        const uint64_t fixed = NIPC_CGROUPS_SNAPSHOT_HEADER_SIZE +
                               (uint64_t)view->item_count * (ITEM_WIRE_SIZE + NULS_PER_ITEM);

        return nipc_cache_loader_begin(loader, view->item_count,
                                       view->size > fixed ? view->size - (size_t)fixed : 0);
}

static inline int load_item(struct nipc_cache_loader *loader,
                            const struct nipc_cgroups_snapshot_item *from)
{
        struct nipc_cgroup *to;
        const char *path;
        void *item;
        int r;

        r = nipc__loader_add(loader, sizeof(*to), from->hash, from->name, from->name_len, true,
                             from->path, from->path_len, &item, &path);
        if (NIPC__UNLIKELY(r))
                return r;
        to = item;
        to->options = from->options;
        to->path = path;
        to->path_len = from->path_len;
        to->enabled = from->enabled;
        return 0;
}

static int load_items(struct nipc_cache_loader *loader,
                      const struct nipc_cgroups_snapshot_view *view)
{
        const uint32_t n_items = view->item_count;
        struct nipc_cgroups_snapshot_item item;
        struct nipc_fault fault = {0};
        uint32_t i;
        int r;

        for (i = 0; i < n_items; i++) {
                r = nipc_cgroups_snapshot_view_get(view, i, &item, &fault);
                if (NIPC__UNLIKELY(r)) {
                        nipc_cache_loader_set_fault(loader, &fault);
                        return r;
                }
                r = load_item(loader, &item);
                if (NIPC__UNLIKELY(r))
                        return r;
        }
        return 0;
}

static int fetch(void *userdata, struct nipc_client *client, uint32_t timeout_ms,
                 struct nipc_cache_loader *loader)
{
        const struct nipc_cgroups_cache *cache = userdata;
        struct nipc_cgroups_snapshot_view view;
        int r;

        r = nipc_client_cgroups_snapshot(client, timeout_ms, &view);
        if (r)
                return r;
        /* Before room is promised: entries alone can stand for ten times their bytes. */
        if ((uint64_t)view.item_count * ITEM_WIRE_SIZE > cache->max_bytes)
                return -EMSGSIZE;
        r = promise(loader, &view);
        if (r)
                return r;
        loader->limit = cache->max_bytes;
        r = load_items(loader, &view);
        if (r)
                return r;
        nipc_cache_loader_set_generation(loader, view.generation, view.systemd_enabled);
        return 0;
}

NIPC__EXPORT int nipc_cgroups_cache_new(const struct nipc_client_config *client_config,
                                        struct nipc_cgroups_cache **ret_cache)
{
        const struct nipc_cache_class template = {
                .size = sizeof(struct nipc_cache_class),
                .item_size = sizeof(struct nipc_cgroup),
                .fetch = fetch,
        };
        struct nipc_cache_class class_ = template;
        struct nipc_client_config config;
        struct nipc_cgroups_cache *cache;
        int r;

        if (!ret_cache)
                return -EINVAL;
        r = nipc__abi_load(&config, sizeof(config), client_config);
        if (r)
                return r;
        cache = calloc(1, sizeof(*cache));
        if (!cache)
                return -ENOMEM;
        cache->max_bytes = config.max_receive_bytes ? config.max_receive_bytes : DEFAULT_MAX_BYTES;
        class_.userdata = cache;
        r = nipc_cache_new(client_config, &class_, &cache->generic);
        if (r) {
                free(cache);
                return r;
        }
        *ret_cache = cache;
        return 0;
}

NIPC__EXPORT struct nipc_cgroups_cache *nipc_cgroups_cache_free(struct nipc_cgroups_cache *cache)
{
        if (!cache)
                return NULL;
        nipc_cache_free(cache->generic);
        free(cache);
        return NULL;
}

NIPC__EXPORT int nipc_cgroups_cache_refresh(struct nipc_cgroups_cache *cache, uint32_t timeout_ms)
{
        return nipc_cache_refresh(cache->generic, timeout_ms);
}

NIPC__EXPORT void nipc_cgroups_cache_cancel(struct nipc_cgroups_cache *cache)
{
        nipc_cache_cancel(cache->generic);
}

NIPC__EXPORT void nipc_cgroups_cache_reset_cancel(struct nipc_cgroups_cache *cache)
{
        nipc_cache_reset_cancel(cache->generic);
}

NIPC__EXPORT bool nipc_cgroups_cache_is_ready(const struct nipc_cgroups_cache *cache)
{
        return nipc_cache_is_ready(cache->generic);
}

NIPC__EXPORT const struct nipc_cgroups_cache_snapshot *nipc_cgroups_cache_acquire(
        struct nipc_cgroups_cache *cache)
{
        return (const struct nipc_cgroups_cache_snapshot *)nipc_cache_acquire(cache->generic);
}

NIPC__EXPORT const struct nipc_cgroups_cache_snapshot *nipc_cgroups_cache_release(
        struct nipc_cgroups_cache *cache, const struct nipc_cgroups_cache_snapshot *snapshot)
{
        nipc_cache_release(cache->generic, generic_snapshot(snapshot));
        return NULL;
}

NIPC__EXPORT const struct nipc_cgroup *nipc_cgroups_cache_lookup(
        const struct nipc_cgroups_cache_snapshot *snapshot, uint32_t hash, const char *name,
        size_t name_len)
{
        return nipc__snapshot_lookup(generic_snapshot(snapshot), hash, name, name_len,
                                     sizeof(struct nipc_cgroup));
}

NIPC__EXPORT uint32_t
nipc_cgroups_cache_get_count(const struct nipc_cgroups_cache_snapshot *snapshot)
{
        return nipc_cache_snapshot_get_count(generic_snapshot(snapshot));
}

NIPC__EXPORT const struct nipc_cgroup *nipc_cgroups_cache_get(
        const struct nipc_cgroups_cache_snapshot *snapshot, uint32_t index)
{
        return nipc_cache_snapshot_get(generic_snapshot(snapshot), index);
}

NIPC__EXPORT uint64_t
nipc_cgroups_cache_get_generation(const struct nipc_cgroups_cache_snapshot *snapshot)
{
        return nipc_cache_snapshot_get_generation(generic_snapshot(snapshot));
}

NIPC__EXPORT bool nipc_cgroups_cache_is_systemd(const struct nipc_cgroups_cache_snapshot *snapshot)
{
        return nipc_cache_snapshot_get_flags(generic_snapshot(snapshot)) != 0;
}

NIPC__EXPORT int nipc_cgroups_cache_get_status(struct nipc_cgroups_cache *cache,
                                               struct nipc_cache_status *ret_status)
{
        return nipc_cache_get_status(cache->generic, ret_status);
}

NIPC__EXPORT int nipc_cgroups_cache_format_metrics(struct nipc_cgroups_cache *cache,
                                                   const char *service, char *buf, size_t capacity,
                                                   size_t *ret_size)
{
        if (!cache)
                return -EINVAL;
        return nipc_cache_format_metrics(cache->generic, service, buf, capacity, ret_size);
}

NIPC__EXPORT int nipc_cgroups_cache_get_failure(const struct nipc_cgroups_cache *cache,
                                                struct nipc_client_failure *ret_failure)
{
        return nipc_cache_get_failure(cache->generic, ret_failure);
}
