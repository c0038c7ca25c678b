/* SPDX-License-Identifier: MIT */

/* Memory, text and numbers, see glib.h. */

#include <ctype.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

void *g_malloc(size_t size)
{
        void *p = malloc(size ? size : 1);

        if (!p)
                abort();
        return p;
}

void *g_malloc0(size_t size)
{
        return memset(g_malloc(size), 0, size);
}

void g_free(void *p)
{
        free(p);
}

char *g_strndup(const char *text, size_t n)
{
        const char *end = text ? memchr(text, 0, n) : NULL;
        char *copy;

        if (!text)
                return NULL;
        copy = g_malloc0(n + 1);
        return memcpy(copy, text, end ? (size_t)(end - text) : n);
}

char *g_strdup(const char *text)
{
        return text ? g_strndup(text, strlen(text)) : NULL;
}

char *g_strdup_vprintf(const char *format, va_list arguments)
{
        va_list copy;
        char *text;
        int n;

        va_copy(copy, arguments);
        n = vsnprintf(NULL, 0, format, copy);
        va_end(copy);
        text = g_malloc((size_t)n + 1);
        vsnprintf(text, (size_t)n + 1, format, arguments);
        return text;
}

char *g_strdup_printf(const char *format, ...)
{
        va_list arguments;
        char *text;

        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        return text;
}

void g_printerr(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
}

char *g_build_filename(const char *first, const char *second, const char *end)
{
        return g_strdup_printf("%s/%s", first, second);
}

char *g_strdelimit(char *text, const char *delimiters, char replacement)
{
        for (char *p = text; *p; p++)
                if (strchr(delimiters, *p))
                        *p = replacement;
        return text;
}

char *g_strstrip(char *text)
{
        size_t n = strlen(text), start = 0;

        while (n && g_ascii_isspace(text[n - 1]))
                n--;
        while (start < n && g_ascii_isspace(text[start]))
                start++;
        memmove(text, text + start, n - start);
        text[n - start] = '\0';
        return text;
}

gboolean g_str_has_prefix(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

int g_strcmp0(const char *a, const char *b)
{
        if (!a || !b)
                return (a != NULL) - (b != NULL);
        return strcmp(a, b);
}

GStrv g_strsplit(const char *text, const char *delimiter, int max)
{
        size_t n = 1, i = 0;
        const char *p, *next;
        GStrv parts;

        for (p = text; (p = strstr(p, delimiter)); p += strlen(delimiter))
                n++;
        parts = g_new0(char *, n + 1);
        for (p = text; *text && (next = strstr(p, delimiter)); p = next + strlen(delimiter))
                parts[i++] = g_strndup(p, (size_t)(next - p));
        if (*text)
                parts[i] = g_strdup(p);
        return parts;
}

guint g_strv_length(char **texts)
{
        guint n = 0;

        while (texts[n])
                n++;
        return n;
}

GStrv g_strdupv(char **texts)
{
        GStrv copy = g_new0(char *, g_strv_length(texts) + 1);

        for (guint i = 0; texts[i]; i++)
                copy[i] = g_strdup(texts[i]);
        return copy;
}

void g_strfreev(char **texts)
{
        for (char **p = texts; p && *p; p++)
                g_free(*p);
        g_free(texts);
}

struct kept_value {
        char *value;
        struct kept_value *next;
};

/* What was asked for is kept: callers borrow it. */
const char *g_getenv(const char *name)
{
        static struct kept_value *kept;
        g_autofree wchar_t *wide_name = g_widen(name);
        const wchar_t *wide = _wgetenv(wide_name);
        g_autofree char *value = wide ? g_narrow(wide) : NULL;
        struct kept_value *p;

        if (!value)
                return NULL;
        for (p = kept; p; p = p->next)
                if (strcmp(p->value, value) == 0)
                        return p->value;
        p = g_new0(struct kept_value, 1);
        *p = (struct kept_value){g_steal_pointer(&value), kept};
        kept = p;
        return p->value;
}

int g_ascii_strcasecmp(const char *a, const char *b)
{
        for (; *a && tolower((unsigned char)*a) == tolower((unsigned char)*b); a++, b++)
                ;
        return tolower((unsigned char)*a) - tolower((unsigned char)*b);
}

gboolean g_ascii_isdigit(char c)
{
        return c >= '0' && c <= '9';
}

gboolean g_ascii_isalnum(char c)
{
        return g_ascii_isdigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

gboolean g_ascii_isprint(char c)
{
        return c >= ' ' && c <= '~';
}

gboolean g_ascii_isspace(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}

int g_ascii_xdigit_value(char c)
{
        if (g_ascii_isdigit(c))
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

gboolean g_ascii_isxdigit(char c)
{
        return g_ascii_xdigit_value(c) >= 0;
}

/* The shortest that is read as the same number. */
char *g_ascii_dtostr(char *buf, int size, double value)
{
        int digits = 15;

        do
                snprintf(buf, (size_t)size, "%.*g", digits, value);
        while (strtod(buf, NULL) != value && digits++ < 17);
        return buf;
}

gboolean g_ascii_string_to_unsigned(const char *text, guint base, guint64 min, guint64 max,
                                    guint64 *ret_value, GError **error)
{
        guint64 value = 0;
        const char *p = text;

        for (; *p; p++) {
                int digit = g_ascii_xdigit_value(*p);

                if (digit < 0 || digit >= (int)base ||
                    value > (UINT64_MAX - (unsigned)digit) / base)
                        break;
                value = value * base + (unsigned)digit;
        }
        if (p == text || *p || value < min || value > max) {
                g_set_error(error, g_quark_from_string("g-number-parser-error-quark"),
                            G_NUMBER_PARSER_ERROR_INVALID, "'%s' is no such number", text);
                return FALSE;
        }
        if (ret_value)
                *ret_value = value;
        return TRUE;
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

wchar_t *g_widen(const char *text)
{
        int n = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
        wchar_t *wide = g_malloc0(((size_t)n + 1) * sizeof(*wide));

        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, n);
        return wide;
}

char *g_narrow(const wchar_t *text)
{
        int n = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
        char *narrow = g_malloc0((size_t)n + 1);

        WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, n, NULL, NULL);
        return narrow;
}

gunichar g_utf8_get_char_validated(const char *text, gssize size)
{
        static const gunichar least[] = {0, 0, 0x80, 0x800, 0x10000};
        const unsigned char *p = (const unsigned char *)text;
        size_t left = size < 0 ? strlen(text) : (size_t)size;
        const unsigned n = !left             ? 0
                           : p[0] < 0x80     ? 1
                           : p[0] >> 5 == 6  ? 2
                           : p[0] >> 4 == 14 ? 3
                           : p[0] >> 3 == 30 ? 4
                                             : 0;
        gunichar c;

        if (!n || left < n)
                return (gunichar)-1;
        c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
        for (unsigned i = 1; i < n; i++) {
                if (p[i] >> 6 != 2)
                        return (gunichar)-1;
                c = c << 6 | (p[i] & 0x3f);
        }
        if ((n > 1 && c < least[n]) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return (gunichar)-1;
        return c;
}

int g_unichar_to_utf8(gunichar c, char *out)
{
        char bytes[4];
        int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        for (int i = n - 1; i > 0; i--, c >>= 6)
                bytes[i] = (char)(0x80 | (c & 0x3f));
        bytes[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
        if (out)
                memcpy(out, bytes, (size_t)n);
        return n;
}

gboolean g_unichar_iscntrl(gunichar c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

glong g_utf8_strlen(const char *text, gssize max)
{
        glong n = 0;

        for (const char *p = text; *p && (max < 0 || p - text < max); p++)
                n += (*p & 0xc0) != 0x80;
        return n;
}

char *g_utf8_make_valid(const char *text, gssize size)
{
        const char *end = text + (size < 0 ? strlen(text) : (size_t)size);
        GString *valid = g_string_new(NULL);

        while (text < end) {
                gunichar c = g_utf8_get_char_validated(text, end - text);

                if (c == (gunichar)-1)
                        c = 0xfffd, text++;
                else
                        text += g_unichar_to_utf8(c, NULL);
                g_string_append_unichar(valid, c);
        }
        return g_string_free(valid, FALSE);
}
