/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One suite for all data planes: the tests are written against the session API and run once for
 * each profile of the table in util-conformance.c. $NIPC_CONFORMANCE_PROFILE names the one to use.
 *
 * How to use: a struct pair is a listener with one client and the session it accepted, both driven
 * by the test's one thread. Tests that must see the bytes have a raw peer (util-raw.h) at one end;
 * those bytes are the baseline's, so such tests skip on the other profiles.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/header.h>
#include <nipc/listener.h>
#include <nipc/session.h>

struct conformance_profile {
        const char *name;
        uint32_t bits; /* NIPC_PROFILE_* to offer and prefer */
};

/* The profile under test. Ends the program if there is none of that name. */
const struct conformance_profile *conformance_profile(void);

/* Whether messages are packets on the socket: what raw peers speak after the handshake. */
bool conformance_is_baseline(void);

/* ---- two ends ------------------------------------------------------------------------------- */

struct pair {
        struct nipc_listener *listener;
        struct nipc_session *client;
        struct nipc_session *server;
};

struct pair_config {
        struct nipc_listener_config listener;
        struct nipc_session_config session;
};

/* run_dir, service and profiles filled in. */
void pair_config_init(struct pair_config *config);

/* The same with limits that are out of the way, and this packet size (0: default). */
void pair_config_init_large(struct pair_config *config, uint32_t packet_size);

/* Opens all three. Notes the failure and returns false if something did not work. */
bool pair_open(struct pair *pair, const struct pair_config *config);

/* One more client of the same listener. */
bool pair_open_more(struct pair *pair, const struct pair_config *config,
                    struct nipc_session **ret_client, struct nipc_session **ret_server);
void pair_close(struct pair *pair);

/* ---- one end of ours, one that is raw (baseline) -------------------------------------------- */

/* Our server; *ret_fd: its client, which said hello (76 bytes; NULL: the good one). */
struct nipc_session *open_server(const struct nipc_listener_config *config, const uint8_t *hello,
                                 int *ret_fd);

/* Our client; *ret_fd: its server, which answered ack (80 bytes; NULL: the good one). */
struct nipc_session *open_client(const struct nipc_session_config *config, const uint8_t *ack,
                                 int *ret_fd);

/* ---- messages ------------------------------------------------------------------------------- */

static inline struct nipc_header make_request(uint64_t id)
{
        return (struct nipc_header){
                .kind = NIPC_KIND_REQUEST, .code = 7, .item_count = 1, .message_id = id};
}

static inline struct nipc_header make_response(uint64_t id)
{
        return (struct nipc_header){
                .kind = NIPC_KIND_RESPONSE, .code = 7, .item_count = 1, .message_id = id};
}

/* Bytes in which no two places look alike; seed: makes them differ from message to message. */
void pattern_fill(void *buf, size_t size, uint64_t seed);
bool pattern_check(const void *buf, size_t size, uint64_t seed);

enum send_way {
        SEND_COPY,     /* nipc_session_send */
        SEND_IN_PLACE, /* reserve, fill, commit */
        N_SEND_WAYS,
};

/* Starts sending a pattern. Returns as nipc_session_send(). */
int pattern_send(struct nipc_session *session, const struct nipc_header *header, size_t size,
                 uint64_t seed, enum send_way way, uint64_t deadline_ns);

/*
 * Moves one pattern from one end to the other in one thread, going on at every -EAGAIN of either.
 * Checks every byte. Returns whether it arrived.
 */
bool transfer(struct nipc_session *from, struct nipc_session *to, const struct nipc_header *header,
              size_t size, enum send_way way);

/* The fault of a session's first failure. */
struct nipc_fault session_fault(const struct nipc_session *session);
struct nipc_failure session_failure(const struct nipc_session *session);
