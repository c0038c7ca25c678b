/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A lane (libnipc-transport/doc/lane.md §3 to §7) as a model for a search of every interleaving.
 *
 * Memory is weaker than that of any processor in use: each side has a buffer of stores, which reach
 * memory in any order, but those to one location in theirs, and a release after all before it.
 * Exchanges and full fences wait for the buffer. What a killed side had stored gets there.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
        LANE_N_RINGS = 3,
        LANE_N_RECORDS = 4,
        LANE_N_BUFFERED = 6,

        /* locations */
        LANE_STATE = 0, /* 0: leased; 1: returned */
        LANE_ACTIVE,    /* entries: generation * 4 + ring, 0: none */
        LANE_PREVIOUS,
        LANE_TAIL, /* of submit */
        LANE_HEAD, /* of submit: position * 4 + ring + 1 that is held */
        LANE_FREE_TAIL,
        LANE_HELD,
        LANE_CONSUMED,
        LANE_MARK,
        LANE_BLOCKED,
        LANE_SLEEPS,
        LANE_SUBMIT, /* entries */
        LANE_SPARE = LANE_SUBMIT + LANE_N_RINGS,
        LANE_GENERATION = LANE_SPARE + LANE_N_RINGS, /* of rings, and so on */
        LANE_FIRST = LANE_GENERATION + LANE_N_RINGS,
        LANE_PUBLISHED = LANE_FIRST + LANE_N_RINGS,
        LANE_DATA = LANE_PUBLISHED + LANE_N_RINGS,
        LANE_N_LOCATIONS = LANE_DATA + LANE_N_RINGS,
};

enum lane_kind {
        LANE_INDEX,
        LANE_DETAIL,
};
enum lane_policy {
        LANE_DROP,
        LANE_OVERWRITE,
        LANE_BLOCK,
};
enum lane_victim {
        LANE_WRITER,
        LANE_READER,
        LANE_NOBODY,
};

struct lane_scenario {
        enum lane_kind kind;
        enum lane_policy policy;
        enum lane_victim victim;
        bool is_marked;
};

enum lane_mutant {
        LANE_MUTANT_NONE,
        LANE_MUTANT_PUBLISH_RELAXED, /* publishing does not release */
        LANE_MUTANT_TAIL_RELAXED,    /* nor does submitting */
        LANE_MUTANT_FREE_EARLY,      /* a ring is given back before it was read */
        LANE_MUTANT_STEAL_BLIND,     /* a ring is stolen by a store instead of an exchange */
        LANE_MUTANT_MARK_TORN,       /* a mark is read, and cleared later */
        LANE_MUTANT_NO_PREVIOUS,     /* a mark takes the ring in use alone along */
        LANE_MUTANT_ACTIVE_FIRST,    /* `active` is 0 before the ring is in the queue */
        LANE_MUTANT_HELD_LATE,       /* what is held is said after it was taken */
        LANE_MUTANT_HELD_BLIND,      /* who follows reads a ring that was given back */
        LANE_MUTANT_NO_SKIP,         /* sequences below the expected one are given out */
        LANE_MUTANT_NO_ROUSE,        /* who follows does not wake the writer */
        LANE_MUTANT_WAKE_NO_FENCE,   /* the writer's, before it looks whether the reader sleeps */
        LANE_MUTANT_LIVE_BLIND,      /* a ring that was given back is read as the one in use */
        LANE_MUTANT_LIVE_FIRST,      /* or before what was submitted meanwhile */
        LANE_MUTANT_STATE_LATE,      /* the state is loaded after the queue was found empty */
        LANE_N_MUTANTS,
};

/* All bytes: states are compared as such. */
struct lane_buffer {
        uint8_t n;
        uint8_t at[LANE_N_BUFFERED];
        uint8_t value[LANE_N_BUFFERED];
        uint8_t is_release[LANE_N_BUFFERED];
};

struct lane_state {
        uint8_t memory[LANE_N_LOCATIONS];
        struct lane_buffer buffer[2];

        /* the writer; rings are masks but where said */
        uint8_t pc, sent, active, previous /* ring or 3 */, mine, tail, free_head, generation, ring;
        uint8_t head, second, is_marked, is_returning, is_full, is_dead;
        uint8_t entries[LANE_N_RINGS], firsts[LANE_N_RINGS], submitted[LANE_N_RINGS];
        uint8_t is_submitted;

        /* the controller */
        uint8_t rpc, seen_state, position, entry, is_held, first, is_published, data, expected;
        uint8_t free_tail, stage, live, last_generation, is_after_restart, n_restarts;

        /* what only the search knows; masks of records */
        uint8_t written, gone, given, last_given, must;
        uint8_t has_marked;
};

enum {
        LANE_STEP_WRITER,
        LANE_STEP_READER,
        LANE_STEP_READER_OTHER, /* the reader's other choice: it looks at the ring in use */
        LANE_STEP_DRAIN,
        LANE_STEP_CHANCE = LANE_STEP_DRAIN + 2 * LANE_N_BUFFERED,
        LANE_STEP_MARK = LANE_STEP_CHANCE,
        LANE_STEP_KILL,
        LANE_N_STEPS,
};

extern enum lane_mutant lane_mutant;
extern struct lane_scenario lane_scenario;
extern const char *lane_broken; /* the first rule that did not hold, or NULL */

void lane_init(struct lane_state *s);

/* Makes a step, if it can be made. */
bool lane_step(struct lane_state *s, unsigned step);

/* Of a state where nothing can happen any more. */
void lane_check_end(const struct lane_state *s);
