/* SPDX-License-Identifier: MIT */

/* What a session takes of Windows, see <nipc/cost.h>. */

#include "cost-private.h"
#include "pipe.h"
#include "transport-private.h"

void nipc__cost_add_system(struct nipc_session_cost *cost, uint32_t profile, uint32_t max_request,
                           uint32_t max_response, uint32_t max_ring_bytes)
{
        cost->heap_bytes += nipc__heap_block(sizeof(struct nipc__pipe));
        cost->message_bytes += NIPC__PIPE_PACKET_SIZE; /* of one under way there is a copy */
        cost->n_descriptors += 3;                      /* the pipe, and an event each way */
}
