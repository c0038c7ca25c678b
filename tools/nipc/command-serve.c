/* SPDX-License-Identifier: MIT */
/*
 * nipc serve: a provider in the foreground. What is served, and how; the serving itself is in
 * serve-run.c.
 */
#include "command.h"
#include "endpoints.h"
#include "number.h"
#include "provider.h"
#include "serve-options.h"
#include "serve-plan.h"
#include "serve-run.h"

#include <nipc/server.h>
#include <stdio.h>

static const struct provider *find_provider(const char *name)
{
        for (const struct provider *const *provider = providers; *provider; provider++)
                if (strcmp((*provider)->name, name) == 0)
                        return *provider;
        return NULL;
}

/* On whichever worker it happened: one write a line. */
static void on_log(void *data, const struct nipc_log_record *record)
{
        char line[NIPC_LOG_LINE_SIZE];

        if (nipc_log_format(record, line, sizeof(line)) == 0)
                fprintf(stderr, "nipc serve: %s\n", line);
}

static int open_and_serve(const struct command_context *context, const char *service,
                          const struct serve_options *options, size_t n_before)
{
        const struct provider *provider = find_provider(service);
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct provider_options source = {
                .source = options->source,
                .has_method = options->method >= 0,
        };
        struct serve_task task = {
                .context = context,
                .config = &config,
                .provider = provider,
                .n_before = n_before,
        };
        g_autoptr(GError) error = NULL;
        uint32_t drain_timeout_ms, method = 0;
        int status;

        if (!provider)
                return command_usage(&command_serve, "no service '%s' to serve", service);
        if (source.source && !provider->takes_source)
                return command_usage(&command_serve, "%s takes no --source", service);
        if (source.has_method && !provider->takes_method)
                return command_usage(&command_serve, "%s takes no --method", service);
        if (!serve_options_read(options, &config, &drain_timeout_ms) ||
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
        if (!provider->open(&source, &config, &task.data, &error))
                return error->domain == G_OPTION_ERROR
                               ? command_usage(&command_serve, "%s", error->message)
                               : command_fail(&command_serve, "%s", error->message);
        status = options->plan ? serve_plan_print(context, &config)
                               : serve_run(&task, drain_timeout_ms);
        provider->close(task.data);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        const size_t n_before = g_strv_length(context->argv) - (size_t)argc + 1;
        struct serve_options options;
        int status;

        if (serve_options_parse(&options, &argc, &argv, &status))
                status = argc == 2 ? open_and_serve(context, argv[1], &options, n_before)
                                   : command_usage(&command_serve, "name one service to serve");
        serve_options_clear(&options);
        return status;
}

const struct command command_serve = {
        .name = "serve",
        .arguments = providers_text,
        .summary = "Provide a service in the foreground until SIGTERM or SIGINT",
        .uses_run_dir = true,
        .run = run,
};
