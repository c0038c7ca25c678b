/* SPDX-License-Identifier: MIT */

/*
 * Endpoints that come from somebody else: a service manager's socket, and the hand-over from one
 * server to the next. Both servers live in this process, which is all the same to the descriptors.
 */

#include <errno.h>
#include <nipc/endpoint.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

#define SERVICE     "hand-over"
#define N_THREADS   4u
#define N_HAND_OVER 50u

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static int new_server(uint32_t profiles, int listen_fd, int lock_fd, struct nipc_server **ret)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        int r;

        config.run_dir = util_run_dir();
        config.service = SERVICE;
        config.n_workers = 2;
        config.profiles = profiles;
        config.listen_fd = listen_fd;
        config.lock_fd = lock_fd;
        r = nipc_server_new_increment(&config, &handler, ret);
        return r < 0 ? r : nipc_server_start(*ret);
}

static bool exists(const char *suffix)
{
        char path[256];
        struct stat st;

        snprintf(path, sizeof(path), "%s/" SERVICE "%s", util_run_dir(), suffix);
        return lstat(path, &st) == 0;
}

static bool answers(void)
{
        struct nipc_client *client = util_client(SERVICE);
        uint64_t value = 0;
        int r;

        r = nipc_client_increment(client, 41, 0, &value);
        nipc_client_free(client);
        return r == 0 && value == 42;
}

/* A socket as a service manager makes them. Returns it, listening if asked to, or -1. */
static int bind_socket(const char *name, int type, bool listens)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", util_run_dir(), name);
        unlink(address.sun_path);
        fd = socket(AF_UNIX, type, 0);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            (listens && listen(fd, 10) < 0))
                return -1;
        return fd;
}

static void remove_socket(const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", util_run_dir(), name);
        unlink(path);
}

/* Clients that came before the server are served; the manager's socket survives it. */
static void test_activation(void)
{
        int fd = bind_socket(SERVICE ".sock", SOCK_SEQPACKET, true), early, i;
        struct nipc_server *server, *other = NULL;

        tap_require(fd >= 0);
        for (i = 0; i < 2; i++) {
                early = util_raw_connect(SERVICE);
                tap_require(util_raw_hello(early, 1));
                tap_eq_int(new_server(0, fd, 0, &server), 0);
                tap_eq_int(util_raw_ack(early, NULL), 0);
                tap_eq_int(new_server(0, fd, 0, &other), -EADDRINUSE);
                tap_check(answers());
                nipc_server_free(server);
                close(early);
                tap_check(exists(".sock"));
                tap_check(!exists(".lock"));
        }
        close(fd);
        remove_socket(SERVICE ".sock");
}

static void expect_refused(int listen_fd, int lock_fd, int error)
{
        struct nipc_server *server = NULL;

        tap_eq_int(new_server(0, listen_fd, lock_fd, &server), error);
        tap_eq_ptr(server, NULL);
}

static void test_other_descriptors(void)
{
        int pipe_fds[2], fd, other;

        expect_refused(-1, 0, -EINVAL);
        expect_refused(0, 5, -EINVAL);
        expect_refused(1000, 0, -EBADF);
        tap_require(pipe(pipe_fds) == 0);
        expect_refused(pipe_fds[0], 0, -EINVAL);
        fd = bind_socket(SERVICE ".sock", SOCK_STREAM, true);
        expect_refused(fd, 0, -EINVAL);
        close(fd);
        fd = bind_socket(SERVICE ".sock", SOCK_SEQPACKET, false);
        expect_refused(fd, 0, -EINVAL);
        other = bind_socket("other.sock", SOCK_SEQPACKET, true);
        expect_refused(other, 0, -EINVAL);
        tap_check(listen(fd, 10) == 0);
        expect_refused(fd, pipe_fds[0], -EINVAL);
        /* What the path leads to is another socket by now. */
        close(other);
        other = bind_socket(SERVICE ".sock", SOCK_SEQPACKET, true);
        close(other);
        remove_socket(SERVICE ".sock");
        expect_refused(fd, 0, -ENOENT);
        close(fd);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        remove_socket("other.sock");
        tap_check(!exists(".lock"));
}

/* A successor that fails takes nothing with it. */
static void test_successor_fails(void)
{
        struct nipc_server *server, *next = NULL;
        int listen_fd, lock_fd, pipe_fds[2];

        tap_eq_int(nipc_server_dup_fds(NULL, &listen_fd, &lock_fd), -EINVAL);
        tap_require(new_server(0, 0, 0, &server) == 0);
        tap_require(nipc_server_dup_fds(server, &listen_fd, &lock_fd) == 0);
        tap_require(pipe(pipe_fds) == 0);
        tap_eq_int(new_server(0, pipe_fds[0], lock_fd, &next), -EINVAL);
        tap_eq_int(new_server(0, listen_fd, pipe_fds[0], &next), -EINVAL);
        tap_eq_int(new_server(0, listen_fd, 0, &next), -EADDRINUSE);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        close(listen_fd);
        close(lock_fd);
        tap_check(answers());
        nipc_server_free(server);
        tap_check(!exists(".sock"));
        tap_check(!exists(".lock"));
}

/* ---- hand-over ---- */

/* The next server takes over from this one, which is freed. */
static struct nipc_server *hand_over(struct nipc_server *server, uint32_t profiles)
{
        struct nipc_server *next = NULL;
        int listen_fd, lock_fd;

        tap_eq_int(nipc_server_dup_fds(server, &listen_fd, &lock_fd), 0);
        tap_eq_int(new_server(profiles, listen_fd, lock_fd, &next), 0);
        close(listen_fd);
        close(lock_fd);
        tap_eq_int(nipc_server_hand_over(server, 20000), 0);
        tap_eq_int(nipc_server_dup_fds(server, &listen_fd, &lock_fd), -EINVAL);
        nipc_server_free(server);
        tap_check(exists(".sock"));
        tap_check(exists(".lock"));
        return next;
}

/* Who never asked is let go; that is not held against him. */
static void test_silent_hand_over(void)
{
        struct nipc_server *server, *next = NULL;
        struct nipc_server_metrics m;
        int fd, listen_fd, lock_fd, i;

        tap_require(new_server(0, 0, 0, &server) == 0);
        fd = util_raw_open(SERVICE, 1);
        tap_check(fd >= 0);
        tap_eq_int(nipc_server_dup_fds(server, &listen_fd, &lock_fd), 0);
        tap_eq_int(new_server(0, listen_fd, lock_fd, &next), 0);
        tap_eq_int(nipc_server_hand_over(server, 20000), 0);
        m = util_metrics(server);
        tap_eq_uint(m.sessions_opened[NIPC_METRICS_PROFILE_BASELINE], 1);
        tap_eq_uint(m.sessions_closed[NIPC_METRICS_PROFILE_BASELINE], 1);
        for (i = 0; i < NIPC_METRICS_N_TIMEOUTS; i++)
                tap_eq_uint(m.timeouts[i], 0);
        close(fd);
        close(listen_fd);
        close(lock_fd);
        nipc_server_free(server);
        nipc_server_free(next);
}

static void test_idle_hand_over(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        struct nipc_server *server, *other = NULL;
        unsigned i;

        tap_require(new_server(0, 0, 0, &server) == 0);
        for (i = 0; i < 3; i++) {
                server = hand_over(server, 0);
                tap_require(server != NULL);
                tap_check(answers());
                tap_eq_int(new_server(0, 0, 0, &other), -EADDRINUSE);
        }
        tap_eq_int(nipc_endpoint_probe(util_run_dir(), SERVICE, false, &info), 0);
        tap_eq_int(info.pid, getpid());
        nipc_server_free(server);
        tap_check(!exists(".sock"));
        tap_check(!exists(".lock"));
}

struct looper {
        pthread_t thread;
        uint32_t profiles;
        bool stays; /* one client for all calls, not one for each */
        atomic_ulong n_good;
};

static atomic_bool is_over;

/* Every attempt to connect succeeds, and every call is answered. */
static void *loop(void *userdata)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct looper *looper = userdata;
        struct nipc_client *client = NULL;
        uint64_t value, n;

        config.run_dir = util_run_dir();
        config.service = SERVICE;
        config.profiles = looper->profiles;
        for (n = 0; !atomic_load(&is_over); n++) {
                if (!client) {
                        if (nipc_client_new(&config, &client) < 0)
                                break;
                        nipc_client_refresh(client);
                        if (!nipc_client_is_ready(client))
                                tap_fail("refused: %s",
                                         nipc_client_state_name(nipc_client_get_state(client)));
                }
                value = 0;
                tap_eq_int(nipc_client_increment(client, n, 20000, &value), 0);
                tap_eq_uint(value, n + 1);
                atomic_fetch_add(&looper->n_good, 1);
                if (!looper->stays)
                        client = nipc_client_free(client);
        }
        nipc_client_free(client);
        return NULL;
}

static void run_hand_overs(uint32_t profiles, unsigned n_hand_overs)
{
        struct looper loopers[N_THREADS];
        struct nipc_server *server;
        unsigned long before;
        unsigned i, k;

        atomic_store(&is_over, false);
        tap_require(new_server(profiles, 0, 0, &server) == 0);
        for (i = 0; i < N_THREADS; i++) {
                loopers[i].profiles = profiles;
                loopers[i].stays = i % 2;
                atomic_init(&loopers[i].n_good, 0);
                tap_require(pthread_create(&loopers[i].thread, NULL, loop, &loopers[i]) == 0);
        }
        for (k = 0; k < n_hand_overs && server; k++) {
                server = hand_over(server, profiles);
                for (i = 0; i < N_THREADS; i++) {
                        before = atomic_load(&loopers[i].n_good);
                        while (atomic_load(&loopers[i].n_good) == before)
                                sched_yield();
                }
        }
        atomic_store(&is_over, true);
        for (i = 0; i < N_THREADS; i++)
                pthread_join(loopers[i].thread, NULL);
        nipc_server_free(server);
}

static void test_nobody_is_refused_baseline(void)
{
        run_hand_overs(NIPC_PROFILE_BASELINE, N_HAND_OVER);
}

static void test_nobody_is_refused_ring(void)
{
        run_hand_overs(NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING, N_HAND_OVER);
}

static void test_nobody_is_refused_shm(void)
{
        run_hand_overs(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, N_HAND_OVER);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_activation), TAP_CASE(test_other_descriptors),
         TAP_CASE(test_successor_fails), TAP_CASE(test_idle_hand_over),
         TAP_CASE(test_silent_hand_over), TAP_CASE(test_nobody_is_refused_baseline),
         TAP_CASE(test_nobody_is_refused_ring), TAP_CASE(test_nobody_is_refused_shm),
         TAP_CASE(test_leaks_nothing))
