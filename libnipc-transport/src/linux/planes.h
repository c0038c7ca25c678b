/* SPDX-License-Identifier: MIT */
#pragma once

/* The planes of Linux, beside the baseline. */

#include <nipc/hello.h>
#include <stddef.h>
#include <stdint.h>

struct nipc__plane_ops;
struct nipc__shm;
struct nipc_session;

/* Profiles this build has a plane for. */
#define NIPC__AVAILABLE_PROFILES \
        (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_RING)

extern const struct nipc__plane_ops nipc__ring_ops;
extern const struct nipc__plane_ops nipc__shm_ops;

/* The handshake is complete. Returns the size of what is never sent in parts over the ring. */
uint32_t nipc__ring_begin(struct nipc_session *session);

/* What of our records the peer has not said it has read, and the room that there is for them. */
void nipc__ring_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity);

/* The payload of the largest message that fits the region, our way. */
uint32_t nipc__shm_get_max_payload_bytes(const struct nipc__shm *shm);
