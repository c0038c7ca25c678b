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

        uint64_t n_calls;
        uint64_t n_errors;
        uint64_t n_connects;
        uint64_t n_reconnects;
        struct nipc_client_failure failure; /* all but .error is stale while .error is 0 */
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
        void (*encode)(const void *arg, void *buf, size_t size);
        const void *arg;
        /* NULL, or decodes the response as part of the attempt: 0 or NIPC_PROTO_E_*. */
        int (*decode)(void *userdata, const void *payload, size_t payload_size,
                      struct nipc_fault *ret_fault);
        void *userdata;
};

/* The whole of a call: attempts, reconnects, counting. ret_* may be NULL. */
int nipc__client_run(struct nipc_client *client, const struct nipc__request *request,
                     uint32_t timeout_ms, struct nipc_response *ret_response, uint16_t *ret_status);

void nipc__client_set_state(struct nipc_client *client, enum nipc_client_state state);

/* Ends the session, if there is one, and enters the state. */
void nipc__client_drop(struct nipc_client *client, enum nipc_client_state state);

/* One attempt to connect; sets the state by its result. Returns 0 or the negative errno. */
int nipc__client_connect(struct nipc_client *client, uint64_t deadline_ns);

/*
 * Connects anew inside a call: at once, and for a few milliseconds more while the provider is not
 * there. Returns 0, or the negative errno of the last attempt; the state tells the same.
 */
int nipc__client_reconnect(struct nipc_client *client, uint64_t deadline_ns);

/* Notes a failure for nipc_client_get_failure(). step, rule: literals. Returns error. */
int nipc__client_fail(struct nipc_client *client, int error, const char *step);
int nipc__client_fail_rule(struct nipc_client *client, int error, const char *step, int cause,
                           const char *rule);
