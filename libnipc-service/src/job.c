/* SPDX-License-Identifier: MIT */

/*
 * Jobs, as said in job.h. tests/unit/service/test-model-job.c tries every order of these steps; a
 * step there is what happens here from one lock to the next unlock.
 */

#include <errno.h>

#include "job.h"
#include "stdaux.h"

int nipc__jobs_init(struct nipc__jobs *jobs)
{
        nipc__list_init(&jobs->open);
        atomic_init(&jobs->n_open, 0);
        if (pthread_mutex_init(&jobs->lock, NULL))
                return -ENOMEM;
        if (pthread_cond_init(&jobs->finished, NULL)) {
                pthread_mutex_destroy(&jobs->lock);
                return -ENOMEM;
        }
        return 0;
}

void nipc__jobs_deinit(struct nipc__jobs *jobs)
{
        pthread_cond_destroy(&jobs->finished);
        pthread_mutex_destroy(&jobs->lock);
}

/* No part is to be handed out any more. */
static void job_close(struct nipc__jobs *jobs, struct nipc__job *job)
{
        job->next = job->n_parts;
        nipc__list_unlink(&job->link);
        atomic_fetch_sub_explicit(&jobs->n_open, 1, memory_order_relaxed);
}

/* Takes a part of a job that has one. */
static uint32_t job_take(struct nipc__jobs *jobs, struct nipc__job *job)
{
        uint32_t part = job->next++;

        job->n_running++;
        if (job->next == job->n_parts) {
                job_close(jobs, job);
        } else { /* the next helper helps another poster, if there is one */
                nipc__list_unlink(&job->link);
                nipc__list_append(&jobs->open, &job->link);
        }
        return part;
}

/* Gives a part back that was run. The job may be gone as soon as the lock is. */
static void job_return(struct nipc__jobs *jobs, struct nipc__job *job, bool goes_on)
{
        job->n_running--;
        if (!goes_on && job->next < job->n_parts)
                job_close(jobs, job);
        if (!job->n_running && job->next == job->n_parts)
                pthread_cond_broadcast(&jobs->finished);
}

void nipc__jobs_post(struct nipc__jobs *jobs, struct nipc__job *job)
{
        job->next = 0;
        job->n_running = 0;
        pthread_mutex_lock(&jobs->lock);
        nipc__list_append(&jobs->open, &job->link);
        atomic_fetch_add_explicit(&jobs->n_open, 1, memory_order_relaxed);
        pthread_mutex_unlock(&jobs->lock);
}

/* Runs a part of a job that has one; with the lock, but for while it runs. */
static void job_work(struct nipc__jobs *jobs, struct nipc__job *job)
{
        uint32_t part = job_take(jobs, job);
        bool goes_on;

        pthread_mutex_unlock(&jobs->lock);
        goes_on = job->run(job, part);
        pthread_mutex_lock(&jobs->lock);
        job_return(jobs, job, goes_on);
}

void nipc__jobs_finish(struct nipc__jobs *jobs, struct nipc__job *job)
{
        pthread_mutex_lock(&jobs->lock);
        while (job->next < job->n_parts)
                job_work(jobs, job);
        while (job->n_running)
                pthread_cond_wait(&jobs->finished, &jobs->lock);
        pthread_mutex_unlock(&jobs->lock);
}

bool nipc__jobs_help(struct nipc__jobs *jobs)
{
        bool has_job;

        pthread_mutex_lock(&jobs->lock);
        has_job = !nipc__list_is_empty(&jobs->open);
        if (has_job)
                job_work(jobs, NIPC__CONTAINER_OF(jobs->open.next, struct nipc__job, link));
        pthread_mutex_unlock(&jobs->lock);
        return has_job;
}
