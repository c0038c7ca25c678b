/* SPDX-License-Identifier: MIT */

/*
 * A pool of clients (client-pool.h). One lock guards all of it, and is never held while something
 * is connected or made, nor closed, but for clients that were cancelled.
 *
 * A slot is in exactly one place: `empty` (no client), `idle` (the last one given back first, so
 * that those at the other end grow old), or with a thread. Who takes stands in line; serve() hands
 * out from the head of the line as long as it can, and runs whenever something has changed. So
 * nobody can overtake, and a slot that is handed out is handed to a thread that is still there.
 *
 * In a child by fork() the lock may be that of a thread that is not there, and lists half changed:
 * neither is looked at.
 */

#include <errno.h>
#include <nipc/cancel.h>
#include <nipc/client-pool.h>
#include <nipc/clock.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "abi.h"
#include "client-private.h"
#include "limits.h"
#include "list.h"
#include "stdaux.h"

#define DEFAULT_MAX_CLIENTS 8u
#define MAX_CLIENTS         65536u
#define DEFAULT_MAX_IDLE_MS 60000u

struct slot {
        struct nipc__list link; /* in empty, idle or lent */
        struct nipc_client_pool *pool;
        struct nipc_client *client; /* NULL: empty */
        bool is_lent;
        uint64_t idle_since_ns;
};

/* A thread in take, on its stack. */
struct waiter {
        struct nipc__list link; /* in waiters, until served */
        pthread_cond_t served;
        struct slot *slot; /* of its own from then on */
        int error;         /* instead of a slot */
        bool must_connect; /* and say how that ended with connected() */
};

struct nipc_client_pool {
        struct nipc_client_pool_config config;
        struct nipc_client_config client_config; /* its strings are the two below */
        char *run_dir;
        char *service;
        pthread_condattr_t cond_attr;
        clockid_t cond_clock;
        struct nipc_cancel *made_by; /* never triggered: tells a child that the pool is inherited */

        pthread_mutex_t lock; /* guards what follows */
        struct nipc__list empty;
        struct nipc__list idle;
        struct nipc__list lent;
        struct nipc__list waiters;
        bool is_connecting; /* somebody is */
        bool is_cancelled;
        struct nipc_client_pool_status status;
        struct slot slots[];
};

/* ---- new and free ------------------------------------------------------------------------- */

static int load_config(struct nipc_client_pool_config *c,
                       const struct nipc_client_pool_config *config)
{
        const struct nipc_client_pool_config defaults = NIPC_CLIENT_POOL_CONFIG_INIT;
        int r;

        r = nipc__abi_load(c, sizeof(*c), config ? config : &defaults);
        if (r < 0)
                return r;
        if (!c->max_clients)
                c->max_clients = DEFAULT_MAX_CLIENTS;
        if (!c->max_idle_ms)
                c->max_idle_ms = DEFAULT_MAX_IDLE_MS;
        return c->max_clients <= MAX_CLIENTS && c->min_idle <= c->max_clients ? 0 : -EINVAL;
}

/* Deadlines are monotonic; where condition variables cannot be, they wait by the other clock. */
static int init_locks(struct nipc_client_pool *pool)
{
        if (pthread_condattr_init(&pool->cond_attr))
                return -ENOMEM;
        pool->cond_clock = CLOCK_REALTIME;
        if (pthread_condattr_setclock(&pool->cond_attr, CLOCK_MONOTONIC) == 0)
                pool->cond_clock = CLOCK_MONOTONIC;
        if (pthread_mutex_init(&pool->lock, NULL)) {
                pthread_condattr_destroy(&pool->cond_attr);
                return -ENOMEM;
        }
        return 0;
}

static void init_lists(struct nipc_client_pool *pool)
{
        uint32_t i;

        nipc__list_init(&pool->empty);
        nipc__list_init(&pool->idle);
        nipc__list_init(&pool->lent);
        nipc__list_init(&pool->waiters);
        for (i = 0; i < pool->config.max_clients; i++) {
                nipc__list_init(&pool->slots[i].link);
                pool->slots[i].pool = pool;
                nipc__list_append(&pool->empty, &pool->slots[i].link);
        }
}

/* A client that was made to see if that can be: its config is the pool's. */
static void take_config(struct nipc_client_pool *pool, struct nipc_client *client)
{
        pool->client_config = client->config;
        pool->run_dir = client->run_dir;
        pool->service = client->service;
        client->run_dir = client->service = NULL;
        pool->made_by = client->cancel;
        client->cancel = NULL;
}

static bool is_inherited(const struct nipc_client_pool *pool)
{
        return nipc_cancel_is_inherited(pool->made_by);
}

NIPC__EXPORT int nipc_client_pool_new(const struct nipc_client_config *client_config,
                                      const struct nipc_client_pool_config *pool_config,
                                      struct nipc_client_pool **ret_pool)
{
        struct nipc_client_pool_config c;
        struct nipc_client_pool *pool;
        struct nipc_client *client;
        int r;

        if (!ret_pool)
                return -EINVAL;
        r = load_config(&c, pool_config);
        if (!r)
                r = nipc_client_new(client_config, &client);
        if (r < 0)
                return r;
        pool = calloc(1, sizeof(*pool) + c.max_clients * sizeof(pool->slots[0]));
        r = pool ? init_locks(pool) : -ENOMEM;
        if (!r)
                take_config(pool, client);
        nipc_client_free(client);
        if (r < 0) {
                free(pool);
                return r;
        }
        pool->config = c;
        init_lists(pool);
        *ret_pool = pool;
        return 0;
}

NIPC__EXPORT struct nipc_client_pool *nipc_client_pool_free(struct nipc_client_pool *pool)
{
        bool inherited;
        uint32_t i;

        if (!pool)
                return NULL;
        inherited = is_inherited(pool);
        for (i = 0; i < pool->config.max_clients; i++)
                if (!inherited || !pool->slots[i].is_lent) /* a thread may have been at it */
                        nipc_client_free(pool->slots[i].client);
        free(pool->service);
        free(pool->run_dir);
        nipc_cancel_free(pool->made_by);
        if (!inherited) {
                pthread_mutex_destroy(&pool->lock);
                pthread_condattr_destroy(&pool->cond_attr);
        }
        free(pool);
        return NULL;
}

/* ---- under the lock ----------------------------------------------------------------------- */

static struct slot *first_slot(const struct nipc__list *list)
{
        return nipc__list_is_empty(list) ? NULL : NIPC__CONTAINER_OF(list->next, struct slot, link);
}

static void slot_move(struct slot *slot, struct nipc__list *to)
{
        nipc__list_unlink(&slot->link);
        nipc__list_append(to, &slot->link);
}

static void answer(struct waiter *waiter, struct slot *slot, int error)
{
        nipc__list_unlink(&waiter->link);
        waiter->slot = slot;
        waiter->error = error;
        pthread_cond_signal(&waiter->served);
}

/* The ready one that was given back last; one look but after a failure. */
static struct slot *find_ready(const struct nipc_client_pool *pool)
{
        struct nipc__list *link;
        struct slot *slot;

        for (link = pool->idle.next; link != &pool->idle; link = link->next) {
                slot = NIPC__CONTAINER_OF(link, struct slot, link);
                if (nipc_client_is_ready(slot->client))
                        return slot;
        }
        return NULL;
}

static void lend(struct nipc_client_pool *pool, struct slot *slot, struct waiter *waiter)
{
        if (slot->client)
                pool->status.n_idle--;
        pool->status.n_in_use++;
        pool->status.n_taken += !waiter->must_connect; /* or when that has ended */
        slot->is_lent = true;
        slot_move(slot, &pool->lent);
        answer(waiter, slot, 0);
}

/* Hands out what there is, from the head of the line. */
static void serve(struct nipc_client_pool *pool)
{
        struct waiter *waiter;
        struct slot *slot;

        while (!nipc__list_is_empty(&pool->waiters)) {
                waiter = NIPC__CONTAINER_OF(pool->waiters.next, struct waiter, link);
                slot = find_ready(pool);
                waiter->must_connect = !slot;
                if (!slot && !pool->is_connecting) {
                        slot = first_slot(&pool->idle);
                        if (!slot)
                                slot = first_slot(&pool->empty);
                        pool->is_connecting = slot != NULL;
                }
                if (!slot)
                        return;
                lend(pool, slot, waiter);
        }
}

static void fail_waiters(struct nipc_client_pool *pool, int error)
{
        while (!nipc__list_is_empty(&pool->waiters))
                answer(NIPC__CONTAINER_OF(pool->waiters.next, struct waiter, link), NULL, error);
}

/* A slot comes back from a thread, without a client if it has lost it. */
static void put_back(struct nipc_client_pool *pool, struct slot *slot)
{
        pool->status.n_in_use--;
        slot->is_lent = false;
        nipc__list_unlink(&slot->link);
        if (!slot->client) {
                nipc__list_append(&pool->empty, &slot->link);
                return;
        }
        /* Nobody triggers it any more: that is done under this lock, to clients that are lent. */
        nipc_client_reset_cancel(slot->client);
        slot->idle_since_ns = nipc_clock_now_ns();
        pool->status.n_idle++;
        nipc__list_append(pool->idle.next, &slot->link); /* that is, in front */
}

/* Takes out one client that has been idle for too long. Returns it, or NULL. */
static struct nipc_client *take_old(struct nipc_client_pool *pool)
{
        struct nipc_client *client;
        struct slot *slot;

        if (nipc__list_is_empty(&pool->idle) || pool->status.n_idle <= pool->config.min_idle)
                return NULL;
        slot = NIPC__CONTAINER_OF(pool->idle.prev, struct slot, link);
        if (nipc_clock_now_ns() - slot->idle_since_ns <
            UINT64_C(1000000) * pool->config.max_idle_ms)
                return NULL;
        client = slot->client;
        slot->client = NULL;
        pool->status.n_idle--;
        pool->status.n_closed++;
        slot_move(slot, &pool->empty);
        return client;
}

/* ---- take --------------------------------------------------------------------------------- */

/* Waits until served, or for as long as the deadline says. With the lock. */
static void wait_served(struct nipc_client_pool *pool, struct waiter *waiter, uint64_t deadline_ns)
{
        struct timespec until;
        uint64_t now_ns, left_ns;

        while (!nipc__list_is_empty(&waiter->link)) {
                now_ns = nipc_clock_now_ns();
                if (now_ns >= deadline_ns) {
                        pool->status.n_timeouts++;
                        answer(waiter, NULL, -ETIMEDOUT);
                        return;
                }
                left_ns = deadline_ns - now_ns;
                clock_gettime(pool->cond_clock, &until);
                left_ns += (uint64_t)until.tv_nsec;
                until.tv_sec += (time_t)(left_ns / 1000000000u);
                until.tv_nsec = (long)(left_ns % 1000000000u);
                pool->status.n_waiting++;
                pthread_cond_timedwait(&waiter->served, &pool->lock, &until);
                pool->status.n_waiting--;
        }
}

/* What a client that could not be connected means to who takes. */
static int error_of(const struct nipc_client *client)
{
        switch (nipc_client_get_state(client)) {
        case NIPC_CLIENT_STATE_AUTH_FAILED:
                return -EACCES;
        case NIPC_CLIENT_STATE_INCOMPATIBLE:
                return -EPROTONOSUPPORT;
        default:
                break;
        }
        switch (client->failure.error) {
        case -ETIMEDOUT:
        case -ECANCELED:
        case -ENOMEM:
        case -EMFILE:
        case -ENFILE:
                return client->failure.error;
        default:
                return -ENOTCONN;
        }
}

/* Whether all who wait would hear the same; what only this one lacked they may have. */
static bool is_for_all(int error)
{
        return error == -ENOTCONN || error == -EACCES || error == -EPROTONOSUPPORT;
}

/* Makes a client for an empty slot. Returns 0, or what nipc_client_new() says. */
static int fill_slot(struct nipc_client_pool *pool, struct slot *slot)
{
        struct nipc_client *client;
        int r;

        r = nipc_client_new(&pool->client_config, &client);
        if (r < 0)
                return r;
        client->pool_slot = slot;
        pthread_mutex_lock(&pool->lock);
        slot->client = client;
        pool->status.n_created++;
        r = pool->is_cancelled ? -ECANCELED : 0; /* before there was what could be cancelled */
        pthread_mutex_unlock(&pool->lock);
        return r;
}

/* Says how connecting ended. Returns a client to be freed: one whose state is final. */
static struct nipc_client *connected(struct nipc_client_pool *pool, struct slot *slot, int error)
{
        struct nipc_client *final = NULL;

        pthread_mutex_lock(&pool->lock);
        pool->is_connecting = false;
        pool->status.n_taken += !error;
        if (error) {
                pool->status.n_timeouts += error == -ETIMEDOUT;
                pool->status.n_failures++;
                if (error == -EACCES || error == -EPROTONOSUPPORT) {
                        final = slot->client;
                        slot->client = NULL;
                        pool->status.n_closed++;
                }
                put_back(pool, slot);
                if (is_for_all(error))
                        fail_waiters(pool, error);
        }
        serve(pool);
        pthread_mutex_unlock(&pool->lock);
        return final;
}

static int connect_slot(struct nipc_client_pool *pool, struct slot *slot, uint64_t deadline_ns)
{
        int r = 0;

        if (!slot->client)
                r = fill_slot(pool, slot);
        if (!r) {
                nipc__client_refresh_until(slot->client, deadline_ns);
                if (!nipc_client_is_ready(slot->client))
                        r = error_of(slot->client);
        }
        nipc_client_free(connected(pool, slot, r));
        return r;
}

/* Stands in line. Returns 0 with a slot. */
static int stand_in_line(struct nipc_client_pool *pool, struct waiter *waiter, uint64_t deadline_ns)
{
        nipc__list_append(&pool->waiters, &waiter->link);
        serve(pool);
        wait_served(pool, waiter, deadline_ns);
        if (waiter->error)
                return waiter->error;
        pool->status.n_connects += waiter->must_connect;
        return 0;
}

NIPC__EXPORT int nipc_client_pool_take(struct nipc_client_pool *pool, uint32_t timeout_ms,
                                       struct nipc_client **ret_client)
{
        struct waiter waiter = {0};
        uint64_t deadline_ns;
        int r;

        if (!pool || !ret_client)
                return -EINVAL;
        if (is_inherited(pool))
                return -ECHILD;
        deadline_ns =
                nipc_deadline_after_ms(timeout_ms ? timeout_ms : pool->client_config.timeout_ms);
        nipc__list_init(&waiter.link);
        if (pthread_cond_init(&waiter.served, &pool->cond_attr))
                return -ENOMEM;
        pthread_mutex_lock(&pool->lock);
        r = pool->is_cancelled ? -ECANCELED : stand_in_line(pool, &waiter, deadline_ns);
        pthread_mutex_unlock(&pool->lock);
        pthread_cond_destroy(&waiter.served);
        if (!r && waiter.must_connect)
                r = connect_slot(pool, waiter.slot, deadline_ns);
        nipc_client_pool_trim(pool);
        if (r < 0)
                return r;
        *ret_client = waiter.slot->client;
        return 0;
}

/* ---- the rest ----------------------------------------------------------------------------- */

NIPC__EXPORT void nipc_client_pool_give(struct nipc_client_pool *pool, struct nipc_client *client)
{
        struct slot *slot;

        if (!pool || !client || is_inherited(pool))
                return;
        slot = client->pool_slot;
        if (!slot || slot->pool != pool)
                return;
        pthread_mutex_lock(&pool->lock);
        if (slot->is_lent) { /* or it was given back already */
                put_back(pool, slot);
                serve(pool);
        }
        pthread_mutex_unlock(&pool->lock);
        nipc_client_pool_trim(pool);
}

NIPC__EXPORT void nipc_client_pool_trim(struct nipc_client_pool *pool)
{
        struct nipc_client *client;

        if (!pool || is_inherited(pool))
                return;
        do {
                pthread_mutex_lock(&pool->lock);
                client = take_old(pool);
                pthread_mutex_unlock(&pool->lock);
                nipc_client_free(client);
        } while (client);
}

NIPC__EXPORT void nipc_client_pool_cancel(struct nipc_client_pool *pool)
{
        struct nipc__list *link;

        if (!pool || is_inherited(pool))
                return;
        pthread_mutex_lock(&pool->lock);
        pool->is_cancelled = true;
        fail_waiters(pool, -ECANCELED);
        for (link = pool->lent.next; link != &pool->lent; link = link->next)
                nipc_client_cancel(NIPC__CONTAINER_OF(link, struct slot, link)->client);
        pthread_mutex_unlock(&pool->lock);
}

NIPC__EXPORT void nipc_client_pool_reset_cancel(struct nipc_client_pool *pool)
{
        if (!pool || is_inherited(pool))
                return;
        pthread_mutex_lock(&pool->lock);
        pool->is_cancelled = false;
        pthread_mutex_unlock(&pool->lock);
}

NIPC__EXPORT int nipc_client_pool_get_status(struct nipc_client_pool *pool,
                                             struct nipc_client_pool_status *ret_status)
{
        struct nipc_client_pool_status status;

        if (!pool)
                return -EINVAL;
        if (is_inherited(pool))
                return -ECHILD;
        pthread_mutex_lock(&pool->lock);
        status = pool->status;
        pthread_mutex_unlock(&pool->lock);
        return nipc__abi_store(ret_status, &status, sizeof(status));
}
