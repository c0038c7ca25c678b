/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Large batches and lookups, handled in contiguous parts by several workers (job.h), and answered
 * as if one had done it: byte for byte, as long as the handler is a function of the item.
 *
 * Parts are built into memory of their own and then put together in order by the worker that owns
 * the request. A part for which that memory was too small, or that did not come out clean in
 * another way, is handled once more in its place, where what happens is the truth.
 */

#include <nipc/lookup.h>
#include <nipc/server.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Finer than that gains nothing, and each has room of its own; chosen, not tuned. */
#define NIPC__MAX_PARTS 256u

/* What a handler says when the response does not fit. */
#define NIPC__IS_OVERFLOW(r) ((r) == NIPC_PROTO_E_OVERFLOW || (r) == -EMSGSIZE)

struct nipc__worker;

/* What came of a part. */
struct nipc__part {
        size_t size;         /* bytes that were built */
        uint64_t generation; /* of a lookup */
        int result;          /* as of a handler; NIPC__PART_UNDONE: handle it in its place */
};

#define NIPC__PART_UNDONE NIPC_PROTO_E_OVERFLOW

/* Of each worker, for its own requests. Zero is a good start; deinit releases it. */
struct nipc__split {
        void *memory; /* the parts, then the room of each */
        size_t memory_size;
        struct nipc__part *parts;
        uint8_t *room;
        size_t part_size;
        uint32_t n_items;
        uint32_t n_parts;
        uint64_t item_ns;     /* what an item took lately, times 256; 0: not known */
        uint32_t untimed;     /* requests until the next one that is timed */
        uint32_t lookup_skip; /* lookups not to split: generations differed under earlier ones */
        uint32_t lookup_skip_next;
};

static inline uint32_t nipc__split_first(const struct nipc__split *split, uint32_t part)
{
        return (uint32_t)((uint64_t)split->n_items * part / split->n_parts);
}

/* Requests of fewer items are not worth a look at the clock; chosen, not tuned. */
#define NIPC__SPLIT_MIN_ITEMS 64u

/* Memory that a worker keeps for the next time; chosen, not tuned. */
#define NIPC__SPLIT_KEEP_BYTES (4u * 1024 * 1024)

/*
 * Whether a request of n_items shall be split; if so the parts and their memory are there. The
 * answer is at most `capacity` bytes.
 */
bool nipc__split_begin(struct nipc__worker *worker, uint32_t n_items, size_t capacity);

/* After the parts were put together: gives memory back that is too large to keep. */
void nipc__split_end(struct nipc__worker *worker);

/* Memory and all, at the worker's end. */
void nipc__split_deinit(struct nipc__worker *worker);

/*
 * For requests that are not split: whether this one shall be timed; and what it took, so that it is
 * known whether requests of so many items are worth splitting.
 */
bool nipc__split_times(struct nipc__worker *worker);
void nipc__split_learn(struct nipc__worker *worker, uint32_t n_items, uint64_t took_ns);

/* Posts a job of split->n_parts parts, wakes who is idle, and comes back when it is done. */
struct nipc__job;
void nipc__split_run(struct nipc__worker *worker, struct nipc__job *job);

/* A batch, after nipc__split_begin(). Returns as a handler. */
struct nipc_batch_view;
int nipc__split_batch(struct nipc__worker *worker, const struct nipc_request *request,
                      const struct nipc_batch_view *view, void *response, size_t capacity,
                      size_t *ret_size);

/*
 * A lookup, after nipc__split_begin(): the items of `request` into `builder`, in which there is
 * nothing yet. Returns as the handler, whose results it judges in the same way as one that did it
 * alone; or -ESTALE when parts have different generations: then start again with an empty builder,
 * alone.
 */
int nipc__split_lookup(struct nipc__worker *worker, const struct nipc_lookup_handler *handler,
                       const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder);
