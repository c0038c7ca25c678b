/* SPDX-License-Identifier: MIT */
#pragma once

/* The options of `nipc serve`, and the config of a server that they make. */

#include "command.h"

#include <nipc/server.h>

struct serve_options {
        gchar *name;
        gchar *source;
        gchar *profiles;
        gchar *fd;
        gchar *lock_fd;
        gchar *split_items;
        gint64 method; /* below 0: not given */
        gint64 workers;
        gint64 max_request_bytes;
        gint64 max_response_bytes;
        gint64 max_batch_items;
        gint64 max_concurrent_requests;
        gint64 max_sessions;
        gint64 max_sessions_per_uid;
        gint64 max_handshakes;
        gint64 max_descriptors;
        gint64 max_total_bytes;
        gint64 max_bytes_per_uid;
        gint64 max_split_bytes;
        gint64 handshake_timeout_ms;
        gint64 request_timeout_ms;
        gint64 response_timeout_ms;
        gint64 drain_timeout_ms;
        gboolean log;
        gboolean plan;
};

/* As command_parse(). Clear afterwards, whatever it returned. */
bool serve_options_parse(struct serve_options *options, int *argc, char ***argv, int *ret_status);
void serve_options_clear(struct serve_options *options);

/*
 * Sets what was given; the rest of config stays as it is. Says so on stderr when a value is no
 * good: return COMMAND_USAGE then. run_dir, service and auth_token are not ours.
 */
bool serve_options_read(const struct serve_options *options, struct nipc_server_config *config,
                        uint32_t *ret_drain_timeout_ms);
