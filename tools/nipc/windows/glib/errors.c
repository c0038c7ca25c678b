/* SPDX-License-Identifier: MIT */

/* Errors and files, see glib.h. */

#include <errno.h>
#include <glib.h>
#include <stdio.h>

void g_error_free(GError *error)
{
        g_free(error->message);
        g_free(error);
}

void g_set_error_literal(GError **error, GQuark domain, int code, const char *message)
{
        if (!error)
                return;
        *error = g_new0(GError, 1);
        **error = (GError){.domain = domain, .code = code, .message = g_strdup(message)};
}

void g_set_error(GError **error, GQuark domain, int code, const char *format, ...)
{
        g_autofree char *message = NULL;
        va_list arguments;

        va_start(arguments, format);
        message = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        g_set_error_literal(error, domain, code, message);
}

void g_prefix_error(GError **error, const char *format, ...)
{
        g_autofree char *prefix = NULL;
        va_list arguments;
        char *message;

        if (!error || !*error)
                return;
        va_start(arguments, format);
        prefix = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        message = g_strdup_printf("%s%s", prefix, (*error)->message);
        g_free((*error)->message);
        (*error)->message = message;
}

/* Few enough to be their own hashes. */
GQuark g_quark_from_string(const char *name)
{
        GQuark quark = 5381;

        for (; *name; name++)
                quark = quark * 33 + (unsigned char)*name;
        return quark;
}

GQuark g_option_error_quark(void)
{
        return g_quark_from_string("g-option-context-error-quark");
}

GQuark g_file_error_quark(void)
{
        return g_quark_from_string("g-file-error-quark");
}

gboolean g_file_get_contents(const char *path, char **ret_contents, size_t *ret_size,
                             GError **error)
{
        g_autofree wchar_t *wide_path = g_widen(path);
        FILE *file = _wfopen(wide_path, L"rb");
        g_autoptr(GString) contents = NULL;
        bool is_good;
        char buf[4096];
        size_t n;

        if (!file) {
                g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                            "Failed to open file “%s”: %s", path, g_strerror(errno));
                return FALSE;
        }
        contents = g_string_new(NULL);
        while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
                g_string_append_len(contents, buf, (gssize)n);
        is_good = !ferror(file);
        fclose(file);
        if (!is_good) {
                g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "Failed to read from file “%s”",
                            path);
                return FALSE;
        }
        if (ret_size)
                *ret_size = contents->len;
        *ret_contents = g_string_free(g_steal_pointer(&contents), FALSE);
        return TRUE;
}

/* The C library of Windows knows the numbers below 43; what the libraries return has these, too. */
const char *g_strerror(int error)
{
        switch (error) {
        case EADDRINUSE:
                return "Address already in use";
        case ECANCELED:
                return "Operation canceled";
        case ECONNREFUSED:
                return "Connection refused";
        case ECONNRESET:
                return "Connection reset by peer";
        case EMSGSIZE:
                return "Message too long";
        case ENOBUFS:
                return "No buffer space available";
        case ENOTCONN:
                return "Transport endpoint is not connected";
        case EOPNOTSUPP:
                return "Operation not supported";
        case EPROTO:
                return "Protocol error";
        case EPROTONOSUPPORT:
                return "Protocol not supported";
        case ETIMEDOUT:
                return "Connection timed out";
        case EBADMSG:
                return "Bad message";
        default:
                return strerror(error);
        }
}
