/* SPDX-License-Identifier: MIT */
/*
 * nipc clean: removes what dead owners left in the run directory. The library proves that an owner
 * is dead, and holds its lock while it removes; nothing live is ever touched.
 */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "output.h"

#include <errno.h>
#include <nipc/endpoint.h>
#include <stdio.h>

static const char *outcome_name(int r)
{
        switch (r) {
        case 1:
                return "removed";
        case 0:
                return "nothing to remove";
        case -EBUSY:
                return "live, left alone";
        case -EEXIST:
                return "not an endpoint, left alone";
        default:
                return g_strerror(-r);
        }
}

static void report(const char *name, int r, JsonBuilder *builder)
{
        if (!builder) {
                printf("%s: %s\n", name, outcome_name(r));
                return;
        }
        json_builder_begin_object(builder);
        output_add_string(builder, "name", name);
        output_add_string(builder, "outcome", outcome_name(r));
        json_builder_end_object(builder);
}

static int say_failure(const char *run_dir, const char *name, int r)
{
        g_autofree char *reason = NULL;

        if (r == -EBUSY || r == -EEXIST)
                return command_fail(&command_clean, "%s in %s: %s", name, run_dir, outcome_name(r));
        reason = failure_describe_endpoint(r, run_dir, name);
        return command_fail(&command_clean, "%s", reason);
}

/* named: somebody asked for exactly these, so leaving one alone is a failure. */
static int clean(const struct command_context *context, const GPtrArray *names, bool named)
{
        g_autoptr(JsonBuilder) builder = context->json ? json_builder_new() : NULL;
        int status = COMMAND_SUCCESS;

        if (builder)
                json_builder_begin_array(builder);
        for (guint i = 0; i < names->len; i++) {
                const char *name = names->pdata[i];
                int r = nipc_endpoint_clean(context->run_dir, name);
                bool left_alone = r == -EBUSY || r == -EEXIST;

                if (r >= 0 || (left_alone && !named))
                        report(name, r, builder);
                else
                        status = say_failure(context->run_dir, name, r);
        }
        if (builder) {
                json_builder_end_array(builder);
                output_json_builder(builder, FALSE);
        }
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        g_autoptr(GPtrArray) names = NULL;
        int status;

        if (!command_parse(&command_clean, NULL, &argc, &argv, &status))
                return status;
        if (argc == 1) {
                names = endpoints_list(&command_clean, context->run_dir);
                return names ? clean(context, names, false) : COMMAND_FAILURE;
        }
        names = g_ptr_array_new();
        for (int i = 1; i < argc; i++) {
                if (!endpoints_check_name(&command_clean, argv[i]))
                        return COMMAND_USAGE;
                g_ptr_array_add(names, argv[i]);
        }
        return clean(context, names, true);
}

const struct command command_clean = {
        .name = "clean",
        .arguments = "[NAME…]",
        .summary = "Remove what dead owners left in the run directory, never anything live",
        .uses_run_dir = true,
        .run = run,
};
