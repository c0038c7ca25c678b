/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `nipc clean --older-than`: all of a run directory that dead owners left, files of lanes included,
 * and with --run-base those of other boots. <nipc/run-dir.h> decides, this says what it decided.
 */

#include "command.h"

/* Returns a status of commands. */
int clean_old(const struct command_context *context, uint64_t min_age_s, bool is_dry_run);
