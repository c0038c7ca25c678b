/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Profiles by name: "baseline", "shm-hybrid", "shm-busywait", "ring", lists of them, "all" for all
 * that this build has, and bits as 0xN.
 */

#include "command.h"

#include <glib.h>

/* The bits of all profiles that the libraries we run with have. */
uint32_t profiles_get_built_in(void);

/*
 * Reads a list of profiles, "baseline,ring" or "0x3"; NULL is "all". What is named and not built in
 * stays in it, so that the library can say so. Says on stderr when a name is unknown: return
 * COMMAND_USAGE then.
 */
gboolean profiles_parse(const struct command *command, const char *list, uint32_t *ret_profiles);

/* "baseline,ring"; bits without a name as 0x400; "none" for 0. Owned. */
char *profiles_format(uint32_t profiles);
