/* SPDX-License-Identifier: MIT */

/*
 * Shared memory and a short spin, 3 us, before sleeping; who publishes wakes only who says that it
 * sleeps.
 */

#include "subject-memory.h"

#define SPINS 128u

static int sleep_until(struct memory_cell *cell, uint32_t number, pid_t peer)
{
        uint32_t seen;
        int r = 0;

        /* All four are seq_cst: of this pair and that in publish() one sees the other's store. */
        atomic_store_explicit(&cell->is_waiting, 1, memory_order_seq_cst);
        while (r == 0 &&
               (seen = atomic_load_explicit(&cell->number, memory_order_seq_cst)) != number)
                r = memory_futex_wait(cell, seen, peer);
        atomic_store_explicit(&cell->is_waiting, 0, memory_order_relaxed);
        return r;
}

static int spin(struct memory_cell *cell, uint32_t number, pid_t peer)
{
        for (uint32_t i = 0; i < SPINS; i++) {
                /* Pairs with the store in publish(). */
                if (atomic_load_explicit(&cell->number, memory_order_acquire) == number)
                        return 0;
                memory_pause();
        }
        return sleep_until(cell, number, peer);
}

static void publish(struct memory_cell *cell, uint32_t number)
{
        /* Pairs with the loads in spin() and sleep_until(). */
        atomic_store_explicit(&cell->number, number, memory_order_seq_cst);
        if (atomic_load_explicit(&cell->is_waiting, memory_order_seq_cst)) /* see sleep_until() */
                memory_futex_wake(cell);
}

static const struct memory_kind kind = {spin, publish};

MEMORY_FUNCTIONS(kind)

const struct subject subject_bare_spin128 = MEMORY_SUBJECT("bare-spin128", .by_default = false);
