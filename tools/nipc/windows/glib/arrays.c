/* SPDX-License-Identifier: MIT */

/* Strings and arrays that grow, see glib.h. */

#include <glib.h>
#include <stdio.h>

/* Room for `needed` bytes, in steps that double. */
static void *grow(void *p, size_t *allocated, size_t needed)
{
        if (needed <= *allocated)
                return p;
        *allocated = MAX(needed, MAX(*allocated * 2, (size_t)64));
        p = realloc(p, *allocated);
        if (!p)
                abort();
        return p;
}

/* The same where sizes are counted in 32 bits. */
static void *grow_array(void *p, guint *allocated, size_t needed)
{
        size_t size = *allocated;

        if (needed > UINT32_MAX / 2)
                abort();
        p = grow(p, &size, needed);
        *allocated = (guint)size;
        return p;
}

GString *g_string_sized_new(size_t size)
{
        GString *string = g_new0(GString, 1);

        string->str = grow(NULL, &string->allocated, size + 1);
        string->str[0] = '\0';
        return string;
}

GString *g_string_new(const char *text)
{
        GString *string = g_string_sized_new(0);

        return text ? g_string_append(string, text) : string;
}

char *g_string_free(GString *string, gboolean free_text)
{
        char *text = string->str;

        g_free(string);
        if (!free_text)
                return text;
        g_free(text);
        return NULL;
}

GString *g_string_append_len(GString *string, const char *text, gssize n)
{
        const size_t size = n < 0 ? strlen(text) : (size_t)n;

        string->str = grow(string->str, &string->allocated, string->len + size + 1);
        memcpy(string->str + string->len, text, size);
        string->len += size;
        string->str[string->len] = '\0';
        return string;
}

GString *g_string_append(GString *string, const char *text)
{
        return g_string_append_len(string, text, -1);
}

GString *g_string_append_c(GString *string, char c)
{
        return g_string_append_len(string, &c, 1);
}

GString *g_string_append_unichar(GString *string, gunichar c)
{
        char bytes[4];

        return g_string_append_len(string, bytes, g_unichar_to_utf8(c, bytes));
}

void g_string_append_printf(GString *string, const char *format, ...)
{
        va_list arguments;
        char *text;

        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        g_string_append(string, text);
        g_free(text);
}

/* ---- arrays --------------------------------------------------------------------------------- */

GArray *g_array_new(gboolean zero_terminated, gboolean clear, guint element_size)
{
        GArray *array = g_new0(GArray, 1);

        array->element_size = element_size;
        return array;
}

void g_array_append_vals(GArray *array, const void *values, guint n)
{
        const size_t size = (size_t)array->element_size * array->len;
        const size_t more = (size_t)array->element_size * n;

        array->data = grow_array(array->data, &array->allocated, size + more);
        memcpy(array->data + size, values, more);
        array->len += n;
}

void g_array_sort(GArray *array, GCompareFunc compare)
{
        if (array->len)
                qsort(array->data, array->len, array->element_size, compare);
}

void g_array_unref(GArray *array)
{
        g_free(array->data);
        g_free(array);
}

GByteArray *g_byte_array_new(void)
{
        return g_new0(GByteArray, 1);
}

GByteArray *g_byte_array_set_size(GByteArray *array, guint size)
{
        array->data = grow_array(array->data, &array->allocated, size);
        array->len = size;
        return array;
}

GByteArray *g_byte_array_sized_new(guint size)
{
        GByteArray *array = g_byte_array_set_size(g_byte_array_new(), size);

        array->len = 0;
        return array;
}

GByteArray *g_byte_array_append(GByteArray *array, const guint8 *bytes, guint n)
{
        const guint size = array->len;

        g_byte_array_set_size(array, size + n);
        if (n)
                memcpy(array->data + size, bytes, n);
        return array;
}

void g_byte_array_unref(GByteArray *array)
{
        g_free(array->data);
        g_free(array);
}

GPtrArray *g_ptr_array_new_with_free_func(GDestroyNotify destroy)
{
        GPtrArray *array = g_new0(GPtrArray, 1);

        array->destroy = destroy;
        return array;
}

void g_ptr_array_add(GPtrArray *array, gpointer p)
{
        array->pdata =
                grow_array(array->pdata, &array->allocated, ((size_t)array->len + 1) * sizeof(p));
        array->pdata[array->len++] = p;
}

void g_ptr_array_set_size(GPtrArray *array, int size)
{
        while (array->len > (guint)size) {
                array->len--;
                if (array->destroy)
                        array->destroy(array->pdata[array->len]);
        }
}

void g_ptr_array_sort(GPtrArray *array, GCompareFunc compare)
{
        if (array->len)
                qsort(array->pdata, array->len, sizeof(gpointer), compare);
}

void g_ptr_array_unref(GPtrArray *array)
{
        g_ptr_array_set_size(array, 0);
        g_free(array->pdata);
        g_free(array);
}
