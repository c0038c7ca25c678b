/* SPDX-License-Identifier: MIT */

/*
 * Jobs and their parts, with threads: each part is run once, the poster finds what was written, and
 * everybody comes back. Every order of the steps is the business of test-model-job.
 */

#include <sched.h>
#include <string.h>

#include "job.h"
#include "stdaux.h"
#include "tap.h"

#define N_PARTS 50u
#define N_JOBS  300u

struct sum {
        struct nipc__job job;
        unsigned n_run[N_PARTS]; /* plain: the lock must do */
        uint32_t stop_at;
};

static bool add(struct nipc__job *job, uint32_t part)
{
        struct sum *sum = NIPC__CONTAINER_OF(job, struct sum, job);

        sum->n_run[part]++;
        return part != sum->stop_at;
}

static struct nipc__jobs jobs;
static atomic_bool is_over;

static void run_job(uint32_t n_parts, uint32_t stop_at)
{
        struct sum sum = {.job = {.run = add, .n_parts = n_parts}, .stop_at = stop_at};
        uint32_t i;

        nipc__jobs_post(&jobs, &sum.job);
        nipc__jobs_finish(&jobs, &sum.job);
        for (i = 0; i < n_parts && i <= stop_at; i++)
                tap_eq_uint(sum.n_run[i], 1);
        for (; i < n_parts; i++) /* handed out before the stop was known, or never */
                tap_check(sum.n_run[i] <= 1);
        memset(&sum, 0xff, sizeof(sum)); /* whoever still looks at it will fall */
}

static void *post_many(void *userdata)
{
        unsigned i;

        for (i = 0; i < N_JOBS; i++)
                run_job(1 + i % N_PARTS, i % 5 ? UINT32_MAX : i % 17);
        return NULL;
}

static void *help(void *userdata)
{
        while (!atomic_load(&is_over))
                if (!nipc__jobs_help(&jobs))
                        sched_yield();
        return NULL;
}

static void test_alone(void)
{
        tap_require(nipc__jobs_init(&jobs) == 0);
        tap_check(!nipc__jobs_help(&jobs));
        run_job(1, UINT32_MAX);
        run_job(N_PARTS, UINT32_MAX);
        run_job(N_PARTS, 0);
        run_job(N_PARTS, 7);
        tap_check(!nipc__jobs_has_open(&jobs));
        nipc__jobs_deinit(&jobs);
}

/* Posters are helpers, too, of each other. */
static void test_side_by_side(void)
{
        pthread_t posters[3], helpers[3];
        unsigned i;

        tap_require(nipc__jobs_init(&jobs) == 0);
        atomic_store(&is_over, false);
        for (i = 0; i < 3; i++) {
                tap_require(pthread_create(&posters[i], NULL, post_many, NULL) == 0);
                tap_require(pthread_create(&helpers[i], NULL, help, NULL) == 0);
        }
        for (i = 0; i < 3; i++)
                pthread_join(posters[i], NULL);
        atomic_store(&is_over, true);
        for (i = 0; i < 3; i++)
                pthread_join(helpers[i], NULL);
        tap_check(!nipc__jobs_has_open(&jobs));
        nipc__jobs_deinit(&jobs);
}

static bool check_order(struct nipc__job *job, uint32_t part)
{
        struct sum *sum = NIPC__CONTAINER_OF(job, struct sum, job);

        tap_check(!part || sum->n_run[part - 1]);
        sum->n_run[part]++;
        return true;
}

/* Parts are handed out from the first to the last, to helpers in turn from each open job. */
static void test_order(void)
{
        struct sum a = {.job = {.run = check_order, .n_parts = 3}};
        struct sum b = {.job = {.run = check_order, .n_parts = 3}};

        tap_require(nipc__jobs_init(&jobs) == 0);
        nipc__jobs_post(&jobs, &a.job);
        nipc__jobs_post(&jobs, &b.job);
        tap_check(nipc__jobs_help(&jobs));
        tap_check(nipc__jobs_help(&jobs));
        tap_eq_uint(a.n_run[0], 1);
        tap_eq_uint(b.n_run[0], 1);
        nipc__jobs_finish(&jobs, &b.job);
        tap_eq_uint(a.n_run[1], 0);
        tap_check(nipc__jobs_help(&jobs));
        tap_check(nipc__jobs_help(&jobs));
        tap_check(!nipc__jobs_help(&jobs));
        nipc__jobs_finish(&jobs, &a.job);
        tap_eq_uint(a.n_run[2], 1);
        nipc__jobs_deinit(&jobs);
}

TAP_MAIN(TAP_CASE(test_alone), TAP_CASE(test_order), TAP_CASE(test_side_by_side))
