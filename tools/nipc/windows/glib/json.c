/* SPDX-License-Identifier: MIT */

/* Values of JSON, see json-glib.h. Members keep the order in which they came. */

#include "json-glib/json-glib.h"

struct JsonNode {
        unsigned n_refs;
        JsonNodeType type;
        GType value_type;
        union {
                JsonObject *object;
                JsonArray *array;
                char *text;
                gint64 number;
                double real;
        };
};

struct member {
        char *name;
        JsonNode *node;
};

struct JsonObject {
        unsigned n_refs;
        GArray *members;
};

struct JsonArray {
        unsigned n_refs;
        GPtrArray *elements;
};

/* ---- nodes ---------------------------------------------------------------------------------- */

JsonNode *json_node_new(JsonNodeType type)
{
        JsonNode *node = g_new0(JsonNode, 1);

        node->n_refs = 1;
        node->type = type;
        return node;
}

JsonNode *json_node_alloc(void)
{
        return json_node_new(JSON_NODE_NULL);
}

static JsonNode *value_new(GType type)
{
        JsonNode *node = json_node_new(JSON_NODE_VALUE);

        node->value_type = type;
        return node;
}

static JsonNode *int_new(gint64 value)
{
        JsonNode *node = value_new(G_TYPE_INT64);

        node->number = value;
        return node;
}

JsonNode *json_node_init_string(JsonNode *node, const char *text)
{
        node->type = JSON_NODE_VALUE;
        node->value_type = G_TYPE_STRING;
        node->text = g_strdup(text);
        return node;
}

/* Takes the object over. */
static JsonNode *object_node(JsonObject *object)
{
        JsonNode *node = json_node_new(JSON_NODE_OBJECT);

        node->object = object;
        return node;
}

static JsonNode *array_node(JsonArray *array)
{
        JsonNode *node = json_node_new(JSON_NODE_ARRAY);

        node->array = array;
        return node;
}

JsonNode *json_node_init_object(JsonNode *node, JsonObject *object)
{
        object->n_refs++;
        node->type = JSON_NODE_OBJECT;
        node->object = object;
        return node;
}

void json_node_set_array(JsonNode *node, JsonArray *array)
{
        array->n_refs++;
        node->array = array;
}

void json_node_unref(JsonNode *node)
{
        if (--node->n_refs)
                return;
        if (node->type == JSON_NODE_OBJECT)
                json_object_unref(node->object);
        else if (node->type == JSON_NODE_ARRAY)
                json_array_unref(node->array);
        else if (node->value_type == G_TYPE_STRING)
                g_free(node->text);
        g_free(node);
}

JsonNodeType json_node_get_node_type(JsonNode *node)
{
        return node->type;
}

GType json_node_get_value_type(JsonNode *node)
{
        return node->value_type;
}

JsonObject *json_node_get_object(JsonNode *node)
{
        return node->object;
}

JsonArray *json_node_get_array(JsonNode *node)
{
        return node->array;
}

const char *json_node_get_string(JsonNode *node)
{
        return node->text;
}

gint64 json_node_get_int(JsonNode *node)
{
        return node->number;
}

double json_node_get_double(JsonNode *node)
{
        return node->real;
}

gboolean json_node_get_boolean(JsonNode *node)
{
        return node->number != 0;
}

/* ---- objects -------------------------------------------------------------------------------- */

JsonObject *json_object_new(void)
{
        JsonObject *object = g_new0(JsonObject, 1);

        object->n_refs = 1;
        object->members = g_array_new(FALSE, FALSE, sizeof(struct member));
        return object;
}

static struct member *member_at(JsonObject *object, guint i)
{
        return &g_array_index(object->members, struct member, i);
}

void json_object_unref(JsonObject *object)
{
        if (--object->n_refs)
                return;
        for (guint i = 0; i < object->members->len; i++) {
                g_free(member_at(object, i)->name);
                json_node_unref(member_at(object, i)->node);
        }
        g_array_unref(object->members);
        g_free(object);
}

static struct member *find_member(JsonObject *object, const char *name)
{
        for (guint i = 0; i < object->members->len; i++)
                if (strcmp(member_at(object, i)->name, name) == 0)
                        return member_at(object, i);
        return NULL;
}

void json_object_set_member(JsonObject *object, const char *name, JsonNode *node)
{
        struct member *there = find_member(object, name), member = {NULL, node};

        if (there) {
                json_node_unref(there->node);
                there->node = node;
                return;
        }
        member.name = g_strdup(name);
        g_array_append_val(object->members, member);
}

void json_object_set_int_member(JsonObject *object, const char *name, gint64 value)
{
        json_object_set_member(object, name, int_new(value));
}

void json_object_set_string_member(JsonObject *object, const char *name, const char *value)
{
        json_object_set_member(object, name, json_node_init_string(json_node_alloc(), value));
}

void json_object_set_array_member(JsonObject *object, const char *name, JsonArray *array)
{
        json_object_set_member(object, name, array_node(array));
}

void json_object_set_object_member(JsonObject *object, const char *name, JsonObject *member)
{
        json_object_set_member(object, name, object_node(member));
}

gboolean json_object_has_member(JsonObject *object, const char *name)
{
        return find_member(object, name) != NULL;
}

JsonNode *json_object_get_member(JsonObject *object, const char *name)
{
        struct member *member = find_member(object, name);

        return member ? member->node : NULL;
}

guint json_object_get_size(JsonObject *object)
{
        return object->members->len;
}

void json_object_iter_init(JsonObjectIter *iter, JsonObject *object)
{
        *iter = (JsonObjectIter){.object = object};
}

gboolean json_object_iter_next(JsonObjectIter *iter, const char **ret_name, JsonNode **ret_node)
{
        if (iter->next >= iter->object->members->len)
                return FALSE;
        if (ret_name)
                *ret_name = member_at(iter->object, iter->next)->name;
        if (ret_node)
                *ret_node = member_at(iter->object, iter->next)->node;
        iter->next++;
        return TRUE;
}

/* ---- arrays --------------------------------------------------------------------------------- */

static void unref_element(gpointer node)
{
        json_node_unref(node);
}

JsonArray *json_array_new(void)
{
        JsonArray *array = g_new0(JsonArray, 1);

        array->n_refs = 1;
        array->elements = g_ptr_array_new_with_free_func(unref_element);
        return array;
}

JsonArray *json_array_sized_new(guint n)
{
        return json_array_new();
}

void json_array_unref(JsonArray *array)
{
        if (--array->n_refs)
                return;
        g_ptr_array_unref(array->elements);
        g_free(array);
}

guint json_array_get_length(JsonArray *array)
{
        return array->elements->len;
}

JsonNode *json_array_get_element(JsonArray *array, guint i)
{
        return array->elements->pdata[i];
}

/* The same one: nobody changes those that were printed. */
JsonNode *json_array_dup_element(JsonArray *array, guint i)
{
        JsonNode *node = json_array_get_element(array, i);

        node->n_refs++;
        return node;
}

const char *json_array_get_string_element(JsonArray *array, guint i)
{
        return json_node_get_string(json_array_get_element(array, i));
}

void json_array_add_element(JsonArray *array, JsonNode *node)
{
        g_ptr_array_add(array->elements, node);
}

void json_array_add_int_element(JsonArray *array, gint64 value)
{
        json_array_add_element(array, int_new(value));
}

void json_array_add_string_element(JsonArray *array, const char *value)
{
        json_array_add_element(array, json_node_init_string(json_node_alloc(), value));
}

void json_array_add_array_element(JsonArray *array, JsonArray *element)
{
        json_array_add_element(array, array_node(element));
}

void json_array_add_object_element(JsonArray *array, JsonObject *element)
{
        json_array_add_element(array, object_node(element));
}

/* ---- builder -------------------------------------------------------------------------------- */

#define MAX_DEPTH 64

struct JsonBuilder {
        JsonNode *root;
        JsonNode *open[MAX_DEPTH]; /* borrowed: each is in the one before */
        unsigned depth;
        char *name; /* of the next member */
};

JsonBuilder *json_builder_new(void)
{
        return g_new0(JsonBuilder, 1);
}

void json_builder_free(JsonBuilder *builder)
{
        if (builder->root)
                json_node_unref(builder->root);
        g_free(builder->name);
        g_free(builder);
}

static void builder_add(JsonBuilder *builder, JsonNode *node)
{
        JsonNode *in = builder->depth ? builder->open[builder->depth - 1] : NULL;

        if (!in)
                builder->root = node;
        else if (in->type == JSON_NODE_ARRAY)
                json_array_add_element(in->array, node);
        else
                json_object_set_member(in->object, builder->name, node);
}

static void builder_begin(JsonBuilder *builder, JsonNode *node)
{
        g_assert(builder->depth < MAX_DEPTH);
        builder_add(builder, node);
        builder->open[builder->depth++] = node;
}

void json_builder_begin_object(JsonBuilder *builder)
{
        builder_begin(builder, object_node(json_object_new()));
}

void json_builder_end_object(JsonBuilder *builder)
{
        builder->depth--;
}

void json_builder_begin_array(JsonBuilder *builder)
{
        builder_begin(builder, array_node(json_array_new()));
}

void json_builder_end_array(JsonBuilder *builder)
{
        builder->depth--;
}

void json_builder_set_member_name(JsonBuilder *builder, const char *name)
{
        g_free(builder->name);
        builder->name = g_strdup(name);
}

void json_builder_add_string_value(JsonBuilder *builder, const char *value)
{
        builder_add(builder, json_node_init_string(json_node_alloc(), value));
}

void json_builder_add_int_value(JsonBuilder *builder, gint64 value)
{
        builder_add(builder, int_new(value));
}

void json_builder_add_double_value(JsonBuilder *builder, double value)
{
        JsonNode *node = value_new(G_TYPE_DOUBLE);

        node->real = value;
        builder_add(builder, node);
}

void json_builder_add_boolean_value(JsonBuilder *builder, gboolean value)
{
        JsonNode *node = value_new(G_TYPE_BOOLEAN);

        node->number = value;
        builder_add(builder, node);
}

void json_builder_add_null_value(JsonBuilder *builder)
{
        builder_add(builder, json_node_alloc());
}

JsonNode *json_builder_get_root(JsonBuilder *builder)
{
        builder->root->n_refs++;
        return builder->root;
}
