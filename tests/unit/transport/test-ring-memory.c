/* SPDX-License-Identifier: MIT */

/*
 * The memories of a ring session: what a peer may hand over and what not, and that whatever it is,
 * nothing is left behind; that the seals of a good one hold.
 */

#include "ring.h"
#include "util-env.h"
#include "util-ring-peer.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 65536u

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static struct nipc__ring *make_ring(void)
{
        struct nipc__ring *ring = NULL;
        const char *step = NULL;

        util_eq_error(nipc__ring_new(1024, SIZE, 0, &ring, &step), 0);
        return ring;
}

/* Has a ring take a descriptor, and looks whether it is gone together with what was mapped. */
static void try_attach(const char *what, int fd, int expected)
{
        struct nipc__ring *ring = make_ring();
        int n_fds = util_count_fds(), n_mappings = util_count_shared_mappings(), r;
        const char *step = NULL;

        tap_require(ring != NULL);
        r = nipc__ring_attach(ring, fd, &step);
        if (r != expected)
                tap_fail("%s: %d, expected %d", what, r, expected);
        tap_check(step != NULL);
        tap_eq_int(util_count_fds(), fd < 0 ? n_fds : n_fds - 1);
        if (r < 0)
                tap_eq_int(util_count_shared_mappings(), n_mappings);
        nipc__ring_free(ring);
        if (fd >= 0)
                tap_check(fcntl(fd, F_GETFD) < 0);
}

/* ---- not a memory at all --------------------------------------------------------------------- */

static void test_no_descriptor(void)
{
        try_attach("-1", -1, -EBADF);
}

static void test_other_descriptors(void)
{
        int ends[2], fd;

        tap_require(pipe2(ends, O_CLOEXEC) == 0);
        try_attach("a pipe", ends[0], -EINVAL);
        close(ends[1]);
        try_attach("a device", open("/dev/null", O_RDWR | O_CLOEXEC), -EINVAL);
        try_attach("a directory", open("/", O_RDONLY | O_CLOEXEC), -EINVAL);
        tap_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        try_attach("a socket", ends[0], -EINVAL);
        close(ends[1]);
        fd = open(util_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        tap_require(fd >= 0 && ftruncate(fd, (off_t)(ring_page_size() + SIZE)) == 0);
        /* On tmpfs files have seals, too, but none that could be set. */
        try_attach("a file", fd, fcntl(fd, F_GET_SEALS) < 0 ? -EINVAL : -EPERM);
        try_attach("empty", memfd_create("empty", MFD_CLOEXEC), -EPERM);
}

/* ---- seals ----------------------------------------------------------------------------------- */

static void test_seals_that_are_missing(void)
{
        const int all = ring_memory_seals();

        for (int seals = 0; seals <= all; seals++) {
                uint8_t *map;
                int fd;

                if ((seals & all) != seals)
                        continue;
                fd = ring_memory_new_unsealed(SIZE, &map);
                tap_require(fd >= 0);
                tap_check(!seals || fcntl(fd, F_ADD_SEALS, seals) == 0);
                try_attach("partly sealed", fd, seals == all ? 0 : -EPERM);
                ring_memory_unmap(map, SIZE);
        }
}

/* What its maker may try with a memory that somebody else has mapped. */
static void check_seals_hold(int fd, uint8_t *map, uint32_t size)
{
        const off_t whole = (off_t)(ring_page_size() + size);
        const size_t page = ring_page_size();
        char path[64];
        int again;

        tap_check(ftruncate(fd, 0) < 0 && errno == EPERM);
        tap_check(ftruncate(fd, whole - 1) < 0 && errno == EPERM);
        tap_check(ftruncate(fd, whole + 4096) < 0 && errno == EPERM);
        tap_check(fallocate(fd, 0, whole, 4096) < 0 && errno == EPERM);
        tap_check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, whole) < 0);
        tap_check(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, (off_t)page) < 0);
        tap_check(util_is_emulated() || madvise(map + page, size, MADV_REMOVE) < 0);
        tap_check(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
        tap_check(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
        tap_check(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
        /* Nor by way of another open file of the same memory. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_RDWR | O_CLOEXEC);
        if (again >= 0) {
                tap_check(ftruncate(again, 0) < 0);
                tap_check(mmap(NULL, page, PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
                close(again);
        }
}

static void test_seals_hold_for_its_maker(void)
{
        uint8_t *map;
        int fd = ring_memory_new(SIZE, &map);

        tap_require(fd >= 0);
        check_seals_hold(fd, map, SIZE);
        map[ring_page_size()] = 1; /* what was mapped before can be written */
        ring_memory_unmap(map, SIZE);
        close(fd);
}

static void test_seals_hold_for_the_peer(void)
{
        struct nipc__ring *ring = make_ring();
        uint8_t *map;
        int fd;

        tap_require(ring != NULL);
        fd = fcntl(ring->fd, F_DUPFD_CLOEXEC, 0); /* as it comes out of a socket */
        map = ring_memory_map(fd, ring->tx_mask + 1, PROT_READ);
        tap_require(map != NULL);
        tap_check(!ring_memory_map(fd, ring->tx_mask + 1, PROT_READ | PROT_WRITE));
        tap_check(mprotect(map, ring_page_size(), PROT_READ | PROT_WRITE) < 0);
        check_seals_hold(fd, map, ring->tx_mask + 1);
        ring_memory_unmap(map, ring->tx_mask + 1);
        close(fd);
        nipc__ring_free(ring);
}

/* ---- sizes and what it says of itself -------------------------------------------------------- */

/* A sealed memory of `file_size` bytes that says these things. reserve: from where to where. */
static int make_bad(off_t file_size, off_t reserve_from, off_t reserve_to, const uint8_t *head)
{
        int fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, file_size) < 0 || pwrite(fd, head, 20, 0) != 20)
                return -1;
        if (reserve_to > reserve_from &&
            fallocate(fd, FALLOC_FL_KEEP_SIZE, reserve_from, reserve_to - reserve_from) < 0)
                return -1;
        return fcntl(fd, F_ADD_SEALS, ring_memory_seals()) < 0 ? -1 : fd;
}

static void write_head(uint8_t *head, uint64_t magic, uint32_t version, uint32_t header,
                       uint32_t size)
{
        raw_put64(head, RING_MAGIC, magic);
        raw_put32(head, RING_VERSION, version);
        raw_put32(head, RING_HEADER_SIZE, header);
        raw_put32(head, RING_SIZE, size);
}

static void test_what_it_says(void)
{
        const uint64_t magic = UINT64_C(0x31474e524350494e);
        const uint32_t page = (uint32_t)ring_page_size();
        const struct {
                uint64_t magic;
                uint32_t version, header, size;
                off_t file_size;
                int expected;
        } heads[] = {
                {magic, 1, page, SIZE, page + SIZE, 0},
                {magic ^ 1, 1, page, SIZE, page + SIZE, -EBADMSG},
                {magic, 0, page, SIZE, page + SIZE, -EBADMSG},
                {magic, 2, page, SIZE, page + SIZE, -EBADMSG},
                {magic, 1, 0, SIZE, page + SIZE, -EBADMSG},
                {magic, 1, page / 2, SIZE, page + SIZE, -EBADMSG},
                {magic, 1, 2 * page, SIZE, 2 * page + SIZE, -EBADMSG},
                {magic, 1, 0u - page, SIZE, page + SIZE, -EBADMSG},
                {magic, 1, page, 0, page, -EBADMSG},
                {magic, 1, page, 0, page + SIZE, -EBADMSG},
                {magic, 1, page, 16384, page + 16384, -EBADMSG},
                {magic, 1, page, 3 * 32768, page + 3 * 32768, -EBADMSG},
                {magic, 1, page, SIZE + 1, page + SIZE + 1, -EBADMSG},
                {magic, 1, page, SIZE, page + SIZE - 1, -EBADMSG},
                {magic, 1, page, SIZE, page + SIZE + 1, -EBADMSG},
                {magic, 1, page, SIZE, page + 2 * SIZE, -EBADMSG},
                {magic, 1, page, 2 * SIZE, page + SIZE, -EBADMSG},
                {magic, 1, page, 32768, page + 32768, 0},
                {magic, 1, page, 16u << 20, page + (16 << 20), 0},
                {magic, 1, page, 32u << 20, page + (32 << 20), -EBADMSG},
                {magic, 1, page, 1u << 31, page + SIZE, -EBADMSG},
        };
        uint8_t head[20];
        char what[32];

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                write_head(head, heads[i].magic, heads[i].version, heads[i].header, heads[i].size);
                snprintf(what, sizeof(what), "head %zu", i);
                try_attach(what, make_bad(heads[i].file_size, 0, heads[i].file_size, head),
                           heads[i].expected);
        }
}

static void test_too_short_to_say(void)
{
        uint8_t head[20];

        write_head(head, UINT64_C(0x31474e524350494e), 1, (uint32_t)ring_page_size(), SIZE);
        for (off_t size = 0; size < 20; size++) {
                int fd = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);

                tap_require(fd >= 0 && pwrite(fd, head, (size_t)size, 0) == size &&
                            fcntl(fd, F_ADD_SEALS, ring_memory_seals()) == 0);
                try_attach("short", fd, -EBADMSG);
        }
}

/* As the library finds out. */
static bool can_populate(void)
{
        uint8_t *map;
        int fd = ring_memory_new(SIZE, &map);
        bool can = fd >= 0 && madvise(map, ring_page_size(), 22 /* MADV_POPULATE_READ */) == 0;

        if (fd >= 0) {
                ring_memory_unmap(map, SIZE);
                close(fd);
        }
        return can;
}

/* Pages that are missing would be asked of us when we read them. */
static void test_holes(void)
{
        const off_t page = (off_t)ring_page_size(), whole = page + SIZE;
        uint8_t head[20];

        write_head(head, UINT64_C(0x31474e524350494e), 1, (uint32_t)page, SIZE);
        try_attach("nothing reserved", make_bad(whole, 0, 0, head), -ENOSPC);
        try_attach("one page missing", make_bad(whole, 0, whole - page, head), -ENOSPC);
        try_attach("all there", make_bad(whole, 0, whole, head), 0);
}

/* Blocks behind the end make up for those that are missing, as far as counting them goes. */
static void test_holes_made_up_for(void)
{
        const off_t page = (off_t)ring_page_size(), whole = page + SIZE;
        uint8_t head[20];
        int fd;

        write_head(head, UINT64_C(0x31474e524350494e), 1, (uint32_t)page, SIZE);
        if (util_is_emulated() || !can_populate())
                tap_skip("this kernel cannot make pages without a signal");
        fd = make_bad(whole, whole, whole + SIZE, head);
        tap_require(fd >= 0);
        try_attach("all but one beyond the end", fd, -ENOSPC);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void test_sizes_that_are_chosen(void)
{
        static const struct {
                uint32_t payload, max, expected;
        } sizes[] = {
                {0, 0, 32768},
                {1024, 1u << 20, 32768},
                {20480 - 64 - 32, 1u << 20, 32768}, /* 5/8 of the ring, less a cell */
                {20480 - 64 - 31, 1u << 20, 65536},
                {100000, 1u << 20, 262144},
                {100000, 65536, 65536},
                {100000, 65535, 32768},
                {UINT32_MAX, UINT32_MAX, 16u << 20},
        };

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                struct nipc__ring *ring = NULL;
                const char *step;
                int r = nipc__ring_new(sizes[i].payload, sizes[i].max, 0, &ring, &step);

                tap_require(util_eq_error(r, 0));
                if (ring_page_size() <= 32768)
                        tap_eq_uint(ring->tx_mask + 1, sizes[i].expected);
                /* What one makes the other takes. */
                try_attach("one of ours", fcntl(ring->fd, F_DUPFD_CLOEXEC, 0), 0);
                nipc__ring_free(ring);
        }
}

static void test_nothing_to_free(void)
{
        tap_check(nipc__ring_free(NULL) == NULL);
}

UTIL_MAIN(TAP_CASE(test_no_descriptor), TAP_CASE(test_other_descriptors),
          TAP_CASE(test_seals_that_are_missing), TAP_CASE(test_seals_hold_for_its_maker),
          TAP_CASE(test_seals_hold_for_the_peer), TAP_CASE(test_what_it_says),
          TAP_CASE(test_too_short_to_say), TAP_CASE(test_holes), TAP_CASE(test_holes_made_up_for),
          TAP_CASE(test_sizes_that_are_chosen), TAP_CASE(test_nothing_to_free))
