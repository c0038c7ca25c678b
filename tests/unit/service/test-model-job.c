/* SPDX-License-Identifier: MIT */

/*
 * The protocol of job.c as a model of which every interleaving is tried: two workers that post a
 * job of three parts each, twice, in memory that they use again, and help when there is nothing of
 * their own; and one that only helps. A step is what happens under the lock at one time; running a
 * part, which nobody else can see, is one with its return. In one of the jobs a part says that the
 * rest need not be run.
 *
 * Looked for are a part that is run twice, or not at all, a job that is looked at after its poster
 * came back from it, a poster that comes back too early or never.
 *
 * A model that cannot fail proves nothing: the same search must find what is wrong with each of
 * the mutants.
 */

#include "tap.h"

enum {
        N_POSTERS = 2,
        N_WORKERS = 3,
        N_JOBS = 2, /* of each poster, one after the other */
        N_PARTS = 3,
        N_HELPS = 2, /* looks for others' parts, of each worker */
        STOP_AT = 1, /* this part of a poster's second job ends it */
        NOBODY = 7,
        MAX_STATES = 1 << 20,
};

enum mutant {
        MUTANT_NONE,
        MUTANT_NO_WAIT,      /* the poster comes back while parts are run */
        MUTANT_STAYS_OPEN,   /* the last part leaves the job among the open ones */
        MUTANT_TAKE_LATE,    /* who takes a part moves the cursor only after it was run */
        MUTANT_SILENT,       /* the last to return a part tells nobody */
        MUTANT_SIGNAL_FIRST, /* and this one does before it has returned it, without the lock */
        MUTANT_STOP_FORGETS, /* a stop closes the job, but leaves the cursor */
        MUTANT_STOP_TWICE,   /* a stop closes a job that was closed already */
        N_MUTANTS,
};

enum pc {
        IDLE = 0,
        TAKE,    /* of its own job */
        RUN_OWN, /* with the part in `part` */
        WAIT,    /* for running parts of its own job, about to look */
        ASLEEP,  /* until told */
        RUN_OTHER,
        SIGNALLED, /* a mutant, between telling and returning */
        DONE,
};

struct worker {
        uint8_t pc;
        uint8_t n_jobs;  /* to go */
        uint8_t n_helps; /* to go */
        uint8_t job;     /* whose part is run */
        uint8_t serial;  /* of that job, to see that it is the same still */
        uint8_t part;
};

struct job {
        uint8_t is_there; /* between post and the end of finish */
        uint8_t serial;
        uint8_t is_open;
        uint8_t next;
        uint8_t n_running;
        uint8_t n_run[N_PARTS];
};

/* All bytes: states are compared as such. */
struct state {
        struct worker workers[N_WORKERS];
        struct job jobs[N_POSTERS];
        uint8_t n_open;
};

static enum mutant mutant;
static const char *broken; /* the rule that was */

static void rule(bool holds, const char *what)
{
        if (!holds && !broken)
                broken = what;
}

static void job_close(struct state *s, struct job *job)
{
        job->next = N_PARTS;
        job->is_open = 0;
        s->n_open--;
}

static void job_take(struct state *s, struct worker *w, unsigned id)
{
        struct job *job = &s->jobs[id];

        rule(job->is_there, "what is open is there");
        rule(job->next < N_PARTS, "what is open has a part");
        w->job = (uint8_t)id;
        w->serial = job->serial;
        w->part = job->next;
        job->n_running++;
        if (mutant == MUTANT_TAKE_LATE)
                return;
        job->next++;
        if (job->next >= N_PARTS && mutant != MUTANT_STAYS_OPEN)
                job_close(s, job);
}

static void tell(struct state *s)
{
        unsigned i;

        for (i = 0; i < N_POSTERS; i++)
                if (s->workers[i].pc == ASLEEP)
                        s->workers[i].pc = WAIT;
}

static void run(struct state *s, struct worker *w)
{
        struct job *job = &s->jobs[w->job];

        rule(job->is_there && job->serial == w->serial, "a job stays while a part is run");
        if (w->part < N_PARTS)
                job->n_run[w->part]++;
}

static void job_return(struct state *s, struct worker *w)
{
        struct job *job = &s->jobs[w->job];
        const bool goes_on = !(w->job == 1 && job->serial == 2 && w->part == STOP_AT);

        rule(job->is_there && job->serial == w->serial, "a job stays until a part is returned");
        job->n_running--;
        if (mutant == MUTANT_TAKE_LATE && ++job->next == N_PARTS)
                job_close(s, job);
        if (!goes_on && mutant == MUTANT_STOP_FORGETS) {
                job->is_open = 0;
                s->n_open--;
        } else if (!goes_on && (job->next < N_PARTS || mutant == MUTANT_STOP_TWICE)) {
                job_close(s, job);
        }
        if (!job->n_running && job->next >= N_PARTS && mutant != MUTANT_SILENT &&
            mutant != MUTANT_SIGNAL_FIRST)
                tell(s);
}

static void post(struct state *s, struct worker *w, unsigned id)
{
        const uint8_t serial = s->jobs[id].serial;

        w->n_jobs--;
        s->jobs[id] = (struct job){.is_there = 1, .serial = (uint8_t)(serial + 1), .is_open = 1};
        s->n_open++;
        w->pc = TAKE;
}

/* Comes back from finish: the memory is the poster's again. */
static void leave(struct state *s, struct worker *w, unsigned id)
{
        struct job *job = &s->jobs[id];
        const bool is_stopped = id == 1 && job->serial == 2;
        unsigned i;

        for (i = 0; i < N_PARTS; i++)
                rule(job->n_run[i] == 1 || (is_stopped && i > STOP_AT && !job->n_run[i]),
                     "each part is run once");
        rule(!job->n_running, "no part is running any more");
        rule(!job->is_open, "what is left is not open");
        job->is_there = 0;
        w->pc = IDLE;
}

/* Looks for a part of the first open job; the search tries both orders of the queue. */
static void help(struct state *s, struct worker *w, unsigned first)
{
        unsigned i, id;

        w->n_helps--;
        for (i = 0; i < N_POSTERS; i++) {
                id = (first + i) % N_POSTERS;
                if (!s->jobs[id].is_open)
                        continue;
                job_take(s, w, id);
                w->pc = RUN_OTHER;
                return;
        }
}

/* Telling and returning are one step, under one lock; but for the mutant. */
static void end_run(struct state *s, struct worker *w, enum pc then)
{
        if (mutant == MUTANT_SIGNAL_FIRST && w->pc != SIGNALLED && then == IDLE) {
                tell(s);
                w->pc = SIGNALLED;
                return;
        }
        job_return(s, w);
        w->job = NOBODY;
        w->part = w->serial = 0;
        w->pc = (uint8_t)then;
}

/* One step of worker i; `choice` is one of two where there is one. Returns whether there was. */
static bool step(struct state *s, unsigned i, unsigned choice)
{
        struct worker *w = &s->workers[i];

        if (choice && !(w->pc == IDLE && (w->n_helps || w->n_jobs)))
                return false;
        switch (w->pc) {
        case IDLE:
                if (w->n_helps && (choice || !w->n_jobs))
                        help(s, w, choice);
                else if (w->n_jobs && !choice)
                        post(s, w, i);
                else if (choice)
                        return false;
                else
                        w->pc = DONE;
                return true;
        case TAKE:
                if (s->jobs[i].next >= N_PARTS) {
                        w->pc = WAIT;
                        return true;
                }
                job_take(s, w, i);
                w->pc = RUN_OWN;
                return true;
        case RUN_OWN:
                run(s, w);
                end_run(s, w, TAKE);
                return true;
        case RUN_OTHER:
                run(s, w);
                end_run(s, w, IDLE);
                return true;
        case SIGNALLED:
                end_run(s, w, IDLE);
                return true;
        case WAIT:
                if (s->jobs[i].n_running && mutant != MUTANT_NO_WAIT)
                        w->pc = ASLEEP;
                else
                        leave(s, w, i);
                return true;
        default:
                return false;
        }
}

/* ---- every interleaving: depth first, each state once -----------------------------------------
 */

static struct state *stack, *seen;
static unsigned n_seen;

/* Whether the state is new. An all-zero state does not occur: job is NOBODY at first. */
static bool remember(const struct state *s)
{
        static const struct state none;
        const unsigned char *p = (const void *)s;
        uint64_t hash = 14695981039346656037u;
        size_t i;

        for (i = 0; i < sizeof(*s); i++)
                hash = (hash ^ p[i]) * 1099511628211u;
        for (i = (hash ^ hash >> 32) % (2 * MAX_STATES); memcmp(&seen[i], &none, sizeof(none));
             i = (i + 1) % (2 * MAX_STATES))
                if (!memcmp(&seen[i], s, sizeof(*s)))
                        return false;
        seen[i] = *s;
        n_seen++;
        return true;
}

static void check_end(const struct state *s)
{
        unsigned i;

        for (i = 0; i < N_WORKERS; i++)
                rule(s->workers[i].pc == DONE, "everybody comes back");
        rule(!s->n_open, "the hint is right in the end");
}

/* Returns the rule that is broken in some interleaving, or NULL. */
static const char *explore(enum mutant which)
{
        struct state start = {0}, s, next;
        unsigned depth = 0, i;
        bool running;

        mutant = which;
        broken = NULL;
        n_seen = 0;
        memset(seen, 0, 2 * (size_t)MAX_STATES * sizeof(*seen));
        for (i = 0; i < N_WORKERS; i++)
                start.workers[i] = (struct worker){.n_jobs = i < N_POSTERS ? N_JOBS : 0,
                                                   .n_helps = N_HELPS,
                                                   .job = NOBODY};
        remember(&start);
        stack[depth++] = start;
        while (depth && !broken && n_seen < MAX_STATES) {
                s = stack[--depth];
                running = false;
                for (i = 0; i < 2 * N_WORKERS && !broken; i++) {
                        next = s;
                        if (!step(&next, i / 2, i % 2))
                                continue;
                        running = true;
                        if (remember(&next))
                                stack[depth++] = next;
                }
                if (!running)
                        check_end(&s);
        }
        if (n_seen >= MAX_STATES)
                return "the search ends";
        return broken;
}

static void test_every_interleaving(void)
{
        const char *found = explore(MUTANT_NONE);

        if (found)
                tap_fail("broken: %s", found);
        tap_note("%u states", n_seen);
        tap_check(n_seen > 10000);
}

static void test_mutants_are_found(void)
{
        unsigned which;

        for (which = MUTANT_NONE + 1; which < N_MUTANTS; which++) {
                const char *found = explore((enum mutant)which);

                if (!found)
                        tap_fail("mutant %u is not found in %u states", which, n_seen);
                else
                        tap_note("mutant %u: not \"%s\", after %u states", which, found, n_seen);
        }
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_every_interleaving),
                                                TAP_CASE(test_mutants_are_found)};
        int r;

        stack = malloc(MAX_STATES * sizeof(*stack));
        seen = malloc(2 * (size_t)MAX_STATES * sizeof(*seen));
        if (!stack || !seen)
                return EXIT_FAILURE;
        r = tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
        free(seen);
        free(stack);
        return r;
}
