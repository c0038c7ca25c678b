/* SPDX-License-Identifier: MIT */

/*
 * Measures pairs of processes. Within a repetition the subjects take turns in slices of a tenth of
 * a second or shorter, so that whatever else the machine does meets all of them alike; a server
 * that spins is halted while others are measured. Each slice begins with a round trip that does not
 * count.
 *
 * How far apart the two CPUs are is measured before and after each repetition, by a line of memory
 * that goes there and back. With a guard, a repetition in which that changed, in which it was not
 * what it was in the others, or in which others used the CPUs, does not count and is made again;
 * and as long as a row's repetitions disagree more are made of all rows, up to a limit. What was
 * measured is never a reason to leave anything out.
 */

#include "bench.h"
#include "command.h"
#include "interrupt.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLICE_NS   UINT64_C(100000000)
#define WARM_UP_NS UINT64_C(50000000)

/* All tracks of one scenario. */
struct round {
        const struct bench *bench;
        struct bench_track tracks[BENCH_MAX_TRACKS];
        guint n_tracks;
        struct bench_distance distance;
};

/* ---- one repetition ------------------------------------------------------------------------- */

static int fail_subject(const struct bench_track *track, int error, const char *reason)
{
        if (!reason && track->client && track->subject->get_reason)
                reason = track->subject->get_reason(track->client);
        if (!reason || error == -EBADMSG)
                reason = error == -EBADMSG ? "an answer was not exactly right" : g_strerror(-error);
        return command_fail(&command_bench, "%s: %s", track->subject->name, reason);
}

static int check_track(struct bench_track *track)
{
        g_autofree char *reason = NULL;
        int r = track->subject->check ? track->subject->check(track->client, &reason) : 0;

        return r < 0 ? fail_subject(track, r, reason) : COMMAND_SUCCESS;
}

/* What its server must have handled so far: numbers of a batch, keys of a lookup, or requests. */
static uint64_t count_answers(const struct bench_track *track)
{
        switch (track->options.scenario) {
        case SUBJECT_CLIENTS:
        case SUBJECT_IDLE:
                return track->n_crowd;
        case SUBJECT_LOOKUP:
        case SUBJECT_PIPELINE_BATCH:
                return track->next_value * track->options.items;
        default:
                return track->next_value;
        }
}

/* Each answer was looked at; here, that there was one for each request, on either side. */
static int check_count(const struct bench_track *track)
{
        uint64_t n_answers = count_answers(track), n_served;

        if (track->subject->slice || !track->options.served ||
            track->options.trouble == SUBJECT_TROUBLE_FLOOD ||
            track->options.trouble == SUBJECT_TROUBLE_CROWD)
                return COMMAND_SUCCESS; /* its server cannot say, or has others as well */
        n_served = atomic_load_explicit(&track->options.served->n, memory_order_relaxed);
        if (n_served == n_answers)
                return COMMAND_SUCCESS;
        return command_fail(&command_bench,
                            "%s: %" G_GUINT64_FORMAT
                            " requests were answered, but %" G_GUINT64_FORMAT " were served",
                            track->subject->name, (guint64)n_answers, (guint64)n_served);
}

static void reset_track(struct bench_track *track)
{
        track->busy_ns = 0;
        track->n_done = 0;
        track->n_switches = 0;
        track->client_cpu = track->server_cpu = 0;
        memset(&track->latency, 0, sizeof(track->latency));
}

static double ratio_of(uint64_t part, uint64_t whole)
{
        return whole ? (double)part / (double)whole : 0;
}

static int finish_track(const struct bench *bench, struct bench_track *track,
                        const double distance_ns[2], double others_cpu)
{
        double seconds = (double)track->busy_ns / 1e9;
        struct bench_result result;
        int status = check_track(track);

        if (status == COMMAND_SUCCESS)
                status = check_count(track);
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
                .distance_before_ns = distance_ns[0],
                .distance_after_ns = distance_ns[1],
                .switches = ratio_of(track->n_switches, track->latency.count),
                .server_kb = subject_memory_kb(track->server_pid),
                .others_cpu = others_cpu,
        };
        histogram_add(&track->total, &track->latency);
        g_array_append_val(track->results, result);
        if (!bench->guard)
                bench_report_row(bench, bench->csv, track, track->results->len - 1);
        return COMMAND_SUCCESS;
}

static int warm_up(struct round *round)
{
        const bool is_idle = round->bench->scenario == SUBJECT_IDLE;

        for (guint i = 0; i < round->n_tracks; i++) {
                int r = bench_run_slice(round->bench, &round->tracks[i], is_idle ? 1 : WARM_UP_NS);

                if (r < 0)
                        return fail_subject(&round->tracks[i], r, NULL);
                reset_track(&round->tracks[i]);
        }
        return COMMAND_SUCCESS;
}

static int run_slices(struct round *round)
{
        uint64_t duration_ns = round->bench->duration_ns;
        /* What happens once in a while is not seen in short silences. */
        uint64_t length_ns = round->bench->scenario == SUBJECT_IDLE ? duration_ns
                             : round->bench->slice_ns               ? round->bench->slice_ns
                                                                    : SLICE_NS;
        int status = round->bench->n_messages ? COMMAND_SUCCESS : warm_up(round);

        if (round->bench->n_messages) { /* one slice: all calls beside the messages are the same */
                for (guint i = 0; i < round->n_tracks; i++)
                        reset_track(&round->tracks[i]);
                duration_ns = length_ns = UINT64_MAX / 4;
        }
        for (uint64_t done_ns = 0; status == COMMAND_SUCCESS && done_ns < duration_ns;
             done_ns += length_ns) {
                if (interrupt_is_set())
                        return command_fail(&command_bench, "interrupted; the rows are incomplete");
                for (guint i = 0; i < round->n_tracks; i++) {
                        int r = bench_run_slice(round->bench, &round->tracks[i],
                                                MIN(length_ns, duration_ns - done_ns));

                        if (r < 0)
                                return fail_subject(&round->tracks[i], r, NULL);
                }
        }
        return status;
}

static double own_cpu_seconds(const void *userdata)
{
        const struct round *round = userdata;
        double sum = subject_cpu_seconds(getpid());

        for (guint i = 0; i < round->n_tracks; i++) {
                const struct bench_track *track = &round->tracks[i];
                const pid_t pids[] = {track->client_pid, track->server_pid, track->trouble_pid,
                                      track->apart_pid};

                for (guint k = 0; k < G_N_ELEMENTS(pids); k++)
                        sum += pids[k] > 0 ? subject_cpu_seconds(pids[k]) : 0;
        }
        return sum;
}

static int run_repetition(struct round *round)
{
        const struct bench *bench = round->bench;
        enum bench_verdict verdict;
        double distance_ns[2], others_cpu;
        struct bench_usage since;
        int status;

        bench_wait_for_quiet(bench, own_cpu_seconds, round);
        distance_ns[0] = bench_measure_distance(bench->placement);
        since = bench_begin_usage(own_cpu_seconds(round));
        status = run_slices(round);
        others_cpu = bench_count_others(&since, own_cpu_seconds(round));
        distance_ns[1] = bench_measure_distance(bench->placement);
        verdict = bench_judge(bench, &round->distance, round->tracks[0].results->len, distance_ns,
                              others_cpu);
        for (guint i = 0; verdict == BENCH_BEGIN_ANEW && i < round->n_tracks; i++)
                bench_forget(&round->tracks[i]);
        for (guint i = 0; verdict != BENCH_DROP && status == COMMAND_SUCCESS && i < round->n_tracks;
             i++)
                status = finish_track(bench, &round->tracks[i], distance_ns, others_cpu);
        return status;
}

static bool is_steady(const struct round *round)
{
        for (guint i = 0; i < round->n_tracks; i++)
                if (!bench_track_is_steady(round->bench, &round->tracks[i]))
                        return false;
        return true;
}

static int run_repetitions(struct round *round)
{
        const struct bench *bench = round->bench;
        gint64 left = bench->repeat + (bench->guard ? bench->guard->max_extra : 0);
        int status = COMMAND_SUCCESS;

        for (gint64 n = 0; status == COMMAND_SUCCESS; n = round->tracks[0].results->len) {
                if ((n >= bench->repeat && (!bench->guard || is_steady(round))) || left-- <= 0)
                        return COMMAND_SUCCESS; /* too few are no row */
                if (bench->progress)
                        bench->progress(bench, n + 1);
                status = run_repetition(round);
        }
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
                options.served = NULL;
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
        void *page = mmap(NULL, sizeof(*track->options.served), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int r = page == MAP_FAILED ? -ENOMEM : 0;

        track->options.served = r == 0 ? page : NULL;
        if (r == 0 && track->subject->prepare)
                r = track->subject->prepare(&track->options);
        if (r < 0)
                return fail_subject(track, r, NULL);
        track->pid = subject_start(track->subject, &track->options);
        if (track->pid < 0)
                return fail_subject(track, (int)track->pid, NULL);
        track->server_pid = track->pid;
        r = track->subject->open(&track->options, &track->client);
        if (r == 0 && track->subject->get_pids)
                track->subject->get_pids(track->client, &track->client_pid, &track->server_pid);
        if (r == 0 && track->server_pid != track->pid)
                r = subject_pin_process(track->server_pid, track->options.server_cpu);
        if (r == 0 && track->subject->spins)
                r = subject_pause(track->pid);
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
        if (track->options.served)
                munmap(track->options.served, sizeof(*track->options.served));
        track->options.served = NULL;
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
        track->options.program = subject->program;
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

        if (round->bench->scenario != SUBJECT_CLIENTS && round->bench->scenario != SUBJECT_IDLE)
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
        return status == COMMAND_SUCCESS ? run_repetitions(round) : status;
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
        choose_tracks(round, dir);
        status = run_round(round);
        if (status == COMMAND_SUCCESS && bench->guard)
                status = bench->guard->finish(bench, round->tracks, round->n_tracks);
        else if (status == COMMAND_SUCCESS)
                bench_report_summary(bench, round->tracks, round->n_tracks);
        for (guint i = 0; i < round->n_tracks; i++)
                stop_track(&round->tracks[i]);
        remove_directory(dir);
        return status;
}
