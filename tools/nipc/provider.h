/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One service that `nipc serve` can provide. providers.c lists them; command-serve.c reads the
 * options, runs the server; a provider says where its answers come from and which limits suit them.
 */

#include <gio/gio.h>
#include <nipc/server.h>
#include <stdbool.h>
#include <stdint.h>

/* The options of `serve` that concern the source of answers. Borrowed for the call. */
struct provider_options {
        const char *source; /* NULL: the provider's own */
        bool has_method;
        uint16_t method;
};

struct provider {
        const char *name; /* SERVICE on the command line, and the default service name */
        bool takes_source;
        bool takes_method;
        /*
         * Opens the source and sets those limits of `config` that are 0. ret_data: what new_server
         * and close get.
         */
        gboolean (*open)(const struct provider_options *options, struct nipc_server_config *config,
                         void **ret_data, GError **error);
        /* Makes the server, its handler answering from `data`. Returns as nipc_server_new(). */
        int (*new_server)(void *data, const struct nipc_server_config *config,
                          struct nipc_server **ret_server);
        /* Reads the source anew, on SIGHUP, by the main thread while workers answer; or NULL. */
        gboolean (*reload)(void *data, GError **error);
        void (*close)(void *data); /* after the server is gone */
};

extern const struct provider provider_apps_lookup;
extern const struct provider provider_cgroups_lookup;
extern const struct provider provider_cgroups_snapshot;
extern const struct provider provider_echo;
extern const struct provider provider_increment;
extern const struct provider provider_ip_to_asn;
extern const struct provider provider_pid_traffic;
extern const struct provider provider_string_reverse;

/* Those of this system, NULL at the end; and the same for the usage line. */
extern const struct provider *const providers[];
extern const char providers_text[];
