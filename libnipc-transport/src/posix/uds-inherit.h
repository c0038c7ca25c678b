/* SPDX-License-Identifier: MIT */
#pragma once

/* Listening sockets that others have bound, see uds-inherit.c. */

#include "listener-os.h"
#include <stdbool.h>

/*
 * Whether os->fd is the socket of the endpoint in os (dir_fd and service are there). has_lock: the
 * socket file is ours. Returns 0, -EINVAL when it is not such a socket, or another negative errno.
 */
int nipc__listener_inherit(struct nipc__listener_os *os, bool has_lock);
