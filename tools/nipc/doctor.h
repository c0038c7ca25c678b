/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `nipc doctor` looks at: checks, each a function that is run in a process of its own, because
 * a filter of system calls may answer by killing. Probes do what the libraries do, no more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum doctor_result {
        DOCTOR_OK = 0,
        DOCTOR_LIMITED = 1, /* nipc does without it: see the effect */
        DOCTOR_MISSING = 2, /* what needs it does not work */
};

/* Where the checks look. */
struct doctor_place {
        const char *run_dir;
        bool run_dir_is_default; /* `nipc serve` makes it */
        const char *scratch;     /* a directory in it that may be written to; NULL: there is none */
        int scratch_error;       /* then why, an errno */
};

/* What a probe found out. It crosses a pipe: no pointers, and small enough to go in one piece. */
struct doctor_finding {
        enum doctor_result result;
        int error;         /* an errno, 0: none */
        int signal;        /* that killed the probe, 0: none */
        char found[256];   /* what there is, or what failed */
        char effect[256];  /* empty: that of the check */
        char advice[256];  /* empty: that of the check */
        uint32_t profiles; /* NIPC_PROFILE_* that a message went over */
};

struct doctor_check {
        const char *name;
        enum doctor_result failure; /* what it means when it fails */
        void (*probe)(const struct doctor_place *place, struct doctor_finding *finding);
        const char *effect;        /* of a failure */
        const char *killed_effect; /* when the call kills instead of failing; NULL: the same */
        const char *advice;        /* one line */
        uint32_t profile;          /* the profile it is about, of checks of sessions */
};

/* In order of the report; what is really done, over each profile, comes last. */
extern const struct doctor_check doctor_kernel_checks[];
extern const size_t doctor_n_kernel_checks;
extern const struct doctor_check doctor_host_checks[];
extern const size_t doctor_n_host_checks;
extern const struct doctor_check doctor_directory_checks[];
extern const size_t doctor_n_directory_checks;
extern const struct doctor_check doctor_session_checks[];
extern const size_t doctor_n_session_checks;

/*
 * Runs a probe in a child, for a few seconds at most. Whatever becomes of the child is told by the
 * finding. With a single thread only.
 */
void doctor_run(const struct doctor_check *check, const struct doctor_place *place,
                struct doctor_finding *ret_finding);

/* ---- for probes ---- */

void doctor_found(struct doctor_finding *finding, const char *format, ...)
        __attribute__((__format__(__printf__, 2, 3)));

/* It failed, as bad as the check says. error: an errno, or 0. */
void doctor_fail(struct doctor_finding *finding, int error, const char *format, ...)
        __attribute__((__format__(__printf__, 3, 4)));

/* The same, but nipc does without; effect: what follows from that. */
void doctor_limit(struct doctor_finding *finding, int error, const char *effect, const char *format,
                  ...) __attribute__((__format__(__printf__, 4, 5)));

/* There is no directory to try it in, of which `run-dir` says more. */
void doctor_fail_scratch(const struct doctor_place *place, struct doctor_finding *finding);

/* What to do, in place of what the check says. */
void doctor_advise(struct doctor_finding *finding, const char *format, ...)
        __attribute__((__format__(__printf__, 2, 3)));
