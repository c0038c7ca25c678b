/* SPDX-License-Identifier: MIT */
/*
 * Processes that die while they are read, over and over: what is read is right, or gone.
 *
 * A breeder starts victims and kills each a moment later. They are of two kinds, "victim-0" and
 * "victim-1", each of a user of its own, and born as what they are. Where the breeder may choose
 * PIDs, the next victim, of the other kind, always gets the PID of the last: who reads one field of
 * the one and another of the other would be caught here. Elsewhere PIDs differ, as they come.
 */
#include <process.h>

#include "util-env.h"

#include <errno.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_READS   10000u
#define FIRST_UID 4100000u

/* What breeder and reader share. */
struct farm {
        atomic_int pid;     /* of the latest victim */
        atomic_int chosen;  /* victims have the PID that was chosen for them */
        atomic_int users;   /* victims are of two users */
        atomic_uint n_born; /* victims so far */
        atomic_bool stop;
};

struct outcome {
        unsigned int n_kind[2], n_gone, n_wrong;
};

/* Whoever does not hold the other end waits here until it is closed. */
static void wait_for_end(int fd)
{
        char byte;

        _exit(read(fd, &byte, 1) < 0);
}

/* As fork(), and with the PID if it may be had. */
static pid_t fork_as(pid_t wanted, atomic_int *ret_chosen)
{
        uint64_t tid = (uint64_t)(uintptr_t)&wanted;
        struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = tid, .set_tid_size = 1};
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

        if (pid >= 0) {
                atomic_store(ret_chosen, 1);
                return pid;
        }
        atomic_store(ret_chosen, 0);
        return fork();
}

/* A number that was free just now. The kernel hands it out again only when all others were. */
static pid_t find_free_pid(void)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        waitpid(pid, NULL, 0);
        return pid;
}

/* The kind is all that the victim inherits; it is complete before there is one. */
static void become(struct farm *farm, unsigned int kind)
{
        char name[16];

        snprintf(name, sizeof(name), "victim-%u", kind);
        prctl(PR_SET_NAME, name);
        if (setresuid((uid_t)-1, FIRST_UID + kind, (uid_t)-1) == 0)
                atomic_store(&farm->users, 1);
}

static void breed(struct farm *farm, int end_fd, pid_t parent)
{
        pid_t wanted = find_free_pid();
        uint64_t random = 1;

        /* The effective user changes, what root may does not. */
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
        while (!atomic_load(&farm->stop) && getppid() == parent) {
                unsigned int kind = atomic_load(&farm->n_born) & 1u;
                pid_t pid;

                become(farm, kind);
                pid = fork_as(wanted, &farm->chosen);
                if (pid == 0)
                        wait_for_end(end_fd);
                if (pid < 0)
                        continue;
                atomic_store(&farm->pid, pid);
                atomic_fetch_add(&farm->n_born, 1);
                for (uint64_t n = tap_random(&random) % 50000; n; n--)
                        atomic_load(&farm->stop);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
        }
        _exit(0);
}

static void check_victim(const struct farm *farm, const struct process *process, pid_t breeder,
                         struct outcome *outcome)
{
        unsigned int kind = process->comm[process->comm_len - 1] == '1';
        char name[16];
        bool good;

        snprintf(name, sizeof(name), "victim-%u", kind);
        good = strcmp(process->comm, name) == 0 && process->ppid == (uint32_t)breeder;
        if (atomic_load(&farm->users))
                good = good && process->uid == FIRST_UID + kind;
        outcome->n_kind[kind]++;
        if (good)
                return;
        if (!outcome->n_wrong++)
                tap_note("%s, uid %" PRIu32 ", ppid %" PRIu32, process->comm, process->uid,
                         process->ppid);
}

/* Until both kinds and their absence were seen, and enough was read. */
static void read_victims(const struct farm *farm, pid_t breeder, struct outcome *outcome)
{
        struct process_reader reader;
        struct process process;

        tap_require(process_reader_open(NULL, &reader) == 0);
        util_waiting_for("victims of both kinds");
        while (!atomic_load(&farm->n_born))
                sched_yield();
        for (unsigned int n = 0;
             n < N_READS || !outcome->n_kind[0] || !outcome->n_kind[1] || !outcome->n_gone; n++) {
                int r = process_read(&reader, (uint32_t)atomic_load(&farm->pid), &process);

                if (r == 0)
                        check_victim(farm, &process, breeder, outcome);
                else if (r == -ESRCH)
                        outcome->n_gone++;
                else if (!outcome->n_wrong++)
                        util_eq_error(r, -ESRCH);
        }
        process_reader_close(&reader);
}

static void read_and_kill(void)
{
        struct farm *farm = mmap(NULL, sizeof(*farm), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct outcome outcome = {0};
        pid_t parent = getpid(), breeder;
        int end[2];

        tap_require(farm != MAP_FAILED);
        tap_require(pipe(end) == 0);
        breeder = fork();
        if (breeder == 0) {
                close(end[1]);
                breed(farm, end[0], parent);
        }
        read_victims(farm, breeder, &outcome);
        atomic_store(&farm->stop, true);
        close(end[0]);
        close(end[1]);
        waitpid(breeder, NULL, 0);
        tap_eq_uint(outcome.n_wrong, 0);
        tap_note("%u victims%s%s; read %u and %u, gone %u times", atomic_load(&farm->n_born),
                 atomic_load(&farm->chosen) ? " of one PID" : "",
                 atomic_load(&farm->users) ? " of two users" : "", outcome.n_kind[0],
                 outcome.n_kind[1], outcome.n_gone);
        munmap(farm, sizeof(*farm));
}

/* One thread, and children that the runtime of the sanitizer does not survive in. */
#ifdef __SANITIZE_THREAD__
#define WITH_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_THREAD_SANITIZER 1
#endif
#endif
#ifndef WITH_THREAD_SANITIZER
#define WITH_THREAD_SANITIZER 0
#endif

static void test_killed(void)
{
        if (WITH_THREAD_SANITIZER)
                tap_skip("not under the thread sanitizer");
        read_and_kill();
}

UTIL_MAIN(TAP_CASE(test_killed))
