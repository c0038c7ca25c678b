/* SPDX-License-Identifier: MIT */

/*
 * Messages of a session: checked here, once for all mechanisms, and moved by the plane. Where it is
 * fast the plane does the rest by itself and this only calls it; all that is unusual is apart.
 *
 * Invariants: see session.c.
 */

#include "header-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

/* ---- buffers -------------------------------------------------------------------------------- */

static struct nipc__buffer *session_tx(struct nipc_session *session)
{
        return session->shared && !session->tx.bytes ? &session->shared->tx : &session->tx;
}

static void take_over(struct nipc__buffer *own, struct nipc__buffer *shared)
{
        *own = *shared;
        *shared = (struct nipc__buffer){0};
}

/* The larger buffer stays with those who share. */
static void give_back(struct nipc__buffer *own, struct nipc__buffer *shared)
{
        if (own->capacity > shared->capacity) {
                struct nipc__buffer swap = *own;

                *own = *shared;
                *shared = swap;
        }
        nipc__buffer_deinit(own);
}

int nipc__session_own_rx(struct nipc_session *session, size_t size, size_t keep)
{
        if (session->shared && !session->rx.bytes)
                take_over(&session->rx, &session->shared->rx);
        return nipc__buffer_reserve(&session->rx, size, keep);
}

NIPC__COLD int nipc__session_make_room(struct nipc_session *session, struct nipc__buffer *rx,
                                       size_t size)
{
        size_t most = NIPC_HEADER_SIZE + (size_t)session->rx_limits.max_payload_bytes;

        return nipc__buffer_reserve(rx, NIPC__MAX(NIPC__MIN(size, most), NIPC__MIN_RECEIVE_BUFFER),
                                    0);
}

int nipc__session_room_for_next(struct nipc_session *session, size_t packet_size)
{
        const size_t filled = NIPC_HEADER_SIZE + (size_t)session->assembly.received;
        const size_t missing = nipc_assembly_missing(&session->assembly);
        size_t wanted = filled + NIPC__MIN(missing, packet_size);

        /* A packet, and as much again as has come. */
        if (session->rx.capacity < wanted)
                wanted = NIPC__MIN(NIPC__MAX(wanted, 2 * filled), filled + missing);
        return nipc__session_own_rx(session, wanted, filled);
}

NIPC__EXPORT void nipc_session_set_buffers(struct nipc_session *session,
                                           struct nipc_session_buffers *buffers)
{
        if (session)
                session->shared = buffers;
}

/* ---- sending -------------------------------------------------------------------------------- */

static NIPC__COLD int limit_fault(struct nipc_session *session, const char *rule)
{
        struct nipc_fault fault = {NIPC_PROTO_E_LIMIT_EXCEEDED, 0, rule};

        /* Refused here, nothing happened to the session. */
        if (!session->error) {
                session->failure.error = -EMSGSIZE;
                session->failure.stage = NIPC_FAILURE_SEND;
                session->failure.fault = fault;
        }
        return -EMSGSIZE;
}

/* Whether a message of this kind is held to what was agreed for our direction (wire-v1 §6). */
static bool is_limited(const struct nipc_session *session, uint16_t kind)
{
        return kind ==
               (session->role == NIPC__ROLE_CLIENT ? NIPC_KIND_REQUEST : NIPC_KIND_RESPONSE);
}

static NIPC__COLD int fail_outgoing(struct nipc_session *session, const struct nipc_header *header,
                                    size_t payload_size)
{
        const bool is_client = session->role == NIPC__ROLE_CLIENT;

        if (payload_size > session->tx_capacity)
                return limit_fault(session, "message longer than the profile carries");
        if (payload_size > session->tx_max_payload_bytes)
                return limit_fault(session, is_client ? "agreed max_request_payload_bytes"
                                                      : "agreed max_response_payload_bytes");
        return limit_fault(session, is_client ? "agreed max_request_batch_items"
                                              : "agreed max_response_batch_items");
}

static inline int check_outgoing(struct nipc_session *session, const struct nipc_header *header,
                                 size_t payload_size)
{
        if (NIPC__LIKELY(payload_size <= session->tx_max_payload_bytes &&
                         header->item_count <= session->tx_max_items &&
                         payload_size <= session->tx_capacity))
                return 0;
        if (payload_size <= session->tx_capacity && !is_limited(session, header->kind))
                return 0;
        return fail_outgoing(session, header, payload_size);
}

static NIPC__COLD int why_not_send(const struct nipc_session *session)
{
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (!session->plane)
                return -ENOTCONN;
        if (session->error && session->error != -EMSGSIZE)
                return session->error;
        if (session->out.active)
                return -EBUSY;
        return nipc__session_cancelled_or(session, 0);
}

static inline bool can_send(const struct nipc_session *session)
{
        return session->plane && !session->error && !session->out.active &&
               !nipc__fork_is_inherited(&session->made_by) &&
               !nipc__session_cancelled_or(session, 0);
}

static inline int check_can_send(struct nipc_session *session)
{
        return NIPC__LIKELY(can_send(session)) ? 0 : why_not_send(session);
}

/* Keeps what is left of a message whose sending was interrupted. */
static void keep_outgoing(struct nipc_session *session)
{
        struct nipc__outgoing *out = &session->out;

        out->active = true;
        if (NIPC__LINK_HOLDS_PACKETS && out->sent == out->header.payload_len)
                return; /* the link has the rest */
        if (!out->in_place) {
                /* Room was made before the first packet went, see start(). */
                memcpy(session->tx.bytes + NIPC_HEADER_SIZE, out->payload, out->header.payload_len);
                out->in_place = session->tx.bytes;
                out->payload = session->tx.bytes + NIPC_HEADER_SIZE;
        } else if (session->shared && !session->tx.bytes) {
                take_over(&session->tx, &session->shared->tx);
        }
}

static inline bool is_tracked(const struct nipc_session *session, const struct nipc_header *header)
{
        return session->role == NIPC__ROLE_CLIENT && header->kind == NIPC_KIND_REQUEST;
}

/*
 * Has the plane take a whole message at once: the payload, or (NULL) what it lent. -EAGAIN: it
 * would have to wait, nothing happened.
 */
static inline int send_now(struct nipc_session *session, const struct nipc_header *header,
                           const void *payload, size_t payload_size)
{
        const bool tracked = is_tracked(session, header);
        int r;

        if (tracked) {
                r = nipc__in_flight_add(&session->in_flight, header->message_id);
                if (NIPC__UNLIKELY(r < 0))
                        return r;
        }
        if (payload)
                r = session->plane->send_now(session, header, payload, payload_size);
        else
                r = session->plane->commit(session, header, payload_size);
        if (NIPC__LIKELY(r == 0))
                return 0;
        if (tracked)
                nipc__in_flight_remove(&session->in_flight, header->message_id);
        return r;
}

/* Sends session->out as prepared. keep: whether even an untouched message is kept. */
static int start(struct nipc_session *session, bool keep, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        const bool tracked = is_tracked(session, &out->header);
        int r;

        if (tracked) {
                r = nipc__in_flight_add(&session->in_flight, out->header.message_id);
                if (r < 0)
                        return r;
        }
        r = session->plane->send(session, deadline_ns);
        if (NIPC__LIKELY(r == 0))
                return 0;
        if (out->chunk_index > 0 ? !nipc__session_is_fatal(r)
                                 : keep && (r == -EAGAIN || r == -ETIMEDOUT)) {
                keep_outgoing(session);
                return r;
        }
        if (tracked)
                nipc__in_flight_remove(&session->in_flight, out->header.message_id);
        return nipc__session_result(session, NIPC_FAILURE_SEND, r);
}

static void prepare(struct nipc_session *session, const struct nipc_header *header,
                    const uint8_t *payload, size_t payload_size, uint8_t *in_place)
{
        struct nipc__outgoing *out = &session->out;

        out->header = *header;
        out->header.payload_len = (uint32_t)payload_size;
        out->payload = payload;
        out->in_place = in_place;
        out->sent = 0;
        out->chunk_index = 0;
        out->active = false;
}

static __attribute__((__noinline__)) int send_the_long_way(struct nipc_session *session,
                                                           const struct nipc_header *header,
                                                           const void *payload, size_t payload_size,
                                                           uint64_t deadline_ns)
{
        int r;

        if (payload_size + NIPC_HEADER_SIZE > session->tx_whole_bytes) {
                /*
                 * It may get stuck half way, and the payload is only borrowed: make sure there is
                 * room to keep it before anything was sent. Untouched, the room costs nothing.
                 */
                r = nipc__buffer_reserve(&session->tx, NIPC_HEADER_SIZE + payload_size, 0);
                if (r < 0)
                        return r;
        }
        prepare(session, header, payload, payload_size, NULL);
        return start(session, false, deadline_ns);
}

/* What send and call have in common; inlined into both. */
static inline int send_message(struct nipc_session *session, const struct nipc_header *header,
                               const void *payload, size_t payload_size, uint64_t deadline_ns)
{
        int r;

        r = check_can_send(session);
        if (NIPC__LIKELY(r == 0))
                r = check_outgoing(session, header, payload_size);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        session->tx_is_lent = false;
        if (NIPC__LIKELY(session->plane->send_now)) {
                r = send_now(session, header, payload ? payload : "", payload_size);
                if (NIPC__LIKELY(r != -EAGAIN))
                        return r;
        }
        return send_the_long_way(session, header, payload, payload_size,
                                 nipc__wait_or_not(deadline_ns));
}

NIPC__EXPORT int nipc_session_send(struct nipc_session *session, const struct nipc_header *header,
                                   const void *payload, size_t payload_size, uint64_t deadline_ns)
{
        if (NIPC__UNLIKELY(!session || !header || (!payload && payload_size)))
                return -EINVAL;
        return send_message(session, header, payload, payload_size, deadline_ns);
}

NIPC__COLD int nipc__session_reserve_buffer(struct nipc_session *session, size_t capacity,
                                            void **ret_payload)
{
        struct nipc__buffer *tx;
        int r;

        if (session->shared && session->tx.bytes)
                give_back(&session->tx, &session->shared->tx);
        tx = session_tx(session);
        r = nipc__buffer_reserve(tx, NIPC_HEADER_SIZE + capacity, 0);
        if (r < 0)
                return r;
        session->tx_lent = capacity;
        session->tx_is_lent = true;
        session->tx_is_planes = false;
        *ret_payload = tx->bytes + NIPC_HEADER_SIZE;
        return 0;
}

static NIPC__COLD int why_not_reserve(struct nipc_session *session, size_t capacity)
{
        int r = why_not_send(session);

        /* After a refusal for its size a session still sends. */
        if (r < 0 ||
            (capacity <= session->tx_capacity && capacity <= session->tx_max_payload_bytes))
                return r;
        return limit_fault(session, capacity > session->tx_capacity
                                            ? "message longer than the profile carries"
                                    : session->role == NIPC__ROLE_CLIENT
                                            ? "agreed max_request_payload_bytes"
                                            : "agreed max_response_payload_bytes");
}

NIPC__EXPORT int nipc_session_reserve(struct nipc_session *session, size_t capacity,
                                      void **ret_payload)
{
        if (NIPC__UNLIKELY(!session || !ret_payload))
                return -EINVAL;
        if (NIPC__UNLIKELY(!can_send(session) || capacity > session->tx_max_payload_bytes ||
                           capacity > session->tx_capacity)) {
                int r = why_not_reserve(session, capacity);

                if (r < 0)
                        return r;
        }
        if (NIPC__LIKELY(session->plane->reserve))
                return session->plane->reserve(session, capacity, ret_payload);
        return nipc__session_reserve_buffer(session, capacity, ret_payload);
}

static __attribute__((__noinline__)) int commit_buffer(struct nipc_session *session,
                                                       const struct nipc_header *header,
                                                       size_t payload_size, uint64_t deadline_ns)
{
        struct nipc__buffer *tx = session_tx(session);
        int r;

        prepare(session, header, tx->bytes + NIPC_HEADER_SIZE, payload_size, tx->bytes);
        r = start(session, true, deadline_ns);
        /* An id that cannot be used does not cost the caller what he built. */
        session->tx_is_lent = !session->out.active && (r == -EEXIST || r == -EBUSY || r == -ENOMEM);
        return r;
}

/* On a client, where what is lent may be a request with an id. */
static __attribute__((__noinline__)) int commit_tracked(struct nipc_session *session,
                                                        const struct nipc_header *header,
                                                        size_t payload_size)
{
        int r = send_now(session, header, NULL, payload_size);

        session->tx_is_lent = r == -EEXIST || r == -EBUSY || r == -ENOMEM;
        return r;
}

NIPC__EXPORT int nipc_session_commit(struct nipc_session *session, const struct nipc_header *header,
                                     size_t payload_size, uint64_t deadline_ns)
{
        int r;

        if (NIPC__UNLIKELY(!session || !header || !session->tx_is_lent ||
                           payload_size > session->tx_lent))
                return -EINVAL;
        r = check_can_send(session);
        if (NIPC__LIKELY(r == 0))
                r = check_outgoing(session, header, payload_size);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        if (NIPC__UNLIKELY(!session->tx_is_planes))
                return commit_buffer(session, header, payload_size, nipc__wait_or_not(deadline_ns));
        if (session->role == NIPC__ROLE_CLIENT)
                return commit_tracked(session, header, payload_size);
        session->tx_is_lent = false;
        return session->plane->commit(session, header, payload_size);
}

NIPC__EXPORT int nipc_session_flush(struct nipc_session *session, uint64_t deadline_ns)
{
        int r;

        if (!session)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (!session->out.active)
                return 0;
        r = nipc__session_cancelled_or(session, 0);
        if (r == 0)
                r = session->plane->send(session, nipc__wait_or_not(deadline_ns));
        if (r == 0)
                session->out.active = false;
        return nipc__session_result(session, NIPC_FAILURE_SEND, r);
}

NIPC__EXPORT void nipc_session_discard(struct nipc_session *session)
{
        if (session && !nipc__fork_is_inherited(&session->made_by))
                nipc__link_discard(&session->link);
}

NIPC__EXPORT bool nipc_session_has_pending(const struct nipc_session *session)
{
        return session && session->out.active;
}

/* ---- receiving ------------------------------------------------------------------------------ */

int nipc__session_over_limit(struct nipc_session *session, const struct nipc_header *header)
{
        struct nipc_fault fault = {0};

        nipc_limits_check(&session->rx_limits, header, &fault); /* says which */
        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EMSGSIZE, &fault);
}

int nipc__session_unknown_id(struct nipc_session *session)
{
        const struct nipc_fault fault = {NIPC_PROTO_E_UNKNOWN_MSG_ID, NIPC__HEADER_MESSAGE_ID,
                                         "message_id of a response must be outstanding"};

        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
}

int nipc__session_check_complete(struct nipc_session *session, const struct nipc_header *header,
                                 const uint8_t *payload)
{
        struct nipc_batch_view view;
        struct nipc_fault fault;
        int r;

        if (!(header->flags & NIPC_FLAG_BATCH) || header->item_count <= 1)
                return 0;
        r = nipc_batch_view_init(&view, payload, header->payload_len, header->item_count, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        return 0;
}

static NIPC__COLD int why_not_receive(const struct nipc_session *session,
                                      const struct nipc_message *ret_message)
{
        if (!session || !ret_message)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (!session->plane)
                return -ENOTCONN;
        if (session->error)
                return session->error;
        return nipc__session_cancelled_or(session, 0);
}

/* What was received before does not count any more. */
static inline void begin_receiving(struct nipc_session *session)
{
        if (NIPC__UNLIKELY(session->shared && session->rx.bytes) && !session->receiving)
                give_back(&session->rx, &session->shared->rx);
}

NIPC__EXPORT int nipc_session_receive(struct nipc_session *session, uint64_t deadline_ns,
                                      struct nipc_message *ret_message)
{
        if (NIPC__UNLIKELY(!session || !ret_message || !session->plane || session->error ||
                           nipc__fork_is_inherited(&session->made_by) ||
                           nipc__session_cancelled_or(session, 0)))
                return why_not_receive(session, ret_message);
        begin_receiving(session);
        return session->plane->receive(session, deadline_ns, ret_message);
}

/* Whether a call is so usual that the plane does it in one. Who has a limit has a plane. */
static NIPC__ALWAYS_INLINE bool is_plain_call(const struct nipc_session *session,
                                              const struct nipc_header *header, size_t payload_size)
{
        return payload_size < session->call_limit && header->kind == NIPC_KIND_REQUEST &&
               header->item_count <= 1 && !session->error && !session->out.active &&
               !session->receiving && !session->in_flight.has_first && !session->in_flight.n_ids &&
               !(session->shared && session->rx.bytes) && /* which must be given back */
               !nipc__fork_is_inherited(&session->made_by) &&
               !nipc__session_cancelled_or(session, 0);
}

int nipc__session_call_in_steps(struct nipc_session *session, const struct nipc_header *header,
                                const void *payload, size_t payload_size, uint64_t deadline_ns,
                                struct nipc_message *ret_message)
{
        int r;

        r = send_message(session, header, payload, payload_size, deadline_ns);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        begin_receiving(session);
        return session->plane->receive(session, deadline_ns, ret_message);
}

NIPC__EXPORT int nipc_session_call(struct nipc_session *session, const struct nipc_header *header,
                                   const void *payload, size_t payload_size, uint64_t deadline_ns,
                                   struct nipc_message *ret_message)
{
        if (NIPC__UNLIKELY(!session || !header || (!payload && payload_size) || !ret_message))
                return -EINVAL;
        if (NIPC__LIKELY(is_plain_call(session, header, payload_size)))
                return session->plane->call(session, header, payload, payload_size, deadline_ns,
                                            ret_message);
        return nipc__session_call_in_steps(session, header, payload, payload_size, deadline_ns,
                                           ret_message);
}

NIPC__EXPORT bool nipc_session_is_receiving(const struct nipc_session *session)
{
        return session && session->receiving;
}

NIPC__EXPORT int nipc_session_wait(struct nipc_session *session, uint64_t deadline_ns)
{
        int r;

        if (!session)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (!session->plane)
                return -ENOTCONN;
        if (session->error)
                return session->error;
        r = nipc__session_cancelled_or(session, 0);
        if (r < 0)
                return r;
        return nipc__session_result(session, NIPC_FAILURE_RECEIVE,
                                    session->plane->wait(session, nipc__wait_or_not(deadline_ns)));
}
