/* SPDX-License-Identifier: MIT */
/* Requests and the descriptor they go through, see sock-diag.h. */
#include "sock-diag.h"

#include <errno.h>
#include <gio/gio.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_ATTEMPTS   4u
#define DATAGRAM_BYTES 65536u /* the kernel makes none of more than half of it */

/* All in which bytes may have gone through a socket that belongs to a file. */
#define STATES                                                                                    \
        (1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | \
         1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)

/* 0 when fd is ready, -ETIMEDOUT, -errno. */
static int wait_for(int fd, short events, int64_t deadline_us)
{
        struct pollfd pollfd = {.fd = fd, .events = events};

        for (;;) {
                const int64_t left_us = deadline_us - g_get_monotonic_time();
                int r;

                if (left_us <= 0)
                        return -ETIMEDOUT;
                r = poll(&pollfd, 1, (int)MIN((left_us + 999) / 1000, G_MAXINT));
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

static int send_request(int fd, uint8_t family, uint32_t seq, int64_t deadline_us)
{
        const struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 request;
        } message = {
                .header = {.nlmsg_len = sizeof(message),
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                           .nlmsg_seq = seq},
                .request = {.sdiag_family = family,
                            .sdiag_protocol = IPPROTO_TCP,
                            .idiag_ext = 1u << (INET_DIAG_INFO - 1),
                            .idiag_states = STATES},
        };

        for (;;) {
                int r;

                if (send(fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno == EINTR)
                        continue;
                if (errno != EAGAIN)
                        return -errno;
                r = wait_for(fd, POLLOUT, deadline_us);
                if (r)
                        return r;
        }
}

/* The size of a datagram of the kernel, 0: of somebody else, -EAGAIN: none is there, -errno. */
static ssize_t receive(int fd, void *bytes)
{
        struct sockaddr_nl sender = {.nl_family = AF_NETLINK};
        struct iovec iov = {bytes, DATAGRAM_BYTES};
        struct msghdr message = {.msg_name = &sender,
                                 .msg_namelen = sizeof(sender),
                                 .msg_iov = &iov,
                                 .msg_iovlen = 1};
        const ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -ECONNRESET; /* netlink has no such end */
        if (message.msg_flags & MSG_TRUNC)
                return -EMSGSIZE;
        /* Any process may send to a netlink socket; the kernel has the port 0. */
        return message.msg_namelen == sizeof(sender) && sender.nl_pid != 0 ? 0 : n;
}

/* Until the last datagram of an answer. */
static int receive_answer(int fd, uint32_t seq, int64_t deadline_us, void *bytes,
                          struct sock_list *list)
{
        for (;;) {
                int r = wait_for(fd, POLLIN, deadline_us);
                const ssize_t n = r ? r : receive(fd, bytes);

                if (n == -EAGAIN)
                        continue;
                if (n < 0)
                        return (int)n;
                r = sock_diag_parse(list, bytes, (size_t)n, seq);
                if (r)
                        return MIN(r, 0);
        }
}

int sock_diag_dump(int fd, uint8_t family, int64_t deadline_us, uint32_t *seq,
                   struct sock_list *list)
{
        g_autofree void *bytes = g_malloc(DATAGRAM_BYTES);
        const size_t n_before = list->n_socks;

        for (unsigned i = 0; i < MAX_ATTEMPTS; i++) {
                int r = send_request(fd, family, ++*seq, deadline_us);

                list->n_socks = n_before;
                list->interrupted = false;
                if (!r)
                        r = receive_answer(fd, *seq, deadline_us, bytes, list);
                if (r)
                        return r;
                if (!list->interrupted)
                        return 0;
        }
        return -EAGAIN;
}
