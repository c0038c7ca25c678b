/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The link of a session on Windows: one end of a named pipe in message mode, see pipe.h. Waits end
 * at once when the cancel object's event is set: they wait for both.
 */

#include "deadline.h"
#include "fork.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nipc__pipe;
struct nipc_session;
struct nipc_session_config;

/* One piece of a packet, as POSIX has it. */
struct iovec {
        void *iov_base;
        size_t iov_len;
};

/* See windows/cancel.c. */
struct nipc_cancel {
        atomic_bool triggered;
        void *event; /* a HANDLE, of a manual-reset event */
};

struct nipc__link {
        struct nipc__pipe *pipe; /* NULL: none */
};

void nipc__link_init(struct nipc__link *link);
void nipc__link_close(struct nipc__link *link);

/* Drops what has arrived, up to a limit. */
void nipc__link_discard(struct nipc__link *link);

/* The packet size of our proposal. */
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

/* The value of an event's HANDLE, of which 32 bits count; set while there is something to read. */
int nipc__link_get_fd(struct nipc__link *link);

/* No packet of a pipe carries anything but bytes. */
static inline void nipc__link_drop_fd(int fd)
{
}

/*
 * Whether a packet that was sent may still be with us, until nipc__link_flush() returns 0: a write
 * that the pipe has no room for is under way until the peer has read what is before it. It cannot
 * be taken back, for the peer may have seen a part of it.
 */
#define NIPC__LINK_HOLDS_PACKETS 1

int nipc__link_flush(struct nipc_session *session, uint64_t deadline_ns);
