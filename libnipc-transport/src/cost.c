/* SPDX-License-Identifier: MIT */

/* What a session takes, by profile, see <nipc/cost.h>: what all systems have in common. */

#include "cost-private.h"
#include "planes.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

NIPC__EXPORT int nipc_session_get_cost(uint32_t profile, uint32_t max_request_payload_bytes,
                                       uint32_t max_response_payload_bytes, uint32_t max_ring_bytes,
                                       struct nipc_session_cost *ret_cost)
{
        struct nipc_session_cost cost = {0};

        if (!ret_cost || ret_cost->size < sizeof(size_t) || !profile || profile & (profile - 1))
                return -EINVAL;
        if (!(profile & NIPC__AVAILABLE_PROFILES))
                return -EPROTONOSUPPORT;
        cost.heap_bytes = nipc__heap_block(sizeof(struct nipc_session));
        cost.message_bytes = 2 * NIPC_HEADER_SIZE + (uint64_t)max_request_payload_bytes +
                             max_response_payload_bytes + 2 * NIPC__MIN_RECEIVE_BUFFER;
        nipc__cost_add_system(&cost, profile, max_request_payload_bytes, max_response_payload_bytes,
                              max_ring_bytes);
        cost.size = ret_cost->size;
        memcpy(ret_cost, &cost, NIPC__MIN(ret_cost->size, sizeof(cost)));
        return 0;
}
