/* SPDX-License-Identifier: MIT */
/* nipc ls: the endpoints of the run directory, whether anybody is behind them, and who. */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "output.h"

#include <nipc/endpoint.h>

static const char *state_name(enum nipc_endpoint_state state)
{
        switch (state) {
        case NIPC_ENDPOINT_ABSENT:
                return "absent";
        case NIPC_ENDPOINT_LIVE:
                return "live";
        case NIPC_ENDPOINT_DEAD:
                return "dead";
        case NIPC_ENDPOINT_FOREIGN:
                return "foreign";
        }
        return "unknown";
}

static void add_json(JsonBuilder *builder, const char *name, const struct nipc_endpoint_info *info,
                     const char *path)
{
        g_autofree char *mode = g_strdup_printf("%04o", info->mode);

        json_builder_begin_object(builder);
        output_add_string(builder, "name", name);
        output_add_string(builder, "state", state_name(info->state));
        output_add_number(builder, "pid", info->pid);
        output_add_number(builder, "uid", info->uid);
        output_add_string(builder, "mode", mode);
        output_add_string(builder, "path", path);
        json_builder_end_object(builder);
}

static char *format_id(int64_t id)
{
        return id < 0 ? g_strdup("-") : g_strdup_printf("%" G_GINT64_FORMAT, id);
}

static void add_row(struct output_table *table, const char *name,
                    const struct nipc_endpoint_info *info, const char *path)
{
        g_autofree char *pid = format_id(info->pid);
        g_autofree char *uid = format_id(info->uid);
        g_autofree char *mode = g_strdup_printf("%04o", info->mode);

        output_table_add(table, name, state_name(info->state), pid, uid, mode, path, NULL);
}

/* Probes each name; what vanished in between is left out. */
static int list(const struct command_context *context, const GPtrArray *names)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();
        struct output_table *table = output_table_new(6);
        int status = COMMAND_SUCCESS;

        json_builder_begin_array(builder);
        output_table_add(table, "NAME", "STATE", "PID", "UID", "MODE", "PATH", NULL);
        for (guint i = 0; i < names->len; i++) {
                struct nipc_endpoint_info info = {.size = sizeof(info)};
                char path[NIPC_ENDPOINT_PATH_MAX];
                const char *name = names->pdata[i];
                int r = nipc_endpoint_format_path(context->run_dir, name, path, sizeof(path));

                if (!r)
                        r = nipc_endpoint_probe(context->run_dir, name, true, &info);
                if (r) {
                        g_autofree char *reason =
                                failure_describe_endpoint(r, context->run_dir, name);

                        status = command_fail(&command_ls, "%s", reason);
                } else if (info.state != NIPC_ENDPOINT_ABSENT) {
                        add_json(builder, name, &info, path);
                        add_row(table, name, &info, path);
                }
        }
        json_builder_end_array(builder);
        if (context->json)
                output_json_builder(builder, FALSE);
        output_table_finish(table, !context->json);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        g_autoptr(GPtrArray) names = NULL;
        int status;

        if (!command_parse(&command_ls, NULL, &argc, &argv, &status))
                return status;
        if (argc > 1)
                return command_usage(&command_ls, "takes no arguments, but got '%s'", argv[1]);
        names = endpoints_list(&command_ls, context->run_dir);
        return names ? list(context, names) : COMMAND_FAILURE;
}

const struct command command_ls = {
        .name = "ls",
        .arguments = "",
        .summary = "List the endpoints of the run directory, with liveness and owner",
        .uses_run_dir = true,
        .run = run,
};
