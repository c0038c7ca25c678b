/* SPDX-License-Identifier: MIT */
#pragma once

/* The run directory when nobody names one, and what may be in it. */

#include <stdbool.h>

#ifndef RUN_DIR_DEFAULT_TEXT /* what --help says of it */
#define RUN_DIR_DEFAULT_TEXT "$XDG_RUNTIME_DIR/nipc, /run/nipc"
#endif

/* Its path. Owned. */
char *run_dir_get_default(void);

/* Makes a directory for its owner alone; one that exists is fine. Returns 0 or a negative errno. */
int run_dir_make(const char *path);

/* Whether something is in the place of an endpoint that no server can be behind. */
bool run_dir_is_obstructed(const char *path);
