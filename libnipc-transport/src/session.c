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
        if (nipc__fork_mark_init(&session->made_by) < 0) {
                free(session);
                return NULL;
        }
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
        nipc__plane_release(session);
        nipc__shm_place_unref(session->shm_place);
        if (session->cancel)
                nipc__cancel_unbind(session->cancel);
        nipc__link_close(&session->link);
        nipc__in_flight_deinit(&session->in_flight);
        nipc__buffer_deinit(&session->rx);
        nipc__buffer_deinit(&session->tx);
        free(session);
        return NULL;
}

NIPC__EXPORT uint32_t nipc_profile_get_available(void)
{
        return NIPC__AVAILABLE_PROFILES;
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

bool nipc__session_is_fatal(int error)
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
        if (nipc__session_is_fatal(error) && !session->error) {
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

void nipc__session_downgrade(struct nipc_session *session, uint32_t profiles, int error,
                             const char *step)
{
        session->refused_profiles |= profiles;
        if (session->downgrade_error)
                return;
        session->downgrade_error = error;
        session->downgrade_step = step;
}

/* A failure of the plane: recorded unless it only says "not yet". */
NIPC__COLD int nipc__session_result(struct nipc_session *session, uint32_t stage, int r)
{
        if (r == 0 || !nipc__session_is_fatal(r) || session->error)
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
        if (!config->max_ring_bytes)
                config->max_ring_bytes = NIPC__DEFAULT_RING_BYTES;
        if (config->max_ring_bytes < NIPC__MIN_RING_BYTES ||
            config->max_ring_bytes > NIPC__MAX_RING_BYTES)
                return -EINVAL;
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

static int open_once(const struct nipc_session_config *config, uint64_t deadline_ns,
                     struct nipc_session **ret_session)
{
        struct nipc_session *session = nipc__session_new(NIPC__ROLE_CLIENT);

        if (!session)
                return -ENOMEM;
        session->max_receive_bytes = config->max_receive_bytes;
        session->in_flight.max_ids = config->max_in_flight;
        session->max_ring_bytes = config->max_ring_bytes;
        *ret_session = session;
        return nipc__client_handshake(session, config, nipc__wait_or_not(deadline_ns));
}

/*
 * A profile that the server selected and we cannot take is left out of a new handshake: never is a
 * session changed to another plane (client-server §2, SHM attach failure).
 */
static int open_with_less(struct nipc_session_config *config, uint64_t deadline_ns,
                          struct nipc_session **ret_session, struct nipc_failure *failure)
{
        struct nipc_session *session = NULL;
        uint32_t unusable, refused = 0, dropped = 0;
        const char *step = NULL;
        int r, error = 0;

        for (;;) {
                r = open_once(config, deadline_ns, &session);
                if (!session)
                        return r;
                if (r == 0) {
                        if (error) {
                                session->downgrade_error = error;
                                session->downgrade_step = step;
                        }
                        session->refused_profiles |= refused;
                        session->unusable_profiles = dropped;
                        *ret_session = session;
                        return 0;
                }
                *failure = session->failure;
                unusable = session->unusable_profiles;
                dropped |= unusable;
                refused |= session->refused_profiles;
                if (!error && unusable) {
                        error = session->downgrade_error;
                        step = session->downgrade_step;
                }
                session = nipc_session_close(session);
                config->supported_profiles &= ~unusable;
                if (!unusable || !config->supported_profiles)
                        return r;
        }
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
        if (r == 0 && nipc_cancel_is_inherited(config.cancel))
                r = -ECHILD;
        if (r == 0)
                r = open_with_less(&config, deadline_ns, &session, &failure);
        if (r < 0) {
                failure.error = r;
                if (ret_failure)
                        report_failure(&failure, ret_failure);
                return r;
        }
        *ret_session = session;
        return 0;
}

NIPC__EXPORT int nipc_session_handshake(struct nipc_session *session, uint64_t deadline_ns)
{
        if (!session)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (session->plane)
                return 0;
        if (session->error)
                return session->error;
        return nipc__session_result(session, NIPC_FAILURE_HANDSHAKE,
                                    nipc__server_handshake(session,
                                                           nipc__wait_or_not(deadline_ns)));
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
        session->tx_whole_bytes = ack->agreed_packet_size;
        session->tx_capacity = UINT32_MAX - NIPC_HEADER_SIZE;
        nipc__plane_begin(session);
}

/* ---- looking at a session ------------------------------------------------------------------- */

NIPC__EXPORT int nipc_session_get_fd(const struct nipc_session *session)
{
        if (!session)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        /* That somebody polls is something a plane may have to know: not a change to him. */
        if (session->plane)
                return session->plane->get_fd((struct nipc_session *)(uintptr_t)session);
        ((struct nipc_session *)(uintptr_t)session)->is_link_polled = true;
        return nipc__link_get_fd((struct nipc__link *)(uintptr_t)&session->link);
}

NIPC__EXPORT uint32_t nipc_session_get_events(const struct nipc_session *session)
{
        if (!session)
                return 0;
        /* The link of a plane in memory is always writable, and readable for whatever there is. */
        if (session->plane && session->plane->look)
                return NIPC_EVENT_IN;
        return nipc__session_get_events(session);
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
                .unusable_profiles = session->plane ? session->unusable_profiles : 0,
        };
        memcpy(ret_info, &info, NIPC__MIN(ret_info->size, sizeof(info)));
        return 0;
}

NIPC__EXPORT int nipc_session_get_queued(const struct nipc_session *session, size_t *ret_used,
                                         size_t *ret_capacity)
{
        if (!session || !ret_used || !ret_capacity)
                return -EINVAL;
        if (nipc__fork_is_inherited(&session->made_by))
                return -ECHILD;
        if (!session->plane)
                return -ENOTCONN;
        return nipc__plane_get_queued(session, ret_used, ret_capacity);
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
