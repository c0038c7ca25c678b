/* SPDX-License-Identifier: MIT */

/*
 * Writing records. A lane has one thread, and that thread's signal handlers, which may come between
 * any two instructions: `busy` says that a write is under way; a handler that finds it set puts its
 * record aside, in memory of the handle, and the write that it interrupted takes it in before it
 * returns (doc/lane.md §5). The hot path is nipc_lane_put() in <nipc/lane.h>; here is the same for
 * those who cannot have it inline, and for files.
 */

#include "lane-writer.h"
#include <errno.h>

#define NESTED_DROP (UINT64_C(1) << 32) /* in cursor.nested: drops << 32 | bytes put aside */

static void compiler_fence(void)
{
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static bool is_busy(const struct nipc_lane *lane)
{
        return __atomic_load_n(&lane->cursor.busy, __ATOMIC_RELAXED) != 0;
}

static void enter(struct nipc_lane *lane)
{
        __atomic_store_n(&lane->cursor.busy, 1, __ATOMIC_RELAXED);
        compiler_fence();
}

/* ---- one record ------------------------------------------------------------------------------ */

static uint32_t get_used(const struct nipc_lane *lane)
{
        return (uint32_t)lane->cursor.word;
}

static bool has_room(const struct nipc_lane *lane, uint32_t total)
{
        return (uint64_t)get_used(lane) + total <= lane->ring_limit;
}

/* Bytes for a record's data, in the ring. There is room. */
static uint8_t *get_place(const struct nipc_lane *lane)
{
        return lane->cursor.data + get_used(lane) + nipc__lane_head_bytes(lane->memory->flags);
}

static void publish(struct nipc_lane *lane, uint32_t type, uint32_t size)
{
        struct nipc_lane_cursor *c = &lane->cursor;
        uint8_t *record = c->data + get_used(lane);
        const uint64_t sequence = nipc__lane_next_sequence(lane);
        uint32_t head[2] = {type | size << 16, c->key + get_used(lane)};

        memcpy(record, head, sizeof(head));
        if (lane->memory->flags & NIPC__LANE_FLAG_CRC) {
                memcpy(record + 8, &sequence, sizeof(sequence));
                head[1] = nipc__lane_record_crc(c->key, get_used(lane), record, size);
                memcpy(record + 4, &head[1], sizeof(head[1]));
        }
        c->word += (UINT64_C(1) << 32) + nipc__lane_total(lane->memory->flags, size);
        /* Pairs with the loads in the reader's look_at(): the record comes before. */
        __atomic_store_n(c->published, c->word, __ATOMIC_RELEASE);
}

/* Where the next record of so many bytes can go; a record that cannot is dropped. */
static int make_room(struct nipc_lane *lane, uint32_t size)
{
        const uint32_t total = nipc__lane_total(lane->memory->flags, size);
        int r;

        if (total > lane->memory->ring_bytes - NIPC__LANE_RING_HEADER)
                return -EMSGSIZE;
        if (NIPC__LIKELY(has_room(lane, total)))
                return 0;
        r = nipc__lane_rotate(lane);
        if (r < 0 && r != -ESTALE)
                nipc__lane_count_drops(lane, 1);
        return r;
}

static int write_record(struct nipc_lane *lane, uint32_t type, const void *data, uint32_t size)
{
        int r = make_room(lane, size);

        if (r < 0)
                return r;
        if (size)
                memcpy(get_place(lane), data, size);
        publish(lane, type, size);
        return 0;
}

/* So many are missing here, in the middle of a ring or before the next. */
static void write_drops(struct nipc_lane *lane, uint64_t n)
{
        int r = make_room(lane, sizeof(n));

        if (r == -ESTALE)
                return;
        if (r < 0) {
                /* It counted the record that says so, which is none. */
                nipc__lane_count_drops(lane, n - 1);
                return;
        }
        memcpy(get_place(lane), &n, sizeof(n));
        publish(lane, NIPC__LANE_DROPS, sizeof(n));
        lane->more += n - 1;
        lane->n_dropped += n;
        atomic_store_explicit(&lane->control->n_dropped, lane->n_dropped, memory_order_relaxed);
}

/* ---- interrupted writes ---------------------------------------------------------------------- */

static int put_aside(struct nipc_lane *lane, uint32_t type, const void *data, uint32_t size)
{
        uint64_t *nested = &lane->cursor.nested;
        const uint32_t head[2] = {type, size}, total = (size + 15u) & ~UINT32_C(7);
        uint32_t used;

        /* A handler that interrupts a handler right here finds no place. */
        if (__atomic_load_n(&lane->is_nesting, __ATOMIC_RELAXED)) {
                __atomic_fetch_add(nested, NESTED_DROP, __ATOMIC_RELAXED);
                return -ENOBUFS;
        }
        __atomic_store_n(&lane->is_nesting, 1, __ATOMIC_RELAXED);
        compiler_fence();
        used = (uint32_t)__atomic_load_n(nested, __ATOMIC_RELAXED);
        if (total > NIPC__LANE_NESTED_BYTES - used) {
                __atomic_fetch_add(nested, NESTED_DROP, __ATOMIC_RELAXED);
        } else {
                memcpy(lane->nested_bytes + used, head, sizeof(head));
                if (size)
                        memcpy(lane->nested_bytes + used + sizeof(head), data, size);
                compiler_fence();
                __atomic_fetch_add(nested, total, __ATOMIC_RELAXED);
        }
        compiler_fence();
        __atomic_store_n(&lane->is_nesting, 0, __ATOMIC_RELAXED);
        return total > NIPC__LANE_NESTED_BYTES - used ? -ENOBUFS : 0;
}

/* With the lane busy: handlers go on putting aside meanwhile. */
static void take_in(struct nipc_lane *lane)
{
        uint64_t *nested = &lane->cursor.nested, seen, drops;
        uint32_t pos = 0, head[2];

        do {
                seen = __atomic_load_n(nested, __ATOMIC_RELAXED);
                compiler_fence();
                while (pos < (uint32_t)seen) {
                        memcpy(head, lane->nested_bytes + pos, sizeof(head));
                        (void)write_record(lane, head[0], lane->nested_bytes + pos + sizeof(head),
                                           head[1]);
                        pos += (head[1] + 15u) & ~UINT32_C(7);
                }
                drops = seen >> 32;
                compiler_fence();
        } while (!__atomic_compare_exchange_n(nested, &seen, 0, false, __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED));
        if (drops)
                write_drops(lane, drops);
}

static void leave(struct nipc_lane *lane)
{
        for (;;) {
                compiler_fence();
                __atomic_store_n(&lane->cursor.busy, 0, __ATOMIC_RELAXED);
                compiler_fence();
                /* A handler from here on is not nested, and takes in itself what there is. */
                if (NIPC__LIKELY(!__atomic_load_n(&lane->cursor.nested, __ATOMIC_RELAXED)))
                        return;
                enter(lane);
                take_in(lane);
        }
}

NIPC__EXPORT void nipc_lane_settle(struct nipc_lane *lane)
{
        if (nipc__fork_is_inherited(&lane->maker) || is_busy(lane))
                return;
        enter(lane);
        leave(lane);
}

/* ---- public ---------------------------------------------------------------------------------- */

static int check(const struct nipc_lane *lane, uint32_t type, uint32_t size)
{
        if (!lane || type >= NIPC_LANE_RESERVED_TYPES)
                return -EINVAL;
        if (nipc__fork_is_inherited(&lane->maker))
                return -ECHILD;
        if (size > NIPC_LANE_MAX_RECORD_BYTES ||
            nipc__lane_total(lane->memory->flags, size) >
                    lane->memory->ring_bytes - NIPC__LANE_RING_HEADER)
                return -EMSGSIZE;
        return 0;
}

NIPC__EXPORT int nipc_lane_write(struct nipc_lane *lane, uint32_t type, const void *data,
                                 uint32_t size)
{
        int r = check(lane, type, size);

        if (NIPC__UNLIKELY(r < 0))
                return r;
        if (NIPC__UNLIKELY(!data && size))
                return -EINVAL;
        if (NIPC__UNLIKELY(is_busy(lane)))
                return put_aside(lane, type, data, size);
        enter(lane);
        r = write_record(lane, type, data, size);
        leave(lane);
        return r;
}

NIPC__EXPORT int nipc_lane_begin(struct nipc_lane *lane, uint32_t type, uint32_t size,
                                 void **ret_data)
{
        int r = check(lane, type, size);

        if (r < 0)
                return r;
        if (!ret_data)
                return -EINVAL;
        if (is_busy(lane))
                return -EBUSY;
        enter(lane);
        r = make_room(lane, size);
        if (r < 0) {
                leave(lane);
                return r;
        }
        lane->begun_type = type;
        lane->begun_size = size;
        *ret_data = get_place(lane);
        return 0;
}

NIPC__EXPORT int nipc_lane_commit(struct nipc_lane *lane, uint32_t size)
{
        int r = 0;

        if (!lane || lane->begun_type == NIPC__LANE_NONE)
                return -EINVAL;
        if (nipc__fork_is_inherited(&lane->maker))
                return -ECHILD;
        if (size > lane->begun_size)
                r = -EINVAL;
        else
                publish(lane, lane->begun_type, size);
        lane->begun_type = NIPC__LANE_NONE;
        leave(lane);
        return r;
}

NIPC__EXPORT void nipc_lane_mark(struct nipc_lane *lane)
{
        /* Pairs with the exchange in nipc__lane_retire(). */
        if (lane && !nipc__fork_is_inherited(&lane->maker))
                atomic_exchange_explicit(&lane->control->mark, 1, memory_order_acq_rel);
}

NIPC__EXPORT int nipc_lane_flush(struct nipc_lane *lane)
{
        if (!lane)
                return -EINVAL;
        if (nipc__fork_is_inherited(&lane->maker))
                return -ECHILD;
        if (is_busy(lane))
                return -EBUSY;
        enter(lane);
        if (get_used(lane) && !nipc__lane_is_stale(lane) &&
            (lane->memory->kind == NIPC_LANE_INDEX ||
             atomic_load_explicit(&lane->control->mark, memory_order_relaxed)))
                nipc__lane_retire(lane);
        nipc__lane_tell(lane);
        leave(lane);
        return 0;
}

NIPC__EXPORT uint32_t nipc_lane_get_index(const struct nipc_lane *lane)
{
        return lane ? lane->index : UINT32_MAX;
}
