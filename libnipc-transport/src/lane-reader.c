/* SPDX-License-Identifier: MIT */

/*
 * The controller's records: lane by lane, ring by ring, copied out piece by piece and checked then.
 * Sequence numbers decide what is delivered: what was consumed is passed over, what is missing is
 * told in its place (doc/lane.md §4, §7).
 */

#include "lane-reader.h"
#include "transport-private.h"
#include <errno.h>
#include <nipc/clock.h>

/* ---- open, close ----------------------------------------------------------------------------- */

static int make_reader(struct nipc__lane_memory *memory, struct nipc_lane_reader **ret_reader)
{
        struct nipc_lane_reader *reader = calloc(1, sizeof(*reader));

        if (!reader)
                return -ENOMEM;
        reader->piece_bytes = NIPC__MIN(memory->ring_bytes, NIPC__LANE_PIECE);
        reader->views = calloc(memory->n_lanes, sizeof(*reader->views));
        reader->torn_bytes = calloc(memory->n_lanes, sizeof(*reader->torn_bytes));
        reader->piece = aligned_alloc(64, reader->piece_bytes);
        if (!reader->views || !reader->torn_bytes || !reader->piece) {
                free(reader->views);
                free(reader->torn_bytes);
                free(reader->piece);
                free(reader);
                return -ENOMEM;
        }
        reader->memory = *memory;
        reader->ack_lane = NIPC__LANE_NONE;
        for (uint32_t i = 0; i < memory->n_lanes; i++) {
                struct nipc__lane_control *control = nipc__lane_control(memory, i);
                struct nipc__lane_view *view = &reader->views[i];

                /* As the reader before us left them. */
                view->expected = atomic_load_explicit(&control->consumed, memory_order_acquire);
                view->recycled =
                        atomic_load_explicit(&control->consumed_recycled, memory_order_acquire);
                view->free_tail = atomic_load_explicit(&control->free_tail, memory_order_acquire);
                if (view->free_tail)
                        view->last_generation =
                                atomic_load_explicit(
                                        &control->spare[(view->free_tail - 1) % memory->n_rings],
                                        memory_order_acquire) >>
                                16;
                /* It may have died between giving back a ring and waking who waits for it. */
                if (memory->policy == NIPC_LANE_BLOCK)
                        nipc__lane_rouse(memory, i);
        }
        *ret_reader = reader;
        return 0;
}

static int open_memory(int r, struct nipc__lane_memory *memory,
                       struct nipc_lane_reader **ret_reader)
{
        if (r < 0)
                return r;
        r = make_reader(memory, ret_reader);
        if (r < 0)
                nipc__lane_memory_close(memory);
        return r;
}

NIPC__EXPORT int nipc_lane_reader_open(int fd, int wake_fd, struct nipc_lane_reader **ret_reader)
{
        struct nipc__lane_memory memory;

        if (fd < 0 || !ret_reader)
                return -EINVAL;
        return open_memory(nipc__lane_memory_open(fd, wake_fd, &memory), &memory, ret_reader);
}

NIPC__EXPORT int nipc_lane_reader_open_path(const char *path, struct nipc_lane_reader **ret_reader)
{
        struct nipc__lane_memory memory;

        if (!path || !ret_reader)
                return -EINVAL;
        return open_memory(nipc__lane_memory_open_path(path, &memory), &memory, ret_reader);
}

static void acknowledge(struct nipc_lane_reader *reader)
{
        struct nipc__lane_control *control;
        const struct nipc__lane_view *view;

        if (reader->ack_lane == NIPC__LANE_NONE)
                return;
        control = nipc__lane_control(&reader->memory, reader->ack_lane);
        view = &reader->views[reader->ack_lane];
        reader->ack_lane = NIPC__LANE_NONE;
        /* For the reader that follows; it is no sooner there than we are gone. */
        atomic_store_explicit(&control->consumed_recycled, view->recycled, memory_order_relaxed);
        atomic_store_explicit(&control->consumed, view->expected, memory_order_release);
}

NIPC__EXPORT struct nipc_lane_reader *nipc_lane_reader_close(struct nipc_lane_reader *reader)
{
        if (!reader)
                return NULL;
        acknowledge(reader);
        nipc__lane_memory_close(&reader->memory);
        free(reader->views);
        free(reader->torn_bytes);
        free(reader->piece);
        free(reader);
        return NULL;
}

/* ---- records --------------------------------------------------------------------------------- */

/* Up to `sequence`, of which so many of the lane were recycled ever. */
static void tell_gap(struct nipc_lane_reader *reader, uint32_t lane, uint64_t sequence,
                     uint64_t recycled, struct nipc_lane_record *record)
{
        struct nipc__lane_view *view = &reader->views[lane];
        const uint64_t n = sequence - view->expected;
        const uint64_t n_recycled =
                recycled > view->recycled ? NIPC__MIN(recycled - view->recycled, n) : 0;

        *record = (struct nipc_lane_record){
                .type = NIPC_LANE_GAP,
                .sequence = view->expected,
                .n_dropped = n - n_recycled,
                .n_recycled = n_recycled,
                .lane = lane,
                .epoch = (uint32_t)(view->state >> 32),
                .tid = atomic_load_explicit(&nipc__lane_control(&reader->memory, lane)->tid,
                                            memory_order_relaxed),
        };
        view->expected = sequence;
        view->recycled += n_recycled;
        reader->ack_lane = lane;
}

/* Whether the caller gets it. */
static bool deliver(struct nipc_lane_reader *reader, struct nipc_lane_record *record)
{
        struct nipc__lane_view *view = &reader->views[reader->lane];
        const uint64_t end =
                record->sequence + (record->type == NIPC_LANE_GAP ? record->n_dropped : 1);

        if (NIPC__UNLIKELY(record->sequence < view->expected)) {
                if (end <= view->expected) /* consumed already */
                        return false;
                record->n_dropped = end - view->expected; /* of a gap that grew */
                record->sequence = view->expected;
        }
        record->lane = reader->lane;
        record->epoch = reader->epoch;
        record->tid = reader->tid;
        record->reserved = 0;
        if (NIPC__UNLIKELY(record->sequence > view->expected)) {
                reader->pending = *record;
                reader->has_pending = true;
                tell_gap(reader, reader->lane, record->sequence, reader->ring_recycled, record);
                return true;
        }
        view->expected = end;
        reader->ack_lane = reader->lane;
        return true;
}

static bool next_of_ring(struct nipc_lane_reader *reader, struct nipc_lane_record *record)
{
        for (;;) {
                while (nipc__lane_parse(&reader->parser, reader->next == reader->used, record) == 0)
                        if (NIPC__LIKELY(deliver(reader, record)))
                                return true;
                if (!nipc__lane_take_piece(reader))
                        return false;
        }
}

/* The lane has no more rings: what was lost last is told before somebody else gets it. */
static bool end_lane(struct nipc_lane_reader *reader, uint32_t lane,
                     struct nipc_lane_record *record)
{
        const struct nipc__lane_control *control = nipc__lane_control(&reader->memory, lane);
        const uint64_t n_sent = atomic_load_explicit(&control->n_sent, memory_order_acquire);

        if (n_sent > reader->views[lane].expected) {
                tell_gap(reader, lane, n_sent,
                         atomic_load_explicit(&control->n_recycled, memory_order_relaxed), record);
                return true;
        }
        nipc__lane_free(reader, lane);
        return false;
}

/* Whether a record was found at an end, or a ring to read records of. */
static bool look_on(struct nipc_lane_reader *reader, struct nipc_lane_record *record,
                    bool *ret_is_told)
{
        uint32_t lane;

        *ret_is_told = false;
        for (; reader->n_idle < reader->memory.n_lanes; reader->n_idle++) {
                lane = reader->turn;
                reader->is_live = reader->n_live != 0;
                reader->n_live -= reader->is_live;
                switch (nipc__lane_take(reader, lane)) {
                case NIPC__LANE_FOUND_RING:
                        reader->n_idle = 0;
                        reader->turn = (lane + 1) % reader->memory.n_lanes;
                        return true;
                case NIPC__LANE_FOUND_END:
                        if (end_lane(reader, lane, record)) {
                                *ret_is_told = true;
                                return true;
                        }
                        break;
                case NIPC__LANE_FOUND_NOTHING:
                        break;
                }
                reader->turn = (lane + 1) % reader->memory.n_lanes;
        }
        return false;
}

/*
 * The next record of the same ring of a memfd, if it is what is expected: nearly all are. Whatever
 * else it may be is left to those above.
 */
static NIPC__ALWAYS_INLINE bool next_plain(struct nipc_lane_reader *reader,
                                           struct nipc_lane_record *record)
{
        struct nipc__lane_parser *parser = &reader->parser;
        const uint32_t left = parser->size - parser->pos;
        struct nipc__lane_view *view = reader->view;
        uint32_t head[2], size, type, total;
        const uint8_t *bytes;

        if (reader->ack_lane != reader->lane || left < NIPC__LANE_HEAD || parser->flags ||
            reader->has_pending || !reader->has_ring)
                return false;
        bytes = parser->bytes + parser->pos;
        memcpy(head, bytes, sizeof(head));
        type = head[0] & 0xffff;
        size = head[0] >> 16;
        total = nipc__lane_total(0, size);
        if (NIPC__UNLIKELY(total > left || head[1] != parser->key + parser->offset + parser->pos ||
                           type >= NIPC_LANE_RESERVED_TYPES || parser->sequence != view->expected))
                return false;
        /* As in acknowledge(); nothing was recycled since. */
        atomic_store_explicit(&reader->control->consumed, view->expected, memory_order_release);
        record->data = bytes + NIPC__LANE_HEAD;
        record->size = size;
        record->type = type;
        record->sequence = parser->sequence;
        record->n_dropped = record->n_recycled = 0;
        record->lane = reader->lane;
        record->epoch = reader->epoch;
        record->tid = reader->tid;
        record->reserved = 0;
        view->expected = ++parser->sequence;
        parser->pos += total;
        return true;
}

NIPC__EXPORT int nipc_lane_reader_next(struct nipc_lane_reader *reader,
                                       struct nipc_lane_record *ret_record)
{
        bool is_told;

        if (!reader || !ret_record)
                return -EINVAL;
        if (NIPC__LIKELY(next_plain(reader, ret_record)))
                return 0;
        acknowledge(reader);
        if (NIPC__UNLIKELY(reader->has_pending)) {
                struct nipc__lane_view *view = &reader->views[reader->lane];

                reader->has_pending = false;
                *ret_record = reader->pending;
                view->expected = ret_record->sequence +
                                 (ret_record->type == NIPC_LANE_GAP ? ret_record->n_dropped : 1);
                /* Recycled ones were all before this ring. */
                view->recycled = NIPC__MAX(view->recycled, reader->ring_recycled);
                reader->ack_lane = reader->lane;
                return 0;
        }
        /* An agent that submits rings without records keeps nobody for ever. */
        for (uint32_t n = 0; n <= reader->memory.n_lanes * NIPC__LANE_MAX_RINGS; n++) {
                if (reader->has_ring) {
                        if (NIPC__LIKELY(next_of_ring(reader, ret_record)))
                                return 0;
                        nipc__lane_leave_ring(reader);
                }
                if (!look_on(reader, ret_record, &is_told)) {
                        reader->n_idle = 0;
                        reader->n_live = 0;
                        return -EAGAIN;
                }
                if (is_told)
                        return 0;
        }
        return -EAGAIN;
}
