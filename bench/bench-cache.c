/* SPDX-License-Identifier: MIT */

/*
 * What the cgroups cache costs against what it can cost at best, in one run, rows interleaved.
 *
 *   lookup   random order, through the shared library, on a held snapshot; the bare row is a probe
 *            made for this benchmark alone: control bytes 16 at a time, packed strings, inline,
 * keys that may be read beyond their end. "guarded" acquires and releases for each lookup,
 *            "dependent" waits for one result before it knows the next key.
 *   build    a refresh without its transfer: check, copy and index a response; the other rows move
 *            the same message through a SEQPACKET socket in packets of 64 KiB: "transfer" to
 * another process, until it has all of it, "copy in, out" in one thread, without any waking.
 *
 * The client is replaced by the functions below, so that no server and no socket takes part.
 * --quick does everything once, to see that it works.
 */

#include <emmintrin.h>
#include <nipc/cgroups-cache.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HARNESS_MAX_ROUNDS 101
#include "harness.h"

enum {
        MAX_ITEMS = 10000,
        MAX_PAYLOAD = 4 << 20,
        MAX_NAME = 64, /* with what a 32-byte compare may read beyond */
        N_KEYS = 1 << 16,
        PACKET = 65536,
};

struct key {
        const char *name;
        uint32_t name_len;
        uint32_t hash;
};

static char names[2 * MAX_ITEMS][MAX_NAME]; /* the second half is never in the cache */
static uint8_t payload[MAX_PAYLOAD];
static size_t payload_size;
static struct key hits[N_KEYS], misses[N_KEYS];
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

int nipc_client_refresh(struct nipc_client *client)
{
        return 0;
}

bool nipc_client_is_ready(const struct nipc_client *client)
{
        return true;
}

enum nipc_client_state nipc_client_get_state(const struct nipc_client *client)
{
        return NIPC_CLIENT_STATE_READY;
}

int nipc_client_cgroups_snapshot(struct nipc_client *client, uint32_t timeout_ms,
                                 struct nipc_cgroups_snapshot_view *ret_view)
{
        return nipc_cgroups_snapshot_view_init(ret_view, payload, payload_size, NULL);
}

/* ---- data ------------------------------------------------------------------------------------ */

static uint32_t djb2(const char *s)
{
        uint32_t h = 5381;

        while (*s)
                h = h * 33 + (unsigned char)*s++;
        return h;
}

static void make_names(void)
{
        static const char *const forms[] = {"unit-%u.service", "system.slice/unit-%u.service",
                                            "user-%u.slice", "machine-%u-qemu.scope"};
        unsigned i;

        for (i = 0; i < 2 * MAX_ITEMS; i++)
                snprintf(names[i], MAX_NAME, forms[random_u64() % 4], i * 7 + 100000);
}

static void make_payload(uint32_t n_items)
{
        struct nipc_cgroups_snapshot_builder builder;
        char path[128];
        uint32_t i;

        nipc_cgroups_snapshot_builder_init(&builder, payload, sizeof(payload), n_items);
        for (i = 0; i < n_items; i++) {
                struct nipc_cgroups_snapshot_item item = {
                        .hash = djb2(names[i]),
                        .options = i,
                        .enabled = 1,
                        .name_len = (uint32_t)strlen(names[i]),
                        .name = names[i],
                        .path = path,
                };

                item.path_len =
                        (uint32_t)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", names[i]);
                CHECK(nipc_cgroups_snapshot_builder_add(&builder, &item) == 0);
        }
        CHECK(nipc_cgroups_snapshot_builder_finish(&builder, 1, 1, &payload_size) == 0);
}

static void make_keys(struct key *keys, uint32_t first, uint32_t n_items)
{
        uint32_t i;

        for (i = 0; i < N_KEYS; i++) {
                const char *name = names[first + random_u64() % n_items];

                keys[i] = (struct key){name, (uint32_t)strlen(name), djb2(name)};
        }
}

/* ---- the bare probe -------------------------------------------------------------------------- */

static struct {
        _Alignas(64) uint8_t tags[4 * MAX_ITEMS];
        struct {
                uint32_t hash;
                uint32_t at;
        } slots[4 * MAX_ITEMS];
        _Alignas(64) char strings[MAX_ITEMS * MAX_NAME];
        uint32_t mask;
} bare;

static inline const char *bare_lookup(uint32_t hash, const char *name, uint32_t len)
{
        const uint64_t mixed = hash * 0x9e3779b97f4a7c15u;
        const __m128i tag = _mm_set1_epi8((char)(mixed >> 57 | 0x80));
        uint32_t g = (uint32_t)(mixed >> 32) & bare.mask;

        for (;; g = (g + 1) & bare.mask) {
                const __m128i tags = _mm_load_si128((const void *)&bare.tags[g * 16]);
                unsigned matches = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, tag));

                for (; matches; matches &= matches - 1) {
                        const uint32_t slot = g * 16 + (uint32_t)__builtin_ctz(matches);
                        const char *s = &bare.strings[bare.slots[slot].at];
                        const unsigned valid = (unsigned)((UINT64_C(1) << len) - 1);
                        __m128i a, b;

                        if (bare.slots[slot].hash != hash || (uint8_t)s[0] != len)
                                continue;
                        a = _mm_cmpeq_epi8(_mm_loadu_si128((const void *)(s + 1)),
                                           _mm_loadu_si128((const void *)name));
                        b = _mm_cmpeq_epi8(_mm_loadu_si128((const void *)(s + 17)),
                                           _mm_loadu_si128((const void *)(name + 16)));
                        if (!(~((unsigned)_mm_movemask_epi8(a) | (unsigned)_mm_movemask_epi8(b)
                                                                         << 16) &
                              valid))
                                return s;
                }
                if (_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_setzero_si128())))
                        return NULL;
        }
}

static void bare_build(uint32_t n_items)
{
        uint32_t n_groups = 1, i, g, slot, at = 0;

        while (n_groups * 8 < n_items)
                n_groups *= 2;
        CHECK(n_groups * 16 <= sizeof(bare.tags));
        memset(&bare, 0, sizeof(bare));
        bare.mask = n_groups - 1;
        for (i = 0; i < n_items; i++) {
                const uint32_t hash = djb2(names[i]), len = (uint32_t)strlen(names[i]);
                const uint64_t mixed = hash * 0x9e3779b97f4a7c15u;

                CHECK(len <= 32);
                g = (uint32_t)(mixed >> 32) & bare.mask;
                for (slot = g * 16; bare.tags[slot]; slot = (slot + 1) % (n_groups * 16))
                        ;
                bare.tags[slot] = (uint8_t)(mixed >> 57 | 0x80);
                bare.slots[slot].hash = hash;
                bare.slots[slot].at = at;
                bare.strings[at] = (char)len;
                memcpy(&bare.strings[at + 1], names[i], len);
                at += 1 + len;
        }
}

/* ---- lookup rows ----------------------------------------------------------------------------- */

static struct nipc_cgroups_cache *cache;
static const struct nipc_cgroups_cache_snapshot *snapshot;

static uint64_t run_bare(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += bare_lookup(keys[i].hash, keys[i].name, keys[i].name_len) != NULL;
        return found;
}

static uint64_t run_cache(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                found += nipc_cgroups_cache_lookup(snapshot, keys[i].hash, keys[i].name,
                                                   keys[i].name_len) != NULL;
        return found;
}

/* As a user would: reads what was found. */
static uint64_t run_cache_read(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++) {
                const struct nipc_cgroup *cgroup =
                        nipc_cgroups_cache_lookup(snapshot, keys[i].hash, keys[i].name,
                                                  keys[i].name_len);

                if (cgroup)
                        found += cgroup->enabled;
        }
        return found;
}

static uint64_t run_guarded(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i;

        for (i = 0; i < N_KEYS; i++) {
                const struct nipc_cgroups_cache_snapshot *held = nipc_cgroups_cache_acquire(cache);

                found += nipc_cgroups_cache_lookup(held, keys[i].hash, keys[i].name,
                                                   keys[i].name_len) != NULL;
                nipc_cgroups_cache_release(cache, held);
        }
        return found;
}

static uint64_t run_guard(const struct key *keys)
{
        unsigned i;

        for (i = 0; i < N_KEYS; i++)
                nipc_cgroups_cache_release(cache, nipc_cgroups_cache_acquire(cache));
        return N_KEYS;
}

static uint64_t run_bare_dependent(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i, late = 0;

        for (i = 0; i < N_KEYS; i++) {
                const struct key *key = &keys[i ^ late];
                const char *s = bare_lookup(key->hash, key->name, key->name_len);

                found += s != NULL;
                late = (unsigned)((uintptr_t)s >> 63);
        }
        return found;
}

static uint64_t run_dependent(const struct key *keys)
{
        uint64_t found = 0;
        unsigned i, late = 0;

        for (i = 0; i < N_KEYS; i++) {
                const struct key *key = &keys[i ^ late];
                const void *item =
                        nipc_cgroups_cache_lookup(snapshot, key->hash, key->name, key->name_len);

                found += item != NULL;
                late = (unsigned)((uintptr_t)item >> 63);
        }
        return found;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

struct row {
        const char *name;
        uint64_t (*run)(const struct key *keys);
        const struct key *keys;
        uint64_t expected;
        unsigned bare; /* the row that it is held against */
        double ns[HARNESS_MAX_ROUNDS];
};

/* Median; low and high: the middle 80 %. */
static void print_row(const char *group, const struct row *row, const struct row *bare_row)
{
        printf("%-8s %-18s ", group, row->name);
        print_medians(row->ns, bare_row->ns);
}

static void bench_lookups(uint32_t n_items)
{
        struct row rows[] = {
                {"bare hit", run_bare, hits, N_KEYS, 0, {0}},
                {"hit", run_cache, hits, N_KEYS, 0, {0}},
                {"hit, read", run_cache_read, hits, N_KEYS, 0, {0}},
                {"guarded hit", run_guarded, hits, N_KEYS, 0, {0}},
                {"bare miss", run_bare, misses, 0, 4, {0}},
                {"miss", run_cache, misses, 0, 4, {0}},
                {"bare dependent", run_bare_dependent, hits, N_KEYS, 6, {0}},
                {"dependent", run_dependent, hits, N_KEYS, 6, {0}},
                {"acquire, release", run_guard, hits, N_KEYS, 0, {0}},
        };
        enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };
        char group[16];
        unsigned i, k;

        make_payload(n_items);
        make_keys(hits, 0, n_items);
        make_keys(misses, MAX_ITEMS, n_items);
        bare_build(n_items);
        CHECK(nipc_cgroups_cache_refresh(cache, 0) == 0);
        snapshot = nipc_cgroups_cache_acquire(cache);
        CHECK(nipc_cgroups_cache_get_count(snapshot) == n_items);

        for (i = 0; i < n_rounds; i++)
                for (k = 0; k < N_ROWS; k++) {
                        const double start = now_ns();

                        sink = rows[k].run(rows[k].keys);
                        rows[k].ns[i] = (now_ns() - start) / N_KEYS;
                        CHECK(sink == rows[k].expected);
                }
        snprintf(group, sizeof(group), "%u", n_items);
        for (k = 0; k < N_ROWS; k++)
                print_row(group, &rows[k], &rows[rows[k].bare]);
        snapshot = nipc_cgroups_cache_release(cache, snapshot);
}

/* ---- build ----------------------------------------------------------------------------------- */

static uint8_t received[MAX_PAYLOAD];

static size_t packet_at(size_t at)
{
        return payload_size - at < PACKET ? payload_size - at : PACKET;
}

/* The other process: has all of a message, says when. */
static void receiver(int fd)
{
        double done;
        size_t at;
        ssize_t n;

        for (;;) {
                for (at = 0; at < payload_size; at += (size_t)n) {
                        n = recv(fd, received + at, PACKET, 0);
                        if (n <= 0)
                                _exit(EXIT_SUCCESS);
                }
                done = now_ns();
                if (send(fd, &done, sizeof(done), 0) != sizeof(done))
                        _exit(EXIT_FAILURE);
        }
}

static double time_transfer(int fd)
{
        const double start = now_ns();
        double done;
        size_t at;

        for (at = 0; at < payload_size; at += packet_at(at))
                CHECK(send(fd, payload + at, packet_at(at), 0) == (ssize_t)packet_at(at));
        CHECK(recv(fd, &done, sizeof(done), 0) == sizeof(done));
        return done - start;
}

static double time_copy(const int *fds)
{
        const double start = now_ns();
        size_t at, n;

        for (at = 0; at < payload_size; at += n) {
                n = packet_at(at);
                CHECK(send(fds[0], payload + at, n, 0) == (ssize_t)n);
                CHECK(recv(fds[1], received + at, PACKET, 0) == (ssize_t)n);
        }
        return now_ns() - start;
}

static double time_refresh(void)
{
        const double start = now_ns();

        CHECK(nipc_cgroups_cache_refresh(cache, 0) == 0);
        return now_ns() - start;
}

static void bench_build(uint32_t n_items)
{
        struct row transfer = {.name = "transfer"}, copy = {.name = "copy in, out"},
                   build = {.name = "check, copy, index"};
        int pair[2], own[2], status;
        char group[16];
        unsigned i;
        pid_t child;

        make_payload(n_items);
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, own) == 0);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
                close(pair[0]);
                receiver(pair[1]);
        }
        close(pair[1]);
        for (i = 0; i < n_rounds; i++) {
                transfer.ns[i] = time_transfer(pair[0]);
                copy.ns[i] = time_copy(own);
                build.ns[i] = time_refresh();
                CHECK(memcmp(received, payload, payload_size) == 0);
        }
        close(pair[0]);
        close(own[0]);
        close(own[1]);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        snprintf(group, sizeof(group), "%u", n_items);
        printf("%s items, %zu bytes, against the transfer\n", group, payload_size);
        print_row(group, &transfer, &transfer);
        print_row(group, &copy, &transfer);
        print_row(group, &build, &transfer);
}

int main(int argc, char **argv)
{
        static const uint32_t sizes[] = {16, 1000, 10000};
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        unsigned i;

        read_arguments(argc, argv);
        make_names();
        CHECK(nipc_cgroups_cache_new(&config, &cache) == 0);
        printf("%-8s %-18s ", "items", "row");
        print_heading();
        for (i = 0; i < 3; i++)
                bench_lookups(sizes[i]);
        for (i = 1; i < 3; i++)
                bench_build(sizes[i]);
        cache = nipc_cgroups_cache_free(cache);
        return 0;
}
