/* SPDX-License-Identifier: MIT */

/*
 * Method 2, both directions. Every item of a good response lies within; built again, with and
 * without spare slots, the bytes are the same and so are the items.
 */

#include <nipc/cgroups-snapshot.h>
#include <stdbool.h>

#include "fuzz.h"

enum { REBUILT_MAX = 1 << 20 }; /* overlapping items can add up to far more than the input */

static void check_request(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_CGROUPS_SNAPSHOT_REQUEST_SIZE];

        if (nipc_cgroups_snapshot_request_decode(data, size, NULL))
                return;
        nipc_cgroups_snapshot_request_encode(again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
}

static void check_item(const struct nipc_cgroups_snapshot_view *view,
                       const struct nipc_cgroups_snapshot_item *item)
{
        const char *begin = (const char *)view->payload, *end = begin + view->size;

        fuzz_assert(item->name >= begin && item->name + item->name_len < end);
        fuzz_assert(item->path >= begin && item->path + item->path_len < end);
        fuzz_assert(!item->name[item->name_len] && !item->path[item->path_len]);
        fuzz_assert(item->name + item->name_len < item->path ||
                    item->path + item->path_len < item->name);
}

/* Are all items good? Counts the bytes of their strings. */
static bool check_items(const struct nipc_cgroups_snapshot_view *view, uint64_t *ret_string_bytes)
{
        struct nipc_cgroups_snapshot_item item;
        struct nipc_fault fault = {0};
        uint64_t bytes = 0;
        uint32_t i;
        int r;

        for (i = 0; i < view->item_count; i++) {
                r = nipc_cgroups_snapshot_view_get(view, i, &item, &fault);
                fuzz_assert(r == fault.error && fault.offset <= view->size);
                if (r)
                        return false;
                check_item(view, &item);
                bytes += (uint64_t)item.name_len + item.path_len;
        }
        *ret_string_bytes = bytes;
        return true;
}

static uint8_t *rebuild(const struct nipc_cgroups_snapshot_view *view, uint32_t spare,
                        uint64_t string_bytes, size_t *ret_size)
{
        size_t bound = (size_t)nipc_cgroups_snapshot_size_bound(view->item_count, string_bytes);
        struct nipc_cgroups_snapshot_builder builder;
        struct nipc_cgroups_snapshot_item item;
        uint8_t *buf;
        uint32_t i;

        bound += (size_t)spare * NIPC_CGROUPS_SNAPSHOT_ENTRY_SIZE;
        buf = fuzz_alloc(bound);
        fuzz_assert(!nipc_cgroups_snapshot_builder_init(&builder, buf, bound,
                                                        view->item_count + spare));
        for (i = 0; i < view->item_count; i++) {
                nipc_cgroups_snapshot_view_get(view, i, &item, NULL);
                fuzz_assert(!nipc_cgroups_snapshot_builder_add(&builder, &item));
        }
        fuzz_assert(!nipc_cgroups_snapshot_builder_finish(&builder, view->systemd_enabled,
                                                          view->generation, ret_size));
        return buf;
}

static void check_rebuilt(const struct nipc_cgroups_snapshot_view *view, const uint8_t *buf,
                          size_t size)
{
        struct nipc_cgroups_snapshot_view again;
        struct nipc_cgroups_snapshot_item a, b;
        uint32_t i;

        fuzz_assert(!nipc_cgroups_snapshot_view_init(&again, buf, size, NULL));
        fuzz_assert(again.item_count == view->item_count && again.generation == view->generation);
        fuzz_assert(again.systemd_enabled == view->systemd_enabled);
        for (i = 0; i < view->item_count; i++) {
                nipc_cgroups_snapshot_view_get(view, i, &a, NULL);
                fuzz_assert(!nipc_cgroups_snapshot_view_get(&again, i, &b, NULL));
                fuzz_assert(a.hash == b.hash && a.options == b.options && a.enabled == b.enabled);
                fuzz_assert(a.name_len == b.name_len && !memcmp(a.name, b.name, a.name_len));
                fuzz_assert(a.path_len == b.path_len && !memcmp(a.path, b.path, a.path_len));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nipc_cgroups_snapshot_view view;
        struct nipc_fault fault = {0};
        uint64_t string_bytes = 0;
        uint8_t *exact, *spare;
        size_t n, m;
        int r;

        check_request(data, size);
        r = nipc_cgroups_snapshot_view_init(&view, data, size, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r || !check_items(&view, &string_bytes) ||
            nipc_cgroups_snapshot_size_bound(view.item_count, string_bytes) > REBUILT_MAX)
                return 0;
        exact = rebuild(&view, 0, string_bytes, &n);
        spare = rebuild(&view, 7, string_bytes, &m);
        fuzz_assert(n == m && !memcmp(exact, spare, n));
        check_rebuilt(&view, exact, n);
        free(exact);
        free(spare);
        return 0;
}
