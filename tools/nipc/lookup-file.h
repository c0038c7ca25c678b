/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Items of a JSON file as the answers of a lookup service: what `nipc decode` prints for a response
 * of its type. Keys that are not in the file are unknown.
 *
 * Threading: answer from any thread.
 */

#include <gio/gio.h>
#include <nipc/lookup.h>

struct lookup_file;

/* type: of the response, for the codec. unknown: status of keys that are not there. */
struct lookup_file *lookup_file_load(const char *path, const struct nipc_lookup_class *class_,
                                     const char *type, uint16_t unknown, GError **error);

struct lookup_file *lookup_file_free(struct lookup_file *file);

/* Answers every key of a request. Returns as a handler does. */
int lookup_file_answer(const struct lookup_file *file,
                       const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder);
