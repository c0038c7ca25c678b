/* SPDX-License-Identifier: MIT */

/* What a session takes, by profile, see <nipc/cost.h>. */

#include "pipe.h"
#include "stdaux.h"
#include "transport-private.h"
#include <nipc/cost.h>

/* Two words before each block, and its size rounded up. */
static uint64_t heap_block(size_t size)
{
        return ((uint64_t)size + 15) / 16 * 16 + 16;
}

NIPC__EXPORT int nipc_session_get_cost(uint32_t profile, uint32_t max_request_payload_bytes,
                                       uint32_t max_response_payload_bytes, uint32_t max_ring_bytes,
                                       struct nipc_session_cost *ret_cost)
{
        struct nipc_session_cost cost = {0};
        const uint64_t messages = 2 * NIPC_HEADER_SIZE + (uint64_t)max_request_payload_bytes +
                                  max_response_payload_bytes;

        if (!ret_cost || ret_cost->size < sizeof(size_t) || !profile || profile & (profile - 1))
                return -EINVAL;
        if (!(profile & NIPC__AVAILABLE_PROFILES))
                return -EPROTONOSUPPORT;
        /* Of a packet under way there is one copy more. */
        cost.heap_bytes =
                heap_block(sizeof(struct nipc_session)) + heap_block(sizeof(struct nipc__pipe));
        cost.message_bytes = messages + 2 * NIPC__MIN_RECEIVE_BUFFER + NIPC__PIPE_PACKET_SIZE;
        cost.n_descriptors = 3; /* the pipe, and an event for each direction */
        cost.size = ret_cost->size;
        memcpy(ret_cost, &cost, NIPC__MIN(ret_cost->size, sizeof(cost)));
        return 0;
}
