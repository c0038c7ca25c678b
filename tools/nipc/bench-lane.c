/* SPDX-License-Identifier: MIT */

/*
 * `nipc bench lane`: records of 64 bytes from one process to another, each published by itself, and
 * none of them dropped: through a bare ring, one line per record, and through lanes in a memfd and
 * in a file. One slice of each in turn, so that whatever the machine does meets all of them. The
 * percentiles are of what a record costs its writer, over blocks of 256.
 */

#include "bench.h"
#include "command.h"
#include "interrupt.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <nipc/clock.h>
#include <nipc/lane.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK        256u
#define SLICE_BLOCKS 8192u  /* some 2 million records */
#define N_CELLS      32768u /* 2 MiB, as all rings of a lane together */

struct cell {
        _Alignas(64) uint64_t number;
        uint64_t more[7];
};

struct bare {
        _Alignas(64) _Atomic uint64_t tail;
        _Alignas(64) _Atomic uint64_t head;
        struct cell cells[N_CELLS];
};

/* What the two processes of a slice share, beside what is measured. */
struct slice {
        _Atomic bool is_ready;
        _Atomic uint64_t end_ns;
        _Atomic uint64_t n_wrong;
};

struct run {
        const struct bench *bench;
        struct slice *slice;
        struct bare *bare;
        char *dir;
        struct bench_distance distance;
        uint64_t n_records; /* of a slice */
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
}

/* ---- the bare ring --------------------------------------------------------------------------- */

static void read_bare(const struct run *run)
{
        struct bare *bare = run->bare;
        uint64_t head = 0, tail = 0, n_wrong = 0;

        while (head < run->n_records) {
                while (head == tail) {
                        tail = atomic_load_explicit(&bare->tail, memory_order_acquire);
                        if (head == tail)
                                pause_cpu();
                }
                for (; head < tail; head++) {
                        const struct cell *cell = &bare->cells[head % N_CELLS];

                        n_wrong += cell->number != head || cell->more[6] != head;
                }
                atomic_store_explicit(&bare->head, head, memory_order_release);
        }
        atomic_store(&run->slice->n_wrong, n_wrong);
}

static void write_bare(const struct run *run, struct histogram *cost)
{
        struct bare *bare = run->bare;
        uint64_t tail = 0, head = 0;

        for (uint64_t block = 0; block < SLICE_BLOCKS; block++) {
                const uint64_t start_ns = nipc_clock_now_ns();

                for (unsigned i = 0; i < BLOCK; i++) {
                        struct cell cell = {tail, {1, 2, 3, 4, 5, 6, tail}};

                        while (tail - head == N_CELLS) {
                                head = atomic_load_explicit(&bare->head, memory_order_acquire);
                                if (tail - head == N_CELLS)
                                        pause_cpu();
                        }
                        bare->cells[tail % N_CELLS] = cell;
                        atomic_store_explicit(&bare->tail, ++tail, memory_order_release);
                }
                histogram_record(cost, nipc_clock_now_ns() - start_ns);
        }
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static void read_lane(const struct run *run, struct nipc_lane_reader *reader)
{
        struct nipc_lane_record record;
        uint64_t n_wrong = 0, numbers[2] = {0};

        for (uint64_t n = 0; n < run->n_records;) {
                if (nipc_lane_reader_next(reader, &record) < 0) {
                        pause_cpu();
                        continue;
                }
                if (record.type == NIPC_LANE_GAP) {
                        n_wrong += record.n_dropped;
                        n += record.n_dropped;
                        continue;
                }
                memcpy(&numbers[0], record.data, 8);
                memcpy(&numbers[1], (const char *)record.data + record.size - 8, 8);
                n_wrong += numbers[0] != n || numbers[1] != n || record.sequence != n;
                n++;
        }
        atomic_store(&run->slice->n_wrong, n_wrong);
}

static inline void write_lane_sized(struct nipc_lane *lane, uint32_t size, struct histogram *cost)
{
        uint64_t n = 0;

        for (uint64_t block = 0; block < SLICE_BLOCKS; block++) {
                const uint64_t start_ns = nipc_clock_now_ns();

                for (unsigned i = 0; i < BLOCK; i++, n++) {
                        uint64_t words[7] = {n, 1, 2, 3, 4, n, n};

                        nipc_lane_put(lane, 1, words, size);
                }
                histogram_record(cost, nipc_clock_now_ns() - start_ns);
        }
}

static int open_lane(const struct run *run, bool is_file, struct nipc_lane_pool **ret_pool,
                     struct nipc_lane **ret_lane)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        g_autofree char *path = g_build_filename(run->dir, "lanes", NULL);
        int r;

        config.path = is_file ? path : NULL;
        config.policy = NIPC_LANE_BLOCK;
        config.n_lanes = 1;
        r = nipc_lane_pool_new(&config, ret_pool);
        if (is_file)
                g_unlink(path);
        if (r == 0) {
                r = nipc_lane_lease(*ret_pool, ret_lane);
                if (r < 0)
                        nipc_lane_pool_free(*ret_pool);
        }
        return r;
}

/* ---- slices ---------------------------------------------------------------------------------- */

enum { BARE, LANE, LANE_FILE, N_KINDS };

static const struct subject lane_subjects[N_KINDS] = {
        [BARE] = {.name = "bare-spsc"},
        /* What has a profile is held against what has none. */
        [LANE] = {.name = "lane", .profile = UINT32_MAX},
        [LANE_FILE] = {.name = "lane-file", .profile = UINT32_MAX},
};

static double cpu_seconds(int who)
{
        struct rusage usage;

        getrusage(who, &usage);
        return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static _Noreturn void be_reader(const struct run *run, int kind, struct nipc_lane_pool *pool)
{
        struct nipc_lane_reader *reader = NULL;

        if (subject_pin(run->bench->options.server_cpu) < 0)
                _exit(1);
        if (kind != BARE && nipc_lane_reader_open(nipc_lane_pool_get_fd(pool), -1, &reader) < 0)
                _exit(1);
        atomic_store(&run->slice->is_ready, true);
        if (kind == BARE)
                read_bare(run);
        else
                read_lane(run, reader);
        atomic_store(&run->slice->end_ns, nipc_clock_now_ns());
        _exit(0);
}

static int run_slice(const struct run *run, struct bench_track *track, int kind)
{
        struct nipc_lane_pool *pool = NULL;
        struct nipc_lane *lane = NULL;
        double client_cpu = cpu_seconds(RUSAGE_SELF), server_cpu = cpu_seconds(RUSAGE_CHILDREN);
        uint64_t start_ns;
        int status, r = kind == BARE ? 0 : open_lane(run, kind == LANE_FILE, &pool, &lane);
        pid_t pid;

        if (r < 0)
                return r;
        memset(run->slice, 0, sizeof(*run->slice));
        memset(run->bare, 0, sizeof(*run->bare));
        pid = fork();
        if (pid == 0)
                be_reader(run, kind, pool);
        while (pid > 0 && !atomic_load(&run->slice->is_ready) &&
               waitpid(pid, &status, WNOHANG) == 0)
                pause_cpu();
        start_ns = nipc_clock_now_ns();
        if (pid > 0 && kind == BARE)
                write_bare(run, &track->latency);
        else if (pid > 0 && kind == LANE)
                write_lane_sized(lane, 56, &track->latency);
        else if (pid > 0)
                write_lane_sized(lane, 48, &track->latency);
        nipc_lane_pool_free(pool);
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
                return -ECHILD;
        track->busy_ns += atomic_load(&run->slice->end_ns) - start_ns;
        track->n_done += run->n_records;
        track->client_cpu += cpu_seconds(RUSAGE_SELF) - client_cpu;
        track->server_cpu += cpu_seconds(RUSAGE_CHILDREN) - server_cpu;
        return atomic_load(&run->slice->n_wrong) ? -EBADMSG : 0;
}

static void reset(struct bench_track *track)
{
        track->busy_ns = track->n_done = 0;
        track->client_cpu = track->server_cpu = 0;
        memset(&track->latency, 0, sizeof(track->latency));
}

/* Latency is that of a block; of a record it is a share. */
static void add_to_total(struct bench_track *track)
{
        for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++) {
                const uint64_t n = track->latency.buckets[i];

                track->total.buckets[histogram_bucket(
                        (uint64_t)(histogram_bucket_middle(i) / BLOCK))] += n;
                track->total.count += n;
        }
}

static void finish(const struct run *run, struct bench_track *track, const double distance_ns[2],
                   double others_cpu)
{
        const double seconds = (double)track->busy_ns / 1e9;
        const struct bench_result result = {
                .duration_s = seconds,
                .throughput = (double)track->n_done / seconds,
                .p50_us = histogram_percentile_us(&track->latency, 0.5) / BLOCK,
                .p99_us = histogram_percentile_us(&track->latency, 0.99) / BLOCK,
                .p999_us = histogram_percentile_us(&track->latency, 0.999) / BLOCK,
                .client_cpu = track->client_cpu / seconds,
                .server_cpu = track->server_cpu / seconds,
                .distance_before_ns = distance_ns[0],
                .distance_after_ns = distance_ns[1],
                .others_cpu = others_cpu,
        };

        g_array_append_val(track->results, result);
        add_to_total(track);
        if (!run->bench->guard)
                bench_report_row(run->bench, run->bench->csv, track, track->results->len - 1);
        reset(track);
}

/* Each reader was reaped. */
static double own_cpu_seconds(const void *userdata)
{
        (void)userdata;
        return cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN);
}

/* As in bench-run.c. */
static int run_repetition(struct run *run, struct bench_track *tracks)
{
        double distance_ns[2], others_cpu;
        enum bench_verdict verdict;
        struct bench_usage since;

        if (run->bench->progress)
                run->bench->progress(run->bench, tracks[0].results->len + 1);
        bench_wait_for_quiet(run->bench, own_cpu_seconds, NULL);
        distance_ns[0] = bench_measure_distance(run->bench->placement);
        since = bench_begin_usage(own_cpu_seconds(NULL));
        while (tracks[N_KINDS - 1].busy_ns < run->bench->duration_ns)
                for (int kind = 0; kind < N_KINDS; kind++) {
                        int r = interrupt_is_set() ? -EINTR : run_slice(run, &tracks[kind], kind);

                        if (r == -EINTR)
                                return command_fail(&command_bench,
                                                    "interrupted; the rows are incomplete");
                        if (r < 0)
                                return command_fail(&command_bench, "lane, %s: %s",
                                                    lane_subjects[kind].name, g_strerror(-r));
                }
        others_cpu = bench_count_others(&since, own_cpu_seconds(NULL));
        distance_ns[1] = bench_measure_distance(run->bench->placement);
        verdict = bench_judge(run->bench, &run->distance, tracks[0].results->len, distance_ns,
                              others_cpu);
        for (int kind = 0; kind < N_KINDS; kind++) {
                if (verdict == BENCH_BEGIN_ANEW)
                        bench_forget(&tracks[kind]);
                if (verdict == BENCH_DROP)
                        reset(&tracks[kind]);
                else
                        finish(run, &tracks[kind], distance_ns, others_cpu);
        }
        return COMMAND_SUCCESS;
}

static bool is_enough(const struct bench *bench, const struct bench_track *tracks)
{
        for (int kind = 0; kind < N_KINDS; kind++)
                if (bench->guard ? !bench_track_is_steady(bench, &tracks[kind])
                                 : (gint64)tracks[kind].results->len < bench->repeat)
                        return false;
        return true;
}

static void *map_shared(size_t size)
{
        void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        return map == MAP_FAILED ? NULL : map;
}

int bench_run_lane(const struct bench *bench)
{
        g_autofree struct bench_track *tracks = g_new0(struct bench_track, N_KINDS);
        struct run run = {.bench = bench, .n_records = (uint64_t)BLOCK * SLICE_BLOCKS};
        int status = COMMAND_SUCCESS;
        gint64 most;

        run.dir = g_dir_make_tmp("nipc-bench-XXXXXX", NULL);
        run.slice = map_shared(sizeof(*run.slice));
        run.bare = map_shared(sizeof(*run.bare));
        if (!run.dir || !run.slice || !run.bare)
                status = command_fail(&command_bench, "lane: no memory or no directory");
        for (int kind = 0; kind < N_KINDS; kind++) {
                tracks[kind].subject = &lane_subjects[kind];
                tracks[kind].results = g_array_new(FALSE, FALSE, sizeof(struct bench_result));
        }
        most = bench->repeat + (bench->guard ? bench->guard->max_extra : 0);
        for (gint64 i = 0; status == COMMAND_SUCCESS && i < most && !is_enough(bench, tracks); i++)
                status = run_repetition(&run, tracks);
        if (status == COMMAND_SUCCESS && bench->guard)
                status = bench->guard->finish(bench, tracks, N_KINDS);
        else if (status == COMMAND_SUCCESS)
                bench_report_summary(bench, tracks, N_KINDS);
        for (int kind = 0; kind < N_KINDS; kind++)
                g_array_unref(tracks[kind].results);
        if (run.slice)
                munmap(run.slice, sizeof(*run.slice));
        if (run.bare)
                munmap(run.bare, sizeof(*run.bare));
        if (run.dir)
                g_rmdir(run.dir);
        g_free(run.dir);
        return status;
}
