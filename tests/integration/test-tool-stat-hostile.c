/* SPDX-License-Identifier: MIT */
/*
 * `nipc stat` and `nipc top` over providers that answer with whatever they like: what is printed
 * remains text for a terminal, JSON, and of a size.
 */
#include "util-process.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <nipc/clock.h>
#include <nipc/header.h>
#include <nipc/listener.h>
#include <nipc/session.h>
#include <string.h>

struct liar {
        const char *const *texts; /* one after the other, the last again and again */
        char *run_dir;
        struct nipc_listener *listener;
        GThread *thread;
        gint is_over;
};

/* How often it is looked whether the liar is needed any more. */
#define LOOK_MS 10

static int lie(struct liar *liar, struct nipc_session *session, const struct nipc_message *request)
{
        struct nipc_header header = request->header;
        const char *text = *liar->texts;

        header.kind = NIPC_KIND_RESPONSE;
        if (liar->texts[1])
                liar->texts++;
        return nipc_session_send(session, &header, text, strlen(text),
                                 nipc_deadline_after_ms(10000));
}

/* Whatever is asked for is answered with a lie. */
static gpointer tell_lies(gpointer userdata)
{
        struct liar *liar = userdata;
        struct nipc_session *session;
        struct nipc_message message;
        int r;

        while (!g_atomic_int_get(&liar->is_over)) {
                if (nipc_listener_accept(liar->listener, nipc_deadline_after_ms(LOOK_MS),
                                         &session) < 0)
                        continue;
                r = nipc_session_handshake(session, nipc_deadline_after_ms(10000));
                while (!r && !g_atomic_int_get(&liar->is_over)) {
                        r = nipc_session_receive(session, nipc_deadline_after_ms(LOOK_MS),
                                                 &message);
                        if (!r)
                                r = lie(liar, session, &message);
                        else if (r == -ETIMEDOUT)
                                r = 0;
                }
                nipc_session_close(session);
        }
        return NULL;
}

static void setup(struct liar *liar, const char *const *texts)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        *liar = (struct liar){.texts = texts, .run_dir = process_make_dir()};
        config.run_dir = liar->run_dir;
        config.service = "liar";
        config.max_response_payload_bytes = 65536;
        g_assert_cmpint(nipc_listener_open(&config, &liar->listener), ==, 0);
        liar->thread = g_thread_new("liar", tell_lies, liar);
}

static void teardown(struct liar *liar)
{
        g_atomic_int_set(&liar->is_over, 1);
        g_thread_join(liar->thread);
        nipc_listener_close(liar->listener);
        process_remove_dir(liar->run_dir);
        g_free(liar->run_dir);
}

static const char low[] = "# TYPE nipc_server_requests_total counter\n"
                          "nipc_server_requests_total -1.7e308\n";
static const char high[] = "# TYPE nipc_server_requests_total counter\n"
                           "nipc_server_requests_total 1.7e308\n"
                           "nipc_server_sessions{profile=\"a\"} 1.7e308\n"
                           "nipc_server_sessions{profile=\"b\"} 1.7e308\n"
                           "nipc_server_stage_seconds_count{stage=\"handle\"} 1\n"
                           "nipc_server_stage_seconds_bucket{stage=\"handle\",le=\"nan\"} 1\n"
                           "nipc_server_stage_seconds_count{stage=\"total\"} 1\n"
                           "nipc_server_stage_seconds_bucket{stage=\"total\",le=\"1e308\"} 1\n";

/* No number that is printed is anything else than a number. */
static void check_json(const char *text)
{
        g_auto(GStrv) lines = g_strsplit_set(text, " ,\n[]{}:", -1);
        g_autoptr(JsonParser) parser = json_parser_new();

        g_assert_true(json_parser_load_from_data(parser, text, -1, NULL));
        for (guint i = 0; lines[i]; i++) {
                g_assert_null(strstr(lines[i], "inf"));
                g_assert_null(strstr(lines[i], "nan"));
        }
}

static void test_stat_json(void)
{
        static const char *const texts[] = {low, high, NULL};
        struct liar liar;
        g_autofree char *out = NULL;

        setup(&liar, texts);
        g_assert_cmpint(process_nipc(liar.run_dir, &out, NULL, "stat", "liar", "-i", "0.01",
                                     "--json", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(out, "\"per_second\": null"));
        teardown(&liar);
}

static void test_top_json(void)
{
        static const char *const texts[] = {low, high, NULL};
        struct liar liar;
        g_autofree char *out = NULL;
        g_auto(GStrv) lines = NULL;

        setup(&liar, texts);
        g_assert_cmpint(process_nipc(liar.run_dir, &out, NULL, "top", "-c", "2", "-i", "0.01",
                                     "--json", NULL),
                        ==, 0);
        lines = g_strsplit(g_strstrip(out), "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 2);
        check_json(lines[0]);
        check_json(lines[1]);
        teardown(&liar);
}

static void check_harmless(const char *text)
{
        g_assert_null(strchr(text, '\033'));
        g_assert_null(strchr(text, '\a'));
        g_assert_null(strstr(text, "\302\233"));
}

/* Nothing reaches a terminal that it would obey. */
static void test_escapes(void)
{
        static const char *const texts[] = {
                "a{b=\"\033]0;x\a\"} 1\n"
                "nipc_server_sessions{profile=\"\033[2J\302\233m\"} 1\n",
                NULL};
        struct liar liar;
        g_autofree char *table = NULL;
        g_autofree char *text = NULL;
        g_autofree char *top = NULL;

        setup(&liar, texts);
        g_assert_cmpint(process_nipc(liar.run_dir, &table, NULL, "stat", "liar", NULL), ==, 0);
        g_assert_cmpint(process_nipc(liar.run_dir, &text, NULL, "stat", "liar", "--prometheus",
                                     NULL),
                        ==, 0);
        g_assert_cmpint(process_nipc(liar.run_dir, &top, NULL, "top", "-c", "1", NULL), ==, 0);
        check_harmless(table);
        check_harmless(text);
        check_harmless(top);
        teardown(&liar);
}

/* What cannot be understood is said, and takes nothing else down. */
static void test_nonsense(void)
{
        static const char *const texts[] = {"{", NULL};
        struct liar liar;
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        setup(&liar, texts);
        g_assert_cmpint(process_nipc(liar.run_dir, NULL, &err, "stat", "liar", NULL), ==, 1);
        g_assert_nonnull(strstr(err, "cannot be understood"));
        g_assert_cmpint(process_nipc(liar.run_dir, &out, NULL, "top", "-c", "1", NULL), ==, 0);
        g_assert_nonnull(strstr(out, "\nliar "));
        teardown(&liar);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stat-hostile/json", test_stat_json);
        g_test_add_func("/stat-hostile/top-json", test_top_json);
        g_test_add_func("/stat-hostile/escapes", test_escapes);
        g_test_add_func("/stat-hostile/nonsense", test_nonsense);
        return g_test_run();
}
