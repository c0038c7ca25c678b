/* SPDX-License-Identifier: MIT */
#pragma once

/* The endpoint of a listener on POSIX: a socket file under a lock, see uds-listener.c. */

#include "fork.h"
#include <nipc/endpoint.h>
#include <sys/types.h>

struct nipc__listener_os {
        int fd;
        int dir_fd;
        int lock_fd;
        dev_t dev; /* of the socket file we made, to remove that one and no other */
        ino_t ino;
        pid_t owner_pid; /* 0: left to somebody else */
        struct nipc__fork_mark made_by;
        char path[NIPC_ENDPOINT_PATH_MAX];
        char service[NIPC_ENDPOINT_PATH_MAX];
};
