/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `nipc bench`: command-bench.c reads the command line, bench-run.c measures, by turns of
 * bench-slice.c, bench-report.c writes the rows and the summary. bench-quiet.c says which
 * repetitions count. bench-suite.c runs all scenarios and writes a directory, bench-gate.c judges a
 * few.
 */

#include "histogram.h"
#include "subject.h"

#include <glib.h>
#include <stdio.h>

#define BENCH_MAX_SUBJECTS 24
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
        double client_cpu, server_cpu;                /* cores */
        double distance_before_ns, distance_after_ns; /* of the two CPUs; 0: there is but one */
        double switches;                              /* of contexts, of both, per request */
        double server_kb;                             /* its share of memory in use */
        double others_cpu;                            /* cores, of all that is not measured */
};

/* One subject in one scenario: what its slices add up to, and the results of its repetitions. */
struct bench_track {
        const struct subject *subject;
        struct subject_options options;
        char *run_dir; /* of its own */
        struct subject_client *client;
        pid_t pid;         /* the child of ours that serves, or stands for the one that does */
        pid_t server_pid;  /* who serves */
        pid_t client_pid;  /* 0: we ourselves */
        pid_t trouble_pid; /* 0: none */
        char *apart_dir;   /* NULL, or where the server of a flood that is apart serves */
        pid_t apart_pid;
        uint64_t next_value;
        uint64_t busy_ns; /* of the slices */
        uint64_t n_done;
        uint64_t n_switches;
        uint64_t n_crowd; /* answers of a crowd, those that do not count too */
        double client_cpu, server_cpu;
        struct histogram latency; /* of one repetition */
        struct histogram total;   /* of all */
        GArray *results;          /* of struct bench_result */
};

struct bench;

/* Of all repetitions of a row that count. */
struct bench_distance {
        double ns;
        unsigned n_elsewhere; /* since the last of them, at another distance */
};

/*
 * What a suite asks for: rows are not written as they come, but judged in the end. Repetitions made
 * on top are max_extra at most. Of a single repetition nothing is asked.
 */
struct bench_guard {
        double max_spread; /* of the middle half of the repetitions, as a share of the median */
        gint64 max_extra;
        double max_others;     /* cores, used by others; 0: every repetition counts */
        uint64_t *patience_ns; /* how long others are waited for at most, is used up; may be NULL */
        int (*finish)(const struct bench *bench, const struct bench_track *tracks, guint n_tracks);
        void *userdata;
};

/* What is measured, and how. */
struct bench {
        enum subject_scenario scenario;
        enum bench_placement placement;
        const struct subject *subjects[BENCH_MAX_SUBJECTS];
        guint n_subjects;
        struct subject_options options; /* run_dir, profile and memory are filled in per subject */
        uint64_t duration_ns;           /* per subject and repetition */
        uint64_t slice_ns;              /* of it, at a time; 0: what is usual */
        uint32_t n_messages;            /* not 0: exactly so many in a repetition, however long */
        gint64 rate;                    /* per second; 0: as many as possible */
        gint64 repeat;
        FILE *csv;
        bool sized; /* rows of snapshots and the like are named with their size */
        const struct bench_guard *guard; /* NULL: every row counts */
        /* May be NULL. repetition 0: waits until others are done. */
        void (*progress)(const struct bench *bench, gint64 repetition);
};

extern const struct subject *const bench_subjects[]; /* all there are, NULL in the end */

/* For qsort(). */
gint bench_compare_doubles(gconstpointer a, gconstpointer b);

/* Whether this build has the profile. */
bool bench_is_built_in(const struct subject *subject);

/*
 * NULL if it can be measured where the bench is placed, or the reason why not: not built, or it
 * spins where the other side cannot run meanwhile. Owned, release with g_free().
 */
char *bench_why_not(const struct bench *bench, const struct subject *subject);

/* Pins this process, and later servers. Returns COMMAND_*. */
int bench_place(struct bench *bench, enum bench_placement placement);

/*
 * Measures all subjects that can do the scenario, in turns. Says what went wrong, and on stderr
 * which were left out. Returns COMMAND_*.
 */
int bench_run_scenario(const struct bench *bench);

/* The same of lanes, next to a bare ring. */
int bench_run_lane(const struct bench *bench);

/* As rows call it: with the number of clients, or with what troubles the one. Owned. */
char *bench_format_scenario(const struct bench *bench, const struct bench_track *track);

/* One subject's turn. Returns 0 or a negative errno. */
int bench_run_slice(const struct bench *bench, struct bench_track *track, uint64_t length_ns);

/*
 * A line of memory there and back between the CPUs of client and server, in ns, when both look for
 * it all the time; 0 when they share one. And whether two such figures are of the same distance.
 */
double bench_measure_distance(enum bench_placement placement);
bool bench_distances_agree(double a_ns, double b_ns);

/*
 * What others use of the CPUs, the host among them: what the machine used, less what we and ours
 * did, which are told in seconds since they began.
 */
struct bench_usage {
        gint64 start_us;
        double machine_cpu, own_cpu;
};

struct bench_usage bench_begin_usage(double own_cpu);
/* In cores. */
double bench_count_others(const struct bench_usage *since, double own_cpu);

/* Until others are done, as long as the guard's patience lasts. */
void bench_wait_for_quiet(const struct bench *bench, double (*get_own_cpu)(const void *userdata),
                          const void *userdata);

enum bench_verdict {
        BENCH_DROP,       /* it does not count */
        BENCH_KEEP,       /* it does */
        BENCH_BEGIN_ANEW, /* it does, and those before it no longer do, see bench_forget() */
};

/*
 * Whether a repetition counts beside the n_kept before it: it does not when others used too much,
 * when the distance changed meanwhile, or when it is not theirs; but of two in a row that are at
 * another, the second is where to begin anew.
 */
enum bench_verdict bench_judge(const struct bench *bench, struct bench_distance *distance,
                               guint n_kept, const double distance_ns[2], double others_cpu);
void bench_forget(struct bench_track *track);

/* Whether there are as many repetitions as asked for, and their middle half is near the median. */
bool bench_track_is_steady(const struct bench *bench, const struct bench_track *track);

void bench_report_columns(FILE *csv);
/* index: of the result. */
void bench_report_row(const struct bench *bench, FILE *csv, const struct bench_track *track,
                      guint index);

/* To stderr, since stdout may be the CSV. */
void bench_report_summary(const struct bench *bench, const struct bench_track *tracks,
                          guint n_tracks);
