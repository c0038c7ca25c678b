/* SPDX-License-Identifier: MIT */

/* Method 1 at both ends: one number, or a batch of them, built and read in place. */

#include <errno.h>
#include <nipc/client.h>
#include <nipc/increment.h>
#include <nipc/server.h>

#include "batch-fast.h"
#include "client-private.h"
#include "increment-fast.h"
#include "stdaux.h"
#include "typed.h"

struct batch {
        const uint64_t *values;
        uint64_t *ret_values;
        uint32_t n_values;
};

static int decode_one(void *userdata, const void *payload, size_t payload_size,
                      struct nipc_fault *ret_fault)
{
        if (NIPC__LIKELY(nipc__increment_read(payload, payload_size, userdata)))
                return 0;
        return nipc_increment_decode(payload, payload_size, userdata, ret_fault);
}

/* What nipc_client_increment() does when it is not all as usual; message: NULL: nothing was sent.
 */
static NIPC__COLD int increment_unusual(struct nipc_client *client, const uint8_t *payload,
                                        uint32_t timeout_ms, const struct nipc_header *header,
                                        int r, struct nipc_message *message, uint64_t *ret_value)
{
        const struct nipc__request request = {
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .payload = payload,
                .payload_size = NIPC_INCREMENT_SIZE,
                .decode = decode_one,
                .userdata = ret_value,
        };

        return message ? nipc__client_run_on(client, &request, timeout_ms, header, r, message)
                       : nipc__client_run(client, &request, timeout_ms, NULL, NULL);
}

NIPC__EXPORT int nipc_client_increment(struct nipc_client *client, uint64_t value,
                                       uint32_t timeout_ms, uint64_t *ret_value)
{
        uint8_t payload[NIPC_INCREMENT_SIZE];
        struct nipc_message message;
        struct nipc_header header;
        int r;

        if (NIPC__UNLIKELY(!client || !ret_value))
                return -EINVAL;
        nipc__increment_write(value, payload);
        if (NIPC__UNLIKELY(!nipc__client_has_session(client)))
                return increment_unusual(client, payload, timeout_ms, NULL, 0, NULL, ret_value);
        header = nipc__client_request_header(client, NIPC_METHOD_INCREMENT, 0, 1);
        r = nipc_session_call(client->session, &header, payload, sizeof(payload),
                              NIPC_DEADLINE_SPIN, &message);
        if (NIPC__UNLIKELY(r || !nipc__is_answer(&message.header, &header) ||
                           !nipc__increment_read(message.payload, message.payload_size, ret_value)))
                return increment_unusual(client, payload, timeout_ms, &header, r, &message,
                                         ret_value);
        nipc__client_count(client);
        return 0;
}

/* size is exactly what n_values items need. */
static int encode_batch(const void *arg, void *buf, size_t size)
{
        const struct batch *batch = arg;
        struct nipc_batch_builder builder;
        size_t capacity;
        uint32_t i;
        void *item;

        (void)nipc_batch_builder_init(&builder, buf, size, batch->n_values);
        for (i = 0; i < batch->n_values; i++) {
                if (nipc__batch_builder_reserve(&builder, &item, &capacity))
                        break;
                nipc__increment_write(batch->values[i], item);
                (void)nipc__batch_builder_commit(&builder, NIPC_INCREMENT_SIZE);
        }
        return nipc_batch_builder_finish(&builder, &size);
}

/*
 * In two turns: values and ret_values may be one array, and a bad response must leave the request
 * as it is for the next attempt.
 */
static int decode_batch(void *userdata, const void *payload, size_t payload_size,
                        struct nipc_fault *ret_fault)
{
        struct batch *batch = userdata;
        struct nipc_batch_view view;
        const void *item = NULL;
        uint64_t value;
        size_t size = 0;
        uint32_t i;
        int r;

        r = nipc_batch_view_init(&view, payload, payload_size, batch->n_values, ret_fault);
        for (i = 0; !r && i < batch->n_values; i++) {
                (void)nipc__batch_view_get(&view, i, &item, &size);
                if (NIPC__UNLIKELY(!nipc__increment_read(item, size, &value)))
                        r = nipc_increment_decode(item, size, &value, ret_fault);
        }
        if (r)
                return r;
        for (i = 0; i < batch->n_values; i++) {
                (void)nipc__batch_view_get(&view, i, &item, &size);
                (void)nipc__increment_read(item, size, &batch->ret_values[i]);
        }
        return 0;
}

NIPC__EXPORT int nipc_client_increment_batch(struct nipc_client *client, const uint64_t *values,
                                             uint32_t n_values, uint32_t timeout_ms,
                                             uint64_t *ret_values)
{
        struct batch batch = {.values = values, .ret_values = ret_values, .n_values = n_values};
        const struct nipc__request request = {
                .code = NIPC_METHOD_INCREMENT,
                .flags = NIPC_FLAG_BATCH,
                .item_count = n_values,
                .payload_size = (size_t)n_values * (NIPC_BATCH_ENTRY_SIZE + NIPC_INCREMENT_SIZE),
                .encode = encode_batch,
                .arg = &batch,
                .decode = decode_batch,
                .userdata = &batch,
        };

        if (!client || !values || !ret_values || !n_values || n_values > UINT32_MAX / 32)
                return -EINVAL;
        return nipc__client_run(client, &request, timeout_ms, NULL, NULL);
}

/* ---- server ------------------------------------------------------------------------------- */

static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const struct nipc_increment_handler *handler = userdata;
        uint64_t value, result = 0;
        int r;

        if (NIPC__UNLIKELY(!nipc__increment_read(request->payload, request->payload_size, &value)))
                return nipc_increment_decode(request->payload, request->payload_size, &value, NULL);
        if (capacity < NIPC_INCREMENT_SIZE)
                return NIPC_PROTO_E_OVERFLOW;
        r = handler->increment(handler->userdata, value, &result);
        if (r)
                return r;
        nipc__increment_write(result, response);
        *ret_size = NIPC_INCREMENT_SIZE;
        return 0;
}

NIPC__EXPORT int nipc_server_new_increment(const struct nipc_server_config *config,
                                           const struct nipc_increment_handler *handler,
                                           struct nipc_server **ret_server)
{
        _Static_assert(offsetof(struct nipc_increment_handler, increment) == NIPC__TYPED_CALLBACK,
                       "see typed.h");

        return nipc__server_new_typed(config, NIPC_METHOD_INCREMENT, handle, handler,
                                      sizeof(*handler), ret_server);
}
