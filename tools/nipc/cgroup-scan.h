/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Finds the cgroups of a machine: which hierarchy to look at, and every group in it. Reads
 * directories only; follows no link; groups that vanish while it looks are left out, and so is what
 * is in those that it may not read.
 */

#include <gio/gio.h>
#include <stdbool.h>

/* What is beyond is left out: whoever may create cgroups must not fill our memory. Chosen. */
#define CGROUP_SCAN_MAX_GROUPS     65536u
#define CGROUP_SCAN_MAX_PATH_BYTES (16u * 1024u * 1024u) /* of all paths together */
#define CGROUP_SCAN_MAX_DEPTH      64u

struct cgroup {
        char *path; /* within the hierarchy, "/" for its root */
        char *name; /* unique among the groups of one scan */
};

struct cgroup_hierarchy {
        char *path;   /* of its root directory, owned */
        bool unified; /* cgroup v2 */
        bool systemd; /* laid out by systemd */
};

/*
 * Picks the hierarchy to serve. given: its root directory, or NULL for the machine's own:
 * /sys/fs/cgroup when that is v2; else of unified (v2 beside v1), systemd, name=systemd, cpu,
 * cpuacct and memory in it the first that has groups, or the first that is there.
 */
gboolean cgroup_hierarchy_find(const char *given, struct cgroup_hierarchy *ret_hierarchy,
                               GError **error);

void cgroup_hierarchy_clear(struct cgroup_hierarchy *hierarchy);

/*
 * All groups by path, the root first: struct cgroup, owned by the array. NULL when the root cannot
 * be read, or anything else keeps it from seeing all there is (no descriptors, no memory): a part
 * is never taken for the whole.
 */
GPtrArray *cgroup_scan(const struct cgroup_hierarchy *hierarchy, GError **error);
