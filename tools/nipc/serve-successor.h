/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The hand-over of `nipc serve`: the same command line is run anew, with the endpoint's descriptors
 * in addition, so that a program or a table that was replaced is put to use without a client that
 * is refused. Who hands over serves on until the successor does.
 *
 * Threading: all by the thread of the main loop.
 */

#include <gio/gio.h>
#include <nipc/server.h>

struct successor;

/*
 * argv: of the process, NULL-terminated; n_before: its arguments up to the command's name,
 * included. on_end: called once from the main loop: pid of a successor that serves, or NULL with
 * `reason`, both borrowed for the call. Returns NULL with `error` set when none could be started.
 */
struct successor *successor_start(const struct nipc_server_config *config,
                                  struct nipc_server *server, char *const *argv, size_t n_before,
                                  void (*on_end)(void *data, const char *pid, const char *reason),
                                  void *data, GError **error);

/* One that has not said that it serves is killed, and gone when this returns. Takes NULL. */
struct successor *successor_free(struct successor *successor);
