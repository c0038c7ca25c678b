/* SPDX-License-Identifier: MIT */
/* The command line itself: wrong usage is status 2 and one line, help is status 0. */
#include "util-process.h"

static const char *const wrong[] = {
        "",
        "bogus",
        "--bogus",
        "--auth-token x ls",
        "serve",
        "serve nothing",
        "serve increment echo",
        "serve increment --workers -1",
        "serve increment --workers many",
        "serve increment --max-request-bytes 4294967296",
        "serve increment --source /",
        "serve increment --method 3",
        "serve increment --profiles fast",
        "serve increment --profiles ,",
        "serve increment --profiles all,none",
        "ping increment --profiles 0x0",
        "serve echo",
        "serve echo --method 65536",
        "serve echo --method 0x8000",
        "call",
        "call nothing",
        "call increment",
        "call increment x",
        "call increment -- -1",
        "call increment 18446744073709551616",
        "call increment 1 --repeat 0",
        "call increment 1 --timeout -1",
        "call string-reverse",
        "call string-reverse x --batch",
        "call string-reverse x --hex 00",
        "call raw --method 1 --hex 00",
        "call raw --method 1 --hex 0 --name x",
        "call raw --hex 00 --name x",
        "call raw --method 1 --hex 0g --name x",
        "watch",
        "watch increment",
        "watch cgroups-snapshot --interval 0",
        "ping",
        "ping a b",
        "ping a --interval -1",
        "ping a --count -1",
        "ls x",
        "ls --run-base ''",
        "--run-dir a --run-base b ls",
        "--run-dir a ls --run-base b",
        "doctor x",
        "stat",
        "stat a b",
        "stat ../x",
        "stat a --interval -1",
        "stat a --timeout 0",
        "stat a --prometheus --json",
        "stat a --prometheus --interval 1",
        "top x",
        "top --interval 0",
        "top --count -1",
        "clean ../x",
        "clean --older-than 1d x",
        "clean --older-than ''",
        "clean --older-than d",
        "clean --older-than 1w",
        "clean --older-than -1",
        "clean --older-than 213503982334602d",
        "ping ../x",
        "serve increment --name ../x",
        "call increment 1 --name ..",
        "watch cgroups-snapshot --name a/b",
        "lane",
        "lane nothing",
        "lane --bogus",
        "lane record",
        "lane record pool",
        "lane record -o file",
        "lane record pool --fd 3 -o file",
        "lane record pool --wake-fd 3 -o file",
        "lane record pool -o file --duration -1",
        "lane stat",
        "lane stat a b",
        "lane stat a --interval -1",
        "lane stat a --interval 0.001",
        "lane stat a --count -1",
        "lane dump",
        "lane dump a b",
        "lane dump a --lane -2",
        "lane recover",
        "lane recover a --lane 4294967296",
        "lane export",
        "lane export a --format svg",
        "bench nothing",
        "bench --profile nothing",
        "bench --profile ''",
        "bench --profile baseline,baseline",
        "bench --placement three",
        "bench --duration 0",
        "bench --repeat 0",
        "bench pipeline --rate 1",
        "bench pipeline --depth 257",
        "bench batch --items 8193",
        "bench large --bytes 7",
        "bench large --bytes 67108865",
};

static const char *const helps[] = {
        "--help",
        "-h",
        "--version",
        "serve --help",
        "call --help",
        "watch --help",
        "ping --help",
        "ls --help",
        "clean --help",
        "encode --help",
        "decode --help",
        "bench --help",
        "doctor --help",
        "stat --help",
        "top --help",
        "lane --help",
        "lane record --help",
        "lane stat --help",
        "lane dump --help",
        "lane recover --help",
        "lane export --help",
};

/* Runs `nipc` with the words of `line`. */
static int run_line(const char *line, char **ret_out, char **ret_err)
{
        g_autofree char *whole = g_strdup_printf("%s %s", process_get_tool(), line);
        g_auto(GStrv) argv = NULL;

        g_assert_true(g_shell_parse_argv(whole, NULL, &argv, NULL));
        return process_run((const char *const *)argv, ret_out, ret_err);
}

static void test_wrong(gconstpointer data)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        g_assert_cmpint(run_line(data, &out, &err), ==, 2);
        g_assert_cmpstr(out, ==, "");
        g_assert_true(g_str_has_prefix(err, "nipc"));
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
}

static void test_help(gconstpointer data)
{
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;

        g_assert_cmpint(run_line(data, &out, &err), ==, 0);
        g_assert_cmpuint(strlen(out), >, 0);
        g_assert_cmpstr(err, ==, "");
}

/* Serves with these in the environment, and looks where the endpoint is. */
static void check_run_dir(const char *runtime_dir, const char *run_dir, const char *expected)
{
        g_autofree char *runtime = g_strdup_printf("XDG_RUNTIME_DIR=%s", runtime_dir);
        g_autofree char *named = g_strdup_printf("NIPC_RUN_DIR=%s", run_dir);
        g_autofree char *endpoint = g_strdup_printf("%s/increment.sock", expected);
        const char *const argv[] = {"/usr/bin/env", runtime,     named, process_get_tool(),
                                    "serve",        "increment", NULL};
        struct process *server = process_start(argv);

        process_wait_ready(server);
        g_assert_cmpstr(process_get_endpoint(server), ==, endpoint);
        g_assert_cmpint(process_stop(server), ==, 0);
}

static void test_run_dir(void)
{
        g_autofree char *named = process_make_dir();
        g_autofree char *runtime = process_make_dir();
        g_autofree char *created = g_build_filename(runtime, "nipc", NULL);

        check_run_dir(runtime, "", created);
        check_run_dir(runtime, named, named);
        process_remove_dir(named);
        process_remove_dir(runtime);
}

static void test_missing_run_dir(void)
{
        g_autofree char *run_dir = process_make_dir();
        g_autofree char *missing = g_build_filename(run_dir, "missing", NULL);
        g_autofree char *err = NULL;

        g_assert_cmpint(process_nipc(missing, NULL, &err, "serve", "increment", NULL), ==, 1);
        g_assert_nonnull(strstr(err, missing));
        g_assert_false(g_file_test(missing, G_FILE_TEST_EXISTS));
        process_remove_dir(run_dir);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_unsetenv("NIPC_RUN_DIR");
        g_unsetenv("NIPC_RUN_BASE");
        for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
                g_autofree char *path = g_strdup_printf("/usage/wrong/%zu", i);

                g_test_add_data_func(path, wrong[i], test_wrong);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(helps); i++) {
                g_autofree char *path = g_strdup_printf("/usage/help/%zu", i);

                g_test_add_data_func(path, helps[i], test_help);
        }
        g_test_add_func("/usage/run-dir", test_run_dir);
        g_test_add_func("/usage/missing-run-dir", test_missing_run_dir);
        return g_test_run();
}
