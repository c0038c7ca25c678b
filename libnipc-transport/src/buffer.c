/* SPDX-License-Identifier: MIT */

/*
 * Growable buffers of a session, and the pair that sessions of one thread can share. Sizes are
 * bounded by the callers: limits were checked before anything is reserved.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

int nipc__buffer_reserve(struct nipc__buffer *buffer, size_t size, size_t keep)
{
        uint8_t *bytes;

        if (NIPC__LIKELY(size <= buffer->capacity))
                return 0;
        /* Nothing to keep: spare realloc the copy. */
        bytes = keep ? realloc(buffer->bytes, size) : malloc(size);
        if (!bytes)
                return -ENOMEM;
        if (!keep)
                free(buffer->bytes);
        buffer->bytes = bytes;
        buffer->capacity = size;
        return 0;
}

void nipc__buffer_deinit(struct nipc__buffer *buffer)
{
        free(buffer->bytes);
        *buffer = (struct nipc__buffer){0};
}

NIPC__EXPORT int nipc_session_buffers_new(struct nipc_session_buffers **ret_buffers)
{
        struct nipc_session_buffers *buffers;

        if (!ret_buffers)
                return -EINVAL;
        buffers = calloc(1, sizeof(*buffers));
        if (!buffers)
                return -ENOMEM;
        *ret_buffers = buffers;
        return 0;
}

NIPC__EXPORT struct nipc_session_buffers *nipc_session_buffers_free(
        struct nipc_session_buffers *buffers)
{
        if (!buffers)
                return NULL;
        nipc__buffer_deinit(&buffers->rx);
        nipc__buffer_deinit(&buffers->tx);
        free(buffers);
        return NULL;
}
