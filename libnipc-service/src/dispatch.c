/* SPDX-License-Identifier: MIT */

/*
 * One request and its answer (client-server §7.1). The response is built in place, in what the
 * session lends; an error answer has no payload, item_count 1 and no flags. Nothing here decides
 * about reading, and nothing waits.
 */

#include <errno.h>

#include "batch-fast.h"
#include "server-private.h"
#include "stdaux.h"

static inline int reply(struct nipc__worker *worker, struct nipc__conn *conn,
                        const struct nipc_message *message, uint16_t transport_status,
                        size_t payload_size)
{
        bool is_batch = transport_status == NIPC_TRANSPORT_STATUS_OK &&
                        (message->header.flags & NIPC_FLAG_BATCH) && message->header.item_count;
        const struct nipc_header header = {
                .kind = NIPC_KIND_RESPONSE,
                .flags = is_batch ? NIPC_FLAG_BATCH : 0,
                .code = message->header.code,
                .transport_status = transport_status,
                .item_count = is_batch ? message->header.item_count : 1,
                .message_id = message->header.message_id,
        };

        /* Before it is sent: whoever has the answer finds it counted. */
        nipc__count(transport_status == NIPC_TRANSPORT_STATUS_OK ? &worker->n_requests
                                                                 : &worker->n_failed);
        return nipc_session_commit(conn->session, &header, payload_size, NIPC_DEADLINE_NOW);
}

int nipc__dispatch_error(struct nipc__worker *worker, struct nipc__conn *conn,
                         const struct nipc_message *message, uint16_t transport_status)
{
        void *buf;
        int r;

        r = nipc_session_reserve(conn->session, 0, &buf);
        if (r < 0)
                return r;
        return reply(worker, conn, message, transport_status, 0);
}

/* What a handler's result means to the client; dispatch is done when it is OK. */
static uint16_t status_of(int result)
{
        switch (result) {
        case 0:
                return NIPC_TRANSPORT_STATUS_OK;
        case NIPC_PROTO_E_OVERFLOW:
        case -EMSGSIZE:
                return NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        default:
                return result > 0 ? NIPC_TRANSPORT_STATUS_BAD_ENVELOPE
                                  : NIPC_TRANSPORT_STATUS_INTERNAL_ERROR;
        }
}

static inline int handle(const struct nipc_handler *handler, const struct nipc_request *request,
                         void *response, size_t capacity, size_t *ret_size)
{
        int r;

        *ret_size = 0;
        r = handler->handle(handler->userdata, request, response, capacity, ret_size);
        if (!r && NIPC__UNLIKELY(*ret_size > capacity))
                return NIPC_PROTO_E_OVERFLOW;
        return r;
}

/* Item by item, from the request's directory into the response's. Returns as a handler. */
static int handle_batch(const struct nipc_handler *handler, struct nipc_request *request,
                        void *response, size_t capacity, size_t *ret_size)
{
        struct nipc_batch_builder builder;
        struct nipc_batch_view view;
        size_t item_capacity, item_size;
        void *item;
        uint32_t i;
        int r;

        r = nipc_batch_view_init(&view, request->payload, request->payload_size,
                                 request->item_count, NULL);
        if (r)
                return r;
        r = nipc_batch_builder_init(&builder, response, capacity, request->item_count);
        for (i = 0; !r && i < request->item_count; i++) {
                request->item_index = i;
                (void)nipc__batch_view_get(&view, i, &request->payload, &request->payload_size);
                r = nipc__batch_builder_reserve(&builder, &item, &item_capacity);
                if (NIPC__LIKELY(!r))
                        r = handle(handler, request, item, item_capacity, &item_size);
                if (NIPC__LIKELY(!r))
                        r = nipc__batch_builder_commit(&builder, item_size);
        }
        return r ? r : nipc_batch_builder_finish(&builder, ret_size);
}

int nipc__dispatch(struct nipc__worker *worker, struct nipc__conn *conn,
                   const struct nipc_message *message, bool *ret_close)
{
        struct nipc_server *server = worker->server;
        uint16_t transport_status;
        size_t size = 0;
        void *response;
        int r;

        *ret_close = false;
        if (NIPC__UNLIKELY(message->header.code != server->handler.code))
                return nipc__dispatch_error(worker, conn, message,
                                            NIPC_TRANSPORT_STATUS_UNSUPPORTED);

        *ret_close = true;
        r = nipc_session_reserve(conn->session, conn->max_response_bytes, &response);
        if (NIPC__UNLIKELY(r < 0))
                return nipc__dispatch_error(worker, conn, message,
                                            NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        conn->request.payload = message->payload;
        conn->request.payload_size = message->payload_size;
        if (NIPC__UNLIKELY(message->header.flags & NIPC_FLAG_BATCH) && message->header.item_count) {
                conn->request.item_count = message->header.item_count;
                r = handle_batch(&server->handler, &conn->request, response,
                                 conn->max_response_bytes, &size);
                conn->request.item_index = 0;
                conn->request.item_count = 1;
        } else {
                r = handle(&server->handler, &conn->request, response, conn->max_response_bytes,
                           &size);
        }
        transport_status = status_of(r);
        if (NIPC__UNLIKELY(transport_status != NIPC_TRANSPORT_STATUS_OK)) {
                if (transport_status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED)
                        nipc__server_note_response(server, 2 * (uint64_t)conn->max_response_bytes);
                return reply(worker, conn, message, transport_status, 0);
        }
        nipc__server_note_response(server, size);
        *ret_close = false;
        return reply(worker, conn, message, NIPC_TRANSPORT_STATUS_OK, size);
}
