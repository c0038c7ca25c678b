/* SPDX-License-Identifier: MIT */

/*
 * ZeroMQ over ipc://. One at a time is REQ to REP, the pattern for it; several in flight is DEALER
 * to REP, which sends the empty frame that REQ would.
 */

#include "peer.h"

#include <stdio.h>
#include <zmq.h>

static void *context, *req, *dealer;

static void make_url(const char *dir, char *url, size_t size)
{
        snprintf(url, size, "ipc://%s/zeromq.sock", dir);
}

static int serve(const char *dir)
{
        unsigned char message[PEER_MESSAGE_SIZE];
        void *socket;
        char url[256];

        make_url(dir, url, sizeof(url));
        context = zmq_ctx_new();
        socket = zmq_socket(context, ZMQ_REP);
        if (!socket || zmq_bind(socket, url) != 0)
                return -1;
        peer_ready();
        while (zmq_recv(socket, message, sizeof(message), 0) == (int)sizeof(message)) {
                peer_put(message, peer_get(message) + 1);
                if (zmq_send(socket, message, sizeof(message), 0) < 0)
                        return -1;
        }
        return -1;
}

static int open_client(const char *dir)
{
        char url[256];

        make_url(dir, url, sizeof(url));
        context = zmq_ctx_new();
        req = zmq_socket(context, ZMQ_REQ);
        dealer = zmq_socket(context, ZMQ_DEALER);
        if (!req || !dealer || zmq_connect(req, url) != 0 || zmq_connect(dealer, url) != 0)
                return peer_fail("cannot connect");
        return 0;
}

static int send_on(void *socket, uint64_t value)
{
        unsigned char message[PEER_MESSAGE_SIZE];

        peer_put(message, value);
        return zmq_send(socket, message, sizeof(message), 0) < 0 ? peer_fail("cannot send") : 0;
}

static int receive_on(void *socket, uint64_t value)
{
        unsigned char message[PEER_MESSAGE_SIZE];
        int n = zmq_recv(socket, message, sizeof(message), 0);

        if (n < 0)
                return peer_fail("cannot receive");
        return n == (int)sizeof(message) && peer_get(message) == value + 1 ? 0 : peer_fail_answer();
}

static int ping(uint64_t value)
{
        return send_on(req, value) < 0 ? -1 : receive_on(req, value);
}

static int send_one(uint64_t value)
{
        return zmq_send(dealer, "", 0, ZMQ_SNDMORE) < 0 ? peer_fail("cannot send")
                                                        : send_on(dealer, value);
}

static int receive_one(uint64_t value)
{
        char empty;

        return zmq_recv(dealer, &empty, 1, 0) != 0 ? peer_fail_answer() : receive_on(dealer, value);
}

int main(int argc, char **argv)
{
        static const struct peer peer = {.serve = serve,
                                         .open = open_client,
                                         .ping = ping,
                                         .send = send_one,
                                         .receive = receive_one};

        return peer_main(argc, argv, &peer);
}
