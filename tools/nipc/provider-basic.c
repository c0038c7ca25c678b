/* SPDX-License-Identifier: MIT */
/*
 * The services for trying and testing: increment, string-reverse, and echo, which answers any
 * payload of one method with itself. Their limits are generous, so that a client may ask for what
 * it likes.
 */
#include "provider.h"

#include <nipc/error.h>
#include <string.h>

#define BASIC_MAX_BYTES       (1024u * 1024u) /* what clients of NetIPC v1 grow to by themselves */
#define BASIC_MAX_BATCH_ITEMS 65536u

static void set_limits(struct nipc_server_config *config)
{
        if (!config->max_request_bytes)
                config->max_request_bytes = BASIC_MAX_BYTES;
        if (!config->max_response_bytes)
                config->max_response_bytes = BASIC_MAX_BYTES;
        if (!config->max_batch_items)
                config->max_batch_items = BASIC_MAX_BATCH_ITEMS;
        /* A client that proposes more than the offer is refused: offer it all at once. */
        config->initial_request_bytes = config->max_request_bytes;
        config->initial_response_bytes = config->max_response_bytes;
}

static gboolean basic_open(const struct provider_options *options,
                           struct nipc_server_config *config, void **ret_data, GError **error)
{
        set_limits(config);
        *ret_data = NULL;
        return TRUE;
}

static void basic_close(void *data)
{
}

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static int increment_new_server(void *data, const struct nipc_server_config *config,
                                struct nipc_server **ret_server)
{
        const struct nipc_increment_handler handler = {
                .size = sizeof(handler),
                .increment = increment,
        };

        return nipc_server_new_increment(config, &handler, ret_server);
}

static int string_reverse(void *userdata, const char *str, size_t str_len, char *out,
                          size_t capacity, size_t *ret_out_len)
{
        if (str_len > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        for (size_t i = 0; i < str_len; i++)
                out[i] = str[str_len - 1 - i];
        *ret_out_len = str_len;
        return 0;
}

static int string_reverse_new_server(void *data, const struct nipc_server_config *config,
                                     struct nipc_server **ret_server)
{
        const struct nipc_string_reverse_handler handler = {
                .size = sizeof(handler),
                .reverse = string_reverse,
        };

        return nipc_server_new_string_reverse(config, &handler, ret_server);
}

static gboolean echo_open(const struct provider_options *options, struct nipc_server_config *config,
                          void **ret_data, GError **error)
{
        if (!options->has_method) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "echo needs the code of the method to answer: --method N");
                return FALSE;
        }
        set_limits(config);
        *ret_data = GUINT_TO_POINTER(options->method);
        return TRUE;
}

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        if (request->payload_size > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return 0;
}

static int echo_new_server(void *data, const struct nipc_server_config *config,
                           struct nipc_server **ret_server)
{
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = (uint16_t)GPOINTER_TO_UINT(data),
                .handle = echo,
        };

        return nipc_server_new(config, &handler, ret_server);
}

const struct provider provider_increment = {
        .name = "increment",
        .open = basic_open,
        .new_server = increment_new_server,
        .close = basic_close,
};

const struct provider provider_string_reverse = {
        .name = "string-reverse",
        .open = basic_open,
        .new_server = string_reverse_new_server,
        .close = basic_close,
};

const struct provider provider_echo = {
        .name = "echo",
        .takes_method = true,
        .open = echo_open,
        .new_server = echo_new_server,
        .close = basic_close,
};
