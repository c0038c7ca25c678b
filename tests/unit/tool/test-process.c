/* SPDX-License-Identifier: MIT */
/* What is read of real processes: this one, its threads, its children, alive, dead and reaped. */
#include <process.h>

#include "util-env.h"

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct process_reader open_reader(void)
{
        struct process_reader reader = {0};

        util_eq_error(process_reader_open(NULL, &reader), 0);
        return reader;
}

/* As process_read(), of the machine's /proc, and with nothing borrowed in what is returned. */
static int read_pid(pid_t pid, struct process *ret_process)
{
        struct process_reader reader = open_reader();
        int r = process_read(&reader, (uint32_t)pid, ret_process);

        ret_process->cgroup_path = NULL;
        process_reader_close(&reader);
        return r;
}

/* A child that does nothing until `*ret_fd` is closed, and then exits. */
static pid_t start_child(int *ret_fd)
{
        int fds[2];
        pid_t pid;

        if (pipe(fds) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                char byte;

                close(fds[1]);
                _exit(read(fds[0], &byte, 1) < 0);
        }
        close(fds[0]);
        *ret_fd = fds[1];
        return pid;
}

static uint64_t ticks_since_boot(void)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        return ((uint64_t)now.tv_sec + 1) * (uint64_t)sysconf(_SC_CLK_TCK);
}

static void test_self(void)
{
        struct process_reader reader = open_reader();
        struct process process = {0};
        char comm[16] = "";

        prctl(PR_GET_NAME, comm);
        util_eq_error(process_read(&reader, (uint32_t)getpid(), &process), 0);
        tap_eq_int(process.pid, getpid());
        tap_eq_int(process.ppid, getppid());
        tap_eq_uint(process.uid, geteuid());
        tap_eq_str(process.comm, comm);
        tap_eq_uint(process.comm_len, strlen(comm));
        tap_check(process.starttime <= ticks_since_boot());
        tap_check(!process.kernel_thread);
        tap_check(!process.exiting);
        tap_eq_int(process.cgroup_error, 0);
        tap_check(process.cgroup_status == PROCESS_CGROUP_KNOWN ||
                  process.cgroup_status == PROCESS_CGROUP_PERMANENT ||
                  process.cgroup_status == PROCESS_CGROUP_HOST_ROOT);
        tap_eq_uint(strlen(process.cgroup_path), process.cgroup_path_len);
        tap_eq_int(process.cgroup_status == PROCESS_CGROUP_HOST_ROOT, !*process.cgroup_path);
        process_reader_close(&reader);
        process_reader_close(&reader);
}

static void test_names(void)
{
        static const char *const names[] = {
                ")",
                "(",
                ") R 1 2 3",
                "a b\nc",
                "x) S 0 (",
                "fifteen bytes..",
                "\xff\x80\x01",
                "\\n\\134",
                " a ",
                "(((((",
                ")))))))))",
                "\n",
        };
        struct process process = {0};
        char comm[16] = "";

        prctl(PR_GET_NAME, comm);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                prctl(PR_SET_NAME, names[i]);
                util_eq_error(read_pid(getpid(), &process), 0);
                tap_eq_str(process.comm, names[i]);
                tap_eq_uint(process.comm_len, strlen(names[i]));
                tap_eq_int(process.ppid, getppid());
        }
        prctl(PR_SET_NAME, "");
        util_eq_error(read_pid(getpid(), &process), 0);
        tap_eq_str(process.comm, "?");
        tap_eq_uint(process.comm_len, 1);
        prctl(PR_SET_NAME, comm);
}

static void test_child(void)
{
        struct process self = {0}, child = {0};
        int fd = -1;
        pid_t pid = start_child(&fd);

        util_eq_error(read_pid(getpid(), &self), 0);
        util_eq_error(read_pid(pid, &child), 0);
        tap_eq_int(child.ppid, getpid());
        tap_eq_uint(child.uid, self.uid);
        tap_eq_str(child.comm, self.comm);
        tap_check(child.starttime >= self.starttime);
        close(fd);
        waitpid(pid, NULL, 0);
        util_eq_error(read_pid(pid, &child), -ESRCH);
}

static void test_zombie(void)
{
        struct process alive = {0}, zombie = {0};
        siginfo_t info;
        int fd = -1;
        pid_t pid = start_child(&fd);

        util_eq_error(read_pid(pid, &alive), 0);
        close(fd);
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
        util_eq_error(read_pid(pid, &zombie), 0);
        tap_check(zombie.exiting);
        tap_eq_int(zombie.ppid, getpid());
        tap_eq_uint(zombie.uid, geteuid());
        tap_eq_uint(zombie.starttime, alive.starttime);
        tap_eq_str(zombie.comm, alive.comm);
        /* v1 hierarchies say "/" of it: that is not believed. v2 has it where it was. */
        tap_check(zombie.cgroup_status == alive.cgroup_status ||
                  zombie.cgroup_status == PROCESS_CGROUP_RETRY_LATER);
        waitpid(pid, NULL, 0);
        util_eq_error(read_pid(pid, &zombie), -ESRCH);
}

static void *read_thread(void *data)
{
        struct process process = {0};
        int *results = data;

        results[0] = read_pid(util_gettid(), &process);
        results[1] = read_pid(getpid(), &process);
        return NULL;
}

static void test_thread(void)
{
        int results[2] = {1, 1};
        pthread_t thread;

        tap_require(pthread_create(&thread, NULL, read_thread, results) == 0);
        pthread_join(thread, NULL);
        util_eq_error(results[0], -ESRCH);
        util_eq_error(results[1], 0);
}

/* kthreadd is 2 where the PID namespace is the first one. */
static void test_kernel_thread(void)
{
        struct process process = {0};

        if (read_pid(2, &process) != 0 || strcmp(process.comm, "kthreadd") != 0)
                tap_skip("no kernel threads to be seen");
        tap_check(process.kernel_thread);
        tap_eq_uint(process.ppid, 0);
        tap_eq_uint(process.uid, 0);
        tap_check(process.cgroup_status == PROCESS_CGROUP_HOST_ROOT);
}

static void test_no_pids(void)
{
        static const uint32_t pids[] = {0, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX};
        struct process process = {.pid = 77};

        for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
                util_eq_error(read_pid((pid_t)pids[i], &process), -ESRCH);
        tap_eq_uint(process.pid, 77);
}

/* Reads in between as the child tells that it did what it was to do. */
static void read_as(uid_t effective, struct process *ret_process)
{
        int ready[2], done[2], status = 0;
        char byte = 0;
        pid_t pid;

        tap_require(pipe(ready) == 0);
        tap_require(pipe(done) == 0);
        pid = fork();
        if (pid == 0) {
                close(done[1]);
                if (setresuid((uid_t)-1, effective, (uid_t)-1) < 0)
                        _exit(1);
                prctl(PR_SET_DUMPABLE, 0);
                _exit(write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 0);
        }
        close(ready[1]);
        close(done[0]);
        tap_eq_int(read(ready[0], &byte, 1), 1);
        util_eq_error(read_pid(pid, ret_process), 0);
        close(done[1]);
        close(ready[0]);
        waitpid(pid, &status, 0);
        tap_eq_int(status, 0);
}

static void test_effective_user(void)
{
        struct process process = {0};

        if (geteuid() != 0)
                tap_skip("needs root");
        read_as(12345, &process);
        tap_eq_uint(process.uid, 12345);
}

/* No descriptors says nothing of the process; none for its cgroup nothing of the rest. */
static void test_no_descriptors(void)
{
        struct process_reader reader = open_reader();
        struct rlimit limit, none;
        struct process process = {0};
        int fd = dup(0);

        tap_require(fd >= 0);
        getrlimit(RLIMIT_NOFILE, &limit);
        none = limit;
        none.rlim_cur = (rlim_t)fd;
        setrlimit(RLIMIT_NOFILE, &none);
        util_eq_error(process_read(&reader, (uint32_t)getpid(), &process), -EMFILE);
        none.rlim_cur = (rlim_t)fd + 1;
        setrlimit(RLIMIT_NOFILE, &none);
        close(fd);
        util_eq_error(process_read(&reader, (uint32_t)getpid(), &process), 0);
        setrlimit(RLIMIT_NOFILE, &limit);
        tap_eq_int(process.ppid, getppid());
        tap_eq_int(process.cgroup_status, PROCESS_CGROUP_RETRY_LATER);
        tap_eq_int(process.cgroup_error, EMFILE);
        tap_eq_str(process.cgroup_path, "");
        process_reader_close(&reader);
}

UTIL_MAIN(TAP_CASE(test_self), TAP_CASE(test_names), TAP_CASE(test_child), TAP_CASE(test_zombie),
          TAP_CASE(test_thread), TAP_CASE(test_kernel_thread), TAP_CASE(test_no_pids),
          TAP_CASE(test_effective_user), TAP_CASE(test_no_descriptors))
