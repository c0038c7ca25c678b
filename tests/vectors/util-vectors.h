/* SPDX-License-Identifier: MIT */
#pragma once

/* The golden vectors as the tests of this directory find them: index.json and files of hex. */

#include <json-glib/json-glib.h>

/* The JSON of a file beside the tests; owned. */
JsonNode *load_json(const char *name);

/* Bytes of hex digits, whatever is between them; owned. */
GBytes *unhex(const char *text);

/* The bytes of a vector; owned. */
GBytes *load_bytes(JsonObject *vector);

/* The vector of a name, which there is; borrowed. */
JsonObject *find_vector(JsonArray *vectors, const char *name);
