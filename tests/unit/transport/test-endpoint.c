/* SPDX-License-Identifier: MIT */

/*
 * Endpoints by name: what may be removed and what must not. The rule that every case comes back to:
 * what is alive, or not proven dead, is still there and still works afterwards.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_listener(const char *service, struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = service;
        return nipc_listener_open(&config, ret_listener);
}

static struct nipc_endpoint_info probe(const char *service, bool connect_probe)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};

        util_eq_error(nipc_endpoint_probe(util_dir(), service, connect_probe, &info), 0);
        tap_eq_uint(info.size, sizeof(info));
        return info;
}

static void make_file(const char *name)
{
        int fd = open(util_path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        tap_check(fd >= 0);
        close(fd);
}

static bool exists(const char *name)
{
        struct stat st;

        return lstat(util_path(name), &st) == 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

static void test_check_name(void)
{
        static const char *const good[] = {"a", "A-z_0.9", "...", ".a", "-", "_", "a.sock"};
        static const char *const bad[] = {"",    ".",    "..",   "a/b", "/",       "a b",
                                          "a\n", "\xc3", "a\\b", "a:b", "../../x", "a*"};

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                if (!util_eq_error(nipc_endpoint_check_name(good[i]), 0))
                        tap_note("name: %s", good[i]);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (!util_eq_error(nipc_endpoint_check_name(bad[i]), -EINVAL))
                        tap_note("name: %s", bad[i]);
        util_eq_error(nipc_endpoint_check_name(NULL), -EINVAL);
        for (unsigned c = 1; c < 256; c++) {
                const char name[] = {(char)c, 'x', 0};
                bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

                util_eq_error(nipc_endpoint_check_name(name), allowed ? 0 : -EINVAL);
        }
}

static void test_format_path(void)
{
        char path[NIPC_ENDPOINT_PATH_MAX] = "untouched";

        util_eq_error(nipc_endpoint_format_path(NULL, "a", path, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("", "a", path, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("/run", "", path, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("/run", "a/b", path, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("/run", NULL, path, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("/run", "a", NULL, sizeof(path)), -EINVAL);
        util_eq_error(nipc_endpoint_format_path("/run", "a", path, 11), -ENAMETOOLONG);
        util_eq_error(nipc_endpoint_format_path("/run", "a", path, 0), -ENAMETOOLONG);
        tap_eq_str(path, "untouched");
        util_eq_error(nipc_endpoint_format_path("/run", "a", path, 12), 0);
        tap_eq_str(path, "/run/a.sock");
        /* The run directory is used as it is. */
        util_eq_error(nipc_endpoint_format_path("x//./..", "a", path, sizeof(path)), 0);
        tap_eq_str(path, "x//./../a.sock");
}

/* A service whose path has `length` bytes. */
static void make_service(char *service, size_t length)
{
        size_t n = length - strlen(util_dir()) - strlen("/.sock");

        memset(service, 's', n);
        service[n] = 0;
}

/* A server that takes a name over says how much of a dead one it removed. */
static void test_stale_count(void)
{
        struct nipc_listener *listener = NULL;
        int fd;

        tap_eq_uint(nipc_listener_get_n_stale(NULL), 0);
        util_eq_error(open_listener("takeover", &listener), 0);
        tap_eq_uint(nipc_listener_get_n_stale(listener), 0);
        listener = nipc_listener_close(listener);
        fd = raw_listen("takeover", SOCK_SEQPACKET, 1);
        tap_require(fd >= 0);
        close(fd); /* the socket file stays */
        util_eq_error(open_listener("takeover", &listener), 0);
        tap_eq_uint(nipc_listener_get_n_stale(listener), 1);
        listener = nipc_listener_close(listener);
}

static void test_longest_path(void)
{
        struct nipc_listener *listener = NULL;
        struct nipc_endpoint_info info;
        char service[120], path[200];
        int fd;

        make_service(service, 107);
        util_eq_error(nipc_endpoint_format_path(util_dir(), service, path, sizeof(path)), 0);
        tap_eq_uint(strlen(path), 107);
        util_eq_error(open_listener(service, &listener), 0);
        tap_require(listener != NULL);
        info = probe(service, true);
        tap_eq_int(info.state, NIPC_ENDPOINT_LIVE);
        fd = raw_connect(service, SOCK_SEQPACKET);
        tap_check(fd >= 0);
        close(fd);
        listener = nipc_listener_close(listener);
        tap_check(!exists(strrchr(path, '/') + 1));
        util_eq_error(nipc_endpoint_clean(util_dir(), service), 0);
}

static void test_path_too_long(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info), .pid = 77};
        struct nipc_listener *listener = NULL;
        char service[300], path[400];

        for (size_t length = 108; length <= 260; length += 38) {
                make_service(service, length);
                util_eq_error(nipc_endpoint_format_path(util_dir(), service, path, sizeof(path)),
                              -ENAMETOOLONG);
                util_eq_error(open_listener(service, &listener), -ENAMETOOLONG);
                util_eq_error(nipc_endpoint_probe(util_dir(), service, true, &info), -ENAMETOOLONG);
                util_eq_error(nipc_endpoint_clean(util_dir(), service), -ENAMETOOLONG);
        }
        tap_eq_ptr(listener, NULL);
        tap_eq_int(info.pid, 77);
}

/* ---- list ----------------------------------------------------------------------------------- */

struct names {
        const char *dir;
        unsigned n_seen;
        unsigned n_alpha;
        int stop_with;
};

static int visit(void *userdata, const char *service)
{
        struct names *names = userdata;

        names->n_seen++;
        names->n_alpha += !strcmp(service, "list-a") || !strcmp(service, "list-b.sock");
        return names->stop_with;
}

static void test_list(void)
{
        struct names names = {0};

        make_file("list-a.sock");
        make_file("list-b.sock.sock");
        make_file("list-c.lock");
        make_file("list d.sock"); /* not a name */
        make_file(".sock");
        make_file("..sock");
        make_file("...sock");
        make_file("list-e.SOCK");
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &names), 0);
        tap_eq_uint(names.n_seen, 2);
        tap_eq_uint(names.n_alpha, 2);
        names = (struct names){.stop_with = 42};
        tap_eq_int(nipc_endpoint_list(util_dir(), visit, &names), 42);
        tap_eq_uint(names.n_seen, 1);
        names = (struct names){.stop_with = -EXDEV};
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &names), -EXDEV);
        util_eq_error(nipc_endpoint_list(util_path("nowhere"), visit, &names), -ENOENT);
        util_eq_error(nipc_endpoint_list(util_path("list-a.sock"), visit, &names), -ENOTDIR);
        util_eq_error(nipc_endpoint_list(NULL, visit, &names), -EINVAL);
        util_eq_error(nipc_endpoint_list(util_dir(), NULL, NULL), -EINVAL);
        util_remove(util_path("list-a.sock"));
        util_remove(util_path("list-b.sock.sock"));
}

/* ---- what is there: probe, clean, and a server that wants the name --------------------------- */

/* All three agree that `service` cannot be taken, and leave it. */
static void check_kept(const char *service, const char *file, enum nipc_endpoint_state state,
                       int clean_error)
{
        struct nipc_listener *listener = NULL;
        struct nipc_endpoint_info info = probe(service, true);

        tap_eq_int(info.state, state);
        tap_check(!info.locked);
        util_eq_error(nipc_endpoint_clean(util_dir(), service), clean_error);
        tap_check(exists(file));
        util_eq_error(open_listener(service, &listener), -EADDRINUSE);
        tap_eq_ptr(listener, NULL);
        tap_check(exists(file));
        tap_check(!exists("kept.lock"));
        nipc_listener_close(listener);
}

/* A server of ours takes the name whatever lies there. */
static void check_reclaimed(const char *service)
{
        struct nipc_listener *listener = NULL;
        int fd;

        util_eq_error(open_listener(service, &listener), 0);
        tap_require(listener != NULL);
        fd = raw_connect(service, SOCK_SEQPACKET);
        tap_check(fd >= 0);
        close(fd);
        nipc_listener_close(listener);
}

static void test_absent(void)
{
        struct nipc_endpoint_info info = probe("absent", true);

        tap_eq_int(info.state, NIPC_ENDPOINT_ABSENT);
        tap_check(!info.locked);
        tap_eq_int(info.pid, -1);
        tap_eq_int(info.uid, -1);
        util_eq_error(nipc_endpoint_clean(util_dir(), "absent"), 0);
        tap_check(!exists("absent.lock"));
        check_reclaimed("absent");
        tap_check(!exists("absent.sock"));
        tap_check(!exists("absent.lock"));
}

static void test_no_directory(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};

        util_eq_error(nipc_endpoint_probe(util_path("nowhere"), "a", true, &info), -ENOENT);
        util_eq_error(nipc_endpoint_clean(util_path("nowhere"), "a"), -ENOENT);
        util_eq_error(nipc_endpoint_probe(util_dir(), "a", true, NULL), -EINVAL);
        util_eq_error(nipc_endpoint_probe(util_dir(), "a/b", true, &info), -EINVAL);
        util_eq_error(nipc_endpoint_clean(util_dir(), ".."), -EINVAL);
        info.size = 3;
        util_eq_error(nipc_endpoint_probe(util_dir(), "a", true, &info), -EINVAL);
}

static void test_regular_file(void)
{
        make_file("file.sock");
        tap_eq_int(probe("file", true).state, NIPC_ENDPOINT_FOREIGN);
        util_eq_error(nipc_endpoint_clean(util_dir(), "file"), -EEXIST);
        tap_check(exists("file.sock"));
        tap_check(!exists("file.lock"));
        check_reclaimed("file"); /* as NetIPC v1 does, transport-posix §2 */
        tap_check(!exists("file.sock"));
}

static void test_empty_directory(void)
{
        tap_check(mkdir(util_path("empty.sock"), 0700) == 0);
        tap_eq_int(probe("empty", true).state, NIPC_ENDPOINT_FOREIGN);
        util_eq_error(nipc_endpoint_clean(util_dir(), "empty"), -EEXIST);
        tap_check(exists("empty.sock"));
        check_reclaimed("empty");
}

static void test_full_directory(void)
{
        tap_check(mkdir(util_path("kept.sock"), 0700) == 0);
        make_file("kept.sock/precious");
        check_kept("kept", "kept.sock/precious", NIPC_ENDPOINT_FOREIGN, -EEXIST);
        util_remove(util_path("kept.sock"));
}

static void test_fifo(void)
{
        tap_check(mkfifo(util_path("kept.sock"), 0600) == 0);
        check_kept("kept", "kept.sock", NIPC_ENDPOINT_FOREIGN, -EEXIST);
        util_remove(util_path("kept.sock"));
}

static void test_dangling_symlink(void)
{
        tap_check(symlink("nowhere", util_path("dangling.sock")) == 0);
        tap_eq_int(probe("dangling", true).state, NIPC_ENDPOINT_FOREIGN);
        util_eq_error(nipc_endpoint_clean(util_dir(), "dangling"), -EEXIST);
        check_reclaimed("dangling");
        tap_check(!exists("nowhere"));
}

/* Only the link may go, never what it points at. */
static void test_symlink_to_file(void)
{
        make_file("precious");
        tap_check(symlink("precious", util_path("linked.sock")) == 0);
        check_reclaimed("linked");
        tap_check(exists("precious"));
}

/* A name for somebody else's live endpoint is that server's, too. */
static void test_symlink_to_live(void)
{
        int fd = raw_listen("target", SOCK_SEQPACKET, 16);

        tap_check(symlink("target.sock", util_path("kept.sock")) == 0);
        check_kept("kept", "kept.sock", NIPC_ENDPOINT_FOREIGN, -EEXIST);
        util_remove(util_path("kept.sock"));
        util_remove(util_path("target.sock"));
        close(fd);
}

static void try_dead(int type, const char *what)
{
        close(raw_bind("dead", type));
        tap_note("%s", what);
        tap_eq_int(probe("dead", true).state, NIPC_ENDPOINT_DEAD);
        tap_eq_int(probe("dead", false).state, NIPC_ENDPOINT_FOREIGN);
        tap_eq_int(nipc_endpoint_clean(util_dir(), "dead"), 1);
        tap_check(!exists("dead.sock"));
        tap_check(!exists("dead.lock"));
        tap_eq_int(nipc_endpoint_clean(util_dir(), "dead"), 0);
        close(raw_bind("dead", type));
        check_reclaimed("dead");
        tap_check(!exists("dead.sock"));
}

static void test_dead_sockets(void)
{
        try_dead(SOCK_SEQPACKET, "SEQPACKET");
        try_dead(SOCK_STREAM, "STREAM");
        try_dead(SOCK_DGRAM, "DGRAM");
}

/* A server that knows nothing of our lock: it answers, and that is enough. */
static void try_live(int type, const char *what)
{
        int fd = type == SOCK_DGRAM ? raw_bind("kept", type) : raw_listen("kept", type, 16), peer;

        tap_note("%s", what);
        tap_require(fd >= 0);
        check_kept("kept", "kept.sock", NIPC_ENDPOINT_LIVE, -EBUSY);
        tap_eq_int(probe("kept", false).state, NIPC_ENDPOINT_FOREIGN);
        peer = raw_connect("kept", type);
        tap_check(peer >= 0);
        close(peer);
        util_remove(util_path("kept.sock"));
        close(fd);
}

static void test_live_without_lock(void)
{
        try_live(SOCK_SEQPACKET, "SEQPACKET");
        try_live(SOCK_STREAM, "STREAM");
        try_live(SOCK_DGRAM, "DGRAM");
}

static void test_live_with_full_backlog(void)
{
        int fds[64], fd = raw_listen("kept", SOCK_SEQPACKET, 1);
        size_t n = raw_fill_backlog("kept", fds, 64);

        tap_check(n > 0 && n < 64);
        check_kept("kept", "kept.sock", NIPC_ENDPOINT_LIVE, -EBUSY);
        while (n)
                close(fds[--n]);
        util_remove(util_path("kept.sock"));
        close(fd);
}

/* ---- the lock ------------------------------------------------------------------------------- */

static void test_locked(void)
{
        struct nipc_listener *listener = NULL, *second = NULL;
        struct nipc_endpoint_info info;

        tap_require(open_listener("locked", &listener) == 0);
        info = probe("locked", false); /* knows without asking the server */
        tap_eq_int(info.state, NIPC_ENDPOINT_LIVE);
        tap_check(info.locked);
        tap_eq_int(info.pid, getpid());
        tap_eq_int(info.uid, geteuid());
        tap_eq_uint(info.mode, 0600);
        util_eq_error(nipc_endpoint_clean(util_dir(), "locked"), -EBUSY);
        util_eq_error(open_listener("locked", &second), -EADDRINUSE);
        /* Even with nothing there to connect to, the name is the owner's. */
        util_remove(util_path("locked.sock"));
        tap_eq_int(probe("locked", true).state, NIPC_ENDPOINT_ABSENT);
        util_eq_error(open_listener("locked", &second), -EADDRINUSE);
        util_eq_error(nipc_endpoint_clean(util_dir(), "locked"), -EBUSY);
        tap_eq_ptr(second, NULL);
        listener = nipc_listener_close(listener);
        tap_check(!exists("locked.lock"));
        tap_eq_int(probe("locked", true).state, NIPC_ENDPOINT_ABSENT);
}

/* A lock file that nobody holds means nothing, and goes with the rest. */
static void test_stale_lock_file(void)
{
        make_file("stale.lock");
        tap_check(!probe("stale", true).locked);
        tap_eq_int(nipc_endpoint_clean(util_dir(), "stale"), 1);
        tap_check(!exists("stale.lock"));
        make_file("stale.lock");
        close(raw_bind("stale", SOCK_SEQPACKET));
        check_reclaimed("stale");
        tap_check(!exists("stale.lock"));
}

/* Not a lock file: whatever it is, it is not followed, opened for good, or removed. */
static void test_strange_lock_files(void)
{
        struct nipc_listener *listener = NULL;

        make_file("precious");
        tap_check(symlink("precious", util_path("strange.lock")) == 0);
        util_eq_error(open_listener("strange", &listener), -ELOOP);
        util_eq_error(nipc_endpoint_clean(util_dir(), "strange"), -ELOOP);
        tap_check(!probe("strange", true).locked);
        tap_check(exists("strange.lock"));
        util_remove(util_path("strange.lock"));
        tap_check(mkdir(util_path("strange.lock"), 0700) == 0);
        util_eq_error(open_listener("strange", &listener), -EISDIR);
        util_eq_error(nipc_endpoint_clean(util_dir(), "strange"), -EISDIR);
        tap_check(exists("strange.lock"));
        tap_eq_ptr(listener, NULL);
}

UTIL_MAIN(TAP_CASE(test_check_name), TAP_CASE(test_format_path), TAP_CASE(test_stale_count),
          TAP_CASE(test_longest_path), TAP_CASE(test_path_too_long), TAP_CASE(test_list),
          TAP_CASE(test_absent), TAP_CASE(test_no_directory), TAP_CASE(test_regular_file),
          TAP_CASE(test_empty_directory), TAP_CASE(test_full_directory), TAP_CASE(test_fifo),
          TAP_CASE(test_dangling_symlink), TAP_CASE(test_symlink_to_file),
          TAP_CASE(test_symlink_to_live), TAP_CASE(test_dead_sockets),
          TAP_CASE(test_live_without_lock), TAP_CASE(test_live_with_full_backlog),
          TAP_CASE(test_locked), TAP_CASE(test_stale_lock_file), TAP_CASE(test_strange_lock_files))
