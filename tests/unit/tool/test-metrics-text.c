/* SPDX-License-Identifier: MIT */
/* What a provider says of itself, read by the tool: what is meant, and what is nonsense. */
#include <metrics-text.h>

#include <string.h>

static const char good[] = "# HELP nipc_server_requests_total x\n"
                           "# TYPE nipc_server_requests_total counter\n"
                           "nipc_server_requests_total{service=\"a\",status=\"ok\"} 7\n"
                           "nipc_server_requests_total{service=\"a\",status=\"other\"} 2\n"
                           "# TYPE nipc_server_stage_seconds histogram\n"
                           "nipc_server_stage_seconds_bucket{stage=\"total\",le=\"1\"} 50\n"
                           "nipc_server_stage_seconds_bucket{stage=\"total\",le=\"3\"} 90\n"
                           "nipc_server_stage_seconds_bucket{stage=\"total\",le=\"+Inf\"} 100\n"
                           "nipc_server_stage_seconds_count{stage=\"total\"} 100\n"
                           "# TYPE gauge_it gauge\n"
                           "gauge_it 1.5e3\n"
                           "gauge_it{x=\"a\\\\b\\n\\\"\"} 1\n";

static void test_good(void)
{
        struct metrics *metrics = metrics_parse(good, strlen(good));
        const struct metrics_sample *last;

        g_assert_nonnull(metrics);
        g_assert_cmpuint(metrics_get_count(metrics), ==, 8);
        g_assert_cmpfloat(metrics_sum(metrics, "nipc_server_requests_total", NULL, NULL), ==, 9);
        g_assert_cmpfloat(metrics_sum(metrics, "nipc_server_requests_total", "status", "ok"), ==,
                          7);
        g_assert_true(metrics_get(metrics, 0)->is_counter);
        g_assert_true(metrics_get(metrics, 2)->is_counter);
        last = metrics_get(metrics, 7);
        g_assert_false(last->is_counter);
        g_assert_cmpuint(last->n_labels, ==, 1);
        g_assert_cmpstr(last->labels[0].value, ==, "a\\b\n\"");
        g_assert_true(metrics_find_same(metrics, last) == last);
        metrics_free(metrics);
}

static void test_percentiles(void)
{
        struct metrics *metrics = metrics_parse(good, strlen(good));

        g_assert_nonnull(metrics);
        g_assert_cmpfloat(metrics_percentile(metrics, NULL, "total", 0.5), ==, 0.5);
        g_assert_cmpfloat(metrics_percentile(metrics, NULL, "total", 0.9), ==, 2);
        g_assert_cmpfloat(metrics_percentile(metrics, NULL, "total", 0.99), ==, 3);
        g_assert_cmpfloat(metrics_percentile(metrics, NULL, "queue", 0.5), <, 0);
        /* Nothing happened since the other reading. */
        g_assert_cmpfloat(metrics_percentile(metrics, metrics, "total", 0.5), <, 0);
        metrics_free(metrics);
}

static void test_nonsense(void)
{
        static const char *const texts[] = {
                "a",
                "a\n",
                "a 1",
                "a x\n",
                "a 1 2\n",
                "{} 1\n",
                "a{ 1\n",
                "a{b} 1\n",
                "a{b=} 1\n",
                "a{b=\"} 1\n",
                "a{b=\"\\\n",
                "a{b=\"c\"1} 1\n",
                "a{b=\"c\"}1\n",
                "a nan\n",
                "a inf\n",
                "\1 1\n",
        };

        for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
                g_assert_null(metrics_parse(texts[i], strlen(texts[i])));
        g_assert_null(metrics_parse("\0a 1\n", 5)); /* and not what is before it */
}

/*
 * Names that all have one hash, in numbers that would take minutes to compare; a cell that would
 * make a table of gigabytes; more text than any provider writes.
 */
static void test_hostile(void)
{
        GString *text = g_string_new(NULL);

        for (guint i = 0; i < 1u << 15; i++) {
                g_string_append(text, "# TYPE ");
                for (guint bit = 0; bit < 15; bit++)
                        g_string_append(text, i & 1u << bit ? "Ez" : "FY");
                g_string_append(text, " counter\n");
        }
        g_assert_null(metrics_parse(text->str, text->len));
        g_string_assign(text, "a{b=\"");
        for (guint i = 0; i < 1024; i++)
                g_string_append_c(text, 'x');
        g_string_append(text, "\"} 1\n");
        g_assert_null(metrics_parse(text->str, text->len));
        g_string_assign(text, "");
        while (text->len <= 1048576)
                g_string_append(text, "# HELP a b\n");
        g_assert_null(metrics_parse(text->str, text->len));
        g_string_free(text, TRUE);
}

/* Cut anywhere it is understood or not, and nothing is read beyond it. */
static void test_cut(void)
{
        for (gsize n = 0; n < strlen(good); n++) {
                g_autofree char *copy = g_strndup(good, n);

                metrics_free(metrics_parse(copy, n));
        }
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/metrics-text/good", test_good);
        g_test_add_func("/metrics-text/percentiles", test_percentiles);
        g_test_add_func("/metrics-text/nonsense", test_nonsense);
        g_test_add_func("/metrics-text/hostile", test_hostile);
        g_test_add_func("/metrics-text/cut", test_cut);
        return g_test_run();
}
