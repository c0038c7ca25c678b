/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lists of sessions that a poller watches: circular, their links lie in the sessions. NULL is an
 * empty one. A session is in one list at most.
 */

#include "transport-private.h"

/* To the end. */
static inline void nipc__session_list_append(struct nipc_session **list,
                                             struct nipc_session *session)
{
        struct nipc__watch *watch = &session->watch;

        if (!*list) {
                watch->next = watch->prev = session;
                *list = session;
                return;
        }
        watch->next = *list;
        watch->prev = (*list)->watch.prev;
        watch->prev->watch.next = session;
        watch->next->watch.prev = session;
}

static inline void nipc__session_list_remove(struct nipc_session **list,
                                             struct nipc_session *session)
{
        struct nipc__watch *watch = &session->watch;

        if (watch->next == session) {
                *list = NULL;
                return;
        }
        if (*list == session)
                *list = watch->next;
        watch->next->watch.prev = watch->prev;
        watch->prev->watch.next = watch->next;
}
