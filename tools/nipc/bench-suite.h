/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `nipc bench --suite`: all scenarios, one after the other, as a directory of CSV files that
 * appears as a whole or not at all. bench/README.md says what is in it; tools/bench-report reads
 * it.
 *
 *      bench-suite.c    which scenarios, which rows are published
 *      bench-facts.c    what the machine is
 *      bench-calls.c    what is measured by other programs: system calls, caches
 */

#include "bench.h"

#include <glib.h>
#include <stdio.h>

struct bench_suite {
        bool full;                             /* else two to four minutes */
        const char *out;                       /* a directory that is not there, or empty */
        uint64_t duration_ns;                  /* per profile and repetition; 0: the suite's */
        gint64 repeat;                         /* 0: the suite's */
        const struct subject *const *subjects; /* NULL in the end */
        const char *version;                   /* of the tool */
        bool only_subjects;                    /* these were named: no other programs */
};

/* Returns COMMAND_*. */
int bench_suite_run(const struct bench_suite *suite);

/* One subject, in one run with another that it is held against: throughput to throughput. */
struct bench_check {
        enum subject_scenario scenario;
        enum bench_placement placement;
        const struct subject *subject, *ground;
        double least; /* far below what is usual, above half of it */
};

/* What must hold; subject NULL in the end. */
extern const struct bench_check bench_checks[];

/* What is too slow is measured again before it fails. Prints each ratio. Returns COMMAND_*. */
int bench_gate_run(const struct bench_check *checks);

/* ---- within ------------------------------------------------------------------------------- */

/* Writes a value as CSV, quoted. */
void bench_write_quoted(FILE *csv, const char *value);

/* Opens a file of the directory that is being made; NULL: said so. */
FILE *bench_suite_open(const char *dir, const char *name);

/* Returns COMMAND_*, said why. */
int bench_suite_close(FILE *csv, const char *name);

/* machine.csv: key,value. Returns COMMAND_*. */
int bench_write_facts(const char *dir, const struct bench_suite *suite);

/*
 * calls.csv and cache.csv. Notices of what is not there go to `skipped`, as rows of skipped.csv.
 * Return COMMAND_*.
 */
int bench_write_calls(const char *dir, const struct bench_suite *suite, FILE *skipped);
int bench_write_caches(const char *dir, const struct bench_suite *suite, FILE *skipped);
void bench_skip(FILE *skipped, const char *what, const char *reason);
