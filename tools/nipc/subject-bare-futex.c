/* SPDX-License-Identifier: MIT */

/* Shared memory and the textbook's futex: who waits sleeps at once, who publishes always wakes. */

#include "subject-memory.h"

static int sleep_until(struct memory_cell *cell, uint32_t number, pid_t peer)
{
        uint32_t seen;
        int r = 0;

        /* Pairs with the release in publish(). */
        while (r == 0 &&
               (seen = atomic_load_explicit(&cell->number, memory_order_acquire)) != number)
                r = memory_futex_wait(cell, seen, peer);
        return r;
}

static void publish(struct memory_cell *cell, uint32_t number)
{
        /* Pairs with the acquire in sleep_until(). */
        atomic_store_explicit(&cell->number, number, memory_order_release);
        memory_futex_wake(cell);
}

static const struct memory_kind kind = {sleep_until, publish};

MEMORY_FUNCTIONS(kind)

const struct subject subject_bare_futex = MEMORY_SUBJECT("bare-futex", .by_default = false);
