/* SPDX-License-Identifier: MIT */

/*
 * Whoever shares the memory of a lane can write anything anywhere in it at any time. He can spoil
 * what the lane carries, and nothing else: reader and writer go on, within bounds, and end. And
 * where there is no room for the memory, that is said at once.
 *
 * `test-lane-hostile --seconds N` for more of it; meant to be run under AddressSanitizer, too.
 */

#include "util-env.h"
#include "util-lane.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/fault.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define N_LANES    2u
#define N_RINGS    4u
#define RING_BYTES 4096u
#define PAGE       4096u
#define POOL_BYTES (PAGE + N_LANES * (PAGE + N_RINGS * RING_BYTES))

static unsigned seconds = 2;

static bool begin(uint32_t kind, uint32_t policy, const char *path,
                  struct nipc_lane_pool **ret_pool, struct nipc_lane_reader **ret_reader)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;

        config.path = path;
        config.kind = kind;
        config.policy = policy;
        config.n_lanes = N_LANES;
        config.n_rings = N_RINGS;
        config.ring_bytes = RING_BYTES;
        config.block_timeout_ms = 1;
        return tap_eq_int(nipc_lane_pool_new(&config, ret_pool), 0) &&
               tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(*ret_pool), -1, ret_reader),
                          0);
}

static uint8_t *map(struct nipc_lane_pool *pool)
{
        return mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                    nipc_lane_pool_get_fd(pool), 0);
}

/* ---- scribbling ------------------------------------------------------------------------------ */

static uint64_t random_state = 1;

static uint64_t draw(uint64_t below)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state % below;
}

/* What control words and record heads could be: near what is right, and far off. */
static uint64_t draw_value(uint64_t old)
{
        switch (draw(8)) {
        case 0:
                return 0;
        case 1:
                return UINT64_MAX;
        case 2:
                return old + 1;
        case 3:
                return old - draw(100);
        case 4:
                return old ^ UINT64_C(1) << draw(64);
        case 5:
                return draw(16);
        case 6:
                return old << 16 | draw(70);
        default:
                return draw(UINT64_MAX);
        }
}

static void scribble(uint8_t *bytes)
{
        uint64_t at, value;

        switch (draw(4)) {
        case 0: /* of a lane's control block */
                at = PAGE + draw(N_LANES) * (PAGE + N_RINGS * RING_BYTES) + draw(64) * 8;
                break;
        case 1: /* of its queues */
                at = PAGE + draw(N_LANES) * (PAGE + N_RINGS * RING_BYTES) + 1024 + draw(128) * 8;
                break;
        case 2: /* of a ring's header */
                at = 2 * PAGE + draw(N_LANES) * (PAGE + N_RINGS * RING_BYTES) +
                     draw(N_RINGS) * RING_BYTES + draw(16) * 8;
                break;
        default:
                at = draw(POOL_BYTES / 8) * 8;
        }
        memcpy(&value, bytes + at, sizeof(value));
        value = draw_value(value);
        memcpy(bytes + at, &value, sizeof(value));
}

static _Noreturn void scribble_on(uint8_t *bytes)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;; sched_yield())
                scribble(bytes);
}

/* Everything a user can do, in any order: no result is promised but that there is one. */
static void use(struct nipc_lane_pool *pool, struct nipc_lane **lanes,
                struct nipc_lane_reader **reader)
{
        struct nipc_lane **lane = &lanes[draw(N_LANES)];
        struct nipc_lane_stats stats = NIPC_LANE_STATS_INIT;
        const struct util_lane_item item = util_lane_item(draw(1000));
        struct nipc_lane_record record;
        volatile uint8_t sum = 0;

        switch (draw(12)) {
        case 0:
                if (!*lane)
                        nipc_lane_lease(pool, lane);
                break;
        case 1:
                if (draw(20) == 0)
                        *lane = nipc_lane_return(*lane);
                break;
        case 2:
                nipc_lane_reader_wait(*reader, 0);
                break;
        case 3:
                nipc_lane_mark(*lane);
                if (*lane)
                        nipc_lane_flush(*lane);
                break;
        case 4:
                nipc_lane_reader_get_stats(*reader, (uint32_t)draw(N_LANES), &stats);
                break;
        case 5:
                if (draw(50) == 0) {
                        nipc_lane_reader_close(*reader);
                        *reader = NULL;
                        nipc_lane_reader_open(nipc_lane_pool_get_fd(pool), -1, reader);
                }
                break;
        case 6:
        case 7:
                for (unsigned i = 0; *reader && i < 40; i++) {
                        if (nipc_lane_reader_next(*reader, &record) < 0)
                                break;
                        for (uint32_t at = 0; at < record.size; at++)
                                sum = (uint8_t)(sum + ((const uint8_t *)record.data)[at]);
                }
                break;
        default:
                for (unsigned i = 0; *lane && i < 40; i++)
                        if (nipc_lane_put(*lane, 1, &item, sizeof(item)) < 0)
                                break;
        }
}

static void attack(uint32_t kind, uint32_t policy, const char *path, uint64_t deadline_ns)
{
        struct nipc_lane_pool *pool = NULL;
        struct nipc_lane *lanes[N_LANES] = {NULL};
        struct nipc_lane_reader *reader = NULL;
        uint64_t n = 0;
        uint8_t *bytes;
        pid_t pid = 0;

        tap_require(begin(kind, policy, path, &pool, &reader));
        bytes = map(pool);
        if (draw(2)) { /* somebody else does it at the same time, too */
                pid = fork();
                if (pid == 0)
                        scribble_on(bytes);
        }
        while (nipc_clock_now_ns() < deadline_ns) {
                if (draw(3) == 0)
                        scribble(bytes);
                use(pool, lanes, &reader);
                /* A reader whose memory is beyond use is one that cannot be opened again. */
                if (++n % (policy == NIPC_LANE_BLOCK ? 100 : 5000) == 0 || !reader)
                        break;
        }
        if (pid > 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
        }
        nipc_lane_reader_close(reader);
        munmap(bytes, POOL_BYTES);
        nipc_lane_pool_free(pool);
        if (path)
                util_remove(path);
}

static void test_scribbling(void)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(seconds * 1000);
        unsigned n = 0;

        for (; nipc_clock_now_ns() < deadline_ns; n++) {
                util_arm_watchdog();
                attack(n % 2, n / 2 % 3, n / 6 % 2 ? util_path("lanes") : NULL, deadline_ns);
        }
        tap_note("%u pools", n);
        tap_check(n > 10);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void test_no_pool(void)
{
        const char *path = util_path("lanes");
        struct nipc_lane_reader *reader = NULL;
        struct nipc_lane_pool *pool = NULL, *other = NULL;
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct stat st;
        uint8_t page[PAGE], *bytes;
        int fd;

        util_eq_error(nipc_lane_reader_open_path(path, &reader), -ENOENT);
        tap_require(begin(0, 0, path, &pool, &reader));
        tap_eq_int(stat(path, &st), 0);
        tap_eq_uint(st.st_mode & 0777, 0600);
        config.path = path;
        util_eq_error(nipc_lane_pool_new(&config, &other), -EEXIST);
        nipc_lane_reader_close(reader);
        nipc_lane_pool_free(pool);
        /* Every byte of the header but the owner and what is not used matters. */
        fd = open(path, O_RDWR | O_CLOEXEC);
        tap_eq_int(pread(fd, page, sizeof(page), 0), sizeof(page));
        bytes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        for (unsigned i = 0; i < 48; i++) {
                bytes[i] ^= 0x40;
                tap_check(nipc_lane_reader_open_path(path, &reader) < 0);
                bytes[i] ^= 0x40;
        }
        for (off_t size = 0; size < (off_t)POOL_BYTES; size += 1024) {
                tap_eq_int(ftruncate(fd, size), 0);
                util_eq_error(nipc_lane_reader_open_path(path, &reader), -EBADMSG);
        }
        munmap(bytes, PAGE);
        close(fd);
        util_remove(path);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
        if (!nipc_fault_handle(info->si_addr))
                _exit(99);
}

/* A file that is cut while it is mapped: with the handler that <nipc/fault.h> is for. */
static void test_cut(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        const char *path = util_path("lanes");
        struct nipc_lane_reader *reader = NULL;
        struct nipc_lane_pool *pool = NULL;
        struct nipc_lane_record record;
        struct nipc_lane *lane = NULL;

        tap_require(begin(0, 0, path, &pool, &reader));
        tap_eq_int(nipc_lane_lease(pool, &lane), 0);
        sigaction(SIGBUS, &action, NULL);
        for (unsigned i = 0; i < 200; i++)
                nipc_lane_put(lane, 1, "hello", 5);
        tap_eq_int(truncate(path, PAGE), 0);
        while (nipc_lane_reader_next(reader, &record) == 0)
                ;
        util_eq_error(nipc_lane_reader_wait(reader, util_soon()), -EIO);
        for (unsigned i = 0; i < 200; i++)
                nipc_lane_put(lane, 1, "hello", 5);
        nipc_lane_reader_close(reader);
        nipc_lane_pool_free(pool);
        signal(SIGBUS, SIG_DFL);
        util_remove(path);
}

static void take_the_rest(const char *dir)
{
        static const char bytes[4096];
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/rest", dir);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        while (write(fd, bytes, sizeof(bytes)) > 0)
                ;
        tap_eq_int(errno, ENOSPC);
        close(fd);
}

/* What was reserved is there, whatever becomes of the rest: no SIGBUS, and nothing lost. */
static void use_all_of(struct nipc_lane_pool *pool)
{
        struct util_lane_tally tally = {0};
        struct nipc_lane_reader *reader;
        struct nipc_lane *lane;
        uint64_t n = 0;
        int r = 0;

        tap_eq_int(nipc_lane_lease(pool, &lane), 0);
        while (r == 0) {
                const struct util_lane_item item = util_lane_item(n++);

                r = nipc_lane_put(lane, 1, &item, sizeof(item));
        }
        util_eq_error(r, -ENOBUFS);
        nipc_lane_return(lane);
        tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(pool), -1, &reader), 0);
        util_lane_drain(reader, &tally);
        tap_eq_str(tally.wrong, NULL);
        tap_eq_uint(tally.n_received, n - 1);
        tap_check(tally.n_received * sizeof(struct util_lane_item) > 256u << 10);
        nipc_lane_reader_close(reader);
}

static void fill_file_system(void *arg)
{
        const char *dir = arg;
        char path[256];
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool = NULL;

        snprintf(path, sizeof(path), "%s/lanes", dir);
        config.path = path;
        config.ring_bytes = 65536;
        config.n_lanes = 4; /* of 512 KiB each */
        util_eq_error(nipc_lane_pool_new(&config, &pool), -ENOSPC);
        tap_check(access(path, F_OK) < 0); /* nothing is left */
        config.n_lanes = 1;
        tap_eq_int(nipc_lane_pool_new(&config, &pool), 0);
        take_the_rest(dir);
        use_all_of(pool);
        nipc_lane_pool_free(pool);
}

static void test_full_file_system(void)
{
        const char *dir = util_path("full");

        mkdir(dir, 0700);
        if (mount("none", dir, "tmpfs", 0, "size=1m,mode=0700") < 0)
                tap_skip("needs to mount a small file system");
        util_in_child(fill_file_system, (void *)(uintptr_t)dir);
        umount(dir);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_scribbling), TAP_CASE(test_no_pool),
                                                TAP_CASE(test_cut), TAP_CASE(test_full_file_system),
                                                TAP_CASE(test_nothing_leaked)};

        if (argc > 2 && !strcmp(argv[1], "--seconds")) {
                seconds = (unsigned)strtoul(argv[2], NULL, 10);
                argc -= 2;
                argv += 2;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
