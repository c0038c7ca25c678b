/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a managed server has done, in numbers: for the process itself, for a scraper in the format
 * of Prometheus, and for `nipc stat` and `nipc top` from outside. doc/metrics.md lists the names.
 *
 * Counting never waits for anybody: each worker counts for itself, and whoever asks adds up. What
 * is read while requests are served may be a moment old, and two numbers of one reading may be a
 * few requests apart; when nothing is served, all are exact. Counters only grow, from new to free.
 *
 * Times are measured for one request in metrics_sample_every (nipc_server_config), 64 by default,
 * chosen at random: reading a clock costs a tenth of a request through memory.
 *
 * How to use:
 *
 *      struct nipc_server_metrics metrics = NIPC_SERVER_METRICS_INIT;
 *      nipc_server_get_metrics(server, &metrics);
 *
 *      r = nipc_server_format_metrics(server, buf, sizeof(buf), &size);
 *      if (r == -ENOSPC) ...                           // size is what is needed
 *
 * Threading: those of a server from any thread; those of a client by its owner.
 */

#include <nipc/client.h>
#include <nipc/header.h>
#include <nipc/init.h>
#include <nipc/server.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The stages of a request, see doc/metrics.md. */
enum nipc_metrics_stage {
        NIPC_METRICS_STAGE_QUEUE = 0,  /* from when its worker woke to when its handler is called */
        NIPC_METRICS_STAGE_HANDLE = 1, /* in the handler, all items of a batch together */
        NIPC_METRICS_STAGE_WAKE = 2,   /* handing the answer over, and waking the client for it */
        NIPC_METRICS_STAGE_TOTAL = 3,  /* from when its worker woke to when that is done */
};
#define NIPC_METRICS_N_STAGES 4

/* How a handshake ended. */
enum nipc_metrics_handshake {
        NIPC_METRICS_HANDSHAKE_READY = 0,
        NIPC_METRICS_HANDSHAKE_REFUSED = 1,   /* and the client was told why */
        NIPC_METRICS_HANDSHAKE_TIMED_OUT = 2, /* the client was silent */
        NIPC_METRICS_HANDSHAKE_EVICTED = 3,   /* silent, while others needed the room */
        NIPC_METRICS_HANDSHAKE_GONE = 4,      /* the client left */
        NIPC_METRICS_HANDSHAKE_INVALID = 5,   /* what came was no HELLO */
        NIPC_METRICS_HANDSHAKE_FAILED = 6, /* for a reason of ours, the server's end among them */
};
#define NIPC_METRICS_N_HANDSHAKES 8

/* Why clients were refused. */
enum nipc_metrics_refusal {
        NIPC_METRICS_REFUSAL_AUTH_FAILED = 0,
        NIPC_METRICS_REFUSAL_INCOMPATIBLE = 1,
        NIPC_METRICS_REFUSAL_UNSUPPORTED = 2,    /* no profile in common */
        NIPC_METRICS_REFUSAL_LIMIT_EXCEEDED = 3, /* it wants larger requests than are offered */
        NIPC_METRICS_REFUSAL_MAX_SESSIONS = 4,
        NIPC_METRICS_REFUSAL_OTHER = 5,
        NIPC_METRICS_REFUSAL_MAX_SESSIONS_PER_UID = 6,
        NIPC_METRICS_REFUSAL_MAX_DESCRIPTORS = 7,
        NIPC_METRICS_REFUSAL_MAX_TOTAL_BYTES = 8,
        NIPC_METRICS_REFUSAL_MAX_BYTES_PER_UID = 9,
        NIPC_METRICS_REFUSAL_MEMORY = 10, /* there was none to note one more */
};
#define NIPC_METRICS_N_REFUSALS 16

/* What a client let us wait for until we gave it up. */
enum nipc_metrics_timeout {
        NIPC_METRICS_TIMEOUT_HANDSHAKE = 0,
        NIPC_METRICS_TIMEOUT_REQUEST = 1,
        NIPC_METRICS_TIMEOUT_RESPONSE = 2,
};
#define NIPC_METRICS_N_TIMEOUTS 4

enum nipc_metrics_profile {
        NIPC_METRICS_PROFILE_BASELINE = 0,
        NIPC_METRICS_PROFILE_SHM_HYBRID = 1,
        NIPC_METRICS_PROFILE_SHM_BUSYWAIT = 2,
        NIPC_METRICS_PROFILE_RING = 3,
        NIPC_METRICS_PROFILE_OTHER = 4,
};
#define NIPC_METRICS_N_PROFILES 8

#define NIPC_METRICS_N_STATUSES 8 /* by enum nipc_transport_status; the last: any other */
#define NIPC_METRICS_N_BUCKETS  27
#define NIPC_METRICS_N_REASONS  17 /* the last: all that there was no room for, step "other" */

/*
 * Durations. Bucket i counts those of at most nipc_metrics_bucket_ns(i), and more than that of the
 * bucket before it: it is not cumulative.
 */
struct nipc_metrics_histogram {
        uint64_t count;
        uint64_t sum_ns;
        uint64_t buckets[NIPC_METRICS_N_BUCKETS];
};

/* Why better profiles were not had. */
struct nipc_metrics_reason {
        const char *step; /* a literal */
        int error;        /* negative errno */
        uint64_t count;
};

struct nipc_server_metrics {
        size_t size; /* use NIPC_SERVER_METRICS_INIT */
        uint32_t n_workers;
        uint32_t sample_every; /* one request in so many is timed, 0: none */
        uint32_t n_sessions;   /* ready now */
        uint32_t n_handshakes; /* connected, not ready yet */
        /* Requests answered, by transport status; a batch counts once. UNSUPPORTED: of a method
         * that the service does not have. */
        uint64_t answers[NIPC_METRICS_N_STATUSES];
        uint64_t n_dropped;      /* broken requests that got no answer */
        uint64_t request_bytes;  /* payloads, of requests that a handler was called for, */
        uint64_t response_bytes; /* and of answers with status OK */
        uint64_t n_batches;
        uint64_t n_batch_items;
        uint64_t n_stat_requests; /* for these numbers, not in answers */
        uint64_t sessions_opened[NIPC_METRICS_N_PROFILES];
        uint64_t sessions_closed[NIPC_METRICS_N_PROFILES];
        uint64_t handshakes[NIPC_METRICS_N_HANDSHAKES];
        uint64_t refusals[NIPC_METRICS_N_REFUSALS];
        uint64_t timeouts[NIPC_METRICS_N_TIMEOUTS];
        /* Clients that did not take their answers as fast as they asked. */
        uint64_t n_backpressure;  /* answers that had to wait */
        uint64_t backpressure_ns; /* and for how long, all together, those that wait now apart */
        uint64_t n_evictions;     /* silent clients that had to go */
        uint64_t n_shortages;     /* times that no client could be accepted for a while */
        uint64_t n_stale;         /* files of dead owners that new removed */
        uint64_t n_log_suppressed;
        /* How full rings were after answers that were timed, see nipc_session_get_queued(). */
        uint64_t n_ring_samples;
        uint64_t ring_used_bytes; /* sum */
        uint64_t ring_used_max_bytes;
        struct nipc_metrics_histogram stages[NIPC_METRICS_N_STAGES];
        uint32_t n_downgrades; /* used entries of downgrades */
        struct nipc_metrics_reason downgrades[NIPC_METRICS_N_REASONS];
};

#define NIPC_SERVER_METRICS_INIT NIPC_INIT(struct nipc_server_metrics)

/* Never blocks. Returns 0, -EINVAL. Since: 0.1 */
int nipc_server_get_metrics(const struct nipc_server *server,
                            struct nipc_server_metrics *ret_metrics);

/* The upper bound of a bucket, UINT64_MAX for the last and for any beyond. Since: 0.1 */
uint64_t nipc_metrics_bucket_ns(uint32_t bucket);

/*
 * Writes all of it in the Prometheus text format 0.0.4, UTF-8, without a NUL. buf: capacity bytes;
 * may be NULL if that is 0. *ret_size: the bytes written; with -ENOSPC what is needed now, a little
 * more than which should be given, for numbers grow; what buf holds then means nothing.
 * Never blocks, allocates nothing. Returns 0, -EINVAL, -ENOSPC. Since: 0.1
 */
int nipc_server_format_metrics(const struct nipc_server *server, char *buf, size_t capacity,
                               size_t *ret_size);

/* The same of a client: its state and what nipc_client_get_status() counts. Since: 0.1 */
int nipc_client_format_metrics(const struct nipc_client *client, char *buf, size_t capacity,
                               size_t *ret_size);

/*
 * The request by which servers are asked for the text from outside, method NIPC_METHOD_STAT:
 * `u16 layout, u16 format`, answered with nothing but the text. Servers of NetIPC v1, and those
 * that hide_metrics, answer UNSUPPORTED. doc/metrics.md is normative.
 */
#define NIPC_STAT_REQUEST_SIZE      4u
#define NIPC_STAT_LAYOUT            1u
#define NIPC_STAT_FORMAT_PROMETHEUS 1u

/*
 * Asks the provider for its numbers. *ret_text: *ret_size bytes, no NUL, not to be trusted more
 * than the provider; borrowed as the response of any call. Blocks and returns as
 * nipc_client_call(), but for -EOPNOTSUPP, where that would be -EREMOTEIO: this provider does not
 * tell. Since: 0.1
 */
int nipc_client_stat(struct nipc_client *client, uint32_t timeout_ms, const char **ret_text,
                     size_t *ret_size);

#ifdef __cplusplus
}
#endif
