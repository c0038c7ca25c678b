/* SPDX-License-Identifier: MIT */

/*
 * nipc over its baseline profile, as users have it: the typed client and the managed server for one
 * request at a time and for batches, a session for several in flight. The server is driven by its
 * process's only thread, as the bare ones are.
 */

#include "subject.h"

#include <errno.h>
#include <nipc/client.h>
#include <nipc/increment.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_MS 30000u
#define SERVICE    "bench-increment"

/* Room for a batch and its answer: 8 bytes of directory and 8 of number an item. */
#define MAX_BYTES (4u * 1024 * 1024)

struct subject_client {
        struct nipc_client *client;
        struct nipc_session *session;
        uint64_t deadline_ns; /* covers many requests of a pipeline */
        uint32_t n_uses;
        uint32_t batch_items;
        uint64_t *values;
        uint64_t *answers;
};

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        (void)userdata;
        *ret_value = value + 1;
        return 0;
}

static int baseline_serve(const struct subject_options *options, int ready_fd)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        struct nipc_server *server;
        int r;

        config.run_dir = options->run_dir;
        config.service = SERVICE;
        config.max_request_bytes = config.initial_request_bytes = MAX_BYTES;
        config.max_response_bytes = config.initial_response_bytes = MAX_BYTES;
        r = nipc_server_new_increment(&config, &handler, &server);
        if (r < 0 || write(ready_fd, "", 1) != 1)
                return -1;
        while (r >= 0)
                r = nipc_server_dispatch(server, TIMEOUT_MS);
        return r;
}

static void baseline_close(struct subject_client *client)
{
        if (!client)
                return;
        nipc_client_free(client->client);
        nipc_session_close(client->session);
        free(client->values);
        free(client->answers);
        free(client);
}

static int open_session(const struct subject_options *options, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = options->run_dir;
        config.service = SERVICE;
        return nipc_session_open(&config, nipc_deadline_after_ms(TIMEOUT_MS), ret_session, NULL);
}

static int open_client(const struct subject_options *options, struct nipc_client **ret_client)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client;
        int r;

        config.run_dir = options->run_dir;
        config.service = SERVICE;
        config.max_request_bytes = MAX_BYTES;
        config.max_batch_items = options->batch_items;
        r = nipc_client_new(&config, &client);
        if (r < 0)
                return r;
        nipc_client_refresh(client);
        if (!nipc_client_is_ready(client)) {
                nipc_client_free(client);
                return -ENOTCONN;
        }
        *ret_client = client;
        return 0;
}

static int baseline_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        client->batch_items = options->batch_items;
        client->values = calloc(options->batch_items, sizeof(uint64_t));
        client->answers = calloc(options->batch_items, sizeof(uint64_t));
        if (!client->values || !client->answers)
                r = -ENOMEM;
        else if (options->is_pipelined)
                r = open_session(options, &client->session);
        else
                r = open_client(options, &client->client);
        if (r < 0) {
                baseline_close(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

static int baseline_ping(struct subject_client *client, uint64_t value)
{
        uint64_t answer;
        int r;

        r = nipc_client_increment(client->client, value, TIMEOUT_MS, &answer);
        if (r < 0)
                return r;
        return answer == value + 1 ? 0 : -EBADMSG;
}

/* One deadline for many messages, renewed long before it would matter. */
static uint64_t pipeline_deadline(struct subject_client *client)
{
        if (client->n_uses++ % 1024 == 0)
                client->deadline_ns = nipc_deadline_after_ms(TIMEOUT_MS);
        return client->deadline_ns;
}

static int baseline_send(struct subject_client *client, uint64_t value)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .message_id = value,
        };
        void *payload;
        int r;

        r = nipc_session_reserve(client->session, NIPC_INCREMENT_SIZE, &payload);
        if (r < 0)
                return r;
        nipc_increment_encode(value, payload);
        return nipc_session_commit(client->session, &header, NIPC_INCREMENT_SIZE,
                                   pipeline_deadline(client));
}

static int baseline_receive(struct subject_client *client, uint64_t value)
{
        struct nipc_message message;
        uint64_t answer;
        int r;

        r = nipc_session_receive(client->session, pipeline_deadline(client), &message);
        if (r < 0)
                return r;
        if (message.header.message_id != value || message.header.transport_status ||
            nipc_increment_decode(message.payload, message.payload_size, &answer, NULL) ||
            answer != value + 1)
                return -EBADMSG;
        return 0;
}

static int baseline_batch(struct subject_client *client, uint64_t value)
{
        uint32_t i, n = client->batch_items;
        int r;

        for (i = 0; i < n; i++)
                client->values[i] = value + i;
        r = nipc_client_increment_batch(client->client, client->values, n, TIMEOUT_MS,
                                        client->answers);
        if (r < 0)
                return r;
        for (i = 0; i < n; i++)
                if (client->answers[i] != value + i + 1)
                        return -EBADMSG;
        return 0;
}

const struct subject subject_baseline = {
        .name = "baseline",
        .serve = baseline_serve,
        .open = baseline_open,
        .close = baseline_close,
        .ping = baseline_ping,
        .send = baseline_send,
        .receive = baseline_receive,
        .batch = baseline_batch,
};
