/* SPDX-License-Identifier: MIT */

/*
 * `nipc bench --gate`: whether nipc is about as fast as it was, said by ratios to bare rows that
 * were measured in turns with it, never by numbers of their own. The limits lie between what is
 * usual and half of it. A machine that does something else for a while fails nobody: what is below
 * is measured again, and must then be above twice before it is below three times in all.
 */

#include "bench-suite.h"
#include "command.h"

#include <stdlib.h>

#define MAX_BELOW   3
#define MIN_ABOVE   2 /* once it was below */
#define N_REPEAT    5
#define DURATION_NS UINT64_C(100000000)

const struct bench_check bench_checks[] = {
        /* Usual, on two virtual CPUs: see bench/README.md. */
        {SUBJECT_PING_PONG, BENCH_PLACEMENT_TWO, &subject_ring, &subject_bare_shm, 0.55},
        {SUBJECT_PING_PONG, BENCH_PLACEMENT_SAME, &subject_baseline, &subject_bare_seqpacket, 0.6},
        {SUBJECT_PIPELINE, BENCH_PLACEMENT_SAME, &subject_baseline, &subject_bare_seqpacket, 0.65},
        {SUBJECT_SNAPSHOT, BENCH_PLACEMENT_SAME, &subject_ring, &subject_baseline, 0.9},
        {0},
};

/* The first track is judged by the second. */
static int finish(const struct bench *bench, const struct bench_track *tracks, guint n_tracks)
{
        double *ret_ratio = bench->guard->userdata; /* the median */
        double ratios[N_REPEAT];
        guint n = 0;

        if (n_tracks != 2)
                return command_fail(&command_bench, "the gate needs two rows");
        for (; n < tracks[0].results->len && n < G_N_ELEMENTS(ratios); n++)
                ratios[n] = g_array_index(tracks[0].results, struct bench_result, n).throughput /
                            g_array_index(tracks[1].results, struct bench_result, n).throughput;
        qsort(ratios, n, sizeof(*ratios), bench_compare_doubles);
        *ret_ratio = n ? ratios[n / 2] : 0;
        return COMMAND_SUCCESS;
}

static int measure(const struct bench_check *check, double *ret_ratio)
{
        const struct bench_guard guard = {
                .max_spread = 1e9, /* the limits are loose */
                .finish = finish,
                .userdata = ret_ratio,
        };
        struct bench bench = {
                .scenario = check->scenario,
                .subjects = {check->subject, check->ground},
                .n_subjects = 2,
                .options = {.depth = 16, .items = 1000, .bytes = 8, .n_clients = 1},
                .duration_ns = DURATION_NS,
                .repeat = N_REPEAT,
                .guard = &guard,
        };
        int status = bench_place(&bench, check->placement);

        return status == COMMAND_SUCCESS ? bench_run_scenario(&bench) : status;
}

static int judge(const struct bench_check *check)
{
        struct bench bench = {.placement = check->placement};
        g_autofree char *why_not = bench_why_not(&bench, check->subject);
        g_autofree char *name =
                g_strdup_printf("%s, %s, %s against %s", bench_scenario_names[check->scenario],
                                bench_placement_names[check->placement], check->subject->name,
                                check->ground->name);
        double ratio = 0;
        int n_above = 0, n_below = 0;

        if (!why_not)
                why_not = bench_why_not(&bench, check->ground);
        if (!why_not && check->placement == BENCH_PLACEMENT_TWO && g_get_num_processors() < 2)
                why_not = g_strdup("there is but one CPU");
        if (why_not) {
                printf("%s: skipped, %s\n", name, why_not);
                return COMMAND_SUCCESS;
        }
        while (n_below < MAX_BELOW && n_above < (n_below ? MIN_ABOVE : 1)) {
                int status = measure(check, &ratio);

                if (status != COMMAND_SUCCESS)
                        return status;
                printf("%s: %.3f, at least %.2f\n", name, ratio, check->least);
                fflush(stdout);
                if (ratio >= check->least)
                        n_above++;
                else
                        n_below++;
        }
        return n_below < MAX_BELOW ? COMMAND_SUCCESS
                                   : command_fail(&command_bench, "%s: %.3f is below %.2f", name,
                                                  ratio, check->least);
}

int bench_gate_run(const struct bench_check *checks)
{
        int status = COMMAND_SUCCESS, one;

        for (; checks->subject; checks++) {
                one = judge(checks);
                if (one != COMMAND_SUCCESS)
                        status = one;
        }
        return status;
}
