/* SPDX-License-Identifier: MIT */

/*
 * Every interleaving of the ring's model (util-model-ring.h). Looked for: a side that sleeps for
 * ever, a word or byte that is not of the record that was published there, a message that is lost
 * when its sender leaves or dies, and a search that goes round in circles. A model that cannot fail
 * proves nothing: the same search must find what is wrong with each of the mutants.
 */

#include "tap.h"
#include "util-model-ring.h"

enum {
        MAX_STATES = 1 << 20,
        N_SLOTS = 2 * MAX_STATES,
        MAX_DEPTH = 1000,
};

/* ---- depth first, each state once ------------------------------------------------------------ */

struct frame {
        struct state state;
        uint32_t slot;
        uint32_t steps; /* to try */
        uint8_t next;
};

static struct frame *stack;
static struct state *seen;
static bool *is_open; /* of the states seen: on the way to where the search is */
static unsigned n_seen, n_ends;

enum {
        STEP_SIDE = 0,              /* of either */
        STEP_DRAIN = STEP_SIDE + 2, /* a store of either */
        STEP_KILL = STEP_DRAIN + 2 * N_BUFFERED,
        N_STEPS,
};

static bool step(struct state *s, unsigned number)
{
        if (number < STEP_DRAIN)
                return model_step(s, number);
        if (number < STEP_KILL)
                return model_drain(s, (number - STEP_DRAIN) % 2, (number - STEP_DRAIN) / 2);
        return model_scenario.victim >= 0 && model_kill(s, (unsigned)model_scenario.victim);
}

static uint64_t hash_of(const struct state *s)
{
        const unsigned char *p = (const void *)s;
        uint64_t hash = 14695981039346656037u;

        for (size_t i = 0; i < sizeof(*s); i++)
                hash = (hash ^ p[i]) * 1099511628211u;
        return hash ^ hash >> 29;
}

/* Whether the state is new; where it is kept. None is all zero: the consumer has said that it
 * waits. */
static bool remember(const struct state *s, uint32_t *ret_slot)
{
        static const struct state none;
        uint64_t i = hash_of(s) % N_SLOTS;

        for (; memcmp(&seen[i], &none, sizeof(none)); i = (i + 1) % N_SLOTS)
                if (!memcmp(&seen[i], s, sizeof(*s))) {
                        *ret_slot = (uint32_t)i;
                        return false;
                }
        seen[i] = *s;
        *ret_slot = (uint32_t)i;
        n_seen++;
        return true;
}

static void check_end(const struct state *s)
{
        model_rule(model_is_over(s), "nobody sleeps for ever");
        n_ends++;
}

/* Whether nothing can happen any more, unless somebody kills. */
static bool is_stuck(const struct state *s)
{
        for (unsigned i = 0; i < STEP_KILL; i++) {
                struct state next = *s;

                if (step(&next, i))
                        return false;
        }
        return true;
}

/* The steps to try in a state: a set of bits. */
static uint32_t choose_steps(const struct state *s)
{
        for (unsigned i = 0; i < 2; i++) {
                struct state next = *s;

                if (model_is_private(s, i) && step(&next, i))
                        return 1u << i | (model_scenario.victim == (int)i ? 1u << STEP_KILL : 0);
        }
        return UINT32_MAX;
}

/* Goes on with the innermost state. Returns the new depth. */
static unsigned search_on(unsigned depth)
{
        struct frame *frame = &stack[depth - 1], *inner = &stack[depth];
        unsigned number;

        if (frame->next == 0) {
                frame->steps = choose_steps(&frame->state);
                if (is_stuck(&frame->state))
                        check_end(&frame->state);
        }
        while (frame->next < N_STEPS && !model_broken) {
                number = frame->next++;
                inner->state = frame->state;
                inner->next = 0;
                if (!(frame->steps >> number & 1) || !step(&inner->state, number))
                        continue;
                if (remember(&inner->state, &inner->slot)) {
                        is_open[inner->slot] = true;
                        return depth + 1;
                }
                model_rule(!is_open[inner->slot], "it comes to an end");
        }
        is_open[frame->slot] = false;
        return depth - 1;
}

/* The rule that nothing is proven by breaking. */
#define THE_END "the search comes to an end"

/* Returns the rule that is broken in some interleaving, or NULL. */
static const char *explore(enum mutant which, struct scenario what)
{
        struct frame *start = &stack[0];
        unsigned depth = 1;

        model_mutant = which;
        model_scenario = what;
        model_broken = NULL;
        n_seen = n_ends = 0;
        memset(seen, 0, (size_t)N_SLOTS * sizeof(*seen));
        memset(is_open, 0, (size_t)N_SLOTS * sizeof(*is_open));
        start->next = 0;
        model_init(&start->state);
        remember(&start->state, &start->slot);
        is_open[start->slot] = true;
        while (depth && !model_broken && n_seen < MAX_STATES && depth < MAX_DEPTH - 1)
                depth = search_on(depth);
        model_rule(!depth, THE_END);
        return model_broken;
}

/* ---- what is tried -------------------------------------------------------------------------- */

static const struct scenario scenarios[] = {
        {N_MESSAGES, N_MESSAGES + 1, -1, false, false}, /* the consumer sees the producer leave */
        {N_MESSAGES, 2, -1, false, false},              /* it leaves, the producer would go on */
        {N_MESSAGES, N_MESSAGES + 1, PRODUCER, false, false},
        {N_MESSAGES, N_MESSAGES + 1, CONSUMER, false, false},
        {N_MESSAGES, N_MESSAGES + 1, -1, true, false},
        {N_MESSAGES, N_MESSAGES + 1, -1, false, true},
        {N_MESSAGES, N_MESSAGES + 1, CONSUMER, false, true},
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static void test_every_interleaving(void)
{
        for (size_t i = 0; i < N_SCENARIOS; i++) {
                const char *found = explore(MUTANT_NONE, scenarios[i]);

                if (found)
                        tap_fail("scenario %zu, broken: %s", i, found);
                tap_note("scenario %zu: %u states, %u ends", i, n_seen, n_ends);
                tap_check(n_seen > 10000 && n_ends > 0);
        }
}

static void test_mutants_are_found(void)
{
        for (unsigned which = MUTANT_NONE + 1; which < N_MUTANTS; which++) {
                const char *found = NULL;
                size_t i;

                for (i = 0; i < N_SCENARIOS && !found; i++)
                        found = explore((enum mutant)which, scenarios[i]);
                if (!found || !strcmp(found, THE_END))
                        tap_fail("mutant %u is not found", which);
                else
                        tap_note("mutant %u: not \"%s\", scenario %zu, after %u states", which,
                                 found, i - 1, n_seen);
        }
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_every_interleaving),
                                                TAP_CASE(test_mutants_are_found)};
        int r;

        stack = malloc(MAX_DEPTH * sizeof(*stack));
        seen = malloc((size_t)N_SLOTS * sizeof(*seen));
        is_open = malloc((size_t)N_SLOTS * sizeof(*is_open));
        if (!stack || !seen || !is_open)
                return EXIT_FAILURE;
        r = tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
        free(is_open);
        free(seen);
        free(stack);
        return r;
}
