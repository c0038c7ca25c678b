/* SPDX-License-Identifier: MIT */

/* See util-model-ring.h. */

#include "util-model-memory.h"

/* Messages of 1, 2, 1, 2, ... cells. */
#define SIZE_OF(message)    (1 + (message) % 2)
#define WORD_OF(cell, size) ((uint8_t)((cell) << 2 | (size)))
#define PAYLOAD_OF(cell)    WORD_OF((cell) + N_CELLS, 1) /* looks like a word, a round later */
#define BYTES_OF(message)   ((uint8_t)((message) + 1))

/* The wait word, doc/ring.md §4. */
enum {
        DATA = 1,
        SPACE = 2,
        CLOSED = 4,
        SEQ = 8,
};

enum pc {
        START, /* of a message to write, or to look for */
        SPECULATE,
        CLEAR_LATE,
        FENCE,
        LOOK_AT_WAIT,
        RING,
        RING_SEND,
        READ,
        CONSUMED_READ,
        TELL,
        TELL_FENCE,
        TELL_LOOK,
        ARM,
        ARM_FENCE,
        ARM_LOOK,
        SLEEP,
        WOKEN,
        LEAVE, /* says that it is gone, and closes */
        DIE,   /* closes, without a word */
        DONE,
};

enum mutant model_mutant;
struct scenario model_scenario;
const char *model_broken;

void model_rule(bool holds, const char *what)
{
        if (!holds && !model_broken)
                model_broken = what;
}

bool model_drain(struct state *s, unsigned side, unsigned i)
{
        struct side *t = &s->side[side];

        if (i >= t->n_buffered || (i && t->at[i] & RELEASE))
                return false;
        for (unsigned k = 0; k < i; k++)
                if ((t->at[k] & AT) == (t->at[i] & AT))
                        return false;
        s->memory[t->at[i] & AT] = t->value[i];
        s->n_published += (t->at[i] & PUBLISH) != 0;
        for (t->n_buffered--; i < t->n_buffered; i++) {
                t->at[i] = t->at[i + 1];
                t->value[i] = t->value[i + 1];
        }
        t->at[i] = t->value[i] = 0;
        return true;
}

/* ---- what both sides do ---------------------------------------------------------------------- */

static uint8_t own(const struct state *s, const struct side *t, uint8_t at)
{
        return (uint8_t)(at + (t - s->side));
}

static uint8_t peers(const struct state *s, const struct side *t, uint8_t at)
{
        return (uint8_t)(at + 1 - (t - s->side));
}

static void start_waiting(struct state *s, struct side *t, uint8_t why)
{
        t->seq = (uint8_t)(t->seq + SEQ);
        store(t, own(s, t, WAIT), model_mutant == MUTANT_NO_SEQ ? why : t->seq | why);
        t->pc = ARM_FENCE;
}

static void stop_waiting(struct state *s, struct side *t)
{
        store(t, own(s, t, WAIT), model_mutant == MUTANT_NO_SEQ ? 0 : t->seq);
}

/* Rings if the peer waits for `why`, as its word said, then goes on. */
static void maybe_ring(struct side *t, uint8_t why, uint8_t back)
{
        t->back = t->pc = back;
        if (t->wait & why && t->wait != t->rung) {
                t->rung = t->wait;
                t->pc = model_scenario.is_counted ? RING : RING_SEND;
        }
        t->wait = 0;
}

static bool step_ring(struct state *s, struct side *t)
{
        struct side *peer = &s->side[t == s->side];

        if (t->pc == RING) {
                if (model_mutant != MUTANT_N_RUNG_LATE)
                        store(t, own(s, t, N_RUNG) | RELEASE, ++t->n_rung);
                t->pc = RING_SEND;
                return true;
        }
        if (t->n_buffered)
                return false;
        if (!s->has_ended[peer - s->side])
                peer->n_doorbells++;
        if (model_mutant == MUTANT_N_RUNG_LATE && model_scenario.is_counted)
                store(t, own(s, t, N_RUNG) | RELEASE, ++t->n_rung);
        t->pc = t->back;
        t->back = 0;
        return true;
}

/* In the kernel: until a doorbell comes, or the end. */
static bool step_sleep(struct state *s, struct side *t)
{
        if (t->n_buffered)
                return false; /* entering it is more than a fence */
        if (t->n_doorbells) {
                t->n_doorbells--;
                t->n_drained += model_scenario.is_counted;
                model_rule(t->n_drained <= load(s, t, peers(s, t, N_RUNG)),
                           "a doorbell was counted before it was sent");
                t->pc = WOKEN;
                return true;
        }
        if (!s->has_ended[t == s->side])
                return false;
        t->is_over = true;
        t->pc = WOKEN;
        return true;
}

static bool step_leave(struct state *s, struct side *t)
{
        if (t->pc == LEAVE) {
                store(t, own(s, t, WAIT) | RELEASE, CLOSED);
                t->pc = DIE;
                return true;
        }
        if (t->n_buffered)
                return false;
        s->has_ended[t - s->side] = 1;
        /* What it knew matters to nobody any more. */
        *t = (struct side){.pc = DONE, .message = t->message};
        return true;
}

/* ---- the producer ---------------------------------------------------------------------------- */

static int tell_cells(void)
{
        return model_mutant == MUTANT_TELLS_LATE ? N_CELLS : TELL_CELLS;
}

static uint8_t word_at(unsigned cell)
{
        return (uint8_t)(WORD + cell % N_CELLS);
}

static uint8_t bytes_at(unsigned cell)
{
        return (uint8_t)(BYTES + cell % N_CELLS);
}

static bool has_space(struct state *s, struct side *t)
{
        const unsigned spare = model_mutant == MUTANT_NO_SPARE_CELL ? 0 : 1;
        const uint8_t consumed = load(s, t, CONSUMED);

        model_rule(consumed <= t->pos && consumed + N_CELLS - spare >= t->known,
                   "consumed only grows, up to what was published");
        t->known = (uint8_t)(consumed + N_CELLS - spare);
        return t->pos + SIZE_OF(t->message) <= t->known;
}

static void write_record(struct state *s, struct side *t)
{
        const uint8_t size = SIZE_OF(t->message), pos = t->pos, next = (uint8_t)(pos + size);
        const uint8_t release = model_mutant == MUTANT_WORD_RELAXED ? 0 : RELEASE;

        store(t, bytes_at(pos), BYTES_OF(t->message));
        if (size == 2)
                store(t, word_at(pos + 1), PAYLOAD_OF(pos + 1));
        if (model_mutant != MUTANT_NO_ZERO && model_mutant != MUTANT_ZERO_LATE &&
            load(s, t, word_at(next)))
                store(t, word_at(next), 0);
        store(t, word_at(pos) | release | PUBLISH, WORD_OF(pos, size));
        t->pos = next;
        t->message++;
        t->pc = model_mutant == MUTANT_ZERO_LATE ? CLEAR_LATE : FENCE;
}

/* The cell behind the next one is cleared, too, if it is ours. */
static void prepare_ahead(struct state *s, struct side *t)
{
        if ((t->pos + 2 <= t->known || model_mutant == MUTANT_AHEAD_BLIND) &&
            load(s, t, word_at(t->pos + 1)))
                store(t, word_at(t->pos + 1), 0);
}

static void producer_wait_is_over(struct state *s, struct side *t)
{
        stop_waiting(s, t);
        write_record(s, t);
}

static bool step_producer(struct state *s, struct side *t)
{
        if (t->n_buffered > N_BUFFERED - 6)
                return false; /* of mutants without a fence */
        switch (t->pc) {
        case START:
                if (t->message == model_scenario.n_sent)
                        t->pc = LEAVE;
                else if (t->pos + SIZE_OF(t->message) <= t->known || has_space(s, t))
                        write_record(s, t);
                else
                        start_waiting(s, t, SPACE);
                return true;
        case CLEAR_LATE:
                if (load(s, t, word_at(t->pos)))
                        store(t, word_at(t->pos), 0);
                t->pc = FENCE;
                return true;
        case FENCE:
                return fence(t, model_mutant != MUTANT_PUBLISH_NO_FENCE, LOOK_AT_WAIT);
        case LOOK_AT_WAIT:
                t->wait = load(s, t, WAIT + CONSUMER);
                prepare_ahead(s, t);
                if (t->wait & CLOSED)
                        t->pc = LEAVE;
                else
                        maybe_ring(t, DATA, START);
                return true;
        case ARM_FENCE:
                return fence(t, model_mutant != MUTANT_WAIT_NO_FENCE, ARM_LOOK);
        case ARM_LOOK:
                if (model_mutant != MUTANT_NO_RECHECK && has_space(s, t))
                        producer_wait_is_over(s, t);
                else
                        t->pc = SLEEP;
                return true;
        case WOKEN:
                if (has_space(s, t))
                        producer_wait_is_over(s, t);
                else if (t->is_over)
                        t->pc = LEAVE;
                else
                        start_waiting(s, t, SPACE);
                t->is_over = false;
                return true;
        default:
                return false;
        }
}

/* ---- the consumer ---------------------------------------------------------------------------- */

/* What a look found there is. Returns whether there is a record. */
static bool found(struct side *t, uint8_t word)
{
        if (!word)
                return false;
        model_rule(word == WORD_OF(t->pos, SIZE_OF(t->message)),
                   "a word is one that was published");
        t->pc = model_mutant == MUTANT_CONSUMED_EARLY ? CONSUMED_READ : READ;
        return true;
}

/* All of the record: no step of the peer between two reads tells more than one before both. */
static void read_record(struct state *s, struct side *t)
{
        const bool is_early = model_mutant == MUTANT_PEEK_RELAXED;
        uint8_t bytes = is_early ? t->early[0] : load(s, t, bytes_at(t->pos));
        uint8_t payload = is_early ? t->early[1] : load(s, t, word_at(t->pos + 1));

        model_rule(bytes == BYTES_OF(t->message), "bytes are those of the record");
        model_rule(SIZE_OF(t->message) == 1 || payload == PAYLOAD_OF(t->pos + 1),
                   "a payload is that of the record");
        t->early[0] = t->early[1] = 0;
        t->pos = (uint8_t)(t->pos + SIZE_OF(t->message));
        t->message++;
}

/* Reads that were delayed until consumed was told. */
static bool step_read_late(struct state *s, struct side *t)
{
        if (t->pc == CONSUMED_READ) {
                t->known = (uint8_t)(t->pos + SIZE_OF(t->message));
                store(t, CONSUMED, t->known);
                t->pc = READ;
        } else {
                read_record(s, t);
                t->pc = TELL_FENCE;
                t->back = START;
        }
        return true;
}

static bool step_read(struct state *s, struct side *t)
{
        if (t->pc == READ) {
                read_record(s, t);
                t->pc = CONSUMED_READ;
        } else if (t->pos - t->known >= tell_cells() ||
                   (model_mutant != MUTANT_TELLS_LATE && !model_scenario.is_lazy &&
                    load(s, t, WAIT + PRODUCER) & SPACE)) {
                t->back = START;
                t->pc = TELL;
        } else {
                t->pc = START;
        }
        return true;
}

static bool step_tell(struct state *s, struct side *t)
{
        switch (t->pc) {
        case TELL:
                store(t, CONSUMED | RELEASE, t->pos);
                t->known = t->pos;
                t->pc = TELL_FENCE;
                return true;
        case TELL_FENCE:
                return fence(t, model_mutant != MUTANT_TELL_NO_FENCE, TELL_LOOK);
        default: /* TELL_LOOK */
                t->wait = load(s, t, WAIT + PRODUCER);
                maybe_ring(t, model_mutant == MUTANT_RING_FOR_NOBODY ? 0 : SPACE, t->back);
                if (t->pc == t->back)
                        t->back = 0;
                return true;
        }
}

static void look(struct state *s, struct side *t)
{
        if (t->message == model_scenario.n_read) {
                t->pc = LEAVE;
        } else if (!found(t, load(s, t, word_at(t->pos)))) {
                t->early[0] = t->early[1] = 0;
                t->pc = t->known != t->pos && model_mutant != MUTANT_TELLS_LATE ? TELL : ARM;
                t->back = t->pc == TELL ? ARM : 0;
        }
}

static void look_early(struct state *s, struct side *t)
{
        t->early[0] = load(s, t, bytes_at(t->pos));
        t->early[1] = load(s, t, word_at(t->pos + 1));
        t->pc = SPECULATE;
}

static bool step_wait_for_data(struct state *s, struct side *t)
{
        const uint8_t word = load(s, t, word_at(t->pos));

        switch (t->pc) {
        case ARM:
                start_waiting(s, t, DATA);
                return true;
        case ARM_FENCE:
                return fence(t, model_mutant != MUTANT_WAIT_NO_FENCE, ARM_LOOK);
        case ARM_LOOK:
                if (model_mutant != MUTANT_NO_RECHECK && found(t, word))
                        stop_waiting(s, t);
                else
                        t->pc = SLEEP;
                return true;
        default: /* WOKEN */
                if ((model_mutant != MUTANT_END_IS_END || !t->is_over) && found(t, word)) {
                        stop_waiting(s, t);
                        return true;
                }
                if (t->is_over) {
                        model_rule(t->message == s->n_published, "what was published counts");
                        t->pc = LEAVE;
                } else {
                        t->pc = ARM;
                }
                t->is_over = false;
                return true;
        }
}

static bool step_consumer(struct state *s, struct side *t)
{
        switch (t->pc) {
        case START:
                if (model_mutant == MUTANT_PEEK_RELAXED)
                        look_early(s, t);
                else
                        look(s, t);
                return true;
        case SPECULATE:
                look(s, t);
                return true;
        case READ:
        case CONSUMED_READ:
                return model_mutant == MUTANT_CONSUMED_EARLY ? step_read_late(s, t)
                                                             : step_read(s, t);
        case TELL:
        case TELL_FENCE:
        case TELL_LOOK:
                return step_tell(s, t);
        default:
                return step_wait_for_data(s, t);
        }
}

/* ---- the whole ------------------------------------------------------------------------------ */

void model_init(struct state *s)
{
        *s = (struct state){0};
        /* A new memory says that it waits for data, and nothing was written over. */
        s->memory[WAIT + CONSUMER] = SEQ | DATA;
        s->side[CONSUMER].seq = SEQ;
        s->side[PRODUCER].known = N_CELLS - (model_mutant == MUTANT_NO_SPARE_CELL ? 0 : 1);
}

bool model_is_over(const struct state *s)
{
        return s->side[PRODUCER].pc == DONE && s->side[CONSUMER].pc == DONE;
}

bool model_kill(struct state *s, unsigned side)
{
        struct side *victim = &s->side[side];

        if (victim->pc == DONE || victim->pc == DIE || victim->pc == LEAVE)
                return false;
        victim->pc = DIE;
        return true;
}

bool model_step(struct state *s, unsigned side)
{
        struct side *t = &s->side[side];

        switch (t->pc) {
        case RING:
        case RING_SEND:
                return step_ring(s, t);
        case SLEEP:
                return step_sleep(s, t);
        case LEAVE:
        case DIE:
                return step_leave(s, t);
        case DONE:
                return false;
        default:
                return side == PRODUCER ? step_producer(s, t) : step_consumer(s, t);
        }
}

bool model_is_private(const struct state *s, unsigned side)
{
        const struct side *t = &s->side[side];

        switch (t->pc) {
        case START:
                return side == PRODUCER && (t->message == model_scenario.n_sent ||
                                            t->pos + SIZE_OF(t->message) <= t->known);
        case FENCE:
        case TELL_FENCE:
        case ARM_FENCE:
                return !t->n_buffered;
        case CONSUMED_READ:
                return t->pos - t->known >= tell_cells();
        case CLEAR_LATE:
        case RING:
        case TELL:
        case ARM:
        case LEAVE:
                return true;
        default:
                return false;
        }
}
