/* SPDX-License-Identifier: MIT */

/* The memory in which answers are put together: what it grows to, and that items stay what they
 * are.
 */

#include <errno.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>

#include "../../../libnipc-service/src/lookup-store.h"

#include "tap.h"

enum {
        N_ITEMS = 64,
        ITEM_SIZE = 1000,
        ENOUGH = 16 + N_ITEMS * 8 + N_ITEMS * ITEM_SIZE,
};

static int add(struct nipc__lookup_store *store, uint32_t index)
{
        uint8_t bytes[ITEM_SIZE];
        const struct nipc_lookup_item item = {bytes, ITEM_SIZE};

        memset(bytes, (int)index, sizeof(bytes));
        return nipc__lookup_store_add(store, index, item);
}

static const uint8_t *bytes_of(const struct nipc__lookup_store *store, uint32_t index)
{
        return store->packed + nipc_load_u32(store->directory + (size_t)index * 8);
}

/* It doubles, but never beyond what was allowed. */
static void test_memory_is_bounded(void)
{
        struct nipc__lookup_store store = {0};
        uint32_t i;

        tap_eq_int(nipc__lookup_store_begin(&store, N_ITEMS, ENOUGH), 0);
        for (i = 0; i < N_ITEMS; i++) {
                tap_eq_int(add(&store, i), 0);
                tap_check(store.directory_capacity + store.packed_capacity <= ENOUGH - 16);
        }
        tap_eq_uint(store.packed_capacity, N_ITEMS * ITEM_SIZE);
        for (i = 0; i < N_ITEMS; i++)
                tap_check(bytes_of(&store, i)[0] == i && bytes_of(&store, i)[ITEM_SIZE - 1] == i);
        tap_eq_int(add(&store, 0), -EMSGSIZE);
        nipc__lookup_store_deinit(&store);
}

static void test_small(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();
        struct nipc__lookup_store store = {0};

        tap_eq_int(nipc__lookup_store_begin(&store, 1, 23), -EMSGSIZE);
        tap_eq_int(nipc__lookup_store_begin(&store, 0, 16), 0);
        tap_eq_int(nipc__lookup_store_begin(&store, 1, 24 + 32), 0);
        tap_eq_int(nipc__lookup_store_add_status(&store, class_, 0, "/ab", 3, 4), -EMSGSIZE);
        tap_eq_int(nipc__lookup_store_add_status(&store, class_, 0, "/\0", 2, 4), -EINVAL);
        nipc__lookup_store_leave_out(&store, 0);
        tap_check(nipc__lookup_store_is_left_out(&store, 0));
        tap_eq_int(nipc__lookup_store_add_status(&store, class_, 0, "/a", 2, 4), 0);
        tap_check(!nipc__lookup_store_is_left_out(&store, 0));
        nipc__lookup_store_deinit(&store);
}

TAP_MAIN(TAP_CASE(test_memory_is_bounded), TAP_CASE(test_small))
