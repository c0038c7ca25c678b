/* SPDX-License-Identifier: MIT */

/*
 * Public entry points of a listener: defaults, the policy that handshakes are judged by, session
 * ids. The endpoint itself is the system's business (posix/uds-listener.c).
 *
 * session_id: one counter per listener, first value 1 (wire-v1 §5), but for one that goes on where
 * another process was.
 */

#include "abi.h"
#include "listener-private.h"
#include "stdaux.h"
#include <errno.h>

static int check_listener_config(struct nipc_listener_config *config)
{
        int r;

        if (!config->run_dir || !config->run_dir[0])
                return -EINVAL;
        r = nipc_endpoint_check_name(config->service);
        if (r < 0)
                return r;
        if (config->mode & ~0777u)
                return -EINVAL;
        if (config->packet_size && config->packet_size <= NIPC_HEADER_SIZE)
                return -EINVAL;
        if (config->max_request_payload_bytes > UINT32_MAX - NIPC_HEADER_SIZE ||
            config->max_response_payload_bytes > UINT32_MAX - NIPC_HEADER_SIZE)
                return -EINVAL;
        if (config->listen_fd < 0 || config->lock_fd < 0 || (config->lock_fd && !config->listen_fd))
                return -EINVAL;
        if (!config->mode)
                config->mode = 0600;
        if (!config->backlog)
                config->backlog = NIPC__DEFAULT_BACKLOG;
        if (!config->supported_profiles)
                config->supported_profiles = NIPC_PROFILE_BASELINE;
        if (!config->max_ring_bytes)
                config->max_ring_bytes = NIPC__DEFAULT_RING_BYTES;
        if (config->max_ring_bytes < NIPC__MIN_RING_BYTES ||
            config->max_ring_bytes > NIPC__MAX_RING_BYTES)
                return -EINVAL;
        if (!config->max_request_payload_bytes)
                config->max_request_payload_bytes = NIPC__DEFAULT_PAYLOAD_BYTES;
        if (!config->max_response_payload_bytes)
                config->max_response_payload_bytes = NIPC__DEFAULT_PAYLOAD_BYTES;
        /* A profile that this build has no plane for is not offered: nobody is led astray. */
        if (!(config->supported_profiles & NIPC__AVAILABLE_PROFILES))
                return -EPROTONOSUPPORT;
        return 0;
}

NIPC__EXPORT int nipc_listener_open(const struct nipc_listener_config *user_config,
                                    struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config;
        struct nipc_listener *listener;
        int r;

        if (!ret_listener)
                return -EINVAL;
        r = nipc__abi_load(&config, sizeof(config), user_config);
        if (r == 0)
                r = check_listener_config(&config);
        if (r < 0)
                return r;
        listener = calloc(1, sizeof(*listener));
        if (!listener)
                return -ENOMEM;
        listener->profiles = config.supported_profiles & NIPC__AVAILABLE_PROFILES;
        listener->preferred = config.preferred_profiles & listener->profiles;
        listener->refused_profiles = config.supported_profiles & ~NIPC__AVAILABLE_PROFILES;
        listener->packet_size = config.packet_size;
        listener->auth_token = config.auth_token;
        listener->authorize = config.authorize;
        listener->userdata = config.userdata;
        listener->max_ring_bytes = config.max_ring_bytes;
        /* A predecessor's sessions live on under its ids: ours are larger, and stay so. */
        atomic_init(&listener->last_session_id, config.lock_fd ? nipc_clock_now_ns() : 0);
        nipc_listener_set_limits(listener, config.max_request_payload_bytes,
                                 config.max_response_payload_bytes);
        r = nipc__listener_os_open(listener, &config);
        if (r < 0) {
                free(listener);
                return r;
        }
        *ret_listener = listener;
        return 0;
}

NIPC__EXPORT struct nipc_listener *nipc_listener_close(struct nipc_listener *listener)
{
        if (!listener)
                return NULL;
        nipc__listener_os_close(listener);
        nipc__shm_place_unref(listener->shm_place);
        free(listener);
        return NULL;
}

NIPC__EXPORT int nipc_listener_dup_fds(const struct nipc_listener *listener, int *ret_listen_fd,
                                       int *ret_lock_fd)
{
        if (!listener || !ret_listen_fd || !ret_lock_fd)
                return -EINVAL;
        return nipc__listener_os_dup(listener, ret_listen_fd, ret_lock_fd);
}

NIPC__EXPORT void nipc_listener_leave(struct nipc_listener *listener)
{
        if (listener)
                nipc__listener_os_leave(listener);
}

NIPC__EXPORT void nipc_listener_set_limits(struct nipc_listener *listener,
                                           uint32_t max_request_payload_bytes,
                                           uint32_t max_response_payload_bytes)
{
        /* One word, so that a handshake sees both of one call. Pairs with the load in accept. */
        atomic_store_explicit(&listener->limits,
                              (uint64_t)max_request_payload_bytes << 32 |
                                      max_response_payload_bytes,
                              memory_order_relaxed);
}

NIPC__EXPORT uint32_t nipc_listener_get_n_stale(const struct nipc_listener *listener)
{
        return listener ? listener->n_stale : 0;
}

static void fill_policy(struct nipc_listener *listener, struct nipc_session *session)
{
        uint64_t limits = atomic_load_explicit(&listener->limits, memory_order_relaxed);
        uint64_t id = atomic_fetch_add_explicit(&listener->last_session_id, 1,
                                                memory_order_relaxed); /* unique is all it is */

        session->policy = (struct nipc_hello_policy){
                .supported_profiles = listener->profiles,
                .preferred_profiles = listener->preferred,
                .max_request_payload_bytes = (uint32_t)(limits >> 32),
                .max_response_payload_bytes = (uint32_t)limits,
                .auth_token = listener->auth_token,
                .packet_size = listener->packet_size ? listener->packet_size
                                                     : nipc__link_packet_size(&session->link),
                .session_id = id + 1,
        };
        session->proposed_packet_size = session->policy.packet_size;
        session->max_ring_bytes = listener->max_ring_bytes;
        session->shm_place = nipc__shm_place_ref(listener->shm_place);
        if (listener->refused_profiles)
                nipc__session_downgrade(session, listener->refused_profiles, -EPROTONOSUPPORT,
                                        "profile not built in");
}

NIPC__EXPORT int nipc_listener_accept(struct nipc_listener *listener, uint64_t deadline_ns,
                                      struct nipc_session **ret_session)
{
        struct nipc_session *session;
        int r;

        if (!listener || !ret_session)
                return -EINVAL;
        session = nipc__session_new(NIPC__ROLE_SERVER);
        if (!session)
                return -ENOMEM;
        r = nipc__listener_os_accept(listener, nipc__wait_or_not(deadline_ns), session);
        if (r == 0 && listener->authorize &&
            !listener->authorize(listener->userdata, &session->peer))
                r = -EACCES;
        if (r < 0) {
                nipc_session_close(session);
                return r;
        }
        fill_policy(listener, session);
        *ret_session = session;
        return 0;
}
