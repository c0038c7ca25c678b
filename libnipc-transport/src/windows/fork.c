/* SPDX-License-Identifier: MIT */

/* See fork.h: Windows has no fork(), so everything is this process's own. */

#include "fork.h"

static const _Atomic uint32_t the_word = 1;

int nipc__fork_mark_init(struct nipc__fork_mark *mark)
{
        mark->word = &the_word;
        mark->value = 1;
        return 0;
}
