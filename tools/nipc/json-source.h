/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files of JSON as the source of a provider's answers: what `nipc decode` prints for a message.
 */

#include <gio/gio.h>

/* Reads a file and encodes it as a message of `type`, as `nipc encode --type` does. */
GByteArray *json_source_load(const char *path, const char *type, GError **error);
