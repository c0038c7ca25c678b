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
#include "planes.h"
#include "stdaux.h"
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
#define NIPC__DEFAULT_RING_BYTES    (256u * 1024)
#define NIPC__MIN_RING_BYTES        (32u * 1024)
#define NIPC__MAX_RING_BYTES        (16u * 1024 * 1024)

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

struct nipc__in_flight_slot {
        uint64_t id;
        bool used;
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

int nipc__in_flight_add_slow(struct nipc__in_flight *set, uint64_t id);
bool nipc__in_flight_remove_slow(struct nipc__in_flight *set, uint64_t id);

static inline uint32_t nipc__in_flight_home(const struct nipc__in_flight *set, uint64_t id)
{
        /* Fibonacci hashing: consecutive ids, the usual case, spread without collisions. */
        return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (set->n_slots - 1);
}

/* Returns 0, -EEXIST, -EBUSY (max_ids are outstanding) or -ENOMEM. */
static inline int nipc__in_flight_add(struct nipc__in_flight *set, uint64_t id)
{
        struct nipc__in_flight_slot *slot;

        if (!set->has_first && !set->n_ids && set->max_ids) {
                set->first = id;
                set->has_first = true;
                return 0;
        }
        /* Where it belongs nobody is: it is not there, and there is where it goes. */
        if (set->n_ids + 1 <= set->n_slots / 4 && set->n_ids + set->has_first < set->max_ids &&
            !(set->has_first && set->first == id)) {
                slot = &set->slots[nipc__in_flight_home(set, id)];
                if (!slot->used) {
                        *slot = (struct nipc__in_flight_slot){.id = id, .used = true};
                        set->n_ids++;
                        return 0;
                }
        }
        return nipc__in_flight_add_slow(set, id);
}

/* Whether the id was there; it is not any more. */
static inline bool nipc__in_flight_remove(struct nipc__in_flight *set, uint64_t id)
{
        struct nipc__in_flight_slot *slot;
        uint32_t at;

        if (set->has_first && set->first == id) {
                set->has_first = false;
                return true;
        }
        if (set->n_ids) {
                at = nipc__in_flight_home(set, id);
                slot = &set->slots[at];
                /* Nobody behind it, who might have to move. */
                if (slot->used && slot->id == id &&
                    !set->slots[(at + 1) & (set->n_slots - 1)].used) {
                        slot->used = false;
                        set->n_ids--;
                        return true;
                }
        }
        return nipc__in_flight_remove_slow(set, id);
}

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
        /*
         * Receives one message, going on with session->assembly if session->receiving. Records its
         * failures itself (nipc__session_result).
         */
        int (*receive)(struct nipc_session *session, uint64_t deadline_ns,
                       struct nipc_message *ret_message);
        /* Waits until receive would not have to. */
        int (*wait)(struct nipc_session *session, uint64_t deadline_ns);
        /* For a caller who polls by himself. */
        int (*get_fd)(struct nipc_session *session);
        /* Releases what the plane holds beside the link; NULL if nothing. */
        void (*close)(struct nipc_session *session);

        /*
         * The rest is NULL on planes whose messages the kernel moves.
         *
         * send_now: the whole message, if that needs no waiting; -EAGAIN: the long way.
         * reserve: lends memory of the plane's own for a payload (nipc__session_lend), or of the
         * session's (nipc__session_reserve_buffer). commit: sends what the plane lent. All of them
         * record their failures themselves.
         */
        int (*send_now)(struct nipc_session *session, const struct nipc_header *header,
                        const void *payload, size_t payload_size);
        int (*reserve)(struct nipc_session *session, size_t capacity, void **ret_payload);
        /*
         * nipc_session_call() of a client's request of less than session->call_limit bytes, none
         * being in flight; or nipc__session_call_in_steps(), if it is not all as usual.
         */
        int (*call)(struct nipc_session *session, const struct nipc_header *header,
                    const void *payload, size_t payload_size, uint64_t deadline_ns,
                    struct nipc_message *ret_message);
        int (*commit)(struct nipc_session *session, const struct nipc_header *header,
                      size_t payload_size);

        /*
         * For the poller. look: which of these events are there, by a look into memory. arm: makes
         * the link readable when one of them comes; returns those that are there already (then
         * nothing is armed), or 0. disarm: the poller looks by itself again.
         * hear: takes doorbells off the link, whose end it is if that is returned; is_more: the
         * kernel said more of the link than that there is something to read.
         */
        uint32_t (*look)(struct nipc_session *session, uint32_t events);
        uint32_t (*arm)(struct nipc_session *session, uint32_t events);
        void (*disarm)(struct nipc_session *session);
        bool (*hear)(struct nipc_session *session, bool is_more);
        /*
         * Beside the link: what arm makes readable where a message cannot do that to the link. It
         * is borrowed, and its becoming readable is what counts. NULL: the link alone.
         */
        int (*get_bell)(struct nipc_session *session);
};

/* What a poller remembers of a session it watches. */
struct nipc__watch {
        void *userdata;
        uint32_t events; /* registered NIPC_EVENT_* bits */
        bool active;
        bool is_in_memory;   /* of a plane that the kernel knows nothing of */
        bool is_hot;         /* in the poller's list: memory is looked at, nothing is armed */
        bool is_cold;        /* in its other list: armed */
        bool has_link_event; /* the link has something to say that nobody has heard yet */
        bool has_bell;       /* the poller watches a second descriptor */
        int bell_fd;
        struct nipc_session *next; /* in that list */
        struct nipc_session *prev;
        struct nipc_poller *poller;
        uint64_t batch; /* of events that it was named in last, and where */
        int batch_index;
        uint32_t n_misses; /* looks of a caller in vain */
};

/*
 * Adds to the n events of a poller's batch. A session that is named twice, by memory and by the
 * kernel, or for both of its descriptors, is one event. Returns how many there are now.
 */
static inline int nipc__watch_add_event(struct nipc__watch *watch, uint64_t batch, uint32_t there,
                                        struct nipc_poller_event *events, int n)
{
        if (watch->batch == batch) {
                events[watch->batch_index].events |= there;
                return n;
        }
        watch->batch = batch;
        watch->batch_index = n;
        events[n] = (struct nipc_poller_event){watch->userdata, there};
        return n + 1;
}

struct nipc_session {
        const struct nipc__plane_ops *plane; /* NULL until the handshake is complete */
        struct nipc__link link;
        struct nipc_cancel *cancel; /* borrowed; NULL on servers */
        enum nipc__role role;
        int error;                      /* sticky: what ended the session */
        struct nipc__fork_mark made_by; /* a child has a copy, which moves no messages */

        struct nipc_limits rx_limits; /* of the direction we receive; wire-v1 §6 */
        size_t rx_first_room;         /* for the largest first packet there may be */
        uint32_t proposed_packet_size;
        uint32_t tx_max_payload_bytes; /* agreed 0 means no limit, UINT32_MAX here */
        uint32_t tx_max_items;
        uint32_t call_limit;  /* the plane has call, for payloads of less; 0: it has not */
        uint32_t tx_capacity; /* payload bytes of the largest message of any kind */
        struct nipc__in_flight in_flight;

        bool receiving; /* a message is half received: assembly, and bytes in rx */
        struct nipc_assembly assembly;
        struct nipc__outgoing out;
        struct nipc__buffer rx; /* own; empty while shared ones do */
        struct nipc__buffer tx;
        size_t tx_lent; /* payload capacity lent by reserve, 0 when none is */
        bool tx_is_lent;
        bool tx_is_planes;                   /* what is lent is memory of the plane */
        uint32_t tx_whole_bytes;             /* header included: what is never sent in parts */
        struct nipc_session_buffers *shared; /* borrowed */

        struct nipc_hello_ack agreed;
        uint32_t max_receive_bytes;
        uint32_t offered_profiles; /* clients */
        uint32_t refused_profiles;
        int downgrade_error;
        const char *downgrade_step;
        struct nipc_peer peer;
        struct nipc_failure failure;
        struct nipc_hello_policy policy; /* servers, until the handshake is complete */
        uint16_t refuse_status;          /* servers: refuse whatever HELLO says */

        struct nipc__watch watch;

        bool is_link_polled;     /* by a caller, since before the handshake was complete */
        struct nipc__ring *ring; /* of the plane of that name, else NULL */
        uint32_t max_ring_bytes;
        uint32_t unusable_profiles; /* clients: why the handshake failed, another may do without */

        struct nipc__shm *shm;             /* of the plane of that name, else NULL */
        struct nipc__shm_place *shm_place; /* servers that offer it: a reference */
        struct {
                const struct nipc_session_config *config;
                uint64_t deadline_ns;
        } opening; /* clients, during the handshake; borrowed */
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

/* Whether an error ends the session. */
bool nipc__session_is_fatal(int error);

/* What a plane says of itself: a failure is recorded unless it only says "not yet". Returns r. */
int nipc__session_result(struct nipc_session *session, uint32_t stage, int r);

/* Lingering and spinning are for those who receive; to all others they mean not to wait. */
static inline uint64_t nipc__wait_or_not(uint64_t deadline_ns)
{
        return deadline_ns <= NIPC_DEADLINE_SPIN ? NIPC_DEADLINE_NOW : deadline_ns;
}

/* What the session waits for, however it is told of it. */
static inline uint32_t nipc__session_get_events(const struct nipc_session *session)
{
        return NIPC_EVENT_IN | (session->out.active ? NIPC_EVENT_OUT : 0);
}

/* A plane lends its own memory, or the session does; what reserve ends in. */
static inline void nipc__session_lend(struct nipc_session *session, size_t capacity)
{
        session->tx_lent = capacity;
        session->tx_is_lent = session->tx_is_planes = true;
}

int nipc__session_reserve_buffer(struct nipc_session *session, size_t capacity, void **ret_payload);

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

/* nipc_session_call() with checked arguments, as any plane does it. */
int nipc__session_call_in_steps(struct nipc_session *session, const struct nipc_header *header,
                                const void *payload, size_t payload_size, uint64_t deadline_ns,
                                struct nipc_message *ret_message);

/* Judges a complete message; payload is what ret_message will lend. */
int nipc__session_check_complete(struct nipc_session *session, const struct nipc_header *header,
                                 const uint8_t *payload);

/* A whole message was received; the payload lies at payload. Returns 1, or why it is refused. */
static inline int nipc__session_finish(struct nipc_session *session,
                                       const struct nipc_header *header, const uint8_t *payload,
                                       struct nipc_message *ret_message)
{
        if (NIPC__UNLIKELY(header->flags & NIPC_FLAG_BATCH)) {
                int r = nipc__session_check_complete(session, header, payload);

                if (r < 0)
                        return r;
        }
        if (&ret_message->header != header)
                ret_message->header = *header;
        ret_message->payload = payload;
        ret_message->payload_size = header->payload_len;
        return 1;
}

/*
 * Room in rx for a message of so many bytes, header included, or for what the limits allow if that
 * is less; and never for less than a small one. Returns 0 or -ENOMEM.
 */
int nipc__session_make_room(struct nipc_session *session, struct nipc__buffer *rx, size_t size);

/* Room in our own rx buffer for the next packet of session->assembly: memory follows what comes. */
int nipc__session_room_for_next(struct nipc_session *session, size_t packet_size);

/* The buffer messages are received into now, and taking it over from a shared one. */
static inline struct nipc__buffer *nipc__session_rx(struct nipc_session *session)
{
        return session->shared && !session->rx.bytes ? &session->shared->rx : &session->rx;
}

int nipc__session_own_rx(struct nipc_session *session, size_t size, size_t keep);

/* Takes what was agreed: limits, plane. */
void nipc__session_agree(struct nipc_session *session, const struct nipc_hello_ack *ack);

/* ---- implemented once per system ------------------------------------------------------------ */

/* Packets of the link: the plane that every system has. */
extern const struct nipc__plane_ops nipc__baseline_ops;

/*
 * Profiles that are more than a bit. Each function notes in the session what it had to give up.
 *
 * offer (client, before HELLO): makes what the profiles of *profiles need and strips those for
 * which that failed. *ret_fd: what HELLO carries, borrowed from the session; -1: nothing. attach
 * (client): takes what the server prepared for the profile it selected. fd: what HELLO_ACK carried,
 * -1: nothing; taken in any case. After an error the profile is not usable this time. prepare
 * (server, before HELLO_ACK): the other half. fd and *ret_fd as above; it may change
 * ack->session_id to one whose names are free. handed_over (server): what HELLO_ACK carried is not
 * needed any more. begin: the handshake is complete; chooses the plane and what it can carry, where
 * that is not what was agreed. get_queued: see nipc_session_get_queued(). release: gives all of
 * that back, when the session ends.
 */
void nipc__plane_offer(struct nipc_session *session, const struct nipc_session_config *config,
                       uint32_t *profiles, int *ret_fd);
int nipc__plane_attach(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd);
int nipc__plane_prepare(struct nipc_session *session, struct nipc_hello_ack *ack, int fd,
                        int *ret_fd);
void nipc__plane_handed_over(struct nipc_session *session);
void nipc__plane_begin(struct nipc_session *session);
int nipc__plane_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity);
void nipc__plane_release(struct nipc_session *session);

/* A watched session waited by itself, and is not armed any more: the poller must look at it. */
void nipc__poller_look_again(struct nipc_session *session);

static inline void nipc__session_end_wait(struct nipc_session *session)
{
        if (NIPC__UNLIKELY(session->watch.active && !session->watch.is_hot))
                nipc__poller_look_again(session);
}

/* References to where a listener's regions lie; take and return NULL. */
struct nipc__shm_place *nipc__shm_place_ref(struct nipc__shm_place *place);
struct nipc__shm_place *nipc__shm_place_unref(struct nipc__shm_place *place);

/* Notes that profiles both sides may have had cannot be used; the first reason is kept. */
void nipc__session_downgrade(struct nipc_session *session, uint32_t profiles, int error,
                             const char *step);

/* Connects session->link, checks who is there, shakes hands. */
int nipc__client_handshake(struct nipc_session *session, const struct nipc_session_config *config,
                           uint64_t deadline_ns);

/* Goes on with a server's handshake; 0 when it is complete. */
int nipc__server_handshake(struct nipc_session *session, uint64_t deadline_ns);

/* Binds a cancel object to a link, and back. */
int nipc__cancel_bind(struct nipc_cancel *cancel, struct nipc__link *link);
void nipc__cancel_unbind(struct nipc_cancel *cancel);
