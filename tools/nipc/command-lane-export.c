/* SPDX-License-Identifier: MIT */
/*
 * nipc lane export: the timeline of a pool's file or a recording, from records as <nipc/trace.h>
 * lays them out, as the JSON of Chrome's trace viewer, which Perfetto opens. The file is read
 * twice: names count for events before them, too. Memory: the names, and a few words for each
 * thread.
 */
#include "lane.h"

#include <errno.h>
#include <nipc/trace.h>
#include <string.h>

#define TID_OF_LANE UINT64_C(4294967296) /* of lane 0, where a thread's number is not known */

struct thread {
        uint64_t depth;   /* calls that began, and did not end */
        uint64_t time_ns; /* of its last event */
        bool has_time;
};

struct export
{
        const char *path;
        FILE *out;
        uint64_t pid;
        GHashTable *names;   /* number to text, valid UTF-8 */
        GHashTable *threads; /* to struct thread */
        bool has_event;      /* one is written: the next one needs a comma */
        uint64_t n_events, n_ignored, n_skipped;
};

static guint64 *copy_number(uint64_t number)
{
        guint64 *copy = g_new(guint64, 1);

        *copy = number;
        return copy;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void write_string(FILE *out, const char *text)
{
        putc('"', out);
        for (const char *p = text; *p; p++)
                if (*p == '"' || *p == '\\')
                        fprintf(out, "\\%c", *p);
                else if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        fprintf(out, "\\u%04x", *p);
                else
                        putc(*p, out);
        putc('"', out);
}

static void begin_event(struct export *export, const char *kind, uint64_t tid)
{
        fprintf(export->out,
                "%s\n{\"ph\":\"%s\",\"pid\":%" G_GUINT64_FORMAT ",\"tid\":%" G_GUINT64_FORMAT,
                export->has_event ? "," : "", kind, export->pid, tid);
        export->has_event = true;
}

/* Microseconds, in which the format counts, without losing a nanosecond. */
static void write_time(struct export *export, const char *name, uint64_t time_ns)
{
        fprintf(export->out, ",\"%s\":%" G_GUINT64_FORMAT ".%03u", name, time_ns / 1000,
                (unsigned)(time_ns % 1000));
}

static void write_name(struct export *export, const char *name)
{
        fputs(",\"name\":", export->out);
        write_string(export->out, name);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A NUL ends it. */
static char *take_text(const void *bytes, uint32_t size)
{
        return g_utf8_make_valid(bytes, (gssize)strnlen(bytes, size));
}

/* Returns the text of a record that names something, or NULL; owned. */
static char *read_name(const struct nipc_lane_record *record, struct nipc_trace_name *ret_head)
{
        if (record->size < sizeof(*ret_head))
                return NULL;
        memcpy(ret_head, record->data, sizeof(*ret_head));
        return take_text((const char *)record->data + sizeof(*ret_head),
                         record->size - (uint32_t)sizeof(*ret_head));
}

/* Names count for what comes before them, too, and so does the number of the process. */
static void take_name(struct export *export, const struct nipc_lane_record *record)
{
        struct nipc_trace_name head;
        g_autofree char *text = read_name(record, &head);

        if (!text)
                return;
        if (record->type == NIPC_TRACE_NAME && head.number)
                g_hash_table_replace(export->names, copy_number(head.number),
                                     g_steal_pointer(&text));
        else if (record->type == NIPC_TRACE_PROCESS)
                export->pid = head.number;
}

static void write_title(struct export *export, const struct nipc_lane_record *record)
{
        const char *what = record->type == NIPC_TRACE_PROCESS ? "process_name" : "thread_name";
        struct nipc_trace_name head;
        g_autofree char *text = read_name(record, &head);

        if (!text)
                return;
        begin_event(export, "M", record->type == NIPC_TRACE_PROCESS ? 0 : head.number);
        write_name(export, what);
        fputs(",\"args\":{\"name\":", export->out);
        write_string(export->out, text);
        fputs("}}", export->out);
}

static bool is_name(uint32_t type)
{
        return type == NIPC_TRACE_NAME || type == NIPC_TRACE_THREAD || type == NIPC_TRACE_PROCESS;
}

/* ---- events ---------------------------------------------------------------------------------- */

static uint64_t get_tid(const struct nipc_lane_record *record, uint32_t told)
{
        return told ? told : record->tid ? record->tid : TID_OF_LANE + record->lane;
}

static struct thread *get_thread(struct export *export, uint64_t tid)
{
        struct thread *thread = g_hash_table_lookup(export->threads, &tid);

        if (!thread) {
                thread = g_new0(struct thread, 1);
                g_hash_table_insert(export->threads, copy_number(tid), thread);
        }
        return thread;
}

static void write_event_name(struct export *export, const struct nipc_trace_event *event,
                             const char *text, uint32_t size)
{
        const char *name = g_hash_table_lookup(export->names, &event->name);
        g_autofree char *made = NULL;

        if (event->name == 0)
                made = take_text(text, size);
        else if (!name)
                made = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", event->name);
        write_name(export, made ? made : name);
}

/* Whether the kind is known, and the thread's state lets it be. */
static bool accept(struct thread *thread, uint32_t kind, bool has_value)
{
        switch (kind) {
        case NIPC_TRACE_BEGIN:
                thread->depth++;
                return true;
        case NIPC_TRACE_END: /* without its beginning, which was lost, it would end another one */
                if (!thread->depth)
                        return false;
                thread->depth--;
                return true;
        case NIPC_TRACE_COMPLETE:
        case NIPC_TRACE_COUNTER:
                return has_value;
        case NIPC_TRACE_INSTANT:
                return true;
        default:
                return false;
        }
}

static void write_event(struct export *export, const struct nipc_lane_record *record)
{
        const char *rest = record->data;
        uint32_t left = record->size;
        struct nipc_trace_event event;
        struct thread *thread;
        char kind[2] = {0};
        int64_t value = 0;
        bool has_value;
        uint64_t tid;

        if (left < sizeof(event)) {
                export->n_ignored++;
                return;
        }
        memcpy(&event, rest, sizeof(event));
        rest += sizeof(event);
        left -= (uint32_t)sizeof(event);
        has_value = (event.kind == NIPC_TRACE_COMPLETE || event.kind == NIPC_TRACE_COUNTER) &&
                    left >= sizeof(value);
        if (has_value) {
                memcpy(&value, rest, sizeof(value));
                rest += sizeof(value);
                left -= (uint32_t)sizeof(value);
        }
        tid = get_tid(record, event.tid);
        thread = get_thread(export, tid);
        if (!accept(thread, event.kind, has_value)) {
                export->n_ignored++;
                return;
        }
        thread->time_ns = event.time_ns;
        thread->has_time = true;
        kind[0] = (char)event.kind;
        begin_event(export, kind, tid);
        write_time(export, "ts", event.time_ns);
        if (event.kind != NIPC_TRACE_END || event.name || left)
                write_event_name(export, &event, rest, left);
        if (event.kind == NIPC_TRACE_COMPLETE)
                write_time(export, "dur", value < 0 ? 0 : (uint64_t)value);
        if (event.kind == NIPC_TRACE_INSTANT)
                fputs(",\"s\":\"t\"", export->out);
        if (event.kind == NIPC_TRACE_COUNTER)
                fprintf(export->out, ",\"args\":{\"value\":%" G_GINT64_FORMAT "}", value);
        putc('}', export->out);
        export->n_events++;
}

/* As an instant, after the last event before it. */
static void write_gap(struct export *export, const struct nipc_lane_record *record)
{
        const uint64_t tid = get_tid(record, 0);
        const struct thread *thread = get_thread(export, tid);

        if (!thread->has_time)
                return;
        begin_event(export, "i", tid);
        write_time(export, "ts", thread->time_ns);
        fprintf(export->out, ",\"s\":\"t\",\"name\":\"%" G_GUINT64_FORMAT " records are missing\"}",
                record->n_dropped + record->n_recycled);
}

/* ---- the file -------------------------------------------------------------------------------- */

static int read_names(struct export *export, struct lane_input *input)
{
        struct nipc_lane_piece piece;
        int r;

        while ((r = nipc_lane_recovery_next(input->recovery, &piece)) == 0) {
                export->n_skipped += piece.skip != NIPC_LANE_SKIP_NONE;
                if (!piece.skip && is_name(piece.record.type))
                        take_name(export, &piece.record);
        }
        return r;
}

static int write_events(struct export *export, struct lane_input *input)
{
        struct nipc_lane_piece piece;
        int r = 0;

        while (!ferror(export->out) &&
               (r = nipc_lane_recovery_next(input->recovery, &piece)) == 0) {
                if (piece.skip || piece.record.type == NIPC_TRACE_NAME)
                        continue;
                if (is_name(piece.record.type))
                        write_title(export, &piece.record);
                else if (piece.record.type == NIPC_LANE_GAP)
                        write_gap(export, &piece.record);
                else if (piece.record.type == NIPC_TRACE_EVENT)
                        write_event(export, &piece.record);
                else
                        export->n_ignored++;
        }
        return ferror(export->out) ? -EIO : r;
}

static int write_all(struct export *export, struct lane_input *input)
{
        int r;

        export->pid = input->info.pid;
        fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", export->out);
        r = read_names(export, input);
        if (r == -ENODATA && !lane_input_rewind(&command_lane_export, export->path, input))
                return COMMAND_FAILURE;
        if (r == -ENODATA)
                r = write_events(export, input);
        fputs("\n]}\n", export->out);
        if (fflush(export->out) == EOF || ferror(export->out))
                return command_fail(&command_lane_export, "the output cannot be written");
        if (r != -ENODATA)
                return command_fail(&command_lane_export, "%s: %s", export->path,
                                    lane_error_name(r));
        if (export->n_ignored || export->n_skipped)
                fprintf(stderr,
                        "nipc lane export: %s: %" G_GUINT64_FORMAT
                        " records are not of a timeline, %" G_GUINT64_FORMAT
                        " places were skipped\n",
                        export->path, export->n_ignored, export->n_skipped);
        if (!export->n_events)
                return command_fail(&command_lane_export, "%s: no events", export->path);
        return COMMAND_SUCCESS;
}

static int export_file(const char *path, const char *output)
{
        struct export export = {.path = path, .out = stdout};
        struct lane_input input;
        int status;

        if (!lane_input_open(&command_lane_export, path, &input))
                return COMMAND_FAILURE;
        if (output)
                export.out = fopen(output, "wxe") /* which might be the input */;
        if (!export.out) {
                status = command_fail(&command_lane_export, "%s: %s", output, g_strerror(errno));
        } else {
                export.names = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
                export.threads = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
                status = write_all(&export, &input);
                g_hash_table_unref(export.names);
                g_hash_table_unref(export.threads);
                if (output && fclose(export.out) == EOF && status == COMMAND_SUCCESS)
                        status = command_fail(&command_lane_export, "%s: %s", output,
                                              g_strerror(errno));
        }
        lane_input_close(&input);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        g_autofree char *output = NULL;
        g_autofree char *format = NULL;
        const GOptionEntry entries[] = {
                {"format", 'f', 0, G_OPTION_ARG_STRING, &format, "chrome, which is the default",
                 "FORMAT"},
                {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
                 "The file to be written (default: standard output)", "FILE"},
                {NULL},
        };
        int status;

        if (!command_parse(&command_lane_export, entries, &argc, &argv, &status))
                return status;
        if (argc != 2)
                return command_usage(&command_lane_export, "expected one FILE, or -");
        if (format && strcmp(format, "chrome"))
                return command_usage(&command_lane_export, "--format is chrome, not %s", format);
        return export_file(argv[1], output);
}

const struct command command_lane_export = {
        .name = "lane export",
        .arguments = "FILE|-",
        .summary = "Turn a trace into a timeline for Perfetto or Chrome",
        .run = run,
};
