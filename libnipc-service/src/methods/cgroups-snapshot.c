/* SPDX-License-Identifier: MIT */

/* Method 2 at both ends: an empty question, all cgroups in one answer, built and read in place. */

#include <errno.h>
#include <nipc/cgroups-snapshot.h>
#include <nipc/client.h>
#include <nipc/server.h>

#include "client-private.h"
#include "stdaux.h"
#include "typed.h"

static int encode(const void *arg, void *buf, size_t size)
{
        nipc_cgroups_snapshot_request_encode(buf);
        return 0;
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
        _Static_assert(offsetof(struct nipc_cgroups_snapshot_handler, snapshot) ==
                               NIPC__TYPED_CALLBACK,
                       "see typed.h");

        return nipc__server_new_typed(config, NIPC_METHOD_CGROUPS_SNAPSHOT, handle, handler,
                                      sizeof(*handler), ret_server);
}
