/* SPDX-License-Identifier: MIT */

/* Method 4 at both ends: paths ask; the rest is that of all lookups. */

#include <errno.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/client.h>
#include <nipc/server.h>
#include <string.h>

#include "stdaux.h"

enum {
        FEW_PATHS = 64, /* chosen: a kilobyte of stack */
};

/* The length of each path is found out once, not every time that it is looked at. */
static int lookup_few(struct nipc_client *client, const char *const *paths, uint32_t n_paths,
                      uint32_t timeout_ms, struct nipc_lookup_view *ret_view)
{
        struct nipc_lookup_key few[FEW_PATHS] = {{0}};
        struct nipc_lookup_keys keys;
        uint32_t i;

        for (i = 0; i < n_paths; i++)
                few[i] = (struct nipc_lookup_key){
                        .data = paths[i],
                        .size = paths[i] ? strlen(paths[i]) : 0,
                };
        keys = nipc_lookup_keys_of(few, n_paths);
        return nipc_client_lookup(client, nipc_cgroups_lookup_get_class(), &keys, timeout_ms,
                                  ret_view);
}

NIPC__EXPORT int nipc_client_cgroups_lookup(struct nipc_client *client, const char *const *paths,
                                            uint32_t n_paths, uint32_t timeout_ms,
                                            struct nipc_lookup_view *ret_view)
{
        struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(paths, n_paths);

        if (!paths && n_paths)
                return -EINVAL;
        if (n_paths <= FEW_PATHS)
                return lookup_few(client, paths, n_paths, timeout_ms, ret_view);
        return nipc_client_lookup(client, nipc_cgroups_lookup_get_class(), &keys, timeout_ms,
                                  ret_view);
}

NIPC__EXPORT int nipc_server_new_cgroups_lookup(const struct nipc_server_config *config,
                                                const struct nipc_lookup_handler *handler,
                                                struct nipc_server **ret_server)
{
        return nipc_server_new_lookup(config, nipc_cgroups_lookup_get_class(), handler, ret_server);
}
