/* SPDX-License-Identifier: MIT */
/*
 * nipc doctor: what this machine allows, and what nipc does where it does not. Each check runs in a
 * process of its own, so that none can take the others with it. What is tried in the run directory
 * is tried in a directory of our own there, removed in the end.
 */
#include "command.h"
#include "doctor.h"
#include "interrupt.h"
#include "output.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <nipc/session.h>
#include <stdio.h>
#include <unistd.h>

struct row {
        const struct doctor_check *check;
        struct doctor_finding finding;
};

static const char *const result_names[] = {"ok", "limited", "missing"};

/* ---- where to try things -------------------------------------------------------------------- */

/* In the run directory; in its parent, where `nipc serve` would make it. Owned; NULL with errno. */
static char *make_scratch(const struct command_context *context)
{
        g_autofree char *base =
                g_file_test(context->run_dir, G_FILE_TEST_EXISTS) || !context->run_dir_is_default
                        ? g_strdup(context->run_dir)
                        : g_path_get_dirname(context->run_dir);
        char *path = g_build_filename(base, ".nipc-doctor-XXXXXX", NULL);
        int error;

        if (g_mkdtemp_full(path, 0700))
                return path;
        error = errno;
        g_free(path);
        errno = error;
        return NULL;
}

/* With what probes left that were killed. */
static void remove_scratch(const char *path)
{
        GDir *directory = g_dir_open(path, 0, NULL);
        const char *name;

        while (directory && (name = g_dir_read_name(directory))) {
                g_autofree char *entry = g_build_filename(path, name, NULL);

                g_unlink(entry);
        }
        if (directory)
                g_dir_close(directory);
        g_rmdir(path);
}

/* ---- the report ----------------------------------------------------------------------------- */

static char *describe(const struct doctor_finding *finding)
{
        return finding->error
                       ? g_strdup_printf("%s: %s", finding->found, g_strerror(finding->error))
                       : g_strdup(finding->found);
}

static const struct row *find_profile(const GArray *rows, uint32_t profile)
{
        for (guint i = 0; i < rows->len; i++) {
                const struct row *row = &g_array_index(rows, struct row, i);

                if (row->check->profile == profile)
                        return row;
        }
        return NULL;
}

static bool works(const GArray *rows, uint32_t profile)
{
        const struct row *row = find_profile(rows, profile);

        return row && row->finding.result == DOCTOR_OK;
}

static guint count(const GArray *rows, enum doctor_result result)
{
        guint n = 0;

        for (guint i = 0; i < rows->len; i++)
                n += g_array_index(rows, struct row, i).finding.result == result;
        return n;
}

static void print_table(const GArray *rows)
{
        struct output_table *table = output_table_new(3);

        output_table_add(table, "CHECK", "RESULT", "FOUND", NULL);
        for (guint i = 0; i < rows->len; i++) {
                const struct row *row = &g_array_index(rows, struct row, i);
                g_autofree char *found = describe(&row->finding);

                output_table_add(table, row->check->name, result_names[row->finding.result], found,
                                 NULL);
        }
        output_table_finish(table, TRUE);
}

/* What follows from what is not as it could be, and what to do about it. */
static void print_advice(const GArray *rows)
{
        for (guint i = 0; i < rows->len; i++) {
                const struct row *row = &g_array_index(rows, struct row, i);
                const struct doctor_finding *finding = &row->finding;
                g_autofree char *effect = output_escape(finding->effect, strlen(finding->effect));
                g_autofree char *advice = output_escape(finding->advice, strlen(finding->advice));

                if (finding->result == DOCTOR_OK)
                        continue;
                printf("\n%s %s: %s\n    %s\n", row->check->name, result_names[finding->result],
                       effect, advice);
        }
}

static void print_summary(const GArray *rows)
{
        printf("\nThe baseline %s, RING %s; of %u checks %u ok, %u limited, %u missing\n",
               works(rows, NIPC_PROFILE_BASELINE) ? "works" : "does not work",
               works(rows, NIPC_PROFILE_RING) ? "works" : "does not work", rows->len,
               count(rows, DOCTOR_OK), count(rows, DOCTOR_LIMITED), count(rows, DOCTOR_MISSING));
}

static void add_row(JsonBuilder *builder, const struct row *row)
{
        const struct doctor_finding *finding = &row->finding;
        const bool good = finding->result == DOCTOR_OK;

        json_builder_begin_object(builder);
        output_add_string(builder, "name", row->check->name);
        output_add_string(builder, "result", result_names[finding->result]);
        output_add_string(builder, "found", finding->found);
        output_add_string(builder, "error", finding->error ? g_strerror(finding->error) : NULL);
        output_add_number(builder, "errno", finding->error ? finding->error : -1);
        output_add_number(builder, "signal", finding->signal ? finding->signal : -1);
        output_add_string(builder, "effect", good ? NULL : finding->effect);
        output_add_string(builder, "advice", good ? NULL : finding->advice);
        json_builder_end_object(builder);
}

static void add_truth(JsonBuilder *builder, const char *name, bool value)
{
        json_builder_set_member_name(builder, name);
        json_builder_add_boolean_value(builder, value);
}

static void print_json(const struct command_context *context, const GArray *rows)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        output_add_string(builder, "run_dir", context->run_dir);
        add_truth(builder, "baseline", works(rows, NIPC_PROFILE_BASELINE));
        add_truth(builder, "shm_hybrid", works(rows, NIPC_PROFILE_SHM_HYBRID));
        add_truth(builder, "ring", works(rows, NIPC_PROFILE_RING));
        json_builder_set_member_name(builder, "checks");
        json_builder_begin_array(builder);
        for (guint i = 0; i < rows->len; i++)
                add_row(builder, &g_array_index(rows, struct row, i));
        json_builder_end_array(builder);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
}

/* ---- running -------------------------------------------------------------------------------- */

static void run_checks(const struct doctor_check *checks, size_t n,
                       const struct doctor_place *place, GArray *rows)
{
        const uint32_t built_in = nipc_profile_get_available();

        for (size_t i = 0; i < n && !interrupt_is_set(); i++) {
                struct row row = {.check = &checks[i]};

                if (row.check->profile & ~built_in)
                        continue;
                doctor_run(row.check, place, &row.finding);
                g_array_append_val(rows, row);
        }
}

/* The exit status is about the baseline: without it there is nothing, with it all else is a gain.
 */
static int judge(const GArray *rows)
{
        const struct row *row = find_profile(rows, NIPC_PROFILE_BASELINE);
        g_autofree char *reason = NULL;

        if (interrupt_is_set() || !row)
                return command_fail(&command_doctor, "interrupted");
        if (row->finding.result == DOCTOR_OK)
                return COMMAND_SUCCESS;
        reason = describe(&row->finding);
        return command_fail(&command_doctor, "the baseline does not work: %s", reason);
}

static int examine(const struct command_context *context)
{
        g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct row));
        g_autofree char *scratch = make_scratch(context);
        const struct doctor_place place = {
                .run_dir = context->run_dir,
                .run_dir_is_default = context->run_dir_is_default,
                .scratch = scratch,
                .scratch_error = scratch ? 0 : errno,
        };

        run_checks(doctor_kernel_checks, doctor_n_kernel_checks, &place, rows);
        run_checks(doctor_host_checks, doctor_n_host_checks, &place, rows);
        run_checks(doctor_directory_checks, doctor_n_directory_checks, &place, rows);
        run_checks(doctor_session_checks, doctor_n_session_checks, &place, rows);
        if (scratch)
                remove_scratch(scratch);
        if (context->json) {
                print_json(context, rows);
        } else {
                print_table(rows);
                print_advice(rows);
                print_summary(rows);
        }
        return judge(rows);
}

static int run(const struct command_context *context, int argc, char **argv)
{
        int status, r;

        if (!command_parse(&command_doctor, NULL, &argc, &argv, &status))
                return status;
        if (argc > 1)
                return command_usage(&command_doctor, "takes no arguments, but got '%s'", argv[1]);
        r = interrupt_init(NULL, NULL);
        if (r < 0)
                return command_fail(&command_doctor, "cannot begin: %s", g_strerror(-r));
        status = examine(context);
        interrupt_deinit();
        return status;
}

const struct command command_doctor = {
        .name = "doctor",
        .arguments = "",
        .summary = "Tell what this machine allows, and what nipc does without",
        .run = run,
};
