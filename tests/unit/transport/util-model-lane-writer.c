/* SPDX-License-Identifier: MIT */

/* The writer of the lane's model. Each case is one access to what both share. */

#include "util-model-lane-memory.h"

static bool to(struct lane_state *s, bool done, uint8_t pc)
{
        if (done)
                s->pc = pc;
        return done;
}

/* In memory of its own: what becomes of the ring in use, now that it is known whether it is marked.
 */
static void retire(struct lane_state *s)
{
        const uint8_t ring = s->active;

        if (s->is_marked) {
                s->ring = s->previous != NONE && !is_mutant(LANE_MUTANT_NO_PREVIOUS) ? s->previous
                                                                                     : ring;
                s->second = s->ring != ring ? ring : NONE;
                s->pc = is_mutant(LANE_MUTANT_ACTIVE_FIRST) ? W_ACTIVE_0 : W_SLOT;
        } else {
                if (s->previous != NONE) { /* recycled */
                        s->gone |= bit(s->firsts[s->previous]);
                        s->mine |= bit(s->previous);
                }
                s->previous = ring;
                s->pc = W_PREVIOUS;
        }
        s->active = NONE;
}

static bool write_next(struct lane_state *s)
{
        if (s->sent == LANE_N_RECORDS)
                s->is_returning = 1;
        if (s->active != NONE && s->is_full)
                s->pc = lane_scenario.kind == LANE_INDEX ? W_SLOT : W_MARK;
        else if (s->is_returning)
                s->pc = s->previous != NONE ? W_MARK : W_RETURN;
        else
                s->pc = s->active != NONE ? W_DATA : W_TAKE;
        if (s->pc == W_SLOT) {
                s->is_marked = 1;
                retire(s);
        }
        return true;
}

static bool mark_seen(struct lane_state *s, uint8_t is_marked)
{
        s->is_marked = is_marked;
        if (s->active != NONE) {
                retire(s);
        } else if (is_marked) { /* returning without a ring */
                s->ring = s->previous;
                s->second = NONE;
                s->pc = W_SLOT;
        } else {
                s->gone |= bit(s->firsts[s->previous]);
                s->previous = NONE;
                s->pc = W_RETURN;
        }
        return true;
}

static bool writer_away(struct lane_state *s)
{
        switch (s->pc) {
        case W_MARK:
                if (is_mutant(LANE_MUTANT_MARK_TORN)) {
                        s->is_marked = load(s, LANE_WRITER, LANE_MARK);
                        s->pc = W_MARK_CLEAR;
                        return true;
                }
                if (!is_drained(s, LANE_WRITER))
                        return false;
                s->is_marked = s->memory[LANE_MARK];
                s->memory[LANE_MARK] = 0;
                return mark_seen(s, s->is_marked);
        case W_MARK_CLEAR:
                return store(s, LANE_WRITER, LANE_MARK, 0, true) && mark_seen(s, s->is_marked);
        case W_PREVIOUS:
                return to(s,
                          store(s, LANE_WRITER, LANE_PREVIOUS,
                                s->previous == NONE ? 0 : s->entries[s->previous], true),
                          s->is_marked && s->second != NONE ? W_SLOT : W_ACTIVE_0);
        case W_SLOT:
                s->submitted[s->tail % LANE_N_RINGS] = s->entries[s->ring];
                s->is_submitted |= bit(s->ring);
                return to(s,
                          store(s, LANE_WRITER, LANE_SUBMIT + s->tail % LANE_N_RINGS,
                                s->entries[s->ring], false),
                          W_TAIL);
        case W_TAIL:
                return to(s,
                          store(s, LANE_WRITER, LANE_TAIL, ++s->tail,
                                !is_mutant(LANE_MUTANT_TAIL_RELAXED)),
                          W_AFTER);
        case W_AFTER:
                if (s->ring == s->previous) {
                        s->previous = NONE;
                        s->ring = s->second;
                        s->pc = W_PREVIOUS;
                } else {
                        s->second = NONE;
                        s->pc = is_mutant(LANE_MUTANT_ACTIVE_FIRST) ? W_FENCE : W_ACTIVE_0;
                }
                return true;
        case W_ACTIVE_0:
                return to(s, store(s, LANE_WRITER, LANE_ACTIVE, 0, true),
                          is_mutant(LANE_MUTANT_ACTIVE_FIRST) && s->is_marked ? W_SLOT : W_FENCE);
        case W_FENCE:
                return to(s, is_drained(s, LANE_WRITER) || is_mutant(LANE_MUTANT_WAKE_NO_FENCE),
                          W_SLEEPS);
        case W_SLEEPS:
                s->pc = load(s, LANE_WRITER, LANE_SLEEPS) ? W_WAKE
                        : s->is_returning                 ? W_NEXT
                                                          : W_TAKE;
                if (s->pc == W_NEXT && load(s, LANE_WRITER, LANE_STATE))
                        s->pc = W_END;
                return true;
        default:
                return false;
        }
}

static bool found_spare(struct lane_state *s)
{
        const uint8_t entry = load(s, LANE_WRITER, LANE_SPARE + s->free_head % LANE_N_RINGS);

        s->ring = entry % 4;
        rule(s->ring < LANE_N_RINGS && s->entries[s->ring] == entry &&
                     s->is_submitted & bit(s->ring),
             "what is given back was submitted");
        s->is_submitted &= (uint8_t)~bit(s->ring);
        s->free_head++;
        s->pc = W_UNPUBLISH;
        return true;
}

static bool no_spare(struct lane_state *s)
{
        if (lane_scenario.policy == LANE_OVERWRITE) {
                s->pc = W_STEAL;
        } else if (lane_scenario.policy == LANE_BLOCK) {
                s->pc = W_BLOCK;
        } else {
                s->gone |= bit(s->sent++);
                s->pc = W_NEXT;
        }
        return true;
}

static bool stolen(struct lane_state *s)
{
        const uint8_t entry = s->submitted[s->head / 4 % LANE_N_RINGS];

        s->ring = entry % 4;
        s->is_submitted &= (uint8_t)~bit(s->ring);
        s->gone |= bit(s->firsts[s->ring]);
        s->pc = W_UNPUBLISH;
        return true;
}

static bool writer_take(struct lane_state *s)
{
        const bool has_spare = load(s, LANE_WRITER, LANE_FREE_TAIL) != s->free_head;

        switch (s->pc) {
        case W_TAKE:
                for (s->ring = 0; s->ring < LANE_N_RINGS; s->ring++)
                        if (s->mine & bit(s->ring)) {
                                s->mine &= (uint8_t)~bit(s->ring);
                                s->pc = W_UNPUBLISH;
                                return true;
                        }
                if (!has_spare)
                        return no_spare(s);
                s->pc = W_SPARE;
                return true;
        case W_SPARE:
                return found_spare(s);
        case W_STEAL:
                s->head = load(s, LANE_WRITER, LANE_HEAD);
                s->pc = W_STEAL_CAS;
                if (s->head / 4 == s->tail) { /* all are taken: the newest goes */
                        s->gone |= bit(s->sent++);
                        s->pc = W_NEXT;
                }
                return true;
        case W_STEAL_CAS:
                if (!is_drained(s, LANE_WRITER))
                        return false;
                if (s->memory[LANE_HEAD] != s->head && !is_mutant(LANE_MUTANT_STEAL_BLIND)) {
                        s->pc = W_STEAL;
                        return true;
                }
                s->memory[LANE_HEAD] = (uint8_t)(s->head + 4);
                return stolen(s);
        case W_BLOCK:
                return to(s, store(s, LANE_WRITER, LANE_BLOCKED, 1, true), W_BLOCK_FENCE);
        case W_BLOCK_FENCE:
                return to(s, is_drained(s, LANE_WRITER), W_BLOCK_LOOK);
        case W_BLOCK_LOOK:
                s->pc = has_spare ? W_SPARE : W_BLOCK_WAIT;
                return true;
        case W_BLOCK_WAIT: /* the kernel looks at the word */
                s->pc = s->memory[LANE_BLOCKED] ? W_ASLEEP : W_BLOCK;
                if (s->pc == W_BLOCK && has_spare)
                        s->pc = W_SPARE;
                return true;
        default:
                return false;
        }
}

static bool writer_fill(struct lane_state *s)
{
        switch (s->pc) {
        case W_UNPUBLISH:
                s->entries[s->ring] = (uint8_t)(++s->generation * 4 + s->ring);
                s->firsts[s->ring] = s->sent;
                return to(s, store(s, LANE_WRITER, LANE_PUBLISHED + s->ring, 0, false),
                          W_GENERATION);
        case W_GENERATION: /* after a fence: a release */
                return to(s, store(s, LANE_WRITER, LANE_GENERATION + s->ring, s->generation, true),
                          W_FIRST);
        case W_FIRST:
                return to(s, store(s, LANE_WRITER, LANE_FIRST + s->ring, s->sent, true), W_ACTIVE);
        case W_ACTIVE:
                s->active = s->ring;
                s->is_full = 0;
                return to(s, store(s, LANE_WRITER, LANE_ACTIVE, s->entries[s->ring], true), W_DATA);
        case W_DATA:
                return to(s,
                          store(s, LANE_WRITER, LANE_DATA + s->active, (uint8_t)(s->sent + 1),
                                false),
                          W_PUBLISH);
        case W_PUBLISH:
                if (!store(s, LANE_WRITER, LANE_PUBLISHED + s->active, 1,
                           !is_mutant(LANE_MUTANT_PUBLISH_RELAXED)))
                        return false;
                s->written |= bit(s->sent++);
                s->is_full = 1;
                s->pc = W_NEXT;
                return true;
        case W_RETURN:
                return to(s, store(s, LANE_WRITER, LANE_STATE, 1, true), W_FENCE);
        default:
                return false;
        }
}

bool lane_write(struct lane_state *s)
{
        if (s->is_dead || s->pc == W_END || s->pc == W_ASLEEP)
                return false;
        if (s->pc == W_NEXT)
                return write_next(s);
        if (s->pc == W_WAKE) {
                if (!is_drained(s, LANE_WRITER))
                        return false;
                s->memory[LANE_SLEEPS] = 0;
                s->pc = W_SLEEPS;
                return true;
        }
        return writer_away(s) || writer_take(s) || writer_fill(s);
}
