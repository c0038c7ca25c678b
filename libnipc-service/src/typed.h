/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Typed services on the generic server. Every typed handler struct is laid out alike: its size, the
 * callback, the callback's userdata.
 */

#include <nipc/server.h>
#include <stddef.h>

/* Where the callback is. */
#define NIPC__TYPED_CALLBACK sizeof(size_t)

/*
 * nipc_server_new() for a service whose `handle` finds a copy of the caller's typed handler in its
 * userdata. handler: the caller's, of which we know handler_size bytes. Returns as
 * nipc_server_new(), -EINVAL without a callback.
 */
int nipc__server_new_typed(const struct nipc_server_config *config, uint16_t code,
                           int (*handle)(void *userdata, const struct nipc_request *request,
                                         void *response, size_t capacity, size_t *ret_size),
                           const void *handler, size_t handler_size,
                           struct nipc_server **ret_server);
