/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a server or client has to say about itself, as records for the caller's own log: nothing is
 * printed, stored or put into words here unless the caller asks for it. Without a callback, which
 * is the default, nothing is said and nothing is spent on it. Requests that go well are never said.
 *
 * How to use:
 *
 *      static void on_log(void *userdata, const struct nipc_log_record *record)
 *      {
 *              char line[NIPC_LOG_LINE_SIZE];
 *
 *              nipc_log_format(record, line, sizeof(line));
 *              fprintf(stderr, "%s\n", line);
 *      }
 *
 *      server_config.log = on_log;
 *
 * A flood is cut: of each event at most NIPC_LOG_BURST records a second are said, by each worker of
 * a server and by each client; the next one that is said tells how many were not.
 *
 * Threading: a server calls back on whichever thread the event happened, so on several at a time
 * when it has several workers; a client on its owner's. The callback must return soon, for sessions
 * wait meanwhile, and must not call the server or client but for nipc_server_get_status() and
 * nipc_server_get_metrics().
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_LOG_BURST     10u
#define NIPC_LOG_LINE_SIZE 512u /* for any line of nipc_log_format() */

/* Numbers stay what they are: they may be kept, compared and filtered by. */
enum nipc_log_event {
        /* Servers. */
        NIPC_LOG_LISTENER_OPENED = 1, /* clients can connect */
        NIPC_LOG_LISTENER_CLOSED = 2, /* and cannot any more, or at a successor (step: hand-over) */
        NIPC_LOG_STALE_CLEANED = 3,   /* value: files of dead owners that were removed */
        NIPC_LOG_SESSION_ACCEPTED = 4, /* a handshake is complete */
        NIPC_LOG_SESSION_ENDED = 5,    /* error: -ECONNRESET when the client left, 0 when we did */
        NIPC_LOG_SESSION_REFUSED = 6,  /* transport_status: what the client was told, if it was;
                                          step:  the limit of the config that was in the way */
        NIPC_LOG_DOWNGRADE = 7,        /* step and error: why a better profile was not had */
        NIPC_LOG_LIMIT_HIT = 8,        /* step: the limit; value: what there is of it */
        NIPC_LOG_TIMEOUT = 9,          /* step: what was waited for; the session ended */
        NIPC_LOG_EVICTED = 10,         /* a silent client had to go to make room for others */
        NIPC_LOG_SHORTAGE_BEGAN = 11,  /* error: why clients cannot be accepted now */
        NIPC_LOG_SHORTAGE_ENDED = 12,
        NIPC_LOG_WORKER_FAILED = 13, /* error: a worker cannot wait for events and serves no more */
        /* Clients. */
        NIPC_LOG_CONNECTED = 32,
        NIPC_LOG_CONNECT_FAILED = 33, /* error and step; once per reason, until it is another */
        NIPC_LOG_DISCONNECTED = 34,   /* error and step: why a session was given up */
        NIPC_LOG_RETRIED = 35,        /* error and step: why a request is sent once more */
};

/* One event; what it does not have is 0, -1 for pid and uid, or NULL. Borrowed for the callback. */
struct nipc_log_record {
        size_t size; /* sizeof(struct nipc_log_record) of the library */
        uint32_t event;
        int error;                 /* negative errno */
        const char *service;       /* never NULL */
        const char *step;          /* a literal */
        uint32_t transport_status; /* enum nipc_transport_status */
        uint32_t profile;          /* NIPC_PROFILE_* in use, or that was not had */
        uint64_t session_id;
        int64_t peer_pid;
        int64_t peer_uid;
        uint64_t value;
        uint64_t n_suppressed; /* records of this event that were not said since the last one */
};

/* "session-accepted" and so on; "unknown" for others. Never blocks. Since: 0.1 */
const char *nipc_log_event_name(uint32_t event);

/*
 * Writes a record as a line without a newline: the event's name and what it has, as key=value, cut
 * at `capacity` if it must be, and a NUL. Any thread; never blocks.
 * Returns 0, or -EINVAL (a NULL, no capacity, no size). Since: 0.1
 */
int nipc_log_format(const struct nipc_log_record *record, char *buf, size_t capacity);

#ifdef __cplusplus
}
#endif
