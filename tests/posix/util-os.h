/* SPDX-License-Identifier: MIT */
#pragma once

/* What tests need of the system, and children by fork(): for util-env.h and util-raw.h. */

#include "tap.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

void util_arm_watchdog(void);
void util_waiting_for(const char *what);

/*
 * Runs a function in a child by fork(), under a watchdog of its own. Returns whether it ended well,
 * all checks made in it included. A child of one that has threads makes none of its own.
 */
#define util_in_child(...) tap_check(util_in_child_checked(__VA_ARGS__))

static TAP__UNUSED bool util_in_child_checked(void (*run)(void *userdata), void *userdata)
{
        const pid_t parent = getpid(), pid = fork();
        int status = -1;

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(98);
                util_arm_watchdog();
                atomic_store(&tap__state.failures, 0);
                run(userdata);
                _exit(atomic_load(&tap__state.failures) != 0);
        }
        util_waiting_for("a child to end");
        return waitpid(pid, &status, 0) == pid && status == 0;
}
