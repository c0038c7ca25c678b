/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A session: one connection between a client and a server, handshake included, over whatever data
 * plane the two agreed on. It sends and receives whole messages; chunking, limits, message ids and
 * peer death are its business. It knows no method, never retries and never reconnects: that is
 * libnipc-service.
 *
 * How to use, client:
 *
 *      struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
 *      config.run_dir = "/run/agent";
 *      config.service = "increment";
 *      r = nipc_session_open(&config, nipc_deadline_after_ms(1000), &session, NULL);
 *      r = nipc_session_send(session, &header, payload, deadline_ns);
 *      r = nipc_session_receive(session, deadline_ns, &message);
 *      session = nipc_session_close(session);
 *
 * Many requests may be in flight: send several, then receive as many; responses may come in any
 * order (wire-v1 §7). A server gets its sessions from nipc_listener_accept().
 *
 * In an event loop: wait for nipc_session_get_events() on nipc_session_get_fd() (or use a poller,
 * <nipc/poller.h>), then call handshake, or flush if something is pending and receive, with
 * NIPC_DEADLINE_NOW until -EAGAIN. Receive until -EAGAIN before the first wait, too: what has come
 * through memory before somebody polled makes no descriptor readable.
 *
 * Profiles: which mechanism moves the messages is agreed in the handshake, the best that both sides
 * offer and prefer (wire-v1 §5). NIPC_PROFILE_RING is shared memory between peers of ours, without
 * a system call as long as both are awake, and made for many messages in flight. Memory that cannot
 * be made or handed over costs the profile, not the session: nipc_session_get_info() says why.
 *
 * Errors of all calls that move messages; after any but those marked * close the session:
 *   -EAGAIN *       would wait, and the deadline is NIPC_DEADLINE_NOW
 *   -ETIMEDOUT *    the deadline passed; a partly received or sent message is kept and goes on with
 *                   the next call of the same kind
 *   -EINVAL *       an argument is wrong
 *   -EMSGSIZE *     send: above what was agreed, nothing was sent; receive: the peer's message is
 *                   (not *), see nipc_session_get_failure()
 *   -EEXIST *       a request with this id is still outstanding (DUPLICATE_MSG_ID)
 *   -EBUSY *        another message is half sent (flush first), or too many are in flight
 *   -ENOMEM *       no memory for the message; nothing was consumed or sent
 *   -ENOTCONN *     the handshake is not complete
 *   -ECHILD *       the session is that of a process of which the caller is a child
 *   -ECANCELED      the cancel object was triggered
 *   -ECONNRESET     the peer is gone
 *   -EBADMSG        the peer broke the protocol, see nipc_session_get_failure()
 * or another negative errno of the operating system.
 *
 * fork: a session stays its maker's. A child has a copy on which all that moves messages, waits or
 * asks for a descriptor returns -ECHILD, without a system call and without touching memory that is
 * shared; that is told by a load. nipc_session_close() there frees the child's copy and closes the
 * child's descriptors, of which the parent and the peer notice nothing. As long as a child holds
 * such descriptors the peer does not see the end of its parent's session.
 *
 * Threading: a session belongs to one thread at a time. Different sessions are independent. The one
 * thing others may do is nipc_cancel_trigger() on the cancel object named in its config.
 */

#include <nipc/cancel.h>
#include <nipc/chunk.h>
#include <nipc/clock.h>
#include <nipc/errno.h>
#include <nipc/error.h>
#include <nipc/header.h>
#include <nipc/hello.h>
#include <nipc/init.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from open or accept to close. */
struct nipc_session;

enum nipc_failure_stage {
        NIPC_FAILURE_NONE = 0,
        NIPC_FAILURE_CONFIG = 1,    /* an argument or config field */
        NIPC_FAILURE_CONNECT = 2,   /* finding and connecting to the endpoint */
        NIPC_FAILURE_PEER = 3,      /* the peer's credentials are not accepted */
        NIPC_FAILURE_HANDSHAKE = 4, /* HELLO, HELLO_ACK, or the peer's refusal in it */
        NIPC_FAILURE_SEND = 5,
        NIPC_FAILURE_RECEIVE = 6,
};

/* What failed and why: what ended the session, or else what was refused last. */
struct nipc_failure {
        size_t size;               /* sizeof(struct nipc_failure), set by the caller */
        int error;                 /* what the call returned, 0 if nothing failed */
        int os_error;              /* errno of the system call that failed, 0 if none did */
        uint32_t stage;            /* enum nipc_failure_stage */
        uint32_t transport_status; /* the peer's refusal in HELLO_ACK, 0 if it did not refuse */
        struct nipc_fault fault;   /* the broken rule for -EBADMSG and -EMSGSIZE */
};

#define NIPC_FAILURE_INIT NIPC_INIT(struct nipc_failure)

struct nipc_session_config {
        size_t size;                         /* use NIPC_SESSION_CONFIG_INIT */
        const char *run_dir;                 /* borrowed for the call, required */
        const char *service;                 /* borrowed for the call, required */
        uint32_t supported_profiles;         /* NIPC_PROFILE_*; 0: baseline */
        uint32_t preferred_profiles;         /* 0: none */
        uint32_t max_request_payload_bytes;  /* proposed; 0: 1024 */
        uint32_t max_request_batch_items;    /* proposed; 0: 1 */
        uint32_t max_response_payload_bytes; /* a hint to the server; 0: 1024 */
        uint32_t packet_size;                /* proposed; 0: what default socket buffers carry */
        uint64_t auth_token;
        /*
         * The largest response payload this side is willing to hold, whatever the server announced;
         * 0: 64 MiB. Memory is spent on messages that arrive, never on announcements.
         */
        uint32_t max_receive_bytes;
        uint32_t max_in_flight;     /* outstanding requests; 0: 1024 */
        struct nipc_cancel *cancel; /* borrowed until close; NULL: cannot be cancelled */
        /*
         * The token goes to a server run by root, by this process's user, or by the owner of the
         * run directory; anyone else is refused with -EACCES before a byte is sent, unless:
         */
        bool trust_any_server;
        uint32_t max_ring_bytes; /* RING: memory for requests, 32 KiB to 16 MiB; 0: 256 KiB */
};

#define NIPC_SESSION_CONFIG_INIT NIPC_INIT(struct nipc_session_config)

/* Credentials of the process at the other end, as of when the connection was made. */
struct nipc_peer {
        int64_t pid; /* -1: unknown */
        int64_t uid;
        int64_t gid;
};

struct nipc_session_info {
        size_t size; /* sizeof(struct nipc_session_info), set by the caller */
        uint64_t session_id;
        uint32_t profile;           /* the data plane in use, one NIPC_PROFILE_* bit */
        uint32_t refused_profiles;  /* offered by both sides, but not usable; see downgrade_* */
        int downgrade_error;        /* negative errno that stripped refused_profiles, 0 if none */
        const char *downgrade_step; /* what failed, a literal; NULL if nothing did */
        uint32_t max_request_payload_bytes;
        uint32_t max_request_batch_items;
        uint32_t max_response_payload_bytes;
        uint32_t max_response_batch_items;
        uint32_t packet_size;
        struct nipc_peer peer;
        /*
         * Of refused_profiles: those that the server selected and this side could not take, which
         * cost another connection. Whoever connects again may want to leave them out for a while.
         */
        uint32_t unusable_profiles;
};

#define NIPC_SESSION_INFO_INIT NIPC_INIT(struct nipc_session_info)

/* A received message. The payload is borrowed until the next receive or close of the session. */
struct nipc_message {
        struct nipc_header header;
        const void *payload; /* never NULL */
        size_t payload_size; /* = header.payload_len */
};

/* The NIPC_PROFILE_* bits that this build has a data plane for. Since: 0.1 */
uint32_t nipc_profile_get_available(void);

/*
 * Connects and shakes hands. Blocks until the deadline at most, cancellable throughout.
 * ret_session: owned, release with nipc_session_close(). ret_failure: NULL, or told what failed
 * (its size field set by the caller).
 * Returns 0, or -EINVAL, -ENAMETOOLONG, -E2BIG (config); -ENOENT (no provider: nothing there or
 * nobody listening); -EACCES (AUTH_FAILED, file permissions, or a server we do not trust);
 * -EPROTONOSUPPORT (INCOMPATIBLE, UNSUPPORTED); -EMSGSIZE (the server refuses our request limit);
 * -ECONNREFUSED (the server refused for another reason, see transport_status); -ECONNRESET,
 * -EBADMSG, -ETIMEDOUT, -EAGAIN, -ECANCELED, -ECHILD (the cancel object is a parent's), -ENOMEM,
 * -EMFILE, ... Since: 0.1
 */
int nipc_session_open(const struct nipc_session_config *config, uint64_t deadline_ns,
                      struct nipc_session **ret_session, struct nipc_failure *ret_failure);

/* Ends a session. Takes NULL. Never blocks: what is half sent is dropped. Returns NULL. Since: 0.1
 */
struct nipc_session *nipc_session_close(struct nipc_session *session);

/*
 * Server side: goes on with the handshake of an accepted session. Returns 0 when the session is
 * ready (again, if it already was), or: -EAGAIN, -ETIMEDOUT (call again); -ECONNREFUSED when the
 * client was refused and has been told so; -EBADMSG, -ECONNRESET when it deserved no answer. After
 * the last three close the session. Since: 0.1
 */
int nipc_session_handshake(struct nipc_session *session, uint64_t deadline_ns);

/*
 * Server side, before the handshake: makes it end in a refusal with this status once the client
 * said HELLO (a server that is full says LIMIT_EXCEEDED). Since: 0.1
 */
void nipc_session_refuse(struct nipc_session *session, uint16_t transport_status);

/*
 * Sends one message, payload copied by the transport only. header: kind, flags, code,
 * transport_status, item_count and message_id are taken, payload_len is set from payload_size.
 * payload: borrowed for the call; may be NULL when payload_size is 0.
 * When the peer does not take it all in time (-EAGAIN, -ETIMEDOUT) after a part was sent, the rest
 * is kept by the session and nipc_session_flush() goes on; if nothing was sent, nothing is kept
 * and the call can be repeated: nipc_session_has_pending() tells which. Since: 0.1
 */
int nipc_session_send(struct nipc_session *session, const struct nipc_header *header,
                      const void *payload, size_t payload_size, uint64_t deadline_ns);

/*
 * Lends space for a payload to be built in place: *ret_payload has `capacity` bytes and is valid
 * until commit, a send, another reserve, or close. Returns 0, -EMSGSIZE (above what was agreed),
 * -ENOMEM, -EBUSY, -ENOTCONN. Since: 0.1
 */
int nipc_session_reserve(struct nipc_session *session, size_t capacity, void **ret_payload);

/*
 * Sends the first payload_size bytes of what was reserved; no copy but the transport's. Unlike
 * send, a message that cannot be sent at once is always kept: on -EAGAIN and -ETIMEDOUT go on with
 * nipc_session_flush(). After -EINVAL, -EMSGSIZE, -EEXIST, -EBUSY and -ENOMEM nothing happened and
 * what was reserved can be committed again. Since: 0.1
 */
int nipc_session_commit(struct nipc_session *session, const struct nipc_header *header,
                        size_t payload_size, uint64_t deadline_ns);

/* Goes on sending what is pending. Returns 0 when nothing is pending any more. Since: 0.1 */
int nipc_session_flush(struct nipc_session *session, uint64_t deadline_ns);

/*
 * Reads and drops what has arrived, a bounded number of packets, whatever state the session is in.
 * For a server that has said why it hangs up: on Unix sockets a close with unread data would take
 * the answer from the client. Never blocks. Since: 0.1
 */
void nipc_session_discard(struct nipc_session *session);

/* Whether a message is half sent. Since: 0.1 */
bool nipc_session_has_pending(const struct nipc_session *session);

/* Whether a message is half received: its peer owes the rest. Since: 0.1 */
bool nipc_session_is_receiving(const struct nipc_session *session);

/*
 * Receives one message. Batch directories, limits and, on a client, message ids were checked.
 * A request above the limits leaves its header in *ret_message with an empty payload and returns
 * -EMSGSIZE, so that a server can answer LIMIT_EXCEEDED before it closes. Since: 0.1
 */
int nipc_session_receive(struct nipc_session *session, uint64_t deadline_ns,
                         struct nipc_message *ret_message);

/*
 * nipc_session_send() and then nipc_session_receive(), with one deadline: a client's round trip,
 * for when no other request is in flight, in fewer steps. What is received is not looked at: it may
 * answer another request. -EAGAIN (of NIPC_DEADLINE_SPIN, too) and -ETIMEDOUT leave three cases:
 * nipc_session_has_pending() says that the request is half sent: flush, then receive;
 * nipc_session_get_in_flight() counts it, or nipc_session_is_receiving() its answer: receive;
 * otherwise nothing was sent: call again. Since: 0.1
 */
int nipc_session_call(struct nipc_session *session, const struct nipc_header *header,
                      const void *payload, size_t payload_size, uint64_t deadline_ns,
                      struct nipc_message *ret_message);

/*
 * Waits until receive would not have to wait: data, or the end of the session. Returns 0 or an
 * error of the table above. Since: 0.1
 */
int nipc_session_wait(struct nipc_session *session, uint64_t deadline_ns);

#define NIPC_EVENT_IN  (1u << 0) /* receive (or handshake) can go on */
#define NIPC_EVENT_OUT (1u << 1) /* flush (or handshake) can go on */

/*
 * The pollable descriptor of the session: readable when there is something to receive or the peer
 * is gone, writable when more can be sent; on profiles in shared memory it is readable for all of
 * that (wait for nipc_session_get_events()). There it is a descriptor of its own, made by the first
 * call after the handshake: ask again when the handshake is complete. Borrowed until close; never
 * read, write or close it. Asking for it makes the peer ring for each message that finds us without
 * news: a poller, which looks into memory first, is faster.
 *
 * SHM_HYBRID: a NetIPC v1 peer wakes by futex, which no descriptor covers. A thread of the library
 * watches for it, one per process and 127 sessions, asleep unless something comes, all signals
 * blocked but those of faults: for a client's session from the first call of this, or from when a
 * poller watches it, until close; for a server's from the handshake on, so that it is a baseline
 * session where there can be no such thread. Clients that are never polled for have none.
 *
 * On Windows it is the value of a HANDLE, to be waited for. SHM_HYBRID: a thread of the system's
 * pool sets it. SHM_BUSYWAIT: nothing says that a message has come, so it is a timer of a
 * millisecond.
 *
 * Returns a descriptor, -EINVAL, or (shared memory, first call) -ENOMEM, -EMFILE, -EAGAIN (no
 * thread) or another negative errno. Since: 0.1
 */
int nipc_session_get_fd(const struct nipc_session *session);

/*
 * What to wait for on that descriptor now: NIPC_EVENT_* bits. In shared memory it is NIPC_EVENT_IN
 * even when a message is half sent. Since: 0.1
 */
uint32_t nipc_session_get_events(const struct nipc_session *session);

/*
 * What was agreed, and with whom. info->size is the caller's. After a refused handshake
 * max_request_payload_bytes is what the client proposed. Returns 0, -EINVAL. Since: 0.1
 */
int nipc_session_get_info(const struct nipc_session *session, struct nipc_session_info *ret_info);

/* What ended the session, or was refused last; size is the caller's. Returns 0, -EINVAL. */
int nipc_session_get_failure(const struct nipc_session *session, struct nipc_failure *ret_failure);

/* Requests sent and not yet answered. Since: 0.1 */
size_t nipc_session_get_in_flight(const struct nipc_session *session);

/*
 * How full the memory is that our messages lie in until the peer has read them: *ret_used of
 * *ret_capacity bytes. The peer tells now and then what it has read, so that the true number may be
 * less by a quarter of the capacity. Costs a look at memory that the peer writes.
 * Returns 0, -EINVAL, -ENOTCONN, -ECHILD, or -EOPNOTSUPP on profiles that have no such memory.
 * Since: 0.1
 */
int nipc_session_get_queued(const struct nipc_session *session, size_t *ret_used,
                            size_t *ret_capacity);

/*
 * Buffers that several sessions of one thread share, so that an idle session holds none: messages
 * received through it are borrowed until the next receive of any session that shares it, what is
 * reserved until the next reserve. A session that must keep a half message takes the memory over.
 */
struct nipc_session_buffers;

/* Returns 0 or -ENOMEM. ret_buffers: owned, release with free. Since: 0.1 */
int nipc_session_buffers_new(struct nipc_session_buffers **ret_buffers);

/* Takes NULL. No session may use it any more. Returns NULL. Since: 0.1 */
struct nipc_session_buffers *nipc_session_buffers_free(struct nipc_session_buffers *buffers);

/* Makes a session use shared buffers (borrowed until close), or NULL: its own. Since: 0.1 */
void nipc_session_set_buffers(struct nipc_session *session, struct nipc_session_buffers *buffers);

#ifdef __cplusplus
}
#endif
