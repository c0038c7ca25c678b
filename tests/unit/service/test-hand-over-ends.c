/* SPDX-License-Identifier: MIT */

/*
 * A hand-over between two processes that does not come to its end, or comes to it in another way:
 * whichever of the two goes first, the endpoint stays with the one that is left.
 */

#include <errno.h>
#include <nipc/endpoint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

#define SERVICE "ends"

static int new_server(int listen_fd, int lock_fd, struct nipc_server **ret)
{
        struct nipc_handler handler = {.size = sizeof(handler),
                                       .code = UTIL_CODE,
                                       .handle = util_handle};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.run_dir = util_run_dir();
        config.service = SERVICE;
        config.listen_fd = listen_fd;
        config.lock_fd = lock_fd;
        return nipc_server_new(&config, &handler, ret);
}

static bool exists(const char *suffix)
{
        char path[256];
        struct stat st;

        snprintf(path, sizeof(path), "%s/" SERVICE "%s", util_run_dir(), suffix);
        return lstat(path, &st) == 0;
}

static bool can_connect(void)
{
        const int fd = util_raw_connect(SERVICE);

        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

static pid_t owner(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};

        if (nipc_endpoint_probe(util_run_dir(), SERVICE, false, &info) < 0 || !info.locked)
                return -1;
        return (pid_t)info.pid;
}

/* The other process: takes over, says so, and ends as it is told. */
struct successor {
        pid_t pid;
        int orders; /* one byte: 'f' free, 'x' crash */
        int reports;
};

static _Noreturn void succeed(int listen_fd, int lock_fd, int orders, int reports)
{
        struct nipc_server *server = NULL;
        char order = 0, report;

        report = new_server(listen_fd, lock_fd, &server) == 0 ? 'y' : 'n';
        close(listen_fd);
        close(lock_fd);
        if (write(reports, &report, 1) != 1 || read(orders, &order, 1) != 1 || order == 'x')
                _exit(1);
        nipc_server_free(server);
        _exit(0);
}

static bool start(struct successor *s, struct nipc_server *server)
{
        int listen_fd, lock_fd, orders[2], reports[2];
        char report = 0;

        if (nipc_server_dup_fds(server, &listen_fd, &lock_fd) < 0 || pipe(orders) < 0 ||
            pipe(reports) < 0)
                return false;
        fflush(stdout);
        s->pid = fork();
        if (s->pid == 0) {
                /* Its copies of the predecessor's go, as with an exec. */
                nipc_server_free(server);
                close(orders[1]);
                close(reports[0]);
                succeed(listen_fd, lock_fd, orders[0], reports[1]);
        }
        close(orders[0]);
        close(reports[1]);
        close(listen_fd);
        close(lock_fd);
        s->orders = orders[1];
        s->reports = reports[0];
        return s->pid > 0 && read(s->reports, &report, 1) == 1 && report == 'y';
}

static void end(struct successor *s, char order)
{
        int status;

        tap_check(write(s->orders, &order, 1) == 1);
        tap_eq_int(waitpid(s->pid, &status, 0), s->pid);
        close(s->orders);
        close(s->reports);
}

static void check_gone(void)
{
        tap_check(!exists(".sock"));
        tap_check(!exists(".lock"));
}

/* As it should be. */
static void test_in_order(void)
{
        struct nipc_server *server = NULL;
        struct successor s;

        tap_require(new_server(0, 0, &server) == 0);
        tap_require(start(&s, server));
        tap_eq_int(owner(), s.pid);
        tap_eq_int(nipc_server_hand_over(server, 10000), 0);
        tap_check(can_connect());
        end(&s, 'f'); /* while its predecessor is still a process */
        check_gone();
        nipc_server_free(server);
}

/* The successor is told to end before anything was handed over. */
static void test_successor_ends(void)
{
        struct nipc_server *server = NULL;
        struct successor s;

        tap_require(new_server(0, 0, &server) == 0);
        for (int i = 0; i < 2; i++) {
                tap_require(start(&s, server));
                end(&s, i ? 'x' : 'f');
                tap_check(exists(".sock"));
                tap_check(exists(".lock"));
                tap_check(can_connect());
        }
        tap_require(start(&s, server)); /* after one that crashed */
        end(&s, 'f');
        tap_eq_int(owner(), getpid());
        tap_check(can_connect());
        nipc_server_free(server);
        check_gone();
}

/* The predecessor ends without handing over. */
static void test_predecessor_ends(void)
{
        struct nipc_server *server = NULL;
        struct successor s;

        for (int i = 0; i < 2; i++) {
                tap_require(new_server(0, 0, &server) == 0);
                tap_require(start(&s, server));
                if (i)
                        nipc_server_drain(server, 1000);
                nipc_server_free(server);
                tap_check(exists(".sock"));
                tap_eq_int(owner(), s.pid);
                tap_check(can_connect());
                end(&s, 'f');
                check_gone();
        }
}

/* The files are a crashed successor's no more than they were before. */
static void test_successor_crashes(void)
{
        struct nipc_server *server = NULL;
        struct successor s;

        tap_require(new_server(0, 0, &server) == 0);
        tap_require(start(&s, server));
        end(&s, 'x');
        nipc_server_free(server);
        check_gone();
}

/* One that cannot take over does not say that it did. */
static void test_successor_fails(void)
{
        struct nipc_server *server = NULL;
        struct successor s;
        int pipe_fds[2], listen_fd, lock_fd, status;

        tap_require(new_server(0, 0, &server) == 0);
        tap_require(nipc_server_dup_fds(server, &listen_fd, &lock_fd) == 0);
        tap_require(pipe(pipe_fds) == 0);
        fflush(stdout);
        s.pid = fork();
        if (s.pid == 0) {
                struct nipc_server *next = NULL;

                _exit(new_server(pipe_fds[0], lock_fd, &next) == -EINVAL ? 0 : 1);
        }
        tap_eq_int(waitpid(s.pid, &status, 0), s.pid);
        tap_eq_int(status, 0);
        tap_eq_int(owner(), getpid());
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        close(listen_fd);
        close(lock_fd);
        nipc_server_free(server);
        check_gone();
}

/* The socket of a service manager stays his, however many servers it went through. */
static void test_kept_socket(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct nipc_server *server = NULL, *next = NULL;
        int fd, listen_fd, lock_fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SERVICE ".sock", util_run_dir());
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        tap_require(fd >= 0);
        tap_require(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
        tap_require(listen(fd, 10) == 0);
        tap_require(new_server(fd, 0, &server) == 0);
        for (int i = 0; i < 2; i++) {
                tap_require(nipc_server_dup_fds(server, &listen_fd, &lock_fd) == 0);
                tap_require(new_server(listen_fd, lock_fd, &next) == 0);
                close(listen_fd);
                close(lock_fd);
                tap_eq_int(nipc_server_hand_over(server, 10000), 0);
                nipc_server_free(server);
                server = next;
        }
        nipc_server_free(server);
        tap_check(exists(".sock"));
        tap_check(!exists(".lock"));
        tap_check(can_connect());
        unlink(address.sun_path);
        close(fd);
        tap_require(new_server(0, 0, &server) == 0); /* what comes next is its own again */
        nipc_server_free(server);
        check_gone();
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_in_order), TAP_CASE(test_successor_ends), TAP_CASE(test_predecessor_ends),
         TAP_CASE(test_successor_crashes), TAP_CASE(test_successor_fails),
         TAP_CASE(test_kept_socket), TAP_CASE(test_leaks_nothing))
