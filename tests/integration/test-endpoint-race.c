/* SPDX-License-Identifier: MIT */

/*
 * Processes that race for one endpoint, over what a killed owner left: exactly one gets it, it
 * keeps it, and the next owner gets it as soon as that one is dead.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_RACERS 8
#define N_ROUNDS 200

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

static void kill_child(pid_t pid)
{
        int status;

        kill(pid, SIGKILL);
        util_waiting_for("a killed child");
        tap_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* Waits until the other end of a pipe is closed. */
static void wait_for_gate(int fd)
{
        char byte;

        util_waiting_for("a gate to open");
        while (read(fd, &byte, 1) < 0 && errno == EINTR)
                ;
}

/* Pipes between a round and its racers: gates open by closing, reports are a byte each. */
struct gates {
        int start[2], known[2], stop[2], report[2];
};

static void open_gate(int gate[2])
{
        close(gate[1]);
        gate[1] = -1;
}

static void report(const struct gates *gates, char byte)
{
        if (write(gates->report[1], &byte, 1) != 1)
                _exit(97);
}

/* Those who lost find a server that is alive, whatever they do to the name. */
static char try_to_disturb(void)
{
        struct nipc_listener *listener = NULL;

        for (unsigned i = 0; i < 5; i++) {
                int fd;

                if (open_listener(&listener) != -EADDRINUSE)
                        return 'x';
                if (nipc_endpoint_clean(util_dir(), "svc") != -EBUSY)
                        return 'y';
                fd = raw_connect("svc", SOCK_SEQPACKET);
                if (fd < 0)
                        return 'z';
                close(fd);
        }
        return 'o';
}

static void race(struct gates *gates)
{
        struct nipc_listener *listener = NULL;
        int r;

        open_gate(gates->start);
        open_gate(gates->known);
        open_gate(gates->stop);
        wait_for_gate(gates->start[0]);
        r = open_listener(&listener);
        report(gates, r == 0 ? 'W' : r == -EADDRINUSE ? 'L' : 'E');
        wait_for_gate(gates->known[0]);
        if (r == 0) {
                report(gates, 'o');
                wait_for_gate(gates->stop[0]);
                nipc_listener_close(listener);
        } else {
                report(gates, try_to_disturb());
        }
        _exit(0);
}

/* Reads a report of each racer; how many said so. */
static unsigned count_reports(const struct gates *gates, char wanted, char otherwise)
{
        unsigned n = 0;
        char byte;

        util_waiting_for("the racers");
        for (unsigned i = 0; i < N_RACERS; i++) {
                if (!tap_check(read(gates->report[0], &byte, 1) == 1))
                        break;
                n += byte == wanted;
                if (byte != wanted && byte != otherwise)
                        tap_fail("a racer says %c", byte);
        }
        return n;
}

static bool run_round(bool clean_end)
{
        pid_t pids[N_RACERS];
        struct gates gates;
        bool good;
        int status;

        tap_check(pipe(gates.start) == 0 && pipe(gates.known) == 0 && pipe(gates.stop) == 0 &&
                  pipe(gates.report) == 0);
        for (unsigned i = 0; i < N_RACERS; i++) {
                pids[i] = start_child();
                if (pids[i] == 0)
                        race(&gates);
        }
        open_gate(gates.start);
        good = tap_eq_uint(count_reports(&gates, 'W', 'L'), 1);
        open_gate(gates.known);
        good = tap_eq_uint(count_reports(&gates, 'o', 'o'), N_RACERS) && good;
        if (clean_end)
                open_gate(gates.stop);
        for (unsigned i = 0; i < N_RACERS; i++) {
                if (!clean_end)
                        kill(pids[i], SIGKILL); /* the winner; the others are done or as good as */
                tap_check(waitpid(pids[i], &status, 0) == pids[i]);
        }
        close(gates.start[0]);
        close(gates.known[0]);
        close(gates.stop[0]);
        if (!clean_end)
                close(gates.stop[1]);
        close(gates.report[0]);
        close(gates.report[1]);
        return good;
}

static bool exists(const char *name)
{
        struct stat st;

        return lstat(util_path(name), &st) == 0;
}

static void test_race(void)
{
        for (unsigned i = 0; i < N_ROUNDS; i++) {
                bool clean_end = i % 4 == 3;

                if (!run_round(clean_end)) {
                        tap_note("round %u", i);
                        break;
                }
                /* Killed: what it left is there for the next round. */
                tap_check(exists("svc.sock") == !clean_end);
                tap_check(exists("svc.lock") == !clean_end);
        }
        nipc_endpoint_clean(util_dir(), "svc");
}

/* ---- ownership in motion -------------------------------------------------------------------- */

/* The process that a connection to the endpoint leads to. */
static pid_t who_answers(void)
{
        struct ucred peer = {.pid = -1};
        socklen_t size = sizeof(peer);
        int fd = raw_connect("svc", SOCK_SEQPACKET);

        if (fd < 0)
                return fd;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                peer.pid = -1;
        close(fd);
        return peer.pid;
}

/* Takes and gives back the endpoint; while it has it, it has it alone. */
static void come_and_go(unsigned n_turns)
{
        struct nipc_listener *listener = NULL;
        unsigned n_owned = 0;

        while (n_owned < n_turns) {
                int r = open_listener(&listener);

                if (r == -EADDRINUSE)
                        continue;
                if (r < 0)
                        _exit(1);
                for (unsigned i = 0; i < 3; i++)
                        if (who_answers() != getpid())
                                _exit(2);
                nipc_listener_close(listener);
                n_owned++;
        }
        _exit(0);
}

static void test_come_and_go(void)
{
        pid_t pids[N_RACERS];
        int status;

        for (unsigned i = 0; i < N_RACERS; i++) {
                pids[i] = start_child();
                if (pids[i] == 0)
                        come_and_go(100);
        }
        util_waiting_for("owners that come and go");
        for (unsigned i = 0; i < N_RACERS; i++) {
                tap_check(waitpid(pids[i], &status, 0) == pids[i]);
                tap_eq_int(status, 0);
        }
        tap_check(!exists("svc.sock"));
        tap_check(!exists("svc.lock"));
}

/* ---- the owner dies ------------------------------------------------------------------------- */

/* Another program, started by the owner while it owns; returns when that runs. */
static pid_t start_helper(void)
{
        int running[2];
        char byte;
        pid_t pid;

        if (pipe2(running, O_CLOEXEC) < 0) /* closed by a successful exec */
                return -1;
        pid = fork();
        if (pid == 0) {
                execlp("tail", "tail", "-f", "/dev/null", (char *)NULL);
                _exit(write(running[1], "x", 1) == 1 ? 1 : 2);
        }
        close(running[1]);
        if (read(running[0], &byte, 1) != 0)
                pid = -1;
        close(running[0]);
        return pid;
}

/* A child that owns the endpoint, and has told so. ret_helper: NULL, or a program it started. */
static pid_t start_owner(pid_t *ret_helper)
{
        struct nipc_listener *listener = NULL;
        pid_t pid, helper = 0;
        int ready[2];

        if (!tap_check(pipe2(ready, O_CLOEXEC) == 0))
                return -1;
        pid = start_child();
        if (pid == 0) {
                if (open_listener(&listener) < 0)
                        _exit(1);
                if (ret_helper && (helper = start_helper()) < 0)
                        _exit(2);
                if (write(ready[1], &helper, sizeof(helper)) != sizeof(helper))
                        _exit(3);
                for (;;)
                        pause();
        }
        close(ready[1]);
        util_waiting_for("an owner");
        tap_check(read(ready[0], &helper, sizeof(helper)) == sizeof(helper));
        close(ready[0]);
        if (ret_helper)
                *ret_helper = helper;
        return pid;
}

static void test_owner_dies(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        struct nipc_listener *listener = NULL;

        for (unsigned i = 0; i < 20; i++) {
                pid_t pid = start_owner(NULL);

                util_eq_error(open_listener(&listener), -EADDRINUSE);
                util_eq_error(nipc_endpoint_probe(util_dir(), "svc", false, &info), 0);
                tap_eq_int(info.state, NIPC_ENDPOINT_LIVE);
                tap_eq_int(info.pid, pid);
                kill_child(pid);
                util_eq_error(nipc_endpoint_probe(util_dir(), "svc", true, &info), 0);
                tap_eq_int(info.state, NIPC_ENDPOINT_DEAD);
                tap_check(!info.locked);
                if (i % 2)
                        tap_eq_int(nipc_endpoint_clean(util_dir(), "svc"), 1);
                util_eq_error(open_listener(&listener), 0);
                tap_eq_int(who_answers(), getpid());
                listener = nipc_listener_close(listener);
        }
}

/* What the owner started lives on, and keeps nothing of the endpoint. */
static void test_helper_outlives_owner(void)
{
        struct nipc_listener *listener = NULL;
        pid_t helper = 0, pid = start_owner(&helper);

        kill_child(pid);
        tap_require(helper > 0);
        tap_check(kill(helper, 0) == 0);
        util_eq_error(raw_connect("svc", SOCK_SEQPACKET), -ECONNREFUSED);
        util_eq_error(open_listener(&listener), 0);
        tap_eq_int(who_answers(), getpid());
        nipc_listener_close(listener);
        kill(helper, SIGKILL);
}

/* Stopped is not dead. */
static void test_owner_is_stopped(void)
{
        struct nipc_listener *listener = NULL;
        pid_t pid = start_owner(NULL);
        int status;

        kill(pid, SIGSTOP);
        tap_check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        util_eq_error(open_listener(&listener), -EADDRINUSE);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), -EBUSY);
        kill_child(pid);
        tap_eq_int(nipc_endpoint_clean(util_dir(), "svc"), 1);
}

UTIL_MAIN(TAP_CASE(test_race), TAP_CASE(test_come_and_go), TAP_CASE(test_owner_dies),
          TAP_CASE(test_helper_outlives_owner), TAP_CASE(test_owner_is_stopped))
