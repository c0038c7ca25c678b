/* SPDX-License-Identifier: MIT */

/*
 * Shared memory where it cannot be had, and peers that are killed: calls go on without it and say
 * why, and nobody leaves a file behind for longer than he lives.
 */

#include "util-env.h"
#include "util-raw.h"
#include "util-shm-peer.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/client.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROFILES (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID)

static bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static struct nipc_server *serve(const char *run_dir, uint32_t max_bytes)
{
        const struct nipc_increment_handler handler = {.size = sizeof(handler),
                                                       .increment = increment};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = NULL;

        config.run_dir = run_dir;
        config.service = "svc";
        config.profiles = PROFILES;
        config.n_workers = 1;
        config.max_request_bytes = config.max_response_bytes = max_bytes;
        util_eq_error(nipc_server_new_increment(&config, &handler, &server), 0);
        util_eq_error(nipc_server_start(server), 0);
        return server;
}

static struct nipc_client *ask(const char *run_dir, const char *service)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;

        config.run_dir = run_dir;
        config.service = service;
        config.profiles = PROFILES;
        util_eq_error(nipc_client_new(&config, &client), 0);
        nipc_client_refresh(client);
        return client;
}

static struct nipc_client_status status_of(const struct nipc_client *client)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        nipc_client_get_status(client, &status);
        return status;
}

static void check_calls(struct nipc_client *client, uint32_t profile)
{
        uint64_t value = 0;

        tap_eq_uint(status_of(client).profile, profile);
        for (unsigned i = 0; i < 100; i++)
                util_eq_error(nipc_client_increment(client, value, 0, &value), 0);
        tap_eq_uint(value, 100);
}

/* ---- full ----------------------------------------------------------------------------------- */

static void fill_up(const char *path)
{
        static const char bytes[4096];
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        while (write(fd, bytes, sizeof(bytes)) > 0)
                ;
        close(fd);
}

static void try_full(const char *dir)
{
        struct nipc_server *server = serve(dir, 600 * 1024);
        struct nipc_client *client = ask(dir, "svc"), *late;

        check_calls(client, NIPC_PROFILE_BASELINE);
        tap_eq_uint(status_of(client).refused_profiles, NIPC_PROFILE_SHM_HYBRID);
        tap_check(status_of(client).downgrade_error < 0 && status_of(client).downgrade_step);
        tap_check(!exists(util_path("full/svc-0000000000000001.ipcshm")));
        nipc_client_free(client);
        nipc_server_free(server);

        /* What was reserved stays usable, whatever becomes of the rest. */
        server = serve(dir, 4096);
        client = ask(dir, "svc");
        fill_up(util_path("full/rest"));
        check_calls(client, NIPC_PROFILE_SHM_HYBRID);
        late = ask(dir, "svc");
        check_calls(late, NIPC_PROFILE_BASELINE);
        nipc_client_free(late);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_full_run_dir(void)
{
        char dir[400];

        snprintf(dir, sizeof(dir), "%s", util_path("full"));
        tap_check(mkdir(dir, 0700) == 0);
        if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0)
                tap_skip("cannot mount a small file system");
        try_full(dir);
        tap_check(umount(dir) == 0);
}

/* ---- refused by the system ------------------------------------------------------------------ */

/* A handshake under this limit. Returns the reason that the server gives for its baseline. */
static int handshake_under(int resource, rlim_t limit, const char **ret_step)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        uint8_t hello[RAW_HELLO_SIZE], ack[RAW_ACK_SIZE];
        struct rlimit before, less;
        int fd;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = config.preferred_profiles = PROFILES;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_PROFILES, 3);
        fd = raw_connect("svc", SOCK_SEQPACKET);
        tap_check(raw_send(fd, hello, sizeof(hello)));
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        getrlimit(resource, &before);
        less = before;
        less.rlim_cur = limit;
        setrlimit(resource, &less);
        util_eq_error(nipc_session_handshake(session, util_soon()), 0);
        setrlimit(resource, &before);
        tap_eq_int(raw_receive(fd, ack, sizeof(ack)), RAW_ACK_SIZE);
        tap_eq_uint(raw_get32(ack, RAW_ACK_SELECTED), 1);
        tap_eq_uint(raw_get32(ack, RAW_ACK_PROFILES), 1);
        nipc_session_get_info(session, &info);
        tap_eq_uint(info.refused_profiles, NIPC_PROFILE_SHM_HYBRID);
        tap_check(!exists(shm_peer_path("svc", 1)));
        nipc_session_close(session);
        nipc_listener_close(listener);
        close(fd);
        *ret_step = info.downgrade_step;
        return info.downgrade_error;
}

static void test_limits(void)
{
        const char *step = NULL;

        util_eq_error(handshake_under(RLIMIT_NOFILE, 3, &step), -EMFILE);
        tap_eq_str(step, "creating the region");
        util_eq_error(handshake_under(RLIMIT_FSIZE, 100, &step), -EFBIG); /* and no SIGXFSZ */
        tap_eq_str(step, "reserving the region");
}

/* ---- killed --------------------------------------------------------------------------------- */

static pid_t start_child(void (*play)(void))
{
        pid_t parent = getpid(), pid = fork();

        if (pid)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(98);
        util_arm_watchdog();
        play();
        for (;;)
                pause();
}

static void end_child(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void play_client(void)
{
        struct nipc_client *client = ask(util_dir(), "svc");
        uint64_t value = 0;

        while (!nipc_client_is_ready(client))
                nipc_client_refresh(client);
        while (nipc_client_increment(client, value, 0, &value) == 0)
                ;
        _exit(1);
}

static void wait_for_file(const char *path, bool there)
{
        util_waiting_for(there ? "a region to appear" : "a region to go");
        while (exists(path) != there)
                sched_yield();
}

static void test_killed_client(void)
{
        char path[400];
        struct nipc_server *server;
        pid_t pid;

        snprintf(path, sizeof(path), "%s", shm_peer_path("svc", 1));
        util_dir();
        pid = fork();
        if (pid == 0) { /* forks while there is one thread, asks when there is somebody to ask */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                util_arm_watchdog();
                while (!exists(util_path("svc.sock")))
                        sched_yield();
                play_client();
        }
        server = serve(util_dir(), 4096);
        wait_for_file(path, true);
        end_child(pid);
        wait_for_file(path, false);
        nipc_server_free(server);
}

static void play_server(void)
{
        serve(util_dir(), 4096);
}

/* Nothing but the next server of that name is needed to clean up, whoever has the PID by then. */
static void test_killed_server(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;
        struct nipc_client *client;
        uint64_t value = 0;
        char path[400];
        pid_t pid;

        pid = start_child(play_server);
        client = ask(util_dir(), "svc");
        util_waiting_for("a server");
        while (!nipc_client_is_ready(client))
                nipc_client_refresh(client);
        check_calls(client, NIPC_PROFILE_SHM_HYBRID);
        snprintf(path, sizeof(path), "%s", shm_peer_path("svc", status_of(client).session_id));
        tap_check(exists(path));
        end_child(pid);
        tap_check(nipc_client_increment(client, 1, 0, &value) < 0);
        tap_check(exists(path));
        config.run_dir = util_dir();
        config.service = "svc";
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        tap_check(!exists(path));
        nipc_listener_close(listener);
        nipc_client_free(client);
}

/* ---- taken away ----------------------------------------------------------------------------- */

/* The region goes before its session, and a stranger has the name: it is not ours to remove. */
static void test_name_taken(void)
{
        struct nipc_server *server = serve(util_dir(), 4096);
        uint8_t hello[RAW_HELLO_SIZE];
        struct shm_peer peer;
        const char *path = util_path("svc-0000000000000001.ipcshm");

        raw_hello(hello);
        if (tap_check(shm_peer_connect(&peer, "svc", hello))) {
                tap_check(unlink(path) == 0);
                tap_check(shm_peer_create(path, getpid(), 1, 64, 64));
        }
        nipc_server_free(server);
        tap_check(exists(path));
        unlink(path);
        shm_peer_close(&peer);
}

/* ---- a profile that fails is not asked for all the time ------------------------------------- */

struct liar {
        int listen_fd;
        uint32_t offered[5];
        int fds[5];
        bool good;
};

/* Says SHM to whoever offers it, and has none. */
static void *liar_main(void *userdata)
{
        struct liar *liar = userdata;
        uint8_t hello[128], ack[RAW_ACK_SIZE];

        liar->good = true;
        for (unsigned i = 0; i < 5; i++) {
                raw_ack(ack);
                liar->fds[i] = raw_accept(liar->listen_fd);
                liar->good = liar->good && raw_receive(liar->fds[i], hello, sizeof(hello)) > 0;
                liar->offered[i] = raw_get32(hello, RAW_HELLO_PROFILES);
                raw_put32(ack, RAW_ACK_SELECTED, liar->offered[i] & 2 ? 2 : 1);
                liar->good = liar->good && raw_send(liar->fds[i], ack, sizeof(ack));
        }
        return NULL;
}

/* Gives the session up, and asks for another. */
static void reconnect(struct nipc_client *client)
{
        nipc_client_cancel(client);
        nipc_client_reset_cancel(client);
        nipc_client_refresh(client);
        tap_check(nipc_client_is_ready(client));
}

static void test_back_off(void)
{
        static const uint32_t expected[] = {3, 1, 1, 3, 1};
        struct liar liar = {.listen_fd = raw_listen("liar", SOCK_SEQPACKET, 5)};
        struct nipc_client *client;
        pthread_t thread;

        tap_require(pthread_create(&thread, NULL, liar_main, &liar) == 0);
        client = ask(util_dir(), "liar"); /* 3, and then 1 */
        tap_eq_uint(status_of(client).profile, NIPC_PROFILE_BASELINE);
        tap_eq_uint(status_of(client).refused_profiles, NIPC_PROFILE_SHM_HYBRID);
        reconnect(client); /* 1: not so soon */
        poll(NULL, 0, 1050);
        reconnect(client); /* 3, and then 1 */
        pthread_join(thread, NULL);
        tap_check(liar.good);
        tap_eq_mem(liar.offered, sizeof(liar.offered), expected, sizeof(expected));
        nipc_client_free(client);
        for (unsigned i = 0; i < 5; i++)
                close(liar.fds[i]);
        close(liar.listen_fd);
        unlink(util_path("liar.sock"));
}

UTIL_MAIN(TAP_CASE(test_killed_client), TAP_CASE(test_killed_server), TAP_CASE(test_full_run_dir),
          TAP_CASE(test_limits), TAP_CASE(test_name_taken), TAP_CASE(test_back_off))
