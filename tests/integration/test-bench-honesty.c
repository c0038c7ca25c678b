/* SPDX-License-Identifier: MIT */
/*
 * A benchmark that measures wrong answers is worse than none. Here the real clients of `nipc bench`
 * meet servers that answer wrongly, die, or do not have the profile: each must fail the run.
 */
#include "bench-suite.h"
#include "command.h"
#include "subject-items.h"
#include "subject-memory.h"
#include "subject-nipc.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <nipc/hello.h>
#include <nipc/server.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const struct command command_bench = {.name = "bench"}; /* what failures are said by */

/* ---- servers that lie ----------------------------------------------------------------------- */

static uint64_t lie_every = 16;

static int lie_increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        subject_count(userdata, 1);
        *ret_value = value + (value % lie_every == lie_every - 1 ? 2 : 1); /* not always */
        return 0;
}

static int lie_echo(void *userdata, const struct nipc_request *request, void *response,
                    size_t capacity, size_t *ret_size)
{
        memcpy(response, request->payload, request->payload_size);
        ((uint8_t *)response)[request->payload_size - 1] ^= 1;
        *ret_size = request->payload_size;
        return 0;
}

static int lie_snapshot(void *userdata, struct nipc_cgroups_snapshot_builder *builder, void *buf,
                        size_t capacity, size_t *ret_size)
{
        const uint32_t *n_items = userdata;

        nipc_cgroups_snapshot_builder_init(builder, buf, capacity, *n_items);
        for (uint32_t i = 0; i < *n_items; i++) {
                struct nipc_cgroups_snapshot_item item = {
                        .hash = subject_item_hash(i) + (i + 1 == *n_items),
                };

                nipc_cgroups_snapshot_builder_add(builder, &item);
        }
        return nipc_cgroups_snapshot_builder_finish(builder, 0, 0, ret_size);
}

static int lie_nipc(const struct subject_options *options, int ready_fd)
{
        const struct nipc_increment_handler increment = {sizeof(increment), lie_increment,
                                                         options->served};
        const struct nipc_handler echo = {sizeof(echo), SUBJECT_METHOD, lie_echo, NULL, NULL};
        uint32_t n_items = options->items;
        const struct nipc_cgroups_snapshot_handler snapshot = {sizeof(snapshot), lie_snapshot,
                                                               &n_items};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        int r;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.initial_request_bytes = subject_nipc_request_bytes(options);
        if (options->scenario == SUBJECT_LARGE)
                r = nipc_server_new(&config, &echo, &server);
        else if (options->scenario == SUBJECT_SNAPSHOT)
                r = nipc_server_new_cgroups_snapshot(&config, &snapshot, &server);
        else
                r = nipc_server_new_increment(&config, &increment, &server);
        if (r < 0 || write(ready_fd, "", 1) != 1)
                return -1;
        while (r >= 0)
                r = nipc_server_dispatch(server, 1000);
        return r;
}

/* Right answers, of which the server knows nothing. */
static int serve_uncounted(const struct subject_options *options, int ready_fd)
{
        struct subject_options uncounted = *options;

        uncounted.served = NULL;
        if (options->profile)
                return subject_nipc_serve(&uncounted, ready_fd);
        return subject_bare_epoll.serve(&uncounted, ready_fd);
}

/* Sends back what came, nothing incremented. */
static int lie_seqpacket(const struct subject_options *options, int ready_fd)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), client;
        unsigned char buf[65536];
        ssize_t n;

        g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/bare-seqpacket.sock",
                   options->run_dir);
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ||
            write(ready_fd, "", 1) != 1)
                return -1;
        client = accept(fd, NULL, NULL);
        while ((n = recv(client, buf, sizeof(buf), 0)) > 0)
                if (send(client, buf, (size_t)n, MSG_NOSIGNAL) != n)
                        break;
        return 0;
}

/* Says that it is done with batches and payloads that it never touched, and increments by two. */
static int lie_memory(const struct subject_options *options, int ready_fd)
{
        uint64_t step = options->scenario == SUBJECT_BATCH || options->scenario == SUBJECT_LARGE
                                ? 1
                                : 2,
                 value;
        struct subject_client server;

        memory_begin(options, ready_fd, &server);
        for (uint32_t i = 0; i < UINT32_MAX; i++) {
                struct memory_cell *request = &server.requests[i & server.mask];
                struct memory_cell *response = &server.responses[i & server.mask];

                while (atomic_load(&request->number) != i + 1)
                        sched_yield();
                memcpy(&value, request->message + MEMORY_HEADER_SIZE, sizeof(value));
                value += step;
                memcpy(response->message + MEMORY_HEADER_SIZE, &value, sizeof(value));
                atomic_store(&response->number, i + 1);
                memory_futex_wake(response);
        }
        return 0;
}

static int die(const struct subject_options *options, int ready_fd)
{
        struct subject_client server;

        return memory_begin(options, ready_fd, &server);
}

/* ---- runs ----------------------------------------------------------------------------------- */

struct lie {
        const char *path;
        const struct subject *subject;
        int (*serve)(const struct subject_options *options, int ready_fd); /* NULL: the real one */
        enum subject_scenario scenario;
        uint32_t profile; /* 0: the subject's */
        const char *said;
};

#define UNSERVED "*requests were answered, but 0 were served*"
#define WRONG    "*an answer was not exactly right*"

static const struct lie lies[] = {
        {"nipc/ping-pong", &subject_baseline, lie_nipc, SUBJECT_PING_PONG, 0, WRONG},
        {"nipc/pipeline", &subject_baseline, lie_nipc, SUBJECT_PIPELINE, 0, WRONG},
        {"nipc/batch", &subject_baseline, lie_nipc, SUBJECT_BATCH, 0, WRONG},
        {"nipc/snapshot", &subject_baseline, lie_nipc, SUBJECT_SNAPSHOT, 0, WRONG},
        {"nipc/large", &subject_baseline, lie_nipc, SUBJECT_LARGE, 0, WRONG},
        {"seqpacket/ping-pong", &subject_bare_seqpacket, lie_seqpacket, SUBJECT_PING_PONG, 0,
         WRONG},
        {"seqpacket/pipeline", &subject_bare_seqpacket, lie_seqpacket, SUBJECT_PIPELINE, 0, WRONG},
        {"seqpacket/batch", &subject_bare_seqpacket, lie_seqpacket, SUBJECT_BATCH, 0, WRONG},
        {"shm/ping-pong", &subject_bare_shm, lie_memory, SUBJECT_PING_PONG, 0, WRONG},
        {"shm/pipeline", &subject_bare_shm, lie_memory, SUBJECT_PIPELINE, 0, WRONG},
        {"shm/batch", &subject_bare_shm, lie_memory, SUBJECT_BATCH, 0, WRONG},
        {"shm/large", &subject_bare_shm, lie_memory, SUBJECT_LARGE, 0, WRONG},
        {"futex/ping-pong", &subject_bare_futex, lie_memory, SUBJECT_PING_PONG, 0, WRONG},
        {"spin128/batch", &subject_bare_spin128, lie_memory, SUBJECT_BATCH, 0, WRONG},
        {"shm/dead", &subject_bare_shm, die, SUBJECT_PING_PONG, 0, "*bare-shm: *"},
        {"futex/dead", &subject_bare_futex, die, SUBJECT_PING_PONG, 0, "*reset by peer*"},
        {"spin128/dead", &subject_bare_spin128, die, SUBJECT_PING_PONG, 0, "*reset by peer*"},
        {"nipc/count", &subject_baseline, serve_uncounted, SUBJECT_PING_PONG, 0, UNSERVED},
        {"nipc/count-crowd", &subject_ring, serve_uncounted, SUBJECT_CLIENTS, 0, UNSERVED},
        {"nipc/count-keys", &subject_baseline, serve_uncounted, SUBJECT_LOOKUP, 0, UNSERVED},
        {"epoll/count", &subject_bare_epoll, serve_uncounted, SUBJECT_CLIENTS, 0, UNSERVED},
        /* A profile that nobody has ends in the baseline: that must not be measured. */
        {"downgrade/client", &subject_baseline, NULL, SUBJECT_PING_PONG, 0x40000000,
         "*the session uses baseline: profile not built in*"},
        {"downgrade/session", &subject_baseline, NULL, SUBJECT_PIPELINE, 0x40000000,
         "*the session uses baseline: profile not built in*"},
};

static int run_against(const struct lie *lie)
{
        struct subject subject = *lie->subject;
        struct bench bench = {
                .scenario = lie->scenario,
                .subjects = {&subject},
                .n_subjects = 1,
                .options =
                        {.depth = 4, .items = 20, .bytes = 10000, .n_clients = 3, .server_cpu = -1},
                .duration_ns = 50000000,
                .repeat = 1,
                .csv = stdout,
        };

        if (lie->serve)
                subject.serve = lie->serve;
        if (lie->profile)
                subject.profile = lie->profile;
        return bench_run_scenario(&bench);
}

static void test_lie(gconstpointer data)
{
        const struct lie *lie = data;

        if (g_test_subprocess())
                exit(run_against(lie));
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_failed();
        g_test_trap_assert_stderr(lie->said);
        g_test_trap_assert_stdout_unmatched("*,free,*"); /* no row of it */
}

/* A suite ends with the first wrong answer, and leaves nothing. */
static void test_suite(void)
{
        g_autofree char *base = g_dir_make_tmp("bench-honesty-XXXXXX", NULL);
        g_autofree char *out = g_build_filename(base, "out", NULL);
        g_autoptr(GDir) left = NULL;

        if (g_test_subprocess()) {
                struct subject subject = subject_baseline;
                const struct subject *const subjects[] = {&subject, &subject_bare_seqpacket, NULL};
                const struct bench_suite suite = {.out = g_getenv("BENCH_HONESTY_OUT"),
                                                  .duration_ns = 50000000,
                                                  .repeat = 1,
                                                  .version = "of a test",
                                                  .subjects = subjects,
                                                  .only_subjects = true};

                subject.serve = lie_nipc;
                lie_every = 1000;
                exit(bench_suite_run(&suite));
        }
        g_setenv("BENCH_HONESTY_OUT", out, TRUE);
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_failed();
        g_test_trap_assert_stderr(WRONG);
        left = g_dir_open(base, 0, NULL);
        g_assert_null(g_dir_read_name(left));
        g_rmdir(base);
}

/* ---- the gate ------------------------------------------------------------------------------- */

/* Does a round trip thirty-two times: the machine may be as busy as it likes. */
static int ping_slowly(struct subject_client *client, uint64_t value)
{
        int r = 0;

        for (int i = 0; r == 0 && i < 32; i++)
                r = subject_bare_seqpacket.ping(client, value);
        return r;
}

/* Its server is asked more than it seems. */
static int prepare_slow(struct subject_options *options)
{
        options->served = NULL;
        return 0;
}

static int run_gate(double least)
{
        struct subject slow = subject_bare_seqpacket;
        const struct bench_check checks[] = {
                {SUBJECT_PING_PONG, BENCH_PLACEMENT_SAME, &slow, &subject_bare_seqpacket, least},
                {0},
        };

        slow.name = "slow";
        slow.ping = ping_slowly;
        slow.prepare = prepare_slow;
        return bench_gate_run(checks);
}

static void test_gate_closed(void)
{
        if (g_test_subprocess())
                exit(run_gate(0.5));
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_failed();
        g_test_trap_assert_stderr("*slow against bare-seqpacket: 0.* is below 0.50*");
}

static void test_gate_open(void)
{
        if (g_test_subprocess())
                exit(run_gate(0.0001));
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stdout("*slow against bare-seqpacket: 0.*");
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
                g_autofree char *path = g_strdup_printf("/bench/%s", lies[i].path);

                g_test_add_data_func(path, &lies[i], test_lie);
        }
        g_test_add_func("/bench/suite", test_suite);
        g_test_add_func("/bench/gate/closed", test_gate_closed);
        g_test_add_func("/bench/gate/open", test_gate_open);
        return g_test_run();
}
