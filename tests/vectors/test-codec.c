/* SPDX-License-Identifier: MIT */

/* The JSON side of the codec: numbers and strings without loss, and what is not accepted. */

#include "codec.h"

static GByteArray *encode_text(const char *type, const char *text, GError **error)
{
        g_autoptr(JsonNode) json = codec_load(text, -1, error);

        return json ? codec_encode(type, json, error) : NULL;
}

static void assert_bytes(const char *type, const char *text, const void *bytes, size_t size)
{
        GError *error = NULL;
        g_autoptr(GByteArray) out = encode_text(type, text, &error);

        g_assert_no_error(error);
        g_assert_cmpmem(out->data, out->len, bytes, size);
}

/* Refused with a message that contains `message`. */
static void assert_refused(const char *type, const char *text, const char *message)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) out = encode_text(type, text, &error);

        g_assert_null(out);
        g_assert_nonnull(error);
        if (!strstr(error->message, message))
                g_error("\"%s\" does not say \"%s\"", error->message, message);
}

static void test_numbers(void)
{
        static const struct {
                const char *text;
                uint64_t value;
        } numbers[] = {
                {"0", 0},
                {"9223372036854775807", INT64_MAX},
                {"9223372036854775808", UINT64_C(1) << 63},
                {"18446744073709551615", UINT64_MAX},
        };
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(numbers); i++) {
                g_autofree char *bare = g_strdup_printf("{\"value\": %s}", numbers[i].text);
                g_autofree char *quoted = g_strdup_printf("{\"value\": \"%s\"}", numbers[i].text);
                const struct codec_options host = {.order = CODEC_ORDER_HOST};
                g_autoptr(JsonNode) json = NULL;
                g_autofree char *printed = NULL;
                struct codec_fault fault;

                assert_bytes("increment", bare, &numbers[i].value, 8);
                assert_bytes("increment", quoted, &numbers[i].value, 8);
                g_assert_cmpint(codec_decode("increment", &numbers[i].value, 8, &host, &json,
                                             &fault),
                                ==, 0);
                printed = codec_print_line(json);
                g_assert_cmpstr(printed, ==, bare);
        }
}

static void test_numbers_refused(void)
{
        static const char *const values[] = {
                "-1",
                "\"-1\"",
                "18446744073709551616",
                "1.5",
                "1e3",
                "true",
                "null",
                "[]",
                "{}",
                "\"\"",
                "\"0x10\"",
                "\" 1\"",
                "-9223372036854775808",
        };
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(values); i++) {
                g_autofree char *text = g_strdup_printf("{\"value\": %s}", values[i]);

                assert_refused("increment", text, "value must be a whole number");
        }
        assert_refused("header", "{\"kind\": 65536}",
                       "kind must be a whole number from 0 to 65535");
        assert_refused("hello", "{\"packet_size\": 4294967296}", "4294967295");
}

static void test_strings(void)
{
        static const struct {
                const char *bytes;
                size_t size;
                const char *json;
        } strings[] = {
                {"", 0, "\"\""},
                {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
                {"caf\xc3\xa9", 5, "{\"hex\": \"636166c3a9\"}"}, /* as the vectors write it */
                {"a\0b", 3, "{\"hex\": \"610062\"}"},
                {"\n", 1, "{\"hex\": \"0a\"}"},
                {"\xff", 1, "{\"hex\": \"ff\"}"},
                {"\x7f", 1, "{\"hex\": \"7f\"}"},
                {"\xe2\x80\xae", 3, "{\"hex\": \"e280ae\"}"}, /* turns the text around */
        };
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(strings); i++) {
                g_autofree char *text = g_strdup_printf("{\"string\": %s}", strings[i].json);
                GError *error = NULL;
                g_autoptr(GByteArray) out = encode_text("string_reverse", text, &error);
                g_autoptr(JsonNode) json = NULL;
                g_autofree char *printed = NULL;
                struct codec_fault fault;

                g_assert_no_error(error);
                g_assert_cmpmem(out->data + 8, out->len - 9, strings[i].bytes, strings[i].size);
                g_assert_cmpint(codec_decode("string_reverse", out->data, out->len, NULL, &json,
                                             &fault),
                                ==, 0);
                printed = codec_print_line(json);
                g_assert_true(g_str_has_prefix(printed + 11, strings[i].json));
        }
}

static void test_strings_refused(void)
{
        assert_refused("string_reverse", "{\"string\": \"a\\u0000b\"}", "\\u0000");
        assert_refused("string_reverse", "{\"string\": {\"hex\": \"0\"}}", "string must be");
        assert_refused("string_reverse", "{\"string\": {\"hex\": \"0g\"}}", "string must be");
        assert_refused("string_reverse", "{\"string\": {\"hex\": \"00\", \"x\": 1}}",
                       "string must");
        assert_refused("string_reverse", "{\"string\": 1}", "string must be");
        assert_refused("string_reverse", "{}", "string is missing");
}

/* A cgroup may be called like a large number. */
static void test_number_like_string(void)
{
        assert_bytes("string_reverse",
                     "{\"string\": \"18446744073709551615\", \"byte_order\": \"little\"}",
                     "\x08\0\0\0\x14\0\0\0"
                     "18446744073709551615",
                     29);
}

static void test_fields_refused(void)
{
        assert_refused("no_such_type", "{}", "no type");
        assert_refused("increment", "[]", "must be an object");
        assert_refused("increment", "{\"value\": 1, \"vlaue\": 2}", "vlaue is no field");
        assert_refused("increment", "{\"value\": 1, \"byte_order\": \"middle\"}", "byte_order");
        assert_refused("header", "{}", "kind is missing");
        assert_refused("batch_payload", "{\"items_hex\": [\"0\"]}", "pairs of hex digits");
        assert_refused("batch_payload", "{\"items_hex\": [1]}", "pairs of hex digits");
        assert_refused("batch_payload", "{\"items_hex\": [\"00\"], \"builder_buffer\": 8}", "fit");
        assert_refused("batch_payload", "{\"items_hex\": {}}", "must be an array");
        assert_refused("cgroups_snapshot_response", "{\"items\": [{\"name\": \"a\"}]}",
                       "items[0].path is missing");
        assert_refused("cgroups_snapshot_response", "{\"items\": [7]}", "items[0].");
        assert_refused("packets",
                       "{\"header\": {\"kind\": 1}, \"payload_hex\": \"\", \"packet_size\": 32}",
                       "packet_size must be above 32");
        assert_refused("packets",
                       "{\"header\": {\"kind\": 1, \"payload_len\": 2}, \"payload_hex\": \"\","
                       " \"packet_size\": 64}",
                       "header.payload_len");
        assert_refused("packets",
                       "{\"header\": {\"kind\": 1}, \"payload_hex\": \"\", \"packet_size\": 64,"
                       " \"packet_count\": 2}",
                       "packet_count");
        assert_refused("packets", "{\"header\": 1, \"payload_hex\": \"\", \"packet_size\": 64}",
                       "header must be an object");
}

static void test_lookup_fields(void)
{
        g_autoptr(GByteArray) given =
                encode_text("apps_lookup_response",
                            "{\"items\": [{\"status\": 1, \"cgroup_status\": 0, \"pid\": 7,"
                            " \"orchestrator\": 0, \"ppid\": 0, \"uid\": 4294967295,"
                            " \"starttime\": 0, \"comm\": \"\", \"cgroup_path\": \"\","
                            " \"cgroup_name\": {\"hex\": \"\"}, \"labels\": []}]}",
                            NULL);

        /* What is not given is as in an item that has nothing to say. */
        assert_bytes("apps_lookup_response", "{\"items\": [{\"status\": 1, \"pid\": 7}]}",
                     given->data, given->len);
        g_assert_cmpuint(given->len, ==, 16 + 8 + 63);
}

static void test_lookup_refused(void)
{
        assert_refused("cgroups_lookup_request", "{}", "paths is missing");
        assert_refused("cgroups_lookup_request", "{\"paths\": [7]}", "paths must be strings");
        assert_refused("cgroups_lookup_request", "{\"paths\": [\"\"]}", "must not be empty");
        assert_refused("cgroups_lookup_request", "{\"paths\": [{\"hex\": \"610061\"}]}", "NUL");
        assert_refused("apps_lookup_request", "{\"pids\": [4294967296]}", "pids must be whole");
        assert_refused("apps_lookup_request", "{\"pids\": [\"x\"]}", "pids must be whole");
        assert_refused("apps_lookup_response", "{\"items\": [{}]}", "items[0].pid is missing");
        assert_refused("apps_lookup_response", "{\"items\": [{\"pid\": 1}]}",
                       "items[0].item cannot be: a KNOWN process has a comm");
        assert_refused("cgroups_lookup_response", "{\"items\": [{\"status\": 1}]}",
                       "items[0].path is missing");
        assert_refused("cgroups_lookup_response", "{\"items\": [{\"path\": \"\"}]}",
                       "the path must not be empty");
        assert_refused("cgroups_lookup_response",
                       "{\"items\": [{\"path\": \"p\"}, {\"path\": {\"hex\": \"700070\"}}]}",
                       "items[1] has a NUL inside");
        assert_refused("cgroups_lookup_response",
                       "{\"items\": [{\"path\": \"p\", \"labels\": [[\"\", \"v\"]]}]}",
                       "a label without a key");
        assert_refused("cgroups_lookup_response",
                       "{\"items\": [{\"path\": \"p\", \"labels\": [[\"k\"]]}]}",
                       "items[0].labels must be pairs");
        assert_refused("cgroups_lookup_response",
                       "{\"items\": [{\"path\": \"p\", \"status\": 65536}]}",
                       "items[0].status must be a whole number from 0 to 65535");
}

static void test_json_refused(void)
{
        static const char *const texts[] = {"", "  ", "{", "{\"a\": \"", "{\"a\": \"\\", "nope"};
        g_autofree char *deep = g_strnfill(100000, '[');
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autoptr(GError) error = NULL;

                g_assert_null(codec_load(texts[i], -1, &error));
                g_assert_error(error, CODEC_ERROR, CODEC_ERROR_JSON);
        }
        assert_refused("increment", deep, "too deep");
        g_assert_null(codec_load("{}\0", 3, NULL));
}

static void test_usage(void)
{
        g_autoptr(JsonNode) params =
                codec_load("{\"item_count\": \"x\", \"packet_lengths\": [1], \"server_config\": 1}",
                           -1, NULL);
        struct codec_options options = {.params = json_node_get_object(params)};
        struct codec_fault fault;
        JsonNode *json = NULL;

        g_assert_cmpint(codec_decode("nope", "", 0, NULL, &json, &fault), ==, CODEC_USAGE);
        g_assert_cmpint(codec_decode("batch_payload", "", 0, NULL, &json, &fault), ==, CODEC_USAGE);
        g_assert_cmpint(codec_decode("batch_payload", "", 0, &options, &json, &fault), ==,
                        CODEC_USAGE);
        g_assert_cmpint(codec_decode("packets", "", 0, NULL, &json, &fault), ==, CODEC_USAGE);
        g_assert_cmpint(codec_decode("packets", "ab", 2, &options, &json, &fault), ==, CODEC_USAGE);
        g_assert_cmpint(codec_decode("hello_message", "", 0, &options, &json, &fault), ==,
                        CODEC_USAGE);
        g_assert_null(json);
}

/* Fixed fields may be left out, and broken on purpose. */
static void test_fixed_fields(void)
{
        g_autoptr(GByteArray) out = encode_text("header", "{\"kind\": 1, \"magic\": 7}", NULL);
        g_autoptr(JsonNode) json = NULL;
        struct codec_fault fault;

        g_assert_cmpuint(out->len, ==, 32);
        g_assert_cmpint(codec_decode("header", out->data, out->len, NULL, &json, &fault), ==,
                        CODEC_REFUSED);
        g_assert_cmpstr(fault.cause, ==, "BAD_MAGIC");
        g_assert_cmpuint(fault.offset, ==, 0);
}

static void test_types(void)
{
        const char *const *types = codec_list_types();
        size_t n;

        for (n = 0; types[n]; n++)
                g_assert_true(codec_has_type(types[n]));
        g_assert_cmpuint(n, >=, 16);
        g_assert_false(codec_has_type("nope"));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/codec/numbers", test_numbers);
        g_test_add_func("/codec/numbers/refused", test_numbers_refused);
        g_test_add_func("/codec/strings", test_strings);
        g_test_add_func("/codec/strings/refused", test_strings_refused);
        g_test_add_func("/codec/strings/number-like", test_number_like_string);
        g_test_add_func("/codec/fields/refused", test_fields_refused);
        g_test_add_func("/codec/fields/fixed", test_fixed_fields);
        g_test_add_func("/codec/lookup/fields", test_lookup_fields);
        g_test_add_func("/codec/lookup/refused", test_lookup_refused);
        g_test_add_func("/codec/json/refused", test_json_refused);
        g_test_add_func("/codec/usage", test_usage);
        g_test_add_func("/codec/types", test_types);
        return g_test_run();
}
