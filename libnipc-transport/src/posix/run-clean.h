/* SPDX-License-Identifier: MIT */
#pragma once

/* One thing of a run directory, judged and removed. */

#include <nipc/run-dir.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct stat;

/* Longer than any name. */

struct nipc__run_clean {
        int dir_fd;
        char dir_path[32]; /* the same directory, whatever is in the place of its name by now */
        uid_t owner;
        bool is_other_boot; /* numbers of processes mean nothing */
        bool is_shared;     /* neither do locks and sockets: other machines may have theirs here */
        bool is_dry_run;
        uint64_t min_age_s;
        struct timespec now;
};

/* How long ago it was changed; 0 for what is to come. */
uint64_t nipc__run_clean_age(const struct nipc__run_clean *clean, const struct stat *st);

/*
 * Judges what has this name, and removes it if that is right. Returns 1 with *ret_outcome and
 * *ret_age_s set, or 0: there is nothing of that name (any more), or it goes with another.
 */
int nipc__run_clean_file(const struct nipc__run_clean *clean, const char *name,
                         enum nipc_clean_outcome *ret_outcome, uint64_t *ret_age_s, int *ret_error);
