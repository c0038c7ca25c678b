/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names of cgroups: from the path alone, what a person would call the thing that runs there.
 *
 *   /                                                  root
 *   /system.slice/ssh.service                          ssh.service
 *   /system.slice/dev-disk-by\x2dlabel-a.swap          dev-disk-by-label-a.swap
 *   /user.slice/user-1000.slice/session-3.scope        session-3.scope
 *   .../user@1000.service/app.slice/foo.service        user@1000/foo.service
 *   /system.slice/foo.service/worker                   foo.service/worker
 *   /docker/ID, /system.slice/docker-ID.scope          docker-ID12
 *   libpod-ID.scope, crio-, cri-containerd-, nerdctl-  podman-ID12, crio-, containerd-,
 * nerdctl-ID12 /kubepods/burstable/podUID, ...-podUID.slice       k8s-pod-UID a container in one of
 * those                        k8s-ID12 machine-web.scope, systemd-nspawn@web.service nspawn-web
 *   machine-qemu\x2d3\x2dvm.scope, /qemu.slice/100.scope   qemu-vm, qemu-100
 *   lxc.payload.web, /lxc/web                          lxc-web
 *   anything below a container or machine              NAME/init.scope, NAME/sub/group
 *   anything else                                      the path without its first slash
 *
 * What the path tells besides, see cgroup-origin.h.
 *
 * ID is 64 hexadecimal digits, ID12 the first twelve of them. A name depends on its own path only,
 * so that it does not change when other cgroups come and go, unless one comes that shares it.
 */

#include <glib.h>
#include <stdint.h>

/* path: absolute within the cgroup tree, "/" for the root. Never NULL; owned by the caller. */
char *cgroup_name_from_path(const char *path);

/*
 * The name again, told apart from others of the same name: NAME~XXXXXXXX, the hash of the path; and
 * should that not do, once more, NAME~XXXXXXXX~ and 16 digits of the path's SHA-256. All who share
 * a name are told apart, so that it never means one of them today and another tomorrow. Owned by
 * the caller.
 */
char *cgroup_name_distinguish(const char *name, const char *path);

/*
 * A name or a path for people, of `len` bytes that came from another process: text as it is, and
 * {"hex": "..."}, which is what JSON output has, for bytes that are no text, or text that a reader
 * could take for other output. Owned by the caller.
 */
char *cgroup_name_show(const char *bytes, size_t len);

/*
 * The hash of a cgroup's item: djb2 of the name's bytes, start 5381, h = h * 33 + byte modulo 2^32.
 * Consumers who know a name can compute it and look the item up.
 */
uint32_t cgroup_name_hash(const char *name);
