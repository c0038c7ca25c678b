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
        uint32_t bits;     /* NIPC_PROFILE_* to offer and prefer */
        uint32_t selected; /* the one that must come of it */
};

/* The profile under test. Ends the program if there is none of that name. */
const struct conformance_profile *conformance_profile(void);

/* Whether messages are packets on the socket: what raw peers speak after the handshake. */
bool conformance_is_baseline(void);

/*
 * Whether several messages may be under way in one direction. Where they may not, a client and a
 * server take turns, and sending never waits: it can be done now, or -EBUSY.
 */
bool conformance_can_pipeline(void);

/*
 * Whether a packet there was no room for is kept by the system, as a pipe of Windows does: it is
 * under way then, and not to be sent again.
 */
bool conformance_keeps_packets(void);

/*
 * What went wrong in a function of util-conformance.c is counted where the test is: the state of
 * tap.h is that of one source file. NULL if nothing did; says it once.
 */
const char *conformance_take_failure(void);

static TAP__UNUSED bool conformance_checked(const char *file, int line, bool good)
{
        const char *failure = conformance_take_failure();

        return failure ? tap__fail(file, line, "%s", failure) : good;
}

static TAP__UNUSED struct nipc_session *conformance_checked_session(const char *file, int line,
                                                                    struct nipc_session *session)
{
        conformance_checked(file, line, session != NULL);
        return session;
}

#define CHECKED(call)         conformance_checked(__FILE__, __LINE__, (call))
#define CHECKED_SESSION(call) conformance_checked_session(__FILE__, __LINE__, (call))

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

/* Opens all three. Returns whether that worked. */
#define pair_open(...) CHECKED(conformance_pair_open(__VA_ARGS__))
bool conformance_pair_open(struct pair *pair, const struct pair_config *config);

/* One more client of the same listener. */
#define pair_open_more(...) CHECKED(conformance_pair_open_more(__VA_ARGS__))
bool conformance_pair_open_more(struct pair *pair, const struct pair_config *config,
                                struct nipc_session **ret_client, struct nipc_session **ret_server);
void pair_close(struct pair *pair);

/* ---- one end of ours, one that is raw (baseline) -------------------------------------------- */

/* Our server; *ret_fd: its client, which said hello (76 bytes; NULL: the good one). */
#define open_server(...) CHECKED_SESSION(conformance_open_server(__VA_ARGS__))
struct nipc_session *conformance_open_server(const struct nipc_listener_config *config,
                                             const uint8_t *hello, int *ret_fd);

/* Our client; *ret_fd: its server, which answered ack (80 bytes; NULL: the good one). */
#define open_client(...) CHECKED_SESSION(conformance_open_client(__VA_ARGS__))
struct nipc_session *conformance_open_client(const struct nipc_session_config *config,
                                             const uint8_t *ack, int *ret_fd);

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
#define pattern_check(...) CHECKED(conformance_pattern_check(__VA_ARGS__))
bool conformance_pattern_check(const void *buf, size_t size, uint64_t seed);

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
#define transfer(...) CHECKED(conformance_transfer(__VA_ARGS__))
bool conformance_transfer(struct nipc_session *from, struct nipc_session *to,
                          const struct nipc_header *header, size_t size, enum send_way way);

/*
 * Where messages take turns: the server answers request `id`, which it has received, so that the
 * client may ask again. Elsewhere nothing needs to happen.
 */
#define take_turn(...) CHECKED(conformance_take_turn(__VA_ARGS__))
bool conformance_take_turn(const struct pair *pair, uint64_t id);

/* The fault of a session's first failure. */
struct nipc_fault session_fault(const struct nipc_session *session);
struct nipc_failure session_failure(const struct nipc_session *session);
