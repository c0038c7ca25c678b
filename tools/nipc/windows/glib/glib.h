/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * As much of GLib as the commands in nipc_windows_sources use, where there is none: the same names
 * and the same behaviour for them, so that the commands are the same source as elsewhere. It is no
 * GLib: what is not used is not here, memory that cannot be had ends the program, and strings are
 * UTF-8 or bytes.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef char gchar;
typedef int gboolean, gint;
typedef unsigned int guint;
typedef long glong;
typedef uint8_t guint8;
typedef int64_t gint64;
typedef uint64_t guint64;
typedef size_t gsize;
typedef ptrdiff_t gssize;
typedef void *gpointer;
typedef const void *gconstpointer;
typedef uint32_t gunichar;
typedef uint32_t GQuark;
typedef char **GStrv;
typedef void (*GDestroyNotify)(gpointer data);
typedef int (*GCompareFunc)(gconstpointer a, gconstpointer b);

#define TRUE  1
#define FALSE 0

#define G_GINT64_FORMAT     "lld"
#define G_GUINT64_FORMAT    "llu"
#define G_GSIZE_FORMAT      "zu"
#define G_LITTLE_ENDIAN     1234
#define G_BIG_ENDIAN        4321
#define G_BYTE_ORDER        (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? G_BIG_ENDIAN : G_LITTLE_ENDIAN)
#define G_USEC_PER_SEC      1000000
#define G_MAXINT64          INT64_MAX
#define G_N_ELEMENTS(a)     (sizeof(a) / sizeof((a)[0]))
#define GUINT_TO_POINTER(n) ((gpointer)(uintptr_t)(n))
#define GPOINTER_TO_UINT(p) ((guint)(uintptr_t)(p))
#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif

#define G_GNUC_PRINTF(f, a)    __attribute__((__format__(__gnu_printf__, f, a)))
#define G_GNUC_NULL_TERMINATED __attribute__((__sentinel__))

/* ---- memory ---- */

void *g_malloc(size_t size);
void *g_malloc0(size_t size);
void g_free(void *p);

#define g_new(type, n)  ((type *)g_malloc(sizeof(type) * (size_t)(n)))
#define g_new0(type, n) ((type *)g_malloc0(sizeof(type) * (size_t)(n)))
#define g_assert(expr)  ((expr) ? (void)0 : abort())

static inline void g_autoptr_free(void *p)
{
        g_free(*(void **)p);
}

static inline void *g_steal_pointer_as_void(void *pp)
{
        void **p = pp, *stolen = *p;

        *p = NULL;
        return stolen;
}

#define g_steal_pointer(pp) ((__typeof__(*(pp)))g_steal_pointer_as_void(pp))
#define g_clear_pointer(pp, destroy)                             \
        do {                                                     \
                __typeof__(*(pp)) cleared = g_steal_pointer(pp); \
                if (cleared)                                     \
                        destroy(cleared);                        \
        } while (0)

#define g_autofree      __attribute__((__cleanup__(g_autoptr_free)))
#define g_autoptr(type) __attribute__((__cleanup__(g_autoptr_cleanup_##type))) type *
#define g_auto(type)    __attribute__((__cleanup__(g_auto_cleanup_##type))) type

#define G_DEFINE_AUTOPTR_CLEANUP_FUNC(type, destroy)                                       \
        static inline __attribute__((__unused__)) void g_autoptr_cleanup_##type(type **pp) \
        {                                                                                  \
                if (*pp)                                                                   \
                        destroy(*pp);                                                      \
        }

/* ---- text ---- */

char *g_strdup(const char *text);
char *g_strndup(const char *text, size_t n);
char *g_strdup_printf(const char *format, ...) G_GNUC_PRINTF(1, 2);
char *g_strdup_vprintf(const char *format, va_list arguments) G_GNUC_PRINTF(1, 0);
char *g_build_filename(const char *first, const char *second, const char *end);
char *g_strdelimit(char *text, const char *delimiters, char replacement);
char *g_strstrip(char *text);
gboolean g_str_has_prefix(const char *text, const char *prefix);
int g_strcmp0(const char *a, const char *b);
GStrv g_strsplit(const char *text, const char *delimiter, int max);
GStrv g_strdupv(char **texts);
void g_strfreev(char **texts);
guint g_strv_length(char **texts);
const char *g_getenv(const char *name);

/* What the system's wide calls take and give, which keeps all of UTF-8; not of GLib. Owned. */
wchar_t *g_widen(const char *text);
char *g_narrow(const wchar_t *text);

const char *g_strerror(int error);
void g_printerr(const char *format, ...) G_GNUC_PRINTF(1, 2);
void g_set_prgname(const char *name);

static inline void g_auto_cleanup_GStrv(GStrv *texts)
{
        g_strfreev(*texts);
}

int g_ascii_strcasecmp(const char *a, const char *b);
gboolean g_ascii_isalnum(char c);
gboolean g_ascii_isdigit(char c);
gboolean g_ascii_isprint(char c);
gboolean g_ascii_isspace(char c);
gboolean g_ascii_isxdigit(char c);
int g_ascii_xdigit_value(char c);

#define G_ASCII_DTOSTR_BUF_SIZE 40
char *g_ascii_dtostr(char *buf, int size, double value);

glong g_utf8_strlen(const char *text, gssize max);
char *g_utf8_make_valid(const char *text, gssize size);
gunichar g_utf8_get_char_validated(const char *text, gssize size);
int g_unichar_to_utf8(gunichar c, char *out);
gboolean g_unichar_iscntrl(gunichar c);

typedef struct {
        char *str;
        size_t len, allocated;
} GString;

GString *g_string_new(const char *text);
GString *g_string_sized_new(size_t size);
char *g_string_free(GString *string, gboolean free_text);
GString *g_string_append(GString *string, const char *text);
GString *g_string_append_c(GString *string, char c);
GString *g_string_append_len(GString *string, const char *text, gssize n);
GString *g_string_append_unichar(GString *string, gunichar c);
void g_string_append_printf(GString *string, const char *format, ...) G_GNUC_PRINTF(2, 3);

static inline void g_string_destroy(GString *string)
{
        g_string_free(string, TRUE);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GString, g_string_destroy)

/* ---- arrays ---- */

typedef struct {
        char *data;
        guint len, element_size, allocated;
} GArray;

typedef struct {
        guint8 *data;
        guint len, allocated;
} GByteArray;

typedef struct {
        gpointer *pdata;
        guint len, allocated;
        GDestroyNotify destroy;
} GPtrArray;

GArray *g_array_new(gboolean zero_terminated, gboolean clear, guint element_size);
void g_array_append_vals(GArray *array, const void *values, guint n);
void g_array_sort(GArray *array, GCompareFunc compare);
void g_array_unref(GArray *array);

#define g_array_append_val(array, value) g_array_append_vals(array, &(value), 1)
#define g_array_index(array, type, i)    (((type *)(void *)(array)->data)[i])

GByteArray *g_byte_array_new(void);
GByteArray *g_byte_array_sized_new(guint size);
GByteArray *g_byte_array_append(GByteArray *array, const guint8 *bytes, guint n);
GByteArray *g_byte_array_set_size(GByteArray *array, guint size);
void g_byte_array_unref(GByteArray *array);

GPtrArray *g_ptr_array_new_with_free_func(GDestroyNotify destroy);
void g_ptr_array_add(GPtrArray *array, gpointer p);
void g_ptr_array_set_size(GPtrArray *array, int size); /* smaller only */
void g_ptr_array_sort(GPtrArray *array, GCompareFunc compare);
void g_ptr_array_unref(GPtrArray *array);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GArray, g_array_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GByteArray, g_byte_array_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GPtrArray, g_ptr_array_unref)

/* ---- errors, files ---- */

typedef struct {
        GQuark domain;
        int code;
        char *message;
} GError;

void g_error_free(GError *error);
void g_set_error(GError **error, GQuark domain, int code, const char *format, ...)
        G_GNUC_PRINTF(4, 5);
void g_set_error_literal(GError **error, GQuark domain, int code, const char *message);
void g_prefix_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GError, g_error_free)

GQuark g_quark_from_string(const char *name);

#define G_DEFINE_QUARK(name, prefix)               \
        GQuark prefix##_quark(void)                \
        {                                          \
                return g_quark_from_string(#name); \
        }

GQuark g_option_error_quark(void);
GQuark g_file_error_quark(void);

#define G_OPTION_ERROR g_option_error_quark()
#define G_FILE_ERROR   g_file_error_quark()

enum { G_OPTION_ERROR_UNKNOWN_OPTION, G_OPTION_ERROR_BAD_VALUE, G_OPTION_ERROR_FAILED };
enum { G_FILE_ERROR_IO, G_FILE_ERROR_FAILED };
enum { G_NUMBER_PARSER_ERROR_INVALID };

gboolean g_ascii_string_to_unsigned(const char *text, guint base, guint64 min, guint64 max,
                                    guint64 *ret_value, GError **error);
gboolean g_file_get_contents(const char *path, char **ret_contents, size_t *ret_size,
                             GError **error);

/* ---- options ---- */

typedef enum {
        G_OPTION_ARG_NONE,
        G_OPTION_ARG_STRING,
        G_OPTION_ARG_FILENAME,
        G_OPTION_ARG_INT64,
        G_OPTION_ARG_DOUBLE,
} GOptionArg;

typedef struct {
        const char *long_name;
        char short_name;
        int flags;
        GOptionArg arg;
        gpointer arg_data;
        const char *description;
        const char *arg_description;
} GOptionEntry;

typedef struct GOptionContext GOptionContext;

GOptionContext *g_option_context_new(const char *parameters);
void g_option_context_free(GOptionContext *context);
void g_option_context_set_summary(GOptionContext *context, const char *summary);
void g_option_context_set_description(GOptionContext *context, const char *description);
void g_option_context_set_help_enabled(GOptionContext *context, gboolean enabled); /* FALSE */
void g_option_context_set_strict_posix(GOptionContext *context, gboolean strict);
void g_option_context_add_main_entries(GOptionContext *context, const GOptionEntry *entries,
                                       const char *domain);
gboolean g_option_context_parse(GOptionContext *context, int *argc, char ***argv, GError **error);
char *g_option_context_get_help(GOptionContext *context, gboolean main_help, void *group);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(GOptionContext, g_option_context_free)
