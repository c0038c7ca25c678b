/* SPDX-License-Identifier: MIT */

/* What a spinner learns from spins that succeed and spins that do not, without a clock. */

#include "spin.h"
#include "tap.h"
#include <unistd.h>

#define CAP_NS  50000u
#define N_TURNS 20000u

/* As on a machine with several CPUs, whatever this one has. */
static struct nipc__spinner make_spinner(uint32_t cap_ns)
{
        struct nipc__spinner spinner;

        nipc__spinner_init(&spinner, cap_ns);
        spinner.cap_ns = cap_ns;
        return spinner;
}

static uint32_t limit(struct nipc__spinner *spinner)
{
        return nipc__spinner_limit(spinner, NIPC__SPIN_UNKNOWN_CPU);
}

/* So many waits that all are in vain. Returns how many of them were spins. */
static unsigned fail_for(struct nipc__spinner *spinner, unsigned n)
{
        unsigned n_spins = 0;

        for (unsigned i = 0; i < n; i++) {
                if (!limit(spinner))
                        continue;
                n_spins++;
                nipc__spinner_miss(spinner);
        }
        return n_spins;
}

static bool is_ready_at(const void *arg)
{
        unsigned *n_looks = (unsigned *)(uintptr_t)arg;

        return *n_looks && !--*n_looks;
}

static bool is_never_ready(const void *arg)
{
        atomic_uint *n_looks = (atomic_uint *)(uintptr_t)arg;

        atomic_fetch_add(n_looks, 1);
        return false;
}

static void test_a_new_one_spins(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);

        tap_check(limit(&spinner) > 0);
        tap_check(limit(&spinner) <= CAP_NS);
}

static void test_never_worth_it(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);
        unsigned before = fail_for(&spinner, N_TURNS), after;

        tap_note("%u of the first %u waits were spins", before, N_TURNS);
        /* It took some to learn; from now on no more than one in so many. */
        after = fail_for(&spinner, N_TURNS);
        tap_check(after <= N_TURNS >> NIPC__SPIN_MAX_SHIFT_BLIND);
        tap_check(after > 0);
        tap_check(after <= before);
}

static void test_ever_fewer(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);
        unsigned pause = 0, longest = 0;

        for (unsigned i = 0; i < N_TURNS; i++) {
                if (!limit(&spinner)) {
                        pause++;
                        continue;
                }
                if (!tap_check(pause >= longest))
                        break;
                longest = pause;
                pause = 0;
                nipc__spinner_miss(&spinner);
        }
        tap_eq_uint(longest, 1u << NIPC__SPIN_MAX_SHIFT_BLIND);
}

static void test_one_success_brings_it_back(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);
        uint32_t first;

        fail_for(&spinner, N_TURNS);
        while (!limit(&spinner))
                ;
        nipc__spinner_hit(&spinner, 2000);
        first = limit(&spinner);
        tap_check(first > 0);
        tap_eq_uint(limit(&spinner), first); /* and not only once */
        for (unsigned i = 0; i < 3; i++)
                tap_check(limit(&spinner) > 0);
}

static void test_success_lasts(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);

        for (unsigned i = 0; i < 1000; i++)
                nipc__spinner_hit(&spinner, 0);
        tap_eq_uint(spinner.score, NIPC__SPIN_FULL);
        /* A single one that fails changes nothing. */
        nipc__spinner_miss(&spinner);
        tap_check(limit(&spinner) > 0);
        /* Half of them do: still cheaper than to sleep each time, if they end quickly. */
        for (unsigned i = 0; i < 1000; i++) {
                nipc__spinner_hit(&spinner, 500);
                nipc__spinner_miss(&spinner);
        }
        tap_check(limit(&spinner) > 0);
        tap_check(limit(&spinner) < NIPC__SPIN_SLEEP_NS);
}

static void test_the_limit_keeps_the_cap(void)
{
        static const uint32_t caps[] = {1, 1000, NIPC__SPIN_SERVER_NS, NIPC__SPIN_CLIENT_NS};

        for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
                struct nipc__spinner spinner = make_spinner(caps[i]);
                uint64_t random = 1;

                for (unsigned n = 0; n < N_TURNS; n++) {
                        if (tap_random(&random) % 3)
                                nipc__spinner_hit(&spinner,
                                                  tap_random(&random) >> tap_random(&random) % 64);
                        else
                                nipc__spinner_miss(&spinner);
                        if (!tap_check(limit(&spinner) <= caps[i]) ||
                            !tap_check(spinner.typical_ns <= caps[i]))
                                break;
                }
        }
}

static void test_without_a_cap_never(void)
{
        struct nipc__spinner spinner = make_spinner(0);
        atomic_uint n_looks = 0;

        for (unsigned i = 0; i < 100; i++) {
                tap_eq_uint(limit(&spinner), 0);
                tap_check(!nipc__spin(&spinner, is_never_ready, &n_looks, NIPC__SPIN_UNKNOWN_CPU));
        }
        tap_eq_uint(n_looks, 0);
}

static void test_one_cpu_has_no_cap(void)
{
        struct nipc__spinner spinner;

        nipc__spinner_init(&spinner, CAP_NS);
        tap_eq_uint(spinner.cap_ns, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? CAP_NS : 0);
}

static void test_not_beside_the_peer(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);
        bool was_left_out = false;

        /* We may be moved between the two questions, but not each time. */
        for (unsigned i = 0; i < 1000 && !was_left_out; i++)
                was_left_out = !nipc__spinner_limit(&spinner, nipc__spin_own_cpu());
        tap_check(was_left_out);
        tap_check(nipc__spinner_limit(&spinner, NIPC__SPIN_UNKNOWN_CPU - 1) > 0);
}

static void test_free_looks(void)
{
        struct nipc__spinner spinner = make_spinner(CAP_NS);

        for (unsigned n = 1; n <= NIPC__SPIN_FREE_LOOKS; n++) {
                unsigned n_looks = n;

                tap_check(nipc__spin(&spinner, is_ready_at, &n_looks, NIPC__SPIN_UNKNOWN_CPU));
                tap_eq_uint(n_looks, 0);
        }
        /* Those ended at once, and the spinner knows. */
        tap_check(spinner.typical_ns < CAP_NS / 2);
}

static void test_a_spin_ends(void)
{
        struct nipc__spinner spinner = make_spinner(1000);
        uint8_t score = spinner.score;
        atomic_uint n_looks = 0;

        tap_check(!nipc__spin(&spinner, is_never_ready, &n_looks, NIPC__SPIN_UNKNOWN_CPU));
        tap_check(n_looks >= NIPC__SPIN_FREE_LOOKS);
        tap_check(spinner.score < score);
}

TAP_MAIN(TAP_CASE(test_a_new_one_spins), TAP_CASE(test_never_worth_it), TAP_CASE(test_ever_fewer),
         TAP_CASE(test_one_success_brings_it_back), TAP_CASE(test_success_lasts),
         TAP_CASE(test_the_limit_keeps_the_cap), TAP_CASE(test_without_a_cap_never),
         TAP_CASE(test_one_cpu_has_no_cap), TAP_CASE(test_not_beside_the_peer),
         TAP_CASE(test_free_looks), TAP_CASE(test_a_spin_ends))
