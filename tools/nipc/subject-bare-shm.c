/* SPDX-License-Identifier: MIT */

/*
 * The physical limit: shared memory, both sides spinning. It says something with a CPU for each
 * side; on one CPU, where the other cannot run while one spins, it ends all the same, by yielding.
 */

#include "subject-memory.h"

#include <sched.h>

#define SPINS_BEFORE_YIELD 2000u /* chosen: 46 us, far above any exchange of two that run */
#define YIELDS_PER_LOOK    1024u

static int spin(struct memory_cell *cell, uint32_t number, pid_t peer)
{
        /* Pairs with the release in publish(). */
        for (uint32_t i = 0; atomic_load_explicit(&cell->number, memory_order_acquire) != number;
             i++) {
                if (i < SPINS_BEFORE_YIELD) {
                        memory_pause();
                        continue;
                }
                if (peer && i % YIELDS_PER_LOOK == 0 && memory_is_gone(peer))
                        return -ECONNRESET;
                sched_yield();
        }
        return 0;
}

static void publish(struct memory_cell *cell, uint32_t number)
{
        /* Pairs with the acquire in spin(). */
        atomic_store_explicit(&cell->number, number, memory_order_release);
}

static const struct memory_kind kind = {spin, publish};

MEMORY_FUNCTIONS(kind)

const struct subject subject_bare_shm =
        MEMORY_SUBJECT("bare-shm", .by_default = true, .spins = true);
