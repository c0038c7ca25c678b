/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clients of one service for callers with many threads: a bounded number of them, made when they
 * are needed, lent to one thread at a time, and closed when they were not needed for a while. It
 * has no thread and makes no calls; a client that was taken is used as <nipc/client.h> says.
 *
 * How to use:
 *
 *      struct nipc_client_pool_config config = NIPC_CLIENT_POOL_CONFIG_INIT;
 *      r = nipc_client_pool_new(&client_config, &config, &pool);   // connects nothing
 *      ...
 *      r = nipc_client_pool_take(pool, 1000, &client);             // in any thread
 *      if (!r) {
 *              r = nipc_client_increment(client, 41, 0, &value);
 *              nipc_client_pool_give(pool, client);                // whatever became of it
 *      }
 *      ...
 *      pool = nipc_client_pool_free(pool);
 *
 * Who takes gets a client that is READY. One that came back in another state is connected anew
 * before it is lent again, by the thread that takes it. One thread connects at a time: after a
 * restart of the provider, or while it is away, the others wait for how that ends; they need no
 * connection of their own when a ready client comes back meanwhile, and when the attempt fails they
 * fail with it. Who waits is served in the order of coming.
 *
 * Threading: all functions but new and free from any thread, side by side. None is safe in signal
 * handlers. The clients' log is told by whichever thread takes one or calls.
 *
 * fork: a pool stays its maker's. In a child take and get_status return -ECHILD, free closes the
 * child's descriptors of clients that were not lent, and the others do nothing. A client that was
 * lent to the thread that forked can be freed in the child; those of other threads stay until the
 * child runs another program or ends.
 */

#include <nipc/client.h>
#include <nipc/init.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_client_pool;

struct nipc_client_pool_config {
        size_t size;          /* use NIPC_CLIENT_POOL_CONFIG_INIT */
        uint32_t max_clients; /* at one time, lent and idle, up to 65536; 0: 8 */
        uint32_t min_idle;    /* so many stay, once made, however idle; up to max_clients */
        uint32_t max_idle_ms; /* others are closed when idle for so long; 0: 60000 */
};

#define NIPC_CLIENT_POOL_CONFIG_INIT NIPC_INIT(struct nipc_client_pool_config)

/*
 * Makes a pool; no I/O. client_config: of its clients, copied, strings too. pool_config: NULL for
 * all defaults. ret_pool: owned, release with nipc_client_pool_free().
 * Returns 0, -EINVAL, -ENAMETOOLONG, -E2BIG, -ENOMEM, -EMFILE, -ENFILE: what is wrong with the
 * client's config is told here. Since: 0.1
 */
int nipc_client_pool_new(const struct nipc_client_config *client_config,
                         const struct nipc_client_pool_config *pool_config,
                         struct nipc_client_pool **ret_pool);

/*
 * Closes all clients. They must have been given back, and no thread may be inside a call. Takes
 * NULL. Never blocks. Returns NULL. Since: 0.1
 */
struct nipc_client_pool *nipc_client_pool_free(struct nipc_client_pool *pool);

/*
 * Lends a client that is READY. Blocks until there is one, timeout_ms (0: the timeout of the
 * client's config) at most, connecting included. ret_client: the caller's until given back; never
 * free it.
 * Returns 0; -ETIMEDOUT (all were in use, or connecting took too long); -ECANCELED (see cancel);
 * -ENOTCONN (no provider, or it ended the connection: take again later), -EACCES,
 * -EPROTONOSUPPORT (as the states AUTH_FAILED and INCOMPATIBLE); -EINVAL; -ECHILD; -ENOMEM,
 * -EMFILE, -ENFILE. Since: 0.1
 */
int nipc_client_pool_take(struct nipc_client_pool *pool, uint32_t timeout_ms,
                          struct nipc_client **ret_client);

/*
 * Gives a client of this pool back, in whatever state it is; views of its responses end. Takes NULL
 * for nothing; for one that was given back and not lent since, too. May close what has been idle
 * for too long; waits for nothing. Since: 0.1
 */
void nipc_client_pool_give(struct nipc_client_pool *pool, struct nipc_client *client);

/* Closes what has been idle for too long, as take and give do, too. Since: 0.1 */
void nipc_client_pool_trim(struct nipc_client_pool *pool);

/*
 * Ends all waits: take returns -ECANCELED, now and until the reset, and so do calls on clients that
 * are lent now (nipc_client_cancel()). The reset is for when those have been given back: a client
 * that is still lent stays cancelled. Neither blocks. Since: 0.1
 */
void nipc_client_pool_cancel(struct nipc_client_pool *pool);
void nipc_client_pool_reset_cancel(struct nipc_client_pool *pool);

struct nipc_client_pool_status {
        size_t size; /* sizeof(struct nipc_client_pool_status), set by the caller */
        uint32_t n_in_use;
        uint32_t n_idle;     /* made and not lent, in whatever state */
        uint32_t n_waiting;  /* threads in take */
        uint64_t n_taken;    /* times that a client was lent */
        uint64_t n_created;  /* clients that were made */
        uint64_t n_closed;   /* ... and closed again */
        uint64_t n_connects; /* attempts to connect, here, not inside calls */
        uint64_t n_failures; /* ... that failed */
        uint64_t n_timeouts; /* takes that ended with -ETIMEDOUT */
};

#define NIPC_CLIENT_POOL_STATUS_INIT NIPC_INIT(struct nipc_client_pool_status)

/* Never blocks for long. Returns 0, -EINVAL, -ECHILD. Since: 0.1 */
int nipc_client_pool_get_status(struct nipc_client_pool *pool,
                                struct nipc_client_pool_status *ret_status);

#ifdef __cplusplus
}
#endif
