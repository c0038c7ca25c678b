/* SPDX-License-Identifier: MIT */

/*
 * Cancellation on POSIX. A thread that waits in recv, send or poll on a socket is woken by shutting
 * that socket down, which is one async-signal-safe system call and costs the waiting side nothing:
 * no second descriptor to poll, no helper thread.
 *
 * The one who cancels must not touch a descriptor that its owner has closed and the kernel given to
 * somebody else. So he never uses the session's descriptor: he uses a slot of the cancel object's
 * own whose number never changes, and which binding points at the session's socket with dup3(),
 * atomically. While nothing is bound the slot is a socket that is connected to nothing.
 *
 * Ordering: trigger stores the flag, then shuts down whatever the slot is; bind changes the slot,
 * then loads the flag. Both with sequential consistency, so either the new socket is shut down or
 * bind sees the flag.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

NIPC__EXPORT int nipc_cancel_new(struct nipc_cancel **ret_cancel)
{
        struct nipc_cancel *cancel;
        int r;

        if (!ret_cancel)
                return -EINVAL;
        cancel = calloc(1, sizeof(*cancel));
        if (!cancel)
                return -ENOMEM;
        if (nipc__fork_mark_init(&cancel->made_by) < 0) {
                free(cancel);
                return -ENOMEM;
        }
        cancel->slot = -1;
        cancel->placeholder = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (cancel->placeholder >= 0)
                cancel->slot = fcntl(cancel->placeholder, F_DUPFD_CLOEXEC, 0);
        if (cancel->slot < 0) {
                r = -errno;
                nipc_cancel_free(cancel);
                return r;
        }
        *ret_cancel = cancel;
        return 0;
}

NIPC__EXPORT struct nipc_cancel *nipc_cancel_free(struct nipc_cancel *cancel)
{
        if (!cancel)
                return NULL;
        if (cancel->slot >= 0)
                close(cancel->slot);
        if (cancel->placeholder >= 0)
                close(cancel->placeholder);
        free(cancel);
        return NULL;
}

NIPC__EXPORT void nipc_cancel_trigger(struct nipc_cancel *cancel)
{
        int saved = errno;

        if (!cancel)
                return;
        atomic_store(&cancel->triggered, true); /* pairs with the load in nipc__cancel_bind */
        /* A connection is shut down for all who have a descriptor of it: not by a child. */
        if (!nipc__fork_is_inherited(&cancel->made_by))
                shutdown(cancel->slot, SHUT_RDWR);
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
}

NIPC__EXPORT bool nipc_cancel_is_inherited(const struct nipc_cancel *cancel)
{
        return cancel && nipc__fork_is_inherited(&cancel->made_by);
}

int nipc__cancel_bind(struct nipc_cancel *cancel, struct nipc__link *link)
{
        if (dup3(link->fd, cancel->slot, O_CLOEXEC) < 0)
                return -errno;
        if (nipc_cancel_is_triggered(cancel)) { /* pairs with the store in nipc_cancel_trigger */
                nipc__cancel_unbind(cancel);
                return -ECANCELED;
        }
        return 0;
}

void nipc__cancel_unbind(struct nipc_cancel *cancel)
{
        /* Cannot fail: both descriptors are open, and the slot is ours alone. */
        dup3(cancel->placeholder, cancel->slot, O_CLOEXEC);
}
