/* SPDX-License-Identifier: MIT */
/* The lookup services of the tool, over what this machine has: processes, cgroups, connections. */
#include "util-process.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#define MANY_BYTES (10u * 1024u * 1024u)

struct fixture {
        char *run_dir;
        char *dir; /* for sources */
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->run_dir = process_make_dir();
        fixture->dir = process_make_dir();
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        process_remove_dir(fixture->dir);
        process_remove_dir(fixture->run_dir);
        g_free(fixture->dir);
        g_free(fixture->run_dir);
}

static char *make_file(struct fixture *fixture, const char *name, const char *text)
{
        char *path = g_build_filename(fixture->dir, name, NULL);

        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        return path;
}

/* The one item of an answer with one key. Owned by the parser. */
static JsonObject *parse_item(const char *json, JsonParser *parser)
{
        JsonObject *object;
        JsonArray *items;

        g_assert_true(json_parser_load_from_data(parser, json, -1, NULL));
        object = json_node_get_object(json_parser_get_root(parser));
        items = json_object_get_array_member(object, "items");
        g_assert_cmpuint(json_array_get_length(items), ==, 1);
        return json_array_get_object_element(items, 0);
}

static JsonObject *call_one(struct fixture *fixture, const char *service, const char *key,
                            JsonParser *parser)
{
        g_autofree char *out = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "--json", "call", service, key,
                                     NULL),
                        ==, 0);
        return parse_item(out, parser);
}

/* One space for several. By hand: a GRegex looks at the whole text for each match of it. */
static char *squeeze(char *text)
{
        char *to = text;

        for (const char *from = text; *from; from++)
                if (*from != ' ' || to == text || to[-1] != ' ')
                        *to++ = *from;
        *to = '\0';
        return text;
}

/* Runs `nipc call` and returns its table with one space between columns, and none at line ends. */
static char *call_table(struct fixture *fixture, const char *service, const char *const *keys)
{
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        char *out;

        g_ptr_array_add(argv, (gpointer)(uintptr_t)process_get_tool());
        g_ptr_array_add(argv, (gpointer)(uintptr_t) "--run-dir");
        g_ptr_array_add(argv, fixture->run_dir);
        g_ptr_array_add(argv, (gpointer)(uintptr_t) "call");
        g_ptr_array_add(argv, (gpointer)(uintptr_t)service);
        for (; *keys; keys++)
                g_ptr_array_add(argv, (gpointer)(uintptr_t)*keys);
        g_ptr_array_add(argv, NULL);
        g_assert_cmpint(process_run((const char *const *)argv->pdata, &out, NULL), ==, 0);
        return squeeze(out);
}

/* ---- apps-lookup -------------------------------------------------------------------------- */

static void test_own_process(struct fixture *fixture, gconstpointer data)
{
        struct process *server = process_serve(fixture->run_dir, "apps-lookup", NULL);
        g_autofree char *pid = g_strdup_printf("%d", getpid());
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autofree char *comm = NULL;
        JsonObject *item = call_one(fixture, "apps-lookup", pid, parser);

        g_assert_true(g_file_get_contents("/proc/self/comm", &comm, NULL, NULL));
        g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 0);
        g_assert_cmpint(json_object_get_int_member(item, "pid"), ==, getpid());
        g_assert_cmpint(json_object_get_int_member(item, "ppid"), ==, getppid());
        g_assert_cmpint(json_object_get_int_member(item, "uid"), ==, geteuid());
        g_assert_cmpint(json_object_get_int_member(item, "starttime"), >, 0);
        g_assert_cmpstr(json_object_get_string_member(item, "comm"), ==, g_strchomp(comm));
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* Some containers have none. */
static gboolean has_cgroups(void)
{
        GDir *dir = g_dir_open("/sys/fs/cgroup", 0, NULL);
        gboolean has_any = dir && g_dir_read_name(dir);

        if (dir)
                g_dir_close(dir);
        return has_any;
}

/* What apps-lookup says is in /proc, and cgroups-lookup knows it. */
static void test_own_cgroup(struct fixture *fixture, gconstpointer data)
{
        struct process *apps, *cgroups;
        g_autofree char *pid = g_strdup_printf("%d", getpid());
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autofree char *path = NULL, *line = NULL, *own = NULL;
        JsonObject *item;

        if (!has_cgroups()) {
                g_test_skip("no cgroup hierarchy");
                return;
        }
        apps = process_serve(fixture->run_dir, "apps-lookup", NULL);
        cgroups = process_serve(fixture->run_dir, "cgroups-lookup", NULL);
        item = call_one(fixture, "apps-lookup", pid, parser);
        path = g_strdup(json_object_get_string_member(item, "cgroup_path"));
        if (json_object_get_int_member(item, "cgroup_status") == 0) {
                g_assert_true(g_file_get_contents("/proc/self/cgroup", &own, NULL, NULL));
                line = g_strdup_printf(":%s\n", path);
                g_assert_nonnull(strstr(own, line));
                item = call_one(fixture, "cgroups-lookup", path, parser);
                g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 0);
                g_assert_cmpstr(json_object_get_string_member(item, "path"), ==, path);
        } else {
                g_test_skip("not in a group");
        }
        g_assert_cmpint(process_stop(apps), ==, 0);
        g_assert_cmpint(process_stop(cgroups), ==, 0);
}

/* Every process that ps lists twice, before and after, is known by the same name and parent. */
static void test_as_ps(struct fixture *fixture, gconstpointer data)
{
        static const char *const ps[] = {"ps", "-e", "-o", "pid=,ppid=,euid=", NULL};
        struct process *server = process_serve(fixture->run_dir, "apps-lookup", NULL);
        g_autofree char *before = NULL, *after = NULL, *tool = g_find_program_in_path("ps");
        g_auto(GStrv) lines = NULL;
        guint n_known = 0;

        if (!tool) {
                g_assert_cmpint(process_stop(server), ==, 0);
                g_test_skip("no ps here");
                return;
        }
        g_assert_cmpint(process_run(ps, &before, NULL), ==, 0);
        lines = g_strsplit(before, "\n", -1);
        for (guint i = 0; lines[i] && n_known < 20; i++) {
                g_autoptr(JsonParser) parser = json_parser_new();
                gint64 pid, ppid, uid;
                g_autofree char *key = NULL;
                JsonObject *item;

                if (sscanf(lines[i], "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
                           &pid, &ppid, &uid) != 3)
                        continue;
                key = g_strdup_printf("%" G_GINT64_FORMAT, pid);
                item = call_one(fixture, "apps-lookup", key, parser);
                g_clear_pointer(&after, g_free);
                g_assert_cmpint(process_run(ps, &after, NULL), ==, 0);
                if (!strstr(after, lines[i])) /* gone, or another by now */
                        continue;
                g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 0);
                g_assert_cmpint(json_object_get_int_member(item, "ppid"), ==, ppid);
                g_assert_cmpint(json_object_get_int_member(item, "uid"), ==, uid);
                n_known++;
        }
        g_assert_cmpuint(n_known, >, 0);
        g_assert_cmpint(process_stop(server), ==, 0);
}

static void test_no_process(struct fixture *fixture, gconstpointer data)
{
        struct process *server = process_serve(fixture->run_dir, "apps-lookup", NULL);
        g_autoptr(JsonParser) parser = json_parser_new();
        JsonObject *item = call_one(fixture, "apps-lookup", "4294967295", parser);
        g_autofree char *out = NULL, *err = NULL;

        g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 1);
        g_assert_cmpint(json_object_get_int_member(item, "uid"), ==, G_MAXUINT32);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "apps-lookup", "1x",
                                     NULL),
                        ==, 2);
        g_assert_nonnull(strstr(err, "'1x' is no PID"));
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "apps-lookup", NULL), ==,
                        0);
        g_assert_true(g_str_has_prefix(out, "PID"));
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* ---- cgroups-lookup ----------------------------------------------------------------------- */

static void test_cgroups(struct fixture *fixture, gconstpointer data)
{
        static const char *const keys[] = {"/system.slice/ssh.service",
                                           "/system.slice/no.service",
                                           "/",
                                           "/../..",
                                           "relative",
                                           "/cgroup.controllers",
                                           NULL};
        g_autofree char *group = g_build_filename(fixture->dir, "system.slice/ssh.service", NULL);
        g_autofree char *out = NULL;
        struct process *server;

        g_free(make_file(fixture, "cgroup.controllers", "cpu\n"));
        g_assert_cmpint(g_mkdir_with_parents(group, 0755), ==, 0);
        server = process_serve(fixture->run_dir, "cgroups-lookup", "--source", fixture->dir, NULL);
        out = call_table(fixture, "cgroups-lookup", keys);
        g_assert_cmpstr(out, ==,
                        "STATUS ORCHESTRATOR NAME PATH LABELS\n"
                        "KNOWN systemd ssh.service /system.slice/ssh.service "
                        "unit=ssh.service,slice=system.slice\n"
                        "UNKNOWN_PERMANENT /system.slice/no.service \n"
                        "KNOWN unknown root / \n"
                        "UNKNOWN_PERMANENT /../.. \n"
                        "UNKNOWN_PERMANENT relative \n"
                        "UNKNOWN_PERMANENT /cgroup.controllers \n");
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* What a file says is served as it is, to whoever asks for it, and all else is unknown. */
static void test_file(struct fixture *fixture, gconstpointer data)
{
        static const char *const keys[] = {"/docker/y", "/docker/x", NULL};
        g_autofree char *source = make_file(
                fixture, "items.json",
                "{\"generation\": 7, \"items\": [{\"status\": 0, \"orchestrator\": 2, \"path\": "
                "\"/docker/x\", \"name\": \"web\", \"labels\": [[\"image\", \"nginx\"]]}]}");
        struct process *server =
                process_serve(fixture->run_dir, "cgroups-lookup", "--source", source, NULL);
        g_autofree char *out = call_table(fixture, "cgroups-lookup", keys);

        g_assert_cmpstr(out, ==,
                        "STATUS ORCHESTRATOR NAME PATH LABELS\n"
                        "UNKNOWN_PERMANENT /docker/y \n"
                        "KNOWN docker web /docker/x image=nginx\n");
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* An item of a response that was cut is no answer: it is refused at once, not for every request. */
static void test_file_exceeded(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *source = make_file(
                fixture, "items.json",
                "{\"items\": [{\"status\": 2, \"pid\": 1}, {\"status\": 1, \"pid\": 2}]}");
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "serve", "apps-lookup",
                                     "--source", source, NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "items[0].status"));
}

/* ---- ip-to-asn ---------------------------------------------------------------------------- */

static void test_asn(struct fixture *fixture, gconstpointer data)
{
        static const char *const keys[] = {"192.0.2.5",   "198.51.100.1", "203.0.113.1",
                                           "2001:db8::1", "localhost",    NULL};
        g_autofree char *source = make_file(fixture, "table.tsv",
                                            "192.0.2.0\t192.0.2.127\t64496\tDE\tFIRST - of two\n"
                                            "198.51.100.0\t198.51.100.255\t0\tNone\tNot routed\n"
                                            "2001:db8::\t2001:db8::ffff\t64497\tFR\tSECOND\n");
        struct process *server =
                process_serve(fixture->run_dir, "ip-to-asn", "--source", source, NULL);
        g_autofree char *out = call_table(fixture, "ip-to-asn", keys);

        g_assert_cmpstr(out, ==,
                        "IP STATUS ASN COUNTRY FIRST LAST NAME\n"
                        "192.0.2.5 KNOWN 64496 DE 192.0.2.0 192.0.2.127 FIRST - of two\n"
                        "198.51.100.1 UNKNOWN_PERMANENT 198.51.100.0 198.51.100.255 \n"
                        "203.0.113.1 UNKNOWN_PERMANENT \n"
                        "2001:db8::1 KNOWN 64497 FR 2001:db8:: 2001:db8::ffff SECOND\n"
                        "localhost NOT_AN_ADDRESS \n");
        g_assert_cmpint(process_stop(server), ==, 0);
}

/* A table that is not good changes nothing; one that is replaces the old. */
static void test_asn_reload(struct fixture *fixture, gconstpointer data)
{
        static const char *const keys[] = {"192.0.2.1", NULL};
        g_autofree char *source =
                make_file(fixture, "table.tsv", "192.0.2.0\t192.0.2.127\t64496\tDE\tOLD\n");
        struct process *server =
                process_serve(fixture->run_dir, "ip-to-asn", "--source", source, NULL);
        g_autofree char *line = NULL, *out = NULL;

        g_free(make_file(fixture, "table.tsv", "192.0.2.0\tnonsense\n"));
        process_signal(server, SIGHUP);
        line = process_read_error_line(server);
        g_assert_nonnull(strstr(line, "serving what was there before"));
        g_assert_nonnull(strstr(line, "table.tsv"));
        out = call_table(fixture, "ip-to-asn", keys);
        g_assert_nonnull(strstr(out, "OLD"));

        g_free(make_file(fixture, "table.tsv", "192.0.2.0\t192.0.2.127\t64496\tDE\tNEW\n"));
        process_signal(server, SIGHUP);
        g_free(line);
        line = process_read_error_line(server);
        g_assert_nonnull(strstr(line, "read anew"));
        g_free(out);
        out = call_table(fixture, "ip-to-asn", keys);
        g_assert_nonnull(strstr(out, "NEW"));
        g_assert_cmpint(process_stop(server), ==, 0);
}

static void test_asn_needs_source(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "serve", "ip-to-asn", NULL), ==,
                        2);
        g_assert_nonnull(strstr(err, "--source"));
}

/* ---- pid-traffic -------------------------------------------------------------------------- */

/* A connection of ours to ourselves, through which MANY_BYTES went; both ends stay open. */
struct connection {
        GSocketListener *listener;
        GSocketConnection *client;
        GSocketConnection *server;
};

static gpointer read_all(gpointer data)
{
        GInputStream *in = g_io_stream_get_input_stream(data);
        static char buf[65536];
        gsize n = 0;

        while (n < MANY_BYTES) {
                gssize part = g_input_stream_read(in, buf, sizeof(buf), NULL, NULL);

                g_assert_cmpint(part, >, 0);
                n += (gsize)part;
        }
        return NULL;
}

static void send_many(struct connection *connection)
{
        g_autoptr(GSocketClient) client = g_socket_client_new();
        g_autofree char *bytes = g_malloc0(MANY_BYTES);
        GThread *reader;
        guint16 port;

        connection->listener = g_socket_listener_new();
        port = g_socket_listener_add_any_inet_port(connection->listener, NULL, NULL);
        g_assert_cmpuint(port, !=, 0);
        g_socket_client_set_enable_proxy(client, FALSE);
        connection->client = g_socket_client_connect_to_host(client, "127.0.0.1", port, NULL, NULL);
        g_assert_nonnull(connection->client);
        connection->server = g_socket_listener_accept(connection->listener, NULL, NULL, NULL);
        reader = g_thread_new("reader", read_all, connection->server);
        g_assert_true(g_output_stream_write_all(g_io_stream_get_output_stream(
                                                        G_IO_STREAM(connection->client)),
                                                bytes, MANY_BYTES, NULL, NULL, NULL));
        g_thread_join(reader);
}

static void connection_clear(struct connection *connection)
{
        g_object_unref(connection->client);
        g_object_unref(connection->server);
        g_object_unref(connection->listener);
}

static void test_traffic(struct fixture *fixture, gconstpointer data)
{
        g_autofree char *pid = g_strdup_printf("%d", getpid());
        g_autoptr(JsonParser) parser = json_parser_new();
        struct connection connection;
        struct process *server;
        JsonObject *item, *tcp;

        send_many(&connection);
        server = process_serve(fixture->run_dir, "pid-traffic", NULL);
        item = call_one(fixture, "pid-traffic", pid, parser);
        g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 0);
        g_assert_cmpint(json_object_get_int_member(
                                json_node_get_object(json_parser_get_root(parser)), "generation"),
                        ==, 0); /* libnipc-proto/doc/pid-traffic.md */
        tcp = json_object_get_object_member(item, "tcp");
        g_assert_cmpint(json_object_get_int_member(tcp, "n_sockets"), >=, 2);
        g_assert_cmpint(json_object_get_int_member(tcp, "rx_bytes"), >=, MANY_BYTES);
        g_assert_cmpint(json_object_get_int_member(tcp, "tx_bytes"), >=, MANY_BYTES);
        item = call_one(fixture, "pid-traffic", "4294967295", parser);
        g_assert_cmpint(json_object_get_int_member(item, "status"), ==, 1);
        g_assert_cmpint(process_stop(server), ==, 0);
        connection_clear(&connection);
}

/* ---- many --------------------------------------------------------------------------------- */

/* More keys than fit a request, over every profile. */
static void test_many_keys(struct fixture *fixture, gconstpointer data)
{
        static const char *const profiles[] = {"baseline", "shm-hybrid", "ring"};
        struct process *server = process_serve(fixture->run_dir, "apps-lookup", NULL);

        for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++) {
                g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
                g_autofree char *out = NULL;
                g_auto(GStrv) lines = NULL;

                g_ptr_array_add(keys, g_strconcat("--profiles=", profiles[i], NULL));
                for (guint k = 0; k < 8192; k++)
                        g_ptr_array_add(keys, g_strdup_printf("%u", k));
                g_ptr_array_add(keys, NULL);
                out = call_table(fixture, "apps-lookup", (const char *const *)keys->pdata);
                lines = g_strsplit(out, "\n", -1);
                g_assert_cmpuint(g_strv_length(lines), ==, 8192 + 2);
                g_assert_true(g_str_has_prefix(lines[8192], "8191 "));
        }
        g_assert_cmpint(process_stop(server), ==, 0);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *path;
                void (*run)(struct fixture *fixture, gconstpointer data);
        } cases[] = {
                {"/lookup/own-process", test_own_process},
                {"/lookup/own-cgroup", test_own_cgroup},
                {"/lookup/as-ps", test_as_ps},
                {"/lookup/no-process", test_no_process},
                {"/lookup/cgroups", test_cgroups},
                {"/lookup/file", test_file},
                {"/lookup/file-exceeded", test_file_exceeded},
                {"/lookup/asn", test_asn},
                {"/lookup/asn-reload", test_asn_reload},
                {"/lookup/asn-needs-source", test_asn_needs_source},
                {"/lookup/traffic", test_traffic},
                {"/lookup/many-keys", test_many_keys},
        };

        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
                g_test_add(cases[i].path, struct fixture, NULL, set_up, cases[i].run, tear_down);
        return g_test_run();
}
