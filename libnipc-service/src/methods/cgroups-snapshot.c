/* SPDX-License-Identifier: MIT */

/* Method 2 at both ends: an empty question, all cgroups in one answer, built and read in place. */

#include <errno.h>
#include <nipc/cgroups-snapshot.h>
#include <nipc/client.h>
#include <nipc/server.h>
#include <stdlib.h>

#include "abi.h"
#include "client-private.h"
#include "stdaux.h"

static void encode(const void *arg, void *buf, size_t size)
{
        nipc_cgroups_snapshot_request_encode(buf);
}

static int decode(void *userdata, const void *payload, size_t payload_size,
                  struct nipc_fault *ret_fault)
{
        return nipc_cgroups_snapshot_view_init(userdata, payload, payload_size, ret_fault);
}

NIPC__EXPORT int nipc_client_cgroups_snapshot(struct nipc_client *client, uint32_t timeout_ms,
                                              struct nipc_cgroups_snapshot_view *ret_view)
{
        struct nipc_cgroups_snapshot_view view;
        const struct nipc__request request = {
                .code = NIPC_METHOD_CGROUPS_SNAPSHOT,
                .item_count = 1,
                .payload_size = NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE,
                .encode = encode,
                .decode = decode,
                .userdata = &view,
        };
        int r;

        if (!client || !ret_view)
                return -EINVAL;
        r = nipc__client_run(client, &request, timeout_ms, NULL, NULL);
        if (!r)
                *ret_view = view;
        return r;
}

/* ---- server ------------------------------------------------------------------------------- */

static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const struct nipc_cgroups_snapshot_handler *handler = userdata;
        struct nipc_cgroups_snapshot_builder builder = {0};
        int r;

        r = nipc_cgroups_snapshot_request_decode(request->payload, request->payload_size, NULL);
        if (r)
                return r;
        r = handler->snapshot(handler->userdata, &builder, response, capacity, ret_size);
        /* A handler that does not look at the builder's results fails all the same. */
        return r ? r : builder.error;
}

NIPC__EXPORT int nipc_server_new_cgroups_snapshot(
        const struct nipc_server_config *config,
        const struct nipc_cgroups_snapshot_handler *handler, struct nipc_server **ret_server)
{
        struct nipc_handler generic = {
                .size = sizeof(generic),
                .code = NIPC_METHOD_CGROUPS_SNAPSHOT,
                .handle = handle,
                .release = free,
        };
        struct nipc_cgroups_snapshot_handler copy, *kept;
        int r;

        r = nipc__abi_load(&copy, sizeof(copy), handler);
        if (r < 0)
                return r;
        if (!copy.snapshot)
                return -EINVAL;
        kept = malloc(sizeof(*kept));
        if (!kept)
                return -ENOMEM;
        *kept = copy;
        generic.userdata = kept;
        return nipc_server_new(config, &generic, ret_server);
}
