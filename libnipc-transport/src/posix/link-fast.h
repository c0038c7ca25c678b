/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One packet in or out of the link: the fast way, inlined where messages are moved. Right after a
 * context switch every call and every branch counts; a round trip has no more of them than it must.
 *
 * Both return the bytes moved (receive: the packet's full length, even if it was longer than the
 * buffers; never 0), or a negative errno of the table in <nipc/session.h>.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Goes on after an attempt that failed with `error` (0: there was none). */
ssize_t nipc__link_receive_slow(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                                uint64_t deadline_ns, int error);
ssize_t nipc__link_send_slow(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                             uint64_t deadline_ns, int error);
/* With one descriptor: *ret_fd is owned, -1 if none came. Never the fast way. */
ssize_t nipc__link_receive_fd(struct nipc_session *session, void *buf, size_t size,
                              uint64_t deadline_ns, int *ret_fd);
/* Without waiting: the first packets always fit. Returns 0 or a negative errno. */
int nipc__link_send_fd(struct nipc_session *session, const void *buf, size_t size, int fd);
/*
 * Takes packets that have no meaning but that they came, without waiting, and counts them. Returns
 * 0, or what the link says of its end. max: there are no more than that.
 */
int nipc__link_drain(struct nipc_session *session, uint32_t *n_packets, uint32_t max);
/* Sets the kernel's receive time-out to NIPC__LINGER_NS. */
int nipc__link_set_linger(struct nipc_session *session);

static inline ssize_t nipc__link_receive(struct nipc_session *session, const struct iovec *iov,
                                         size_t n_iov, uint64_t deadline_ns)
{
        struct nipc__link *link = &session->link;
        int flags = MSG_TRUNC;
        ssize_t n;

        if (deadline_ns == NIPC_DEADLINE_NOW)
                flags |= MSG_DONTWAIT;
        else if (NIPC__UNLIKELY(link->receive_timeout_ns != NIPC__LINGER_NS &&
                                deadline_ns != NIPC_DEADLINE_LINGER))
                return nipc__link_receive_slow(session, iov, n_iov, deadline_ns, 0);
        else if (NIPC__UNLIKELY(link->receive_timeout_ns != NIPC__LINGER_NS)) {
                int r = nipc__link_set_linger(session);

                if (r < 0)
                        return r;
        }
        if (n_iov == 1) {
                n = recv(link->fd, iov->iov_base, iov->iov_len, flags);
        } else {
                struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                     .msg_iovlen = n_iov};

                n = recvmsg(link->fd, &msg, flags);
        }
        if (NIPC__LIKELY(n > 0))
                return n;
        if (n == 0)
                return nipc__session_cancelled_or(session, -ECONNRESET);
        if (deadline_ns == NIPC_DEADLINE_LINGER)
                deadline_ns = NIPC_DEADLINE_NOW; /* waited long enough */
        return nipc__link_receive_slow(session, iov, n_iov, deadline_ns, errno);
}

static inline ssize_t nipc__link_send(struct nipc_session *session, const struct iovec *iov,
                                      size_t n_iov, uint64_t deadline_ns)
{
        ssize_t n;

        /* There nearly always is room: nothing is set up for waiting until there was none. */
        if (n_iov == 1) {
                n = send(session->link.fd, iov->iov_base, iov->iov_len,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
                struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                     .msg_iovlen = n_iov};

                n = sendmsg(session->link.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (NIPC__LIKELY(n >= 0)) /* packets are atomic: all of it */
                return n;
        if (deadline_ns == NIPC_DEADLINE_LINGER)
                deadline_ns = NIPC_DEADLINE_NOW;
        return nipc__link_send_slow(session, iov, n_iov, deadline_ns, errno);
}
