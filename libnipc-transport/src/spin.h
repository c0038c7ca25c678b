/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Waiting for a word in memory without the kernel, for as long as that is worth it. Both shared
 * memory planes and the poller wait like this before they sleep, on either side.
 *
 * What it is worth: a sleep and its wake-up cost both processes together NIPC__SPIN_SLEEP_NS of CPU
 * time (or what its owner says), so spins of a length pay if they succeed often enough: p * sleep >
 * (1 - p) * length. A spinner keeps a moving share of successes (score) and a moving length of
 * those that succeeded (typical). If spins pay even at their full length, that is the limit: those
 * that succeed end early, and one that does not is soon over for good. If not, a limit of about
 * twice what is typical may still pay. Where nothing does (long pauses between messages) all but a
 * few are left out, and one success of those brings them back.
 *
 * Two processes on one CPU never see each other's news by looking: where it is known that the peer
 * slept last on the CPU we are on, nothing is tried at all.
 *
 * The first looks need no clock: that is where an answer is found at full speed.
 */

#include "stdaux.h"
#include <nipc/clock.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * CPU time of a sleep and a wake-up across CPUs, both sides: 36 to 44 us a round trip of two, cores
 * used over throughput in `nipc bench ping-pong --profile bare-futex --placement two`.
 */
#define NIPC__SPIN_SLEEP_NS 18000u

/*
 * How long to spin at most. A client knows that somebody works for him: he waits longer than it
 * takes to wake the server (23 us), or two sleepers would never find back to full speed. A server
 * does not know whether anybody will ask. `nipc bench ping-pong --rate 1000, 10000, 100000`.
 */
#define NIPC__SPIN_CLIENT_NS 50000u
#define NIPC__SPIN_SERVER_NS 5000u

/*
 * In the middle of an exchange at full speed whoever is late was interrupted, and is back soon: a
 * tick takes several microseconds. Some thirty successes in a row make such a middle.
 */
#define NIPC__SPIN_PATIENCE_NS    50000u
#define NIPC__SPIN_PATIENCE_SCORE 252u

#define NIPC__SPIN_FULL       255u /* the score of one that always succeeds */
#define NIPC__SPIN_FREE_LOOKS 24u  /* without a clock, about half a microsecond */
/* When they never succeed: one spin in 16; one in 128 where the peer may be on our CPU. */
#define NIPC__SPIN_MAX_SHIFT       4u
#define NIPC__SPIN_MAX_SHIFT_BLIND 7u

#define NIPC__SPIN_UNKNOWN_CPU UINT32_MAX

struct nipc__spinner {
        uint32_t cap_ns;     /* 0: never spin, there is one CPU */
        uint32_t typical_ns; /* of spins that succeeded after the free looks */
        uint8_t score;       /* share of successes, of NIPC__SPIN_FULL */
        uint8_t skip_shift;
        uint8_t max_shift;
        uint16_t skip;     /* spins to leave out */
        uint16_t sleep_us; /* what a sleep and a wake-up cost: NIPC__SPIN_SLEEP_NS, or set */
};

void nipc__spinner_init(struct nipc__spinner *spinner, uint32_t cap_ns);

/* What a spin taught. ns: how long it took, 0: it ended in the free looks. */
void nipc__spinner_hit(struct nipc__spinner *spinner, uint64_t ns);
void nipc__spinner_miss(struct nipc__spinner *spinner);

/*
 * How long the next spin may be, in ns; 0: leave it out. peer_cpu: where the peer slept last, or
 * NIPC__SPIN_UNKNOWN_CPU.
 */
uint32_t nipc__spinner_limit(struct nipc__spinner *spinner, uint32_t peer_cpu);

/* ---- one per system: src/<system>/cpu.c ----------------------------------------------------- */

/* The CPU we are on, for the peer's spinner. */
uint32_t nipc__spin_own_cpu(void);

/* Whether there is more than one. */
bool nipc__spin_has_cpus(void);

/* --------------------------------------------------------------------------------------------- */

static inline void nipc__spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ volatile("yield");
#else
        __asm__ volatile("" ::: "memory");
#endif
}

/*
 * Until a look that was made is complete, and no longer: several times shorter than a pause, and
 * still no looks are made ahead, all of which would be in vain when the line is taken away.
 */
static inline void nipc__spin_breath(void)
{
#if defined(__x86_64__)
        __builtin_ia32_lfence();
        __builtin_ia32_lfence();
#else
        nipc__spin_pause();
#endif
}

/* Whether each spin of late has succeeded. */
static inline bool nipc__spinner_is_sure(const struct nipc__spinner *spinner)
{
        return spinner->score == NIPC__SPIN_FULL;
}

/*
 * Looks until is_ready(arg) or until it is not worth it any more. The caller has looked once.
 * peer_cpu: see nipc__spinner_limit(). Returns whether it became ready.
 */
static inline bool nipc__spin(struct nipc__spinner *spinner, bool (*is_ready)(const void *arg),
                              const void *arg, uint32_t peer_cpu)
{
        uint64_t start_ns, now_ns;
        uint32_t limit_ns;
        unsigned i;

        if (NIPC__UNLIKELY(spinner->score < NIPC__SPIN_FULL)) {
                limit_ns = nipc__spinner_limit(spinner, peer_cpu);
                if (!limit_ns)
                        return false;
        } else {
                limit_ns = 0; /* found out when it is needed */
        }
        for (i = 0; i < NIPC__SPIN_FREE_LOOKS; i++) {
                if (is_ready(arg)) {
                        if (NIPC__UNLIKELY(spinner->score < NIPC__SPIN_FULL))
                                nipc__spinner_hit(spinner, 0);
                        return true;
                }
                nipc__spin_pause();
        }
        if (!limit_ns)
                limit_ns = nipc__spinner_limit(spinner, peer_cpu);
        start_ns = now_ns = nipc_clock_now_ns();
        while (now_ns - start_ns < limit_ns) {
                for (i = 0; i < 8; i++) {
                        if (is_ready(arg)) {
                                nipc__spinner_hit(spinner, now_ns - start_ns + 1);
                                return true;
                        }
                        nipc__spin_pause();
                }
                now_ns = nipc_clock_now_ns();
        }
        nipc__spinner_miss(spinner);
        return false;
}
