/* SPDX-License-Identifier: MIT */

/*
 * The region and its file, against the tables of transport-posix §3: every byte of the layout,
 * every row of what a client checks, every row of what is stale.
 */

#include "endpoint-private.h"
#include "shm.h"
#include "util-env.h"
#include "util-raw.h"
#include "util-shm-peer.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static bool create(struct nipc__shm_region *region, uint64_t id, uint32_t max_request,
                   uint32_t max_response)
{
        struct nipc__shm_place *place = NULL;
        const char *step = NULL;
        int r = nipc__shm_place_new(util_dir(), "svc", &place);

        if (r == 0)
                r = nipc__shm_region_create(place, id, max_request, max_response, region, &step);
        nipc__shm_place_unref(place);
        return util_eq_error(r, 0) || tap_fail("step: %s", step);
}

/* The example of the specification: 1024 and 65536. */
static void test_layout(void)
{
        uint8_t expected[66752 + 1] = {0}, found[sizeof(expected)];
        struct nipc__shm_region region;
        const char *path = shm_peer_path("svc", UINT64_C(0xfedcba9876543210));
        struct stat st;
        int fd;

        tap_require(create(&region, UINT64_C(0xfedcba9876543210), 1024, 65536));
        tap_require(stat(path, &st) == 0);
        tap_eq_uint(st.st_size, 66752);
        tap_eq_uint(st.st_mode & 0777, 0600);
        tap_check((uint64_t)st.st_blocks * 512 >= 66752);
        raw_put32(expected, 0, 0x4e53484d);
        raw_put16(expected, 4, 3);
        raw_put16(expected, 6, 64);
        raw_put32(expected, 8, (uint32_t)getpid());
        raw_put32(expected, 12,
                  nipc__shm_generation(getpid(), UINT64_C(0xfedcba9876543210), st.st_ino));
        raw_put32(expected, 16, 64);
        raw_put32(expected, 20, 1088);
        raw_put32(expected, 24, 1152);
        raw_put32(expected, 28, 65600);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        tap_eq_mem(found, (size_t)read(fd, found, sizeof(found)), expected, 66752);
        close(fd);
        nipc__shm_region_release(&region);
        tap_check(!exists(path));
}

static void test_capacities(void)
{
        static const struct {
                uint32_t max, capacity;
        } rows[] = {{0, 64}, {1, 64}, {32, 64}, {33, 128}, {96, 128}, {97, 192}, {1024, 1088}};
        struct nipc__shm_place *place = NULL;
        struct nipc__shm_region region;
        const char *step;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                tap_require(create(&region, i, rows[i].max, 5000));
                tap_eq_uint(region.request_capacity, rows[i].capacity);
                tap_eq_uint(region.response_offset, 64 + rows[i].capacity);
                tap_eq_uint(region.response_capacity, 5056);
                nipc__shm_region_release(&region);
        }
        util_eq_error(nipc__shm_place_new(util_dir(), "svc", &place), 0);
        util_eq_error(nipc__shm_region_create(place, 1, UINT32_MAX, 0, &region, &step), -EOVERFLOW);
        util_eq_error(nipc__shm_region_create(place, 1, UINT32_MAX / 2, UINT32_MAX / 2 + 1, &region,
                                              &step),
                      -EOVERFLOW);
        nipc__shm_place_unref(place);
}

static void test_generation(void)
{
        for (uint64_t i = 0; i < 100000; i++)
                if (!nipc__shm_generation((pid_t)(i % 40000), i, i * 7919))
                        tap_fail("a generation of 0 at %u", (unsigned)i);
        tap_check(nipc__shm_generation(1, 2, 3) != nipc__shm_generation(2, 2, 3));
        tap_check(nipc__shm_generation(1, 2, 3) != nipc__shm_generation(1, 3, 3));
        tap_check(nipc__shm_generation(1, 2, 3) != nipc__shm_generation(1, 2, 4));
}

/* ---- what a client takes -------------------------------------------------------------------- */

struct attach_row {
        const char *name;
        size_t at, width;
        uint32_t value;
        int expected;
        bool is_early;
};

static void try_attach(const struct attach_row *row)
{
        const char *path = shm_peer_path("svc", 7), *step = NULL;
        struct nipc__shm_region region;
        bool is_early = false;
        int fd;

        tap_require(shm_peer_create(path, getpid(), 1, 1088, 4096 - 64 - 1088));
        fd = open(path, O_RDWR | O_CLOEXEC);
        tap_check(pwrite(fd, &row->value, row->width, (off_t)row->at) == (ssize_t)row->width);
        close(fd);
        if (!util_eq_error(nipc__shm_region_attach(util_dir(), "svc", 7, &region, &step, &is_early),
                           row->expected))
                tap_note("row: %s", row->name);
        tap_check(step != NULL);
        if (row->expected == 0)
                nipc__shm_region_release(&region);
        else if (is_early != row->is_early)
                tap_fail("row %s: early %d", row->name, is_early);
        tap_check(exists(path)); /* never the client's to remove */
        unlink(path);
}

static void test_attach_checks(void)
{
        static const struct attach_row rows[] = {
                {"good", 8, 4, 1, 0, false},
                {"magic", 0, 4, 0x4e53484e, -EBADMSG, true},
                {"version", 4, 2, 2, -EPROTONOSUPPORT, false},
                {"header_len", 6, 2, 128, -EBADMSG, false},
                {"request_offset below", 16, 4, 63, -ENODATA, true},
                {"no request_capacity", 20, 4, 0, -ENODATA, true},
                {"response_offset below", 24, 4, 0, -ENODATA, true},
                {"no response_capacity", 28, 4, 0, -ENODATA, true},
                {"wraps", 20, 4, 0xffffffc0, -EBADMSG, false},
                {"request_offset unaligned", 16, 4, 65, -EBADMSG, false},
                {"request_capacity unaligned", 20, 4, 1087, -EBADMSG, false},
                {"response_offset unaligned", 24, 4, 1153, -EBADMSG, false},
                {"response_capacity unaligned", 28, 4, 65, -EBADMSG, false},
                {"overlap", 24, 4, 1088, -EBADMSG, false},
                {"beyond the file", 28, 4, 4096, -EBADMSG, false},
                {"a gap", 20, 4, 512, 0, false},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_attach(&rows[i]);
}

static void test_attach_early(void)
{
        const char *path = shm_peer_path("svc", 7), *step;
        struct nipc__shm_region region;
        bool is_early = false;
        int fd;

        util_eq_error(nipc__shm_region_attach(util_dir(), "svc", 7, &region, &step, &is_early),
                      -ENOENT);
        tap_check(is_early);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        is_early = false;
        util_eq_error(nipc__shm_region_attach(util_dir(), "svc", 7, &region, &step, &is_early),
                      -ENODATA);
        tap_check(is_early);
        tap_check(ftruncate(fd, 63) == 0);
        util_eq_error(nipc__shm_region_attach(util_dir(), "svc", 7, &region, &step, &is_early),
                      -ENODATA);
        close(fd);
        unlink(path);
        tap_check(symlink("/etc/passwd", path) == 0);
        util_eq_error(nipc__shm_region_attach(util_dir(), "svc", 7, &region, &step, &is_early),
                      -ELOOP);
        tap_check(!is_early);
        unlink(path);
}

/* ---- what is stale -------------------------------------------------------------------------- */

static pid_t dead_pid(void)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        waitpid(pid, NULL, 0);
        return pid;
}

static void make_old(const char *path)
{
        const struct timespec times[2] = {{1000, 0}, {1000, 0}};

        tap_check(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        tap_check(write(fd, bytes, size) == (ssize_t)size);
        close(fd);
}

static void make_ours(const char *path, pid_t pid, uint64_t id)
{
        struct stat st;
        uint32_t generation;
        int fd;

        tap_check(shm_peer_create(path, pid, 1, 64, 64));
        fd = open(path, O_RDWR | O_CLOEXEC);
        tap_check(fstat(fd, &st) == 0);
        generation = nipc__shm_generation(pid, id, st.st_ino);
        tap_check(pwrite(fd, &generation, 4, 12) == 4);
        close(fd);
}

/* Judges, and leaves nothing behind. */
static void expect(const char *what, int expected)
{
        const char *path = shm_peer_path("svc", 5);
        int dir_fd = nipc__endpoint_open_dir(util_dir());

        if (!util_eq_error(nipc__shm_remove_dead(dir_fd, "svc-0000000000000005.ipcshm"), expected))
                tap_note("row: %s", what);
        if (exists(path) != (expected == -EADDRINUSE))
                tap_fail("%s: the file is%s there", what, exists(path) ? "" : " not");
        close(dir_fd);
        util_remove(path);
}

static void test_stale_table(void)
{
        static const uint8_t junk[4096] = "junk";
        char path[400];

        snprintf(path, sizeof(path), "%s", shm_peer_path("svc", 5));
        expect("absent", 0);
        tap_check(symlink("/etc/passwd", path) == 0);
        expect("a link", 1);
        tap_check(mkdir(path, 0700) == 0);
        expect("an empty directory", 1);
        tap_check(mkdir(path, 0700) == 0);
        write_file(util_path("svc-0000000000000005.ipcshm/x"), junk, 1);
        expect("a full directory", -EADDRINUSE);
        tap_check(mkfifo(path, 0600) == 0);
        expect("a pipe", 1);
        write_file(path, junk, 63);
        expect("short and young", -EADDRINUSE);
        write_file(path, junk, 63);
        make_old(path);
        expect("short and old", 1);
        write_file(path, junk, sizeof(junk));
        expect("no magic", 1);
        tap_check(shm_peer_create(path, getpid(), 4711, 64, 64));
        expect("of v1, alive", -EADDRINUSE);
        tap_check(shm_peer_create(path, getpid(), 0, 64, 64));
        expect("of v1, generation 0", 1);
        tap_check(shm_peer_create(path, dead_pid(), 4711, 64, 64));
        expect("of v1, dead", 1);
        tap_check(shm_peer_create(path, 0, 4711, 64, 64));
        expect("of nobody", 1);
        tap_check(shm_peer_create(path, -1, 4711, 64, 64));
        expect("of everybody", 1);
}

/* Whose PID is taken by somebody else by now: one of ours is known by its lock. */
static void test_stale_ours(void)
{
        const char *path = shm_peer_path("svc", 5);
        struct nipc__shm_region region;

        make_ours(path, getpid(), 5);
        expect("of ours, dead, PID reused", 1);
        make_ours(path, getpid(), 6);
        expect("not this one's generation", -EADDRINUSE);
        tap_require(create(&region, 5, 100, 100));
        expect("of ours, alive", -EADDRINUSE); /* and removed under its feet */
        nipc__shm_region_release(&region);
        tap_check(!exists(path));
}

static void test_create_replaces_dead(void)
{
        const char *path = shm_peer_path("svc", 5), *step = NULL;
        struct nipc__shm_place *place = NULL;
        struct nipc__shm_region region;

        make_ours(path, getpid(), 5);
        tap_require(create(&region, 5, 100, 100));
        nipc__shm_region_release(&region);
        tap_check(shm_peer_create(path, getpid(), 4711, 64, 64));
        util_eq_error(nipc__shm_place_new(util_dir(), "svc", &place), 0);
        util_eq_error(nipc__shm_region_create(place, 5, 100, 100, &region, &step), -EADDRINUSE);
        tap_eq_str(step, "creating the region");
        tap_check(exists(path));
        nipc__shm_place_unref(place);
        unlink(path);
}

/* ---- at start, and by hand ------------------------------------------------------------------ */

static void leave_regions(void)
{
        pid_t dead = dead_pid();

        tap_check(shm_peer_create(shm_peer_path("svc", 1), dead, 4711, 64, 64));
        tap_check(shm_peer_create(shm_peer_path("svc", 2), getpid(), 4711, 64, 64));
        tap_check(shm_peer_create(util_path("svc-x.ipcshm"), dead, 4711, 64, 64));
        tap_check(shm_peer_create(util_path("svc-.ipcshm"), dead, 4711, 64, 64));
        tap_check(shm_peer_create(shm_peer_path("svc2", 1), dead, 4711, 64, 64));
        tap_check(shm_peer_create(util_path("svc-1.ipcshm.bak"), dead, 4711, 64, 64));
}

static void check_left(void)
{
        tap_check(!exists(shm_peer_path("svc", 1)));
        tap_check(exists(shm_peer_path("svc", 2)));
        tap_check(!exists(util_path("svc-x.ipcshm")));
        tap_check(exists(util_path("svc-.ipcshm")));
        tap_check(exists(shm_peer_path("svc2", 1)));
        tap_check(exists(util_path("svc-1.ipcshm.bak")));
        unlink(shm_peer_path("svc", 2));
        unlink(util_path("svc-.ipcshm"));
        unlink(shm_peer_path("svc2", 1));
        unlink(util_path("svc-1.ipcshm.bak"));
}

static void test_scan_at_start(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        leave_regions();
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        nipc_listener_close(listener);
        check_left();
}

static void test_clean(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        leave_regions();
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), 1);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), 0); /* one that is alive is left */
        check_left();
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), 0);
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), -EBUSY);
        nipc_listener_close(listener);
}

UTIL_MAIN(TAP_CASE(test_layout), TAP_CASE(test_capacities), TAP_CASE(test_generation),
          TAP_CASE(test_attach_checks), TAP_CASE(test_attach_early), TAP_CASE(test_stale_table),
          TAP_CASE(test_stale_ours), TAP_CASE(test_create_replaces_dead),
          TAP_CASE(test_scan_at_start), TAP_CASE(test_clean))
