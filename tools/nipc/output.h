/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Results on stdout: JSON, and tables whose columns are as wide as they must be. What comes from
 * other processes is escaped before it reaches a terminal.
 */

#include <json-glib/json-glib.h>
#include <stddef.h>
#include <stdint.h>

/* Prints a document, indented, with a newline; on one line if compact. */
void output_json(JsonNode *root, gboolean compact);

/* The same with what the builder holds. */
void output_json_builder(JsonBuilder *builder, gboolean compact);

/* A member of the object being built. value: made valid UTF-8; NULL is null. */
void output_add_string(JsonBuilder *builder, const char *name, const char *value);

/* The same for a number that is never negative; if it is, it is unknown: null. */
void output_add_number(JsonBuilder *builder, const char *name, int64_t value);

/* The same for one that need not be whole. JSON has no other numbers than finite ones: else null.
 */
void output_add_double(JsonBuilder *builder, const char *name, double value);

/* Text as it is, but for control characters and invalid UTF-8, which become \xNN. Owned. */
char *output_escape(const char *text, size_t len);

/* A table; cells are copied. Print at the end. */
struct output_table;

struct output_table *output_table_new(guint n_columns);

/* As many cells as there are columns, NULL-terminated. */
void output_table_add(struct output_table *table, ...) G_GNUC_NULL_TERMINATED;

/* Prints if asked to, and frees. Columns are separated by two spaces; the last is not padded. */
void output_table_finish(struct output_table *table, gboolean print);
