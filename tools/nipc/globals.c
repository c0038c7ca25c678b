/* SPDX-License-Identifier: MIT */
/*
 * Global options: run directory, token, output format. The run directory is resolved in the order
 * --run-dir or --run-base, $NIPC_RUN_DIR, $NIPC_RUN_BASE, $XDG_RUNTIME_DIR/nipc, /run/nipc.
 */
#include "globals.h"

#include "number.h"
#include "run-dir.h"

#include <nipc/run-dir.h>

static gchar *option_run_dir;
static gchar *option_run_base;
static gchar *option_auth_token;
static gboolean option_json;
static gchar *composed_run_dir;
static struct command_context the_context;

static const GOptionEntry entries[] = {
        {"run-dir", 0, 0, G_OPTION_ARG_FILENAME, &option_run_dir,
         "Directory of the endpoints (default: $NIPC_RUN_DIR, " RUN_DIR_DEFAULT_TEXT ")", "DIR"},
        {"run-base", 0, 0, G_OPTION_ARG_FILENAME, &option_run_base,
         "Use the run directory of this user and this boot, DIR/UID-BOOT (default: $NIPC_RUN_BASE)",
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

/* "" is as good as not set. */
static const gchar *get_variable(const gchar *name)
{
        const gchar *value = g_getenv(name);

        return value && *value ? value : NULL;
}

static gboolean use_base(const gchar *base, GError **error)
{
        const gsize size = strlen(base) + NIPC_RUN_DIR_SUFFIX_MAX;
        gchar *path = g_malloc(size);
        int r = nipc_run_dir_format(base, -1, path, size);

        if (r < 0) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            "%s: no directory of this boot: %s; use --run-dir", base,
                            g_strerror(-r));
                g_free(path);
                return FALSE;
        }
        g_free(composed_run_dir);
        composed_run_dir = path;
        the_context.run_base = base;
        the_context.run_dir = composed_run_dir;
        the_context.run_dir_is_default = true;
        return TRUE;
}

static void use_default(void)
{
        g_free(composed_run_dir);
        composed_run_dir = run_dir_get_default();
        the_context.run_dir = composed_run_dir;
        the_context.run_dir_is_default = true;
}

static gboolean resolve_run_dir(GError **error)
{
        const gchar *named = option_run_dir;
        const gchar *base = option_run_base;

        if (!named && !base)
                named = get_variable("NIPC_RUN_DIR");
        if (!named && !base)
                base = get_variable("NIPC_RUN_BASE");
        the_context.run_base = NULL;
        the_context.run_dir_is_default = false;
        if (base)
                return use_base(base, error);
        if (named)
                the_context.run_dir = named;
        else
                use_default();
        return TRUE;
}

static gboolean check_directories(GError **error)
{
        if (option_run_dir && option_run_base)
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "--run-dir and --run-base exclude each other");
        else if ((option_run_dir && !*option_run_dir) || (option_run_base && !*option_run_base))
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "%s needs the path of a directory",
                            option_run_dir ? "--run-dir" : "--run-base");
        else
                return TRUE;
        return FALSE;
}

gboolean globals_resolve(GError **error)
{
        if (!check_directories(error))
                return FALSE;
        if (option_auth_token &&
            !number_parse_u64(option_auth_token, UINT64_MAX, &the_context.auth_token)) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "--auth-token needs a number from 0 to 2^64-1, not '%s'",
                            option_auth_token);
                return FALSE;
        }
        the_context.json = option_json;
        return resolve_run_dir(error);
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
        g_clear_pointer(&option_run_base, g_free);
        g_clear_pointer(&option_auth_token, g_free);
        g_clear_pointer(&composed_run_dir, g_free);
}
