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
static NIPC__COLD int fail_session(struct nipc_client *client, int error, const char *step)
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

static NIPC__COLD int fail_send(struct nipc_client *client, const struct nipc__request *request,
                                int error)
{
        uint32_t wanted;

        if (error != -EMSGSIZE)
                return fail_session(client, error, "send");
        wanted = nipc__limit_round(request->payload_size, NIPC__GROWTH_CAP);
        client->request_bytes = NIPC__MAX(client->request_bytes, wanted);
        return nipc__client_fail_rule(client, -EMSGSIZE, "send", NIPC_PROTO_E_LIMIT_EXCEEDED,
                                      "the request is above the agreed max_request_bytes");
}

static NIPC__COLD int fail_receive(struct nipc_client *client, int error)
{
        error = fail_session(client, error, "receive");
        if (error == -EMSGSIZE && !client->failure.fault.rule) {
                client->failure.fault.error = NIPC_PROTO_E_LIMIT_EXCEEDED;
                client->failure.fault.rule = "the response is above the agreed max_response_bytes";
        }
        return error;
}

static NIPC__COLD int fail_status(struct nipc_client *client, uint16_t transport_status)
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

/* What is wrong with a response, or right with it after all. */
static NIPC__COLD int judge_response(struct nipc_client *client,
                                     const struct nipc__request *request,
                                     const struct nipc_header *sent,
                                     const struct nipc_message *message)
{
        const struct nipc_header *header = &message->header;
        struct nipc_fault fault = {0};
        struct nipc_batch_view view;

        if (header->kind != NIPC_KIND_RESPONSE)
                return nipc__client_fail_rule(client, -EBADMSG, "answer", NIPC_PROTO_E_BAD_KIND,
                                              "a response must be of kind RESPONSE");
        if ((header->code != sent->code || header->message_id != sent->message_id))
                return nipc__client_fail_rule(client, -EBADMSG, "answer", NIPC_PROTO_E_BAD_LAYOUT,
                                              "a response must repeat code and message_id");
        if (header->transport_status != NIPC_TRANSPORT_STATUS_OK)
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

/* client-server §3: the header of the response. Returns 0 or what is wrong with it. */
static inline int check_response(struct nipc_client *client, const struct nipc__request *request,
                                 const struct nipc_header *sent, const struct nipc_message *message)
{
        const struct nipc_header *header = &message->header;

        if (NIPC__LIKELY(nipc__is_answer(header, sent) && !(request->flags & NIPC_FLAG_BATCH)))
                return 0;
        return judge_response(client, request, sent, message);
}

/*
 * The deadline of a call is found out when something has to be waited for: an answer that is there
 * at once is had without a look at the clock. Until then *deadline_ns is 0.
 */
static NIPC__COLD uint64_t deadline_of(uint64_t *deadline_ns, uint32_t timeout_ms)
{
        if (!*deadline_ns)
                *deadline_ns = nipc_deadline_after_ms(timeout_ms);
        return *deadline_ns;
}

/* Sends with all the time there is. */
static NIPC__COLD int send_late(struct nipc_client *client, const struct nipc__request *request,
                                const struct nipc_header *header, uint64_t deadline_ns)
{
        void *buf;
        int r;

        if (nipc_session_has_pending(client->session))
                return nipc_session_flush(client->session, deadline_ns);
        if (request->payload)
                return nipc_session_send(client->session, header, request->payload,
                                         request->payload_size, deadline_ns);
        r = nipc_session_reserve(client->session, request->payload_size, &buf);
        if (r < 0)
                return r;
        r = request->encode(request->arg, buf, request->payload_size);
        if (r)
                return r;
        return nipc_session_commit(client->session, header, request->payload_size, deadline_ns);
}

/* The request could not be sent at once, or its answer did not come at once. */
static NIPC__COLD int exchange_late(struct nipc_client *client, const struct nipc__request *request,
                                    const struct nipc_header *header, uint64_t deadline_ns, int r,
                                    struct nipc_message *ret_message)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;

        if (r > 0) /* there is no request */
                return r;
        if (r == -ECHILD) /* the session is none of ours */
                return nipc__client_fail_not_ready(client);
        if (r != -EAGAIN) {
                (void)nipc_session_get_failure(client->session, &failure);
                return failure.stage == NIPC_FAILURE_SEND ? fail_send(client, request, r)
                                                          : fail_receive(client, r);
        }
        if (nipc_session_has_pending(client->session) ||
            (!nipc_session_get_in_flight(client->session) &&
             !nipc_session_is_receiving(client->session))) {
                r = send_late(client, request, header, deadline_ns);
                if (r)
                        return r > 0 ? r : fail_send(client, request, r);
        }
        r = nipc_session_receive(client->session, deadline_ns, ret_message);
        return r < 0 ? fail_receive(client, r) : 0;
}

/* Sends and receives, as far as that needs no deadline: returns as a session does, or encode(). */
static inline int exchange_now(struct nipc_client *client, const struct nipc__request *request,
                               const struct nipc_header *header, struct nipc_message *ret_message)
{
        void *buf;
        int r;

        if (NIPC__LIKELY(request->payload))
                return nipc_session_call(client->session, header, request->payload,
                                         request->payload_size, NIPC_DEADLINE_SPIN, ret_message);
        r = nipc_session_reserve(client->session, request->payload_size, &buf);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        r = request->encode(request->arg, buf, request->payload_size);
        if (NIPC__UNLIKELY(r))
                return r;
        r = nipc_session_commit(client->session, header, request->payload_size, NIPC_DEADLINE_NOW);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        return nipc_session_receive(client->session, NIPC_DEADLINE_SPIN, ret_message);
}

/* What an attempt is when exchange_now() has returned r. *ret_status: see attempt(). */
static inline int conclude(struct nipc_client *client, const struct nipc__request *request,
                           const struct nipc_header *header, uint32_t timeout_ms,
                           uint64_t *deadline_ns, int r, struct nipc_message *ret_message,
                           uint16_t *ret_status)
{
        struct nipc_fault fault = {0};

        *ret_status = 0;
        if (NIPC__UNLIKELY(r)) {
                r = exchange_late(client, request, header, deadline_of(deadline_ns, timeout_ms), r,
                                  ret_message);
                if (r)
                        return r;
        }
        *ret_status = ret_message->header.transport_status;
        r = check_response(client, request, header, ret_message);
        if (NIPC__UNLIKELY(r < 0) || !request->decode)
                return r;
        if (NIPC__LIKELY(!request->decode(request->userdata, ret_message->payload,
                                          ret_message->payload_size, &fault)))
                return 0;
        nipc__client_fail(client, -EBADMSG, "decode");
        client->failure.fault = fault;
        return -EBADMSG;
}

/* client-server §3. *ret_status is what the provider said, 0 as long as it said nothing. */
static inline int attempt(struct nipc_client *client, const struct nipc__request *request,
                          uint32_t timeout_ms, uint64_t *deadline_ns,
                          struct nipc_message *ret_message, uint16_t *ret_status)
{
        const struct nipc_header header =
                nipc__client_request_header(client, request->code, request->flags,
                                            request->item_count);

        return conclude(client, request, &header, timeout_ms, deadline_ns,
                        exchange_now(client, request, &header, ret_message), ret_message,
                        ret_status);
}

NIPC__COLD int nipc__client_reconnect_or(struct nipc_client *client, uint64_t deadline_ns,
                                         int first_error)
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

/*
 * After a first attempt that ended as r says: more of them, until one succeeds or client-server §4
 * says that it is enough. before: the limits as of the first.
 */
static NIPC__COLD int attempt_again(struct nipc_client *client, const struct nipc__request *request,
                                    uint32_t timeout_ms, uint64_t *deadline_ns,
                                    struct limits before, int r, struct nipc_message *ret_message,
                                    uint16_t *ret_status)
{
        struct nipc_client_failure failure;
        bool is_last = false;
        unsigned n_overflows = 0;
        int k;

        if (r == -ECHILD)
                return r; /* as if nothing had happened, and nothing has */
        for (;;) {
                if (is_last || r == -ETIMEDOUT || r == -ECANCELED)
                        break;
                failure = client->failure;
                k = nipc__client_reconnect_or(client, deadline_of(deadline_ns, timeout_ms), r);
                if (k < 0)
                        return k;
                client->failure = failure;
                nipc__client_say_failure(client, NIPC_LOG_RETRIED);
                if (r != -EMSGSIZE)
                        is_last = true;
                else if (!has_grown(client, &before) || ++n_overflows >= NIPC__OVERFLOW_ATTEMPTS)
                        break;
                before = limits_of(client);
                r = attempt(client, request, timeout_ms, deadline_ns, ret_message, ret_status);
                if (r >= 0)
                        return r;
        }
        nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
        return r;
}

/* What no reconnect can cure is refused before anything is sent. */
static int check_request(struct nipc_client *client, const struct nipc__request *request)
{
        if (NIPC__UNLIKELY(!nipc__client_has_session(client)))
                return nipc__client_fail_not_ready(client);
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

/* A call ended as r says. Returns r. */
static inline int count(struct nipc_client *client, int r, const struct nipc_message *message,
                        uint32_t item_count, struct nipc_response *ret_response)
{
        if (NIPC__UNLIKELY(r)) {
                client->n_errors++;
                return r;
        }
        nipc__client_count(client);
        if (ret_response) {
                ret_response->payload = message->payload;
                ret_response->payload_size = message->payload_size;
                ret_response->item_count = item_count;
        }
        return 0;
}

static inline int run(struct nipc_client *client, const struct nipc__request *request,
                      uint32_t timeout_ms, uint64_t *deadline_ns,
                      struct nipc_response *ret_response, uint16_t *ret_status)
{
        struct nipc_message message;
        struct limits before;
        uint16_t status = 0;
        int r;

        r = check_request(client, request);
        if (NIPC__LIKELY(!r)) {
                before = limits_of(client);
                r = attempt(client, request, timeout_ms, deadline_ns, &message, &status);
                if (NIPC__UNLIKELY(r < 0))
                        r = attempt_again(client, request, timeout_ms, deadline_ns, before, r,
                                          &message, &status);
        }
        if (ret_status)
                *ret_status = status;
        return count(client, r, &message, request->item_count, ret_response);
}

NIPC__COLD int nipc__client_run_on(struct nipc_client *client, const struct nipc__request *request,
                                   uint32_t timeout_ms, const struct nipc_header *header, int r,
                                   struct nipc_message *message)
{
        const struct limits before = limits_of(client);
        uint64_t deadline_ns = 0;
        uint16_t status = 0;

        if (!timeout_ms)
                timeout_ms = client->config.timeout_ms;
        r = conclude(client, request, header, timeout_ms, &deadline_ns, r, message, &status);
        if (r < 0)
                r = attempt_again(client, request, timeout_ms, &deadline_ns, before, r, message,
                                  &status);
        return count(client, r, message, request->item_count, NULL);
}

int nipc__client_run(struct nipc_client *client, const struct nipc__request *request,
                     uint32_t timeout_ms, struct nipc_response *ret_response, uint16_t *ret_status)
{
        uint64_t deadline_ns = 0;

        if (!timeout_ms)
                timeout_ms = client->config.timeout_ms;
        return run(client, request, timeout_ms, &deadline_ns, ret_response, ret_status);
}

int nipc__client_run_until(struct nipc_client *client, const struct nipc__request *request,
                           uint32_t timeout_ms, uint64_t *deadline_ns,
                           struct nipc_response *ret_response)
{
        return run(client, request, timeout_ms, deadline_ns, ret_response, NULL);
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
