/* SPDX-License-Identifier: MIT */

/*
 * One request and its answer (client-server §7.1). The response is built in place, in what the
 * session lends; an error answer has no payload, item_count 1 and no flags. Nothing here decides
 * about reading, and nothing waits.
 */

#include <errno.h>
#include <nipc/metrics.h>
#include <nipc/wire.h>
#include <string.h>

#include "batch-fast.h"
#include "server-private.h"
#include "stdaux.h"

/* Answers are counted before they are sent: whoever has one finds it counted. */
static void count_failed(struct nipc__worker *worker, uint16_t transport_status)
{
        nipc__count(
                &worker->metrics.answers[NIPC__MIN(transport_status, NIPC_METRICS_N_STATUSES - 1)]);
        nipc__count(&worker->metrics.n_failed);
}

static inline int reply(struct nipc__conn *conn, const struct nipc_header *request,
                        uint16_t transport_status, size_t payload_size)
{
        bool is_batch = transport_status == NIPC_TRANSPORT_STATUS_OK &&
                        (request->flags & NIPC_FLAG_BATCH) && request->item_count;
        const struct nipc_header header = {
                .kind = NIPC_KIND_RESPONSE,
                .flags = is_batch ? NIPC_FLAG_BATCH : 0,
                .code = request->code,
                .transport_status = transport_status,
                .item_count = is_batch ? request->item_count : 1,
                .message_id = request->message_id,
        };

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
        count_failed(worker, transport_status);
        return reply(conn, &message->header, transport_status, 0);
}

/* What a handler's result means to the client; dispatch is done when it is OK. */
static uint16_t status_of(int result)
{
        switch (result) {
        case 0:
                return NIPC_TRANSPORT_STATUS_OK;
        case NIPC_PROTO_E_OVERFLOW:
        case -EMSGSIZE: /* NIPC__IS_OVERFLOW() */
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

int nipc__handle_items(const struct nipc_handler *handler, struct nipc_request *request,
                       const struct nipc_batch_view *view, uint32_t first, uint32_t end,
                       struct nipc_batch_builder *builder)
{
        size_t item_capacity, item_size;
        void *item;
        uint32_t i;
        int r = 0;

        for (i = first; !r && i < end; i++) {
                request->item_index = i;
                (void)nipc__batch_view_get(view, i, &request->payload, &request->payload_size);
                r = nipc__batch_builder_reserve(builder, &item, &item_capacity);
                if (NIPC__LIKELY(!r))
                        r = handle(handler, request, item, item_capacity, &item_size);
                if (NIPC__LIKELY(!r))
                        r = nipc__batch_builder_commit(builder, item_size);
        }
        return r;
}

static int handle_view(const struct nipc_handler *handler, struct nipc_request *request,
                       const struct nipc_batch_view *view, void *response, size_t capacity,
                       size_t *ret_size)
{
        struct nipc_batch_builder builder;
        int r;

        r = nipc_batch_builder_init(&builder, response, capacity, view->item_count);
        if (!r)
                r = nipc__handle_items(handler, request, view, 0, view->item_count, &builder);
        return r ? r : nipc_batch_builder_finish(&builder, ret_size);
}

/* A batch for which it may be worth while to have several workers at it. */
static NIPC__COLD int handle_large(struct nipc__worker *worker, struct nipc_request *request,
                                   const struct nipc_batch_view *view, void *response,
                                   size_t capacity, size_t *ret_size)
{
        const struct nipc_handler *handler = &worker->server->handler;
        uint64_t start_ns;
        int r;

        if (nipc__split_begin(worker, view->item_count, capacity))
                return nipc__split_batch(worker, request, view, response, capacity, ret_size);
        if (!nipc__split_times(worker))
                return handle_view(handler, request, view, response, capacity, ret_size);
        start_ns = nipc_clock_now_ns();
        r = handle_view(handler, request, view, response, capacity, ret_size);
        nipc__split_learn(worker, view->item_count, nipc_clock_now_ns() - start_ns);
        return r;
}

/* Item by item, from the request's directory into the response's. Returns as a handler. */
static int handle_batch(struct nipc__worker *worker, struct nipc_request *request, void *response,
                        size_t capacity, size_t *ret_size)
{
        const struct nipc_server *server = worker->server;
        struct nipc_batch_view view;
        int r;

        r = nipc_batch_view_init(&view, request->payload, request->payload_size,
                                 request->item_count, NULL);
        if (r)
                return r;
        if (NIPC__UNLIKELY(view.item_count > server->split_above))
                return handle_large(worker, request, &view, response, capacity, ret_size);
        return handle_view(&server->handler, request, &view, response, capacity, ret_size);
}

/* When what happened to a request that is timed. */
struct timing {
        uint64_t start_ns;
        uint64_t end_ns;
};

/* The handler failed. Returns as nipc__dispatch(). */
static NIPC__COLD int answer_failed(struct nipc__worker *worker, struct nipc__conn *conn,
                                    const struct nipc_header *request, int result)
{
        uint16_t transport_status = status_of(result);

        if (transport_status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED) {
                nipc__server_note_response(worker->server, 2 * (uint64_t)conn->max_response_bytes);
                nipc__observe_limit(worker, conn, "max_response_bytes", conn->max_response_bytes);
        }
        count_failed(worker, transport_status);
        return reply(conn, request, transport_status, 0);
}

/* A request of our method. timing: NULL unless it is timed. */
static NIPC__ALWAYS_INLINE int serve(struct nipc__worker *worker, struct nipc__conn *conn,
                                     const struct nipc_message *message, bool *ret_close,
                                     struct timing *timing)
{
        struct nipc__metrics *metrics = &worker->metrics;
        struct nipc_server *server = worker->server;
        size_t size = 0;
        void *response;
        int r;

        *ret_close = true;
        r = nipc_session_reserve(conn->session, conn->max_response_bytes, &response);
        if (NIPC__UNLIKELY(r < 0))
                return nipc__dispatch_error(worker, conn, message,
                                            NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        conn->request.payload = message->payload;
        conn->request.payload_size = message->payload_size;
        nipc__count_more(&metrics->request_bytes, message->payload_size);
        if (timing)
                timing->start_ns = nipc_clock_now_ns();
        if (NIPC__UNLIKELY(message->header.flags & NIPC_FLAG_BATCH) && message->header.item_count) {
                conn->request.item_count = message->header.item_count;
                nipc__count(&metrics->n_batches);
                nipc__count_more(&metrics->n_batch_items, message->header.item_count);
                r = handle_batch(worker, &conn->request, response, conn->max_response_bytes, &size);
                conn->request.item_index = 0;
                conn->request.item_count = 1;
        } else if (NIPC__UNLIKELY(message->payload_size > server->large_bytes)) {
                r = server->handle_large(worker, &conn->request, response, conn->max_response_bytes,
                                         &size);
        } else {
                r = handle(&server->handler, &conn->request, response, conn->max_response_bytes,
                           &size);
        }
        if (timing)
                timing->end_ns = nipc_clock_now_ns();
        if (NIPC__UNLIKELY(r))
                return answer_failed(worker, conn, &message->header, r);
        nipc__server_note_response(server, size);
        *ret_close = false;
        nipc__count(&metrics->answers[NIPC_TRANSPORT_STATUS_OK]);
        nipc__count_more(&metrics->response_bytes, size);
        return reply(conn, &message->header, NIPC_TRANSPORT_STATUS_OK, size);
}

/* The ring as the client left it: how far it is behind. */
static void look_at_ring(struct nipc__worker *worker, const struct nipc__conn *conn)
{
        size_t used, capacity;

        if (nipc_session_get_queued(conn->session, &used, &capacity) == 0)
                nipc__metrics_add_ring(&worker->metrics, used);
}

/*
 * The same with a look at the clock. When the worker woke is not known of each turn; a client that
 * is lingered with waits for nobody.
 */
static NIPC__COLD int serve_timed(struct nipc__worker *worker, struct nipc__conn *conn,
                                  const struct nipc_message *message, bool *ret_close)
{
        struct nipc__metrics *metrics = &worker->metrics;
        const uint32_t sample_every = nipc__server_sample_every(worker->server);
        struct timing timing = {0};
        uint64_t now_ns, woken_ns;
        int r;

        nipc__metrics_resume_sampling(metrics, sample_every);
        if (!sample_every)
                return serve(worker, conn, message, ret_close, NULL);
        r = serve(worker, conn, message, ret_close, &timing);
        if (!timing.end_ns)
                return r;
        now_ns = nipc_clock_now_ns();
        woken_ns = conn->is_detached ? timing.start_ns : metrics->woken_ns;
        nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_HANDLE, timing.end_ns - timing.start_ns);
        nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_WAKE, now_ns - timing.end_ns);
        if (woken_ns) {
                nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_QUEUE,
                                       timing.start_ns - woken_ns);
                nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_TOTAL, now_ns - woken_ns);
        }
        look_at_ring(worker, conn);
        return r;
}

/* doc/metrics.md: `u16 layout, u16 format`, both as they are known here. Returns a status. */
static uint16_t judge_stat(const struct nipc_message *message)
{
        const uint8_t *payload = message->payload;

        if ((message->header.flags & NIPC_FLAG_BATCH) ||
            message->payload_size != NIPC_STAT_REQUEST_SIZE)
                return NIPC_TRANSPORT_STATUS_BAD_ENVELOPE;
        return nipc_load_u16(payload) == NIPC_STAT_LAYOUT &&
                               nipc_load_u16(payload + 2) == NIPC_STAT_FORMAT_PROMETHEUS
                       ? NIPC_TRANSPORT_STATUS_OK
                       : NIPC_TRANSPORT_STATUS_UNSUPPORTED;
}

static int answer_stat(struct nipc__worker *worker, struct nipc__conn *conn,
                       const struct nipc_message *message, bool *ret_close)
{
        uint16_t status = judge_stat(message);
        size_t size = 0, capacity = conn->max_response_bytes;
        void *buf;
        int r;

        nipc__count(&worker->metrics.n_stat_requests);
        *ret_close = true;
        r = nipc_session_reserve(conn->session, status ? 0 : capacity, &buf);
        if (r < 0)
                return r;
        if (status == NIPC_TRANSPORT_STATUS_OK &&
            nipc_server_format_metrics(worker->server, buf, capacity, &size) < 0) {
                nipc__server_note_response(worker->server, size); /* for the next session */
                status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        }
        *ret_close = status == NIPC_TRANSPORT_STATUS_BAD_ENVELOPE ||
                     status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        return reply(conn, &message->header, status, status ? 0 : size);
}

/* Not of our method. */
static NIPC__COLD int dispatch_other(struct nipc__worker *worker, struct nipc__conn *conn,
                                     const struct nipc_message *message, bool *ret_close)
{
        if (message->header.code == NIPC_METHOD_STAT && !worker->server->config.hide_metrics) {
                conn->has_yielded = true;
                return answer_stat(worker, conn, message, ret_close);
        }
        *ret_close = false;
        return nipc__dispatch_error(worker, conn, message, NIPC_TRANSPORT_STATUS_UNSUPPORTED);
}

int nipc__dispatch(struct nipc__worker *worker, struct nipc__conn *conn,
                   const struct nipc_message *message, bool *ret_close)
{
        if (NIPC__UNLIKELY(message->header.code != worker->server->handler.code))
                return dispatch_other(worker, conn, message, ret_close);
        if (NIPC__UNLIKELY(--worker->metrics.sample_left == 0))
                return serve_timed(worker, conn, message, ret_close);
        return serve(worker, conn, message, ret_close, NULL);
}

/* ---- beside others ------------------------------------------------------------------------ */

int nipc__handle(const struct nipc_handler *handler, struct nipc_request *request,
                 const struct nipc_header *header, void *response, size_t capacity,
                 size_t *ret_size)
{
        struct nipc_batch_view view;
        int r;

        if (!(header->flags & NIPC_FLAG_BATCH) || !header->item_count)
                return handle(handler, request, response, capacity, ret_size);
        request->item_count = header->item_count;
        r = nipc_batch_view_init(&view, request->payload, request->payload_size,
                                 request->item_count, NULL);
        return r ? r : handle_view(handler, request, &view, response, capacity, ret_size);
}

void nipc__dispatch_begin(struct nipc__worker *worker, struct nipc__task *task)
{
        struct nipc__metrics *metrics = &worker->metrics;
        const uint32_t sample_every = nipc__server_sample_every(worker->server);

        nipc__count_more(&metrics->request_bytes, task->request.payload_size);
        if ((task->header.flags & NIPC_FLAG_BATCH) && task->header.item_count) {
                nipc__count(&metrics->n_batches);
                nipc__count_more(&metrics->n_batch_items, task->header.item_count);
        }
        if (--metrics->sample_left)
                return;
        nipc__metrics_resume_sampling(metrics, sample_every);
        task->is_timed = sample_every > 0;
        task->woken_ns = metrics->woken_ns;
}

/* As serve_timed(): from the handler's end on it has waited for us. */
static void observe_finished(struct nipc__worker *worker, const struct nipc__conn *conn,
                             const struct nipc__task *task)
{
        struct nipc__metrics *metrics = &worker->metrics;
        const uint64_t now_ns = nipc_clock_now_ns();

        nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_HANDLE, task->end_ns - task->start_ns);
        nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_WAKE, now_ns - task->end_ns);
        if (task->woken_ns) {
                nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_QUEUE,
                                       task->start_ns - task->woken_ns);
                nipc__metrics_add_time(metrics, NIPC_METRICS_STAGE_TOTAL, now_ns - task->woken_ns);
        }
        look_at_ring(worker, conn);
}

static int send_finished(struct nipc__worker *worker, struct nipc__conn *conn,
                         const struct nipc__task *task)
{
        const size_t size = task->result ? 0 : task->response_size;
        void *response;
        int r;

        r = nipc_session_reserve(conn->session, size, &response);
        if (r < 0)
                return r;
        if (task->result)
                return answer_failed(worker, conn, &task->header, task->result);
        memcpy(response, task->response, size);
        nipc__server_note_response(worker->server, size);
        nipc__count(&worker->metrics.answers[NIPC_TRANSPORT_STATUS_OK]);
        nipc__count_more(&worker->metrics.response_bytes, size);
        return reply(conn, &task->header, NIPC_TRANSPORT_STATUS_OK, size);
}

int nipc__dispatch_finish(struct nipc__worker *worker, struct nipc__conn *conn,
                          const struct nipc__task *task)
{
        int r = send_finished(worker, conn, task);

        if (task->end_ns)
                observe_finished(worker, conn, task);
        return r;
}
