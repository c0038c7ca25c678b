/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A listener owns an endpoint and accepts sessions. Ownership is a lock, held from open to close
 * and dropped by the kernel if the process dies: of two servers that race for a name exactly one
 * gets it, and nobody removes a live endpoint (transport-posix §2, design "Trust and failure").
 *
 * How to use: open; wait until nipc_listener_get_fd() is readable (or use a poller);
 * nipc_listener_accept(); nipc_session_handshake() on what it returns until that is done. Accepting
 * never waits for a client to say anything: a silent client is a session that is not ready, and
 * delays nobody.
 *
 * fork: the endpoint stays the parent's; a child that closes its copy removes nothing. The name is
 * taken for as long as any process holds a copy.
 *
 * Threading: accept, set_limits and get_* from any thread, concurrently; open and close once.
 */

#include <nipc/init.h>
#include <nipc/session.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from open to close. Sessions do not depend on it once accepted. */
struct nipc_listener;

struct nipc_listener_config {
        size_t size;                         /* use NIPC_LISTENER_CONFIG_INIT */
        const char *run_dir;                 /* borrowed for the call, required; must exist */
        const char *service;                 /* borrowed for the call, required */
        uint32_t backlog;                    /* 0: 128 */
        uint32_t mode;                       /* permissions of the endpoint; 0: 0600 */
        bool set_owner;                      /* whether uid and gid are used */
        uint32_t uid;                        /* owner of the endpoint */
        uint32_t gid;                        /* group of the endpoint */
        uint32_t supported_profiles;         /* NIPC_PROFILE_*; 0: baseline */
        uint32_t preferred_profiles;         /* 0: none */
        uint32_t max_request_payload_bytes;  /* a client that proposes more is refused; 0: 1024 */
        uint32_t max_response_payload_bytes; /* what clients are told; 0: 1024 */
        uint32_t packet_size;                /* 0: what default socket buffers carry */
        uint64_t auth_token;                 /* HELLO must carry the same */
        /*
         * Decides whether a peer may talk to us, right after accept and before anything is read;
         * NULL: whoever the endpoint's permissions let in. Called by the thread that accepts.
         */
        bool (*authorize)(void *userdata, const struct nipc_peer *peer);
        void *userdata;          /* for authorize; borrowed until close */
        uint32_t max_ring_bytes; /* RING: memory for responses, 32 KiB to 16 MiB; 0: 256 KiB */
        /*
         * 0: none. A socket that listens already, SEQPACKET, bound to this very endpoint: mode,
         * owner and backlog are as they are. Alone: of a service manager, who keeps the file. With
         * lock_fd: both from nipc_listener_dup_fds() of a predecessor. Borrowed for the call.
         */
        int listen_fd;
        int lock_fd;
};

#define NIPC_LISTENER_CONFIG_INIT NIPC_INIT(struct nipc_listener_config)

/*
 * Takes the endpoint and listens. What a dead owner left there is replaced. Does not block beyond
 * the file system, but for 20 ms when it finds a dead endpoint, to be sure that it is, and for a
 * fifth of a second at most while somebody else is removing one.
 * ret_listener: owned, release with nipc_listener_close().
 * Returns 0, -EADDRINUSE (a live owner, of ours or any other; or something there that is not proven
 * dead), -ENOENT (no run directory), -EACCES, -EEXIST (the lock's name leads to something else),
 * -EINVAL (also: listen_fd or lock_fd is not that), -ENAMETOOLONG, -E2BIG, -ENOMEM, -EMFILE, or
 * another negative errno. Since: 0.1
 */
int nipc_listener_open(const struct nipc_listener_config *config,
                       struct nipc_listener **ret_listener);

/*
 * Stops listening, removes the endpoint if it is still ours, and gives the lock back. Sessions go
 * on. Takes NULL. Returns NULL. Since: 0.1
 */
struct nipc_listener *nipc_listener_close(struct nipc_listener *listener);

/*
 * Copies of the two descriptors that the endpoint is, for a successor: inherited by a child, or
 * sent to another process. Owned by the caller, closed on exec until he says otherwise. The
 * endpoint stays taken, and clients are queued, for as long as anybody has one of each. Returns 0,
 * -EINVAL, -EMFILE. Since: 0.1
 */
int nipc_listener_dup_fds(const struct nipc_listener *listener, int *ret_listen_fd,
                          int *ret_lock_fd);

/*
 * There is a successor: the close leaves the endpoint's files and its lock alone. Since: 0.1
 */
void nipc_listener_leave(struct nipc_listener *listener);

/* Readable when a client waits. Borrowed; never read, write or close it. Since: 0.1 */
int nipc_listener_get_fd(const struct nipc_listener *listener);

/* The endpoint's address, for people. Borrowed until close. Since: 0.1 */
const char *nipc_listener_get_path(const struct nipc_listener *listener);

/* How many files of dead owners open removed from the run directory. Since: 0.1 */
uint32_t nipc_listener_get_n_stale(const struct nipc_listener *listener);

/*
 * Takes the next client. ret_session: owned, not ready: go on with nipc_session_handshake().
 * Returns 0, -EAGAIN or -ETIMEDOUT (nobody came), -EACCES (authorize said no; the client is gone,
 * try again), -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS (the client stays queued: do not spin), or
 * another negative errno. Since: 0.1
 */
int nipc_listener_accept(struct nipc_listener *listener, uint64_t deadline_ns,
                         struct nipc_session **ret_session);

/*
 * Limits for handshakes from now on (client-server §7.2, learned limits). Since: 0.1
 */
void nipc_listener_set_limits(struct nipc_listener *listener, uint32_t max_request_payload_bytes,
                              uint32_t max_response_payload_bytes);

#ifdef __cplusplus
}
#endif
