/* SPDX-License-Identifier: MIT */

/*
 * What it brings that large requests are split: one client, one batch of N_ITEMS at a time, a
 * handler of a microsecond per item, served by one worker (the bare row), by two, and by two that
 * are told not to split. Ratios are times the time of one worker: 0.5 is twice as fast.
 *
 * The handler does a fixed number of dependent steps, counted out at the start so that they take a
 * microsecond: unlike a wait for the clock it does not go on while something else has the CPU. The
 * workers of a server are each kept on a CPU of their own: schedulers may leave two busy threads of
 * a process on one CPU for longer than a round takes as soon as anything runs on the other, however
 * low its priority, and that is not what is measured.
 */

#define HARNESS_MAX_ROUNDS 15
#include "harness.h"

#include <nipc/client.h>
#include <nipc/server.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define N_ITEMS 100000u
#define ITEM_NS 1000.0

static unsigned steps_per_item;

static uint64_t work(uint64_t x, unsigned steps)
{
        for (unsigned i = 0; i < steps; i++)
                x = x * 6364136223846793005u + 1442695040888963407u;
        return x;
}

static uint64_t sink;

static void calibrate(void)
{
        const unsigned steps = 1u << 20;
        double best = 1e18;

        for (unsigned i = 0; i < 20; i++) {
                const double start = now_ns();

                sink += work(i, steps);
                if (now_ns() - start < best)
                        best = now_ns() - start;
        }
        steps_per_item = (unsigned)(ITEM_NS * steps / best);
}

/* The n-th worker of a server to the n-th CPU that we may use, when it is first seen. */
static void pin(atomic_uint *n_workers)
{
#ifdef __linux__
        unsigned skip = atomic_fetch_add(n_workers, 1);
        cpu_set_t all, one;
        int i;

        CPU_ZERO(&all);
        CPU_ZERO(&one);
        if (sched_getaffinity(0, sizeof(all), &all) < 0)
                return;
        skip %= (unsigned)CPU_COUNT(&all);
        for (i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &all) && !skip--)
                        break;
        CPU_SET(i, &one);
        sched_setaffinity(0, sizeof(one), &one);
#endif
}

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        static _Thread_local bool is_pinned;
        const uint64_t zero = work(value, steps_per_item) == 1;

        if (!is_pinned)
                pin(userdata);
        is_pinned = true;
        *ret_value = value + 1 + (zero & (value == 0)); /* needs the work, says value + 1 */
        return 0;
}

struct row {
        const char *name;
        uint32_t n_workers;
        uint32_t split_items;
        atomic_uint n_pinned;
        struct nipc_server *server;
        struct nipc_client *client;
        double ns[HARNESS_MAX_ROUNDS];
};

static struct row rows[] = {
        {.name = "one", .n_workers = 1},
        {.name = "two", .n_workers = 2},
        {.name = "two-whole", .n_workers = 2, .split_items = UINT32_MAX},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static uint64_t values[N_ITEMS], results[N_ITEMS];

static void start(struct row *row, const char *run_dir)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment,
                                                       .userdata = &row->n_pinned};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;

        config.run_dir = client_config.run_dir = run_dir;
        config.service = client_config.service = row->name;
        config.n_workers = row->n_workers;
        config.split_items = row->split_items;
        config.max_request_bytes = config.max_response_bytes = 4u << 20;
        config.max_batch_items = client_config.max_batch_items = N_ITEMS;
        client_config.max_request_bytes = client_config.max_response_bytes = 4u << 20;
        CHECK(nipc_server_new_increment(&config, &handler, &row->server) == 0);
        CHECK(nipc_server_start(row->server) == 0);
        CHECK(nipc_client_new(&client_config, &row->client) == 0);
        nipc_client_refresh(row->client);
        CHECK(nipc_client_is_ready(row->client));
}

static double run(struct row *row)
{
        const double begin = now_ns();
        double took;

        CHECK(nipc_client_increment_batch(row->client, values, N_ITEMS, 0, results) == 0);
        took = now_ns() - begin;
        for (unsigned i = 0; i < N_ITEMS; i++)
                CHECK(results[i] == values[i] + 1);
        return took / N_ITEMS;
}

int main(int argc, char **argv)
{
        char run_dir[] = "/tmp/bench-split-XXXXXX";
        unsigned i, round;

        read_arguments(argc, argv);
        CHECK(mkdtemp(run_dir));
        calibrate();
        for (i = 0; i < N_ITEMS; i++)
                values[i] = random_u64();
        for (i = 0; i < N_ROWS; i++) {
                start(&rows[i], run_dir);
                run(&rows[i]); /* memory is touched, and it is known what an item takes */
        }
        for (round = 0; round < n_rounds; round++)
                for (i = 0; i < N_ROWS; i++)
                        rows[i].ns[round] = run(&rows[i]);
        printf("%-10s  ns per item of a batch of %u\n%-10s  ", "row", N_ITEMS, "");
        print_heading();
        for (i = 0; i < N_ROWS; i++) {
                printf("%-10s  ", rows[i].name);
                print_medians(rows[i].ns, rows[0].ns);
        }
        for (i = 0; i < N_ROWS; i++) {
                nipc_client_free(rows[i].client);
                nipc_server_free(rows[i].server);
        }
        for (i = 0; i < N_ROWS; i++) {
                char path[256];

                snprintf(path, sizeof(path), "%s/%s.lock", run_dir, rows[i].name);
                unlink(path);
        }
        rmdir(run_dir);
        return EXIT_SUCCESS;
}
