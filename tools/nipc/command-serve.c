/* SPDX-License-Identifier: MIT */
/*
 * nipc serve: a provider in the foreground. The main thread runs the main loop and waits for a
 * signal to end; requests are served by the server's workers, or with --workers 0 by the main loop.
 */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "listen-fd.h"
#include "number.h"
#include "profiles.h"
#include "provider.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <nipc/endpoint.h>
#include <nipc/fault.h>
#include <nipc/server.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define DRAIN_TIMEOUT_MS 5000 /* chosen: what a client may take to fetch its last answer */

static const struct provider *const providers[] = {
        &provider_apps_lookup, &provider_cgroups_lookup, &provider_cgroups_snapshot,
        &provider_echo,        &provider_increment,      &provider_ip_to_asn,
        &provider_pid_traffic, &provider_string_reverse,
};

static const struct provider *find_provider(const char *name)
{
        for (size_t i = 0; i < G_N_ELEMENTS(providers); i++)
                if (strcmp(providers[i]->name, name) == 0)
                        return providers[i];
        return NULL;
}

struct serve_options {
        gchar *name;
        gchar *source;
        gchar *profiles;
        gchar *fd;
        gint64 method;
        gint64 workers;
        gint64 max_request_bytes;
        gint64 max_response_bytes;
        gint64 max_batch_items;
        gint64 max_sessions;
        gboolean log;
};

static void serve_options_clear(struct serve_options *options)
{
        g_free(options->name);
        g_free(options->source);
        g_free(options->profiles);
        g_free(options->fd);
}

struct serving {
        const char *service;
        const struct provider *provider;
        void *data; /* the provider's */
        GMainLoop *loop;
        struct nipc_server *server;
        int error; /* of dispatch */
};

static gboolean on_signal(gpointer data)
{
        struct serving *serving = data;

        g_main_loop_quit(serving->loop);
        return G_SOURCE_CONTINUE;
}

static gboolean on_reload(gpointer data)
{
        const struct serving *serving = data;
        g_autoptr(GError) error = NULL;

        if (serving->provider->reload(serving->data, &error))
                g_printerr("nipc serve: the source was read anew\n");
        else
                command_fail(&command_serve, "%s; serving what was there before", error->message);
        return G_SOURCE_CONTINUE;
}

/* A client that shortens the memory it shares with us ends its session, not us. */
static void on_fault(int number, siginfo_t *info, void *context)
{
        if (nipc_fault_handle(info->si_addr))
                return;
        signal(SIGBUS, SIG_DFL);
        raise(SIGBUS);
}

/* On whichever worker it happened: one write a line. */
static void on_log(void *data, const struct nipc_log_record *record)
{
        char line[NIPC_LOG_LINE_SIZE];

        if (nipc_log_format(record, line, sizeof(line)) == 0)
                fprintf(stderr, "nipc serve: %s\n", line);
}

static void survive_faults(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        sigaction(SIGBUS, &action, NULL);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
        struct serving *serving = data;
        int r = nipc_server_dispatch(serving->server, 0);

        if (r >= 0)
                return G_SOURCE_CONTINUE;
        serving->error = r;
        g_main_loop_quit(serving->loop);
        return G_SOURCE_REMOVE;
}

/* Whoever started us waits for this line: without it we would serve unseen. */
static int announce(const struct nipc_server *server)
{
        errno = 0;
        if (printf("READY %s\n", nipc_server_get_path(server)) >= 0 && fflush(stdout) == 0 &&
            !ferror(stdout))
                return COMMAND_SUCCESS;
        return command_fail(&command_serve, "cannot write READY to standard output: %s",
                            g_strerror(errno ? errno : EIO));
}

static int say_end(const struct serving *serving)
{
        g_autofree char *reason = NULL;

        if (!serving->error)
                return COMMAND_SUCCESS;
        reason = failure_describe_local(serving->error);
        return command_fail(&command_serve, "cannot serve %s: %s", serving->service, reason);
}

/* Says what went wrong. Returns COMMAND_*. */
static int serve_until_signal(struct nipc_server *server, const struct provider *provider,
                              void *data, const struct nipc_server_config *config)
{
        struct serving serving = {
                .service = config->service,
                .provider = provider,
                .data = data,
                .server = server,
        };
        int status = COMMAND_SUCCESS;
        guint sources[4] = {0};

        serving.loop = g_main_loop_new(NULL, FALSE);
        sources[0] = g_unix_signal_add(SIGTERM, on_signal, &serving);
        sources[1] = g_unix_signal_add(SIGINT, on_signal, &serving);
        if (provider->reload)
                sources[3] = g_unix_signal_add(SIGHUP, on_reload, &serving);
        if (config->n_workers)
                serving.error = nipc_server_start(server);
        else
                sources[2] =
                        g_unix_fd_add(nipc_server_get_fd(server), G_IO_IN, on_readable, &serving);
        if (!serving.error)
                status = announce(server);
        if (!serving.error && !status)
                g_main_loop_run(serving.loop);
        for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
                if (sources[i])
                        g_source_remove(sources[i]);
        g_main_loop_unref(serving.loop);
        return status ? status : say_end(&serving);
}

/* Nobody named the run directory: make it, for its owner alone. Others must exist. */
static int make_default_run_dir(const struct command_context *context)
{
        if (!context->run_dir_is_default)
                return 0;
        return mkdir(context->run_dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Why there is no server. Free with g_free(). */
static char *describe_no_server(const struct nipc_server_config *config, int error)
{
        char path[NIPC_ENDPOINT_PATH_MAX];

        /* It is there, and not the run directory or the limits are wrong. */
        if (config->listen_fd && (error == -EINVAL || error == -ENOENT || error == -EBADF) &&
            !nipc_endpoint_format_path(config->run_dir, config->service, path, sizeof(path)))
                return g_strdup_printf("descriptor %d of --fd: %s; it must be a SEQPACKET socket "
                                       "that listens and is bound to %s",
                                       config->listen_fd, g_strerror(-error), path);
        return failure_describe_server(error, config->run_dir, config->service);
}

static int serve(const struct command_context *context, const struct provider *provider, void *data,
                 const struct nipc_server_config *config)
{
        struct nipc_server *server = NULL;
        int status;
        int r;

        signal(SIGPIPE, SIG_IGN); /* a reader of our output that goes away is no reason to end */
        survive_faults();
        r = make_default_run_dir(context);
        if (!r)
                r = provider->new_server(data, config, &server);
        if (r) {
                g_autofree char *reason = describe_no_server(config, r);

                return command_fail(&command_serve, "%s", reason);
        }
        status = serve_until_signal(server, provider, data, config);
        if (!status && nipc_server_drain(server, DRAIN_TIMEOUT_MS) == -ETIMEDOUT)
                command_fail(&command_serve, "sessions that did not end in %d ms were cut",
                             DRAIN_TIMEOUT_MS);
        nipc_server_free(server);
        return status;
}

static bool read_config(const struct serve_options *options, struct nipc_server_config *config)
{
        const struct command *self = &command_serve;

        return number_check_u32(self, "--workers", options->workers, 0, 1024, &config->n_workers) &&
               number_check_u32(self, "--max-request-bytes", options->max_request_bytes, 0,
                                UINT32_MAX, &config->max_request_bytes) &&
               number_check_u32(self, "--max-response-bytes", options->max_response_bytes, 0,
                                UINT32_MAX, &config->max_response_bytes) &&
               number_check_u32(self, "--max-batch-items", options->max_batch_items, 0, UINT32_MAX,
                                &config->max_batch_items) &&
               number_check_u32(self, "--max-sessions", options->max_sessions, 0, UINT32_MAX,
                                &config->max_sessions) &&
               listen_fd_parse(self, options->fd, &config->listen_fd) &&
               profiles_parse(self, options->profiles, &config->profiles);
}

static int open_and_serve(const struct command_context *context, const char *service,
                          const struct serve_options *options)
{
        const struct provider *provider = find_provider(service);
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct provider_options source = {
                .source = options->source,
                .has_method = options->method >= 0,
        };
        g_autoptr(GError) error = NULL;
        uint32_t method = 0;
        void *data;
        int status;

        if (!provider)
                return command_usage(&command_serve, "no service '%s' to serve", service);
        if (source.source && !provider->takes_source)
                return command_usage(&command_serve, "%s takes no --source", service);
        if (source.has_method && !provider->takes_method)
                return command_usage(&command_serve, "%s takes no --method", service);
        if (!read_config(options, &config) ||
            (source.has_method && !number_check_u32(&command_serve, "--method", options->method, 0,
                                                    UINT16_MAX, &method)))
                return COMMAND_USAGE;
        if (method == NIPC_METHOD_STAT)
                return command_usage(&command_serve, "--method 0x%x is every server's own", method);
        source.method = (uint16_t)method;
        config.run_dir = context->run_dir;
        config.service = options->name ? options->name : provider->name;
        config.auth_token = context->auth_token;
        config.log = options->log ? on_log : NULL;
        if (!endpoints_check_name(&command_serve, config.service))
                return COMMAND_USAGE;
        if (!provider->open(&source, &config, &data, &error))
                return error->domain == G_OPTION_ERROR
                               ? command_usage(&command_serve, "%s", error->message)
                               : command_fail(&command_serve, "%s", error->message);
        status = serve(context, provider, data, &config);
        provider->close(data);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct serve_options options = {.method = -1, .workers = 1};
        const GOptionEntry entries[] = {
                {"name", 'n', 0, G_OPTION_ARG_STRING, &options.name,
                 "Name of the endpoint (default: that of the service)", "NAME"},
                {"source", 0, 0, G_OPTION_ARG_FILENAME, &options.source,
                 "cgroups-*: root directory of a cgroup hierarchy; apps-lookup: a directory like "
                 "/proc; ip-to-asn: a table, see nipc(1); or a .json file of items",
                 "PATH"},
                {"method", 0, 0, G_OPTION_ARG_INT64, &options.method,
                 "echo: code of the method to answer", "N"},
                {"profiles", 0, 0, G_OPTION_ARG_STRING, &options.profiles,
                 "Profiles to offer, separated by commas (default: all)", "LIST"},
                {"fd", 0, 0, G_OPTION_ARG_STRING, &options.fd,
                 "Listening socket of the endpoint that was inherited, or systemd", "N"},
                {"workers", 0, 0, G_OPTION_ARG_INT64, &options.workers,
                 "Threads that serve; 0: the main loop does (default: 1)", "N"},
                {"max-request-bytes", 0, 0, G_OPTION_ARG_INT64, &options.max_request_bytes,
                 "Largest request payload", "N"},
                {"max-response-bytes", 0, 0, G_OPTION_ARG_INT64, &options.max_response_bytes,
                 "Largest response payload", "N"},
                {"max-batch-items", 0, 0, G_OPTION_ARG_INT64, &options.max_batch_items,
                 "Most items in a batch (default: 65536)", "N"},
                {"max-sessions", 0, 0, G_OPTION_ARG_INT64, &options.max_sessions,
                 "Most clients at a time (default: 1024)", "N"},
                {"log", 0, 0, G_OPTION_ARG_NONE, &options.log,
                 "Say on standard error when clients come and go, and what goes wrong", NULL},
                {NULL},
        };
        int status;

        if (command_parse(&command_serve, entries, &argc, &argv, &status))
                status = argc == 2 ? open_and_serve(context, argv[1], &options)
                                   : command_usage(&command_serve, "name one service to serve");
        serve_options_clear(&options);
        return status;
}

const struct command command_serve = {
        .name = "serve",
        .arguments = "apps-lookup|cgroups-lookup|cgroups-snapshot|ip-to-asn|pid-traffic|"
                     "increment|string-reverse|echo",
        .summary = "Provide a service in the foreground until SIGTERM or SIGINT",
        .run = run,
};
