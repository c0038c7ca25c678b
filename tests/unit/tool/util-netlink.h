/* SPDX-License-Identifier: MIT */
#pragma once

/* Writes datagrams as the kernel answers sock_diag requests with. */

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdint.h>
#include <string.h>

struct datagram {
        unsigned char bytes[8192];
        size_t size;
};

/* A header and `size` bytes. */
static inline void datagram_add(struct datagram *datagram, uint16_t type, uint16_t flags,
                                uint32_t seq, const void *payload, size_t size)
{
        const struct nlmsghdr header = {
                .nlmsg_len = (uint32_t)(sizeof(header) + size),
                .nlmsg_type = type,
                .nlmsg_flags = flags,
                .nlmsg_seq = seq,
        };

        memset(datagram->bytes + datagram->size, 0, NLMSG_ALIGN(header.nlmsg_len));
        memcpy(datagram->bytes + datagram->size, &header, sizeof(header));
        if (size)
                memcpy(datagram->bytes + datagram->size + sizeof(header), payload, size);
        datagram->size += NLMSG_ALIGN(header.nlmsg_len);
}

/* A socket with some attribute, and of struct tcp_info the first info_size bytes. */
static inline void datagram_add_sock(struct datagram *datagram, uint16_t flags, uint32_t seq,
                                     uint32_t inode, const struct tcp_info *info, size_t info_size)
{
        const struct inet_diag_msg message = {.idiag_family = 2, .idiag_inode = inode};
        const struct nlattr shutdown = {.nla_len = 5, .nla_type = INET_DIAG_SHUTDOWN};
        const struct nlattr attribute = {.nla_len = (uint16_t)(sizeof(attribute) + info_size),
                                         .nla_type = INET_DIAG_INFO};
        unsigned char bytes[1024] = {0}, *at = bytes;

        memcpy(at, &message, sizeof(message));
        memcpy(at += sizeof(message), &shutdown, sizeof(shutdown));
        memcpy(at += 8, &attribute, sizeof(attribute));
        memcpy(at += sizeof(attribute), info, info_size);
        datagram_add(datagram, SOCK_DIAG_BY_FAMILY, flags, seq, bytes,
                     (size_t)(at - bytes) + info_size);
}

static inline void datagram_add_int(struct datagram *datagram, uint16_t type, uint32_t seq,
                                    int32_t value)
{
        datagram_add(datagram, type, 0, seq, &value, sizeof(value));
}
