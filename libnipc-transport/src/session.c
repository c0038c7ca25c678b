/* SPDX-License-Identifier: MIT */

/*
 * Public entry points of a session: check, then dispatch through the plane. Limits, message ids,
 * buffers and failures are kept here, once for all mechanisms.
 *
 * Invariants: plane is set exactly when the handshake is complete. out.active means that a message
 * is half sent and its bytes belong to the session. receiving means that assembly and the rx
 * buffer hold a half message. error is sticky and ends receiving; after -EMSGSIZE sending still
 * works, so that a server can say why it hangs up.
 */

#include "abi.h"
#include "header-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

struct nipc_session *nipc__session_new(enum nipc__role role)
{
        struct nipc_session *session = calloc(1, sizeof(*session));

        if (!session)
                return NULL;
        session->role = role;
        session->in_flight.max_ids = NIPC__DEFAULT_IN_FLIGHT;
        session->peer = (struct nipc_peer){-1, -1, -1};
        nipc__link_init(&session->link);
        return session;
}

NIPC__EXPORT struct nipc_session *nipc_session_close(struct nipc_session *session)
{
        if (!session)
                return NULL;
        if (session->plane && session->plane->close)
                session->plane->close(session);
        if (session->cancel)
                nipc__cancel_unbind(session->cancel);
        nipc__link_close(&session->link);
        nipc__in_flight_deinit(&session->in_flight);
        nipc__buffer_deinit(&session->rx);
        nipc__buffer_deinit(&session->tx);
        free(session);
        return NULL;
}

/* ---- failures ------------------------------------------------------------------------------- */

int nipc__os_error(int error)
{
        switch (error) {
        case -EAGAIN:
        case -ETIMEDOUT:
        case -ECANCELED:
        case -ECONNRESET: /* mostly an end of file */
        case -EBADMSG:
        case -EMSGSIZE:
                return 0;
        default:
                return -error;
        }
}

static bool is_fatal(int error)
{
        switch (error) {
        case -EAGAIN:
        case -ETIMEDOUT:
        case -ENOMEM:
        case -EBUSY:
        case -EEXIST:
        case -EINVAL:
        case -ENOTCONN:
                return false;
        default:
                return true;
        }
}

int nipc__session_fail(struct nipc_session *session, uint32_t stage, int error, int os_error)
{
        if (!session->error) { /* what ended it is kept, what did not is not */
                session->failure.error = error;
                session->failure.stage = stage;
                session->failure.os_error = os_error;
        }
        if (is_fatal(error) && !session->error) {
                session->error = error;
                nipc__in_flight_clear(&session->in_flight); /* wire-v1 §7 */
        }
        return error;
}

int nipc__session_fail_fault(struct nipc_session *session, uint32_t stage, int error,
                             const struct nipc_fault *fault)
{
        if (!session->error)
                session->failure.fault = *fault;
        return nipc__session_fail(session, stage, error, 0);
}

/* A failure of the plane: recorded unless it only says "not yet". */
static inline int plane_result(struct nipc_session *session, uint32_t stage, int r)
{
        if (NIPC__LIKELY(r == 0) || !is_fatal(r) || session->error)
                return r;
        return nipc__session_fail(session, stage, r, nipc__os_error(r));
}

/* ---- opening -------------------------------------------------------------------------------- */

static int check_session_config(struct nipc_session_config *config)
{
        int r;

        if (!config->run_dir || !config->run_dir[0])
                return -EINVAL;
        r = nipc_endpoint_check_name(config->service);
        if (r < 0)
                return r;
        if (!config->supported_profiles)
                config->supported_profiles = NIPC_PROFILE_BASELINE;
        if (!config->max_request_payload_bytes)
                config->max_request_payload_bytes = NIPC__DEFAULT_PAYLOAD_BYTES;
        if (!config->max_request_batch_items)
                config->max_request_batch_items = 1;
        if (!config->max_response_payload_bytes)
                config->max_response_payload_bytes = NIPC__DEFAULT_PAYLOAD_BYTES;
        if (!config->max_receive_bytes)
                config->max_receive_bytes = NIPC__DEFAULT_RECEIVE_BYTES;
        if (!config->max_in_flight)
                config->max_in_flight = NIPC__DEFAULT_IN_FLIGHT;
        if ((config->packet_size && config->packet_size <= NIPC_HEADER_SIZE) ||
            config->max_receive_bytes > UINT32_MAX - NIPC_HEADER_SIZE)
                return -EINVAL;
        return 0;
}

static void report_failure(const struct nipc_failure *failure, struct nipc_failure *ret_failure)
{
        struct nipc_failure copy = *failure;

        if (ret_failure->size < sizeof(size_t))
                return;
        copy.size = ret_failure->size;
        memcpy(ret_failure, &copy, NIPC__MIN(copy.size, sizeof(copy)));
}

NIPC__EXPORT int nipc_session_open(const struct nipc_session_config *user_config,
                                   uint64_t deadline_ns, struct nipc_session **ret_session,
                                   struct nipc_failure *ret_failure)
{
        struct nipc_failure failure = {.stage = NIPC_FAILURE_CONFIG};
        struct nipc_session_config config;
        struct nipc_session *session = NULL;
        int r;

        if (!ret_session)
                return -EINVAL;
        r = nipc__abi_load(&config, sizeof(config), user_config);
        if (r == 0)
                r = check_session_config(&config);
        if (r == 0) {
                session = nipc__session_new(NIPC__ROLE_CLIENT);
                r = session ? 0 : -ENOMEM;
        }
        if (r == 0) {
                session->max_receive_bytes = config.max_receive_bytes;
                session->in_flight.max_ids = config.max_in_flight;
                r = nipc__client_handshake(session, &config, deadline_ns);
                failure = session->failure;
        }
        if (r < 0) {
                failure.error = r;
                if (ret_failure)
                        report_failure(&failure, ret_failure);
                nipc_session_close(session);
                return r;
        }
        *ret_session = session;
        return 0;
}

NIPC__EXPORT int nipc_session_handshake(struct nipc_session *session, uint64_t deadline_ns)
{
        if (!session)
                return -EINVAL;
        if (session->plane)
                return 0;
        if (session->error)
                return session->error;
        return plane_result(session, NIPC_FAILURE_HANDSHAKE,
                            nipc__server_handshake(session, deadline_ns));
}

NIPC__EXPORT void nipc_session_refuse(struct nipc_session *session, uint16_t transport_status)
{
        if (session && !session->plane)
                session->refuse_status = transport_status;
}

/* A first packet may be a whole message, or what was agreed for packets: not above our proposal. */
static size_t first_packet_room(const struct nipc_limits *limits, uint32_t proposed)
{
        size_t packet_size = NIPC__MAX(NIPC__MIN(limits->packet_size, proposed), 65536u);
        size_t room = NIPC__MIN((size_t)limits->max_payload_bytes + NIPC_HEADER_SIZE, packet_size);

        return NIPC__MAX(room, NIPC__MIN_RECEIVE_BUFFER);
}

/* What we may send: 0 sets no limit (wire-v1 §6). */
static uint32_t limit_or_none(uint32_t agreed)
{
        return agreed ? agreed : UINT32_MAX;
}

void nipc__session_agree(struct nipc_session *session, const struct nipc_hello_ack *ack)
{
        bool server = session->role == NIPC__ROLE_SERVER;

        session->agreed = *ack;
        session->rx_limits = (struct nipc_limits){
                .max_payload_bytes = server ? ack->agreed_max_request_payload_bytes
                                            : ack->agreed_max_response_payload_bytes,
                .max_items = server ? ack->agreed_max_request_batch_items
                                    : ack->agreed_max_response_batch_items,
                .packet_size = ack->agreed_packet_size,
        };
        if (!server)
                session->rx_limits.max_payload_bytes =
                        NIPC__MIN(session->rx_limits.max_payload_bytes, session->max_receive_bytes);
        session->rx_first_room =
                first_packet_room(&session->rx_limits, session->proposed_packet_size);
        session->tx_max_payload_bytes =
                limit_or_none(server ? ack->agreed_max_response_payload_bytes
                                     : ack->agreed_max_request_payload_bytes);
        session->tx_max_items = limit_or_none(server ? ack->agreed_max_response_batch_items
                                                     : ack->agreed_max_request_batch_items);
        session->plane = nipc__plane_for_profile(ack->selected_profile);
}

/* ---- buffers -------------------------------------------------------------------------------- */

struct nipc__buffer *nipc__session_rx(struct nipc_session *session)
{
        return session->shared && !session->rx.bytes ? &session->shared->rx : &session->rx;
}

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

NIPC__EXPORT void nipc_session_set_buffers(struct nipc_session *session,
                                           struct nipc_session_buffers *buffers)
{
        if (session)
                session->shared = buffers;
}

/* ---- sending -------------------------------------------------------------------------------- */

static int limit_fault(struct nipc_session *session, const char *rule)
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

static inline int check_outgoing(struct nipc_session *session, const struct nipc_header *header,
                                 size_t payload_size)
{
        if (payload_size > UINT32_MAX - NIPC_HEADER_SIZE)
                return limit_fault(session, "message longer than 4 GiB");
        if (!is_limited(session, header->kind))
                return 0;
        if (payload_size > session->tx_max_payload_bytes)
                return limit_fault(session, session->role == NIPC__ROLE_CLIENT
                                                    ? "agreed max_request_payload_bytes"
                                                    : "agreed max_response_payload_bytes");
        if (header->item_count > session->tx_max_items)
                return limit_fault(session, session->role == NIPC__ROLE_CLIENT
                                                    ? "agreed max_request_batch_items"
                                                    : "agreed max_response_batch_items");
        return 0;
}

static inline int check_can_send(struct nipc_session *session)
{
        if (!session->plane)
                return -ENOTCONN;
        if (session->error && session->error != -EMSGSIZE)
                return session->error;
        if (session->out.active)
                return -EBUSY;
        return nipc__session_cancelled_or(session, 0);
}

/* Keeps what is left of a message whose sending was interrupted. */
static void keep_outgoing(struct nipc_session *session)
{
        struct nipc__outgoing *out = &session->out;

        out->active = true;
        if (!out->in_place) {
                /* Room was made before the first packet went, see start(). */
                memcpy(session->tx.bytes + NIPC_HEADER_SIZE, out->payload, out->header.payload_len);
                out->in_place = session->tx.bytes;
                out->payload = session->tx.bytes + NIPC_HEADER_SIZE;
        } else if (session->shared && !session->tx.bytes) {
                take_over(&session->tx, &session->shared->tx);
        }
}

/* Sends session->out as prepared. keep: whether even an untouched message is kept. */
static int start(struct nipc_session *session, bool keep, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        bool tracked = session->role == NIPC__ROLE_CLIENT && out->header.kind == NIPC_KIND_REQUEST;
        int r;

        if (tracked) {
                r = nipc__in_flight_add(&session->in_flight, out->header.message_id);
                if (r < 0)
                        return r;
        }
        r = session->plane->send(session, deadline_ns);
        if (NIPC__LIKELY(r == 0))
                return 0;
        if (out->chunk_index > 0 ? !is_fatal(r) : keep && (r == -EAGAIN || r == -ETIMEDOUT)) {
                keep_outgoing(session);
                return r;
        }
        if (tracked)
                nipc__in_flight_remove(&session->in_flight, out->header.message_id);
        return plane_result(session, NIPC_FAILURE_SEND, r);
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

NIPC__EXPORT int nipc_session_send(struct nipc_session *session, const struct nipc_header *header,
                                   const void *payload, size_t payload_size, uint64_t deadline_ns)
{
        int r;

        if (!session || !header || (!payload && payload_size))
                return -EINVAL;
        r = check_can_send(session);
        if (r == 0)
                r = check_outgoing(session, header, payload_size);
        if (r < 0)
                return r;
        if (payload_size + NIPC_HEADER_SIZE > session->rx_limits.packet_size) {
                /*
                 * It may get stuck half way, and the payload is only borrowed: make sure there is
                 * room to keep it before anything was sent. Untouched, the room costs nothing.
                 */
                r = nipc__buffer_reserve(&session->tx, NIPC_HEADER_SIZE + payload_size, 0);
                if (r < 0)
                        return r;
        }
        session->tx_is_lent = false;
        prepare(session, header, payload, payload_size, NULL);
        return start(session, false, deadline_ns);
}

NIPC__EXPORT int nipc_session_reserve(struct nipc_session *session, size_t capacity,
                                      void **ret_payload)
{
        struct nipc__buffer *tx;
        int r;

        if (!session || !ret_payload)
                return -EINVAL;
        r = check_can_send(session);
        if (r < 0)
                return r;
        if (capacity > session->tx_max_payload_bytes || capacity > UINT32_MAX - NIPC_HEADER_SIZE)
                return limit_fault(session, session->role == NIPC__ROLE_CLIENT
                                                    ? "agreed max_request_payload_bytes"
                                                    : "agreed max_response_payload_bytes");
        if (session->shared && session->tx.bytes)
                give_back(&session->tx, &session->shared->tx);
        tx = session_tx(session);
        r = nipc__buffer_reserve(tx, NIPC_HEADER_SIZE + capacity, 0);
        if (r < 0)
                return r;
        session->tx_lent = capacity;
        session->tx_is_lent = true;
        *ret_payload = tx->bytes + NIPC_HEADER_SIZE;
        return 0;
}

NIPC__EXPORT int nipc_session_commit(struct nipc_session *session, const struct nipc_header *header,
                                     size_t payload_size, uint64_t deadline_ns)
{
        struct nipc__buffer *tx;
        int r;

        if (!session || !header || !session->tx_is_lent || payload_size > session->tx_lent)
                return -EINVAL;
        r = check_can_send(session);
        if (r == 0)
                r = check_outgoing(session, header, payload_size);
        if (r < 0)
                return r;
        tx = session_tx(session);
        prepare(session, header, tx->bytes + NIPC_HEADER_SIZE, payload_size, tx->bytes);
        r = start(session, true, deadline_ns);
        /* An id that cannot be used does not cost the caller what he built. */
        session->tx_is_lent = !session->out.active && (r == -EEXIST || r == -EBUSY || r == -ENOMEM);
        return r;
}

NIPC__EXPORT int nipc_session_flush(struct nipc_session *session, uint64_t deadline_ns)
{
        int r;

        if (!session)
                return -EINVAL;
        if (!session->out.active)
                return 0;
        r = nipc__session_cancelled_or(session, 0);
        if (r == 0)
                r = session->plane->send(session, deadline_ns);
        if (r == 0)
                session->out.active = false;
        return plane_result(session, NIPC_FAILURE_SEND, r);
}

NIPC__EXPORT void nipc_session_discard(struct nipc_session *session)
{
        if (session)
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

NIPC__EXPORT int nipc_session_receive(struct nipc_session *session, uint64_t deadline_ns,
                                      struct nipc_message *ret_message)
{
        int r;

        if (!session || !ret_message)
                return -EINVAL;
        if (!session->plane)
                return -ENOTCONN;
        if (session->error)
                return session->error;
        r = nipc__session_cancelled_or(session, 0);
        if (r < 0)
                return r;
        if (session->shared && session->rx.bytes && !session->receiving)
                give_back(&session->rx, &session->shared->rx);
        r = session->plane->receive(session, deadline_ns, ret_message);
        return plane_result(session, NIPC_FAILURE_RECEIVE, r);
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
        if (!session->plane)
                return -ENOTCONN;
        if (session->error)
                return session->error;
        r = nipc__session_cancelled_or(session, 0);
        if (r < 0)
                return r;
        return plane_result(session, NIPC_FAILURE_RECEIVE,
                            session->plane->wait(session, deadline_ns));
}

/* ---- looking at a session ------------------------------------------------------------------- */

NIPC__EXPORT int nipc_session_get_fd(const struct nipc_session *session)
{
        if (!session)
                return -EINVAL;
        return session->plane ? session->plane->get_fd(session) : session->link.fd;
}

NIPC__EXPORT uint32_t nipc_session_get_events(const struct nipc_session *session)
{
        if (!session)
                return 0;
        return NIPC_EVENT_IN | (session->out.active ? NIPC_EVENT_OUT : 0);
}

NIPC__EXPORT int nipc_session_get_info(const struct nipc_session *session,
                                       struct nipc_session_info *ret_info)
{
        struct nipc_session_info info;

        if (!session || !ret_info || ret_info->size < sizeof(size_t))
                return -EINVAL;
        info = (struct nipc_session_info){
                .size = ret_info->size,
                .session_id = session->agreed.session_id,
                .profile = session->plane ? session->plane->profile : 0,
                .refused_profiles = session->refused_profiles,
                .downgrade_error = session->downgrade_error,
                .downgrade_step = session->downgrade_step,
                .max_request_payload_bytes = session->agreed.agreed_max_request_payload_bytes,
                .max_request_batch_items = session->agreed.agreed_max_request_batch_items,
                .max_response_payload_bytes = session->agreed.agreed_max_response_payload_bytes,
                .max_response_batch_items = session->agreed.agreed_max_response_batch_items,
                .packet_size = session->agreed.agreed_packet_size,
                .peer = session->peer,
        };
        memcpy(ret_info, &info, NIPC__MIN(ret_info->size, sizeof(info)));
        return 0;
}

NIPC__EXPORT int nipc_session_get_failure(const struct nipc_session *session,
                                          struct nipc_failure *ret_failure)
{
        if (!session || !ret_failure || ret_failure->size < sizeof(size_t))
                return -EINVAL;
        report_failure(&session->failure, ret_failure);
        return 0;
}

NIPC__EXPORT size_t nipc_session_get_in_flight(const struct nipc_session *session)
{
        return session ? nipc__in_flight_count(&session->in_flight) : 0;
}
