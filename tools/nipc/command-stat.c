/* SPDX-License-Identifier: MIT */
/*
 * nipc stat: what a provider has done, by its own account. A table of what is not zero, the text as
 * a scraper takes it, or JSON. Our own session is one of those it counts.
 */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "interrupt.h"
#include "number.h"
#include "output.h"
#include "stat-reader.h"

#include <errno.h>
#include <nipc/endpoint.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "nipc_server_"

struct stat_options {
        gboolean prometheus;
        double interval_s;
        uint32_t timeout_ms;
};

static int say_failure(const struct stat_reader *reader, int error)
{
        g_autofree char *reason = stat_reader_describe(reader, error);

        return command_fail(&command_stat, "%s", reason);
}

static void on_interrupt(void *data)
{
        nipc_client_cancel(data);
}

/* Says what is wrong. NULL then. */
static struct metrics *read_metrics(struct stat_reader *reader)
{
        g_autofree char *text = NULL;
        struct metrics *metrics;
        gsize size;
        int r = stat_reader_read(reader, 0, &text, &size);

        if (r) {
                if (r != -ECANCELED)
                        say_failure(reader, r);
                return NULL;
        }
        metrics = metrics_parse(text, size);
        if (!metrics)
                command_fail(&command_stat, "%s: the provider's text cannot be understood",
                             reader->service);
        return metrics;
}

static char *format_labels(const struct metrics_sample *sample)
{
        GString *labels = g_string_new(NULL);

        for (guint i = 0; i < sample->n_labels; i++)
                g_string_append_printf(labels, "%s%s=%s", i ? " " : "", sample->labels[i].name,
                                       sample->labels[i].value);
        return g_string_free(labels, FALSE);
}

static double get_rate(const struct metrics_sample *sample, const struct metrics *before,
                       double seconds)
{
        const struct metrics_sample *old = metrics_find_same(before, sample);

        return (sample->value - (old ? old->value : 0)) / seconds;
}

static gboolean is_of_stages(const struct metrics_sample *sample)
{
        return g_str_has_prefix(sample->name, PREFIX "stage_seconds");
}

static void print_samples(const struct metrics *now, const struct metrics *before, double seconds)
{
        struct output_table *table = output_table_new(before ? 4 : 3);

        output_table_add(table, "METRIC", "LABELS", "VALUE", before ? "PER_SECOND" : NULL, NULL);
        for (guint i = 0; i < metrics_get_count(now); i++) {
                const struct metrics_sample *sample = metrics_get(now, i);
                g_autofree char *labels = format_labels(sample);
                g_autofree char *value = g_strdup_printf("%.10g", sample->value);
                g_autofree char *rate = NULL;

                if (sample->value == 0 || is_of_stages(sample))
                        continue;
                if (before)
                        rate = sample->is_counter
                                       ? g_strdup_printf("%.1f", get_rate(sample, before, seconds))
                                       : g_strdup("-");
                output_table_add(table,
                                 g_str_has_prefix(sample->name, PREFIX)
                                         ? sample->name + strlen(PREFIX)
                                         : sample->name,
                                 labels, value, rate, NULL);
        }
        output_table_finish(table, TRUE);
}

static char *format_us(double seconds)
{
        return seconds < 0 ? g_strdup("-") : g_strdup_printf("%.3g", seconds * 1e6);
}

static void print_stages(const struct metrics *now, const struct metrics *before)
{
        static const char *const stages[] = {"queue", "handle", "wake", "total"};
        struct output_table *table = output_table_new(5);

        printf("\n");
        output_table_add(table, "STAGE", "TIMED", "P50_US", "P90_US", "P99_US", NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(stages); i++) {
                const double n =
                        metrics_sum(now, PREFIX "stage_seconds_count", "stage", stages[i]) -
                        (before ? metrics_sum(before, PREFIX "stage_seconds_count", "stage",
                                              stages[i])
                                : 0);
                g_autofree char *count = g_strdup_printf("%.0f", n);
                g_autofree char *p50 = format_us(metrics_percentile(now, before, stages[i], 0.5));
                g_autofree char *p90 = format_us(metrics_percentile(now, before, stages[i], 0.9));
                g_autofree char *p99 = format_us(metrics_percentile(now, before, stages[i], 0.99));

                output_table_add(table, stages[i], count, p50, p90, p99, NULL);
        }
        output_table_finish(table, TRUE);
}

static void add_sample(JsonBuilder *builder, const struct metrics_sample *sample,
                       const struct metrics *before, double seconds)
{
        json_builder_begin_object(builder);
        output_add_string(builder, "name", sample->name);
        json_builder_set_member_name(builder, "labels");
        json_builder_begin_object(builder);
        for (guint i = 0; i < sample->n_labels; i++)
                output_add_string(builder, sample->labels[i].name, sample->labels[i].value);
        json_builder_end_object(builder);
        output_add_double(builder, "value", sample->value);
        if (before && sample->is_counter)
                output_add_double(builder, "per_second", get_rate(sample, before, seconds));
        json_builder_end_object(builder);
}

static void print_json(const struct stat_reader *reader, const struct metrics *now,
                       const struct metrics *before, double seconds)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        output_add_string(builder, "service", reader->service);
        output_add_string(builder, "run_dir", reader->run_dir);
        json_builder_set_member_name(builder, "metrics");
        json_builder_begin_array(builder);
        for (guint i = 0; i < metrics_get_count(now); i++)
                add_sample(builder, metrics_get(now, i), before, seconds);
        json_builder_end_array(builder);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
}

/* As it came, but for what could drive a terminal, which no honest provider writes. */
static void print_text(const char *text, gsize size)
{
        const char *end = text + size, *next;

        for (; text < end; text = next + 1) {
                g_autofree char *line = NULL;

                next = memchr(text, '\n', (gsize)(end - text));
                if (!next)
                        next = end;
                line = output_escape(text, (gsize)(next - text));
                puts(line);
        }
}

static int show_prometheus(struct stat_reader *reader)
{
        g_autofree char *text = NULL;
        gsize size;
        int r = stat_reader_read(reader, 0, &text, &size);

        if (r)
                return r == -ECANCELED ? COMMAND_FAILURE : say_failure(reader, r);
        print_text(text, size);
        return COMMAND_SUCCESS;
}

static int show(struct stat_reader *reader, const struct command_context *context,
                const struct stat_options *options)
{
        struct metrics *before = NULL, *now = read_metrics(reader);
        gint64 before_us = reader->read_us;
        double seconds = 0;

        if (now && options->interval_s > 0) {
                before = now;
                interrupt_pause_us((int64_t)(options->interval_s * 1e6));
                now = read_metrics(reader);
                seconds = MAX((double)(reader->read_us - before_us) / 1e6, 1e-6);
        }
        if (now && context->json) {
                print_json(reader, now, before, seconds);
        } else if (now) {
                print_samples(now, before, seconds);
                print_stages(now, before);
        }
        metrics_free(before);
        if (!now)
                return COMMAND_FAILURE;
        metrics_free(now);
        return COMMAND_SUCCESS;
}

static int stat_service(const struct command_context *context, const char *service,
                        const struct stat_options *options)
{
        struct stat_reader reader;
        int status;
        int r = stat_reader_init(&reader, &command_stat, context, service, options->timeout_ms);

        if (!r)
                r = interrupt_init(on_interrupt, reader.client);
        if (r) {
                g_autofree char *reason = failure_describe_endpoint(r, context->run_dir, service);

                stat_reader_deinit(&reader);
                return command_fail(&command_stat, "%s", reason);
        }
        status = options->prometheus ? show_prometheus(&reader) : show(&reader, context, options);
        interrupt_deinit();
        stat_reader_deinit(&reader);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct stat_options options = {.prometheus = FALSE};
        gint64 timeout_ms = 5000;
        const GOptionEntry entries[] = {
                {"prometheus", 0, 0, G_OPTION_ARG_NONE, &options.prometheus,
                 "Print the text as the provider wrote it, for a scraper", NULL},
                {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &options.interval_s,
                 "Look twice, that many seconds apart, and show rates", "S"},
                {"timeout", 0, 0, G_OPTION_ARG_INT64, &timeout_ms,
                 "Milliseconds to wait for an answer (default: 5000)", "MS"},
                {NULL},
        };
        int status;

        if (!command_parse(&command_stat, entries, &argc, &argv, &status))
                return status;
        if (argc != 2)
                return command_usage(&command_stat, "name one endpoint");
        if (!endpoints_check_name(&command_stat, argv[1]))
                return COMMAND_USAGE;
        if (!(options.interval_s >= 0 && options.interval_s <= 86400))
                return command_usage(&command_stat, "--interval needs seconds from 0 to 86400");
        if (options.prometheus && (context->json || options.interval_s > 0))
                return command_usage(&command_stat,
                                     "--prometheus goes with neither --json nor --interval");
        if (!number_check_u32(&command_stat, "--timeout", timeout_ms, 1, UINT32_MAX,
                              &options.timeout_ms))
                return COMMAND_USAGE;
        return stat_service(context, argv[1], &options);
}

const struct command command_stat = {
        .name = "stat",
        .arguments = "NAME",
        .summary = "Show what a provider has done: requests, times, sessions, trouble",
        .uses_run_dir = true,
        .run = run,
};
