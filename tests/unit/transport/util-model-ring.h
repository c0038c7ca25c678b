/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One direction of the ring (doc/ring.md) as a model, for a search of every interleaving: a
 * producer sends messages of one and two cells through a ring of four, so that it wraps and both
 * sides have to wait; bytes of payloads look like the words of the next round.
 *
 * Memory is weaker than that of any processor in use: each side has a buffer of stores, which reach
 * memory in any order that C11 allows of them. Only those to one location stay in order, a release
 * waits for all before it, and a full fence for all. Loads are made in order; what a load that does
 * not acquire might do is a mutant. Entering the kernel orders as a socket does: who receives a
 * packet sees what was stored before it was sent.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
        N_CELLS = 4,
        TELL_CELLS = 2, /* consumed is told when so much was read */
        N_MESSAGES = 4,
        N_BUFFERED = 10,
        N_LOCATIONS = 2 * N_CELLS + 5,
};

enum mutant {
        MUTANT_NONE,
        MUTANT_PUBLISH_NO_FENCE,
        MUTANT_WAIT_NO_FENCE,
        MUTANT_TELL_NO_FENCE,
        MUTANT_NO_ZERO,         /* the next word is not cleared */
        MUTANT_ZERO_LATE,       /* it is, after the record was published */
        MUTANT_WORD_RELAXED,    /* publishing does not release */
        MUTANT_PEEK_RELAXED,    /* looking does not acquire: bytes are read before the word */
        MUTANT_CONSUMED_EARLY,  /* telling does not release: bytes are read after it */
        MUTANT_NO_RECHECK,      /* sleeps without a look after saying so */
        MUTANT_NO_SEQ,          /* each wait has the same word */
        MUTANT_NO_SPARE_CELL,   /* the cell of the next word is given away */
        MUTANT_AHEAD_BLIND,     /* words ahead are cleared whether they were read or not */
        MUTANT_TELLS_LATE,      /* neither before sleeping nor because the peer waits */
        MUTANT_END_IS_END,      /* what was published before the end does not count */
        MUTANT_N_RUNG_LATE,     /* counts a doorbell after it was sent */
        MUTANT_RING_FOR_NOBODY, /* does not look whether anybody waits for space */
        N_MUTANTS,
};

enum {
        PRODUCER,
        CONSUMER,
};

/* All bytes: states are compared as such. */
struct side {
        uint8_t pc;
        uint8_t back;    /* where telling or ringing leads to */
        uint8_t pos;     /* cells written or read */
        uint8_t known;   /* producer: limit; consumer: what it told */
        uint8_t message; /* the next one */
        uint8_t seq;
        uint8_t wait; /* of the peer, as loaded */
        uint8_t rung; /* the wait word that was rung for last */
        uint8_t n_rung;
        uint8_t n_drained;
        uint8_t early[2];    /* bytes as loaded before the word */
        bool is_over;        /* it was woken by the end */
        uint8_t n_doorbells; /* on its socket */
        uint8_t n_buffered;
        uint8_t at[N_BUFFERED];
        uint8_t value[N_BUFFERED];
};

struct state {
        uint8_t memory[N_LOCATIONS]; /* see util-model-ring.c */
        uint8_t n_published;
        uint8_t has_ended[2];
        struct side side[2];
};

struct scenario {
        uint8_t n_sent;  /* then the producer leaves */
        uint8_t n_read;  /* then the consumer leaves */
        int8_t victim;   /* dies at any step; -1: nobody */
        bool is_counted; /* n_rung, which matters to doorbells alone */
        bool is_lazy;    /* a consumer tells only what it must */
};

/* What is being tried, and the first rule that was broken, or NULL. */
extern enum mutant model_mutant;
extern struct scenario model_scenario;
extern const char *model_broken;

void model_rule(bool holds, const char *what);

/* How it begins. */
void model_init(struct state *s);

/* One step of a side: one access to what is shared. Returns whether there is one. */
bool model_step(struct state *s, unsigned side);

/* The i-th buffered store of a side reaches memory, if it may before those in front of it. */
bool model_drain(struct state *s, unsigned side, unsigned i);

/* A side makes no step more; what it stored still reaches memory. */
bool model_kill(struct state *s, unsigned side);

/* Whether both are through. */
bool model_is_over(const struct state *s);

/*
 * Whether the next step of a side touches nothing of the other: then it makes no difference when it
 * is made, and a search needs to try it only at once.
 */
bool model_is_private(const struct state *s, unsigned side);
