/* SPDX-License-Identifier: MIT */

/* The controller of the lane's model. Each case is one access to what both share. */

#include "util-model-lane-memory.h"

static bool go(struct lane_state *s, bool done, uint8_t rpc)
{
        if (done)
                s->rpc = rpc;
        return done;
}

/* A record, as it was found. */
static void give_out(struct lane_state *s)
{
        if (!s->is_published)
                return;
        if (s->first < s->expected && !is_mutant(LANE_MUTANT_NO_SKIP))
                return;
        rule(s->data == s->first + 1, "no record is torn");
        rule(!(s->given & bit(s->first)) || (s->is_after_restart && s->last_given == s->first),
             "no record comes twice");
        /* A recorder that dies while it recycles may still have said where the ring is. */
        rule(!(s->gone & bit(s->first)) || s->is_dead, "what is counted as gone does not come");
        s->given |= bit(s->first);
        s->last_given = s->first;
        s->is_after_restart = 0;
        s->expected = (uint8_t)(s->first + 1);
}

static bool nothing_queued(struct lane_state *s)
{
        if (s->seen_state)
                s->rpc = R_END;
        else
                s->rpc = s->is_dead ? R_DEAD : R_IDLE;
        return true;
}

static bool reader_queue(struct lane_state *s)
{
        const uint8_t head = load(s, LANE_READER, LANE_HEAD);

        switch (s->rpc) {
        case R_CONSUMED: /* with the next request */
                return go(s, store(s, LANE_READER, LANE_CONSUMED, s->expected, true), R_STATE);
        case R_STATE:
                s->seen_state = load(s, LANE_READER, LANE_STATE);
                s->rpc = R_HEAD;
                return true;
        case R_HEAD:
                s->position = head / 4;
                s->rpc = head % 4 ? R_RESUME : R_TAIL;
                return true;
        case R_RESUME:
                s->entry = load(s, LANE_READER, LANE_HELD);
                s->is_held = 1;
                s->rpc = R_GENERATION;
                if (s->free_tail && !is_mutant(LANE_MUTANT_HELD_BLIND) &&
                    load(s, LANE_READER, LANE_SPARE + (s->free_tail - 1) % LANE_N_RINGS) ==
                            s->entry)
                        s->rpc = R_CLEAR;
                return true;
        case R_TAIL:
                if (load(s, LANE_READER, LANE_TAIL) == s->position)
                        return is_mutant(LANE_MUTANT_STATE_LATE) ? go(s, true, R_STATE_LATE)
                                                                 : nothing_queued(s);
                s->rpc = R_SLOT;
                return true;
        case R_STATE_LATE:
                s->seen_state = load(s, LANE_READER, LANE_STATE);
                return nothing_queued(s);
        case R_SLOT:
                s->entry = load(s, LANE_READER, LANE_SUBMIT + s->position % LANE_N_RINGS);
                s->rpc = is_mutant(LANE_MUTANT_HELD_LATE) ? R_TAKE : R_HELD;
                return true;
        case R_HELD:
                return go(s, store(s, LANE_READER, LANE_HELD, s->entry, true), R_TAKE);
        case R_TAKE:
                if (!is_drained(s, LANE_READER))
                        return false;
                s->rpc = R_HEAD;
                if (s->memory[LANE_HEAD] == s->position * 4) {
                        s->memory[LANE_HEAD] = (uint8_t)((s->position + 1) * 4 + s->entry % 4 + 1);
                        s->is_held = 1;
                        s->rpc = is_mutant(LANE_MUTANT_HELD_LATE) ? R_HELD_LATE : R_GENERATION;
                        if (is_mutant(LANE_MUTANT_FREE_EARLY))
                                s->rpc = R_BACK;
                }
                return true;
        case R_HELD_LATE:
                return go(s, store(s, LANE_READER, LANE_HELD, s->entry, true), R_GENERATION);
        default:
                return false;
        }
}

static bool reader_ring(struct lane_state *s)
{
        const uint8_t ring = s->entry % 4;

        switch (s->rpc) {
        case R_GENERATION:
                rule(load(s, LANE_READER, LANE_GENERATION + ring) == s->entry / 4,
                     "a ring is in the use that its entry says");
                s->rpc = R_FIRST;
                return true;
        case R_FIRST:
                s->first = load(s, LANE_READER, LANE_FIRST + ring);
                s->rpc = R_PUBLISHED;
                return true;
        case R_PUBLISHED:
                s->is_published = load(s, LANE_READER, LANE_PUBLISHED + ring);
                s->rpc = R_DATA;
                return true;
        case R_DATA:
                s->data = load(s, LANE_READER, LANE_DATA + ring);
                s->rpc = R_GIVE_OUT;
                return true;
        case R_GIVE_OUT:
                give_out(s);
                s->rpc = s->is_held && !is_mutant(LANE_MUTANT_FREE_EARLY) ? R_BACK : R_CONSUMED;
                s->is_held = 0;
                if (s->rpc == R_BACK) /* consumed by the request that finds the ring's end */
                        return store(s, LANE_READER, LANE_CONSUMED, s->expected, true);
                return true;
        case R_BACK:
                return go(s,
                          store(s, LANE_READER, LANE_SPARE + s->free_tail % LANE_N_RINGS, s->entry,
                                false),
                          R_BACK_TAIL);
        case R_BACK_TAIL:
                return go(s, store(s, LANE_READER, LANE_FREE_TAIL, ++s->free_tail, true),
                          R_BACK_FENCE);
        case R_BACK_FENCE:
                /* For latency alone: the writer waits while there are others to give back. */
                return go(s, is_drained(s, LANE_READER), R_BLOCKED);
        case R_BLOCKED:
                s->rpc = load(s, LANE_READER, LANE_BLOCKED) ? R_UNBLOCK : R_CLEAR;
                return true;
        case R_UNBLOCK:
                if (s->memory[LANE_BLOCKED]) { /* the store, and then the wake */
                        s->memory[LANE_BLOCKED] = 0;
                        return true;
                }
                unblock(s);
                s->rpc = R_CLEAR;
                return true;
        case R_CLEAR:
                if (!is_drained(s, LANE_READER))
                        return false;
                s->memory[LANE_HEAD] &= (uint8_t)~3u;
                if (s->entry / 4 > s->last_generation)
                        s->last_generation = s->entry / 4;
                s->is_held = 0;
                s->rpc = is_mutant(LANE_MUTANT_FREE_EARLY) ? R_GENERATION : R_CONSUMED;
                return true;
        default:
                return false;
        }
}

static bool reader_idle(struct lane_state *s, bool is_live)
{
        switch (s->rpc) {
        case R_IDLE:
                if (!is_live)
                        return go(s, store(s, LANE_READER, LANE_SLEEPS, 1, true), R_ANNOUNCE_FENCE);
                if (lane_scenario.kind != LANE_INDEX || lane_scenario.policy == LANE_OVERWRITE)
                        return false;
                s->entry = load(s, LANE_READER, LANE_ACTIVE);
                if (!s->entry || s->entry == s->live ||
                    (s->entry / 4 <= s->last_generation && !is_mutant(LANE_MUTANT_LIVE_BLIND)))
                        return false;
                s->is_held = 0;
                s->rpc = is_mutant(LANE_MUTANT_LIVE_FIRST) ? R_GENERATION : R_LIVE;
                s->live = s->entry; /* once is enough to see what can happen */
                return true;
        case R_LIVE: /* is the queue still empty? */
                s->rpc = load(s, LANE_READER, LANE_TAIL) == s->position ? R_GENERATION : R_STATE;
                return true;
        case R_ANNOUNCE_FENCE:
                return go(s, is_drained(s, LANE_READER), R_AGAIN_STATE);
        case R_AGAIN_STATE:
                s->seen_state = load(s, LANE_READER, LANE_STATE);
                s->rpc = s->seen_state ? R_STATE : R_AGAIN_TAIL;
                return true;
        case R_AGAIN_TAIL:
                s->rpc = load(s, LANE_READER, LANE_TAIL) != s->position ||
                                         load(s, LANE_READER, LANE_HEAD) / 4 != s->position
                                 ? R_STATE
                                 : R_ASLEEP;
                return true;
        case R_ASLEEP: /* until it is woken; of deaths it learns by itself */
                if (s->memory[LANE_SLEEPS] && !(s->is_dead && is_drained(s, LANE_WRITER)))
                        return false;
                s->rpc = R_STATE;
                return true;
        case R_DEAD: /* `previous`, then `active` */
                if (s->stage == 2) {
                        s->rpc = R_END;
                        return true;
                }
                s->entry = load(s, LANE_READER, s->stage++ ? LANE_ACTIVE : LANE_PREVIOUS);
                s->is_held = 0;
                if (s->entry)
                        s->rpc = R_GENERATION;
                return true;
        default:
                return false;
        }
}

bool lane_read(struct lane_state *s, bool is_other)
{
        if (is_other)
                return s->rpc == R_IDLE && reader_idle(s, true);
        return reader_queue(s) || reader_ring(s) || reader_idle(s, false);
}
