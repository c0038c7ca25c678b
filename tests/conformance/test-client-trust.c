/* SPDX-License-Identifier: MIT */

/* Whom our client trusts, and what it makes of files that are no endpoints. */

#include "util-conformance.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_open(uint64_t deadline_ns, struct nipc_failure *failure)
{
        struct nipc_session *session = NULL;
        struct pair_config config;
        int r;

        *failure = (struct nipc_failure)NIPC_FAILURE_INIT;
        pair_config_init(&config);
        r = nipc_session_open(&config.session, deadline_ns, &session, failure);
        tap_eq_ptr(session, NULL);
        tap_eq_int(failure->error, r);
        return r;
}

static void test_strange_sockets(void)
{
        struct nipc_failure failure;
        int fd;

        close(raw_bind("pair", SOCK_SEQPACKET)); /* dead */
        util_eq_error(try_open(util_soon(), &failure), -ENOENT);
        tap_eq_int(failure.os_error, ECONNREFUSED);
        util_remove(util_path("pair.sock"));
        fd = raw_listen("pair", SOCK_STREAM, 5); /* of another kind */
        util_eq_error(try_open(util_soon(), &failure), -ENOENT);
        tap_eq_int(failure.os_error, EPROTOTYPE);
        close(fd);
        util_remove(util_path("pair.sock"));
        fd = open(util_path("pair.sock"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        close(fd);
        util_eq_error(try_open(util_soon(), &failure), -ENOENT);
        tap_eq_uint(failure.stage, NIPC_FAILURE_CONNECT);
        util_remove(util_path("pair.sock"));
}

/* A server in a process of another user; it ends when *ret_gate is closed. */
static pid_t start_foreign_server(int *ret_gate)
{
        int ready[2], gate[2];
        char byte;
        pid_t pid;

        if (pipe(ready) < 0 || pipe(gate) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                util_arm_watchdog();
                close(gate[1]);
                if (setgid(65534) < 0 || setuid(65534) < 0)
                        _exit(1);
                if (raw_listen("pair", SOCK_SEQPACKET, 16) < 0)
                        _exit(2);
                _exit(write(ready[1], "x", 1) == 1 && read(gate[0], &byte, 1) == 0 ? 0 : 3);
        }
        close(gate[0]);
        close(ready[1]);
        tap_check(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        *ret_gate = gate[1];
        return pid;
}

/* The token is not for just anybody who sits at the name (design, "Trust and failure"). */
static void test_foreign_server(void)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session *session = NULL;
        struct pair_config config;
        int gate = -1, status;
        pid_t pid;

        if (geteuid() != 0)
                tap_skip("only root can be somebody else");
        tap_check(chmod(util_dir(), 0777) == 0);
        pid = start_foreign_server(&gate);
        util_eq_error(try_open(util_soon(), &failure), -EACCES);
        tap_eq_uint(failure.stage, NIPC_FAILURE_PEER);
        pair_config_init(&config);
        config.session.trust_any_server = true;
        util_eq_error(nipc_session_open(&config.session, nipc_deadline_after_ms(1), &session,
                                        &failure),
                      -ETIMEDOUT); /* it is asked, and says nothing */
        tap_eq_uint(failure.stage, NIPC_FAILURE_HANDSHAKE);
        /* Whose directory it is may serve in it. */
        tap_check(chown(util_dir(), 65534, 65534) == 0);
        util_eq_error(try_open(nipc_deadline_after_ms(1), &failure), -ETIMEDOUT);
        tap_eq_uint(failure.stage, NIPC_FAILURE_HANDSHAKE);
        tap_check(chown(util_dir(), 0, 0) == 0);
        tap_check(chmod(util_dir(), 0700) == 0);
        close(gate);
        tap_check(waitpid(pid, &status, 0) == pid && status == 0);
        util_remove(util_path("pair.sock"));
}

UTIL_MAIN(TAP_CASE(test_strange_sockets), TAP_CASE(test_foreign_server))
