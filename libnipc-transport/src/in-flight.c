/* SPDX-License-Identifier: MIT */

/*
 * The set of outstanding request ids of one client session (wire-v1 §7). Ids are the caller's and
 * may be any number, so this is a hash table: linear probing, at most a quarter full, deletion by
 * shifting back, no tombstones. The first id of an empty set needs no table: a client with one call
 * at a time never has one.
 */

#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

#define MIN_SLOTS 64u

/* The slot of an id, or the free one where it belongs. The table is never full. */
static uint32_t find(const struct nipc__in_flight *set, uint64_t id)
{
        uint32_t i = nipc__in_flight_home(set, id);

        while (set->slots[i].used && set->slots[i].id != id)
                i = (i + 1) & (set->n_slots - 1);
        return i;
}

static int grow(struct nipc__in_flight *set)
{
        struct nipc__in_flight bigger = *set;

        bigger.n_slots = set->n_slots ? set->n_slots * 2 : MIN_SLOTS;
        bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
        if (!bigger.slots)
                return -ENOMEM;
        for (uint32_t i = 0; i < set->n_slots; i++)
                if (set->slots[i].used)
                        bigger.slots[find(&bigger, set->slots[i].id)] = set->slots[i];
        free(set->slots);
        *set = bigger;
        return 0;
}

int nipc__in_flight_add_slow(struct nipc__in_flight *set, uint64_t id)
{
        uint32_t i;
        int r;

        if (set->has_first && set->first == id)
                return -EEXIST;
        i = set->n_slots ? find(set, id) : 0;
        if (set->n_slots && set->slots[i].used)
                return -EEXIST;
        if (set->n_ids + set->has_first >= set->max_ids)
                return -EBUSY;
        if (set->n_ids + 1 > set->n_slots / 4) {
                r = grow(set);
                if (r < 0)
                        return r;
                i = find(set, id);
        }
        set->slots[i] = (struct nipc__in_flight_slot){.id = id, .used = true};
        set->n_ids++;
        return 0;
}

bool nipc__in_flight_remove_slow(struct nipc__in_flight *set, uint64_t id)
{
        uint32_t mask = set->n_slots - 1, hole, i;

        if (!set->n_ids)
                return false;
        hole = find(set, id);
        if (!set->slots[hole].used)
                return false;
        /* Close the gap: an entry moves back unless its home lies behind the hole. */
        for (i = (hole + 1) & mask; set->slots[i].used; i = (i + 1) & mask) {
                uint32_t from_home = (i - nipc__in_flight_home(set, set->slots[i].id)) & mask;

                if (from_home >= ((i - hole) & mask)) {
                        set->slots[hole] = set->slots[i];
                        hole = i;
                }
        }
        set->slots[hole].used = false;
        set->n_ids--;
        return true;
}

void nipc__in_flight_clear(struct nipc__in_flight *set)
{
        if (set->n_ids)
                memset(set->slots, 0, set->n_slots * sizeof(*set->slots));
        set->n_ids = 0;
        set->has_first = false;
}

size_t nipc__in_flight_count(const struct nipc__in_flight *set)
{
        return (size_t)set->n_ids + set->has_first;
}

void nipc__in_flight_deinit(struct nipc__in_flight *set)
{
        free(set->slots);
        set->slots = NULL;
        set->n_slots = 0;
        set->n_ids = 0;
        set->has_first = false;
}
