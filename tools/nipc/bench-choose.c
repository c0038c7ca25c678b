/* SPDX-License-Identifier: MIT */

/* What `nipc bench` may measure here, and on which CPUs. */

#include "bench.h"
#include "command.h"
#include "profiles.h"
#include "subject-peer.h"

const struct subject *const bench_subjects[] = {
        &subject_baseline,       &subject_shm_hybrid, &subject_ring,
        &subject_bare_seqpacket, &subject_bare_shm,   &subject_bare_futex,
        &subject_bare_spin128,   &subject_bare_epoll, &subject_bare_epoll_mt,
        &subject_bare_stream,    &subject_bare_pipe,  NULL,
};

bool bench_is_built_in(const struct subject *subject)
{
        return !subject->profile || (profiles_get_built_in() & subject->profile);
}

char *bench_why_not(const struct bench *bench, const struct subject *subject)
{
        char *reason = NULL;

        if (!bench_is_built_in(subject))
                return g_strdup_printf("this build has no %s", subject->name);
        if (subject->program && !subject_peer_is_there(subject, &reason))
                return reason;
        if (subject->spins &&
            (bench->placement == BENCH_PLACEMENT_SAME || g_get_num_processors() < 2))
                return g_strdup_printf("%s spins on both sides", subject->name);
        return NULL;
}

int bench_place(struct bench *bench, enum bench_placement placement)
{
        int r = placement == BENCH_PLACEMENT_TWO && g_get_num_processors() < 2 ? -EINVAL : 0;

        bench->placement = placement;
        bench->options.server_cpu =
                placement == BENCH_PLACEMENT_FREE ? -1 : placement == BENCH_PLACEMENT_TWO;
        if (r == 0)
                r = subject_pin(placement == BENCH_PLACEMENT_FREE ? -1 : 0);
        return r < 0 ? command_fail(&command_bench, "--placement %s is not possible here",
                                    bench_placement_names[placement])
                     : COMMAND_SUCCESS;
}
