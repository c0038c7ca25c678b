/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A managed server of one method: it owns the endpoint, accepts clients, and calls a handler for
 * each request (client-server §7). Batches are unpacked, limits are kept, malformed requests are
 * answered and forgotten; a client can end its own session and nothing else.
 *
 * How to use, with threads of its own:
 *
 *      struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
 *      config.run_dir = "/run/agent";
 *      config.service = "increment";
 *      config.n_workers = 2;
 *      r = nipc_server_new_increment(&config, &handler, &server);
 *      r = nipc_server_start(server);          // the endpoint is there from new on
 *      ...
 *      r = nipc_server_drain(server, 1000);    // finish what was asked, end within a second
 *      server = nipc_server_free(server);
 *
 * or in the caller's loop, with n_workers = 0: wait until nipc_server_get_fd() is readable, then
 * nipc_server_dispatch(server, 0); nothing happens in between.
 *
 * fork: a server stays its maker's. In a child start, dispatch, drain, dup_fds, hand_over and
 * get_fd return -ECHILD, stop does nothing to the parent, and free gives back what the child has of
 * it: the endpoint and the sessions stay the parent's, and the log is told nothing. Of a server
 * whose threads run when it forks the child keeps the connections until it runs another program or
 * ends, so that clients do not see the end of a parent that dies before.
 *
 * Threading: start, dispatch, drain and free by one thread; stop from any thread and from signal
 * handlers; get_status from any thread. Handlers run on the workers, side by side when there are
 * several, on threads of their own (max_concurrent_requests), or inside dispatch.
 */

#include <nipc/cgroups-snapshot.h>
#include <nipc/errno.h>
#include <nipc/error.h>
#include <nipc/header.h>
#include <nipc/init.h>
#include <nipc/log.h>
#include <nipc/lookup.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_server;

struct nipc_server_config {
        size_t size;         /* use NIPC_SERVER_CONFIG_INIT */
        const char *run_dir; /* copied, required; the directory must exist */
        const char *service; /* copied, required */
        uint32_t n_workers;  /* threads to run; 0: none, the caller dispatches */
        /*
         * NIPC_PROFILE_*, supported and preferred; 0: baseline. nipc_profile_get_available(): all
         * there are. Memory for a session is made when its client was accepted; where that fails
         * the session is a lesser one.
         */
        uint32_t profiles;
        /*
         * Payload limits. max_*: the ceiling, named in the error when it is hit; 0: 1 MiB. What no
         * message can carry counts as what one can, UINT32_MAX - NIPC_HEADER_SIZE.
         * initial_*: what new sessions are offered until more was needed (client-server §7.2);
         * 0: 1024 and 65536, or the ceiling if that was set. Above its ceiling: -EINVAL.
         */
        uint32_t max_request_bytes;
        uint32_t max_response_bytes;
        uint32_t initial_request_bytes;
        uint32_t initial_response_bytes;
        uint32_t max_batch_items; /* a client that proposes more is cut off when it sends more;
                                     0: 65536 */
        uint32_t max_sessions;    /* further clients are refused with LIMIT_EXCEEDED; 0: 1024 */
        /* How long a client may keep us waiting before its session ends; 0: the default. */
        uint32_t handshake_timeout_ms; /* from connect to HELLO; 0: 5000 */
        uint32_t request_timeout_ms;   /* from the first to the last byte of a request; 0: 5000 */
        uint32_t response_timeout_ms;  /* to take a response that fills its buffers; 0: 5000 */
        uint64_t auth_token;
        uint32_t endpoint_mode; /* permissions; 0: 0600 */
        bool set_endpoint_owner;
        uint32_t endpoint_uid;
        uint32_t endpoint_gid;
        /* <nipc/metrics.h>. One request in so many is timed; 0: 64, 1: each. */
        uint32_t metrics_sample_every;
        bool hide_metrics; /* clients that ask for them hear UNSUPPORTED */
        /* NULL, or told what happens, see <nipc/log.h>; log_userdata: borrowed until free. */
        void (*log)(void *userdata, const struct nipc_log_record *record);
        void *log_userdata;
        /*
         * What all clients together, and those of one user, may take. Whoever would go beyond is
         * refused like one too many, before anything is made for him; which limit that was is in
         * nipc_server_status.refused_limit. Until a session's profile is agreed it counts as the
         * dearest that is offered. What a session counts for is in nipc_server_plan(): bytes are
         * those of a busy one. Of requests one is in hand per session, and one per worker (but see
         * max_concurrent_requests): what else was sent waits in the socket or ring, and counts
         * there.
         */
        uint32_t max_sessions_per_uid; /* 0: as max_sessions */
        uint32_t max_handshakes;    /* clients that have not said HELLO; then the oldest of a worker
                                       has to go, 16 of each may stay; 0: 256 */
        uint32_t max_descriptors;   /* of sessions; 0: what max_sessions need */
        uint64_t max_total_bytes;   /* of sessions; 0: what max_sessions need */
        uint64_t max_bytes_per_uid; /* 0: as max_total_bytes */
        /*
         * A batch, or a lookup, of more items than this is handled in contiguous parts by the
         * worker that got it and those that have nothing to do, side by side, and answered in
         * order, as if by one: a client alone can use several workers. 0: where items have taken so
         * long lately that it pays; UINT32_MAX: never. Handlers of lookups get a request for each
         * part, of some of the keys; when the parts come to different generations the whole is
         * handled again by one worker. The handler may be asked again for items whose answer did
         * not fit a part's memory, and for items behind one that fails. Of use with 2 workers or
         * more.
         */
        uint32_t split_items;
        /* Bytes of memory for parts, of all workers; short of it, one does it. 0: 32 MiB. */
        uint32_t max_split_bytes;
        /*
         * 0: none. A socket that listens already and is bound to this endpoint: alone, that of a
         * service manager, who keeps it; with lock_fd, both from nipc_server_dup_fds() of a
         * predecessor. Borrowed for the call: the server has copies.
         */
        int listen_fd;
        int lock_fd;
        /*
         * Requests of one session that may be in hand at once; 0 or 1: they are handled one by one
         * and answered in order. More: the handler is called for them side by side, and each is
         * answered, under its own message id (wire-v1 §7), when it is finished; further ones wait
         * in the socket or ring, or in the client. For handlers that block, or take long: each
         * request is copied and changes threads twice, some 10 to 50 us. n_workers threads then
         * only handle requests, of all sessions in the order in which they came, and as many more
         * read and write. After an error answer no more requests are taken, and the session ends
         * when those in hand have been answered. Batches and lookups are not split. Needs n_workers
         * of 1 or more, else -EINVAL. SHM_HYBRID sessions have one request at a time, whatever this
         * is.
         */
        uint32_t max_concurrent_requests;
};

#define NIPC_METRICS_NO_TIMES UINT32_MAX /* for metrics_sample_every: none is timed */

#define NIPC_SERVER_CONFIG_INIT NIPC_INIT(struct nipc_server_config)

/* One request, or one item of a batch. Borrowed for the call of the handler. */
struct nipc_request {
        const void *payload; /* never NULL */
        size_t payload_size;
        uint32_t item_index; /* of a batch, else 0 */
        uint32_t item_count; /* of a batch, else 1 */
        uint64_t session_id; /* which client asks, unique in this server */
        int64_t peer_pid;    /* -1 if unknown */
        int64_t peer_uid;
};

/*
 * A service of any method.
 *
 * handle: writes a response payload of at most `capacity` bytes at response (aligned to 8 for the
 * first item) and its size to *ret_size. request and response never overlap. response may lie in
 * memory that the client can read, on SHM_HYBRID write, at any time: do not rely on what is read
 * back from it. Returns 0; a positive NIPC_PROTO_E_* when the request cannot be decoded (answered
 * BAD_ENVELOPE; OVERFLOW: the response does not fit, answered LIMIT_EXCEEDED and capacity is raised
 * for later sessions up to the ceiling); or a negative errno (-EMSGSIZE as OVERFLOW, any other
 * INTERNAL_ERROR). After an error answer the session ends, the service goes on. May block: it then
 * delays the sessions of its worker.
 */
struct nipc_handler {
        size_t size;   /* sizeof(struct nipc_handler) */
        uint16_t code; /* the method this service serves; others are answered UNSUPPORTED. Any but
                          NIPC_METHOD_STAT, which is every server's own */
        int (*handle)(void *userdata, const struct nipc_request *request, void *response,
                      size_t capacity, size_t *ret_size);
        void *userdata;                  /* borrowed until free */
        void (*release)(void *userdata); /* NULL, or called by nipc_server_free() and failed news */
};

/*
 * Takes the endpoint and makes a server; clients can connect from now on and are served from start
 * or the first dispatch on. handler: copied. ret_server: owned, release with nipc_server_free().
 * Returns 0, -EADDRINUSE (the name has a live owner), -ENOENT (no run directory), -EINVAL (also:
 * the method is NIPC_METHOD_STAT), -ENAMETOOLONG, -E2BIG, -EACCES, -ENOMEM, -EMFILE, ... Since: 0.1
 */
int nipc_server_new(const struct nipc_server_config *config, const struct nipc_handler *handler,
                    struct nipc_server **ret_server);

/* Typed services. Callbacks return as nipc_handler.handle; userdata is borrowed until free. */

struct nipc_increment_handler {
        size_t size;
        int (*increment)(void *userdata, uint64_t value, uint64_t *ret_value);
        void *userdata;
};

/* As nipc_server_new(), for method 1. Since: 0.1 */
int nipc_server_new_increment(const struct nipc_server_config *config,
                              const struct nipc_increment_handler *handler,
                              struct nipc_server **ret_server);

struct nipc_string_reverse_handler {
        size_t size;
        /* str: str_len bytes; write at most `capacity` bytes at out. */
        int (*reverse)(void *userdata, const char *str, size_t str_len, char *out, size_t capacity,
                       size_t *ret_out_len);
        void *userdata;
};

/* As nipc_server_new(), for method 3. Since: 0.1 */
int nipc_server_new_string_reverse(const struct nipc_server_config *config,
                                   const struct nipc_string_reverse_handler *handler,
                                   struct nipc_server **ret_server);

struct nipc_cgroups_snapshot_handler {
        size_t size;
        /*
         * Fills the builder (not initialised: call nipc_cgroups_snapshot_builder_init with buf,
         * capacity and the number of items, add them, and finish into ret_size).
         */
        int (*snapshot)(void *userdata, struct nipc_cgroups_snapshot_builder *builder, void *buf,
                        size_t capacity, size_t *ret_size);
        void *userdata;
};

/* As nipc_server_new(), for method 2. Since: 0.1 */
int nipc_server_new_cgroups_snapshot(const struct nipc_server_config *config,
                                     const struct nipc_cgroups_snapshot_handler *handler,
                                     struct nipc_server **ret_server);

/* A handler of lookups, of whatever class. */
struct nipc_lookup_handler {
        size_t size; /* sizeof(struct nipc_lookup_handler) */
        /*
         * Answers a request: for each of its keys, in order, adds one item to the builder, which is
         * ready for it; what does not fit the response is replaced as codecs §7 says, so that a
         * handler need not count bytes. It may also set the generation. Both are borrowed for the
         * call. Returns as the handler of nipc_server_new(); the builder's errors need not be
         * looked at: they win over whatever is returned. Another number of items than keys is
         * answered BAD_ENVELOPE. When one key is asked for and its item is oversized, capacity is
         * raised for later sessions, as after OVERFLOW.
         */
        int (*lookup)(void *userdata, const struct nipc_lookup_request_view *request,
                      struct nipc_lookup_builder *builder);
        void *userdata;
};

/*
 * As nipc_server_new(), for lookups of any class. class_: <nipc/lookup.h>, checked, lives as long
 * as the server. Returns also -EINVAL for a class that cannot be. Since: 0.1
 */
int nipc_server_new_lookup(const struct nipc_server_config *config,
                           const struct nipc_lookup_class *class_,
                           const struct nipc_lookup_handler *handler,
                           struct nipc_server **ret_server);

/* The same for methods 4 and 5. Since: 0.1 */
int nipc_server_new_cgroups_lookup(const struct nipc_server_config *config,
                                   const struct nipc_lookup_handler *handler,
                                   struct nipc_server **ret_server);
int nipc_server_new_apps_lookup(const struct nipc_server_config *config,
                                const struct nipc_lookup_handler *handler,
                                struct nipc_server **ret_server);

/*
 * Starts the workers: threads with all signals blocked but those of faults.
 * Returns 0, -EINVAL (n_workers is 0, started already, or drained), -ECHILD, -EAGAIN. Since: 0.1
 */
int nipc_server_start(struct nipc_server *server);

/*
 * Does what there is to do; if no request was among it, waits for one until timeout_ms have passed
 * (0: never waits). Only with n_workers = 0. Returns the number of requests handled, 0 when time
 * ran out, -ESHUTDOWN after stop or drain, -ECHILD, or another negative errno. Since: 0.1
 */
int nipc_server_dispatch(struct nipc_server *server, uint32_t timeout_ms);

/*
 * Readable when dispatch has something to do; only with n_workers = 0, else -EINVAL. -ECHILD in a
 * child. Since: 0.1
 */
int nipc_server_get_fd(const struct nipc_server *server);

/* The endpoint's address, for people. Borrowed until free. Since: 0.1 */
const char *nipc_server_get_path(const struct nipc_server *server);

/*
 * Makes workers and dispatch return as soon as their handlers do. Async-signal-safe, any thread,
 * never blocks. Since: 0.1
 */
void nipc_server_stop(struct nipc_server *server);

/*
 * Ends in good order: no new clients, requests that arrived are answered, then sessions are closed
 * and workers joined; after timeout_ms sessions are closed as they are. A handler that never
 * returns is waited for: nothing can interrupt it. Returns 0, -ECHILD, or -ETIMEDOUT if sessions
 * were cut. Since: 0.1
 */
int nipc_server_drain(struct nipc_server *server, uint32_t timeout_ms);

/*
 * Hand-over to another process, without a client that is refused or lost:
 *   1. nipc_server_dup_fds() here; both descriptors go to the successor, who inherits them (clear
 *      FD_CLOEXEC, fork, exec) or is sent them (SCM_RIGHTS);
 *   2. there, nipc_server_new() with listen_fd and lock_fd, and start: from now on both serve;
 *   3. once it says so, nipc_server_hand_over() here: drains, but accepts no more, ends handshakes
 *      that were begun well, and leaves the endpoint's files to the successor. Clients find their
 *      sessions closed between two calls, and reconnect in the next.
 * Both close the copies when that is over. If the successor fails in step 2, go on as if nothing
 * had been.
 *
 * Between 2 and 3 either may end, or crash: the endpoint stays with the other, see doc/running.md.
 * The socket of a service manager stays his through any number of hand-overs.
 *
 * dup_fds: the caller owns both, closed on exec. Returns 0, -EINVAL (or drained), -ECHILD,
 * -EMFILE.
 * hand_over: returns as nipc_server_drain(). Since: 0.1
 */
int nipc_server_dup_fds(struct nipc_server *server, int *ret_listen_fd, int *ret_lock_fd);
int nipc_server_hand_over(struct nipc_server *server, uint32_t timeout_ms);

/* Stops, joins, closes sessions and endpoint. Takes NULL. Returns NULL. Since: 0.1 */
struct nipc_server *nipc_server_free(struct nipc_server *server);

struct nipc_server_status {
        size_t size;                /* sizeof(struct nipc_server_status), set by the caller */
        uint32_t n_sessions;        /* ready now */
        uint32_t n_handshakes;      /* connected, not ready yet */
        uint64_t n_accepted;        /* sessions that became ready */
        uint64_t n_refused;         /* clients refused in the handshake or dropped before */
        uint64_t n_requests;        /* answered OK, taken or not; a batch counts once */
        uint64_t n_failed;          /* answered with another status, or dropped */
        uint32_t max_request_bytes; /* offered to the next session */
        uint32_t max_response_bytes;
        /* The field of the config that refused a client last, a literal; NULL: none did. */
        const char *refused_limit;
};

#define NIPC_SERVER_STATUS_INIT NIPC_INIT(struct nipc_server_status)

/* Never blocks. Returns 0, -EINVAL. Since: 0.1 */
int nipc_server_get_status(const struct nipc_server *server, struct nipc_server_status *ret_status);

/* What one session of a profile takes of the server's process at most. */
struct nipc_server_session_needs {
        uint32_t profile; /* one NIPC_PROFILE_* bit */
        uint32_t n_descriptors;
        uint32_t n_mappings;
        uint64_t idle_bytes;   /* heap, while there is nothing to do */
        uint64_t busy_bytes;   /* heap, with a half request and a response that nobody reads */
        uint64_t shared_bytes; /* made for it and shared with the client, reserved as a whole */
};

#define NIPC_SERVER_NEEDS_MAX_PROFILES 4

/*
 * What a server takes at most. Not in it: what the handler allocates, what the kernel keeps for
 * sockets, memory that clients made and hand over (RING, 16 MiB each at most, theirs).
 */
struct nipc_server_needs {
        size_t size;            /* sizeof(struct nipc_server_needs), set by the caller */
        uint32_t n_threads;     /* workers, and the library's own (SHM_HYBRID) */
        uint32_t n_descriptors; /* with max_sessions and max_handshakes, or max_descriptors */
        uint32_t n_mappings;    /* of sessions and thread stacks */
        uint32_t n_requests;    /* in hand at one time */
        uint64_t base_bytes;    /* heap and touched stacks without a session */
        uint64_t idle_bytes;    /* with max_sessions idle sessions, base_bytes included */
        uint64_t busy_bytes;    /* with max_sessions busy ones, or max_total_bytes */
        uint64_t shared_bytes;
        /* Per session, of each profile that is offered and built in. */
        uint32_t n_profiles;
        struct nipc_server_session_needs sessions[NIPC_SERVER_NEEDS_MAX_PROFILES];
};

#define NIPC_SERVER_NEEDS_INIT NIPC_INIT(struct nipc_server_needs)

/*
 * Tells what a server of this config would take; run_dir and service may be NULL here. Makes
 * nothing, never blocks, any thread. Returns 0, -EINVAL, -E2BIG. Since: 0.1
 */
int nipc_server_plan(const struct nipc_server_config *config, struct nipc_server_needs *ret_needs);

#ifdef __cplusplus
}
#endif
