/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The global options of the nipc tool: one place that knows them, shared by main.c (before the
 * command) and command_parse() (among the command's own options).
 */

#include "command.h"

#include <glib.h>

/* The options themselves; NULL-terminated, static. Parsed values are kept here. */
const GOptionEntry *globals_get_entries(void);

/*
 * Completes the context from options and environment. May be called again after more options were
 * parsed. Returns FALSE with `error` set when an option's value is no good.
 */
gboolean globals_resolve(GError **error);

/* Keeps copies of the process's arguments, before parsers take theirs. */
void globals_set_argv(char **argv);

/* What the commands see; static. */
const struct command_context *globals_get_context(void);

/* Releases what the options hold. */
void globals_deinit(void);
