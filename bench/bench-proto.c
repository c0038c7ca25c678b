/* SPDX-License-Identifier: MIT */

/*
 * What the codecs cost: ns for a header there and back, ns per item to build and to decode a
 * snapshot. Each figure is the best of several rounds, because on a shared machine everything that
 * is not the code only adds. It measures one thread with warm caches, not a system.
 *
 * Usage: bench-proto [ROUNDS]
 */

#include <nipc/proto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
        DEFAULT_ROUNDS = 20, /* chosen, not tuned: about a second in all */
        ITEM_MAX = 1000,
        BUFFER_SIZE = 256 * 1024,
        ITEMS_PER_ROUND = 200000,
        HEADERS_PER_ROUND = 1000000,
};

static uint8_t buffer[BUFFER_SIZE];
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

int main(int argc, char **argv)
{
        static const uint32_t counts[] = {16, 1000};
        int rounds = argc > 1 ? atoi(argv[1]) : DEFAULT_ROUNDS;
        double header = 1e9, build[2] = {1e9, 1e9}, decode[2] = {1e9, 1e9}, t;
        size_t i;
        int round;

        items_fill();
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
        }
        printf("header encode+decode              %6.2f ns\n", header);
        for (i = 0; i < 2; i++) {
                printf("snapshot of %4u: build per item  %6.2f ns\n", (unsigned)counts[i],
                       build[i]);
                printf("snapshot of %4u: decode per item %6.2f ns\n", (unsigned)counts[i],
                       decode[i]);
        }
        return EXIT_SUCCESS;
}
