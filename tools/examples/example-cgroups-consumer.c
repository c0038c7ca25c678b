/* SPDX-License-Identifier: MIT */
/*
 * A consumer of cgroup names, as an agent would have it: a cache that is refreshed now and then,
 * and lookups that cost nanoseconds. Prints the path of each NAME, or all cgroups.
 *
 *      example-cgroups-consumer RUN_DIR [NAME...]
 */
#include <nipc/cgroups-cache.h>

#include <stdio.h>
#include <string.h>

/* The hash that `nipc serve cgroups-snapshot` gives its items: djb2 of the name. */
static uint32_t hash_name(const char *name)
{
        uint32_t hash = 5381;

        for (const unsigned char *p = (const unsigned char *)name; *p; p++)
                hash = hash * 33u + *p;
        return hash;
}

static int print_cgroups(const struct nipc_cgroups_cache_snapshot *snapshot, int n_names,
                         char **names)
{
        int status = 0;

        for (uint32_t i = 0; n_names == 0 && i < nipc_cgroups_cache_get_count(snapshot); i++) {
                const struct nipc_cgroup *cgroup = nipc_cgroups_cache_get(snapshot, i);

                printf("%08x  %s  %s\n", cgroup->item.hash, cgroup->item.name, cgroup->path);
        }
        for (int i = 0; i < n_names; i++) {
                const struct nipc_cgroup *cgroup =
                        nipc_cgroups_cache_lookup(snapshot, hash_name(names[i]), names[i],
                                                  strlen(names[i]));

                printf("%s  %s\n", names[i], cgroup ? cgroup->path : "unknown");
                if (!cgroup)
                        status = 1;
        }
        return status;
}

int main(int argc, char **argv)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        const struct nipc_cgroups_cache_snapshot *snapshot;
        struct nipc_cgroups_cache *cache;
        int status;
        int r;

        if (argc < 2) {
                fprintf(stderr, "usage: %s RUN_DIR [NAME...]\n", argv[0]);
                return 2;
        }
        config.run_dir = argv[1];
        config.service = "cgroups-snapshot";
        r = nipc_cgroups_cache_new(&config, &cache);
        if (r < 0) {
                fprintf(stderr, "cannot make a cache: %s\n", strerror(-r));
                return 1;
        }
        r = nipc_cgroups_cache_refresh(cache, 1000); /* once a second, in an agent */
        if (r < 0)
                fprintf(stderr, "cannot refresh: %s\n", strerror(-r));

        /* Any number of threads may do this, also while another one refreshes. */
        snapshot = nipc_cgroups_cache_acquire(cache);
        status = snapshot ? print_cgroups(snapshot, argc - 2, argv + 2) : 1;
        nipc_cgroups_cache_release(cache, snapshot);

        nipc_cgroups_cache_free(cache);
        return status;
}
