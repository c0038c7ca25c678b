/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inside the codec. What knows byte layouts (codec-table.c and the types it lists) is compiled
 * twice, the second time together with libnipc-proto for the other byte order, under other names
 * (see meson.build). What only knows JSON is compiled once.
 *
 * To add a type: a file that defines `const struct codec_type codec_type_<name>`, a line in
 * codec-table.c, and two in meson.build.
 */

#include <nipc/error.h>

#include "codec.h"

struct codec_reader;

struct codec_type {
        const char *name;

        /*
         * How much speaks for the bytes being in the order that this was compiled for; the order
         * with more is taken, and the host's when both have the same. NULL: nothing ever does.
         */
        size_t (*evidence)(const uint8_t *bytes, size_t size, const struct codec_options *options);

        /* Returns 0, or CODEC_REFUSED or CODEC_USAGE with *ret_fault filled. */
        int (*decode)(const uint8_t *bytes, size_t size, const struct codec_options *options,
                      JsonObject *json, struct codec_fault *ret_fault);

        /* Appends to out. Errors stick to the reader. */
        void (*encode)(struct codec_reader *reader, GByteArray *out);
};

/* All types for the host's byte order, NULL-terminated, and for the other one. */
const struct codec_type *const *codec_table(void);
const struct codec_type *const *codec_swapped_table(void);

/* Faults. */
int codec_refuse(struct codec_fault *ret_fault, const char *cause, size_t offset, const char *rule);
int codec_refuse_fault(struct codec_fault *ret_fault, const struct nipc_fault *fault);
int codec_usage(struct codec_fault *ret_fault, const char *rule);

/* Making JSON. */
void codec_set_uint(JsonObject *json, const char *name, uint64_t value);
void codec_set_bytes(JsonObject *json, const char *name, const void *bytes, size_t size);
/* A string or {"hex": ...} of these bytes; for where there is no name. Owned. */
JsonNode *codec_bytes_node(const void *bytes, size_t size);
char *codec_hex(const void *bytes, size_t size);

/*
 * Reading an object: each field is asked for by name; the first error sticks and later reads give
 * their fallbacks, so that a type reads all its fields and looks once.
 */
struct codec_reader {
        JsonObject *object; /* NULL after an error */
        char *path;         /* "items[3].", for messages */
        GError **error;
        const char *seen[32]; /* names asked for */
        unsigned n_seen;
};

void codec_reader_init(struct codec_reader *reader, JsonNode *node, char *path, GError **error);
/* Refuses what nobody asked for. Returns whether all went well; frees what the reader holds. */
bool codec_reader_deinit(struct codec_reader *reader);
void codec_reader_fail(struct codec_reader *reader, const char *name, const char *what);

bool codec_reader_has(struct codec_reader *reader, const char *name);
uint64_t codec_read_uint(struct codec_reader *reader, const char *name, uint64_t max,
                         uint64_t fallback);
uint64_t codec_read_required_uint(struct codec_reader *reader, const char *name, uint64_t max);
/* Bytes of a string or {"hex": ...}; never NULL, owned. */
char *codec_read_bytes(struct codec_reader *reader, const char *name, size_t *ret_size);
/* Bytes of a string of hex digits; never NULL, owned. */
uint8_t *codec_read_hex(struct codec_reader *reader, const char *name, size_t *ret_size);
/* The array, borrowed; NULL after an error. */
JsonArray *codec_read_array(struct codec_reader *reader, const char *name);
/* An object within; deinit it, and look at the outer reader. */
void codec_read_object(struct codec_reader *reader, const char *name, struct codec_reader *ret);

/* Bytes of a string or {"hex": ...}, owned; NULL if it is neither. */
char *codec_node_bytes(JsonNode *node, size_t *ret_size);
/* Parses a number of a node, as an integer or a string of digits. */
bool codec_node_uint(JsonNode *node, uint64_t max, uint64_t *ret_value);
/* Hex digits of even number into bytes, owned; NULL if they are not. */
uint8_t *codec_unhex(const char *hex, size_t *ret_size);

/*
 * A number of params, which may be NULL; fallback when it is not there. Clears *good when what is
 * there is no number up to max.
 */
uint64_t codec_params_uint(JsonObject *params, const char *name, uint64_t max, uint64_t fallback,
                           bool *good);
/* An object or array in params, or NULL. Clears *good when it is something else. */
JsonObject *codec_params_object(JsonObject *params, const char *name, bool *good);
JsonArray *codec_params_array(JsonObject *params, const char *name, bool *good);
