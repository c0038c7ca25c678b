/* SPDX-License-Identifier: MIT */
#pragma once

/* What the commands that turn a file into text share: reading FILE or -, printing or saying why
 * not. */

#include "command.h"

#include <stdio.h>

/* Reads a file, or standard input for "-". The contents end in a NUL that is not counted; g_free().
 */
static inline bool command_file_read(const char *path, char **ret_contents, gsize *ret_size,
                                     GError **error)
{
        g_autoptr(GString) contents = NULL;
        char buf[4096];
        size_t n;

        if (strcmp(path, "-"))
                return g_file_get_contents(path, ret_contents, ret_size, error);
        contents = g_string_new(NULL);
        while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
                g_string_append_len(contents, buf, (gssize)n);
        if (ferror(stdin)) {
                g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_IO,
                                    "reading standard input failed");
                return false;
        }
        *ret_size = contents->len;
        *ret_contents = g_string_free(g_steal_pointer(&contents), FALSE);
        return true;
}

/* Writes to stdout in full, or fails the command: a full disk is not success. */
static inline int command_file_print(const struct command *command, const char *text)
{
        if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
                return command_fail(command, "writing to standard output failed");
        return COMMAND_SUCCESS;
}
