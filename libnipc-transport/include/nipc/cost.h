/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a session takes of the process that holds it: for those who plan, or who set limits before a
 * session is there. Nothing is measured and nothing is made here; what the kernel keeps for a
 * socket (buffers, page tables) is not in it.
 *
 * Threading: everything here may be called from any thread.
 */

#include <nipc/init.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At most; n_* are counts, all else is in bytes. */
struct nipc_session_cost {
        size_t size;         /* sizeof(struct nipc_session_cost), set by the caller */
        uint64_t heap_bytes; /* of a session that has nothing to do, with shared buffers */
        uint64_t
                shared_bytes; /* memory made for it and shared with the peer, reserved as a whole */
        uint64_t message_bytes; /* more while a message is half received or half sent */
        uint32_t n_descriptors; /* and two more while its handshake is answered */
        uint32_t n_mappings;
        uint32_t n_sessions_per_thread; /* a thread of the library serves so many; 0: needs none */
};

#define NIPC_SESSION_COST_INIT NIPC_INIT(struct nipc_session_cost)

/*
 * The server's side of a session. profile: one NIPC_PROFILE_* bit. max_*_payload_bytes: as agreed
 * at most; max_ring_bytes: as in nipc_listener_config. The peer's own memory, up to 16 MiB of a
 * RING session, is the peer's. Never blocks. Returns 0, -EINVAL, -EPROTONOSUPPORT (no such profile
 * in this build). Since: 0.1
 */
int nipc_session_get_cost(uint32_t profile, uint32_t max_request_payload_bytes,
                          uint32_t max_response_payload_bytes, uint32_t max_ring_bytes,
                          struct nipc_session_cost *ret_cost);

#ifdef __cplusplus
}
#endif
