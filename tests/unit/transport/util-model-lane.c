/* SPDX-License-Identifier: MIT */

/* See util-model-lane.h: what happens by chance, and what must hold in the end. */

#include "util-model-lane-memory.h"
#include <string.h>

enum lane_mutant lane_mutant;
struct lane_scenario lane_scenario;
const char *lane_broken;

/* ---- chance ---------------------------------------------------------------------------------- */

static bool mark(struct lane_state *s)
{
        if (!lane_scenario.is_marked || s->has_marked || s->is_dead || s->is_returning)
                return false;
        s->has_marked = 1;
        s->memory[LANE_MARK] = 1;
        /* What is in the ring in use, or was in the one before while there is none. */
        if (s->active != NONE && s->is_full)
                s->must |= bit(s->firsts[s->active]);
        if (s->active != NONE && s->previous != NONE)
                s->must |= bit(s->firsts[s->previous]);
        return true;
}

static bool kill_one(struct lane_state *s)
{
        const unsigned side = lane_scenario.victim;

        if (side == LANE_NOBODY || s->is_dead || s->n_restarts)
                return false;
        while (drain(s, side, 0))
                ;
        if (side == LANE_WRITER) {
                if (s->pc == W_END)
                        return false;
                s->is_dead = 1;
                return true;
        }
        if (s->rpc == R_END)
                return false;
        s->n_restarts = 1;
        s->rpc = R_STATE;
        s->expected = s->memory[LANE_CONSUMED];
        s->free_tail = s->memory[LANE_FREE_TAIL];
        s->stage = s->live = s->is_held = s->last_generation = 0;
        if (s->free_tail)
                s->last_generation = s->memory[LANE_SPARE + (s->free_tail - 1) % LANE_N_RINGS] / 4;
        s->is_after_restart = 1;
        s->memory[LANE_SLEEPS] = 0;
        if (!is_mutant(LANE_MUTANT_NO_ROUSE)) {
                s->memory[LANE_BLOCKED] = 0;
                unblock(s);
        }
        return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

void lane_init(struct lane_state *s)
{
        memset(s, 0, sizeof(*s));
        s->active = s->previous = s->second = NONE;
        s->mine = (1u << LANE_N_RINGS) - 1;
}

bool lane_step(struct lane_state *s, unsigned step)
{
        switch (step) {
        case LANE_STEP_WRITER:
                return lane_write(s);
        case LANE_STEP_READER:
                return lane_read(s, false);
        case LANE_STEP_READER_OTHER:
                return lane_read(s, true);
        case LANE_STEP_MARK:
                return mark(s);
        case LANE_STEP_KILL:
                return kill_one(s);
        default:
                step -= LANE_STEP_DRAIN;
                return drain(s, step % 2, step / 2);
        }
}

void lane_check_end(const struct lane_state *s)
{
        rule(s->rpc == R_END && (s->pc == W_END || s->is_dead), "nobody sleeps for ever");
        rule(!(s->given & s->gone) || s->is_dead, "what is counted as gone did not come");
        /* What a mark asks for may be overwritten or dropped like all else. */
        if (lane_scenario.policy == LANE_DROP)
                rule(!(s->must & ~s->given), "what is marked is submitted");
        rule(!(s->written & ~(s->given | s->gone)), "no record is lost");
}
