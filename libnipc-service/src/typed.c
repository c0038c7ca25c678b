/* SPDX-License-Identifier: MIT */

/* Typed services: the caller's handler is copied, and lives as long as the server. */

#include "typed.h"
#include "abi.h"
#include "stdaux.h"
#include <errno.h>
#include <stdlib.h>

int nipc__server_new_typed(const struct nipc_server_config *config, uint16_t code,
                           int (*handle)(void *userdata, const struct nipc_request *request,
                                         void *response, size_t capacity, size_t *ret_size),
                           const void *handler, size_t handler_size,
                           struct nipc_server **ret_server)
{
        struct nipc_handler generic = {
                .size = sizeof(generic),
                .code = code,
                .handle = handle,
                .release = free,
        };
        NIPC__FREE void *copy = malloc(handler_size);
        void (*callback)(void);
        int r;

        if (!copy)
                return -ENOMEM;
        r = nipc__abi_load(copy, handler_size, handler);
        if (r < 0)
                return r;
        memcpy(&callback, (const char *)copy + NIPC__TYPED_CALLBACK, sizeof(callback));
        if (!callback)
                return -EINVAL;
        generic.userdata = copy;
        copy = NULL; /* the server's now, or released by it */
        return nipc_server_new(config, &generic, ret_server);
}
