/* SPDX-License-Identifier: MIT */
#pragma once

/* The memory of the ring's model: what is in it, and stores that have not reached it yet. */

#include "util-model-ring.h"

/* Locations in the two memories. */
enum {
        WORD = 0,               /* the first 8 bytes of each cell: a word, or payload */
        BYTES = WORD + N_CELLS, /* the rest of each */
        CONSUMED = BYTES + N_CELLS,
        WAIT, /* of the producer, then of the consumer */
        N_RUNG = WAIT + 2,

        RELEASE = 0x80, /* flags of a buffered store */
        PUBLISH = 0x40,
        AT = 0x3f,
};

_Static_assert(N_RUNG + 2 == N_LOCATIONS, "all of a state");

static inline void store(struct side *t, uint8_t at, uint8_t value)
{
        t->at[t->n_buffered] = at;
        t->value[t->n_buffered++] = value;
}

static inline uint8_t load(const struct state *s, const struct side *t, uint8_t at)
{
        for (unsigned i = t->n_buffered; i-- > 0;)
                if ((t->at[i] & AT) == at)
                        return t->value[i];
        return s->memory[at];
}

/* A step that waits until all that was stored is in memory. */
static inline bool fence(struct side *t, bool is_there, uint8_t next)
{
        if (is_there && t->n_buffered)
                return false;
        t->pc = next;
        return true;
}
