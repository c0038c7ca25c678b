/* SPDX-License-Identifier: MIT */

/* Who takes how much, see quota.h. Users are few: they are looked for one after the other. */

#include "quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stdaux.h"

static uint64_t bytes_of(const struct nipc_server_session_needs *plan)
{
        return plan->busy_bytes + plan->shared_bytes;
}

int nipc__quota_init(struct nipc__quota *quota, const struct nipc_server_config *config)
{
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        uint32_t i;
        int r;

        r = -pthread_mutex_init(&quota->lock, NULL);
        if (r < 0)
                return r;
        atomic_init(&quota->refused_limit, NULL);
        nipc__plan_make(config, &plan);
        quota->n_offered = plan.n_profiles;
        memcpy(quota->offered, plan.sessions, sizeof(quota->offered));
        for (i = 0; i < plan.n_profiles; i++) {
                quota->most.bytes = NIPC__MAX(quota->most.bytes, bytes_of(&plan.sessions[i]));
                quota->most.n_descriptors =
                        NIPC__MAX(quota->most.n_descriptors, plan.sessions[i].n_descriptors);
        }
        return 0;
}

void nipc__quota_deinit(struct nipc__quota *quota)
{
        free(quota->users);
        pthread_mutex_destroy(&quota->lock);
}

static struct nipc__quota_user *find_user(struct nipc__quota *quota, int64_t uid)
{
        size_t i;

        for (i = 0; i < quota->n_users; i++)
                if (quota->users[i].uid == uid)
                        return &quota->users[i];
        return NULL;
}

/* As find_user(), or a new one. NULL: no memory. */
static struct nipc__quota_user *get_user(struct nipc__quota *quota, int64_t uid)
{
        struct nipc__quota_user *user = find_user(quota, uid);
        size_t n_slots;

        if (user)
                return user;
        if (quota->n_users == quota->n_slots) {
                n_slots = quota->n_slots ? 2 * quota->n_slots : 4;
                user = realloc(quota->users, n_slots * sizeof(*user));
                if (!user)
                        return NULL;
                quota->users = user;
                quota->n_slots = n_slots;
        }
        user = &quota->users[quota->n_users++];
        *user = (struct nipc__quota_user){.uid = uid};
        return user;
}

static void drop_user(struct nipc__quota *quota, struct nipc__quota_user *user)
{
        if (!user->n_sessions)
                *user = quota->users[--quota->n_users];
}

/* Which limit is in the way of one more. */
static const char *find_limit(const struct nipc__quota *quota,
                              const struct nipc_server_config *config,
                              const struct nipc__quota_user *user)
{
        const struct nipc__charge *most = &quota->most;

        if (quota->n_sessions >= config->max_sessions)
                return "max_sessions";
        if (user->n_sessions >= config->max_sessions_per_uid)
                return "max_sessions_per_uid";
        if ((uint64_t)quota->n_descriptors + most->n_descriptors > config->max_descriptors)
                return "max_descriptors";
        if (quota->bytes + most->bytes > config->max_total_bytes)
                return "max_total_bytes";
        if (user->bytes + most->bytes > config->max_bytes_per_uid)
                return "max_bytes_per_uid";
        return NULL;
}

const char *nipc__quota_charge(struct nipc__quota *quota, const struct nipc_server_config *config,
                               int64_t uid, struct nipc__charge *ret_charge)
{
        const char *limit = "memory";
        struct nipc__quota_user *user;

        pthread_mutex_lock(&quota->lock);
        user = get_user(quota, uid);
        if (user)
                limit = find_limit(quota, config, user);
        if (!limit) {
                *ret_charge = quota->most;
                ret_charge->uid = uid;
                user->n_sessions++;
                user->bytes += ret_charge->bytes;
                quota->n_sessions++;
                quota->bytes += ret_charge->bytes;
                quota->n_descriptors += ret_charge->n_descriptors;
        } else if (user) {
                drop_user(quota, user);
        }
        pthread_mutex_unlock(&quota->lock);
        if (limit)
                atomic_store_explicit(&quota->refused_limit, limit, memory_order_relaxed);
        return limit;
}

/* With the lock held. */
static void give_back(struct nipc__quota *quota, struct nipc__quota_user *user, uint64_t bytes,
                      uint32_t n_descriptors)
{
        user->bytes -= bytes;
        quota->bytes -= bytes;
        quota->n_descriptors -= n_descriptors;
}

void nipc__quota_settle(struct nipc__quota *quota, uint32_t profile, struct nipc__charge *charge)
{
        uint32_t i;

        for (i = 0; i < quota->n_offered; i++) {
                const struct nipc_server_session_needs *plan = &quota->offered[i];

                if (plan->profile != profile)
                        continue;
                pthread_mutex_lock(&quota->lock);
                give_back(quota, find_user(quota, charge->uid), charge->bytes - bytes_of(plan),
                          charge->n_descriptors - plan->n_descriptors);
                pthread_mutex_unlock(&quota->lock);
                charge->bytes = bytes_of(plan);
                charge->n_descriptors = plan->n_descriptors;
        }
}

void nipc__quota_release(struct nipc__quota *quota, const struct nipc__charge *charge)
{
        struct nipc__quota_user *user;

        pthread_mutex_lock(&quota->lock);
        user = find_user(quota, charge->uid);
        give_back(quota, user, charge->bytes, charge->n_descriptors);
        user->n_sessions--;
        quota->n_sessions--;
        drop_user(quota, user);
        pthread_mutex_unlock(&quota->lock);
}
