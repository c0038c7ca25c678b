/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A provider of lookups inside the test, behind a client that is not one, and a clock that the test
 * moves: link with --wrap=clock_gettime. Answers say which version of the data they are from.
 *
 *      PIDs      from UNKNOWN_PID on are not known; pad bytes of cgroup path
 *      strings   "?..." is not known yet, "!..." never will be, "+..." is oversized
 *      16 bytes  known
 */

#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/lookup-cache.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "util-alloc-bytes.h"
#include "util-fake-client.h"

#include "tap.h"

enum {
        UNKNOWN_PID = 1000000,
        BYTES_KEY = 16,
        BYTES_HEADER = 32, /* {u16 layout, u16 status, u32 version, ..., key at 16} */
};

static struct {
        uint64_t generation;
        uint32_t version;
        uint32_t pad;
        int results[8]; /* of the next calls; what is not set is success */
        /* When this many calls were made, the generation is one more. 0: never. */
        unsigned new_generation_at;

        unsigned n_calls;
        uint32_t n_keys;     /* of the last call */
        uint64_t n_all_keys; /* of all calls that succeeded */
        uint32_t n_max_keys; /* of the calls */
        size_t size;
} provider;

static uint8_t provider_buffers[2][32 << 20];
static uint64_t fake_now_ns = UINT64_C(1000000000000);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
        ret_time->tv_sec = (time_t)(fake_now_ns / 1000000000);
        ret_time->tv_nsec = (long)(fake_now_ns % 1000000000);
        return 0;
}

static inline void clock_advance(uint64_t ms)
{
        fake_now_ns += ms * 1000000;
}

/* Keys of 16 bytes, items without strings: a class of one's own. */
static inline const struct nipc_lookup_class *bytes_class(void)
{
        static const struct nipc_lookup_class class_ = {
                .size = sizeof(class_),
                .method = NIPC_METHOD_PRIVATE,
                .key_size = BYTES_KEY,
                .key_echo_size = BYTES_KEY,
                .key_offset = 16,
                .item_header_size = BYTES_HEADER,
                .status_exceeded = 1,
                .status_oversized = 2,
        };

        return &class_;
}

static int provide_pid(struct nipc_lookup_builder *builder, uint32_t pid)
{
        static char path[65536];
        struct nipc_apps_lookup_item item = {.pid = pid, .uid = NIPC_APPS_LOOKUP_UID_UNSET};
        char comm[16];

        if (pid >= UNKNOWN_PID) {
                item.status = NIPC_APPS_LOOKUP_UNKNOWN;
                return nipc_apps_lookup_builder_add(builder, &item);
        }
        if (!path[0])
                memset(path, 'x', sizeof(path));
        item.uid = 0;
        item.starttime = provider.version;
        item.comm.str = comm;
        item.comm.len = (size_t)snprintf(comm, sizeof(comm), "p%u", pid);
        item.cgroup_status = provider.pad ? NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_PERMANENT
                                          : NIPC_APPS_LOOKUP_CGROUP_HOST_ROOT;
        item.cgroup_path.str = path;
        item.cgroup_path.len = provider.pad;
        return nipc_apps_lookup_builder_add(builder, &item);
}

static int provide_string(struct nipc_lookup_builder *builder, const char *key, size_t len)
{
        struct nipc_cgroups_lookup_item item = {.path = {key, len}};
        char name[16];

        if (strchr("?!+", key[0])) {
                item.status = key[0] == '?'   ? NIPC_CGROUPS_LOOKUP_UNKNOWN_RETRY_LATER
                              : key[0] == '!' ? NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT
                                              : NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM;
                return nipc_cgroups_lookup_builder_add(builder, &item);
        }
        item.name.str = name;
        item.name.len = (size_t)snprintf(name, sizeof(name), "%u", provider.version);
        return nipc_cgroups_lookup_builder_add(builder, &item);
}

static int provide(struct nipc_lookup_builder *builder, const struct nipc_lookup_class *class_,
                   const void *key, size_t size)
{
        uint8_t header[BYTES_HEADER] = {0};

        if (!class_->key_size)
                return provide_string(builder, key, size);
        if (class_->key_size == 8)
                return provide_pid(builder, nipc_apps_lookup_key_pid(key));
        nipc_store_u32(header + 4, provider.version);
        memcpy(header + 16, key, BYTES_KEY);
        return nipc_lookup_builder_add(builder, header, NULL, NULL, 0);
}

/* The answer lies elsewhere each time, and the one before is not there any more. */
static uint8_t *next_buffer(void)
{
        memset(provider_buffers[provider.n_calls % 2], 0xdd, provider.size);
        return provider_buffers[++provider.n_calls % 2];
}

int nipc_client_lookup(struct nipc_client *client, const struct nipc_lookup_class *class_,
                       const struct nipc_lookup_keys *keys, uint32_t timeout_ms,
                       struct nipc_lookup_view *ret_view)
{
        const unsigned n = provider.n_calls;
        struct nipc_lookup_builder builder;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        uint8_t *buffer = next_buffer();
        size_t size;
        uint32_t i;
        int r;

        fake.call_timeout_ms = timeout_ms;
        provider.n_keys = keys->n_keys;
        if (keys->n_keys > provider.n_max_keys)
                provider.n_max_keys = keys->n_keys;
        if (n < 8 && provider.results[n])
                return fake.error = provider.results[n];
        fake.error = 0;
        provider.generation += provider.new_generation_at && n >= provider.new_generation_at;
        nipc_lookup_builder_init_unasked(&builder, class_, buffer, sizeof(provider_buffers[0]),
                                         keys->n_keys);
        nipc_lookup_builder_set_generation(&builder, provider.generation);
        for (i = 0; i < keys->n_keys; i++) {
                const void *key = keys->get(keys, i, scratch, &size);

                r = provide(&builder, class_, key, size);
                if (r)
                        abort();
        }
        if (nipc_lookup_builder_finish(&builder, &provider.size) ||
            nipc_lookup_view_init(ret_view, class_, buffer, provider.size, NULL))
                abort();
        provider.n_all_keys += keys->n_keys;
        return 0;
}

/* ---- caches ------------------------------------------------------------------------------- */

static inline void provider_reset(void)
{
        memset(&provider, 0, sizeof(provider));
        memset(&fake, 0, sizeof(fake));
        fake.state = NIPC_CLIENT_STATE_READY;
        provider.generation = 1;
        provider.version = 1;
}

static inline struct nipc_lookup_cache *cache_new_with(
        const struct nipc_lookup_class *class_, const struct nipc_lookup_cache_config *config,
        uint32_t max_lookup_keys)
{
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_lookup_cache *cache = NULL;

        provider_reset();
        client_config.run_dir = "/nowhere";
        client_config.service = "lookup";
        client_config.max_lookup_keys = max_lookup_keys;
        tap_eq_int(nipc_lookup_cache_new(&client_config, class_, config, &cache), 0);
        return cache;
}

static inline struct nipc_lookup_cache_status status_of(const struct nipc_lookup_cache *cache)
{
        struct nipc_lookup_cache_status status = NIPC_LOOKUP_CACHE_STATUS_INIT;

        tap_eq_int(nipc_lookup_cache_get_status(cache, &status), 0);
        return status;
}

/* ---- what items say ------------------------------------------------------------------------ */

/* The version of the data, 0 without an item, UINT32_MAX if it is for another PID. */
static inline uint32_t pid_version(struct nipc_lookup_item raw, uint32_t pid)
{
        struct nipc_apps_lookup_item item;
        char comm[16];

        if (!raw.bytes)
                return 0;
        nipc_apps_lookup_item_load(raw, &item);
        if (item.pid != pid)
                return UINT32_MAX;
        if (pid >= UNKNOWN_PID)
                return item.status == NIPC_APPS_LOOKUP_UNKNOWN ? 1 : UINT32_MAX;
        snprintf(comm, sizeof(comm), "p%u", pid);
        return strcmp(item.comm.str, comm) ? UINT32_MAX : (uint32_t)item.starttime;
}

static inline uint32_t get_pid(struct nipc_lookup_cache *cache, uint32_t pid)
{
        return pid_version(nipc_lookup_cache_get_pid(cache, pid), pid);
}

/* The same of a string; what has no name has version 1. */
static inline uint32_t get_string(struct nipc_lookup_cache *cache, const char *key)
{
        const struct nipc_lookup_item raw = nipc_lookup_cache_get_string(cache, key);
        struct nipc_cgroups_lookup_item item;

        if (!raw.bytes)
                return 0;
        nipc_cgroups_lookup_item_load(raw, &item);
        if (!key || strcmp(item.path.str, key))
                return UINT32_MAX;
        return item.name.len ? (uint32_t)atoi(item.name.str) : 1;
}

static inline uint32_t get_bytes(struct nipc_lookup_cache *cache, const uint8_t *key)
{
        const struct nipc_lookup_item raw = nipc_lookup_cache_get(cache, key, BYTES_KEY);

        if (!raw.bytes)
                return 0;
        return memcmp(raw.bytes + 16, key, BYTES_KEY) ? UINT32_MAX : nipc_load_u32(raw.bytes + 4);
}
