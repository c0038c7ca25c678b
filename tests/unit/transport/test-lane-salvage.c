/* SPDX-License-Identifier: MIT */

/*
 * Files that were damaged: cut at every byte, bytes changed, moved or older than the rest. Of what
 * a recovery gives out every record was written, is whole and comes once; whatever is still whole,
 * and in a ring that can be told, is given out. The bytes of a record follow from its lane and its
 * number, so that nothing can be taken for it.
 *
 * `test-lane-salvage --files N` for more of it, `--cut-every N` for less; meant to be run under
 * AddressSanitizer, too.
 */

#include "lane-private.h"
#include "util-env.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/lane-file.h>
#include <sys/stat.h>

#define N_LANES    2u
#define N_RINGS    3u
#define RING_BYTES 4096u
#define N_RECORDS  400u /* of a lane: some twice as many as there is room for */
#define MAX_DATA   400u
#define POOL_BYTES (4096u + N_LANES * (4096u + N_RINGS * RING_BYTES))
#define FILE_BYTES (256u << 10)
#define KEY        UINT64_C(0x1122334455667788)

static unsigned n_files = 3000;

/* Files are cut at one byte in so many: at each, but where a processor is emulated. */
static unsigned cut_every = 1;
static uint64_t random_state = 1;

static uint64_t draw(uint64_t below)
{
        return tap_random(&random_state) % below;
}

/* ---- records that tell what they are --------------------------------------------------------- */

static uint32_t get_size(uint32_t lane, uint64_t sequence)
{
        uint64_t state = sequence * 31 + lane + 1;

        return (uint32_t)(tap_random(&state) % (sequence % 16 ? 48 : MAX_DATA));
}

static uint32_t get_data(uint32_t lane, uint64_t sequence, uint8_t *data)
{
        const uint32_t size = get_size(lane, sequence);
        uint64_t state = sequence * 977 + lane + 1;

        for (uint32_t i = 0; i < size; i++)
                data[i] = (uint8_t)tap_random(&state);
        return size;
}

static bool is_right(const struct nipc_lane_record *record)
{
        uint8_t data[MAX_DATA];

        return record->lane < N_LANES && record->sequence < N_RECORDS &&
               record->type == record->sequence % 100 &&
               record->size == get_data(record->lane, record->sequence, data) &&
               !memcmp(record->data, data, record->size);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct file {
        uint8_t *bytes, *older; /* how it was some time before */
        size_t size;
        /* Where each record is in the whole file: 0 bytes if it is not. */
        struct {
                uint64_t offset, length;
                uint64_t ring; /* where its ring begins; of a recording 0 */
        } at[N_LANES][N_RECORDS];
        unsigned n_whole;
};

static size_t load(const char *path, uint8_t *bytes)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, bytes, FILE_BYTES);

        close(fd);
        return n < 0 ? 0 : (size_t)n;
}

static uint64_t get_ring(uint32_t lane, uint64_t offset)
{
        const uint64_t first = 8192 + lane * (4096 + N_RINGS * RING_BYTES);

        return first + (offset - first) / RING_BYTES * RING_BYTES;
}

static bool learn(struct file *file)
{
        struct nipc_lane_recovery *recovery;
        struct nipc_lane_file_info info = NIPC_LANE_FILE_INFO_INIT;
        struct nipc_lane_piece piece;
        int r;

        if (!tap_eq_int(nipc_lane_recovery_new(file->bytes, file->size, &recovery), 0))
                return false;
        nipc_lane_recovery_get_info(recovery, &info);
        while ((r = nipc_lane_recovery_next(recovery, &piece)) == 0) {
                const struct nipc_lane_record *record = &piece.record;

                if (!tap_check(!piece.skip && is_right(record)))
                        break;
                file->at[record->lane][record->sequence].offset = piece.offset;
                file->at[record->lane][record->sequence].length = piece.length;
                if (!info.is_recording)
                        file->at[record->lane][record->sequence].ring =
                                get_ring(record->lane, piece.offset);
                file->n_whole++;
        }
        util_eq_error(r, -ENODATA);
        nipc_lane_recovery_free(recovery);
        return r == -ENODATA;
}

static void make_empty(struct file *file)
{
        memset(file, 0, sizeof(*file));
        file->bytes = calloc(1, FILE_BYTES);
        file->older = calloc(1, FILE_BYTES);
}

static void free_file(struct file *file)
{
        free(file->bytes);
        free(file->older);
}

static void drain(struct nipc_lane_reader *reader)
{
        struct nipc_lane_record record;

        while (nipc_lane_reader_next(reader, &record) == 0)
                ;
}

/* A pool whose rings were all used more than once. */
static bool make_pool(struct file *file, bool is_recorder)
{
        const char *path = util_path("lanes");
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_reader *reader;
        struct nipc_lane_pool *pool;
        struct nipc_lane *lanes[N_LANES];
        uint8_t data[MAX_DATA];

        make_empty(file);
        config.path = path;
        config.kind = is_recorder ? NIPC_LANE_DETAIL : NIPC_LANE_INDEX;
        config.n_lanes = N_LANES;
        config.n_rings = N_RINGS;
        config.ring_bytes = RING_BYTES;
        if (!tap_eq_int(nipc_lane_pool_new(&config, &pool), 0))
                return false;
        tap_eq_int(nipc_lane_reader_open_path(path, &reader), 0);
        for (uint32_t i = 0; i < N_LANES; i++)
                tap_eq_int(nipc_lane_lease(pool, &lanes[i]), 0);
        for (uint64_t n = 0; n < N_RECORDS; n++) {
                for (uint32_t i = 0; i < N_LANES; i++)
                        tap_eq_int(nipc_lane_write(lanes[i], n % 100, data, get_data(i, n, data)),
                                   0);
                drain(reader);
                if (n == N_RECORDS * 2 / 3)
                        load(path, file->older);
        }
        file->size = load(path, file->bytes);
        nipc_lane_reader_close(reader);
        nipc_lane_pool_free(pool);
        util_remove(path);
        return tap_eq_uint(file->size, POOL_BYTES) && learn(file) && tap_check(file->n_whole > 100);
}

static bool make_recording(struct file *file)
{
        struct nipc_lane_record record = {0};
        uint8_t data[MAX_DATA];
        int r;

        make_empty(file);
        nipc_lane_recording_begin(KEY, 1, 2, file->bytes);
        file->size = NIPC_LANE_RECORDING_HEADER_BYTES;
        for (uint64_t n = 0; n < N_RECORDS; n++)
                for (uint32_t i = 0; i < N_LANES; i++) {
                        record.type = n % 100;
                        record.size = get_data(i, n, data);
                        record.data = data;
                        record.sequence = n;
                        record.lane = i;
                        r = nipc_lane_recording_put(KEY, file->size, &record,
                                                    file->bytes + file->size,
                                                    FILE_BYTES - file->size);
                        if (!tap_check(r > 0))
                                return false;
                        file->size += (unsigned)r;
                }
        memcpy(file->older, file->bytes, file->size / 2);
        return learn(file) && tap_eq_uint(file->n_whole, N_LANES * N_RECORDS);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* What was found of a file; what is wrong with it, or NULL. */
struct result {
        bool is_found[N_LANES][N_RECORDS];
        unsigned n_found, n_skipped;
        const char *wrong;
        int error;
};

static void recover(const uint8_t *bytes, size_t size, struct result *result)
{
        uint64_t expected[N_LANES] = {0};
        struct nipc_lane_recovery *recovery;
        struct nipc_lane_piece piece;
        int r;

        memset(result, 0, sizeof(*result));
        result->error = nipc_lane_recovery_new(bytes, size, &recovery);
        if (result->error < 0)
                return;
        while ((r = nipc_lane_recovery_next(recovery, &piece)) == 0) {
                const struct nipc_lane_record *record = &piece.record;

                if (piece.skip) {
                        result->n_skipped++;
                        if (!piece.length || (piece.skip != NIPC_LANE_SKIP_CUT &&
                                              piece.offset + piece.length > size))
                                result->wrong = "something is skipped that is not there";
                        continue;
                }
                if (record->type == NIPC_LANE_GAP)
                        continue;
                if (!is_right(record))
                        result->wrong = "a record was not written";
                else if (record->sequence < expected[record->lane])
                        result->wrong = "a record comes twice, or late";
                if (result->wrong)
                        break;
                expected[record->lane] = record->sequence + 1;
                result->is_found[record->lane][record->sequence] = true;
                result->n_found++;
        }
        if (!result->wrong && r != -ENODATA)
                result->wrong = "it does not end";
        nipc_lane_recovery_free(recovery);
}

static bool is_same(const struct file *file, const uint8_t *bytes, size_t size, uint64_t from,
                    uint64_t length)
{
        return from + length <= size && !memcmp(bytes + from, file->bytes + from, length);
}

/* Whether some other page says that it is that ring: without the file's header both are believed,
 * and of the second one only what comes after the first one's. */
static bool is_doubled(const uint8_t *bytes, size_t size, uint64_t ring)
{
        for (size_t at = 0; at + 32 <= size; at += 4096)
                if (at != ring && !memcmp(bytes + at, bytes + ring, 32))
                        return true;
        return false;
}

/* Whether what must be found was. */
static bool judge(const struct file *file, const uint8_t *bytes, size_t size,
                  const struct result *result)
{
        const bool is_pool = file->size == POOL_BYTES;

        if (result->wrong)
                return tap_fail("%s", result->wrong);
        for (uint32_t lane = 0; lane < N_LANES; lane++)
                for (uint64_t n = 0; n < N_RECORDS; n++) {
                        const uint64_t offset = file->at[lane][n].offset;
                        /* In a ring a record ends where the next one begins. */
                        const uint64_t length =
                                is_pool ? file->at[lane][n].length : 32 + get_size(lane, n);

                        if (!file->at[lane][n].length || result->is_found[lane][n] ||
                            !is_same(file, bytes, size, offset, length))
                                continue;
                        /* Nor can a ring without its header be read. */
                        if (is_pool && (!is_same(file, bytes, size, file->at[lane][n].ring, 64) ||
                                        is_doubled(bytes, size, file->at[lane][n].ring)))
                                continue;
                        if (!is_pool && !is_same(file, bytes, size, 0, 64) &&
                            !is_same(file, bytes, size, 64, 64))
                                continue;
                        return tap_fail("record %" PRIu64 " of lane %u is whole, and not found", n,
                                        lane);
                }
        return true;
}

/* ---- cut ------------------------------------------------------------------------------------- */

static void cut_everywhere(const struct file *file)
{
        static struct result result;
        unsigned n_found = 0;
        bool is_good;

        for (size_t size = file->size % cut_every; size <= file->size; size += cut_every) {
                /* Of its own, so that a sanitizer sees what is behind it. */
                uint8_t *bytes = malloc(size ? size : 1);

                if (size)
                        memcpy(bytes, file->bytes, size);
                recover(bytes, size, &result);
                is_good = result.error != 0 || judge(file, bytes, size, &result);
                free(bytes);
                /* More is never less, and the end of a record is what makes it one. */
                if (!is_good || !tap_check(result.n_found >= n_found &&
                                           (cut_every > 1 || result.n_found <= n_found + 1))) {
                        tap_note("cut at %zu: %u, %u", size, n_found, result.n_found);
                        return;
                }
                n_found = result.n_found;
                if (size / cut_every % 256 == 0)
                        util_arm_watchdog();
        }
        tap_eq_uint(n_found, file->n_whole);
        tap_eq_uint(result.n_skipped, 0);
}

static void test_cut_pool(void)
{
        struct file file;

        tap_require(make_pool(&file, false));
        cut_everywhere(&file);
        free_file(&file);
}

static void test_cut_recording(void)
{
        struct file file;

        tap_require(make_recording(&file));
        cut_everywhere(&file);
        free_file(&file);
}

/* ---- changed --------------------------------------------------------------------------------- */

/* Where it hurts: heads of the file, of lanes, of rings; or anywhere. */
static size_t draw_place(size_t size)
{
        uint64_t at;

        switch (draw(4)) {
        case 0:
                return (size_t)draw(NIPC__MIN(size, 128));
        case 1:
                at = draw((size + 4095) / 4096) * 4096 + draw(128);
                return (size_t)NIPC__MIN(at, size - 1);
        default:
                return (size_t)draw(size);
        }
}

static void change(const struct file *file, uint8_t *bytes, size_t size)
{
        const size_t at = draw_place(size), from = draw_place(size);
        const size_t run = (size_t)draw(draw(2) ? 16 : 8192) + 1;
        const size_t n = NIPC__MIN(run, size - NIPC__MAX(at, from));

        switch (draw(8)) {
        case 0:
        case 1:
                bytes[at] ^= (uint8_t)(1u << draw(8));
                break;
        case 2:
                bytes[at] = (uint8_t)draw(256);
                break;
        case 3:
                memset(bytes + at, draw(2) ? 0 : 0xff, n);
                break;
        case 4:
                for (size_t i = 0; i < n; i++)
                        bytes[at + i] = (uint8_t)draw(256);
                break;
        case 5: /* bytes of elsewhere */
                memmove(bytes + at, bytes + from, n);
                break;
        case 6: /* pages of before */
                memcpy(bytes + at / 4096 * 4096, file->older + at / 4096 * 4096,
                       NIPC__MIN(4096, size - at / 4096 * 4096));
                break;
        default: /* whole pages of elsewhere: rings in the wrong place */
                if (size >= 8192)
                        memmove(bytes + draw(size / 4096) * 4096, bytes + draw(size / 4096) * 4096,
                                4096);
                break;
        }
}

static void change_many(const struct file *file, unsigned n)
{
        static struct result result;
        unsigned n_refused = 0, n_skipped = 0;
        uint64_t n_found = 0;

        for (unsigned i = 0; i < n; i++) {
                const size_t size = draw(4) ? file->size : (size_t)draw(file->size) + 1;
                uint8_t *bytes = malloc(size);
                const uint64_t state = random_state;

                memcpy(bytes, file->bytes, size);
                for (uint64_t changes = draw(16) + 1; changes; changes--)
                        change(file, bytes, size);
                recover(bytes, size, &result);
                if (result.error < 0)
                        n_refused++;
                else if (!judge(file, bytes, size, &result)) {
                        tap_note("file %u, of state %" PRIu64, i, state);
                        i = n;
                }
                n_found += result.n_found;
                n_skipped += result.n_skipped;
                free(bytes);
                if (i % 256 == 0)
                        util_arm_watchdog();
        }
        tap_note("%u files: %" PRIu64 " records, %u stretches skipped, %u files refused", n,
                 n_found, n_skipped, n_refused);
        tap_check(n_skipped > n / 2 && n_refused < n / 2);
}

static void test_changed_pool(void)
{
        struct file file;

        tap_require(make_pool(&file, false));
        change_many(&file, n_files / 3);
        free_file(&file);
}

static void test_changed_flight_recorder(void)
{
        struct file file;

        tap_require(make_pool(&file, true));
        change_many(&file, n_files / 3);
        free_file(&file);
}

static void test_changed_recording(void)
{
        struct file file;

        tap_require(make_recording(&file));
        change_many(&file, n_files / 3);
        free_file(&file);
}

/* Nothing but noise: no file at all. */
static void test_noise(void)
{
        uint8_t bytes[20000];
        static struct result result;

        for (unsigned i = 0; i < 300; i++) {
                for (size_t at = 0; at < sizeof(bytes); at++)
                        bytes[at] = (uint8_t)draw(256);
                recover(bytes, (size_t)draw(sizeof(bytes)), &result);
                util_eq_error(result.error, -EBADMSG);
        }
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {
                TAP_CASE(test_cut_pool),          TAP_CASE(test_cut_recording),
                TAP_CASE(test_changed_pool),      TAP_CASE(test_changed_flight_recorder),
                TAP_CASE(test_changed_recording), TAP_CASE(test_noise),
                TAP_CASE(test_nothing_leaked)};

        for (; argc > 2; argc -= 2, argv += 2) {
                if (!strcmp(argv[1], "--files"))
                        n_files = (unsigned)strtoul(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--cut-every"))
                        cut_every = (unsigned)strtoul(argv[2], NULL, 10);
                else
                        break;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
