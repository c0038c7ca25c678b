/* SPDX-License-Identifier: MIT */
/*
 * nipc lane record: takes what comes out of a pool and puts it into a file, until its agent has
 * ended, or a signal comes. A record counts as taken when it is in the file, not before: if this
 * process is killed, another one goes on where it was.
 */
#include "interrupt.h"
#include "lane.h"
#include "output.h"

#include <errno.h>
#include <nipc/clock.h>

/* Records between two looks at the clock. */
#define BURST 4096

/* How long to wait for records before one looks whether to end. */
#define PATIENCE_MS 200

struct recording {
        struct nipc_lane_reader *reader;
        struct lane_recorder *recorder;
        uint64_t n_records, n_dropped, n_recycled;
        uint64_t deadline_ns; /* or UINT64_MAX */
};

static void count(struct recording *recording, const struct nipc_lane_record *record)
{
        recording->n_records += record->type != NIPC_LANE_GAP;
        recording->n_dropped += record->n_dropped;
        recording->n_recycled += record->n_recycled;
}

/* Returns 0: there may be more; -EAGAIN: there is none; or what is wrong. */
static int take_some(struct recording *recording)
{
        struct nipc_lane_record record;
        int r;

        for (unsigned i = 0; i < BURST && !interrupt_is_set(); i++) {
                /* Before it is taken: what could not be written then would be lost. */
                r = lane_recorder_prepare(recording->recorder);
                if (r == 0)
                        r = nipc_lane_reader_next(recording->reader, &record);
                if (r < 0)
                        return r;
                if (lane_recorder_put(recording->recorder, &record))
                        count(recording, &record);
        }
        return 0;
}

static int take(struct recording *recording)
{
        bool is_orphan = false;
        int r;

        while (!interrupt_is_set() && nipc_clock_now_ns() < recording->deadline_ns) {
                r = take_some(recording);
                if (r == 0)
                        continue;
                if (r != -EAGAIN)
                        return r;
                r = nipc_lane_reader_wait(recording->reader,
                                          nipc_deadline_after_ms(is_orphan ? 0 : PATIENCE_MS));
                if (r == -EIO)
                        return r;
                if (r < 0 && is_orphan)
                        return 0;
                /* Once more after that: what it wrote last came before its end. */
                is_orphan = r < 0 && nipc_lane_reader_is_orphan(recording->reader);
        }
        return 0;
}

static void report(const struct command_context *context, const struct recording *recording)
{
        g_autoptr(JsonBuilder) builder = NULL;
        const uint64_t size = lane_recorder_get_size(recording->recorder);

        if (!context->json) {
                printf("%" G_GUINT64_FORMAT " records, %" G_GUINT64_FORMAT
                       " dropped, %" G_GUINT64_FORMAT " recycled; the file has %" G_GUINT64_FORMAT
                       " bytes\n",
                       recording->n_records, recording->n_dropped, recording->n_recycled, size);
                return;
        }
        builder = json_builder_new();
        json_builder_begin_object(builder);
        output_add_number(builder, "records", (int64_t)recording->n_records);
        output_add_number(builder, "dropped", (int64_t)recording->n_dropped);
        output_add_number(builder, "recycled", (int64_t)recording->n_recycled);
        output_add_number(builder, "bytes", (int64_t)size);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
}

static int record(const struct command_context *context, const struct lane_pool_options *options,
                  const char *path, bool append, double duration_s)
{
        struct recording recording = {.deadline_ns = UINT64_MAX};
        struct nipc_lane_file_info info;
        int status = COMMAND_SUCCESS, r;

        r = interrupt_init(NULL, NULL);
        if (r < 0)
                return command_fail(&command_lane_record, "%s", g_strerror(-r));
        lane_pool_catch_faults();
        r = lane_pool_open(options, &recording.reader, &info);
        if (r < 0)
                return command_fail(&command_lane_record, "%s: %s", lane_pool_name(options),
                                    lane_error_name(r));
        r = lane_recorder_new(path, append, info.pid, &recording.recorder);
        if (r < 0) {
                nipc_lane_reader_close(recording.reader);
                return command_fail(&command_lane_record, "%s: %s", path,
                                    r == -EBUSY     ? "somebody records into it"
                                    : r == -EBADMSG ? "not a recording"
                                                    : g_strerror(-r));
        }
        if (duration_s > 0)
                recording.deadline_ns = nipc_clock_now_ns() + (uint64_t)(duration_s * 1e9);
        r = take(&recording);
        if (r < 0)
                status = command_fail(&command_lane_record, "%s: %s",
                                      r == -EIO ? lane_pool_name(options) : path,
                                      r == -EIO ? "its memory was cut" : lane_error_name(r));
        else
                report(context, &recording);
        nipc_lane_reader_close(recording.reader);
        r = lane_recorder_free(recording.recorder);
        if (r < 0 && status == COMMAND_SUCCESS)
                status = command_fail(&command_lane_record, "%s: %s", path, g_strerror(-r));
        interrupt_deinit();
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct lane_pool_options options = {-1, -1, NULL};
        g_autofree char *path = NULL;
        gboolean append = FALSE;
        double duration_s = 0;
        const GOptionEntry entries[] = {
                {"output", 'o', 0, G_OPTION_ARG_FILENAME, &path, "The file to be made", "FILE"},
                {"append", 'a', 0, G_OPTION_ARG_NONE, &append,
                 "Go on with a recording, if it is there", NULL},
                {"duration", 'd', 0, G_OPTION_ARG_DOUBLE, &duration_s,
                 "Seconds (default: until the agent has ended, or a signal comes)", "S"},
                LANE_POOL_OPTIONS(options),
                {NULL},
        };
        int status;

        if (!command_parse(&command_lane_record, entries, &argc, &argv, &status))
                return status;
        if (!lane_pool_parse(&command_lane_record, &options, argc, argv))
                return COMMAND_USAGE;
        if (!path)
                return command_usage(&command_lane_record, "--output is missing");
        if (!(duration_s >= 0 && duration_s <= 1e9))
                return command_usage(&command_lane_record, "--duration needs seconds");
        return record(context, &options, path, append, duration_s);
}

const struct command command_lane_record = {
        .name = "lane record",
        .arguments = "POOL -o FILE",
        .summary = "Put what comes out of a pool's lanes into a file",
        .run = run,
};
