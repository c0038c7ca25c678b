/* SPDX-License-Identifier: MIT */

/*
 * One subject's turn of `nipc bench`. At a fixed rate latency counts from when a request was due,
 * not from when it could be sent: a stall is charged to every request that it delayed. Otherwise
 * one reading of the clock ends a round trip and begins the next. A pipeline is kept between half
 * full and full; its clock is read once per half, so that latency counts from before the first of a
 * half was sent until after the last of one was received.
 */

#include "bench.h"

#include <nipc/clock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define SPIN_NS   UINT64_C(60000) /* what a sleep overshoots by without slack, at most, mostly */
#define MAX_DEPTH 256u

/* Whose slice it is: a call is told of its client only. */
static const struct subject *subject_of_crowd;

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

/* The round trip of every scenario but pipelines. */
static int (*choose_call(const struct bench_track *track))(struct subject_client *, uint64_t)
{
        switch (track->options.scenario) {
        case SUBJECT_BATCH:
                return track->subject->batch;
        case SUBJECT_SNAPSHOT:
                return track->subject->snapshot;
        case SUBJECT_LOOKUP:
                return track->subject->lookup;
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
        while (now < end_ns && (!bench->n_messages || track->latency.count < bench->n_messages)) {
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

static bool may_send(const struct bench *bench, uint64_t n_sent)
{
        return !bench->n_messages || n_sent < bench->n_messages;
}

static int slice_pipeline(const struct bench *bench, struct bench_track *track, uint64_t end_ns)
{
        const bool is_batch = track->options.scenario == SUBJECT_PIPELINE_BATCH;
        const struct subject *subject = track->subject;
        int (*send)(struct subject_client *, uint64_t) =
                is_batch ? subject->send_batch : subject->send;
        int (*receive)(struct subject_client *, uint64_t) =
                is_batch ? subject->receive_batch : subject->receive;
        const uint64_t step = is_batch ? track->options.items : 1; /* numbers in a message */
        uint64_t depth = track->options.depth, half = depth - depth / 2;
        uint64_t oldest = track->next_value, until, now = nipc_clock_now_ns();
        uint64_t sent_at[MAX_DEPTH];
        const uint64_t first = oldest;
        int r = 0;

        while (oldest < track->next_value ||
               (now < end_ns && may_send(bench, track->next_value - first))) {
                while (r == 0 && now < end_ns && track->next_value < oldest + depth &&
                       may_send(bench, track->next_value - first)) {
                        sent_at[track->next_value % MAX_DEPTH] = now;
                        r = send(track->client, track->next_value++ * step);
                }
                until = MIN(oldest + half, track->next_value);
                for (uint64_t message = oldest; r == 0 && message < until; message++)
                        r = receive(track->client, message * step);
                if (r < 0)
                        return r;
                now = nipc_clock_now_ns();
                track->n_done += (until - oldest) * step;
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
        track->n_crowd += track->latency.count - before;
        return r;
}

/* The subject drives itself, from a process of its own. */
static int slice_apart(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        struct subject_slice slice = {
                .length_ns = length_ns,
                .rate = (uint64_t)bench->rate,
                .value = track->next_value,
                .latency = &track->latency,
        };
        int r = track->subject->slice(track->client, &slice);

        track->next_value = slice.value;
        track->n_done += slice.n_done;
        track->busy_ns += slice.busy_ns;
        return r;
}

/* A round trip that does not count: the other side is awake and near when we begin. */
static int touch(const struct bench *bench, struct bench_track *track)
{
        static struct histogram ignored;
        const bool is_batch = track->options.scenario == SUBJECT_PIPELINE_BATCH;
        const struct subject *subject = track->subject;
        uint64_t value;
        int r;

        if (subject->slice) {
                struct subject_slice slice = {.length_ns = 1, .value = track->next_value};

                slice.latency = &ignored;
                r = subject->slice(track->client, &slice);
                track->next_value = slice.value;
                return r;
        }
        if (bench->scenario == SUBJECT_CLIENTS || bench->scenario == SUBJECT_IDLE) {
                value = ignored.count;
                r = subject->crowd(track->client, 0, &ignored);
                track->n_crowd += ignored.count - value;
                return r;
        }
        if (!subject_is_pipeline(bench->scenario)) {
                value = track->next_value;
                track->next_value +=
                        track->options.scenario == SUBJECT_BATCH ? track->options.items : 1;
                return choose_call(track)(track->client, value);
        }
        value = track->next_value++ * (is_batch ? track->options.items : 1);
        r = (is_batch ? subject->send_batch : subject->send)(track->client, value);
        return r < 0 ? r
                     : (is_batch ? subject->receive_batch : subject->receive)(track->client, value);
}

static double process_cpu_seconds(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double client_cpu_seconds(const struct bench_track *track)
{
        return track->client_pid ? subject_cpu_seconds(track->client_pid) : process_cpu_seconds();
}

static uint64_t count_switches(const struct bench_track *track)
{
        return subject_count_switches(track->server_pid) +
               subject_count_switches(track->client_pid);
}

static int measure(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        uint64_t start_ns = nipc_clock_now_ns();
        int r = 0;

        if (track->subject->slice)
                return slice_apart(bench, track, length_ns);
        set_pacing(bench->rate > 0);
        if (subject_is_pipeline(bench->scenario))
                r = slice_pipeline(bench, track, start_ns + length_ns);
        else if (bench->scenario == SUBJECT_CLIENTS)
                r = slice_crowd(track, start_ns + length_ns);
        else if (bench->scenario == SUBJECT_IDLE)
                wait_until(start_ns + length_ns);
        else
                r = slice_single(bench, track, start_ns + length_ns);
        set_pacing(false);
        track->busy_ns += nipc_clock_now_ns() - start_ns;
        return r;
}

static int measure_slice(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        uint64_t switches = count_switches(track);
        double client_cpu = client_cpu_seconds(track);
        double server_cpu = subject_cpu_seconds(track->server_pid);
        int r = measure(bench, track, length_ns);

        track->client_cpu += client_cpu_seconds(track) - client_cpu;
        track->server_cpu += subject_cpu_seconds(track->server_pid) - server_cpu;
        track->n_switches += count_switches(track) - switches;
        if (r == 0 && bench->scenario == SUBJECT_IDLE) /* all are there yet */
                r = slice_crowd(track, 0);
        return r;
}

int bench_run_slice(const struct bench *bench, struct bench_track *track, uint64_t length_ns)
{
        int r = track->subject->spins ? subject_resume(track->pid) : 0;

        subject_of_crowd = track->subject;
        if (r == 0 && track->trouble_pid)
                r = subject_resume(track->trouble_pid);
        if (r == 0)
                r = touch(bench, track);
        if (r == 0)
                r = measure_slice(bench, track, length_ns);
        if (r == 0 && track->trouble_pid)
                r = subject_pause(track->trouble_pid);
        if (r == 0 && track->subject->spins)
                r = subject_pause(track->pid);
        return r;
}
