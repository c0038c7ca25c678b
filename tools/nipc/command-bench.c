/* SPDX-License-Identifier: MIT */

/*
 * `nipc bench`: measures pairs of real processes and writes CSV, one row for each scenario, profile
 * and repetition. Within a repetition the profiles take turns in slices of a tenth of a second, so
 * that whatever else the machine does meets all of them alike: quote ratios, not rows.
 *
 * At a fixed rate latency counts from when a request was due, not from when it could be sent: a
 * stall is charged to every request that it delayed.
 */

#include "command.h"
#include "histogram.h"
#include "interrupt.h"
#include "number.h"
#include "subject.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <nipc/clock.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLICE_NS        UINT64_C(100000000)
#define WARM_UP_NS      UINT64_C(50000000)
#define DEFAULT_DEPTH   16
#define DEFAULT_ITEMS   100
#define MAX_BATCH_ITEMS 8192            /* a bare packet of that many fits default socket buffers */
#define SPIN_NS         UINT64_C(60000) /* what a sleep overshoots by, at most, mostly */

enum scenario {
        SCENARIO_PING_PONG,
        SCENARIO_PIPELINE,
        SCENARIO_BATCH,
        N_SCENARIOS,
};

static const char *const scenario_names[N_SCENARIOS] = {"ping-pong", "pipeline", "batch"};
static const char *const all_scenarios[] = {"ping-pong", "pipeline", "batch", NULL};

static const struct subject *const subjects[] = {&subject_baseline, &subject_bare_seqpacket};

enum placement {
        PLACEMENT_FREE,
        PLACEMENT_SAME,
        PLACEMENT_TWO,
        N_PLACEMENTS,
};

static const char *const placement_names[N_PLACEMENTS] = {"free", "same", "two"};

struct options {
        char **scenarios;
        char *profiles;
        char *placement;
        char *csv;
        double duration_s;
        gint64 rate;
        gint64 repeat;
        gint64 depth;
        gint64 items;
};

/* One subject in one scenario: what its slices add up to. */
struct track {
        const struct subject *subject;
        struct subject_client *client;
        pid_t pid;
        uint64_t next_value;
        uint64_t busy_ns; /* of the slices */
        uint64_t n_done;  /* requests, or items of batches */
        double client_cpu, server_cpu;
        struct histogram latency;
};

struct run {
        const struct options *options;
        enum scenario scenario;
        enum placement placement;
        uint64_t duration_ns;
        struct subject_options subject_options;
        struct track tracks[G_N_ELEMENTS(subjects)];
        guint n_tracks;
        GArray *ratios; /* of the last subject's throughput to each other's, for the summary */
        FILE *csv;
};

/* ---- one slice ------------------------------------------------------------------------------ */

static void wait_until(uint64_t due_ns)
{
        uint64_t now = nipc_clock_now_ns();
        struct timespec ts;

        if (now + SPIN_NS < due_ns) {
                ts.tv_sec = (time_t)((due_ns - SPIN_NS) / 1000000000);
                ts.tv_nsec = (long)((due_ns - SPIN_NS) % 1000000000);
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        }
        while (nipc_clock_now_ns() < due_ns)
                continue;
}

static int slice_single(struct run *run, struct track *track, uint64_t end_ns)
{
        uint64_t interval_ns = run->options->rate ? 1000000000u / (uint64_t)run->options->rate : 0;
        uint64_t started, now = nipc_clock_now_ns();
        bool batch = run->scenario == SCENARIO_BATCH;
        uint64_t step = batch ? run->subject_options.batch_items : 1;
        int r;

        started = now;
        while (now < end_ns) {
                if (interval_ns)
                        wait_until(started);
                r = batch ? track->subject->batch(track->client, track->next_value)
                          : track->subject->ping(track->client, track->next_value);
                if (r < 0)
                        return r;
                track->next_value += step;
                track->n_done += step;
                now = nipc_clock_now_ns();
                histogram_record(&track->latency, now - started);
                started = interval_ns ? started + interval_ns : now;
        }
        return 0;
}

static int slice_pipeline(struct run *run, struct track *track, uint64_t end_ns)
{
        uint64_t depth = (uint64_t)run->options->depth, oldest = track->next_value;
        uint64_t sent_at[256], now = nipc_clock_now_ns();
        bool sending = true;
        int r = 0;

        while (r == 0 && (sending || oldest < track->next_value)) {
                if (sending && track->next_value < oldest + depth) {
                        sent_at[track->next_value % G_N_ELEMENTS(sent_at)] = now;
                        r = track->subject->send(track->client, track->next_value++);
                        continue;
                }
                r = track->subject->receive(track->client, oldest);
                now = nipc_clock_now_ns();
                histogram_record(&track->latency, now - sent_at[oldest % G_N_ELEMENTS(sent_at)]);
                oldest++;
                track->n_done++;
                sending = sending && now < end_ns;
        }
        return r;
}

static double process_cpu_seconds(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run_slice(struct run *run, struct track *track, uint64_t length_ns)
{
        double client_cpu = process_cpu_seconds(), server_cpu = subject_cpu_seconds(track->pid);
        uint64_t start_ns = nipc_clock_now_ns();
        int r;

        if (run->scenario == SCENARIO_PIPELINE)
                r = slice_pipeline(run, track, start_ns + length_ns);
        else
                r = slice_single(run, track, start_ns + length_ns);
        track->busy_ns += nipc_clock_now_ns() - start_ns;
        track->client_cpu += process_cpu_seconds() - client_cpu;
        track->server_cpu += subject_cpu_seconds(track->pid) - server_cpu;
        return r;
}

/* ---- one repetition ------------------------------------------------------------------------- */

static void reset_track(struct track *track)
{
        track->busy_ns = 0;
        track->n_done = 0;
        track->client_cpu = track->server_cpu = 0;
        memset(&track->latency, 0, sizeof(track->latency));
}

static double throughput(const struct track *track)
{
        return track->busy_ns ? (double)track->n_done * 1e9 / (double)track->busy_ns : 0;
}

static void write_row(struct run *run, const struct track *track, gint64 repeat)
{
        double seconds = (double)track->busy_ns / 1e9;

        fprintf(run->csv,
                "%s,%s,%s,%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT
                ",%.3f,%.1f,%.3f,%.3f,%.3f,%.3f,%.3f\n",
                scenario_names[run->scenario], track->subject->name,
                placement_names[run->placement], run->options->rate, repeat, seconds,
                throughput(track), histogram_percentile_us(&track->latency, 0.5),
                histogram_percentile_us(&track->latency, 0.99),
                histogram_percentile_us(&track->latency, 0.999), track->client_cpu / seconds,
                track->server_cpu / seconds);
        fflush(run->csv);
}

static int fail_subject(const struct track *track, int error)
{
        return command_fail(&command_bench, "%s: %s", track->subject->name,
                            error == -EBADMSG ? "an answer was not exactly right"
                                              : g_strerror(-error));
}

static int run_repetition(struct run *run, gint64 repeat)
{
        uint64_t done_ns;
        guint i;
        int r;

        for (i = 0; i < run->n_tracks; i++) {
                r = run_slice(run, &run->tracks[i], WARM_UP_NS);
                if (r < 0)
                        return fail_subject(&run->tracks[i], r);
                reset_track(&run->tracks[i]);
        }
        for (done_ns = 0; done_ns < run->duration_ns; done_ns += SLICE_NS) {
                if (interrupt_is_set())
                        return command_fail(&command_bench, "interrupted; the rows are incomplete");
                for (i = 0; i < run->n_tracks; i++) {
                        r = run_slice(run, &run->tracks[i],
                                      MIN(SLICE_NS, run->duration_ns - done_ns));
                        if (r < 0)
                                return fail_subject(&run->tracks[i], r);
                }
        }
        for (i = 0; i < run->n_tracks; i++) {
                if (throughput(&run->tracks[i]) <= 0)
                        return command_fail(&command_bench,
                                            "%s: nothing was measured; give more "
                                            "--duration",
                                            run->tracks[i].subject->name);
                write_row(run, &run->tracks[i], repeat);
        }
        if (run->n_tracks == 2) {
                double ratio = throughput(&run->tracks[0]) / throughput(&run->tracks[1]);

                g_array_append_val(run->ratios, ratio);
        }
        return COMMAND_SUCCESS;
}

/* ---- one scenario --------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* To stderr: stdout may be the CSV. */
static void write_summary(struct run *run)
{
        double *ratios = (double *)(void *)run->ratios->data;
        guint n = run->ratios->len;

        if (!n)
                return;
        qsort(ratios, n, sizeof(*ratios), compare_doubles);
        fprintf(stderr, "%s, %s: %s at %.3f of %s (median of %u, %.3f to %.3f)\n",
                scenario_names[run->scenario], placement_names[run->placement],
                run->tracks[0].subject->name, ratios[n / 2], run->tracks[1].subject->name, n,
                ratios[0], ratios[n - 1]);
}

static int start_tracks(struct run *run)
{
        guint i;
        int r;

        for (i = 0; i < run->n_tracks; i++) {
                struct track *track = &run->tracks[i];

                track->pid = subject_start(track->subject, &run->subject_options);
                if (track->pid < 0)
                        return fail_subject(track, (int)track->pid);
                r = track->subject->open(&run->subject_options, &track->client);
                if (r < 0)
                        return fail_subject(track, r);
        }
        return COMMAND_SUCCESS;
}

static void stop_tracks(struct run *run)
{
        for (guint i = 0; i < run->n_tracks; i++) {
                if (run->tracks[i].client)
                        run->tracks[i].subject->close(run->tracks[i].client);
                run->tracks[i].client = NULL;
                subject_stop(run->tracks[i].pid);
                run->tracks[i].pid = 0;
        }
}

/* What killed servers left in our private directory. */
static void remove_directory(const char *path)
{
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *file = g_build_filename(path, name, NULL);

                g_unlink(file);
        }
        if (dir)
                g_dir_close(dir);
        g_rmdir(path);
}

static int run_scenario(struct run *run)
{
        g_autofree char *dir = g_dir_make_tmp("nipc-bench-XXXXXX", NULL);
        int status;

        if (!dir)
                return command_fail(&command_bench, "cannot make a temporary directory: %s",
                                    g_strerror(errno));
        run->subject_options.run_dir = dir;
        run->subject_options.is_pipelined = run->scenario == SCENARIO_PIPELINE;
        run->ratios = g_array_new(FALSE, FALSE, sizeof(double));
        interrupt_init(NULL, NULL); /* so that the directory is removed whatever happens */
        status = start_tracks(run);
        for (gint64 i = 1; status == COMMAND_SUCCESS && i <= run->options->repeat; i++)
                status = run_repetition(run, i);
        stop_tracks(run);
        interrupt_deinit();
        if (status == COMMAND_SUCCESS)
                write_summary(run);
        g_array_unref(run->ratios);
        remove_directory(dir);
        return status;
}

/* ---- the command line ----------------------------------------------------------------------- */

static int find_name(const char *const *names, int n, const char *name)
{
        for (int i = 0; i < n; i++)
                if (g_str_equal(names[i], name))
                        return i;
        return -1;
}

static int choose_tracks(struct run *run)
{
        g_auto(GStrv) names = NULL;
        guint n = 0;

        for (guint i = 0; !run->options->profiles && i < G_N_ELEMENTS(subjects); i++)
                run->tracks[n++].subject = subjects[i];
        if (run->options->profiles)
                names = g_strsplit(run->options->profiles, ",", -1);
        for (guint i = 0; names && names[i]; i++) {
                const struct subject *found = NULL;

                for (guint k = 0; k < G_N_ELEMENTS(subjects); k++)
                        if (g_str_equal(subjects[k]->name, names[i]))
                                found = subjects[k];
                if (!found || n >= G_N_ELEMENTS(subjects))
                        return command_usage(&command_bench,
                                             "no profile '%s' to measure; there "
                                             "are baseline and bare-seqpacket",
                                             names[i]);
                for (guint k = 0; k < n; k++)
                        if (run->tracks[k].subject == found)
                                return command_usage(&command_bench, "--profile names %s twice",
                                                     names[i]);
                run->tracks[n++].subject = found;
        }
        run->n_tracks = n;
        return n ? COMMAND_SUCCESS : command_usage(&command_bench, "--profile names nothing");
}

static int check_options(const struct options *options)
{
        uint32_t ignored;

        if (!number_check_u32(&command_bench, "--repeat", options->repeat, 1, 10000, &ignored) ||
            !number_check_u32(&command_bench, "--rate", options->rate, 0, 100000000, &ignored) ||
            !number_check_u32(&command_bench, "--depth", options->depth, 1, 256, &ignored) ||
            !number_check_u32(&command_bench, "--items", options->items, 1, MAX_BATCH_ITEMS,
                              &ignored))
                return COMMAND_USAGE;
        if (!(options->duration_s > 0) || options->duration_s > 86400)
                return command_usage(&command_bench, "--duration takes seconds, more than 0");
        return COMMAND_SUCCESS;
}

static int place(struct run *run)
{
        const char *name = run->options->placement ? run->options->placement : "free";
        int found = find_name(placement_names, N_PLACEMENTS, name), r;

        if (found < 0)
                return command_usage(&command_bench, "--placement takes same, two or free");
        run->placement = (enum placement)found;
        run->subject_options.server_cpu = found == PLACEMENT_FREE ? -1 : found == PLACEMENT_TWO;
        r = subject_pin(found == PLACEMENT_FREE ? -1 : 0);
        if (r == 0 && found == PLACEMENT_TWO && g_get_num_processors() < 2)
                r = -EINVAL;
        return r < 0 ? command_fail(&command_bench, "--placement %s is not possible here", name)
                     : COMMAND_SUCCESS;
}

static int run_all(struct run *run)
{
        const char *const *names = run->options->scenarios
                                           ? (const char *const *)run->options->scenarios
                                           : all_scenarios;
        int status = COMMAND_SUCCESS;

        for (guint i = 0; names[i]; i++)
                if (find_name(scenario_names, N_SCENARIOS, names[i]) < 0)
                        return command_usage(&command_bench,
                                             "no scenario '%s'; there are ping-pong, pipeline and "
                                             "batch",
                                             names[i]);
        fputs("scenario,profile,placement,target_rps,repeat,duration_s,throughput,p50_us,p99_us,"
              "p999_us,client_cpu,server_cpu\n",
              run->csv);
        for (guint i = 0; status == COMMAND_SUCCESS && names[i]; i++) {
                run->scenario = (enum scenario)find_name(scenario_names, N_SCENARIOS, names[i]);
                if (run->options->rate && run->scenario == SCENARIO_PIPELINE)
                        return command_usage(&command_bench, "pipeline has no --rate");
                status = run_scenario(run);
        }
        return status;
}

static int bench_with(struct options *options)
{
        struct run *run = g_new0(struct run, 1);
        bool to_file = options->csv && !g_str_equal(options->csv, "-");
        int status;

        run->options = options;
        run->duration_ns = (uint64_t)(options->duration_s * 1e9);
        run->subject_options.batch_items = (uint32_t)options->items;
        run->csv = to_file ? g_fopen(options->csv, "we") : stdout;
        if (!run->csv)
                status = command_fail(&command_bench, "cannot write %s: %s", options->csv,
                                      g_strerror(errno));
        else
                status = choose_tracks(run);
        if (status == COMMAND_SUCCESS)
                status = place(run);
        if (status == COMMAND_SUCCESS)
                status = run_all(run);
        if (run->csv && ferror(run->csv) && status == COMMAND_SUCCESS)
                status = command_fail(&command_bench, "cannot write the CSV");
        if (run->csv && ((to_file ? fclose(run->csv) : fflush(run->csv)) != 0) &&
            status == COMMAND_SUCCESS)
                status =
                        command_fail(&command_bench, "cannot write the CSV: %s", g_strerror(errno));
        g_free(run);
        return status;
}

static int bench(const struct command_context *context, int argc, char **argv)
{
        struct options options = {
                .duration_s = 1, .repeat = 5, .depth = DEFAULT_DEPTH, .items = DEFAULT_ITEMS};
        GOptionEntry entries[] = {
                {"profile", 0, 0, G_OPTION_ARG_STRING, &options.profiles,
                 "what to measure: baseline,bare-seqpacket (default: all)", "LIST"},
                {"rate", 0, 0, G_OPTION_ARG_INT64, &options.rate,
                 "requests per second (default: as many as possible)", "RPS"},
                {"duration", 0, 0, G_OPTION_ARG_DOUBLE, &options.duration_s,
                 "seconds per profile and repetition (default: 1)", "S"},
                {"repeat", 0, 0, G_OPTION_ARG_INT64, &options.repeat, "repetitions (default: 5)",
                 "N"},
                {"placement", 0, 0, G_OPTION_ARG_STRING, &options.placement,
                 "both on one CPU, on two, or free (default)", "same|two|free"},
                {"depth", 0, 0, G_OPTION_ARG_INT64, &options.depth,
                 "requests in flight of pipeline (default: 16)", "N"},
                {"items", 0, 0, G_OPTION_ARG_INT64, &options.items,
                 "numbers in a message of batch (default: 100)", "N"},
                {"csv", 0, 0, G_OPTION_ARG_FILENAME, &options.csv,
                 "where the rows go (default: standard output)", "FILE|-"},
                {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.scenarios, NULL,
                 NULL},
                {NULL},
        };
        int status;

        (void)context;
        if (command_parse(&command_bench, entries, &argc, &argv, &status)) {
                status = check_options(&options);
                if (status == COMMAND_SUCCESS)
                        status = bench_with(&options);
        }
        g_strfreev(options.scenarios);
        g_free(options.profiles);
        g_free(options.placement);
        g_free(options.csv);
        return status;
}

const struct command command_bench = {
        .name = "bench",
        .arguments = "[ping-pong|pipeline|batch]...",
        .summary = "measure round trips against the bare transport, as CSV",
        .run = bench,
};
