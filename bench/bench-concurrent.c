/* SPDX-License-Identifier: MIT */

/*
 * What it brings that requests of one session are handled side by side: one client, DEPTH requests
 * in flight, a handler that blocks for a while (a disk, another service), two workers; one by one,
 * which is the bare row, and with max_concurrent_requests. Ratios are times the time of one by one:
 * 0.5 is twice as fast, which is all that two workers can give. The same for a handler that returns
 * at once shows what the two changes of threads cost.
 */

#define HARNESS_MAX_ROUNDS 15
#include "harness.h"

#include <nipc/increment.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <unistd.h>

#define DEPTH      16u
#define N_REQUESTS 2000u
#define TIMEOUT_MS 30000u

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        const struct timespec *pause = userdata;

        if (pause->tv_nsec)
                nanosleep(pause, NULL);
        *ret_value = value + 1;
        return 0;
}

struct row {
        const char *name;
        struct timespec pause;
        uint32_t max_concurrent_requests;
        unsigned base; /* the row that it is held against */
        struct nipc_server *server;
        struct nipc_session *session;
        uint64_t next_id;
        double ns[HARNESS_MAX_ROUNDS];
};

static struct row rows[] = {
        {.name = "block-one-by-one", .pause = {0, 100000}, .base = 0},
        {.name = "block-side-by-side",
         .pause = {0, 100000},
         .max_concurrent_requests = DEPTH,
         .base = 0},
        {.name = "quick-one-by-one", .base = 2},
        {.name = "quick-side-by-side", .max_concurrent_requests = DEPTH, .base = 2},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void start(struct row *row, const char *run_dir)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment,
                                                       .userdata = &row->pause};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_session_config client = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = client.run_dir = run_dir;
        config.service = client.service = row->name;
        config.n_workers = 2;
        config.max_concurrent_requests = row->max_concurrent_requests;
        CHECK(nipc_server_new_increment(&config, &handler, &row->server) == 0);
        row->next_id = random_u64() >> 1;
        CHECK(nipc_server_start(row->server) == 0);
        CHECK(nipc_session_open(&client, nipc_deadline_after_ms(TIMEOUT_MS), &row->session, NULL) ==
              0);
}

static void ask(struct row *row)
{
        uint8_t payload[NIPC_INCREMENT_SIZE];
        const struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                           .code = NIPC_METHOD_INCREMENT,
                                           .item_count = 1,
                                           .message_id = ++row->next_id};

        nipc_increment_encode(header.message_id, payload);
        CHECK(nipc_session_send(row->session, &header, payload, sizeof(payload),
                                nipc_deadline_after_ms(TIMEOUT_MS)) == 0);
}

/* Each answer is right for its own id, whenever it comes. */
static void hear(struct row *row)
{
        struct nipc_message message;
        uint64_t value;

        CHECK(nipc_session_receive(row->session, nipc_deadline_after_ms(TIMEOUT_MS), &message) ==
              0);
        CHECK(!message.header.transport_status);
        CHECK(!nipc_increment_decode(message.payload, message.payload_size, &value, NULL));
        CHECK(value == message.header.message_id + 1);
}

static double run(struct row *row)
{
        const double begin = now_ns();
        unsigned n;

        for (n = 0; n < N_REQUESTS + DEPTH; n++) {
                if (n >= DEPTH)
                        hear(row);
                if (n < N_REQUESTS)
                        ask(row);
        }
        return (now_ns() - begin) / N_REQUESTS;
}

int main(int argc, char **argv)
{
        char run_dir[] = "/tmp/bench-concurrent-XXXXXX", path[256];
        unsigned i, round;

        read_arguments(argc, argv);
        CHECK(mkdtemp(run_dir));
        for (i = 0; i < N_ROWS; i++)
                start(&rows[i], run_dir);
        for (round = 0; round < n_rounds; round++)
                for (i = 0; i < N_ROWS; i++)
                        rows[i].ns[round] = run(&rows[i]);
        printf("%-18s  ns per request, %u in flight\n%-18s  ", "row", DEPTH, "");
        print_heading();
        for (i = 0; i < N_ROWS; i++) {
                printf("%-18s  ", rows[i].name);
                print_medians(rows[i].ns, rows[rows[i].base].ns);
                nipc_session_close(rows[i].session);
                nipc_server_free(rows[i].server);
                snprintf(path, sizeof(path), "%s/%s.lock", run_dir, rows[i].name);
                unlink(path);
        }
        rmdir(run_dir);
        return EXIT_SUCCESS;
}
