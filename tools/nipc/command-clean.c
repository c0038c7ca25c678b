/* SPDX-License-Identifier: MIT */
/*
 * nipc clean: removes what dead owners left in the run directory. The library proves that an owner
 * is dead, and holds its lock while it removes; nothing live is ever touched. --older-than is of
 * another kind, see clean-old.h.
 */
#include "clean-old.h"
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "number.h"
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

static void report(const char *name, int r, bool is_dry_run, JsonBuilder *builder)
{
        const char *outcome = r == 1 && is_dry_run ? "would be removed" : outcome_name(r);

        if (!builder) {
                printf("%s: %s\n", name, outcome);
                return;
        }
        json_builder_begin_object(builder);
        output_add_string(builder, "name", name);
        output_add_string(builder, "outcome", outcome);
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

static bool has_lock(const char *run_dir, const char *name)
{
        g_autofree char *path = g_strdup_printf("%s/%s.lock", run_dir, name);

        return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* What nipc_endpoint_clean() would return, but for regions that nothing else is left of. */
static int look(const char *run_dir, const char *name)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        int r = nipc_endpoint_probe(run_dir, name, true, &info);

        if (r < 0)
                return r;
        if (info.locked)
                return -EBUSY;
        switch (info.state) {
        case NIPC_ENDPOINT_ABSENT:
                return has_lock(run_dir, name);
        case NIPC_ENDPOINT_DEAD:
                return 1;
        case NIPC_ENDPOINT_LIVE:
                return -EBUSY;
        default:
                return -EEXIST;
        }
}

/* named: somebody asked for exactly these, so leaving one alone is a failure. */
static int clean(const struct command_context *context, const GPtrArray *names, bool named,
                 bool is_dry_run)
{
        g_autoptr(JsonBuilder) builder = context->json ? json_builder_new() : NULL;
        int status = COMMAND_SUCCESS;

        if (builder)
                json_builder_begin_array(builder);
        for (guint i = 0; i < names->len; i++) {
                const char *name = names->pdata[i];
                int r = is_dry_run ? look(context->run_dir, name)
                                   : nipc_endpoint_clean(context->run_dir, name);
                bool left_alone = r == -EBUSY || r == -EEXIST;

                if (r >= 0 || (left_alone && !named))
                        report(name, r, is_dry_run, builder);
                else
                        status = say_failure(context->run_dir, name, r);
        }
        if (builder) {
                json_builder_end_array(builder);
                output_json_builder(builder, FALSE);
        }
        return status;
}

static int clean_all(const struct command_context *context, bool is_dry_run)
{
        g_autoptr(GPtrArray) names = endpoints_list(&command_clean, context->run_dir);

        return names ? clean(context, names, false, is_dry_run) : COMMAND_FAILURE;
}

static int clean_named(const struct command_context *context, int argc, char **argv,
                       bool is_dry_run)
{
        g_autoptr(GPtrArray) names = g_ptr_array_new();

        for (int i = 1; i < argc; i++) {
                if (!endpoints_check_name(&command_clean, argv[i]))
                        return COMMAND_USAGE;
                g_ptr_array_add(names, argv[i]);
        }
        return clean(context, names, true, is_dry_run);
}

static int run(const struct command_context *context, int argc, char **argv)
{
        g_autofree gchar *older_than = NULL;
        gboolean is_dry_run = FALSE;
        const GOptionEntry entries[] = {
                {"older-than", 0, 0, G_OPTION_ARG_STRING, &older_than,
                 "Remove all that the dead left, and that is older: seconds, or with m, h or d; "
                 "with --run-base also what other boots left",
                 "AGE"},
                {"dry-run", 0, 0, G_OPTION_ARG_NONE, &is_dry_run,
                 "Say what would be removed, and remove nothing", NULL},
                {NULL},
        };
        uint64_t age_s;
        int status;

        if (!command_parse(&command_clean, entries, &argc, &argv, &status))
                return status;
        if (!older_than)
                return argc == 1 ? clean_all(context, is_dry_run)
                                 : clean_named(context, argc, argv, is_dry_run);
        if (argc > 1)
                return command_usage(&command_clean, "--older-than takes no names, but got '%s'",
                                     argv[1]);
        if (!number_parse_age(older_than, &age_s))
                return command_usage(&command_clean,
                                     "--older-than needs a whole number, of seconds or with m, h "
                                     "or d, not '%s'",
                                     older_than);
        return clean_old(context, age_s, is_dry_run);
}

const struct command command_clean = {
        .name = "clean",
        .arguments = "[NAME…]",
        .summary = "Remove what dead owners left in the run directory, never anything live",
        .uses_run_dir = true,
        .run = run,
};
