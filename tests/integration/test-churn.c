/* SPDX-License-Identifier: MIT */

/*
 * 64 processes at a time that connect, make ten calls and leave, one in ten of them by SIGKILL in
 * the middle, over every profile: the server ends with the descriptors, threads, mappings and pages
 * that it had after the first part of it. `--seconds N`: how long.
 */

#include "util-env.h"
#include "util-server-child.h"
#include <nipc/client.h>
#include <nipc/hello.h>
#include <nipc/session.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_CLIENTS   64
#define N_ROUNDS    4 /* of one process */
#define N_CALLS     10
#define SLACK_BYTES (512u * 1024)

static unsigned seconds = 10;

static const uint32_t profiles[] = {NIPC_PROFILE_BASELINE,
                                    NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING,
                                    NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID};

/* In a process of its own. Returns its exit status. */
static int come_and_go(unsigned number)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        const bool dies = number % 10 == 9;
        struct nipc_client *client;
        uint64_t value;

        config.run_dir = util_dir();
        config.service = SERVER_CHILD_SERVICE;
        config.profiles = profiles[number % 3] & nipc_profile_get_available();
        for (unsigned round = 0; round < N_ROUNDS; round++) {
                if (nipc_client_new(&config, &client) < 0)
                        return 1;
                nipc_client_refresh(client);
                for (unsigned i = 0; i < N_CALLS; i++) {
                        if (nipc_client_increment(client, i, 0, &value) < 0 || value != i + 1)
                                return 2;
                        if (dies && round == N_ROUNDS / 2 && i == N_CALLS / 2)
                                raise(SIGKILL);
                }
                nipc_client_free(client);
        }
        return 0;
}

static bool start_one(unsigned number)
{
        pid_t pid;

        fflush(NULL); /* or both would print what is still to be printed */
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                util_arm_watchdog();
                _exit(come_and_go(number));
        }
        return pid > 0;
}

/* Returns how many there were that did not end as they should. */
static unsigned churn(uint64_t until_ns, unsigned *n_started)
{
        unsigned n_running = 0, n_failed = 0;
        int status;

        do {
                while (n_running < N_CLIENTS && nipc_clock_now_ns() < until_ns) {
                        if (!start_one(++*n_started))
                                return n_failed + 1;
                        n_running++;
                }
                util_arm_watchdog();
                util_waiting_for("a client to end");
                if (waitpid(-1, &status, 0) < 0)
                        return n_failed + 1;
                n_running--;
                if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
                    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
                        n_failed++;
        } while (n_running);
        return n_failed;
}

static void print_usage(const char *when, const struct server_usage *usage, unsigned n_started)
{
        printf("# %s (%u clients): %u descriptors, %u threads, %u mappings, %llu KiB private\n",
               when, n_started, usage->n_fds, usage->n_threads, usage->n_mappings,
               (unsigned long long)usage->private_bytes / 1024);
}

static void test_churn(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct server_usage idle, first, last;
        struct server_child child = {.pid = -1};
        uint64_t start_ns = nipc_clock_now_ns();
        uint64_t length_ns = seconds * UINT64_C(1000000000);
        unsigned n_started = 0;

        config.n_workers = 2;
        config.profiles = nipc_profile_get_available();
        tap_require(server_child_start(&child, &config));
        idle = server_child_get_usage(&child);
        tap_eq_uint(churn(start_ns + length_ns / 10, &n_started), 0);
        server_child_wait_quiet(&child, &idle);
        first = server_child_get_usage(&child);
        print_usage("after the first part", &first, n_started);
        tap_eq_uint(churn(start_ns + length_ns, &n_started), 0);
        server_child_wait_quiet(&child, &idle);
        last = server_child_get_usage(&child);
        print_usage("at the end", &last, n_started);
        if (server_child_has_true_memory()) {
                tap_check(last.n_mappings <= first.n_mappings + 2); /* the heap's, at most */
                tap_check(last.private_bytes <= first.private_bytes + SLACK_BYTES);
        }
        tap_check(server_child_stop(&child));
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_churn),
                                                TAP_CASE(test_nothing_leaked)};

        if (argc == 3 && !strcmp(argv[1], "--seconds")) {
                seconds = (unsigned)atoi(argv[2]);
                argc = 1;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
