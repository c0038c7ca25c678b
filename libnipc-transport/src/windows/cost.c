/* SPDX-License-Identifier: MIT */

/* What a session takes of Windows, see <nipc/cost.h>. */

#include "cost-private.h"
#include "pipe.h"
#include "shm.h"
#include "transport-private.h"

#define PAGE_BYTES UINT64_C(4096)

static void add_shm(struct nipc_session_cost *cost, uint32_t profile, uint32_t max_request,
                    uint32_t max_response)
{
        uint64_t bytes = NIPC__SHM_HEADER_BYTES + (uint64_t)max_request + max_response +
                         2 * (NIPC_HEADER_SIZE + (uint64_t)NIPC__SHM_ALIGNMENT);

        cost->heap_bytes += nipc__heap_block(sizeof(struct nipc__shm));
        cost->shared_bytes += (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        cost->n_mappings++;
        /* The region; an event each way, or the timer of one who polls. */
        cost->n_descriptors += profile == NIPC_PROFILE_SHM_HYBRID ? 3 : 2;
}

void nipc__cost_add_system(struct nipc_session_cost *cost, uint32_t profile, uint32_t max_request,
                           uint32_t max_response, uint32_t max_ring_bytes)
{
        cost->heap_bytes += nipc__heap_block(sizeof(struct nipc__pipe));
        cost->message_bytes += NIPC__PIPE_PACKET_SIZE; /* of one under way there is a copy */
        cost->n_descriptors += 3;                      /* the pipe, and an event each way */
        if (profile & (NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_SHM_BUSYWAIT))
                add_shm(cost, profile, max_request, max_response);
}
