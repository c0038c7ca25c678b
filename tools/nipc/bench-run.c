/* SPDX-License-Identifier: MIT */

/*
 * Measures pairs of processes. Within a repetition the subjects take turns in slices of a tenth of
 * a second, so that whatever else the machine does meets all of them alike; a server that spins is
 * halted while others are measured. Each slice begins with a round trip that does not count.
 *
 * At a fixed rate latency counts from when a request was due, not from when it could be sent: a
 * stall is charged to every request that it delayed. Otherwise one reading of the clock ends a
 * round trip and begins the next. A pipeline is kept between half full and full; its clock is read
 * once per half, so that latency counts from before the first of a half was sent until after the
 * last of one was received.
 */

#include "bench.h"
#include "command.h"
#include "interrupt.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <nipc/clock.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define SLICE_NS   UINT64_C(100000000)
#define WARM_UP_NS UINT64_C(50000000)
#define SPIN_NS    UINT64_C(60000) /* what a sleep overshoots by without slack, at most, mostly */
#define MAX_DEPTH  256u

/* All tracks of one scenario. */
struct round {
        const struct bench *bench;
        struct bench_track tracks[BENCH_MAX_TRACKS];
        guint n_tracks;
};

/* Whose slice it is: a call is told of its client only. */
static const struct subject *subject_of_crowd;

/* ---- one slice ------------------------------------------------------------------------------ */

static void wait_until(uint64_t due_ns)
{
        uint64_t now = nipc_clock_now_ns();
        struct timespec ts;

        if (now + SPIN_NS < due_ns) {
                ts.tv_sec = (time_t)((due_ns - SPIN_NS) / 1000000000);
                ts.tv_nsec = (long)((due_ns - SPIN_NS) % 1000000000);
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        }
        while (nipc_clock_now_ns() < due_ns)
                continue;
}

/* One round trip of a crowd of one. */
static int call_one(struct subject_client *client, uint64_t value)
{
        static struct histogram ignored;

        (void)value; /* the crowd has its own */
        return subject_of_crowd->crowd(client, 0, &ignored);
}

/* The round trip of every scenario but the pipeline. */
static int (*choose_call(const struct bench_track *track))(struct subject_client *, uint64_t)
{
        switch (track->options.scenario) {
        case SUBJECT_BATCH:
                return track->subject->batch;
        case SUBJECT_SNAPSHOT:
                return track->subject->snapshot;
        case SUBJECT_LARGE:
                return track->subject->large;
        case SUBJECT_FAIRNESS:
                return call_one;
        default:
                return track->subject->ping;
        }
}

/* The kernel may end a sleep 50 us late to save a wake; while we pace it may not. */
static void set_pacing(bool paced)
{
        prctl(PR_SET_TIMERSLACK, paced ? 1UL : 0UL); /* 0: what it was by default */
}

static int slice_single(const struct bench *bench, struct bench_track *track, uint64_t end_ns)
{
        int (*call)(struct subject_client *, uint64_t) = choose_call(track);
        uint64_t interval_ns = bench->rate ? 1000000000u / (uint64_t)bench->rate : 0;
        uint64_t step = track->options.scenario == SUBJECT_BATCH ? track->options.items : 1;
        uint64_t started, now = nipc_clock_now_ns();
        int r;

        started = now;
        while (now < end_ns) {
                if (interval_ns)
                        wait_until(started);
                r = call(track->client, track->next_value);
                if (r < 0)
                        return r;
                track->next_value += step;
                track->n_done += step;
                now = nipc_clock_now_ns();
                histogram_record(&track->latency, now - started);
                started = interval_ns ? started + interval_ns : now;
        }
        return 0;
}

static int slice_pipeline(struct bench_track *track, uint64_t end_ns)
{
        uint64_t depth = track->options.depth, half = depth - depth / 2;
        uint64_t oldest = track->next_value, until, now = nipc_clock_now_ns();
        uint64_t sent_at[MAX_DEPTH];
        int r = 0;

        while (now < end_ns || oldest < track->next_value) {
                while (r == 0 && now < end_ns && track->next_value < oldest + depth) {
                        sent_at[track->next_value % MAX_DEPTH] = now;
                        r = track->subject->send(track->client, track->next_value++);
                }
                until = MIN(oldest + half, track->next_value);
                for (uint64_t value = oldest; r == 0 && value < until; value++)
                        r = track->subject->receive(track->client, value);
                if (r < 0)
                        return r;
                now = nipc_clock_now_ns();
                track->n_done += until - oldest;
                for (; oldest < until; oldest++)
                        histogram_record(&track->latency, now - sent_at[oldest % MAX_DEPTH]);
        }
        return 0;
}

static int slice_crowd(struct bench_track *track, uint64_t end_ns)
{
        uint64_t before = track->latency.count;
        int r = track->subject->crowd(track->client, end_ns, &track->latency);

        track->n_done += track->latency.count - before;
        return r;
}

/* A round trip that does not count: the other side is awake and near when we begin. */
static int touch(struct bench_track *track)
{
        static struct histogram ignored;
        uint64_t value = track->next_value++;
        int r;

        if (track->options.scenario == SUBJECT_CLIENTS)
                return track->subject->crowd(track->client, 0, &ignored);
        if (track->options.scenario != SUBJECT_PIPELINE)
                return choose_call(track)(track->client, value);
        r = track->subject->send(track->client, value);
        return r < 0 ? r : track->subject->receive(track->client, value);
}

static double process_cpu_seconds(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int measure_slice(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        double client_cpu = process_cpu_seconds(), server_cpu = subject_cpu_seconds(track->pid);
        uint64_t start_ns = nipc_clock_now_ns();
        int r;

        set_pacing(bench->rate > 0);
        if (bench->scenario == SUBJECT_PIPELINE)
                r = slice_pipeline(track, start_ns + length_ns);
        else if (bench->scenario == SUBJECT_CLIENTS)
                r = slice_crowd(track, start_ns + length_ns);
        else
                r = slice_single(bench, track, start_ns + length_ns);
        set_pacing(false);
        track->busy_ns += nipc_clock_now_ns() - start_ns;
        track->client_cpu += process_cpu_seconds() - client_cpu;
        track->server_cpu += subject_cpu_seconds(track->pid) - server_cpu;
        return r;
}

static int run_slice(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        int r = track->subject->spins ? subject_resume(track->pid) : 0;

        subject_of_crowd = track->subject;
        if (r == 0 && track->trouble_pid)
                r = subject_resume(track->trouble_pid);

        if (r == 0)
                r = touch(track);
        if (r == 0)
                r = measure_slice(bench, track, length_ns);
        if (r == 0 && track->trouble_pid)
                r = subject_pause(track->trouble_pid);
        if (r == 0 && track->subject->spins)
                r = subject_pause(track->pid);
        return r;
}

/* ---- one repetition ------------------------------------------------------------------------- */

static int fail_subject(const struct bench_track *track, int error, const char *reason)
{
        if (!reason)
                reason = error == -EBADMSG ? "an answer was not exactly right" : g_strerror(-error);
        return command_fail(&command_bench, "%s: %s", track->subject->name, reason);
}

static int check_track(struct bench_track *track)
{
        g_autofree char *reason = NULL;
        int r = track->subject->check ? track->subject->check(track->client, &reason) : 0;

        return r < 0 ? fail_subject(track, r, reason) : COMMAND_SUCCESS;
}

static void reset_track(struct bench_track *track)
{
        track->busy_ns = 0;
        track->n_done = 0;
        track->client_cpu = track->server_cpu = 0;
        memset(&track->latency, 0, sizeof(track->latency));
}

static int finish_track(const struct bench *bench, struct bench_track *track, gint64 repeat)
{
        double seconds = (double)track->busy_ns / 1e9;
        struct bench_result result;
        int status = check_track(track);

        if (status != COMMAND_SUCCESS)
                return status;
        if (!track->n_done || !track->busy_ns)
                return command_fail(&command_bench,
                                    "%s: nothing was measured; give more --duration",
                                    track->subject->name);
        result = (struct bench_result){
                .duration_s = seconds,
                .throughput = (double)track->n_done / seconds,
                .p50_us = histogram_percentile_us(&track->latency, 0.5),
                .p99_us = histogram_percentile_us(&track->latency, 0.99),
                .p999_us = histogram_percentile_us(&track->latency, 0.999),
                .client_cpu = track->client_cpu / seconds,
                .server_cpu = track->server_cpu / seconds,
        };
        g_array_append_val(track->results, result);
        bench_report_row(bench, track, repeat);
        return COMMAND_SUCCESS;
}

static int warm_up(struct round *round)
{
        for (guint i = 0; i < round->n_tracks; i++) {
                int r = run_slice(round->bench, &round->tracks[i], WARM_UP_NS);

                if (r < 0)
                        return fail_subject(&round->tracks[i], r, NULL);
                reset_track(&round->tracks[i]);
        }
        return COMMAND_SUCCESS;
}

static int run_repetition(struct round *round, gint64 repeat)
{
        uint64_t duration_ns = round->bench->duration_ns;
        int status = warm_up(round);

        for (uint64_t done_ns = 0; status == COMMAND_SUCCESS && done_ns < duration_ns;
             done_ns += SLICE_NS) {
                if (interrupt_is_set())
                        return command_fail(&command_bench, "interrupted; the rows are incomplete");
                for (guint i = 0; i < round->n_tracks; i++) {
                        int r = run_slice(round->bench, &round->tracks[i],
                                          MIN(SLICE_NS, duration_ns - done_ns));

                        if (r < 0)
                                return fail_subject(&round->tracks[i], r, NULL);
                }
        }
        for (guint i = 0; status == COMMAND_SUCCESS && i < round->n_tracks; i++)
                status = finish_track(round->bench, &round->tracks[i], repeat);
        return status;
}

/* ---- one scenario --------------------------------------------------------------------------- */

/* Who makes trouble is halted but in slices of its own, and with it the server it has for itself.
 */
static int start_trouble(struct bench_track *track)
{
        struct subject_options options = track->options;

        if (options.trouble == SUBJECT_TROUBLE_APART) {
                track->apart_dir = g_build_filename(options.run_dir, "apart", NULL);
                options.run_dir = track->apart_dir;
                g_mkdir(options.run_dir, 0700);
                track->apart_pid = subject_start(track->subject, &options);
                if (track->apart_pid < 0)
                        return (int)track->apart_pid;
        }
        track->trouble_pid = subject_start_trouble(track->subject, &options);
        return track->trouble_pid < 0 ? (int)track->trouble_pid : subject_pause(track->trouble_pid);
}

static int start_track(struct bench_track *track)
{
        int r = track->subject->prepare ? track->subject->prepare(&track->options) : 0;

        if (r < 0)
                return fail_subject(track, r, NULL);
        track->pid = subject_start(track->subject, &track->options);
        if (track->pid < 0)
                return fail_subject(track, (int)track->pid, NULL);
        r = track->subject->spins ? subject_pause(track->pid) : 0;
        if (r == 0)
                r = track->subject->open(&track->options, &track->client);
        if (r == 0 && track->options.trouble != SUBJECT_TROUBLE_NONE)
                r = start_trouble(track);
        return r < 0 ? fail_subject(track, r, NULL) : check_track(track);
}

static void stop_track(struct bench_track *track)
{
        subject_stop(track->trouble_pid);
        subject_stop(track->apart_pid);
        if (track->client)
                track->subject->close(track->client);
        track->client = NULL;
        subject_stop(track->pid);
        track->pid = 0;
        if (track->options.memory)
                munmap(track->options.memory, track->options.memory_size);
        track->options.memory = NULL;
        g_array_unref(track->results);
        g_free(track->apart_dir);
        g_free(track->run_dir);
}

static void add_track(struct round *round, const struct subject *subject, const char *run_dir,
                      enum subject_trouble trouble)
{
        struct bench_track *track = &round->tracks[round->n_tracks++];
        g_autofree char *name = g_strdup_printf("%s-%d", subject->name, (int)trouble);

        track->subject = subject;
        track->options = round->bench->options;
        track->options.scenario = round->bench->scenario;
        track->options.profile = subject->profile;
        track->options.trouble = trouble;
        track->run_dir = g_build_filename(run_dir, name, NULL);
        track->options.run_dir = track->run_dir;
        g_mkdir(track->run_dir, 0700);
        track->results = g_array_new(FALSE, FALSE, sizeof(struct bench_result));
}

static void choose_tracks(struct round *round, const char *run_dir)
{
        const struct bench *bench = round->bench;

        for (guint i = 0; i < bench->n_subjects; i++) {
                if (!subject_can(bench->subjects[i], bench->scenario)) {
                        fprintf(stderr, "nipc bench: %s has no %s, it is left out\n",
                                bench->subjects[i]->name, bench_scenario_names[bench->scenario]);
                        continue;
                }
                add_track(round, bench->subjects[i], run_dir, SUBJECT_TROUBLE_NONE);
                if (bench->scenario != SUBJECT_FAIRNESS)
                        continue;
                add_track(round, bench->subjects[i], run_dir, SUBJECT_TROUBLE_APART);
                add_track(round, bench->subjects[i], run_dir, SUBJECT_TROUBLE_FLOOD);
                if (bench->subjects[i]->profile) /* a bare server would be stuck with it */
                        add_track(round, bench->subjects[i], run_dir, SUBJECT_TROUBLE_CROWD);
        }
}

/* What killed servers left in our private directory. */
static void remove_directory(const char *path)
{
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *file = g_build_filename(path, name, NULL);

                if (g_file_test(file, G_FILE_TEST_IS_DIR))
                        remove_directory(file);
                else
                        g_unlink(file);
        }
        if (dir)
                g_dir_close(dir);
        g_rmdir(path);
}

/* For all tracks at once; servers inherit it. */
static int raise_descriptor_limit(const struct round *round)
{
        rlim_t wanted = (rlim_t)round->n_tracks * (round->bench->options.n_clients + 64);
        struct rlimit limit;

        if (round->bench->scenario != SUBJECT_CLIENTS)
                return COMMAND_SUCCESS;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
                limit.rlim_cur = wanted;
                if (limit.rlim_max < wanted)
                        limit.rlim_max = wanted; /* root may */
                if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                        return command_fail(&command_bench, "%u clients need %llu descriptors: %s",
                                            round->bench->options.n_clients,
                                            (unsigned long long)wanted, g_strerror(errno));
        }
        return COMMAND_SUCCESS;
}

static int run_round(struct round *round)
{
        const struct bench *bench = round->bench;
        int status = raise_descriptor_limit(round);

        if (!round->n_tracks)
                return command_fail(&command_bench, "nothing to measure has %s",
                                    bench_scenario_names[bench->scenario]);
        for (guint i = 0; status == COMMAND_SUCCESS && i < round->n_tracks; i++)
                status = start_track(&round->tracks[i]);
        for (gint64 i = 1; status == COMMAND_SUCCESS && i <= bench->repeat; i++)
                status = run_repetition(round, i);
        return status;
}

int bench_run_scenario(const struct bench *bench)
{
        g_autofree char *dir = g_dir_make_tmp("nipc-bench-XXXXXX", NULL);
        g_autofree struct round *round = g_new0(struct round, 1);
        int status;

        if (!dir)
                return command_fail(&command_bench, "cannot make a temporary directory: %s",
                                    g_strerror(errno));
        round->bench = bench;
        interrupt_init(NULL, NULL); /* so that the directory is removed whatever happens */
        choose_tracks(round, dir);
        status = run_round(round);
        if (status == COMMAND_SUCCESS)
                bench_report_summary(bench, round->tracks, round->n_tracks);
        for (guint i = 0; i < round->n_tracks; i++)
                stop_track(&round->tracks[i]);
        interrupt_deinit();
        remove_directory(dir);
        return status;
}
