/* SPDX-License-Identifier: MIT */

/* See util-shm-fault.h. */

#include "util-shm-fault.h"
#include <nipc/fault.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

static struct {
        uintptr_t start;
        size_t size;
} guarded;

static atomic_uint n_faults;

static void on_fault(int number, siginfo_t *info, void *context)
{
        uintptr_t at = (uintptr_t)info->si_addr;

        if (nipc_fault_handle(info->si_addr)) {
                atomic_fetch_add(&n_faults, 1);
                return;
        }
        if (at - guarded.start < guarded.size &&
            mmap((void *)guarded.start, guarded.size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
                return;
        signal(SIGBUS, SIG_DFL);
        raise(SIGBUS);
}

void shm_survive_faults(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        sigaction(SIGBUS, &action, NULL);
}

void shm_guard(const struct shm_peer *peer)
{
        guarded.start = (uintptr_t)peer->map;
        guarded.size = peer->size;
}

unsigned shm_count_faults(void)
{
        return atomic_load(&n_faults);
}

void shm_let_faults(void)
{
        signal(SIGBUS, SIG_DFL);
}
