/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells a process from the children that it forked, for one load: objects that belong to a process
 * (sessions, pollers, cancel objects) bear the mark of the one that made them.
 *
 * A mark is a number that a word of the process had. In a child the word reads 0 until the child
 * makes marks of its own, which have another number; so what was inherited is known for what it is
 * in all generations. Threads and vfork() share the word with whoever made them.
 */

#include "stdaux.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nipc__fork_mark {
        const _Atomic uint32_t *word;
        uint32_t value;
};

/* Marks something as this process's. Returns 0 or -ENOMEM. */
int nipc__fork_mark_init(struct nipc__fork_mark *mark);

/* Whether that was in another process, of which this one is a child. */
static inline bool nipc__fork_is_inherited(const struct nipc__fork_mark *mark)
{
        /* The child's one thread reads what fork() left it: nothing to order. */
        return NIPC__UNLIKELY(atomic_load_explicit(mark->word, memory_order_relaxed) !=
                              mark->value);
}
