/* SPDX-License-Identifier: MIT */

/*
 * The file of an SHM_HYBRID session (transport-posix §3): made by the server for one session before
 * the client hears of it, removed when the session ends.
 *
 * A region of ours is locked, by an open file description lock, for as long as its session lives,
 * and says in owner_generation that it is of that kind. So whether its owner lives is known and not
 * guessed from a PID; owner_pid is there for NetIPC v1 peers.
 */

#include "endpoint-private.h"
#include "shm.h"
#include "stdaux.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nipc/header.h>
#include <nipc/wire.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if ATOMIC_LLONG_LOCK_FREE != 2 || ATOMIC_INT_LOCK_FREE != 2
#error "words of two processes cannot be guarded by a lock of one"
#endif

static uint64_t align64(uint64_t v)
{
        return (v + NIPC__SHM_ALIGNMENT - 1) & ~(uint64_t)(NIPC__SHM_ALIGNMENT - 1);
}

/* ---- where regions lie ---------------------------------------------------------------------- */

int nipc__shm_place_new(const char *run_dir, const char *service,
                        struct nipc__shm_place **ret_place)
{
        struct nipc__shm_place *place;

        if (strlen(service) >= sizeof(place->service))
                return -ENAMETOOLONG;
        place = calloc(1, sizeof(*place));
        if (!place)
                return -ENOMEM;
        atomic_init(&place->n_refs, 1);
        place->dir_fd = nipc__endpoint_open_dir(run_dir);
        if (place->dir_fd < 0) {
                int r = place->dir_fd;

                free(place);
                return r;
        }
        place->dir_len = strlen(run_dir);
        memcpy(place->service, service, strlen(service) + 1);
        *ret_place = place;
        return 0;
}

struct nipc__shm_place *nipc__shm_place_ref(struct nipc__shm_place *place)
{
        /* Whoever refs has a reference already: nothing to order. */
        if (place)
                atomic_fetch_add_explicit(&place->n_refs, 1, memory_order_relaxed);
        return place;
}

struct nipc__shm_place *nipc__shm_place_unref(struct nipc__shm_place *place)
{
        /* Releases our use of it to the last one, who acquires that of all others. */
        if (!place || atomic_fetch_sub_explicit(&place->n_refs, 1, memory_order_acq_rel) != 1)
                return NULL;
        close(place->dir_fd);
        free(place);
        return NULL;
}

static int format_name(const char *service, uint64_t session_id, size_t dir_len, char *buf)
{
        int n = snprintf(buf, NIPC__SHM_PATH_MAX, "%s-%016" PRIx64 NIPC__SHM_SUFFIX, service,
                         session_id);

        if (n < 0 || dir_len + 1 + (size_t)n >= NIPC__SHM_PATH_MAX)
                return -ENAMETOOLONG;
        return 0;
}

uint32_t nipc__shm_generation(pid_t pid, uint64_t session_id, ino_t ino)
{
        uint64_t h = (uint64_t)(uint32_t)pid;

        /* Only to tell ours from others: the multipliers are odd and well mixed, no more. */
        h = (h ^ session_id) * UINT64_C(0x9e3779b97f4a7c15);
        h = (h ^ h >> 29 ^ (uint64_t)ino) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
        return (uint32_t)h ? (uint32_t)h : 1;
}

/* ---- made by a server ----------------------------------------------------------------------- */

static int set_sizes(struct nipc__shm_region *region, uint32_t max_request, uint32_t max_response)
{
        uint64_t request = align64((uint64_t)max_request + NIPC_HEADER_SIZE);
        uint64_t response = align64((uint64_t)max_response + NIPC_HEADER_SIZE);
        uint64_t size = NIPC__SHM_HEADER_BYTES + request + response;

        if (size > UINT32_MAX || size > SIZE_MAX)
                return -EOVERFLOW;
        region->request_offset = NIPC__SHM_HEADER_BYTES;
        region->request_capacity = (uint32_t)request;
        region->response_offset = NIPC__SHM_HEADER_BYTES + (uint32_t)request;
        region->response_capacity = (uint32_t)response;
        region->size = (size_t)size;
        return 0;
}

static int open_new(struct nipc__shm_region *region)
{
        const int dir_fd = region->place->dir_fd;
        int r;

        /* A name that is taken belonged to a dead owner, or the session does without. */
        for (unsigned i = 0; i < 2; i++) {
                region->fd =
                        openat(dir_fd, region->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (region->fd >= 0)
                        return 0;
                if (errno != EEXIST || i > 0)
                        return -errno;
                r = nipc__shm_remove_dead(dir_fd, region->name);
                if (r < 0)
                        return r;
        }
        return -EEXIST;
}

/* Never by ftruncate: a page that cannot be had must be missed here, not when it is touched. */
static int reserve(const struct nipc__shm_region *region)
{
        struct rlimit limit;
        int r;

        /* The kernel would send SIGXFSZ. */
        if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
            limit.rlim_cur < region->size)
                return -EFBIG;
        do {
                r = fallocate(region->fd, 0, 0, (off_t)region->size) < 0 ? -errno : 0;
        } while (r == -EINTR);
        return r;
}

static int map(struct nipc__shm_region *region)
{
        uint8_t *bytes;
        int r;

        bytes = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
        if (bytes == MAP_FAILED)
                return -errno;
        r = nipc__fault_register(bytes, region->size, &region->fault);
        if (r < 0) {
                munmap(bytes, region->size);
                return r;
        }
        region->map = bytes;
        return 0;
}

/* What was reserved is zero: counters, lengths and signals need no writing. */
static void write_header(const struct nipc__shm_region *region, uint32_t generation)
{
        uint8_t *map = region->map;

        nipc_store_u32(map + NIPC__SHM_MAGIC_AT, NIPC__SHM_MAGIC);
        nipc_store_u16(map + NIPC__SHM_VERSION_AT, NIPC__SHM_VERSION);
        nipc_store_u16(map + NIPC__SHM_HEADER_LEN_AT, NIPC__SHM_HEADER_BYTES);
        nipc_store_u32(map + NIPC__SHM_OWNER_PID_AT, (uint32_t)region->owner_pid);
        nipc_store_u32(map + NIPC__SHM_OWNER_GENERATION_AT, generation);
        nipc_store_u32(map + NIPC__SHM_REQUEST_OFFSET_AT, region->request_offset);
        nipc_store_u32(map + NIPC__SHM_REQUEST_CAPACITY_AT, region->request_capacity);
        nipc_store_u32(map + NIPC__SHM_RESPONSE_OFFSET_AT, region->response_offset);
        nipc_store_u32(map + NIPC__SHM_RESPONSE_CAPACITY_AT, region->response_capacity);
        /* Pairs with the acquire of whoever attaches, after HELLO_ACK told him to. */
        atomic_thread_fence(memory_order_release);
}

static int fill_file(struct nipc__shm_region *region, uint64_t session_id, const char **ret_step)
{
        struct stat st;
        int r;

        if (fstat(region->fd, &st) < 0) {
                r = -errno;
                /* Without its number nobody knows it for ours later; it was made just now. */
                unlinkat(region->place->dir_fd, region->name, 0);
                return r;
        }
        region->dev = st.st_dev;
        region->ino = st.st_ino;
        *ret_step = "locking the region";
        r = nipc__lock_take(region->fd);
        if (r < 0)
                return r;
        *ret_step = "reserving the region";
        r = reserve(region);
        if (r < 0)
                return r;
        *ret_step = "mapping the region";
        r = map(region);
        if (r < 0)
                return r;
        write_header(region, nipc__shm_generation(region->owner_pid, session_id, region->ino));
        return 0;
}

int nipc__shm_region_create(struct nipc__shm_place *place, uint64_t session_id,
                            uint32_t max_request_payload_bytes, uint32_t max_response_payload_bytes,
                            struct nipc__shm_region *region, const char **ret_step)
{
        int r;

        *region = (struct nipc__shm_region){.fd = -1, .owner_pid = getpid()};
        *ret_step = "memory";
        r = nipc__fork_mark_init(&region->made_by);
        if (r < 0)
                return r;
        *ret_step = "sizing the region";
        r = set_sizes(region, max_request_payload_bytes, max_response_payload_bytes);
        if (r < 0)
                return r;
        *ret_step = "naming the region";
        r = format_name(place->service, session_id, place->dir_len, region->name);
        if (r < 0)
                return r;
        region->place = nipc__shm_place_ref(place);
        *ret_step = "creating the region";
        r = open_new(region);
        if (r == 0)
                r = fill_file(region, session_id, ret_step);
        if (r < 0)
                nipc__shm_region_release(region);
        return r;
}

/* ---- taken by a client ---------------------------------------------------------------------- */

static int open_existing(const char *run_dir, const char *name, int *ret_fd)
{
        int dir_fd = nipc__endpoint_open_dir(run_dir), r = 0;

        if (dir_fd < 0)
                return dir_fd;
        *ret_fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (*ret_fd < 0)
                r = -errno;
        close(dir_fd);
        return r;
}

/* The check table of transport-posix §3, in its order. */
static int check_header(const uint8_t *header, uint64_t file_size, struct nipc__shm_region *region,
                        const char **ret_step, bool *ret_is_early)
{
        uint64_t request_end, response_end;

        *ret_step = "magic of the region";
        *ret_is_early = true;
        if (nipc_load_u32(header + NIPC__SHM_MAGIC_AT) != NIPC__SHM_MAGIC)
                return -EBADMSG;
        *ret_is_early = false;
        *ret_step = "version of the region";
        if (nipc_load_u16(header + NIPC__SHM_VERSION_AT) != NIPC__SHM_VERSION)
                return -EPROTONOSUPPORT;
        *ret_step = "header_len of the region";
        if (nipc_load_u16(header + NIPC__SHM_HEADER_LEN_AT) != NIPC__SHM_HEADER_BYTES)
                return -EBADMSG;
        region->request_offset = nipc_load_u32(header + NIPC__SHM_REQUEST_OFFSET_AT);
        region->request_capacity = nipc_load_u32(header + NIPC__SHM_REQUEST_CAPACITY_AT);
        region->response_offset = nipc_load_u32(header + NIPC__SHM_RESPONSE_OFFSET_AT);
        region->response_capacity = nipc_load_u32(header + NIPC__SHM_RESPONSE_CAPACITY_AT);
        *ret_step = "region not ready";
        *ret_is_early = true;
        if (region->request_offset < NIPC__SHM_HEADER_BYTES || !region->request_capacity ||
            region->response_offset < NIPC__SHM_HEADER_BYTES || !region->response_capacity)
                return -ENODATA;
        *ret_is_early = false;
        *ret_step = "size of the region";
        request_end = (uint64_t)region->request_offset + region->request_capacity;
        response_end = (uint64_t)region->response_offset + region->response_capacity;
        if (request_end > UINT32_MAX ||
            (region->request_offset | region->request_capacity | region->response_offset |
             region->response_capacity) %
                    NIPC__SHM_ALIGNMENT ||
            region->response_offset < align64(request_end) ||
            file_size < NIPC__MAX(request_end, response_end) || response_end > SIZE_MAX)
                return -EBADMSG;
        region->size = (size_t)response_end;
        return 0;
}

static int take_file(struct nipc__shm_region *region, const char **ret_step, bool *ret_is_early)
{
        uint8_t header[NIPC__SHM_HEADER_BYTES];
        struct stat st;
        ssize_t n;
        int r;

        *ret_step = "opening the region";
        if (fstat(region->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        *ret_step = "region not ready";
        *ret_is_early = true;
        if (st.st_size < (off_t)sizeof(header))
                return -ENODATA;
        n = pread(region->fd, header, sizeof(header), 0);
        if (n != (ssize_t)sizeof(header))
                return n < 0 ? -errno : -ENODATA;
        /* What the server wrote before HELLO_ACK: pairs with the fence in write_header(). */
        atomic_thread_fence(memory_order_acquire);
        r = check_header(header, (uint64_t)st.st_size, region, ret_step, ret_is_early);
        if (r < 0)
                return r;
        *ret_step = "mapping the region";
        return map(region);
}

int nipc__shm_region_attach(const char *run_dir, const char *service, uint64_t session_id,
                            struct nipc__shm_region *region, const char **ret_step,
                            bool *ret_is_early)
{
        int r;

        *region = (struct nipc__shm_region){.fd = -1};
        *ret_is_early = false;
        *ret_step = "naming the region";
        r = format_name(service, session_id, strlen(run_dir), region->name);
        if (r < 0)
                return r;
        *ret_step = "opening the region";
        r = open_existing(run_dir, region->name, &region->fd);
        *ret_is_early = r == -ENOENT;
        if (r == 0)
                r = take_file(region, ret_step, ret_is_early);
        if (r < 0)
                nipc__shm_region_release(region);
        return r;
}

/* ---- either --------------------------------------------------------------------------------- */

static void remove_own(const struct nipc__shm_region *region)
{
        struct stat st;

        /* A child that inherited the session leaves the file to its parent. */
        if (region->fd >= 0 && region->ino && !nipc__fork_is_inherited(&region->made_by) &&
            fstatat(region->place->dir_fd, region->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev == region->dev && st.st_ino == region->ino)
                unlinkat(region->place->dir_fd, region->name, 0);
}

void nipc__shm_region_release(struct nipc__shm_region *region)
{
        if (region->place)
                remove_own(region); /* while it is locked */
        nipc__fault_unregister(region->fault);
        if (region->map)
                munmap(region->map, region->size);
        if (region->fd >= 0)
                close(region->fd);
        region->place = nipc__shm_place_unref(region->place);
        region->fault = NULL;
        region->map = NULL;
        region->fd = -1;
}

int nipc__shm_region_check(const struct nipc__shm_region *region)
{
        struct stat st;

        if (nipc__fault_is_broken(region->fault))
                return -EBADMSG;
        return fstat(region->fd, &st) == 0 && (uint64_t)st.st_size < region->size ? -EBADMSG : 0;
}
