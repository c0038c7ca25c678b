/* SPDX-License-Identifier: MIT */

/*
 * Lookups at the server's end: the request is checked, the handler adds an item per key to a
 * builder in the memory that the session lends, and what the builder remembers counts more than
 * what the handler says (codecs §7). Nothing here is kept from one request to the next, so that
 * several workers may be at it at once.
 */

#include <errno.h>
#include <nipc/lookup.h>
#include <nipc/server.h>
#include <stdlib.h>

#include "abi.h"
#include "server-private.h"
#include "stdaux.h"

/* Requests that are not split after several that were in vain; chosen, not tuned. */
#define MAX_SKIP 1023u

/* What is known to a request's handling; constant once the server is there. */
struct service {
        struct nipc_lookup_handler handler; /* a copy of the caller's */
        const struct nipc_lookup_class *class_;
        struct nipc_server *server;
};

/* What the handler's work comes to, whatever it returned. */
static NIPC__COLD int judge(const struct nipc_lookup_builder *builder, int r)
{
        /* An item too many is the handler's mistake, and no matter of limits. */
        if (builder->error == NIPC_PROTO_E_OVERFLOW && builder->n_items == builder->max_items)
                return NIPC_PROTO_E_BAD_ITEM_COUNT;
        return builder->error ? builder->error : r;
}

/*
 * An item that is too large for a response that it has for itself: later sessions get larger ones,
 * as after a response that did not fit. Clients who want it reconnect. What is read back decides
 * nothing but that.
 */
static inline void note_lone_item(const struct service *service, const void *response,
                                  size_t capacity)
{
        const uint8_t *item =
                (const uint8_t *)response + NIPC_LOOKUP_HEADER_SIZE + NIPC_LOOKUP_ENTRY_SIZE;

        if (NIPC__UNLIKELY(nipc_load_u16(item + NIPC_LOOKUP_STATUS_OFFSET) ==
                           service->class_->status_oversized))
                nipc__server_note_response(service->server, 2 * (uint64_t)capacity);
}

/* A request that may be worth splitting, alone. Returns as the handler. */
static int handle_alone(struct nipc__worker *worker, const struct service *service,
                        const struct nipc_lookup_request_view *view,
                        struct nipc_lookup_builder *builder)
{
        uint64_t start_ns;
        int r;

        if (!nipc__split_times(worker))
                return service->handler.lookup(service->handler.userdata, view, builder);
        start_ns = nipc_clock_now_ns();
        r = service->handler.lookup(service->handler.userdata, view, builder);
        if (view->item_count)
                nipc__split_learn(worker, view->item_count, nipc_clock_now_ns() - start_ns);
        return r;
}

/*
 * Whether this one is split. Where each call has a generation of its own, splitting is work done
 * twice: it is tried again after ever more requests.
 */
static bool begins_split(struct nipc__worker *worker, uint32_t n_items, size_t capacity)
{
        if (worker->split.lookup_skip) {
                worker->split.lookup_skip--;
                return false;
        }
        return nipc__split_begin(worker, n_items, capacity);
}

/* In place of handle() when a request is large: several workers may have a part in it. */
static int handle_large(struct nipc__worker *worker, const struct nipc_request *request,
                        void *response, size_t capacity, size_t *ret_size)
{
        const struct service *service = worker->server->handler.userdata;
        struct nipc__split *split = &worker->split;
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        int r;

        r = nipc_lookup_request_view_init(&view, service->class_, request->payload,
                                          request->payload_size, NULL);
        if (!r)
                r = nipc_lookup_builder_init(&builder, &view, response, capacity);
        if (r)
                return r;
        if (begins_split(worker, view.item_count, capacity)) {
                r = nipc__split_lookup(worker, &service->handler, &view, &builder);
                split->lookup_skip_next =
                        r == -ESTALE ? NIPC__MIN(2 * split->lookup_skip_next + 1, MAX_SKIP) : 0;
                split->lookup_skip = split->lookup_skip_next;
                if (r == -ESTALE) {
                        (void)nipc_lookup_builder_init(&builder, &view, response, capacity);
                        r = handle_alone(worker, service, &view, &builder);
                }
        } else {
                r = handle_alone(worker, service, &view, &builder);
        }
        if (r || builder.error)
                return judge(&builder, r);
        r = nipc_lookup_builder_finish(&builder, ret_size);
        if (!r && view.item_count == 1)
                note_lone_item(service, response, capacity);
        return r;
}

static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const struct service *service = userdata;
        struct nipc_lookup_request_view view;
        struct nipc_lookup_builder builder;
        int r;

        r = nipc_lookup_request_view_init(&view, service->class_, request->payload,
                                          request->payload_size, NULL);
        if (!r)
                r = nipc_lookup_builder_init(&builder, &view, response, capacity);
        if (NIPC__UNLIKELY(r))
                return r;
        r = service->handler.lookup(service->handler.userdata, &view, &builder);
        if (NIPC__UNLIKELY(r || builder.error))
                return judge(&builder, r);
        r = nipc_lookup_builder_finish(&builder, ret_size);
        if (!r && view.item_count == 1 && request->item_count == 1)
                note_lone_item(service, response, capacity);
        return r;
}

NIPC__EXPORT int nipc_server_new_lookup(const struct nipc_server_config *config,
                                        const struct nipc_lookup_class *class_,
                                        const struct nipc_lookup_handler *handler,
                                        struct nipc_server **ret_server)
{
        struct nipc_handler generic = {
                .size = sizeof(generic),
                .handle = handle,
                .release = free,
        };
        NIPC__FREE struct service *copy = calloc(1, sizeof(*copy));
        struct service *service = copy;
        int r;

        if (!class_ || !ret_server || nipc_lookup_class_check(class_, NULL))
                return -EINVAL;
        if (!copy)
                return -ENOMEM;
        r = nipc__abi_load(&copy->handler, sizeof(copy->handler), handler);
        if (r < 0)
                return r;
        if (!copy->handler.lookup)
                return -EINVAL;
        copy->class_ = class_;
        generic.code = class_->method;
        generic.userdata = copy;
        copy = NULL; /* the server's now, or released by it */
        r = nipc_server_new(config, &generic, ret_server);
        if (r < 0)
                return r;
        service->server = *ret_server;
        (*ret_server)->handle_large = handle_large;
        if ((*ret_server)->split_above < UINT32_MAX)
                (*ret_server)->large_bytes =
                        NIPC_LOOKUP_HEADER_SIZE +
                        (size_t)NIPC__MIN((uint64_t)(*ret_server)->split_above *
                                                  NIPC_LOOKUP_ENTRY_SIZE,
                                          (uint64_t)UINT32_MAX);
        return 0;
}
