/* SPDX-License-Identifier: MIT */
#pragma once

/* What the sides of the lane's model share: memory, where each of them is, and rules. */

#include "util-model-lane.h"

#define NONE 3u

enum {
        W_NEXT,
        W_MARK, /* retiring: the exchange */
        W_MARK_CLEAR,
        W_PREVIOUS,
        W_SLOT,
        W_TAIL,
        W_AFTER,
        W_ACTIVE_0,
        W_FENCE,
        W_SLEEPS,
        W_WAKE,
        W_TAKE,
        W_SPARE,
        W_STEAL,
        W_STEAL_CAS,
        W_BLOCK,
        W_BLOCK_FENCE,
        W_BLOCK_LOOK,
        W_BLOCK_WAIT,
        W_ASLEEP,
        W_UNPUBLISH,
        W_GENERATION,
        W_FIRST,
        W_ACTIVE,
        W_DATA,
        W_PUBLISH,
        W_RETURN,
        W_END,
};

enum {
        R_CONSUMED,
        R_STATE,
        R_HEAD,
        R_RESUME,
        R_TAIL,
        R_STATE_LATE, /* of a mutant */
        R_SLOT,
        R_HELD,
        R_TAKE,
        R_HELD_LATE,
        R_GENERATION,
        R_FIRST,
        R_PUBLISHED,
        R_DATA,
        R_GIVE_OUT,
        R_BACK,
        R_BACK_TAIL,
        R_BACK_FENCE,
        R_BLOCKED,
        R_UNBLOCK,
        R_CLEAR,
        R_IDLE,
        R_LIVE,
        R_ANNOUNCE_FENCE,
        R_AGAIN_STATE,
        R_AGAIN_TAIL,
        R_ASLEEP,
        R_DEAD,
        R_END,
};

static inline bool is_mutant(enum lane_mutant which)
{
        return lane_mutant == which;
}

static inline void rule(bool holds, const char *text)
{
        if (!holds && !lane_broken)
                lane_broken = text;
}

static inline uint8_t bit(unsigned n)
{
        return (uint8_t)(1u << n);
}

static inline bool store(struct lane_state *s, unsigned side, uint8_t at, uint8_t value,
                         bool is_release)
{
        struct lane_buffer *b = &s->buffer[side];

        if (b->n == LANE_N_BUFFERED)
                return false;
        b->at[b->n] = at;
        b->value[b->n] = value;
        b->is_release[b->n++] = is_release;
        return true;
}

static inline uint8_t load(const struct lane_state *s, unsigned side, uint8_t at)
{
        const struct lane_buffer *b = &s->buffer[side];

        for (unsigned i = b->n; i-- > 0;)
                if (b->at[i] == at)
                        return b->value[i];
        return s->memory[at];
}

static inline bool drain(struct lane_state *s, unsigned side, unsigned number)
{
        struct lane_buffer *b = &s->buffer[side];

        if (number >= b->n || (b->is_release[number] && number))
                return false;
        for (unsigned i = 0; i < number; i++)
                if (b->at[i] == b->at[number])
                        return false;
        s->memory[b->at[number]] = b->value[number];
        for (unsigned i = number; i + 1 < b->n; i++) {
                b->at[i] = b->at[i + 1];
                b->value[i] = b->value[i + 1];
                b->is_release[i] = b->is_release[i + 1];
        }
        b->n--;
        b->at[b->n] = b->value[b->n] = b->is_release[b->n] = 0;
        return true;
}

static inline bool is_drained(const struct lane_state *s, unsigned side)
{
        return !s->buffer[side].n;
}

/* The writer looks again. */
static inline void unblock(struct lane_state *s)
{
        if (s->pc == W_ASLEEP)
                s->pc = W_BLOCK_LOOK;
}

bool lane_write(struct lane_state *s);
/* is_other: it looks at the ring in use. */
bool lane_read(struct lane_state *s, bool is_other);
