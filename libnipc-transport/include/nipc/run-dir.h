/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Run directories of one user in one boot, "{base}/{uid}-{boot id}". A
 * machine that comes up again never meets the files of the day before, whatever file system they
 * lie on, and users who share a base do not meet those of each other. Nothing asks for such
 * directories: any other will do for endpoints and lanes. Sessions and lanes are made elsewhere.
 *
 * How to use: a provider calls nipc_run_dir_make() and a client nipc_run_dir_find(), each with the
 * same base, and hand what they get to those who take a run directory.
 *
 * On Windows what has a name goes with the last process that has it. A run directory is but a part
 * of names there, so nothing is made, checked or left: "{base}/{uid}" tells users apart.
 *
 * Threading: functions of their arguments and the file system; any thread. They block for as long
 * as the file system does.
 */

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

#ifdef __cplusplus
}
#endif
