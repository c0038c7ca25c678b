/* SPDX-License-Identifier: MIT */

/* Whoever cancels a session hurts nobody else's descriptor, whatever number it has. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/cancel.h>
#include <nipc/session.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static struct nipc_cancel *new_cancel(void)
{
        struct nipc_cancel *cancel = NULL;

        util_eq_error(nipc_cancel_new(&cancel), 0);
        return cancel;
}

static int open_session(const char *service, struct nipc_cancel *cancel, uint64_t deadline_ns,
                        struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = service;
        config.cancel = cancel;
        config.max_request_payload_bytes = 64 * 1024 * 1024;
        return nipc_session_open(&config, deadline_ns, ret_session, NULL);
}

/* A session with a raw server at the other end of *ret_fd. */
static struct nipc_session *open_pair(struct nipc_cancel *cancel, int *ret_fd)
{
        struct nipc_session *session = NULL;
        struct raw_server server;
        uint8_t ack[RAW_ACK_SIZE];

        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_REQUEST, 64 * 1024 * 1024);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, 64 * 1024 * 1024);
        if (!tap_check(raw_server_start(&server, "svc", ack, sizeof(ack))))
                return NULL;
        util_eq_error(open_session("svc", cancel, util_soon(), &session), 0);
        *ret_fd = raw_server_join(&server);
        return session;
}

/* Whether two ends still talk. */
static bool talks(const int pair[2])
{
        char byte = 'x';

        return send(pair[0], &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 &&
               recv(pair[1], &byte, 1, MSG_DONTWAIT) == 1;
}

/* The number of a closed session's descriptor belongs to whoever gets it next. */
static void test_number_is_used_again(void)
{
        struct nipc_cancel *cancel = new_cancel();
        int fd, number, other[2] = {-1, -1};
        struct nipc_session *session = open_pair(cancel, &fd);

        tap_require(session != NULL);
        number = nipc_session_get_fd(session);
        nipc_session_close(session);
        tap_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other) == 0);
        tap_check(other[0] == number || other[1] == number);
        nipc_cancel_trigger(cancel);
        tap_check(talks(other));
        close(other[0]);
        close(other[1]);
        close(fd);
        nipc_cancel_free(cancel);
}

struct trigger_loop {
        struct nipc_cancel *cancel;
        atomic_bool stop;
};

static void *trigger_main(void *userdata)
{
        struct trigger_loop *loop = userdata;

        while (!atomic_load(&loop->stop))
                nipc_cancel_trigger(loop->cancel);
        return NULL;
}

/* Triggered all the time while sessions come and go between other people's sockets. */
static void test_others_under_fire(void)
{
        struct trigger_loop loop = {.cancel = new_cancel()};
        int listen_fd = raw_listen("silent", SOCK_SEQPACKET, 4096);
        unsigned n_hurt = 0;
        pthread_t thread;

        tap_require(pthread_create(&thread, NULL, trigger_main, &loop) == 0);
        for (unsigned i = 0; i < 3000; i++) {
                struct nipc_session *session = NULL;
                int pair[2];
                int r;

                nipc_cancel_reset(loop.cancel);
                r = open_session("silent", loop.cancel, util_soon(), &session);
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
                        n_hurt += !talks(pair);
                        close(pair[0]);
                        close(pair[1]);
                }
                /* A trigger that the reset overtook looks like a peer that hung up. */
                if (r != -ECONNRESET && !util_eq_error(r, -ECANCELED))
                        break;
        }
        atomic_store(&loop.stop, true);
        pthread_join(thread, NULL);
        tap_eq_uint(n_hurt, 0);
        close(listen_fd);
        util_remove(util_path("silent.sock"));
        nipc_cancel_free(loop.cancel);
}

UTIL_MAIN(TAP_CASE(test_number_is_used_again), TAP_CASE(test_others_under_fire))
