/* SPDX-License-Identifier: MIT */

/*
 * Calls (client-server §3, §4): one attempt, and what its result leads to. The attempt is the hot
 * path: one send, one receive, no memory, nothing noted but a counter. All that can go wrong is
 * apart. Invariant: one deadline covers all attempts and reconnects of a call.
 */

#include <errno.h>
#include <nipc/batch.h>
#include <nipc/client.h>
#include <nipc/clock.h>

#include "client-private.h"
#include "limits.h"
#include "stdaux.h"

/* What must grow for another attempt to make sense after an overflow. */
struct limits {
        uint32_t agreed_request;
        uint32_t agreed_response;
        uint32_t request;
        uint32_t response;
};

static struct limits limits_of(const struct nipc_client *client)
{
        return (struct limits){
                .agreed_request = client->agreed_request_bytes,
                .agreed_response = client->agreed_response_bytes,
                .request = client->request_bytes,
                .response = client->response_bytes,
        };
}

static bool has_grown(const struct nipc_client *client, const struct limits *before)
{
        return client->agreed_request_bytes > before->agreed_request ||
               client->agreed_response_bytes > before->agreed_response ||
               client->request_bytes > before->request || client->response_bytes > before->response;
}

/* Takes over what the session knows about a failure; the session is about to be closed. */
static int fail_session(struct nipc_client *client, int error, const char *step)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;

        /* A cancelled session may first be seen as one that is gone. */
        if (nipc_cancel_is_triggered(client->cancel))
                return nipc__client_fail(client, -ECANCELED, step);
        nipc__client_fail(client, error, step);
        if (nipc_session_get_failure(client->session, &failure) == 0 && failure.error == error) {
                client->failure.os_error = failure.os_error;
                client->failure.fault = failure.fault;
        }
        return error;
}

static int fail_send(struct nipc_client *client, const struct nipc__request *request, int error)
{
        uint32_t wanted;

        if (error != -EMSGSIZE)
                return fail_session(client, error, "send");
        wanted = nipc__limit_round(request->payload_size, NIPC__GROWTH_CAP);
        client->request_bytes = NIPC__MAX(client->request_bytes, wanted);
        return nipc__client_fail_rule(client, -EMSGSIZE, "send", NIPC_PROTO_E_LIMIT_EXCEEDED,
                                      "the request is above the agreed max_request_bytes");
}

static int fail_receive(struct nipc_client *client, int error)
{
        error = fail_session(client, error, "receive");
        if (error == -EMSGSIZE && !client->failure.fault.rule) {
                client->failure.fault.error = NIPC_PROTO_E_LIMIT_EXCEEDED;
                client->failure.fault.rule = "the response is above the agreed max_response_bytes";
        }
        return error;
}

static int fail_status(struct nipc_client *client, uint16_t transport_status)
{
        uint32_t wanted;

        if (transport_status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED) {
                wanted = nipc__limit_round(2 * (uint64_t)client->agreed_response_bytes,
                                           NIPC__GROWTH_CAP);
                client->response_bytes = NIPC__MAX(client->response_bytes, wanted);
                nipc__client_fail_rule(client, -EMSGSIZE, "answer", NIPC_PROTO_E_LIMIT_EXCEEDED,
                                       "the provider answered LIMIT_EXCEEDED: its "
                                       "max_response_bytes, max_request_bytes or max_batch_items");
        } else {
                nipc__client_fail(client, -EREMOTEIO, "answer");
        }
        client->failure.transport_status = transport_status;
        return client->failure.error;
}

/* client-server §3: the header of the response. Returns 0 or what is wrong with it. */
static int check_response(struct nipc_client *client, const struct nipc__request *request,
                          const struct nipc_header *sent, const struct nipc_message *message)
{
        const struct nipc_header *header = &message->header;
        struct nipc_fault fault = {0};
        struct nipc_batch_view view;

        if (NIPC__UNLIKELY(header->kind != NIPC_KIND_RESPONSE))
                return nipc__client_fail_rule(client, -EBADMSG, "answer", NIPC_PROTO_E_BAD_KIND,
                                              "a response must be of kind RESPONSE");
        if (NIPC__UNLIKELY(header->code != sent->code || header->message_id != sent->message_id))
                return nipc__client_fail_rule(client, -EBADMSG, "answer", NIPC_PROTO_E_BAD_LAYOUT,
                                              "a response must repeat code and message_id");
        if (NIPC__UNLIKELY(header->transport_status != NIPC_TRANSPORT_STATUS_OK))
                return fail_status(client, header->transport_status);
        if (!(request->flags & NIPC_FLAG_BATCH))
                return 0;
        if (!(header->flags & NIPC_FLAG_BATCH) || header->item_count != sent->item_count)
                return nipc__client_fail_rule(client, -EBADMSG, "answer",
                                              NIPC_PROTO_E_BAD_ITEM_COUNT,
                                              "a batch must be answered by as large a batch");
        /* Sessions check directories of two and more (wire-v1 §3). */
        if (header->item_count == 1 &&
            nipc_batch_view_init(&view, message->payload, message->payload_size, 1, &fault)) {
                nipc__client_fail(client, -EBADMSG, "answer");
                client->failure.fault = fault;
                return -EBADMSG;
        }
        return 0;
}

static int send_request(struct nipc_client *client, const struct nipc__request *request,
                        const struct nipc_header *header, uint64_t deadline_ns)
{
        void *buf;
        int r;

        if (request->payload)
                return nipc_session_send(client->session, header, request->payload,
                                         request->payload_size, deadline_ns);
        r = nipc_session_reserve(client->session, request->payload_size, &buf);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        request->encode(request->arg, buf, request->payload_size);
        return nipc_session_commit(client->session, header, request->payload_size, deadline_ns);
}

/* client-server §3. *ret_status is what the provider said, 0 as long as it said nothing. */
static int attempt(struct nipc_client *client, const struct nipc__request *request,
                   uint64_t deadline_ns, struct nipc_message *ret_message, uint16_t *ret_status)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .flags = request->flags,
                .code = request->code,
                .item_count = request->item_count,
                .message_id = client->n_calls + 1,
        };
        struct nipc_fault fault = {0};
        int r;

        *ret_status = 0;
        if (NIPC__UNLIKELY(nipc_cancel_is_triggered(client->cancel)))
                return nipc__client_fail(client, -ECANCELED, "call");
        r = send_request(client, request, &header, deadline_ns);
        if (NIPC__UNLIKELY(r < 0))
                return fail_send(client, request, r);
        r = nipc_session_receive(client->session, deadline_ns, ret_message);
        if (NIPC__UNLIKELY(r < 0))
                return fail_receive(client, r);
        *ret_status = ret_message->header.transport_status;
        r = check_response(client, request, &header, ret_message);
        if (NIPC__UNLIKELY(r < 0) || !request->decode)
                return r;
        if (NIPC__LIKELY(!request->decode(request->userdata, ret_message->payload,
                                          ret_message->payload_size, &fault)))
                return 0;
        nipc__client_fail(client, -EBADMSG, "decode");
        client->failure.fault = fault;
        return -EBADMSG;
}

/* The first error is what the caller hears, unless reconnecting itself says something final. */
static int reconnect_or(struct nipc_client *client, uint64_t deadline_ns, int first_error)
{
        const struct nipc_client_failure first_failure = client->failure;
        int r;

        nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
        r = nipc__client_reconnect(client, deadline_ns);
        switch (r) {
        case 0:
        case -ETIMEDOUT:
        case -ECANCELED:
        case -EPROTONOSUPPORT:
                return r;
        case -EACCES:
                if (nipc_client_get_state(client) == NIPC_CLIENT_STATE_AUTH_FAILED)
                        return r;
                break;
        case -EMSGSIZE:
                if (first_error == -EMSGSIZE) /* the refusal says more about the limit */
                        return r;
                break;
        }
        client->failure = first_failure;
        return first_error;
}

/* Attempts until one succeeds or client-server §4 says that it is enough. */
static int attempt_all(struct nipc_client *client, const struct nipc__request *request,
                       uint64_t deadline_ns, struct nipc_message *ret_message, uint16_t *ret_status)
{
        struct nipc_client_failure failure;
        bool is_last = false;
        unsigned n_overflows = 0;
        int r, k;

        for (;;) {
                struct limits before = limits_of(client);

                r = attempt(client, request, deadline_ns, ret_message, ret_status);
                if (NIPC__LIKELY(!r))
                        return 0;
                if (is_last || r == -ETIMEDOUT || r == -ECANCELED)
                        break;
                failure = client->failure;
                k = reconnect_or(client, deadline_ns, r);
                if (k < 0)
                        return k;
                client->failure = failure;
                if (r != -EMSGSIZE)
                        is_last = true;
                else if (!has_grown(client, &before) || ++n_overflows >= NIPC__OVERFLOW_ATTEMPTS)
                        break;
        }
        nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
        return r;
}

/* What no reconnect can cure is refused before anything is sent. */
static int check_request(struct nipc_client *client, const struct nipc__request *request)
{
        if (NIPC__UNLIKELY(nipc_client_get_state(client) != NIPC_CLIENT_STATE_READY))
                return nipc__client_fail(client, -ENOTCONN, "call");
        if (NIPC__UNLIKELY(request->item_count > client->agreed_items && request->item_count > 1))
                return nipc__client_fail_rule(client, -EMSGSIZE, "call",
                                              NIPC_PROTO_E_LIMIT_EXCEEDED,
                                              "the batch is above the agreed max_batch_items");
        if (NIPC__UNLIKELY(request->payload_size > client->agreed_request_bytes &&
                           request->payload_size > client->request_bytes &&
                           request->payload_size > NIPC__GROWTH_CAP))
                return nipc__client_fail_rule(client, -EMSGSIZE, "call",
                                              NIPC_PROTO_E_LIMIT_EXCEEDED,
                                              "the request is above max_request_bytes, which grows "
                                              "by itself to 1 MiB only");
        return 0;
}

int nipc__client_run(struct nipc_client *client, const struct nipc__request *request,
                     uint32_t timeout_ms, struct nipc_response *ret_response, uint16_t *ret_status)
{
        struct nipc_message message;
        uint16_t status = 0;
        int r;

        r = check_request(client, request);
        if (NIPC__LIKELY(!r)) {
                if (!timeout_ms)
                        timeout_ms = client->config.timeout_ms;
                r = attempt_all(client, request, nipc_deadline_after_ms(timeout_ms), &message,
                                &status);
        }
        if (ret_status)
                *ret_status = status;
        if (NIPC__UNLIKELY(r < 0)) {
                client->n_errors++;
                return r;
        }
        client->n_calls++;
        client->failure.error = 0;
        if (ret_response) {
                ret_response->payload = message.payload;
                ret_response->payload_size = message.payload_size;
                ret_response->item_count = request->item_count;
        }
        return 0;
}

/* Never NULL, so that an attempt can tell bytes from an encoder. */
static const void *payload_or_empty(const void *payload)
{
        return payload ? payload : "";
}

NIPC__EXPORT int nipc_client_call(struct nipc_client *client, uint16_t code, const void *payload,
                                  size_t payload_size, uint32_t timeout_ms,
                                  struct nipc_response *ret_response, uint16_t *ret_status)
{
        const struct nipc__request request = {
                .code = code,
                .item_count = 1,
                .payload = payload_or_empty(payload),
                .payload_size = payload_size,
        };

        if (!client || !ret_response || (!payload && payload_size))
                return -EINVAL;
        return nipc__client_run(client, &request, timeout_ms, ret_response, ret_status);
}

NIPC__EXPORT int nipc_client_call_batch(struct nipc_client *client, uint16_t code,
                                        const void *payload, size_t payload_size, uint32_t n_items,
                                        uint32_t timeout_ms, struct nipc_response *ret_response,
                                        uint16_t *ret_status)
{
        const struct nipc__request request = {
                .code = code,
                .flags = NIPC_FLAG_BATCH,
                .item_count = n_items,
                .payload = payload,
                .payload_size = payload_size,
        };
        struct nipc_batch_view view;

        if (!client || !ret_response || !payload || !n_items)
                return -EINVAL;
        if (nipc_batch_view_init(&view, payload, payload_size, n_items, NULL))
                return -EINVAL;
        return nipc__client_run(client, &request, timeout_ms, ret_response, ret_status);
}

NIPC__EXPORT int nipc_client_call_decoded(struct nipc_client *client, uint16_t code,
                                          const void *payload, size_t payload_size,
                                          uint32_t timeout_ms,
                                          int (*decode)(void *userdata, const void *payload,
                                                        size_t payload_size,
                                                        struct nipc_fault *ret_fault),
                                          void *userdata)
{
        const struct nipc__request request = {
                .code = code,
                .item_count = 1,
                .payload = payload_or_empty(payload),
                .payload_size = payload_size,
                .decode = decode,
                .userdata = userdata,
        };

        if (!client || !decode || (!payload && payload_size))
                return -EINVAL;
        return nipc__client_run(client, &request, timeout_ms, NULL, NULL);
}
