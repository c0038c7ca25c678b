/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Messages as JSON and back, by the name of their type ("header", "batch_payload",
 * "cgroups_snapshot_response", ...). JSON is that of the "fields" of tests/vectors/index.json.
 * What it does not do: choose a type, read files, talk to anyone.
 *
 * Numbers: every number of a message is unsigned, up to 64 bits, and JSON-GLib's are signed. A node
 * made here holds the 64 bits; codec_print() prints them unsigned, and codec_load() keeps a number
 * beyond 2^63 - 1 as a string of its digits. Numbers are accepted as either. Print and load with
 * these two, never with JsonGenerator and JsonParser, and nothing is lost.
 *
 * Strings: a JSON string when the bytes are printable ASCII, else {"hex": "..."}.
 *
 * Byte order: messages are in host order. Bytes of a machine of the other order are understood
 * too; their JSON then says "byte_order": "little" or "big", and encoding it restores that order.
 */

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum codec_order {
        CODEC_ORDER_AUTO, /* by what the bytes look like; host when that tells nothing */
        CODEC_ORDER_HOST,
        CODEC_ORDER_LITTLE,
        CODEC_ORDER_BIG,
};

/* What a type needs to know beyond the bytes. Zero-initialised, nothing is known. */
struct codec_options {
        enum codec_order order;
        bool has_items;
        uint32_t n_items;   /* of a batch_payload, when has_items; else params' item_count counts */
        JsonObject *params; /* "params" of index.json, or NULL; borrowed */
};

enum {
        CODEC_REFUSED = 1, /* the bytes break a rule, see the fault */
        CODEC_USAGE = 2,   /* the options do not do for the type, fault.rule says why */
};

/* Why bytes were refused. All strings are literals. */
struct codec_fault {
        const char *cause; /* "BAD_MAGIC": nipc_proto_error_name() or a transport status */
        const char *rule;
        size_t offset;
};

/* Is there such a type? */
bool codec_has_type(const char *type);

/* The names of all types, in the order of index.json; NULL ends them. Borrowed, static. */
const char *const *codec_list_types(void);

/*
 * Judges and decodes a message.
 * ret_json: an object, owned: json_node_unref(). Untouched unless 0 is returned.
 * Returns 0, CODEC_REFUSED or CODEC_USAGE (unknown type, params of the wrong form, unknown number
 * of items) with *ret_fault filled.
 */
int codec_decode(const char *type, const void *bytes, size_t size,
                 const struct codec_options *options, JsonNode **ret_json,
                 struct codec_fault *ret_fault);

#define CODEC_ERROR codec_error_quark()
GQuark codec_error_quark(void);

enum codec_error {
        CODEC_ERROR_TYPE,  /* no such type */
        CODEC_ERROR_JSON,  /* not JSON */
        CODEC_ERROR_FIELD, /* a field is missing, unknown, of the wrong form or out of range */
};

/*
 * Encodes a message. Fixed fields (magic, layout_version, reserved, ...) may be left out; given,
 * they are written as given, so that broken messages can be made on purpose. Unknown fields are
 * refused. Returns the bytes, owned: g_byte_array_unref(); or NULL with *error set.
 */
GByteArray *codec_encode(const char *type, JsonNode *json, GError **error);

/* Parses JSON without losing numbers. size: -1 if NUL-terminated. NULL with *error set. */
JsonNode *codec_load(const char *text, gssize size, GError **error);

/* Prints JSON, indented and ended by a newline. Owned: g_free(). */
char *codec_print(JsonNode *json);

/* One line, for logs and for machines. Owned: g_free(). */
char *codec_print_line(JsonNode *json);
