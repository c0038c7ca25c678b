/* SPDX-License-Identifier: MIT */
/*
 * nipc top: the services of the run directory, one row each, looked at again and again. Rates and
 * percentiles are of the time between two looks; before there were two, percentiles are of all time
 * and there are no rates. On a terminal each picture takes the place of the last one. Our own
 * sessions are among those shown. Providers are asked side by side, each by one thread: who hangs
 * delays nobody else, and is shown to hang.
 */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "interrupt.h"
#include "number.h"
#include "output.h"
#include "stat-reader.h"

#include <errno.h>
#include <math.h>
#include <nipc/endpoint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "nipc_server_"

/* All are asked side by side, and have that long to answer. */
#define TOP_TIMEOUT_MS 500

/* At a time; chosen: threads cost little, but a run directory is not to decide how many. */
#define TOP_MAX_THREADS 64

struct service {
        char *name;
        struct stat_reader reader;
        struct metrics *before;
        struct metrics *now;
        double seconds; /* between the two */
        int64_t pid;
        int error;      /* of the last reading */
        gboolean asked; /* for this picture, or it was too late for that */
        gboolean seen;  /* in this picture */
};

struct top {
        const struct command_context *context;
        double interval_s;
        uint32_t count; /* 0: until interrupted */
        GHashTable *services;
        gint64 deadline_us; /* of this picture */
};

static void service_free(void *data)
{
        struct service *service = data;

        stat_reader_deinit(&service->reader);
        metrics_free(service->before);
        metrics_free(service->now);
        g_free(service->name);
        g_free(service);
}

static struct service *get_service(struct top *top, const char *name)
{
        struct service *service = g_hash_table_lookup(top->services, name);

        if (service)
                return service;
        service = g_new0(struct service, 1);
        service->name = g_strdup(name);
        service->error = stat_reader_init(&service->reader, &command_top, top->context,
                                          service->name, TOP_TIMEOUT_MS);
        g_hash_table_insert(top->services, service->name, service);
        return service;
}

/* On any thread, which has the service to itself meanwhile. */
static void read_service(const struct top *top, struct service *service)
{
        const gint64 before_us = service->reader.read_us;
        const gint64 left_us = top->deadline_us - g_get_monotonic_time();
        g_autofree char *text = NULL;
        struct metrics *now = NULL;
        gsize size;

        service->asked = left_us >= 1000;
        if (service->asked) {
                service->error = stat_reader_read(&service->reader, (uint32_t)(left_us / 1000),
                                                  &text, &size);
                if (!service->error) {
                        now = metrics_parse(text, size);
                        if (!now)
                                service->error = -EBADMSG;
                }
        }
        metrics_free(service->before);
        service->before = service->now;
        service->now = now;
        service->seconds = MAX((double)(service->reader.read_us - before_us) / 1e6, 1e-6);
}

/* Those that answered the last time come first: where threads are short, the others wait. */
static gint compare_hope(gconstpointer a, gconstpointer b)
{
        const struct service *first = *(const struct service *const *)a;
        const struct service *second = *(const struct service *const *)b;

        return (first->error != 0) - (second->error != 0);
}

/* What the threads of one picture share. */
struct reading {
        const struct top *top;
        GPtrArray *order;
        atomic_uint next; /* the first that nobody has taken */
};

static void *read_some(void *data)
{
        struct reading *reading = data;
        unsigned i;

        /* Relaxed: each is taken once; threads see what was before they were made. */
        while ((i = atomic_fetch_add_explicit(&reading->next, 1, memory_order_relaxed)) <
               reading->order->len)
                read_service(reading->top, reading->order->pdata[i]);
        return NULL;
}

static void read_services(struct top *top, const GPtrArray *rows)
{
        g_autoptr(GPtrArray) order = g_ptr_array_new();
        struct reading reading = {.top = top, .order = order};
        pthread_t threads[TOP_MAX_THREADS];
        unsigned n_threads = 0;

        for (guint i = 0; i < rows->len; i++) {
                struct service *service = rows->pdata[i];

                if (service->reader.client)
                        g_ptr_array_add(order, service);
        }
        g_ptr_array_sort(order, compare_hope);
        top->deadline_us = g_get_monotonic_time() + TOP_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
        /* We are one of them, and all there is if no other can be had. */
        while (n_threads + 1 < MIN(order->len, TOP_MAX_THREADS) &&
               pthread_create(&threads[n_threads], NULL, read_some, &reading) == 0)
                n_threads++;
        read_some(&reading);
        while (n_threads)
                pthread_join(threads[--n_threads], NULL);
}

/* Whether there is a provider; those that are not live have no row. */
static gboolean look_at(struct top *top, const char *name)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        struct service *service;

        if (nipc_endpoint_probe(top->context->run_dir, name, false, &info) ||
            info.state == NIPC_ENDPOINT_ABSENT || info.state == NIPC_ENDPOINT_DEAD)
                return FALSE;
        service = get_service(top, name);
        if (service->pid != info.pid) { /* another provider, which counts from 0 */
                metrics_free(service->now);
                service->now = NULL;
        }
        service->pid = info.pid;
        service->seen = TRUE;
        return TRUE;
}

static gboolean is_unseen(void *key, void *value, void *data)
{
        struct service *service = value;
        gboolean unseen = !service->seen;

        service->seen = FALSE;
        return unseen;
}

/* ---- figures -------------------------------------------------------------------------------- */

enum figure {
        SESSIONS,
        REQUESTS,
        ERRORS,
        HANDLE_P50,
        HANDLE_P99,
        TOTAL_P50,
        TOTAL_P99,
        BYTES_IN,
        BYTES_OUT,
        N_FIGURES,
};

static const struct {
        const char *title;
        const char *json;
        double scale;
} figures[N_FIGURES] = {
        [SESSIONS] = {"SESSIONS", "sessions", 1},
        [REQUESTS] = {"REQ/S", "requests_per_second", 1},
        [ERRORS] = {"ERR/S", "errors_per_second", 1},
        [HANDLE_P50] = {"HANDLE_P50_US", "handle_p50_us", 1e6},
        [HANDLE_P99] = {"P99", "handle_p99_us", 1e6},
        [TOTAL_P50] = {"TOTAL_P50_US", "total_p50_us", 1e6},
        [TOTAL_P99] = {"P99", "total_p99_us", 1e6},
        [BYTES_IN] = {"IN_B/S", "request_bytes_per_second", 1},
        [BYTES_OUT] = {"OUT_B/S", "response_bytes_per_second", 1},
};

static double get_rate(const struct service *service, const char *name)
{
        double now = metrics_sum(service->now, name, NULL, NULL);

        if (!service->before)
                return -1;
        return MAX(now - metrics_sum(service->before, name, NULL, NULL), 0) / service->seconds;
}

static double get_error_rate(const struct service *service)
{
        static const char name[] = PREFIX "requests_total";
        double errors;

        if (!service->before)
                return -1;
        errors = metrics_sum(service->now, name, NULL, NULL) -
                 metrics_sum(service->before, name, NULL, NULL) -
                 metrics_sum(service->now, name, "status", "ok") +
                 metrics_sum(service->before, name, "status", "ok") +
                 metrics_sum(service->now, PREFIX "dropped_requests_total", NULL, NULL) -
                 metrics_sum(service->before, PREFIX "dropped_requests_total", NULL, NULL);
        return MAX(errors, 0) / service->seconds;
}

/* Below 0: not known. */
static double get_figure(const struct service *service, enum figure figure)
{
        if (!service->now)
                return -1;
        switch (figure) {
        case SESSIONS:
                return metrics_sum(service->now, PREFIX "sessions", NULL, NULL);
        case REQUESTS:
                return get_rate(service, PREFIX "requests_total");
        case ERRORS:
                return get_error_rate(service);
        case HANDLE_P50:
                return metrics_percentile(service->now, service->before, "handle", 0.5);
        case HANDLE_P99:
                return metrics_percentile(service->now, service->before, "handle", 0.99);
        case TOTAL_P50:
                return metrics_percentile(service->now, service->before, "total", 0.5);
        case TOTAL_P99:
                return metrics_percentile(service->now, service->before, "total", 0.99);
        case BYTES_IN:
                return get_rate(service, PREFIX "request_bytes_total");
        case BYTES_OUT:
                return get_rate(service, PREFIX "response_bytes_total");
        case N_FIGURES:
                break;
        }
        return -1;
}

/* "ring=2 baseline=1" */
static char *format_profiles(const struct service *service)
{
        GString *text = g_string_new(NULL);

        for (guint i = 0; service->now && i < metrics_get_count(service->now); i++) {
                const struct metrics_sample *sample = metrics_get(service->now, i);

                if (strcmp(sample->name, PREFIX "sessions") == 0 && sample->value > 0 &&
                    sample->n_labels == 1)
                        g_string_append_printf(text, "%s%s=%.0f", text->len ? " " : "",
                                               sample->labels[0].value, sample->value);
        }
        return g_string_free(text, FALSE);
}

/* Why there are no figures. NULL: there are. Owned. */
static char *format_trouble(const struct service *service)
{
        if (service->now)
                return NULL;
        if (service->error == -EOPNOTSUPP)
                return g_strdup("does not tell");
        if (service->reader.client && !service->asked)
                return g_strdup("not asked: too many do not answer");
        if (service->error == -ETIMEDOUT)
                return g_strdup_printf("hangs: no answer in %d ms", TOP_TIMEOUT_MS);
        return g_strdup("no answer");
}

/* ---- pictures ------------------------------------------------------------------------------- */

static void add_row(struct output_table *table, const struct service *service)
{
        g_autofree char *pid = service->pid < 0
                                       ? g_strdup("-")
                                       : g_strdup_printf("%" G_GINT64_FORMAT, service->pid);
        g_autofree char *profiles = format_profiles(service);
        g_autofree char *trouble = format_trouble(service);
        char *cells[N_FIGURES];

        for (int i = 0; i < N_FIGURES; i++) {
                double value = get_figure(service, (enum figure)i);

                cells[i] = value < 0 ? g_strdup("-")
                                     : g_strdup_printf("%.*g", 6, value * figures[i].scale);
        }
        output_table_add(table, service->name, pid, cells[0], cells[1], cells[2], cells[3],
                         cells[4], cells[5], cells[6], cells[7], cells[8],
                         trouble ? trouble : profiles, NULL);
        for (int i = 0; i < N_FIGURES; i++)
                g_free(cells[i]);
}

static void add_json(JsonBuilder *builder, const struct service *service)
{
        g_autofree char *profiles = format_profiles(service);
        g_autofree char *trouble = format_trouble(service);

        json_builder_begin_object(builder);
        output_add_string(builder, "name", service->name);
        output_add_number(builder, "pid", service->pid);
        output_add_string(builder, "profiles", service->now ? profiles : NULL);
        output_add_string(builder, "trouble", trouble);
        for (int i = 0; i < N_FIGURES; i++) {
                double value = get_figure(service, (enum figure)i);

                output_add_double(builder, figures[i].json,
                                  value < 0 ? INFINITY : value * figures[i].scale);
        }
        json_builder_end_object(builder);
}

static void draw_json(struct top *top, const GPtrArray *rows)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_array(builder);
        for (guint i = 0; i < rows->len; i++)
                add_json(builder, rows->pdata[i]);
        json_builder_end_array(builder);
        output_json_builder(builder, TRUE);
        fflush(stdout);
}

static void draw(struct top *top, const GPtrArray *rows, gboolean is_first)
{
        struct output_table *table = output_table_new(N_FIGURES + 3);

        output_table_add(table, "NAME", "PID", figures[0].title, figures[1].title, figures[2].title,
                         figures[3].title, figures[4].title, figures[5].title, figures[6].title,
                         figures[7].title, figures[8].title, "PROFILES", NULL);
        for (guint i = 0; i < rows->len; i++)
                add_row(table, rows->pdata[i]);
        if (isatty(STDOUT_FILENO))
                fputs("\033[H\033[J", stdout);
        else if (!is_first)
                putchar('\n');
        output_table_finish(table, TRUE);
        fflush(stdout);
}

/* One picture. Returns whether the run directory could be read. */
static gboolean look(struct top *top, gboolean is_first)
{
        g_autoptr(GPtrArray) names = endpoints_list(&command_top, top->context->run_dir);
        g_autoptr(GPtrArray) rows = g_ptr_array_new();

        if (!names)
                return FALSE;
        for (guint i = 0; i < names->len && !interrupt_is_set(); i++)
                if (look_at(top, names->pdata[i]))
                        g_ptr_array_add(rows, g_hash_table_lookup(top->services, names->pdata[i]));
        if (!interrupt_is_set())
                read_services(top, rows);
        if (interrupt_is_set())
                return TRUE;
        if (top->context->json)
                draw_json(top, rows);
        else
                draw(top, rows, is_first);
        g_hash_table_foreach_remove(top->services, is_unseen, NULL);
        return TRUE;
}

static int run_top(struct top *top)
{
        int status = COMMAND_SUCCESS;
        int r = interrupt_init(NULL, NULL);

        if (r) {
                g_autofree char *reason = failure_describe_local(r);

                return command_fail(&command_top, "cannot begin: %s", reason);
        }
        top->services = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, service_free);
        for (uint32_t n = 0; !interrupt_is_set(); n++) {
                if (!look(top, n == 0)) {
                        status = COMMAND_FAILURE;
                        break;
                }
                if ((top->count && n + 1 >= top->count) || ferror(stdout) ||
                    !interrupt_pause_us((int64_t)(top->interval_s * 1e6)))
                        break;
        }
        g_hash_table_unref(top->services);
        interrupt_deinit();
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct top top = {.context = context, .interval_s = 1.0};
        gint64 count = 0;
        const GOptionEntry entries[] = {
                {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &top.interval_s,
                 "Seconds between two looks (default: 1)", "S"},
                {"count", 'c', 0, G_OPTION_ARG_INT64, &count,
                 "Looks to take (default: until interrupted)", "N"},
                {NULL},
        };
        int status;

        if (!command_parse(&command_top, entries, &argc, &argv, &status))
                return status;
        if (argc > 1)
                return command_usage(&command_top, "takes no arguments, but got '%s'", argv[1]);
        if (!(top.interval_s >= 0.01 && top.interval_s <= 86400))
                return command_usage(&command_top, "--interval needs seconds from 0.01 to 86400");
        if (!number_check_u32(&command_top, "--count", count, 0, UINT32_MAX, &top.count))
                return COMMAND_USAGE;
        return run_top(&top);
}

const struct command command_top = {
        .name = "top",
        .arguments = "",
        .summary = "Show the services of the run directory live, with what they do",
        .uses_run_dir = true,
        .run = run,
};
