/* SPDX-License-Identifier: MIT */

/* Options and errors, see glib.h: what GOptionContext understands, says and prints as help. */

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#define MAX_TABLES 4

struct GOptionContext {
        const char *parameters, *summary, *description;
        const GOptionEntry *tables[MAX_TABLES];
        unsigned n_tables;
        bool is_strict; /* the first argument that is no option ends the options */
};

static const char *prgname = "";

void g_set_prgname(const char *name)
{
        static char copy[64];

        snprintf(copy, sizeof(copy), "%s", name);
        prgname = copy;
}

GOptionContext *g_option_context_new(const char *parameters)
{
        GOptionContext *context = g_new0(GOptionContext, 1);

        context->parameters = parameters;
        return context;
}

void g_option_context_free(GOptionContext *context)
{
        g_free(context);
}

void g_option_context_set_summary(GOptionContext *context, const char *summary)
{
        context->summary = summary;
}

void g_option_context_set_description(GOptionContext *context, const char *description)
{
        context->description = description;
}

void g_option_context_set_help_enabled(GOptionContext *context, gboolean enabled)
{
}

void g_option_context_set_strict_posix(GOptionContext *context, gboolean strict)
{
        context->is_strict = strict;
}

void g_option_context_add_main_entries(GOptionContext *context, const GOptionEntry *entries,
                                       const char *domain)
{
        g_assert(context->n_tables < MAX_TABLES);
        context->tables[context->n_tables++] = entries;
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* By its long name, of n bytes, or by the short one. */
static const GOptionEntry *find_entry(const GOptionContext *context, const char *name, size_t n,
                                      char short_name)
{
        for (unsigned i = 0; i < context->n_tables; i++)
                for (const GOptionEntry *entry = context->tables[i]; entry->long_name; entry++)
                        if (name ? strlen(entry->long_name) == n &&
                                            !memcmp(entry->long_name, name, n)
                                 : entry->short_name == short_name)
                                return entry;
        return NULL;
}

static gboolean fail(GError **error, const char *what, const char *value, const char *option,
                     const char *why)
{
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s “%s” for %s%s", what,
                    value, option, why);
        return FALSE;
}

static gboolean set_value(const GOptionEntry *entry, const char *value, const char *option,
                          GError **error)
{
        char *end;

        errno = 0;
        switch (entry->arg) {
        case G_OPTION_ARG_NONE:
                *(gboolean *)entry->arg_data = TRUE;
                return TRUE;
        case G_OPTION_ARG_STRING:
        case G_OPTION_ARG_FILENAME:
                g_free(*(char **)entry->arg_data);
                *(char **)entry->arg_data = g_strdup(value);
                return TRUE;
        case G_OPTION_ARG_INT64:
                *(gint64 *)entry->arg_data = strtoll(value, &end, 0);
                if (!*value || *end)
                        return fail(error, "Cannot parse integer value", value, option, "");
                if (errno == ERANGE)
                        return fail(error, "Integer value", value, option, " out of range");
                return TRUE;
        case G_OPTION_ARG_DOUBLE:
        default:
                *(double *)entry->arg_data = strtod(value, &end);
                if (!*value || *end)
                        return fail(error, "Cannot parse double value", value, option, "");
                if (errno == ERANGE)
                        return fail(error, "Double value", value, option, " out of range");
                return TRUE;
        }
}

/* Where the parser is, and what it leaves for the caller. */
struct parser {
        const GOptionContext *context;
        char **argv;
        int argc, at, n_left;
        GError **error;
};

static gboolean refuse(struct parser *parser, const char *what, const char *option)
{
        g_set_error(parser->error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "%s %s", what,
                    option);
        return FALSE;
}

/* value: what follows in the same argument, or NULL. */
static gboolean take(struct parser *parser, const GOptionEntry *entry, const char *option,
                     const char *value)
{
        if (entry->arg != G_OPTION_ARG_NONE && !value) {
                if (parser->at + 1 >= parser->argc)
                        return refuse(parser, "Missing argument for", option);
                value = parser->argv[++parser->at];
        }
        return set_value(entry, value, option, parser->error);
}

static gboolean parse_long(struct parser *parser)
{
        const char *text = parser->argv[parser->at] + 2, *equals = strchr(text, '=');
        const size_t n = equals ? (size_t)(equals - text) : strlen(text);
        const GOptionEntry *entry = find_entry(parser->context, text, n, 0);
        char option[80];

        snprintf(option, sizeof(option), "--%.*s", (int)n, text);
        if (!entry || (equals && entry->arg == G_OPTION_ARG_NONE))
                return refuse(parser, "Unknown option", parser->argv[parser->at]);
        return take(parser, entry, option, equals ? equals + 1 : NULL);
}

static gboolean parse_short(struct parser *parser)
{
        const char *argument = parser->argv[parser->at];

        for (const char *p = argument + 1; *p; p++) {
                const GOptionEntry *entry = find_entry(parser->context, NULL, 0, *p);
                const char option[] = {'-', *p, '\0'};

                if (!entry)
                        return refuse(parser, "Unknown option", argument);
                if (entry->arg != G_OPTION_ARG_NONE)
                        return take(parser, entry, option, p[1] ? p + 1 : NULL);
                set_value(entry, NULL, option, parser->error);
        }
        return TRUE;
}

gboolean g_option_context_parse(GOptionContext *context, int *argc, char ***argv, GError **error)
{
        struct parser parser = {.context = context,
                                .argv = *argv,
                                .argc = *argc,
                                .at = 1,
                                .n_left = 1,
                                .error = error};
        bool is_over = false;

        for (; parser.at < parser.argc; parser.at++) {
                char *argument = parser.argv[parser.at];
                bool is_option = !is_over && argument[0] == '-' && argument[1];

                if (is_option && strcmp(argument, "--") == 0) {
                        is_over = true; /* next to other arguments it stays */
                        is_option = parser.n_left == 1;
                        if (is_option)
                                continue;
                }
                if (!is_option) {
                        parser.argv[parser.n_left++] = argument;
                        is_over = is_over || context->is_strict;
                } else if (!(argument[1] == '-' ? parse_long(&parser) : parse_short(&parser))) {
                        return FALSE;
                }
        }
        parser.argv[parser.n_left] = NULL;
        *argc = parser.n_left;
        return TRUE;
}

/* ---- help ----------------------------------------------------------------------------------- */

/* "-c, --count=N" */
static char *entry_names(const GOptionEntry *entry)
{
        const char shortly[] = {'-', entry->short_name, ',', ' ', '\0'};

        return g_strdup_printf("%s--%s%s%s", entry->short_name ? shortly : "", entry->long_name,
                               entry->arg_description ? "=" : "",
                               entry->arg_description ? entry->arg_description : "");
}

static void add_entries(const GOptionContext *context, GString *text, int width, int *ret_width)
{
        for (unsigned i = 0; i < context->n_tables; i++)
                for (const GOptionEntry *entry = context->tables[i]; entry->long_name; entry++) {
                        g_autofree char *names = entry_names(entry);

                        *ret_width = MAX(*ret_width, (int)strlen(names));
                        if (text)
                                g_string_append_printf(text, "  %-*s%s\n", width, names,
                                                       entry->description);
                }
}

char *g_option_context_get_help(GOptionContext *context, gboolean main_help, void *group)
{
        GString *text = g_string_new("Usage:\n");
        int width = 0;

        g_string_append_printf(text, "  %s [OPTION…] %s\n\n%s\n\nOptions:\n", prgname,
                               context->parameters, context->summary);
        add_entries(context, NULL, 0, &width);
        add_entries(context, text, width + 4, &width);
        g_string_append_c(text, '\n');
        if (context->description)
                g_string_append_printf(text, "%s\n", context->description);
        return g_string_free(text, FALSE);
}
