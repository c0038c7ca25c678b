/* SPDX-License-Identifier: MIT */

/*
 * Batch payloads, read as having several numbers of items, since the bytes do not say. Every item
 * lies within; built again, with and without spare slots, the bytes are the same and so are the
 * items.
 */

#include <nipc/batch.h>
#include <nipc/wire.h>

#include "fuzz.h"

enum { REBUILT_MAX = 1 << 20 }; /* overlapping items can add up to far more than the input */

static uint64_t rebuilt_bound(const struct nipc_batch_view *view, uint32_t slots)
{
        uint64_t bound = (uint64_t)slots * NIPC_BATCH_ENTRY_SIZE;
        const void *item;
        size_t size;
        uint32_t i;

        for (i = 0; i < view->item_count; i++) {
                fuzz_assert(!nipc_batch_view_get(view, i, &item, &size));
                fuzz_assert((const uint8_t *)item >= view->payload + view->packed_offset);
                fuzz_assert((size_t)((const uint8_t *)item - view->payload) + size <=
                            view->packed_offset + view->packed_size);
                bound += nipc_align8(size);
        }
        return bound;
}

static uint8_t *rebuild(const struct nipc_batch_view *view, uint32_t slots, size_t *ret_size)
{
        size_t bound = (size_t)rebuilt_bound(view, slots), size;
        uint8_t *buf = fuzz_alloc(bound);
        struct nipc_batch_builder builder;
        const void *item;
        uint32_t i;

        fuzz_assert(!nipc_batch_builder_init(&builder, buf, bound, slots));
        for (i = 0; i < view->item_count; i++) {
                nipc_batch_view_get(view, i, &item, &size);
                fuzz_assert(!nipc_batch_builder_add(&builder, item, size));
        }
        fuzz_assert(!nipc_batch_builder_finish(&builder, ret_size));
        return buf;
}

static void check_rebuilt(const struct nipc_batch_view *view, const uint8_t *buf, size_t size)
{
        struct nipc_batch_view again;
        const void *a, *b;
        size_t n, m;
        uint32_t i;

        fuzz_assert(size % NIPC_ALIGNMENT == 0);
        fuzz_assert(!nipc_batch_view_init(&again, buf, size, view->item_count, NULL));
        for (i = 0; i < view->item_count; i++) {
                nipc_batch_view_get(view, i, &a, &n);
                nipc_batch_view_get(&again, i, &b, &m);
                fuzz_assert(n == m && !memcmp(a, b, n));
        }
}

static void try_items(const uint8_t *data, size_t size, uint32_t item_count)
{
        struct nipc_fault fault = {0};
        struct nipc_batch_view view;
        uint8_t *exact, *spare;
        size_t n, m;
        int r;

        r = nipc_batch_view_init(&view, data, size, item_count, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r || rebuilt_bound(&view, item_count + 7) > REBUILT_MAX)
                return;
        exact = rebuild(&view, item_count, &n);
        spare = rebuild(&view, item_count + 7, &m);
        fuzz_assert(n == m && !memcmp(exact, spare, n));
        check_rebuilt(&view, exact, n);
        free(exact);
        free(spare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint32_t counts[] = {0, 1, 2, 3, 7, 9, 100, UINT32_MAX / 8 + 1, UINT32_MAX};
        size_t i;

        for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
                try_items(data, size, counts[i]);
        try_items(data, size, (uint32_t)(size / NIPC_BATCH_ENTRY_SIZE));
        try_items(data, size, (uint32_t)(size / NIPC_BATCH_ENTRY_SIZE) + 1);
        return 0;
}
