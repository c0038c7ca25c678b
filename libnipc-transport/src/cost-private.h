/* SPDX-License-Identifier: MIT */
#pragma once

/* What a system adds to the cost of a session, see cost.c. */

#include <nipc/cost.h>
#include <stddef.h>
#include <stdint.h>

/* Two words before each block, and its size rounded up: what allocators of today take at most. */
static inline uint64_t nipc__heap_block(size_t size)
{
        return ((uint64_t)size + 15) / 16 * 16 + 16;
}

/* Adds what the link and the plane of this profile take, beside the session itself. */
void nipc__cost_add_system(struct nipc_session_cost *cost, uint32_t profile, uint32_t max_request,
                           uint32_t max_response, uint32_t max_ring_bytes);
