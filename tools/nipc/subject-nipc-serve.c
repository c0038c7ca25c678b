/* SPDX-License-Identifier: MIT */

/*
 * The servers of the nipc subjects, driven by their process's only thread, as the bare ones are:
 * a managed server of increment, of a snapshot that is built anew for each request, of lookups that
 * know every key, or of an echo.
 */

#include "subject-items.h"
#include "subject-nipc.h"

#include <errno.h>
#include <glib.h>
#include <nipc/hello.h>
#include <nipc/server.h>
#include <string.h>
#include <unistd.h>

#define SINGLE_REQUEST_BYTES  4096u
#define SINGLE_RESPONSE_BYTES 65536u
#define BATCH_ITEM_BYTES      16u   /* 8 of directory and 8 of number */
#define CROWD_BYTES           1024u /* the default for requests, for both directions */

uint32_t subject_nipc_request_bytes(const struct subject_options *options)
{
        if (options->scenario == SUBJECT_BATCH || options->scenario == SUBJECT_PIPELINE_BATCH)
                return MAX(SINGLE_REQUEST_BYTES, options->items * BATCH_ITEM_BYTES);
        if (options->scenario == SUBJECT_LOOKUP)
                return MAX(SINGLE_REQUEST_BYTES, options->items * SUBJECT_LOOKUP_KEY_BYTES);
        if (options->scenario == SUBJECT_LARGE)
                return MAX(SINGLE_REQUEST_BYTES, options->bytes);
        if (subject_has_crowd(options->scenario))
                return CROWD_BYTES;
        return SINGLE_REQUEST_BYTES;
}

uint32_t subject_nipc_response_bytes(const struct subject_options *options)
{
        uint64_t bytes = 0;

        if (subject_has_crowd(options->scenario))
                return CROWD_BYTES;
        if (options->scenario == SUBJECT_BATCH || options->scenario == SUBJECT_PIPELINE_BATCH)
                bytes = (uint64_t)options->items * BATCH_ITEM_BYTES;
        else if (options->scenario == SUBJECT_LARGE)
                bytes = options->bytes;
        else if (options->scenario == SUBJECT_SNAPSHOT)
                bytes = subject_items_size_bound(options->items);
        else if (options->scenario == SUBJECT_LOOKUP)
                bytes = (uint64_t)options->items * SUBJECT_LOOKUP_ITEM_BYTES;
        return (uint32_t)MAX(SINGLE_RESPONSE_BYTES, bytes);
}

/* ---- handlers ------------------------------------------------------------------------------- */

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        subject_count(userdata, 1);
        *ret_value = value + 1;
        return 0;
}

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        subject_count(userdata, 1);
        if (request->payload_size > capacity)
                return -EMSGSIZE;
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return 0;
}

static int lookup(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        subject_count(userdata, request->item_count);
        return subject_lookup_answer(request, builder);
}

struct snapshot_source {
        struct subject_count *served;
        struct nipc_cgroups_snapshot_item *items;
        uint32_t n_items;
};

static int snapshot(void *userdata, struct nipc_cgroups_snapshot_builder *builder, void *buf,
                    size_t capacity, size_t *ret_size)
{
        const struct snapshot_source *source = userdata;

        subject_count(source->served, 1);
        return subject_items_encode(builder, source->items, source->n_items, buf, capacity,
                                    ret_size);
}

/* ---- the server ----------------------------------------------------------------------------- */

static int new_server(const struct subject_options *options,
                      const struct nipc_server_config *config, struct snapshot_source *source,
                      struct nipc_server **ret_server)
{
        void *userdata = options->served;
        const struct nipc_increment_handler increment_handler = {sizeof(increment_handler),
                                                                 increment, userdata};
        const struct nipc_cgroups_snapshot_handler snapshot_handler = {sizeof(snapshot_handler),
                                                                       snapshot, source};
        const struct nipc_lookup_handler lookup_handler = {sizeof(lookup_handler), lookup,
                                                           userdata};
        const struct nipc_handler echo_handler = {sizeof(echo_handler), SUBJECT_METHOD, echo,
                                                  userdata, NULL};

        if (options->scenario == SUBJECT_LARGE)
                return nipc_server_new(config, &echo_handler, ret_server);
        if (options->scenario == SUBJECT_LOOKUP)
                return nipc_server_new_cgroups_lookup(config, &lookup_handler, ret_server);
        if (options->scenario != SUBJECT_SNAPSHOT)
                return nipc_server_new_increment(config, &increment_handler, ret_server);
        source->n_items = options->items;
        source->items = subject_items_new(options->items);
        return nipc_server_new_cgroups_snapshot(config, &snapshot_handler, ret_server);
}

int subject_nipc_serve(const struct subject_options *options, int ready_fd)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct snapshot_source source = {
                .served = options->served}; /* ends with the process, as the server does */
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
        if (options->scenario == SUBJECT_CLIENTS || options->scenario == SUBJECT_IDLE)
                config.max_sessions = options->n_clients;
        r = new_server(options, &config, &source, &server);
        if (r < 0 || write(ready_fd, "", 1) != 1)
                return -1;
        while (r >= 0)
                r = nipc_server_dispatch(server, SUBJECT_TIMEOUT_MS);
        return r;
}
