/* SPDX-License-Identifier: MIT */

/*
 * Long streams from one process to another: with the blocking policy every record comes once and in
 * order; with the others what is received and what is told to be dropped is what was sent. Threads
 * that come and go, and handlers that interrupt writes, as well.
 *
 * `test-lane-stream --records N` for longer ones.
 */

#include "stdaux.h"
#include "util-env.h"
#include "util-lane.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define N_THREADS    64u
#define N_ROUNDS     20u
#define N_PER_THREAD 300u

static uint64_t n_records = 10000000;

/* ---- one writer ------------------------------------------------------------------------------ */

static _Noreturn void be_controller(int fd, int wake_fd, uint64_t n)
{
        struct util_lane_tally tally = {0};
        struct nipc_lane_reader *reader;
        struct nipc_lane_record record;

        if (nipc_lane_reader_open(fd, wake_fd, &reader) < 0)
                _exit(1);
        while (util_lane_total(&tally) < n)
                if (nipc_lane_reader_next(reader, &record) < 0)
                        nipc_lane_reader_wait(reader, util_soon());
                else if (!util_lane_count(&tally, &record))
                        break;
        if (tally.wrong)
                printf("# at %" PRIu64 ": %s\n", tally.expected, tally.wrong);
        printf("# %" PRIu64 " received, %" PRIu64 " dropped in %" PRIu64 " places\n",
               tally.n_received, tally.n_dropped, tally.n_gaps);
        fflush(stdout);
        _exit(util_lane_total(&tally) != n);
}

static void stream(uint32_t policy, const char *path)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;
        uint64_t n_refused = 0;
        int status = -1;
        pid_t pid;

        config.path = path;
        config.policy = policy;
        config.n_lanes = 1;
        config.block_timeout_ms = 100000;
        tap_require(tap_eq_int(nipc_lane_pool_new(&config, &pool), 0));
        tap_require(tap_eq_int(nipc_lane_lease(pool, &lane), 0));
        pid = fork();
        if (pid == 0)
                be_controller(nipc_lane_pool_get_fd(pool), nipc_lane_pool_get_wake_fd(pool),
                              n_records);
        for (uint64_t i = 0; i < n_records; i++) {
                const struct util_lane_item item = util_lane_item(i);

                n_refused += nipc_lane_put(lane, 1, &item, sizeof(item)) < 0;
                if (i % 10000000 == 0)
                        util_arm_watchdog();
        }
        nipc_lane_return(lane);
        waitpid(pid, &status, 0);
        tap_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        if (policy != NIPC_LANE_DROP_NEWEST)
                tap_eq_uint(n_refused, 0);
        nipc_lane_pool_free(pool);
        if (path)
                util_remove(path);
}

static void test_blocking(void)
{
        stream(NIPC_LANE_BLOCK, NULL);
}

static void test_dropping(void)
{
        stream(NIPC_LANE_DROP_NEWEST, NULL);
}

static void test_overwriting(void)
{
        stream(NIPC_LANE_OVERWRITE_OLDEST, NULL);
}

static void test_file(void)
{
        stream(NIPC_LANE_BLOCK, util_path("lanes"));
}

/* ---- many ------------------------------------------------------------------------------------ */

static struct nipc_lane_pool *the_pool;

static void *write_few(void *arg)
{
        struct nipc_lane *lane;

        while (nipc_lane_lease_thread(the_pool, &lane) == -EAGAIN)
                sched_yield(); /* all of them are to be drained */
        for (uint64_t i = 0; i < N_PER_THREAD; i++)
                if (nipc_lane_put(lane, 1, &i, sizeof(i)) < 0)
                        tap_fail("a record is refused");
        return NULL;
}

static void *start_threads(void *arg)
{
        pthread_t threads[N_THREADS];

        for (unsigned round = 0; round < N_ROUNDS; round++) {
                for (unsigned i = 0; i < N_THREADS; i++)
                        if (pthread_create(&threads[i], NULL, write_few, NULL) != 0)
                                tap_fail("no thread");
                for (unsigned i = 0; i < N_THREADS; i++)
                        pthread_join(threads[i], NULL);
        }
        return NULL;
}

static void test_threads_come_and_go(void)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        uint64_t n = 0, next[N_THREADS / 2] = {0}, epochs[N_THREADS / 2] = {0};
        struct nipc_lane_reader *reader;
        struct nipc_lane_record record;
        pthread_t starter;
        bool is_right = true;

        config.n_lanes = N_THREADS / 2; /* too few, so that they are handed on */
        config.n_rings = 4;
        config.ring_bytes = 4096;
        config.policy = NIPC_LANE_BLOCK;
        tap_require(tap_eq_int(nipc_lane_pool_new(&config, &the_pool), 0));
        tap_require(
                tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(the_pool), -1, &reader), 0));
        tap_require(pthread_create(&starter, NULL, start_threads, NULL) == 0);
        while (n < (uint64_t)N_ROUNDS * N_THREADS * N_PER_THREAD && is_right) {
                uint64_t value;

                if (nipc_lane_reader_next(reader, &record) < 0) {
                        nipc_lane_reader_wait(reader, util_soon());
                        continue;
                }
                if (epochs[record.lane] != record.epoch)
                        next[record.lane] = 0;
                epochs[record.lane] = record.epoch;
                memcpy(&value, record.data, sizeof(value));
                is_right = tap_eq_uint(record.type, 1) && tap_eq_uint(value, next[record.lane]++);
                n++;
        }
        pthread_join(starter, NULL);
        nipc_lane_reader_close(reader);
        nipc_lane_pool_free(the_pool);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static struct nipc_lane *the_lane;
static _Atomic uint64_t n_handled, n_handler_refused;
static _Atomic bool is_over;

static void handle(int signal)
{
        const uint64_t number = n_handled++;

        for (unsigned i = 0; i < 3; i++)
                if (nipc_lane_put(the_lane, 2, (const void *)&number, sizeof(number)) < 0)
                        n_handler_refused++;
}

static void *disturb(void *arg)
{
        while (!atomic_load(&is_over))
                pthread_kill(*(pthread_t *)arg, SIGUSR1);
        return NULL;
}

static void *take_all(void *arg)
{
        struct nipc_lane_reader *reader = arg;
        struct nipc_lane_record record;
        uint64_t next = 0, handled = 0, value, expected = 0, n_dropped = 0;

        for (;;) {
                if (nipc_lane_reader_next(reader, &record) < 0) {
                        if (nipc_lane_reader_is_orphan(reader))
                                break;
                        nipc_lane_reader_wait(reader, nipc_deadline_after_ms(50));
                        continue;
                }
                if (!tap_eq_uint(record.sequence, expected))
                        break;
                expected += record.type == NIPC_LANE_GAP ? record.n_dropped : 1;
                n_dropped += record.n_dropped;
                if (record.type == NIPC_LANE_GAP)
                        continue;
                memcpy(&value, record.data, sizeof(value));
                if (record.type == 1 && !tap_eq_uint(value, next++))
                        break;
                if (record.type == 2)
                        handled++;
        }
        tap_eq_uint(n_dropped, n_handler_refused);
        tap_eq_uint(handled + n_handler_refused, 3 * n_handled);
        tap_note("%" PRIu64 " records, %" PRIu64 " of handlers, %" PRIu64 " dropped", next, handled,
                 n_dropped);
        return NULL;
}

static void test_handlers_write(void)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
        struct nipc_lane_reader *reader;
        struct nipc_lane_pool *pool;
        pthread_t self = pthread_self(), disturber, taker;

        config.policy = NIPC_LANE_BLOCK;
        config.n_lanes = 1;
        config.n_rings = 4;
        config.ring_bytes = 4096;
        n_handled = n_handler_refused = 0;
        atomic_store(&is_over, false);
        tap_require(tap_eq_int(nipc_lane_pool_new(&config, &pool), 0));
        tap_require(tap_eq_int(nipc_lane_lease(pool, &the_lane), 0));
        tap_require(tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(pool), -1, &reader), 0));
        sigaction(SIGUSR1, &action, NULL);
        tap_require(pthread_create(&taker, NULL, take_all, reader) == 0);
        tap_require(pthread_create(&disturber, NULL, disturb, &self) == 0);
        for (uint64_t i = 0; i < n_records / 10 || n_handled < 1000; i++)
                if (nipc_lane_put(the_lane, 1, &i, sizeof(i)) < 0)
                        tap_fail("a record is refused");
        atomic_store(&is_over, true);
        pthread_join(disturber, NULL);
        nipc_lane_pool_free(pool);
        pthread_join(taker, NULL);
        nipc_lane_reader_close(reader);
        signal(SIGUSR1, SIG_DFL);
}

/* ---- no system call -------------------------------------------------------------------------- */

/* In a process that the kernel kills for any call but read, write and exit. */
static _Noreturn void write_confined(uint32_t kind, uint32_t policy, const char *path)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        config.path = path;
        config.kind = kind;
        config.policy = policy;
        config.ring_bytes = 4096;
        if (nipc_lane_pool_new(&config, &pool) < 0 || nipc_lane_lease_thread(pool, &lane) < 0)
                _exit(1);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
                _exit(77);
        for (uint64_t i = 0; i < n_records; i++) {
                const struct util_lane_item item = util_lane_item(i);

                nipc_lane_put(lane, 1, &item, sizeof(item));
                if (i % 100 == 0)
                        nipc_lane_mark(lane);
        }
        syscall(SYS_exit, 0); /* exit_group() is not among them */
        abort();
}

static void test_no_system_call(void)
{
#ifdef NIPC__THREAD_SANITIZER
        tap_skip("the sanitizer has a thread of its own, which lives on");
#endif
        for (unsigned i = 0; i < 8; i++) {
                const char *path = i & 4 ? util_path("lanes") : NULL;
                int status = -1;
                pid_t pid;

                fflush(stdout);
                pid = fork();
                if (pid == 0)
                        write_confined(i & 1, i & 2 ? NIPC_LANE_OVERWRITE_OLDEST : 0, path);
                util_arm_watchdog();
                waitpid(pid, &status, 0);
                if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                        tap_skip("needs seccomp");
                tap_eq_int(status, 0);
                if (path)
                        util_remove(path);
        }
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_blocking),
                                                TAP_CASE(test_dropping),
                                                TAP_CASE(test_overwriting),
                                                TAP_CASE(test_file),
                                                TAP_CASE(test_threads_come_and_go),
                                                TAP_CASE(test_handlers_write),
                                                TAP_CASE(test_no_system_call),
                                                TAP_CASE(test_nothing_leaked)};

        if (argc > 2 && !strcmp(argv[1], "--records")) {
                n_records = strtoull(argv[2], NULL, 10);
                argc -= 2;
                argv += 2;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
