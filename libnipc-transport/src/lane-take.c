/* SPDX-License-Identifier: MIT */

/*
 * Where the reader gets its rings (doc/lane.md §3, §7): from the submit queue; from the ring in
 * use, as far as it is published; and from what a dead writer left. A reader may be killed between
 * any two stores, too: the one that follows finds in `submit_head` which ring was held, and in the
 * queue of spares whether it had been given back.
 */

#include "lane-reader.h"
#include "spin.h"
#include <errno.h>

static uint64_t load(const _Atomic uint64_t *word)
{
        return atomic_load_explicit(word, memory_order_acquire);
}

static void violate(struct nipc_lane_reader *reader, uint32_t lane)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        uint64_t n = atomic_load_explicit(&control->reader_violations, memory_order_relaxed);

        atomic_store_explicit(&control->reader_violations, n + 1, memory_order_relaxed);
}

/* ---- giving back ----------------------------------------------------------------------------- */

static void clear_held(struct nipc__lane_control *control)
{
        uint64_t head = load(&control->submit_head);

        /* The writer may steal the next ring meanwhile. */
        while (!atomic_compare_exchange_weak_explicit(&control->submit_head, &head,
                                                      head & ~UINT64_C(0xffff),
                                                      memory_order_acq_rel, memory_order_acquire))
                ;
}

void nipc__lane_rouse(const struct nipc__lane_memory *memory, uint32_t lane)
{
        _Atomic uint32_t *blocked = &nipc__lane_control(memory, lane)->blocked;

        atomic_store_explicit(blocked, 0, memory_order_relaxed);
        nipc__lane_unblock(blocked);
}

static void give_back(struct nipc_lane_reader *reader, uint32_t lane, uint64_t entry)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        struct nipc__lane_view *view = &reader->views[lane];

        atomic_store_explicit(&control->spare[view->free_tail % reader->memory.n_rings], entry,
                              memory_order_relaxed);
        /* Pairs with the load in the writer's pop_spare(): we read the ring no more. Full fence,
         * then the load: pairs with its wait_for_spare(). */
        nipc__lane_announce(&control->free_tail, ++view->free_tail);
        if (atomic_load_explicit(&control->blocked, NIPC__LANE_AFTER_FENCE))
                nipc__lane_rouse(&reader->memory, lane);
        clear_held(control);
        view->last_generation = NIPC__MAX(view->last_generation, entry >> 16);
}

void nipc__lane_leave_ring(struct nipc_lane_reader *reader)
{
        struct nipc__lane_view *view = &reader->views[reader->lane];

        reader->has_ring = false;
        reader->torn_bytes[reader->lane] += reader->parser.torn_bytes;
        if (reader->is_held) {
                give_back(reader, reader->lane, reader->entry);
        } else {
                view->live_entry = reader->entry;
                view->live_used = reader->used;
                view->live_sequence = reader->parser.sequence;
        }
        reader->is_held = false;
}

/* ---- reading a ring -------------------------------------------------------------------------- */

/* Nothing of the ring is believed that was not checked; what is published is loaded once. */
static bool look_at(struct nipc_lane_reader *reader, uint32_t lane, uint64_t entry)
{
        const struct nipc__lane_memory *memory = &reader->memory;
        struct nipc__lane_view *view = &reader->views[lane];
        const uint32_t index = entry & 0xffff, limit = memory->ring_bytes - NIPC__LANE_RING_HEADER;
        struct nipc__lane_ring *ring, header;
        uint64_t published;

        if (index >= memory->n_rings)
                return false;
        ring = nipc__lane_ring(memory, lane, index);
        memcpy(&header, ring, offsetof(struct nipc__lane_ring, reserved));
        if (header.magic != NIPC__LANE_RING_MAGIC || header.lane != lane || header.index != index ||
            header.generation != entry >> 16 || header.epoch != (uint32_t)(view->state >> 32))
                return false;
        if (memory->flags & NIPC__LANE_FLAG_CRC &&
            header.crc != nipc__crc32c(0, &header, offsetof(struct nipc__lane_ring, recycled)))
                return false;
        /* Pairs with the stores of writers: the records come before. */
        published = load(&ring->published);
        reader->lane = lane;
        reader->view = view;
        reader->control = nipc__lane_control(memory, lane);
        reader->entry = entry;
        reader->ring = ring;
        reader->ring_recycled = header.recycled;
        reader->epoch = header.epoch;
        reader->tid =
                atomic_load_explicit(&nipc__lane_control(memory, lane)->tid, memory_order_relaxed);
        reader->used = NIPC__MIN((uint32_t)published, limit);
        reader->next = 0;
        reader->parser = (struct nipc__lane_parser){
                .bytes = reader->piece,
                .key = nipc__lane_key(lane, header.epoch, header.generation),
                .flags = memory->flags,
                .sequence = header.first,
        };
        if (view->live_entry == entry) {
                reader->next = reader->parser.offset = NIPC__MIN(view->live_used, reader->used);
                reader->parser.sequence = view->live_sequence;
        }
        reader->has_ring = true;
        return true;
}

bool nipc__lane_take_piece(struct nipc_lane_reader *reader)
{
        struct nipc__lane_parser *parser = &reader->parser;
        /* What of the last piece was no whole record is the beginning of this one. */
        const uint32_t from = parser->offset + parser->pos;
        const uint32_t size = NIPC__MIN(reader->used - from, reader->piece_bytes);

        if (!size || (parser->size && from == parser->offset))
                return false;
        memcpy(reader->piece, nipc__lane_data(reader->ring) + from, size);
        parser->offset = from;
        parser->pos = 0;
        parser->size = size;
        reader->next = from + size;
        return true;
}

/* ---- finding one ----------------------------------------------------------------------------- */

/* The next ring of the queue, which is ours then. false: none, or it is none. */
static bool pop(struct nipc_lane_reader *reader, uint32_t lane, uint64_t *ret_entry)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        const uint32_t n_rings = reader->memory.n_rings;
        uint64_t head = load(&control->submit_head), tail, pos, entry;

        do {
                pos = (head & ~UINT64_C(0xffff)) >> 16;
                /* Pairs with the store in submit(): the entry, and all of the ring, come before. */
                tail = load(&control->submit_tail) & (UINT64_MAX >> 16);
                if (tail == pos)
                        return false;
                if (tail - pos > n_rings) {
                        reader->views[lane].is_broken = true;
                        violate(reader, lane);
                        return false;
                }
                entry = atomic_load_explicit(&control->submit[pos % n_rings], memory_order_relaxed);
                /* Before it is ours: whoever follows us finds which one we had. */
                atomic_store_explicit(&control->held_entry, entry, memory_order_release);
                /* Pairs with the exchange in steal(): one of the two fails. */
        } while (!atomic_compare_exchange_weak_explicit(&control->submit_head, &head,
                                                        (pos + 1) << 16 | ((entry & 0xff) + 1),
                                                        memory_order_acq_rel,
                                                        memory_order_acquire));
        *ret_entry = entry;
        return true;
}

/* What the reader before us held when it died. */
static bool resume(struct nipc_lane_reader *reader, uint32_t lane, uint64_t *ret_entry)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        struct nipc__lane_view *view = &reader->views[lane];
        const uint64_t entry = load(&control->held_entry);
        const uint32_t n_rings = reader->memory.n_rings;

        if (!(load(&control->submit_head) & 0xffff))
                return false;
        if (view->free_tail && load(&control->spare[(view->free_tail - 1) % n_rings]) == entry) {
                clear_held(control);
                return false;
        }
        *ret_entry = entry;
        return true;
}

static bool can_be_live(const struct nipc_lane_reader *reader)
{
        /* Rings of the others can be filled anew while they are read. */
        return reader->memory.kind == NIPC_LANE_INDEX &&
               reader->memory.policy != NIPC_LANE_OVERWRITE_OLDEST;
}

static bool look_live(struct nipc_lane_reader *reader, uint32_t lane)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        /* Pairs with the store in activate(). */
        uint64_t entry = load(&control->active);

        /* It may say so still of a ring that was submitted, and that we have given back. */
        if (!entry || entry >> 16 <= reader->views[lane].last_generation)
                return false;
        /* What was submitted before it, since we found nothing, comes first. */
        if ((load(&control->submit_tail) & UINT64_MAX >> 16) != load(&control->submit_head) >> 16)
                return false;
        if (!look_at(reader, lane, entry))
                return false;
        if (reader->used == reader->parser.offset) {
                reader->has_ring = false;
                return false;
        }
        return true;
}

/* Rings that were never submitted, in their order. */
static enum nipc__lane_found take_dead(struct nipc_lane_reader *reader, uint32_t lane)
{
        const struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        struct nipc__lane_view *view = &reader->views[lane];
        uint64_t entry;

        while (view->stage < 2) {
                entry = load(view->stage++ ? &control->active : &control->previous);
                if (entry && look_at(reader, lane, entry))
                        return NIPC__LANE_FOUND_RING;
        }
        return NIPC__LANE_FOUND_END;
}

static void see_state(struct nipc_lane_reader *reader, uint32_t lane)
{
        struct nipc__lane_view *view = &reader->views[lane];
        /* Pairs with the store that leased it, or the exchange that returned it. */
        uint64_t state = load(&nipc__lane_control(&reader->memory, lane)->state);

        if (state >> 32 != view->state >> 32) {
                view->live_entry = 0;
                view->n_bad = 0;
                view->is_dead = view->is_broken = false;
        }
        if (state != view->state)
                view->stage = 0;
        view->state = state;
}

enum nipc__lane_found nipc__lane_take(struct nipc_lane_reader *reader, uint32_t lane)
{
        struct nipc__lane_view *view = &reader->views[lane];
        uint32_t state;
        uint64_t entry;

        see_state(reader, lane);
        state = (uint32_t)view->state;
        if (state == NIPC__LANE_INIT && view->is_dead)
                return NIPC__LANE_FOUND_END;
        if (state != NIPC__LANE_LEASED && state != NIPC__LANE_RETURNED)
                return NIPC__LANE_FOUND_NOTHING;
        while (!view->is_broken && (resume(reader, lane, &entry) || pop(reader, lane, &entry))) {
                if (look_at(reader, lane, entry)) {
                        reader->is_held = true;
                        return NIPC__LANE_FOUND_RING;
                }
                violate(reader, lane);
                give_back(reader, lane, entry);
                /* One may be damaged; an agent that goes on so is not waited for. */
                view->is_broken = ++view->n_bad > NIPC__LANE_MAX_RINGS;
        }
        if (state == NIPC__LANE_RETURNED)
                return NIPC__LANE_FOUND_END;
        if (view->is_dead)
                return take_dead(reader, lane);
        if (reader->is_live && can_be_live(reader) && look_live(reader, lane))
                return NIPC__LANE_FOUND_RING;
        return NIPC__LANE_FOUND_NOTHING;
}

void nipc__lane_free(struct nipc_lane_reader *reader, uint32_t lane)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        struct nipc__lane_view *view = &reader->views[lane];
        uint64_t state = view->state;

        atomic_store_explicit(&control->consumed, view->expected, memory_order_relaxed);
        atomic_store_explicit(&control->consumed_recycled, view->recycled, memory_order_relaxed);
        if (view->is_broken) /* whatever the positions say: nothing is in the queue */
                atomic_store_explicit(&control->submit_head, load(&control->submit_tail) << 16,
                                      memory_order_relaxed);
        clear_held(control);
        /* Pairs with the exchange of who leases it next. */
        atomic_compare_exchange_strong_explicit(&control->state, &state,
                                                (view->state & ~(uint64_t)UINT32_MAX) |
                                                        NIPC__LANE_FREE,
                                                memory_order_acq_rel, memory_order_relaxed);
        view->stage = 0;
}

bool nipc__lane_has_work(const struct nipc_lane_reader *reader, uint32_t lane, bool is_live)
{
        struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        const struct nipc__lane_view *view = &reader->views[lane];
        const uint32_t state =
                (uint32_t)atomic_load_explicit(&control->state, NIPC__LANE_AFTER_FENCE);
        uint64_t head, active;

        if (state == NIPC__LANE_RETURNED)
                return true;
        if (state == NIPC__LANE_INIT)
                return view->is_dead;
        if (state != NIPC__LANE_LEASED)
                return false;
        head = atomic_load_explicit(&control->submit_head, memory_order_relaxed);
        if (view->is_dead ||
            (!view->is_broken && (head & 0xffff || (atomic_load_explicit(&control->submit_tail,
                                                                         NIPC__LANE_AFTER_FENCE) &
                                                    UINT64_MAX >> 16) != head >> 16)))
                return true;
        if (!is_live || !can_be_live(reader))
                return false;
        active = load(&control->active);
        if (!active || (active & 0xffff) >= reader->memory.n_rings ||
            active >> 16 <= view->last_generation)
                return false;
        if (active != view->live_entry)
                return load(&nipc__lane_ring(&reader->memory, lane, active & 0xffff)->published) !=
                       0;
        return (uint32_t)load(
                       &nipc__lane_ring(&reader->memory, lane, active & 0xffff)->published) !=
               view->live_used;
}
