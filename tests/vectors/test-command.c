/* SPDX-License-Identifier: MIT */

/*
 * nipc decode and nipc encode as programs: files, standard input, hex and raw bytes, exit statuses
 * and the one line that says why. What the bytes mean is tested with the codec.
 */

#include <gio/gio.h>
#include <glib/gstdio.h>

static const char *program;

/* The path of a vector; owned by the test framework. */
static const char *vector(const char *name)
{
        return g_test_get_filename(G_TEST_DIST, name, NULL);
}

static char *contents(const char *path)
{
        g_autoptr(GError) error = NULL;
        char *text = NULL;

        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        return text;
}

/*
 * Runs nipc with arguments up to NULL, input on its stdin, and asserts its exit status. Returns
 * what it printed to stdout, or the line on stderr when that status is not 0.
 */
static char *run(int expected, const char *input, gsize input_size, const char *const *arguments)
{
        g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
        g_autoptr(GBytes) in = g_bytes_new(input, input_size);
        g_autoptr(GSubprocess) process = NULL;
        g_autoptr(GBytes) out = NULL;
        g_autoptr(GBytes) err = NULL;
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) argv = NULL;
        GBytes *said;

        g_strv_builder_add(builder, program);
        for (; *arguments; arguments++)
                g_strv_builder_add(builder, *arguments);
        argv = g_strv_builder_end(builder);
        process = g_subprocess_newv((const char *const *)argv,
                                    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                            G_SUBPROCESS_FLAGS_STDERR_PIPE,
                                    &error);
        g_assert_no_error(error);
        g_subprocess_communicate(process, in, NULL, &out, &err, &error);
        g_assert_no_error(error);
        g_assert_cmpint(g_subprocess_get_exit_status(process), ==, expected);
        g_assert_true((g_bytes_get_size(out) == 0) == (expected != 0));
        g_assert_true((g_bytes_get_size(err) == 0) == (expected == 0));
        said = expected ? err : out;
        return g_strndup(g_bytes_get_data(said, NULL), g_bytes_get_size(said));
}

#define RUN(expected, input, ...) \
        run(expected, input, (input) ? strlen(input) : 0, (const char *const[]){__VA_ARGS__, NULL})

/* One line, beginning like every reason, with the words that matter. */
static void assert_reason(const char *err, const char *words)
{
        g_assert_true(g_str_has_prefix(err, "nipc "));
        g_assert_true(strchr(err, '\n') == err + strlen(err) - 1);
        if (!strstr(err, words))
                g_error("\"%s\" does not say \"%s\"", err, words);
}

static void check_roundtrip(const char *type, const char *name, const char *params)
{
        g_autofree char *json =
                RUN(0, "", "decode", "--type", type, "--params", params, vector(name));
        g_autofree char *hex = RUN(0, json, "encode", "--type", type, "-");
        g_autofree char *expected = contents(vector(name));

        g_assert_cmpstr(g_strchomp(hex), ==, g_strchomp(expected));
}

static void test_roundtrip(void)
{
        check_roundtrip("header", "hdr_max_values.hex", "{}");
        check_roundtrip("cgroups_snapshot_response", "snap_1000_items.hex", "{}");
        check_roundtrip("batch_payload", "batch_tail_pad_omitted.hex", "{\"item_count\": 1}");
        check_roundtrip("packets", "packets_65_in_64.hex",
                        "{\"packet_lengths\": [64, 64, 33], \"session\": {\"pkt\": 64}}");
}

/* The same message as hex in a file, as hex on stdin, and as bytes in a file. */
static void test_input(void)
{
        g_autofree char *directory = g_dir_make_tmp("nipc-test-XXXXXX", NULL);
        g_autofree char *raw = g_build_filename(directory, "raw", NULL);
        g_autofree char *hex = contents(vector("strrev_seven.hex"));
        g_autofree char *a =
                RUN(0, "", "decode", "--type", "string_reverse", vector("strrev_seven.hex"));
        g_autofree char *b = RUN(0, hex, "decode", "--type", "string_reverse", "-");
        g_autofree char *c = NULL;

        g_file_set_contents(raw,
                            "\x08\0\0\0\x07\0\0\0"
                            "0123456",
                            16, NULL);
        c = RUN(0, "", "decode", "--type", "string_reverse", raw);
        g_assert_cmpstr(a, ==, b);
        g_assert_true(g_str_has_prefix(a, "{\n  \"string\": \"0123456\""));
        if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
                g_assert_cmpstr(a, ==, c);
        g_unlink(raw);
        g_rmdir(directory);
}

static void test_byte_order(void)
{
        g_autofree char *big = RUN(0, "{\"byte_order\": \"big\", \"kind\": 1, \"code\": 1}",
                                   "encode", "--type", "header", "-");
        g_autofree char *json =
                RUN(0, big, "decode", "--type", "header", "--byte-order", "auto", "-");
        g_autofree char *again = RUN(0, json, "encode", "--type", "header", "-");
        g_autofree char *err =
                RUN(1, big, "decode", "--type", "header", "--byte-order", "little", "-");

        g_assert_true(g_str_has_prefix(big, "4e495043"
                                            "0001"
                                            "0020"
                                            "0001"));
        g_assert_cmpstr(again, ==, big);
        assert_reason(err, "BAD_MAGIC at offset 0: ");
}

static void test_refused(void)
{
        g_autofree char *version =
                RUN(1, "", "decode", "--type", "header", "--byte-order", "little",
                    vector("bad_hdr_request_increment__version_2.hex"));
        g_autofree char *swapped = RUN(1, "", "decode", "--type", "header",
                                       vector("bad_hdr_request_increment__magic_byteswapped.hex"));
        g_autofree char *empty = RUN(1, "", "decode", "--type", "increment", "-");
        g_autofree char *odd = RUN(1, "000", "decode", "--type", "increment", "-");
        g_autofree char *file = RUN(1, "", "decode", "--type", "increment", "/nowhere/at/all");
        g_autofree char *json = RUN(1, "{", "encode", "--type", "increment", "-");
        g_autofree char *field = RUN(1, "{\"v\": 1}", "encode", "--type", "increment", "-");

        assert_reason(version, "BAD_VERSION at offset 4: version must be 1");
        assert_reason(swapped, "BAD_");
        assert_reason(empty, "TRUNCATED at offset 0: ");
        assert_reason(odd, "odd number of hex digits");
        assert_reason(file, "/nowhere/at/all");
        assert_reason(json, "nipc encode: -: ");
        assert_reason(field, "value is missing");
}

static void test_usage(void)
{
        static const char *const usages[][7] = {
                {"decode", "-"},
                {"decode", "--type", "nope", "-"},
                {"decode", "--type", "header"},
                {"decode", "--type", "header", "-", "-"},
                {"decode", "--type", "header", "--byte-order", "middle", "-"},
                {"decode", "--type", "batch_payload", "-"},
                {"decode", "--type", "batch_payload", "--items", "4294967296", "-"},
                {"decode", "--type", "packets", "--params", "[]", "-"},
                {"decode", "--type", "packets", "--params", "{", "-"},
                {"decode", "--type", "packets", "--params", "{}", "-"},
                {"decode", "--type", "packets", "--params", "@/nowhere", "-"},
                {"encode", "-"},
                {"encode", "--type", "nope", "-"},
                {"encode", "--type", "header"},
        };
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(usages); i++) {
                g_autofree char *err = run(2, "", 0, usages[i]);

                assert_reason(err, "");
        }
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        program = g_getenv("NIPC");
        g_assert_nonnull(program);
        g_test_add_func("/command/roundtrip", test_roundtrip);
        g_test_add_func("/command/input", test_input);
        g_test_add_func("/command/byte-order", test_byte_order);
        g_test_add_func("/command/refused", test_refused);
        g_test_add_func("/command/usage", test_usage);
        return g_test_run();
}
