/* SPDX-License-Identifier: MIT */

/*
 * The examples of lanes: the program whose calls are traced, and the controller in Python, which
 * draws a timeline of them. $NIPC_EXAMPLES is where the programs were built, $NIPC_EXAMPLE_SOURCES
 * where the scripts are, $NIPC_TRANSPORT the library. Without Python the controller is not tried.
 */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <nipc/clock.h>
#include <nipc/trace.h>
#include <unistd.h>

#include "util-process.h"

struct fixture {
        char *directory;
        char *lanes;   /* the file */
        char *setting; /* NIPC_INSTRUMENT=lanes */
        char *traced;
        char *controller;
        char *timeline;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->directory = process_make_dir();
        fixture->lanes = g_build_filename(fixture->directory, "calls.lane", NULL);
        fixture->setting = g_strdup_printf("NIPC_INSTRUMENT=%s", fixture->lanes);
        fixture->traced = g_build_filename(g_getenv("NIPC_EXAMPLES"), "example-traced", NULL);
        fixture->controller =
                g_build_filename(g_getenv("NIPC_EXAMPLE_SOURCES"), "lane_controller.py", NULL);
        fixture->timeline = g_build_filename(fixture->directory, "calls.json", NULL);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        process_remove_dir(fixture->directory);
        g_free(fixture->directory);
        g_free(fixture->lanes);
        g_free(fixture->setting);
        g_free(fixture->traced);
        g_free(fixture->controller);
        g_free(fixture->timeline);
}

static bool has_python(void)
{
        g_autofree char *python = g_find_program_in_path("python3");

        if (!python)
                g_test_skip("there is no python3");
        else if (!g_getenv("NIPC_TRANSPORT"))
                g_test_skip("Python cannot load a library that is built with a sanitizer");
        return python && g_getenv("NIPC_TRANSPORT");
}

/* ---- the program ----------------------------------------------------------------------------- */

struct calls {
        uint64_t main_number;
        uint64_t n_begun, n_ended, n_main, n_missing;
        GArray *numbers; /* of events: a name may come after what it names */
        int64_t depth, min_depth;
};

static void count(struct calls *calls, const struct nipc_lane_record *record)
{
        const struct nipc_trace_event *event = record->data;
        const struct nipc_trace_name *name = record->data;

        if (record->type == NIPC_LANE_GAP)
                calls->n_missing += record->n_dropped;
        if (record->type == NIPC_TRACE_NAME && record->size == sizeof(*name) + 4 &&
            memcmp(name + 1, "main", 4) == 0)
                calls->main_number = name->number;
        if (record->type != NIPC_TRACE_EVENT)
                return;
        calls->n_begun += event->kind == NIPC_TRACE_BEGIN;
        calls->n_ended += event->kind == NIPC_TRACE_END;
        g_array_append_val(calls->numbers, event->name);
        calls->depth += event->kind == NIPC_TRACE_BEGIN ? 1 : -1;
        calls->min_depth = MIN(calls->min_depth, calls->depth);
}

/* Of a program that has ended. */
static struct calls read_calls(const char *path)
{
        struct nipc_lane_reader *reader = NULL;
        struct nipc_lane_record record;
        struct calls calls = {.numbers = g_array_new(FALSE, FALSE, sizeof(uint64_t))};

        g_assert_cmpint(nipc_lane_reader_open_path(path, &reader), ==, 0);
        do {
                while (nipc_lane_reader_next(reader, &record) == 0)
                        count(&calls, &record);
        } while (nipc_lane_reader_wait(reader, nipc_deadline_after_ms(500)) == 0);
        g_assert_true(nipc_lane_reader_is_orphan(reader));
        nipc_lane_reader_close(reader);
        for (guint i = 0; i < calls.numbers->len; i++)
                calls.n_main += g_array_index(calls.numbers, uint64_t, i) == calls.main_number;
        g_array_free(g_steal_pointer(&calls.numbers), TRUE);
        return calls;
}

static void test_traced(struct fixture *fixture, gconstpointer data)
{
        const char *const argv[] = {"/usr/bin/env", fixture->setting, fixture->traced, "100", NULL};
        g_autofree char *out = NULL;
        struct calls calls;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_cmpstr(out, ==, "0 wrong\n");
        calls = read_calls(fixture->lanes);
        g_assert_cmpuint(calls.n_missing, ==, 0);
        g_assert_cmpuint(calls.n_begun, ==, calls.n_ended);
        g_assert_cmpuint(calls.n_begun, >, 2 * (100 + 3)); /* numbers, and what each thread does */
        g_assert_cmpuint(calls.main_number, !=, 0);
        g_assert_cmpuint(calls.n_main, ==, 2);
        g_assert_cmpint(calls.min_depth, ==, 0);
}

/* More than the lanes hold, and nobody who reads: what is there is what came last. */
static void test_overwritten(struct fixture *fixture, gconstpointer data)
{
        const char *const argv[] = {
                "/usr/bin/env", fixture->setting, fixture->traced, "10000", "4", NULL};
        struct calls calls;

        g_assert_cmpint(process_run(argv, NULL, NULL), ==, 0);
        calls = read_calls(fixture->lanes);
        g_assert_cmpuint(calls.n_missing, >, 0);
        g_assert_cmpuint(calls.n_main, ==, 1); /* its end */
}

static void test_not_traced(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *wrong =
                g_strdup_printf("NIPC_INSTRUMENT=%s/none/calls.lane", fixture->directory);
        const char *const plain[] = {fixture->traced, "100", NULL};
        const char *const failing[] = {"/usr/bin/env", wrong, fixture->traced, "100", NULL};
        g_autofree char *err = NULL;
        g_autofree char *why = NULL;

        g_assert_cmpint(process_run(plain, NULL, &err), ==, 0);
        g_assert_cmpstr(err, ==, "");
        g_assert_cmpint(process_run(failing, NULL, &why), ==, 0);
        g_assert_nonnull(strstr(why, "not instrumented"));
}

static void test_slow_down(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *script =
                g_build_filename(g_getenv("NIPC_EXAMPLE_SOURCES"), "instrument", "slow-down", NULL);
        g_autofree char *plain =
                g_build_filename(g_getenv("NIPC_EXAMPLES"), "example-untraced", NULL);
        const char *const argv[] = {script, "-n", "1", plain, fixture->traced, "1000", NULL};
        g_autofree char *out = NULL;

        g_assert_cmpint(process_run(argv, &out, NULL), ==, 0);
        g_assert_true(
                g_regex_match_simple("^slow-down: [0-9.]+, of which", out, G_REGEX_MULTILINE, 0));
}

/* ---- the controller in Python ---------------------------------------------------------------- */

static gboolean is_open(gpointer tid, gpointer depth, gpointer userdata)
{
        return depth != NULL;
}

/* What a viewer needs: every event whole, those of a thread nested and in order. */
static void check_timeline(const char *path, uint64_t n_at_least, bool is_whole)
{
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autoptr(GHashTable) depths = g_hash_table_new(NULL, NULL);
        JsonArray *events;
        double last = 0;
        guint n_main = 0;

        g_assert_true(json_parser_load_from_file(parser, path, NULL));
        events = json_object_get_array_member(json_node_get_object(json_parser_get_root(parser)),
                                              "traceEvents");
        g_assert_cmpuint(json_array_get_length(events), >=, n_at_least);
        for (guint i = 0; i < json_array_get_length(events); i++) {
                JsonObject *event = json_array_get_object_element(events, i);
                const char *phase = json_object_get_string_member(event, "ph");
                gpointer tid = GSIZE_TO_POINTER(json_object_get_int_member(event, "tid"));
                gssize depth = GPOINTER_TO_SIZE(g_hash_table_lookup(depths, tid));

                g_assert_cmpint(json_object_get_int_member(event, "pid"), >, 0);
                g_assert_cmpfloat(json_object_get_double_member(event, "ts"), >=, last);
                last = json_object_get_double_member(event, "ts");
                n_main += strcmp(json_object_get_string_member(event, "name"), "main") == 0;
                depth += strcmp(phase, "B") == 0 ? 1 : strcmp(phase, "E") == 0 ? -1 : 0;
                g_assert_cmpint(depth, >=, 0);
                g_hash_table_insert(depths, tid, GSIZE_TO_POINTER(depth));
        }
        if (is_whole)
                g_assert_cmpuint(n_main, ==, 2);
        if (is_whole)
                g_assert_null(g_hash_table_find(depths, is_open, NULL));
}

static struct process *start_controller(const struct fixture *fixture)
{
        const char *const argv[] = {"/usr/bin/env",
                                    "python3",
                                    fixture->controller,
                                    "--library",
                                    g_getenv("NIPC_TRANSPORT"),
                                    "--chrome",
                                    fixture->timeline,
                                    fixture->lanes,
                                    NULL};

        return process_start(argv);
}

/* The last line: "N records, M missing". */
static void read_sum(struct process *controller, uint64_t *ret_records, uint64_t *ret_missing)
{
        g_autofree char *last = NULL;
        char *line;
        char *end;

        while ((line = process_read_line(controller))) {
                g_free(last);
                last = line;
        }
        g_assert_nonnull(last);
        *ret_records = g_ascii_strtoull(last, &end, 10);
        g_assert_true(g_str_has_prefix(end, " records, "));
        *ret_missing = g_ascii_strtoull(end + strlen(" records, "), &end, 10);
        g_assert_cmpstr(end, ==, " missing");
        g_assert_cmpint(process_wait(controller), ==, 0);
}

static void test_controller(struct fixture *fixture, gconstpointer data)
{
        const char *const argv[] = {"/usr/bin/env", fixture->setting, fixture->traced, "100", NULL};
        uint64_t n_records, n_missing;

        if (!has_python())
                return;
        g_assert_cmpint(process_run(argv, NULL, NULL), ==, 0);
        read_sum(start_controller(fixture), &n_records, &n_missing);
        g_assert_cmpuint(n_missing, ==, 0);
        check_timeline(fixture->timeline, 2 * (100 + 3), true);
        read_sum(start_controller(fixture), &n_records, &n_missing); /* it was taken out */
        g_assert_cmpuint(n_records, <=, 3); /* the last record of each lane may come again */
}

/* While the program runs, and it is killed: what it wrote until then is there. */
static void test_controller_follows(struct fixture *fixture, gconstpointer data)
{
        const char *const argv[] = {"/usr/bin/env", fixture->setting, fixture->traced,
                                    "1000",         "1000000000",     NULL};
        struct process *program;
        struct process *controller;
        g_autofree char *attached = NULL;
        uint64_t n_records, n_missing;

        if (!has_python())
                return;
        program = process_start(argv);
        do { /* until the file is whole */
                g_free(attached);
                controller = start_controller(fixture);
                attached = process_read_line(controller);
                if (!attached)
                        process_wait(controller);
        } while (!attached);
        g_assert_cmpstr(attached, ==, "attached");
        process_kill(program);
        read_sum(controller, &n_records, &n_missing);
        g_assert_cmpuint(n_records, >, 1000);
        check_timeline(fixture->timeline, 1000, false);
}

/* Of a pool in memory, by descriptors that it inherits, as long as the agent wants. */
static void test_controller_inherits(struct fixture *fixture, gconstpointer data)
{
        g_autoptr(GSubprocessLauncher) launcher =
                g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
        g_autoptr(GSubprocess) controller = NULL;
        g_autofree char *out = NULL;
        struct nipc_lane_pool *pool = NULL;
        struct nipc_lane *lane = NULL;

        if (!has_python())
                return;
        g_assert_cmpint(nipc_lane_pool_new(NULL, &pool), ==, 0);
        g_assert_cmpint(nipc_lane_lease(pool, &lane), ==, 0);
        for (uint64_t i = 0; i < 1000; i++)
                g_assert_cmpint(nipc_lane_write(lane, 1, &i, sizeof(i)), ==, 0);
        nipc_lane_return(lane);
        g_subprocess_launcher_take_fd(launcher, dup(nipc_lane_pool_get_fd(pool)), 10);
        g_subprocess_launcher_take_fd(launcher, dup(nipc_lane_pool_get_wake_fd(pool)), 11);
        controller =
                g_subprocess_launcher_spawn(launcher, NULL, "python3", fixture->controller,
                                            "--library", g_getenv("NIPC_TRANSPORT"), "10:11", NULL);
        g_assert_nonnull(controller);
        nipc_lane_pool_free(pool);
        g_assert_true(g_subprocess_communicate_utf8(controller, NULL, NULL, &out, NULL, NULL));
        g_assert_true(g_subprocess_get_successful(controller));
        g_assert_cmpstr(out, ==,
                        "attached\nlane 0: 1000 records, 0 missing\n"
                        "1000 records, 0 missing\n");
}

static void test_controller_fails(struct fixture *fixture, gconstpointer data)
{
        struct process *controller;
        g_autofree char *reason = NULL;

        if (!has_python())
                return;
        controller = start_controller(fixture);
        reason = process_read_error_line(controller);
        g_assert_nonnull(strstr(reason, fixture->lanes));
        g_assert_cmpint(process_wait(controller), ==, 1);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *path;
                void (*run)(struct fixture *fixture, gconstpointer data);
        } cases[] = {
                {"/examples-lane/traced", test_traced},
                {"/examples-lane/overwritten", test_overwritten},
                {"/examples-lane/not-traced", test_not_traced},
                {"/examples-lane/slow-down", test_slow_down},
                {"/examples-lane/controller", test_controller},
                {"/examples-lane/controller-follows", test_controller_follows},
                {"/examples-lane/controller-inherits", test_controller_inherits},
                {"/examples-lane/controller-fails", test_controller_fails},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                g_test_add(cases[i].path, struct fixture, NULL, set_up, cases[i].run, tear_down);
        return g_test_run();
}
