/* SPDX-License-Identifier: MIT */

/*
 * Recordings: the records that a controller took, one after the other, each in a frame that is
 * known for one by its CRC, which covers where it stands and in which recording (doc/lane.md §10).
 * So the next whole one is found after whatever damage, and bytes of records are not taken for
 * frames, not even those of another recording.
 */

#include "lane-recovery.h"
#include <errno.h>

#define HEADER_COPY    64u
#define RECORDING_SIZE NIPC_LANE_RECORDING_HEADER_BYTES
#define MAGIC          UINT64_C(0x316463657263706e) /* "npcrecd1", little-endian */
#define VERSION        1u
#define FRAME_MAGIC    UINT32_C(0x43455246) /* "FREC" */
#define WINDOW         (1u << 20)

/* Twice, at 0 and at 64: one is enough. */
struct header {
        uint64_t magic;
        uint32_t version;
        uint32_t header_bytes;
        uint64_t key;
        uint64_t time_ns;
        uint32_t pid;
        uint32_t reserved[6];
        uint32_t crc; /* of all before it */
};

struct frame {
        uint32_t magic;
        uint32_t crc; /* of key and offset, both u64, and of all from here to the end of the data */
        uint32_t word; /* size of the data << 16 | type */
        uint32_t lane;
        uint32_t epoch;
        uint32_t tid;
        uint64_t sequence;
};

_Static_assert(sizeof(struct header) == HEADER_COPY, "doc/lane.md §10");
_Static_assert(sizeof(struct frame) == NIPC_LANE_RECORDING_FRAME_BYTES, "doc/lane.md §10");

static uint32_t get_crc(uint64_t key, uint64_t offset, const uint8_t *frame, uint32_t size)
{
        const uint64_t seed[2] = {key, offset};

        return nipc__crc32c(nipc__crc32c(0, seed, sizeof(seed)), frame + 8,
                            sizeof(struct frame) - 8 + (size_t)size);
}

/* ---- write ----------------------------------------------------------------------------------- */

NIPC__EXPORT void nipc_lane_recording_begin(uint64_t key, uint32_t pid, uint64_t time_ns,
                                            void *ret_bytes)
{
        struct header header = {
                .magic = MAGIC,
                .version = VERSION,
                .header_bytes = RECORDING_SIZE,
                .key = key,
                .time_ns = time_ns,
                .pid = pid,
        };

        header.crc = nipc__crc32c(0, &header, offsetof(struct header, crc));
        memcpy(ret_bytes, &header, sizeof(header));
        memcpy((uint8_t *)ret_bytes + HEADER_COPY, &header, sizeof(header));
}

NIPC__EXPORT int nipc_lane_recording_put(uint64_t key, uint64_t offset,
                                         const struct nipc_lane_record *record, void *ret_bytes,
                                         size_t size)
{
        struct frame frame = {.magic = FRAME_MAGIC};
        uint8_t *bytes = ret_bytes;
        uint64_t gap[2];
        const void *data;
        uint32_t data_size, total;

        if (!record || !ret_bytes || record->size > NIPC_LANE_MAX_RECORD_BYTES)
                return -EINVAL;
        total = nipc_lane_recording_get_size(record);
        if (size < total)
                return -EINVAL;
        gap[0] = record->n_dropped;
        gap[1] = record->n_recycled;
        data = record->type == NIPC_LANE_GAP ? gap : record->data;
        data_size = record->type == NIPC_LANE_GAP ? sizeof(gap) : record->size;
        frame.word = data_size << 16 | (record->type & 0xffff);
        frame.lane = record->lane;
        frame.epoch = record->epoch;
        frame.tid = record->tid;
        frame.sequence = record->sequence;
        memset(bytes + total - 8, 0, 8);
        memcpy(bytes, &frame, sizeof(frame));
        if (data_size)
                memcpy(bytes + sizeof(frame), data, data_size);
        frame.crc = get_crc(key, offset, bytes, data_size);
        memcpy(bytes + offsetof(struct frame, crc), &frame.crc, sizeof(frame.crc));
        return (int)total;
}

/* ---- read ------------------------------------------------------------------------------------ */

int nipc__lane_recording_open(struct nipc_lane_recovery *recovery)
{
        struct header header;
        bool is_damaged = false;

        for (uint32_t at = 0; at < RECORDING_SIZE; at += HEADER_COPY) {
                int r = nipc__lane_source_read(&recovery->source, at, &header, sizeof(header));

                if (r < 0)
                        return r == -ENODATA ? -EBADMSG : r;
                if (header.magic == __builtin_bswap64(MAGIC))
                        return -EPROTONOSUPPORT;
                if (header.magic == MAGIC && header.version == VERSION &&
                    header.header_bytes == RECORDING_SIZE &&
                    header.crc == nipc__crc32c(0, &header, offsetof(struct header, crc))) {
                        recovery->info.is_recording = 1;
                        recovery->info.pid = header.pid;
                        recovery->info.key = header.key;
                        recovery->info.time_ns = header.time_ns;
                        recovery->info.has_crc = 1;
                        recovery->pos = RECORDING_SIZE;
                        if (is_damaged)
                                nipc__lane_skipped(recovery, NIPC_LANE_SKIP_HEADER, 0, HEADER_COPY);
                        return nipc__lane_make_buffer(recovery, WINDOW);
                }
                is_damaged = true;
        }
        return -EBADMSG;
}

/* Makes what follows `pos` available. Returns how much there is, at most a window less a frame. */
static int look_at(struct nipc_lane_recovery *recovery, uint64_t pos, const uint8_t **ret_bytes,
                   uint32_t *ret_size)
{
        const uint64_t end = recovery->window + recovery->window_size;
        int r;

        if (pos >= recovery->source.size)
                return -ENODATA;
        if (pos < recovery->window || pos > end ||
            (end < recovery->source.size && end - pos < NIPC_LANE_RECORDING_MAX_BYTES)) {
                const size_t n = (size_t)NIPC__MIN(recovery->source.size - pos, WINDOW);

                recovery->window_size = 0;
                /* A recorder that ends meanwhile cuts its room off: that is zeros then. */
                memset(recovery->buffer, 0, n);
                r = nipc__lane_source_read(&recovery->source, pos, recovery->buffer, n);
                if (r < 0 && r != -ENODATA)
                        return r;
                recovery->window = pos;
                recovery->window_size = n;
        }
        *ret_bytes = recovery->buffer + (pos - recovery->window);
        *ret_size = (uint32_t)(recovery->window + recovery->window_size - pos);
        return 0;
}

/* Whether there is a whole frame. Of `size` bytes there are as many as the largest one takes. */
static bool is_frame(const struct nipc_lane_recovery *recovery, uint64_t pos, const uint8_t *bytes,
                     uint32_t size, struct frame *frame)
{
        if (size < sizeof(*frame))
                return false;
        memcpy(frame, bytes, sizeof(*frame));
        return frame->magic == FRAME_MAGIC && frame->word >> 16 <= size - sizeof(*frame) &&
               frame->crc == get_crc(recovery->info.key, pos, bytes, frame->word >> 16);
}

static void take(struct nipc_lane_recovery *recovery, const struct frame *frame,
                 const uint8_t *data)
{
        struct nipc_lane_piece *piece = nipc__lane_found(recovery);
        struct nipc_lane_record *record = &piece->record;
        uint64_t gap[2];

        record->type = frame->word & 0xffff;
        record->size = frame->word >> 16;
        record->data = data;
        record->sequence = frame->sequence;
        record->lane = frame->lane;
        record->epoch = frame->epoch;
        record->tid = frame->tid;
        piece->offset = recovery->pos;
        piece->length = sizeof(*frame) + ((record->size + 7u) & ~UINT32_C(7));
        if (record->type == NIPC_LANE_GAP && record->size >= sizeof(gap)) {
                memcpy(gap, data, sizeof(gap));
                record->n_dropped = gap[0];
                record->n_recycled = gap[1];
                record->size = 0;
        }
        /* The last one may lack its padding. */
        piece->length = NIPC__MIN(piece->length, recovery->source.size - piece->offset);
        recovery->pos += piece->length;
}

int nipc__lane_recording_next(struct nipc_lane_recovery *recovery)
{
        const uint64_t from = recovery->pos;
        uint64_t end = from; /* of what is not room that a recorder had made, and was killed */
        const uint8_t *bytes;
        struct frame frame;
        uint32_t size;
        int r;

        for (;; recovery->pos += NIPC__MIN(8u, size)) {
                r = look_at(recovery, recovery->pos, &bytes, &size);
                if (r < 0 || is_frame(recovery, recovery->pos, bytes, size, &frame))
                        break;
                for (uint32_t i = 0; i < NIPC__MIN(8u, size); i++)
                        if (bytes[i])
                                end = recovery->pos + NIPC__MIN(8u, size);
        }
        if (r < 0 && r != -ENODATA)
                return r;
        if (r == 0)
                end = recovery->pos;
        if (end > from)
                nipc__lane_skipped(recovery, NIPC_LANE_SKIP_RECORD, from, end - from);
        if (r == 0)
                take(recovery, &frame, bytes + sizeof(frame));
        return recovery->n_queued ? 0 : -ENODATA;
}
