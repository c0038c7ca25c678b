/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who takes how much of what the config allows: in total, and by user. A session is charged when it
 * is about to be answered, as the dearest it may become, before anything is made for it; once its
 * profile is agreed the rest is given back. Nothing here is on the way of a request.
 *
 * Threading: every call from any thread.
 */

#include <nipc/server.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What one session is charged for. */
struct nipc__charge {
        int64_t uid;
        uint64_t bytes;
        uint32_t n_descriptors;
};

struct nipc__quota_user {
        int64_t uid;
        uint64_t bytes;
        uint32_t n_sessions; /* never 0: who has none is not in the table */
};

struct nipc__quota {
        pthread_mutex_t lock; /* guards all that is not atomic and not constant */
        struct nipc__quota_user *users;
        size_t n_users;
        size_t n_slots;
        uint64_t bytes;
        uint32_t n_sessions;
        uint32_t n_descriptors;
        uint32_t n_offered; /* of the plan below; constant, as is that */
        struct nipc_server_session_needs offered[NIPC_SERVER_NEEDS_MAX_PROFILES];
        struct nipc__charge most;
        /* A literal, for get_status; nothing is published by it: relaxed. */
        const char *_Atomic refused_limit;
};

int nipc__quota_init(struct nipc__quota *quota, const struct nipc_server_config *config);
void nipc__quota_deinit(struct nipc__quota *quota);

/*
 * Charges for the dearest session there may be. Returns NULL, or the name of the limit that is in
 * the way (or "memory"), and then nothing was charged.
 */
const char *nipc__quota_charge(struct nipc__quota *quota, const struct nipc_server_config *config,
                               int64_t uid, struct nipc__charge *ret_charge);

/* Gives back what a session of this profile does not need. */
void nipc__quota_settle(struct nipc__quota *quota, uint32_t profile, struct nipc__charge *charge);

/* Gives all of it back. */
void nipc__quota_release(struct nipc__quota *quota, const struct nipc__charge *charge);

static inline const char *nipc__quota_get_refused_limit(const struct nipc__quota *quota)
{
        return atomic_load_explicit(&quota->refused_limit, memory_order_relaxed);
}

/* ---- plan.c ---- */

void nipc__plan_make(const struct nipc_server_config *c, struct nipc_server_needs *plan);
int nipc__plan_session(const struct nipc_server_config *c, uint32_t profile,
                       struct nipc_server_session_needs *ret_needs);
