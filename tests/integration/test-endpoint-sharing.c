/* SPDX-License-Identifier: MIT */

/* An endpoint and those who touch it without owning it: forked children, and who cleans up. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_listener(struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        return nipc_listener_open(&config, ret_listener);
}

/* A child that does not outlive us. Returns 0 in it, as fork. */
static pid_t start_child(void)
{
        pid_t parent = getpid(), pid;

        util_dir();
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(98);
                util_arm_watchdog();
        }
        return pid;
}

static void join_child(pid_t pid)
{
        int status = -1;

        util_waiting_for("a child to end");
        tap_check(waitpid(pid, &status, 0) == pid);
        tap_eq_int(status, 0);
}

static bool exists(const char *name)
{
        struct stat st;

        return lstat(util_path(name), &st) == 0;
}

/* Whether a client gets through to this listener. */
static bool answers(struct nipc_listener *listener)
{
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];
        int fd = raw_connect("svc", SOCK_SEQPACKET);
        bool good = fd >= 0;

        if (!good)
                return false;
        raw_hello(packet);
        good = raw_send(fd, packet, RAW_HELLO_SIZE) &&
               nipc_listener_accept(listener, util_soon(), &session) == 0 &&
               nipc_session_handshake(session, util_soon()) == 0 &&
               raw_receive(fd, packet, sizeof(packet)) == RAW_ACK_SIZE;
        nipc_session_close(session);
        close(fd);
        return good;
}

/* ---- children ------------------------------------------------------------------------------- */

/* What a child inherited it may close: nothing happens to its parent's. */
static void test_child_closes(void)
{
        struct nipc_listener *listener = NULL, *second = NULL;

        tap_require(util_eq_error(open_listener(&listener), 0));
        for (unsigned i = 0; i < 3; i++) {
                pid_t pid = start_child();

                if (pid == 0) {
                        nipc_listener_close(listener);
                        _exit(0);
                }
                join_child(pid);
                tap_check(exists("svc.lock"));
                if (!tap_check(exists("svc.sock")))
                        break;
                tap_check(answers(listener));
                util_eq_error(open_listener(&second), -EADDRINUSE);
                util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), -EBUSY);
        }
        nipc_listener_close(listener);
        tap_check(!exists("svc.sock"));
        tap_check(!exists("svc.lock"));
}

/* Nor does a child that comes late take away what somebody else has made of the name. */
static void test_child_closes_late(void)
{
        struct nipc_listener *listener = NULL;
        int gate[2];
        pid_t pid;
        char byte;

        tap_require(util_eq_error(open_listener(&listener), 0));
        tap_require(pipe(gate) == 0);
        pid = start_child();
        if (pid == 0) {
                close(gate[1]);
                if (read(gate[0], &byte, 1) != 0)
                        _exit(1);
                nipc_listener_close(listener);
                _exit(0);
        }
        close(gate[0]);
        listener = nipc_listener_close(listener);
        tap_require(util_eq_error(open_listener(&listener), 0));
        close(gate[1]);
        join_child(pid);
        tap_check(exists("svc.sock"));
        tap_check(exists("svc.lock"));
        tap_check(answers(listener));
        nipc_listener_close(listener);
}

/* ---- cleaning up ---------------------------------------------------------------------------- */

/* Cleans until the gate opens. */
static void keep_cleaning(int gate, int report)
{
        struct pollfd pollfd = {.fd = gate, .events = POLLIN};
        bool told = false;
        int r;

        while (poll(&pollfd, 1, 0) == 0) {
                r = nipc_endpoint_clean(util_dir(), "svc");
                if (r < 0 && r != -EBUSY)
                        _exit(2);
                if (!told && write(report, "x", 1) != 1)
                        _exit(3);
                told = true;
        }
        _exit(0);
}

/* Who cleans up in passing is no owner: a server that starts meanwhile gets its name. */
static void test_clean_is_no_owner(void)
{
        struct nipc_listener *listener = NULL;
        int gate[2], report[2];
        unsigned n_opened = 0;
        char byte;
        pid_t pid;

        tap_require(pipe(gate) == 0 && pipe(report) == 0);
        pid = start_child();
        if (pid == 0) {
                close(gate[1]);
                keep_cleaning(gate[0], report[1]);
        }
        close(gate[0]);
        close(report[1]);
        util_waiting_for("a child that cleans");
        tap_check(read(report[0], &byte, 1) == 1);
        for (; n_opened < 300; n_opened++) {
                if (!util_eq_error(open_listener(&listener), 0))
                        break;
                tap_check(n_opened % 10 || answers(listener));
                listener = nipc_listener_close(listener);
        }
        tap_eq_uint(n_opened, 300);
        close(gate[1]);
        join_child(pid);
        close(report[0]);
        nipc_endpoint_clean(util_dir(), "svc");
        tap_check(!exists("svc.sock"));
        tap_check(!exists("svc.lock"));
}

UTIL_MAIN(TAP_CASE(test_child_closes), TAP_CASE(test_child_closes_late),
          TAP_CASE(test_clean_is_no_owner))
