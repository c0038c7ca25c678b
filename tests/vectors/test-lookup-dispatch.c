/* SPDX-License-Identifier: MIT */

/*
 * Lookup responses of a server with little room, byte for byte (codecs §7): for each vector that
 * says how it was produced, its items are offered to a builder for its keys, with its budget.
 */

#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>

#include "codec.h"
#include "util-vectors.h"

enum way {
        BY_METHOD, /* as handlers do */
        BY_ITEM,   /* as caches do */
};

struct dispatch {
        const struct nipc_lookup_class *class_;
        const char *request_type;
        const char *response_type;
        const char *keys;         /* of a request */
        const char *request_keys; /* of a vector */
};

static struct dispatch dispatch_of(JsonObject *vector)
{
        const char *type = json_object_get_string_member(vector, "type");

        if (g_str_has_prefix(type, "cgroups"))
                return (struct dispatch){nipc_cgroups_lookup_get_class(), "cgroups_lookup_request",
                                         type, "paths", "request_paths"};
        return (struct dispatch){nipc_apps_lookup_get_class(), "apps_lookup_request", type, "pids",
                                 "request_pids"};
}

/* A message with one array of a vector's fields; owned. */
static GByteArray *encode_array(JsonObject *fields, const char *from, const char *type,
                                const char *to)
{
        g_autoptr(JsonNode) json = json_node_new(JSON_NODE_OBJECT);
        g_autoptr(JsonObject) object = json_object_new();
        GError *error = NULL;
        GByteArray *bytes;

        json_object_set_member(object, to, json_node_copy(json_object_get_member(fields, from)));
        json_node_set_object(json, object);
        bytes = codec_encode(type, json, &error);
        g_assert_no_error(error);
        return bytes;
}

static int offer(struct nipc_lookup_builder *builder, struct nipc_lookup_item raw, enum way way)
{
        struct nipc_cgroups_lookup_item cgroup;
        struct nipc_apps_lookup_item app;
        struct nipc_label labels[16];
        uint32_t i, n = nipc_lookup_item_get_label_count(builder->class_, raw);

        if (way == BY_ITEM)
                return nipc_lookup_builder_add_item(builder, raw);
        g_assert_cmpuint(n, <=, G_N_ELEMENTS(labels));
        for (i = 0; i < n; i++)
                labels[i] = nipc_lookup_item_get_label(builder->class_, raw, i);
        if (builder->class_ == nipc_cgroups_lookup_get_class()) {
                nipc_cgroups_lookup_item_load(raw, &cgroup);
                cgroup.labels = labels;
                return nipc_cgroups_lookup_builder_add(builder, &cgroup);
        }
        nipc_apps_lookup_item_load(raw, &app);
        app.labels = labels;
        return nipc_apps_lookup_builder_add(builder, &app);
}

static void check(JsonObject *vector, enum way way)
{
        const struct dispatch dispatch = dispatch_of(vector);
        JsonObject *fields = json_object_get_object_member(vector, "fields");
        g_autoptr(GByteArray) request =
                encode_array(fields, dispatch.request_keys, dispatch.request_type, dispatch.keys);
        g_autoptr(GByteArray) offered =
                encode_array(fields, "handler_items", dispatch.response_type, "items");
        gsize budget = (gsize)json_object_get_int_member(fields, "response_budget_bytes");
        g_autofree uint8_t *buf = g_malloc(budget);
        g_autoptr(GBytes) expected = load_bytes(vector);
        struct nipc_lookup_request_view request_view;
        struct nipc_lookup_builder builder;
        struct nipc_lookup_view view;
        gsize size = 0;
        uint32_t i;

        g_assert_cmpint(nipc_lookup_request_view_init(&request_view, dispatch.class_, request->data,
                                                      request->len, NULL),
                        ==, 0);
        g_assert_cmpint(nipc_lookup_view_init(&view, dispatch.class_, offered->data, offered->len,
                                              NULL),
                        ==, 0);
        g_assert_cmpint(nipc_lookup_builder_init(&builder, &request_view, buf, budget), ==, 0);
        nipc_lookup_builder_set_generation(
                &builder, (uint64_t)json_object_get_int_member(fields, "generation"));
        for (i = 0; i < view.item_count; i++)
                g_assert_cmpint(offer(&builder, nipc_lookup_view_get(&view, i), way), ==, 0);
        g_assert_cmpint(nipc_lookup_builder_finish(&builder, &size), ==, 0);
        g_assert_cmpmem(buf, size, g_bytes_get_data(expected, NULL), g_bytes_get_size(expected));
}

static void test_dispatch(gconstpointer data)
{
        if (G_BYTE_ORDER != G_LITTLE_ENDIAN) {
                g_test_skip("the vectors are little-endian");
                return;
        }
        check((JsonObject *)(uintptr_t)data, BY_METHOD);
        check((JsonObject *)(uintptr_t)data, BY_ITEM);
}

int main(int argc, char **argv)
{
        g_autoptr(JsonNode) index = NULL;
        JsonArray *vectors;
        guint i, n = 0;

        g_test_init(&argc, &argv, NULL);
        index = load_json("index.json");
        vectors = json_object_get_array_member(json_node_get_object(index), "vectors");
        for (i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_array_get_object_element(vectors, i);
                const char *name = json_object_get_string_member(vector, "name");
                g_autofree char *path = g_strdup_printf("/lookup-dispatch/%s", name);

                if (!strstr(name, "_dispatch_"))
                        continue;
                g_test_add_data_func(path, vector, test_dispatch);
                n++;
        }
        g_assert_cmpuint(n, >=, 10);
        return g_test_run();
}
