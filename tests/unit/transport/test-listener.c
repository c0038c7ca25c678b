/* SPDX-License-Identifier: MIT */

/* A listener: the permissions of its endpoint, whom it lets in, and what it leaves behind. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_FILE "svc.sock"
#define LOCK_FILE   "svc.lock"

static struct nipc_listener_config make_config(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        return config;
}

static struct nipc_listener *open_default(void)
{
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener = NULL;

        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

static int file_mode(const char *name)
{
        struct stat st;

        return lstat(util_path(name), &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* ---- permissions ---------------------------------------------------------------------------- */

static void try_mode(mode_t mask, uint32_t mode)
{
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener = NULL;
        mode_t old = umask(mask);

        config.mode = mode;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        tap_eq_int(umask(old), mask); /* the process's, not ours to change */
        if (!tap_eq_int(file_mode(SOCKET_FILE), mode ? (int)mode : 0600))
                tap_note("umask %03o, mode %03o", (unsigned)mask, mode);
        nipc_listener_close(listener);
}

static void test_mode(void)
{
        static const mode_t masks[] = {0, 0002, 0022, 0027, 0077, 0177, 0777};
        static const uint32_t modes[] = {0, 0600, 0660, 0666, 0640, 0777, 0200, 0620};

        for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
                for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++)
                        try_mode(masks[i], modes[j]);
}

struct watcher {
        const char *path;
        atomic_bool stop;
        unsigned seen; /* all permission bits there ever were */
        unsigned n_looks;
};

static void *watch_mode(void *userdata)
{
        struct watcher *watcher = userdata;
        struct stat st;

        while (!atomic_load(&watcher->stop)) {
                if (lstat(watcher->path, &st) == 0) {
                        watcher->seen |= st.st_mode & 07777;
                        watcher->n_looks++;
                }
                sched_yield();
        }
        return NULL;
}

/* Somebody looks all the time, and never sees more than was asked for. */
static void test_never_wider(void)
{
        struct watcher watcher = {.path = util_path(SOCKET_FILE)};
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener;
        mode_t old = umask(0);
        pthread_t thread;

        tap_require(pthread_create(&thread, NULL, watch_mode, &watcher) == 0);
        for (unsigned i = 0; i < 1000; i++) {
                config.mode = i % 2 ? 0600 : 0400;
                umask(i % 3 ? 0 : 0077);
                if (!util_eq_error(nipc_listener_open(&config, &listener), 0))
                        break;
                nipc_listener_close(listener);
        }
        atomic_store(&watcher.stop, true);
        pthread_join(thread, NULL);
        umask(old);
        tap_note("looked %u times", watcher.n_looks);
        tap_eq_uint(watcher.seen & ~0600u, 0);
}

static void test_lock_mode(void)
{
        mode_t old = umask(0);
        struct nipc_listener *listener = open_default();

        umask(old);
        tap_eq_int(file_mode(LOCK_FILE), 0600);
        nipc_listener_close(listener);
}

static void test_owner(void)
{
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener = NULL;
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        struct stat st;

        if (geteuid() != 0)
                tap_skip("only root can give files away");
        config.mode = 0660;
        config.set_owner = true;
        config.uid = 65534;
        config.gid = 65533;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        tap_require(lstat(util_path(SOCKET_FILE), &st) == 0);
        tap_eq_uint(st.st_uid, 65534);
        tap_eq_uint(st.st_gid, 65533);
        tap_eq_int(file_mode(SOCKET_FILE), 0660);
        util_eq_error(nipc_endpoint_probe(util_dir(), "svc", true, &info), 0);
        tap_eq_int(info.uid, 65534);
        tap_eq_uint(info.mode, 0660);
        nipc_listener_close(listener);
        tap_eq_int(file_mode(SOCKET_FILE), -1);
}

/* ---- ownership ------------------------------------------------------------------------------ */

static void test_second_listener(void)
{
        struct nipc_listener *first = open_default(), *second = NULL;
        struct nipc_listener_config config = make_config();

        for (unsigned i = 0; i < 20; i++)
                util_eq_error(nipc_listener_open(&config, &second), -EADDRINUSE);
        tap_eq_ptr(second, NULL);
        first = nipc_listener_close(first);
        tap_eq_ptr(first, NULL);
        util_eq_error(nipc_listener_open(&config, &second), 0);
        nipc_listener_close(second);
        nipc_listener_close(NULL);
}

static void test_close_removes(void)
{
        struct nipc_listener *listener = open_default();

        tap_eq_str(nipc_listener_get_path(listener), util_path(SOCKET_FILE));
        tap_eq_int(file_mode(SOCKET_FILE), 0600);
        nipc_listener_close(listener);
        tap_eq_int(file_mode(SOCKET_FILE), -1);
        tap_eq_int(file_mode(LOCK_FILE), -1);
        util_eq_error(raw_connect("svc", SOCK_SEQPACKET), -ENOENT);
}

/* Somebody took our file away and put his own there: that one is not ours to remove. */
static void test_close_leaves_others(void)
{
        struct nipc_listener *listener = open_default();
        int fd, peer;

        util_remove(util_path(SOCKET_FILE));
        fd = raw_listen("svc", SOCK_SEQPACKET, 16);
        tap_check(fd >= 0);
        nipc_listener_close(listener);
        peer = raw_connect("svc", SOCK_SEQPACKET);
        tap_check(peer >= 0);
        close(peer);
        close(fd);
        util_remove(util_path(SOCKET_FILE));
}

static void test_failed_open_leaves_nothing(void)
{
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener = NULL;
        int n_fds = util_count_fds();

        tap_check(mkdir(util_path(SOCKET_FILE), 0700) == 0);
        tap_check(mkdir(util_path(SOCKET_FILE "/x"), 0700) == 0);
        util_eq_error(nipc_listener_open(&config, &listener), -EADDRINUSE);
        tap_eq_int(file_mode(LOCK_FILE), -1);
        util_remove(util_path(SOCKET_FILE));
        config.run_dir = util_path("nowhere");
        util_eq_error(nipc_listener_open(&config, &listener), -ENOENT);
        config.run_dir = "/proc/self/status";
        util_eq_error(nipc_listener_open(&config, &listener), -ENOTDIR);
        tap_eq_ptr(listener, NULL);
        tap_eq_int(util_count_fds(), n_fds);
}

/* ---- what others inherit -------------------------------------------------------------------- */

static void test_nothing_inherited_by_exec(void)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_listener *listener = open_default();
        struct nipc_session *session = NULL, *client = NULL;
        struct nipc_poller *poller = NULL;
        struct nipc_cancel *cancel = NULL;
        uint8_t ack[RAW_ACK_SIZE];
        struct raw_server server;
        int fd = raw_connect("svc", SOCK_SEQPACKET);

        raw_ack(ack);
        tap_require(raw_server_start(&server, "other", ack, sizeof(ack)));
        util_eq_error(nipc_poller_new(&poller), 0);
        util_eq_error(nipc_cancel_new(&cancel), 0);
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        config.run_dir = util_dir();
        config.service = "other";
        config.cancel = cancel;
        util_eq_error(nipc_session_open(&config, util_soon(), &client, NULL), 0);
        tap_eq_int(util_count_inheritable_fds(), 0);
        nipc_session_close(client);
        close(raw_server_join(&server));
        tap_eq_int(util_count_inheritable_fds(), 0);
        nipc_session_close(session);
        nipc_poller_free(poller);
        nipc_cancel_free(cancel);
        nipc_listener_close(listener);
        close(fd);
}

/* A child that lives on does not keep the name from whoever wants it next. */
static void test_child_does_not_own(void)
{
        struct nipc_listener *listener = open_default();
        int gate[2], status;
        char byte;
        pid_t pid;

        tap_require(pipe(gate) == 0);
        pid = fork();
        if (pid == 0) {
                close(gate[1]);
                _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
        }
        nipc_listener_close(listener);
        util_eq_error(raw_connect("svc", SOCK_SEQPACKET), -ENOENT);
        listener = open_default();
        nipc_listener_close(listener);
        tap_eq_int(waitpid(pid, &status, WNOHANG), 0); /* it was there all the time */
        close(gate[0]);
        close(gate[1]);
        tap_check(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- accepting ------------------------------------------------------------------------------ */

static void test_accept_waits(void)
{
        struct nipc_listener *listener = open_default();
        struct nipc_session *session = NULL;
        struct pollfd pollfd = {nipc_listener_get_fd(listener), POLLIN, 0};
        uint64_t deadline_ns = nipc_deadline_after_ms(30);
        int fd;

        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_NOW, &session), -EAGAIN);
        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_LINGER, &session), -EAGAIN);
        util_eq_error(nipc_listener_accept(listener, deadline_ns, &session), -ETIMEDOUT);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        util_eq_error(nipc_listener_accept(listener, deadline_ns, &session), -ETIMEDOUT);
        util_eq_error(nipc_listener_accept(NULL, util_soon(), &session), -EINVAL);
        util_eq_error(nipc_listener_accept(listener, util_soon(), NULL), -EINVAL);
        tap_eq_ptr(session, NULL);
        tap_eq_int(poll(&pollfd, 1, 0), 0);
        fd = raw_connect("svc", SOCK_SEQPACKET);
        tap_eq_int(poll(&pollfd, 1, 0), 1);
        /* A client that waits is taken whatever the deadline. */
        util_eq_error(nipc_listener_accept(listener, deadline_ns, &session), 0);
        tap_check(session != NULL);
        nipc_session_close(session);
        tap_check(raw_is_closed(fd));
        close(fd);
        nipc_listener_close(listener);
        tap_eq_ptr(nipc_listener_get_path(NULL), NULL);
}

struct guard {
        struct nipc_peer seen;
        unsigned n_calls;
        bool answer;
};

static bool guard_authorize(void *userdata, const struct nipc_peer *peer)
{
        struct guard *guard = userdata;

        guard->seen = *peer;
        guard->n_calls++;
        return guard->answer;
}

static void test_authorize(void)
{
        struct nipc_listener_config config = make_config();
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        struct guard guard = {.answer = false};
        int fd;

        config.authorize = guard_authorize;
        config.userdata = &guard;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_NOW, &session), -EAGAIN);
        tap_eq_uint(guard.n_calls, 0);
        fd = raw_connect("svc", SOCK_SEQPACKET);
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), -EACCES);
        tap_eq_ptr(session, NULL);
        tap_check(raw_is_closed(fd)); /* and was told nothing */
        close(fd);
        tap_eq_int(guard.seen.pid, getpid());
        tap_eq_int(guard.seen.uid, geteuid());
        tap_eq_int(guard.seen.gid, getegid());
        guard.answer = true;
        fd = raw_connect("svc", SOCK_SEQPACKET);
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        tap_eq_uint(guard.n_calls, 2);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
}

/* Sessions that were accepted do not need the listener any more. */
static void test_session_outlives_listener(void)
{
        struct nipc_listener *listener = open_default();
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];
        int fd = raw_connect("svc", SOCK_SEQPACKET);

        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        nipc_listener_close(listener);
        raw_hello(packet);
        tap_check(raw_send(fd, packet, RAW_HELLO_SIZE));
        util_eq_error(nipc_session_handshake(session, util_soon()), 0);
        tap_eq_int(raw_receive(fd, packet, sizeof(packet)), RAW_ACK_SIZE);
        nipc_session_close(session);
        close(fd);
}

/* Clients that connected and were not accepted learn that the server is gone. */
static void test_close_drops_queued(void)
{
        struct nipc_listener *listener = open_default();
        int fd = raw_connect("svc", SOCK_SEQPACKET);

        nipc_listener_close(listener);
        tap_check(raw_is_closed(fd));
        close(fd);
}

UTIL_MAIN(TAP_CASE(test_mode), TAP_CASE(test_never_wider), TAP_CASE(test_lock_mode),
          TAP_CASE(test_owner), TAP_CASE(test_second_listener), TAP_CASE(test_close_removes),
          TAP_CASE(test_close_leaves_others), TAP_CASE(test_failed_open_leaves_nothing),
          TAP_CASE(test_nothing_inherited_by_exec), TAP_CASE(test_child_does_not_own),
          TAP_CASE(test_accept_waits), TAP_CASE(test_authorize),
          TAP_CASE(test_session_outlives_listener), TAP_CASE(test_close_drops_queued))
