/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What client.c (states, connecting) and call.c (attempts, retries) and the methods share.
 * Invariant: session is not NULL exactly when the state is READY, but inside a call.
 */

#include <nipc/cancel.h>
#include <nipc/client.h>
#include <nipc/session.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lookup-store.h"

struct nipc__log;

struct nipc_client {
        struct nipc_client_config config; /* run_dir and service are ours */
        char *run_dir;
        char *service;
        struct nipc_cancel *cancel;
        struct nipc_session *session;

        /*
         * enum nipc_client_state. Written by the owner with release in nipc__client_set_state(),
         * read anywhere with acquire in nipc_client_is_ready().
         */
        _Atomic uint32_t state;

        uint32_t request_bytes;  /* to be proposed */
        uint32_t response_bytes; /* to be hinted */
        uint32_t accepted_bytes; /* the last proposal that a provider accepted */
        uint32_t agreed_request_bytes;
        uint32_t agreed_response_bytes;
        uint32_t agreed_items;

        /* Profiles that could not be had, at the cost of a connection: see profiles_to_offer(). */
        uint32_t withheld_profiles;
        uint32_t withheld_ms;    /* for how long, doubled each time */
        uint64_t withheld_until; /* nanoseconds */

        /* Lookups: what is kept from one to the next. */
        const struct nipc_lookup_class *lookup_class; /* that was checked last */
        struct nipc__lookup_store lookup_store;
        uint32_t lookup_item_bytes;      /* of an item and its entry, on average; 0: not known */
        uint32_t lookup_response_stuck;  /* an agreed limit that reconnecting did not raise, ... */
        uint64_t lookup_stuck_until;     /* and is not tried for again before; nanoseconds */
        uint32_t lookup_request_refused; /* a proposal that was refused, ... */
        uint64_t lookup_refused_until;   /* and is not made again before; nanoseconds */

        struct nipc__log *log; /* NULL: nobody listens */
        int said_error;        /* why connecting failed, as it was said last */

        uint64_t n_calls;
        uint64_t n_errors;
        uint64_t n_connects;
        uint64_t n_reconnects;
        struct nipc_client_failure failure; /* all but .error is stale while .error is 0 */

        void *pool_slot; /* of a pool's client: where it belongs */
};

/*
 * A request in the form that attempts can repeat: bytes to copy, or an encoder that writes
 * payload_size bytes in place; and what the response must be.
 */
struct nipc__request {
        uint16_t code;
        uint16_t flags;
        uint32_t item_count;
        size_t payload_size;
        const void *payload; /* NULL: encode */
        /* Returns 0, or a NIPC_PROTO_E_* when the request cannot be: then nothing is sent. */
        int (*encode)(const void *arg, void *buf, size_t size);
        const void *arg;
        /* NULL, or decodes the response as part of the attempt: 0 or NIPC_PROTO_E_*. */
        int (*decode)(void *userdata, const void *payload, size_t payload_size,
                      struct nipc_fault *ret_fault);
        void *userdata;
};

/*
 * The whole of a call: attempts, reconnects, counting. ret_* may be NULL. Returns as calls do, or
 * what encode() says, if that is not 0.
 */
int nipc__client_run(struct nipc_client *client, const struct nipc__request *request,
                     uint32_t timeout_ms, struct nipc_response *ret_response, uint16_t *ret_status);

/*
 * The same as one of several that share a deadline. deadline_ns: 0 until it was found out, from
 * timeout_ms, which must not be 0; that may still be so afterwards.
 */
int nipc__client_run_until(struct nipc_client *client, const struct nipc__request *request,
                           uint32_t timeout_ms, uint64_t *deadline_ns,
                           struct nipc_response *ret_response);

/*
 * For calls that do their first exchange themselves, by nipc_session_call() with
 * NIPC_DEADLINE_SPIN, when all is as usual: a client that has a session; its header; whether what
 * came is the answer, then counted; and what to do when it was not as usual: r is what
 * nipc_session_call() returned. Returns as nipc__client_run().
 */
static inline bool nipc__client_has_session(const struct nipc_client *client)
{
        /* Written by ourselves: see nipc__client_set_state(). */
        return atomic_load_explicit(&client->state, memory_order_relaxed) ==
               NIPC_CLIENT_STATE_READY;
}

static inline struct nipc_header nipc__client_request_header(const struct nipc_client *client,
                                                             uint16_t code, uint16_t flags,
                                                             uint32_t item_count)
{
        return (struct nipc_header){
                .kind = NIPC_KIND_REQUEST,
                .flags = flags,
                .code = code,
                .item_count = item_count,
                .message_id = client->n_calls + 1,
        };
}

static inline bool nipc__is_answer(const struct nipc_header *header, const struct nipc_header *sent)
{
        return header->kind == NIPC_KIND_RESPONSE && header->code == sent->code &&
               header->message_id == sent->message_id &&
               header->transport_status == NIPC_TRANSPORT_STATUS_OK;
}

static inline void nipc__client_count(struct nipc_client *client)
{
        client->n_calls++;
        client->failure.error = 0;
}

int nipc__client_run_on(struct nipc_client *client, const struct nipc__request *request,
                        uint32_t timeout_ms, const struct nipc_header *header, int r,
                        struct nipc_message *message);

void nipc__client_set_state(struct nipc_client *client, enum nipc_client_state state);

/* Ends the session, if there is one, and enters the state. */
void nipc__client_drop(struct nipc_client *client, enum nipc_client_state state);

/* nipc_client_refresh() with a deadline of one's own. Returns the same. */
int nipc__client_refresh_until(struct nipc_client *client, uint64_t deadline_ns);

/* One attempt to connect; sets the state by its result. Returns 0 or the negative errno. */
int nipc__client_connect(struct nipc_client *client, uint64_t deadline_ns);

/*
 * Connects anew inside a call: at once, and for a few milliseconds more while the provider is not
 * there. Returns 0, or the negative errno of the last attempt; the state tells the same.
 */
int nipc__client_reconnect(struct nipc_client *client, uint64_t deadline_ns);

/*
 * Gives the session up and connects anew, after first_error, which was noted. Returns 0, or what
 * the caller shall hear: that error, unless reconnecting itself says something final.
 */
int nipc__client_reconnect_or(struct nipc_client *client, uint64_t deadline_ns, int first_error);

/* Why a client that is not READY, or no client of this process, does not call. Notes it. */
int nipc__client_fail_not_ready(struct nipc_client *client);

/* Notes a failure for nipc_client_get_failure(). step, rule: literals. Returns error. */
int nipc__client_fail(struct nipc_client *client, int error, const char *step);
int nipc__client_fail_rule(struct nipc_client *client, int error, const char *step, int cause,
                           const char *rule);

/* client-log.c: what the client's log is told. All of them do nothing if there is none. */
void nipc__client_say_connected(struct nipc_client *client, const struct nipc_session_info *info);
void nipc__client_say_failure(struct nipc_client *client, uint32_t event);

/* Fills in the defaults of lookups. Returns 0 or -EINVAL. */
int nipc__lookup_config_init(struct nipc_client_config *config);
