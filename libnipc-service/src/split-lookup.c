/* SPDX-License-Identifier: MIT */

/*
 * A lookup in parts: each is a request of its own for some of the keys, over the same bytes, with a
 * builder of its own. The items are then given one by one to the builder of the response, which
 * alone decides what fits (codecs §7); nothing that a part's builder said about its own room is
 * taken over.
 */

#include <errno.h>
#include <nipc/lookup.h>

#include "job.h"
#include "lookup-fast.h"
#include "server-private.h"
#include "split.h"
#include "stdaux.h"

/* One request in hand; of it, parts write nothing but their own struct nipc__part and room. */
struct lookup {
        struct nipc__job job;
        const struct nipc_lookup_handler *handler;
        const struct nipc_lookup_request_view *request;
        const struct nipc__split *split;
        uint64_t part_ns; /* what the first part took */
};

/* The keys of one part as a request. */
static struct nipc_lookup_request_view part_request(const struct lookup *lookup, uint32_t index)
{
        struct nipc_lookup_request_view part = *lookup->request;
        const uint32_t first = nipc__split_first(lookup->split, index);
        size_t key_size;
        uint32_t i;

        part.directory += (size_t)first * NIPC_LOOKUP_ENTRY_SIZE;
        part.item_count = nipc__split_first(lookup->split, index + 1) - first;
        part.placeholder_bytes = 0;
        for (i = 0; i < part.item_count; i++) {
                (void)nipc_lookup_request_view_get(&part, i, &key_size);
                part.placeholder_bytes +=
                        nipc_align8(nipc__lookup_placeholder_size(part.class_, key_size));
        }
        return part;
}

/* The items of a part's payload, where they are. */
static struct nipc_lookup_view part_items(const struct lookup *lookup, uint32_t index)
{
        const uint32_t n = nipc__split_first(lookup->split, index + 1) -
                           nipc__split_first(lookup->split, index);
        const uint8_t *payload =
                lookup->split->room + (size_t)index * nipc_align8(lookup->split->part_size);

        return (struct nipc_lookup_view){
                .class_ = lookup->request->class_,
                .directory = payload + NIPC_LOOKUP_HEADER_SIZE,
                .packed = payload + NIPC_LOOKUP_HEADER_SIZE + (size_t)n * NIPC_LOOKUP_ENTRY_SIZE,
                .item_count = n,
        };
}

/*
 * Whether a part is as it would be with all the room there is. The first item that is oversized may
 * be so for want of room: no more is known of it.
 */
static bool is_clean(const struct lookup *lookup, uint32_t index,
                     const struct nipc_lookup_builder *builder)
{
        const struct nipc_lookup_view view = part_items(lookup, index);

        if (builder->error || builder->is_exceeded || builder->n_items != view.item_count)
                return false;
        return nipc_lookup_item_get_status(nipc_lookup_view_get(&view, 0)) !=
               view.class_->status_oversized;
}

static bool lookup_run(struct nipc__job *job, uint32_t index)
{
        struct lookup *lookup = NIPC__CONTAINER_OF(job, struct lookup, job);
        const struct nipc__split *split = lookup->split;
        struct nipc__part *part = &split->parts[index];
        const uint64_t start_ns = index ? 0 : nipc_clock_now_ns();
        const struct nipc_lookup_request_view request = part_request(lookup, index);
        struct nipc_lookup_builder builder;
        int r;

        r = nipc_lookup_builder_init(&builder, &request,
                                     split->room + (size_t)index * nipc_align8(split->part_size),
                                     split->part_size);
        if (!r)
                r = lookup->handler->lookup(lookup->handler->userdata, &request, &builder);
        part->generation = builder.generation;
        part->result =
                is_clean(lookup, index, &builder) || (r && !builder.error) ? r : NIPC__PART_UNDONE;
        if (!index)
                lookup->part_ns = nipc_clock_now_ns() - start_ns;
        return !part->result || NIPC__IS_OVERFLOW(part->result);
}

/* Returns 0, what the handler says, or BAD_ITEM_COUNT; the builder knows its own errors. */
static int append_again(const struct lookup *lookup, uint32_t index,
                        struct nipc_lookup_builder *builder)
{
        const struct nipc_lookup_request_view request = part_request(lookup, index);
        const uint32_t end = builder->n_items + request.item_count;
        int r;

        r = lookup->handler->lookup(lookup->handler->userdata, &request, builder);
        if (r || builder->error)
                return r ? r : builder->error;
        return builder->n_items == end ? 0 : NIPC_PROTO_E_BAD_ITEM_COUNT;
}

static int append(const struct lookup *lookup, uint32_t index, struct nipc_lookup_builder *builder)
{
        const struct nipc_lookup_view view = part_items(lookup, index);
        uint32_t i;
        int r = 0;

        for (i = 0; !r && i < view.item_count; i++)
                r = nipc_lookup_builder_add_item(builder, nipc_lookup_view_get(&view, i));
        return r;
}

static int assemble(const struct lookup *lookup, struct nipc_lookup_builder *builder)
{
        const struct nipc__part *parts = lookup->split->parts;
        uint64_t generation = 0;
        bool is_known = false;
        uint32_t i;
        int r = 0;

        for (i = 0; !r && i < lookup->split->n_parts; i++) {
                if (NIPC__IS_OVERFLOW(parts[i].result)) {
                        builder->generation = 0; /* for this part to say */
                        r = append_again(lookup, i, builder);
                } else if (parts[i].result) {
                        r = parts[i].result;
                } else {
                        builder->generation = parts[i].generation;
                        r = append(lookup, i, builder);
                }
                if (!r && is_known && builder->generation != generation)
                        return -ESTALE;
                generation = builder->generation;
                is_known = true;
        }
        return r;
}

int nipc__split_lookup(struct nipc__worker *worker, const struct nipc_lookup_handler *handler,
                       const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder)
{
        struct lookup lookup = {
                .job = {.run = lookup_run},
                .handler = handler,
                .request = request,
                .split = &worker->split,
        };
        int r;

        nipc__split_run(worker, &lookup.job);
        nipc__split_learn(worker, nipc__split_first(&worker->split, 1), lookup.part_ns);
        r = assemble(&lookup, builder);
        nipc__split_end(worker);
        return r;
}
