/* SPDX-License-Identifier: MIT */

/*
 * The vectors of own/, of the lookups that are not NetIPC v1: what is invalid is refused for its
 * reason and at its offset; what is valid has its fields, and what is canonical is built again from
 * them. And the examples of the documents are these vectors. Bytes and libnipc-proto are
 * little-endian here on every machine, see meson.build.
 */

#include <nipc/ip-to-asn.h>
#include <nipc/pid-traffic.h>

#include "codec.h"
#include "util-own-items.h"

enum { BUF_SIZE = 1 << 16 };

static JsonArray *vectors;

/* ---- loading ------------------------------------------------------------------------------ */

static char *read_file(const char *directory, const char *name)
{
        g_autofree char *path = g_test_build_filename(G_TEST_DIST, directory, name, NULL);
        GError *error = NULL;
        char *text;

        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        return text;
}

static JsonObject *find_vector(const char *name)
{
        guint i;

        for (i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_array_get_object_element(vectors, i);

                if (!strcmp(json_object_get_string_member(vector, "name"), name))
                        return vector;
        }
        g_error("there is no vector %s", name);
}

/* Ends where its memory ends, so that a sanitizer sees any read beyond. Owned. */
static uint8_t *load_bytes(JsonObject *vector, size_t *ret_size)
{
        g_autofree char *text = read_file("own", json_object_get_string_member(vector, "file"));
        g_autoptr(GByteArray) bytes = items_unhex(text, strlen(text));
        uint8_t *copy = malloc(bytes->len ? bytes->len : 1);

        g_assert_nonnull(copy);
        g_assert_cmpint(bytes->len, ==, json_object_get_int_member(vector, "length"));
        if (bytes->len)
                memcpy(copy, bytes->data, bytes->len);
        *ret_size = bytes->len;
        return copy;
}

static bool has_type(JsonObject *vector, const char *part)
{
        return strstr(json_object_get_string_member(vector, "type"), part) != NULL;
}

static const struct nipc_lookup_class *get_class(JsonObject *vector)
{
        return has_type(vector, "ip_to_asn") ? nipc_ip_to_asn_get_class()
                                             : nipc_pid_traffic_get_class();
}

static int decode(JsonObject *vector, const uint8_t *bytes, size_t size,
                  struct nipc_lookup_request_view *ret_request, struct nipc_lookup_view *ret_view,
                  struct nipc_fault *ret_fault)
{
        if (has_type(vector, "request"))
                return nipc_lookup_request_view_init(ret_request, get_class(vector), bytes, size,
                                                     ret_fault);
        return nipc_lookup_view_init(ret_view, get_class(vector), bytes, size, ret_fault);
}

static void assert_response(JsonObject *vector, const struct nipc_lookup_view *view)
{
        JsonObject *fields = json_object_get_object_member(vector, "fields");
        JsonArray *items = json_object_get_array_member(fields, "items");
        uint32_t i;

        g_assert_cmpuint(view->generation, ==, items_get_number(fields, "generation"));
        g_assert_cmpuint(view->item_count, ==, json_array_get_length(items));
        for (i = 0; i < view->item_count; i++) {
                const struct nipc_lookup_item raw = nipc_lookup_view_get(view, i);
                JsonObject *object = json_array_get_object_element(items, i);

                if (has_type(vector, "ip_to_asn")) {
                        const struct nipc_ip_to_asn_item item = items_get_ip(object);

                        items_assert_ip(raw, &item);
                } else {
                        const struct nipc_pid_traffic_item item = items_get_pid(object);

                        items_assert_pid(raw, &item);
                }
        }
}

/* ---- building ----------------------------------------------------------------------------- */

static void add_items(JsonObject *vector, JsonArray *items, struct nipc_lookup_builder *builder)
{
        guint i;

        for (i = 0; i < json_array_get_length(items); i++) {
                JsonObject *object = json_array_get_object_element(items, i);

                if (has_type(vector, "ip_to_asn")) {
                        const struct nipc_ip_to_asn_item item = items_get_ip(object);

                        g_assert_cmpint(nipc_ip_to_asn_builder_add(builder, &item), ==, 0);
                } else {
                        const struct nipc_pid_traffic_item item = items_get_pid(object);

                        g_assert_cmpint(nipc_pid_traffic_builder_add(builder, &item), ==, 0);
                }
        }
}

/* From its fields alone. */
static size_t build_unasked(JsonObject *vector, uint8_t *buf)
{
        JsonObject *fields = json_object_get_object_member(vector, "fields");
        JsonArray *items = json_object_get_array_member(fields, "items");
        struct nipc_lookup_builder builder;
        size_t size = 0;

        nipc_lookup_builder_init_unasked(&builder, get_class(vector), buf, BUF_SIZE,
                                         json_array_get_length(items) + 3);
        nipc_lookup_builder_set_generation(&builder, items_get_number(fields, "generation"));
        add_items(vector, items, &builder);
        g_assert_cmpint(nipc_lookup_builder_finish(&builder, &size), ==, 0);
        return size;
}

/* As the answer to a request, of a limited size. */
static size_t build_answer(JsonObject *vector, uint8_t *buf)
{
        JsonObject *params = json_object_get_object_member(vector, "params");
        JsonObject *fields = json_object_get_object_member(vector, "fields");
        JsonObject *asked = find_vector(json_object_get_string_member(params, "request"));
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        size_t size = 0, request_size;
        uint8_t *bytes = load_bytes(asked, &request_size);

        g_assert_cmpint(decode(asked, bytes, request_size, &request, NULL, NULL), ==, 0);
        nipc_lookup_builder_init(&builder, &request, buf, items_get_number(params, "budget"));
        nipc_lookup_builder_set_generation(&builder, items_get_number(fields, "generation"));
        add_items(vector, json_object_get_array_member(params, "answers"), &builder);
        g_assert_cmpint(nipc_lookup_builder_finish(&builder, &size), ==, 0);
        free(bytes);
        return size;
}

/* The keys of a request as a list; string keys live as long as the test. */
static struct nipc_lookup_keys get_keys(JsonObject *vector)
{
        JsonObject *fields = json_object_get_object_member(vector, "fields");
        const bool are_ips = has_type(vector, "ip_to_asn");
        JsonArray *array = json_object_get_array_member(fields, are_ips ? "ips" : "pids");
        const guint n = json_array_get_length(array);
        struct nipc_lookup_key *keys = g_new0(struct nipc_lookup_key, n + 1);
        uint32_t *pids = g_new0(uint32_t, n + 1);
        guint i;

        items_keep(keys);
        items_keep(pids);
        for (i = 0; i < n && are_ips; i++) {
                const struct nipc_lookup_string key =
                        items_get_text(json_array_get_element(array, i));

                keys[i] = (struct nipc_lookup_key){key.str, key.len};
        }
        for (i = 0; i < n && !are_ips; i++)
                pids[i] = (uint32_t)json_array_get_int_element(array, i);
        return are_ips ? nipc_lookup_keys_of(keys, n) : nipc_lookup_keys_of_pids(pids, n);
}

static size_t build_request(JsonObject *vector, uint8_t *buf)
{
        const struct nipc_lookup_keys keys = get_keys(vector);
        size_t size = 0;

        g_assert_cmpint(nipc_lookup_request_encode(get_class(vector), &keys, 0, keys.n_keys, buf,
                                                   BUF_SIZE, &size),
                        ==, 0);
        g_assert_cmpuint(size, ==,
                         nipc_lookup_request_size(get_class(vector), &keys, 0, keys.n_keys));
        return size;
}

/* ---- tests -------------------------------------------------------------------------------- */

static void assert_request(JsonObject *vector, const struct nipc_lookup_request_view *view)
{
        const struct nipc_lookup_keys keys = get_keys(vector);
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        uint32_t i;

        g_assert_cmpuint(view->item_count, ==, keys.n_keys);
        for (i = 0; i < keys.n_keys; i++) {
                size_t a_size, b_size;
                const void *a = nipc_lookup_request_view_get(view, i, &a_size);
                const void *b = keys.get(&keys, i, scratch, &b_size);

                g_assert_cmpmem(a, a_size, b, b_size);
        }
}

static void assert_refused(JsonObject *vector, int r, const struct nipc_fault *fault)
{
        g_assert_cmpstr(nipc_proto_error_name(r), ==,
                        json_object_get_string_member(vector, "cause"));
        g_assert_cmpint(fault->error, ==, r);
        g_assert_cmpuint(fault->offset, ==, items_get_number(vector, "offset"));
        g_assert_nonnull(fault->rule);
}

/* Checks the fields, builds the message again and returns how long it became. */
static size_t rebuild(JsonObject *vector, const struct nipc_lookup_request_view *request,
                      const struct nipc_lookup_view *view, uint8_t *buf)
{
        if (has_type(vector, "request")) {
                assert_request(vector, request);
                return build_request(vector, buf);
        }
        assert_response(vector, view);
        return json_object_has_member(vector, "params") ? build_answer(vector, buf)
                                                        : build_unasked(vector, buf);
}

static void test_vector(gconstpointer data)
{
        g_autofree uint8_t *buf = g_malloc0(BUF_SIZE);
        JsonObject *vector = find_vector(data);
        struct nipc_lookup_request_view request;
        struct nipc_lookup_view view;
        struct nipc_fault fault = {0};
        size_t size, built;
        uint8_t *bytes = load_bytes(vector, &size);
        int r;

        items_begin();
        r = decode(vector, bytes, size, &request, &view, &fault);
        if (!json_object_get_boolean_member(vector, "valid")) {
                assert_refused(vector, r, &fault);
        } else {
                g_assert_cmpint(r, ==, 0);
                built = rebuild(vector, &request, &view, buf);
                g_assert_cmpint(built == size && !memcmp(buf, bytes, size), ==,
                                json_object_get_boolean_member(vector, "canonical"));
                g_assert_cmpint(decode(vector, buf, built, &request, &view, NULL), ==, 0);
                g_assert_cmpuint(rebuild(vector, &request, &view, buf), ==, built);
        }
        items_end();
        free(bytes);
}

/* One block of a document, from behind "```hex " on. Returns behind it. */
static const char *check_block(const char *text)
{
        const char *line = strchr(text, '\n') + 1, *end = strstr(line, "```");
        g_autofree char *name = g_strndup(text, (gsize)(line - 1 - text));
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        size_t size;
        uint8_t *expected = load_bytes(find_vector(name), &size);

        for (; line < end; line = strchr(line, '\n') + 1) {
                char *hex;
                const guint64 offset = g_ascii_strtoull(line, &hex, 10);
                g_autoptr(GByteArray) part = items_unhex(hex, (size_t)(strchr(hex, ';') - hex));

                g_assert_cmpuint(offset, ==, bytes->len);
                g_byte_array_append(bytes, part->data, part->len);
        }
        g_assert_cmpmem(bytes->data, bytes->len, expected, size);
        free(expected);
        return end;
}

static void test_document(gconstpointer data)
{
        g_autofree char *text = read_file("../../libnipc-proto/doc", data);
        const char *at = text;
        int n_blocks = 0;

        while ((at = strstr(at, "```hex "))) {
                at = check_block(at + strlen("```hex "));
                n_blocks++;
        }
        g_assert_cmpint(n_blocks, ==, 2);
}

int main(int argc, char **argv)
{
        g_autofree char *text = NULL;
        g_autoptr(JsonNode) index = NULL;
        guint i;

        g_test_init(&argc, &argv, NULL);
        text = read_file("own", "index.json");
        index = codec_load(text, -1, NULL);
        g_assert_nonnull(index);
        vectors = json_object_get_array_member(json_node_get_object(index), "vectors");
        for (i = 0; i < json_array_get_length(vectors); i++) {
                const char *name =
                        json_object_get_string_member(json_array_get_object_element(vectors, i),
                                                      "name");
                g_autofree char *path = g_strconcat("/own/", name, NULL);

                g_test_add_data_func(path, name, test_vector);
        }
        g_test_add_data_func("/document/ip-to-asn", "ip-to-asn.md", test_document);
        g_test_add_data_func("/document/pid-traffic", "pid-traffic.md", test_document);
        return g_test_run();
}
