/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A client of one service: it finds the provider by name, keeps a session to it, and calls. The
 * provider may come late, restart or vanish: the client says so and goes on when it is back
 * (client-server §1-5). It has no thread, and knows nothing of how the bytes travel.
 *
 * How to use:
 *
 *      struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
 *      config.run_dir = "/run/agent";
 *      config.service = "increment";
 *      r = nipc_client_new(&config, &client);          // connects nothing
 *      for (;;) {
 *              nipc_client_refresh(client);            // the only place that connects first
 *              if (nipc_client_is_ready(client))       // a load of one word
 *                      r = nipc_client_increment(client, 41, 0, &value);
 *              ...
 *      }
 *      client = nipc_client_free(client);
 *
 * A call on a client that is not ready fails at once with -ENOTCONN. On one that was ready it may
 * reconnect and send the request again: a request can be executed twice (at least once). One
 * deadline covers the whole call, reconnecting included.
 *
 * Errors of calls:
 *   -EINVAL        an argument is wrong; nothing happened
 *   -ENOTCONN      not ready; refresh first
 *   -ECHILD        the client is that of a process of which the caller is a child by fork()
 *   -ETIMEDOUT     the deadline passed; the session is given up, state BROKEN
 *   -ECANCELED     nipc_client_cancel(); the session is given up, state BROKEN
 *   -ECONNRESET    the provider went away and did not come back within a few milliseconds
 *   -ENOENT        never from a call; refresh reports it as state NOT_FOUND
 *   -EMSGSIZE      request or response is above what both sides may agree on (LIMIT_EXCEEDED);
 *                  the failure's fault.rule names the limit to raise, here or at the provider
 *   -EBADMSG       the provider sent what cannot be understood, see nipc_client_get_failure()
 *   -EREMOTEIO     the provider answered with another transport status, see ret_status or
 *                  nipc_client_get_failure()
 *   -EACCES, -EPROTONOSUPPORT  while reconnecting, as the states AUTH_FAILED and INCOMPATIBLE
 *   -ENOMEM and other negative errno of the system
 *
 * fork: a client stays its maker's. In a child refresh and all calls return -ECHILD, at the price
 * of a load and without a system call; cancel and reset_cancel do nothing to the parent's session;
 * free gives the child's memory and descriptors back, of which parent and provider notice nothing.
 * A child that wants to ask makes a client of its own.
 *
 * Threading: a client belongs to one thread at a time. nipc_client_cancel() may be called from any
 * thread and from signal handlers, nipc_client_is_ready() from any thread.
 */

#include <nipc/cgroups-snapshot.h>
#include <nipc/errno.h>
#include <nipc/error.h>
#include <nipc/header.h>
#include <nipc/init.h>
#include <nipc/log.h>
#include <nipc/lookup.h>
#include <nipc/string-reverse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_client;

/* client-server §2 */
enum nipc_client_state {
        NIPC_CLIENT_STATE_DISCONNECTED = 0,
        NIPC_CLIENT_STATE_CONNECTING = 1, /* inside refresh or a reconnecting call */
        NIPC_CLIENT_STATE_READY = 2,
        NIPC_CLIENT_STATE_NOT_FOUND = 3,    /* no provider; refresh tries again */
        NIPC_CLIENT_STATE_AUTH_FAILED = 4,  /* terminal: make a new client */
        NIPC_CLIENT_STATE_INCOMPATIBLE = 5, /* terminal: make a new client */
        NIPC_CLIENT_STATE_BROKEN = 6,       /* was ready; refresh reconnects */
};

struct nipc_client_config {
        size_t size;         /* use NIPC_CLIENT_CONFIG_INIT */
        const char *run_dir; /* copied, required */
        const char *service; /* copied, required */
        /*
         * NIPC_PROFILE_*, supported and preferred; 0: baseline. nipc_profile_get_available(): all
         * there are; the best that the provider has, too, is used. One that fails is left out for
         * a while (1 s, doubled to 60 s) and then tried again.
         */
        uint32_t profiles;
        uint32_t max_request_bytes;  /* proposed payload limit; 0: 1024, grows on need to 1 MiB */
        uint32_t max_batch_items;    /* proposed; 0: 1 */
        uint32_t max_response_bytes; /* a hint to the provider; 0: 65536 */
        uint32_t max_receive_bytes;  /* never hold a larger response; 0: 64 MiB */
        uint32_t timeout_ms;         /* for refresh, and for calls that name none; 0: 30000 */
        uint64_t auth_token;
        bool trust_any_server; /* else only root's, our user's, or the run directory owner's */
        /* Of one logical lookup (client-server §6); above: -EMSGSIZE. */
        uint32_t max_lookup_keys;  /* asked for at once; 0: 65536 */
        uint32_t max_lookup_calls; /* requests that it may become; 0: 4096 */
        uint32_t max_lookup_bytes; /* of all its answers together, at least 16; 0: 64 MiB */
        /* NULL, or told what happens, see <nipc/log.h>; log_userdata: borrowed until free. */
        void (*log)(void *userdata, const struct nipc_log_record *record);
        void *log_userdata;
};

#define NIPC_CLIENT_CONFIG_INIT NIPC_INIT(struct nipc_client_config)

/*
 * Makes a client; no I/O. ret_client: owned, release with nipc_client_free().
 * Returns 0, -EINVAL, -ENAMETOOLONG, -E2BIG, -ENOMEM, -EMFILE, -ENFILE. Since: 0.1
 */
int nipc_client_new(const struct nipc_client_config *config, struct nipc_client **ret_client);

/* Takes NULL. Never blocks. Returns NULL. Since: 0.1 */
struct nipc_client *nipc_client_free(struct nipc_client *client);

/*
 * Makes one attempt to connect if the state asks for one: DISCONNECTED, NOT_FOUND, BROKEN. Blocks
 * for the handshake, at most the configured timeout; a provider that is absent costs microseconds.
 * Returns 1 if the state changed, 0 if not; no other error than -ECHILD: read the state, and
 * nipc_client_get_failure() for the reason. Since: 0.1
 */
int nipc_client_refresh(struct nipc_client *client);

/* Whether a call may be made. One load; any thread. Since: 0.1 */
bool nipc_client_is_ready(const struct nipc_client *client);

enum nipc_client_state nipc_client_get_state(const struct nipc_client *client);

/* "READY" and so on, never NULL. Since: 0.1 */
const char *nipc_client_state_name(enum nipc_client_state state);

struct nipc_client_status {
        size_t size; /* sizeof(struct nipc_client_status), set by the caller */
        enum nipc_client_state state;
        uint32_t profile;           /* data plane in use, 0 when not connected */
        uint32_t refused_profiles;  /* better ones that were offered and could not be used */
        int downgrade_error;        /* negative errno behind refused_profiles */
        const char *downgrade_step; /* what failed, a literal or NULL */
        uint64_t session_id;
        uint32_t max_request_bytes; /* agreed, 0 when not connected */
        uint32_t max_response_bytes;
        uint32_t max_batch_items;
        uint32_t packet_size;
        int64_t peer_pid; /* -1 when unknown or not connected */
        int64_t peer_uid;
        uint64_t n_calls;      /* that succeeded */
        uint64_t n_errors;     /* that failed */
        uint64_t n_connects;   /* from DISCONNECTED or NOT_FOUND */
        uint64_t n_reconnects; /* from BROKEN and inside calls */
};

#define NIPC_CLIENT_STATUS_INIT NIPC_INIT(struct nipc_client_status)

/* Never blocks. Returns 0, -EINVAL. Since: 0.1 */
int nipc_client_get_status(const struct nipc_client *client, struct nipc_client_status *ret_status);

/* The last failure of a refresh or call, in words for a log. */
struct nipc_client_failure {
        size_t size;               /* sizeof(struct nipc_client_failure), set by the caller */
        int error;                 /* what was returned, 0 if the last one did not fail */
        int os_error;              /* errno of the system call that failed, 0 if none did */
        const char *step;          /* "connect", "handshake", "send", ...; a literal, never NULL */
        uint32_t transport_status; /* what the provider said, 0 if it said nothing bad */
        struct nipc_fault fault;   /* the broken rule, if the provider's bytes were refused */
};

#define NIPC_CLIENT_FAILURE_INIT NIPC_INIT(struct nipc_client_failure)

/* Never blocks. Returns 0, -EINVAL. Since: 0.1 */
int nipc_client_get_failure(const struct nipc_client *client,
                            struct nipc_client_failure *ret_failure);

/*
 * Cancels whatever the client waits for, now and until reset: calls return -ECANCELED.
 * Async-signal-safe, any thread, never blocks, keeps errno. Since: 0.1
 */
void nipc_client_cancel(struct nipc_client *client);

/*
 * By the owner: makes the client usable again. A session that was there is given up, state BROKEN;
 * refresh reconnects. Does nothing if nobody cancelled. Since: 0.1
 */
void nipc_client_reset_cancel(struct nipc_client *client);

/* ---- calls -------------------------------------------------------------------------------- */

/*
 * timeout_ms of every call: 0 means the configured one. Responses are borrowed until the next call,
 * refresh, reset_cancel or free of the client. All calls block until the deadline at most.
 */

/* A response of the raw call. */
struct nipc_response {
        const void *payload; /* borrowed, never NULL */
        size_t payload_size;
        uint32_t item_count; /* of a batch; 1 otherwise */
};

/*
 * One request of any method, for services of one's own. payload: borrowed for the call.
 * ret_status: NULL, or the provider's transport status, also on failure (0 if it did not answer).
 * Returns 0 when the provider answered OK, or an error of the table above. Since: 0.1
 */
int nipc_client_call(struct nipc_client *client, uint16_t code, const void *payload,
                     size_t payload_size, uint32_t timeout_ms, struct nipc_response *ret_response,
                     uint16_t *ret_status);

/*
 * One batch request. payload: made by a nipc_batch_builder, n_items directory entries (1 or more).
 * The response is a checked batch payload of as many items. Otherwise as nipc_client_call().
 * Since: 0.1
 */
int nipc_client_call_batch(struct nipc_client *client, uint16_t code, const void *payload,
                           size_t payload_size, uint32_t n_items, uint32_t timeout_ms,
                           struct nipc_response *ret_response, uint16_t *ret_status);

/*
 * nipc_client_call() with a decoder as part of the call: bytes that it refuses count as a failed
 * attempt, the session is given up and the request is sent once more (client-server §4).
 * decode: called once per answered attempt with the borrowed payload; returns 0 or a positive
 * NIPC_PROTO_E_*. Since: 0.1
 */
int nipc_client_call_decoded(struct nipc_client *client, uint16_t code, const void *payload,
                             size_t payload_size, uint32_t timeout_ms,
                             int (*decode)(void *userdata, const void *payload, size_t payload_size,
                                           struct nipc_fault *ret_fault),
                             void *userdata);

/* Method 1. ret_value: the answer. Since: 0.1 */
int nipc_client_increment(struct nipc_client *client, uint64_t value, uint32_t timeout_ms,
                          uint64_t *ret_value);

/*
 * Method 1, a batch of n_values (1 or more, at most the agreed batch items). values and ret_values:
 * n_values numbers each; they may be the same array. Since: 0.1
 */
int nipc_client_increment_batch(struct nipc_client *client, const uint64_t *values,
                                uint32_t n_values, uint32_t timeout_ms, uint64_t *ret_values);

/* Method 3. str: str_len bytes, borrowed for the call. ret_view: borrowed as said above. */
int nipc_client_string_reverse(struct nipc_client *client, const char *str, size_t str_len,
                               uint32_t timeout_ms, struct nipc_string_reverse_view *ret_view);

/*
 * Method 2. The view's header and directory were checked as part of the call; its items are checked
 * as they are read with nipc_cgroups_snapshot_view_get(). Since: 0.1
 */
int nipc_client_cgroups_snapshot(struct nipc_client *client, uint32_t timeout_ms,
                                 struct nipc_cgroups_snapshot_view *ret_view);

/*
 * Any lookup: all keys in one logical call (client-server §6). It becomes as many requests as the
 * agreed limits ask for; answers that were cut short are asked for again, and all are put together.
 * One deadline covers it all. class_: <nipc/lookup.h>, lives as long as the client. keys: borrowed
 * for the call; every key may be looked at several times and must be the same each time. No keys:
 * one request without any.
 *
 * ret_view: an item per key, in order, each checked and for its key, all of one generation; none
 * has the status status_exceeded. Borrowed until the next call, refresh, reset_cancel or free. When
 * one request was enough it is read where it came, without a copy or an allocation; otherwise in
 * memory that the client keeps for the next one, at most max_lookup_bytes.
 *
 * status_oversized: an item that was called so among others was asked for once more alone, unless
 * half of max_lookup_calls went into that; and as long as reconnecting brings larger responses (up
 * to 1 MiB by themselves), with those. String keys that do not fit any request have this status,
 * too.
 *
 * Returns as calls do, and -EMSGSIZE above a limit of the configuration, or when a key of fixed
 * size does not fit a request; -EBADMSG when an answer breaks the rules, or is of another
 * generation than those before; -ETIMEDOUT also between two requests; -EINVAL for a key that cannot
 * be one. But for what calls end, the client stays READY. Since: 0.1
 */
int nipc_client_lookup(struct nipc_client *client, const struct nipc_lookup_class *class_,
                       const struct nipc_lookup_keys *keys, uint32_t timeout_ms,
                       struct nipc_lookup_view *ret_view);

/* Method 4: paths of cgroups. Items: nipc_cgroups_lookup_item_load(). Since: 0.1 */
int nipc_client_cgroups_lookup(struct nipc_client *client, const char *const *paths,
                               uint32_t n_paths, uint32_t timeout_ms,
                               struct nipc_lookup_view *ret_view);

/* Method 5: processes. Items: nipc_apps_lookup_item_load(). Since: 0.1 */
int nipc_client_apps_lookup(struct nipc_client *client, const uint32_t *pids, uint32_t n_pids,
                            uint32_t timeout_ms, struct nipc_lookup_view *ret_view);

#ifdef __cplusplus
}
#endif
