/* SPDX-License-Identifier: MIT */
/*
 * `nipc bench --suite` writes a complete set or nothing; tools/bench-report makes a report of a
 * complete set, and refuses one that lost a row, has one twice, or has one that measured nothing.
 */
#include "util-process.h"

#include <glib/gstdio.h>
#include <string.h>

static char *base;     /* of this program's files */
static char *complete; /* a set, made once */

static int run(char **ret_out, char **ret_err, const char *format, ...) G_GNUC_PRINTF(3, 4);

static int run(char **ret_out, char **ret_err, const char *format, ...)
{
        g_autofree char *line = NULL;
        g_auto(GStrv) argv = NULL;
        va_list args;

        va_start(args, format);
        line = g_strdup_vprintf(format, args);
        va_end(args);
        g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
        return process_run((const char *const *)argv, ret_out, ret_err);
}

static int suite(char **ret_err, const char *rest)
{
        return run(NULL, ret_err, "%s bench --suite short --duration 0.01 --repeat 1 %s",
                   process_get_tool(), rest);
}

static int report(char **ret_err, const char *rest)
{
        return run(NULL, ret_err, "%s %s %s", g_getenv("NIPC_PYTHON"),
                   g_getenv("NIPC_BENCH_REPORT"), rest);
}

static char *read_file(const char *dir, const char *name)
{
        g_autofree char *path = g_build_filename(dir, name, NULL);
        char *text;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        return text;
}

static void write_file(const char *dir, const char *name, const char *text)
{
        g_autofree char *path = g_build_filename(dir, name, NULL);

        g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *copy_set(const char *name)
{
        char *copy = g_build_filename(base, name, NULL);

        g_assert_cmpint(run(NULL, NULL, "cp -r %s %s", complete, copy), ==, 0);
        return copy;
}

static void make_complete(void)
{
        g_autofree char *rest = NULL;
        g_autofree char *err = NULL;
        g_autofree char *nothing = g_build_filename(base, "nothing", NULL);

        g_mkdir(nothing, 0700);
        complete = g_build_filename(base, "complete", NULL);
        rest = g_strdup_printf(
                "--out %s/ --profile baseline,bare-seqpacket,bare-epoll,nng,node-ipc "
                "--peers %s",
                complete, nothing);
        if (suite(&err, rest) != 0)
                g_error("%s", err);
}

/* ---- what the suite writes ------------------------------------------------------------------ */

static void test_files(void)
{
        static const char *const names[] = {"machine.csv",  "rows.csv",  "latency.csv",
                                            "skipped.csv",  "calls.csv", "cache.csv",
                                            "counts.csv",   "idle.csv",  "ping-pong.csv",
                                            "pipeline.csv", "batch.csv", "pipeline-batch.csv",
                                            "snapshot.csv", "large.csv", "clients.csv",
                                            "fairness.csv", "lookup.csv"};
        g_autofree char *rows = read_file(complete, "rows.csv");
        g_autofree char *machine = read_file(complete, "machine.csv");

        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                g_free(read_file(complete, names[i]));
        g_assert_nonnull(strstr(rows, "\nping-pong,ping-pong,baseline,same,0,"));
        g_assert_nonnull(strstr(rows, "\nsnapshot,snapshot-10000,baseline,"));
        g_assert_nonnull(strstr(rows, "\nlookup,lookup-8192,baseline,"));
        g_assert_nonnull(strstr(rows, "\nclients,clients-1000,bare-epoll,free,0,"));
        g_assert_nonnull(strstr(rows, "\nidle,idle-64,baseline,free,0,"));
        g_assert_nonnull(strstr(machine, "\nkernel,\"Linux "));
        g_assert_nonnull(strstr(machine, "\nflags,\"buildtype="));
}

/* Peers whose packages are missing: said, and nothing fails. */
static void test_skipped(void)
{
        g_autofree char *rows = read_file(complete, "rows.csv");
        g_autofree char *skipped = read_file(complete, "skipped.csv");

        g_assert_null(strstr(rows, ",nng,"));
        g_assert_null(strstr(rows, ",node-ipc,"));
        g_assert_nonnull(strstr(skipped, "\n\"nng\",\"not built, "));
        g_assert_nonnull(strstr(skipped, "\n\"node-ipc\",\"not built, "));
}

/* Nothing is overwritten, and nothing is left where a run failed. */
static void test_whole_or_not(void)
{
        g_autofree char *there = g_strdup_printf("--out %s", complete);
        g_autofree char *missing = g_strdup_printf("--out %s/no/such/place", base);
        g_autofree char *unknown = g_strdup_printf("--out %s/unknown --profile nobody", base);
        g_autofree char *before = read_file(complete, "rows.csv");
        g_autofree char *after = NULL;
        g_autofree char *err = NULL;
        g_autoptr(GDir) dir = NULL;
        const char *name;

        g_assert_cmpint(suite(&err, there), ==, 1);
        g_assert_nonnull(strstr(err, "is there already"));
        after = read_file(complete, "rows.csv");
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpint(suite(NULL, missing), ==, 1);
        g_assert_cmpint(suite(NULL, unknown), ==, 2);
        dir = g_dir_open(base, 0, NULL);
        while ((name = g_dir_read_name(dir)))
                g_assert_null(strchr(name, '.'));
}

static void test_usage(void)
{
        g_assert_cmpint(suite(NULL, ""), ==, 2);
        g_assert_cmpint(suite(NULL, "--out x ping-pong"), ==, 2);
        g_assert_cmpint(run(NULL, NULL, "%s bench --suite long --out x", process_get_tool()), ==,
                        2);
        g_assert_cmpint(run(NULL, NULL, "%s bench ping-pong --out x", process_get_tool()), ==, 2);
}

/* ---- the report ----------------------------------------------------------------------------- */

static void test_report(void)
{
        g_autofree char *out = g_build_filename(base, "report", NULL);
        g_autofree char *rest = g_strdup_printf("%s %s", complete, out);
        g_autofree char *err = NULL;
        g_autofree char *markdown = NULL, *page = NULL, *chart = NULL;

        if (report(&err, rest) != 0)
                g_error("%s", err);
        markdown = read_file(out, "report.md");
        page = read_file(out, "index.html");
        g_assert_nonnull(strstr(markdown, "# nipc, measured"));
        g_assert_nonnull(strstr(markdown, "### Skipped"));
        g_assert_nonnull(strstr(markdown, "| nng | not built, "));
        g_assert_nonnull(strstr(markdown, "bench-cache"));
        g_assert_nonnull(strstr(page, "<h1>nipc, measured</h1>"));
        chart = read_file(out, "snapshot.svg");
        g_assert_true(g_str_has_prefix(chart, "<svg "));
        g_assert_nonnull(strstr(page, "src=\"snapshot.svg\""));
        g_assert_cmpint(report(NULL, rest), ==, 1); /* it is there */
        g_free(rest);
        rest = g_strdup_printf("--against %s %s", complete, complete);
        g_assert_cmpint(report(NULL, rest), ==, 0);
        g_assert_cmpint(report(NULL, complete), ==, 2); /* where to? */
}

/* A set that is almost right: how it was changed, and what must be said of it. */
struct damage {
        const char *name;
        const char *file;
        const char *find; /* the line that begins with it ... */
        enum { REMOVE, TWICE, ZERO, CHANGE } how;
        const char *said;
};

static const struct damage damages[] = {
        {"row-removed", "ping-pong.csv", "ping-pong,baseline,same,0,1,", REMOVE,
         "ping-pong.csv: repetition 1 is missing of ping-pong,baseline,same,0"},
        {"last-row-removed", "ping-pong.csv", "ping-pong,bare-seqpacket,same,0,1,", REMOVE,
         "ping-pong.csv: repetition 1 is missing of ping-pong,bare-seqpacket,same,0"},
        {"row-twice", "ping-pong.csv", "ping-pong,baseline,same,0,1,", TWICE, "twice"},
        {"row-zero", "pipeline.csv", "pipeline,baseline,same,0,1,", ZERO,
         "throughput is \"0\" in pipeline,baseline,same,0,1"},
        {"manifest-removed", "rows.csv", "snapshot,snapshot-16,baseline,", REMOVE,
         "snapshot.csv: rows.csv has no such row to publish: snapshot-16,baseline"},
        {"manifest-twice", "rows.csv", "snapshot,snapshot-16,baseline,", TWICE,
         "rows.csv: twice: snapshot-16,baseline"},
        {"latency-removed", "latency.csv", "lookup-16,baseline,", REMOVE, "latency.csv: "},
        {"cache-removed", "skipped.csv", "\"bench-cache\"", REMOVE, "skipped.csv: "},
        {"machine-removed", "machine.csv", "kernel,", REMOVE, "machine.csv: nothing of kernel"},
        {"counts-removed", "counts.csv", "idle.csv,", REMOVE, "counts.csv: nothing of idle.csv"},
        {"not-a-number", "batch.csv", "batch-100,baseline,", CHANGE, "batch.csv: throughput is "},
};

/* The line with another throughput, the seventh field. */
static char *change_line(const struct damage *damage, const char *line)
{
        g_auto(GStrv) fields = g_strsplit(line, ",", -1);

        if (damage->how == REMOVE)
                return NULL;
        if (damage->how == TWICE)
                return g_strdup_printf("%s\n%s", line, line);
        g_free(fields[6]);
        fields[6] = g_strdup(damage->how == ZERO ? "0" : "nan");
        return g_strjoinv(",", fields);
}

static void damage_file(const struct damage *damage, const char *dir)
{
        g_autofree char *text = read_file(dir, damage->file);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autoptr(GString) changed = g_string_new(NULL);
        gboolean found = FALSE;

        for (guint i = 0; lines[i] && lines[i][0]; i++) {
                g_autofree char *other = NULL;
                const char *line = lines[i];

                if (!found && g_str_has_prefix(line, damage->find)) {
                        found = TRUE;
                        line = other = change_line(damage, line);
                }
                if (line)
                        g_string_append_printf(changed, "%s\n", line);
        }
        g_assert_true(found);
        write_file(dir, damage->file, changed->str);
}

static void test_damage(gconstpointer data)
{
        const struct damage *damage = data;
        g_autofree char *dir = copy_set(damage->name);
        g_autofree char *out = g_strdup_printf("%s-report", dir);
        g_autofree char *rest = g_strdup_printf("%s %s", dir, out);
        g_autofree char *err = NULL;

        damage_file(damage, dir);
        g_assert_cmpint(report(&err, rest), ==, 1);
        g_test_message("%s", err);
        g_assert_nonnull(strstr(err, damage->said));
        g_assert_false(g_file_test(out, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        base = process_make_dir();
        make_complete();
        g_test_add_func("/bench-suite/files", test_files);
        g_test_add_func("/bench-suite/skipped", test_skipped);
        g_test_add_func("/bench-suite/whole-or-not", test_whole_or_not);
        g_test_add_func("/bench-suite/usage", test_usage);
        g_test_add_func("/bench-suite/report", test_report);
        for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
                g_autofree char *path = g_strdup_printf("/bench-suite/refuses/%s", damages[i].name);

                g_test_add_data_func(path, &damages[i], test_damage);
        }
        status = g_test_run();
        process_remove_dir(base);
        g_free(base);
        g_free(complete);
        return status;
}
