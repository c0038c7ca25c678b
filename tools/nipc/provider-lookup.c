/* SPDX-License-Identifier: MIT */
/* Providers of lookups, see provider-lookup.h. */
#include "provider-lookup.h"

#include "command.h"

#include <stdatomic.h>
#include <string.h>

#define LOOKUP_MAX_REQUEST_BYTES  (1024u * 1024u) /* what clients grow to by themselves */
#define LOOKUP_MAX_RESPONSE_BYTES (1024u * 1024u)
/* Answers beyond are asked for in parts: a larger one would be memory of every session. Chosen. */
#define LOOKUP_INITIAL_RESPONSE_BYTES (256u * 1024u)

/* A lookup service that was opened: either a file, or what the service itself has. */
struct lookup_provider {
        const struct lookup_service *service;
        struct lookup_file *file; /* or NULL: */
        void *live;
};

static void set_limits(struct nipc_server_config *config)
{
        if (!config->max_request_bytes)
                config->max_request_bytes = LOOKUP_MAX_REQUEST_BYTES;
        if (!config->max_response_bytes)
                config->max_response_bytes = LOOKUP_MAX_RESPONSE_BYTES;
        config->initial_request_bytes = config->max_request_bytes;
        config->initial_response_bytes =
                MIN(config->max_response_bytes, LOOKUP_INITIAL_RESPONSE_BYTES);
}

gboolean lookup_provider_open(const struct lookup_service *service,
                              const struct provider_options *options,
                              struct nipc_server_config *config, void **ret_data, GError **error)
{
        struct lookup_provider *provider = g_new0(struct lookup_provider, 1);

        provider->service = service;
        if (options->source && g_str_has_suffix(options->source, ".json"))
                provider->file = lookup_file_load(options->source, service->get_class(),
                                                  service->response_type, service->unknown, error);
        else
                provider->live = service->open(options->source, error);
        if (!provider->file && !provider->live) {
                g_free(provider);
                return FALSE;
        }
        set_limits(config);
        *ret_data = provider;
        return TRUE;
}

void lookup_provider_say(const char *reason)
{
        static atomic_llong next_us; /* pairs with itself: who sets it says */
        const gint64 now_us = g_get_monotonic_time();
        long long at_us = atomic_load_explicit(&next_us, memory_order_relaxed);

        if (now_us >= at_us &&
            atomic_compare_exchange_strong_explicit(&next_us, &at_us, now_us + G_USEC_PER_SEC,
                                                    memory_order_relaxed, memory_order_relaxed))
                command_fail(&command_serve, "cannot answer: %s", reason);
}

static int answer(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        const struct lookup_provider *provider = userdata;

        return provider->file ? lookup_file_answer(provider->file, request, builder)
                              : provider->service->answer(provider->live, request, builder);
}

int lookup_provider_new_server(void *data, const struct nipc_server_config *config,
                               struct nipc_server **ret_server)
{
        const struct lookup_provider *provider = data;
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = answer,
                .userdata = data,
        };

        return nipc_server_new_lookup(config, provider->service->get_class(), &handler, ret_server);
}

gboolean lookup_provider_reload(void *data, GError **error)
{
        struct lookup_provider *provider = data;

        if (provider->live)
                return provider->service->reload(provider->live, error);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "a JSON file is read once");
        return FALSE;
}

void lookup_provider_close(void *data)
{
        struct lookup_provider *provider = data;

        lookup_file_free(provider->file);
        if (provider->live)
                provider->service->close(provider->live);
        g_free(provider);
}
