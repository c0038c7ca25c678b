/* SPDX-License-Identifier: MIT */

/*
 * Cancellation of everything that waits, from another thread and from a signal handler.
 *
 * Whoever cancels waits until the other sleeps in the kernel. That it does not sleep where it is
 * meant to would be no error of the library: the result is the same whenever the trigger is pulled.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/cancel.h>
#include <nipc/session.h>
#include <unistd.h>

static struct nipc_cancel *handler_cancel; /* for the signal handler */

static void on_cancel_signal(int number)
{
        nipc_cancel_trigger(handler_cancel);
}

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

/* ---- the one who cancels -------------------------------------------------------------------- */

enum way {
        BY_THREAD,
        BY_SIGNAL,
        N_WAYS,
};

struct canceller {
        struct nipc_cancel *cancel;
        enum way way;
        pid_t tid;
        pthread_t victim;
        pthread_t thread;
};

static void *canceller_main(void *userdata)
{
        struct canceller *canceller = userdata;

        util_wait_asleep(canceller->tid);
        if (canceller->way == BY_THREAD)
                nipc_cancel_trigger(canceller->cancel);
        else
                util_interrupt(canceller->victim, on_cancel_signal);
        return NULL;
}

/* Cancels what the calling thread is going to wait for. */
static void canceller_start(struct canceller *canceller, struct nipc_cancel *cancel, enum way way)
{
        handler_cancel = cancel;
        *canceller = (struct canceller){cancel, way, util_gettid(), pthread_self(), 0};
        pthread_create(&canceller->thread, NULL, canceller_main, canceller);
        util_waiting_for("a cancelled call to return");
}

static void canceller_join(struct canceller *canceller)
{
        pthread_join(canceller->thread, NULL);
}

/* ---- the object ----------------------------------------------------------------------------- */

static void test_flag(void)
{
        struct nipc_cancel *cancel = new_cancel();

        tap_check(!nipc_cancel_is_triggered(cancel));
        nipc_cancel_reset(cancel);
        errno = 4711;
        nipc_cancel_trigger(cancel);
        tap_eq_int(errno, 4711);
        tap_check(nipc_cancel_is_triggered(cancel));
        nipc_cancel_trigger(cancel);
        tap_check(nipc_cancel_is_triggered(cancel));
        nipc_cancel_reset(cancel);
        tap_check(!nipc_cancel_is_triggered(cancel));
        tap_eq_ptr(nipc_cancel_free(cancel), NULL);
        tap_eq_ptr(nipc_cancel_free(NULL), NULL);
        util_eq_error(nipc_cancel_new(NULL), -EINVAL);
}

/* It sticks: nothing is connected until it is reset, and then everything works. */
static void test_before_open(void)
{
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_session *session = NULL;
        int listen_fd = raw_listen("svc", SOCK_SEQPACKET, 16), fd;

        nipc_cancel_trigger(cancel);
        for (unsigned i = 0; i < 3; i++)
                util_eq_error(open_session("svc", cancel, util_soon(), &session), -ECANCELED);
        tap_eq_ptr(session, NULL);
        tap_check(!raw_is_readable(listen_fd));
        close(listen_fd);
        util_remove(util_path("svc.sock"));
        nipc_cancel_reset(cancel);
        session = open_pair(cancel, &fd);
        tap_check(session != NULL);
        nipc_session_close(session);
        close(fd);
        nipc_cancel_free(cancel);
}

/* ---- everything that waits ------------------------------------------------------------------ */

static void try_connect(enum way way)
{
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_session *session = NULL;
        struct canceller canceller;
        int fds[64], listen_fd = raw_listen("full", SOCK_SEQPACKET, 1);
        size_t n = raw_fill_backlog("full", fds, 64);

        canceller_start(&canceller, cancel, way);
        util_eq_error(open_session("full", cancel, NIPC_DEADLINE_NEVER, &session), -ECANCELED);
        canceller_join(&canceller);
        tap_eq_ptr(session, NULL);
        while (n)
                close(fds[--n]);
        close(listen_fd);
        util_remove(util_path("full.sock"));
        nipc_cancel_free(cancel);
}

static void test_connect(void)
{
        try_connect(BY_THREAD);
        try_connect(BY_SIGNAL);
}

static void try_handshake(enum way way)
{
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_session *session = NULL;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct canceller canceller;
        int listen_fd = raw_listen("silent", SOCK_SEQPACKET, 16);

        config.run_dir = util_dir();
        config.service = "silent";
        config.cancel = cancel;
        canceller_start(&canceller, cancel, way);
        util_eq_error(nipc_session_open(&config, NIPC_DEADLINE_NEVER, &session, &failure),
                      -ECANCELED);
        canceller_join(&canceller);
        tap_eq_int(failure.error, -ECANCELED);
        tap_check(failure.stage == NIPC_FAILURE_HANDSHAKE || failure.stage == NIPC_FAILURE_CONNECT);
        tap_eq_ptr(session, NULL);
        close(listen_fd);
        util_remove(util_path("silent.sock"));
        nipc_cancel_free(cancel);
}

static void test_handshake(void)
{
        for (unsigned i = 0; i < 20; i++) {
                try_handshake(BY_THREAD);
                try_handshake(BY_SIGNAL);
        }
}

/* Every call says so afterwards, until the reset; then the session is at its end. */
static void check_cancelled(struct nipc_session *session, struct nipc_cancel *cancel)
{
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .item_count = 1, .message_id = 99};
        struct nipc_message message;
        void *payload;

        util_eq_error(nipc_session_receive(session, util_soon(), &message), -ECANCELED);
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -ECANCELED);
        util_eq_error(nipc_session_wait(session, util_soon()), -ECANCELED);
        if (nipc_session_has_pending(session)) {
                util_eq_error(nipc_session_flush(session, util_soon()), -ECANCELED);
        } else {
                util_eq_error(nipc_session_send(session, &header, NULL, 0, util_soon()),
                              -ECANCELED);
                util_eq_error(nipc_session_reserve(session, 10, &payload), -ECANCELED);
        }
        nipc_cancel_reset(cancel);
        tap_check(nipc_session_receive(session, util_soon(), &message) < 0);
}

static void try_receive(enum way way, bool by_wait)
{
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_message message;
        struct canceller canceller;
        int fd, r;
        struct nipc_session *session = open_pair(cancel, &fd);

        tap_require(session != NULL);
        canceller_start(&canceller, cancel, way);
        if (by_wait)
                r = nipc_session_wait(session, NIPC_DEADLINE_NEVER);
        else
                r = nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message);
        util_eq_error(r, -ECANCELED);
        canceller_join(&canceller);
        check_cancelled(session, cancel);
        nipc_session_close(session);
        close(fd);
        nipc_cancel_free(cancel);
}

static void test_receive(void)
{
        for (unsigned i = 0; i < 20; i++)
                for (unsigned way = 0; way < N_WAYS; way++) {
                        try_receive((enum way)way, false);
                        try_receive((enum way)way, true);
                }
}

/* A large message to somebody who does not read. */
static void try_send(enum way way)
{
        static uint8_t payload[8 * 1024 * 1024];
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .item_count = 1, .message_id = 1};
        struct nipc_cancel *cancel = new_cancel();
        struct canceller canceller;
        int fd;
        struct nipc_session *session = open_pair(cancel, &fd);

        tap_require(session != NULL);
        canceller_start(&canceller, cancel, way);
        util_eq_error(nipc_session_send(session, &header, payload, sizeof(payload),
                                        NIPC_DEADLINE_NEVER),
                      -ECANCELED);
        canceller_join(&canceller);
        check_cancelled(session, cancel);
        nipc_session_close(session);
        close(fd);
        nipc_cancel_free(cancel);
}

static void test_send(void)
{
        for (unsigned i = 0; i < 5; i++) {
                try_send(BY_THREAD);
                try_send(BY_SIGNAL);
        }
}

static void test_reuse(void)
{
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .item_count = 1, .message_id = 1};
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_message message;
        uint8_t packet[RAW_HEADER_SIZE];
        int fd;

        for (unsigned i = 0; i < 50; i++) {
                struct nipc_session *session = open_pair(cancel, &fd);

                tap_require(session != NULL);
                util_eq_error(nipc_session_send(session, &header, NULL, 0, util_soon()), 0);
                raw_header(packet, 2, 0, 0, 1, 1);
                tap_check(raw_send(fd, packet, sizeof(packet)));
                util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
                nipc_cancel_trigger(cancel);
                util_eq_error(nipc_session_receive(session, util_soon(), &message), -ECANCELED);
                nipc_session_close(session);
                nipc_cancel_reset(cancel);
                close(fd);
        }
        nipc_cancel_free(cancel);
}

/* The peer sees the end at once, not when the session is closed. */
static void test_peer_sees_the_end(void)
{
        struct nipc_cancel *cancel;
        struct nipc_session *session;
        int fd;

        if (!util_polls_exactly())
                tap_skip("waits end here, and not the pipe");
        cancel = new_cancel();
        session = open_pair(cancel, &fd);
        tap_require(session != NULL);
        nipc_cancel_trigger(cancel);
        tap_check(raw_is_closed(fd));
        nipc_session_close(session);
        close(fd);
        nipc_cancel_free(cancel);
}

/* Closing ends the connection although the object lives on; so does an open that failed. */
static void test_close_lets_go(void)
{
        struct nipc_cancel *cancel = new_cancel();
        struct nipc_session *session = NULL;
        int fd, listen_fd;

        session = open_pair(cancel, &fd);
        tap_require(session != NULL);
        nipc_session_close(session);
        tap_check(raw_is_closed(fd));
        close(fd);
        session = NULL;
        listen_fd = raw_listen("silent", SOCK_SEQPACKET, 16);
        util_eq_error(open_session("silent", cancel, nipc_deadline_after_ms(1), &session),
                      -ETIMEDOUT);
        fd = raw_accept(listen_fd);
        tap_check(raw_receive(fd, &(uint8_t[128]){0}, 128) == RAW_HELLO_SIZE);
        tap_check(raw_is_closed(fd));
        close(fd);
        close(listen_fd);
        util_remove(util_path("silent.sock"));
        nipc_cancel_free(cancel);
}

UTIL_MAIN(TAP_CASE(test_flag), TAP_CASE(test_before_open), TAP_CASE(test_connect),
          TAP_CASE(test_handshake), TAP_CASE(test_receive), TAP_CASE(test_send),
          TAP_CASE(test_reuse), TAP_CASE(test_peer_sees_the_end), TAP_CASE(test_close_lets_go))
