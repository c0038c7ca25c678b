/* SPDX-License-Identifier: MIT */

/* nng: REQ to REP over ipc://, its pattern for a request and its answer, sent and received whole.
 */

#include "peer.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>

static nng_socket client;

static void make_url(const char *dir, char *url, size_t size)
{
        snprintf(url, size, "ipc://%s/nng.sock", dir);
}

static int serve(const char *dir)
{
        unsigned char message[PEER_MESSAGE_SIZE];
        nng_socket socket;
        char url[256];
        size_t size;

        make_url(dir, url, sizeof(url));
        if (nng_rep0_open(&socket) != 0 || nng_listen(socket, url, NULL, 0) != 0)
                return -1;
        peer_ready();
        for (;;) {
                size = sizeof(message);
                if (nng_recv(socket, message, &size, 0) != 0 || size != sizeof(message))
                        return -1;
                peer_put(message, peer_get(message) + 1);
                if (nng_send(socket, message, sizeof(message), 0) != 0)
                        return -1;
        }
}

static int open_client(const char *dir)
{
        char url[256];

        make_url(dir, url, sizeof(url));
        if (nng_req0_open(&client) != 0 || nng_dial(client, url, NULL, 0) != 0)
                return peer_fail("cannot connect");
        return 0;
}

static int ping(uint64_t value)
{
        unsigned char message[PEER_MESSAGE_SIZE];
        size_t size = sizeof(message);

        peer_put(message, value);
        if (nng_send(client, message, sizeof(message), 0) != 0 ||
            nng_recv(client, message, &size, 0) != 0)
                return peer_fail("cannot send or receive");
        return size == sizeof(message) && peer_get(message) == value + 1 ? 0 : peer_fail_answer();
}

int main(int argc, char **argv)
{
        static const struct peer peer = {.serve = serve, .open = open_client, .ping = ping};

        return peer_main(argc, argv, &peer);
}
