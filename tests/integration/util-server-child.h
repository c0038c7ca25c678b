/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A managed server of increment in a process of its own, and what the kernel says of that process.
 *
 * How to use: fill a config in (run_dir and service are set here), start, ask under the service's
 * name, stop. What was started dies with the test.
 */

#include <nipc/server.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_CHILD_SERVICE "svc"

struct server_child {
        pid_t pid;
        int end_fd;
};

/* Returns once clients can connect; false: it did not start. */
bool server_child_start(struct server_child *child, const struct nipc_server_config *config);

/* Ends it in good order. Returns whether it did end so. */
bool server_child_stop(struct server_child *child);

struct server_usage {
        unsigned n_fds;
        unsigned n_threads;
        unsigned n_mappings;
        uint64_t private_bytes; /* pages that nobody else has mapped */
};

struct server_usage server_child_get_usage(const struct server_child *child);

/* Waits until it has as many descriptors and threads as that again. */
void server_child_wait_quiet(const struct server_child *child, const struct server_usage *usage);

/* Whether figures of memory mean anything: not under sanitizers, nor Valgrind. */
bool server_child_has_true_memory(void);
