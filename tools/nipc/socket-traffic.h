/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How much went through the TCP sockets that a process has open now, from the kernel's own figures
 * of each socket (sock-diag.h) and the links of /proc/PID/fd.
 *
 * What it does not see:
 *   - anything but TCP: no UDP, no UNIX sockets, and no MPTCP, whose subflows belong to no file
 *   - sockets of other network namespaces than the one it was opened in: has_foreign_namespace
 *   - sockets that were closed. The figures are of what is open and go down when something closes:
 *     they are no counters; and what was opened since the last dump, see reuse_ms
 *   - processes that it may not look into, and those that /proc hides: they are gone, for us
 * What it sees more than once:
 *   - a socket that several processes have open, after a fork or passed on, counts for each of them
 *   - a connection to the machine itself counts at both of its ends
 *
 * Needs no privileges but to look into processes of others (CAP_SYS_PTRACE and, to open their
 * /proc/PID/fd, CAP_DAC_READ_SEARCH). All calls but open and close may run in any number of
 * threads.
 */

#include "sock-diag.h"

#include <gio/gio.h>

#define SOCKET_TRAFFIC_REUSE_MS 200u /* chosen: shorter than what anybody polls with */
/* Of a dump, which takes some 1.5 us a socket (measured with 2000 of them). */
#define SOCKET_TRAFFIC_TIMEOUT_MS 5000u

struct socket_traffic;

enum socket_traffic_status {
        SOCKET_TRAFFIC_FOUND,
        SOCKET_TRAFFIC_GONE,          /* no such process, or a thread of one; all else is 0 */
        SOCKET_TRAFFIC_NOT_PERMITTED, /* all is 0 but starttime, unless that is hidden too */
};

struct process_traffic {
        enum socket_traffic_status status;
        uint64_t starttime; /* in clock ticks since boot, field 22 of proc_pid_stat(5) */
        struct sock_figures figures;
        uint32_t known;     /* SOCK_DIAG_..., of all of the sockets */
        uint32_t n_sockets; /* TCP, not listening, each counted once however many fds it has */
        bool is_partial;    /* some fds could not be read: there may be more */
        bool has_foreign_namespace; /* the process lives in another network namespace */
};

/*
 * reuse_ms: for how long a dump of all sockets answers further requests; 0: one dump each. Makes
 * the first dump, so that what cannot work (kernel without INET_DIAG, seccomp) is said here.
 */
struct socket_traffic *socket_traffic_open(unsigned reuse_ms, GError **error);

/* Takes NULL; returns NULL. */
struct socket_traffic *socket_traffic_close(struct socket_traffic *traffic);

/*
 * One result for each of n PIDs. FALSE: no descriptors or no memory left, or the kernel did not
 * tell; the results are undefined. Blocks for as long as a dump takes, see above.
 */
gboolean socket_traffic_read(struct socket_traffic *traffic, const uint32_t *pids, size_t n,
                             struct process_traffic *ret_results, GError **error);

/* How many dumps were made. */
uint64_t socket_traffic_get_n_dumps(struct socket_traffic *traffic);
