/* SPDX-License-Identifier: MIT */
/* How stat and top ask a provider for its numbers. See stat-reader.h. */
#include "stat-reader.h"

#include "failure.h"
#include "profiles.h"

#include <errno.h>
#include <nipc/metrics.h>

int stat_reader_init(struct stat_reader *reader, const struct command *command,
                     const struct command_context *context, const char *service,
                     uint32_t timeout_ms)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;

        *reader = (struct stat_reader){
                .command = command,
                .run_dir = context->run_dir,
                .service = service,
        };
        config.run_dir = context->run_dir;
        config.service = service;
        config.auth_token = context->auth_token;
        config.timeout_ms = timeout_ms;
        return nipc_client_new(&config, &reader->client);
}

void stat_reader_deinit(struct stat_reader *reader)
{
        reader->client = nipc_client_free(reader->client);
}

int stat_reader_read(struct stat_reader *reader, uint32_t timeout_ms, char **ret_text,
                     gsize *ret_size)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        const char *text;
        size_t size;
        int r;

        nipc_client_refresh(reader->client);
        if (!nipc_client_is_ready(reader->client)) {
                nipc_client_get_failure(reader->client, &failure);
                return failure.error ? failure.error : -ENOTCONN;
        }
        r = nipc_client_stat(reader->client, timeout_ms, &text, &size);
        reader->read_us = g_get_monotonic_time();
        if (r)
                return r;
        *ret_text = g_strndup(text, size);
        *ret_size = size;
        return 0;
}

char *stat_reader_describe(const struct stat_reader *reader, int error)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct failure described;

        if (error == -EOPNOTSUPP)
                return g_strdup_printf("%s: this provider does not tell: it is of another "
                                       "implementation, or it hides its metrics",
                                       reader->service);
        if (error == -EMSGSIZE)
                return g_strdup_printf("%s: the provider's responses may not be as large as its "
                                       "metrics are; raise its --max-response-bytes",
                                       reader->service);
        nipc_client_get_failure(reader->client, &failure);
        described = failure_from_client(&failure, error);
        described.service = reader->service;
        described.run_dir = reader->run_dir;
        return failure_describe(&described);
}
