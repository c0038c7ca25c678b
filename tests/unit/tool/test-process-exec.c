/* SPDX-License-Identifier: MIT */
/*
 * A process that does nothing but exec(), each time from its second thread, which takes the PID
 * over from the first: it is one and the same process to whoever reads it, and never gone.
 *
 * It is this program again, which is told by its environment to be that process.
 */
#include <process.h>

#include "util-env.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_READS 10000u
#define N_EXECS 100u

#define FD_VARIABLE   "TEST_PROCESS_EXEC_FD"
#define PATH_VARIABLE "TEST_PROCESS_EXEC_PATH"

static void *exec_again(void *data)
{
        const char *path = getenv(PATH_VARIABLE);

        execl(path, path, (char *)NULL);
        _exit(1);
}

/* Before main(): tells that it is there, until nobody listens, and is replaced. */
__attribute__((constructor)) static void be_victim(void)
{
        const char *fd = getenv(FD_VARIABLE);
        pthread_t thread;

        if (!fd || !getenv(PATH_VARIABLE))
                return;
        if (write(atoi(fd), "", 1) != 1 || pthread_create(&thread, NULL, exec_again, NULL))
                _exit(1);
        for (;;)
                pause();
}

/* One byte comes for each exec(). */
static pid_t start_victim(int *ret_fd)
{
        char path[4096], number[16];
        ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
        int fds[2];
        pid_t pid;

        if (len <= 0 || pipe(fds) < 0)
                return -1;
        path[len] = '\0';
        snprintf(number, sizeof(number), "%d", fds[1]);
        pid = fork();
        if (pid == 0) {
                setenv(FD_VARIABLE, number, 1);
                setenv(PATH_VARIABLE, path, 1);
                close(fds[0]);
                exec_again(NULL);
        }
        close(fds[1]);
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        *ret_fd = fds[0];
        return pid;
}

/* How many bytes have come since. */
static unsigned int count_execs(int fd)
{
        char bytes[256];
        ssize_t n = read(fd, bytes, sizeof(bytes));

        return n > 0 ? (unsigned int)n : 0;
}

/*
 * What must not change; of the cgroup it may be that it cannot be told, and once in a great while,
 * with cgroup v1, that it seems to be the root, see process.h.
 */
static bool is_same(const struct process *process, const struct process *first)
{
        return process->starttime == first->starttime && process->ppid == first->ppid &&
               process->uid == first->uid && strcmp(process->comm, first->comm) == 0 &&
               (process->cgroup_status == first->cgroup_status ||
                process->cgroup_status == PROCESS_CGROUP_HOST_ROOT ||
                process->cgroup_status == PROCESS_CGROUP_RETRY_LATER);
}

static void read_victim(pid_t pid, int fd)
{
        unsigned int n_execs = 0, n_reads = 0, n_lost = 0, n_other = 0, n_root = 0;
        struct process_reader reader;
        struct process self = {0}, process = {0}, first;

        tap_require(process_reader_open(NULL, &reader) == 0);
        util_eq_error(process_read(&reader, (uint32_t)getpid(), &self), 0);
        util_waiting_for("a process to exec()");
        while (!n_execs)
                n_execs = count_execs(fd);
        util_eq_error(process_read(&reader, (uint32_t)pid, &process), 0);
        first = process;
        first.cgroup_status = self.cgroup_status;
        for (; n_reads < N_READS || n_execs < N_EXECS; n_reads++) {
                if (process_read(&reader, (uint32_t)pid, &process) != 0)
                        n_lost++;
                if (!is_same(&process, &first)) {
                        n_other++;
                        tap_note("start %" PRIu64 " parent %u owner %u name %s cgroup %d",
                                 process.starttime, process.ppid, process.uid, process.comm,
                                 process.cgroup_status);
                }
                n_root += process.cgroup_status == PROCESS_CGROUP_HOST_ROOT;
                n_execs += count_execs(fd);
        }
        tap_eq_uint(n_lost, 0);
        tap_eq_uint(n_other, 0);
        if (first.cgroup_status != PROCESS_CGROUP_HOST_ROOT)
                tap_check(n_root <= n_reads / 1000);
        tap_eq_int(first.ppid, getpid());
        tap_note("%u reads, %u times exec()", n_reads, n_execs);
        process_reader_close(&reader);
}

static void test_exec(void)
{
        int fd = -1, status = 0;
        pid_t pid = start_victim(&fd);

        tap_require(pid > 0);
        read_victim(pid, fd);
        kill(pid, SIGKILL);
        close(fd);
        waitpid(pid, &status, 0);
        tap_check(WIFSIGNALED(status));
}

UTIL_MAIN(TAP_CASE(test_exec))
