/* SPDX-License-Identifier: MIT */

/* Method 5 at both ends: PIDs ask; the rest is that of all lookups. */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/client.h>
#include <nipc/server.h>

#include "stdaux.h"

NIPC__EXPORT int nipc_client_apps_lookup(struct nipc_client *client, const uint32_t *pids,
                                         uint32_t n_pids, uint32_t timeout_ms,
                                         struct nipc_lookup_view *ret_view)
{
        struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, n_pids);

        if (!pids && n_pids)
                return -EINVAL;
        return nipc_client_lookup(client, nipc_apps_lookup_get_class(), &keys, timeout_ms,
                                  ret_view);
}

NIPC__EXPORT int nipc_server_new_apps_lookup(const struct nipc_server_config *config,
                                             const struct nipc_lookup_handler *handler,
                                             struct nipc_server **ret_server)
{
        return nipc_server_new_lookup(config, nipc_apps_lookup_get_class(), handler, ret_server);
}
