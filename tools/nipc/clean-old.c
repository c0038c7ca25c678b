/* SPDX-License-Identifier: MIT */
/* What earlier boots and dead owners left, see clean-old.h. */
#include "clean-old.h"

#include "failure.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <nipc/run-dir.h>
#include <stdio.h>

struct cleaning {
        JsonBuilder *builder; /* NULL: lines */
        const char *directory;
        bool is_dry_run;
        int status;
};

static const char *outcome_name(uint32_t outcome, bool is_dry_run)
{
        switch (outcome) {
        case NIPC_CLEAN_REMOVED:
                return is_dry_run ? "would be removed" : "removed";
        case NIPC_CLEAN_LIVE:
                return "live, left alone";
        case NIPC_CLEAN_YOUNG:
                return "dead, but not that old, left alone";
        case NIPC_CLEAN_UNPROVEN:
                return "not proven dead, left alone";
        case NIPC_CLEAN_FOREIGN:
                return "of another user, left alone";
        case NIPC_CLEAN_NOT_EMPTY:
                return "not empty, left alone";
        case NIPC_CLEAN_FAILED:
                return "failed";
        default:
                return "nothing of ours, left alone";
        }
}

static int on_item(void *userdata, const struct nipc_clean_item *item)
{
        struct cleaning *cleaning = userdata;
        const char *outcome = outcome_name(item->outcome, cleaning->is_dry_run);

        if (item->outcome == NIPC_CLEAN_FAILED)
                cleaning->status = command_fail(&command_clean, "%s/%s: %s", cleaning->directory,
                                                item->path, g_strerror(-item->error));
        if (!cleaning->builder) {
                if (item->outcome != NIPC_CLEAN_FAILED)
                        printf("%s: %s\n", item->path, outcome);
                return 0;
        }
        json_builder_begin_object(cleaning->builder);
        output_add_string(cleaning->builder, "name", item->path);
        output_add_string(cleaning->builder, "outcome", outcome);
        output_add_number(cleaning->builder, "age_s", (gint64)MIN(item->age_s, G_MAXINT64));
        json_builder_end_object(cleaning->builder);
        return 0;
}

int clean_old(const struct command_context *context, uint64_t min_age_s, bool is_dry_run)
{
        g_autoptr(JsonBuilder) builder = context->json ? json_builder_new() : NULL;
        struct cleaning cleaning = {
                .builder = builder,
                .directory = context->run_base ? context->run_base : context->run_dir,
                .is_dry_run = is_dry_run,
        };
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;
        int r;

        config.min_age_s = min_age_s;
        config.is_dry_run = is_dry_run;
        config.visit = on_item;
        config.userdata = &cleaning;
        if (builder)
                json_builder_begin_array(builder);
        r = context->run_base ? nipc_run_dir_clean_base(context->run_base, &config)
                              : nipc_run_dir_clean(context->run_dir, &config);
        if (r < 0) {
                g_autofree char *reason = failure_describe_endpoint(r, cleaning.directory, NULL);

                return command_fail(&command_clean, "%s", reason);
        }
        if (builder) {
                json_builder_end_array(builder);
                output_json_builder(builder, FALSE);
        }
        return cleaning.status;
}
