/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A circular list threaded through its members. A head and an unlinked member both point at
 * themselves, so unlinking twice is harmless.
 */

#include <stdbool.h>

struct nipc__list {
        struct nipc__list *next;
        struct nipc__list *prev;
};

static inline void nipc__list_init(struct nipc__list *list)
{
        list->next = list->prev = list;
}

static inline bool nipc__list_is_empty(const struct nipc__list *list)
{
        return list->next == list;
}

static inline void nipc__list_append(struct nipc__list *list, struct nipc__list *member)
{
        member->prev = list->prev;
        member->next = list;
        list->prev->next = member;
        list->prev = member;
}

static inline void nipc__list_unlink(struct nipc__list *member)
{
        member->prev->next = member->next;
        member->next->prev = member->prev;
        nipc__list_init(member);
}

/* Moves all of `from`, which may be empty, behind the members of `to`. */
static inline void nipc__list_splice(struct nipc__list *to, struct nipc__list *from)
{
        if (nipc__list_is_empty(from))
                return;
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        nipc__list_init(from);
}

/* The loop may unlink `member`. */
#define nipc__list_for_each_safe(member, tmp, list)                               \
        for ((member) = (list)->next, (tmp) = (member)->next; (member) != (list); \
             (member) = (tmp), (tmp) = (member)->next)
