/* SPDX-License-Identifier: MIT */
/*
 * What a monitoring plugin does once a second: goes over its processes and puts a name to each. All
 * but the new ones are answered from memory; one call asks for those.
 *
 *      example-apps-cache RUN_DIR ROUNDS PID...
 */
#include <nipc/apps-lookup.h>
#include <nipc/lookup-cache.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_PIDS = 1024 };

static void print_process(uint32_t pid, struct nipc_lookup_item item)
{
        struct nipc_apps_lookup_item app;

        if (!item.bytes) {
                printf("%u: no answer\n", pid);
                return;
        }
        nipc_apps_lookup_item_load(item, &app);
        printf("%u: %s %s in %s\n", pid, nipc_apps_lookup_status_name(app.status), app.comm.str,
               app.cgroup_path.len ? app.cgroup_path.str : "no cgroup");
}

static void round_once(struct nipc_lookup_cache *cache, const uint32_t *pids, uint32_t n_pids)
{
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, n_pids);
        static struct nipc_lookup_item items[MAX_PIDS];
        int r;

        /* Waits half a second at most: what is late is shown next time. */
        r = nipc_lookup_cache_sweep(cache, &keys, 500, items);
        if (r < 0)
                fprintf(stderr, "not all is known: %s\n", strerror(-r));
        for (uint32_t i = 0; i < n_pids; i++)
                print_process(pids[i], items[i]);
}

int main(int argc, char **argv)
{
        const struct timespec second = {.tv_sec = 1};
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_lookup_cache *cache;
        uint32_t pids[MAX_PIDS], n_pids = 0;
        int r;

        if (argc < 4) {
                fprintf(stderr, "usage: %s RUN_DIR ROUNDS PID...\n", argv[0]);
                return 2;
        }
        for (int i = 3; i < argc && n_pids < MAX_PIDS; i++)
                pids[n_pids++] = (uint32_t)strtoul(argv[i], NULL, 10);
        config.run_dir = argv[1];
        config.service = "apps-lookup";
        r = nipc_lookup_cache_new(&config, nipc_apps_lookup_get_class(), NULL, &cache);
        if (r < 0) {
                fprintf(stderr, "cannot make a cache: %s\n", strerror(-r));
                return 1;
        }
        for (unsigned long n = strtoul(argv[2], NULL, 10); n > 0; n--) {
                round_once(cache, pids, n_pids);
                if (n > 1)
                        nanosleep(&second, NULL);
        }
        nipc_lookup_cache_free(cache);
        return 0;
}
