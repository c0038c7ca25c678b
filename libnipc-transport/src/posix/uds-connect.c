/* SPDX-License-Identifier: MIT */

/* A client's way to the socket of an endpoint, and who it is that answers there. */

#include "endpoint-private.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A connect that waits for room in the backlog cannot be woken by the cancel object: the socket is
 * connected to nothing yet. It waits in slices of this length and looks.
 */
#define CONNECT_SLICE_NS UINT64_C(20000000)

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

static int connect_to(struct nipc_session *session, const char *path, uint64_t deadline_ns)
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
                        return nipc__session_fail(session, NIPC_FAILURE_CONNECT,
                                                  judge_connect_errno(errno), errno);
        }
        /* The shortest time-out is a tick, so "now" connected a socket that does not block. */
        if (deadline_ns == NIPC_DEADLINE_NOW && fcntl(session->link.fd, F_SETFL, 0) < 0)
                return nipc__session_fail(session, NIPC_FAILURE_CONNECT, -errno, errno);
        return 0;
}

int nipc__link_connect(struct nipc_session *session, const struct nipc_session_config *config,
                       uint64_t deadline_ns)
{
        char path[NIPC_ENDPOINT_PATH_MAX];
        int r, type = SOCK_SEQPACKET | SOCK_CLOEXEC;

        r = nipc_endpoint_format_path(config->run_dir, config->service, path, sizeof(path));
        if (r < 0)
                return nipc__session_fail(session, NIPC_FAILURE_CONFIG, r, 0);
        if (deadline_ns == NIPC_DEADLINE_NOW)
                type |= SOCK_NONBLOCK;
        session->link.fd = socket(AF_UNIX, type, 0);
        if (session->link.fd < 0)
                return nipc__session_fail(session, NIPC_FAILURE_CONNECT, -errno, errno);
        if (config->cancel) {
                r = nipc__cancel_bind(config->cancel, &session->link);
                if (r < 0)
                        return nipc__session_fail(session, NIPC_FAILURE_CONNECT, r, -r);
                session->cancel = config->cancel;
        }
        r = connect_to(session, path, deadline_ns);
        if (r < 0 && !session->error)
                nipc__session_fail(session, NIPC_FAILURE_CONNECT, r, nipc__os_error(r));
        return r;
}

/* The peer of a connected socket is whoever called listen. */
int nipc__link_check_server(struct nipc_session *session, const struct nipc_session_config *config)
{
        const struct nipc_peer *peer = &session->peer;
        struct stat st;
        int r;

        r = nipc__peer_get(session->link.fd, &session->peer);
        if (r < 0)
                return config->trust_any_server ? 0 : r;
        if (config->trust_any_server || peer->uid == 0 || peer->uid == geteuid())
                return 0;
        if (stat(config->run_dir, &st) == 0 && st.st_uid == peer->uid)
                return 0;
        return -EACCES;
}
