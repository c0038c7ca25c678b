/* SPDX-License-Identifier: MIT */

/* Processes of the subjects of `nipc bench`: start, stop, CPU time, placement. */

#include "subject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

bool subject_can(const struct subject *subject, enum subject_scenario scenario)
{
        if (subject->slice)
                return scenario == SUBJECT_PING_PONG ||
                       (scenario == SUBJECT_PIPELINE && !subject->one_at_a_time);
        switch (scenario) {
        case SUBJECT_PING_PONG:
                return subject->ping;
        case SUBJECT_PIPELINE:
                return subject->send && subject->receive;
        case SUBJECT_BATCH:
                return subject->batch;
        case SUBJECT_SNAPSHOT:
                return subject->snapshot;
        case SUBJECT_LARGE:
                return subject->large;
        case SUBJECT_FAIRNESS:
                return subject->crowd && subject->trouble;
        case SUBJECT_CLIENTS:
        case SUBJECT_IDLE:
                return subject->crowd;
        case SUBJECT_PIPELINE_BATCH:
                return subject->send_batch && subject->receive_batch;
        case SUBJECT_LOOKUP:
                return subject->lookup;
        default:
                return false;
        }
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

pid_t subject_start_trouble(const struct subject *subject, const struct subject_options *options)
{
        const struct sched_param param = {0};
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        subject_pin(-1);
        /* Never in the way of who behaves: the server is asked about, not the scheduler. */
        sched_setscheduler(0, SCHED_IDLE, &param);
        _exit(subject->trouble(options) < 0);
}

/* Sends a signal that changes whether the child runs, and waits until it did. */
static int change(pid_t pid, int signal_number, int options)
{
        siginfo_t info = {0};

        if (kill(pid, signal_number) < 0)
                return -errno;
        while (waitid(P_PID, (id_t)pid, &info, options | WEXITED | WNOWAIT) < 0)
                if (errno != EINTR)
                        return -errno;
        if (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED)
                return waitid(P_PID, (id_t)pid, &info, options | WNOHANG) < 0 ? -errno : 0;
        return -ECHILD; /* ended, left for subject_stop() to reap */
}

int subject_pause(pid_t pid)
{
        return change(pid, SIGSTOP, WSTOPPED);
}

int subject_resume(pid_t pid)
{
        return change(pid, SIGCONT, WCONTINUED);
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

/* Calls each() for all threads of a process. */
static int for_each_thread(pid_t pid, int (*each)(pid_t pid, pid_t tid, void *userdata),
                           void *userdata)
{
        char path[64];
        struct dirent *entry;
        DIR *dir;
        int r = 0;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
        dir = opendir(path);
        if (!dir)
                return -errno;
        while (r == 0 && (entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        r = each(pid, (pid_t)atoi(entry->d_name), userdata);
        closedir(dir);
        return r;
}

static int add_switches(pid_t pid, pid_t tid, void *userdata)
{
        uint64_t *sum = userdata;
        char path[64], line[128];
        unsigned long long n;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1 ||
                    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &n) == 1)
                        *sum += n;
        if (file)
                fclose(file);
        return 0;
}

uint64_t subject_count_switches(pid_t pid)
{
        struct rusage usage;
        uint64_t sum = 0;

        if (pid > 0)
                for_each_thread(pid, add_switches, &sum);
        else if (getrusage(RUSAGE_SELF, &usage) == 0)
                sum = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
        return sum;
}

double subject_memory_kb(pid_t pid)
{
        char path[64], line[128];
        double kb = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "Pss: %lf", &kb) == 1)
                        break;
        if (file)
                fclose(file);
        return kb;
}

static int pin_thread(pid_t pid, pid_t tid, void *userdata)
{
        (void)pid;
        return sched_setaffinity(tid, sizeof(cpu_set_t), userdata) < 0 ? -errno : 0;
}

int subject_pin_process(pid_t pid, int cpu)
{
        cpu_set_t one;

        if (cpu < 0)
                return 0;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return for_each_thread(pid, pin_thread, &one);
}
