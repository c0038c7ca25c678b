/* SPDX-License-Identifier: MIT */

/* util-env.h on Windows. There is no fork(); how a thread sleeps cannot be seen. */

#include "util-env.h"
#include "identity.h"
#include "util-handles.h"
#include "util-shm-peer.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <tlhelp32.h> /* needs the one before */

#define WATCHDOG_S 100

/*
 * What the system opens once and keeps: of its security and pipes, and three for each thread of its
 * pool. A leak shows as one for each session of a test. test-session-kill.c counts them exactly.
 */
#define SYSTEM_HANDLES 8

static struct {
        char dir[MAX_PATH];
        int n_handles, n_threads;
        _Atomic(const char *) waiting_for;
        HANDLE watchdog;
} env;

static VOID CALLBACK on_timer(PVOID userdata, BOOLEAN timed_out)
{
        const char *what = atomic_load_explicit(&env.waiting_for, memory_order_relaxed);

        printf("\nBail out! watchdog: the program hangs, waiting for: %s\n",
               what ? what : "something");
        fflush(stdout);
        TerminateProcess(GetCurrentProcess(), 124);
}

void util_arm_watchdog(void)
{
        const char *seconds = getenv("NIPC_TEST_WATCHDOG_S");

        if (env.watchdog)
                (void)DeleteTimerQueueTimer(NULL, env.watchdog, NULL);
        CreateTimerQueueTimer(&env.watchdog, NULL, on_timer, NULL,
                              1000u * (seconds ? (unsigned)atoi(seconds) : WATCHDOG_S), 0,
                              WT_EXECUTEONLYONCE);
}

void util_waiting_for(const char *what)
{
        atomic_store_explicit(&env.waiting_for, what, memory_order_relaxed);
}

static void remove_dir(void)
{
        RemoveDirectoryA(env.dir);
}

const char *util_dir(void)
{
        char tmp[MAX_PATH - 64];

        if (env.dir[0])
                return env.dir;
        if (!GetTempPathA(sizeof(tmp), tmp))
                exit(99);
        snprintf(env.dir, sizeof(env.dir), "%snipc-%lu", tmp, GetCurrentProcessId());
        if (!CreateDirectoryA(env.dir, NULL) && GetLastError() != ERROR_ALREADY_EXISTS)
                exit(99);
        atexit(remove_dir);
        return env.dir;
}

const char *util_path(const char *name)
{
        static char paths[4][MAX_PATH + 100];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", util_dir(), name);
        return path;
}

int util_count_fds(void)
{
        return (int)util_count_handles();
}

int util_count_threads(void)
{
        HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        THREADENTRY32 entry = {.dwSize = sizeof(entry)};
        int n = 0;

        if (snapshot == INVALID_HANDLE_VALUE)
                return 0;
        if (Thread32First(snapshot, &entry))
                do
                        n += entry.th32OwnerProcessID == GetCurrentProcessId();
                while (Thread32Next(snapshot, &entry));
        CloseHandle(snapshot);
        return n;
}

int util_count_shared_mappings(void)
{
        return 0;
}

static void *do_nothing(void *arg)
{
        return arg;
}

void util_begin(void)
{
        pthread_t thread;

        util_arm_watchdog();
        /* What the first thread of a program makes and keeps; and what the first look makes. */
        if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
                pthread_join(thread, NULL);
        util_count_threads();
        env.n_handles = util_count_fds();
        env.n_threads = util_count_threads();
}

bool util_nothing_leaked(void)
{
        int n_handles = util_count_fds();

        if (n_handles > env.n_handles + SYSTEM_HANDLES)
                tap_note("%d handles, %d in the beginning", n_handles, env.n_handles);
        return n_handles <= env.n_handles + SYSTEM_HANDLES;
}

void util_remove(const char *path)
{
        if (!DeleteFileA(path))
                RemoveDirectoryA(path);
}

pid_t util_gettid(void)
{
        return (pid_t)GetCurrentThreadId();
}

/* Cannot be seen here: what is tested may come before the other thread sleeps, too. */
void util_wait_asleep(pid_t tid)
{
        for (unsigned i = 0; i < 1000; i++)
                SwitchToThread();
}

/* Descriptors of ours are values of handles. */
bool util_poll(int fd, uint32_t events, bool waits)
{
        return WaitForSingleObject((HANDLE)(intptr_t)fd, waits ? INFINITE : 0) == WAIT_OBJECT_0;
}

int64_t util_own_uid(void)
{
        struct nipc__sid sid;

        return nipc__identity_of_process(GetCurrentProcess(), &sid) < 0 ? -1
                                                                        : nipc__identity_hash(&sid);
}

bool util_polls_exactly(void)
{
        return false;
}

bool util_can_poll_out(void)
{
        return false;
}

void util_interrupt(pthread_t victim, void (*handler)(int number))
{
        handler(0);
}

bool util_is_emulated(void)
{
        return false;
}

void shm_peer_skip_unless_watchable(void)
{
        /* Regions have events here, which can be waited for. */
}
