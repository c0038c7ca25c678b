/* SPDX-License-Identifier: MIT */

/*
 * How far apart two CPUs are: a line of memory goes there and back between two threads that do
 * nothing but look for it. On virtual machines it is about 100 or about 500 ns, and changes while
 * they run; what was measured at one distance says nothing of what was measured at the other.
 */

#include "bench.h"
#include "subject-memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define N_BATCHES  15      /* the median of them counts: what else runs is not in it */
#define N_ROUNDS   200u    /* of a batch */
#define N_LOOKS    200000u /* some 5 ms, then the other gets a chance to run at all */
#define MAX_FACTOR 1.6     /* chosen: near and far differ by 4 or more, near and near by 1.2 */
#define NS_PER_S   1e9

struct line {
        _Alignas(128) atomic_uint asked;
        _Alignas(128) atomic_uint answered;
        int cpu;
};

static void look_for(const atomic_uint *word, unsigned wanted)
{
        /* Pairs with the release of who answers. */
        for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) != wanted; i++) {
                memory_pause();
                if (i % N_LOOKS == 0)
                        sched_yield();
        }
}

static void pin_to(int cpu)
{
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one); /* of this thread only */
}

static void *answer(void *userdata)
{
        struct line *line = userdata;

        pin_to(line->cpu);
        for (unsigned i = 1; i <= N_BATCHES * N_ROUNDS; i++) {
                look_for(&line->asked, i);
                /* Pairs with the acquire in look_for(). */
                atomic_store_explicit(&line->answered, i, memory_order_release);
        }
        return NULL;
}

static double ask(struct line *line)
{
        double batches[N_BATCHES];
        unsigned number = 0;

        for (int i = 0; i < N_BATCHES; i++) {
                struct timespec from, to;

                clock_gettime(CLOCK_MONOTONIC, &from);
                for (unsigned k = 0; k < N_ROUNDS; k++) {
                        /* Pairs with the acquire in look_for(). */
                        atomic_store_explicit(&line->asked, ++number, memory_order_release);
                        look_for(&line->answered, number);
                }
                clock_gettime(CLOCK_MONOTONIC, &to);
                batches[i] = ((double)(to.tv_sec - from.tv_sec) * NS_PER_S +
                              (double)(to.tv_nsec - from.tv_nsec)) /
                             N_ROUNDS;
        }
        qsort(batches, N_BATCHES, sizeof(*batches), bench_compare_doubles);
        return batches[N_BATCHES / 2];
}

/* The CPUs that are used: the first two that we may use, as servers inherit. */
static int find_cpus(enum bench_placement placement, const cpu_set_t *allowed, int *ret_cpus)
{
        int n = 0;

        if (placement == BENCH_PLACEMENT_SAME)
                return 0;
        if (placement == BENCH_PLACEMENT_TWO) {
                ret_cpus[0] = 0;
                ret_cpus[1] = 1;
                return 2;
        }
        for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
                if (CPU_ISSET(cpu, allowed))
                        ret_cpus[n++] = cpu;
        return n;
}

double bench_measure_distance(enum bench_placement placement)
{
        struct line line = {0};
        cpu_set_t allowed;
        pthread_t thread;
        double distance;
        int cpus[2];

        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ||
            find_cpus(placement, &allowed, cpus) < 2)
                return 0;
        line.cpu = cpus[1];
        if (pthread_create(&thread, NULL, answer, &line) != 0)
                return 0;
        pin_to(cpus[0]);
        distance = ask(&line);
        pthread_join(thread, NULL);
        sched_setaffinity(0, sizeof(allowed), &allowed);
        return distance;
}

bool bench_distances_agree(double a_ns, double b_ns)
{
        if (a_ns <= 0 || b_ns <= 0)
                return a_ns <= 0 && b_ns <= 0;
        return MAX(a_ns, b_ns) <= MAX_FACTOR * MIN(a_ns, b_ns);
}
