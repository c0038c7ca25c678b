/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The SHM_HYBRID and SHM_BUSYWAIT profiles of NetIPC v1 on Windows (transport-windows §3): the
 * state of a session that uses one. The region is in shm-region.h, how messages go through it in
 * shm-channel.h.
 */

#include "shm-channel.h"
#include "spin.h"
#include <stdbool.h>
#include <stdint.h>

struct nipc_session;

/*
 * Where a wait is of several handles, a sleep and its wake-up cost more than those of a futex: two
 * sleepers took 59 us a round trip, measured with bench-shm-windows under Wine. A server spins as
 * long as a client, and both about as long as peers of NetIPC v1 do (1,024 pauses): who gives up
 * before his peer can be back is a sleeper for good.
 */
#define NIPC__SHM_SPIN_NS  50000u
#define NIPC__SHM_SLEEP_US 50u

static inline void nipc__shm_spinner_init(struct nipc__spinner *spinner)
{
        nipc__spinner_init(spinner, NIPC__SHM_SPIN_NS);
        spinner->sleep_us = NIPC__SHM_SLEEP_US;
}

/* Where the regions of a service lie. Shared by a listener and its sessions, which outlive it. */
struct nipc__shm_place {
        _Atomic uint32_t n_refs;
        uint64_t auth_token;
        char *service; /* behind run_dir */
        char run_dir[];
};

/* Returns 0 or -ENOMEM. */
int nipc__shm_place_new(const char *run_dir, const char *service, uint64_t auth_token,
                        struct nipc__shm_place **ret_place);

/*
 * Waits for a region's event in the place of somebody who waits for something else: a thread of the
 * system's pool does. Every time the event is set it sets another one, or posts a hint to a
 * completion port. event, port and key are changed only while it does not ring.
 */
struct nipc__shm_bell {
        void *pool_wait; /* NULL: it does not ring */
        void *event;     /* NULL: none */
        void *port;      /* NULL: none */
        void *key;
};

/* Returns 0 or -EAGAIN. To ring already is no error. */
int nipc__shm_bell_begin(struct nipc__shm_bell *bell, void *rx_event);
/* Waits for a call that is under way: afterwards what is set is our own to see. */
void nipc__shm_bell_end(struct nipc__shm_bell *bell);

struct nipc__shm {
        struct nipc__shm_channel channel;
        bool may_send;  /* it is our turn */
        bool has_spun;  /* in vain, a moment ago */
        bool is_polled; /* by the caller himself: the peer always wakes us */
        struct nipc__spinner spinner;

        /* The rest now and then. */
        struct nipc__shm_bell bell;
        struct nipc__shm_region region;
        void *timer; /* for a caller who polls SHM_BUSYWAIT; NULL: none */
};

/*
 * Of a server, before HELLO_ACK. A name that is taken by what is left of an earlier server's
 * session is no reason to fail: *session_id is changed then. Returns 0 or a negative errno with a
 * step.
 */
int nipc__shm_prepare(struct nipc_session *session, uint32_t profile, uint64_t *session_id,
                      const char **ret_step);

/*
 * Of a client, after HELLO_ACK; waits for a server that is late, and for no longer than
 * session->opening says. *ret_step is NULL when the session ended, and not the profile.
 */
int nipc__shm_attach(struct nipc_session *session, uint32_t profile, uint64_t session_id,
                     const char **ret_step);

/* Tells the peer. Takes NULL. Returns NULL. */
struct nipc__shm *nipc__shm_free(struct nipc__shm *shm);

/*
 * For the poller: has what wakes the session posted to a port, or (NULL) not any more. Returns 0 or
 * -EAGAIN.
 */
int nipc__shm_ring_at(struct nipc_session *session, void *port, void *key);
