/* SPDX-License-Identifier: MIT */
#pragma once

/* The serving of `nipc serve`: from the READY line until somebody wants it to end. */

#include "command.h"
#include "provider.h"

#include <nipc/server.h>
#include <stddef.h>
#include <stdint.h>

struct serve_task {
        const struct command_context *context;
        const struct nipc_server_config *config;
        const struct provider *provider;
        void *data;      /* the provider's */
        size_t n_before; /* of the process's arguments: up to the command's name */
};

/* Serves. Says what went wrong, and returns COMMAND_*. */
int serve_run(const struct serve_task *task, uint32_t drain_timeout_ms);
