/* SPDX-License-Identifier: MIT */

/*
 * The algorithm of publication.c as a model of which every interleaving is tried: two readers that
 * acquire twice each and a writer that publishes four times, where one step is one access to
 * shared memory. Snapshots are reused within that. Looked for are the use of a snapshot that was
 * taken back, one taken back twice, one that never comes back, and a reader that goes back in time.
 *
 * The model supposes one order of all steps; that each access has the memory order it needs is
 * left to test-publication under a thread sanitizer. Counts fold from 1 instead of 2^31.
 *
 * A model that cannot fail proves nothing: the same search must find what is wrong with each of
 * the mutants.
 */

#include "tap.h"

enum {
        N_READERS = 2,
        N_ACQUIRES = 2,
        N_PUBLISHES = 4,
        N_IDS = 8,
        BIAS = 64,
        FOLD_AT = 1,
        NONE = 0, /* the id of no snapshot, and the end of a list */
        MAX_STATES = 1 << 20,
};

enum mutant {
        MUTANT_NONE,
        MUTANT_NO_TRANSFER,   /* publish does not move the word's count */
        MUTANT_EARLY_REUSE,   /* the writer reuses what it replaced although it is held */
        MUTANT_WRITER_LEAKS,  /* publish leaves it to others to be the last */
        MUTANT_FOLD_LATE,     /* fold empties the word before it adds to held */
        MUTANT_FOLD_BLIND,    /* fold stores the word instead of comparing it */
        MUTANT_NO_BIAS,       /* held of the current one counts from 0 */
        MUTANT_SPLIT_ACQUIRE, /* reading the id and counting are two steps */
        MUTANT_RETIRE_TWICE,  /* release takes 0 and 1 for the last */
        N_MUTANTS,
};

enum pc {
        IDLE = 0,
        ACQUIRE_COUNT, /* the second half of a split acquire */
        FOLD_LOAD,
        FOLD_ADD,
        FOLD_SWAP,
        FOLD_UNDO,
        USE,
        USE_AGAIN,
        RELEASE,
        PUSH_LOAD,
        PUSH_SWAP,
        TAKE,
        BUILD,
        SWAP,
        TRANSFER,
        DONE,
};

/* A thread; the last one is the writer. All bytes: states are compared as such. */
struct thread {
        uint8_t pc;
        uint8_t left; /* acquires or publishes to go */
        uint8_t id;   /* acquired, or to be published */
        uint8_t generation;
        uint8_t word_id, word_count; /* as loaded or swapped out */
        uint8_t pushed;              /* the id being pushed */
        uint8_t head;                /* as loaded */
};

struct state {
        uint8_t word_id, word_count;
        uint8_t retired; /* head */
        uint8_t free;    /* set of ids, the writer's */
        uint8_t n_used;
        int8_t held[N_IDS];
        uint8_t next[N_IDS];
        uint8_t generation[N_IDS]; /* of what it holds; 0: nothing, or being built */
        struct thread threads[N_READERS + 1];
};

static enum mutant mutant;
static const char *broken; /* the rule that was */

static void rule(bool holds, const char *what)
{
        if (!holds && !broken)
                broken = what;
}

static void push_begin(struct thread *t, uint8_t id)
{
        t->pushed = id;
        t->pc = PUSH_LOAD;
}

static void use_or_end(struct thread *t)
{
        t->pc = t->id == NONE ? IDLE : USE;
}

static void acquired(struct thread *t, uint8_t count)
{
        if (count >= FOLD_AT)
                t->pc = FOLD_LOAD;
        else
                use_or_end(t);
}

static void step_fold(struct state *s, struct thread *t)
{
        switch (t->pc) {
        case FOLD_LOAD:
                t->word_id = s->word_id;
                t->word_count = s->word_count;
                if (t->word_id != t->id || t->word_count < FOLD_AT)
                        use_or_end(t);
                else
                        t->pc = mutant == MUTANT_FOLD_LATE ? FOLD_SWAP : FOLD_ADD;
                break;
        case FOLD_ADD:
                s->held[t->id] = (int8_t)(s->held[t->id] + t->word_count);
                if (mutant == MUTANT_FOLD_LATE)
                        use_or_end(t);
                else
                        t->pc = FOLD_SWAP;
                break;
        case FOLD_SWAP:
                if (mutant != MUTANT_FOLD_BLIND &&
                    (s->word_id != t->word_id || s->word_count != t->word_count)) {
                        t->pc = mutant == MUTANT_FOLD_LATE ? FOLD_LOAD : FOLD_UNDO;
                        break;
                }
                s->word_id = t->word_id;
                s->word_count = 0;
                if (mutant == MUTANT_FOLD_LATE)
                        t->pc = FOLD_ADD;
                else
                        use_or_end(t);
                break;
        case FOLD_UNDO:
                s->held[t->id] = (int8_t)(s->held[t->id] - t->word_count);
                t->pc = FOLD_LOAD;
                break;
        default:
                break;
        }
}

static void step_push(struct state *s, struct thread *t, uint8_t then)
{
        if (t->pc == PUSH_LOAD) {
                t->head = s->retired;
                t->pc = PUSH_SWAP;
                return;
        }
        if (s->retired != t->head) {
                t->pc = PUSH_LOAD;
                return;
        }
        s->next[t->pushed] = t->head;
        s->retired = t->pushed;
        t->pushed = NONE;
        t->pc = then;
}

static void step_reader(struct state *s, struct thread *t)
{
        switch (t->pc) {
        case IDLE:
                if (!t->left) {
                        *t = (struct thread){.pc = DONE};
                        break;
                }
                t->left--;
                t->id = s->word_id;
                if (mutant == MUTANT_SPLIT_ACQUIRE) {
                        t->pc = ACQUIRE_COUNT;
                        break;
                }
                acquired(t, s->word_count++);
                break;
        case ACQUIRE_COUNT:
                acquired(t, s->word_count++);
                break;
        case USE:
                rule(s->generation[t->id] != 0, "a held snapshot is there");
                rule(s->generation[t->id] >= t->generation, "generations do not go back");
                t->generation = s->generation[t->id];
                t->pc = USE_AGAIN;
                break;
        case USE_AGAIN:
                rule(s->generation[t->id] == t->generation, "a held snapshot stays");
                t->pc = RELEASE;
                break;
        case RELEASE:
                s->held[t->id]--;
                t->pc = IDLE;
                if (s->held[t->id] == 0 || (mutant == MUTANT_RETIRE_TWICE && s->held[t->id] == 1))
                        push_begin(t, t->id);
                break;
        case PUSH_LOAD:
        case PUSH_SWAP:
                step_push(s, t, IDLE);
                break;
        default:
                step_fold(s, t);
                break;
        }
}

/* Takes back all that is retired: the list is the writer's once it has the head. */
static void collect(struct state *s)
{
        uint8_t id = s->retired, n = 0;

        for (s->retired = NONE; id != NONE && n < N_IDS; n++) {
                rule(!(s->free >> id & 1), "what is retired is not free already");
                rule(s->generation[id] != 0, "what is retired was published");
                s->free |= (uint8_t)(1u << id);
                s->generation[id] = 0;
                id = s->next[id];
        }
        rule(n < N_IDS, "the list of the retired ends");
}

static void step_transfer(struct state *s, struct thread *t)
{
        const uint8_t old = t->word_id;
        int8_t held;

        t->pc = IDLE;
        t->word_id = NONE;
        if (old == NONE)
                return;
        held = s->held[old];
        if (mutant != MUTANT_NO_BIAS)
                held = (int8_t)(held - BIAS);
        if (mutant != MUTANT_NO_TRANSFER)
                held = (int8_t)(held + t->word_count);
        s->held[old] = held;
        if (held == 0 && mutant != MUTANT_WRITER_LEAKS)
                push_begin(t, old);
        else if (held != 0 && mutant == MUTANT_EARLY_REUSE)
                push_begin(t, old);
}

static void step_writer(struct state *s, struct thread *t)
{
        switch (t->pc) {
        case IDLE:
                if (!t->left) {
                        *t = (struct thread){.pc = DONE};
                        break;
                }
                t->left--;
                collect(s);
                t->pc = TAKE;
                break;
        case TAKE:
                for (t->id = 1; t->id < s->n_used && !(s->free >> t->id & 1); t->id++)
                        ;
                rule(t->id < N_IDS, "there are enough ids");
                if (t->id == s->n_used)
                        s->n_used++;
                s->free &= (uint8_t) ~(1u << t->id);
                t->pc = BUILD;
                break;
        case BUILD:
                s->generation[t->id] = ++t->generation;
                s->held[t->id] = mutant == MUTANT_NO_BIAS ? 0 : BIAS;
                t->pc = SWAP;
                break;
        case SWAP:
                t->word_id = s->word_id;
                t->word_count = s->word_count;
                s->word_id = t->id;
                s->word_count = 0;
                t->pc = TRANSFER;
                break;
        case TRANSFER:
                step_transfer(s, t);
                break;
        default:
                step_push(s, t, IDLE);
                break;
        }
}

/* When all are through, only the current snapshot is out, and nobody holds it. */
static void check_end(struct state *s)
{
        const int bias = mutant == MUTANT_NO_BIAS ? 0 : BIAS;
        unsigned id;

        collect(s);
        rule(s->generation[s->word_id] == N_PUBLISHES, "the last snapshot is the current one");
        rule(s->held[s->word_id] + s->word_count == bias, "nobody holds the current one");
        for (id = 1; id < s->n_used; id++)
                rule(id == s->word_id || s->free >> id & 1, "what nobody holds comes back");
}

/* ---- every interleaving: depth first, each state once -----------------------------------------
 */

static struct state *stack, *seen;
static unsigned n_seen;

/* Whether the state is new. An all-zero state does not occur: the writer has generations to go. */
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

/* Returns the rule that is broken in some interleaving, or NULL. */
static const char *explore(enum mutant which)
{
        struct state start = {.n_used = 1}, s, next;
        unsigned depth = 0, i;
        bool running;

        mutant = which;
        broken = NULL;
        n_seen = 0;
        memset(seen, 0, 2 * (size_t)MAX_STATES * sizeof(*seen));
        for (i = 0; i <= N_READERS; i++)
                start.threads[i].left = i < N_READERS ? N_ACQUIRES : N_PUBLISHES;
        remember(&start);
        stack[depth++] = start;
        while (depth && !broken && n_seen < MAX_STATES) {
                s = stack[--depth];
                running = false;
                for (i = 0; i <= N_READERS && !broken; i++) {
                        if (s.threads[i].pc == DONE)
                                continue;
                        running = true;
                        next = s;
                        if (i < N_READERS)
                                step_reader(&next, &next.threads[i]);
                        else
                                step_writer(&next, &next.threads[i]);
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
