/* SPDX-License-Identifier: MIT */
/* See serve-options.h. */
#include "serve-options.h"

#include "listen-fd.h"
#include "number.h"
#include "profiles.h"

#include <string.h>

#define DRAIN_TIMEOUT_MS 5000 /* chosen: what a client may take to fetch its last answer */

bool serve_options_parse(struct serve_options *options, int *argc, char ***argv, int *ret_status)
{
        const GOptionEntry entries[] = {
                {"name", 'n', 0, G_OPTION_ARG_STRING, &options->name,
                 "Name of the endpoint (default: that of the service)", "NAME"},
                {"source", 0, 0, G_OPTION_ARG_FILENAME, &options->source,
                 "cgroups-*: root directory of a cgroup hierarchy; apps-lookup: a directory like "
                 "/proc; ip-to-asn: a table, see nipc(1); or a .json file of items",
                 "PATH"},
                {"method", 0, 0, G_OPTION_ARG_INT64, &options->method,
                 "echo: code of the method to answer", "N"},
                {"profiles", 0, 0, G_OPTION_ARG_STRING, &options->profiles,
                 "Profiles to offer, separated by commas (default: all)", "LIST"},
                {"fd", 0, 0, G_OPTION_ARG_STRING, &options->fd,
                 "Listening socket of the endpoint that was inherited, or systemd", "N"},
                {"lock-fd", 0, 0, G_OPTION_ARG_STRING, &options->lock_fd,
                 "With --fd: the endpoint's lock, inherited from the provider before", "N"},
                {"plan", 0, 0, G_OPTION_ARG_NONE, &options->plan,
                 "Say what the provider would take at most, and exit", NULL},
                {"log", 0, 0, G_OPTION_ARG_NONE, &options->log,
                 "Say on standard error when clients come and go, and what goes wrong", NULL},
                {"workers", 0, 0, G_OPTION_ARG_INT64, &options->workers,
                 "Threads that serve; 0: the main loop does (default: 1)", "N"},
                {"split-items", 0, 0, G_OPTION_ARG_STRING, &options->split_items,
                 "Items from which on several workers share a request, or never (default: where it "
                 "pays)",
                 "N"},
                {"max-split-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_split_bytes,
                 "Memory for what they share (default: 32 MiB)", "N"},
                {"max-request-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_request_bytes,
                 "Largest request payload", "N"},
                {"max-response-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_response_bytes,
                 "Largest response payload", "N"},
                {"max-batch-items", 0, 0, G_OPTION_ARG_INT64, &options->max_batch_items,
                 "Most items in a batch (default: 65536)", "N"},
                {"max-concurrent-requests", 0, 0, G_OPTION_ARG_INT64,
                 &options->max_concurrent_requests,
                 "Requests of one client that are handled side by side (default: 1)", "N"},
                {"max-sessions", 0, 0, G_OPTION_ARG_INT64, &options->max_sessions,
                 "Most clients at a time (default: 1024)", "N"},
                {"max-sessions-per-uid", 0, 0, G_OPTION_ARG_INT64, &options->max_sessions_per_uid,
                 "Most clients of one user (default: as --max-sessions)", "N"},
                {"max-handshakes", 0, 0, G_OPTION_ARG_INT64, &options->max_handshakes,
                 "Most clients that have said nothing yet (default: 256)", "N"},
                {"max-descriptors", 0, 0, G_OPTION_ARG_INT64, &options->max_descriptors,
                 "Most descriptors of all clients (default: what --max-sessions need)", "N"},
                {"max-total-bytes", 0, 0, G_OPTION_ARG_INT64, &options->max_total_bytes,
                 "Most memory for all clients (default: what --max-sessions need)", "N"},
                {"max-bytes-per-uid", 0, 0, G_OPTION_ARG_INT64, &options->max_bytes_per_uid,
                 "Most memory for the clients of one user (default: as --max-total-bytes)", "N"},
                {"handshake-timeout", 0, 0, G_OPTION_ARG_INT64, &options->handshake_timeout_ms,
                 "Milliseconds until a client must have said who it is (default: 5000)", "MS"},
                {"request-timeout", 0, 0, G_OPTION_ARG_INT64, &options->request_timeout_ms,
                 "Milliseconds for the rest of a request (default: 5000)", "MS"},
                {"response-timeout", 0, 0, G_OPTION_ARG_INT64, &options->response_timeout_ms,
                 "Milliseconds for a client to read on (default: 5000)", "MS"},
                {"drain-timeout", 0, 0, G_OPTION_ARG_INT64, &options->drain_timeout_ms,
                 "Milliseconds for the last answers, at the end (default: 5000)", "MS"},
                {NULL},
        };

        *options = (struct serve_options){.method = -1,
                                          .workers = 1,
                                          .drain_timeout_ms = DRAIN_TIMEOUT_MS};
        return command_parse(&command_serve, entries, argc, argv, ret_status);
}

void serve_options_clear(struct serve_options *options)
{
        g_free(options->name);
        g_free(options->source);
        g_free(options->profiles);
        g_free(options->fd);
        g_free(options->lock_fd);
        g_free(options->split_items);
}

static bool check_u32(const char *option, gint64 value, uint32_t *ret_value)
{
        return number_check_u32(&command_serve, option, value, 0, UINT32_MAX, ret_value);
}

static bool check_u64(const char *option, gint64 value, uint64_t *ret_value)
{
        if (value < 0) {
                command_usage(&command_serve, "%s needs a number, not %" G_GINT64_FORMAT, option,
                              value);
                return false;
        }
        *ret_value = (uint64_t)value;
        return true;
}

static bool read_split_items(const char *text, uint32_t *ret_items)
{
        uint64_t value = 0;

        if (text && strcmp(text, "never") == 0) {
                value = UINT32_MAX;
        } else if (text && !number_parse_u64(text, UINT32_MAX, &value)) {
                command_usage(&command_serve,
                              "--split-items needs a number of items, or never, "
                              "not '%s'",
                              text);
                return false;
        }
        *ret_items = (uint32_t)value;
        return true;
}

static bool read_limits(const struct serve_options *options, struct nipc_server_config *config)
{
        return check_u32("--max-request-bytes", options->max_request_bytes,
                         &config->max_request_bytes) &&
               check_u32("--max-response-bytes", options->max_response_bytes,
                         &config->max_response_bytes) &&
               check_u32("--max-batch-items", options->max_batch_items, &config->max_batch_items) &&
               check_u32("--max-concurrent-requests", options->max_concurrent_requests,
                         &config->max_concurrent_requests) &&
               check_u32("--max-sessions", options->max_sessions, &config->max_sessions) &&
               check_u32("--max-sessions-per-uid", options->max_sessions_per_uid,
                         &config->max_sessions_per_uid) &&
               check_u32("--max-handshakes", options->max_handshakes, &config->max_handshakes) &&
               check_u32("--max-descriptors", options->max_descriptors, &config->max_descriptors) &&
               check_u64("--max-total-bytes", options->max_total_bytes, &config->max_total_bytes) &&
               check_u64("--max-bytes-per-uid", options->max_bytes_per_uid,
                         &config->max_bytes_per_uid) &&
               check_u32("--max-split-bytes", options->max_split_bytes, &config->max_split_bytes);
}

static bool check_concurrent(const struct nipc_server_config *config)
{
        if (config->max_concurrent_requests < 2 || config->n_workers)
                return true;
        command_usage(&command_serve, "--max-concurrent-requests needs --workers of 1 or more");
        return false;
}

bool serve_options_read(const struct serve_options *options, struct nipc_server_config *config,
                        uint32_t *ret_drain_timeout_ms)
{
        return number_check_u32(&command_serve, "--workers", options->workers, 0, 1024,
                                &config->n_workers) &&
               read_limits(options, config) && check_concurrent(config) &&
               read_split_items(options->split_items, &config->split_items) &&
               check_u32("--handshake-timeout", options->handshake_timeout_ms,
                         &config->handshake_timeout_ms) &&
               check_u32("--request-timeout", options->request_timeout_ms,
                         &config->request_timeout_ms) &&
               check_u32("--response-timeout", options->response_timeout_ms,
                         &config->response_timeout_ms) &&
               check_u32("--drain-timeout", options->drain_timeout_ms, ret_drain_timeout_ms) &&
               listen_fd_parse(&command_serve, options->fd, &config->listen_fd) &&
               listen_fd_parse_lock(&command_serve, options->lock_fd, config->listen_fd,
                                    &config->lock_fd) &&
               profiles_parse(&command_serve, options->profiles, &config->profiles);
}
