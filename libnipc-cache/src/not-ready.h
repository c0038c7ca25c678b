/* SPDX-License-Identifier: MIT */
#pragma once

/* What the caches say when their client has no session, although it was refreshed. */

#include <errno.h>
#include <nipc/client.h>

/*
 * Returns an errno: what is final, and what says more than the absence of a provider and is no
 * provider's fault; else -ENOTCONN.
 */
static inline int nipc__why_not_ready(const struct nipc_client *client)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        switch (nipc_client_get_state(client)) {
        case NIPC_CLIENT_STATE_AUTH_FAILED:
                return -EACCES;
        case NIPC_CLIENT_STATE_INCOMPATIBLE:
                return -EPROTONOSUPPORT;
        default:
                break;
        }
        if (nipc_client_get_failure(client, &failure) == 0 &&
            (failure.error == -ECHILD || failure.error == -ECANCELED ||
             failure.error == -ETIMEDOUT || failure.error == -ENOMEM))
                return failure.error;
        return -ENOTCONN;
}
