/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What /proc tells of one process: name, parent, owner, start and cgroup, all of one and the same
 * process or nothing. Looks at one PID at a time, remembers none, and allocates nothing per PID:
 * seven system calls for each that lives, one for each that does not. Seventeen for threads, and on
 * machines with v1 hierarchies for processes in the root of all: what may be due to an exec() is
 * asked for again, see process.c.
 *
 *         process_reader_open(NULL, &reader);
 *         while (...)
 *                 r = process_read(&reader, pid, &process);
 *         process_reader_close(&reader);
 *
 * One thread at a time per reader.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_COMM_MAX 15u /* TASK_COMM_LEN without its NUL */

/* The values are those of the wire. */
enum process_cgroup_status {
        PROCESS_CGROUP_KNOWN = 0,
        PROCESS_CGROUP_RETRY_LATER = 1, /* not to be told now; no path; see cgroup_error */
        PROCESS_CGROUP_PERMANENT = 2,   /* has a path that leads out of what we may see: "/.." */
        /*
         * In the root of the hierarchy; no path. With v1 hierarchies a process seems to be there
         * while a thread other than its first calls exec(): it is read again, but not for ever.
         */
        PROCESS_CGROUP_HOST_ROOT = 3,
};

struct process {
        uint32_t pid;
        uint32_t ppid;      /* 0: none in the PID namespace of that /proc */
        uint32_t uid;       /* effective, as ps shows it: the owner of /proc/PID */
        uint64_t starttime; /* since boot, in clock ticks: sysconf(_SC_CLK_TCK) in a second */
        bool kernel_thread;
        bool exiting; /* its first thread is a zombie, or about to be; others may yet live */
        /*
         * 1 to 15 bytes, any but NUL, and a NUL. "?" for a process that took its name away; what
         * the kernel tells of a kernel thread in more than 15 bytes is cut.
         */
        size_t comm_len;
        char comm[PROCESS_COMM_MAX + 1];

        enum process_cgroup_status cgroup_status;
        int cgroup_error;        /* an errno when there is one behind RETRY_LATER, else 0 */
        const char *cgroup_path; /* NUL-terminated, "" for none; borrowed until the next read */
        size_t cgroup_path_len;
};

struct process_reader {
        int root_fd;
        char *buffer; /* for a stat file, then for a cgroup file */
};

/*
 * proc: a directory laid out like /proc, which is what NULL stands for. Returns 0 or a negative
 * errno: that of opening the directory, -ENOMEM.
 */
int process_reader_open(const char *proc, struct process_reader *ret_reader);

void process_reader_close(struct process_reader *reader);

/*
 * Reads one process. Returns 0, or
 *   -ESRCH    there is none of that PID: it has been reaped, at the latest while we looked; or we
 *             are not told of it (hidepid=2); or the number is that of a thread, not of a process
 *   -EACCES   there is one, but we may not look into it (hidepid=1)
 *   -EBADMSG  what /proc says is not what a kernel says
 *   others    nothing is known for now, and it says nothing of the process: -EMFILE, -ENFILE,
 *             -ENOMEM, -EIO ...
 * and leaves *ret_process alone. A cgroup that cannot be read is no failure, see cgroup_status.
 *
 * Which of the cgroups, where v1 hierarchies are mounted: the first that is not the root of its
 * hierarchy, of name=systemd, unified, cpu, cpuacct and memory. A process that exits is nowhere
 * in v1 hierarchies: RETRY_LATER until it is gone, unless the unified one tells.
 */
int process_read(struct process_reader *reader, uint32_t pid, struct process *ret_process);
