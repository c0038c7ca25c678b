/* SPDX-License-Identifier: MIT */
#pragma once

/* A directory for one file that a test writes, and the file. */

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

struct temp {
        char *dir;
        char *path;
};

static inline gboolean temp_open(struct temp *temp)
{
        temp->dir = g_dir_make_tmp("nipc-test-XXXXXX", NULL);
        temp->path = temp->dir ? g_build_filename(temp->dir, "file", NULL) : NULL;
        return temp->path != NULL;
}

static inline void temp_close(struct temp *temp)
{
        if (temp->path)
                g_remove(temp->path);
        if (temp->dir)
                g_rmdir(temp->dir);
        g_clear_pointer(&temp->path, g_free);
        g_clear_pointer(&temp->dir, g_free);
}

/* In the place of the file there is, at once; not g_file_set_contents(), which waits for the disk.
 */
static inline gboolean temp_write(const struct temp *temp, const char *bytes, size_t size)
{
        g_autofree char *fresh = g_strconcat(temp->path, ".new", NULL);
        FILE *file = g_fopen(fresh, "w");
        gboolean ok;

        if (!file)
                return FALSE;
        ok = fwrite(bytes, 1, size, file) == size;
        return fclose(file) == 0 && ok && g_rename(fresh, temp->path) == 0;
}
