/* SPDX-License-Identifier: MIT */

/*
 * Every system call of accept, handshake and set-up fails in the server, one after the other and
 * with every errno that says "short of something" or "not allowed": whoever is connected keeps
 * being served, and whoever comes later is served again.
 *
 * The calls are replaced in this program; the server runs in a process of its own, and what is to
 * fail there is said in memory that both share.
 */

#include "util-env.h"
#include <dirent.h>
#include <errno.h>
#include <nipc/client.h>
#include <nipc/hello.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* headers are older than kernels */
#endif

#define ATTEMPT_MS 20 /* for a client that may not get in; how long does not matter */

#define N_FIRST_CALLS 50u /* a client that is alone is waited for in other ways after some */

/* What fails, in the process with that number. */
struct faults {
        _Atomic pid_t pid;
        _Atomic(const char *) call; /* a literal: both processes have it; NULL: none */
        atomic_int error;
        atomic_uint n_failed;
};

static struct faults *faults;

static bool fails(const char *call)
{
        const char *wanted = faults ? atomic_load(&faults->call) : NULL;

        if (!wanted || strcmp(wanted, call) || getpid() != atomic_load(&faults->pid))
                return false;
        /* A loop over EINTR ends when the kernel stops interrupting: every other time it does. */
        if (atomic_fetch_add(&faults->n_failed, 1) % 2 && atomic_load(&faults->error) == EINTR)
                return false;
        errno = atomic_load(&faults->error);
        return true;
}

/* ---- the calls ------------------------------------------------------------------------------ */

#define REPLACE(type, failed, name, symbol, parameters, arguments) \
        type __real_##symbol parameters;                           \
        type __wrap_##symbol parameters;                           \
        type __wrap_##symbol parameters                            \
        {                                                          \
                if (fails(name))                                   \
                        return failed;                             \
                return __real_##symbol arguments;                  \
        }

REPLACE(int, -1, "accept4", accept4,
        (int fd, struct sockaddr *addr, socklen_t *addr_size, int flags),
        (fd, addr, addr_size, flags))
REPLACE(void *, NULL, "calloc", calloc, (size_t n, size_t size), (n, size))
REPLACE(void *, NULL, "aligned_alloc", aligned_alloc, (size_t align, size_t size), (align, size))
REPLACE(int, -1, "epoll_ctl", epoll_ctl, (int fd, int op, int on, struct epoll_event *event),
        (fd, op, on, event))
REPLACE(int, -1, "eventfd", eventfd, (unsigned count, int flags), (count, flags))
REPLACE(int, -1, "getsockopt", getsockopt,
        (int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size))
REPLACE(int, -1, "epoll_wait", epoll_wait,
        (int fd, struct epoll_event *events, int max_events, int timeout_ms),
        (fd, events, max_events, timeout_ms))
REPLACE(void *, NULL, "malloc", malloc, (size_t size), (size))
REPLACE(void *, NULL, "realloc", realloc, (void *memory, size_t size), (memory, size))
REPLACE(int, -1, "munmap", munmap, (void *addr, size_t size), (addr, size))
REPLACE(int, -1, "poll", poll, (struct pollfd * fds, nfds_t n_fds, int timeout_ms),
        (fds, n_fds, timeout_ms))
REPLACE(int, atomic_load(&faults->error), "pthread_create", pthread_create,
        (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata),
        (thread, attr, run, userdata))
REPLACE(int, -1, "sched_getcpu", sched_getcpu, (void), ())
REPLACE(long, -1, "sysconf", sysconf, (int name), (name))
REPLACE(int, -1, "unlinkat", unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
REPLACE(int, -1, "madvise", madvise, (void *addr, size_t size, int advice), (addr, size, advice))
REPLACE(int, -1, "memfd_create", memfd_create, (const char *name, unsigned flags), (name, flags))
REPLACE(ssize_t, -1, "recvmsg", recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
REPLACE(ssize_t, -1, "sendmsg", sendmsg, (int fd, const struct msghdr *msg, int flags),
        (fd, msg, flags))
REPLACE(ssize_t, -1, "recv", recv, (int fd, void *buf, size_t size, int flags),
        (fd, buf, size, flags))
REPLACE(ssize_t, -1, "send", send, (int fd, const void *buf, size_t size, int flags),
        (fd, buf, size, flags))
REPLACE(int, -1, "setsockopt", setsockopt,
        (int fd, int level, int name, const void *value, socklen_t size),
        (fd, level, name, value, size))
REPLACE(int, -1, "timerfd_settime", timerfd_settime,
        (int fd, int flags, const struct itimerspec *to, struct itimerspec *from),
        (fd, flags, to, from))

/* By the names that they have where file offsets are made 64 bits wide. */
#define REPLACE_BOTH(type, failed, name, parameters, arguments)   \
        REPLACE(type, failed, #name, name, parameters, arguments) \
        REPLACE(type, failed, #name, name##64, parameters, arguments)

REPLACE_BOTH(int, -1, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
REPLACE_BOTH(int, -1, fstat, (int fd, struct stat *st), (fd, st))
REPLACE_BOTH(int, -1, fstatat, (int fd, const char *path, struct stat *st, int flags),
             (fd, path, st, flags))
REPLACE_BOTH(int, -1, getrlimit, (int what, struct rlimit *limit), (what, limit))
REPLACE_BOTH(int, -1, ftruncate, (int fd, off_t size), (fd, size))
REPLACE_BOTH(void *, MAP_FAILED, mmap,
             (void *addr, size_t size, int protection, int flags, int fd, off_t at),
             (addr, size, protection, flags, fd, at))
REPLACE_BOTH(ssize_t, -1, pread, (int fd, void *buf, size_t size, off_t at), (fd, buf, size, at))

#define REPLACE_VARIADIC(name, symbol)                      \
        int __real_##symbol(int fd, int what, ...);         \
        int __wrap_##symbol(int fd, int what, ...);         \
        int __wrap_##symbol(int fd, int what, ...)          \
        {                                                   \
                va_list list;                               \
                long argument;                              \
                                                            \
                va_start(list, what);                       \
                argument = va_arg(list, long);              \
                va_end(list);                               \
                if (fails(name))                            \
                        return -1;                          \
                return __real_##symbol(fd, what, argument); \
        }

REPLACE_VARIADIC("fcntl", fcntl)
REPLACE_VARIADIC("fcntl", fcntl64)

#define REPLACE_OPENAT(symbol)                                         \
        int __real_##symbol(int fd, const char *path, int flags, ...); \
        int __wrap_##symbol(int fd, const char *path, int flags, ...); \
        int __wrap_##symbol(int fd, const char *path, int flags, ...)  \
        {                                                              \
                va_list list;                                          \
                mode_t mode;                                           \
                                                                       \
                va_start(list, flags);                                 \
                mode = (mode_t)va_arg(list, int);                      \
                va_end(list);                                          \
                if (fails("openat"))                                   \
                        return -1;                                     \
                return __real_##symbol(fd, path, flags, mode);         \
        }

REPLACE_OPENAT(openat)
REPLACE_OPENAT(openat64)

/* What has no function in the C library; of futexes only what can fail: to wake cannot. */
static const char *name_syscall(long number)
{
        return number == SYS_futex_waitv    ? "futex_waitv"
               : number == SYS_io_destroy   ? "io_destroy"
               : number == SYS_io_getevents ? "io_getevents"
               : number == SYS_io_setup     ? "io_setup"
               : number == SYS_io_submit    ? "io_submit"
                                            : "";
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
        const char *name = name_syscall(number);
        long a[6] = {0};
        va_list list;

        va_start(list, number);
        /* What is not passed must not be read: the sixth of a futex lies in the frame. */
        for (int i = 0; i < (*name ? 5 : 6); i++)
                a[i] = va_arg(list, long);
        va_end(list);
        if (fails(name))
                return -1;
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* It is closed, whatever is said. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
        int r = __real_close(fd);

        return fails("close") ? -1 : r;
}

static const char *const calls[] = {
        "accept4",     "aligned_alloc", "calloc",       "close",   "epoll_ctl",       "epoll_wait",
        "eventfd",     "fallocate",     "fcntl",        "fstat",   "fstatat",         "ftruncate",
        "getrlimit",   "getsockopt",    "madvise",      "malloc",  "memfd_create",    "mmap",
        "munmap",      "openat",        "poll",         "pread",   "pthread_create",  "realloc",
        "recv",        "recvmsg",       "sched_getcpu", "send",    "sendmsg",         "setsockopt",
        "futex_waitv", "io_setup",      "io_submit",    "sysconf", "timerfd_settime", "unlinkat",
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static const int errors[] = {EMFILE, ENFILE, ENOMEM, EINTR, ENOSPC, EPERM};

/* ---- the server ----------------------------------------------------------------------------- */

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static int serve(int ready_fd, int end_fd)
{
        const struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        char byte;

        config.run_dir = util_dir();
        config.service = "svc";
        config.n_workers = 1;
        config.profiles = nipc_profile_get_available();
        if (nipc_server_new_increment(&config, &handler, &server) < 0 ||
            nipc_server_start(server) < 0 || write(ready_fd, "", 1) != 1)
                return 1;
        if (read(end_fd, &byte, 1) < 0)
                return 1;
        nipc_server_free(server);
        return 0;
}

struct child {
        pid_t pid;
        int end_fd;
        int n_fds;
};

static int count_fds_of(pid_t pid)
{
        char path[64], link[64];
        int n = 0, fd;

        for (fd = 0; fd < 256; fd++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
                n += readlink(path, link, sizeof(link)) >= 0;
        }
        return n;
}

static void start(struct child *child)
{
        int ready[2], end[2];
        char byte;

        (void)util_dir(); /* is made by the first who asks, and shall be the same for both */
        tap_require(pipe(ready) == 0 && pipe(end) == 0);
        child->pid = fork();
        tap_require(child->pid >= 0);
        if (child->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                util_arm_watchdog();
                close(ready[0]);
                close(end[1]);
                _exit(serve(ready[1], end[0]));
        }
        close(ready[1]);
        close(end[0]);
        tap_check(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        child->end_fd = end[1];
        atomic_store(&faults->pid, child->pid);
        child->n_fds = count_fds_of(child->pid);
}

static void stop(struct child *child)
{
        int status = 0;

        close(child->end_fd);
        tap_check(waitpid(child->pid, &status, 0) == child->pid);
        tap_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- clients -------------------------------------------------------------------------------- */

static struct nipc_client *new_client(uint32_t profiles, uint32_t timeout_ms)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.profiles = profiles;
        config.timeout_ms = timeout_ms;
        if (util_eq_error(nipc_client_new(&config, &client), 0))
                nipc_client_refresh(client);
        return client;
}

static void ask(struct nipc_client *client, const char *who, const char *call, int error)
{
        uint64_t value = 0;

        util_waiting_for(who);
        if (nipc_client_increment(client, 41, 60000, &value) != 0 || value != 42)
                tap_fail("%s fails with %s: no answer to %s", call, strerror(error), who);
}

/* Whether a failure of that call is the end of whatever session it is made for. */
static bool is_of_messages(const char *call)
{
        return !strcmp(call, "recv") || !strcmp(call, "send") || !strcmp(call, "recvmsg") ||
               !strcmp(call, "sendmsg") || !strcmp(call, "epoll_ctl");
}

/* This is interrupted or does not fail: nothing is allocated in it. */
static bool can_fail_so(const char *call, int error)
{
        return error == EINTR || strcmp(call, "epoll_wait") != 0;
}

/* May or may not get in, and be answered. */
static void attempt(uint32_t profiles, unsigned n_calls)
{
        struct nipc_client *client = new_client(profiles, ATTEMPT_MS);
        uint64_t value;

        while (n_calls-- && nipc_client_is_ready(client))
                nipc_client_increment(client, 1, ATTEMPT_MS, &value);
        nipc_client_free(client);
}

static void expect_served(uint32_t profiles, const char *call, int error)
{
        struct nipc_client *client = new_client(profiles, 60000);

        ask(client, "the client that came later", call, error);
        nipc_client_free(client);
}

static void set_fault(const char *call, int error)
{
        atomic_store(&faults->error, error);
        atomic_store(&faults->call, call);
}

static void try_failure(struct nipc_client *old, uint32_t profiles, const char *call, int error)
{
        set_fault(call, error);
        attempt(profiles, 1);
        if (!is_of_messages(call))
                ask(old, "the client that is connected", call, error);
        atomic_store(&faults->call, NULL);
        ask(old, "the client that was connected", call, error);
        expect_served(profiles, call, error);
}

static void wait_for_descriptors(const struct child *child)
{
        util_waiting_for("the descriptors of the server");
        while (count_fds_of(child->pid) != child->n_fds)
                sched_yield();
}

/* Files of memory that a server left; those that it could not remove do not count. */
static unsigned count_left(const char *call)
{
        unsigned n = 0;
        DIR *dir = opendir(util_dir());

        for (struct dirent *entry; dir && (entry = readdir(dir));)
                n += strstr(entry->d_name, ".ipcshm") != NULL;
        closedir(dir);
        return strcmp(call, "fstatat") && strcmp(call, "unlinkat") ? n : 0;
}

/* A server of which each is the first: some things are made once, and kept. */
static void try_first(uint32_t profiles, const char *call, int error)
{
        struct child child = {.pid = -1};
        struct nipc_client *other;

        start(&child);
        set_fault(call, error);
        attempt(profiles, N_FIRST_CALLS);
        other = new_client(profiles, ATTEMPT_MS); /* two are waited for in other ways than one */
        attempt(profiles, 1);
        atomic_store(&faults->call, NULL);
        nipc_client_free(other);
        expect_served(profiles, call, error);
        wait_for_descriptors(&child);
        stop(&child);
        tap_eq_uint(count_left(call), 0);
}

#define COMMON_CALLS "accept4", "calloc", "epoll_ctl", "getsockopt", "realloc", "recvmsg"

/* expected: calls that have to be met, or what is replaced is not what is called; NULL: the end. */
static void try_profiles(uint32_t profiles, const char *const *expected)
{
        struct child child = {.pid = -1};
        unsigned n_met[N_CALLS];
        struct nipc_client *old;

        if (profiles & ~nipc_profile_get_available())
                tap_skip("not in this build");
        start(&child);
        old = new_client(profiles, 60000);
        for (size_t i = 0; i < N_CALLS; i++) {
                atomic_store(&faults->n_failed, 0);
                for (size_t k = 0; k < sizeof(errors) / sizeof(errors[0]); k++)
                        if (can_fail_so(calls[i], errors[k]))
                                try_failure(old, profiles, calls[i], errors[k]);
                n_met[i] = atomic_load(&faults->n_failed);
        }
        nipc_client_free(old);
        wait_for_descriptors(&child);
        stop(&child);
        for (size_t i = 0; i < N_CALLS; i++) {
                atomic_store(&faults->n_failed, 0);
                if (can_fail_so(calls[i], ENOMEM))
                        try_first(profiles, calls[i], ENOMEM);
                try_first(profiles, calls[i], EINTR);
                printf("# %s failed %u times, and %u times when it was the first\n", calls[i],
                       n_met[i], atomic_load(&faults->n_failed));
                n_met[i] += atomic_load(&faults->n_failed);
                for (const char *const *name = expected; *name; name++)
                        if (!strcmp(*name, calls[i]) && !n_met[i])
                                tap_fail("%s is not called", calls[i]);
        }
}

static void test_baseline(void)
{
        static const char *const expected[] = {COMMON_CALLS, "malloc",          "recv",
                                               "send",       "timerfd_settime", NULL};

        try_profiles(NIPC_PROFILE_BASELINE, expected);
}

/* Small requests over a ring need no buffer. */
static void test_ring(void)
{
        static const char *const expected[] = {COMMON_CALLS, "aligned_alloc", "fallocate",
                                               "fcntl",      "fstat",         "ftruncate",
                                               "madvise",    "memfd_create",  "mmap",
                                               "pread",      "sendmsg",       NULL};

        try_profiles(NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING, expected);
}

static void test_shm_hybrid(void)
{
        static const char *const expected[] = {COMMON_CALLS,     "malloc", "eventfd",
                                               "fallocate",      "fcntl",  "fstat",
                                               "getrlimit",      "mmap",   "openat",
                                               "pthread_create", NULL};

        try_profiles(NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, expected);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_baseline), TAP_CASE(test_ring),
                                                TAP_CASE(test_shm_hybrid),
                                                TAP_CASE(test_nothing_leaked)};

        faults = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (faults == MAP_FAILED)
                return 1;
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
