/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers and bytes on the command line: whole, in range, or refused. Nothing is clamped.
 */

#include "command.h"

#include <glib.h>

/* Reads a whole number, decimal or 0x hexadecimal, of at most `max`. */
gboolean number_parse_u64(const char *text, uint64_t max, uint64_t *ret_value);

/*
 * Reads an age: a whole number of seconds, or of minutes, hours or days with m, h or d behind it; s
 * may be said.
 */
gboolean number_parse_age(const char *text, uint64_t *ret_seconds);

/*
 * Judges the value that GOption read for `option` ("--workers"). Says so on stderr when it is out
 * of range: return COMMAND_USAGE then.
 */
gboolean number_check_u32(const struct command *command, const char *option, gint64 value,
                          uint32_t min, uint32_t max, uint32_t *ret_value);

/* Bytes of a string of hexadecimal digits, pairs of them, "" included; NULL if it is none. */
GByteArray *hex_parse(const char *text);

char *hex_format(const void *bytes, size_t size);
