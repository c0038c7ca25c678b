/* SPDX-License-Identifier: MIT */

/*
 * The servers of the nipc subjects, driven by their process's only thread, as the bare ones are:
 * a managed server of increment, of a snapshot that is built anew for each request, or of an echo.
 */

#include "subject-nipc.h"

#include <errno.h>
#include <glib.h>
#include <nipc/hello.h>
#include <nipc/server.h>
#include <string.h>
#include <unistd.h>

#define SINGLE_REQUEST_BYTES  4096u
#define SINGLE_RESPONSE_BYTES 65536u
#define BATCH_ITEM_BYTES      16u /* 8 of directory and 8 of number */
#define SNAPSHOT_ITEM_STRINGS 160u
#define CROWD_BYTES           1024u /* the default for requests, for both directions */

uint32_t subject_nipc_request_bytes(const struct subject_options *options)
{
        if (options->scenario == SUBJECT_BATCH)
                return MAX(SINGLE_REQUEST_BYTES, options->items * BATCH_ITEM_BYTES);
        if (options->scenario == SUBJECT_LARGE)
                return MAX(SINGLE_REQUEST_BYTES, options->bytes);
        if (options->scenario == SUBJECT_CLIENTS || options->scenario == SUBJECT_FAIRNESS)
                return CROWD_BYTES;
        return SINGLE_REQUEST_BYTES;
}

uint32_t subject_nipc_response_bytes(const struct subject_options *options)
{
        uint64_t bytes = 0;

        if (options->scenario == SUBJECT_CLIENTS || options->scenario == SUBJECT_FAIRNESS)
                return CROWD_BYTES;
        if (options->scenario == SUBJECT_BATCH)
                bytes = (uint64_t)options->items * BATCH_ITEM_BYTES;
        else if (options->scenario == SUBJECT_LARGE)
                bytes = options->bytes;
        else if (options->scenario == SUBJECT_SNAPSHOT)
                bytes = nipc_cgroups_snapshot_size_bound(
                        options->items, (uint64_t)options->items * SNAPSHOT_ITEM_STRINGS);
        return (uint32_t)MAX(SINGLE_RESPONSE_BYTES, bytes);
}

/* ---- handlers ------------------------------------------------------------------------------- */

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        (void)userdata;
        *ret_value = value + 1;
        return 0;
}

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        (void)userdata;
        if (request->payload_size > capacity)
                return -EMSGSIZE;
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return 0;
}

struct snapshot_source {
        struct nipc_cgroups_snapshot_item *items;
        uint32_t n_items;
};

/* Names and paths as they are on machines with containers, pods, users and many instances. */
static void make_item(struct nipc_cgroups_snapshot_item *item, uint32_t index)
{
        uint32_t id = subject_nipc_item_hash(index);
        guint64 wide = (guint64)id * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        char *name, *path;

        switch (index % 4) {
        case 0:
                name = g_strdup_printf("docker-%012" G_GINT64_MODIFIER "x", wide >> 16);
                path = g_strdup_printf("/system.slice/docker-%016" G_GINT64_MODIFIER
                                       "x%016x%016x%016x.scope",
                                       wide, id, ~id, index);
                break;
        case 1:
                name = g_strdup_printf("k8s-pod-%08x-%04x-4a1c-%08x", id, index & 0xffff, ~id);
                path = g_strdup_printf("/kubepods.slice/kubepods-burstable.slice/"
                                       "kubepods-burstable-pod%08x_%04x_4a1c_%08x.slice",
                                       id, index & 0xffff, ~id);
                break;
        case 2:
                name = g_strdup_printf("user@1000.service/app-%08x.scope", id);
                path = g_strdup_printf("/user.slice/user-1000.slice/user@1000.service/app.slice/"
                                       "app-%08x.scope",
                                       id);
                break;
        default:
                name = g_strdup_printf("instance@%08x-%04x.service", id, index & 0xffff);
                path = g_strdup_printf("/system.slice/system-instance.slice/"
                                       "instance@%08x-%04x.service",
                                       id, index & 0xffff);
                break;
        }
        *item = (struct nipc_cgroups_snapshot_item){
                .hash = id,
                .options = 1,
                .enabled = 1,
                .name_len = (uint32_t)strlen(name),
                .path_len = (uint32_t)strlen(path),
                .name = name,
                .path = path,
        };
        g_assert(item->name_len + item->path_len <= SNAPSHOT_ITEM_STRINGS);
}

static int snapshot(void *userdata, struct nipc_cgroups_snapshot_builder *builder, void *buf,
                    size_t capacity, size_t *ret_size)
{
        const struct snapshot_source *source = userdata;

        nipc_cgroups_snapshot_builder_init(builder, buf, capacity, source->n_items);
        for (uint32_t i = 0; i < source->n_items; i++)
                nipc_cgroups_snapshot_builder_add(builder, &source->items[i]);
        return nipc_cgroups_snapshot_builder_finish(builder, 1, 1, ret_size);
}

/* ---- the server ----------------------------------------------------------------------------- */

static int new_server(const struct subject_options *options,
                      const struct nipc_server_config *config, struct snapshot_source *source,
                      struct nipc_server **ret_server)
{
        const struct nipc_increment_handler increment_handler = {sizeof(increment_handler),
                                                                 increment, NULL};
        const struct nipc_cgroups_snapshot_handler snapshot_handler = {sizeof(snapshot_handler),
                                                                       snapshot, source};
        const struct nipc_handler echo_handler = {sizeof(echo_handler), SUBJECT_METHOD, echo, NULL,
                                                  NULL};

        if (options->scenario == SUBJECT_LARGE)
                return nipc_server_new(config, &echo_handler, ret_server);
        if (options->scenario != SUBJECT_SNAPSHOT)
                return nipc_server_new_increment(config, &increment_handler, ret_server);
        source->n_items = options->items;
        source->items = g_new(struct nipc_cgroups_snapshot_item, options->items);
        for (uint32_t i = 0; i < options->items; i++)
                make_item(&source->items[i], i);
        return nipc_server_new_cgroups_snapshot(config, &snapshot_handler, ret_server);
}

int subject_nipc_serve(const struct subject_options *options, int ready_fd)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct snapshot_source source = {0}; /* ends with the process, as the server does */
        struct nipc_server *server;
        int r;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.profiles = NIPC_PROFILE_BASELINE | options->profile;
        config.max_request_bytes = config.initial_request_bytes =
                subject_nipc_request_bytes(options);
        config.max_response_bytes = config.initial_response_bytes =
                subject_nipc_response_bytes(options);
        if (options->scenario == SUBJECT_FAIRNESS) /* who makes trouble stays */
                config.handshake_timeout_ms = config.request_timeout_ms =
                        config.response_timeout_ms = 10 * SUBJECT_TIMEOUT_MS;
        if (options->scenario == SUBJECT_CLIENTS)
                config.max_sessions = options->n_clients;
        r = new_server(options, &config, &source, &server);
        if (r < 0 || write(ready_fd, "", 1) != 1)
                return -1;
        while (r >= 0)
                r = nipc_server_dispatch(server, SUBJECT_TIMEOUT_MS);
        return r;
}
