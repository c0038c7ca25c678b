/* SPDX-License-Identifier: MIT */

/*
 * Finds the records in bytes that somebody else wrote, and that are ours meanwhile: a copy. Nothing
 * in them is believed before it was checked against what is there.
 */

#include "lane-private.h"
#include <errno.h>

static uint32_t load_u32(const uint8_t *p)
{
        uint32_t value;

        memcpy(&value, p, sizeof(value));
        return value;
}

static uint64_t load_u64(const uint8_t *p)
{
        uint64_t value;

        memcpy(&value, p, sizeof(value));
        return value;
}

int nipc__lane_check_header(const struct nipc__lane_header *header, uint64_t *ret_size)
{
        uint64_t size;

        if (header->magic != NIPC__LANE_MAGIC)
                return header->magic == __builtin_bswap64(NIPC__LANE_MAGIC) ? -EPROTONOSUPPORT
                                                                            : -EBADMSG;
        if (header->version != NIPC__LANE_VERSION)
                return -EPROTONOSUPPORT;
        if (header->header_bytes != NIPC__LANE_PAGE || !header->n_lanes ||
            header->n_lanes > NIPC__LANE_MAX_LANES || header->n_rings < NIPC__LANE_MIN_RINGS ||
            header->n_rings > NIPC__LANE_MAX_RINGS || !header->ring_bytes ||
            header->ring_bytes % NIPC__LANE_PAGE || header->ring_bytes > NIPC__LANE_MAX_RING ||
            header->kind > NIPC_LANE_DETAIL || header->policy > NIPC_LANE_BLOCK ||
            header->flags & ~NIPC__LANE_FLAG_CRC ||
            header->lane_bytes != NIPC__LANE_PAGE + (uint64_t)header->n_rings * header->ring_bytes)
                return -EBADMSG;
        size = NIPC__LANE_PAGE + header->n_lanes * header->lane_bytes;
        if (size > NIPC__LANE_MAX_POOL)
                return -EBADMSG;
        *ret_size = size;
        return 0;
}

/* 1: a record of so many bytes in all; 0: not all of it is here; -1: none. */
static int look(const struct nipc__lane_parser *parser, uint32_t *ret_total)
{
        const uint32_t head_bytes = nipc__lane_head_bytes(parser->flags);
        const uint8_t *record = parser->bytes + parser->pos;
        const uint32_t here = parser->offset + parser->pos;
        uint32_t size, total;

        if (parser->size - parser->pos < head_bytes)
                return 0;
        size = load_u32(record) >> 16;
        total = nipc__lane_total(parser->flags, size);
        if (!(parser->flags & NIPC__LANE_FLAG_CRC) && load_u32(record + 4) != parser->key + here)
                return -1;
        if (total > parser->size - parser->pos)
                return 0;
        if (parser->flags & NIPC__LANE_FLAG_CRC &&
            (load_u64(record + 8) < parser->sequence ||
             load_u32(record + 4) != nipc__lane_record_crc(parser->key, here, record, size)))
                return -1;
        *ret_total = total;
        return 1;
}

static void take(struct nipc__lane_parser *parser, uint32_t total, struct nipc_lane_record *record)
{
        const uint8_t *bytes = parser->bytes + parser->pos;
        const uint32_t word = load_u32(bytes), head_bytes = nipc__lane_head_bytes(parser->flags);

        record->type = word & 0xffff;
        record->size = word >> 16;
        record->data = bytes + head_bytes;
        record->n_dropped = 0;
        record->n_recycled = 0;
        record->sequence = parser->sequence;
        if (parser->flags & NIPC__LANE_FLAG_CRC)
                record->sequence = load_u64(bytes + 8);
        if (NIPC__UNLIKELY(record->type == NIPC__LANE_DROPS)) {
                record->n_dropped = record->size >= 8 ? load_u64(record->data) : 0;
                record->type = NIPC_LANE_GAP;
                record->size = 0;
                parser->sequence = record->sequence + record->n_dropped;
        } else {
                parser->sequence = record->sequence + 1;
        }
        parser->pos += total;
}

int nipc__lane_parse(struct nipc__lane_parser *parser, bool is_last,
                     struct nipc_lane_record *ret_record)
{
        uint32_t total = 0;
        int r;

        while (parser->pos < parser->size) {
                r = look(parser, &total);
                if (NIPC__LIKELY(r > 0)) {
                        take(parser, total, ret_record);
                        return 0;
                }
                if (r == 0 && !is_last)
                        return -EAGAIN;
                /* Torn: the next one begins somewhere at a multiple of 8, if it can be known. */
                if (!(parser->flags & NIPC__LANE_FLAG_CRC)) {
                        parser->torn_bytes += parser->size - parser->pos;
                        parser->pos = parser->size;
                } else {
                        const uint32_t step = NIPC__MIN(8u, parser->size - parser->pos);

                        parser->torn_bytes += step;
                        parser->pos += step;
                }
        }
        return -EAGAIN;
}
