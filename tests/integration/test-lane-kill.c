/* SPDX-License-Identifier: MIT */

/*
 * The agent is killed at random points of its work, and so is the controller, again and again. Of
 * the agent every record whose write had returned is found afterwards, in order, once and whole; of
 * the controller's successor the same, but for the one record that its predecessor had been given
 * last, which comes again if that had not asked for the next.
 *
 * `test-lane-kill --rounds N --seed S` for more of it.
 */

#include "util-env.h"
#include "util-lane.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct {
        unsigned rounds;
        uint64_t random;
} options = {50, 1};

/* What the killed one had done. */
struct progress {
        _Atomic uint64_t n_sent; /* writes that returned */
        _Atomic uint64_t expected;
        _Atomic uint64_t n_again; /* records that came twice */
        _Atomic uint64_t n_wrong;
        _Atomic bool is_ready, is_stopped;
};

static struct progress *progress;

static uint64_t draw(uint64_t below)
{
        options.random ^= options.random << 13;
        options.random ^= options.random >> 7;
        options.random ^= options.random << 17;
        return options.random % below;
}

static bool begin(void)
{
        progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0);
        return tap_check(progress != MAP_FAILED);
}

static void end(void)
{
        munmap(progress, sizeof(*progress));
}

static void get_config(uint32_t kind, uint32_t policy, const char *path,
                       struct nipc_lane_pool_config *config)
{
        *config = (struct nipc_lane_pool_config)NIPC_LANE_POOL_CONFIG_INIT;
        config->path = path;
        config->kind = kind;
        config->policy = policy;
        config->n_lanes = 1;
        config->n_rings = 4;
        config->ring_bytes = 4096;
        config->block_timeout_ms = 600000;
}

/* ---- the agent is killed --------------------------------------------------------------------- */

static _Noreturn void be_agent(const struct nipc_lane_pool_config *config, uint64_t mark_every)
{
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (nipc_lane_pool_new(config, &pool) < 0 || nipc_lane_lease(pool, &lane) < 0)
                _exit(1);
        atomic_store(&progress->is_ready, true);
        for (uint64_t i = 0;; i++) {
                const struct util_lane_item item = util_lane_item(i);

                nipc_lane_put(lane, 1, &item, sizeof(item));
                atomic_store(&progress->n_sent, i + 1);
                if (mark_every && i % mark_every == 0)
                        nipc_lane_mark(lane);
        }
}

static void run_agent(uint32_t kind, uint32_t policy, uint64_t mark_every)
{
        const char *path = util_path("lanes");
        struct util_lane_tally tally = {0};
        struct nipc_lane_pool_config config;
        struct nipc_lane_reader *reader = NULL;
        struct nipc_lane_record record;
        struct nipc_lane_stats stats = NIPC_LANE_STATS_INIT;
        uint64_t until = draw(20000), n_sent, total;
        int status;
        pid_t pid;

        memset(progress, 0, sizeof(*progress));
        get_config(kind, policy, path, &config);
        pid = fork();
        if (pid == 0)
                be_agent(&config, mark_every);
        while (!atomic_load(&progress->is_ready))
                sched_yield();
        if (!tap_eq_int(nipc_lane_reader_open_path(path, &reader), 0))
                goto out;
        tap_check(!nipc_lane_reader_is_orphan(reader));
        while (atomic_load(&progress->n_sent) < until && !tally.wrong)
                if (nipc_lane_reader_next(reader, &record) == 0)
                        util_lane_count(&tally, &record);
                else if (draw(4) == 0)
                        nipc_lane_reader_wait(reader, 0);
out:
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        n_sent = atomic_load(&progress->n_sent);
        tap_require(reader != NULL);
        if (draw(2)) { /* the controller has started anew meanwhile */
                nipc_lane_reader_close(reader);
                tap_eq_int(nipc_lane_reader_open_path(path, &reader), 0);
        }
        util_lane_drain(reader, &tally);
        total = util_lane_total(&tally);
        if (tally.wrong)
                tap_fail("at %" PRIu64 " of %" PRIu64 ": %s", tally.expected, n_sent, tally.wrong);
        /* One was under way. */
        if (total < n_sent || total > n_sent + 1)
                tap_fail("%" PRIu64 " received, %" PRIu64 " dropped, %" PRIu64
                         " recycled of %" PRIu64 " sent",
                         tally.n_received, tally.n_dropped, tally.n_recycled, n_sent);
        if (policy == NIPC_LANE_BLOCK)
                tap_eq_uint(tally.n_dropped, 0);
        tap_check(nipc_lane_reader_is_orphan(reader));
        tap_eq_int(nipc_lane_reader_get_stats(reader, 0, &stats), 0);
        tap_eq_uint(stats.n_violations, 0);
        tap_eq_uint(stats.torn_bytes, 0);
        tap_eq_uint(stats.is_leased, 0);
        nipc_lane_reader_close(reader);
        util_remove(path);
}

static void test_agent_is_killed(void)
{
        tap_require(begin());
        for (unsigned i = 0; i < options.rounds; i++)
                run_agent(NIPC_LANE_INDEX, i % 3, 0);
        end();
}

static void test_flight_recorder_is_killed(void)
{
        tap_require(begin());
        for (unsigned i = 0; i < options.rounds; i++)
                run_agent(NIPC_LANE_DETAIL, i % 3, draw(2) ? draw(1000) + 1 : 0);
        end();
}

/* ---- the controller is killed ---------------------------------------------------------------- */

static _Noreturn void be_controller(int fd)
{
        struct nipc_lane_reader *reader;
        struct nipc_lane_record record;
        struct util_lane_tally tally = {.expected = atomic_load(&progress->expected)};
        bool is_first = true;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (nipc_lane_reader_open(fd, -1, &reader) < 0)
                _exit(1);
        for (;;) {
                if (nipc_lane_reader_next(reader, &record) < 0) {
                        nipc_lane_reader_wait(reader, util_soon());
                        continue;
                }
                /* Its predecessor did not say that it had it. */
                if (is_first && record.sequence < tally.expected) {
                        const uint64_t n = record.type == NIPC_LANE_GAP
                                                   ? record.n_dropped + record.n_recycled
                                                   : 1;

                        is_first = false;
                        atomic_fetch_add(&progress->n_again, 1);
                        if (record.sequence + n == tally.expected)
                                continue;
                }
                is_first = false;
                if (!util_lane_count(&tally, &record)) {
                        printf("# controller: at %" PRIu64 ": %s\n", tally.expected, tally.wrong);
                        atomic_fetch_add(&progress->n_wrong, 1);
                        _exit(1);
                }
                atomic_store(&progress->expected, tally.expected);
        }
}

struct writer {
        struct nipc_lane_pool *pool;
        uint64_t n_sent;
};

static void *write_on(void *arg)
{
        struct writer *writer = arg;
        struct nipc_lane *lane;

        if (!tap_eq_int(nipc_lane_lease(writer->pool, &lane), 0))
                return NULL;
        while (!atomic_load(&progress->is_stopped)) {
                const struct util_lane_item item = util_lane_item(writer->n_sent++);

                nipc_lane_put(lane, 1, &item, sizeof(item));
        }
        nipc_lane_return(lane);
        return NULL;
}

static pid_t start_controller(int fd)
{
        pid_t pid = fork();

        if (pid == 0)
                be_controller(fd);
        return pid;
}

static void run_controllers(uint32_t policy, unsigned rounds)
{
        struct nipc_lane_pool_config config;
        struct writer writer = {0};
        pthread_t thread;
        uint64_t until;
        int status;
        pid_t pid;

        memset(progress, 0, sizeof(*progress));
        get_config(NIPC_LANE_INDEX, policy, NULL, &config);
        tap_require(tap_eq_int(nipc_lane_pool_new(&config, &writer.pool), 0));
        tap_require(pthread_create(&thread, NULL, write_on, &writer) == 0);
        for (unsigned i = 0; i < rounds && !atomic_load(&progress->n_wrong); i++) {
                until = atomic_load(&progress->expected) + draw(5000);
                pid = start_controller(nipc_lane_pool_get_fd(writer.pool));
                while (atomic_load(&progress->expected) < until && !atomic_load(&progress->n_wrong))
                        sched_yield();
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
        }
        atomic_store(&progress->is_stopped, true);
        /* The last one takes the rest. */
        pid = start_controller(nipc_lane_pool_get_fd(writer.pool));
        pthread_join(thread, NULL);
        while (atomic_load(&progress->expected) < writer.n_sent && !atomic_load(&progress->n_wrong))
                sched_yield();
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        tap_eq_uint(atomic_load(&progress->n_wrong), 0);
        tap_eq_uint(atomic_load(&progress->expected), writer.n_sent);
        tap_note("policy %u: %" PRIu64 " records, %" PRIu64 " given out again", policy,
                 writer.n_sent, atomic_load(&progress->n_again));
        nipc_lane_pool_free(writer.pool);
}

static void test_controller_is_killed(void)
{
        tap_require(begin());
        for (uint32_t policy = 0; policy <= NIPC_LANE_BLOCK; policy++)
                run_controllers(policy, options.rounds / 3 + 1);
        end();
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_agent_is_killed),
                                                TAP_CASE(test_flight_recorder_is_killed),
                                                TAP_CASE(test_controller_is_killed),
                                                TAP_CASE(test_nothing_leaked)};

        for (; argc > 2; argc -= 2, argv += 2) {
                if (!strcmp(argv[1], "--rounds"))
                        options.rounds = (unsigned)strtoul(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--seed"))
                        options.random = strtoull(argv[2], NULL, 10) | 1;
                else
                        return 2;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
