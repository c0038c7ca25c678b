/* SPDX-License-Identifier: MIT */
#pragma once

/* As much of JSON-GLib as the commands use, see ../glib.h. All of it is counted by reference. */

#include <glib.h>

typedef enum { JSON_NODE_OBJECT, JSON_NODE_ARRAY, JSON_NODE_VALUE, JSON_NODE_NULL } JsonNodeType;
typedef enum { G_TYPE_INVALID, G_TYPE_BOOLEAN, G_TYPE_INT64, G_TYPE_DOUBLE, G_TYPE_STRING } GType;

typedef struct JsonNode JsonNode;
typedef struct JsonObject JsonObject;
typedef struct JsonArray JsonArray;
typedef struct JsonBuilder JsonBuilder;
typedef struct JsonParser JsonParser;
typedef struct {
        JsonObject *object;
        guint next;
} JsonObjectIter;

#define JSON_NODE_HOLDS_OBJECT(node) (json_node_get_node_type(node) == JSON_NODE_OBJECT)
#define JSON_NODE_HOLDS_ARRAY(node)  (json_node_get_node_type(node) == JSON_NODE_ARRAY)
#define JSON_NODE_HOLDS_VALUE(node)  (json_node_get_node_type(node) == JSON_NODE_VALUE)

JsonNode *json_node_alloc(void);
JsonNode *json_node_new(JsonNodeType type);
JsonNode *json_node_init_object(JsonNode *node, JsonObject *object);
JsonNode *json_node_init_string(JsonNode *node, const char *text);
void json_node_set_array(JsonNode *node, JsonArray *array);
void json_node_unref(JsonNode *node);
JsonNodeType json_node_get_node_type(JsonNode *node);
GType json_node_get_value_type(JsonNode *node);
JsonObject *json_node_get_object(JsonNode *node);
JsonArray *json_node_get_array(JsonNode *node);
const char *json_node_get_string(JsonNode *node);
gint64 json_node_get_int(JsonNode *node);
double json_node_get_double(JsonNode *node);
gboolean json_node_get_boolean(JsonNode *node);

JsonObject *json_object_new(void);
void json_object_unref(JsonObject *object);
/* The setters take over what they are given. */
void json_object_set_member(JsonObject *object, const char *name, JsonNode *node);
void json_object_set_int_member(JsonObject *object, const char *name, gint64 value);
void json_object_set_string_member(JsonObject *object, const char *name, const char *value);
void json_object_set_array_member(JsonObject *object, const char *name, JsonArray *array);
void json_object_set_object_member(JsonObject *object, const char *name, JsonObject *member);
gboolean json_object_has_member(JsonObject *object, const char *name);
JsonNode *json_object_get_member(JsonObject *object, const char *name);
guint json_object_get_size(JsonObject *object);
void json_object_iter_init(JsonObjectIter *iter, JsonObject *object);
gboolean json_object_iter_next(JsonObjectIter *iter, const char **ret_name, JsonNode **ret_node);
#define json_object_iter_init_ordered json_object_iter_init
#define json_object_iter_next_ordered json_object_iter_next

JsonArray *json_array_new(void);
JsonArray *json_array_sized_new(guint n);
void json_array_unref(JsonArray *array);
guint json_array_get_length(JsonArray *array);
JsonNode *json_array_get_element(JsonArray *array, guint i);
JsonNode *json_array_dup_element(JsonArray *array, guint i);
const char *json_array_get_string_element(JsonArray *array, guint i);
void json_array_add_element(JsonArray *array, JsonNode *node);
void json_array_add_int_element(JsonArray *array, gint64 value);
void json_array_add_string_element(JsonArray *array, const char *value);
void json_array_add_array_element(JsonArray *array, JsonArray *element);
void json_array_add_object_element(JsonArray *array, JsonObject *element);

JsonBuilder *json_builder_new(void);
void json_builder_free(JsonBuilder *builder);
void json_builder_begin_object(JsonBuilder *builder);
void json_builder_end_object(JsonBuilder *builder);
void json_builder_begin_array(JsonBuilder *builder);
void json_builder_end_array(JsonBuilder *builder);
void json_builder_set_member_name(JsonBuilder *builder, const char *name);
void json_builder_add_string_value(JsonBuilder *builder, const char *value);
void json_builder_add_int_value(JsonBuilder *builder, gint64 value);
void json_builder_add_double_value(JsonBuilder *builder, double value);
void json_builder_add_boolean_value(JsonBuilder *builder, gboolean value);
void json_builder_add_null_value(JsonBuilder *builder);
JsonNode *json_builder_get_root(JsonBuilder *builder);

JsonParser *json_parser_new(void);
void json_parser_free(JsonParser *parser);
gboolean json_parser_load_from_data(JsonParser *parser, const char *text, gssize size,
                                    GError **error);
JsonNode *json_parser_steal_root(JsonParser *parser);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonNode, json_node_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonArray, json_array_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonBuilder, json_builder_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonParser, json_parser_free)
