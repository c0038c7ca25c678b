/* SPDX-License-Identifier: MIT */

/*
 * The handshake over a POSIX link (wire-v1 §5): one packet there, one back, judged by
 * libnipc-proto. The client looks at who answers before it says its token. The server never waits
 * for a client in here: it goes on when the socket has something to say.
 */

#include "endpoint-private.h"
#include "link-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Both sides read into 128 bytes; what is longer is ignored (wire-v1 §5). */
#define RECEIVE_SIZE 128u

/*
 * A connect that waits for room in the backlog cannot be woken by the cancel object: the socket is
 * connected to nothing yet. It waits in slices of this length and looks.
 */
#define CONNECT_SLICE_NS UINT64_C(20000000)

/* ---- client --------------------------------------------------------------------------------- */

static int fail(struct nipc_session *session, uint32_t stage, int error, int os_error)
{
        return nipc__session_fail(session, stage, error, os_error);
}

/* What an errno of connect means to somebody who looks for a provider. */
static int judge_connect_errno(int error)
{
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ECONNREFUSED:
        case EPROTOTYPE:
        case ENOTSOCK:
        case ELOOP:
                return -ENOENT;
        case EPERM:
                return -EACCES;
        default:
                return -error;
        }
}

static int connect_link(struct nipc_session *session, const char *path, uint64_t deadline_ns)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        uint64_t slice_ns = session->cancel ? CONNECT_SLICE_NS : UINT64_MAX;
        int r;

        memcpy(address.sun_path, path, strlen(path) + 1);
        for (;;) {
                r = nipc__session_cancelled_or(session, 0);
                if (r < 0)
                        return r;
                if (deadline_ns != NIPC_DEADLINE_NOW) {
                        r = nipc__link_limit_connect(&session->link, deadline_ns, slice_ns);
                        if (r < 0)
                                return r;
                }
                if (connect(session->link.fd, (const struct sockaddr *)&address, sizeof(address)) ==
                            0 ||
                    errno == EISCONN)
                        break;
                if (errno == EAGAIN && deadline_ns == NIPC_DEADLINE_NOW)
                        return -EAGAIN;
                if (errno != EAGAIN && errno != EINTR)
                        return fail(session, NIPC_FAILURE_CONNECT, judge_connect_errno(errno),
                                    errno);
        }
        /* The shortest time-out is a tick, so "now" connected a socket that does not block. */
        if (deadline_ns == NIPC_DEADLINE_NOW && fcntl(session->link.fd, F_SETFL, 0) < 0)
                return fail(session, NIPC_FAILURE_CONNECT, -errno, errno);
        return 0;
}

/* The peer of a connected socket is whoever called listen. */
static int check_server(struct nipc_session *session, const struct nipc_session_config *config)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);
        struct stat st;

        if (getsockopt(session->link.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return config->trust_any_server ? 0 : -errno;
        session->peer = (struct nipc_peer){peer.pid, peer.uid, peer.gid};
        if (config->trust_any_server || peer.uid == 0 || peer.uid == geteuid())
                return 0;
        if (stat(config->run_dir, &st) == 0 && st.st_uid == peer.uid)
                return 0;
        return -EACCES;
}

static int send_hello(struct nipc_session *session, const struct nipc_session_config *config,
                      uint64_t deadline_ns)
{
        uint8_t packet[NIPC_HELLO_PACKET_SIZE];
        struct iovec iov = {packet, sizeof(packet)};
        uint32_t offered = config->supported_profiles & NIPC__AVAILABLE_PROFILES;
        struct nipc_hello hello = {
                .supported_profiles = offered ? offered : NIPC_PROFILE_BASELINE,
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
        session->refused_profiles = config->supported_profiles & ~NIPC__AVAILABLE_PROFILES;
        if (session->refused_profiles) {
                session->downgrade_error = -EPROTONOSUPPORT;
                session->downgrade_step = "profile not built in";
        }
        nipc_hello_encode_packet(&hello, packet);
        n = nipc__link_send(session, &iov, 1, deadline_ns);
        return n < 0 ? (int)n : 0;
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

static int receive_ack(struct nipc_session *session, uint64_t deadline_ns)
{
        uint8_t packet[RECEIVE_SIZE];
        struct iovec iov = {packet, sizeof(packet)};
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint16_t status;
        ssize_t n;
        int r;

        n = nipc__link_receive(session, &iov, 1, deadline_ns);
        if (n < 0)
                return (int)n;
        r = nipc_hello_ack_judge(packet, NIPC__MIN((size_t)n, sizeof(packet)), &ack, &status,
                                 &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_HANDSHAKE, -EBADMSG, &fault);
        if (status != NIPC_TRANSPORT_STATUS_OK) {
                session->failure.transport_status = status;
                return fail(session, NIPC_FAILURE_HANDSHAKE, judge_refusal(status), 0);
        }
        nipc__session_agree(session, &ack);
        return 0;
}

int nipc__client_handshake(struct nipc_session *session, const struct nipc_session_config *config,
                           uint64_t deadline_ns)
{
        char path[NIPC_ENDPOINT_PATH_MAX];
        int r, type = SOCK_SEQPACKET | SOCK_CLOEXEC;

        if (deadline_ns == NIPC_DEADLINE_LINGER) /* is for the next request, not for the first */
                deadline_ns = NIPC_DEADLINE_NOW;
        r = nipc_endpoint_format_path(config->run_dir, config->service, path, sizeof(path));
        if (r < 0)
                return fail(session, NIPC_FAILURE_CONFIG, r, 0);
        if (deadline_ns == NIPC_DEADLINE_NOW)
                type |= SOCK_NONBLOCK;
        session->link.fd = socket(AF_UNIX, type, 0);
        if (session->link.fd < 0)
                return fail(session, NIPC_FAILURE_CONNECT, -errno, errno);
        if (config->cancel) {
                r = nipc__cancel_bind(config->cancel, &session->link);
                if (r < 0)
                        return fail(session, NIPC_FAILURE_CONNECT, r, -r);
                session->cancel = config->cancel;
        }
        r = connect_link(session, path, deadline_ns);
        if (r < 0)
                return session->error ? r
                                      : fail(session, NIPC_FAILURE_CONNECT, r, nipc__os_error(r));
        r = check_server(session, config);
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
 * that has gone meanwhile is no reason to fail here, the next receive will say so.
 */
static void send_ack(struct nipc_session *session, const struct nipc_hello_ack *ack,
                     uint16_t status)
{
        uint8_t packet[NIPC_HELLO_ACK_PACKET_SIZE];
        struct iovec iov = {packet, sizeof(packet)};

        nipc_hello_ack_encode_packet(ack, status, packet);
        nipc__link_send(session, &iov, 1, NIPC_DEADLINE_NOW);
}

int nipc__server_handshake(struct nipc_session *session, uint64_t deadline_ns)
{
        uint8_t packet[RECEIVE_SIZE];
        struct iovec iov = {packet, sizeof(packet)};
        struct nipc_hello_ack ack = {0};
        struct nipc_hello hello = {0};
        struct nipc_fault fault;
        uint16_t status;
        ssize_t n;
        int r;

        if (deadline_ns == NIPC_DEADLINE_LINGER)
                deadline_ns = NIPC_DEADLINE_NOW; /* only a receive of messages lingers */
        n = nipc__link_receive(session, &iov, 1, deadline_ns);
        if (n < 0)
                return (int)n;
        r = nipc_hello_judge(packet, NIPC__MIN((size_t)n, sizeof(packet)), &session->policy, &hello,
                             &ack, &status, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_HANDSHAKE, -EBADMSG, &fault);
        if (status == NIPC_TRANSPORT_STATUS_OK && session->refuse_status)
                status = session->refuse_status;
        send_ack(session, &ack, status);
        if (status != NIPC_TRANSPORT_STATUS_OK) {
                /* What was wanted, for a server that may offer more to the next one. */
                session->agreed.agreed_max_request_payload_bytes = hello.max_request_payload_bytes;
                session->failure.transport_status = status;
                return fail(session, NIPC_FAILURE_HANDSHAKE, -ECONNREFUSED, 0);
        }
        nipc__session_agree(session, &ack);
        return 0;
}
