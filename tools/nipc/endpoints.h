/* SPDX-License-Identifier: MIT */
#pragma once

/* Names of endpoints: those of a run directory, and those that a user gives. */

#include "command.h"

#include <glib.h>

/*
 * Names in alphabetical order, owned by the array. A failure is said on stderr on behalf of
 * `command`: NULL is returned then, and the command returns COMMAND_FAILURE.
 */
GPtrArray *endpoints_list(const struct command *command, const char *run_dir);

/* Judges a name. Says so on stderr when it can be none: return COMMAND_USAGE then. */
gboolean endpoints_check_name(const struct command *command, const char *name);
