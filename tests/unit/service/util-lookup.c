/* SPDX-License-Identifier: MIT */

/* See util-lookup.h. */

#include "util-lookup.h"

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEGABYTE (1024u * 1024u)

static char label_bytes[MEGABYTE];

static uint32_t number_of(const struct util_lookup *lookup, const void *key)
{
        return lookup->is_apps ? nipc_apps_lookup_key_pid(key)
                               : (uint32_t)strtoul((const char *)key + strlen("/k/"), NULL, 10);
}

static bool is_known(uint32_t n)
{
        return n % 10 != 9;
}

static uint32_t label_size(const struct util_lookup *lookup, uint32_t n)
{
        /* Loaded first: gcc reads a pointer that it calls plainly, however atomic. */
        uint32_t (*size_of)(uint32_t n) = atomic_load(&lookup->label_size);

        return size_of ? size_of(n) : 0;
}

static void add_cgroup(const struct util_lookup *lookup, struct nipc_lookup_builder *builder,
                       const char *path, size_t path_len, uint32_t n)
{
        const struct nipc_label label = {"label", 5, label_bytes, label_size(lookup, n)};
        char name[32];
        const struct nipc_cgroups_lookup_item item = {
                .status = NIPC_CGROUPS_LOOKUP_KNOWN,
                .orchestrator = NIPC_ORCHESTRATOR_DOCKER,
                .path = {path, path_len},
                .name = {name, (size_t)snprintf(name, sizeof(name), "name-%u", n)},
                .n_labels = label.value_len != 0,
                .labels = &label,
        };

        nipc_cgroups_lookup_builder_add(builder, &item);
}

static void add_app(const struct util_lookup *lookup, struct nipc_lookup_builder *builder,
                    uint32_t n)
{
        const struct nipc_label label = {"label", 5, label_bytes, label_size(lookup, n)};
        char comm[32], path[32];
        const struct nipc_apps_lookup_item item = {
                .status = NIPC_APPS_LOOKUP_KNOWN,
                .cgroup_status = NIPC_APPS_LOOKUP_CGROUP_KNOWN,
                .pid = n,
                .ppid = 1,
                .comm = {comm, (size_t)snprintf(comm, sizeof(comm), "comm-%u", n)},
                .cgroup_path = {path, (size_t)snprintf(path, sizeof(path), "/k/%u", n)},
                .n_labels = label.value_len != 0,
                .labels = &label,
        };

        nipc_apps_lookup_builder_add(builder, &item);
}

int util_lookup_handle(void *userdata, const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder)
{
        struct util_lookup *lookup = userdata;
        int (*before)(struct util_lookup *, const struct nipc_lookup_request_view *,
                      struct nipc_lookup_builder *) = atomic_load(&lookup->before);
        const void *key;
        size_t key_size;
        uint32_t i, n;
        int r;

        atomic_fetch_add(&lookup->n_requests, 1);
        atomic_fetch_add(&lookup->n_items, request->item_count);
        r = before ? before(lookup, request, builder) : 0;
        if (r)
                return r;
        nipc_lookup_builder_set_generation(builder, atomic_load(&lookup->generation));
        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                n = number_of(lookup, key);
                if (!is_known(n)) /* UNKNOWN, UNKNOWN_RETRY_LATER */
                        nipc_lookup_builder_add_status(builder, key, key_size, 1);
                else if (lookup->is_apps)
                        add_app(lookup, builder, n);
                else
                        add_cgroup(lookup, builder, key, key_size, n);
        }
        return 0;
}

void util_lookup_init(struct util_lookup *lookup, const char *service, bool is_apps)
{
        memset(label_bytes, 'l', sizeof(label_bytes));
        *lookup = (struct util_lookup){.config = NIPC_SERVER_CONFIG_INIT, .is_apps = is_apps};
        atomic_init(&lookup->generation, 7);
        lookup->config.run_dir = util_run_dir();
        lookup->config.service = service;
        lookup->config.n_workers = 1;
        lookup->config.max_request_bytes = MEGABYTE;
        lookup->config.max_response_bytes = MEGABYTE;
        lookup->config.initial_response_bytes = MEGABYTE;
}

bool util_lookup_start(struct util_lookup *lookup)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = util_lookup_handle,
                .userdata = lookup,
        };
        int r;

        if (lookup->is_apps)
                r = nipc_server_new_apps_lookup(&lookup->config, &handler, &lookup->server);
        else
                r = nipc_server_new_cgroups_lookup(&lookup->config, &handler, &lookup->server);
        return r == 0 && nipc_server_start(lookup->server) == 0;
}

void util_lookup_stop(struct util_lookup *lookup)
{
        lookup->server = nipc_server_free(lookup->server);
}

struct nipc_client_config util_lookup_client_config(const struct util_lookup *lookup)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;

        config.run_dir = util_run_dir();
        config.service = lookup->config.service;
        config.profiles = lookup->config.profiles;
        config.max_request_bytes = lookup->config.max_request_bytes;
        return config;
}

struct nipc_client *util_lookup_client(const struct nipc_client_config *config)
{
        struct nipc_client *client = NULL;

        if (nipc_client_new(config, &client) < 0)
                return NULL;
        nipc_client_refresh(client);
        return nipc_client_is_ready(client) ? client : nipc_client_free(client);
}

static int ask_cgroups(struct nipc_client *client, uint32_t first, uint32_t n_keys,
                       struct nipc_lookup_view *ret_view)
{
        char(*paths)[16] = calloc(n_keys + 1, sizeof(*paths));
        const char **pointers = calloc(n_keys + 1, sizeof(*pointers));
        uint32_t i;
        int r = -ENOMEM;

        for (i = 0; paths && pointers && i < n_keys; i++) {
                snprintf(paths[i], sizeof(paths[i]), "/k/%u", first + i);
                pointers[i] = paths[i];
        }
        if (paths && pointers)
                r = nipc_client_cgroups_lookup(client, pointers, n_keys, 0, ret_view);
        free(pointers);
        free(paths);
        return r;
}

static int ask_apps(struct nipc_client *client, uint32_t first, uint32_t n_keys,
                    struct nipc_lookup_view *ret_view)
{
        uint32_t *pids = calloc(n_keys + 1, sizeof(*pids)), i;
        int r;

        for (i = 0; pids && i < n_keys; i++)
                pids[i] = first + i;
        r = pids ? nipc_client_apps_lookup(client, pids, n_keys, 0, ret_view) : -ENOMEM;
        free(pids);
        return r;
}

int util_lookup_ask(const struct util_lookup *lookup, struct nipc_client *client, uint32_t first,
                    uint32_t n_keys, struct nipc_lookup_view *ret_view)
{
        return lookup->is_apps ? ask_apps(client, first, n_keys, ret_view)
                               : ask_cgroups(client, first, n_keys, ret_view);
}

static bool is_for(const struct util_lookup *lookup, struct nipc_lookup_item item, uint32_t n)
{
        const struct nipc_lookup_class *class_ =
                lookup->is_apps ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
        const uint32_t pid[2] = {n, 0};
        char path[32];

        snprintf(path, sizeof(path), "/k/%u", n);
        return lookup->is_apps ? nipc_lookup_item_is_for(class_, item, pid, sizeof(pid))
                               : nipc_lookup_item_is_for(class_, item, path, strlen(path));
}

bool util_lookup_is_oversized(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                              uint32_t index, uint32_t n)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, index);

        return is_for(lookup, item, n) &&
               nipc_lookup_item_get_status(item) == view->class_->status_oversized;
}

bool util_lookup_is_item(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                         uint32_t index, uint32_t n)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, index);
        const uint32_t size = label_size(lookup, n);
        struct nipc_label label;

        /* Checked once more: copies must be as good as what came. */
        if (!is_for(lookup, item, n) || nipc_lookup_item_check(view->class_, item, NULL))
                return false;
        if (!is_known(n))
                return nipc_lookup_item_get_status(item) == 1;
        if (nipc_lookup_item_get_status(item) != NIPC_LOOKUP_STATUS_KNOWN)
                return false;
        if (!size)
                return !nipc_lookup_item_get_label_count(view->class_, item);
        label = nipc_lookup_item_get_label(view->class_, item, 0);
        return label.value_len == size && memcmp(label.value, label_bytes, size) == 0;
}

bool util_lookup_is_all(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                        uint32_t first, uint32_t n_keys)
{
        uint32_t i;

        if (view->item_count != n_keys || view->generation != atomic_load(&lookup->generation))
                return false;
        for (i = 0; i < n_keys; i++)
                if (!util_lookup_is_item(lookup, view, i, first + i))
                        return false;
        return true;
}
