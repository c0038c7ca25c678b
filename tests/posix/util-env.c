/* SPDX-License-Identifier: MIT */

/* See util-env.h. */

#include "util-env.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WATCHDOG_S  100
#define MAX_FD_SEEN 1024

static struct {
        char dir[80];
        pid_t dir_owner;
        int n_fds, n_threads, n_mappings;
        bool fd_seen[MAX_FD_SEEN];
        /* Relaxed: the watchdog reads whatever was last said. */
        _Atomic(const char *) waiting_for;
} env;

/* ---- the watchdog --------------------------------------------------------------------------- */

static void on_alarm(int number)
{
        static const char text[] = "\nBail out! watchdog: the program hangs, waiting for: ";
        const char *what = atomic_load_explicit(&env.waiting_for, memory_order_relaxed);
        ssize_t n;

        if (!what)
                what = "something";
        n = write(STDOUT_FILENO, text, sizeof(text) - 1);
        n = write(STDOUT_FILENO, what, strlen(what));
        n = write(STDOUT_FILENO, "\n", 1);
        (void)n;
        _exit(124);
}

void util_arm_watchdog(void)
{
        const char *seconds = getenv("NIPC_TEST_WATCHDOG_S"), *preload = getenv("LD_PRELOAD");
        bool valgrind = preload && strstr(preload, "vgpreload");

        signal(SIGALRM, on_alarm);
        alarm(seconds ? (unsigned)atoi(seconds) : WATCHDOG_S * (valgrind ? 10 : 1));
}

void util_waiting_for(const char *what)
{
        atomic_store_explicit(&env.waiting_for, what, memory_order_relaxed);
}

/* ---- the directory -------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void util_remove(const char *path)
{
        nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void remove_dir(void)
{
        /* A child that leaves by exit() leaves the directory to its parent. */
        if (env.dir_owner == getpid())
                util_remove(env.dir);
}

const char *util_dir(void)
{
        const char *tmp = getenv("TMPDIR");

        if (env.dir[0])
                return env.dir;
        if (!tmp || strlen(tmp) > 40)
                tmp = "/tmp";
        snprintf(env.dir, sizeof(env.dir), "%s/nipc-XXXXXX", tmp);
        if (!mkdtemp(env.dir)) {
                perror(env.dir);
                exit(99);
        }
        env.dir_owner = getpid();
        atexit(remove_dir);
        return env.dir;
}

const char *util_path(const char *name)
{
        static char paths[4][400];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", util_dir(), name);
        return path;
}

/* ---- counting ------------------------------------------------------------------------------- */

/* Entries of a directory of numbers. mark: NULL, or told about each that is below MAX_FD_SEEN. */
static int count_numbers(const char *path, bool *mark)
{
        DIR *dir = opendir(path);
        const struct dirent *entry;
        int n = 0;

        while (dir && (entry = readdir(dir))) {
                int number = atoi(entry->d_name);

                if (entry->d_name[0] == '.' || number == dirfd(dir))
                        continue;
                n++;
                if (mark && number < MAX_FD_SEEN)
                        mark[number] = true;
        }
        if (dir)
                closedir(dir);
        return n;
}

int util_count_fds(void)
{
        return count_numbers("/proc/self/fd", NULL);
}

int util_count_threads(void)
{
        return count_numbers("/proc/self/task", NULL);
}

int util_count_shared_mappings(void)
{
        /* Private ones are the allocator's, and the stacks it keeps for later threads. */
        FILE *file = fopen("/proc/self/maps", "r");
        char line[512], perms[8];
        int n = 0;

        while (file && fgets(line, sizeof(line), file))
                n += sscanf(line, "%*s %7s", perms) == 1 && perms[3] == 's';
        if (file)
                fclose(file);
        return n;
}

int util_count_inheritable_fds(void)
{
        int n = 0;

        for (int fd = 0; fd < MAX_FD_SEEN; fd++) {
                int flags = fcntl(fd, F_GETFD);

                if (flags >= 0 && !(flags & FD_CLOEXEC) && !env.fd_seen[fd])
                        n++;
        }
        return n;
}

static void *do_nothing(void *arg)
{
        return arg;
}

void util_begin(void)
{
        pthread_t thread;

        util_arm_watchdog();
        /* A sanitizer starts a thread of its own with the first one, and keeps it. */
        if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
                pthread_join(thread, NULL);
        env.n_fds = count_numbers("/proc/self/fd", env.fd_seen);
        env.n_threads = util_count_threads();
        env.n_mappings = util_count_shared_mappings();
}

bool util_nothing_leaked(void)
{
        int n_fds = util_count_fds(), n_mappings = util_count_shared_mappings();

        if (n_fds != env.n_fds)
                tap_note("%d descriptors, %d in the beginning", n_fds, env.n_fds);
        if (n_mappings != env.n_mappings)
                tap_note("%d shared mappings, %d in the beginning", n_mappings, env.n_mappings);
        /* The kernel says that a thread has ended a moment before it has. */
        util_waiting_for("threads to end");
        while (util_count_threads() > env.n_threads)
                sched_yield();
        return n_fds == env.n_fds && n_mappings == env.n_mappings;
}

/* ---- threads -------------------------------------------------------------------------------- */

bool util_is_emulated(void)
{
        return madvise(NULL, 0, 12345 /* that no kernel has */) == 0;
}

pid_t util_gettid(void)
{
        return (pid_t)syscall(SYS_gettid);
}

void util_wait_asleep(pid_t tid)
{
        char path[64], text[256], *state;

        util_waiting_for("a thread to sleep");
        snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", (long)tid);
        for (;;) {
                FILE *file = fopen(path, "r");

                text[0] = 0;
                if (file) {
                        if (!fgets(text, sizeof(text), file))
                                text[0] = 0;
                        fclose(file);
                }
                state = strrchr(text, ')'); /* the name of the thread is in parentheses */
                if (!file || (state && state[1] && state[2] == 'S'))
                        return;
                sched_yield();
        }
}

bool util_poll(int fd, uint32_t events, bool waits)
{
        struct pollfd pollfd = {.fd = fd};

        if (events & NIPC_EVENT_IN)
                pollfd.events |= POLLIN;
        if (events & NIPC_EVENT_OUT)
                pollfd.events |= POLLOUT;
        return poll(&pollfd, 1, waits ? -1 : 0) == 1;
}

int64_t util_own_uid(void)
{
        return geteuid();
}

bool util_polls_exactly(void)
{
        return true;
}

bool util_can_poll_out(void)
{
        return true;
}

void util_interrupt(pthread_t victim, void (*handler)(int number))
{
        struct sigaction action = {.sa_handler = handler};

        sigaction(SIGUSR1, &action, NULL);
        pthread_kill(victim, SIGUSR1);
}
