/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Listening sockets that whoever started us has made: --fd N, or --fd systemd for the one of the
 * socket activation protocol (LISTEN_PID, LISTEN_FDS). What it is a socket of the library checks.
 */

#include "command.h"

#include <stdbool.h>

/*
 * text: the option's value or NULL, which gives 0. Says so on stderr when it is none: return
 * COMMAND_USAGE then.
 */
bool listen_fd_parse(const struct command *command, const char *text, int *ret_fd);

/* The same for --lock-fd, which goes with the socket of a predecessor. */
bool listen_fd_parse_lock(const struct command *command, const char *text, int listen_fd,
                          int *ret_fd);
