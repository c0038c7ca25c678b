/* SPDX-License-Identifier: MIT */

/*
 * What a hit in the cache of lookups costs against what it can cost at best, in one run, rows
 * interleaved. Random order, through the shared library.
 *
 *   pid      keys of 8 bytes. The bare row is a probe made for this benchmark alone: one array of
 *            keys and numbers, multiplied and masked, no seed, no age, nothing counted.
 *   string   keys of about 40 bytes; the bare row hashes 8 bytes at a time, the next one is given
 *            the hash. "dependent" waits for one result before it knows the next key.
 *   sweep    all keys of a list at once, each of them there; per key.
 *
 * The client is replaced by the functions below, so that no server and no socket takes part.
 * --quick does everything once, to see that it works.
 */

#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/lookup-cache.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HARNESS_MAX_ROUNDS 101
#include "harness.h"

enum {
        MAX_ITEMS = 10000,
        N_KEYS = 1 << 16,
        MAX_PATH = 64,
        N_CELLS = 1 << 15,
        GOLDEN_SHIFT = 32,
};

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint8_t payload[16 << 20];
static uint32_t all_pids[2 * MAX_ITEMS]; /* the second half is never in the cache */
static char all_paths[2 * MAX_ITEMS][MAX_PATH];
static uint32_t pids[N_KEYS];
static struct nipc_lookup_key paths[N_KEYS];
static uint64_t path_hashes[N_KEYS];
static volatile uint64_t sink; /* what was found must be computed */

/* ---- the client: always ready, answers from memory ------------------------------------------ */

struct nipc_client {
        char unused;
};

int nipc_client_new(const struct nipc_client_config *config, struct nipc_client **ret_client)
{
        static struct nipc_client client;

        *ret_client = &client;
        return 0;
}

struct nipc_client *nipc_client_free(struct nipc_client *client)
{
        return NULL;
}

bool nipc_client_is_ready(const struct nipc_client *client)
{
        return true;
}

static int answer(struct nipc_lookup_builder *builder, const struct nipc_lookup_class *class_,
                  const void *key, size_t size)
{
        struct nipc_cgroups_lookup_item cgroup = {.path = {key, size}, .name = {"name", 4}};
        struct nipc_apps_lookup_item app = {
                .comm = {"process", 7},
                .cgroup_path = {"/system.slice/unit.service", 26},
                .cgroup_name = {"unit", 4},
        };

        if (!class_->key_size)
                return nipc_cgroups_lookup_builder_add(builder, &cgroup);
        app.pid = nipc_apps_lookup_key_pid(key);
        return nipc_apps_lookup_builder_add(builder, &app);
}

int nipc_client_lookup(struct nipc_client *client, const struct nipc_lookup_class *class_,
                       const struct nipc_lookup_keys *keys, uint32_t timeout_ms,
                       struct nipc_lookup_view *ret_view)
{
        struct nipc_lookup_builder builder;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        size_t size;
        uint32_t i;

        CHECK(nipc_lookup_builder_init_unasked(&builder, class_, payload, sizeof(payload),
                                               keys->n_keys) == 0);
        for (i = 0; i < keys->n_keys; i++) {
                const void *key = keys->get(keys, i, scratch, &size);

                CHECK(answer(&builder, class_, key, size) == 0);
        }
        CHECK(nipc_lookup_builder_finish(&builder, &size) == 0);
        return nipc_lookup_view_init(ret_view, class_, payload, size, NULL) ? -1 : 0;
}

/* ---- the bare probes ------------------------------------------------------------------------- */

static struct {
        struct {
                uint64_t key; /* or the hash of a string; 0: free */
                const char *text;
        } cells[N_CELLS];
        uint32_t mask;
} bare;

static inline uint64_t bare_hash(const char *text, size_t n)
{
        uint64_t state = n, word;

        for (; n >= 8; n -= 8, text += 8) {
                memcpy(&word, text, 8);
                state = (state ^ word) * GOLDEN;
                state ^= state >> 32;
        }
        word = 0;
        memcpy(&word, text, n);
        state = (state ^ word) * GOLDEN;
        return (state ^ state >> 32) | 1;
}

static inline uint32_t bare_find(uint64_t key)
{
        uint32_t at = (uint32_t)((key * GOLDEN) >> GOLDEN_SHIFT) & bare.mask;

        while (bare.cells[at].key != key && bare.cells[at].key)
                at = (at + 1) & bare.mask;
        return at;
}

static void bare_build(uint32_t n_items, bool strings)
{
        uint32_t i, at;

        memset(&bare, 0, sizeof(bare));
        for (bare.mask = 1; bare.mask < 2 * n_items; bare.mask *= 2)
                ;
        CHECK(bare.mask <= N_CELLS);
        bare.mask--;
        for (i = 0; i < n_items; i++) {
                const uint64_t key =
                        strings ? bare_hash(all_paths[i], strlen(all_paths[i])) : all_pids[i];

                at = bare_find(key);
                bare.cells[at].key = key;
                bare.cells[at].text = all_paths[i];
        }
}

static inline bool bare_has(uint64_t hash, const char *path, size_t len)
{
        const uint32_t at = bare_find(hash);

        return bare.cells[at].key && memcmp(bare.cells[at].text, path, len) == 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct nipc_lookup_cache *cache;

static uint64_t run_bare_pid(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += bare.cells[bare_find(pids[i])].key != 0;
        return found;
}

static uint64_t run_pid(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += nipc_lookup_cache_get_pid(cache, pids[i]).bytes != NULL;
        return found;
}

static uint64_t run_key(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++) {
                const uint64_t key = pids[i]; /* on a machine of this byte order */

                found += nipc_lookup_cache_get(cache, &key, sizeof(key)).bytes != NULL;
        }
        return found;
}

/* As a user would: reads what was found. */
static uint64_t run_pid_read(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++) {
                const struct nipc_lookup_item item = nipc_lookup_cache_get_pid(cache, pids[i]);

                if (item.bytes)
                        found += nipc_lookup_item_get_status(item) == NIPC_LOOKUP_STATUS_KNOWN;
        }
        return found;
}

static uint64_t run_pid_dependent(void)
{
        uint64_t found = 0;
        unsigned i, late = 0;

        for (i = 0; i < N_KEYS; i++) {
                const void *bytes = nipc_lookup_cache_get_pid(cache, pids[i ^ late]).bytes;

                found += bytes != NULL;
                late = (unsigned)((uintptr_t)bytes >> 63);
        }
        return found;
}

static uint64_t run_pid_sweep(void)
{
        static struct nipc_lookup_item items[N_KEYS];
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, N_KEYS);

        CHECK(nipc_lookup_cache_sweep(cache, &keys, 0, items) == 0);
        return N_KEYS;
}

static uint64_t run_bare_string(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += bare_has(bare_hash(paths[i].data, paths[i].size), paths[i].data,
                                  paths[i].size);
        return found;
}

static uint64_t run_bare_string_hashed(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += bare_has(path_hashes[i], paths[i].data, paths[i].size);
        return found;
}

static uint64_t run_string(void)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += nipc_lookup_cache_get(cache, paths[i].data, paths[i].size).bytes != NULL;
        return found;
}

static uint64_t run_string_dependent(void)
{
        uint64_t found = 0;
        unsigned i, late = 0;

        for (i = 0; i < N_KEYS; i++) {
                const void *bytes =
                        nipc_lookup_cache_get(cache, paths[i ^ late].data, paths[i ^ late].size)
                                .bytes;

                found += bytes != NULL;
                late = (unsigned)((uintptr_t)bytes >> 63);
        }
        return found;
}

static uint64_t run_string_sweep(void)
{
        static struct nipc_lookup_item items[N_KEYS];
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of(paths, N_KEYS);

        CHECK(nipc_lookup_cache_sweep(cache, &keys, 0, items) == 0);
        return N_KEYS;
}

struct row {
        const char *name;
        uint64_t (*run)(void);
        unsigned bare; /* the row that it is held against */
};

static const struct row pid_rows[] = {
        {"bare pid", run_bare_pid, 0},
        {"pid", run_pid, 0},
        {"8-byte key", run_key, 0},
        {"pid, read", run_pid_read, 0},
        {"pid, dependent", run_pid_dependent, 0},
        {"pid, sweep", run_pid_sweep, 0},
};

static const struct row string_rows[] = {
        {"bare string", run_bare_string, 0},
        {"bare, hash given", run_bare_string_hashed, 0},
        {"string", run_string, 0},
        {"string, dependent", run_string_dependent, 0},
        {"string, sweep", run_string_sweep, 0},
};

/* ---- rounds ---------------------------------------------------------------------------------- */

/* Median; low and high: the middle 80 %. */
static void print_row(uint32_t n_items, const char *name, const double *ns, const double *bare_ns)
{
        printf("%-8u %-18s ", n_items, name);
        print_medians(ns, bare_ns);
}

static void bench_rows(uint32_t n_items, const struct row *rows, unsigned n_rows)
{
        static double ns[8][HARNESS_MAX_ROUNDS];
        unsigned i, k;

        for (i = 0; i < n_rounds; i++)
                for (k = 0; k < n_rows; k++) {
                        const double start = now_ns();

                        sink = rows[k].run();
                        ns[k][i] = (now_ns() - start) / N_KEYS;
                        CHECK(sink == N_KEYS);
                }
        for (k = 0; k < n_rows; k++)
                print_row(n_items, rows[k].name, ns[k], ns[rows[k].bare]);
}

static void fill_and_bench(uint32_t n_items, bool strings)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_lookup_cache_config cache_config = NIPC_LOOKUP_CACHE_CONFIG_INIT;
        uint32_t i, k;

        cache_config.max_age_ms = 3600000;
        CHECK(nipc_lookup_cache_new(&config,
                                    strings ? nipc_cgroups_lookup_get_class()
                                            : nipc_apps_lookup_get_class(),
                                    &cache_config, &cache) == 0);
        for (i = 0; i < n_items; i++)
                if (strings)
                        nipc_lookup_cache_get_string(cache, all_paths[i]);
                else
                        nipc_lookup_cache_get_pid(cache, all_pids[i]);
        CHECK(nipc_lookup_cache_resolve(cache, 0) == 0);
        bare_build(n_items, strings);
        for (i = 0; i < N_KEYS; i++) {
                k = (uint32_t)(random_u64() % n_items);
                pids[i] = all_pids[k];
                paths[i].data = all_paths[k];
                paths[i].size = strlen(all_paths[k]);
                path_hashes[i] = bare_hash(all_paths[k], paths[i].size);
        }
        if (strings)
                bench_rows(n_items, string_rows, sizeof(string_rows) / sizeof(string_rows[0]));
        else
                bench_rows(n_items, pid_rows, sizeof(pid_rows) / sizeof(pid_rows[0]));
        cache = nipc_lookup_cache_free(cache);
}

int main(int argc, char **argv)
{
        static const uint32_t sizes[] = {16, 1000, MAX_ITEMS};
        uint32_t i;

        read_arguments(argc, argv);
        for (i = 0; i < 2 * MAX_ITEMS; i++) {
                all_pids[i] = 1000 + i * 3;
                snprintf(all_paths[i], MAX_PATH, "/system.slice/docker-%010x%05u.scope",
                         (unsigned)random_u64(), i);
        }
        printf("%-8s %-18s ", "items", "row");
        print_heading();
        for (i = 0; i < 3; i++)
                fill_and_bench(sizes[i], false);
        for (i = 0; i < 3; i++)
                fill_and_bench(sizes[i], true);
        return 0;
}
