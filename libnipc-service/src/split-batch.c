/* SPDX-License-Identifier: MIT */

/*
 * A batch in parts. Each becomes a batch payload of its own; to put them together is to move the
 * items as one block behind those before, at a multiple of 8, and to add where that is to the
 * offsets of its directory. This gives the bytes of one builder, which begins every item at a
 * multiple of 8, too.
 */

#include <errno.h>

#include "batch-fast.h"
#include "job.h"
#include "server-private.h"
#include "split.h"
#include "stdaux.h"

/* One request in hand; of it, parts write nothing but their own struct nipc__part and room. */
struct batch {
        struct nipc__job job;
        const struct nipc_handler *handler;
        const struct nipc_request *request;
        const struct nipc_batch_view *view;
        const struct nipc__split *split;
        uint64_t part_ns; /* what the first part took */
};

static bool batch_run(struct nipc__job *job, uint32_t index)
{
        struct batch *batch = NIPC__CONTAINER_OF(job, struct batch, job);
        const struct nipc__split *split = batch->split;
        struct nipc__part *part = &split->parts[index];
        const uint32_t first = nipc__split_first(split, index);
        const uint32_t end = nipc__split_first(split, index + 1);
        const uint64_t start_ns = index ? 0 : nipc_clock_now_ns();
        struct nipc_request request = *batch->request;
        struct nipc_batch_builder builder;
        int r;

        r = nipc_batch_builder_init(&builder,
                                    split->room + (size_t)index * nipc_align8(split->part_size),
                                    split->part_size, end - first);
        if (!r)
                r = nipc__handle_items(batch->handler, &request, batch->view, first, end, &builder);
        part->size = builder.end;
        /* An item that takes all there is would take more of the response. */
        part->result = !r && nipc__batch_builder_packed(&builder) + builder.end ==
                                               builder.buf + builder.size
                               ? NIPC__PART_UNDONE
                               : r;
        if (!index)
                batch->part_ns = nipc_clock_now_ns() - start_ns;
        return !r || NIPC__IS_OVERFLOW(r); /* what does not fit a part may fit all the same */
}

/* Puts a part behind those before it. Returns 0 or OVERFLOW, when one builder had said it, too. */
static int append(struct nipc_batch_builder *builder, const uint8_t *payload, size_t packed_size,
                  uint32_t n_items)
{
        uint8_t *entry = builder->buf + (size_t)builder->n_items * NIPC_BATCH_ENTRY_SIZE;
        const size_t directory = (size_t)n_items * NIPC_BATCH_ENTRY_SIZE;
        uint64_t start;
        size_t capacity, at;
        int r;

        r = nipc__batch_builder_next(builder, &start, &capacity);
        if (r)
                return r;
        if (packed_size > capacity)
                return nipc__batch_builder_fail(builder, NIPC_PROTO_E_OVERFLOW);
        memset(nipc__batch_builder_packed(builder) + builder->end, 0, (size_t)start - builder->end);
        memcpy(nipc__batch_builder_packed(builder) + start, payload + directory, packed_size);
        memcpy(entry, payload, directory);
        for (at = NIPC__BATCH_ENTRY_OFFSET; at < directory; at += NIPC_BATCH_ENTRY_SIZE)
                nipc_store_u32(entry + at, (uint32_t)start + nipc_load_u32(payload + at));
        builder->end = (size_t)start + packed_size;
        builder->n_items += n_items;
        return 0;
}

static int assemble(struct batch *batch, void *response, size_t capacity, size_t *ret_size)
{
        const struct nipc__split *split = batch->split;
        struct nipc_request request = *batch->request;
        struct nipc_batch_builder builder;
        uint32_t i, first, end;
        int r;

        r = nipc_batch_builder_init(&builder, response, capacity, split->n_items);
        for (i = 0; !r && i < split->n_parts; i++) {
                first = nipc__split_first(split, i);
                end = nipc__split_first(split, i + 1);
                if (NIPC__IS_OVERFLOW(split->parts[i].result))
                        r = nipc__handle_items(batch->handler, &request, batch->view, first, end,
                                               &builder);
                else if (split->parts[i].result)
                        r = split->parts[i].result;
                else
                        r = append(&builder,
                                   split->room + (size_t)i * nipc_align8(split->part_size),
                                   split->parts[i].size, end - first);
        }
        return r ? r : nipc_batch_builder_finish(&builder, ret_size);
}

int nipc__split_batch(struct nipc__worker *worker, const struct nipc_request *request,
                      const struct nipc_batch_view *view, void *response, size_t capacity,
                      size_t *ret_size)
{
        struct batch batch = {
                .job = {.run = batch_run},
                .handler = &worker->server->handler,
                .request = request,
                .view = view,
                .split = &worker->split,
        };
        int r;

        nipc__split_run(worker, &batch.job);
        nipc__split_learn(worker, nipc__split_first(&worker->split, 1), batch.part_ns);
        r = assemble(&batch, response, capacity, ret_size);
        nipc__split_end(worker);
        return r;
}
