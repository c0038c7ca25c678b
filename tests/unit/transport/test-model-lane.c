/* SPDX-License-Identifier: MIT */

/*
 * Every interleaving of a lane's model (util-model-lane.h): a writer with three rings of one record
 * each, a controller, somebody who marks, and either side killed between any two stores. Looked
 * for: a record that is lost, given out twice or torn, one that was marked and is not submitted,
 * and a side that sleeps for ever. A model that cannot fail proves nothing: each mutant must be
 * found.
 */

#include "tap.h"
#include "util-model-lane.h"

#define MAX_STATES (3u << 20)
#define N_SLOTS    (2 * MAX_STATES + 1)

static struct lane_state *states; /* in the order in which they were found */
static uint32_t *slots;           /* 0: free; else index + 1 */
static uint32_t n_states, n_ends;

static uint64_t hash_of(const struct lane_state *s)
{
        const unsigned char *p = (const void *)s;
        uint64_t hash = 14695981039346656037u;

        for (size_t i = 0; i < sizeof(*s); i++)
                hash = (hash ^ p[i]) * 1099511628211u;
        return hash ^ hash >> 29;
}

static void remember(const struct lane_state *s)
{
        uint64_t i = hash_of(s) % N_SLOTS;

        for (; slots[i]; i = (i + 1) % N_SLOTS)
                if (!memcmp(&states[slots[i] - 1], s, sizeof(*s)))
                        return;
        states[n_states++] = *s;
        slots[i] = n_states;
}

/* Returns the rule that is broken in some interleaving, or NULL. */
static const char *explore(enum lane_mutant which, struct lane_scenario what)
{
        struct lane_state next;

        lane_mutant = which;
        lane_scenario = what;
        lane_broken = NULL;
        n_states = n_ends = 0;
        memset(slots, 0, N_SLOTS * sizeof(*slots));
        lane_init(&next);
        remember(&next);
        for (uint32_t i = 0; i < n_states && !lane_broken; i++) {
                bool is_stuck = true;

                for (unsigned step = 0; step < LANE_N_STEPS && !lane_broken; step++) {
                        next = states[i];
                        if (!lane_step(&next, step))
                                continue;
                        /* Nobody is waited for to be killed, nor to mark. */
                        is_stuck &= step >= LANE_STEP_CHANCE;
                        if (n_states == MAX_STATES)
                                return "the search comes to an end";
                        remember(&next);
                }
                if (is_stuck && !lane_broken) {
                        n_ends++;
                        lane_check_end(&states[i]);
                }
        }
        return lane_broken;
}

/* kind, policy, who is killed, whether somebody marks */
static const struct lane_scenario scenarios[] = {
        {LANE_INDEX, LANE_DROP, LANE_NOBODY, false},
        {LANE_INDEX, LANE_DROP, LANE_WRITER, false},
        {LANE_INDEX, LANE_DROP, LANE_READER, false},
        {LANE_INDEX, LANE_OVERWRITE, LANE_NOBODY, false},
        {LANE_INDEX, LANE_OVERWRITE, LANE_WRITER, false},
        {LANE_INDEX, LANE_OVERWRITE, LANE_READER, false},
        {LANE_INDEX, LANE_BLOCK, LANE_NOBODY, false},
        {LANE_INDEX, LANE_BLOCK, LANE_READER, false},
        {LANE_DETAIL, LANE_DROP, LANE_NOBODY, true},
        {LANE_DETAIL, LANE_DROP, LANE_WRITER, true},
        {LANE_DETAIL, LANE_OVERWRITE, LANE_NOBODY, true},
};

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static void test_every_interleaving(void)
{
        for (size_t i = 0; i < N_SCENARIOS; i++) {
                const char *found = explore(LANE_MUTANT_NONE, scenarios[i]);

                if (found)
                        tap_fail("scenario %zu, broken: %s", i, found);
                tap_note("scenario %zu: %u states, %u ends", i, n_states, n_ends);
                tap_check(n_states > 1000 && n_ends > 0);
        }
}

static void test_mutants_are_found(void)
{
        for (unsigned which = LANE_MUTANT_NONE + 1; which < LANE_N_MUTANTS; which++) {
                const char *found = NULL;
                size_t i;

                for (i = 0; i < N_SCENARIOS && !found; i++)
                        found = explore((enum lane_mutant)which, scenarios[i]);
                if (!found)
                        tap_fail("mutant %u is not found", which);
                else
                        tap_note("mutant %u: not \"%s\", scenario %zu, after %u states", which,
                                 found, i - 1, n_states);
        }
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_every_interleaving),
                                                TAP_CASE(test_mutants_are_found)};
        int r;

        states = malloc(MAX_STATES * sizeof(*states));
        slots = malloc(N_SLOTS * sizeof(*slots));
        if (!states || !slots)
                return EXIT_FAILURE;
        r = tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
        free(slots);
        free(states);
        return r;
}
