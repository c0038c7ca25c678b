/* SPDX-License-Identifier: MIT */

/*
 * Memory of lanes: a sealed memfd or a file, all of it reserved before it is used, so that touching
 * it cannot fail later; and the two ways to wake (doc/lane.md §2, §8).
 */

#include "fault.h"
#include "futex.h"
#include "lane-recovery.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/clock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* ---- make ------------------------------------------------------------------------------------ */

static int write_zeros(int fd, uint64_t size)
{
        static const uint8_t zeros[64 << 10];

        for (uint64_t at = 0; at < size;) {
                ssize_t n =
                        pwrite(fd, zeros, (size_t)NIPC__MIN(size - at, sizeof(zeros)), (off_t)at);

                if (n < 0 && errno != EINTR)
                        return -errno;
                at += n > 0 ? (uint64_t)n : 0;
        }
        return 0;
}

static int reserve(int fd, uint64_t size)
{
        int r;

        do {
                r = fallocate(fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
        } while (r == -EINTR);
        return r == -EOPNOTSUPP ? write_zeros(fd, size) : r;
}

static int create_memory(const char *path)
{
        int fd;

        if (path) {
                fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                return fd < 0 ? -errno : fd;
        }
        fd = memfd_create("nipc-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL) /* older than Linux 6.3 */
                fd = memfd_create("nipc-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd < 0 ? -errno : fd;
}

static int map_memory(struct nipc__lane_memory *memory, bool is_file)
{
        void *map = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);

        if (map == MAP_FAILED)
                return -errno;
        memory->map = map;
        /* A sealed memory keeps its pages; a file is cut by whoever may write to it. */
        return is_file ? nipc__fault_register(map, memory->size, &memory->fault) : 0;
}

static void write_header(struct nipc__lane_memory *memory)
{
        struct nipc__lane_header *header = nipc__lane_header(memory);

        header->version = NIPC__LANE_VERSION;
        header->header_bytes = NIPC__LANE_PAGE;
        header->n_lanes = memory->n_lanes;
        header->n_rings = memory->n_rings;
        header->ring_bytes = memory->ring_bytes;
        header->kind = memory->kind;
        header->policy = memory->policy;
        header->flags = memory->flags;
        header->lane_bytes = memory->lane_bytes;
        header->owner = memory->owner;
        /* Whoever opens the file meanwhile finds no pool yet. */
        atomic_thread_fence(memory_order_release);
        *(volatile uint64_t *)&header->magic = NIPC__LANE_MAGIC;
}

static int fill(struct nipc__lane_memory *memory, bool is_file)
{
        int r = 0;

        if (is_file && fchmod(memory->fd, 0600) < 0)
                return -errno;
        if (ftruncate(memory->fd, (off_t)memory->size) < 0)
                return -errno;
        r = reserve(memory->fd, memory->size);
        if (r < 0)
                return r;
        if (!is_file && fcntl(memory->fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        r = map_memory(memory, is_file);
        if (r < 0)
                return r;
        memory->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (memory->wake_fd < 0)
                return -errno;
        /* Pages are made now, not by the first writer. Nothing is lost if that fails. */
        (void)madvise(memory->map, memory->size, 23 /* MADV_POPULATE_WRITE */);
        write_header(memory);
        return 0;
}

int nipc__lane_memory_make(const struct nipc_lane_pool_config *config,
                           struct nipc__lane_memory *memory)
{
        struct nipc__lane_memory made = {
                .wake_fd = -1,
                .n_lanes = config->n_lanes,
                .n_rings = config->n_rings,
                .ring_bytes = config->ring_bytes,
                .kind = config->kind,
                .policy = config->policy,
                .flags = config->path ? NIPC__LANE_FLAG_CRC : 0,
                .lane_bytes = NIPC__LANE_PAGE + (uint64_t)config->n_rings * config->ring_bytes,
        };
        const uint64_t size = NIPC__LANE_PAGE + made.n_lanes * made.lane_bytes;
        int r;

        if (size > NIPC__LANE_MAX_POOL || size > SIZE_MAX)
                return -EINVAL;
        made.size = (size_t)size;
        nipc__lane_owner_init(&made.owner);
        made.fd = create_memory(config->path);
        if (made.fd < 0)
                return made.fd;
        r = fill(&made, config->path != NULL);
        if (r < 0) {
                nipc__lane_memory_close(&made);
                if (config->path)
                        unlink(config->path);
                return r;
        }
        *memory = made;
        return 0;
}

/* ---- open ------------------------------------------------------------------------------------ */

/* Loaded once, into memory of our own. Nothing is believed that could hurt us later. */
static int check_header(int fd, struct nipc__lane_memory *memory)
{
        struct nipc__lane_header header;
        struct stat st;
        uint64_t size;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || pread(fd, &header, sizeof(header), 0) != sizeof(header))
                return -EBADMSG;
        r = nipc__lane_check_header(&header, &size);
        if (r < 0)
                return r;
        if ((uint64_t)st.st_size != size || size > SIZE_MAX)
                return -EBADMSG;
        memory->size = (size_t)size;
        memory->n_lanes = header.n_lanes;
        memory->n_rings = header.n_rings;
        memory->ring_bytes = header.ring_bytes;
        memory->kind = header.kind;
        memory->policy = header.policy;
        memory->flags = header.flags;
        memory->lane_bytes = header.lane_bytes;
        memory->owner = header.owner;
        return 0;
}

int nipc__lane_memory_open(int fd, int wake_fd, struct nipc__lane_memory *memory)
{
        struct nipc__lane_memory found = {.fd = -1, .wake_fd = -1};
        int seals = fcntl(fd, F_GET_SEALS), r;

        /* What is no memfd has no seals. */
        if (seals >= 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
                seals = -1;
        r = check_header(fd, &found);
        if (r < 0)
                return r;
        found.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        r = found.fd < 0 ? -errno : map_memory(&found, seals < 0);
        if (r == 0 && wake_fd >= 0) {
                found.wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 3);
                r = found.wake_fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                nipc__lane_memory_close(&found);
                return r;
        }
        *memory = found;
        return 0;
}

int nipc__lane_memory_open_path(const char *path, struct nipc__lane_memory *memory)
{
        int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), r;

        if (fd < 0)
                return -errno;
        r = nipc__lane_memory_open(fd, -1, memory);
        close(fd);
        return r;
}

void nipc__lane_memory_close(struct nipc__lane_memory *memory)
{
        nipc__fault_unregister(memory->fault);
        if (memory->map)
                munmap(memory->map, memory->size);
        if (memory->fd >= 0)
                close(memory->fd);
        if (memory->wake_fd >= 0)
                close(memory->wake_fd);
}

bool nipc__lane_memory_is_gone(const struct nipc__lane_memory *memory)
{
        return memory->fault && nipc__fault_is_broken(memory->fault);
}

/* ---- files that nobody maps ------------------------------------------------------------------ */

int nipc__lane_file_open(int fd, struct nipc__lane_source *source)
{
        struct stat st;
        int copy;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        *source = (struct nipc__lane_source){.fd = copy, .size = (uint64_t)st.st_size};
        return 0;
}

void nipc__lane_file_close(struct nipc__lane_source *source)
{
        if (source->fd >= 0)
                close(source->fd);
        source->fd = -1;
}

int nipc__lane_file_read(const struct nipc__lane_source *source, uint64_t offset, void *bytes,
                         size_t size)
{
        ssize_t n;

        for (size_t done = 0; done<size; done += n> 0 ? (size_t)n : 0) {
                n = pread(source->fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0) /* it was cut meanwhile */
                        return -ENODATA;
        }
        return 0;
}

/* ---- wake, sleep ----------------------------------------------------------------------------- */

void nipc__lane_wake(const struct nipc__lane_memory *memory, uint32_t how)
{
        const uint64_t one = 1;
        int saved = errno;

        /* A full counter is readable, too. */
        if (how == NIPC__LANE_SLEEPS_EVENTFD && memory->wake_fd >= 0 &&
            write(memory->wake_fd, &one, sizeof(one)) < 0)
                errno = saved;
        if (how == NIPC__LANE_SLEEPS_FUTEX)
                nipc__futex_wake(&nipc__lane_header(memory)->sleeps);
}

void nipc__lane_forget_wakes(const struct nipc__lane_memory *memory)
{
        uint64_t n;
        int saved = errno;

        if (memory->wake_fd >= 0 && read(memory->wake_fd, &n, sizeof(n)) < 0)
                errno = saved; /* there were none */
}

static uint64_t time_left(uint64_t deadline_ns)
{
        const uint64_t now_ns = nipc_clock_now_ns();

        return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

int nipc__lane_sleep(const struct nipc__lane_memory *memory, uint64_t deadline_ns)
{
        const uint64_t left_ns = time_left(deadline_ns);
        const struct timespec timeout = {(time_t)(left_ns / 1000000000),
                                         (long)(left_ns % 1000000000)};
        struct pollfd pollfd = {.fd = memory->wake_fd, .events = POLLIN};
        int r;

        if (memory->wake_fd < 0) {
                r = nipc__futex_wait(&nipc__lane_header(memory)->sleeps, NIPC__LANE_SLEEPS_FUTEX,
                                     left_ns);
                return r == -EAGAIN ? 0 : r == -EFAULT ? -ETIMEDOUT : r;
        }
        r = ppoll(&pollfd, 1, &timeout, NULL);
        if (r < 0)
                return errno == EINTR ? -EINTR : -ETIMEDOUT;
        return r ? 0 : -ETIMEDOUT;
}

void nipc__lane_block(const _Atomic uint32_t *word, uint64_t deadline_ns)
{
        int saved = errno;

        (void)nipc__futex_wait(word, 1, time_left(deadline_ns));
        errno = saved;
}

void nipc__lane_unblock(const _Atomic uint32_t *word)
{
        nipc__futex_wake(word);
}
