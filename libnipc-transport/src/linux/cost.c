/* SPDX-License-Identifier: MIT */

/* What a session takes, by profile, see <nipc/cost.h>: what is made in plane.c is counted here. */

#include "cost-private.h"
#include "futex.h"
#include "ring.h"
#include "shm.h"
#include "stdaux.h"
#include "transport-private.h"
#include <unistd.h>

/* What watch.c and fault.c keep of a region; generous. */
#define WATCH_BYTES 512u

static uint64_t pages(uint64_t bytes)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        return (bytes + page - 1) / page * page;
}

static void add_ring(struct nipc_session_cost *cost, uint32_t max_response, uint32_t max_ring_bytes)
{
        cost->heap_bytes += nipc__heap_block(sizeof(struct nipc__ring) + NIPC__RING_CELL);
        cost->shared_bytes += nipc__ring_get_memory_bytes(max_response, max_ring_bytes);
        cost->n_mappings += 4; /* ours and the peer's, the records of each twice */
}

static void add_shm(struct nipc_session_cost *cost, uint32_t max_request, uint32_t max_response)
{
        cost->heap_bytes += nipc__heap_block(sizeof(struct nipc__shm)) + WATCH_BYTES;
        cost->shared_bytes += pages(NIPC__SHM_HEADER_BYTES + (uint64_t)max_request + max_response +
                                    2 * (NIPC_HEADER_SIZE + 64));
        cost->n_mappings++;
        cost->n_descriptors += 2; /* the region, and the bell */
        cost->n_sessions_per_thread = NIPC__FUTEX_WAITV_MAX - 1;
}

void nipc__cost_add_system(struct nipc_session_cost *cost, uint32_t profile, uint32_t max_request,
                           uint32_t max_response, uint32_t max_ring_bytes)
{
        cost->n_descriptors++; /* the socket */
        if (profile == NIPC_PROFILE_RING)
                add_ring(cost, max_response,
                         max_ring_bytes ? max_ring_bytes : NIPC__DEFAULT_RING_BYTES);
        if (profile == NIPC_PROFILE_SHM_HYBRID)
                add_shm(cost, max_request, max_response);
}
