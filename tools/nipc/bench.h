/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `nipc bench`: command-bench.c reads the command line, bench-run.c measures, bench-report.c writes
 * the rows and the summary.
 */

#include "histogram.h"
#include "subject.h"

#include <glib.h>
#include <stdio.h>

#define BENCH_MAX_SUBJECTS 9
#define BENCH_MAX_TRACKS   (BENCH_MAX_SUBJECTS * SUBJECT_N_TROUBLES)

enum bench_placement {
        BENCH_PLACEMENT_FREE,
        BENCH_PLACEMENT_SAME,
        BENCH_PLACEMENT_TWO,
        BENCH_N_PLACEMENTS,
};

extern const char *const bench_scenario_names[SUBJECT_N_SCENARIOS];
extern const char *const bench_placement_names[BENCH_N_PLACEMENTS];

/* What was measured of one subject in one repetition. */
struct bench_result {
        double duration_s;
        double throughput; /* per second: requests, or items of batches */
        double p50_us, p99_us, p999_us;
        double client_cpu, server_cpu; /* cores */
};

/* One subject in one scenario: what its slices add up to, and the results of its repetitions. */
struct bench_track {
        const struct subject *subject;
        struct subject_options options;
        char *run_dir; /* of its own */
        struct subject_client *client;
        pid_t pid;
        pid_t trouble_pid; /* 0: none */
        char *apart_dir;   /* NULL, or where the server of a flood that is apart serves */
        pid_t apart_pid;
        uint64_t next_value;
        uint64_t busy_ns; /* of the slices */
        uint64_t n_done;
        double client_cpu, server_cpu;
        struct histogram latency;
        GArray *results; /* of struct bench_result */
};

/* What is measured, and how. */
struct bench {
        enum subject_scenario scenario;
        enum bench_placement placement;
        const struct subject *subjects[BENCH_MAX_SUBJECTS];
        guint n_subjects;
        struct subject_options options; /* run_dir, profile and memory are filled in per subject */
        uint64_t duration_ns;           /* per subject and repetition */
        gint64 rate;                    /* per second; 0: as many as possible */
        gint64 repeat;
        FILE *csv;
};

/*
 * Measures all subjects that can do the scenario, in turns. Says what went wrong, and on stderr
 * which were left out. Returns COMMAND_*.
 */
int bench_run_scenario(const struct bench *bench);

/* The same of lanes, next to a bare ring. */
int bench_run_lane(const struct bench *bench);

/* As rows call it: with the number of clients, or with what troubles the one. Owned. */
char *bench_format_scenario(const struct bench *bench, const struct bench_track *track);

void bench_report_columns(FILE *csv);
void bench_report_row(const struct bench *bench, const struct bench_track *track, gint64 repeat);

/* To stderr, since stdout may be the CSV. */
void bench_report_summary(const struct bench *bench, const struct bench_track *tracks,
                          guint n_tracks);
