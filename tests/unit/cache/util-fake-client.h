/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A client that does what a test says: these functions take the place of those of libnipc-service,
 * of which only the declarations are used.
 */

#include <errno.h>
#include <nipc/client.h>
#include <stdatomic.h>
#include <string.h>

struct nipc_client {
        char unused;
};

static struct {
        struct nipc_client client;
        int new_result;
        enum nipc_client_state state;         /* what a refresh leaves */
        enum nipc_client_state current_state; /* now */
        int error;                            /* of the last failure */
        const uint8_t *payload;               /* the answer */
        size_t payload_size;
        int call_result;
        uint32_t call_timeout_ms;
        unsigned n_refreshes, n_calls, n_frees, n_resets;
        atomic_uint n_cancels;
} fake;

int nipc_client_new(const struct nipc_client_config *config, struct nipc_client **ret_client)
{
        if (fake.new_result == 0)
                *ret_client = &fake.client;
        return fake.new_result;
}

struct nipc_client *nipc_client_free(struct nipc_client *client)
{
        fake.n_frees += client != NULL;
        return NULL;
}

int nipc_client_refresh(struct nipc_client *client)
{
        fake.n_refreshes++;
        fake.current_state = fake.state;
        return 1;
}

bool nipc_client_is_ready(const struct nipc_client *client)
{
        return fake.current_state == NIPC_CLIENT_STATE_READY;
}

enum nipc_client_state nipc_client_get_state(const struct nipc_client *client)
{
        return fake.current_state;
}

int nipc_client_get_failure(const struct nipc_client *client,
                            struct nipc_client_failure *ret_failure)
{
        ret_failure->error = fake.error;
        ret_failure->step = "fake";
        return 0;
}

void nipc_client_cancel(struct nipc_client *client)
{
        atomic_fetch_add(&fake.n_cancels, 1);
}

void nipc_client_reset_cancel(struct nipc_client *client)
{
        fake.n_resets++;
        fake.current_state = NIPC_CLIENT_STATE_BROKEN;
}

int nipc_client_cgroups_snapshot(struct nipc_client *client, uint32_t timeout_ms,
                                 struct nipc_cgroups_snapshot_view *ret_view)
{
        fake.n_calls++;
        fake.call_timeout_ms = timeout_ms;
        if (fake.call_result)
                return fake.call_result;
        return nipc_cgroups_snapshot_view_init(ret_view, fake.payload, fake.payload_size, NULL)
                       ? -EBADMSG
                       : 0;
}
