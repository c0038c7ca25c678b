/* SPDX-License-Identifier: MIT */

/* Who a connected socket leads to: as of connect() for a server, of listen() for a client. */

#include "endpoint-private.h"
#include <errno.h>
#include <nipc/session.h>
#include <sys/socket.h>

int nipc__peer_get(int fd, struct nipc_peer *ret_peer)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        *ret_peer = (struct nipc_peer){peer.pid, peer.uid, peer.gid};
        return 0;
}
