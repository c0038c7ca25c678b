/* SPDX-License-Identifier: MIT */
/* See serve-plan.h. */
#include "serve-plan.h"

#include "failure.h"
#include "output.h"
#include "profiles.h"

#include <stdio.h>

static char *format_number(uint64_t number)
{
        return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static void add_row(struct output_table *table, const char *what, const char *descriptors,
                    const char *mappings, uint64_t idle, uint64_t busy, uint64_t shared)
{
        g_autofree char *idle_text = format_number(idle);
        g_autofree char *busy_text = format_number(busy);
        g_autofree char *shared_text = format_number(shared);

        output_table_add(table, what, descriptors, mappings, idle_text, busy_text, shared_text,
                         NULL);
}

static void print_table(const struct nipc_server_needs *needs)
{
        struct output_table *table = output_table_new(6);
        g_autofree char *descriptors = format_number(needs->n_descriptors);
        g_autofree char *mappings = format_number(needs->n_mappings);

        printf("%u threads, %u requests in hand at a time; at most:\n\n", needs->n_threads,
               needs->n_requests);
        output_table_add(table, "", "DESCRIPTORS", "MAPPINGS", "IDLE_BYTES", "BUSY_BYTES",
                         "SHARED_BYTES", NULL);
        add_row(table, "without a session", "-", "-", needs->base_bytes, needs->base_bytes, 0);
        add_row(table, "with all sessions", descriptors, mappings, needs->idle_bytes,
                needs->busy_bytes, needs->shared_bytes);
        for (uint32_t i = 0; i < needs->n_profiles; i++) {
                const struct nipc_server_session_needs *one = &needs->sessions[i];
                g_autofree char *profile = profiles_format(one->profile);
                g_autofree char *name = g_strdup_printf("each of %s", profile);
                g_autofree char *one_descriptors = format_number(one->n_descriptors);
                g_autofree char *one_mappings = format_number(one->n_mappings);

                add_row(table, name, one_descriptors, one_mappings, one->idle_bytes,
                        one->busy_bytes, one->shared_bytes);
        }
        output_table_finish(table, TRUE);
}

static void add_u64(JsonBuilder *builder, const char *name, uint64_t value)
{
        output_add_number(builder, name, (int64_t)MIN(value, (uint64_t)G_MAXINT64));
}

static void print_json(const struct nipc_server_needs *needs)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        add_u64(builder, "threads", needs->n_threads);
        add_u64(builder, "descriptors", needs->n_descriptors);
        add_u64(builder, "mappings", needs->n_mappings);
        add_u64(builder, "requests", needs->n_requests);
        add_u64(builder, "base_bytes", needs->base_bytes);
        add_u64(builder, "idle_bytes", needs->idle_bytes);
        add_u64(builder, "busy_bytes", needs->busy_bytes);
        add_u64(builder, "shared_bytes", needs->shared_bytes);
        json_builder_set_member_name(builder, "sessions");
        json_builder_begin_array(builder);
        for (uint32_t i = 0; i < needs->n_profiles; i++) {
                const struct nipc_server_session_needs *one = &needs->sessions[i];
                g_autofree char *profile = profiles_format(one->profile);

                json_builder_begin_object(builder);
                output_add_string(builder, "profile", profile);
                add_u64(builder, "descriptors", one->n_descriptors);
                add_u64(builder, "mappings", one->n_mappings);
                add_u64(builder, "idle_bytes", one->idle_bytes);
                add_u64(builder, "busy_bytes", one->busy_bytes);
                add_u64(builder, "shared_bytes", one->shared_bytes);
                json_builder_end_object(builder);
        }
        json_builder_end_array(builder);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
}

int serve_plan_print(const struct command_context *context, const struct nipc_server_config *config)
{
        struct nipc_server_needs needs = NIPC_SERVER_NEEDS_INIT;
        int r = nipc_server_plan(config, &needs);

        if (r) {
                g_autofree char *reason =
                        failure_describe_server(r, config->run_dir, config->service);

                return command_fail(&command_serve, "%s", reason);
        }
        if (context->json)
                print_json(&needs);
        else
                print_table(&needs);
        return COMMAND_SUCCESS;
}
