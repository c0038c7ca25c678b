/* SPDX-License-Identifier: MIT */

/*
 * `nipc bench`: measures pairs of real processes and writes CSV, one row for each scenario, profile
 * and repetition. What it measures, and how, is in bench-run.c; here the command line is read.
 */

#include "bench.h"
#include "command.h"
#include "number.h"
#include "profiles.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define DEFAULT_DEPTH          16
#define DEFAULT_BATCH_ITEMS    100
#define DEFAULT_SNAPSHOT_ITEMS 1000
#define DEFAULT_BYTES          (1024 * 1024)
#define MAX_BATCH_ITEMS        8192 /* a bare packet of that many fits default socket buffers */
#define MAX_SNAPSHOT_ITEMS     100000
#define DEFAULT_CLIENTS        "1,8,32,128,512,1000,4000"
#define DEFAULT_FAIRNESS_RATE  1000 /* a second: it sleeps in between, as agents do */
#define MAX_CLIENTS            100000
#define MAX_BYTES              (64u * 1024 * 1024) /* what a client holds at most by itself */

static const char *const default_scenarios[] = {"ping-pong", "pipeline", "batch", NULL};

static const struct subject *const subjects[] = {
        &subject_baseline,       &subject_shm_hybrid, &subject_ring,
        &subject_bare_seqpacket, &subject_bare_shm,   &subject_bare_futex,
        &subject_bare_spin128,   &subject_bare_epoll, &subject_bare_epoll_mt,
};

G_STATIC_ASSERT(G_N_ELEMENTS(subjects) <= BENCH_MAX_SUBJECTS);

struct arguments {
        char **scenarios;
        char *profiles;
        char *placement;
        char *csv;
        double duration_s;
        gint64 rate;
        gint64 repeat;
        gint64 depth;
        gint64 items; /* 0: what suits the scenario */
        gint64 bytes;
        char *clients;
};

static int find_name(const char *const *names, int n, const char *name)
{
        for (int i = 0; i < n; i++)
                if (g_str_equal(names[i], name))
                        return i;
        return -1;
}

static bool is_built_in(const struct subject *subject)
{
        return !subject->profile || (profiles_get_built_in() & subject->profile);
}

static bool is_chosen_by_default(const struct bench *bench, const struct subject *subject)
{
        if (!subject->by_default)
                return false;
        if (!is_built_in(subject)) {
                fprintf(stderr, "nipc bench: this build has no %s, it is left out\n",
                        subject->name);
                return false;
        }
        if (subject->spins &&
            (bench->placement == BENCH_PLACEMENT_SAME || g_get_num_processors() < 2)) {
                fprintf(stderr, "nipc bench: %s spins on both sides, it is left out on one CPU\n",
                        subject->name);
                return false;
        }
        return true;
}

static int add_subject(struct bench *bench, const char *name)
{
        const struct subject *found = NULL;

        for (guint i = 0; i < G_N_ELEMENTS(subjects); i++)
                if (g_str_equal(subjects[i]->name, name))
                        found = subjects[i];
        if (!found)
                return command_usage(&command_bench,
                                     "no profile '%s' to measure; there are baseline, shm-hybrid, "
                                     "ring, bare-seqpacket, bare-shm, bare-futex, bare-spin128, "
                                     "bare-epoll, bare-epoll-mt",
                                     name);
        for (guint i = 0; i < bench->n_subjects; i++)
                if (bench->subjects[i] == found)
                        return command_usage(&command_bench, "--profile names %s twice", name);
        if (!is_built_in(found))
                return command_fail(&command_bench, "this build has no profile %s", name);
        bench->subjects[bench->n_subjects++] = found;
        return COMMAND_SUCCESS;
}

static int choose_subjects(struct bench *bench, const char *list)
{
        g_auto(GStrv) names = list ? g_strsplit(list, ",", -1) : NULL;
        int status = COMMAND_SUCCESS;

        for (guint i = 0; !list && i < G_N_ELEMENTS(subjects); i++)
                if (is_chosen_by_default(bench, subjects[i]))
                        bench->subjects[bench->n_subjects++] = subjects[i];
        for (guint i = 0; names && names[i] && status == COMMAND_SUCCESS; i++)
                status = add_subject(bench, names[i]);
        if (status == COMMAND_SUCCESS && !bench->n_subjects)
                status = command_usage(&command_bench, "--profile names nothing");
        return status;
}

static int check_scenarios(const char *const *names, const struct arguments *arguments)
{
        for (guint i = 0; names[i]; i++) {
                int scenario = find_name(bench_scenario_names, SUBJECT_N_SCENARIOS, names[i]);

                if (scenario < 0)
                        return command_usage(&command_bench,
                                             "no scenario '%s'; there are ping-pong, pipeline, "
                                             "batch, snapshot, large, clients, fairness and lane",
                                             names[i]);
                if ((scenario == SUBJECT_PIPELINE || scenario == SUBJECT_CLIENTS ||
                     scenario == SUBJECT_LANE) &&
                    arguments->rate)
                        return command_usage(&command_bench, "%s has no --rate", names[i]);
                if (scenario == SUBJECT_BATCH && arguments->items > MAX_BATCH_ITEMS)
                        return command_usage(&command_bench, "batch takes at most %d --items",
                                             MAX_BATCH_ITEMS);
        }
        return COMMAND_SUCCESS;
}

static bool read_numbers(const struct arguments *arguments, struct bench *bench)
{
        const struct command *self = &command_bench;
        uint32_t ignored;

        bench->repeat = arguments->repeat;
        bench->rate = arguments->rate;
        bench->duration_ns = (uint64_t)(arguments->duration_s * 1e9);
        return number_check_u32(self, "--repeat", arguments->repeat, 1, 10000, &ignored) &&
               number_check_u32(self, "--rate", arguments->rate, 0, 100000000, &ignored) &&
               number_check_u32(self, "--depth", arguments->depth, 1, 256, &bench->options.depth) &&
               number_check_u32(self, "--items", arguments->items, 0, MAX_SNAPSHOT_ITEMS,
                                &ignored) &&
               number_check_u32(self, "--bytes", arguments->bytes, 8, MAX_BYTES,
                                &bench->options.bytes);
}

static int place(struct bench *bench, const char *name)
{
        int found = find_name(bench_placement_names, BENCH_N_PLACEMENTS, name), r;

        if (found < 0)
                return command_usage(&command_bench, "--placement takes same, two or free");
        bench->placement = (enum bench_placement)found;
        bench->options.server_cpu =
                found == BENCH_PLACEMENT_FREE ? -1 : found == BENCH_PLACEMENT_TWO;
        r = found == BENCH_PLACEMENT_TWO && g_get_num_processors() < 2 ? -EINVAL : 0;
        if (r == 0)
                r = subject_pin(found == BENCH_PLACEMENT_FREE ? -1 : 0);
        return r < 0 ? command_fail(&command_bench, "--placement %s is not possible here", name)
                     : COMMAND_SUCCESS;
}

/* The scenario once for each number of the list. */
static int run_clients(struct bench *bench, const char *list)
{
        g_auto(GStrv) numbers = g_strsplit(list ? list : DEFAULT_CLIENTS, ",", -1);
        int status = COMMAND_SUCCESS;

        for (guint i = 0; status == COMMAND_SUCCESS && numbers[i]; i++) {
                guint64 n;

                if (!g_ascii_string_to_unsigned(numbers[i], 10, 1, MAX_CLIENTS, &n, NULL))
                        return command_usage(&command_bench, "--clients takes numbers from 1 to %d",
                                             MAX_CLIENTS);
                bench->options.n_clients = (uint32_t)n;
                status = bench_run_scenario(bench);
        }
        return status;
}

static int run_all(struct bench *bench, const struct arguments *arguments,
                   const char *const *scenarios)
{
        int status = COMMAND_SUCCESS;

        bench_report_columns(bench->csv);
        for (guint i = 0; status == COMMAND_SUCCESS && scenarios[i]; i++) {
                bench->scenario =
                        (enum subject_scenario)find_name(bench_scenario_names, SUBJECT_N_SCENARIOS,
                                                         scenarios[i]);
                bench->options.items = (uint32_t)arguments->items;
                if (!arguments->items)
                        bench->options.items = bench->scenario == SUBJECT_SNAPSHOT
                                                       ? DEFAULT_SNAPSHOT_ITEMS
                                                       : DEFAULT_BATCH_ITEMS;
                bench->rate = arguments->rate;
                if (bench->scenario == SUBJECT_FAIRNESS) {
                        bench->options.n_clients = 1;
                        if (!bench->rate)
                                bench->rate = DEFAULT_FAIRNESS_RATE;
                }
                if (bench->scenario == SUBJECT_CLIENTS)
                        status = run_clients(bench, arguments->clients);
                else if (bench->scenario == SUBJECT_LANE)
                        status = bench_run_lane(bench);
                else
                        status = bench_run_scenario(bench);
        }
        return status;
}

static int run_and_write(struct bench *bench, const struct arguments *arguments,
                         const char *const *scenarios)
{
        bool to_file = arguments->csv && !g_str_equal(arguments->csv, "-");
        int status;

        bench->csv = to_file ? g_fopen(arguments->csv, "we") : stdout;
        if (!bench->csv)
                return command_fail(&command_bench, "cannot write %s: %s", arguments->csv,
                                    g_strerror(errno));
        status = run_all(bench, arguments, scenarios);
        if (ferror(bench->csv) && status == COMMAND_SUCCESS)
                status = command_fail(&command_bench, "cannot write the CSV");
        if ((to_file ? fclose(bench->csv) : fflush(bench->csv)) != 0 && status == COMMAND_SUCCESS)
                status =
                        command_fail(&command_bench, "cannot write the CSV: %s", g_strerror(errno));
        return status;
}

static int bench_with(const struct arguments *arguments)
{
        const char *const *scenarios = arguments->scenarios
                                               ? (const char *const *)arguments->scenarios
                                               : default_scenarios;
        struct bench bench = {0};
        int status;

        if (!(arguments->duration_s > 0) || arguments->duration_s > 86400)
                return command_usage(&command_bench, "--duration takes seconds, more than 0");
        if (!read_numbers(arguments, &bench))
                return COMMAND_USAGE;
        status = check_scenarios(scenarios, arguments);
        if (status == COMMAND_SUCCESS)
                status = place(&bench, arguments->placement ? arguments->placement : "free");
        if (status == COMMAND_SUCCESS)
                status = choose_subjects(&bench, arguments->profiles);
        return status == COMMAND_SUCCESS ? run_and_write(&bench, arguments, scenarios) : status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct arguments arguments = {
                .duration_s = 0.5, .repeat = 5, .depth = DEFAULT_DEPTH, .bytes = DEFAULT_BYTES};
        GOptionEntry entries[] = {
                {"profile", 0, 0, G_OPTION_ARG_STRING, &arguments.profiles,
                 "what to measure, of baseline,shm-hybrid,ring,bare-seqpacket,bare-shm,bare-futex,"
                 "bare-spin128,bare-epoll,bare-epoll-mt (default: the first five, and the last two "
                 "for clients, as far as they are there)",
                 "LIST"},
                {"rate", 0, 0, G_OPTION_ARG_INT64, &arguments.rate,
                 "requests per second (default: as many as possible; fairness: 1000)", "RPS"},
                {"duration", 0, 0, G_OPTION_ARG_DOUBLE, &arguments.duration_s,
                 "seconds per profile and repetition (default: 0.5)", "S"},
                {"repeat", 0, 0, G_OPTION_ARG_INT64, &arguments.repeat, "repetitions (default: 5)",
                 "N"},
                {"placement", 0, 0, G_OPTION_ARG_STRING, &arguments.placement,
                 "both on one CPU, on two, or free (default)", "same|two|free"},
                {"depth", 0, 0, G_OPTION_ARG_INT64, &arguments.depth,
                 "pipeline: requests in flight (default: 16)", "N"},
                {"items", 0, 0, G_OPTION_ARG_INT64, &arguments.items,
                 "batch: numbers in a message (default: 100); snapshot: cgroups (default: 1000)",
                 "N"},
                {"bytes", 0, 0, G_OPTION_ARG_INT64, &arguments.bytes,
                 "large: size of the payload (default: 1048576)", "N"},
                {"clients", 0, 0, G_OPTION_ARG_STRING, &arguments.clients,
                 "clients: how many at once, one after the other (default: " DEFAULT_CLIENTS ")",
                 "LIST"},
                {"csv", 0, 0, G_OPTION_ARG_FILENAME, &arguments.csv,
                 "where the rows go (default: standard output)", "FILE|-"},
                {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.scenarios, NULL,
                 NULL},
                {NULL},
        };
        int status;

        (void)context;
        if (command_parse(&command_bench, entries, &argc, &argv, &status))
                status = bench_with(&arguments);
        g_strfreev(arguments.scenarios);
        g_free(arguments.profiles);
        g_free(arguments.placement);
        g_free(arguments.csv);
        g_free(arguments.clients);
        return status;
}

const struct command command_bench = {
        .name = "bench",
        .arguments = "[ping-pong|pipeline|batch|snapshot|large|clients|fairness|lane]...",
        .summary = "measure round trips against the bare transport, as CSV",
        .run = run,
};
