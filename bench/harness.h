/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the programs of this folder share: rows that are run in turn, round after round, so that
 * what the machine does meanwhile happens to all of them; medians, and ratios within a round.
 *
 * A file that includes it says HARNESS_MAX_ROUNDS before. --quick makes it one round, to see that
 * a program works.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned n_rounds = HARNESS_MAX_ROUNDS;

/* Whatever a benchmark relies on; a wrong answer is no result. */
#define CHECK(condition)                                                                \
        do {                                                                            \
                if (!(condition)) {                                                     \
                        fprintf(stderr, "%s:%d: " #condition "\n", __FILE__, __LINE__); \
                        exit(EXIT_FAILURE);                                             \
                }                                                                       \
        } while (0)

static inline double now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The same numbers in each run. */
static inline uint64_t random_u64(void)
{
        static uint64_t x = 88172645463325252u;

        x ^= x << 13;
        x ^= x >> 7;
        return x ^= x << 17;
}

static int compare_doubles(const void *a, const void *b)
{
        const double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Of n_rounds values; ret_low, ret_high: the tenth and the ninetieth of a hundred. */
static double median(const double *values, double *ret_low, double *ret_high)
{
        double sorted[HARNESS_MAX_ROUNDS];

        memcpy(sorted, values, n_rounds * sizeof(*values));
        qsort(sorted, n_rounds, sizeof(*sorted), compare_doubles);
        *ret_low = sorted[n_rounds / 10];
        *ret_high = sorted[n_rounds - 1 - n_rounds / 10];
        return sorted[n_rounds / 2];
}

/* Prints the medians of a row and of its ratios to the bare one, with their spread. */
static void print_medians(const double *ns, const double *bare_ns)
{
        double ratios[HARNESS_MAX_ROUNDS], low, high, ratio_low, ratio_high, middle, ratio;
        unsigned i;

        for (i = 0; i < n_rounds; i++)
                ratios[i] = ns[i] / bare_ns[i];
        middle = median(ns, &low, &high);
        ratio = median(ratios, &ratio_low, &ratio_high);
        printf("%10.2f  %10.2f %10.2f   %6.2f  %6.2f %6.2f\n", middle, low, high, ratio, ratio_low,
               ratio_high);
}

/* The heading of those columns. */
static void print_heading(void)
{
        printf("%10s  %10s %10s   %6s  %6s %6s\n", "median ns", "p10", "p90", "ratio", "p10",
               "p90");
}

/* Reads the arguments; ends the program on others than --quick. */
static void read_arguments(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
                n_rounds = 1;
        } else if (argc > 1) {
                fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
                exit(2);
        }
}
