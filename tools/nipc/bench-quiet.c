/* SPDX-License-Identifier: MIT */

/*
 * Whether a repetition counts: by what the machine did meanwhile, never by what was measured. On
 * virtual machines the CPUs come nearer and go away, others want them, and the host takes them.
 */

#include "bench.h"
#include "interrupt.h"

#include <stdio.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(200000000) /* 20 ticks of the clock that CPU time is told by */

/* What was used of all CPUs so far, in seconds: by us, by others, and by the host in our place. */
static double machine_cpu_seconds(void)
{
        g_autofree char *text = NULL;
        double user, nice, system, idle, iowait, irq, softirq, steal;

        if (!g_file_get_contents("/proc/stat", &text, NULL, NULL) ||
            sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle,
                   &iowait, &irq, &softirq, &steal) != 8)
                return 0;
        return (user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK);
}

struct bench_usage bench_begin_usage(double own_cpu)
{
        return (struct bench_usage){g_get_monotonic_time(), machine_cpu_seconds(), own_cpu};
}

double bench_count_others(const struct bench_usage *since, double own_cpu)
{
        double used = machine_cpu_seconds() - since->machine_cpu - own_cpu + since->own_cpu;

        return MAX(used, 0) / ((double)(g_get_monotonic_time() - since->start_us) / 1e6);
}

static bool asks_for_quiet(const struct bench *bench)
{
        return bench->guard && bench->guard->max_others > 0 && bench->repeat > 1;
}

void bench_wait_for_quiet(const struct bench *bench, double (*get_own_cpu)(const void *userdata),
                          const void *userdata)
{
        uint64_t *patience_ns = asks_for_quiet(bench) ? bench->guard->patience_ns : NULL;

        while (patience_ns && *patience_ns >= LOOK_NS && !interrupt_is_set()) {
                const struct bench_usage since = bench_begin_usage(get_own_cpu(userdata));

                g_usleep(LOOK_NS / 1000);
                if (bench_count_others(&since, get_own_cpu(userdata)) <= bench->guard->max_others)
                        return;
                *patience_ns -= LOOK_NS;
                if (bench->progress)
                        bench->progress(bench, 0);
        }
}

enum bench_verdict bench_judge(const struct bench *bench, struct bench_distance *distance,
                               guint n_kept, const double distance_ns[2], double others_cpu)
{
        if (!asks_for_quiet(bench))
                return BENCH_KEEP;
        if (others_cpu > bench->guard->max_others ||
            !bench_distances_agree(distance_ns[0], distance_ns[1]))
                return BENCH_DROP;
        if (n_kept == 0 || bench_distances_agree(distance_ns[0], distance->ns)) {
                if (n_kept == 0)
                        distance->ns = distance_ns[0];
                distance->n_elsewhere = 0;
                return BENCH_KEEP;
        }
        if (++distance->n_elsewhere < 2)
                return BENCH_DROP;
        *distance = (struct bench_distance){.ns = distance_ns[0]};
        return BENCH_BEGIN_ANEW;
}

void bench_forget(struct bench_track *track)
{
        g_array_set_size(track->results, 0);
        memset(&track->total, 0, sizeof(track->total));
}
