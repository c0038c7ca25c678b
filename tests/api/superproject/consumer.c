/* SPDX-License-Identifier: MIT */

/* The smallest program that uses the uppermost library and names no other. */

#include <nipc/cgroups-cache.h>

int main(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_cgroups_cache *cache;

        config.run_dir = ".";
        config.service = "nobody";
        if (nipc_cgroups_cache_new(&config, &cache) < 0)
                return 1;
        if (nipc_cgroups_cache_refresh(cache, 0) == 0 || nipc_cgroups_cache_is_ready(cache))
                return 2;
        nipc_cgroups_cache_free(cache);
        return 0;
}
