/* SPDX-License-Identifier: MIT */
#pragma once

/* Reads what providers tell of themselves, over a session that is kept. */

#include "command.h"
#include "metrics-text.h"

#include <nipc/client.h>

struct stat_reader {
        const struct command *command;
        const char *run_dir;
        const char *service;
        struct nipc_client *client;
        gint64 read_us; /* monotonic time of the last reading */
};

/* run_dir and service: borrowed until deinit. Returns 0 or a negative errno. */
int stat_reader_init(struct stat_reader *reader, const struct command *command,
                     const struct command_context *context, const char *service,
                     uint32_t timeout_ms);
void stat_reader_deinit(struct stat_reader *reader);

/*
 * One reading, by any thread, one at a time. timeout_ms: for the answer; 0: as init was told, which
 * is also what connecting may take, if that is necessary. *ret_text: owned. Returns 0 or a negative
 * errno, as nipc_client_stat().
 */
int stat_reader_read(struct stat_reader *reader, uint32_t timeout_ms, char **ret_text,
                     gsize *ret_size);

/* Why it failed, in one line. Owned. */
char *stat_reader_describe(const struct stat_reader *reader, int error);
