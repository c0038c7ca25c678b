/* SPDX-License-Identifier: MIT */
/*
 * Writes recordings, see lane.h. The part of the file that is written is mapped: a record that was
 * put in stays, even if this process is killed right after, and nothing is written twice. Its room
 * is reserved first, so that a full disk is an error and not a signal.
 */
#include "lane.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW (4u << 20)

/* The last record of a lane that was in the file already: it may be given out once more. */
struct last {
        uint64_t sequence;
        uint64_t offset;
        uint64_t n_dropped, n_recycled;
        uint32_t type;
};

struct lane_recorder {
        int fd;
        uint64_t key;
        uint64_t pos;       /* of the next frame */
        uint64_t map_begin; /* in the file */
        uint8_t *map;
        GHashTable *last; /* of lanes; or NULL */
};

/* ---- what is there already ------------------------------------------------------------------- */

static int look(struct lane_recorder *recorder)
{
        struct nipc_lane_file_info info = NIPC_LANE_FILE_INFO_INIT;
        struct nipc_lane_recovery *recovery;
        struct nipc_lane_piece piece;
        int r = nipc_lane_recovery_open(recorder->fd, &recovery);

        if (r < 0)
                return r;
        nipc_lane_recovery_get_info(recovery, &info);
        recorder->key = info.key;
        recorder->pos = NIPC_LANE_RECORDING_HEADER_BYTES;
        recorder->last = g_hash_table_new_full(NULL, NULL, NULL, g_free);
        r = info.is_recording ? 0 : -EBADMSG;
        while (r == 0 && (r = nipc_lane_recovery_next(recovery, &piece)) == 0) {
                struct last *last;

                if (piece.skip)
                        continue;
                last = g_new(struct last, 1);
                *last = (struct last){piece.record.sequence, piece.offset, piece.record.n_dropped,
                                      piece.record.n_recycled, piece.record.type};
                g_hash_table_replace(recorder->last, GUINT_TO_POINTER(piece.record.lane), last);
                recorder->pos = (piece.offset + piece.length + 7) & ~UINT64_C(7);
        }
        nipc_lane_recovery_free(recovery);
        return r == -ENODATA ? 0 : r;
}

static bool is_same(const struct lane_recorder *recorder, const struct last *last,
                    const struct nipc_lane_record *record)
{
        uint8_t here[NIPC_LANE_RECORDING_MAX_BYTES], there[NIPC_LANE_RECORDING_MAX_BYTES];
        int n = nipc_lane_recording_put(recorder->key, last->offset, record, here, sizeof(here));

        return n > 0 && pread(recorder->fd, there, (size_t)n, (off_t)last->offset) == n &&
               !memcmp(here, there, (size_t)n);
}

/* Whether it is there; of a gap that has grown since, what is not stays in the record. */
static bool is_there(struct lane_recorder *recorder, struct nipc_lane_record *record)
{
        gpointer lane = GUINT_TO_POINTER(record->lane);
        const struct last *last = recorder->last ? g_hash_table_lookup(recorder->last, lane) : NULL;
        bool is_again, is_here;

        if (!last)
                return false;
        is_again = last->sequence == record->sequence && last->type == record->type;
        is_here = is_again && is_same(recorder, last, record);
        if (!is_here && is_again && record->type == NIPC_LANE_GAP &&
            record->n_dropped >= last->n_dropped && record->n_recycled >= last->n_recycled) {
                record->sequence += last->n_dropped + last->n_recycled;
                record->n_dropped -= last->n_dropped;
                record->n_recycled -= last->n_recycled;
        }
        g_hash_table_remove(recorder->last, lane);
        return is_here;
}

/* ---- writing --------------------------------------------------------------------------------- */

int lane_recorder_prepare(struct lane_recorder *recorder)
{
        const uint64_t begin = recorder->pos & ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);
        void *map;
        int r;

        if (recorder->map &&
            recorder->map_begin + WINDOW - recorder->pos >= NIPC_LANE_RECORDING_MAX_BYTES)
                return 0;
        do {
                r = posix_fallocate(recorder->fd, (off_t)begin, WINDOW);
        } while (r == EINTR);
        if (r)
                return -r;
        map = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, recorder->fd, (off_t)begin);
        if (map == MAP_FAILED)
                return -errno;
        if (recorder->map)
                munmap(recorder->map, WINDOW);
        recorder->map = map;
        recorder->map_begin = begin;
        return 0;
}

bool lane_recorder_put(struct lane_recorder *recorder, const struct nipc_lane_record *record)
{
        struct nipc_lane_record copy = *record;
        int n;

        if (is_there(recorder, &copy))
                return false;
        n = nipc_lane_recording_put(recorder->key, recorder->pos, &copy,
                                    recorder->map + (recorder->pos - recorder->map_begin),
                                    NIPC_LANE_RECORDING_MAX_BYTES);
        g_assert(n > 0); /* there is room for the largest one */
        recorder->pos += (unsigned)n;
        return true;
}

uint64_t lane_recorder_get_size(const struct lane_recorder *recorder)
{
        return recorder->pos;
}

/* ---- begin, end ------------------------------------------------------------------------------ */

static int begin(struct lane_recorder *recorder, bool append, uint32_t pid)
{
        uint8_t header[NIPC_LANE_RECORDING_HEADER_BYTES];
        ssize_t n;
        int r;

        if (flock(recorder->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (append && lseek(recorder->fd, 0, SEEK_END) > 0) {
                r = look(recorder);
                /* What is behind the last whole record is none. */
                if (r == 0 && ftruncate(recorder->fd, (off_t)recorder->pos) < 0)
                        r = -errno;
                return r < 0 ? r : lane_recorder_prepare(recorder);
        }
        recorder->key = (uint64_t)g_random_int() << 32 | g_random_int();
        nipc_lane_recording_begin(recorder->key, pid, (uint64_t)g_get_real_time() * 1000, header);
        /* At once: if we are killed there is no file yet, or one to go on with. */
        n = pwrite(recorder->fd, header, sizeof(header), 0);
        if (n != (ssize_t)sizeof(header))
                return n < 0 ? -errno : -ENOSPC;
        recorder->pos = sizeof(header);
        return lane_recorder_prepare(recorder);
}

int lane_recorder_new(const char *path, bool append, uint32_t pid, struct lane_recorder **ret)
{
        struct lane_recorder *recorder;
        const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        const int fd = open(path, append ? flags : flags | O_EXCL, 0600);
        int r;

        if (fd < 0)
                return -errno;
        recorder = g_new0(struct lane_recorder, 1);
        recorder->fd = fd;
        r = begin(recorder, append, pid);
        if (r < 0) {
                if (!append && r != -EBUSY) /* then another one goes on with it already */
                        unlink(path);
                if (recorder->last)
                        g_hash_table_unref(recorder->last);
                if (recorder->map)
                        munmap(recorder->map, WINDOW);
                close(fd);
                g_free(recorder);
                return r;
        }
        *ret = recorder;
        return 0;
}

int lane_recorder_free(struct lane_recorder *recorder)
{
        int r = 0;

        if (!recorder)
                return 0;
        if (recorder->map)
                munmap(recorder->map, WINDOW);
        if (ftruncate(recorder->fd, (off_t)recorder->pos) < 0)
                r = -errno;
        if (close(recorder->fd) < 0 && r == 0)
                r = -errno;
        if (recorder->last)
                g_hash_table_unref(recorder->last);
        g_free(recorder);
        return r;
}
