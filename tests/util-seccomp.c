/* SPDX-License-Identifier: MIT */
/* See util-seccomp.h. */
#include "util-seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000u
#endif

/*
 * By number alone: the tests run programs of the machine's own kind. Each call jumps over the
 * others and over the instruction that lets everything else pass.
 */
bool util_seccomp_install(const int *calls, size_t n_calls, uint32_t error)
{
        struct sock_filter code[UTIL_SECCOMP_MAX_CALLS + 3];
        struct sock_fprog program = {.filter = code};
        unsigned short n = 0;

        if (n_calls > UTIL_SECCOMP_MAX_CALLS)
                return false;
        code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < n_calls; i++)
                code[n++] =
                        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i],
                                                     (uint8_t)(n_calls - i), 0);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        code[n++] =
                (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, error == UTIL_SECCOMP_KILL
                                                                      ? SECCOMP_RET_KILL_PROCESS
                                                                      : SECCOMP_RET_ERRNO | error);
        program.len = n;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

bool util_seccomp_is_there(void)
{
        pid_t pid = fork();
        int status = 0;

        if (pid == 0)
                _exit(!util_seccomp_install(NULL, 0, 1));
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
