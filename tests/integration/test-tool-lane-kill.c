/* SPDX-License-Identifier: MIT */

/*
 * What `nipc lane record` has taken survives whoever is killed. The agent is, at random points:
 * then the recording has every record whose write had returned, and the recorder ends by itself.
 * The recorder is, and another one goes on with the same file: then nothing is missing in it, and
 * nothing is there twice.
 *
 * `test-tool-lane-kill --rounds N --seed S` for more of it.
 */

#include "util-env.h"
#include "util-lane.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/lane-file.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static unsigned rounds = 6;
static uint64_t random_state = 1;

/* What the agent tells. */
struct progress {
        _Atomic uint64_t n_sent; /* writes that returned */
        _Atomic bool is_ready, is_stopped;
};

static struct progress *progress;

static uint64_t draw(uint64_t below)
{
        return tap_random(&random_state) % below;
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

static _Noreturn void be_agent(const char *path, uint32_t policy)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        config.path = path;
        config.policy = policy;
        config.n_lanes = 1;
        config.n_rings = 4;
        config.ring_bytes = 4096;
        config.block_timeout_ms = 600000;
        if (nipc_lane_pool_new(&config, &pool) < 0 || nipc_lane_lease(pool, &lane) < 0)
                _exit(1);
        atomic_store(&progress->is_ready, true);
        for (uint64_t i = 0; !atomic_load(&progress->is_stopped); i++) {
                const struct util_lane_item item = util_lane_item(i);

                nipc_lane_put(lane, 1, &item, sizeof(item));
                atomic_store(&progress->n_sent, i + 1);
        }
        nipc_lane_pool_free(pool);
        _exit(0);
}

static pid_t start_agent(const char *path, uint32_t policy)
{
        pid_t pid;

        memset(progress, 0, sizeof(*progress));
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                be_agent(path, policy);
        while (!atomic_load(&progress->is_ready))
                sched_yield();
        return pid;
}

static pid_t start_recorder(const char *path, const char *recording)
{
        pid_t pid;
        int fd;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
                dup2(fd, STDOUT_FILENO);
                execl(getenv("NIPC_TOOL"), "nipc", "lane", "record", path, "-o", recording, "-a",
                      (char *)NULL);
                _exit(127);
        }
        return pid;
}

static int wait_for(pid_t pid)
{
        int status = -1;

        util_waiting_for("a process to end");
        waitpid(pid, &status, 0);
        return status;
}

/* Counts what is in the recording, of which nothing may be damaged. */
static bool judge(const char *recording, struct util_lane_tally *tally)
{
        const int fd = open(recording, O_RDONLY | O_CLOEXEC);
        struct nipc_lane_recovery *recovery;
        struct nipc_lane_piece piece;
        int r;

        memset(tally, 0, sizeof(*tally));
        r = nipc_lane_recovery_open(fd, &recovery);
        close(fd);
        if (!tap_eq_int(r, 0))
                return false;
        while ((r = nipc_lane_recovery_next(recovery, &piece)) == 0) {
                if (piece.skip)
                        tally->wrong = "something in it is damaged";
                if (piece.skip || !util_lane_count(tally, &piece.record))
                        break;
        }
        nipc_lane_recovery_free(recovery);
        if (tally->wrong)
                return tap_fail("at %" PRIu64 ": %s", tally->expected, tally->wrong);
        return tap_eq_int(r, -ENODATA);
}

/* ---- the agent is killed --------------------------------------------------------------------- */

static void kill_agent(uint32_t policy)
{
        const char *path = util_path("lanes"), *recording = util_path("recording");
        const uint64_t until = draw(20000);
        struct util_lane_tally tally;
        pid_t agent = start_agent(path, policy), recorder = start_recorder(path, recording);
        uint64_t n_sent;

        while (atomic_load(&progress->n_sent) < until)
                sched_yield();
        kill(agent, SIGKILL);
        wait_for(agent);
        n_sent = atomic_load(&progress->n_sent);
        tap_eq_int(wait_for(recorder), 0);
        if (judge(recording, &tally)) {
                /* One was under way. What was dropped last is told by the lane, or by nobody. */
                if (util_lane_total(&tally) < n_sent || util_lane_total(&tally) > n_sent + 1)
                        tap_fail("%" PRIu64 " received, %" PRIu64 " dropped of %" PRIu64 " sent",
                                 tally.n_received, tally.n_dropped, n_sent);
                if (policy == NIPC_LANE_BLOCK)
                        tap_eq_uint(tally.n_dropped, 0);
        }
        util_remove(path);
        util_remove(recording);
}

static void test_agent_is_killed(void)
{
        tap_require(begin());
        for (unsigned i = 0; i < rounds; i++) {
                util_arm_watchdog();
                kill_agent(i % 3);
        }
        end();
}

/* ---- the recorder is killed ------------------------------------------------------------------ */

static void kill_recorders(uint32_t policy, unsigned n)
{
        const char *path = util_path("lanes"), *recording = util_path("recording");
        const pid_t agent = start_agent(path, policy);
        struct util_lane_tally tally;
        pid_t recorder;
        uint64_t until;

        for (unsigned i = 0; i < n; i++) {
                util_arm_watchdog();
                recorder = start_recorder(path, recording);
                /* With a policy that blocks it goes on only as the recorder does; with others it is
                 * so fast that the recorder would not even begin. */
                until = atomic_load(&progress->n_sent) +
                        draw(policy == NIPC_LANE_BLOCK ? 1000 : 1000000);
                while (atomic_load(&progress->n_sent) < until)
                        sched_yield();
                kill(recorder, SIGKILL);
                wait_for(recorder);
        }
        atomic_store(&progress->is_stopped, true);
        recorder = start_recorder(path, recording);
        tap_eq_int(wait_for(agent), 0);
        tap_eq_int(wait_for(recorder), 0);
        if (judge(recording, &tally)) {
                tap_eq_uint(util_lane_total(&tally), atomic_load(&progress->n_sent));
                tap_note("policy %u: %" PRIu64 " received, %" PRIu64 " dropped", policy,
                         tally.n_received, tally.n_dropped);
        }
        util_remove(path);
        util_remove(recording);
}

static void test_recorder_is_killed(void)
{
        tap_require(begin());
        for (uint32_t policy = 0; policy <= NIPC_LANE_BLOCK; policy++)
                kill_recorders(policy, rounds / 3 + 1);
        end();
}

/* ---- what kills at random hardly ever meet --------------------------------------------------- */

static void make_pool(const char *path, uint64_t n_items)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;

        config.path = path;
        config.n_lanes = 1;
        config.n_rings = 3;
        config.ring_bytes = 4096;
        tap_require(tap_eq_int(nipc_lane_pool_new(&config, &pool), 0));
        tap_eq_int(nipc_lane_lease(pool, &lane), 0);
        for (uint64_t i = 0; i < n_items; i++) {
                const struct util_lane_item item = util_lane_item(i);

                nipc_lane_put(lane, 1, &item, sizeof(item));
        }
        nipc_lane_pool_free(pool);
}

/* Takes so many records, or all up to a gap, of which `less` are not said to be missing. */
static void record_some(struct nipc_lane_reader *reader, const char *recording, unsigned n,
                        uint64_t less)
{
        static uint8_t bytes[65536];
        const uint64_t key = 99;
        size_t size = NIPC_LANE_RECORDING_HEADER_BYTES;
        struct nipc_lane_record record = {0};
        int fd;

        nipc_lane_recording_begin(key, 0, 0, bytes);
        for (; n && record.type != NIPC_LANE_GAP; n--) {
                tap_eq_int(nipc_lane_reader_next(reader, &record), 0);
                if (record.type == NIPC_LANE_GAP)
                        record.n_dropped -= less;
                size += (size_t)nipc_lane_recording_put(key, size, &record, bytes + size,
                                                        sizeof(bytes) - size);
        }
        /* What was begun is no record, nor is room that was made. */
        memset(bytes + size, 0x55, 40);
        memset(bytes + size + 40, 0, sizeof(bytes) - size - 40);
        fd = open(recording, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        tap_eq_int(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
        close(fd);
}

/*
 * A recorder that was killed after it had put a record into the file, and before it had asked for
 * the next one: that record is given out again.
 */
static void go_on(uint64_t n_items, unsigned n_recorded, uint64_t less, bool has_gap)
{
        const char *path = util_path("lanes"), *recording = util_path("recording");
        struct nipc_lane_reader *reader;
        struct util_lane_tally tally;

        make_pool(path, n_items);
        tap_require(tap_eq_int(nipc_lane_reader_open_path(path, &reader), 0));
        record_some(reader, recording, n_recorded, less);
        tap_eq_int(wait_for(start_recorder(path, recording)), 0);
        if (judge(recording, &tally)) {
                tap_eq_uint(util_lane_total(&tally), n_items);
                tap_check((tally.n_dropped != 0) == has_gap);
        }
        nipc_lane_reader_close(reader);
        util_remove(path);
        util_remove(recording);
}

static void test_last_comes_again(void)
{
        go_on(10, 5, 0, false);
        go_on(10, 10, 0, false);
}

static void test_gap_comes_again(void)
{
        go_on(500, 500, 0, true);
        go_on(500, 500, 3, true); /* and has grown */
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_agent_is_killed),
                                                TAP_CASE(test_recorder_is_killed),
                                                TAP_CASE(test_last_comes_again),
                                                TAP_CASE(test_gap_comes_again),
                                                TAP_CASE(test_nothing_leaked)};

        for (; argc > 2; argc -= 2, argv += 2) {
                if (!strcmp(argv[1], "--rounds"))
                        rounds = (unsigned)strtoul(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--seed"))
                        random_state = strtoull(argv[2], NULL, 10) | 1;
                else
                        return 2;
        }
        if (!getenv("NIPC_TOOL"))
                return 2;
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
