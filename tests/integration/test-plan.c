/* SPDX-License-Identifier: MIT */

/*
 * nipc_server_plan() is held to what it says: a real server, full of sessions of each profile, has
 * no more descriptors, threads, mappings and private pages than was planned, and the plan of what
 * can be counted exactly is not far above it.
 */

#include "util-env.h"
#include "util-server-child.h"
#include <nipc/hello.h>
#include <nipc/session.h>
#include <stdio.h>
#include <unistd.h>

#define N_SESSIONS 150u
#define N_WORKERS  2u

static struct nipc_session *connect_one(uint32_t profile)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session = NULL;

        config.run_dir = util_dir();
        config.service = SERVER_CHILD_SERVICE;
        config.supported_profiles = config.preferred_profiles = profile;
        if (util_eq_error(nipc_session_open(&config, util_soon(), &session, NULL), 0)) {
                nipc_session_get_info(session, &info);
                tap_eq_uint(info.profile, profile);
        }
        return session;
}

static void check_counts(const struct nipc_server_session_needs *one,
                         const struct nipc_server_needs *plan, const struct server_usage *empty,
                         const struct server_usage *full)
{
        printf("# profile 0x%x: %u descriptors of %u planned, %u threads of %u, %u mappings of %u, "
               "%llu bytes a session of %llu\n",
               one->profile, full->n_fds, plan->n_descriptors, full->n_threads, plan->n_threads + 1,
               full->n_mappings - empty->n_mappings, one->n_mappings * N_SESSIONS,
               (unsigned long long)(full->private_bytes - empty->private_bytes) / N_SESSIONS,
               (unsigned long long)(one->idle_bytes + one->shared_bytes));
        /* Descriptors that the test itself has open were inherited. */
        /* The last handshake may have a memory left to close. */
        tap_check(full->n_fds - empty->n_fds <= one->n_descriptors * N_SESSIONS + 2);
        tap_check(full->n_fds - empty->n_fds + N_SESSIONS / 2 >= one->n_descriptors * N_SESSIONS);
}

static void check_rest(const struct nipc_server_session_needs *one,
                       const struct nipc_server_needs *plan, const struct server_usage *empty,
                       const struct server_usage *full)
{
        const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

        if (!server_child_has_true_memory())
                return;
        tap_check(full->n_threads <= plan->n_threads + 1); /* and the main one */
        tap_check(full->n_mappings <=
                  empty->n_mappings + one->n_mappings * N_SESSIONS + 2 * plan->n_threads + 4);
        /* A page of shared memory that the client has not touched yet counts as the server's. */
        tap_check(full->private_bytes <=
                  empty->private_bytes + plan->base_bytes +
                          N_SESSIONS * (one->idle_bytes + one->shared_bytes + page_bytes));
}

static void try_profile(uint32_t profile)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        const struct nipc_server_session_needs *one = NULL;
        static struct nipc_session *sessions[N_SESSIONS];
        struct server_child child = {.pid = -1};
        struct server_usage empty, full;

        if (!(nipc_profile_get_available() & profile))
                tap_skip("not in this build");
        config.n_workers = N_WORKERS;
        config.profiles = profile | NIPC_PROFILE_BASELINE;
        config.max_sessions = N_SESSIONS;
        config.max_handshakes = 1;
        config.max_response_bytes = 16384;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        for (uint32_t i = 0; i < plan.n_profiles; i++)
                if (plan.sessions[i].profile == profile)
                        one = &plan.sessions[i];
        tap_require(one != NULL);
        tap_require(server_child_start(&child, &config));
        empty = server_child_get_usage(&child);
        for (uint32_t i = 0; i < N_SESSIONS; i++)
                sessions[i] = connect_one(profile);
        full = server_child_get_usage(&child);
        check_counts(one, &plan, &empty, &full);
        check_rest(one, &plan, &empty, &full);
        tap_check(plan.busy_bytes >= plan.idle_bytes);
        for (uint32_t i = 0; i < N_SESSIONS; i++)
                nipc_session_close(sessions[i]);
        tap_check(server_child_stop(&child));
}

static void test_baseline(void)
{
        try_profile(NIPC_PROFILE_BASELINE);
}

static void test_ring(void)
{
        try_profile(NIPC_PROFILE_RING);
}

static void test_shm_hybrid(void)
{
        try_profile(NIPC_PROFILE_SHM_HYBRID);
}

UTIL_MAIN(TAP_CASE(test_baseline), TAP_CASE(test_ring), TAP_CASE(test_shm_hybrid))
