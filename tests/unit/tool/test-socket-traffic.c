/* SPDX-License-Identifier: MIT */
/* Figures of real connections of this process and its children. Skipped where the kernel has none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <socket-traffic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <tap.h>
#include <unistd.h>

enum { N_BYTES = 10 * 1024 * 1024, NO_PID = 1 << 30, HOUR_MS = 3600 * 1000 };

/* NULL: said, and the case is over. */
#define OPEN_OR_SKIP(traffic, reuse_ms)                                       \
        struct socket_traffic *traffic = socket_traffic_open(reuse_ms, NULL); \
        if (!traffic)                                                         \
        tap_skip("no sock_diag here")

/* ---- a child that is connected to us --------------------------------------------------------- */

struct peer {
        pid_t pid;
        int fd;      /* our end of the connection */
        int control; /* the child ends when this is closed */
};

static bool transfer(int fd, bool out)
{
        static char bytes[65536];

        for (size_t at = 0; at < N_BYTES;) {
                const size_t size = MIN(sizeof(bytes), N_BYTES - at);
                const ssize_t n =
                        out ? send(fd, bytes, size, MSG_NOSIGNAL) : recv(fd, bytes, size, 0);

                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

/* Sends 10 MB, and waits for a byte that acknowledges all of them; says so; waits for the end. */
static void be_peer(const struct sockaddr *address, socklen_t size, int control)
{
        const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte = 0;

        if (connect(fd, address, size) == 0 && transfer(fd, true) && recv(fd, &byte, 1, 0) == 1 &&
            write(control, &byte, 1) == 1)
                while (read(control, &byte, 1) > 0)
                        ;
        _exit(0);
}

static int listen_on_loopback(int family, struct sockaddr_storage *address, socklen_t *size)
{
        const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        memset(address, 0, sizeof(*address));
        address->ss_family = (sa_family_t)family;
        if (family == AF_INET)
                ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_loopback;
        *size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (fd >= 0 && bind(fd, (struct sockaddr *)address, *size) == 0 && listen(fd, 1) == 0 &&
            getsockname(fd, (struct sockaddr *)address, size) == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        return -1;
}

/* False: there is no such network here. All bytes have gone through and are acknowledged. */
static bool peer_open(int family, struct peer *peer)
{
        struct sockaddr_storage address;
        int pair[2], listener;
        socklen_t size;
        char byte = 1;

        listener = listen_on_loopback(family, &address, &size);
        if (listener < 0)
                return false;
        tap_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        peer->pid = fork();
        if (peer->pid == 0) {
                close(listener);
                close(pair[0]);
                be_peer((struct sockaddr *)&address, size, pair[1]);
        }
        close(pair[1]);
        peer->control = pair[0];
        peer->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(listener);
        return tap_check(peer->fd >= 0 && transfer(peer->fd, false)) &&
               tap_check(send(peer->fd, &byte, 1, MSG_NOSIGNAL) == 1) &&
               tap_check(read(peer->control, &byte, 1) == 1);
}

static void peer_close(struct peer *peer)
{
        close(peer->control);
        close(peer->fd);
        tap_eq_int(waitpid(peer->pid, NULL, 0), peer->pid);
}

/* A child that does nothing until the returned descriptor is closed. */
static int start_idle(pid_t *ret_pid)
{
        int pair[2];
        char byte;

        tap_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        *ret_pid = fork();
        if (*ret_pid == 0) {
                close(pair[0]);
                while (read(pair[1], &byte, 1) > 0)
                        ;
                _exit(0);
        }
        close(pair[1]);
        return pair[0];
}

static struct process_traffic read_one(struct socket_traffic *traffic, pid_t pid)
{
        const uint32_t pids[] = {(uint32_t)pid};
        struct process_traffic result = {0};
        g_autoptr(GError) error = NULL;

        if (!socket_traffic_read(traffic, pids, 1, &result, &error))
                tap_fail("%s", error->message);
        return result;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void check_connection(int family)
{
        struct process_traffic before, results[2];
        struct peer peer;
        uint32_t pids[2];
        int copy;

        OPEN_OR_SKIP(traffic, 0);
        before = read_one(traffic, getpid());
        if (!peer_open(family, &peer)) {
                socket_traffic_close(traffic);
                tap_skip("no such loopback here");
        }
        copy = dup(peer.fd); /* one socket still */
        pids[0] = (uint32_t)getpid();
        pids[1] = (uint32_t)peer.pid;
        tap_check(socket_traffic_read(traffic, pids, 2, results, NULL));
        for (unsigned i = 0; i < 2; i++) {
                tap_eq_int(results[i].status, SOCKET_TRAFFIC_FOUND);
                tap_check(results[i].starttime > 0);
                tap_check(!results[i].is_partial && !results[i].has_foreign_namespace);
        }
        tap_eq_uint(results[0].n_sockets, before.n_sockets + 1);
        tap_eq_uint(results[1].n_sockets, 1);
        if (tap_check(results[1].known & SOCK_DIAG_BYTES)) {
                tap_eq_uint(results[0].figures.rx_bytes - before.figures.rx_bytes, N_BYTES);
                tap_check(results[1].figures.tx_bytes >= N_BYTES);
                tap_check(results[1].figures.tx_bytes <= N_BYTES + 1); /* its SYN */
                tap_eq_uint(results[1].figures.rx_bytes, 1);
        }
        if (results[1].known & SOCK_DIAG_SENT)
                tap_eq_uint(results[1].figures.sent_bytes - results[1].figures.retrans_bytes,
                            N_BYTES);
        if (results[1].known & SOCK_DIAG_SEGMENTS)
                tap_check(results[1].figures.tx_segments && results[1].figures.rx_segments);
        close(copy);
        peer_close(&peer);
        tap_eq_uint(read_one(traffic, getpid()).n_sockets, before.n_sockets);
        socket_traffic_close(traffic);
}

static void test_connection(void)
{
        check_connection(AF_INET);
}

static void test_connection_v6(void)
{
        check_connection(AF_INET6);
}

/* What two processes have open counts for both. */
static void test_shared(void)
{
        struct process_traffic own, other;
        struct peer peer;
        pid_t pid;
        int idle;

        OPEN_OR_SKIP(traffic, 0);
        if (!peer_open(AF_INET, &peer)) {
                socket_traffic_close(traffic);
                tap_skip("no loopback here");
        }
        idle = start_idle(&pid);
        own = read_one(traffic, getpid());
        other = read_one(traffic, pid);
        tap_eq_uint(own.n_sockets, other.n_sockets);
        tap_eq_uint(own.figures.rx_bytes, other.figures.rx_bytes);
        tap_check(other.figures.rx_bytes >= N_BYTES);
        close(idle);
        tap_eq_int(waitpid(pid, NULL, 0), pid);
        peer_close(&peer);
        socket_traffic_close(traffic);
}

static void test_gone(void)
{
        siginfo_t info;
        pid_t pid;

        OPEN_OR_SKIP(traffic, 0);
        close(start_idle(&pid));
        tap_eq_int(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        /* Ended and not waited for: it is there, with nothing open; others may not see even that.
         */
        tap_check(read_one(traffic, pid).status != SOCKET_TRAFFIC_GONE);
        tap_eq_uint(read_one(traffic, pid).n_sockets, 0);
        tap_eq_int(waitpid(pid, NULL, 0), pid);
        tap_eq_int(read_one(traffic, pid).status, SOCKET_TRAFFIC_GONE);
        tap_eq_uint(read_one(traffic, pid).starttime, 0);
        tap_eq_int(read_one(traffic, 0).status, SOCKET_TRAFFIC_GONE);
        tap_eq_int(read_one(traffic, NO_PID).status, SOCKET_TRAFFIC_GONE);
        socket_traffic_close(traffic);
}

static void *read_own_thread(void *traffic)
{
        const pid_t tid = (pid_t)syscall(SYS_gettid);

        tap_check(tid != getpid());
        tap_eq_int(read_one(traffic, tid).status, SOCKET_TRAFFIC_GONE);
        tap_eq_uint(read_one(traffic, tid).starttime, 0);
        tap_eq_int(read_one(traffic, getpid()).status, SOCKET_TRAFFIC_FOUND);
        return NULL;
}

/* A thread has the fds of its process: what went through them is told of that alone. */
static void test_thread(void)
{
        pthread_t thread;

        OPEN_OR_SKIP(traffic, 0);
        tap_require(!pthread_create(&thread, NULL, read_own_thread, traffic));
        pthread_join(thread, NULL);
        socket_traffic_close(traffic);
}

/* Runs in a child of its own. 0: as it should be. */
static int look_as_nobody(pid_t other)
{
        struct socket_traffic *traffic;
        struct process_traffic result;

        if (setgid(65534) != 0 || setuid(65534) != 0)
                return 1;
        traffic = socket_traffic_open(0, NULL);
        if (!traffic)
                return 2;
        result = read_one(traffic, other);
        if (result.status != SOCKET_TRAFFIC_NOT_PERMITTED || result.n_sockets ||
            result.figures.rx_bytes || !result.starttime)
                return 3;
        if (read_one(traffic, getpid()).status != SOCKET_TRAFFIC_FOUND)
                return 4;
        socket_traffic_close(traffic);
        return 0;
}

/* The exit status of a child that runs one of these. */
static int run_child(int (*run)(pid_t other))
{
        const pid_t other = getpid(), pid = fork();
        int status = -1;

        if (pid == 0)
                _exit(run(other));
        tap_eq_int(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_not_permitted(void)
{
        if (geteuid() != 0)
                tap_skip("only root can become somebody else");
        OPEN_OR_SKIP(traffic, 0);
        socket_traffic_close(traffic);
        tap_eq_int(run_child(look_as_nobody), 0);
}

/* Whoever looks from another network namespace is told so. */
static int look_from_elsewhere(pid_t other)
{
        struct socket_traffic *traffic;

        if (unshare(CLONE_NEWNET) != 0)
                return 77;
        traffic = socket_traffic_open(0, NULL);
        if (!traffic)
                return 77;
        if (read_one(traffic, getpid()).has_foreign_namespace)
                return 1;
        if (!read_one(traffic, other).has_foreign_namespace)
                return 2;
        socket_traffic_close(traffic);
        return 0;
}

static void test_foreign_namespace(void)
{
        const int status = run_child(look_from_elsewhere);

        if (status == 77)
                tap_skip("no network namespaces here");
        tap_eq_int(status, 0);
}

/* No netlink sockets from here on, as where seccomp filters them. */
static int forbid_netlink(void)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = G_N_ELEMENTS(filter), .filter = filter};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
                return -1;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int open_without_netlink(pid_t other)
{
        g_autoptr(GError) error = NULL;

        if (forbid_netlink() != 0)
                return 77;
        if (socket_traffic_open(0, &error) || !error)
                return 1;
        return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) &&
                               strstr(error->message, "sock_diag")
                       ? 0
                       : 2;
}

static void test_no_netlink(void)
{
        const int status = run_child(open_without_netlink);

        if (status == 77)
                tap_skip("no seccomp here");
        tap_eq_int(status, 0);
}

/* Without descriptors nothing can be said of any process; with them, all is as before. */
static void test_no_descriptors(void)
{
        const uint32_t pids[] = {(uint32_t)getpid()};
        struct process_traffic result;
        g_autoptr(GError) error = NULL;
        struct rlimit limit, none;

        OPEN_OR_SKIP(traffic, 0);
        tap_eq_int(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
        tap_eq_int(setrlimit(RLIMIT_NOFILE, &none), 0);
        tap_check(!socket_traffic_read(traffic, pids, 1, &result, &error));
        tap_check(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES));
        tap_eq_int(setrlimit(RLIMIT_NOFILE, &limit), 0);
        tap_eq_int(read_one(traffic, getpid()).status, SOCKET_TRAFFIC_FOUND);
        socket_traffic_close(traffic);
}

static void test_reuse(void)
{
        OPEN_OR_SKIP(kept, HOUR_MS);
        OPEN_OR_SKIP(fresh, 0);
        for (unsigned i = 0; i < 3; i++) {
                read_one(kept, getpid());
                read_one(fresh, getpid());
        }
        tap_eq_uint(socket_traffic_get_n_dumps(kept), 1);
        tap_eq_uint(socket_traffic_get_n_dumps(fresh), 4);
        socket_traffic_close(kept);
        socket_traffic_close(fresh);
}

static void *read_often(void *traffic)
{
        for (unsigned i = 0; i < 50; i++) {
                tap_eq_int(read_one(traffic, getpid()).status, SOCKET_TRAFFIC_FOUND);
                tap_eq_int(read_one(traffic, NO_PID).status, SOCKET_TRAFFIC_GONE);
        }
        return NULL;
}

static void test_threads(void)
{
        pthread_t threads[4];

        OPEN_OR_SKIP(traffic, 0);
        for (unsigned i = 0; i < 4; i++)
                tap_require(!pthread_create(&threads[i], NULL, read_often, traffic));
        for (unsigned i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        tap_eq_uint(socket_traffic_get_n_dumps(traffic), 1 + 4 * 100);
        socket_traffic_close(traffic);
}

TAP_MAIN(TAP_CASE(test_connection), TAP_CASE(test_connection_v6), TAP_CASE(test_shared),
         TAP_CASE(test_gone), TAP_CASE(test_thread), TAP_CASE(test_not_permitted),
         TAP_CASE(test_foreign_namespace), TAP_CASE(test_no_netlink), TAP_CASE(test_no_descriptors),
         TAP_CASE(test_reuse), TAP_CASE(test_threads))
