/* SPDX-License-Identifier: MIT */

/*
 * nipc over one of its profiles, as users have it: the typed client and the managed server for one
 * request at a time, a session for several in flight. Both sides offer the baseline too, as peers
 * do; what was agreed is looked at, and looked at again after the measurement, so that a downgrade
 * never passes for the profile.
 */

#include "subject-nipc.h"
#include "crowd.h"
#include "profiles.h"
#include "subject-items.h"
#include "subject-large.h"
#include "trouble.h"

#include <errno.h>
#include <nipc/batch.h>
#include <nipc/client.h>
#include <nipc/increment.h>
#include <nipc/session.h>
#include <string.h>

struct subject_client {
        const struct subject_options *options;
        struct nipc_client *client;
        struct nipc_session *session;
        uint64_t deadline_ns; /* covers many requests of a pipeline */
        uint32_t n_uses;
        uint64_t *values; /* of a batch */
        uint64_t *answers;
        uint8_t *payload; /* of large */
        char **paths;     /* of lookup */
        struct crowd *crowd;
};

static void client_close(struct subject_client *client)
{
        if (!client)
                return;
        nipc_client_free(client->client);
        nipc_session_close(client->session);
        crowd_close(client->crowd);
        g_free(client->values);
        g_free(client->answers);
        g_free(client->payload);
        subject_paths_free(client->paths);
        g_free(client);
}

static int open_session(const struct subject_options *options, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.supported_profiles = NIPC_PROFILE_BASELINE | options->profile;
        config.preferred_profiles = config.supported_profiles;
        config.max_request_payload_bytes = subject_nipc_request_bytes(options);
        config.max_response_payload_bytes = subject_nipc_response_bytes(options);
        if (options->scenario == SUBJECT_PIPELINE_BATCH)
                config.max_request_batch_items = options->items;
        return nipc_session_open(&config, nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS), ret_session,
                                 NULL);
}

static int open_client(const struct subject_options *options, struct nipc_client **ret_client)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client;
        int r;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.profiles = NIPC_PROFILE_BASELINE | options->profile;
        config.max_request_bytes = subject_nipc_request_bytes(options);
        config.max_response_bytes = subject_nipc_response_bytes(options);
        config.max_batch_items = options->scenario == SUBJECT_BATCH ? options->items : 0;
        r = nipc_client_new(&config, &client);
        if (r < 0)
                return r;
        nipc_client_refresh(client);
        if (!nipc_client_is_ready(client)) {
                nipc_client_get_failure(client, &failure);
                nipc_client_free(client);
                return failure.error < 0 ? failure.error : -ENOTCONN;
        }
        *ret_client = client;
        return 0;
}

static int client_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = g_new0(struct subject_client, 1);
        int r;

        client->options = options;
        if (options->scenario == SUBJECT_BATCH) {
                client->values = g_new0(uint64_t, options->items);
                client->answers = g_new0(uint64_t, options->items);
        }
        if (options->scenario == SUBJECT_LARGE) {
                client->payload = g_malloc(options->bytes);
                memset(client->payload, 0x5a, options->bytes);
        }
        if (options->scenario == SUBJECT_LOOKUP)
                client->paths = subject_paths_new(options->items);
        if (subject_has_crowd(options->scenario))
                r = crowd_open(options, &client->crowd);
        else if (subject_is_pipeline(options->scenario))
                r = open_session(options, &client->session);
        else
                r = open_client(options, &client->client);
        if (r < 0) {
                client_close(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

/* What the two agreed on, by whichever of the two interfaces. */
static void get_status(const struct subject_client *client, struct nipc_client_status *ret_status)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        if (client->client) {
                nipc_client_get_status(client->client, ret_status);
                return;
        }
        nipc_session_get_info(client->crowd ? crowd_get_session(client->crowd) : client->session,
                              &info);
        ret_status->profile = info.profile;
        ret_status->downgrade_step = info.downgrade_step;
        ret_status->downgrade_error = info.downgrade_error;
}

static int client_check(struct subject_client *client, char **ret_reason)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        g_autofree char *profile = NULL;

        get_status(client, &status);
        if (status.n_reconnects) {
                *ret_reason = g_strdup("the session was lost and made anew");
                return -ECONNRESET;
        }
        if (status.profile == client->options->profile)
                return 0;
        profile = profiles_format(status.profile);
        *ret_reason =
                g_strdup_printf("the session uses %s: %s%s%s", profile,
                                status.downgrade_step ? status.downgrade_step : "nobody says why",
                                status.downgrade_error ? ": " : "",
                                status.downgrade_error ? g_strerror(-status.downgrade_error) : "");
        return -EPROTONOSUPPORT;
}

static int client_ping(struct subject_client *client, uint64_t value)
{
        uint64_t answer;
        int r;

        r = nipc_client_increment(client->client, value, SUBJECT_TIMEOUT_MS, &answer);
        if (r < 0)
                return r;
        return answer == value + 1 ? 0 : -EBADMSG;
}

/* One deadline for many messages, renewed long before it would matter. */
static uint64_t pipeline_deadline(struct subject_client *client)
{
        if (client->n_uses++ % 1024 == 0)
                client->deadline_ns = nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS);
        return client->deadline_ns;
}

static int client_send(struct subject_client *client, uint64_t value)
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

static int client_receive(struct subject_client *client, uint64_t value)
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

static int client_send_batch(struct subject_client *client, uint64_t value)
{
        const uint32_t n = client->options->items;
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .flags = NIPC_FLAG_BATCH,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = n,
                .message_id = value,
        };
        const size_t capacity = (size_t)n * (NIPC_BATCH_ENTRY_SIZE + NIPC_INCREMENT_SIZE);
        struct nipc_batch_builder builder;
        void *payload, *item;
        size_t size;
        int r;

        r = nipc_session_reserve(client->session, capacity, &payload);
        if (r < 0)
                return r;
        r = nipc_batch_builder_init(&builder, payload, capacity, n);
        for (uint32_t i = 0; r == 0 && i < n; i++) {
                r = nipc_batch_builder_reserve(&builder, &item, &size);
                if (r != 0)
                        break;
                nipc_increment_encode(value + i, item);
                r = nipc_batch_builder_commit(&builder, NIPC_INCREMENT_SIZE);
        }
        if (r == 0)
                r = nipc_batch_builder_finish(&builder, &size);
        if (r != 0)
                return -EMSGSIZE;
        return nipc_session_commit(client->session, &header, size, pipeline_deadline(client));
}

static int client_receive_batch(struct subject_client *client, uint64_t value)
{
        struct nipc_batch_view view;
        struct nipc_message message;
        const void *item;
        uint64_t answer;
        size_t size;
        int r;

        r = nipc_session_receive(client->session, pipeline_deadline(client), &message);
        if (r < 0)
                return r;
        if (message.header.message_id != value || message.header.transport_status ||
            message.header.item_count != client->options->items ||
            nipc_batch_view_init(&view, message.payload, message.payload_size,
                                 message.header.item_count, NULL))
                return -EBADMSG;
        for (uint32_t i = 0; i < view.item_count; i++)
                if (nipc_batch_view_get(&view, i, &item, &size) ||
                    nipc_increment_decode(item, size, &answer, NULL) || answer != value + i + 1)
                        return -EBADMSG;
        return 0;
}

static int client_batch(struct subject_client *client, uint64_t value)
{
        uint32_t i, n = client->options->items;
        int r;

        for (i = 0; i < n; i++)
                client->values[i] = value + i;
        r = nipc_client_increment_batch(client->client, client->values, n, SUBJECT_TIMEOUT_MS,
                                        client->answers);
        if (r < 0)
                return r;
        for (i = 0; i < n; i++)
                if (client->answers[i] != value + i + 1)
                        return -EBADMSG;
        return 0;
}

/* ---- what is more than a number ------------------------------------------------------------- */

static int client_snapshot(struct subject_client *client, uint64_t value)
{
        struct nipc_cgroups_snapshot_view view;
        int r;

        (void)value; /* every snapshot is the same */
        r = nipc_client_cgroups_snapshot(client->client, SUBJECT_TIMEOUT_MS, &view);
        return r < 0 ? r : subject_items_check(&view, client->options->items);
}

static int client_lookup(struct subject_client *client, uint64_t value)
{
        const uint32_t n = client->options->items;
        struct nipc_lookup_view view;
        int r;

        (void)value; /* every lookup is the same */
        r = nipc_client_cgroups_lookup(client->client, (const char *const *)client->paths, n,
                                       SUBJECT_TIMEOUT_MS, &view);
        return r < 0 ? r : subject_lookup_check(&view, client->paths, n);
}

static int client_crowd(struct subject_client *client, uint64_t end_ns, struct histogram *latency)
{
        return crowd_run(client->crowd, end_ns, latency);
}

static int client_large(struct subject_client *client, uint64_t value)
{
        size_t size = client->options->bytes;
        struct nipc_response response;
        int r;

        large_mark(client->payload, size, value);
        r = nipc_client_call(client->client, SUBJECT_METHOD, client->payload, size,
                             SUBJECT_TIMEOUT_MS, &response, NULL);
        if (r < 0)
                return r;
        return response.payload_size == size && large_is_marked(response.payload, size, value)
                       ? 0
                       : -EBADMSG;
}

/* clang-format off */
#define SUBJECT_NIPC                                                                            \
        .by_default = true, .serve = subject_nipc_serve, .open = client_open,                   \
        .close = client_close, .check = client_check, .ping = client_ping,                      \
        .batch = client_batch, .snapshot = client_snapshot, .lookup = client_lookup,            \
        .large = client_large
#define SUBJECT_NIPC_MANY                                                                       \
        .send = client_send, .receive = client_receive, .send_batch = client_send_batch,        \
        .receive_batch = client_receive_batch, .crowd = client_crowd, .trouble = trouble_make
/* clang-format on */

const struct subject subject_baseline = {
        SUBJECT_NIPC,
        .name = "baseline",
        .profile = NIPC_PROFILE_BASELINE,
        SUBJECT_NIPC_MANY,
};

/* One message at a time: nothing to be in flight. */
const struct subject subject_shm_hybrid = {
        SUBJECT_NIPC,
        .name = "shm-hybrid",
        .profile = NIPC_PROFILE_SHM_HYBRID,
};

const struct subject subject_ring = {
        SUBJECT_NIPC,
        .name = "ring",
        .profile = NIPC_PROFILE_RING,
        SUBJECT_NIPC_MANY,
};
