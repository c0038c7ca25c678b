/* SPDX-License-Identifier: MIT */

/*
 * The handshake over a link (wire-v1 §5): one packet there, one back, judged by
 * libnipc-proto. The client looks at who answers before it says its token. The server never waits
 * for a client in here: it goes on when the link has something to say.
 */

#include "link-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

/* Both sides read into 128 bytes; what is longer is ignored (wire-v1 §5). */
#define RECEIVE_SIZE 128u

/* ---- client --------------------------------------------------------------------------------- */

static int fail(struct nipc_session *session, uint32_t stage, int error, int os_error)
{
        return nipc__session_fail(session, stage, error, os_error);
}

static int send_hello_with(struct nipc_session *session, const struct nipc_session_config *config,
                           uint32_t offered, int fd, uint64_t deadline_ns)
{
        uint8_t packet[NIPC_HELLO_PACKET_SIZE];
        struct iovec iov = {packet, sizeof(packet)};
        struct nipc_hello hello = {
                .supported_profiles = offered,
                .preferred_profiles = config->preferred_profiles & offered,
                .max_request_payload_bytes = config->max_request_payload_bytes,
                .max_request_batch_items = config->max_request_batch_items,
                .max_response_payload_bytes = config->max_response_payload_bytes,
                .max_response_batch_items = config->max_request_batch_items,
                .auth_token = config->auth_token,
                .packet_size = config->packet_size ? config->packet_size
                                                   : nipc__link_packet_size(&session->link),
        };
        ssize_t n;

        session->proposed_packet_size = hello.packet_size;
        nipc_hello_encode_packet(&hello, packet);
        if (fd >= 0)
                return nipc__link_send_fd(session, packet, sizeof(packet), fd);
        n = nipc__link_send(session, &iov, 1, deadline_ns);
        return n < 0 ? (int)n : 0;
}

/*
 * What there was to offer. A server that does not take descriptors, which is any of NetIPC v1,
 * never sees the one that comes with HELLO: the kernel drops it.
 */
static int send_hello(struct nipc_session *session, const struct nipc_session_config *config,
                      uint64_t deadline_ns)
{
        uint32_t missing = config->supported_profiles & ~NIPC__AVAILABLE_PROFILES;
        uint32_t offered = config->supported_profiles & NIPC__AVAILABLE_PROFILES;
        int fd, r;

        if (missing)
                nipc__session_downgrade(session, missing, -EPROTONOSUPPORT, "profile not built in");
        nipc__plane_offer(session, config, &offered, &fd);
        session->offered_profiles = offered ? offered : NIPC_PROFILE_BASELINE;
        r = send_hello_with(session, config, session->offered_profiles, fd, deadline_ns);
        if (r == 0 || fd < 0 || r == -EPIPE || r == -ECONNRESET || r == -EAGAIN)
                return r == -EPIPE ? -ECONNRESET : r;
        /* Descriptors cannot be handed over here: without what needs them, then. */
        nipc__plane_release(session);
        nipc__session_downgrade(session, NIPC_PROFILE_RING, r, "handing memory over");
        offered &= ~NIPC_PROFILE_RING;
        session->offered_profiles = offered ? offered : NIPC_PROFILE_BASELINE;
        return send_hello_with(session, config, session->offered_profiles, -1, deadline_ns);
}

/* client-server §2, wire-v1 §5: what a refusal means to the caller. */
static int judge_refusal(uint16_t status)
{
        switch (status) {
        case NIPC_TRANSPORT_STATUS_AUTH_FAILED:
                return -EACCES;
        case NIPC_TRANSPORT_STATUS_UNSUPPORTED:
        case NIPC_TRANSPORT_STATUS_INCOMPATIBLE:
                return -EPROTONOSUPPORT;
        case NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED:
                return -EMSGSIZE;
        default:
                return -ECONNREFUSED;
        }
}

/* fd: what came with it, taken. */
static int take_ack(struct nipc_session *session, const struct nipc_hello_ack *ack, int fd)
{
        uint32_t offered = session->offered_profiles & ~NIPC_PROFILE_BASELINE;
        int r = nipc__plane_attach(session, ack, fd);

        if (r < 0)
                return fail(session, NIPC_FAILURE_HANDSHAKE, r, nipc__os_error(r));
        if (offered & ~ack->intersection_profiles)
                nipc__session_downgrade(session, offered & ~ack->intersection_profiles,
                                        -EPROTONOSUPPORT, "not offered by the server");
        nipc__session_agree(session, ack);
        return 0;
}

static int receive_ack(struct nipc_session *session, uint64_t deadline_ns)
{
        uint8_t packet[RECEIVE_SIZE];
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint16_t status;
        int fd = -1, r;
        ssize_t n;

        n = nipc__link_receive_fd(session, packet, sizeof(packet), deadline_ns, &fd);
        if (n < 0)
                return (int)n;
        r = nipc_hello_ack_judge(packet, NIPC__MIN((size_t)n, sizeof(packet)), &ack, &status,
                                 &fault);
        if (r == 0 && status == NIPC_TRANSPORT_STATUS_OK)
                return take_ack(session, &ack, fd);
        nipc__link_drop_fd(fd);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_HANDSHAKE, -EBADMSG, &fault);
        session->failure.transport_status = status;
        return fail(session, NIPC_FAILURE_HANDSHAKE, judge_refusal(status), 0);
}

int nipc__client_handshake(struct nipc_session *session, const struct nipc_session_config *config,
                           uint64_t deadline_ns)
{
        int r;

        if (deadline_ns == NIPC_DEADLINE_LINGER) /* is for the next request, not for the first */
                deadline_ns = NIPC_DEADLINE_NOW;
        session->opening.config = config;
        session->opening.deadline_ns = deadline_ns;
        r = nipc__link_connect(session, config, deadline_ns);
        if (r < 0)
                return r;
        r = nipc__link_check_server(session, config);
        if (r < 0)
                return fail(session, NIPC_FAILURE_PEER, r, 0);
        r = send_hello(session, config, deadline_ns);
        if (r == 0)
                r = receive_ack(session, deadline_ns);
        if (r == 0)
                r = nipc__link_set_linger(session); /* the handshake may have needed longer waits */
        if (r < 0)
                return session->error ? r
                                      : fail(session, NIPC_FAILURE_HANDSHAKE, r, nipc__os_error(r));
        return 0;
}

/* ---- server --------------------------------------------------------------------------------- */

/*
 * An answer always fits the empty send buffer of a new connection: sending it never waits. A peer
 * that has gone meanwhile is no reason to fail here, the next receive will say so. Only a
 * descriptor that cannot be handed over is.
 */
static int send_ack(struct nipc_session *session, const struct nipc_hello_ack *ack, uint16_t status,
                    int fd)
{
        uint8_t packet[NIPC_HELLO_ACK_PACKET_SIZE];
        struct iovec iov = {packet, sizeof(packet)};
        int r;

        nipc_hello_ack_encode_packet(ack, status, packet);
        if (fd < 0) {
                nipc__link_send(session, &iov, 1, NIPC_DEADLINE_NOW);
                return 0;
        }
        r = nipc__link_send_fd(session, packet, sizeof(packet), fd);
        return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* What HELLO is answered, as long as profiles have to be given up. fd: what it carried, taken. */
static int answer_hello(struct nipc_session *session, const void *packet, size_t size, int fd,
                        struct nipc_hello *ret_hello, struct nipc_hello_ack *ret_ack,
                        uint16_t *ret_status)
{
        struct nipc_fault fault;
        int own_fd, r;

        for (;;) {
                r = nipc_hello_judge(packet, size, &session->policy, ret_hello, ret_ack, ret_status,
                                     &fault);
                if (r > 0)
                        r = nipc__session_fail_fault(session, NIPC_FAILURE_HANDSHAKE, -EBADMSG,
                                                     &fault);
                if (r == 0 && *ret_status == NIPC_TRANSPORT_STATUS_OK && session->refuse_status)
                        *ret_status = session->refuse_status;
                if (r < 0 || *ret_status != NIPC_TRANSPORT_STATUS_OK) {
                        nipc__link_drop_fd(fd);
                        return r < 0 ? r : send_ack(session, ret_ack, *ret_status, -1);
                }
                r = nipc__plane_prepare(session, ret_ack, fd, &own_fd);
                fd = -1;
                if (r == 0) {
                        r = send_ack(session, ret_ack, *ret_status, own_fd);
                        if (r == 0) {
                                nipc__plane_handed_over(session);
                                return 0;
                        }
                        nipc__plane_release(session);
                        nipc__session_downgrade(session, ret_ack->selected_profile, r,
                                                "handing memory over");
                }
                /* As if it had never been offered; the baseline always is at least said to be. */
                session->policy.supported_profiles &= ~ret_ack->selected_profile;
                if (!session->policy.supported_profiles) {
                        *ret_status = NIPC_TRANSPORT_STATUS_UNSUPPORTED;
                        return send_ack(session, ret_ack, *ret_status, -1);
                }
        }
}

int nipc__server_handshake(struct nipc_session *session, uint64_t deadline_ns)
{
        uint8_t packet[RECEIVE_SIZE];
        struct nipc_hello_ack ack = {0};
        struct nipc_hello hello = {0};
        uint16_t status;
        int fd = -1, r;
        ssize_t n;

        n = nipc__link_receive_fd(session, packet, sizeof(packet), deadline_ns, &fd);
        if (n < 0)
                return (int)n;
        r = answer_hello(session, packet, NIPC__MIN((size_t)n, sizeof(packet)), fd, &hello, &ack,
                         &status);
        if (r < 0)
                return r;
        if (status != NIPC_TRANSPORT_STATUS_OK) {
                /* What was wanted, for a server that may offer more to the next one. */
                session->agreed.agreed_max_request_payload_bytes = hello.max_request_payload_bytes;
                session->failure.transport_status = status;
                return fail(session, NIPC_FAILURE_HANDSHAKE, -ECONNREFUSED, 0);
        }
        nipc__session_agree(session, &ack);
        return 0;
}
