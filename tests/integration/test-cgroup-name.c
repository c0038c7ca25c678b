/* SPDX-License-Identifier: MIT */
/* Names of cgroups: every path shape of data/cgroup-names.tsv gets the name beside it. */
#include <cgroup-name.h>

#include <gio/gio.h>

static void test_row(gconstpointer data)
{
        g_auto(GStrv) columns = g_strsplit(data, "\t", 2);
        g_autofree char *name = cgroup_name_from_path(columns[0]);

        g_assert_cmpstr(name, ==, columns[1]);
}

static void test_distinguish(void)
{
        g_autofree char *first = cgroup_name_distinguish("a.service", "/x.slice/a.service");
        g_autofree char *second = cgroup_name_distinguish("a.service", "/y.slice/a.service");

        g_assert_true(g_str_has_prefix(first, "a.service~"));
        g_assert_cmpuint(strlen(first), ==, strlen("a.service~") + 8);
        g_assert_cmpstr(first, !=, second);
}

/* "/ab" and "/bA" have one djb2 hash: 33 * 'a' + 'b' is 33 * 'b' + 'A'. */
static void test_distinguish_again(void)
{
        g_autofree char *first = cgroup_name_distinguish("x", "/ab");
        g_autofree char *second = cgroup_name_distinguish("x", "/bA");
        g_autofree char *first_again = cgroup_name_distinguish(first, "/ab");
        g_autofree char *second_again = cgroup_name_distinguish(second, "/bA");

        g_assert_cmpstr(first, ==, second);
        g_assert_cmpstr(first_again, !=, second_again);
}

static void test_show(void)
{
        static const struct {
                const char *bytes;
                size_t len;
                const char *shown;
        } rows[] = {
                {"a b", 3, "a b"},
                {"\xc3\xa4", 2, "\xc3\xa4"},
                {"a\0b", 3, "{\"hex\": \"610062\"}"},
                {"\xff", 1, "{\"hex\": \"ff\"}"},
                {"a  b", 4, "{\"hex\": \"61202062\"}"},
                {"{\"hex\"", 6, "{\"hex\": \"7b2268657822\"}"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *shown = cgroup_name_show(rows[i].bytes, rows[i].len);

                g_assert_cmpstr(shown, ==, rows[i].shown);
        }
}

static void test_hash(void)
{
        g_assert_cmpuint(cgroup_name_hash(""), ==, 5381);
        g_assert_cmpuint(cgroup_name_hash("a"), ==, 177670);
        g_assert_cmpuint(cgroup_name_hash("docker-abc"), ==, 3381825264u);
        /* Bytes are unsigned: 5381 * 33 + 0xff. */
        g_assert_cmpuint(cgroup_name_hash("\xff"), ==, 177828);
}

int main(int argc, char **argv)
{
        g_autofree char *table = NULL;
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        g_autoptr(GError) error = NULL;
        int n_rows = 0;

        g_test_init(&argc, &argv, NULL);
        table = g_test_build_filename(G_TEST_DIST, "data", "cgroup-names.tsv", NULL);
        g_file_get_contents(table, &text, NULL, &error);
        g_assert_no_error(error);
        lines = g_strsplit(text, "\n", -1);
        for (char **line = lines; *line; line++) {
                g_autofree char *path = NULL;

                if (!**line || **line == '#')
                        continue;
                path = g_strdup_printf("/cgroup-name/%03d", ++n_rows);
                g_test_add_data_func(path, *line, test_row);
        }
        g_test_add_func("/cgroup-name/distinguish", test_distinguish);
        g_test_add_func("/cgroup-name/distinguish-again", test_distinguish_again);
        g_test_add_func("/cgroup-name/show", test_show);
        g_test_add_func("/cgroup-name/hash", test_hash);
        return g_test_run();
}
