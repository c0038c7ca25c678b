/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where a cgroup comes from: who made it, what a person would call what runs there, and labels.
 * From the path alone, relative to the root of its hierarchy as /proc/PID/cgroup has it. Nothing is
 * looked up, and nothing is claimed that the path does not tell; nor can it be told whether a path
 * is honest: whoever may create cgroups may name them after a container. Names are described in
 * cgroup-name.h.
 *
 * Of things in one another the innermost container or machine counts, with what is below it:
 *
 *   docker in docker, docker in lxc       the inner docker
 *   kubernetes in docker (kind, k3d)      kubernetes: the pod
 *   containers below kubepods             kubernetes, whatever runs them; a container within
 *                                         another there keeps the labels of the pod
 *   systemd in lxc, nspawn, docker        lxc, nspawn, docker; `unit` is of the systemd within
 *   a container within a service          the container; `unit` is the service
 *
 * Groups that hold containers and are none: of kubernetes below kubepods, of podman when of one
 * pod, otherwise systemd's slices or of an unknown maker (/docker, /lxc).
 *
 * cri-containerd- and crio- are kubernetes' runtimes and taken for kubernetes anywhere. nerdctl and
 * bare container ids outside /docker have an unknown maker and the labels that they have. A machine
 * that systemd registered is taken for nspawn's unless its name begins as libvirt's do.
 */

#include <glib.h>

/* The values are those of the wire. */
enum cgroup_orchestrator {
        CGROUP_ORCHESTRATOR_UNKNOWN = 0,
        CGROUP_ORCHESTRATOR_SYSTEMD = 1,
        CGROUP_ORCHESTRATOR_DOCKER = 2,
        CGROUP_ORCHESTRATOR_K8S = 3,
        CGROUP_ORCHESTRATOR_KVM = 4,
        CGROUP_ORCHESTRATOR_LXC = 5,
        CGROUP_ORCHESTRATOR_PODMAN = 6,
        CGROUP_ORCHESTRATOR_NSPAWN = 7,
};

enum cgroup_label {
        CGROUP_LABEL_CONTAINER_ID, /* container_id: 64 hexadecimal digits */
        CGROUP_LABEL_RUNTIME,      /* runtime: docker, podman, containerd, crio, libvirt */
        CGROUP_LABEL_ROLE,         /* role: monitor, of the container and not in it */
        CGROUP_LABEL_POD_UID,      /* pod_uid: of kubernetes, with dashes where it has any */
        CGROUP_LABEL_QOS,          /* qos: guaranteed, burstable, besteffort */
        CGROUP_LABEL_POD_ID,       /* pod_id: of podman */
        CGROUP_LABEL_MACHINE,      /* machine: name of a machine, or of a container of lxc */
        CGROUP_LABEL_UNIT,         /* unit: the innermost, as systemctl takes it: escaped */
        CGROUP_LABEL_TEMPLATE,     /* template: of that unit, "getty@.service" */
        CGROUP_LABEL_INSTANCE,     /* instance: of that template, unescaped */
        CGROUP_LABEL_SLICE,        /* slice: what the unit or the container is in */
        CGROUP_LABEL_SESSION,      /* session: of logind */
        CGROUP_LABEL_UID,          /* uid: of user-UID.slice or user@UID.service around it */
        CGROUP_LABEL_MANAGER,      /* manager: "user" when the unit is of a user's systemd */
        CGROUP_N_LABELS,
};

struct cgroup_origin {
        enum cgroup_orchestrator orchestrator;
        char *name;                    /* never empty; "root" for "/" */
        char *labels[CGROUP_N_LABELS]; /* by enum cgroup_label; NULL where there is none */
};

/*
 * What the path tells; to be cleared. A path that no kernel gives (not absolute, empty, "." or ".."
 * or too long components, a newline, PATH_MAX bytes or more) has an unknown origin, no labels, and
 * for a name itself without slashes in front. One that is no UTF-8 has an unknown origin and no
 * labels.
 */
void cgroup_origin_read(const char *path, struct cgroup_origin *ret_origin);

void cgroup_origin_clear(struct cgroup_origin *origin);

/* "container_id" of CGROUP_LABEL_CONTAINER_ID, and so on. */
const char *cgroup_label_key(enum cgroup_label label);
