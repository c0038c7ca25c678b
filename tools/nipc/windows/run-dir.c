/* SPDX-License-Identifier: MIT */
/* See ../run-dir.h: a folder of the user's, whose files belong to nobody else. */
#include "run-dir.h"

#include <direct.h>
#include <errno.h>
#include <glib.h>

char *run_dir_get_default(void)
{
        const char *local = g_getenv("LOCALAPPDATA");

        return local && *local ? g_build_filename(local, "nipc", NULL) : g_strdup("nipc");
}

int run_dir_make(const char *path)
{
        g_autofree wchar_t *wide = g_widen(path);

        return _wmkdir(wide) < 0 && errno != EEXIST ? -errno : 0;
}

/* Pipes are not among the files. */
bool run_dir_is_obstructed(const char *path)
{
        return false;
}
