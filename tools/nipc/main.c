/* SPDX-License-Identifier: MIT */
/*
 * nipc, the command line of the NetIPC v1 libraries: global options, then one subcommand. Exit
 * status 0 success, 1 failure with one line of reason on stderr, 2 wrong usage.
 */
#include "command.h"
#include "globals.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command *find_command(const char *name)
{
        for (const struct command *const *command = command_list; *command; command++)
                if (strcmp((*command)->name, name) == 0)
                        return *command;
        return NULL;
}

static void print_help(GOptionContext *context)
{
        g_autoptr(GString) text = g_string_new("Commands:\n");
        g_autofree char *help = NULL;

        for (const struct command *const *command = command_list; *command; command++)
                g_string_append_printf(text, "  %-8s %s\n", (*command)->name, (*command)->summary);
        g_string_append(text, "\n'nipc COMMAND --help' says more about each.");
        g_option_context_set_description(context, text->str);
        help = g_option_context_get_help(context, TRUE, NULL);
        fputs(help, stdout);
}

static int run(int argc, char **argv)
{
        gboolean help = FALSE;
        gboolean version = FALSE;
        const GOptionEntry entries[] = {
                {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help and exit", NULL},
                {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version and exit", NULL},
                {NULL},
        };
        g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [ARGUMENT…]");
        g_autoptr(GError) error = NULL;
        const struct command *command;

        g_set_prgname("nipc");
        g_option_context_set_summary(context, "Ask, serve and inspect NetIPC v1 services of this "
                                              "machine.");
        g_option_context_set_help_enabled(context, FALSE);
        g_option_context_set_strict_posix(context, TRUE); /* the command's options are its own */
        g_option_context_add_main_entries(context, entries, NULL);
        g_option_context_add_main_entries(context, globals_get_entries(), NULL);
        if (!g_option_context_parse(context, &argc, &argv, &error) || !globals_resolve(&error))
                return command_usage(NULL, "%s", error->message);
        if (help) {
                print_help(context);
                return COMMAND_SUCCESS;
        }
        if (version) {
                puts("nipc " NIPC_TOOL_VERSION);
                return COMMAND_SUCCESS;
        }
        if (argc < 2)
                return command_usage(NULL, "a command is missing");
        command = find_command(argv[1]);
        if (!command)
                return command_usage(NULL, "'%s' is not a command", argv[1]);
        return command->run(globals_get_context(), argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
        int status;

        command_prepare_process(&argc, &argv);
        globals_set_argv(argv);

        setlocale(LC_CTYPE, ""); /* names are shown as they are; numbers keep their dot */
        status = run(argc, argv);
        globals_deinit();
        if ((ferror(stdout) || fflush(stdout) != 0) && status == COMMAND_SUCCESS) {
                fputs("nipc: cannot write to standard output\n", stderr);
                status = COMMAND_FAILURE;
        }
        return status;
}
