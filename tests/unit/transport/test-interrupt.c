/* SPDX-License-Identifier: MIT */

/* Storms of signals: whatever waits is interrupted all the time, and nobody may notice. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/session.h>
#include <stdatomic.h>
#include <unistd.h>

static void on_idle_signal(int number)
{
}

static int open_session(const char *service, uint64_t deadline_ns,
                        struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = service;
        config.max_request_payload_bytes = 64 * 1024 * 1024;
        return nipc_session_open(&config, deadline_ns, ret_session, NULL);
}

/* A session with a raw server at the other end of *ret_fd. */
static struct nipc_session *open_pair(int *ret_fd)
{
        struct nipc_session *session = NULL;
        struct raw_server server;
        uint8_t ack[RAW_ACK_SIZE];

        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_REQUEST, 64 * 1024 * 1024);
        if (!tap_check(raw_server_start(&server, "svc", ack, sizeof(ack))))
                return NULL;
        util_eq_error(open_session("svc", util_soon(), &session), 0);
        *ret_fd = raw_server_join(&server);
        return session;
}

struct storm {
        pthread_t victim;
        pthread_t thread;
        atomic_bool stop;
};

static void *storm_main(void *userdata)
{
        struct storm *storm = userdata;

        while (!atomic_load(&storm->stop))
                pthread_kill(storm->victim, SIGUSR2);
        return NULL;
}

static void storm_start(struct storm *storm)
{
        struct sigaction action = {.sa_handler = on_idle_signal}; /* no SA_RESTART */

        sigaction(SIGUSR2, &action, NULL);
        storm->victim = pthread_self();
        atomic_init(&storm->stop, false);
        pthread_create(&storm->thread, NULL, storm_main, storm);
}

static void storm_end(struct storm *storm)
{
        atomic_store(&storm->stop, true);
        pthread_join(storm->thread, NULL);
}

/* Interrupted all the time, a wait still ends when it should: not before, not never. */
static void test_deadlines(void)
{
        static uint8_t payload[8 * 1024 * 1024];
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .item_count = 1, .message_id = 1};
        struct nipc_session *session, *none = NULL;
        struct nipc_message message;
        struct storm storm;
        int fd, fds[64], listen_fd = raw_listen("full", SOCK_SEQPACKET, 1);
        size_t n = raw_fill_backlog("full", fds, 64);
        uint64_t deadline_ns;

        session = open_pair(&fd);
        tap_require(session != NULL);
        storm_start(&storm);
        deadline_ns = nipc_deadline_after_ms(50);
        util_eq_error(open_session("full", deadline_ns, &none), -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        deadline_ns = nipc_deadline_after_ms(50);
        util_eq_error(nipc_session_receive(session, deadline_ns, &message), -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        deadline_ns = nipc_deadline_after_ms(50);
        util_eq_error(nipc_session_wait(session, deadline_ns), -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        deadline_ns = nipc_deadline_after_ms(50);
        util_eq_error(nipc_session_send(session, &header, payload, sizeof(payload), deadline_ns),
                      -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        storm_end(&storm);
        nipc_session_close(session);
        while (n)
                close(fds[--n]);
        close(fd);
        close(listen_fd);
        util_remove(util_path("full.sock"));
}

/* Handshakes and messages in both directions come through it. */
static void test_traffic(void)
{
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST, .item_count = 1};
        struct nipc_message message;
        uint8_t packet[RAW_HEADER_SIZE + 8] = {0};
        struct storm storm;
        int fd;

        storm_start(&storm);
        for (unsigned round = 0; round < 10; round++) {
                struct nipc_session *session = open_pair(&fd);

                tap_require(session != NULL);
                for (uint64_t id = 1; id <= 50; id++) {
                        header.message_id = id;
                        util_eq_error(
                                nipc_session_send(session, &header, "12345678", 8, util_soon()), 0);
                        tap_eq_int(raw_receive(fd, packet, sizeof(packet)), sizeof(packet));
                        raw_header(packet, 2, 0, 8, 1, id);
                        tap_check(raw_send(fd, packet, sizeof(packet)));
                        util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
                        tap_eq_uint(message.header.message_id, id);
                }
                nipc_session_close(session);
                close(fd);
        }
        storm_end(&storm);
}

UTIL_MAIN(TAP_CASE(test_deadlines), TAP_CASE(test_traffic))
