/* SPDX-License-Identifier: MIT */

/*
 * Cancellation on Windows: a manual-reset event that every wait of the bound session waits for as
 * well. It is the object's own, so that whoever pulls needs to know nothing of the session.
 *
 * Ordering: trigger stores the flag, then sets the event; a wait that the event ended sees the
 * flag.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

NIPC__EXPORT int nipc_cancel_new(struct nipc_cancel **ret_cancel)
{
        struct nipc_cancel *cancel;

        if (!ret_cancel)
                return -EINVAL;
        cancel = calloc(1, sizeof(*cancel));
        if (!cancel)
                return -ENOMEM;
        cancel->event = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (!cancel->event) {
                free(cancel);
                return -EMFILE;
        }
        *ret_cancel = cancel;
        return 0;
}

NIPC__EXPORT struct nipc_cancel *nipc_cancel_free(struct nipc_cancel *cancel)
{
        if (!cancel)
                return NULL;
        CloseHandle(cancel->event);
        free(cancel);
        return NULL;
}

NIPC__EXPORT void nipc_cancel_trigger(struct nipc_cancel *cancel)
{
        int saved = errno;

        if (!cancel)
                return;
        atomic_store(&cancel->triggered, true); /* pairs with the load in nipc__cancel_bind */
        SetEvent(cancel->event);
        errno = saved;
}

NIPC__EXPORT bool nipc_cancel_is_triggered(const struct nipc_cancel *cancel)
{
        return cancel &&
               atomic_load(&cancel->triggered); /* pairs with the store in nipc_cancel_trigger */
}

NIPC__EXPORT void nipc_cancel_reset(struct nipc_cancel *cancel)
{
        atomic_store(&cancel->triggered, false); /* by the owner: nothing of his own to order */
        ResetEvent(cancel->event);
}

NIPC__EXPORT bool nipc_cancel_is_inherited(const struct nipc_cancel *cancel)
{
        return false;
}

int nipc__cancel_bind(struct nipc_cancel *cancel, struct nipc__link *link)
{
        return nipc_cancel_is_triggered(cancel) ? -ECANCELED : 0;
}

void nipc__cancel_unbind(struct nipc_cancel *cancel)
{
}
