/* SPDX-License-Identifier: MIT */
#pragma once

/* `nipc serve --plan`: what a provider of these options would take, by nipc_server_plan(). */

#include "command.h"

#include <nipc/server.h>

/* Prints it, as a table or as JSON. Returns COMMAND_*. */
int serve_plan_print(const struct command_context *context,
                     const struct nipc_server_config *config);
