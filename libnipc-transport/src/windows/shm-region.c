/* SPDX-License-Identifier: MIT */

/*
 * The region of a session on Windows (transport-windows §3): made by the server for one session
 * before the client hears of it; gone with the last handle.
 */

#include "shm-region.h"
#include "security.h"
#include "stdaux.h"
#include <errno.h>
#include <nipc/header.h>
#include <nipc/hello.h>
#include <nipc/wire.h>
#include <stdatomic.h>
#include <string.h>

#if ATOMIC_LLONG_LOCK_FREE != 2 || ATOMIC_INT_LOCK_FREE != 2
#error "words of two processes cannot be guarded by a lock of one"
#endif

/* Room for a message is counted in an i32. */
#define CAPACITY_MAX ((uint32_t)INT32_MAX & ~(NIPC__SHM_ALIGNMENT - 1))

static uint64_t align64(uint64_t v)
{
        return (v + NIPC__SHM_ALIGNMENT - 1) & ~(uint64_t)(NIPC__SHM_ALIGNMENT - 1);
}

static int last_error(void)
{
        switch (GetLastError()) {
        case ERROR_ALREADY_EXISTS:
        case ERROR_INVALID_HANDLE: /* the name is that of another kind of object */
                return -EADDRINUSE;
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
                return -ENOENT;
        case ERROR_ACCESS_DENIED:
                return -EACCES;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY:
        case ERROR_COMMITMENT_LIMIT:
        case ERROR_NO_SYSTEM_RESOURCES:
        case ERROR_DISK_FULL: /* of the page file */
                return -ENOMEM;
        default:
                return -EIO;
        }
}

/* ---- made by a server ----------------------------------------------------------------------- */

static int set_sizes(struct nipc__shm_region *region, uint32_t max_request, uint32_t max_response,
                     uint32_t *ret_size)
{
        uint64_t request = align64((uint64_t)max_request + NIPC_HEADER_SIZE);
        uint64_t response = align64((uint64_t)max_response + NIPC_HEADER_SIZE);
        uint64_t size = NIPC__SHM_HEADER_BYTES + request + response;

        if (request > CAPACITY_MAX || response > CAPACITY_MAX || size > UINT32_MAX)
                return -EOVERFLOW;
        region->request_offset = NIPC__SHM_HEADER_BYTES;
        region->request_capacity = (uint32_t)request;
        region->response_offset = NIPC__SHM_HEADER_BYTES + (uint32_t)request;
        region->response_capacity = (uint32_t)response;
        *ret_size = (uint32_t)size;
        return 0;
}

/* New memory of the page file is zero: what is not written here is 0. */
static void write_header(const struct nipc__shm_region *region)
{
        uint8_t *map = region->map;

        nipc_store_u32(map + NIPC__SHM_VERSION_AT, NIPC__SHM_VERSION);
        nipc_store_u32(map + NIPC__SHM_HEADER_LEN_AT, NIPC__SHM_HEADER_BYTES);
        nipc_store_u32(map + NIPC__SHM_PROFILE_AT, region->profile);
        nipc_store_u32(map + NIPC__SHM_REQUEST_OFFSET_AT, region->request_offset);
        nipc_store_u32(map + NIPC__SHM_REQUEST_CAPACITY_AT, region->request_capacity);
        nipc_store_u32(map + NIPC__SHM_RESPONSE_OFFSET_AT, region->response_offset);
        nipc_store_u32(map + NIPC__SHM_RESPONSE_CAPACITY_AT, region->response_capacity);
        nipc_store_u32(map + NIPC__SHM_SPIN_TRIES_AT, NIPC__SHM_SPIN_TRIES);
        /*
         * The magic last: whoever sees it sees the rest. Pairs with the acquire in read_header();
         * a peer that is in time sees all of it because HELLO_ACK told him to look.
         */
        atomic_store_explicit((_Atomic uint32_t *)(void *)(map + NIPC__SHM_MAGIC_AT),
                              NIPC__SHM_MAGIC, memory_order_release);
}

static int create_event(const wchar_t *name, SECURITY_ATTRIBUTES *attributes, void **ret_event)
{
        HANDLE event = CreateEventW(attributes, FALSE, FALSE, name);

        if (!event)
                return last_error();
        *ret_event = event;
        return GetLastError() == ERROR_ALREADY_EXISTS ? -EADDRINUSE : 0;
}

static int create_objects(const struct nipc__shm_names *names, uint32_t size,
                          struct nipc__shm_region *region, const char **ret_step)
{
        struct nipc__security security;
        int r;

        *ret_step = "security descriptor of the region";
        r = nipc__security_init(&security);
        if (r < 0)
                return r;
        /* Committed now: a page that cannot be had is missed here, not when it is touched. */
        *ret_step = "creating the region";
        region->mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, &security.attributes,
                                             PAGE_READWRITE, 0, size, names->mapping);
        if (!region->mapping)
                return last_error();
        if (GetLastError() == ERROR_ALREADY_EXISTS)
                return -EADDRINUSE;
        *ret_step = "mapping the region";
        region->map = MapViewOfFile(region->mapping, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size);
        if (!region->map)
                return last_error();
        /* Before the magic, so that a client in a hurry does not miss them. */
        if (region->profile == NIPC_PROFILE_SHM_HYBRID) {
                *ret_step = "creating the events of the region";
                r = create_event(names->request_event, &security.attributes,
                                 &region->request_event);
                if (r == 0)
                        r = create_event(names->response_event, &security.attributes,
                                         &region->response_event);
        }
        return r;
}

int nipc__shm_region_create(const struct nipc__shm_names *names, uint32_t profile,
                            uint32_t max_request_payload_bytes, uint32_t max_response_payload_bytes,
                            struct nipc__shm_region *region, const char **ret_step)
{
        uint32_t size;
        int r;

        *region = (struct nipc__shm_region){.profile = profile};
        *ret_step = "sizing the region";
        r = set_sizes(region, max_request_payload_bytes, max_response_payload_bytes, &size);
        if (r == 0)
                r = create_objects(names, size, region, ret_step);
        if (r < 0) {
                nipc__shm_region_release(region);
                return r;
        }
        write_header(region);
        return 0;
}

/* ---- taken by a client ---------------------------------------------------------------------- */

/* How much of the view is memory that can be touched. */
static size_t usable_size(const uint8_t *map)
{
        MEMORY_BASIC_INFORMATION info;

        /* A section may be reserved only: such pages fault. */
        if (VirtualQuery(map, &info, sizeof(info)) != sizeof(info) || info.BaseAddress != map ||
            info.State != MEM_COMMIT || info.Protect != PAGE_READWRITE)
                return 0;
        return info.RegionSize;
}

/* All of the header once; what is judged is the copy. */
static bool read_header(const uint8_t *map, uint8_t header[NIPC__SHM_HEADER_BYTES])
{
        /* Pairs with the release in write_header(). */
        uint32_t magic = atomic_load_explicit(
                (const _Atomic uint32_t *)(const void *)(map + NIPC__SHM_MAGIC_AT),
                memory_order_acquire);

        memcpy(header, map, NIPC__SHM_HEADER_BYTES);
        return magic == NIPC__SHM_MAGIC;
}

static int check_header(const uint8_t *header, size_t size, struct nipc__shm_region *region,
                        const char **ret_step)
{
        uint64_t request_end, response_end;

        *ret_step = "version of the region";
        if (nipc_load_u32(header + NIPC__SHM_VERSION_AT) != NIPC__SHM_VERSION)
                return -EPROTONOSUPPORT;
        *ret_step = "header_len of the region";
        if (nipc_load_u32(header + NIPC__SHM_HEADER_LEN_AT) != NIPC__SHM_HEADER_BYTES)
                return -EBADMSG;
        *ret_step = "profile of the region";
        if (nipc_load_u32(header + NIPC__SHM_PROFILE_AT) != region->profile)
                return -EBADMSG;
        region->request_offset = nipc_load_u32(header + NIPC__SHM_REQUEST_OFFSET_AT);
        region->request_capacity = nipc_load_u32(header + NIPC__SHM_REQUEST_CAPACITY_AT);
        region->response_offset = nipc_load_u32(header + NIPC__SHM_RESPONSE_OFFSET_AT);
        region->response_capacity = nipc_load_u32(header + NIPC__SHM_RESPONSE_CAPACITY_AT);
        *ret_step = "size of the region";
        request_end = (uint64_t)region->request_offset + region->request_capacity;
        response_end = (uint64_t)region->response_offset + region->response_capacity;
        if (region->request_offset < NIPC__SHM_HEADER_BYTES || !region->request_capacity ||
            !region->response_capacity || region->response_offset < request_end ||
            (region->request_offset | region->request_capacity | region->response_offset |
             region->response_capacity) %
                    NIPC__SHM_ALIGNMENT ||
            response_end > UINT32_MAX || response_end > size)
                return -EBADMSG;
        region->request_capacity = NIPC__MIN(region->request_capacity, CAPACITY_MAX);
        region->response_capacity = NIPC__MIN(region->response_capacity, CAPACITY_MAX);
        return 0;
}

static int open_event(const wchar_t *name, void **ret_event)
{
        *ret_event = OpenEventW(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, name);
        return *ret_event ? 0 : last_error();
}

static int take_objects(const struct nipc__shm_names *names, struct nipc__shm_region *region,
                        const char **ret_step, bool *ret_is_early)
{
        uint8_t header[NIPC__SHM_HEADER_BYTES];
        size_t size;
        int r;

        *ret_step = "opening the region";
        region->mapping = OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, names->mapping);
        if (!region->mapping) {
                r = last_error();
                *ret_is_early = r == -ENOENT;
                return r;
        }
        *ret_step = "mapping the region";
        region->map = MapViewOfFile(region->mapping, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
        if (!region->map)
                return last_error();
        *ret_step = "size of the region";
        size = usable_size(region->map);
        if (size < sizeof(header))
                return -EBADMSG;
        *ret_step = "region not ready";
        if (!read_header(region->map, header)) {
                *ret_is_early = true;
                return -ENODATA;
        }
        r = check_header(header, size, region, ret_step);
        if (r < 0 || region->profile != NIPC_PROFILE_SHM_HYBRID)
                return r;
        *ret_step = "opening the events of the region";
        r = open_event(names->request_event, &region->request_event);
        if (r == 0)
                r = open_event(names->response_event, &region->response_event);
        *ret_is_early = r == -ENOENT;
        return r;
}

int nipc__shm_region_attach(const struct nipc__shm_names *names, uint32_t profile,
                            struct nipc__shm_region *region, const char **ret_step,
                            bool *ret_is_early)
{
        int r;

        *region = (struct nipc__shm_region){.profile = profile};
        *ret_is_early = false;
        r = take_objects(names, region, ret_step, ret_is_early);
        if (r < 0)
                nipc__shm_region_release(region);
        return r;
}

/* ---- either --------------------------------------------------------------------------------- */

static void close_handle(void **handle)
{
        if (*handle)
                CloseHandle(*handle);
        *handle = NULL;
}

void nipc__shm_region_release(struct nipc__shm_region *region)
{
        if (region->map)
                UnmapViewOfFile(region->map);
        region->map = NULL;
        close_handle(&region->mapping);
        close_handle(&region->request_event);
        close_handle(&region->response_event);
}
