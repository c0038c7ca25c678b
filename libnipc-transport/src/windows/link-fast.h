/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One packet in or out of the link. Both return the bytes moved (receive: the packet's full length,
 * even if it was longer than the buffers; never 0), or a negative errno of the table in
 * <nipc/session.h>.
 */

#include "transport-private.h"

ssize_t nipc__link_receive(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                           uint64_t deadline_ns);
ssize_t nipc__link_send(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                        uint64_t deadline_ns);

/* Descriptors do not travel through pipes: *ret_fd is -1, and none can be sent. */
ssize_t nipc__link_receive_fd(struct nipc_session *session, void *buf, size_t size,
                              uint64_t deadline_ns, int *ret_fd);
int nipc__link_send_fd(struct nipc_session *session, const void *buf, size_t size, int fd);

/* Every wait has its own time-out here. */
static inline int nipc__link_set_linger(struct nipc_session *session)
{
        return 0;
}
