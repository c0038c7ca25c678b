/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of libnipc-transport share: the session, and the ops table that is the only seam
 * between generic code (src/) and a mechanism (src/posix, src/linux, ...).
 *
 * A session has a link, the connection over which the handshake ran and whose end is the end of
 * the session, and a plane, the mechanism that moves its messages. On the baseline the plane is
 * the link. Generic code checks arguments, limits and ids; a plane moves checked messages.
 */

#include "link.h"
#include <errno.h>
#include <nipc/batch.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Defaults and ceilings; those of the wire are in wire-v1 §1, the rest is chosen, not tuned. */
#define NIPC__DEFAULT_PAYLOAD_BYTES 1024u
#define NIPC__DEFAULT_RECEIVE_BYTES (64u * 1024 * 1024)
#define NIPC__DEFAULT_IN_FLIGHT     1024u
#define NIPC__DEFAULT_BACKLOG       128u
#define NIPC__MIN_RECEIVE_BUFFER    (NIPC_HEADER_SIZE + 1024u) /* client-server §1 */

enum nipc__role {
        NIPC__ROLE_CLIENT,
        NIPC__ROLE_SERVER,
};

/* Growable bytes. No invariant between capacity and use: users keep their own lengths. */
struct nipc__buffer {
        uint8_t *bytes;
        size_t capacity;
};

/* Makes room for `size` bytes, keeping the first `keep`. Returns 0 or -ENOMEM (unchanged). */
int nipc__buffer_reserve(struct nipc__buffer *buffer, size_t size, size_t keep);
void nipc__buffer_deinit(struct nipc__buffer *buffer);

struct nipc_session_buffers {
        struct nipc__buffer rx;
        struct nipc__buffer tx;
};

/* The outstanding request ids of a client (wire-v1 §7). */
struct nipc__in_flight {
        uint64_t first; /* the id that found the set empty, kept beside the table */
        bool has_first;
        uint32_t max_ids;
        struct nipc__in_flight_slot *slots; /* open addressing */
        uint32_t n_slots;                   /* 0 or a power of two */
        uint32_t n_ids;                     /* in the table */
};

/* Returns 0, -EEXIST, -EBUSY (max_ids are outstanding) or -ENOMEM. */
int nipc__in_flight_add(struct nipc__in_flight *set, uint64_t id);
/* Whether the id was there; it is not any more. */
bool nipc__in_flight_remove(struct nipc__in_flight *set, uint64_t id);
size_t nipc__in_flight_count(const struct nipc__in_flight *set);
void nipc__in_flight_clear(struct nipc__in_flight *set);
void nipc__in_flight_deinit(struct nipc__in_flight *set);

/*
 * A message on its way out. Its payload lies in the caller's memory (borrowed for one call), or in
 * the session's tx buffer with NIPC_HEADER_SIZE bytes of room before it (in_place).
 */
struct nipc__outgoing {
        struct nipc_header header;
        const uint8_t *payload;
        uint8_t *in_place;    /* NIPC_HEADER_SIZE bytes before payload, NULL if that is not ours */
        uint32_t sent;        /* payload bytes the plane has taken */
        uint32_t chunk_index; /* of the next packet; 0: nothing was sent */
        bool active;          /* kept by the session: flush goes on with it */
};

/* One mechanism. All calls follow the error table of <nipc/session.h>. */
struct nipc__plane_ops {
        uint32_t profile;
        /* Sends session->out from where it stands. 0 when all of it is sent. */
        int (*send)(struct nipc_session *session, uint64_t deadline_ns);
        /* Receives one message, going on with session->assembly if session->receiving. */
        int (*receive)(struct nipc_session *session, uint64_t deadline_ns,
                       struct nipc_message *ret_message);
        /* Waits until receive would not have to. */
        int (*wait)(struct nipc_session *session, uint64_t deadline_ns);
        int (*get_fd)(const struct nipc_session *session);
        /* Releases what the plane holds beside the link; NULL if nothing. */
        void (*close)(struct nipc_session *session);
};

/* What a poller remembers of a session or listener it watches. */
struct nipc__watch {
        void *userdata;
        uint32_t events; /* registered NIPC_EVENT_* bits */
        bool active;
};

struct nipc_session {
        const struct nipc__plane_ops *plane; /* NULL until the handshake is complete */
        struct nipc__link link;
        struct nipc_cancel *cancel; /* borrowed; NULL on servers */
        enum nipc__role role;
        int error; /* sticky: what ended the session */

        struct nipc_limits rx_limits; /* of the direction we receive; wire-v1 §6 */
        size_t rx_first_room;         /* for the largest first packet there may be */
        uint32_t proposed_packet_size;
        uint32_t tx_max_payload_bytes; /* agreed 0 means no limit, UINT32_MAX here */
        uint32_t tx_max_items;
        struct nipc__in_flight in_flight;

        bool receiving; /* a message is half received: assembly, and bytes in rx */
        struct nipc_assembly assembly;
        struct nipc__outgoing out;
        struct nipc__buffer rx; /* own; empty while shared ones do */
        struct nipc__buffer tx;
        size_t tx_lent; /* payload capacity lent by reserve, 0 when none is */
        bool tx_is_lent;
        struct nipc_session_buffers *shared; /* borrowed */

        struct nipc_hello_ack agreed;
        uint32_t max_receive_bytes;
        uint32_t refused_profiles;
        int downgrade_error;
        const char *downgrade_step;
        struct nipc_peer peer;
        struct nipc_failure failure;
        struct nipc_hello_policy policy; /* servers, until the handshake is complete */
        uint16_t refuse_status;          /* servers: refuse whatever HELLO says */

        struct nipc__watch watch;
};

/* Sessions are made by open (client) and accept (server); the link is -1/invalid until set. */
struct nipc_session *nipc__session_new(enum nipc__role role);

/* The errno behind what a link returned; 0 if no system call failed. */
int nipc__os_error(int error);

/* Records a failure, unless one has ended the session already; errors that end the session also
 * stick. Returns error. */
int nipc__session_fail(struct nipc_session *session, uint32_t stage, int error, int os_error);
int nipc__session_fail_fault(struct nipc_session *session, uint32_t stage, int error,
                             const struct nipc_fault *fault);

/* -ECANCELED if the session was cancelled, else error. For calls that the link's end woke. */
static inline int nipc__session_cancelled_or(const struct nipc_session *session, int error)
{
        /* Pairs with the store in nipc_cancel_trigger; ordered by the system call that it ended. */
        if (session->cancel &&
            atomic_load_explicit(&session->cancel->triggered, memory_order_acquire))
                return -ECANCELED;
        return error;
}

int nipc__session_over_limit(struct nipc_session *session, const struct nipc_header *header);
int nipc__session_unknown_id(struct nipc_session *session);

/*
 * Judges the header of a message that begins to arrive: limits and, on a client, its id. Planes
 * call it once per message before they wait for, or spend memory on, the rest.
 */
static inline int nipc__session_check_inbound(struct nipc_session *session,
                                              const struct nipc_header *header)
{
        if (header->payload_len > session->rx_limits.max_payload_bytes ||
            header->item_count > session->rx_limits.max_items)
                return nipc__session_over_limit(session, header);
        if (session->role == NIPC__ROLE_CLIENT && header->kind == NIPC_KIND_RESPONSE &&
            !nipc__in_flight_remove(&session->in_flight, header->message_id))
                return nipc__session_unknown_id(session);
        return 0;
}

/* Judges a complete message; payload is what ret_message will lend. */
int nipc__session_check_complete(struct nipc_session *session, const struct nipc_header *header,
                                 const uint8_t *payload);

/* The buffer messages are received into now, and taking it over from a shared one. */
struct nipc__buffer *nipc__session_rx(struct nipc_session *session);
int nipc__session_own_rx(struct nipc_session *session, size_t size, size_t keep);

/* Takes what was agreed: limits, plane. */
void nipc__session_agree(struct nipc_session *session, const struct nipc_hello_ack *ack);

/* ---- implemented once per system ------------------------------------------------------------ */

/* Profiles this build has a plane for. */
#define NIPC__AVAILABLE_PROFILES NIPC_PROFILE_BASELINE

extern const struct nipc__plane_ops nipc__uds_ops;

/* The plane for a selected profile bit; unknown bits stay on the baseline (wire-v1 §1). */
const struct nipc__plane_ops *nipc__plane_for_profile(uint32_t profile);

/* Connects session->link, checks who is there, shakes hands. */
int nipc__client_handshake(struct nipc_session *session, const struct nipc_session_config *config,
                           uint64_t deadline_ns);

/* Goes on with a server's handshake; 0 when it is complete. */
int nipc__server_handshake(struct nipc_session *session, uint64_t deadline_ns);

/* Binds a cancel object to a link, and back. */
int nipc__cancel_bind(struct nipc_cancel *cancel, struct nipc__link *link);
void nipc__cancel_unbind(struct nipc_cancel *cancel);
