/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The region of an SHM_HYBRID or SHM_BUSYWAIT session on Windows (transport-windows §3): a named
 * section of the page file and, for SHM_HYBRID, two events. They go when the last handle does:
 * there is nothing to clean up after a crash.
 *
 * Everything in the region can be written by the peer at any time. Offsets and capacities are kept
 * here and never read back. A section of the page file cannot be shortened, and its views keep what
 * they have: once it is known to be there, touching it is safe.
 */

#include "names.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets in the region. */
enum {
        NIPC__SHM_MAGIC_AT = 0,
        NIPC__SHM_VERSION_AT = 4,
        NIPC__SHM_HEADER_LEN_AT = 8,
        NIPC__SHM_PROFILE_AT = 12,
        NIPC__SHM_REQUEST_OFFSET_AT = 16,
        NIPC__SHM_REQUEST_CAPACITY_AT = 20,
        NIPC__SHM_RESPONSE_OFFSET_AT = 24,
        NIPC__SHM_RESPONSE_CAPACITY_AT = 28,
        NIPC__SHM_SPIN_TRIES_AT = 32,
        NIPC__SHM_REQUEST_LEN_AT = 36,
        NIPC__SHM_RESPONSE_LEN_AT = 40,
        NIPC__SHM_CLIENT_CLOSED_AT = 44,
        NIPC__SHM_SERVER_WAITING_AT = 48,
        NIPC__SHM_SERVER_CLOSED_AT = 52,
        NIPC__SHM_CLIENT_WAITING_AT = 56,
        NIPC__SHM_REQUEST_SEQ_AT = 64,
        NIPC__SHM_RESPONSE_SEQ_AT = 72,
        NIPC__SHM_HEADER_BYTES = 128,
};

#define NIPC__SHM_MAGIC      0x4e535748u
#define NIPC__SHM_VERSION    3u
#define NIPC__SHM_ALIGNMENT  64u
#define NIPC__SHM_SPIN_TRIES 1024u /* for NetIPC v1 peers, who spin by it; we adapt */

struct nipc__shm_region {
        uint8_t *map;        /* NULL: nothing is held */
        void *mapping;       /* HANDLE, as are the next two */
        void *request_event; /* NULL: SHM_BUSYWAIT has none */
        void *response_event;
        uint32_t profile;
        uint32_t request_offset;
        uint32_t request_capacity;
        uint32_t response_offset;
        uint32_t response_capacity;
};

/*
 * Makes the region of a session for these maxima; it can be opened by the same user and the system.
 * profile: one of the two. *ret_step: what failed, a literal. Returns 0, -EADDRINUSE when one of
 * the names is taken, -EOVERFLOW, or another negative errno.
 */
int nipc__shm_region_create(const struct nipc__shm_names *names, uint32_t profile,
                            uint32_t max_request_payload_bytes, uint32_t max_response_payload_bytes,
                            struct nipc__shm_region *region, const char **ret_step);

/*
 * Maps what a server made, and checks all that it says. *ret_is_early: it may still be being made.
 * Returns as create does, or -EBADMSG.
 */
int nipc__shm_region_attach(const struct nipc__shm_names *names, uint32_t profile,
                            struct nipc__shm_region *region, const char **ret_step,
                            bool *ret_is_early);

/* Takes what create and attach left, also after an error. */
void nipc__shm_region_release(struct nipc__shm_region *region);
