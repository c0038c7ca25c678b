/* SPDX-License-Identifier: MIT */
/* `nipc serve`: limits of clients and of users, what a provider would take, how requests split. */
#include "util-process.h"

#include <json-glib/json-glib.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
        char *run_dir;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->run_dir = process_make_dir();
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        process_remove_dir(fixture->run_dir);
        g_free(fixture->run_dir);
}

static struct nipc_session *open_session(const struct fixture *fixture)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session *session = NULL;

        config.run_dir = fixture->run_dir;
        config.service = "increment";
        g_assert_cmpint(nipc_session_open(&config, nipc_deadline_after_ms(60000), &session, NULL),
                        ==, 0);
        return session;
}

static void expect_refused(const struct fixture *fixture)
{
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "increment", "1",
                                     "--profiles", "baseline", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "LIMIT_EXCEEDED"));
}

/* Under a limit that leaves room for one client, as many as there are options that can say so. */
static void test_one_client(struct fixture *fixture, gconstpointer data)
{
        static const char *const limits[] = {
                "--max-sessions=1",
                "--max-sessions-per-uid=1",
                "--max-descriptors=1",
                "--max-total-bytes=3000000", /* one takes 2 MiB when it is busy */
                "--max-bytes-per-uid=3000000",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
                struct process *server = process_serve(fixture->run_dir, "increment", "--profiles",
                                                       "baseline", limits[i], NULL);
                struct nipc_session *session = open_session(fixture);

                g_test_message("%s", limits[i]);
                expect_refused(fixture);
                nipc_session_close(session);
                g_assert_cmpint(process_stop(server), ==, 0);
        }
}

static int connect_silently(const struct process *server)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        g_strlcpy(address.sun_path, process_get_endpoint(server), sizeof(address.sun_path));
        g_assert_cmpint(connect(fd, (const struct sockaddr *)&address, sizeof(address)), ==, 0);
        return fd;
}

static void test_handshakes(struct fixture *fixture, gconstpointer data)
{
        struct process *server =
                process_serve(fixture->run_dir, "increment", "--handshake-timeout", "1", NULL);
        int fd = connect_silently(server);
        char byte;

        g_assert_cmpint(read(fd, &byte, 1), ==, 0);
        close(fd);
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* The oldest of 17 has to go when one more than 16 are silent; none does it by itself so soon. */
static void test_silent(struct fixture *fixture, gconstpointer data)
{
        struct process *server = process_serve(fixture->run_dir, "increment", "--handshake-timeout",
                                               "4000000000", "--max-handshakes", "1", NULL);
        int fds[17];
        char byte;

        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
                fds[i] = connect_silently(server);
        g_assert_cmpint(read(fds[0], &byte, 1), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
                close(fds[i]);
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* The sessions that are left at the end are not waited for. */
static void test_drain(struct fixture *fixture, gconstpointer data)
{
        struct process *server =
                process_serve(fixture->run_dir, "increment", "--drain-timeout", "0", NULL);
        struct nipc_session *session = open_session(fixture);

        g_assert_cmpint(process_stop(server), ==, 0);
        nipc_session_close(session);
}

/* ---- the plan ------------------------------------------------------------------------------- */

static JsonObject *get_plan(const struct fixture *fixture, const char *option, const char *value,
                            JsonParser *parser)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "--json", "serve", "increment",
                                     "--plan", "--workers", "3", option, value, NULL),
                        ==, 0);
        g_assert_true(json_parser_load_from_data(parser, out, -1, &error));
        return json_node_get_object(json_parser_get_root(parser));
}

static guint64 get_number(JsonObject *object, const char *name)
{
        g_assert_true(json_object_has_member(object, name));
        return (guint64)json_object_get_int_member(object, name);
}

static void expect_plan(JsonObject *plan, const struct nipc_server_needs *needs)
{
        JsonArray *sessions = json_object_get_array_member(plan, "sessions");

        g_assert_cmpuint(get_number(plan, "threads"), ==, needs->n_threads);
        g_assert_cmpuint(get_number(plan, "descriptors"), ==, needs->n_descriptors);
        g_assert_cmpuint(get_number(plan, "mappings"), ==, needs->n_mappings);
        g_assert_cmpuint(get_number(plan, "requests"), ==, needs->n_requests);
        g_assert_cmpuint(get_number(plan, "base_bytes"), ==, needs->base_bytes);
        g_assert_cmpuint(get_number(plan, "idle_bytes"), ==, needs->idle_bytes);
        g_assert_cmpuint(get_number(plan, "busy_bytes"), ==, needs->busy_bytes);
        g_assert_cmpuint(get_number(plan, "shared_bytes"), ==, needs->shared_bytes);
        g_assert_cmpuint(json_array_get_length(sessions), ==, needs->n_profiles);
        for (guint i = 0; i < needs->n_profiles; i++) {
                JsonObject *one = json_array_get_object_element(sessions, i);

                g_assert_cmpuint(get_number(one, "busy_bytes"), ==, needs->sessions[i].busy_bytes);
        }
}

/* Every limit that the plan depends on, one after the other. */
static void test_plan(struct fixture *fixture, gconstpointer data)
{
        static const struct {
                const char *option;
                const char *value;
                size_t offset;
                bool is_wide;
        } limits[] = {
#define LIMIT(option, value, field, wide) \
        {option, value, offsetof(struct nipc_server_config, field), wide}
                LIMIT("--max-sessions", "77", max_sessions, false),
                LIMIT("--max-handshakes", "99", max_handshakes, false),
                LIMIT("--max-descriptors", "123", max_descriptors, false),
                LIMIT("--max-total-bytes", "12345678", max_total_bytes, true),
                LIMIT("--max-split-bytes", "1234567", max_split_bytes, false),
                LIMIT("--split-items", "4294967295", split_items, false),
                LIMIT("--max-concurrent-requests", "5", max_concurrent_requests, false),
        };

        for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_server_needs plain = NIPC_SERVER_NEEDS_INIT;
                struct nipc_server_needs needs = NIPC_SERVER_NEEDS_INIT;
                g_autoptr(JsonParser) parser = json_parser_new();
                guint64 value = g_ascii_strtoull(limits[i].value, NULL, 10);
                guint32 narrow = (guint32)value;

                config.n_workers = 3;
                config.profiles = nipc_profile_get_available();
                g_assert_cmpint(nipc_server_plan(&config, &plain), ==, 0);
                if (limits[i].is_wide)
                        memcpy((char *)&config + limits[i].offset, &value, sizeof(value));
                else
                        memcpy((char *)&config + limits[i].offset, &narrow, sizeof(narrow));
                g_assert_cmpint(nipc_server_plan(&config, &needs), ==, 0);
                g_assert_true(memcmp(&plain, &needs, sizeof(needs)) != 0);
                expect_plan(get_plan(fixture, limits[i].option, limits[i].value, parser), &needs);
        }
}

/* As a table, and without a provider: nothing is made, nobody is asked. */
static void test_plan_table(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *path = g_build_filename(fixture->run_dir, "increment.lock", NULL);
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "serve", "increment", "--plan",
                                     "--profiles", "baseline", "--workers", "2", NULL),
                        ==, 0);
        g_assert_true(g_str_has_prefix(out, "2 threads, 2 requests in hand"));
        g_assert_nonnull(strstr(out, "each of baseline"));
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* ---- others --------------------------------------------------------------------------------- */

static void test_split(struct fixture *fixture, gconstpointer data)
{
        static const char *const items[] = {"1", "4", "never"};

        for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
                struct process *server = process_serve(fixture->run_dir, "increment", "--workers",
                                                       "2", "--split-items", items[i], NULL);
                g_autofree char *out = NULL;

                g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "increment",
                                             "--batch", "1", "2", "3", "4", "5", "6", "7", "8",
                                             NULL),
                                ==, 0);
                g_assert_cmpstr(out, ==, "2\n3\n4\n5\n6\n7\n8\n9\n");
                g_assert_cmpint(process_stop(server), ==, 0);
        }
}

static void test_usage(struct fixture *fixture, gconstpointer data)
{
        static const char *const wrong[] = {
                "--split-items=x",
                "--split-items=4294967296",
                "--split-items=",
                "--lock-fd=5",
                "--max-total-bytes=-1",
                "--max-bytes-per-uid=-1",
                "--max-descriptors=-1",
                "--max-handshakes=-1",
                "--max-sessions-per-uid=-1",
                "--max-split-bytes=-1",
                "--drain-timeout=-1",
                "--handshake-timeout=-1",
                "--request-timeout=-1",
                "--response-timeout=-1",
                "--max-sessions=4294967296",
                "--max-concurrent-requests=-1",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
                g_autofree char *err = NULL;

                g_test_message("%s", wrong[i]);
                g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "serve", "increment",
                                             wrong[i], NULL),
                                ==, 2);
                g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
        }
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, NULL, "serve", "increment", "--fd=3",
                                     "--lock-fd=2", NULL),
                        ==, 2);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, NULL, "serve", "increment",
                                     "--workers=0", "--max-concurrent-requests=2", NULL),
                        ==, 2);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *path;
                void (*run)(struct fixture *fixture, gconstpointer data);
        } tests[] = {
                {"/limits/one-client", test_one_client},
                {"/limits/handshakes", test_handshakes},
                {"/limits/silent", test_silent},
                {"/limits/drain", test_drain},
                {"/limits/plan", test_plan},
                {"/limits/plan-table", test_plan_table},
                {"/limits/split", test_split},
                {"/limits/usage", test_usage},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
                g_test_add(tests[i].path, struct fixture, NULL, set_up, tests[i].run, tear_down);
        return g_test_run();
}
