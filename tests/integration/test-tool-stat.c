/* SPDX-License-Identifier: MIT */
/*
 * `nipc stat` and `nipc top` over real providers: figures, the scraper's text, JSON, and providers
 * that do not tell. promtool judges the text where it is installed.
 */
#include "util-process.h"

#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

struct fixture {
        char *run_dir;
        struct process *server;
};

static void setup(struct fixture *fixture)
{
        fixture->run_dir = process_make_dir();
        fixture->server = process_serve(fixture->run_dir, "increment", NULL);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, NULL, "call", "increment", "1",
                                     "--repeat", "500", NULL),
                        ==, 0);
}

static void teardown(struct fixture *fixture)
{
        g_assert_cmpint(process_stop(fixture->server), ==, 0);
        process_remove_dir(fixture->run_dir);
        g_free(fixture->run_dir);
}

static gboolean matches(const char *text, const char *pattern)
{
        return g_regex_match_simple(pattern, text, G_REGEX_MULTILINE, 0);
}

static void test_table(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;

        setup(&fixture);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "stat", "increment", NULL), ==,
                        0);
        g_assert_true(matches(out, "^requests_total +status=ok +500$"));
        g_assert_true(matches(out, "^request_bytes_total +4000$"));
        g_assert_true(matches(out, "^handshakes_total +outcome=ready +2$"));
        g_assert_true(matches(out, "^handle +[0-9]+ "));
        g_assert_false(matches(out, "status=unsupported"));
        teardown(&fixture);
}

static void test_interval(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;

        setup(&fixture);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "stat", "increment", "-i", "0.01",
                                     NULL),
                        ==, 0);
        g_assert_true(matches(out, "^METRIC +LABELS +VALUE +PER_SECOND$"));
        g_assert_true(matches(out, "^requests_total +status=ok +500 +0\\.0$"));
        g_assert_true(matches(out, "^workers +1 +-$"));
        teardown(&fixture);
}

static void test_json(void)
{
        struct fixture fixture;
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autofree char *out = NULL;
        JsonObject *root;

        setup(&fixture);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "stat", "increment", "--json",
                                     NULL),
                        ==, 0);
        g_assert_true(json_parser_load_from_data(parser, out, -1, NULL));
        root = json_node_get_object(json_parser_get_root(parser));
        g_assert_cmpstr(json_object_get_string_member(root, "service"), ==, "increment");
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(root, "metrics")), >,
                         100);
        teardown(&fixture);
}

static void test_prometheus(void)
{
        struct fixture fixture;
        g_autofree char *promtool = g_find_program_in_path("promtool");
        g_autofree char *out = NULL;
        g_autofree char *path = NULL;
        g_autofree char *command = NULL;
        g_autofree char *said = NULL;

        setup(&fixture);
        path = g_build_filename(fixture.run_dir, "metrics.prom", NULL);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "stat", "increment",
                                     "--prometheus", NULL),
                        ==, 0);
        g_assert_true(matches(
                out, "^nipc_server_requests_total\\{service=\"increment\",status=\"ok\"\\} 500$"));
        g_assert_true(g_file_set_contents(path, out, -1, NULL));
        if (promtool) {
                command = g_strdup_printf("'%s' check metrics <'%s' 2>&1", promtool, path);
                const char *const argv[] = {"/bin/sh", "-c", command, NULL};

                g_assert_cmpint(process_run(argv, &said, NULL), ==, 0);
                g_assert_cmpstr(said, ==, "");
        } else {
                g_test_skip("promtool is not installed");
        }
        teardown(&fixture);
}

static void test_nobody(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(run_dir, NULL, &err, "stat", "nobody", NULL), ==, 1);
        g_assert_nonnull(strstr(err, "nobody"));
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
        process_remove_dir(run_dir);
}

/* One whose owner allows no responses as large as the text. */
static void test_too_small(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *small =
                process_serve(run_dir, "increment", "--max-response-bytes", "64", NULL);
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(run_dir, NULL, &err, "stat", "increment", NULL), ==, 1);
        g_assert_nonnull(strstr(err, "max-response-bytes"));
        g_assert_cmpint(process_nipc(run_dir, NULL, NULL, "call", "increment", "1", NULL), ==, 0);
        g_assert_cmpint(process_stop(small), ==, 0);
        process_remove_dir(run_dir);
}

static void test_top(void)
{
        struct fixture fixture;
        struct process *echo;
        g_autofree char *out = NULL;
        g_autofree char *row = NULL;

        setup(&fixture);
        echo = process_serve(fixture.run_dir, "echo", "--method", "9", NULL);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "top", "-c", "1", NULL), ==, 0);
        g_assert_true(g_str_has_prefix(out, "NAME "));
        g_assert_null(strchr(out, '\033'));
        row = g_strdup_printf("^increment +%d +1 +- ", process_get_pid(fixture.server));
        g_assert_true(matches(out, row));
        g_assert_true(matches(out, "^echo +.*baseline=1$"));
        g_assert_cmpint(process_stop(echo), ==, 0);
        teardown(&fixture);
}

static void test_top_rates(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_auto(GStrv) lines = NULL;
        g_autoptr(JsonParser) parser = json_parser_new();
        JsonObject *row;

        setup(&fixture);
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "top", "-c", "2", "-i", "0.01",
                                     "--json", NULL),
                        ==, 0);
        lines = g_strsplit(g_strstrip(out), "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 2);
        g_assert_true(json_parser_load_from_data(parser, lines[1], -1, NULL));
        row = json_array_get_object_element(json_node_get_array(json_parser_get_root(parser)), 0);
        g_assert_cmpstr(json_object_get_string_member(row, "name"), ==, "increment");
        g_assert_cmpfloat(json_object_get_double_member(row, "requests_per_second"), ==, 0);
        g_assert_cmpstr(json_object_get_string_member(row, "profiles"), ==, "baseline=1");
        teardown(&fixture);
}

#define N_HUNG 3

static bool is_stopped(const char *task)
{
        g_autofree char *path = g_build_filename(task, "stat", NULL);
        g_autofree char *text = NULL;
        const char *name_end;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        name_end = strrchr(text, ')');
        return name_end && g_str_has_prefix(name_end, ") T");
}

/* All its threads: each stops when it next looks. */
static void stop_for_a_while(struct process *process)
{
        g_autofree char *tasks = g_strdup_printf("/proc/%d/task", process_get_pid(process));
        g_autoptr(GDir) dir = NULL;
        const char *name;

        process_signal(process, SIGSTOP);
        dir = g_dir_open(tasks, 0, NULL);
        while ((name = g_dir_read_name(dir))) {
                g_autofree char *task = g_build_filename(tasks, name, NULL);

                while (!is_stopped(task))
                        g_thread_yield();
        }
}

/*
 * There is one deadline for the whole picture: had those that hang been asked before the others, as
 * they are by name, nobody else would have had a chance.
 */
static void test_top_hung(void)
{
        struct process *hung[N_HUNG];
        g_autoptr(JsonParser) parser = json_parser_new();
        g_auto(GStrv) lines = NULL;
        g_autofree char *out = NULL;
        struct fixture fixture;

        setup(&fixture);
        for (int i = 0; i < N_HUNG; i++) {
                g_autofree char *name = g_strdup_printf("hung-%d", i);

                hung[i] = process_serve(fixture.run_dir, "increment", "--name", name, NULL);
                stop_for_a_while(hung[i]);
        }
        g_assert_cmpint(process_nipc(fixture.run_dir, &out, NULL, "top", "-c", "2", "-i", "0.01",
                                     "--json", NULL),
                        ==, 0);
        lines = g_strsplit(g_strstrip(out), "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 2);
        for (int k = 0; k < 2; k++) {
                JsonArray *rows;
                JsonObject *row;

                g_assert_true(json_parser_load_from_data(parser, lines[k], -1, NULL));
                rows = json_node_get_array(json_parser_get_root(parser));
                g_assert_cmpuint(json_array_get_length(rows), ==, N_HUNG + 1);
                for (guint i = 0; i < N_HUNG; i++) {
                        row = json_array_get_object_element(rows, i);
                        g_assert_true(json_object_get_null_member(row, "profiles"));
                        g_assert_cmpstr(json_object_get_string_member(row, "trouble"), ==,
                                        "hangs: no answer in 500 ms");
                }
                row = json_array_get_object_element(rows, N_HUNG);
                g_assert_cmpstr(json_object_get_string_member(row, "profiles"), ==, "baseline=1");
                g_assert_true(json_object_get_null_member(row, "trouble"));
        }
        for (int i = 0; i < N_HUNG; i++) {
                process_signal(hung[i], SIGCONT);
                g_assert_cmpint(process_stop(hung[i]), ==, 0);
        }
        teardown(&fixture);
}

/* serve --log: a line for each event, on stderr. */
static void test_log(void)
{
        g_autofree char *run_dir = process_make_dir();
        struct process *server = process_serve(run_dir, "increment", "--log", NULL);
        g_autofree char *opened = process_read_error_line(server);
        g_autofree char *accepted = NULL;
        g_autofree char *ended = NULL;

        g_assert_cmpstr(opened, ==, "nipc serve: listener-opened service=increment");
        g_assert_cmpint(process_nipc(run_dir, NULL, NULL, "call", "increment", "1", NULL), ==, 0);
        accepted = process_read_error_line(server);
        ended = process_read_error_line(server);
        g_assert_true(g_str_has_prefix(accepted, "nipc serve: session-accepted "));
        g_assert_true(g_str_has_prefix(ended, "nipc serve: session-ended "));
        g_assert_true(g_str_has_suffix(ended, " error=ECONNRESET"));
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stat/table", test_table);
        g_test_add_func("/stat/interval", test_interval);
        g_test_add_func("/stat/json", test_json);
        g_test_add_func("/stat/prometheus", test_prometheus);
        g_test_add_func("/stat/nobody", test_nobody);
        g_test_add_func("/stat/too-small", test_too_small);
        g_test_add_func("/stat/log", test_log);
        g_test_add_func("/top/once", test_top);
        g_test_add_func("/top/rates", test_top_rates);
        g_test_add_func("/top/hung", test_top_hung);
        return g_test_run();
}
