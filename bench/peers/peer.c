/* SPDX-License-Identifier: MIT */

/* The frame of a peer, see peer.h. It measures as bench-slice.c does. */

#include "peer.h"
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#define SPIN_NS   UINT64_C(60000)
#define MAX_DEPTH 256u

static const char *last_reason = "failed";
static struct histogram latency;

int peer_fail(const char *reason)
{
        last_reason = reason;
        return -1;
}

int peer_fail_answer(void)
{
        return peer_fail("wrong answer");
}

void peer_ready(void)
{
        puts("READY");
        fflush(stdout);
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void wait_until(uint64_t due_ns)
{
        struct timespec ts;

        if (now_ns() + SPIN_NS < due_ns) {
                ts.tv_sec = (time_t)((due_ns - SPIN_NS) / 1000000000);
                ts.tv_nsec = (long)((due_ns - SPIN_NS) % 1000000000);
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        }
        while (now_ns() < due_ns)
                continue;
}

static int run_single(const struct peer *peer, uint64_t rate, uint64_t end_ns, uint64_t *value)
{
        uint64_t interval_ns = rate ? 1000000000 / rate : 0, now = now_ns(), started = now;

        do {
                if (interval_ns)
                        wait_until(started);
                if (peer->ping(*value) < 0)
                        return -1;
                ++*value;
                now = now_ns();
                histogram_record(&latency, now - started);
                started = interval_ns ? started + interval_ns : now;
        } while (now < end_ns);
        return 0;
}

static int run_pipeline(const struct peer *peer, uint64_t depth, uint64_t end_ns, uint64_t *value)
{
        uint64_t oldest = *value, half = depth - depth / 2, sent_at[MAX_DEPTH], now = now_ns();
        bool first = true;

        while (first || now < end_ns || oldest < *value) {
                uint64_t until;

                while ((first || now < end_ns) && *value < oldest + depth) {
                        sent_at[*value % MAX_DEPTH] = now;
                        if (peer->send((*value)++) < 0)
                                return -1;
                }
                first = false;
                until = oldest + half < *value ? oldest + half : *value;
                for (uint64_t i = oldest; i < until; i++)
                        if (peer->receive(i) < 0)
                                return -1;
                now = now_ns();
                for (; oldest < until; oldest++)
                        histogram_record(&latency, now - sent_at[oldest % MAX_DEPTH]);
        }
        return 0;
}

static int run(const struct peer *peer, const char *line)
{
        uint64_t depth, rate, length_ns, value, first, start_ns;
        int r;

        if (sscanf(line, "run %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &depth, &rate,
                   &length_ns, &value) != 4 ||
            !depth || depth > MAX_DEPTH)
                return peer_fail("not asked in the way it was agreed");
        if (depth > 1 && !peer->send)
                return peer_fail("this one has no requests in flight");
        memset(&latency, 0, sizeof(latency));
        prctl(PR_SET_TIMERSLACK, rate ? 1UL : 0UL);
        first = value;
        start_ns = now_ns();
        r = depth > 1 ? run_pipeline(peer, depth, start_ns + length_ns, &value)
                      : run_single(peer, rate, start_ns + length_ns, &value);
        if (r < 0)
                return r;
        printf("done %" PRIu64 " %" PRIu64 "\n", value - first, now_ns() - start_ns);
        for (unsigned i = 0; i < HISTOGRAM_N_BUCKETS; i++)
                if (latency.buckets[i])
                        printf("%.0f %" PRIu64 "\n", histogram_bucket_middle(i),
                               latency.buckets[i]);
        puts("end");
        return fflush(stdout) == 0 ? 0 : -1;
}

int peer_main(int argc, char **argv, const struct peer *peer)
{
        char line[256];
        int r = 0;

        if (argc != 3 || (strcmp(argv[1], "server") != 0 && strcmp(argv[1], "client") != 0)) {
                fprintf(stderr, "usage: %s server|client DIR\n", argv[0]);
                return 2;
        }
        if (strcmp(argv[1], "server") == 0)
                return peer->serve(argv[2]) < 0;
        r = peer->open(argv[2]);
        if (r == 0)
                peer_ready();
        while (r == 0 && fgets(line, sizeof(line), stdin))
                r = run(peer, line);
        if (r < 0)
                printf("error %s\n", last_reason);
        fflush(stdout);
        return r < 0;
}
