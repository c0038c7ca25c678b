/* SPDX-License-Identifier: MIT */
/* JSON and tables, see output.h. */
#include "output.h"

#include "codec/codec.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void output_json(JsonNode *root, gboolean compact)
{
        g_autofree char *text = compact ? codec_print_line(root) : codec_print(root);

        fputs(text, stdout);
        if (compact)
                putchar('\n');
}

void output_json_builder(JsonBuilder *builder, gboolean compact)
{
        g_autoptr(JsonNode) root = json_builder_get_root(builder);

        output_json(root, compact);
}

void output_add_string(JsonBuilder *builder, const char *name, const char *value)
{
        g_autofree char *valid = value ? g_utf8_make_valid(value, -1) : NULL;

        json_builder_set_member_name(builder, name);
        if (valid)
                json_builder_add_string_value(builder, valid);
        else
                json_builder_add_null_value(builder);
}

void output_add_number(JsonBuilder *builder, const char *name, int64_t value)
{
        json_builder_set_member_name(builder, name);
        if (value < 0)
                json_builder_add_null_value(builder);
        else
                json_builder_add_int_value(builder, value);
}

void output_add_double(JsonBuilder *builder, const char *name, double value)
{
        json_builder_set_member_name(builder, name);
        if (isfinite(value))
                json_builder_add_double_value(builder, value);
        else
                json_builder_add_null_value(builder);
}

char *output_escape(const char *text, size_t len)
{
        static const char digits[] = "0123456789abcdef";
        GString *escaped = g_string_sized_new(len);
        const char *end = text + len;

        while (text < end) {
                gunichar c = g_utf8_get_char_validated(text, end - text);

                if (c == (gunichar)-1 || c == (gunichar)-2 || g_unichar_iscntrl(c)) {
                        const unsigned char byte = (unsigned char)*text++;
                        const char code[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};

                        g_string_append_len(escaped, code, sizeof(code));
                } else {
                        g_string_append_unichar(escaped, c);
                        text += g_unichar_to_utf8(c, NULL);
                }
        }
        return g_string_free(escaped, FALSE);
}

struct output_table {
        guint n_columns;
        GPtrArray *cells;
};

struct output_table *output_table_new(guint n_columns)
{
        struct output_table *table = g_new0(struct output_table, 1);

        table->n_columns = n_columns;
        table->cells = g_ptr_array_new_with_free_func(g_free);
        return table;
}

void output_table_add(struct output_table *table, ...)
{
        va_list arguments;
        const char *cell;

        va_start(arguments, table);
        while ((cell = va_arg(arguments, const char *)))
                g_ptr_array_add(table->cells, output_escape(cell, strlen(cell)));
        va_end(arguments);
        g_assert(table->cells->len % table->n_columns == 0);
}

static int cell_width(const struct output_table *table, guint column)
{
        glong width = 0;

        for (guint i = column; i < table->cells->len; i += table->n_columns)
                width = MAX(width, g_utf8_strlen(table->cells->pdata[i], -1));
        return (int)width;
}

static void print_cells(const struct output_table *table)
{
        g_autofree int *widths = g_new(int, table->n_columns);

        for (guint c = 0; c < table->n_columns; c++)
                widths[c] = cell_width(table, c);
        for (guint i = 0; i < table->cells->len; i++) {
                const char *cell = table->cells->pdata[i];
                guint column = i % table->n_columns;
                int padding = widths[column] - (int)g_utf8_strlen(cell, -1);

                if (column + 1 < table->n_columns)
                        printf("%s%*s", cell, padding + 2, "");
                else
                        printf("%s\n", cell);
        }
}

void output_table_finish(struct output_table *table, gboolean print)
{
        if (print)
                print_cells(table);
        g_ptr_array_unref(table->cells);
        g_free(table);
}
