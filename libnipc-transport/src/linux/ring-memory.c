/* SPDX-License-Identifier: MIT */

/*
 * The memories of a ring session: made, sealed, checked, mapped (doc/ring.md §2, §3).
 *
 * A memory is mapped writable by its maker before it is sealed against further writable mappings;
 * from then on nobody else can ever write to it, nor shrink it under us. All pages are reserved
 * first, so that touching them cannot fail.
 */

#include "ring.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/wire.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

#if ATOMIC_LLONG_LOCK_FREE != 2 || ATOMIC_INT_LOCK_FREE != 2
#error "words of two processes cannot be guarded by a lock of one"
#endif

_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "doc/ring.md §2");

/* ---- sizes, doc/ring.md §2 and §5 ----------------------------------------------------------- */

/* The largest message that is one record: whatever was told late, there is room for it. */
static uint32_t whole_bytes(uint32_t ring_bytes)
{
        return ring_bytes / 8 * 5 - NIPC__RING_CELL;
}

static uint32_t packet_size(uint32_t ring_bytes)
{
        return ring_bytes / 4 - NIPC__RING_CELL;
}

static size_t page_size(void)
{
        return (size_t)sysconf(_SC_PAGESIZE);
}

static uint32_t choose_ring_bytes(uint32_t max_payload_bytes, uint32_t max_ring_bytes)
{
        uint32_t bytes = NIPC__MAX(NIPC__MIN_RING_BYTES, (uint32_t)page_size());
        uint64_t wanted = NIPC_HEADER_SIZE + (uint64_t)max_payload_bytes;

        while (whole_bytes(bytes) < wanted &&
               bytes * 2 <= NIPC__MIN(max_ring_bytes, NIPC__MAX_RING_BYTES))
                bytes *= 2;
        return bytes;
}

uint64_t nipc__ring_get_memory_bytes(uint32_t max_payload_bytes, uint32_t max_ring_bytes)
{
        return NIPC__MAX(page_size(), (size_t)4096) +
               (uint64_t)choose_ring_bytes(max_payload_bytes, max_ring_bytes);
}

/* ---- mapping -------------------------------------------------------------------------------- */

/* The header, then the ring twice in a row. Returns NULL with errno set. */
static uint8_t *map_memory(int fd, size_t header_bytes, size_t ring_bytes, int protection)
{
        const size_t once = header_bytes + ring_bytes, total = once + ring_bytes;
        uint8_t *map;

        map = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED)
                return NULL;
        if (mmap(map, once, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
            mmap(map + once, ring_bytes, protection, MAP_SHARED | MAP_FIXED, fd,
                 (off_t)header_bytes) == MAP_FAILED) {
                int error = errno;

                munmap(map, total);
                errno = error;
                return NULL;
        }
        return map;
}

static int create_memory(void)
{
        int fd = memfd_create("nipc-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL) /* older than Linux 6.3 */
                fd = memfd_create("nipc-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd;
}

static int reserve_memory(int fd, size_t size)
{
        int r;

        if (ftruncate(fd, (off_t)size) < 0)
                return -errno;
        do {
                r = fallocate(fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
        } while (r == -EINTR);
        return r;
}

static void write_static(uint8_t *map, size_t header_bytes, uint32_t ring_bytes)
{
        nipc_store_u64(map + NIPC__RING_MAGIC_AT, NIPC__RING_MAGIC);
        nipc_store_u32(map + NIPC__RING_VERSION_AT, NIPC__RING_VERSION);
        nipc_store_u32(map + NIPC__RING_HEADER_BYTES_AT, (uint32_t)header_bytes);
        nipc_store_u32(map + NIPC__RING_RING_BYTES_AT, ring_bytes);
}

static void set_own(struct nipc__ring *ring, uint8_t *map, size_t header_bytes, uint32_t ring_bytes)
{
        ring->own_map = map;
        ring->own_map_bytes = header_bytes + 2 * (size_t)ring_bytes;
        ring->own_wait = (void *)(map + NIPC__RING_WAIT_AT);
        ring->own_n_rung = (void *)(map + NIPC__RING_N_RUNG_AT);
        ring->own_cpu = (void *)(map + NIPC__RING_CPU_AT);
        ring->own_consumed = (void *)(map + NIPC__RING_CONSUMED_AT);
        ring->tx = map + header_bytes;
        ring->tx_mask = ring_bytes - 1;
        ring->tx_limit = ring_bytes - NIPC__RING_CELL;
        ring->tx_whole_bytes = whole_bytes(ring_bytes);
        ring->tx_packet_size = packet_size(ring_bytes);
        /* Whoever polls before he has received anything is rung for. */
        ring->is_waiting = true;
        ring->wait_seq = NIPC__RING_SEQ;
        /* Nobody has this memory yet: nothing to order. */
        atomic_store_explicit(ring->own_wait, NIPC__RING_SEQ | NIPC__RING_DATA,
                              memory_order_relaxed);
        atomic_store_explicit(ring->own_cpu, NIPC__SPIN_UNKNOWN_CPU, memory_order_relaxed);
}

static int make_memory(struct nipc__ring *ring, uint32_t ring_bytes, const char **ret_step)
{
        const size_t header_bytes = NIPC__MAX(page_size(), (size_t)4096);
        uint8_t *map;
        int r;

        *ret_step = "memfd_create";
        ring->fd = create_memory();
        if (ring->fd < 0)
                return -errno;
        *ret_step = "reserving memory";
        r = reserve_memory(ring->fd, header_bytes + ring_bytes);
        if (r < 0)
                return r;
        *ret_step = "mapping own memory";
        map = map_memory(ring->fd, header_bytes, ring_bytes, PROT_READ | PROT_WRITE);
        if (!map)
                return -errno;
        write_static(map, header_bytes, ring_bytes);
        set_own(ring, map, header_bytes, ring_bytes);
        *ret_step = "sealing memory";
        return fcntl(ring->fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int nipc__ring_new(uint32_t max_payload_bytes, uint32_t max_ring_bytes, uint32_t spin_cap_ns,
                   struct nipc__ring **ret_ring, const char **ret_step)
{
        struct nipc__ring *ring;
        int r;

        *ret_step = "memory";
        ring = aligned_alloc(NIPC__RING_CELL, (sizeof(*ring) + NIPC__RING_CELL - 1) /
                                                      NIPC__RING_CELL * NIPC__RING_CELL);
        if (!ring)
                return -ENOMEM;
        *ring = (struct nipc__ring){.fd = -1, .poll_fd = -1, .bell_fd = -1};
        if (nipc__fork_mark_init(&ring->made_by) < 0) {
                free(ring);
                return -ENOMEM;
        }
        nipc__spinner_init(&ring->spinner, spin_cap_ns);
        r = make_memory(ring, choose_ring_bytes(max_payload_bytes, max_ring_bytes), ret_step);
        if (r < 0) {
                nipc__ring_free(ring);
                return r;
        }
        *ret_ring = ring;
        return 0;
}

/* ---- the peer's ----------------------------------------------------------------------------- */

/* Nothing of it is believed that could hurt us later; it cannot change afterwards. */
static int check_memory(int fd, size_t *ret_header_bytes, uint32_t *ret_ring_bytes)
{
        uint8_t bytes[NIPC__RING_STATIC_BYTES];
        uint32_t header_bytes, ring_bytes;
        struct stat st;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0)
                return -errno;
        if ((seals & SEALS) != SEALS)
                return -EPERM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (pread(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes) ||
            nipc_load_u64(bytes + NIPC__RING_MAGIC_AT) != NIPC__RING_MAGIC ||
            nipc_load_u32(bytes + NIPC__RING_VERSION_AT) != NIPC__RING_VERSION)
                return -EBADMSG;
        header_bytes = nipc_load_u32(bytes + NIPC__RING_HEADER_BYTES_AT);
        ring_bytes = nipc_load_u32(bytes + NIPC__RING_RING_BYTES_AT);
        if (header_bytes != NIPC__MAX(page_size(), (size_t)4096) ||
            ring_bytes < NIPC__MIN_RING_BYTES || ring_bytes > NIPC__MAX_RING_BYTES ||
            ring_bytes & (ring_bytes - 1) || ring_bytes % page_size() ||
            st.st_size != (off_t)header_bytes + (off_t)ring_bytes)
                return -EBADMSG;
        /* Pages that are not there yet would be taken from us, or be missing, when we read. */
        if ((uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size)
                return -ENOSPC;
        *ret_header_bytes = header_bytes;
        *ret_ring_bytes = ring_bytes;
        return 0;
}

/*
 * Pages that were reserved behind the end of the file count like those that are missing in it. So
 * all are touched in a way that fails instead of raising SIGBUS, and whether any had to be made is
 * seen. Since Linux 5.14; before that what check_memory() found has to do.
 */
static int touch_memory(int fd, uint8_t *map, size_t header_bytes, size_t size)
{
        struct stat before, after;
        size_t first;

        if (fstat(fd, &before) < 0)
                return -errno;
        if (madvise(map, size, MADV_POPULATE_READ) < 0)
                return errno == EINVAL ? 0 : -errno;
        if (fstat(fd, &after) < 0)
                return -errno;
        if (after.st_blocks > before.st_blocks)
                return -ENOSPC;
        /*
         * They are there, and by the seals can neither be taken away nor punched out: an idle
         * session need not keep its records mapped. Nothing is lost if that fails.
         */
        first = header_bytes + page_size(); /* looked at all the time */
        (void)madvise(map + first, size - first, MADV_DONTNEED);
        return 0;
}

int nipc__ring_attach(struct nipc__ring *ring, int peer_fd, const char **ret_step)
{
        size_t header_bytes = 0;
        uint32_t ring_bytes = 0;
        uint8_t *map = NULL;
        int r;

        *ret_step = "descriptor of the peer's memory";
        if (peer_fd < 0)
                return -EBADF;
        *ret_step = "checking the peer's memory";
        r = check_memory(peer_fd, &header_bytes, &ring_bytes);
        if (r == 0) {
                *ret_step = "mapping the peer's memory";
                map = map_memory(peer_fd, header_bytes, ring_bytes, PROT_READ);
                r = map ? touch_memory(peer_fd, map, header_bytes, header_bytes + ring_bytes)
                        : -errno;
        }
        close(peer_fd);
        if (r < 0) {
                if (map)
                        munmap(map, header_bytes + 2 * (size_t)ring_bytes);
                return r;
        }
        ring->peer_map = map;
        ring->peer_map_bytes = header_bytes + 2 * (size_t)ring_bytes;
        ring->peer_wait = (const void *)(map + NIPC__RING_WAIT_AT);
        ring->peer_n_rung = (const void *)(map + NIPC__RING_N_RUNG_AT);
        ring->peer_cpu = (const void *)(map + NIPC__RING_CPU_AT);
        ring->peer_consumed = (const void *)(map + NIPC__RING_CONSUMED_AT);
        ring->rx = map + header_bytes;
        ring->rx_mask = ring_bytes - 1;
        ring->rx_quarter = ring_bytes / 4;
        ring->rx_packet_size = packet_size(ring_bytes);
        ring->rx_max_bytes = ring_bytes - NIPC__RING_CELL - (uint32_t)sizeof(uint64_t);
        return 0;
}

struct nipc__ring *nipc__ring_free(struct nipc__ring *ring)
{
        if (!ring)
                return NULL;
        /*
         * Pairs with the loads of peer_wait; whoever does not look sees the link's end. A forked
         * child, which has a copy of everything, does not speak for its parent.
         */
        if (ring->own_map && !nipc__fork_is_inherited(&ring->made_by))
                atomic_store_explicit(ring->own_wait, NIPC__RING_CLOSED, memory_order_release);
        if (ring->own_map)
                munmap(ring->own_map, ring->own_map_bytes);
        if (ring->peer_map)
                munmap(ring->peer_map, ring->peer_map_bytes);
        if (ring->fd >= 0)
                close(ring->fd);
        if (ring->poll_fd >= 0)
                close(ring->poll_fd);
        if (ring->bell_fd >= 0)
                close(ring->bell_fd);
        free(ring);
        return NULL;
}
