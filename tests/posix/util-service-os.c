/* SPDX-License-Identifier: MIT */

/* The part of util-service.h that is POSIX: sockets, descriptors and signals. */

#include "util-service.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static char run_dir[80];
static unsigned n_fds, n_threads;

static unsigned count_entries(const char *path)
{
        DIR *dir = opendir(path);
        unsigned n = 0;

        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        return n;
}

static void remove_run_dir(void)
{
        DIR *dir = opendir(run_dir);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
                closedir(dir);
        rmdir(run_dir);
}

static void *return_null(void *userdata)
{
        return NULL;
}

const char *util_run_dir(void)
{
        const char *tmp = getenv("TMPDIR");
        pthread_t first;

        if (run_dir[0])
                return run_dir;
        /* Sanitizers start a thread of their own with the first of the program. */
        if (pthread_create(&first, NULL, return_null, NULL) == 0)
                pthread_join(first, NULL);
        n_fds = count_entries("/proc/self/fd");
        n_threads = count_entries("/proc/self/task");
        if (!tmp || strlen(tmp) > 40)
                tmp = "/tmp";
        snprintf(run_dir, sizeof(run_dir), "%s/nipc-service-XXXXXX", tmp);
        if (!mkdtemp(run_dir))
                abort();
        atexit(remove_run_dir);
        return run_dir;
}

int util_more_fds(void)
{
        return (int)count_entries("/proc/self/fd") - (int)n_fds;
}

int util_more_threads(void)
{
        int i, n = 0;

        /* The kernel lists a thread for a moment after it was joined. */
        for (i = 0; i < 100000; i++) {
                n = (int)count_entries("/proc/self/task") - (int)n_threads;
                if (n <= 0)
                        break;
                sched_yield();
        }
        return n < 0 ? 0 : n; /* the one that was joined before we counted */
}

/* ---- a client that sends bytes -------------------------------------------------------------- */

int util_raw_connect(const char *service)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct timeval watchdog = {.tv_sec = UTIL_WATCHDOG_MS / 1000};
        int fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", util_run_dir(), service);
        fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &watchdog, sizeof(watchdog));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &watchdog, sizeof(watchdog));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

bool util_raw_packet(int fd, const void *packet, size_t size)
{
        return send(fd, packet, size, MSG_NOSIGNAL) == (ssize_t)size;
}

ssize_t util_raw_receive_packet(int fd, void *buf, size_t size)
{
        return recv(fd, buf, size, 0);
}

/* ---- a server in the caller's loop ---------------------------------------------------------- */

bool util_wait_fd(int fd, int timeout_ms)
{
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        int n;

        do
                n = poll(&pollfd, 1, timeout_ms);
        while (n < 0 && errno == EINTR);
        return n == 1;
}

bool util_pump(struct nipc_server *server, int fd)
{
        struct pollfd pollfds[2] = {
                {.fd = fd, .events = POLLIN},
                {.fd = nipc_server_get_fd(server), .events = POLLIN},
        };

        for (;;) {
                if (poll(pollfds, 2, UTIL_WATCHDOG_MS) <= 0)
                        return false;
                if (pollfds[0].revents)
                        return true;
                if (nipc_server_dispatch(server, 0) < 0)
                        return false;
        }
}

/* ---- signals, users, limits ----------------------------------------------------------------- */

static void (*interrupt)(void);

static void on_signal(int number)
{
        interrupt();
}

void util_run_interrupting(pthread_t thread, void (*run)(void))
{
        struct sigaction action = {.sa_handler = on_signal};

        interrupt = run;
        sigaction(SIGUSR1, &action, NULL);
        pthread_kill(thread, SIGUSR1);
}

bool util_has_quiet_signals(void)
{
        sigset_t blocked;

        pthread_sigmask(SIG_BLOCK, NULL, &blocked);
        return sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1 &&
               sigismember(&blocked, SIGSEGV) == 0 && sigismember(&blocked, SIGBUS) == 0;
}

bool util_is_own_uid(int64_t uid)
{
        return uid == geteuid();
}

bool util_limit_fds(unsigned n)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        if (n > limit.rlim_max)
                return false;
        limit.rlim_cur = n;
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool util_has_room_for_fds(unsigned n)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        return limit.rlim_cur >= n || util_limit_fds(n);
}

/* Servers have none of SHM_HYBRID before Linux 5.16, and under emulators. */
bool util_can_serve(uint32_t profile)
{
#ifdef SYS_futex_waitv
        return profile != NIPC_PROFILE_SHM_HYBRID ||
               syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) >= 0 || errno != ENOSYS;
#else
        return profile != NIPC_PROFILE_SHM_HYBRID;
#endif
}

unsigned util_rounds(unsigned n)
{
        return n;
}

bool util_sees_end_behind_data(void)
{
        return true;
}

bool util_becomes_quiet(struct nipc_server *server)
{
        return !util_wait_fd(nipc_server_get_fd(server), 0);
}

const char *util_path_suffix(void)
{
        return "new.sock";
}
