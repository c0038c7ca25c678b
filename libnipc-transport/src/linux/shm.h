/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The SHM_HYBRID profile of NetIPC v1 (transport-posix §3): the region, its file, and the state of
 * a session that uses it.
 *
 * Everything that lies in the region can be written by the peer at any time. Offsets and capacities
 * are kept here and never read back, and so is how far each direction is.
 */

#include "fault.h"
#include "fork.h"
#include "spin.h"
#include <nipc/endpoint.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Offsets in the region, transport-posix §3. */
enum {
        NIPC__SHM_MAGIC_AT = 0,
        NIPC__SHM_VERSION_AT = 4,
        NIPC__SHM_HEADER_LEN_AT = 6,
        NIPC__SHM_OWNER_PID_AT = 8,
        NIPC__SHM_OWNER_GENERATION_AT = 12,
        NIPC__SHM_REQUEST_OFFSET_AT = 16,
        NIPC__SHM_REQUEST_CAPACITY_AT = 20,
        NIPC__SHM_RESPONSE_OFFSET_AT = 24,
        NIPC__SHM_RESPONSE_CAPACITY_AT = 28,
        NIPC__SHM_REQUEST_SEQ_AT = 32,
        NIPC__SHM_RESPONSE_SEQ_AT = 40,
        NIPC__SHM_REQUEST_LEN_AT = 48,
        NIPC__SHM_RESPONSE_LEN_AT = 52,
        NIPC__SHM_REQUEST_SIGNAL_AT = 56,
        NIPC__SHM_RESPONSE_SIGNAL_AT = 60,
        NIPC__SHM_HEADER_BYTES = 64,
};

#define NIPC__SHM_MAGIC     0x4e53484du
#define NIPC__SHM_VERSION   3u
#define NIPC__SHM_ALIGNMENT 64u
#define NIPC__SHM_SUFFIX    ".ipcshm"
#define NIPC__SHM_ID_DIGITS 16u
#define NIPC__SHM_PATH_MAX  256u /* with the NUL */

/* ---- the file ------------------------------------------------------------------------------- */

/* Where the regions of a service lie. Shared by a listener and its sessions, which outlive it. */
struct nipc__shm_place {
        _Atomic uint32_t n_refs;
        int dir_fd;
        size_t dir_len; /* of the run directory's name */
        char service[NIPC_ENDPOINT_PATH_MAX];
};

int nipc__shm_place_new(const char *run_dir, const char *service,
                        struct nipc__shm_place **ret_place);
/* Both take NULL. */
struct nipc__shm_place *nipc__shm_place_ref(struct nipc__shm_place *place);
struct nipc__shm_place *nipc__shm_place_unref(struct nipc__shm_place *place); /* returns NULL */

struct nipc__shm_region {
        uint8_t *map;
        size_t size;
        int fd;
        struct nipc__fault_entry *fault;
        uint32_t request_offset;
        uint32_t request_capacity;
        uint32_t response_offset;
        uint32_t response_capacity;

        /* Of the one who made it, to remove that file and no other; NULL: not ours. */
        struct nipc__shm_place *place;
        pid_t owner_pid;
        struct nipc__fork_mark made_by;
        dev_t dev;
        ino_t ino;
        char name[NIPC__SHM_PATH_MAX];
};

/*
 * Makes the region of a session for these maxima. *ret_step: what failed, a literal.
 * Returns 0, -EADDRINUSE when a live owner has the name, or another negative errno.
 */
int nipc__shm_region_create(struct nipc__shm_place *place, uint64_t session_id,
                            uint32_t max_request_payload_bytes, uint32_t max_response_payload_bytes,
                            struct nipc__shm_region *region, const char **ret_step);

/* Maps what a server made. *ret_is_early: it may still be being made. Returns as create does. */
int nipc__shm_region_attach(const char *run_dir, const char *service, uint64_t session_id,
                            struct nipc__shm_region *region, const char **ret_step,
                            bool *ret_is_early);

/* Unmaps it, and removes the file if it is ours. */
void nipc__shm_region_release(struct nipc__shm_region *region);

/* Whether all of it is still there: 0 or -EBADMSG. One system call. */
int nipc__shm_region_check(const struct nipc__shm_region *region);

/* What our servers put into owner_generation, never 0: tells that they, who hold a lock, made it.
 */
uint32_t nipc__shm_generation(pid_t pid, uint64_t session_id, ino_t ino);

/*
 * Removes a region if its owner is proven dead, or if it never was one.
 * Returns 1 (removed), 0 (nothing there) or -EADDRINUSE (alive, or not proven dead).
 */
int nipc__shm_remove_dead(int dir_fd, const char *name);

/* What kill(pid, 0) says, by a call that could do no harm if it were wrong. */
bool nipc__shm_is_running(pid_t pid);

/* "{service}-{16 lowercase hex digits}.ipcshm" */
bool nipc__shm_is_region_name(const char *name);

/*
 * Whether that would remove this file: its owner is dead, or it has none. Not where the numbers of
 * processes mean nothing: there only the lock counts, with is_other_boot. Regular files only:
 * others are not judged here. Returns 1, 0, or a negative errno.
 */
int nipc__shm_is_dead(int dir_fd, const char *name, bool is_other_boot);

/* All that look like regions of this service. Returns how many were removed, or a negative errno.
 */
int nipc__shm_remove_all_dead(int dir_fd, const char *service);

/* Whether there are any, dead or alive. */
bool nipc__shm_has_any(int dir_fd, const char *service);

/* ---- the session ---------------------------------------------------------------------------- */

struct nipc__watched;

struct nipc__shm {
        /* Read with each message. */
        uint8_t *tx;
        const uint8_t *rx;
        _Atomic uint64_t *tx_seq;
        uint64_t tx_last_seq; /* what we wrote there last */
        uint32_t tx_last_signal;
        _Atomic uint32_t *tx_len;
        _Atomic uint32_t *tx_signal;
        const _Atomic uint64_t *rx_seq;
        const _Atomic uint32_t *rx_len;
        const _Atomic uint32_t *rx_signal;
        uint64_t rx_next; /* what rx_seq says when the next message is there */
        uint32_t tx_capacity;
        uint32_t rx_capacity;
        bool may_send;  /* it is our turn */
        bool has_spun;  /* in vain, a moment ago */
        bool is_polled; /* by the caller himself: always armed, unless its bell rings already */
        struct nipc__spinner spinner;

        /* The rest now and then. */
        struct nipc__shm_region region;
        struct nipc__watched *watched; /* NULL as long as nobody polls for it */
        int poll_fd;                   /* for a caller who polls; -1: none yet */
};

struct nipc_session;

/* Of a server, before HELLO_ACK. Returns 0 or a negative errno with a step. */
int nipc__shm_prepare(struct nipc_session *session, uint64_t session_id, const char **ret_step);

/*
 * Of a client, after HELLO_ACK; waits for a server that is late, and for no longer than
 * session->opening says. *ret_step is NULL when the session ended, and not the profile.
 */
int nipc__shm_attach(struct nipc_session *session, uint64_t session_id, const char **ret_step);

/* Takes NULL. Returns NULL. */
struct nipc__shm *nipc__shm_free(struct nipc__shm *shm);
