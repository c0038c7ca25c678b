/* SPDX-License-Identifier: MIT */

/*
 * One packet in or out of a socket, with a deadline, in one system call.
 *
 * Waiting happens inside recv and send: the kernel's own time-outs (SO_RCVTIMEO, SO_SNDTIMEO) end
 * it. The receive time-out is short to begin with, short enough to be an acceptable delay of any
 * deadline, so that an answer that comes quickly costs neither a look at the clock nor a second
 * system call. When it does not come quickly the time-out is set to what the deadline leaves, and
 * stays so: a caller whose time-out is the same call after call never pays for it again. It is
 * replaced only when it would end a wait noticeably late, or so early that waits would be cut into
 * many. Waking too early is harmless, the loop goes on with what is left.
 */

#include "link-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

/* Packets that are thrown away before a close; chosen, not tuned. */
#define MAX_DISCARDED 256u

/* Packets without a meaning that are taken in a row, before others have their turn. */
#define MAX_DRAINED 64u

#define PACKET_SIZE_MIN 4096u
/*
 * Two packets of 96 KiB fit the default send buffer, so that sender and receiver of a large message
 * work side by side; when they share a CPU, fewer and larger packets cost less. Measured with 3 MB
 * answers, median us on two CPUs / on one: 16 KiB 2492/973, 64 KiB 1774/520, 96 KiB 1667/436,
 * 128 KiB 2543/394, 208 KiB 2940/341.
 */
#define PACKET_SIZE_DEFAULT 98304u

void nipc__link_init(struct nipc__link *link)
{
        *link = (struct nipc__link){.fd = -1};
}

void nipc__link_close(struct nipc__link *link)
{
        if (link->fd >= 0)
                close(link->fd);
        nipc__link_init(link);
}

static int set_timeout(int fd, int option, uint64_t *cached_ns, uint64_t timeout_ns)
{
        struct timeval tv;

        /* Whole microseconds, upwards: zero would mean forever. */
        timeout_ns = NIPC__MIN(timeout_ns, UINT64_C(1000000000) * 86400 * 365);
        timeout_ns = (timeout_ns + 999) / 1000 * 1000;
        tv.tv_sec = (time_t)(timeout_ns / 1000000000);
        tv.tv_usec = (suseconds_t)(timeout_ns % 1000000000 / 1000);
        if (setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)) < 0)
                return -errno;
        *cached_ns = timeout_ns;
        return 0;
}

/* Makes the kernel's time-out fit the deadline. -ETIMEDOUT if that has passed. */
static int fit_timeout(int fd, int option, uint64_t *cached_ns, uint64_t deadline_ns)
{
        uint64_t now, left;

        now = nipc_clock_now_ns();
        if (now >= deadline_ns)
                return -ETIMEDOUT;
        left = deadline_ns - now;
        if (NIPC__LIKELY(*cached_ns && *cached_ns <= left + NIPC__LINGER_NS &&
                         *cached_ns >= left / 2))
                return 0;
        return set_timeout(fd, option, cached_ns, left);
}

int nipc__link_limit_connect(struct nipc__link *link, uint64_t deadline_ns, uint64_t slice_ns)
{
        uint64_t now = nipc_clock_now_ns();

        if (now >= deadline_ns)
                return -ETIMEDOUT;
        return set_timeout(link->fd, SO_SNDTIMEO, &link->send_timeout_ns,
                           NIPC__MIN(slice_ns, deadline_ns - now));
}

uint32_t nipc__link_packet_size(const struct nipc__link *link)
{
        int size = 0;
        socklen_t len = sizeof(size);

        if (getsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0 ||
            size < (int)PACKET_SIZE_MIN)
                return PACKET_SIZE_MIN;
        /* A packet above SO_SNDBUF - 32 can never be sent (transport-posix §2). */
        return NIPC__MIN((uint32_t)size - 32, PACKET_SIZE_DEFAULT);
}

void nipc__link_discard(struct nipc__link *link)
{
        char byte;

        for (unsigned i = 0; i < MAX_DISCARDED; i++)
                if (recv(link->fd, &byte, sizeof(byte), MSG_DONTWAIT) <= 0)
                        break;
}

/* What an errno of recv or send means; 0: try again. */
static int judge_errno(const struct nipc_session *session, int error, uint64_t deadline_ns)
{
        switch (error) {
        case EINTR:
                return nipc__session_cancelled_or(session, 0);
        case EAGAIN:
                /* Without a deadline that is the answer; with one the loop looks at the clock. */
                return nipc__session_cancelled_or(session,
                                                  deadline_ns == NIPC_DEADLINE_NOW ? -EAGAIN : 0);
        case EPIPE:
        case ECONNRESET:
        case ENOTCONN:
                return nipc__session_cancelled_or(session, -ECONNRESET);
        default:
                return nipc__session_cancelled_or(session, -error);
        }
}

/* Goes on after an attempt that failed with `error` (0: there was none). */
static ssize_t receive_slow(struct nipc_session *session, struct msghdr *msg, int flags,
                            uint64_t deadline_ns, int error)
{
        const size_t control_size = msg->msg_controllen;
        struct nipc__link *link = &session->link;
        bool reset = false;
        ssize_t n;
        int r;

        msg->msg_controllen = 0; /* nothing was received yet */
        flags |= MSG_TRUNC | (deadline_ns == NIPC_DEADLINE_NOW ? MSG_DONTWAIT : 0);
        for (;;) {
                /*
                 * A peer that closes with our bytes unread leaves ECONNRESET, once, in front of
                 * what it sent before. That is still to be read.
                 */
                if (error == ECONNRESET && !reset) {
                        reset = true;
                } else if (error) {
                        r = judge_errno(session, error, deadline_ns);
                        if (r < 0)
                                return r;
                }
                if (deadline_ns != NIPC_DEADLINE_NOW) {
                        r = fit_timeout(link->fd, SO_RCVTIMEO, &link->receive_timeout_ns,
                                        deadline_ns);
                        if (r < 0)
                                return r;
                }
                msg->msg_controllen = control_size;
                n = recvmsg(link->fd, msg, flags);
                if (n > 0)
                        return n;
                if (n == 0) /* the end, or an empty packet, which may carry descriptors, too */
                        return nipc__session_cancelled_or(session, -ECONNRESET);
                msg->msg_controllen = 0;
                error = errno;
        }
}

ssize_t nipc__link_receive_slow(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                                uint64_t deadline_ns, int error)
{
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov};

        return receive_slow(session, &msg, 0, deadline_ns, error);
}

/* The one descriptor of a control message; whatever else there is is closed. */
static int take_fd(struct msghdr *msg)
{
        struct cmsghdr *cmsg;
        int taken = -1, fd;
        size_t i, n;

        for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
                for (i = 0; i < n; i++) {
                        memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
                        if (taken < 0)
                                taken = fd;
                        else
                                close(fd);
                }
        }
        return taken;
}

ssize_t nipc__link_receive_fd(struct nipc_session *session, void *buf, size_t size,
                              uint64_t deadline_ns, int *ret_fd)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {buf, size};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
        ssize_t n = receive_slow(session, &msg, MSG_CMSG_CLOEXEC, deadline_ns, 0);
        int fd = take_fd(&msg); /* whatever was received, it is ours now */

        if (n > 0)
                *ret_fd = fd;
        else if (fd >= 0)
                close(fd);
        return n;
}

int nipc__link_send_fd(struct nipc_session *session, const void *buf, size_t size, int fd)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS}};
        struct iovec iov = {(void *)(uintptr_t)buf, size};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
        ssize_t n;

        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        do {
                n = sendmsg(session->link.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

int nipc__link_drain(struct nipc_session *session, uint32_t *n_packets, uint32_t max)
{
        uint8_t byte;
        struct iovec iov = {&byte, sizeof(byte)};
        ssize_t n;

        for (uint32_t i = 0; i < NIPC__MIN(max, MAX_DRAINED); i++) {
                n = nipc__link_receive(session, &iov, 1, NIPC_DEADLINE_NOW);
                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return (int)n;
                ++*n_packets;
        }
        return 0; /* there may be more, and the link stays readable */
}

int nipc__link_set_linger(struct nipc_session *session)
{
        return set_timeout(session->link.fd, SO_RCVTIMEO, &session->link.receive_timeout_ns,
                           NIPC__LINGER_NS);
}

ssize_t nipc__link_send_slow(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                             uint64_t deadline_ns, int error)
{
        struct nipc__link *link = &session->link;
        int flags = MSG_NOSIGNAL | (deadline_ns == NIPC_DEADLINE_NOW ? MSG_DONTWAIT : 0);
        ssize_t n;
        int r;

        for (;;) {
                if (error) {
                        r = judge_errno(session, error, deadline_ns);
                        if (r < 0)
                                return r;
                }
                if (deadline_ns != NIPC_DEADLINE_NOW) {
                        r = fit_timeout(link->fd, SO_SNDTIMEO, &link->send_timeout_ns, deadline_ns);
                        if (r < 0)
                                return r;
                }
                if (n_iov == 1) {
                        n = send(link->fd, iov->iov_base, iov->iov_len, flags);
                } else {
                        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                             .msg_iovlen = n_iov};

                        n = sendmsg(link->fd, &msg, flags);
                }
                if (n >= 0)
                        return n;
                error = errno;
        }
}

int nipc__link_wait(struct nipc_session *session, uint64_t deadline_ns)
{
        struct pollfd pollfd = {.fd = session->link.fd, .events = POLLIN};
        int n, timeout_ms, r;

        for (;;) {
                timeout_ms = nipc__deadline_to_poll_ms(deadline_ns);
                n = poll(&pollfd, 1, timeout_ms);
                if (n > 0)
                        return nipc__session_cancelled_or(session, 0);
                r = nipc__session_cancelled_or(session, 0);
                if (r < 0)
                        return r;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (timeout_ms == 0)
                        return deadline_ns <= NIPC_DEADLINE_LINGER ? -EAGAIN : -ETIMEDOUT;
        }
}
