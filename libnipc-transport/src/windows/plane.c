/* SPDX-License-Identifier: MIT */

/* What profiles with memory of their own need around the handshake: there are none here yet. */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

void nipc__plane_offer(struct nipc_session *session, const struct nipc_session_config *config,
                       uint32_t *profiles, int *ret_fd)
{
        *ret_fd = -1;
}

int nipc__plane_attach(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd)
{
        return 0;
}

int nipc__plane_prepare(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd,
                        int *ret_fd)
{
        *ret_fd = -1;
        return 0;
}

void nipc__plane_handed_over(struct nipc_session *session)
{
}

void nipc__plane_begin(struct nipc_session *session)
{
        session->plane = &nipc__baseline_ops;
}

int nipc__plane_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity)
{
        return -EOPNOTSUPP;
}

void nipc__plane_release(struct nipc_session *session)
{
}

struct nipc__shm_place *nipc__shm_place_ref(struct nipc__shm_place *place)
{
        return place;
}

struct nipc__shm_place *nipc__shm_place_unref(struct nipc__shm_place *place)
{
        return NULL;
}
