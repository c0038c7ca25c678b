/* SPDX-License-Identifier: MIT */

/*
 * What a lookup costs above a call: ns per key of
 *
 *   raw     nipc_client_call() with the bytes of the request, a provider that copies the bytes of
 *           the answer, of which every cache line is touched: the ground
 *   client  nipc_client_*_lookup() from the same provider: encoding, checking and comparing added
 *   whole   the same from a provider that checks the request and builds the answer
 *
 * Client and provider are threads of one process. Each figure is the best of several rounds, in
 * which the three take turns, because on a shared machine everything that is not the code only
 * adds. Read the ratios, not the figures.
 *
 * Usage: bench-lookup [ROUNDS]
 */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/client.h>
#include <nipc/listener.h>
#include <nipc/server.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
        DEFAULT_ROUNDS = 20, /* chosen, not tuned: some seconds in all */
        MAX_KEYS = 8192,
        KEYS_PER_ROUND = 65536,
        MAX_CALLS_PER_ROUND = 1000,
        BUFFER_SIZE = 4 * 1024 * 1024,
        N_WAYS = 3,
};

static const char *const way_names[N_WAYS] = {"raw", "client", "whole"};

static char run_dir[64];
static char paths[MAX_KEYS][64];
static const char *path_pointers[MAX_KEYS];
static uint32_t pids[MAX_KEYS];

/* What is asked now; the workers read it while a call is on its way. */
static struct {
        bool is_apps;
        bool is_known;
        uint32_t n_keys;
        uint8_t *request;
        size_t request_size;
        uint8_t *response;
        size_t response_size;
} now;

static double now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void fail(const char *what, int r)
{
        fprintf(stderr, "bench-lookup: %s: %s\n", what, strerror(r < 0 ? -r : r));
        rmdir(run_dir);
        exit(EXIT_FAILURE);
}

static const struct nipc_lookup_class *get_class(void)
{
        return now.is_apps ? nipc_apps_lookup_get_class() : nipc_cgroups_lookup_get_class();
}

/* As long as those of containers on a node. */
static void fill_keys(void)
{
        uint32_t i;

        for (i = 0; i < MAX_KEYS; i++) {
                snprintf(paths[i], sizeof(paths[i]), "/system.slice/docker-%08x%08x.scope/%04u",
                         i * 2654435761u, i, (unsigned)i);
                path_pointers[i] = paths[i];
                pids[i] = 1000 + i;
        }
}

/* ---- providers ---------------------------------------------------------------------------- */

static void add_known(struct nipc_lookup_builder *builder, const void *key, size_t key_size)
{
        static const struct nipc_lookup_string name = {"a-container-name", 16};

        if (now.is_apps)
                nipc_apps_lookup_builder_add(builder,
                                             &(struct nipc_apps_lookup_item){
                                                     .pid = nipc_apps_lookup_key_pid(key),
                                                     .ppid = 1,
                                                     .comm = {"a-process", 9},
                                                     .cgroup_path = {paths[0], strlen(paths[0])},
                                                     .cgroup_name = name,
                                             });
        else
                nipc_cgroups_lookup_builder_add(builder,
                                                &(struct nipc_cgroups_lookup_item){
                                                        .orchestrator = NIPC_ORCHESTRATOR_DOCKER,
                                                        .path = {key, key_size},
                                                        .name = name,
                                                });
}

static int lookup(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        const void *key;
        size_t key_size;
        uint32_t i;

        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                if (now.is_known)
                        add_known(builder, key, key_size);
                else
                        nipc_lookup_builder_add_status(builder, key, key_size, 1);
        }
        return 0;
}

static int copy(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        if (capacity < now.response_size)
                return NIPC_PROTO_E_OVERFLOW;
        memcpy(response, now.response, now.response_size);
        *ret_size = now.response_size;
        return 0;
}

/*
 * Everything that follows, on one CPU; nothing if there is but one. Who shares a CPU with whom
 * would make more of a difference than what is measured.
 */
static void stay_on(int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
}

static struct nipc_server *start_server(const char *service, uint32_t profile, bool copies)
{
        const struct nipc_lookup_handler lookups = {.size = sizeof(lookups), .lookup = lookup};
        const struct nipc_handler copier = {
                .size = sizeof(copier),
                .code = get_class()->method,
                .handle = copy,
        };
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int r;

        config.run_dir = run_dir;
        config.service = service;
        config.n_workers = 1;
        config.profiles = profile;
        config.max_request_bytes = BUFFER_SIZE;
        config.max_response_bytes = BUFFER_SIZE;
        stay_on(1); /* the worker, which inherits it */
        r = copies ? nipc_server_new(&config, &copier, &server)
                   : nipc_server_new_lookup(&config, get_class(), &lookups, &server);
        if (!r)
                r = nipc_server_start(server);
        if (r < 0)
                fail("server", r);
        stay_on(0);
        return server;
}

static struct nipc_client *open_client(const char *service, uint32_t profile)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc_client *client;
        int r;

        config.run_dir = run_dir;
        config.service = service;
        config.profiles = profile;
        config.max_request_bytes = BUFFER_SIZE;
        r = nipc_client_new(&config, &client);
        if (r < 0)
                fail("client", r);
        nipc_client_refresh(client);
        nipc_client_get_status(client, &status);
        if (status.state != NIPC_CLIENT_STATE_READY || status.profile != profile)
                fail("connecting", -ENOTCONN);
        return client;
}

/* ---- measuring ---------------------------------------------------------------------------- */

/* So that they come over from the other CPU, as they would for whoever reads the answer. */
static void touch(const uint8_t *p, size_t size)
{
        unsigned sum = 0;
        size_t i;

        for (i = 0; i < size; i += 64)
                sum += p[i];
        __asm__ volatile("" : : "r"(sum));
}

static void call_once(struct nipc_client *client, unsigned way)
{
        struct nipc_response response;
        struct nipc_lookup_view view;
        int r;

        if (!way) {
                r = nipc_client_call(client, get_class()->method, now.request, now.request_size, 0,
                                     &response, NULL);
                if (!r && response.payload_size != now.response_size)
                        r = -EBADMSG;
                if (!r)
                        touch(response.payload, response.payload_size);
        } else {
                if (now.is_apps)
                        r = nipc_client_apps_lookup(client, pids, now.n_keys, 0, &view);
                else
                        r = nipc_client_cgroups_lookup(client, path_pointers, now.n_keys, 0, &view);
                if (!r && view.item_count != now.n_keys)
                        r = -EBADMSG;
        }
        if (r)
                fail(way_names[way], r);
}

/* The bytes that go both ways. */
static void prepare(void)
{
        const struct nipc_lookup_keys keys =
                now.is_apps ? nipc_lookup_keys_of_pids(pids, now.n_keys)
                            : nipc_lookup_keys_of_strings(path_pointers, now.n_keys);
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        int r;

        r = nipc_lookup_request_encode(get_class(), &keys, 0, now.n_keys, now.request, BUFFER_SIZE,
                                       &now.request_size);
        if (!r)
                r = nipc_lookup_request_view_init(&view, get_class(), now.request, now.request_size,
                                                  NULL);
        if (!r)
                r = nipc_lookup_builder_init(&builder, &view, now.response, BUFFER_SIZE);
        if (!r)
                r = lookup(NULL, &view, &builder);
        if (!r)
                r = nipc_lookup_builder_finish(&builder, &now.response_size);
        if (r)
                fail("encoding", EBADMSG);
}

static double measure(struct nipc_client *client, unsigned way)
{
        uint32_t n_calls = KEYS_PER_ROUND / now.n_keys, i;
        double start;

        if (n_calls > MAX_CALLS_PER_ROUND)
                n_calls = MAX_CALLS_PER_ROUND;
        call_once(client, way); /* both sides are awake */
        start = now_ns();
        for (i = 0; i < n_calls; i++)
                call_once(client, way);
        return (now_ns() - start) / ((double)n_calls * now.n_keys);
}

static void report(struct nipc_client *const *clients, const char *profile, int rounds)
{
        double best[N_WAYS] = {1e12, 1e12, 1e12}, t;
        unsigned way;
        int round;

        prepare();
        for (round = 0; round < rounds; round++) {
                for (way = 0; way < N_WAYS; way++) {
                        t = measure(clients[way], way);
                        best[way] = t < best[way] ? t : best[way];
                }
        }
        printf("%-8s %-7s %4u %-7s", profile, now.is_apps ? "apps" : "cgroups",
               (unsigned)now.n_keys, now.is_known ? "known" : "unknown");
        for (way = 0; way < N_WAYS; way++)
                printf("  %s %7.1f (%.2f)", way_names[way], best[way], best[way] / best[0]);
        printf("  above raw, per call: %.0f\n", (best[1] - best[0]) * now.n_keys);
        fflush(stdout);
}

static void bench(uint32_t profile, const char *name, bool is_apps, int rounds)
{
        static const uint32_t counts[] = {16, 256, MAX_KEYS};
        struct nipc_client *clients[N_WAYS];
        struct nipc_server *copier, *lookups;
        unsigned i;

        now.is_apps = is_apps;
        copier = start_server("copier", profile, true);
        lookups = start_server("lookups", profile, false);
        clients[0] = open_client("copier", profile);
        clients[1] = clients[0];
        clients[2] = open_client("lookups", profile);
        for (i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
                now.n_keys = counts[i / 2];
                now.is_known = i % 2;
                report(clients, name, rounds);
        }
        nipc_client_free(clients[0]);
        nipc_client_free(clients[2]);
        nipc_server_free(lookups);
        nipc_server_free(copier);
}

int main(int argc, char **argv)
{
        const char *tmp = getenv("TMPDIR");
        int rounds = argc > 1 ? atoi(argv[1]) : DEFAULT_ROUNDS, is_apps;

        snprintf(run_dir, sizeof(run_dir), "%s/bench-lookup-XXXXXX",
                 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
        now.request = malloc(BUFFER_SIZE);
        now.response = malloc(BUFFER_SIZE);
        if (!now.request || !now.response || !mkdtemp(run_dir))
                fail("start", errno);
        fill_keys();
        for (is_apps = 0; is_apps < 2; is_apps++) {
                bench(NIPC_PROFILE_BASELINE, "baseline", is_apps, rounds);
                if (nipc_profile_get_available() & NIPC_PROFILE_RING)
                        bench(NIPC_PROFILE_RING, "ring", is_apps, rounds);
        }
        free(now.request);
        free(now.response);
        rmdir(run_dir);
        return EXIT_SUCCESS;
}
