/* SPDX-License-Identifier: MIT */

/*
 * Every golden vector of this directory through the codec: what is valid decodes to its fields,
 * what is canonical encodes to its bytes, what is invalid is refused for the right reason. The
 * bytes are little-endian; nothing here depends on the byte order of the machine.
 */

#include <nipc/error.h>
#include <nipc/hello.h>

#include "codec.h"
#include "util-vectors.h"

/* Causes of the reference that are not the name of one of ours. */
static const struct {
        const char *reference;
        const char *ours[6]; /* none: any */
} causes[] = {
        {"NO_PROFILE", {"UNSUPPORTED"}},
        {"CHUNK", {"BAD_CHUNK", "BAD_MAGIC", "BAD_VERSION", "BAD_LAYOUT", "TRUNCATED"}},
        {"PROTOCOL", {0}},
        {"TIMEOUT", {"TRUNCATED"}},
};

static JsonObject *get_params(JsonObject *vector)
{
        return json_object_has_member(vector, "params")
                       ? json_object_get_object_member(vector, "params")
                       : NULL;
}

/* Decodes bytes of a vector; NULL with *fault filled when they are refused. */
static JsonNode *decode(JsonObject *vector, GBytes *bytes, enum codec_order order,
                        struct codec_fault *ret_fault)
{
        const struct codec_options options = {.order = order, .params = get_params(vector)};
        JsonNode *json = NULL;
        gsize size;
        gconstpointer data = g_bytes_get_data(bytes, &size);
        int r;

        r = codec_decode(json_object_get_string_member(vector, "type"), data, size, &options, &json,
                         ret_fault);
        g_assert_cmpint(r, !=, CODEC_USAGE);
        g_assert_true(!r == !!json);
        return json;
}

static GBytes *encode(JsonObject *vector, JsonNode *json)
{
        GError *error = NULL;
        GByteArray *bytes;

        bytes = codec_encode(json_object_get_string_member(vector, "type"), json, &error);
        g_assert_no_error(error);
        return g_byte_array_free_to_bytes(bytes);
}

static void assert_bytes(GBytes *a, GBytes *b)
{
        g_assert_cmpmem(g_bytes_get_data(a, NULL), g_bytes_get_size(a), g_bytes_get_data(b, NULL),
                        g_bytes_get_size(b));
}

/* The bytes that a JSON string or {"hex": ...} stands for; NULL if it is neither. */
static GBytes *string_bytes(JsonNode *node)
{
        if (JSON_NODE_HOLDS_OBJECT(node)) {
                JsonObject *object = json_node_get_object(node);

                if (!json_object_has_member(object, "hex"))
                        return NULL;
                return unhex(json_object_get_string_member(object, "hex"));
        }
        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
                return NULL;
        return g_bytes_new(json_node_get_string(node), strlen(json_node_get_string(node)));
}

/* How it was built, or what it answers. */
static const char *const not_in_bytes[] = {
        "answer_to",     "builder_max_items", "handler_items",         "note", "produced_by",
        "request_paths", "request_pids",      "response_budget_bytes", NULL,
};

static void assert_fields(JsonNode *got, JsonNode *expected, const char *where);

static void assert_object(JsonObject *got, JsonObject *expected, const char *where)
{
        JsonObjectIter iter;
        const char *name;
        JsonNode *node;

        json_object_iter_init(&iter, expected);
        while (json_object_iter_next(&iter, &name, &node)) {
                g_autofree char *path = g_strdup_printf("%s.%s", where, name);

                if (g_strv_contains(not_in_bytes, name))
                        continue;
                if (!json_object_has_member(got, name))
                        g_error("%s is missing", path);
                assert_fields(json_object_get_member(got, name), node, path);
        }
}

/* Everything expected is there and equal; there may be more. */
static void assert_fields(JsonNode *got, JsonNode *expected, const char *where)
{
        g_autoptr(GBytes) a = string_bytes(got);
        g_autoptr(GBytes) b = string_bytes(expected);

        if (a && b) {
                assert_bytes(a, b);
        } else if (JSON_NODE_HOLDS_OBJECT(expected)) {
                g_assert_true(JSON_NODE_HOLDS_OBJECT(got));
                assert_object(json_node_get_object(got), json_node_get_object(expected), where);
        } else if (JSON_NODE_HOLDS_ARRAY(expected)) {
                JsonArray *x = json_node_get_array(got), *y = json_node_get_array(expected);
                guint i;

                g_assert_cmpuint(json_array_get_length(x), ==, json_array_get_length(y));
                for (i = 0; i < json_array_get_length(y); i++)
                        assert_fields(json_array_get_element(x, i), json_array_get_element(y, i),
                                      where);
        } else {
                /* Numbers, of which either may be kept as a string of digits. */
                g_autofree char *x = codec_print_line(got);
                g_autofree char *y = codec_print_line(expected);

                g_assert_cmpstr(g_strdelimit(x, "\"", ' ') ? g_strstrip(x) : NULL, ==,
                                g_strstrip(g_strdelimit(y, "\"", ' ')));
        }
}

static JsonNode *get_fields(JsonObject *vector)
{
        if (json_object_has_member(vector, "fields_file"))
                return load_json(json_object_get_string_member(vector, "fields_file"));
        return json_node_copy(json_object_get_member(vector, "fields"));
}

/* Whether the fields are all that the bytes say. */
static bool fields_are_all(JsonNode *fields)
{
        JsonObject *object = json_node_get_object(fields);

        return !json_object_has_member(object, "answer_to") &&
               !json_object_has_member(object, "produced_by");
}

static void set_order(JsonNode *json, const char *order)
{
        json_object_set_string_member(json_node_get_object(json), "byte_order", order);
}

/* From what was decoded, from its text, and from the fields of the index. */
static void check_canonical(JsonObject *vector, GBytes *bytes, JsonNode *json)
{
        g_autoptr(GBytes) again = encode(vector, json);
        g_autofree char *text = codec_print(json);
        g_autoptr(JsonNode) loaded = codec_load(text, -1, NULL);
        g_autoptr(GBytes) from_text = encode(vector, loaded);
        g_autoptr(JsonNode) fields = get_fields(vector);

        assert_bytes(again, bytes);
        assert_bytes(from_text, bytes);
        if (fields_are_all(fields)) {
                g_autoptr(GBytes) from_fields = NULL;

                set_order(fields, "little");
                from_fields = encode(vector, fields);
                assert_bytes(from_fields, bytes);
        }
}

/* The same message of a machine of either order is recognised, and restored. */
static void check_order(JsonObject *vector, GBytes *bytes, const char *order)
{
        bool detected = strcmp(json_object_get_string_member(vector, "type"), "increment") != 0;
        bool big = !strcmp(order, "big");
        bool foreign = big == (G_BYTE_ORDER == G_LITTLE_ENDIAN);
        enum codec_order as = big ? CODEC_ORDER_BIG : CODEC_ORDER_LITTLE;
        struct codec_fault fault;
        g_autoptr(JsonNode) little = decode(vector, bytes, CODEC_ORDER_LITTLE, &fault);
        g_autoptr(GBytes) ordered = NULL;
        g_autoptr(GBytes) again = NULL;
        g_autoptr(JsonNode) json = NULL;

        set_order(little, order);
        ordered = encode(vector, little);
        json = decode(vector, ordered, detected ? CODEC_ORDER_AUTO : as, &fault);
        g_assert_nonnull(json);
        g_assert_true(json_object_has_member(json_node_get_object(json), "byte_order") == foreign);
        again = encode(vector, json);
        assert_bytes(again, ordered);
        set_order(json, order);
        assert_fields(json, little, "");
}

/* Packets of a batch: its directory is in payload_hex, which nothing turns around. */
static bool payload_has_order(JsonNode *json)
{
        JsonObject *object = json_node_get_object(json);

        if (!json_object_has_member(object, "payload_hex"))
                return false;
        return json_object_get_int_member(json_object_get_object_member(object, "header"),
                                          "flags") != 0;
}

static void test_valid(gconstpointer data)
{
        JsonObject *vector = (JsonObject *)(uintptr_t)data;
        g_autoptr(GBytes) bytes = load_bytes(vector);
        g_autoptr(JsonNode) fields = get_fields(vector);
        g_autoptr(JsonNode) json = NULL;
        struct codec_fault fault = {0};

        json = decode(vector, bytes, CODEC_ORDER_LITTLE, &fault);
        if (!json)
                g_error("refused: %s at %zu: %s", fault.cause, fault.offset, fault.rule);
        assert_fields(json, fields, "");
        if (!json_object_get_boolean_member(vector, "canonical"))
                return;
        check_canonical(vector, bytes, json);
        check_order(vector, bytes, "little");
        if (!payload_has_order(json))
                check_order(vector, bytes, "big");
}

static bool cause_fits(const char *cause, const char *reference)
{
        size_t i, j;
        int error;

        if (!strcmp(cause, reference))
                return true;
        for (i = 0; i < G_N_ELEMENTS(causes); i++) {
                if (strcmp(causes[i].reference, reference))
                        continue;
                for (j = 0; causes[i].ours[j]; j++)
                        if (!strcmp(causes[i].ours[j], cause))
                                return true;
                return j == 0;
        }
        /* A name of ours must be met exactly; what is left is the reference's own business. */
        for (error = 1; error < 32; error++)
                if (!strcmp(nipc_proto_error_name(error), reference))
                        return false;
        return true;
}

static void test_invalid(gconstpointer data)
{
        JsonObject *vector = (JsonObject *)(uintptr_t)data;
        g_autoptr(GBytes) bytes = load_bytes(vector);
        const char *reference = json_object_get_string_member(
                vector, json_object_has_member(vector, "cause") ? "cause" : "reference_error");
        struct codec_fault fault = {0};

        g_assert_null(decode(vector, bytes, CODEC_ORDER_LITTLE, &fault));
        g_assert_nonnull(fault.rule);
        g_assert_cmpuint(fault.offset, <=, g_bytes_get_size(bytes));
        g_test_message("%s at %zu: %s", fault.cause, fault.offset, fault.rule);
        if (!cause_fits(fault.cause, reference))
                g_error("refused as %s, expected %s", fault.cause, reference);
        /* No reading of the bytes makes them good. */
        g_assert_null(decode(vector, bytes, CODEC_ORDER_AUTO, &fault));
}

/* Every beginning of a valid message is judged without reading beyond it. */
static void test_truncated(gconstpointer data)
{
        JsonObject *vector = (JsonObject *)(uintptr_t)data;
        g_autoptr(GBytes) bytes = load_bytes(vector);
        const struct codec_options options = {.order = CODEC_ORDER_LITTLE,
                                              .has_items = true,
                                              .n_items = 3};
        gsize size;

        for (size = 0; size < g_bytes_get_size(bytes); size++) {
                g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(bytes, NULL), size);
                g_autoptr(JsonNode) json = NULL;
                struct codec_fault fault;

                codec_decode(json_object_get_string_member(vector, "type"), copy, size, &options,
                             &json, &fault);
        }
}

/* What a server of ours answers, byte for byte; of a packet in the host's order. */
static void answer(JsonObject *vector, GBytes *bytes, GByteArray *out)
{
        JsonObject *params = get_params(vector);
        JsonObject *config = json_object_get_object_member(params, "server_config");
        const struct nipc_hello_policy policy = {
                .supported_profiles =
                        (uint32_t)json_object_get_int_member(config, "supported_profiles"),
                .preferred_profiles =
                        (uint32_t)json_object_get_int_member(config, "preferred_profiles"),
                .max_request_payload_bytes =
                        (uint32_t)json_object_get_int_member(config, "max_request_payload_bytes"),
                .max_response_payload_bytes =
                        (uint32_t)json_object_get_int_member(config, "max_response_payload_bytes"),
                .auth_token = (uint64_t)json_object_get_int_member(config, "auth_token"),
                .packet_size = (uint32_t)json_object_get_int_member(config, "packet_size"),
                .session_id = (uint64_t)json_object_get_int_member(params, "session_id"),
        };
        struct nipc_hello_ack ack;
        uint16_t status;

        if (nipc_hello_judge(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &policy, NULL,
                             &ack, &status, NULL))
                return;
        g_byte_array_set_size(out, NIPC_HELLO_ACK_PACKET_SIZE);
        nipc_hello_ack_encode_packet(&ack, status, out->data);
}

static void check_answer(JsonObject *vector, GBytes *expected)
{
        g_autoptr(GBytes) bytes = load_bytes(vector);
        g_autoptr(GByteArray) out = g_byte_array_new();

        answer(vector, bytes, out);
        g_assert_cmpmem(out->data, out->len, g_bytes_get_data(expected, NULL),
                        g_bytes_get_size(expected));
}

static void test_answers(gconstpointer data)
{
        JsonArray *vectors = (JsonArray *)(uintptr_t)data;
        guint i, n = 0;

        if (G_BYTE_ORDER != G_LITTLE_ENDIAN) {
                g_test_skip("the packets are little-endian");
                return;
        }
        for (i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_array_get_object_element(vectors, i);
                g_autoptr(GBytes) expected = NULL;

                if (json_object_has_member(vector, "server_answers")) {
                        const char *hex =
                                json_object_get_string_member_with_default(vector, "server_answers",
                                                                           NULL);

                        expected = unhex(hex ? hex : "");
                        check_answer(vector, expected);
                        n++;
                } else if (g_str_has_prefix(json_object_get_string_member(vector, "name"),
                                            "msg_hello_ack_ok")) {
                        JsonObject *fields = json_object_get_object_member(vector, "fields");

                        expected = load_bytes(vector);
                        check_answer(find_vector(vectors, json_object_get_string_member(
                                                                  fields, "answer_to")),
                                     expected);
                        n++;
                }
        }
        g_assert_cmpuint(n, >=, 10);
}

static void add_vector(JsonObject *vector)
{
        const char *name = json_object_get_string_member(vector, "name");
        bool valid = json_object_get_boolean_member(vector, "valid");
        g_autofree char *path =
                g_strdup_printf("/vectors/%s/%s", json_object_get_string_member(vector, "type"),
                                name);
        g_autofree char *truncated = g_strdup_printf("%s/truncated", path);

        g_test_add_data_func(path, vector, valid ? test_valid : test_invalid);
        /* All beginnings of the large ones would take minutes and show nothing new. */
        if (valid && json_object_get_int_member(vector, "length") < 512)
                g_test_add_data_func(truncated, vector, test_truncated);
}

/* Those of methods outside NetIPC v1, in a folder of their own. */
static void add_own_vectors(JsonArray *vectors)
{
        guint i;

        for (i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_array_get_object_element(vectors, i);
                g_autofree char *file =
                        g_strconcat("own/", json_object_get_string_member(vector, "file"), NULL);

                json_object_set_string_member(vector, "file", file);
                add_vector(vector);
        }
}

int main(int argc, char **argv)
{
        g_autoptr(JsonNode) index = NULL, own = NULL;
        JsonArray *vectors;
        guint i;

        g_test_init(&argc, &argv, NULL);
        index = load_json("index.json");
        vectors = json_object_get_array_member(json_node_get_object(index), "vectors");
        for (i = 0; i < json_array_get_length(vectors); i++)
                add_vector(json_array_get_object_element(vectors, i));
        g_test_add_data_func("/vectors/answers", vectors, test_answers);
        own = load_json("own/index.json");
        add_own_vectors(json_object_get_array_member(json_node_get_object(own), "vectors"));
        return g_test_run();
}
