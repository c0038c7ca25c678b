/* SPDX-License-Identifier: MIT */

/*
 * What profiles with memory of their own need around the handshake, on Linux: made before HELLO or
 * HELLO_ACK, handed over with it, taken afterwards. Whatever fails costs the profile, never the
 * session: the server strips it and judges HELLO again, the client opens another session without.
 */

#include "ring.h"
#include "shm.h"
#include "transport-private.h"
#include <unistd.h>

void nipc__plane_offer(struct nipc_session *session, const struct nipc_session_config *config,
                       uint32_t *profiles, int *ret_fd)
{
        const char *step;
        int r;

        *ret_fd = -1;
        if (!(*profiles & NIPC_PROFILE_RING))
                return;
        r = nipc__ring_new(config->max_request_payload_bytes, session->max_ring_bytes,
                           NIPC__SPIN_CLIENT_NS, &session->ring, &step);
        if (r < 0) {
                *profiles &= ~NIPC_PROFILE_RING;
                nipc__session_downgrade(session, NIPC_PROFILE_RING, r, step);
                return;
        }
        *ret_fd = session->ring->fd;
}

static void close_ring_fd(struct nipc__ring *ring)
{
        close(ring->fd);
        ring->fd = -1;
}

/*
 * What the caller of open hears when nothing is left to offer: not that the provider is absent, or
 * that it refused us.
 */
static int attach_error(int error)
{
        return error == -ENOENT || error == -EACCES || error == -EPERM ? -ENODATA : error;
}

static int attach_shm(struct nipc_session *session, uint64_t session_id)
{
        const char *step;
        int r = nipc__shm_attach(session, session_id, &step);

        if (r == 0 || !step)
                return r;
        nipc__session_downgrade(session, NIPC_PROFILE_SHM_HYBRID, r, step);
        session->unusable_profiles = NIPC_PROFILE_SHM_HYBRID;
        return attach_error(r);
}

int nipc__plane_attach(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd)
{
        const char *step;
        int r;

        if (ack->selected_profile != NIPC_PROFILE_RING || !session->ring) {
                if (fd >= 0)
                        close(fd);
                session->ring = nipc__ring_free(session->ring);
                /* What we did not offer we do not take: then that bit has no plane here. */
                if (ack->selected_profile == NIPC_PROFILE_SHM_HYBRID &&
                    (session->offered_profiles & NIPC_PROFILE_SHM_HYBRID))
                        return attach_shm(session, ack->session_id);
                return 0;
        }
        close_ring_fd(session->ring);
        r = nipc__ring_attach(session->ring, fd, &step);
        if (r < 0) {
                nipc__session_downgrade(session, NIPC_PROFILE_RING, r, step);
                session->unusable_profiles = NIPC_PROFILE_RING;
        }
        return r;
}

static int prepare_shm(struct nipc_session *session, const struct nipc_hello_ack *ack)
{
        const char *step;
        int r = nipc__shm_prepare(session, ack->session_id, &step);

        if (r < 0)
                nipc__session_downgrade(session, NIPC_PROFILE_SHM_HYBRID, r, step);
        return r;
}

int nipc__plane_prepare(struct nipc_session *session, struct nipc_hello_ack *ack, int fd,
                        int *ret_fd)
{
        const char *step = "descriptor of the peer's memory";
        int r = -EBADF;

        *ret_fd = -1;
        if (ack->selected_profile != NIPC_PROFILE_RING) {
                if (fd >= 0)
                        close(fd);
                return ack->selected_profile == NIPC_PROFILE_SHM_HYBRID ? prepare_shm(session, ack)
                                                                        : 0;
        }
        if (fd >= 0) {
                r = nipc__ring_new(ack->agreed_max_response_payload_bytes, session->max_ring_bytes,
                                   NIPC__SPIN_SERVER_NS, &session->ring, &step);
                if (r == 0)
                        r = nipc__ring_attach(session->ring, fd, &step);
                else
                        close(fd);
        }
        if (r < 0) {
                session->ring = nipc__ring_free(session->ring);
                nipc__session_downgrade(session, NIPC_PROFILE_RING, r, step);
                return r;
        }
        *ret_fd = session->ring->fd;
        return 0;
}

void nipc__plane_handed_over(struct nipc_session *session)
{
        if (session->ring)
                close_ring_fd(session->ring);
}

void nipc__plane_begin(struct nipc_session *session)
{
        /* A bit without a plane means that the session stays on the baseline (wire-v1 §1). */
        session->plane = session->ring  ? &nipc__ring_ops
                         : session->shm ? &nipc__shm_ops
                                        : &nipc__baseline_ops;
        if (session->ring)
                session->tx_whole_bytes = nipc__ring_begin(session);
        if (!session->shm)
                return;
        /* One message at a time, and never in parts (transport-posix §3). */
        session->tx_whole_bytes = UINT32_MAX;
        session->tx_capacity = nipc__shm_get_max_payload_bytes(session->shm);
        session->tx_max_payload_bytes =
                NIPC__MIN(session->tx_max_payload_bytes, session->tx_capacity);
        session->in_flight.max_ids = 1;
}

int nipc__plane_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity)
{
        if (!session->ring)
                return -EOPNOTSUPP;
        nipc__ring_get_queued(session, ret_used, ret_capacity);
        return 0;
}

void nipc__plane_release(struct nipc_session *session)
{
        session->shm = nipc__shm_free(session->shm);
        session->ring = nipc__ring_free(session->ring);
}
