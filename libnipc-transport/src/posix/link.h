/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The link of a session on POSIX: a connected SOCK_SEQPACKET socket, blocking, whose kernel
 * time-outs are kept at what the current deadline asks for, so that a wait with a deadline is one
 * system call and, as long as the caller's time-out does not change, so is the next one.
 *
 * A wait is cancelled by shutting the socket down, see posix/cancel.c.
 */

#include "fork.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

struct iovec;
struct nipc_session;
struct nipc_session_config;

/* See posix/cancel.c. */
struct nipc_cancel {
        atomic_bool triggered;
        struct nipc__fork_mark made_by; /* the slot of a child leads to its parent's session */
        int placeholder;
        int slot;
};

/*
 * The short receive time-out: what a deadline may be late by, and how long a lingering receive
 * waits. Below a tick of most kernels, which is what their socket time-outs are rounded up to.
 */
#define NIPC__LINGER_NS UINT64_C(1000000)

struct nipc__link {
        int fd;
        uint64_t receive_timeout_ns; /* as set in the kernel; 0: none */
        uint64_t send_timeout_ns;
};

void nipc__link_init(struct nipc__link *link);
void nipc__link_close(struct nipc__link *link);

/* Sets SO_SNDTIMEO for a connect that ends at deadline_ns, at most slice_ns from now. */
int nipc__link_limit_connect(struct nipc__link *link, uint64_t deadline_ns, uint64_t slice_ns);

/* Drops what has arrived, up to a limit. */
void nipc__link_discard(struct nipc__link *link);

/* The largest packet that default socket buffers carry, for our proposal. */
uint32_t nipc__link_packet_size(const struct nipc__link *link);

/*
 * Connects a client's link, and binds the cancel object to it. Records its failure; returns 0 or a
 * negative errno.
 */
int nipc__link_connect(struct nipc_session *session, const struct nipc_session_config *config,
                       uint64_t deadline_ns);

/* Who is there, into session->peer. Returns 0, or -EACCES for one who must not have the token. */
int nipc__link_check_server(struct nipc_session *session, const struct nipc_session_config *config);

/* Waits until there is something to receive, or the end. */
int nipc__link_wait(struct nipc_session *session, uint64_t deadline_ns);

static inline int nipc__link_get_fd(struct nipc__link *link)
{
        return link->fd;
}

/* What came with a packet, or was made to go with one, and is not wanted. -1: nothing. */
static inline void nipc__link_drop_fd(int fd)
{
        if (fd >= 0)
                close(fd);
}

/*
 * Whether a packet that was sent may still be with us, until nipc__link_flush() returns 0. The
 * kernel takes those of a socket at once, or not at all.
 */
#define NIPC__LINK_HOLDS_PACKETS 0

static inline int nipc__link_flush(struct nipc_session *session, uint64_t deadline_ns)
{
        return 0;
}

/* A poll(2) time-out for a deadline: -1 for never, 0 only when it has passed. */
int nipc__deadline_to_poll_ms(uint64_t deadline_ns);
