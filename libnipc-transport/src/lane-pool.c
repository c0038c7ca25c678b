/* SPDX-License-Identifier: MIT */

/*
 * Pools and leases (doc/lane.md §6). A lane's state word says whose it is, and under which epoch:
 * the agent takes free ones, by exchange, and gives them back; the reader, once it has drained
 * them, or those of threads that are proven dead, frees them. What positions the queues had goes on
 * in the next epoch, so that nobody who was late with a look is misled.
 */

#include "abi.h"
#include "lane-writer.h"
#include "transport-private.h"
#include <errno.h>
#include <nipc/clock.h>

#define DEFAULT_LANES 16u
#define DEFAULT_RINGS 8u
/*
 * With nipc bench lane on an EPYC: 8 of 256 KiB carry twice as much as 8 of 64 KiB, which stay in
 * the reader's second level cache, from where the writer must fetch every line it writes.
 */
#define DEFAULT_RING_BYTES (256u << 10)

struct nipc_lane_pool {
        struct nipc__lane_memory memory;
        struct nipc__fork_mark maker;
        uint32_t block_timeout_ms;
        void *slot;
        _Atomic uint32_t next; /* where to look first */
        _Atomic(struct nipc_lane *) lanes[];
};

/* ---- pools ----------------------------------------------------------------------------------- */

static int load_config(const struct nipc_lane_pool_config *given,
                       struct nipc_lane_pool_config *config)
{
        static const struct nipc_lane_pool_config defaults = NIPC_LANE_POOL_CONFIG_INIT;
        int r = nipc__abi_load(config, sizeof(*config), given ? given : &defaults);

        if (r < 0)
                return r;
        if (!config->n_lanes)
                config->n_lanes = DEFAULT_LANES;
        if (!config->n_rings)
                config->n_rings = DEFAULT_RINGS;
        if (!config->ring_bytes)
                config->ring_bytes = DEFAULT_RING_BYTES;
        if (!config->block_timeout_ms)
                config->block_timeout_ms = NIPC_DEFAULT_TIMEOUT_MS;
        if (config->kind > NIPC_LANE_DETAIL || config->policy > NIPC_LANE_BLOCK ||
            config->n_lanes > NIPC__LANE_MAX_LANES || config->n_rings < NIPC__LANE_MIN_RINGS ||
            config->n_rings > NIPC__LANE_MAX_RINGS || config->ring_bytes % NIPC__LANE_PAGE ||
            config->ring_bytes > NIPC__LANE_MAX_RING)
                return -EINVAL;
        return 0;
}

static void end_thread(void *arg)
{
        struct nipc_lane *lane = arg;

        lane->slot = NULL; /* which the C library has emptied */
        nipc_lane_return(lane);
}

NIPC__EXPORT int nipc_lane_pool_new(const struct nipc_lane_pool_config *given,
                                    struct nipc_lane_pool **ret_pool)
{
        struct nipc_lane_pool_config config;
        struct nipc_lane_pool *pool;
        int r;

        if (!ret_pool)
                return -EINVAL;
        r = load_config(given, &config);
        if (r < 0)
                return r;
        pool = calloc(1, sizeof(*pool) + config.n_lanes * sizeof(pool->lanes[0]));
        if (!pool)
                return -ENOMEM;
        pool->block_timeout_ms = config.block_timeout_ms;
        r = nipc__fork_mark_init(&pool->maker);
        if (r == 0)
                r = nipc__lane_slot_new(end_thread, &pool->slot);
        if (r == 0) {
                r = nipc__lane_memory_make(&config, &pool->memory);
                if (r < 0)
                        nipc__lane_slot_free(pool->slot);
        }
        if (r < 0) {
                free(pool);
                return r;
        }
        *ret_pool = pool;
        return 0;
}

NIPC__EXPORT struct nipc_lane_pool *nipc_lane_pool_free(struct nipc_lane_pool *pool)
{
        if (!pool)
                return NULL;
        nipc__lane_slot_free(pool->slot);
        for (uint32_t i = 0; i < pool->memory.n_lanes; i++) {
                struct nipc_lane *lane =
                        atomic_load_explicit(&pool->lanes[i], memory_order_acquire);

                if (lane)
                        lane->slot = NULL;
                nipc_lane_return(lane);
                free(lane);
        }
        if (!nipc__fork_is_inherited(&pool->maker)) {
                struct nipc__lane_header *header = nipc__lane_header(&pool->memory);

                /* Pairs with the load in nipc_lane_reader_is_orphan(). */
                atomic_store_explicit(&header->is_closed, 1, memory_order_release);
                if (atomic_exchange(&header->sleeps, NIPC__LANE_AWAKE) != NIPC__LANE_AWAKE) {
                        nipc__lane_wake(&pool->memory, NIPC__LANE_SLEEPS_EVENTFD);
                        nipc__lane_wake(&pool->memory, NIPC__LANE_SLEEPS_FUTEX);
                }
        }
        nipc__lane_memory_close(&pool->memory);
        free(pool);
        return NULL;
}

NIPC__EXPORT int nipc_lane_pool_get_fd(const struct nipc_lane_pool *pool)
{
        return pool ? pool->memory.fd : -EINVAL;
}

NIPC__EXPORT int nipc_lane_pool_get_wake_fd(const struct nipc_lane_pool *pool)
{
        return pool ? pool->memory.wake_fd : -EINVAL;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static struct nipc_lane *get_handle(struct nipc_lane_pool *pool, uint32_t index)
{
        struct nipc_lane *lane = atomic_load_explicit(&pool->lanes[index], memory_order_acquire);

        if (lane)
                return lane;
        /* On lines of its own: the writers of two lanes do not meet. */
        lane = aligned_alloc(64, (sizeof(*lane) + 63) / 64 * 64);
        if (!lane)
                return NULL;
        memset(lane, 0, sizeof(*lane));
        lane->memory = &pool->memory;
        lane->control = nipc__lane_control(&pool->memory, index);
        lane->index = index;
        lane->block_timeout_ms = pool->block_timeout_ms;
        lane->maker = pool->maker;
        lane->cursor.maker_word = (const uint32_t *)(uintptr_t)pool->maker.word;
        lane->cursor.maker_value = pool->maker.value;
        /* Only who holds the lane's state gets here; pairs with the load in nipc_lane_pool_free().
         */
        atomic_store_explicit(&pool->lanes[index], lane, memory_order_release);
        return lane;
}

static uint64_t load(const _Atomic uint64_t *word)
{
        /* After the exchange of the state word, which acquired what the last owner left. */
        return atomic_load_explicit(word, memory_order_relaxed);
}

/* Everything is ours: nothing is submitted, nothing held, or the state would not be free. */
static void start(struct nipc_lane *lane, uint32_t epoch)
{
        struct nipc__lane_control *control = lane->control;
        uint32_t tid;
        uint64_t tid_start;

        lane->epoch = epoch;
        lane->active = lane->previous = NIPC__LANE_NONE;
        lane->begun_type = NIPC__LANE_NONE;
        lane->ring_limit = lane->cursor.limit = 0;
        lane->cursor.word = lane->more = 0;
        lane->cursor.nested = 0;
        lane->first = NIPC__MAX(load(&control->n_sent), load(&control->consumed));
        lane->n_dropped = load(&control->n_dropped);
        lane->n_recycled = load(&control->n_recycled);
        lane->n_submitted = load(&control->n_submitted);
        lane->told_at_start = lane->n_dropped + lane->n_submitted;
        lane->n_blocked = load(&control->n_blocked);
        lane->n_violations = load(&control->n_violations);
        lane->generation = load(&control->generation);
        lane->submit_tail = load(&control->submit_tail);
        lane->free_head = load(&control->free_tail);
        lane->must_wake = false;
        lane->n_mine = lane->memory->n_rings;
        for (uint32_t i = 0; i < lane->n_mine; i++) {
                lane->mine[i] = (uint8_t)(lane->n_mine - 1 - i);
                lane->is_submitted[i] = false;
        }
        nipc__lane_owner_thread(&tid, &tid_start);
        atomic_store_explicit(&control->tid, tid, memory_order_relaxed);
        atomic_store_explicit(&control->tid_start, tid_start, memory_order_relaxed);
        atomic_store_explicit(&control->free_head, lane->free_head, memory_order_relaxed);
        atomic_store_explicit(&control->n_sent, lane->first, memory_order_relaxed);
        atomic_store_explicit(&control->active, 0, memory_order_relaxed);
        atomic_store_explicit(&control->previous, 0, memory_order_relaxed);
        atomic_store_explicit(&control->mark, 0, memory_order_relaxed);
        atomic_store_explicit(&control->blocked, 0, memory_order_relaxed);
        __atomic_store_n(&lane->cursor.busy, 0, __ATOMIC_RELAXED);
        /* Pairs with the load in the reader's load_more(). */
        atomic_store_explicit(&control->state, (uint64_t)epoch << 32 | NIPC__LANE_LEASED,
                              memory_order_release);
}

static int take_lane(struct nipc_lane_pool *pool, uint32_t index, struct nipc_lane **ret_lane)
{
        struct nipc__lane_control *control = nipc__lane_control(&pool->memory, index);
        uint64_t state = atomic_load_explicit(&control->state, memory_order_relaxed);
        const uint32_t epoch = (uint32_t)(state >> 32) + 1;
        struct nipc_lane *lane;

        if ((uint32_t)state != NIPC__LANE_FREE ||
            !atomic_compare_exchange_strong_explicit(&control->state, &state,
                                                     (uint64_t)epoch << 32 | NIPC__LANE_INIT,
                                                     memory_order_acq_rel, memory_order_relaxed))
                return -EAGAIN;
        lane = get_handle(pool, index);
        if (!lane) {
                atomic_store_explicit(&control->state, (uint64_t)epoch << 32 | NIPC__LANE_FREE,
                                      memory_order_release);
                return -ENOMEM;
        }
        start(lane, epoch);
        *ret_lane = lane;
        return 0;
}

NIPC__EXPORT int nipc_lane_lease(struct nipc_lane_pool *pool, struct nipc_lane **ret_lane)
{
        uint32_t first;
        int r = -EAGAIN;

        if (!pool || !ret_lane)
                return -EINVAL;
        if (nipc__fork_is_inherited(&pool->maker))
                return -ECHILD;
        /* Threads that come at once begin at different ones. */
        first = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        for (uint32_t i = 0; i < pool->memory.n_lanes && r == -EAGAIN; i++)
                r = take_lane(pool, (first + i) % pool->memory.n_lanes, ret_lane);
        return r;
}

NIPC__EXPORT int nipc_lane_lease_thread(struct nipc_lane_pool *pool, struct nipc_lane **ret_lane)
{
        struct nipc_lane *lane;
        int r;

        if (!pool || !ret_lane)
                return -EINVAL;
        if (nipc__fork_is_inherited(&pool->maker))
                return -ECHILD;
        lane = nipc__lane_slot_get(pool->slot);
        if (!lane) {
                r = nipc_lane_lease(pool, &lane);
                if (r < 0)
                        return r;
                lane->slot = pool->slot;
                r = nipc__lane_slot_set(pool->slot, lane);
                if (r < 0) {
                        lane->slot = NULL;
                        nipc_lane_return(lane);
                        return r;
                }
        }
        *ret_lane = lane;
        return 0;
}

/* Whether the reader has nothing to learn of this lease. */
static bool has_nothing_to_tell(const struct nipc_lane *lane)
{
        return lane->memory->kind == NIPC_LANE_DETAIL &&
               lane->told_at_start == lane->n_dropped + lane->n_submitted;
}

/* Rings that nobody marked go without a word. */
static void let_go(struct nipc_lane *lane)
{
        nipc__lane_retire(lane);
        if (lane->previous == NIPC__LANE_NONE)
                return;
        lane->n_recycled += lane->counts[lane->previous];
        atomic_store_explicit(&lane->control->n_recycled, lane->n_recycled, memory_order_relaxed);
        atomic_store_explicit(&lane->control->previous, 0, memory_order_release);
}

NIPC__EXPORT struct nipc_lane *nipc_lane_return(struct nipc_lane *lane)
{
        uint64_t state, next;

        if (!lane || nipc__fork_is_inherited(&lane->maker))
                return NULL;
        state = (uint64_t)lane->epoch << 32 | NIPC__LANE_LEASED;
        if (lane->slot)
                (void)nipc__lane_slot_set(lane->slot, NULL);
        lane->slot = NULL;
        if (nipc__lane_is_stale(lane)) /* returned already, or taken from us */
                return NULL;
        __atomic_store_n(&lane->cursor.busy, 1, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        let_go(lane);
        next = (uint64_t)lane->epoch << 32 |
               (has_nothing_to_tell(lane) ? NIPC__LANE_FREE : NIPC__LANE_RETURNED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        __atomic_store_n(&lane->cursor.busy, 0, __ATOMIC_RELAXED);
        /* Pairs with the load in the reader's load_more(): all of it is in the queue before. */
        atomic_compare_exchange_strong_explicit(&lane->control->state, &state, next,
                                                memory_order_acq_rel, memory_order_relaxed);
        if ((uint32_t)next != NIPC__LANE_FREE)
                nipc__lane_wake_reader(lane->memory); /* the lane may be somebody else's already */
        return NULL;
}
