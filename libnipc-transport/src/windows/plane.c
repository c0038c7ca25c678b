/* SPDX-License-Identifier: MIT */

/*
 * What profiles with memory of their own need around the handshake, on Windows: made before
 * HELLO_ACK, taken afterwards by its name. Whatever fails costs the profile, never the session: the
 * server strips it and judges HELLO again, the client opens another session without.
 */

#include "shm.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

#define SHM_PROFILES (NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_SHM_BUSYWAIT)

void nipc__plane_offer(struct nipc_session *session, const struct nipc_session_config *config,
                       uint32_t *profiles, int *ret_fd)
{
        *ret_fd = -1;
}

/*
 * What the caller of open hears when nothing is left to offer: not that the provider is absent, or
 * that it refused us.
 */
static int attach_error(int error)
{
        return error == -ENOENT || error == -EACCES ? -ENODATA : error;
}

int nipc__plane_attach(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd)
{
        const uint32_t profile = ack->selected_profile;
        const char *step;
        int r;

        /* What we did not offer we do not take: then that bit has no plane here. */
        if (!(profile & SHM_PROFILES & session->offered_profiles))
                return 0;
        r = nipc__shm_attach(session, profile, ack->session_id, &step);
        if (r == 0 || !step)
                return r;
        nipc__session_downgrade(session, profile, r, step);
        session->unusable_profiles = profile;
        return attach_error(r);
}

int nipc__plane_prepare(struct nipc_session *session, struct nipc_hello_ack *ack, int fd,
                        int *ret_fd)
{
        const char *step;
        int r;

        *ret_fd = -1;
        if (!(ack->selected_profile & SHM_PROFILES))
                return 0;
        r = nipc__shm_prepare(session, ack->selected_profile, &ack->session_id, &step);
        if (r < 0)
                nipc__session_downgrade(session, ack->selected_profile, r, step);
        return r;
}

void nipc__plane_handed_over(struct nipc_session *session)
{
}

void nipc__plane_begin(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;

        /* A bit without a plane means that the session stays on the baseline (wire-v1 §1). */
        session->plane = &nipc__baseline_ops;
        if (!shm)
                return;
        session->plane = shm->region.profile == NIPC_PROFILE_SHM_HYBRID ? &nipc__shm_hybrid_ops
                                                                        : &nipc__shm_busywait_ops;
        /* One message at a time, and never in parts (transport-windows §3). */
        session->tx_whole_bytes = UINT32_MAX;
        session->tx_capacity = shm->channel.tx_capacity - NIPC_HEADER_SIZE;
        session->tx_max_payload_bytes =
                NIPC__MIN(session->tx_max_payload_bytes, session->tx_capacity);
        session->in_flight.max_ids = 1;
}

int nipc__plane_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity)
{
        return -EOPNOTSUPP;
}

void nipc__plane_release(struct nipc_session *session)
{
        session->shm = nipc__shm_free(session->shm);
}
