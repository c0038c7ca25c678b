/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the providers of lookups share: their limits, files of JSON in place of the machine, and the
 * server. A provider adds where its answers come from.
 */

#include "lookup-file.h"
#include "provider.h"

#include <nipc/server.h>

/* What a lookup service is. Lives as long as its provider. */
struct lookup_service {
        const struct nipc_lookup_class *(*get_class)(void);
        const char *response_type; /* of the codec */
        uint16_t unknown;          /* status of keys that a file does not have */
        /* Where answers come from that are in no file. source: as given, or NULL. Owned: close. */
        void *(*open)(const char *source, GError **error);
        int (*answer)(void *live, const struct nipc_lookup_request_view *request,
                      struct nipc_lookup_builder *builder); /* any thread */
        gboolean (*reload)(void *live, GError **error);     /* or NULL, as in struct provider */
        void (*close)(void *live);
};

/*
 * Opens `source` itself if it is a .json file, else has the service open it; and sets the limits of
 * `config` that are 0. ret_data: for the functions below.
 */
gboolean lookup_provider_open(const struct lookup_service *service,
                              const struct provider_options *options,
                              struct nipc_server_config *config, void **ret_data, GError **error);

/*
 * Says on stderr why a request could not be answered: the client learns no more than that. Once a
 * second at most, whatever clients do. Any thread.
 */
void lookup_provider_say(const char *reason);

/* For struct provider. */
int lookup_provider_new_server(void *data, const struct nipc_server_config *config,
                               struct nipc_server **ret_server);
gboolean lookup_provider_reload(void *data, GError **error);
void lookup_provider_close(void *data);
