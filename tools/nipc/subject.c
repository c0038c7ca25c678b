/* SPDX-License-Identifier: MIT */

/* Processes of the subjects of `nipc bench`: start, stop, CPU time, placement. */

#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int subject_pin(int cpu)
{
        static cpu_set_t allowed;
        static bool known;
        cpu_set_t one;

        if (!known) {
                if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                        return -errno;
                known = true;
        }
        CPU_ZERO(&one);
        if (cpu >= 0)
                CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof(one), cpu >= 0 ? &one : &allowed) < 0 ? -errno : 0;
}

pid_t subject_start(const struct subject *subject, const struct subject_options *options)
{
        int ready[2];
        pid_t pid;
        char byte;

        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0) {
                int r = -errno;

                close(ready[0]);
                close(ready[1]);
                return r;
        }
        if (pid == 0) {
                close(ready[0]);
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlive the benchmark */
                signal(SIGINT, SIG_IGN);          /* the parent ends us */
                signal(SIGTERM, SIG_IGN);
                if (subject_pin(options->server_cpu) < 0)
                        _exit(1);
                _exit(subject->serve(options, ready[1]) < 0);
        }
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) {
                close(ready[0]);
                subject_stop(pid);
                return -EIO;
        }
        close(ready[0]);
        return pid;
}

void subject_stop(pid_t pid)
{
        if (pid <= 0)
                return;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
}

double subject_cpu_seconds(pid_t pid)
{
        struct timespec ts;
        clockid_t clock;

        if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
                return 0;
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
