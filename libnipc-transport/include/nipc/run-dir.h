/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Run directories of one user in one boot, "{base}/{uid}-{boot id}", and what was left in them. A
 * machine that comes up again never meets the files of the day before, whatever file system they
 * lie on, and users who share a base do not meet those of each other. Nothing asks for such
 * directories: any other will do for endpoints and lanes. Sessions and lanes are made elsewhere.
 *
 * How to use: a provider calls nipc_run_dir_make() and a client nipc_run_dir_find(), each with the
 * same base, and hand what they get to those who take a run directory. Whoever cleans up, at the
 * start of a provider or from time to time, calls nipc_run_dir_clean_base().
 *
 * On Windows what has a name goes with the last process that has it. A run directory is but a part
 * of names there, so nothing is made, checked or left: "{base}/{uid}" tells users apart, and to
 * clean finds nothing.
 *
 * Threading: functions of their arguments and the file system; any thread. They block for as long
 * as the file system does.
 */

#include <nipc/init.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many bytes the name has at most that comes behind base, with the '/' and the NUL. */
#define NIPC_RUN_DIR_SUFFIX_MAX 64u

/*
 * Says what the directory is called; touches nothing. base: used verbatim. uid: whose, as in
 * struct nipc_endpoint_info, or -1: the caller's (effective) one. buf: strlen(base) +
 * NIPC_RUN_DIR_SUFFIX_MAX bytes suffice.
 * Returns 0, -EINVAL, -ENAMETOOLONG, or -ENOTSUP (the system does not tell its boot: no /proc).
 * Since: 0.1
 */
int nipc_run_dir_format(const char *base, int64_t uid, char *buf, size_t size);

/*
 * The same of one that is there and can be relied on: a directory and no link, owned by that user,
 * that no other can write to. Whoever may write to base, as its owner or its group, is trusted.
 * Returns as format; -ENOENT: there is none; -EACCES: there is something else, others may write to
 * it, or all the world to base, and that without the sticky bit; or what the file system said.
 * Since: 0.1
 */
int nipc_run_dir_find(const char *base, int64_t uid, char *buf, size_t size);

/*
 * The same of the caller's own, which is made with mode 0700 where it is missing. base must exist.
 * Returns as find; -ENOENT: there is no base. Since: 0.1
 */
int nipc_run_dir_make(const char *base, char *buf, size_t size);

/* ---- cleaning -------------------------------------------------------------------------------- */

/* What became of a thing that was looked at, and why. */
enum nipc_clean_outcome {
        NIPC_CLEAN_REMOVED = 0,   /* or would have been, in a dry run */
        NIPC_CLEAN_LIVE = 1,      /* its owner lives */
        NIPC_CLEAN_YOUNG = 2,     /* dead, or a directory: younger than was asked for */
        NIPC_CLEAN_UNPROVEN = 3,  /* nobody can tell whether its owner lives */
        NIPC_CLEAN_UNKNOWN = 4,   /* nothing of ours: a link, or a name or contents that we lack */
        NIPC_CLEAN_FOREIGN = 5,   /* of another user */
        NIPC_CLEAN_NOT_EMPTY = 6, /* a directory with something in it that was left */
        NIPC_CLEAN_FAILED = 7,    /* see error */
};

struct nipc_clean_item {
        const char *path; /* below the directory that was named, no '/' before it; borrowed */
        /* Since it was changed, as the file system says: memory in a tmpfs, since it was made. Of a
         * directory: or anything in it. */
        uint64_t age_s;
        uint32_t outcome; /* enum nipc_clean_outcome */
        int32_t error;    /* of FAILED: a negative errno */
};

struct nipc_clean_config {
        size_t size;        /* NIPC_CLEAN_CONFIG_INIT */
        uint64_t min_age_s; /* what was changed later than that is left alone; 0: nothing is */
        bool is_dry_run;    /* says what would be done */
        /* Called for each thing that is no directory on the way. May be NULL. Returns 0 to go on;
         * anything else ends the walk and is returned. */
        int (*visit)(void *userdata, const struct nipc_clean_item *item);
        void *userdata;
};

#define NIPC_CLEAN_CONFIG_INIT NIPC_INIT(struct nipc_clean_config)

/*
 * Removes from a run directory what dead owners left: endpoints, lock files, regions of shared
 * memory, files of lanes; of these not before they were read: they are removed with what is in
 * them. First comes the proof that the owner is dead, for each thing by itself, and then its age;
 * an endpoint's lock is held meanwhile, so that no server that starts is disturbed. A thing must be
 * a file of the caller's (root: of the directory's owner) with a name and contents that are known,
 * of a region with a known name. No link is followed, not even in the place of run_dir itself. The
 * directory stays. config: NULL: removes whatever the dead left. Returns how many were removed
 * (INT_MAX at most), -EINVAL, -E2BIG, -ENOMEM, the visitor's value, or what opening the directory
 * said. Since: 0.1
 */
int nipc_run_dir_clean(const char *run_dir, const struct nipc_clean_config *config);

/*
 * The same for every directory of base that has the name of a run directory and belongs to the user
 * in its name, who must be the caller, unless the caller is root. The numbers of processes of
 * another boot prove nothing and are not looked at; locks, and whether anybody answers, are, and
 * of a file system that other machines share nothing of theirs is taken for dead. A directory of
 * another boot goes when all in it is gone; if any part of it is too young, nothing of it is
 * removed. What else is in base is not looked at. Since: 0.1
 */
int nipc_run_dir_clean_base(const char *base, const struct nipc_clean_config *config);

#ifdef __cplusplus
}
#endif
