/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the verbs of `nipc lane` share: files of lanes as one reads them, and recordings as they are
 * written. One verb per command-lane-<verb>.c.
 */

#include "command.h"

#include <nipc/lane-file.h>
#include <stdio.h>

/* Beside those of all commands: recover passed over something; what it gave out is right. */
#define LANE_SKIPPED 3

extern const struct command command_lane_dump;
extern const struct command command_lane_export;
extern const struct command command_lane_record;
extern const struct command command_lane_recover;
extern const struct command command_lane_stat;

/* ---- lane-input.c ---------------------------------------------------------------------------- */

/* A pool or a recording to be read, from a path or, for "-", from standard input. */
struct lane_input {
        struct nipc_lane_recovery *recovery;
        struct nipc_lane_file_info info;
        char *contents; /* of standard input */
        gsize size;
        int fd; /* or -1 */
};

/* Says what is wrong, and returns false. */
bool lane_input_open(const struct command *command, const char *path, struct lane_input *input);

/* From the beginning once more. Says what is wrong. */
bool lane_input_rewind(const struct command *command, const char *path, struct lane_input *input);

void lane_input_close(struct lane_input *input);

/* "damaged records", ... */
const char *lane_skip_name(uint32_t skip);

/* What a pool is called that cannot be opened: a reason for -EBADMSG and its like. */
const char *lane_error_name(int error);

/* A pool that is named or was handed over: the options of record and stat. */
struct lane_pool_options {
        gint64 fd, wake_fd; /* -1: not given */
        const char *path;
};

#define LANE_POOL_OPTIONS(options)                                                               \
        {"fd", 0, 0, G_OPTION_ARG_INT64, &(options).fd, "Pool that was handed over, not a file", \
         "N"},                                                                                   \
        {                                                                                        \
                "wake-fd", 0, 0, G_OPTION_ARG_INT64, &(options).wake_fd,                         \
                        "Its eventfd, that it need not be asked", "N"                            \
        }

/* From what is left of the arguments. Says what is wrong. */
bool lane_pool_parse(const struct command *command, struct lane_pool_options *options, int argc,
                     char **argv);

/* A file can be cut by whoever may write to it: that becomes an error, and no crash. */
void lane_pool_catch_faults(void);

/* For messages. Borrowed. */
const char *lane_pool_name(const struct lane_pool_options *options);

/* Opens it, and tells what its header says. Returns 0 or a negative errno. */
int lane_pool_open(const struct lane_pool_options *options, struct nipc_lane_reader **ret_reader,
                   struct nipc_lane_file_info *ret_info);

/* ---- lane-recorder.c ------------------------------------------------------------------------- */

/*
 * A recording that is written. What was put in is in the file, whatever becomes of this process:
 * the file is mapped, and its room is reserved before it is used.
 */
struct lane_recorder;

/* Returns 0, -EEXIST, -EBUSY (somebody writes it), -EBADMSG (to be appended to, but no recording),
 * -ENOSPC, ... */
int lane_recorder_new(const char *path, bool append, uint32_t pid, struct lane_recorder **ret);

/* Makes room for one more record. To be called before it is taken from where it is. */
int lane_recorder_prepare(struct lane_recorder *recorder);

/* Puts it in, unless it is the last one that is there already. Returns whether it is new. */
bool lane_recorder_put(struct lane_recorder *recorder, const struct nipc_lane_record *record);

uint64_t lane_recorder_get_size(const struct lane_recorder *recorder);

/* Cuts what is not used. Takes NULL. Returns 0 or a negative errno. */
int lane_recorder_free(struct lane_recorder *recorder);
