/* SPDX-License-Identifier: MIT */
/* What all subcommands share: option parsing, help, and how failures are said. See command.h. */
#include "command.h"

#include "globals.h"

#include <errno.h>
#include <nipc/run-dir.h>
#include <stdio.h>

static void print_reason(const struct command *command, const char *hint, const char *format,
                         va_list arguments) G_GNUC_PRINTF(3, 0);

/* One line, whatever is in it. */
static void print_reason(const struct command *command, const char *hint, const char *format,
                         va_list arguments)
{
        g_autofree char *reason = g_strdup_vprintf(format, arguments);

        g_strdelimit(reason, "\r\n", ' ');
        fflush(stdout);
        if (command)
                fprintf(stderr, "nipc %s: %s%s\n", command->name, reason, hint);
        else
                fprintf(stderr, "nipc: %s%s\n", reason, hint);
}

int command_fail(const struct command *command, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print_reason(command, "", format, arguments);
        va_end(arguments);
        return COMMAND_FAILURE;
}

int command_usage(const struct command *command, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print_reason(command, "; see --help", format, arguments);
        va_end(arguments);
        return COMMAND_USAGE;
}

static int find_separator(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--") == 0)
                        return i;
        return 0;
}

/* Parses, and takes out the first "--", which GLib leaves where it is next to other arguments. */
static gboolean parse(GOptionContext *context, int *argc, char ***argv, GError **error)
{
        const char *separator = (*argv)[find_separator(*argc, *argv)];
        int at;

        if (!g_option_context_parse(context, argc, argv, error))
                return FALSE;
        at = find_separator(*argc, *argv);
        if (at && (*argv)[at] == separator) {
                for (int i = at; i < *argc; i++)
                        (*argv)[i] = (*argv)[i + 1];
                (*argc)--;
        }
        return TRUE;
}

/* One that somebody else could have made is not used. That there is none is for others to say. */
static int check_run_dir(const struct command *command)
{
        const struct command_context *context = globals_get_context();
        g_autofree char *found = NULL;
        size_t size;
        int r;

        if (!command->uses_run_dir || !context->run_base)
                return COMMAND_SUCCESS;
        size = strlen(context->run_dir) + 1;
        found = g_malloc(size);
        r = nipc_run_dir_find(context->run_base, -1, found, size);
        if (r == -EACCES)
                return command_fail(command,
                                    "%s: others may write to it or to what it is in, or it is no "
                                    "directory of this user's; name another base with --run-base",
                                    context->run_dir);
        if (r < 0 && r != -ENOENT)
                return command_fail(command, "%s: %s; name another base with --run-base",
                                    context->run_base, g_strerror(-r));
        return COMMAND_SUCCESS;
}

bool command_parse(const struct command *command, const GOptionEntry *entries, int *argc,
                   char ***argv, int *ret_status)
{
        gboolean help = FALSE;
        const GOptionEntry help_entries[] = {
                {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help and exit", NULL},
                {NULL},
        };
        g_autoptr(GOptionContext) context = g_option_context_new(command->arguments);
        g_autoptr(GError) error = NULL;
        g_autofree char *program = g_strdup_printf("nipc %s", command->name);

        g_set_prgname(program);
        g_option_context_set_summary(context, command->summary);
        g_option_context_set_help_enabled(context, FALSE);
        g_option_context_add_main_entries(context, help_entries, NULL);
        if (entries)
                g_option_context_add_main_entries(context, entries, NULL);
        g_option_context_add_main_entries(context, globals_get_entries(), NULL);

        if (!parse(context, argc, argv, &error) || !globals_resolve(&error)) {
                *ret_status = command_usage(command, "%s", error->message);
                return false;
        }
        if (help) {
                g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);

                fputs(text, stdout);
                *ret_status = COMMAND_SUCCESS;
                return false;
        }
        *ret_status = check_run_dir(command);
        return *ret_status == COMMAND_SUCCESS;
}
