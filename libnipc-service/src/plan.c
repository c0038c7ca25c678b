/* SPDX-License-Identifier: MIT */

/*
 * What a config means once its defaults are filled in, and what a server of it takes: threads,
 * descriptors, mappings, bytes. All of them are upper bounds, and tests hold real servers to them.
 */

#include <errno.h>
#include <nipc/cost.h>
#include <string.h>

#include "abi.h"
#include "limits.h"
#include "server-private.h"
#include "stdaux.h"

#define DEFAULT_TIMEOUT_MS      5000u
#define DEFAULT_MAX_BATCH_ITEMS 65536u
#define DEFAULT_MAX_SESSIONS    1024u
#define DEFAULT_MAX_HANDSHAKES  256u
#define DEFAULT_SAMPLE_EVERY    64u
#define DEFAULT_MAX_SPLIT_BYTES (32u * 1024 * 1024) /* chosen, not tuned */

/* Of a thread's stack, touched by a worker that calls a handler of its own small needs; measured
 * with the test of the plan. */
#define STACK_BYTES (64u * 1024)

/* The objects of a server and of a worker with its poller, rounded up. */
#define SERVER_BYTES 16384u
#define WORKER_BYTES 8192u

/* An endpoint: directory, lock, socket, and where regions lie; a worker: its poller,
 * wake and timer, and two memories of a session that is being made. */
#define ENDPOINT_DESCRIPTORS 4u
#define WORKER_DESCRIPTORS   5u

/* What a message can carry, whose size with its header is a u32. */
#define MOST_PAYLOAD_BYTES (UINT32_MAX - NIPC_HEADER_SIZE)

/* ---- the config --------------------------------------------------------------------------- */

/* Fills one pair of limits in: the ceiling, and what to begin with. Returns 0 or -EINVAL. */
static int default_limits(uint32_t *max, uint32_t *initial, uint32_t default_initial)
{
        if (!*max && !*initial) {
                *max = NIPC__GROWTH_CAP;
                *initial = default_initial;
        } else if (!*max) {
                *max = NIPC__MAX(NIPC__GROWTH_CAP, *initial);
        } else if (!*initial) {
                *initial = *max;
        }
        return *initial <= *max ? 0 : -EINVAL;
}

int nipc__server_load_config(struct nipc_server_config *c, const struct nipc_server_config *config)
{
        int r;

        r = nipc__abi_load(c, sizeof(*c), config);
        if (r < 0)
                return r;
        c->max_request_bytes = NIPC__MIN(c->max_request_bytes, MOST_PAYLOAD_BYTES);
        c->max_response_bytes = NIPC__MIN(c->max_response_bytes, MOST_PAYLOAD_BYTES);
        r = default_limits(&c->max_request_bytes, &c->initial_request_bytes,
                           NIPC__DEFAULT_REQUEST_BYTES);
        if (!r)
                r = default_limits(&c->max_response_bytes, &c->initial_response_bytes,
                                   NIPC__DEFAULT_RESPONSE_BYTES);
        if (!c->max_batch_items)
                c->max_batch_items = DEFAULT_MAX_BATCH_ITEMS;
        if (!c->max_split_bytes)
                c->max_split_bytes = DEFAULT_MAX_SPLIT_BYTES;
        if (c->max_concurrent_requests > 1 && !c->n_workers)
                return -EINVAL; /* there is nobody to handle them meanwhile */
        if (!c->max_sessions)
                c->max_sessions = DEFAULT_MAX_SESSIONS;
        if (!c->max_sessions_per_uid)
                c->max_sessions_per_uid = c->max_sessions;
        if (!c->max_handshakes)
                c->max_handshakes = DEFAULT_MAX_HANDSHAKES;
        if (!c->max_descriptors)
                c->max_descriptors = UINT32_MAX;
        if (!c->max_total_bytes)
                c->max_total_bytes = UINT64_MAX;
        if (!c->max_bytes_per_uid)
                c->max_bytes_per_uid = UINT64_MAX;
        if (!c->metrics_sample_every)
                c->metrics_sample_every = DEFAULT_SAMPLE_EVERY;
        if (!c->handshake_timeout_ms)
                c->handshake_timeout_ms = DEFAULT_TIMEOUT_MS;
        if (!c->request_timeout_ms)
                c->request_timeout_ms = DEFAULT_TIMEOUT_MS;
        if (!c->response_timeout_ms)
                c->response_timeout_ms = DEFAULT_TIMEOUT_MS;
        return r;
}

/* ---- the plan ----------------------------------------------------------------------------- */

int nipc__plan_session(const struct nipc_server_config *c, uint32_t profile,
                       struct nipc_server_session_needs *ret_needs)
{
        struct nipc_session_cost cost = NIPC_SESSION_COST_INIT;
        int r;

        r = nipc_session_get_cost(profile, c->max_request_bytes, c->max_response_bytes, 0, &cost);
        if (r < 0)
                return r;
        *ret_needs = (struct nipc_server_session_needs){
                .profile = profile,
                .n_descriptors = cost.n_descriptors,
                .n_mappings = cost.n_mappings,
                .idle_bytes = cost.heap_bytes + sizeof(struct nipc__conn) + 32,
                .busy_bytes = cost.heap_bytes + sizeof(struct nipc__conn) + 32 +
                              cost.message_bytes + nipc__tasks_bytes(c),
                .shared_bytes = cost.shared_bytes,
        };
        return 0;
}

/* One of each profile, and the dearest of all in every respect. */
static void plan_sessions(const struct nipc_server_config *c, struct nipc_server_needs *plan,
                          struct nipc_server_session_needs *ret_most, uint32_t *ret_n_per_thread)
{
        const uint32_t offered = c->profiles | NIPC_PROFILE_BASELINE;
        uint32_t bit;

        *ret_most = (struct nipc_server_session_needs){0};
        *ret_n_per_thread = 0;
        for (bit = 1; bit; bit <<= 1) {
                struct nipc_session_cost cost = NIPC_SESSION_COST_INIT;
                struct nipc_server_session_needs one;

                if (!(offered & bit) || plan->n_profiles == NIPC_SERVER_NEEDS_MAX_PROFILES ||
                    nipc__plan_session(c, bit, &one) < 0)
                        continue;
                plan->sessions[plan->n_profiles++] = one;
                (void)nipc_session_get_cost(bit, 0, 0, 0, &cost);
                *ret_n_per_thread = NIPC__MAX(*ret_n_per_thread, cost.n_sessions_per_thread);
                ret_most->n_descriptors = NIPC__MAX(ret_most->n_descriptors, one.n_descriptors);
                ret_most->n_mappings = NIPC__MAX(ret_most->n_mappings, one.n_mappings);
                ret_most->idle_bytes = NIPC__MAX(ret_most->idle_bytes, one.idle_bytes);
                ret_most->busy_bytes = NIPC__MAX(ret_most->busy_bytes, one.busy_bytes);
                ret_most->shared_bytes = NIPC__MAX(ret_most->shared_bytes, one.shared_bytes);
        }
}

static uint32_t clamp32(uint64_t n)
{
        return (uint32_t)NIPC__MIN(n, (uint64_t)UINT32_MAX);
}

/* Whatever the config says: what is too much to count is as much as can be counted. */
static uint64_t times(uint64_t a, uint64_t b)
{
        return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* A worker's own: buffers for one request and one response, which all its sessions share. */
static uint64_t worker_bytes(const struct nipc_server_config *c)
{
        return WORKER_BYTES + 2 * NIPC_HEADER_SIZE + (uint64_t)c->max_request_bytes +
               c->max_response_bytes + (c->n_workers ? STACK_BYTES : 0) +
               (c->max_concurrent_requests > 1 ? STACK_BYTES : 0);
}

/* What parts of requests take at most; and what of that workers keep for the next time. */
static uint64_t split_bytes(const struct nipc_server_config *c, uint64_t *ret_kept)
{
        const uint64_t most =
                c->n_workers < 2 || c->split_items == UINT32_MAX ? 0 : c->max_split_bytes;

        *ret_kept = NIPC__MIN(most, (uint64_t)NIPC__SPLIT_KEEP_BYTES * c->n_workers);
        return most;
}

void nipc__plan_make(const struct nipc_server_config *c, struct nipc_server_needs *plan)
{
        const uint32_t n_workers = NIPC__MAX(c->n_workers, 1u);
        /* Those of a worker that may stay, however many workers there are. */
        const uint64_t n_silent = NIPC__MAX(c->max_handshakes, UINT64_C(16) * n_workers);
        struct nipc_server_session_needs most;
        uint64_t n = c->max_sessions, base_bytes, silent_bytes, kept_bytes;
        const uint64_t parts_bytes = split_bytes(c, &kept_bytes);
        uint32_t n_per_thread;

        plan_sessions(c, plan, &most, &n_per_thread);
        silent_bytes = times(n_silent, most.idle_bytes);
        plan->n_requests = n_workers;
        plan->n_threads = c->n_workers;
        if (c->max_concurrent_requests > 1) {
                plan->n_requests = clamp32(n * c->max_concurrent_requests);
                plan->n_threads *= 2;
        }
        if (n_per_thread)
                plan->n_threads = clamp32(plan->n_threads + n / n_per_thread + 1);
        plan->n_descriptors =
                clamp32(NIPC__MIN(n * most.n_descriptors, (uint64_t)c->max_descriptors) + n_silent +
                        ENDPOINT_DESCRIPTORS + (uint64_t)WORKER_DESCRIPTORS * n_workers);
        plan->n_mappings = clamp32(n * most.n_mappings + 2 * (uint64_t)plan->n_threads);
        base_bytes = plus(SERVER_BYTES, times(n_workers, worker_bytes(c)));
        plan->base_bytes = plus(base_bytes, kept_bytes);
        plan->idle_bytes = plus(plus(plan->base_bytes, silent_bytes), times(n, most.idle_bytes));
        plan->shared_bytes = NIPC__MIN(times(n, most.shared_bytes), c->max_total_bytes);
        plan->busy_bytes = plus(plus(base_bytes, plus(parts_bytes, silent_bytes)),
                                NIPC__MIN(times(n, most.busy_bytes), c->max_total_bytes));
}

NIPC__EXPORT int nipc_server_plan(const struct nipc_server_config *config,
                                  struct nipc_server_needs *ret_needs)
{
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        struct nipc_server_config c;
        int r;

        if (!ret_needs)
                return -EINVAL;
        r = nipc__server_load_config(&c, config);
        if (r < 0)
                return r;
        nipc__plan_make(&c, &plan);
        return nipc__abi_store(ret_needs, &plan, sizeof(plan));
}
