/* SPDX-License-Identifier: MIT */

/*
 * A server in a process of its own among 200 clients that say nothing, 20 that send half a message
 * and stop, 5 that never read and one that floods: the one that behaves gets all its answers, those
 * who keep the server waiting are cut off, and what they made it hold is bounded by its plan. How
 * long the one that behaves has to wait is for `nipc bench fairness` to say.
 */

#include "util-env.h"
#include "util-raw.h"
#include "util-server-child.h"
#include <errno.h>
#include <nipc/client.h>
#include <nipc/hello.h>
#include <nipc/increment.h>
#include <nipc/session.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_SILENT  200
#define N_HALF    20
#define N_DEAF    5
#define N_CROWD   (N_SILENT + N_HALF + N_DEAF)
#define N_TRIPS   500
#define PATIENCE  300 /* ms; how long the server has does not matter to the test */
#define N_WORKERS 2

/* ---- those who do not behave ---------------------------------------------------------------- */

static int connect_ready(void)
{
        uint8_t hello[RAW_HELLO_SIZE], ack[RAW_ACK_SIZE];
        int fd = raw_connect(SERVER_CHILD_SERVICE, SOCK_SEQPACKET);

        raw_hello(hello);
        tap_check(raw_send(fd, hello, sizeof(hello)));
        tap_eq_int(raw_receive(fd, ack, sizeof(ack)), RAW_ACK_SIZE);
        tap_eq_uint(raw_get16(ack, RAW_STATUS), 0);
        return fd;
}

static int make_silent(void)
{
        return raw_connect(SERVER_CHILD_SERVICE, SOCK_SEQPACKET);
}

static int make_half(void)
{
        uint8_t packet[RAW_HEADER_SIZE];
        int fd = connect_ready();

        raw_header(packet, 1, 1, 8, 1, 1);
        tap_check(raw_send(fd, packet, sizeof(packet))); /* of which the payload never comes */
        return fd;
}

/* Asks as long as the server takes it, and reads no answer. */
static void ask_on(int fd)
{
        uint8_t packet[RAW_HEADER_SIZE + 8] = {0};
        struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

        raw_header(packet, 1, 1, 8, 1, 1);
        for (unsigned n = 0; n < 100000; n++)
                if (send(fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
                    poll(&pollfd, 1, 20) <= 0)
                        break; /* the server reads no more, or is slow */
}

static int make_deaf(void)
{
        int fd = connect_ready();

        ask_on(fd);
        return fd;
}

static void make_crowd(struct pollfd *fds)
{
        util_waiting_for("the crowd to come");
        for (unsigned i = 0; i < N_CROWD; i++) {
                fds[i].fd = i < N_DEAF            ? make_deaf()
                            : i < N_DEAF + N_HALF ? make_half()
                                                  : make_silent();
                fds[i].events = 0; /* POLLHUP comes unasked */
                tap_check(fds[i].fd >= 0);
        }
}

/* As many requests as there is room for, all the time, until killed. */
static int flood(uint32_t profile)
{
        const struct nipc_session_config defaults = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session_config config = defaults;
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                     .code = NIPC_METHOD_INCREMENT,
                                     .item_count = 1};
        struct nipc_session *session;
        struct nipc_message message;
        uint64_t payload = 1;
        int r;

        config.run_dir = util_dir();
        config.service = SERVER_CHILD_SERVICE;
        config.supported_profiles = config.preferred_profiles = profile;
        if (nipc_session_open(&config, util_soon(), &session, NULL) < 0)
                return 1;
        for (;;) {
                do {
                        header.message_id++;
                        r = nipc_session_send(session, &header, &payload, sizeof(payload),
                                              NIPC_DEADLINE_NOW);
                } while (r == 0);
                if (r != -EAGAIN && r != -EBUSY)
                        return 2;
                do {
                        r = nipc_session_receive(session, util_soon(), &message);
                } while (r == 0 && nipc_session_get_in_flight(session) > 100);
                if (r < 0)
                        return 3;
                if (nipc_session_has_pending(session))
                        (void)nipc_session_flush(session, NIPC_DEADLINE_NOW);
        }
}

static pid_t start_flood(uint32_t profile)
{
        pid_t pid;

        fflush(NULL); /* or both would print what is still to be printed */
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                util_arm_watchdog();
                _exit(flood(profile));
        }
        return pid;
}

static void stop_flood(pid_t pid)
{
        int status = 0;

        kill(pid, SIGKILL);
        tap_check(waitpid(pid, &status, 0) == pid);
        tap_check(WIFSIGNALED(status)); /* it did not end by itself */
}

/* ---- the one that does ---------------------------------------------------------------------- */

static void be_polite(uint32_t profile)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;
        uint64_t value = 0;

        config.run_dir = util_dir();
        config.service = SERVER_CHILD_SERVICE;
        config.profiles = profile;
        util_waiting_for("answers to the polite client");
        tap_require(util_eq_error(nipc_client_new(&config, &client), 0));
        nipc_client_refresh(client);
        for (uint64_t i = 0; i < N_TRIPS; i++)
                if (!util_eq_error(nipc_client_increment(client, i, 0, &value), 0) ||
                    !tap_eq_uint(value, i + 1))
                        break;
        nipc_client_free(client);
}

static void wait_until_cut(struct pollfd *fds)
{
        util_waiting_for("those who keep the server waiting to be cut off");
        for (unsigned i = 0; i < N_CROWD; i++) {
                /* A server that was but slow then still has room for the answers. */
                while (poll(&fds[i], 1, i < N_DEAF ? 100 : -1) <= 0)
                        if (i < N_DEAF)
                                ask_on(fds[i].fd);
                tap_check(fds[i].revents & (POLLHUP | POLLERR));
                close(fds[i].fd);
        }
}

static void check_memory(const struct server_usage *empty, const struct server_usage *full,
                         const struct nipc_server_needs *plan)
{
        printf("# private KiB: %llu, then %llu; planned for all sessions: %llu\n",
               (unsigned long long)empty->private_bytes / 1024,
               (unsigned long long)full->private_bytes / 1024,
               (unsigned long long)plan->busy_bytes / 1024);
        if (server_child_has_true_memory())
                tap_check(full->private_bytes <= empty->private_bytes + plan->busy_bytes);
}

static void try_profile(uint32_t profile)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        struct server_child child = {.pid = -1};
        struct server_usage empty, full;
        struct pollfd fds[N_CROWD];
        pid_t flooding;

        if (profile & ~nipc_profile_get_available())
                tap_skip("not in this build");
        config.n_workers = N_WORKERS;
        config.profiles = NIPC_PROFILE_BASELINE | profile;
        config.max_sessions = N_HALF + N_DEAF + 2;
        config.max_request_bytes = config.max_response_bytes = 4096;
        config.handshake_timeout_ms = config.request_timeout_ms = config.response_timeout_ms =
                PATIENCE;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        tap_require(server_child_start(&child, &config));
        empty = server_child_get_usage(&child);
        make_crowd(fds);
        flooding = start_flood(profile);
        tap_require(flooding > 0);
        be_polite(profile);
        full = server_child_get_usage(&child);
        check_memory(&empty, &full, &plan);
        wait_until_cut(fds);
        be_polite(profile);
        stop_flood(flooding);
        server_child_wait_quiet(&child, &empty);
        be_polite(profile);
        tap_check(server_child_stop(&child));
}

static void test_baseline(void)
{
        try_profile(NIPC_PROFILE_BASELINE);
}

static void test_ring(void)
{
        try_profile(NIPC_PROFILE_RING);
}

UTIL_MAIN(TAP_CASE(test_baseline), TAP_CASE(test_ring))
