/* SPDX-License-Identifier: MIT */
/*
 * Global options: run directory, token, output format. The run directory is resolved in the order
 * option, $NIPC_RUN_DIR, $XDG_RUNTIME_DIR/nipc, /run/nipc.
 */
#include "globals.h"

#include "number.h"

static gchar *option_run_dir;
static gchar *option_auth_token;
static gboolean option_json;
static gchar *default_run_dir;
static struct command_context the_context;

static const GOptionEntry entries[] = {
        {"run-dir", 0, 0, G_OPTION_ARG_FILENAME, &option_run_dir,
         "Directory of the endpoints (default: $NIPC_RUN_DIR, $XDG_RUNTIME_DIR/nipc, /run/nipc)",
         "DIR"},
        {"auth-token", 0, 0, G_OPTION_ARG_STRING, &option_auth_token,
         "Token that client and provider share (default: 0)", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON instead of tables", NULL},
        {NULL},
};

const GOptionEntry *globals_get_entries(void)
{
        return entries;
}

static void resolve_run_dir(void)
{
        const gchar *named = g_getenv("NIPC_RUN_DIR");
        const gchar *runtime = g_getenv("XDG_RUNTIME_DIR");

        the_context.run_dir_is_default = false;
        if (option_run_dir) {
                the_context.run_dir = option_run_dir;
        } else if (named && *named) {
                the_context.run_dir = named;
        } else {
                g_free(default_run_dir);
                default_run_dir = runtime && *runtime ? g_build_filename(runtime, "nipc", NULL)
                                                      : g_strdup("/run/nipc");
                the_context.run_dir = default_run_dir;
                the_context.run_dir_is_default = true;
        }
}

gboolean globals_resolve(GError **error)
{
        if (option_run_dir && !*option_run_dir) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "--run-dir needs the path of a directory");
                return FALSE;
        }
        if (option_auth_token &&
            !number_parse_u64(option_auth_token, UINT64_MAX, &the_context.auth_token)) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "--auth-token needs a number from 0 to 2^64-1, not '%s'",
                            option_auth_token);
                return FALSE;
        }
        the_context.json = option_json;
        resolve_run_dir();
        return TRUE;
}

void globals_set_argv(char **argv)
{
        g_strfreev(the_context.argv);
        the_context.argv = g_strdupv(argv);
}

const struct command_context *globals_get_context(void)
{
        return &the_context;
}

void globals_deinit(void)
{
        g_clear_pointer(&the_context.argv, g_strfreev);
        g_clear_pointer(&option_run_dir, g_free);
        g_clear_pointer(&option_auth_token, g_free);
        g_clear_pointer(&default_run_dir, g_free);
}
