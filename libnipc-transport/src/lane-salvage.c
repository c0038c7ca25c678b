/* SPDX-License-Identifier: MIT */

/*
 * What is left of a pool's file (doc/lane.md §8). Rings are where the header says; where it is
 * damaged, and records have CRCs, they are looked for at every page, and end where the next one
 * begins: CRCs cover where a record stands in its ring, so that too much of a file is looked at at
 * worst. What the control blocks say orders nothing and proves nothing; generations do.
 */

#include "lane-recovery.h"
#include <errno.h>

#define CRC_OF       offsetof(struct nipc__lane_ring, recycled)
#define MAX_FINDINGS ((size_t)NIPC__LANE_MAX_LANES * NIPC__LANE_MAX_RINGS)

static uint64_t plain(const _Atomic uint64_t *word)
{
        return atomic_load_explicit(word, memory_order_relaxed); /* of a copy: ours alone */
}

/* ---- finding rings --------------------------------------------------------------------------- */

static bool is_empty(const struct nipc__lane_ring *header)
{
        return !header->magic && !header->lane && !header->epoch && !header->index &&
               !header->generation && !header->first && !header->crc && !plain(&header->published);
}

static bool has_right_crc(const struct nipc__lane_ring *header)
{
        return header->magic == NIPC__LANE_RING_MAGIC && header->crc &&
               header->crc == nipc__crc32c(0, header, CRC_OF);
}

static int add(struct nipc_lane_recovery *recovery, const struct nipc__lane_finding *finding)
{
        if (recovery->n_findings == recovery->n_room) {
                const size_t n = recovery->n_room ? recovery->n_room * 2 : 16;
                void *findings = realloc(recovery->findings, n * sizeof(*finding));

                if (!findings)
                        return -ENOMEM;
                recovery->findings = findings;
                recovery->n_room = n;
        }
        recovery->findings[recovery->n_findings++] = *finding;
        return 0;
}

/* Where the header says that ring is. */
static int look_at_place(struct nipc_lane_recovery *recovery, uint32_t lane, uint32_t index)
{
        const struct nipc_lane_file_info *info = &recovery->info;
        struct nipc__lane_finding finding = {
                .offset = 2 * NIPC__LANE_PAGE + lane * recovery->lane_bytes +
                          (uint64_t)index * info->ring_bytes,
                .lane = lane,
        };
        struct nipc__lane_ring header;
        int r;

        r = nipc__lane_source_read(&recovery->source, finding.offset, &header, sizeof(header));
        if (r == -ENODATA) /* that it was cut was said */
                return 0;
        if (r < 0)
                return r;
        if (is_empty(&header))
                return 0;
        finding.bytes =
                (uint32_t)NIPC__MIN(info->ring_bytes, recovery->source.size - finding.offset);
        finding.generation = header.generation;
        finding.flags = has_right_crc(&header) ? NIPC__LANE_FLAG_CRC : 0;
        if (header.magic != NIPC__LANE_RING_MAGIC || header.lane != lane || header.index != index ||
            (!finding.flags && (header.crc || info->has_crc))) {
                finding.skip = NIPC_LANE_SKIP_RING;
                finding.generation = 0;
        }
        return add(recovery, &finding);
}

static int look_at_places(struct nipc_lane_recovery *recovery)
{
        int r = 0;

        for (uint32_t lane = 0; r == 0 && lane < recovery->info.n_lanes; lane++) {
                if (NIPC__LANE_PAGE + lane * recovery->lane_bytes >= recovery->source.size)
                        break;
                for (uint32_t i = 0; r == 0 && i < recovery->info.n_rings; i++)
                        r = look_at_place(recovery, lane, i);
        }
        return r;
}

static int load_ring(struct nipc_lane_recovery *recovery, const struct nipc__lane_finding *finding)
{
        struct nipc__lane_ring header;
        const uint32_t size = finding->bytes - NIPC__LANE_RING_HEADER;
        int r = nipc__lane_make_buffer(recovery, NIPC__MAX(size, 8u));

        if (r == 0)
                r = nipc__lane_source_read(&recovery->source, finding->offset, &header,
                                           sizeof(header));
        recovery->data_offset = finding->offset + NIPC__LANE_RING_HEADER;
        if (r == 0)
                r = nipc__lane_source_read(&recovery->source, recovery->data_offset,
                                           recovery->buffer, size);
        if (r < 0)
                return r;
        recovery->published = NIPC__MIN((uint32_t)plain(&header.published), size);
        recovery->recycled_at = header.recycled;
        recovery->epoch = header.epoch;
        recovery->parser = (struct nipc__lane_parser){
                .bytes = recovery->buffer,
                /* With CRCs all of the ring is looked at: what was to be published may not be. */
                .size = finding->flags ? size : recovery->published,
                .key = nipc__lane_key(header.lane, header.epoch, header.generation),
                .flags = finding->flags,
                .sequence = header.first,
        };
        return 0;
}

/* Whether a record of the ring before goes over it: then it is what somebody wrote into one. */
static int is_data(struct nipc_lane_recovery *recovery, struct nipc__lane_finding *before,
                   uint64_t offset, bool *ret_is_data)
{
        struct nipc_lane_record record;
        int r;

        *ret_is_data = false;
        before->bytes = (uint32_t)NIPC__MIN(NIPC__MIN(offset + NIPC_LANE_RECORDING_MAX_BYTES,
                                                      recovery->source.size) -
                                                    before->offset,
                                            NIPC__LANE_MAX_RING);
        if (before->offset + before->bytes <= offset)
                return 0;
        r = load_ring(recovery, before);
        if (r < 0)
                return r == -ENODATA ? 0 : r; /* cut meanwhile: the place of `before` will tell */
        while (nipc__lane_parse(&recovery->parser, true, &record) == 0) {
                const uint64_t begin = recovery->data_offset +
                                       (uint64_t)((const uint8_t *)record.data - recovery->buffer) -
                                       NIPC__LANE_CRC_HEAD;

                if (begin >= offset)
                        break;
                *ret_is_data = recovery->data_offset + recovery->parser.pos > offset;
        }
        if (!*ret_is_data)
                before->bytes = (uint32_t)(offset - before->offset);
        return 0;
}

/* Without a header: at every page. */
static int look_everywhere(struct nipc_lane_recovery *recovery)
{
        struct nipc__lane_finding finding, *before;
        struct nipc__lane_ring header;
        bool is_inside;
        int r;

        for (uint64_t at = 0; recovery->n_findings < MAX_FINDINGS; at += NIPC__LANE_PAGE) {
                r = nipc__lane_source_read(&recovery->source, at, &header, sizeof(header));
                if (r < 0)
                        return r == -ENODATA ? 0 : r;
                if (!has_right_crc(&header))
                        continue;
                if (recovery->n_findings) {
                        before = &recovery->findings[recovery->n_findings - 1];
                        r = is_data(recovery, before, at, &is_inside);
                        if (r < 0)
                                return r;
                        if (is_inside)
                                continue;
                }
                finding = (struct nipc__lane_finding){
                        .offset = at,
                        .generation = header.generation,
                        .lane = header.lane,
                        .flags = NIPC__LANE_FLAG_CRC,
                };
                r = add(recovery, &finding);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare(const void *a, const void *b)
{
        const struct nipc__lane_finding *x = a, *y = b;

        if (x->lane != y->lane)
                return x->lane < y->lane ? -1 : 1;
        if (x->generation != y->generation)
                return x->generation < y->generation ? -1 : 1;
        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int begin_whole(struct nipc_lane_recovery *recovery, const struct nipc__lane_header *header,
                       uint64_t size)
{
        struct nipc_lane_file_info *info = &recovery->info;

        info->pid = header->owner.pid;
        info->kind = header->kind;
        info->policy = header->policy;
        info->n_lanes = header->n_lanes;
        info->n_rings = header->n_rings;
        info->ring_bytes = header->ring_bytes;
        info->has_crc = header->flags & NIPC__LANE_FLAG_CRC;
        recovery->lane_bytes = header->lane_bytes;
        if (recovery->source.size < size)
                nipc__lane_skipped(recovery, NIPC_LANE_SKIP_CUT, recovery->source.size,
                                   size - recovery->source.size);
        return look_at_places(recovery);
}

static int begin_damaged(struct nipc_lane_recovery *recovery)
{
        struct nipc__lane_finding *last;
        int r;

        recovery->info.has_crc = 1;
        r = look_everywhere(recovery);
        if (r < 0)
                return r;
        if (!recovery->n_findings)
                return -EBADMSG;
        last = &recovery->findings[recovery->n_findings - 1];
        last->bytes =
                (uint32_t)NIPC__MIN(recovery->source.size - last->offset, NIPC__LANE_MAX_RING);
        nipc__lane_skipped(recovery, NIPC_LANE_SKIP_HEADER, 0,
                           NIPC__MIN(recovery->source.size, NIPC__LANE_PAGE));
        return 0;
}

int nipc__lane_salvage_begin(struct nipc_lane_recovery *recovery,
                             const struct nipc__lane_header *header, size_t header_size)
{
        uint64_t size = 0;
        int r = nipc__lane_check_header(header, &size);

        if (r == -EPROTONOSUPPORT && header->magic != NIPC__LANE_MAGIC)
                return r;
        if (r == 0 && header_size == sizeof(*header) && recovery->source.size <= size)
                r = begin_whole(recovery, header, size);
        else
                r = begin_damaged(recovery);
        /* In the order of generations a lane's sequences only grow. */
        if (r == 0 && recovery->n_findings)
                qsort(recovery->findings, recovery->n_findings, sizeof(*recovery->findings),
                      compare);
        return r;
}

/* ---- records --------------------------------------------------------------------------------- */

/* What the control block says of it, if it is to be had. Nothing that is given out depends on it.
 */
static void begin_lane(struct nipc_lane_recovery *recovery, uint32_t lane)
{
        struct nipc__lane_control control;

        recovery->lane = lane;
        recovery->has_expected = false;
        recovery->consumed = 0;
        recovery->owner_epoch = recovery->owner_tid = 0;
        if (!recovery->info.n_lanes ||
            nipc__lane_source_read(&recovery->source, NIPC__LANE_PAGE + lane * recovery->lane_bytes,
                                   &control, sizeof(control)) < 0)
                return;
        recovery->consumed = plain(&control.consumed);
        recovery->owner_epoch = (uint32_t)(plain(&control.state) >> 32);
        recovery->owner_tid = atomic_load_explicit(&control.tid, memory_order_relaxed);
}

/* Takes the next finding. Returns 0, also when nothing of it is left to be read; -ENODATA. */
static int next_ring(struct nipc_lane_recovery *recovery)
{
        const struct nipc__lane_finding *finding;
        int r;

        if (recovery->next == recovery->n_findings)
                return -ENODATA;
        finding = &recovery->findings[recovery->next++];
        if (finding->skip) {
                nipc__lane_skipped(recovery, finding->skip, finding->offset, finding->bytes);
                return 0;
        }
        r = load_ring(recovery, finding);
        if (r == -ENODATA) { /* cut meanwhile; what is before it in the file may come later */
                nipc__lane_skipped(recovery, NIPC_LANE_SKIP_CUT, finding->offset, finding->bytes);
                return 0;
        }
        if (r < 0)
                return r;
        if (finding->lane != recovery->lane || !recovery->has_expected)
                begin_lane(recovery, finding->lane);
        /* Without CRCs a record's number is its place. */
        if (recovery->has_expected && finding->flags)
                recovery->parser.sequence =
                        NIPC__MAX(recovery->parser.sequence, recovery->expected);
        recovery->has_ring = true;
        return 0;
}

static void tell_gap(struct nipc_lane_recovery *recovery, const struct nipc_lane_record *record)
{
        struct nipc_lane_record *gap = &nipc__lane_found(recovery)->record;
        const uint64_t n = record->sequence - recovery->expected;
        const uint64_t n_recycled =
                recovery->recycled_at > recovery->recycled
                        ? NIPC__MIN(recovery->recycled_at - recovery->recycled, n)
                        : 0;

        *gap = *record;
        gap->type = NIPC_LANE_GAP;
        gap->data = NULL;
        gap->size = 0;
        gap->sequence = recovery->expected;
        gap->n_dropped = n - n_recycled;
        gap->n_recycled = n_recycled;
}

static void tell_record(struct nipc_lane_recovery *recovery, struct nipc_lane_record *record,
                        uint64_t offset, uint64_t length)
{
        struct nipc_lane_piece *piece;

        record->lane = recovery->lane;
        record->epoch = recovery->epoch;
        record->tid = recovery->epoch == recovery->owner_epoch ? recovery->owner_tid : 0;
        record->reserved = 0;
        if (recovery->has_expected && record->sequence < recovery->expected)
                return;
        if (recovery->has_expected && record->sequence > recovery->expected)
                tell_gap(recovery, record);
        recovery->has_expected = true;
        recovery->expected =
                record->sequence + (record->type == NIPC_LANE_GAP ? record->n_dropped : 1);
        recovery->recycled = recovery->recycled_at;
        piece = nipc__lane_found(recovery);
        piece->record = *record;
        piece->offset = offset;
        piece->length = length;
        piece->is_consumed = record->sequence < recovery->consumed;
}

static void next_record(struct nipc_lane_recovery *recovery)
{
        struct nipc__lane_parser *parser = &recovery->parser;
        const uint32_t from = parser->pos;
        struct nipc_lane_record record = {0};
        uint32_t begin, end;

        if (nipc__lane_parse(parser, true, &record) == 0) {
                begin = (uint32_t)((const uint8_t *)record.data - recovery->buffer) -
                        nipc__lane_head_bytes(parser->flags);
                if (begin > from)
                        nipc__lane_skipped(recovery, NIPC_LANE_SKIP_RECORD,
                                           recovery->data_offset + from, begin - from);
                tell_record(recovery, &record, recovery->data_offset + begin, parser->pos - begin);
                return;
        }
        recovery->has_ring = false;
        end = recovery->published;
        if (end > from)
                nipc__lane_skipped(recovery, NIPC_LANE_SKIP_RECORD, recovery->data_offset + from,
                                   end - from);
}

int nipc__lane_salvage_next(struct nipc_lane_recovery *recovery)
{
        int r = 0;

        while (r == 0 && !recovery->n_queued)
                if (recovery->has_ring)
                        next_record(recovery);
                else
                        r = next_ring(recovery);
        return r;
}
