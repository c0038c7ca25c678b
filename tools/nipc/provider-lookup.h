/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the providers of lookups share: their limits, files of JSON in place of the machine, and the
 * server. A provider adds where its answers come from.
 */

#include "lookup-file.h"
#include "provider.h"

#include <nipc/server.h>

/* A provider of lookups that was opened: either a file or what the provider itself made. */
struct lookup_provider {
        const struct nipc_lookup_class *class_;
        struct lookup_file *file; /* or NULL: */
        void *live;
        int (*answer)(void *live, const struct nipc_lookup_request_view *request,
                      struct nipc_lookup_builder *builder); /* any thread */
        void (*close)(void *live);
};

/* What a lookup service is, besides its answers. */
struct lookup_service {
        const struct nipc_lookup_class *class_;
        const char *response_type; /* of the codec */
        uint16_t unknown;          /* status of keys that a file does not have */
};

/*
 * Opens `source` if it is a .json file, and sets the limits of `config` that are 0. ret_provider:
 * owned, lookup_provider_close(); if it has no file the caller sets live, answer and close.
 */
gboolean lookup_provider_open(const struct lookup_service *service, const char *source,
                              struct nipc_server_config *config,
                              struct lookup_provider **ret_provider, GError **error);

/*
 * Says on stderr why a request could not be answered: the client learns no more than that. Once a
 * second at most, whatever clients do. Any thread.
 */
void lookup_provider_say(const char *reason);

/* For struct provider. */
int lookup_provider_new_server(void *data, const struct nipc_server_config *config,
                               struct nipc_server **ret_server);
void lookup_provider_close(void *data);
