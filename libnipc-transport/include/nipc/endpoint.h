/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Endpoints by name: run directory + service name (transport-posix §1). What is there, who owns it,
 * is it alive, and how to remove what a dead owner left. Nothing here opens a session.
 *
 * Liveness is proven, never guessed from a PID: a server of ours holds a lock for as long as it
 * lives; a server without that lock answers a connection attempt.
 *
 * Threading: pure functions of their arguments and the file system; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest endpoint path with its NUL, on systems with Unix sockets: sun_path. */
#define NIPC_ENDPOINT_PATH_MAX 108u

/*
 * Judges a service name: 1 or more of [A-Za-z0-9._-], not "." and not "..".
 * Returns 0 or -EINVAL. Never sanitises. Since: 0.1
 */
int nipc_endpoint_check_name(const char *service);

/*
 * The address of an endpoint: on POSIX "{run_dir}/{service}.sock". run_dir is used verbatim.
 * buf: size bytes, NIPC_ENDPOINT_PATH_MAX suffice.
 * Returns 0, -EINVAL (name, NULL or empty run_dir) or -ENAMETOOLONG. Since: 0.1
 */
int nipc_endpoint_format_path(const char *run_dir, const char *service, char *buf, size_t size);

enum nipc_endpoint_state {
        NIPC_ENDPOINT_ABSENT = 0,  /* no such endpoint */
        NIPC_ENDPOINT_LIVE = 1,    /* an owner holds it or answers */
        NIPC_ENDPOINT_DEAD = 2,    /* proven: nobody owns it; can be removed */
        NIPC_ENDPOINT_FOREIGN = 3, /* something that is no endpoint, or cannot be judged */
};

struct nipc_endpoint_info {
        size_t size; /* sizeof(struct nipc_endpoint_info), set by the caller */
        enum nipc_endpoint_state state;
        bool locked;   /* the owner holds our lock; others are known by answering only */
        int64_t pid;   /* of the owner, -1 if unknown; for display, not for judgement */
        int64_t uid;   /* of the endpoint's file, -1 if unknown */
        uint32_t mode; /* permission bits of the endpoint's file */
};

/*
 * Looks at one endpoint. With connect_probe, an endpoint without our lock is asked by a connection
 * that is closed at once (a NetIPC v1 server sees a client that says nothing); without it such an
 * endpoint is FOREIGN. May block for as long as the file system does.
 * Returns 0 (also when ABSENT), -EINVAL, -ENAMETOOLONG, or what the file system
 * said. Since: 0.1
 */
int nipc_endpoint_probe(const char *run_dir, const char *service, bool connect_probe,
                        struct nipc_endpoint_info *ret_info);

/*
 * Calls visit for each endpoint name of run_dir, in no order, names borrowed for the call. visit
 * returns 0 to go on; anything else ends the walk and is returned.
 * Returns 0, the visitor's value, -ENOENT (no such directory), or another negative errno. Since:
 * 0.1
 */
int nipc_endpoint_list(const char *run_dir, int (*visit)(void *userdata, const char *service),
                       void *userdata);

/*
 * Removes what a dead owner of this endpoint left: socket, lock file, regions of shared memory.
 * Takes the owner's lock while it does, so that it never races a server that starts. Returns 1 if
 * something was removed, 0 if there was nothing, -EBUSY if the endpoint is live, -EEXIST if
 * something is there that is not ours to remove, or another negative errno. Since: 0.1
 */
int nipc_endpoint_clean(const char *run_dir, const char *service);

#ifdef __cplusplus
}
#endif
