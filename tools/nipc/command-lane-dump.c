/* SPDX-License-Identifier: MIT */
/*
 * nipc lane dump, nipc lane recover: the records of a file, one a line, whole or damaged. dump is
 * to look at them: what was passed over is one line in the end. recover is for after a crash: it
 * says of everything it passed over where it was, its exit status says whether there was any, and
 * it can put what it found into a recording.
 */
#include "lane.h"
#include "number.h"
#include "output.h"

#include <errno.h>
#include <string.h>

struct dump {
        const struct command *command;
        const char *path;
        struct lane_recorder *recorder; /* or NULL: print */
        gint64 lane;                    /* or -1 */
        gboolean hex, unread, json;
        uint64_t n_records, n_skipped, skipped_bytes;
};

static void print_skip(struct dump *dump, const struct nipc_lane_piece *piece)
{
        dump->n_skipped++;
        dump->skipped_bytes += piece->length;
        if (dump->json)
                printf("{\"skipped\":\"%s\",\"offset\":%" G_GUINT64_FORMAT
                       ",\"length\":%" G_GUINT64_FORMAT "}\n",
                       lane_skip_name(piece->skip), piece->offset, piece->length);
        else if (dump->command == &command_lane_recover)
                fprintf(stderr,
                        "nipc lane recover: %s: skipped %" G_GUINT64_FORMAT
                        " bytes at offset %" G_GUINT64_FORMAT ": %s\n",
                        dump->path, piece->length, piece->offset, lane_skip_name(piece->skip));
}

static void print_json(const struct nipc_lane_record *record)
{
        printf("{\"lane\":%u,\"epoch\":%u,\"tid\":%u,\"sequence\":%" G_GUINT64_FORMAT, record->lane,
               record->epoch, record->tid, record->sequence);
        if (record->type == NIPC_LANE_GAP) {
                printf(",\"dropped\":%" G_GUINT64_FORMAT ",\"recycled\":%" G_GUINT64_FORMAT "}\n",
                       record->n_dropped, record->n_recycled);
        } else {
                g_autofree char *hex = hex_format(record->data, record->size);

                printf(",\"type\":%u,\"size\":%u,\"hex\":\"%s\"}\n", record->type, record->size,
                       hex);
        }
}

static void print_line(const struct dump *dump, const struct nipc_lane_record *record)
{
        g_autofree char *text = NULL;

        printf("%u %u %u %" G_GUINT64_FORMAT " ", record->lane, record->epoch, record->tid,
               record->sequence);
        if (record->type == NIPC_LANE_GAP) {
                printf("gap dropped=%" G_GUINT64_FORMAT " recycled=%" G_GUINT64_FORMAT "\n",
                       record->n_dropped, record->n_recycled);
                return;
        }
        text = dump->hex ? hex_format(record->data, record->size)
                         : output_escape(record->data, record->size);
        printf("0x%04x %u %s\n", record->type, record->size, text);
}

/* Returns 0, or why the recording cannot be written. */
static int give_out(struct dump *dump, const struct nipc_lane_piece *piece)
{
        int r;

        if (piece->skip) {
                print_skip(dump, piece);
                return 0;
        }
        if ((dump->lane >= 0 && piece->record.lane != dump->lane) ||
            (dump->unread && piece->is_consumed))
                return 0;
        dump->n_records += piece->record.type != NIPC_LANE_GAP;
        if (dump->recorder) {
                r = lane_recorder_prepare(dump->recorder);
                if (r < 0)
                        return r;
                lane_recorder_put(dump->recorder, &piece->record);
        } else if (dump->json) {
                print_json(&piece->record);
        } else {
                print_line(dump, &piece->record);
        }
        return 0;
}

static int read_all(struct dump *dump, struct lane_input *input, const char *output)
{
        struct nipc_lane_piece piece;
        int r = 0;

        while (!ferror(stdout) && (r = nipc_lane_recovery_next(input->recovery, &piece)) == 0) {
                r = give_out(dump, &piece);
                if (r < 0)
                        return command_fail(dump->command, "%s: %s", output, g_strerror(-r));
        }
        if (ferror(stdout))
                return command_fail(dump->command, "cannot write to standard output");
        if (r != -ENODATA)
                return command_fail(dump->command, "%s: %s", dump->path, lane_error_name(r));
        return COMMAND_SUCCESS;
}

static int finish(const struct dump *dump, int status)
{
        if (status != COMMAND_SUCCESS)
                return status;
        if (dump->recorder)
                printf(dump->json ? "{\"records\":%" G_GUINT64_FORMAT "}\n"
                                  : "%" G_GUINT64_FORMAT " records\n",
                       dump->n_records);
        if (!dump->n_skipped)
                return COMMAND_SUCCESS;
        if (dump->command == &command_lane_recover)
                return LANE_SKIPPED;
        fflush(stdout);
        fprintf(stderr,
                "nipc lane dump: %s: %" G_GUINT64_FORMAT " bytes in %" G_GUINT64_FORMAT
                " places were skipped; nipc lane recover says which\n",
                dump->path, dump->skipped_bytes, dump->n_skipped);
        return COMMAND_SUCCESS;
}

static int dump_file(struct dump *dump, const char *output)
{
        struct lane_input input;
        int status, r;

        if (!lane_input_open(dump->command, dump->path, &input))
                return COMMAND_FAILURE;
        if (output) {
                r = lane_recorder_new(output, false, input.info.pid, &dump->recorder);
                if (r < 0) {
                        lane_input_close(&input);
                        return command_fail(dump->command, "%s: %s", output, g_strerror(-r));
                }
        }
        status = finish(dump, read_all(dump, &input, output));
        r = lane_recorder_free(dump->recorder);
        if (r < 0 && status != COMMAND_FAILURE)
                status = command_fail(dump->command, "%s: %s", output, g_strerror(-r));
        lane_input_close(&input);
        return status;
}

static int check(struct dump *dump, const struct command_context *context, int argc, char **argv)
{
        if (argc != 2) {
                command_usage(dump->command, "expected one FILE, or -");
                return false;
        }
        if (dump->lane < -1 || dump->lane > UINT32_MAX) {
                command_usage(dump->command, "--lane needs the number of one");
                return false;
        }
        dump->json = context->json;
        dump->path = argv[1];
        return true;
}

static int run_dump(const struct command_context *context, int argc, char **argv)
{
        struct dump dump = {.command = &command_lane_dump, .lane = -1};
        const GOptionEntry entries[] = {
                {"lane", 'l', 0, G_OPTION_ARG_INT64, &dump.lane, "Of this lane only", "N"},
                {"hex", 'x', 0, G_OPTION_ARG_NONE, &dump.hex, "Data as hexadecimal digits", NULL},
                {NULL},
        };
        int status;

        if (!command_parse(dump.command, entries, &argc, &argv, &status))
                return status;
        return check(&dump, context, argc, argv) ? dump_file(&dump, NULL) : COMMAND_USAGE;
}

static int run_recover(const struct command_context *context, int argc, char **argv)
{
        struct dump dump = {.command = &command_lane_recover, .lane = -1};
        g_autofree char *output = NULL;
        const GOptionEntry entries[] = {
                {"lane", 'l', 0, G_OPTION_ARG_INT64, &dump.lane, "Of this lane only", "N"},
                {"hex", 'x', 0, G_OPTION_ARG_NONE, &dump.hex, "Data as hexadecimal digits", NULL},
                {"unread", 'u', 0, G_OPTION_ARG_NONE, &dump.unread,
                 "Leave out what a controller had taken, as far as the pool knows", NULL},
                {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
                 "Put the records into a recording", "FILE"},
                {NULL},
        };
        int status;

        if (!command_parse(dump.command, entries, &argc, &argv, &status))
                return status;
        return check(&dump, context, argc, argv) ? dump_file(&dump, output) : COMMAND_USAGE;
}

const struct command command_lane_dump = {
        .name = "lane dump",
        .arguments = "FILE|-",
        .summary = "Print the records of a pool's file or a recording",
        .run = run_dump,
};

const struct command command_lane_recover = {
        .name = "lane recover",
        .arguments = "FILE|-",
        .summary = "Print or save what is whole in a file, and say what is not",
        .run = run_recover,
};
