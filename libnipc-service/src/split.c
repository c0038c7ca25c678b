/* SPDX-License-Identifier: MIT */

/*
 * When to split, into what, and the memory for it. The two kinds of requests are in split-batch.c
 * and split-lookup.c.
 *
 * Unless the configuration says at how many items, it is decided by time: a part must take much
 * longer than it costs to wake somebody for it. How long items take is learned from one request in
 * TIME_EVERY, and from every one that is split.
 */

#include <errno.h>
#include <stdlib.h>

#include "job.h"
#include "server-private.h"
#include "split.h"
#include "stdaux.h"

/*
 * A wake-up costs tens of microseconds until the other one runs. A part is also for how long a
 * helper's own clients wait. Chosen, not tuned.
 */
#define PART_NS      UINT64_C(100000)
#define MIN_SPLIT_NS (2 * PART_NS)

/* Requests between two that are timed; two looks at the clock are a tenth of a small batch. */
#define TIME_EVERY 16u

/* At least, so that workers who are not equally fast end together; chosen, not tuned. */
#define PARTS_PER_WORKER 4u

/* item_ns counts in these */
#define FRACTION 256u

/* ---- time --------------------------------------------------------------------------------- */

bool nipc__split_times(struct nipc__worker *worker)
{
        struct nipc__split *split = &worker->split;

        if (worker->server->config.split_items)
                return false;
        if (!split->untimed--) {
                split->untimed = TIME_EVERY - 1;
                return true;
        }
        return false;
}

void nipc__split_learn(struct nipc__worker *worker, uint32_t n_items, uint64_t took_ns)
{
        worker->split.item_ns = NIPC__MAX(took_ns * FRACTION / n_items, UINT64_C(1));
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Returns whether so many bytes more are within the limit, and counts them if so. */
static bool claim(struct nipc_server *server, size_t size)
{
        /* Relaxed: it is a count, nothing is published by it. */
        const uint64_t before =
                atomic_fetch_add_explicit(&server->split_bytes, size, memory_order_relaxed);

        if (before + size <= server->config.max_split_bytes)
                return true;
        atomic_fetch_sub_explicit(&server->split_bytes, size, memory_order_relaxed);
        return false;
}

static void release(struct nipc__worker *worker)
{
        struct nipc__split *split = &worker->split;

        free(split->memory);
        atomic_fetch_sub_explicit(&worker->server->split_bytes, split->memory_size,
                                  memory_order_relaxed);
        split->memory = NULL;
        split->memory_size = 0;
}

static bool allocate(struct nipc__worker *worker, size_t size)
{
        struct nipc__split *split = &worker->split;

        if (size <= split->memory_size)
                return true;
        release(worker);
        if (!claim(worker->server, size))
                return false;
        split->memory_size = size;
        split->memory = malloc(size);
        if (split->memory)
                return true;
        release(worker);
        return false;
}

/*
 * Twice what a part has to itself on average: they are not equally long. Only what is written
 * becomes memory.
 */
static bool make_room(struct nipc__worker *worker, size_t capacity)
{
        const size_t table = NIPC__MAX_PARTS * sizeof(struct nipc__part);
        struct nipc__split *split = &worker->split;
        uint32_t i;

        split->part_size = (2 * (capacity / split->n_parts) + 128) & ~(size_t)7;
        if (split->part_size > worker->server->config.max_split_bytes / split->n_parts)
                return false;
        if (!allocate(worker, table + split->part_size * split->n_parts))
                return false;
        split->parts = split->memory;
        split->room = (uint8_t *)split->memory + table;
        for (i = 0; i < split->n_parts; i++)
                split->parts[i] = (struct nipc__part){.result = NIPC__PART_UNDONE};
        /* A part is never shown more room than the response has. */
        split->part_size = NIPC__MIN(split->part_size, capacity);
        return true;
}

/* ---- beginning and end -------------------------------------------------------------------- */

static uint32_t choose_parts(const struct nipc__worker *worker, uint32_t n_items)
{
        const uint64_t took_ns = n_items * worker->split.item_ns / FRACTION;
        uint64_t n;

        n = NIPC__MIN(took_ns / PART_NS, NIPC__MAX_PARTS);
        if (worker->server->config.split_items)
                n = NIPC__MAX(n, (uint64_t)PARTS_PER_WORKER * worker->server->n_workers);
        return (uint32_t)NIPC__MIN(NIPC__MIN(n, NIPC__MAX_PARTS), n_items);
}

static bool is_worth_it(const struct nipc__worker *worker, uint32_t n_items)
{
        const uint32_t split_items = worker->server->config.split_items;

        if (worker->server->n_workers == 1 || n_items < 2)
                return false;
        if (split_items)
                return n_items > split_items;
        return n_items >= NIPC__SPLIT_MIN_ITEMS &&
               n_items * worker->split.item_ns / FRACTION >= MIN_SPLIT_NS;
}

bool nipc__split_begin(struct nipc__worker *worker, uint32_t n_items, size_t capacity)
{
        struct nipc__split *split = &worker->split;

        if (NIPC__LIKELY(!is_worth_it(worker, n_items)))
                return false;
        split->n_items = n_items;
        split->n_parts = choose_parts(worker, n_items);
        return split->n_parts > 1 && make_room(worker, capacity);
}

void nipc__split_end(struct nipc__worker *worker)
{
        if (worker->split.memory_size > NIPC__SPLIT_KEEP_BYTES)
                release(worker);
}

void nipc__split_deinit(struct nipc__worker *worker)
{
        release(worker);
}

/* ---- the job ------------------------------------------------------------------------------ */

/* As many of those who wait for something to do as there are parts besides our own. */
static void wake_idle(struct nipc__worker *worker, uint32_t n_parts)
{
        struct nipc_server *server = worker->server;
        uint32_t i, n = 1;

        for (i = 0; i < server->n_workers && n < n_parts; i++) {
                struct nipc__worker *other = server->workers[i];

                /* Relaxed, as in nipc__worker_turn(): a hint. Who is woken in vain looks. */
                if (other == worker ||
                    !atomic_load_explicit(&other->is_idle, memory_order_relaxed) ||
                    !atomic_exchange_explicit(&other->is_idle, false, memory_order_relaxed))
                        continue;
                nipc_poller_wake(other->poller);
                n++;
        }
}

void nipc__split_run(struct nipc__worker *worker, struct nipc__job *job)
{
        struct nipc_server *server = worker->server;

        job->n_parts = worker->split.n_parts;
        nipc__jobs_post(&server->jobs, job);
        wake_idle(worker, job->n_parts);
        nipc__jobs_finish(&server->jobs, job);
}
