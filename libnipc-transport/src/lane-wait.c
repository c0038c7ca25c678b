/* SPDX-License-Identifier: MIT */

/*
 * The controller waits, and looks at lanes from outside: figures, marks, whether their threads are
 * still there. It says that it sleeps, looks once more, and only then does (doc/lane.md §4).
 */

#include "abi.h"
#include "lane-reader.h"
#include "transport-private.h"
#include <errno.h>
#include <nipc/clock.h>

/* However long the wait: rings that fill slowly, and deaths, are seen after so long. Chosen. */
#define SLICE_NS UINT64_C(200000000)

static bool has_work(const struct nipc_lane_reader *reader, bool is_live)
{
        if (reader->has_ring || reader->has_pending)
                return true;
        for (uint32_t i = 0; i < reader->memory.n_lanes; i++)
                if (nipc__lane_has_work(reader, i, is_live))
                        return true;
        return false;
}

/* By proof: only who is dead for sure is taken for dead. */
static void look_for_dead(struct nipc_lane_reader *reader)
{
        const struct nipc__lane_owner *owner = &reader->memory.owner;
        const uint64_t now_ns = nipc_clock_now_ns();

        if (!reader->is_orphan)
                reader->is_orphan = nipc__lane_owner_is_dead(owner);
        if (!reader->is_orphan && now_ns - reader->looked_ns < SLICE_NS)
                return;
        reader->looked_ns = now_ns;
        for (uint32_t i = 0; i < reader->memory.n_lanes; i++) {
                const struct nipc__lane_control *control = nipc__lane_control(&reader->memory, i);
                struct nipc__lane_view *view = &reader->views[i];
                const uint64_t state = atomic_load_explicit(&control->state, memory_order_acquire);
                uint32_t tid;
                uint64_t tid_start;

                if ((uint32_t)state != NIPC__LANE_LEASED && (uint32_t)state != NIPC__LANE_INIT)
                        continue;
                tid = atomic_load_explicit(&control->tid, memory_order_relaxed);
                tid_start = atomic_load_explicit(&control->tid_start, memory_order_relaxed);
                if (!reader->is_orphan && ((uint32_t)state == NIPC__LANE_INIT ||
                                           !nipc__lane_thread_is_dead(owner, tid, tid_start)))
                        continue;
                /* Pairs with the exchange of a lease: what was looked at was of this one. */
                if (atomic_load_explicit(&control->state, memory_order_acquire) != state)
                        continue;
                if (view->state != state) {
                        view->state = state;
                        view->stage = 0;
                        view->live_entry = 0;
                        view->n_bad = 0;
                        view->is_broken = false;
                }
                view->is_dead = true;
        }
}

static bool announce(struct nipc_lane_reader *reader)
{
        const uint32_t how =
                reader->memory.wake_fd >= 0 ? NIPC__LANE_SLEEPS_EVENTFD : NIPC__LANE_SLEEPS_FUTEX;
        _Atomic uint32_t *sleeps = &nipc__lane_header(&reader->memory)->sleeps;

        nipc__lane_forget_wakes(&reader->memory);
        if (has_work(reader, false))
                return true;
        /* Store, full fence, load: pairs with nipc__lane_wake_reader(). */
        nipc__lane_announce(sleeps, how);
        if (!has_work(reader, false))
                return false;
        atomic_store_explicit(sleeps, NIPC__LANE_AWAKE, memory_order_relaxed);
        return true;
}

NIPC__EXPORT bool nipc_lane_reader_arm(struct nipc_lane_reader *reader)
{
        return reader && announce(reader);
}

NIPC__EXPORT int nipc_lane_reader_wait(struct nipc_lane_reader *reader, uint64_t deadline_ns)
{
        const bool is_now = deadline_ns <= NIPC_DEADLINE_SPIN;
        uint64_t now_ns;
        int r;

        if (!reader)
                return -EINVAL;
        /* While others write, too. */
        if (!is_now && nipc_clock_now_ns() - reader->looked_ns >= SLICE_NS)
                look_for_dead(reader);
        for (;;) {
                if (nipc__lane_memory_is_gone(&reader->memory))
                        return -EIO;
                /* Who does not wait does not say that it sleeps: nobody is to wake it. */
                if (is_now ? has_work(reader, false) : announce(reader))
                        return 0;
                now_ns = is_now ? 0 : nipc_clock_now_ns();
                r = is_now || now_ns >= deadline_ns
                            ? -ETIMEDOUT
                            : nipc__lane_sleep(&reader->memory,
                                               NIPC__MIN(deadline_ns, now_ns + SLICE_NS));
                if (!is_now)
                        atomic_store_explicit(&nipc__lane_header(&reader->memory)->sleeps,
                                              NIPC__LANE_AWAKE, memory_order_relaxed);
                if (r == -EINTR)
                        return r;
                if (r == 0)
                        continue;
                look_for_dead(reader);
                if (has_work(reader, true)) {
                        reader->n_live = reader->memory.n_lanes;
                        return 0;
                }
                if (is_now || nipc_clock_now_ns() >= deadline_ns)
                        return is_now ? -EAGAIN : -ETIMEDOUT;
        }
}

NIPC__EXPORT int nipc_lane_reader_mark(struct nipc_lane_reader *reader, uint32_t lane)
{
        const uint32_t n_lanes = reader ? reader->memory.n_lanes : 0;
        const uint32_t first = lane == UINT32_MAX ? 0 : lane;
        const uint32_t end = lane == UINT32_MAX ? n_lanes : lane + 1;

        if (!reader || (lane >= n_lanes && lane != UINT32_MAX))
                return -EINVAL;
        /* Pairs with the exchange in nipc__lane_retire(). */
        for (uint32_t i = first; i < end; i++)
                atomic_exchange_explicit(&nipc__lane_control(&reader->memory, i)->mark, 1,
                                         memory_order_acq_rel);
        return 0;
}

NIPC__EXPORT uint32_t nipc_lane_reader_get_n_lanes(const struct nipc_lane_reader *reader)
{
        return reader ? reader->memory.n_lanes : 0;
}

static uint64_t get(const _Atomic uint64_t *word)
{
        return atomic_load_explicit(word, memory_order_acquire);
}

NIPC__EXPORT int nipc_lane_reader_get_stats(struct nipc_lane_reader *reader, uint32_t lane,
                                            struct nipc_lane_stats *ret_stats)
{
        const struct nipc__lane_memory *memory = reader ? &reader->memory : NULL;
        const struct nipc__lane_control *control;
        struct nipc_lane_stats stats = NIPC_LANE_STATS_INIT;
        size_t size = 0;
        uint64_t active;

        if (!reader || lane >= memory->n_lanes || !ret_stats)
                return -EINVAL;
        size = ret_stats->size;
        if (size < sizeof(size))
                return -EINVAL;
        control = nipc__lane_control(memory, lane);
        stats.is_leased = (uint32_t)get(&control->state) == NIPC__LANE_LEASED;
        stats.epoch = (uint32_t)(get(&control->state) >> 32);
        stats.tid = atomic_load_explicit(&control->tid, memory_order_relaxed);
        stats.n_waiting =
                (uint32_t)NIPC__MIN(get(&control->submit_tail) - (get(&control->submit_head) >> 16),
                                    memory->n_rings);
        stats.n_sent = get(&control->n_sent);
        active = get(&control->active);
        if (active && (active & 0xffff) < memory->n_rings)
                stats.n_sent +=
                        get(&nipc__lane_ring(memory, lane, active & 0xffff)->published) >> 32;
        stats.n_dropped = get(&control->n_dropped);
        stats.n_recycled = get(&control->n_recycled);
        stats.n_consumed = reader->views[lane].expected;
        stats.n_submitted = get(&control->n_submitted);
        stats.n_blocked = get(&control->n_blocked);
        stats.n_violations = get(&control->n_violations) + get(&control->reader_violations);
        stats.torn_bytes = reader->torn_bytes[lane];
        memcpy(ret_stats, &stats, NIPC__MIN(size, sizeof(stats)));
        ret_stats->size = size;
        return 0;
}

NIPC__EXPORT bool nipc_lane_reader_is_orphan(struct nipc_lane_reader *reader)
{
        if (!reader)
                return false;
        /* Pairs with the store in nipc_lane_pool_free(). */
        if (atomic_load_explicit(&nipc__lane_header(&reader->memory)->is_closed,
                                 memory_order_acquire) == 1)
                return true;
        if (!reader->is_orphan)
                look_for_dead(reader);
        return reader->is_orphan;
}
