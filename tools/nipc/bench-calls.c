/* SPDX-License-Identifier: MIT */

/*
 * What a suite has other programs measure. System calls per round trip are counted by strace: two
 * runs that differ in nothing but the number of round trips, the difference divided. Caches are
 * measured by programs of bench/, which say of every row what it is against the bare one.
 */

#include "bench-suite.h"
#include "command.h"
#include "interrupt.h"
#include "subject-peer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW  500
#define MANY 2500
#define MOST 100500

void bench_skip(FILE *skipped, const char *what, const char *reason)
{
        fprintf(stderr, "nipc bench: %s: skipped, %s\n", what, reason);
        bench_write_quoted(skipped, what);
        fputc(',', skipped);
        bench_write_quoted(skipped, reason);
        fputc('\n', skipped);
}

/* ---- system calls --------------------------------------------------------------------------- */

/* The sum that strace -c ends with: "100.00 0.012 12 1000 10 total", errors only if there are. */
static bool read_total(const char *path, double *ret_calls)
{
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        if (!g_file_get_contents(path, &text, NULL, NULL))
                return false;
        lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i]; i++) {
                double share, seconds, each, calls;

                if (g_str_has_suffix(lines[i], " total") &&
                    sscanf(lines[i], "%lf %lf %lf %lf", &share, &seconds, &each, &calls) == 4) {
                        *ret_calls = calls;
                        return true;
                }
        }
        return false;
}

static enum bench_placement placement(void)
{
        return g_get_num_processors() < 2 ? BENCH_PLACEMENT_SAME : BENCH_PLACEMENT_TWO;
}

static bool count_calls(const char *strace, const char *log, const char *scenario,
                        const char *subject, int n_messages, double *ret_calls)
{
        g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
        g_autofree char *messages = g_strdup_printf("%d", n_messages);
        g_autofree char *line =
                g_strjoin("\n", strace, "-f", "-c", "-o", log, self, "bench", scenario, "--profile",
                          subject, "--repeat", "1", "--placement",
                          bench_placement_names[placement()], "--messages", messages, NULL);
        g_auto(GStrv) argv = g_strsplit(line, "\n", -1);
        int status;

        return g_spawn_sync(NULL, argv, NULL,
                            G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                            NULL, NULL, &status, NULL) &&
               status == 0 && read_total(log, ret_calls);
}

static int write_calls_of(FILE *csv, const char *dir, const char *strace, const char *scenario,
                          const char *subject)
{
        g_autofree char *log = g_build_filename(dir, "strace.log", NULL);
        double few, many, each = 0;
        int n = MANY;
        bool done;

        /* What makes hardly any is fast, and takes many messages to tell. */
        for (;; n = MOST) {
                done = count_calls(strace, log, scenario, subject, FEW, &few) &&
                       count_calls(strace, log, scenario, subject, n, &many);
                each = done ? (many - few) / (n - FEW) : 0;
                if (!done || each >= 1 || n == MOST)
                        break;
        }
        if (done)
                fprintf(csv, "%s,%s,%d,%.3f\n", scenario, subject, n - FEW, MAX(each, 0));
        unlink(log);
        return done ? COMMAND_SUCCESS : COMMAND_FAILURE;
}

int bench_write_calls(const char *dir, const struct bench_suite *suite, FILE *skipped)
{
        static const enum subject_scenario scenarios[] = {SUBJECT_PING_PONG, SUBJECT_PIPELINE};
        g_autofree char *strace = g_find_program_in_path("strace");
        FILE *csv = bench_suite_open(dir, "calls.csv");

        if (!csv)
                return COMMAND_FAILURE;
        fputs("scenario,profile,messages,calls_per_message\n", csv);
        if (!strace)
                bench_skip(skipped, "system calls", "strace is not installed");
        for (guint i = 0; strace && i < G_N_ELEMENTS(scenarios); i++)
                for (guint k = 0; suite->subjects[k] && !interrupt_is_set(); k++) {
                        const struct subject *subject = suite->subjects[k];
                        const char *name = bench_scenario_names[scenarios[i]];
                        const struct bench bench = {.placement = placement()};
                        g_autofree char *why_not = bench_why_not(&bench, subject);
                        g_autofree char *what =
                                g_strdup_printf("system calls of %s, %s", name, subject->name);

                        if (subject->slice || !subject_can(subject, scenarios[i]) || why_not)
                                continue;
                        if (write_calls_of(csv, dir, strace, name, subject->name) !=
                            COMMAND_SUCCESS)
                                bench_skip(skipped, what, "strace did not count them");
                }
        return bench_suite_close(csv, "calls.csv");
}

/* ---- caches --------------------------------------------------------------------------------- */

/* "1000     bare hit    4.15   3.85   22.48   1.00   1.00  1.00": other lines are for readers. */
static void write_cache_line(FILE *csv, const char *program, const char *line)
{
        g_auto(GStrv) fields = g_regex_split_simple("  +", line, 0, 0);
        char *end;

        if (g_strv_length(fields) != 8 || strtoul(fields[0], &end, 10) == 0 || *end)
                return;
        fprintf(csv, "%s,%s,", program, fields[0]);
        bench_write_quoted(csv, fields[1]);
        for (guint i = 2; i < 8; i++)
                fprintf(csv, ",%s", fields[i]);
        fputc('\n', csv);
}

static int write_caches_of(FILE *csv, const struct bench_suite *suite, const char *program,
                           char *path)
{
        char quick[] = "--quick";
        /* A suite that was told to be quick wants to know whether it works. */
        char *argv[] = {path, suite->duration_ns ? quick : NULL, NULL};
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        int status;

        if (!g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, &text, NULL, &status, NULL) ||
            status != 0)
                return command_fail(&command_bench, "%s failed", program);
        lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i]; i++)
                write_cache_line(csv, program, lines[i]);
        return COMMAND_SUCCESS;
}

int bench_write_caches(const char *dir, const struct bench_suite *suite, FILE *skipped)
{
        static const char *const programs[] = {"bench-cache", "bench-lookup-cache"};
        FILE *csv = bench_suite_open(dir, "cache.csv");
        int status = COMMAND_SUCCESS, closed;

        if (!csv)
                return COMMAND_FAILURE;
        fputs("program,items,row,median_ns,p10_ns,p90_ns,ratio,ratio_p10,ratio_p90\n", csv);
        for (guint i = 0; status == COMMAND_SUCCESS && i < G_N_ELEMENTS(programs); i++) {
                g_autofree char *path = subject_peer_find_program(programs[i]);

                if (suite->only_subjects)
                        bench_skip(skipped, programs[i], "profiles were named");
                else if (!path)
                        bench_skip(skipped, programs[i], "it is not beside this program");
                else
                        status = write_caches_of(csv, suite, programs[i], path);
        }
        closed = bench_suite_close(csv, "cache.csv");
        return status == COMMAND_SUCCESS ? closed : status;
}
