/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The TCP sockets of this network namespace and what went through them, as the kernel tells it by
 * netlink (sock_diag(7)). Reading a descriptor and understanding bytes are apart, so that bytes may
 * come from anywhere. Sockets that belong to no file (TIME-WAIT, not accepted yet, closed and still
 * sending) have no inode and are left out, and so are listening ones: nothing goes through them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is beyond is an error, not left out. Chosen: 80 MB. */
#define SOCK_DIAG_MAX_SOCKETS (1024u * 1024u)

/* Which figures a kernel gave; those it did not are 0. */
#define SOCK_DIAG_BYTES         (1u << 0) /* Linux 4.1 */
#define SOCK_DIAG_SEGMENTS      (1u << 1) /* Linux 4.2 */
#define SOCK_DIAG_DATA_SEGMENTS (1u << 2) /* Linux 4.6 */
#define SOCK_DIAG_SENT          (1u << 3) /* Linux 4.19 */
#define SOCK_DIAG_ALL           ((1u << 4) - 1)

struct sock_figures {
        uint64_t rx_bytes;      /* received in order, without headers */
        uint64_t tx_bytes;      /* sent and acknowledged; a SYN counts as one */
        uint64_t sent_bytes;    /* sent, with what was sent again */
        uint64_t retrans_bytes; /* sent again */
        uint64_t rx_segments, tx_segments;
        uint64_t rx_data_segments, tx_data_segments; /* those that carried bytes */
};

struct sock {
        uint32_t inode;
        uint32_t known; /* SOCK_DIAG_... */
        struct sock_figures figures;
};

struct sock_list {
        struct sock *socks; /* owned */
        size_t n_socks, capacity;
        bool interrupted; /* the kernel said that what it told does not fit together */
};

/* Both also for a list of zeros. */
void sock_list_clear(struct sock_list *list);
void sock_list_deinit(struct sock_list *list);

/* By inode and each once: a dump may tell of a socket twice, the figures that are higher stay. */
void sock_list_sort(struct sock_list *list);

/* Of a sorted list. NULL: not there. */
const struct sock *sock_list_find(const struct sock_list *list, uint32_t inode);

/*
 * One datagram of an answer to request `seq`; messages of others are passed over. 0: there is more
 * to come, 1: that was the last, -EBADMSG: malformed, -ENOSPC: too many sockets, -ENOMEM, or what
 * the kernel refused it with.
 */
int sock_diag_parse(struct sock_list *list, const void *bytes, size_t size, uint32_t seq);

/*
 * Asks for all sockets of a family and adds them to the list. fd: a socket that keeps datagrams
 * apart. deadline_us: of g_get_monotonic_time(). As above, never more than 0; also -EMSGSIZE: a
 * datagram was cut, -EAGAIN: interrupted again and again, -ETIMEDOUT, -ECONNRESET, or errno. After
 * a failure the descriptor may have an answer to come: close it. seq: goes up.
 */
int sock_diag_dump(int fd, uint8_t family, int64_t deadline_us, uint32_t *seq,
                   struct sock_list *list);
