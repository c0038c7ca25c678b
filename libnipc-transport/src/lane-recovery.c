/* SPDX-License-Identifier: MIT */

/*
 * Records of files, whole or damaged: <nipc/lane-file.h>. Which of the two kinds a file is is found
 * here; what follows is of lane-salvage.c and lane-recording.c.
 */

#include "lane-recovery.h"
#include <errno.h>

int nipc__lane_source_read(const struct nipc__lane_source *source, uint64_t offset, void *bytes,
                           size_t size)
{
        if (offset > source->size || size > source->size - offset)
                return -ENODATA;
        if (!source->bytes)
                return nipc__lane_file_read(source, offset, bytes, size);
        memcpy(bytes, source->bytes + offset, size);
        return 0;
}

struct nipc_lane_piece *nipc__lane_found(struct nipc_lane_recovery *recovery)
{
        struct nipc_lane_piece *piece = &recovery->queue[recovery->n_queued++];

        memset(piece, 0, sizeof(*piece));
        return piece;
}

void nipc__lane_skipped(struct nipc_lane_recovery *recovery, uint32_t skip, uint64_t offset,
                        uint64_t length)
{
        struct nipc_lane_piece *piece = nipc__lane_found(recovery);

        piece->skip = skip;
        piece->offset = offset;
        piece->length = length;
}

int nipc__lane_make_buffer(struct nipc_lane_recovery *recovery, size_t size)
{
        void *buffer;

        if (size <= recovery->buffer_size)
                return 0;
        buffer = realloc(recovery->buffer, size);
        if (!buffer)
                return -ENOMEM;
        recovery->buffer = buffer;
        recovery->buffer_size = size;
        return 0;
}

static int look(struct nipc_lane_recovery *recovery)
{
        struct nipc__lane_header header;
        const size_t size = (size_t)NIPC__MIN(recovery->source.size, sizeof(header));
        int r = nipc__lane_recording_open(recovery);

        if (r != -EBADMSG)
                return r;
        memset(&header, 0, sizeof(header));
        r = nipc__lane_source_read(&recovery->source, 0, &header, size);
        return r < 0 ? r : nipc__lane_salvage_begin(recovery, &header, size);
}

static int make(const struct nipc__lane_source *source, struct nipc_lane_recovery **ret_recovery)
{
        struct nipc_lane_recovery *recovery = calloc(1, sizeof(*recovery));
        int r;

        if (!recovery)
                return -ENOMEM;
        recovery->source = *source;
        r = look(recovery);
        if (r < 0) {
                recovery->source.fd = -1; /* the caller's still */
                nipc_lane_recovery_free(recovery);
                return r;
        }
        *ret_recovery = recovery;
        return 0;
}

NIPC__EXPORT int nipc_lane_recovery_new(const void *bytes, size_t size,
                                        struct nipc_lane_recovery **ret_recovery)
{
        static const uint8_t nothing[1];
        const struct nipc__lane_source source = {bytes ? bytes : nothing, -1, size};

        if ((!bytes && size) || !ret_recovery)
                return -EINVAL;
        return make(&source, ret_recovery);
}

NIPC__EXPORT int nipc_lane_recovery_open(int fd, struct nipc_lane_recovery **ret_recovery)
{
        struct nipc__lane_source source = {NULL, -1, 0};
        int r;

        if (fd < 0 || !ret_recovery)
                return -EINVAL;
        r = nipc__lane_file_open(fd, &source);
        if (r < 0)
                return r;
        r = make(&source, ret_recovery);
        if (r < 0)
                nipc__lane_file_close(&source);
        return r;
}

NIPC__EXPORT struct nipc_lane_recovery *nipc_lane_recovery_free(struct nipc_lane_recovery *recovery)
{
        if (!recovery)
                return NULL;
        nipc__lane_file_close(&recovery->source);
        free(recovery->findings);
        free(recovery->buffer);
        free(recovery);
        return NULL;
}

NIPC__EXPORT int nipc_lane_recovery_next(struct nipc_lane_recovery *recovery,
                                         struct nipc_lane_piece *ret_piece)
{
        int r;

        if (!recovery || !ret_piece)
                return -EINVAL;
        while (recovery->n_taken == recovery->n_queued) {
                recovery->n_taken = recovery->n_queued = 0;
                r = recovery->info.is_recording ? nipc__lane_recording_next(recovery)
                                                : nipc__lane_salvage_next(recovery);
                if (r < 0)
                        return r;
        }
        *ret_piece = recovery->queue[recovery->n_taken++];
        return 0;
}

NIPC__EXPORT int nipc_lane_recovery_get_info(const struct nipc_lane_recovery *recovery,
                                             struct nipc_lane_file_info *ret_info)
{
        size_t size;

        if (!recovery || !ret_info || ret_info->size < sizeof(size))
                return -EINVAL;
        size = ret_info->size;
        memcpy(ret_info, &recovery->info, NIPC__MIN(size, sizeof(*ret_info)));
        ret_info->size = size;
        return 0;
}
