/* SPDX-License-Identifier: MIT */
/*
 * Bytes of sock_diag, see sock-diag.h. Nothing is read in place: a datagram may be cut anywhere.
 * linux/tcp.h says how struct tcp_info begins; kernels only ever append to it, and tell by the
 * length of the attribute how far they got.
 */
#include "sock-diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256u

void sock_list_clear(struct sock_list *list)
{
        list->n_socks = 0;
        list->interrupted = false;
}

void sock_list_deinit(struct sock_list *list)
{
        free(list->socks);
        *list = (struct sock_list){0};
}

static int add_sock(struct sock_list *list, const struct sock *sock)
{
        if (list->n_socks == SOCK_DIAG_MAX_SOCKETS)
                return -ENOSPC;
        if (list->n_socks == list->capacity) {
                const size_t capacity = list->capacity ? list->capacity * 2 : FIRST_CAPACITY;
                struct sock *socks = realloc(list->socks, capacity * sizeof(*socks));

                if (!socks)
                        return -ENOMEM;
                list->socks = socks;
                list->capacity = capacity;
        }
        list->socks[list->n_socks++] = *sock;
        return 0;
}

static int compare_socks(const void *a, const void *b)
{
        const struct sock *x = a, *y = b;
        const uint64_t x_bytes = x->figures.rx_bytes + x->figures.tx_bytes;
        const uint64_t y_bytes = y->figures.rx_bytes + y->figures.tx_bytes;

        if (x->inode != y->inode)
                return x->inode < y->inode ? -1 : 1;
        return (x_bytes < y_bytes) - (x_bytes > y_bytes);
}

void sock_list_sort(struct sock_list *list)
{
        size_t n = 0;

        if (list->n_socks > 1)
                qsort(list->socks, list->n_socks, sizeof(*list->socks), compare_socks);
        for (size_t i = 0; i < list->n_socks; i++)
                if (n == 0 || list->socks[i].inode != list->socks[n - 1].inode)
                        list->socks[n++] = list->socks[i];
        list->n_socks = n;
}

const struct sock *sock_list_find(const struct sock_list *list, uint32_t inode)
{
        size_t low = 0, high = list->n_socks;

        while (low < high) {
                const size_t middle = low + (high - low) / 2;

                if (list->socks[middle].inode == inode)
                        return &list->socks[middle];
                if (list->socks[middle].inode < inode)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static bool load_u64(const unsigned char *info, size_t size, size_t at, uint64_t *ret)
{
        if (size < at + sizeof(*ret))
                return false;
        memcpy(ret, info + at, sizeof(*ret));
        return true;
}

static bool load_u32(const unsigned char *info, size_t size, size_t at, uint64_t *ret)
{
        uint32_t value;

        if (size < at + sizeof(value))
                return false;
        memcpy(&value, info + at, sizeof(value));
        *ret = value;
        return true;
}

#define AT(field) offsetof(struct tcp_info, tcpi_##field)

static void load_info(struct sock *sock, const unsigned char *info, size_t size)
{
        struct sock_figures *figures = &sock->figures;

        if (load_u64(info, size, AT(bytes_acked), &figures->tx_bytes) &&
            load_u64(info, size, AT(bytes_received), &figures->rx_bytes))
                sock->known |= SOCK_DIAG_BYTES;
        if (load_u32(info, size, AT(segs_out), &figures->tx_segments) &&
            load_u32(info, size, AT(segs_in), &figures->rx_segments))
                sock->known |= SOCK_DIAG_SEGMENTS;
        if (load_u32(info, size, AT(data_segs_in), &figures->rx_data_segments) &&
            load_u32(info, size, AT(data_segs_out), &figures->tx_data_segments))
                sock->known |= SOCK_DIAG_DATA_SEGMENTS;
        if (load_u64(info, size, AT(bytes_sent), &figures->sent_bytes) &&
            load_u64(info, size, AT(bytes_retrans), &figures->retrans_bytes))
                sock->known |= SOCK_DIAG_SENT;
}

/* The attributes behind struct inet_diag_msg. */
static int parse_attributes(struct sock *sock, const unsigned char *bytes, size_t size)
{
        struct nlattr attribute;

        while (size >= sizeof(attribute)) {
                size_t padded;

                memcpy(&attribute, bytes, sizeof(attribute));
                if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > size)
                        return -EBADMSG;
                if ((attribute.nla_type & NLA_TYPE_MASK) == INET_DIAG_INFO)
                        load_info(sock, bytes + sizeof(attribute),
                                  attribute.nla_len - sizeof(attribute));
                padded = NLA_ALIGN((size_t)attribute.nla_len);
                if (padded >= size)
                        return 0; /* the last one need not be padded */
                bytes += padded;
                size -= padded;
        }
        return size == 0 ? 0 : -EBADMSG;
}

static int parse_sock(struct sock_list *list, const unsigned char *bytes, size_t size)
{
        struct inet_diag_msg message;
        struct sock sock = {0};
        int r;

        if (size < sizeof(message))
                return -EBADMSG;
        memcpy(&message, bytes, sizeof(message));
        r = parse_attributes(&sock, bytes + sizeof(message), size - sizeof(message));
        if (r)
                return r;
        sock.inode = message.idiag_inode;
        return sock.inode ? add_sock(list, &sock) : 0;
}

/* What NLMSG_ERROR and NLMSG_DONE carry: 0 or a negative errno. */
static int parse_error(const unsigned char *bytes, size_t size, bool must, int *ret_error)
{
        int32_t error = 0;

        if (size < sizeof(error) && must)
                return -EBADMSG;
        if (size >= sizeof(error))
                memcpy(&error, bytes, sizeof(error));
        if (error > 0 || error < -4095) /* the errnos that the kernel has */
                return -EBADMSG;
        *ret_error = error;
        return 0;
}

static int parse_message(struct sock_list *list, const struct nlmsghdr *header,
                         const unsigned char *bytes, size_t size)
{
        int r, error;

        if (header->nlmsg_flags & NLM_F_DUMP_INTR)
                list->interrupted = true;
        switch (header->nlmsg_type) {
        case NLMSG_DONE:
                r = parse_error(bytes, size, false, &error);
                return r ? r : error ? error : 1;
        case NLMSG_ERROR: /* an acknowledgement, error 0, was not asked for */
                r = parse_error(bytes, size, true, &error);
                return r ? r : error ? error : -EBADMSG;
        case NLMSG_OVERRUN:
                return -ENOBUFS;
        case SOCK_DIAG_BY_FAMILY:
                return parse_sock(list, bytes, size);
        default:
                return 0;
        }
}

int sock_diag_parse(struct sock_list *list, const void *bytes, size_t size, uint32_t seq)
{
        const unsigned char *at = bytes;
        struct nlmsghdr header;
        size_t padded;
        int r;

        while (size > 0) {
                if (size < sizeof(header))
                        return -EBADMSG;
                memcpy(&header, at, sizeof(header));
                if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
                        return -EBADMSG;
                r = header.nlmsg_seq == seq ? parse_message(list, &header, at + sizeof(header),
                                                            header.nlmsg_len - sizeof(header))
                                            : 0;
                if (r)
                        return r;
                padded = NLMSG_ALIGN((size_t)header.nlmsg_len);
                if (padded >= size)
                        return 0;
                at += padded;
                size -= padded;
        }
        return 0;
}
