/* SPDX-License-Identifier: MIT */
/* See run-dir.h: $XDG_RUNTIME_DIR/nipc, else /run/nipc. */
#include "run-dir.h"

#include <errno.h>
#include <glib.h>
#include <sys/stat.h>

char *run_dir_get_default(void)
{
        const char *runtime = g_getenv("XDG_RUNTIME_DIR");

        return runtime && *runtime ? g_build_filename(runtime, "nipc", NULL)
                                   : g_strdup("/run/nipc");
}

int run_dir_make(const char *path)
{
        return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

bool run_dir_is_obstructed(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}
