/* SPDX-License-Identifier: MIT */

/*
 * Processes that are killed in the middle of something. Whoever waits for them learns of it at
 * once and not at its deadline; nobody else notices.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE (8u * 1024 * 1024)

static int open_listener(struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.max_request_payload_bytes = LARGE;
        config.max_response_payload_bytes = LARGE;
        return nipc_listener_open(&config, ret_listener);
}

static int open_client(struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.max_request_payload_bytes = LARGE;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

static struct nipc_header make_header(uint16_t kind, uint64_t id)
{
        return (struct nipc_header){.kind = kind, .code = 1, .item_count = 1, .message_id = id};
}

/* Runs play in another process and returns when it wrote its byte to the descriptor it was given.
 */
static pid_t start_child(void (*play)(int ready_fd))
{
        pid_t parent = getpid(), pid;
        int ready[2];
        char byte;

        util_dir();
        if (!tap_check(pipe2(ready, O_CLOEXEC) == 0))
                return -1;
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(98);
                util_arm_watchdog();
                close(ready[0]);
                play(ready[1]);
                for (;;)
                        pause();
        }
        close(ready[1]);
        util_waiting_for("a child to be ready");
        tap_check(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        return pid;
}

static void say_ready(int fd)
{
        if (write(fd, "x", 1) != 1)
                _exit(97);
}

static void reap(pid_t pid)
{
        int status;

        util_waiting_for("a killed child");
        tap_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* ---- servers that die ----------------------------------------------------------------------- */

/* Takes all clients and says nothing. */
static void play_mute_server(int ready_fd)
{
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;

        if (open_listener(&listener) < 0)
                _exit(1);
        say_ready(ready_fd);
        for (;;)
                if (nipc_listener_accept(listener, NIPC_DEADLINE_NEVER, &session) < 0 ||
                    nipc_session_handshake(session, NIPC_DEADLINE_NEVER) < 0)
                        _exit(2);
}

/* Takes no client at all. */
static void play_absent_server(int ready_fd)
{
        struct nipc_listener *listener = NULL;

        if (open_listener(&listener) < 0)
                _exit(1);
        say_ready(ready_fd);
}

struct killer {
        pid_t victim;
        pid_t blocked_tid;
};

static void *killer_main(void *userdata)
{
        struct killer *killer = userdata;

        util_wait_asleep(killer->blocked_tid);
        kill(killer->victim, SIGKILL);
        return NULL;
}

enum wait {
        WAIT_RECEIVE,
        WAIT_SEND,
        WAIT_WAIT,
        N_WAITS,
};

static int block(struct nipc_session *session, enum wait wait)
{
        static uint8_t payload[LARGE];
        struct nipc_header header = make_header(NIPC_KIND_REQUEST, 2);
        struct nipc_message message;

        util_waiting_for("a blocked call to see that its server died");
        if (wait == WAIT_SEND)
                return nipc_session_send(session, &header, payload, sizeof(payload),
                                         NIPC_DEADLINE_NEVER);
        if (wait == WAIT_WAIT && nipc_session_wait(session, NIPC_DEADLINE_NEVER) < 0)
                return -1;
        return nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message);
}

static void try_server_dies(enum wait wait)
{
        struct nipc_header header = make_header(NIPC_KIND_REQUEST, 1);
        struct killer killer = {start_child(play_mute_server), util_gettid()};
        struct nipc_session *session = NULL;
        pthread_t thread;

        if (!util_eq_error(open_client(&session), 0)) {
                kill(killer.victim, SIGKILL);
                reap(killer.victim);
                return;
        }
        util_eq_error(nipc_session_send(session, &header, NULL, 0, util_soon()), 0);
        tap_require(pthread_create(&thread, NULL, killer_main, &killer) == 0);
        util_eq_error(block(session, wait), -ECONNRESET);
        pthread_join(thread, NULL);
        tap_eq_uint(nipc_session_get_in_flight(session), 0);
        nipc_session_close(session);
        reap(killer.victim);
}

static void test_server_dies(void)
{
        for (unsigned i = 0; i < 10; i++)
                for (enum wait wait = 0; wait < N_WAITS; wait++)
                        try_server_dies(wait);
}

static void test_server_dies_in_handshake(void)
{
        for (unsigned i = 0; i < 10; i++) {
                struct killer killer = {start_child(play_absent_server), util_gettid()};
                struct nipc_session *session = NULL;
                pthread_t thread;

                tap_require(pthread_create(&thread, NULL, killer_main, &killer) == 0);
                util_eq_error(open_client(&session), -ECONNRESET);
                pthread_join(thread, NULL);
                tap_eq_ptr(session, NULL);
                reap(killer.victim);
                /* And then there is nobody. */
                util_eq_error(open_client(&session), -ENOENT);
        }
}

/* ---- clients that die ----------------------------------------------------------------------- */

static void play_half_sender(int ready_fd)
{
        static uint8_t payload[LARGE];
        struct nipc_header header = make_header(NIPC_KIND_REQUEST, 1);
        struct nipc_session *session = NULL;

        if (open_client(&session) < 0 ||
            nipc_session_send(session, &header, payload, sizeof(payload), NIPC_DEADLINE_NOW) !=
                    -EAGAIN)
                _exit(1);
        say_ready(ready_fd);
}

static void play_half_handshaker(int ready_fd)
{
        if (raw_connect("svc", SOCK_SEQPACKET) < 0)
                _exit(1);
        say_ready(ready_fd);
}

struct server {
        struct nipc_listener *listener;
        struct nipc_session *session;
        int error;
};

static void *accept_one(void *userdata)
{
        struct server *server = userdata;

        server->error = nipc_listener_accept(server->listener, util_soon(), &server->session);
        if (server->error == 0)
                server->error = nipc_session_handshake(server->session, util_soon());
        return NULL;
}

/* A round trip between two sessions of this process. */
static void check_round_trip(struct nipc_session *client, struct nipc_session *server, uint64_t id)
{
        struct nipc_header request = make_header(NIPC_KIND_REQUEST, id);
        struct nipc_header response = make_header(NIPC_KIND_RESPONSE, id);
        struct nipc_message message;

        util_eq_error(nipc_session_send(client, &request, "question", 8, util_soon()), 0);
        util_eq_error(nipc_session_receive(server, util_soon(), &message), 0);
        util_eq_error(nipc_session_send(server, &response, "answer", 6, util_soon()), 0);
        if (util_eq_error(nipc_session_receive(client, util_soon(), &message), 0))
                tap_eq_mem(message.payload, message.payload_size, "answer", 6);
}

static void try_client_dies(struct server *polite, struct nipc_session *client, uint64_t id)
{
        struct server dying = {.listener = polite->listener};
        struct nipc_message message;
        pthread_t thread;
        pid_t pid;

        tap_require(pthread_create(&thread, NULL, accept_one, &dying) == 0);
        pid = start_child(play_half_sender);
        pthread_join(thread, NULL);
        util_eq_error(dying.error, 0);
        util_eq_error(nipc_session_receive(dying.session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_check(nipc_session_is_receiving(dying.session));
        check_round_trip(client, polite->session, 2 * id);
        kill(pid, SIGKILL);
        reap(pid);
        util_waiting_for("the end of a half message");
        util_eq_error(nipc_session_receive(dying.session, NIPC_DEADLINE_NEVER, &message),
                      -ECONNRESET);
        check_round_trip(client, polite->session, 2 * id + 1);
        nipc_session_close(dying.session);
}

/* In the middle of a message: its session ends, the one beside it does not. */
static void test_client_dies(void)
{
        struct server polite = {NULL, NULL, 0};
        struct nipc_session *client = NULL;
        pthread_t thread;

        tap_require(util_eq_error(open_listener(&polite.listener), 0));
        tap_require(pthread_create(&thread, NULL, accept_one, &polite) == 0);
        util_eq_error(open_client(&client), 0);
        pthread_join(thread, NULL);
        tap_require(util_eq_error(polite.error, 0));
        for (uint64_t i = 0; i < 20; i++)
                try_client_dies(&polite, client, i);
        nipc_session_close(client);
        nipc_session_close(polite.session);
        nipc_listener_close(polite.listener);
}

/* Connected, and dead before it said a word. */
static void test_client_dies_in_handshake(void)
{
        struct nipc_listener *listener = NULL;

        tap_require(util_eq_error(open_listener(&listener), 0));
        for (unsigned i = 0; i < 10; i++) {
                struct nipc_session *session = NULL;
                pid_t pid = start_child(play_half_handshaker);

                util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
                util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), -EAGAIN);
                kill(pid, SIGKILL);
                reap(pid);
                util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NEVER), -ECONNRESET);
                nipc_session_close(session);
        }
        nipc_listener_close(listener);
}

UTIL_MAIN(TAP_CASE(test_server_dies), TAP_CASE(test_server_dies_in_handshake),
          TAP_CASE(test_client_dies), TAP_CASE(test_client_dies_in_handshake))
