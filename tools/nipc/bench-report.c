/* SPDX-License-Identifier: MIT */

/*
 * The rows of `nipc bench`, and in the end a line per subject: medians over the repetitions, and
 * for what is not bare its share of the throughput of each bare subject in the same repetition,
 * since only what was measured in turns can be compared.
 */

#include "bench.h"

#include <stddef.h>
#include <stdlib.h>

const char *const bench_scenario_names[SUBJECT_N_SCENARIOS] = {
        [SUBJECT_PING_PONG] = "ping-pong", [SUBJECT_PIPELINE] = "pipeline",
        [SUBJECT_BATCH] = "batch",         [SUBJECT_SNAPSHOT] = "snapshot",
        [SUBJECT_LARGE] = "large",         [SUBJECT_CLIENTS] = "clients",
        [SUBJECT_FAIRNESS] = "fairness",   [SUBJECT_LANE] = "lane",
        [SUBJECT_LOOKUP] = "lookup",       [SUBJECT_PIPELINE_BATCH] = "pipeline-batch",
        [SUBJECT_IDLE] = "idle",
};

const char *const bench_placement_names[BENCH_N_PLACEMENTS] = {
        [BENCH_PLACEMENT_FREE] = "free",
        [BENCH_PLACEMENT_SAME] = "same",
        [BENCH_PLACEMENT_TWO] = "two",
};

char *bench_format_scenario(const struct bench *bench, const struct bench_track *track)
{
        static const char *const troubles[] = {"alone", "apart", "flood", "crowd"};
        const char *name = bench_scenario_names[bench->scenario];

        if (bench->scenario == SUBJECT_CLIENTS || bench->scenario == SUBJECT_IDLE)
                return g_strdup_printf("%s-%u", name, bench->options.n_clients);
        if (bench->scenario == SUBJECT_FAIRNESS)
                return g_strdup_printf("%s-%s", name, troubles[track->options.trouble]);
        if (bench->sized && bench->scenario == SUBJECT_LARGE)
                return g_strdup_printf("%s-%u", name, bench->options.bytes);
        if (bench->sized &&
            (bench->scenario == SUBJECT_SNAPSHOT || bench->scenario == SUBJECT_LOOKUP ||
             bench->scenario == SUBJECT_BATCH || bench->scenario == SUBJECT_PIPELINE_BATCH))
                return g_strdup_printf("%s-%u", name, bench->options.items);
        return g_strdup(name);
}

void bench_report_columns(FILE *csv)
{
        fputs("scenario,profile,placement,target_rps,repeat,duration_s,throughput,p50_us,p99_us,"
              "p999_us,client_cpu,server_cpu,distance_before_ns,distance_after_ns,switches,"
              "server_kb,others_cpu\n",
              csv);
        fflush(csv); /* or a child that ends would say it again */
}

void bench_report_row(const struct bench *bench, FILE *csv, const struct bench_track *track,
                      guint index)
{
        const struct bench_result *result =
                &g_array_index(track->results, struct bench_result, index);
        g_autofree char *scenario = bench_format_scenario(bench, track);

        fprintf(csv,
                "%s,%s,%s,%" G_GINT64_FORMAT
                ",%u,%.3f,%.1f,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f,%.0f,%.3f,%.0f,%.2f\n",
                scenario, track->subject->name, bench_placement_names[bench->placement],
                bench->rate, index + 1, result->duration_s, result->throughput, result->p50_us,
                result->p99_us, result->p999_us, result->client_cpu, result->server_cpu,
                result->distance_before_ns, result->distance_after_ns, result->switches,
                result->server_kb, result->others_cpu);
        fflush(csv);
}

gint bench_compare_doubles(gconstpointer a, gconstpointer b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

struct spread {
        double min, median, max;
};

/* values: sorted by this. */
static struct spread measure_spread(double *values, guint n)
{
        qsort(values, n, sizeof(*values), bench_compare_doubles);
        return (struct spread){values[0], values[n / 2], values[n - 1]};
}

static double get_throughput(const struct bench_result *result)
{
        return result->throughput;
}

static double get_p50(const struct bench_result *result)
{
        return result->p50_us;
}

static double get_p99(const struct bench_result *result)
{
        return result->p99_us;
}

static double get_cores(const struct bench_result *result)
{
        return result->client_cpu + result->server_cpu;
}

/* What matters of a row: the latency where the rate is given, else the throughput. */
bool bench_track_is_steady(const struct bench *bench, const struct bench_track *track)
{
        guint n = track->results->len;
        g_autofree double *values = g_new(double, n + 1);

        if ((gint64)n < bench->repeat)
                return false;
        for (guint i = 0; i < n; i++) {
                const struct bench_result *result =
                        &g_array_index(track->results, struct bench_result, i);

                values[i] = bench->rate ? result->p50_us : result->throughput;
        }
        qsort(values, n, sizeof(*values), bench_compare_doubles);
        return values[(3 * n - 1) / 4] - values[n / 4] <= bench->guard->max_spread * values[n / 2];
}

/* Of a track's results, each divided by that of `base` in the same repetition unless it is NULL. */
static struct spread spread_of(const struct bench_track *track, const struct bench_track *base,
                               double (*get)(const struct bench_result *result))
{
        guint n = track->results->len;
        g_autofree double *values = g_new(double, n);

        for (guint i = 0; i < n; i++) {
                values[i] = get(&g_array_index(track->results, struct bench_result, i));
                if (base)
                        values[i] /= get(&g_array_index(base->results, struct bench_result, i));
        }
        return measure_spread(values, n);
}

/*
 * What trouble costs the client that behaves, against the same without, or, of a flood, against one
 * next door: that takes as much of the machine, and only the server is not shared.
 */
static void report_fairness(const struct bench *bench, const struct bench_track *tracks,
                            guint n_tracks)
{
        const struct bench_track *alone = NULL, *apart = NULL;

        fprintf(stderr, "fairness, %s, medians of %" G_GINT64_FORMAT ":\n",
                bench_placement_names[bench->placement], bench->repeat);
        for (guint i = 0; i < n_tracks; i++) {
                const struct bench_track *track = &tracks[i];
                g_autofree char *name = bench_format_scenario(bench, track);
                struct spread ratio;
                bool is_flood;

                if (track->options.trouble == SUBJECT_TROUBLE_NONE)
                        alone = track;
                if (track->options.trouble == SUBJECT_TROUBLE_APART)
                        apart = track;
                is_flood = track->options.trouble == SUBJECT_TROUBLE_FLOOD;
                ratio = spread_of(track, is_flood ? apart : alone, get_p99);
                fprintf(stderr, "  %s %s: p50 %.3f us, p99 %.3f us, %.3f of it %s (%.3f to %.3f)\n",
                        track->subject->name, name, spread_of(track, NULL, get_p50).median,
                        spread_of(track, NULL, get_p99).median, ratio.median,
                        is_flood ? "apart" : "alone", ratio.min, ratio.max);
        }
}

void bench_report_summary(const struct bench *bench, const struct bench_track *tracks,
                          guint n_tracks)
{
        g_autofree char *scenario = bench_format_scenario(bench, &tracks[0]);

        if (bench->scenario == SUBJECT_FAIRNESS) {
                report_fairness(bench, tracks, n_tracks);
                return;
        }
        fprintf(stderr, "%s, %s, medians of %" G_GINT64_FORMAT ":\n", scenario,
                bench_placement_names[bench->placement], bench->repeat);
        for (guint i = 0; i < n_tracks; i++) {
                const struct bench_track *track = &tracks[i];

                fprintf(stderr, "  %s: %.0f/s, p50 %.3f us, p99 %.3f us, %.2f cores",
                        track->subject->name, spread_of(track, NULL, get_throughput).median,
                        spread_of(track, NULL, get_p50).median,
                        spread_of(track, NULL, get_p99).median,
                        spread_of(track, NULL, get_cores).median);
                for (guint k = 0; track->subject->profile && k < n_tracks; k++) {
                        struct spread ratio;

                        if (tracks[k].subject->profile)
                                continue;
                        ratio = spread_of(track, &tracks[k], get_throughput);
                        fprintf(stderr, "; %.3f of %s (%.3f to %.3f)", ratio.median,
                                tracks[k].subject->name, ratio.min, ratio.max);
                }
                fputc('\n', stderr);
        }
}
