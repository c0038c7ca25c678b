/* SPDX-License-Identifier: MIT */

/*
 * `nipc bench`: measures pairs of real processes and writes CSV, one row for each scenario, profile
 * and repetition. What it measures, and how, is in bench-run.c; here the command line is read.
 */

#include "bench-suite.h"
#include "command.h"
#include "interrupt.h"
#include "number.h"
#include "subject-peer.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

#define DEFAULT_DURATION_NS 500000000
/* What nobody means: a suite has values of its own. */
#define NOT_GIVEN          G_MININT64
#define DURATION_NOT_GIVEN (-1e300)

#define DEFAULT_REPEAT         5
#define DEFAULT_DEPTH          16
#define DEFAULT_BATCH_ITEMS    100
#define DEFAULT_SNAPSHOT_ITEMS 1000
#define DEFAULT_BYTES          (1024 * 1024)
#define MAX_BATCH_ITEMS        8192 /* a bare packet of that many fits default socket buffers */
#define MAX_SNAPSHOT_ITEMS     100000
#define MAX_IN_FLIGHT          4096 /* numbers: who sends them all before he reads is not stuck */
#define MAX_LOOKUP_KEYS        16384
#define DEFAULT_IDLE_CLIENTS   "64"
#define DEFAULT_CLIENTS        "1,8,32,128,512,1000,4000"
#define DEFAULT_FAIRNESS_RATE  1000 /* a second: it sleeps in between, as agents do */
#define MAX_CLIENTS            100000
#define MAX_BYTES              (64u * 1024 * 1024) /* what a client holds at most by itself */

static const char *const default_scenarios[] = {"ping-pong", "pipeline", "batch", NULL};

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
        char *suite;
        char *out;
        char *peers;
        gboolean gate;
        gint64 messages;
};

static int find_name(const char *const *names, int n, const char *name)
{
        for (int i = 0; i < n; i++)
                if (g_str_equal(names[i], name))
                        return i;
        return -1;
}

static bool is_chosen_by_default(const struct bench *bench, const struct subject *subject)
{
        g_autofree char *reason = subject->by_default ? bench_why_not(bench, subject) : NULL;

        if (reason)
                fprintf(stderr, "nipc bench: %s, it is left out\n", reason);
        return subject->by_default && !reason;
}

/* All that can be named; a peer is a subject as others are. */
static const struct subject *find_subject(const char *name)
{
        for (guint i = 0; bench_subjects[i]; i++)
                if (g_str_equal(bench_subjects[i]->name, name))
                        return bench_subjects[i];
        for (guint i = 0; subject_peers[i]; i++)
                if (g_str_equal(subject_peers[i]->name, name))
                        return subject_peers[i];
        return NULL;
}

/* A suite says of a peer that is not there that it was skipped. */
static int add_subject(struct bench *bench, const char *name, bool is_suite)
{
        const struct subject *found = find_subject(name);
        g_autofree char *reason = NULL;

        if (!found)
                return command_usage(&command_bench,
                                     "no profile '%s' to measure; there are baseline, shm-hybrid, "
                                     "ring, bare-seqpacket, bare-shm, bare-futex, bare-spin128, "
                                     "bare-epoll, bare-epoll-mt, bare-stream, bare-pipe, nng, "
                                     "zeromq, sd-bus, gdbus, grpc, iceoryx, node-ipc",
                                     name);
        for (guint i = 0; i < bench->n_subjects; i++)
                if (bench->subjects[i] == found)
                        return command_usage(&command_bench, "--profile names %s twice", name);
        if (bench->n_subjects == BENCH_MAX_SUBJECTS)
                return command_usage(&command_bench, "--profile names too many");
        if (!bench_is_built_in(found))
                return command_fail(&command_bench, "this build has no profile %s", name);
        if (found->program && !is_suite && !subject_peer_is_there(found, &reason))
                return command_fail(&command_bench, "%s: %s", name, reason);
        bench->subjects[bench->n_subjects++] = found;
        return COMMAND_SUCCESS;
}

static int choose_subjects(struct bench *bench, const char *list, bool is_suite)
{
        g_auto(GStrv) names = list ? g_strsplit(list, ",", -1) : NULL;
        int status = COMMAND_SUCCESS;

        for (guint i = 0; !list && bench_subjects[i]; i++)
                if (is_chosen_by_default(bench, bench_subjects[i]))
                        bench->subjects[bench->n_subjects++] = bench_subjects[i];
        for (guint i = 0; names && names[i] && status == COMMAND_SUCCESS; i++)
                status = add_subject(bench, names[i], is_suite);
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
                                             "batch, pipeline-batch, snapshot, lookup, large, "
                                             "clients, fairness, idle and lane",
                                             names[i]);
                if ((subject_is_pipeline((enum subject_scenario)scenario) ||
                     scenario == SUBJECT_CLIENTS || scenario == SUBJECT_IDLE ||
                     scenario == SUBJECT_LANE) &&
                    arguments->rate)
                        return command_usage(&command_bench, "%s has no --rate", names[i]);
                if ((subject_has_crowd((enum subject_scenario)scenario) ||
                     scenario == SUBJECT_LANE) &&
                    arguments->messages)
                        return command_usage(&command_bench, "%s has no --messages", names[i]);
                if (scenario == SUBJECT_BATCH && arguments->items > MAX_BATCH_ITEMS)
                        return command_usage(&command_bench, "batch takes at most %d --items",
                                             MAX_BATCH_ITEMS);
                if (scenario == SUBJECT_PIPELINE_BATCH &&
                    arguments->items * arguments->depth > MAX_IN_FLIGHT)
                        return command_usage(
                                &command_bench,
                                "pipeline-batch takes at most %d --items times --depth",
                                MAX_IN_FLIGHT);
                if (scenario == SUBJECT_LOOKUP && arguments->items > MAX_LOOKUP_KEYS)
                        return command_usage(&command_bench, "lookup takes at most %d --items",
                                             MAX_LOOKUP_KEYS);
        }
        return COMMAND_SUCCESS;
}

static bool is_duration_given(const struct arguments *arguments)
{
        return arguments->duration_s != DURATION_NOT_GIVEN;
}

static bool read_numbers(const struct arguments *arguments, struct bench *bench)
{
        const struct command *self = &command_bench;
        uint32_t ignored;

        bench->repeat = arguments->repeat == NOT_GIVEN ? DEFAULT_REPEAT : arguments->repeat;
        bench->rate = arguments->rate;
        bench->duration_ns = is_duration_given(arguments) ? (uint64_t)(arguments->duration_s * 1e9)
                                                          : DEFAULT_DURATION_NS;
        return number_check_u32(self, "--repeat", bench->repeat, 1, 10000, &ignored) &&
               number_check_u32(self, "--messages", arguments->messages, 0, 100000000,
                                &bench->n_messages) &&
               number_check_u32(self, "--rate", arguments->rate, 0, 100000000, &ignored) &&
               number_check_u32(self, "--depth", arguments->depth, 1, 256, &bench->options.depth) &&
               number_check_u32(self, "--items", arguments->items, 0, MAX_SNAPSHOT_ITEMS,
                                &ignored) &&
               number_check_u32(self, "--bytes", arguments->bytes, 8, MAX_BYTES,
                                &bench->options.bytes);
}

static int place(struct bench *bench, const char *name)
{
        int found = find_name(bench_placement_names, BENCH_N_PLACEMENTS, name);

        if (found < 0)
                return command_usage(&command_bench, "--placement takes same, two or free");
        return bench_place(bench, (enum bench_placement)found);
}

/* The scenario once for each number of the list. */
static int run_clients(struct bench *bench, const char *list)
{
        const char *usual =
                bench->scenario == SUBJECT_IDLE ? DEFAULT_IDLE_CLIENTS : DEFAULT_CLIENTS;
        g_auto(GStrv) numbers = g_strsplit(list ? list : usual, ",", -1);
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
                if (bench->scenario == SUBJECT_CLIENTS || bench->scenario == SUBJECT_IDLE)
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

/* All there are, or those that were named; NULL in the end. Owned, not what it holds. */
static const struct subject **list_subjects(const struct bench *named)
{
        GArray *list = g_array_new(TRUE, FALSE, sizeof(const struct subject *));

        g_array_append_vals(list, named->subjects, named->n_subjects);
        for (guint i = 0; !named->n_subjects && bench_subjects[i]; i++)
                g_array_append_val(list, bench_subjects[i]);
        for (guint i = 0; !named->n_subjects && subject_peers[i]; i++)
                g_array_append_val(list, subject_peers[i]);
        return (const struct subject **)(void *)g_array_free(list, FALSE);
}

static int run_suite(const struct arguments *arguments, struct bench *named)
{
        g_autofree const struct subject **subjects = NULL;
        struct bench_suite suite = {
                .full = g_str_equal(arguments->suite, "full"),
                .out = arguments->out,
                .duration_ns = is_duration_given(arguments) ? named->duration_ns : 0,
                .repeat = arguments->repeat == NOT_GIVEN ? 0 : arguments->repeat,
                .version = NIPC_TOOL_VERSION,
                .only_subjects = arguments->profiles != NULL,
        };
        int status = COMMAND_SUCCESS;

        if (!suite.full && !g_str_equal(arguments->suite, "short"))
                return command_usage(&command_bench, "--suite takes short or full");
        if (!arguments->out || !arguments->out[0])
                return command_usage(&command_bench, "--suite needs --out");
        if (arguments->scenarios)
                return command_usage(&command_bench, "--suite takes no scenarios");
        if (arguments->profiles)
                status = choose_subjects(named, arguments->profiles, true);
        for (gsize n = strlen(arguments->out); n > 1 && arguments->out[n - 1] == '/'; n--)
                arguments->out[n - 1] = '\0';
        subjects = list_subjects(named);
        suite.subjects = subjects;
        return status == COMMAND_SUCCESS ? bench_suite_run(&suite) : status;
}

static int bench_with(const struct arguments *arguments)
{
        const char *const *scenarios = arguments->scenarios
                                               ? (const char *const *)arguments->scenarios
                                               : default_scenarios;
        struct bench bench = {0};
        int status;

        if (is_duration_given(arguments) &&
            (!(arguments->duration_s > 0) || arguments->duration_s > 86400))
                return command_usage(&command_bench, "--duration takes seconds, more than 0");
        if (!read_numbers(arguments, &bench))
                return COMMAND_USAGE;
        if (arguments->peers)
                subject_peer_set_directory(arguments->peers);
        if (arguments->gate)
                return bench_gate_run(bench_checks);
        if (arguments->suite)
                return run_suite(arguments, &bench);
        if (arguments->out)
                return command_usage(&command_bench, "--out is of --suite");
        status = check_scenarios(scenarios, arguments);
        if (status == COMMAND_SUCCESS)
                status = place(&bench, arguments->placement ? arguments->placement : "free");
        if (status == COMMAND_SUCCESS)
                status = choose_subjects(&bench, arguments->profiles, false);
        return status == COMMAND_SUCCESS ? run_and_write(&bench, arguments, scenarios) : status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct arguments arguments = {.duration_s = DURATION_NOT_GIVEN,
                                      .repeat = NOT_GIVEN,
                                      .depth = DEFAULT_DEPTH,
                                      .bytes = DEFAULT_BYTES};
        GOptionEntry entries[] = {
                {"profile", 0, 0, G_OPTION_ARG_STRING, &arguments.profiles,
                 "what to measure, of baseline,shm-hybrid,ring,bare-seqpacket,bare-shm,bare-futex,"
                 "bare-spin128,bare-epoll,bare-epoll-mt,bare-stream,bare-pipe,nng,zeromq,sd-bus,"
                 "gdbus,"
                 "grpc,iceoryx,node-ipc (default: the first five, and bare-epoll with its -mt for "
                 "clients, as far as they are there)",
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
                {"suite", 0, 0, G_OPTION_ARG_STRING, &arguments.suite,
                 "all scenarios, peers included, into the directory --out; short takes two to "
                 "four minutes",
                 "short|full"},
                {"out", 0, 0, G_OPTION_ARG_FILENAME, &arguments.out,
                 "suite: where the files go; a directory that is not there yet, or empty", "DIR"},
                {"peers", 0, 0, G_OPTION_ARG_FILENAME, &arguments.peers,
                 "where the programs of others are (default: where they were built)", "DIR"},
                {"gate", 0, 0, G_OPTION_ARG_NONE, &arguments.gate,
                 "fail if nipc is much slower, against bare rows, than it was", NULL},
                {"messages", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT64, &arguments.messages,
                 "exactly that many requests, in place of --duration", "N"},
                {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.scenarios, NULL,
                 NULL},
                {NULL},
        };
        int status;

        (void)context;
        if (command_parse(&command_bench, entries, &argc, &argv, &status)) {
                interrupt_init(NULL, NULL); /* directories are removed whatever happens */
                signal(SIGPIPE, SIG_IGN);   /* who is gone is a failure to tell of */
                status = bench_with(&arguments);
                interrupt_deinit();
        }
        g_strfreev(arguments.scenarios);
        g_free(arguments.profiles);
        g_free(arguments.placement);
        g_free(arguments.csv);
        g_free(arguments.clients);
        g_free(arguments.suite);
        g_free(arguments.out);
        g_free(arguments.peers);
        return status;
}

const struct command command_bench = {
        .name = "bench",
        .arguments =
                "[ping-pong|pipeline|batch|pipeline-batch|snapshot|lookup|large|clients|fairness|"
                "idle|lane]...",
        .summary = "measure round trips against the bare transport, as CSV",
        .run = run,
};
