/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Work of one worker that others may help with: a job is a number of parts, each of which is run
 * once, by whoever takes it. The one who posts a job works on it like the rest, so that it ends
 * even when nobody helps, and waits for nothing but parts that are being run: workers who all post
 * at once cannot wait for each other.
 *
 * Parts are handed out in order, under a lock: they are meant to be much longer than that takes.
 * What the poster wrote before is seen by those who run parts, and what they wrote by the poster
 * afterwards, through the same lock.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"

/* Lives from post to the end of finish, where the poster likes. */
struct nipc__job {
        struct nipc__list link; /* in nipc__jobs.open as long as there are parts to hand out */
        /* Runs one part. Returns false when parts that were not handed out need not be run. */
        bool (*run)(struct nipc__job *job, uint32_t part);
        uint32_t n_parts; /* 1 or more */
        uint32_t next;    /* the part to be handed out; this and below: under the lock */
        uint32_t n_running;
};

struct nipc__jobs {
        pthread_mutex_t lock;
        pthread_cond_t finished; /* the last running part of a job that is not open any more */
        struct nipc__list open;
        _Atomic uint32_t n_open; /* a hint to whoever has no lock, so relaxed */
};

/* Returns 0 or -ENOMEM. */
int nipc__jobs_init(struct nipc__jobs *jobs);

/* No job may be left. */
void nipc__jobs_deinit(struct nipc__jobs *jobs);

/* Lets others help. job: run and n_parts are set. */
void nipc__jobs_post(struct nipc__jobs *jobs, struct nipc__job *job);

/* Runs what is left of a posted job, and waits for the parts that others run. */
void nipc__jobs_finish(struct nipc__jobs *jobs, struct nipc__job *job);

/* Runs one part of some job. Returns false when there was none. */
bool nipc__jobs_help(struct nipc__jobs *jobs);

static inline bool nipc__jobs_has_open(const struct nipc__jobs *jobs)
{
        /* Relaxed, pairs with nothing: nipc__jobs_help() looks again under the lock. */
        return atomic_load_explicit(&jobs->n_open, memory_order_relaxed) != 0;
}
