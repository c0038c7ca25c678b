/* SPDX-License-Identifier: MIT */
/*
 * `nipc lane` over pools that the test writes to itself: recording, figures, printing, what is left
 * of damaged files, and timelines, whose JSON is parsed again.
 */
#include "util-process.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <nipc/lane-file.h>
#include <nipc/trace.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_BYTES 4096u

struct fixture {
        char *dir, *pool_path, *recording;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;
};

static void setup(struct fixture *fixture)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;

        fixture->dir = process_make_dir();
        fixture->pool_path = g_build_filename(fixture->dir, "pool", NULL);
        fixture->recording = g_build_filename(fixture->dir, "recording", NULL);
        config.path = fixture->pool_path;
        config.policy = NIPC_LANE_BLOCK;
        config.n_lanes = 2;
        config.n_rings = 4;
        config.ring_bytes = RING_BYTES;
        config.block_timeout_ms = 60000;
        g_assert_cmpint(nipc_lane_pool_new(&config, &fixture->pool), ==, 0);
        g_assert_cmpint(nipc_lane_lease(fixture->pool, &fixture->lane), ==, 0);
}

static void teardown(struct fixture *fixture)
{
        nipc_lane_pool_free(fixture->pool);
        process_remove_dir(fixture->dir);
        g_free(fixture->dir);
        g_free(fixture->pool_path);
        g_free(fixture->recording);
}

static void write_numbers(struct fixture *fixture, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                g_autofree char *text = g_strdup_printf("number %u", i);

                g_assert_cmpint(nipc_lane_write(fixture->lane, 7, text, (uint32_t)strlen(text)), ==,
                                0);
        }
}

static unsigned count_lines(const char *text)
{
        unsigned n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static JsonNode *parse(const char *text)
{
        g_autoptr(GError) error = NULL;
        JsonNode *node = json_from_string(text, &error);

        g_assert_no_error(error);
        g_assert_nonnull(node);
        return node;
}

static gboolean matches(const char *text, const char *pattern)
{
        return g_regex_match_simple(pattern, text, G_REGEX_MULTILINE, 0);
}

/* ---- record ---------------------------------------------------------------------------------- */

static void test_record(void)
{
        struct fixture fixture;
        struct process *recorder;
        g_autofree char *line = NULL;
        g_autofree char *out = NULL;
        g_autofree char *last = NULL;

        setup(&fixture);
        recorder = process_start_nipc(fixture.dir, "lane", "record", fixture.pool_path, "-o",
                                      fixture.recording, NULL);
        write_numbers(&fixture, 5000); /* far more than the pool has room for */
        fixture.pool = nipc_lane_pool_free(fixture.pool);
        line = process_read_line(recorder);
        g_assert_true(g_str_has_prefix(line, "5000 records, 0 dropped, 0 recycled; "));
        g_assert_cmpint(process_wait(recorder), ==, 0);
        g_assert_cmpint(process_nipc(fixture.dir, &out, NULL, "lane", "dump", fixture.recording,
                                     NULL),
                        ==, 0);
        g_assert_cmpuint(count_lines(out), ==, 5000);
        last = g_strdup_printf("0 1 %d 4999 0x0007 11 number 4999\n", getpid());
        g_assert_true(g_str_has_suffix(out, last));
        teardown(&fixture);
}

/* How many records of lane 0 a controller has taken. */
static gint64 get_consumed(const struct fixture *fixture)
{
        g_autofree char *out = NULL;
        g_autoptr(JsonNode) node = NULL;
        JsonArray *lanes;

        g_assert_cmpint(process_nipc(fixture->dir, &out, NULL, "lane", "stat", fixture->pool_path,
                                     "--json", NULL),
                        ==, 0);
        node = parse(out);
        lanes = json_object_get_array_member(json_node_get_object(node), "lanes");
        return json_object_get_int_member(json_array_get_object_element(lanes, 0), "consumed");
}

static void test_signals(gconstpointer data)
{
        struct fixture fixture;
        struct process *recorder;
        g_autofree char *line = NULL;

        setup(&fixture);
        write_numbers(&fixture, 50); /* in a ring that is not full */
        recorder = process_start_nipc(fixture.dir, "lane", "record", fixture.pool_path, "-o",
                                      fixture.recording, NULL);
        while (get_consumed(&fixture) < 50)
                ;
        process_signal(recorder, GPOINTER_TO_INT(data));
        line = process_read_line(recorder);
        g_assert_true(g_str_has_prefix(line, "50 records, "));
        g_assert_cmpint(process_wait(recorder), ==, 0);
        g_assert_cmpint(process_nipc(fixture.dir, NULL, NULL, "lane", "recover", fixture.recording,
                                     NULL),
                        ==, 0);
        teardown(&fixture);
}

static void test_append(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        setup(&fixture);
        write_numbers(&fixture, 10);
        for (unsigned i = 0; i < 2; i++) {
                g_assert_cmpint(process_nipc(fixture.dir, NULL, NULL, "lane", "record",
                                             fixture.pool_path, "-o", fixture.recording, "--append",
                                             "--duration", "0.5", NULL),
                                ==, 0);
                write_numbers(&fixture, 10);
        }
        g_assert_cmpint(process_nipc(fixture.dir, NULL, &err, "lane", "record", fixture.pool_path,
                                     "-o", fixture.recording, NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "File exists"));
        g_assert_cmpint(process_nipc(fixture.dir, &out, NULL, "lane", "dump", fixture.recording,
                                     NULL),
                        ==, 0);
        g_assert_cmpuint(count_lines(out), ==, 20);
        teardown(&fixture);
}

/* A pool without a file: its descriptors are inherited. */
static void test_handed_over(void)
{
        struct nipc_lane_pool *pool;
        struct nipc_lane *lane;
        g_autofree char *dir = process_make_dir();
        g_autofree char *path = g_build_filename(dir, "recording", NULL);
        g_autofree char *line = NULL;
        g_autofree char *out = NULL;
        g_auto(GStrv) argv = NULL;
        int own, own_wake, status;

        g_assert_cmpint(nipc_lane_pool_new(NULL, &pool), ==, 0);
        g_assert_cmpint(nipc_lane_lease(pool, &lane), ==, 0);
        for (unsigned i = 0; i < 3; i++)
                g_assert_cmpint(nipc_lane_put(lane, 1, &i, sizeof(i)), ==, 0);
        nipc_lane_return(lane);
        own = dup(nipc_lane_pool_get_fd(pool)); /* without close-on-exec */
        own_wake = dup(nipc_lane_pool_get_wake_fd(pool));
        line = g_strdup_printf("%s --json lane record --fd %d --wake-fd %d -o %s -d 0.5",
                               process_get_tool(), own, own_wake, path);
        g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
        g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL,
                                   &out, NULL, &status, NULL));
        g_assert_cmpint(status, ==, 0);
        g_assert_true(matches(out, "\"records\" *: 3,"));
        close(own);
        close(own_wake);
        nipc_lane_pool_free(pool);
        process_remove_dir(dir);
}

/* ---- stat ------------------------------------------------------------------------------------ */

static void test_stat(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_autofree char *rates = NULL;

        setup(&fixture);
        write_numbers(&fixture, 200);
        g_assert_cmpint(process_nipc(fixture.dir, &out, NULL, "lane", "stat", fixture.pool_path,
                                     NULL),
                        ==, 0);
        g_assert_true(matches(out, "^pid [0-9]+, alive; index, block; 2 lanes of 4 rings of 4096 "
                                   "bytes$"));
        g_assert_true(matches(out, "^0 +leased +1 +[0-9]+ +1/4 +200 +0 +0 +0 +1 +0 +0$"));
        g_assert_cmpuint(count_lines(out), ==, 3); /* nobody had the other lane */
        g_assert_cmpint(process_nipc(fixture.dir, &rates, NULL, "--json", "lane", "stat",
                                     fixture.pool_path, "-i", "0.01", "-c", "2", NULL),
                        ==, 0);
        g_assert_cmpuint(count_lines(rates), ==, 2);
        g_assert_true(matches(rates, "\"per_second\" *: *0"));
        teardown(&fixture);
}

/* ---- dump, recover --------------------------------------------------------------------------- */

static void test_dump(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_autofree char *hex = NULL;
        g_autofree char *json = NULL;
        g_autofree char *none = NULL;
        g_autoptr(JsonNode) node = NULL;

        setup(&fixture);
        nipc_lane_write(fixture.lane, 0x123, "a\nb\xff", 4);
        g_assert_cmpint(process_nipc(fixture.dir, &out, NULL, "lane", "dump", fixture.pool_path,
                                     NULL),
                        ==, 0);
        g_assert_true(matches(out, "^0 1 [0-9]+ 0 0x0123 4 a\\\\x0ab\\\\xff$"));
        g_assert_cmpint(process_nipc(fixture.dir, &hex, NULL, "lane", "dump", "--hex", "--lane",
                                     "0", fixture.pool_path, NULL),
                        ==, 0);
        g_assert_true(matches(hex, "^0 1 [0-9]+ 0 0x0123 4 610a62ff$"));
        g_assert_cmpint(process_nipc(fixture.dir, &json, NULL, "lane", "dump", "--json",
                                     fixture.pool_path, NULL),
                        ==, 0);
        node = parse(json);
        g_assert_cmpstr(json_object_get_string_member(json_node_get_object(node), "hex"), ==,
                        "610a62ff");
        g_assert_cmpint(process_nipc(fixture.dir, &none, NULL, "lane", "dump", "--lane", "1",
                                     fixture.pool_path, NULL),
                        ==, 0);
        g_assert_cmpstr(none, ==, "");
        teardown(&fixture);
}

static void spoil(const char *path, off_t offset)
{
        const int fd = open(path, O_RDWR | O_CLOEXEC);
        char byte;

        g_assert_cmpint(pread(fd, &byte, 1, offset), ==, 1);
        byte = (char)(byte ^ 1);
        g_assert_cmpint(pwrite(fd, &byte, 1, offset), ==, 1);
        close(fd);
}

/* Records of 16 + 8 bytes: "number 0" and so on. */
static void test_recover(void)
{
        struct fixture fixture;
        const off_t first = 8192 + 128;
        g_autofree char *expected = NULL;
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_autofree char *again = NULL;

        setup(&fixture);
        write_numbers(&fixture, 10);
        fixture.pool = nipc_lane_pool_free(fixture.pool);
        g_assert_cmpint(process_nipc(fixture.dir, NULL, &err, "lane", "recover", fixture.pool_path,
                                     NULL),
                        ==, 0);
        g_assert_cmpstr(err, ==, "");
        g_clear_pointer(&err, g_free);
        spoil(fixture.pool_path, first + 3 * 24 + 20);
        spoil(fixture.pool_path, first + 4 * 24 + 20);
        g_assert_cmpint(process_nipc(fixture.dir, &out, &err, "lane", "recover", fixture.pool_path,
                                     "-o", fixture.recording, NULL),
                        ==, 3);
        g_assert_cmpstr(out, ==, "8 records\n");
        expected = g_strdup_printf("nipc lane recover: %s: skipped 48 bytes at offset %d: damaged "
                                   "records\n",
                                   fixture.pool_path, (int)first + 3 * 24);
        g_assert_cmpstr(err, ==, expected);
        g_assert_cmpint(process_nipc(fixture.dir, &again, NULL, "lane", "dump", fixture.recording,
                                     NULL),
                        ==, 0);
        g_assert_true(matches(again, "^0 1 [0-9]+ 3 gap dropped=2 recycled=0$"));
        g_assert_cmpuint(count_lines(again), ==, 9);
        teardown(&fixture);
}

static void test_recover_unread(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_autofree char *json = NULL;

        setup(&fixture);
        write_numbers(&fixture, 10);
        g_assert_cmpint(process_nipc(fixture.dir, NULL, NULL, "lane", "record", fixture.pool_path,
                                     "-o", fixture.recording, "-d", "0.5", NULL),
                        ==, 0);
        write_numbers(&fixture, 5);
        g_assert_cmpint(process_nipc(fixture.dir, &out, NULL, "lane", "recover", "--unread",
                                     fixture.pool_path, NULL),
                        ==, 0);
        g_assert_cmpuint(count_lines(out), ==, 5);
        /* Cut in the data of a frame. */
        g_assert_cmpint(truncate(fixture.recording, 300), ==, 0);
        g_assert_cmpint(process_nipc(fixture.dir, &json, NULL, "lane", "recover", "--json",
                                     fixture.recording, NULL),
                        ==, 3);
        g_assert_true(matches(json, "^{\"skipped\":\"damaged records\",\"offset\":288,"
                                    "\"length\":12}$"));
        g_assert_cmpuint(count_lines(json), ==, 5);
        teardown(&fixture);
}

static void test_no_file(void)
{
        g_autofree char *dir = process_make_dir();
        g_autofree char *path = g_build_filename(dir, "file", NULL);
        const char *const verbs[] = {"dump", "recover", "export", "stat"};

        for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
                g_autofree char *err = NULL;

                g_assert_true(g_file_set_contents(path, "nothing", -1, NULL));
                g_assert_cmpint(process_nipc(dir, NULL, &err, "lane", verbs[i], path, NULL), ==, 1);
                g_assert_nonnull(strstr(err, "neither a pool of lanes nor a recording"));
                unlink(path);
                g_assert_cmpint(process_nipc(dir, NULL, NULL, "lane", verbs[i], path, NULL), ==, 1);
        }
        process_remove_dir(dir);
}

/* ---- a small disk ---------------------------------------------------------------------------- */

static void test_full(void)
{
        struct fixture fixture;
        g_autofree char *disk = NULL;
        g_autofree char *path = NULL;
        g_autofree char *err = NULL;

        setup(&fixture);
        disk = g_build_filename(fixture.dir, "disk", NULL);
        path = g_build_filename(disk, "recording", NULL);
        g_assert_cmpint(mkdir(disk, 0700), ==, 0);
        if (mount("none", disk, "tmpfs", 0, "size=1m,mode=0700") < 0) {
                g_test_skip("needs to mount a small file system");
        } else {
                g_assert_cmpint(process_nipc(fixture.dir, NULL, &err, "lane", "record",
                                             fixture.pool_path, "-o", path, NULL),
                                ==, 1);
                g_assert_nonnull(strstr(err, "No space left on device"));
                g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
                umount(disk);
        }
        teardown(&fixture);
}

/* ---- export ---------------------------------------------------------------------------------- */

static JsonObject *find_event(JsonArray *events, const char *kind, unsigned number)
{
        for (guint i = 0; i < json_array_get_length(events); i++) {
                JsonObject *event = json_array_get_object_element(events, i);

                if (!strcmp(json_object_get_string_member(event, "ph"), kind) && !number--)
                        return event;
        }
        g_assert_not_reached();
        return NULL;
}

static void write_timeline(struct nipc_lane *lane)
{
        static const struct {
                struct nipc_trace_event event;
                char name[9];
        } named = {{5000, 0, 77, NIPC_TRACE_INSTANT}, "\"q\"\n\xff\\é"};

        nipc_trace_put(lane, NIPC_TRACE_END, 0, 500); /* of what nobody began */
        nipc_trace_put(lane, NIPC_TRACE_BEGIN, 0xabc, 1001);
        nipc_trace_put(lane, NIPC_TRACE_BEGIN, 0xdef, 2002);
        nipc_trace_put(lane, NIPC_TRACE_END, 0, 3003);
        nipc_trace_put(lane, NIPC_TRACE_END, 0xabc, 4004);
        nipc_trace_put_name(lane, NIPC_TRACE_NAME, 0xabc, "main");
        nipc_trace_put_name(lane, NIPC_TRACE_PROCESS, 4321, "program");
        nipc_trace_put_name(lane, NIPC_TRACE_THREAD, 77, "worker");
        nipc_lane_put(lane, NIPC_TRACE_EVENT, &named, sizeof(named.event) + 8);
        nipc_trace_put_value(lane, NIPC_TRACE_COMPLETE, 0xabc, 6000, 1500);
        nipc_trace_put_value(lane, NIPC_TRACE_COUNTER, 0xabc, 7000, -3);
        nipc_trace_put(lane, NIPC_TRACE_COMPLETE, 0xabc, 8000); /* without its value */
        nipc_trace_put(lane, 'Z', 0xabc, 8000);
        nipc_lane_put(lane, NIPC_TRACE_EVENT, "short", 5);
        nipc_lane_put(lane, 1, "something else", 14);
}

static void test_export(void)
{
        struct fixture fixture;
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        g_autoptr(JsonNode) node = NULL;
        JsonArray *events;
        JsonObject *event;

        setup(&fixture);
        write_timeline(fixture.lane);
        g_assert_cmpint(process_nipc(fixture.dir, &out, &err, "lane", "export", fixture.pool_path,
                                     NULL),
                        ==, 0);
        g_assert_nonnull(strstr(err, "5 records are not of a timeline, 0 places"));
        node = parse(out);
        events = json_object_get_array_member(json_node_get_object(node), "traceEvents");
        g_assert_cmpuint(json_array_get_length(events), ==, 2 + 7);
        event = find_event(events, "B", 0);
        g_assert_cmpstr(json_object_get_string_member(event, "name"), ==, "main");
        g_assert_cmpfloat(json_object_get_double_member(event, "ts"), ==, 1.001);
        g_assert_cmpint(json_object_get_int_member(event, "pid"), ==, 4321);
        g_assert_cmpint(json_object_get_int_member(event, "tid"), ==, getpid());
        event = find_event(events, "B", 1);
        g_assert_cmpstr(json_object_get_string_member(event, "name"), ==, "0xdef");
        g_assert_cmpfloat(json_object_get_double_member(find_event(events, "E", 0), "ts"), ==,
                          3.003);
        event = find_event(events, "i", 0);
        g_assert_cmpstr(json_object_get_string_member(event, "name"), ==, "\"q\"\n\uFFFD\\é");
        g_assert_cmpint(json_object_get_int_member(event, "tid"), ==, 77);
        event = find_event(events, "X", 0);
        g_assert_cmpfloat(json_object_get_double_member(event, "dur"), ==, 1.5);
        event = json_object_get_object_member(find_event(events, "C", 0), "args");
        g_assert_cmpint(json_object_get_int_member(event, "value"), ==, -3);
        event = json_object_get_object_member(find_event(events, "M", 1), "args");
        g_assert_cmpstr(json_object_get_string_member(event, "name"), ==, "worker");
        teardown(&fixture);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/lane/record", test_record);
        g_test_add_data_func("/lane/record/SIGINT", GINT_TO_POINTER(SIGINT), test_signals);
        g_test_add_data_func("/lane/record/SIGTERM", GINT_TO_POINTER(SIGTERM), test_signals);
        g_test_add_func("/lane/record/append", test_append);
        g_test_add_func("/lane/record/handed-over", test_handed_over);
        g_test_add_func("/lane/record/full", test_full);
        g_test_add_func("/lane/stat", test_stat);
        g_test_add_func("/lane/dump", test_dump);
        g_test_add_func("/lane/recover", test_recover);
        g_test_add_func("/lane/recover/unread", test_recover_unread);
        g_test_add_func("/lane/no-file", test_no_file);
        g_test_add_func("/lane/export", test_export);
        return g_test_run();
}
