/* SPDX-License-Identifier: MIT */
#pragma once

/* Files of one endpoint, and the lock that means owning it. */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct nipc_listener_config;
struct nipc_peer;
struct stat;

#define NIPC__SOCKET_SUFFIX ".sock"
#define NIPC__LOCK_SUFFIX   ".lock"

/* "{service}{suffix}" into buf. Returns 0 or -ENAMETOOLONG. */
int nipc__endpoint_file_name(const char *service, const char *suffix, char *buf, size_t size);

/* What a directory's entries are called, at most, with the NUL. */
#define NIPC__ENDPOINT_NAME_MAX 256u

/* The service of "{service}{suffix}". Returns false when it is not that. */
bool nipc__endpoint_parse_name(const char *name, const char *suffix,
                               char service[NIPC__ENDPOINT_NAME_MAX]);

/* Whether a file of the endpoint is there, and what it is. */
bool nipc__endpoint_has_file(int dir_fd, const char *service, const char *suffix,
                             struct stat *ret_st);

/* What is in a directory that is open: owned, release with closedir(). NULL: see errno. */
DIR *nipc__endpoint_list_dir(int dir_fd);

/* Opens the run directory. Returns a descriptor or a negative errno. */
int nipc__endpoint_open_dir(const char *run_dir);

/*
 * Takes the lock of an endpoint for as long as the descriptor stays open in this process; pid: the
 * owner to be, written into the file, or 0 to hold it for an instant only.
 * Returns 0, -EADDRINUSE when an owner holds it, -EBUSY when somebody does who is no owner (yet),
 * or another negative errno.
 */
int nipc__endpoint_lock(int dir_fd, const char *service, pid_t pid, int *ret_fd);

/*
 * Takes a lock over that came with a descriptor. Returns 0, -EINVAL when it is not the endpoint's
 * lock file, -EADDRINUSE when somebody else holds the lock, or another errno.
 */
int nipc__endpoint_inherit_lock(int dir_fd, const char *service, int fd);

/*
 * What the lock file says, for those who hold the lock: "OWNER", or in a hand-over
 * "OWNER PREDECESSOR", with " kept" behind that when the socket is a service manager's.
 */
struct nipc__lock_note {
        pid_t owner;       /* 0: none, for an instant */
        pid_t predecessor; /* who has not left yet; 0: nobody */
        bool keeps_socket; /* whoever is the last leaves the socket file where it is */
};

/* Returns false when the file does not say. */
bool nipc__endpoint_read_note(int fd, struct nipc__lock_note *ret_note);
void nipc__endpoint_write_note(int fd, const struct nipc__lock_note *note);

/* Removes the lock file and gives the lock back. fd: from nipc__endpoint_lock, may be -1. */
void nipc__endpoint_unlock(int dir_fd, const char *service, int fd);

/*
 * Under the lock: removes what a dead owner left in the socket's place.
 * Returns 1 if it removed something, 0 if nothing was there, -EADDRINUSE if what is there is alive
 * or not proven dead.
 */
int nipc__endpoint_remove_dead(const char *run_dir, int dir_fd, const char *service);

/* ---- one per system: src/<system>/lock.c ---------------------------------------------------- */

/* Tries to lock an open file exclusively. Returns 0, -EADDRINUSE, or another negative errno. */
int nipc__lock_take(int fd);

/* Whether somebody else holds the lock, without touching it. Returns 0, 1, or a negative errno. */
int nipc__lock_is_held(int fd);

/* ---- one per system: src/<system>/peer.c ---------------------------------------------------- */

/* Who is at the other end of a connected socket. On failure ret_peer is untouched. */
int nipc__peer_get(int fd, struct nipc_peer *ret_peer);

/* ---- one per system: src/<system>/socket-file.c --------------------------------------------- */

/*
 * Gives the socket file that was just bound the owner and the mode that were asked for, and says
 * which file that was. Never follows a link. Returns 0, -EADDRINUSE when it is no socket (any
 * more), or another negative errno.
 */
int nipc__socket_file_set_owner(int dir_fd, const char *name,
                                const struct nipc_listener_config *config, struct stat *ret_st);
