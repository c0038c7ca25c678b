/* SPDX-License-Identifier: MIT */

/*
 * The suite of `nipc bench`: what is measured, and which rows of it are worth publishing. A row is
 * when enough repetitions were made, and their middle half lies near their median; otherwise more
 * are made, and when that does not help it is named in rows.csv as unstable and nothing more is
 * said of it. A wrong answer is no matter of stability: it ends the suite without a directory.
 */

#include "bench-suite.h"
#include "command.h"
#include "interrupt.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define N_OTHERS          2    /* steps of other programs: caches, system calls */
#define MAX_OTHERS        0.25 /* chosen: cores; a row among others is no row of nipc */
#define PATIENCE_SHORT_NS UINT64_C(60000000000)
#define PATIENCE_FULL_NS  UINT64_C(600000000000)
/* Chosen: the CPUs come nearer and go away within a tenth of a second; so all rows meet both. */
#define SLICE_NS   UINT64_C(25000000)
#define MAX_SPREAD 0.25 /* chosen: ratios of rows that vary more are not worth a digit */

/* What is measured in a step: what users get, what it stands on, and, if `all`, all others. */
struct step {
        const char *file;
        enum subject_scenario scenario;
        enum bench_placement placement;
        gint64 rate;
        uint32_t size; /* items, clients or bytes; 0: what does not matter */
        bool all;
        bool only_full;
};

#define TWO  BENCH_PLACEMENT_TWO
#define SAME BENCH_PLACEMENT_SAME
#define FREE BENCH_PLACEMENT_FREE

static const struct step steps[] = {
        {"ping-pong", SUBJECT_PING_PONG, TWO, 0, 0, true, false},
        {"ping-pong", SUBJECT_PING_PONG, SAME, 0, 0, true, false},
        {"ping-pong", SUBJECT_PING_PONG, FREE, 0, 0, true, true},
        {"ping-pong", SUBJECT_PING_PONG, TWO, 100000, 0, false, false},
        {"ping-pong", SUBJECT_PING_PONG, TWO, 10000, 0, false, false},
        {"ping-pong", SUBJECT_PING_PONG, TWO, 1000, 0, false, false},
        {"ping-pong", SUBJECT_PING_PONG, SAME, 10000, 0, true, true},
        {"pipeline", SUBJECT_PIPELINE, TWO, 0, 0, true, false},
        {"pipeline", SUBJECT_PIPELINE, SAME, 0, 0, true, false},
        {"pipeline", SUBJECT_PIPELINE, FREE, 0, 0, true, true},
        {"batch", SUBJECT_BATCH, TWO, 0, 10, false, true},
        {"batch", SUBJECT_BATCH, TWO, 0, 100, false, false},
        {"batch", SUBJECT_BATCH, TWO, 0, 1000, false, true},
        {"batch", SUBJECT_BATCH, SAME, 0, 100, false, true},
        {"pipeline-batch", SUBJECT_PIPELINE_BATCH, TWO, 0, 100, false, false},
        {"pipeline-batch", SUBJECT_PIPELINE_BATCH, SAME, 0, 100, false, true},
        {"snapshot", SUBJECT_SNAPSHOT, TWO, 0, 16, false, false},
        {"snapshot", SUBJECT_SNAPSHOT, TWO, 0, 1000, false, false},
        {"snapshot", SUBJECT_SNAPSHOT, TWO, 0, 10000, false, false},
        {"lookup", SUBJECT_LOOKUP, TWO, 0, 16, false, false},
        {"lookup", SUBJECT_LOOKUP, TWO, 0, 256, false, false},
        {"lookup", SUBJECT_LOOKUP, TWO, 0, 8192, false, false},
        {"large", SUBJECT_LARGE, TWO, 0, 64 * 1024, false, true},
        {"large", SUBJECT_LARGE, TWO, 0, 1024 * 1024, false, false},
        {"large", SUBJECT_LARGE, TWO, 0, 8 * 1024 * 1024, false, true},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 1, false, false},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 8, false, true},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 32, false, false},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 128, false, true},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 512, false, true},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 1000, false, false},
        {"clients", SUBJECT_CLIENTS, FREE, 0, 4000, false, true},
        {"fairness", SUBJECT_FAIRNESS, FREE, 1000, 1, false, false},
        {"lane", SUBJECT_LANE, TWO, 0, 0, false, false},
        {"idle", SUBJECT_IDLE, FREE, 0, 64, false, false},
        {"idle", SUBJECT_IDLE, FREE, 0, 1000, false, true},
};

#undef TWO
#undef SAME
#undef FREE

/* The suite that runs. */
struct run {
        const struct bench_suite *suite;
        const char *dir;
        FILE *rows, *latency, *skipped;
        FILE *csv; /* of the file of the steps before, or NULL */
        const struct step *step;
        guint index, n_steps;
        guint told;           /* the step that was named last */
        uint64_t patience_ns; /* that is left */
};

/* ---- files ---------------------------------------------------------------------------------- */

void bench_write_quoted(FILE *csv, const char *value)
{
        fputc('"', csv);
        for (; *value; value++) {
                if (*value == '"')
                        fputc('"', csv);
                fputc(*value == '\n' ? ' ' : *value, csv);
        }
        fputc('"', csv);
}

FILE *bench_suite_open(const char *dir, const char *name)
{
        g_autofree char *path = g_build_filename(dir, name, NULL);
        FILE *csv = g_fopen(path, "we");

        if (!csv)
                command_fail(&command_bench, "cannot write %s: %s", path, g_strerror(errno));
        return csv;
}

int bench_suite_close(FILE *csv, const char *name)
{
        bool failed = ferror(csv);

        if (fclose(csv) != 0 || failed)
                return command_fail(&command_bench, "cannot write %s: %s", name, g_strerror(errno));
        return COMMAND_SUCCESS;
}

static int close_step_file(struct run *run, const char *name)
{
        FILE *csv = g_steal_pointer(&run->csv);

        return csv ? bench_suite_close(csv, name) : COMMAND_SUCCESS;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void write_latency(const struct bench *bench, FILE *csv, const struct bench_track *track)
{
        g_autofree char *scenario = bench_format_scenario(bench, track);

        for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++)
                if (track->total.buckets[i])
                        fprintf(csv, "%s,%s,%s,%" G_GINT64_FORMAT ",%.4f,%" G_GUINT64_FORMAT "\n",
                                scenario, track->subject->name,
                                bench_placement_names[bench->placement], bench->rate,
                                histogram_bucket_middle(i) / 1000,
                                (guint64)track->total.buckets[i]);
}

/* What is published is in the scenario's file and in latency.csv, everything is in rows.csv. */
static int finish(const struct bench *bench, const struct bench_track *tracks, guint n_tracks)
{
        struct run *run = bench->guard->userdata;

        for (guint i = 0; i < n_tracks; i++) {
                const struct bench_track *track = &tracks[i];
                g_autofree char *scenario = bench_format_scenario(bench, track);
                bool is_steady = bench_track_is_steady(bench, track);

                fprintf(run->rows, "%s,%s,%s,%s,%" G_GINT64_FORMAT ",%u,%s\n", run->step->file,
                        scenario, track->subject->name, bench_placement_names[bench->placement],
                        bench->rate, track->results->len, is_steady ? "published" : "unstable");
                for (guint k = 0; is_steady && k < track->results->len; k++)
                        bench_report_row(bench, run->csv, track, k);
                if (is_steady)
                        write_latency(bench, run->latency, track);
        }
        return COMMAND_SUCCESS;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* Where it is: one line that changes, on a terminal, or a line each. */
static void show_step(const struct run *run, const char *what)
{
        fprintf(stderr, "%s[%2u/%u] %s", isatty(STDERR_FILENO) ? "\r\033[K" : "", run->index,
                run->n_steps, what);
}

static void end_step(void)
{
        if (!isatty(STDERR_FILENO))
                fputc('\n', stderr);
        fflush(stderr);
}

/* What other programs measure, in the end. */
static void show_others(struct run *run, const char *what)
{
        run->index++;
        show_step(run, what);
        end_step();
}

static void clear_progress(void)
{
        if (isatty(STDERR_FILENO))
                fputs("\r\033[K", stderr);
}

static void show_progress(const struct bench *bench, gint64 repetition)
{
        struct run *run = bench->guard->userdata;
        const bool is_terminal = isatty(STDERR_FILENO);

        if (!is_terminal && run->told == run->index)
                return;
        run->told = run->index;
        show_step(run, bench_scenario_names[bench->scenario]);
        if (run->step->size)
                fprintf(stderr, " %u", run->step->size);
        if (bench->rate)
                fprintf(stderr, ", %" G_GINT64_FORMAT "/s", bench->rate);
        fprintf(stderr, ", %s", bench_placement_names[bench->placement]);
        if (is_terminal && repetition == 0)
                fputs(": waits until others are done", stderr);
        else if (is_terminal)
                fprintf(stderr, ": repetition %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT "%s",
                        repetition, MAX(repetition, bench->repeat),
                        repetition > bench->repeat ? ", since they disagree" : "");
        end_step();
}

static bool is_in_suite(const struct run *run, const struct step *step)
{
        return run->suite->full || !step->only_full;
}

static void choose_subjects(const struct run *run, const struct step *step, struct bench *bench)
{
        for (guint i = 0; run->suite->subjects[i] && bench->n_subjects < BENCH_MAX_SUBJECTS; i++) {
                const struct subject *subject = run->suite->subjects[i];
                g_autofree char *reason = bench_why_not(bench, subject);

                if (!reason && subject_can(subject, step->scenario) &&
                    (step->all || subject->profile || subject->by_default ||
                     run->suite->only_subjects))
                        bench->subjects[bench->n_subjects++] = subject;
        }
}

static void set_size(struct bench *bench, uint32_t size)
{
        bench->options.items = 100;
        bench->options.bytes = 8;
        bench->options.n_clients = 1;
        if (subject_has_crowd(bench->scenario))
                bench->options.n_clients = size;
        else if (bench->scenario == SUBJECT_LARGE)
                bench->options.bytes = size;
        else if (size)
                bench->options.items = size;
}

static int run_step(struct run *run, const struct step *step)
{
        const struct bench_suite *suite = run->suite;
        gint64 repeat = suite->repeat ? suite->repeat : suite->full ? 11 : 5;
        const struct bench_guard guard = {
                .max_spread = MAX_SPREAD,
                .max_extra = repeat,
                .max_others = MAX_OTHERS,
                .patience_ns = &run->patience_ns,
                .finish = finish,
                .userdata = run,
        };
        struct bench bench = {
                .scenario = step->scenario,
                .options = {.depth = 16},
                .duration_ns = suite->duration_ns ? suite->duration_ns
                               : suite->full      ? 300000000
                                                  : 100000000,
                .slice_ns = SLICE_NS,
                .rate = step->rate,
                .repeat = repeat,
                .sized = true,
                .guard = &guard,
                .progress = show_progress,
        };
        int status;

        if (step->placement == BENCH_PLACEMENT_TWO && g_get_num_processors() < 2)
                return COMMAND_SUCCESS; /* said once, before */
        if (step->scenario == SUBJECT_IDLE && !suite->duration_ns)
                bench.duration_ns *= 5;
        set_size(&bench, step->size);
        run->step = step;
        status = bench_place(&bench, step->placement);
        if (status == COMMAND_SUCCESS && step->scenario == SUBJECT_LANE) /* has its own */
                return suite->only_subjects ? COMMAND_SUCCESS : bench_run_lane(&bench);
        if (status == COMMAND_SUCCESS)
                choose_subjects(run, step, &bench);
        return status == COMMAND_SUCCESS && bench.n_subjects ? bench_run_scenario(&bench) : status;
}

static int run_steps(struct run *run)
{
        const char *file = NULL;
        g_autofree char *name = NULL;
        int status = COMMAND_SUCCESS, closed;

        for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
                run->n_steps += is_in_suite(run, &steps[i]);
        run->n_steps += N_OTHERS;
        for (guint i = 0; status == COMMAND_SUCCESS && i < G_N_ELEMENTS(steps); i++) {
                if (!is_in_suite(run, &steps[i]))
                        continue;
                run->index++;
                if (!file || !g_str_equal(file, steps[i].file)) {
                        status = close_step_file(run, name);
                        file = steps[i].file;
                        g_free(name);
                        name = g_strdup_printf("%s.csv", file);
                        run->csv =
                                status == COMMAND_SUCCESS ? bench_suite_open(run->dir, name) : NULL;
                        if (!run->csv)
                                return COMMAND_FAILURE;
                        bench_report_columns(run->csv);
                }
                status = run_step(run, &steps[i]);
        }
        closed = close_step_file(run, name);
        return status == COMMAND_SUCCESS ? closed : status;
}

/* ---- the suite ------------------------------------------------------------------------------ */

static void tell_skipped(const struct run *run)
{
        struct bench bench = {.placement = BENCH_PLACEMENT_FREE};

        if (g_get_num_processors() < 2)
                bench_skip(run->skipped, "placement two", "there is but one CPU");
        for (guint i = 0; run->suite->subjects[i]; i++) {
                g_autofree char *reason = bench_why_not(&bench, run->suite->subjects[i]);

                if (reason)
                        bench_skip(run->skipped, run->suite->subjects[i]->name, reason);
        }
}

static int run_in(const struct bench_suite *suite, const char *dir)
{
        struct run run = {.suite = suite, .dir = dir};
        int status = COMMAND_FAILURE, closed = COMMAND_SUCCESS;

        run.patience_ns = suite->full ? PATIENCE_FULL_NS : PATIENCE_SHORT_NS;
        run.rows = bench_suite_open(dir, "rows.csv");
        run.latency = bench_suite_open(dir, "latency.csv");
        run.skipped = bench_suite_open(dir, "skipped.csv");
        if (run.rows && run.latency && run.skipped) {
                fputs("file,scenario,profile,placement,target_rps,repetitions,status\n", run.rows);
                fputs("scenario,profile,placement,target_rps,latency_us,count\n", run.latency);
                fputs("what,why\n", run.skipped);
                tell_skipped(&run);
                status = bench_write_facts(dir, suite);
        }
        if (status == COMMAND_SUCCESS)
                status = run_steps(&run);
        if (status == COMMAND_SUCCESS) {
                show_others(&run, "caches");
                status = bench_write_caches(dir, suite, run.skipped);
        }
        if (status == COMMAND_SUCCESS) {
                show_others(&run, "system calls");
                status = bench_write_calls(dir, suite, run.skipped);
        }
        clear_progress();
        if (status == COMMAND_SUCCESS && interrupt_is_set())
                status = command_fail(&command_bench, "interrupted");
        if (run.rows)
                closed |= bench_suite_close(run.rows, "rows.csv");
        if (run.latency)
                closed |= bench_suite_close(run.latency, "latency.csv");
        if (run.skipped)
                closed |= bench_suite_close(run.skipped, "skipped.csv");
        return status == COMMAND_SUCCESS ? closed : status;
}

/* counts.csv: how many rows each file has, so that a cut one is known. */
static int write_counts(const char *dir)
{
        g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
        FILE *csv;
        const char *name;

        if (!open)
                return command_fail(&command_bench, "cannot read %s", dir);
        csv = bench_suite_open(dir, "counts.csv");
        if (!csv)
                return COMMAND_FAILURE;
        fputs("file,rows\n", csv);
        while ((name = g_dir_read_name(open))) {
                g_autofree char *path = g_build_filename(dir, name, NULL);
                g_autofree char *text = NULL;
                unsigned n_lines = 0;

                if (g_str_equal(name, "counts.csv") ||
                    !g_file_get_contents(path, &text, NULL, NULL))
                        continue;
                for (const char *p = text; (p = strchr(p, '\n')); p++)
                        n_lines++;
                fprintf(csv, "%s,%u\n", name, n_lines - 1);
        }
        return bench_suite_close(csv, "counts.csv");
}

static void remove_files(const char *dir)
{
        g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
        const char *name;

        while (open && (name = g_dir_read_name(open))) {
                g_autofree char *path = g_build_filename(dir, name, NULL);

                g_unlink(path);
        }
        g_rmdir(dir);
}

int bench_suite_run(const struct bench_suite *suite)
{
        g_autofree char *template = g_strconcat(suite->out, ".XXXXXX", NULL);
        g_autoptr(GDir) there = g_dir_open(suite->out, 0, NULL);
        int status;

        if ((there && g_dir_read_name(there)) ||
            (!there && g_file_test(suite->out, G_FILE_TEST_EXISTS)))
                return command_fail(&command_bench, "%s is there already, and not empty",
                                    suite->out);
        if (!g_mkdtemp_full(template, 0755))
                return command_fail(&command_bench, "cannot make %s: %s", template,
                                    g_strerror(errno));
        status = run_in(suite, template);
        if (status == COMMAND_SUCCESS)
                status = write_counts(template);
        if (status == COMMAND_SUCCESS && rename(template, suite->out) < 0)
                status = command_fail(&command_bench, "cannot make %s: %s", suite->out,
                                      g_strerror(errno));
        if (status != COMMAND_SUCCESS)
                remove_files(template);
        else
                fprintf(stderr, "the rows are in %s; tools/bench-report makes a report of them\n",
                        suite->out);
        return status;
}
