/* SPDX-License-Identifier: MIT */
/* `nipc bench`: each subject in each scenario gives its row. How fast is not asked. */
#include "util-process.h"

static const char *const scenarios[] = {"ping-pong", "pipeline", "batch", "pipeline-batch",
                                        "snapshot",  "lookup",   "large"};
static const char *const subjects[] = {"baseline",       "shm-hybrid",  "ring",
                                       "bare-shm",       "bare-futex",  "bare-spin128",
                                       "bare-seqpacket", "bare-stream", "bare-pipe"};

#define COLUMNS                                                                             \
        "scenario,profile,placement,target_rps,repeat,duration_s,throughput,p50_us,p99_us," \
        "p999_us,client_cpu,server_cpu,distance_before_ns,distance_after_ns,switches,"      \
        "server_kb,others_cpu"

struct row {
        const char *scenario;
        const char *subject;
};

static gboolean can(const char *subject, const char *scenario)
{
        const gboolean is_nipc = !g_str_has_prefix(subject, "bare-");
        const gboolean is_socket = g_str_equal(subject, "bare-seqpacket");
        const gboolean is_bytes =
                g_str_equal(subject, "bare-stream") || g_str_equal(subject, "bare-pipe");

        if (g_str_equal(scenario, "lookup"))
                return is_nipc;
        if (g_str_has_prefix(scenario, "pipeline") && g_str_equal(subject, "shm-hybrid"))
                return FALSE;
        if (g_str_equal(scenario, "ping-pong") || g_str_equal(scenario, "pipeline"))
                return TRUE;
        if (g_str_equal(scenario, "snapshot") || g_str_equal(scenario, "large"))
                return !is_socket && !is_bytes;
        return !is_bytes;
}

static int bench(char **ret_out, char **ret_err, const char *line)
{
        g_autofree char *whole =
                g_strdup_printf("%s bench --duration 0.05 %s", process_get_tool(), line);
        g_auto(GStrv) argv = NULL;

        g_assert_true(g_shell_parse_argv(whole, NULL, &argv, NULL));
        return process_run((const char *const *)argv, ret_out, ret_err);
}

static void check_row(const char *line, const char *scenario, const char *subject)
{
        g_auto(GStrv) fields = g_strsplit(line, ",", -1);

        g_assert_cmpuint(g_strv_length(fields), ==, 17);
        g_assert_cmpstr(fields[0], ==, scenario);
        g_assert_cmpstr(fields[1], ==, subject);
        for (guint i = 5; i < 10; i++)
                g_assert_cmpfloat(g_ascii_strtod(fields[i], NULL), >, 0);
}

static void test_row(gconstpointer data)
{
        const struct row *row = data;
        g_autofree char *line =
                g_strdup_printf("%s --repeat 2 --items 50 --bytes 300001 --profile %s",
                                row->scenario, row->subject);
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_auto(GStrv) lines = NULL;
        int status = bench(&out, &err, line);

        if (status == 1 && strstr(err, "this build has no")) {
                g_test_skip(err);
                return;
        }
        lines = g_strsplit(out, "\n", -1);
        g_assert_cmpstr(lines[0], ==, COLUMNS);
        if (!can(row->subject, row->scenario)) {
                g_assert_cmpint(status, ==, 1);
                g_assert_nonnull(strstr(err, "left out"));
                g_assert_cmpuint(g_strv_length(lines), ==, 2);
                return;
        }
        g_assert_cmpstr(status ? err : "", ==, "");
        g_assert_cmpuint(g_strv_length(lines), ==, 4);
        check_row(lines[1], row->scenario, row->subject);
        check_row(lines[2], row->scenario, row->subject);
}

/* What nobody named is measured as far as it is there, and compared. */
static void test_default(void)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        g_assert_cmpint(bench(&out, &err, "ping-pong --repeat 1"), ==, 0);
        g_assert_nonnull(strstr(out, "\nping-pong,baseline,free,"));
        g_assert_nonnull(strstr(out, "\nping-pong,bare-seqpacket,free,"));
        g_assert_null(strstr(out, "bare-futex"));
        g_assert_nonnull(strstr(err, " of bare-seqpacket ("));
}

static void test_rate(void)
{
        g_autofree char *out = NULL;

        g_assert_cmpint(bench(&out, NULL, "ping-pong --repeat 1 --rate 1000 --profile baseline"),
                        ==, 0);
        g_assert_nonnull(strstr(out, "\nping-pong,baseline,free,1000,1,"));
}

/* A scenario for each number of clients, in the name of the rows. */
static void test_clients(void)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(bench(&out, &err,
                              "clients --clients 1,70 --repeat 1 "
                              "--profile baseline,ring,bare-epoll,bare-epoll-mt"),
                        ==, 0);
        lines = g_strsplit(out, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 10);
        check_row(lines[1], "clients-1", "baseline");
        check_row(lines[6], "clients-70", "ring");
        check_row(lines[8], "clients-70", "bare-epoll-mt");
        g_assert_nonnull(strstr(err, " of bare-epoll ("));
        g_assert_cmpint(bench(NULL, NULL, "clients --clients 0"), ==, 2);
        g_assert_cmpint(bench(NULL, NULL, "clients --clients 8 --rate 100"), ==, 2);
}

/* A silence, then an answer to each. */
static void test_idle(void)
{
        g_autofree char *out = NULL;
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(bench(&out, NULL,
                              "idle --clients 5 --repeat 1 --profile baseline,ring,bare-epoll"),
                        ==, 0);
        lines = g_strsplit(out, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 5);
        check_row(lines[1], "idle-5", "baseline");
        check_row(lines[3], "idle-5", "bare-epoll");
        g_assert_cmpint(bench(NULL, NULL, "idle --rate 100"), ==, 2);
}

/* As many as asked for, not as long as asked for. */
static void test_messages(void)
{
        g_autofree char *out = NULL;
        g_auto(GStrv) fields = NULL;

        g_assert_cmpint(bench(&out, NULL, "ping-pong --repeat 1 --messages 300 --profile baseline"),
                        ==, 0);
        fields = g_strsplit(strchr(out, '\n') + 1, ",", -1);
        g_assert_cmpfloat(g_ascii_strtod(fields[5], NULL) * g_ascii_strtod(fields[6], NULL), >,
                          150);
        g_assert_cmpfloat(g_ascii_strtod(fields[5], NULL) * g_ascii_strtod(fields[6], NULL), <,
                          600);
}

/* Alone and in trouble, in the name of the rows. */
static void test_lane(void)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(bench(&out, &err, "lane --repeat 1"), ==, 0);
        lines = g_strsplit(out, "\n", -1);
        check_row(lines[1], "lane", "bare-spsc");
        check_row(lines[2], "lane", "lane");
        check_row(lines[3], "lane", "lane-file");
        g_assert_cmpstr(lines[4], ==, "");
        g_assert_nonnull(strstr(err, "of bare-spsc"));
}

static void test_fairness(void)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(bench(&out, &err, "fairness --repeat 1 --profile baseline,bare-epoll"), ==,
                        0);
        lines = g_strsplit(out, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 9);
        check_row(lines[1], "fairness-alone", "baseline");
        check_row(lines[2], "fairness-apart", "baseline");
        check_row(lines[3], "fairness-flood", "baseline");
        check_row(lines[4], "fairness-crowd", "baseline");
        check_row(lines[7], "fairness-flood", "bare-epoll");
        g_assert_nonnull(strstr(err, "of it alone"));
        g_assert_nonnull(strstr(err, "of it apart"));
}

/* One CPU for two that spin: slow, but it ends. */
static void test_same(void)
{
        g_autofree char *out = NULL;

        g_assert_cmpint(bench(&out, NULL,
                              "ping-pong pipeline --repeat 1 --placement same --profile bare-shm"),
                        ==, 0);
        g_assert_nonnull(strstr(out, "\nping-pong,bare-shm,same,"));
        g_assert_nonnull(strstr(out, "\npipeline,bare-shm,same,"));
}

static void test_depths(void)
{
        static const char *const depths[] = {"1", "2", "3", "255", "256"};

        for (size_t i = 0; i < G_N_ELEMENTS(depths); i++) {
                g_autofree char *line = g_strdup_printf(
                        "pipeline --repeat 1 --profile baseline,bare-shm --depth %s", depths[i]);

                g_assert_cmpint(bench(NULL, NULL, line), ==, 0);
        }
}

static void test_no_leftovers(void)
{
        g_autofree char *dir = process_make_dir();
        g_autofree char *variable = g_strdup_printf("TMPDIR=%s", dir);
        const char *const argv[] = {
                "/usr/bin/env", variable, process_get_tool(), "bench", "ping-pong",
                "--repeat",     "1",      "--duration",       "0.05",  NULL};
        g_autoptr(GDir) left = NULL;

        g_assert_cmpint(process_run(argv, NULL, NULL), ==, 0);
        left = g_dir_open(dir, 0, NULL);
        g_assert_null(g_dir_read_name(left));
        process_remove_dir(dir);
}

int main(int argc, char **argv)
{
        static struct row rows[G_N_ELEMENTS(scenarios) * G_N_ELEMENTS(subjects)];

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *path = NULL;

                rows[i].scenario = scenarios[i / G_N_ELEMENTS(subjects)];
                rows[i].subject = subjects[i % G_N_ELEMENTS(subjects)];
                path = g_strdup_printf("/bench/%s/%s", rows[i].scenario, rows[i].subject);
                g_test_add_data_func(path, &rows[i], test_row);
        }
        g_test_add_func("/bench/default", test_default);
        g_test_add_func("/bench/rate", test_rate);
        g_test_add_func("/bench/same", test_same);
        g_test_add_func("/bench/clients", test_clients);
        g_test_add_func("/bench/fairness", test_fairness);
        g_test_add_func("/bench/lane", test_lane);
        g_test_add_func("/bench/depths", test_depths);
        g_test_add_func("/bench/idle", test_idle);
        g_test_add_func("/bench/messages", test_messages);
        g_test_add_func("/bench/no-leftovers", test_no_leftovers);
        return g_test_run();
}
