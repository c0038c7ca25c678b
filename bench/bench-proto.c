/* SPDX-License-Identifier: MIT */

/*
 * What the codecs cost: ns for a header there and back, ns per item to build and to decode a
 * snapshot, ns per key of a lookup: its question written, checked, answered, the answer checked, in
 * one process and with nothing looked up. Each figure is the best of several rounds, because on a
 * shared machine everything that is not the code only adds. It measures one thread with warm
 * caches, not a system.
 *
 * Usage: bench-proto [ROUNDS]
 */

#include <nipc/proto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
        DEFAULT_ROUNDS = 20, /* chosen, not tuned: about a second in all */
        ITEM_MAX = 1000,
        KEY_MAX = 8192,
        BUFFER_SIZE = 2 * 1024 * 1024,
        ITEMS_PER_ROUND = 200000,
        HEADERS_PER_ROUND = 1000000,
};

static uint8_t buffer[BUFFER_SIZE];
static uint8_t question[BUFFER_SIZE];
static char key_texts[KEY_MAX][64];
static const char *key_paths[KEY_MAX];
static uint32_t key_pids[KEY_MAX];
static char names[ITEM_MAX][64];
static char paths[ITEM_MAX][128];
static struct nipc_cgroups_snapshot_item items[ITEM_MAX];

/* The compiler must suppose that p is read and all memory written here. */
static void keep(const void *p)
{
        __asm__ volatile("" : : "r"(p) : "memory");
}

static double now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void fail(const char *what)
{
        fprintf(stderr, "bench-proto: %s\n", what);
        exit(EXIT_FAILURE);
}

/* Names and paths as long as those of containers on a node. */
static void items_fill(void)
{
        uint32_t i;

        for (i = 0; i < ITEM_MAX; i++) {
                int n = snprintf(names[i], sizeof(names[i]), "cgroup-%04u", (unsigned)i);
                int p = snprintf(paths[i], sizeof(paths[i]), "/sys/fs/cgroup/system.slice/%04u",
                                 (unsigned)i);

                items[i] = (struct nipc_cgroups_snapshot_item){
                        .hash = i * 2654435761u,
                        .enabled = 1,
                        .name = names[i],
                        .name_len = (uint32_t)n,
                        .path = paths[i],
                        .path_len = (uint32_t)p,
                };
        }
}

static double header_round(void)
{
        struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .payload_len = 8,
                .item_count = 1,
        };
        double start = now_ns();
        uint32_t i;

        for (i = 0; i < HEADERS_PER_ROUND; i++) {
                header.message_id++;
                nipc_header_encode(&header, buffer);
                keep(buffer);
                if (nipc_header_decode(buffer, NIPC_HEADER_SIZE, &header, NULL))
                        fail("a header did not decode");
                keep(&header);
        }
        return (now_ns() - start) / HEADERS_PER_ROUND;
}

static size_t snapshot_build(uint32_t n)
{
        struct nipc_cgroups_snapshot_builder builder;
        size_t size = 0;
        uint32_t i;

        nipc_cgroups_snapshot_builder_init(&builder, buffer, sizeof(buffer), n);
        for (i = 0; i < n; i++)
                nipc_cgroups_snapshot_builder_add(&builder, &items[i]);
        if (nipc_cgroups_snapshot_builder_finish(&builder, 1, 1, &size))
                fail("a snapshot did not build");
        return size;
}

static void snapshot_decode(size_t size, uint32_t n)
{
        struct nipc_cgroups_snapshot_view view;
        struct nipc_cgroups_snapshot_item item;
        uint32_t i;

        if (nipc_cgroups_snapshot_view_init(&view, buffer, size, NULL) || view.item_count != n)
                fail("a snapshot did not decode");
        for (i = 0; i < n; i++) {
                if (nipc_cgroups_snapshot_view_get(&view, i, &item, NULL))
                        fail("an item did not decode");
                keep(&item);
        }
}

static double build_round(uint32_t n)
{
        double start = now_ns();
        uint32_t done;

        for (done = 0; done < ITEMS_PER_ROUND; done += n) {
                snapshot_build(n);
                keep(buffer);
        }
        return (now_ns() - start) / done;
}

static double decode_round(uint32_t n)
{
        size_t size = snapshot_build(n);
        double start = now_ns();
        uint32_t done;

        for (done = 0; done < ITEMS_PER_ROUND; done += n)
                snapshot_decode(size, n);
        return (now_ns() - start) / done;
}

enum answer {
        ANSWER_KNOWN,
        ANSWER_UNKNOWN,
        ANSWER_MIXED, /* by turns */
};

static void keys_fill(void)
{
        uint32_t i;

        for (i = 0; i < KEY_MAX; i++) {
                snprintf(key_texts[i], sizeof(key_texts[i]), "/system.slice/service-%u.service",
                         (unsigned)i);
                key_paths[i] = key_texts[i];
                key_pids[i] = i + 1;
        }
}

static int cgroup_add(struct nipc_lookup_builder *builder, const void *key, size_t size)
{
        const struct nipc_cgroups_lookup_item item = {
                .orchestrator = NIPC_ORCHESTRATOR_SYSTEMD,
                .path = {key, size},
                .name = {"service-name", 12},
        };

        return nipc_cgroups_lookup_builder_add(builder, &item);
}

static int app_add(struct nipc_lookup_builder *builder, const void *key, size_t size)
{
        const struct nipc_apps_lookup_item item = {
                .orchestrator = NIPC_ORCHESTRATOR_SYSTEMD,
                .pid = nipc_apps_lookup_key_pid(key),
                .ppid = 1,
                .starttime = 5,
                .comm = {"comm", 4},
                .cgroup_path = {"/system.slice/foo.service", 25},
                .cgroup_name = {"foo.service", 11},
        };

        return nipc_apps_lookup_builder_add(builder, &item);
}

/* A lookup method as the bench uses it. */
struct lookup {
        const char *name;
        const struct nipc_lookup_class *(*get_class)(void);
        int (*add)(struct nipc_lookup_builder *builder, const void *key, size_t size);
        uint16_t unknown;
};

static const struct lookup lookups[] = {
        {"cgroups", nipc_cgroups_lookup_get_class, cgroup_add,
         NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT},
        {"apps", nipc_apps_lookup_get_class, app_add, NIPC_APPS_LOOKUP_UNKNOWN},
};

static void answer(const struct lookup *lookup, const struct nipc_lookup_request_view *request,
                   enum answer kind, size_t *ret_size)
{
        struct nipc_lookup_builder builder;
        const void *key;
        size_t size;
        uint32_t i;
        int r = 0;

        nipc_lookup_builder_init(&builder, request, buffer, sizeof(buffer));
        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &size);
                if (kind == ANSWER_KNOWN || (kind == ANSWER_MIXED && i % 2))
                        r |= lookup->add(&builder, key, size);
                else
                        r |= nipc_lookup_builder_add_status(&builder, key, size, lookup->unknown);
        }
        if (r || nipc_lookup_builder_finish(&builder, ret_size))
                fail("a lookup was not answered");
}

static double lookup_round(const struct lookup *lookup, enum answer kind, uint32_t n)
{
        const struct nipc_lookup_class *class_ = lookup->get_class();
        const struct nipc_lookup_keys keys = class_->key_size
                                                     ? nipc_lookup_keys_of_pids(key_pids, n)
                                                     : nipc_lookup_keys_of_strings(key_paths, n);
        struct nipc_lookup_request_view request;
        struct nipc_lookup_view view;
        double start = now_ns();
        uint32_t done;
        size_t size;

        for (done = 0; done < ITEMS_PER_ROUND; done += n) {
                if (nipc_lookup_request_encode(class_, &keys, 0, n, question, sizeof(question),
                                               &size) ||
                    nipc_lookup_request_view_init(&request, class_, question, size, NULL))
                        fail("a lookup was not asked");
                answer(lookup, &request, kind, &size);
                if (nipc_lookup_view_init(&view, class_, buffer, size, NULL) ||
                    view.item_count != n)
                        fail("a lookup did not decode");
                keep(&view);
        }
        return (now_ns() - start) / done;
}

enum { N_LOOKUP_ROWS = 2 * 3 * 3 };

/* Runs all rows once, and keeps the best of each; or prints them. */
static void lookup_rows(double best[N_LOOKUP_ROWS], bool print)
{
        static const char *const kinds[] = {"known", "unknown", "mixed"};
        static const uint32_t counts[] = {16, 256, KEY_MAX};
        size_t i, row = 0;
        double t;
        int kind;

        for (; row < N_LOOKUP_ROWS; row++) {
                const struct lookup *lookup = &lookups[row / 9];

                kind = (int)(row / 3 % 3);
                i = row % 3;
                if (print) {
                        printf("%-7s lookup of %4u, %-7s per key %6.2f ns\n", lookup->name,
                               (unsigned)counts[i], kinds[kind], best[row]);
                        continue;
                }
                t = lookup_round(lookup, (enum answer)kind, counts[i]);
                best[row] = best[row] == 0 || t < best[row] ? t : best[row];
        }
}

int main(int argc, char **argv)
{
        static const uint32_t counts[] = {16, 1000};
        int rounds = argc > 1 ? atoi(argv[1]) : DEFAULT_ROUNDS;
        double header = 1e9, build[2] = {1e9, 1e9}, decode[2] = {1e9, 1e9}, t;
        double lookup[N_LOOKUP_ROWS] = {0};
        size_t i;
        int round;

        items_fill();
        keys_fill();
        /* Interleaved, so that a slow spell of the machine meets all of them. */
        for (round = 0; round < rounds; round++) {
                t = header_round();
                header = t < header ? t : header;
                for (i = 0; i < 2; i++) {
                        t = build_round(counts[i]);
                        build[i] = t < build[i] ? t : build[i];
                        t = decode_round(counts[i]);
                        decode[i] = t < decode[i] ? t : decode[i];
                }
                lookup_rows(lookup, false);
        }
        printf("header encode+decode              %6.2f ns\n", header);
        for (i = 0; i < 2; i++) {
                printf("snapshot of %4u: build per item  %6.2f ns\n", (unsigned)counts[i],
                       build[i]);
                printf("snapshot of %4u: decode per item %6.2f ns\n", (unsigned)counts[i],
                       decode[i]);
        }
        lookup_rows(lookup, true);
        return EXIT_SUCCESS;
}
