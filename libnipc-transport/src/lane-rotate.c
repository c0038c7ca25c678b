/* SPDX-License-Identifier: MIT */

/*
 * Where a lane's rings go (doc/lane.md §3): from the ring in use to the submit queue, or back, and
 * where the next one comes from. A ring that the controller gives back must be one that it was
 * given, in the use in which it was: anything else is passed over and counted.
 *
 * A writer may be killed between any two stores here. Then what is `active` or `previous` may be in
 * the submit queue as well, which the reader sees by the sequence numbers; never is a ring with
 * records nowhere.
 */

#include "lane-writer.h"
#include "spin.h"
#include "transport-private.h"
#include <errno.h>
#include <nipc/clock.h>

#define SPINS_BEFORE_BLOCKING 2000u /* some 50 us: what a wake costs */

uint64_t nipc__lane_next_sequence(const struct nipc_lane *lane)
{
        return lane->first + (lane->cursor.word >> 32) + lane->more;
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
        /* Figures, and what is read of a dead writer: nothing follows from their order alone. */
        atomic_store_explicit(word, value, memory_order_relaxed);
}

bool nipc__lane_is_stale(const struct nipc_lane *lane)
{
        /* Pairs with the reader's exchange when it frees a lane; a late look is as good. */
        return atomic_load_explicit(&lane->control->state, memory_order_acquire) !=
               ((uint64_t)lane->epoch << 32 | NIPC__LANE_LEASED);
}

static void set_no_ring(struct nipc_lane *lane)
{
        lane->first = nipc__lane_next_sequence(lane);
        lane->more = 0;
        lane->active = NIPC__LANE_NONE;
        lane->ring_limit = 0;
        lane->cursor.limit = 0;
        lane->cursor.word = 0;
}

void nipc__lane_count_drops(struct nipc_lane *lane, uint64_t n)
{
        lane->first += n;
        lane->n_dropped += n;
        store(&lane->control->n_dropped, lane->n_dropped);
        store(&lane->control->n_sent, lane->first);
}

static void violate(struct nipc_lane *lane)
{
        store(&lane->control->n_violations, ++lane->n_violations);
}

/* ---- away ------------------------------------------------------------------------------------ */

static void submit(struct nipc_lane *lane, uint32_t ring)
{
        const uint32_t at = (uint32_t)(lane->submit_tail % lane->memory->n_rings);

        lane->is_submitted[ring] = true;
        lane->submitted[at] = lane->entries[ring];
        /* Ordered by the store of the tail. */
        atomic_store_explicit(&lane->control->submit[at], lane->entries[ring],
                              memory_order_relaxed);
        /* Pairs with the load in pop(): the entry, the ring's header and its records come before.
         */
        atomic_store_explicit(&lane->control->submit_tail, ++lane->submit_tail,
                              memory_order_release);
        store(&lane->control->n_submitted, ++lane->n_submitted);
        lane->must_wake = true;
}

static void keep(struct nipc_lane *lane, uint32_t ring)
{
        struct nipc__lane_ring *header = nipc__lane_ring(lane->memory, lane->index, ring);

        /* What was recycled so far was before this ring: sequences only grow. */
        if (lane->previous != NIPC__LANE_NONE) {
                lane->n_recycled += lane->counts[lane->previous];
                lane->mine[lane->n_mine++] = (uint8_t)lane->previous;
        }
        header->recycled = lane->n_recycled;
        store(&lane->control->n_recycled, lane->n_recycled);
        lane->previous = ring;
        /* Release: a reader that finds us dead reads the header after it. */
        atomic_store_explicit(&lane->control->previous, lane->entries[ring], memory_order_release);
}

static void submit_previous(struct nipc_lane *lane)
{
        if (lane->previous == NIPC__LANE_NONE)
                return;
        submit(lane, lane->previous);
        lane->previous = NIPC__LANE_NONE;
        /* Release: after it is in the queue. */
        atomic_store_explicit(&lane->control->previous, 0, memory_order_release);
}

void nipc__lane_retire(struct nipc_lane *lane)
{
        const uint32_t ring = lane->active;

        if (ring == NIPC__LANE_NONE) {
                /* There was none to take. What is kept may have been marked since. */
                if (lane->previous != NIPC__LANE_NONE &&
                    atomic_exchange_explicit(&lane->control->mark, 0, memory_order_acq_rel))
                        submit_previous(lane);
                return;
        }
        lane->counts[ring] = nipc__lane_next_sequence(lane) - lane->first;
        set_no_ring(lane);
        /*
         * One exchange: a mark is either before it, and this ring goes, or after it, and the next
         * one takes this one along, which is then the previous. None is lost, none is early.
         */
        if (lane->memory->kind == NIPC_LANE_INDEX ||
            atomic_exchange_explicit(&lane->control->mark, 0, memory_order_acq_rel)) {
                submit_previous(lane);
                submit(lane, ring);
        } else {
                keep(lane, ring);
        }
        store(&lane->control->n_sent, lane->first);
        /* Release: after the ring is in the queue, or is the previous. */
        atomic_store_explicit(&lane->control->active, 0, memory_order_release);
}

void nipc__lane_wake_reader(const struct nipc__lane_memory *memory)
{
        _Atomic uint32_t *sleeps = &nipc__lane_header(memory)->sleeps;

        /* Store (of the tail or the state), full fence, load: pairs with the reader's announce. */
#ifdef NIPC__THREAD_SANITIZER
        if (atomic_fetch_or(sleeps, 0) != NIPC__LANE_AWAKE)
#else
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(sleeps, memory_order_relaxed) != NIPC__LANE_AWAKE)
#endif
                nipc__lane_wake(memory, atomic_exchange(sleeps, NIPC__LANE_AWAKE));
}

void nipc__lane_tell(struct nipc_lane *lane)
{
        if (!lane->must_wake)
                return;
        lane->must_wake = false;
        nipc__lane_wake_reader(lane->memory);
}

/* ---- the next one ---------------------------------------------------------------------------- */

/* What the controller gave back, or NIPC__LANE_NONE. */
static uint32_t pop_spare(struct nipc_lane *lane)
{
        const uint32_t n_rings = lane->memory->n_rings;
        uint64_t tail, entry;
        uint32_t ring;

        /* Pairs with the release in the reader's give_back(): it reads the ring no more. */
        tail = atomic_load_explicit(&lane->control->free_tail, NIPC__LANE_AFTER_FENCE);
        while (lane->free_head != tail) {
                if (tail - lane->free_head > n_rings) {
                        violate(lane);
                        return NIPC__LANE_NONE;
                }
                entry = atomic_load_explicit(&lane->control->spare[lane->free_head % n_rings],
                                             memory_order_relaxed);
                store(&lane->control->free_head, ++lane->free_head);
                ring = entry & 0xffff;
                if (ring < n_rings && lane->is_submitted[ring] && lane->entries[ring] == entry) {
                        lane->is_submitted[ring] = false;
                        return ring;
                }
                violate(lane);
        }
        return NIPC__LANE_NONE;
}

/* The oldest ring that is submitted and not taken: either we or the reader get it. */
static uint32_t steal(struct nipc_lane *lane)
{
        const uint32_t n_rings = lane->memory->n_rings;
        uint64_t head, pos, entry;
        uint32_t ring;

        head = atomic_load_explicit(&lane->control->submit_head, memory_order_relaxed);
        do {
                pos = head >> 16;
                if (pos == lane->submit_tail)
                        return NIPC__LANE_NONE;
                if (lane->submit_tail - pos > n_rings) {
                        violate(lane);
                        return NIPC__LANE_NONE;
                }
                entry = lane->submitted[pos % n_rings];
                /* Pairs with the exchange in the reader's pop(): one of the two fails. */
        } while (!atomic_compare_exchange_weak_explicit(&lane->control->submit_head, &head,
                                                        (pos + 1) << 16 | (head & 0xffff),
                                                        memory_order_acq_rel,
                                                        memory_order_relaxed));
        ring = entry & 0xffff;
        if (!lane->is_submitted[ring] || lane->entries[ring] != entry) {
                violate(lane);
                return NIPC__LANE_NONE;
        }
        lane->is_submitted[ring] = false;
        lane->n_dropped += lane->counts[ring];
        store(&lane->control->n_dropped, lane->n_dropped);
        return ring;
}

static uint32_t wait_for_spare(struct nipc_lane *lane)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(lane->block_timeout_ms);
        uint32_t ring = NIPC__LANE_NONE;

        store(&lane->control->n_blocked, ++lane->n_blocked);
        nipc__lane_tell(lane); /* it may be all that gets us a ring */
        for (unsigned i = 0; i < SPINS_BEFORE_BLOCKING && ring == NIPC__LANE_NONE; i++) {
                nipc__spin_pause();
                ring = pop_spare(lane);
        }
        while (ring == NIPC__LANE_NONE && nipc_clock_now_ns() < deadline_ns &&
               !nipc__lane_is_stale(lane)) {
                /* Store, full fence, load: pairs with give_back() of the reader. */
                nipc__lane_announce(&lane->control->blocked, 1);
                ring = pop_spare(lane);
                if (ring != NIPC__LANE_NONE)
                        break;
                nipc__lane_block(&lane->control->blocked, deadline_ns);
                ring = pop_spare(lane);
        }
        atomic_store_explicit(&lane->control->blocked, 0, memory_order_relaxed);
        return ring;
}

static void activate(struct nipc_lane *lane, uint32_t ring)
{
        struct nipc__lane_ring *header = nipc__lane_ring(lane->memory, lane->index, ring);
        uint64_t entry = ++lane->generation << 16 | ring;

        store(&lane->control->generation, lane->generation);
        store(&header->published, 0);
        /* Whoever sees the new use of it does not see the old number of its records. */
        atomic_thread_fence(memory_order_release);
        header->magic = NIPC__LANE_RING_MAGIC;
        header->lane = lane->index;
        header->epoch = lane->epoch;
        header->index = ring;
        header->generation = lane->generation;
        header->first = lane->first;
        header->recycled = lane->n_recycled;
        header->reserved = 0;
        header->crc = lane->memory->flags & NIPC__LANE_FLAG_CRC
                              ? nipc__crc32c(0, header, offsetof(struct nipc__lane_ring, recycled))
                              : 0;
        lane->entries[ring] = entry;
        lane->active = ring;
        lane->ring_limit = lane->memory->ring_bytes - NIPC__LANE_RING_HEADER;
        lane->cursor.word = 0;
        lane->cursor.data = nipc__lane_data(header);
        lane->cursor.published = (uint64_t *)(uintptr_t)&header->published;
        lane->cursor.key = nipc__lane_key(lane->index, lane->epoch, lane->generation);
        /* Records of files are not written inline. */
        lane->cursor.limit = lane->memory->flags & NIPC__LANE_FLAG_CRC ? 0 : lane->ring_limit;
        /* Pairs with the load in the reader's look_live(): the header comes before. */
        atomic_store_explicit(&lane->control->active, entry, memory_order_release);
}

int nipc__lane_rotate(struct nipc_lane *lane)
{
        uint32_t ring = NIPC__LANE_NONE;
        int r = -ENOBUFS;

        if (nipc__lane_is_stale(lane)) {
                set_no_ring(lane);
                return -ESTALE;
        }
        nipc__lane_retire(lane);
        if (lane->n_mine)
                ring = lane->mine[--lane->n_mine];
        if (ring == NIPC__LANE_NONE)
                ring = pop_spare(lane);
        if (ring == NIPC__LANE_NONE && lane->memory->policy == NIPC_LANE_OVERWRITE_OLDEST)
                ring = steal(lane);
        if (ring == NIPC__LANE_NONE && lane->memory->policy == NIPC_LANE_BLOCK) {
                ring = wait_for_spare(lane);
                r = nipc__lane_is_stale(lane) ? -ESTALE : -ETIMEDOUT;
        }
        if (ring != NIPC__LANE_NONE) {
                activate(lane, ring);
                r = 0;
        }
        nipc__lane_tell(lane);
        return r;
}
