/* SPDX-License-Identifier: MIT */

/* What a region's event wakes beside those who wait for it, see shm.h. */

#include "shm.h"
#include <errno.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static VOID CALLBACK on_event(PVOID userdata, BOOLEAN timed_out)
{
        const struct nipc__shm_bell *bell = userdata;

        if (bell->event)
                SetEvent(bell->event);
        if (bell->port)
                PostQueuedCompletionStatus(bell->port, 0, (ULONG_PTR)bell->key, NULL);
}

int nipc__shm_bell_begin(struct nipc__shm_bell *bell, void *rx_event)
{
        if (bell->pool_wait)
                return 0;
        if (!RegisterWaitForSingleObject(&bell->pool_wait, rx_event, on_event, bell, INFINITE,
                                         WT_EXECUTEINWAITTHREAD)) {
                bell->pool_wait = NULL;
                return -EAGAIN;
        }
        return 0;
}

void nipc__shm_bell_end(struct nipc__shm_bell *bell)
{
        if (bell->pool_wait)
                UnregisterWaitEx(bell->pool_wait, INVALID_HANDLE_VALUE);
        bell->pool_wait = NULL;
}
