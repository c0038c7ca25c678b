/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What every test program that touches the system starts and ends with: a watchdog, so that it
 * fails instead of hanging; a directory of its own; and the promise that it ends with as many
 * descriptors, threads and shared mappings as it began with, which is checked as its last case.
 *
 * How to use: UTIL_MAIN in the place of TAP_MAIN.
 *
 * Threading: util_wait_asleep() and util_gettid() from any thread, all else from the first.
 */

#include "tap.h"
#include "util-os.h"
#include <nipc/clock.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Starts the watchdog and counts what there is. $NIPC_TEST_WATCHDOG_S: its seconds, for machines
 * that are slow. It prints what the program was doing and ends it; SIGALRM is taken.
 */
void util_begin(void);

/* Starts the watchdog again, in a child process. */
void util_arm_watchdog(void);

/* What the watchdog says the program was waiting for; a literal. */
void util_waiting_for(const char *what);

/* A directory, removed at exit with all in it. Short enough for socket paths. Borrowed. */
const char *util_dir(void);

/* "{util_dir}/{name}". Borrowed until the fourth call after this one. */
const char *util_path(const char *name);

/* Removes a file or a directory with all in it; what is not there is no error. */
void util_remove(const char *path);

int util_count_fds(void);
int util_count_threads(void);
int util_count_shared_mappings(void);

/* Whether everything is as it was in util_begin(). Waits for joined threads to be gone. */
bool util_nothing_leaked(void);

/* Descriptors that a program run by exec would inherit, beside those there were in util_begin(). */
int util_count_inheritable_fds(void);

/*
 * Whether system calls are an emulator's and not a kernel's: it says yes to whatever advice it does
 * not know, and makes room for more descriptors than a program asked to be given.
 */
bool util_is_emulated(void);

/* Our user, as struct nipc_peer has him. */
int64_t util_own_uid(void);

/* The caller's thread, for others to look at. */
pid_t util_gettid(void);

/* Waits until a thread of this process sleeps in the kernel. */
void util_wait_asleep(pid_t tid);

/*
 * Whether a pollable descriptor of ours is ready for these NIPC_EVENT_* bits: now, or at some time
 * if the caller waits.
 */
bool util_poll(int fd, uint32_t events, bool waits);

/* Whether descriptors of pipes and sockets say when more can be sent; a poller says it anywhere. */
bool util_can_poll_out(void);

/* Whether what polls as ready is never so in vain. */
bool util_polls_exactly(void);

/*
 * Has a handler run in the middle of what a thread does: of a signal. Where there are none it runs
 * in the caller.
 */
void util_interrupt(pthread_t victim, void (*handler)(int number));

/* A deadline that is only there to end a test that went wrong. */
static inline uint64_t util_soon(void)
{
        return nipc_deadline_after_ms(60000);
}

/* An errno by the name it has in the documentation makes failures readable. */
#define util_eq_error(a, b) tap_check_error(__FILE__, __LINE__, #a, (a), (b))

static TAP__UNUSED bool tap_check_error(const char *file, int line, const char *text, int r,
                                        int expected)
{
        if (r == expected)
                return true;
        return tap__fail(file, line, "%s: %d (%s), expected %d (%s)", text, r,
                         r < 0 ? strerror(-r) : "no error", expected,
                         expected < 0 ? strerror(-expected) : "no error");
}

static TAP__UNUSED void test_nothing_leaked(void)
{
        tap_check(util_nothing_leaked());
}

#define UTIL_MAIN(...)                                                                  \
        int main(int argc, char **argv)                                                 \
        {                                                                               \
                static const struct tap_case cases[] = {__VA_ARGS__,                    \
                                                        TAP_CASE(test_nothing_leaked)}; \
                util_begin();                                                           \
                return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);    \
        }
