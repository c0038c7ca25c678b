/* SPDX-License-Identifier: MIT */
#pragma once

/* A listener: what is common to all systems, and what the system keeps of its endpoint. */

#include "listener-os.h"
#include "transport-private.h"

struct nipc_listener {
        struct nipc__listener_os os;
        uint32_t profiles; /* offered: asked for and built in */
        uint32_t preferred;
        uint32_t refused_profiles; /* asked for, not built in */
        uint32_t packet_size;      /* 0: ask the socket */
        uint32_t max_ring_bytes;
        uint32_t n_stale;                  /* files of dead owners that open removed */
        struct nipc__shm_place *shm_place; /* NULL unless that is offered */
        uint64_t auth_token;
        bool (*authorize)(void *userdata, const struct nipc_peer *peer);
        void *userdata;
        _Atomic uint64_t limits; /* max request << 32 | max response payload bytes */
        _Atomic uint64_t last_session_id;
};

int nipc__listener_os_open(struct nipc_listener *listener,
                           const struct nipc_listener_config *config);
void nipc__listener_os_close(struct nipc_listener *listener);
void nipc__listener_os_leave(struct nipc_listener *listener);
int nipc__listener_os_dup(const struct nipc_listener *listener, int *ret_listen_fd,
                          int *ret_lock_fd);
/* Accepts into session->link and session->peer. */
int nipc__listener_os_accept(struct nipc_listener *listener, uint64_t deadline_ns,
                             struct nipc_session *session);
