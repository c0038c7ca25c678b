/* SPDX-License-Identifier: MIT */
/* The call of cgroups-snapshot, all groups or those of some names. */
#include "call.h"
#include "cgroup-name.h"
#include "output.h"

#include <nipc/cgroups-snapshot.h>
#include <stdio.h>

static gboolean cgroups_prepare(struct call *call, GError **error)
{
        return TRUE;
}

static bool is_wanted(const struct call *call, const struct nipc_cgroups_snapshot_item *item)
{
        for (guint i = 0; i < call->n_keys; i++)
                if (strlen(call->keys[i]) == item->name_len &&
                    memcmp(call->keys[i], item->name, item->name_len) == 0)
                        return true;
        return call->n_keys == 0;
}

/* Bytes that the wanted items need; 0 when an item is malformed. */
static uint64_t measure_wanted(const struct call *call,
                               const struct nipc_cgroups_snapshot_view *view)
{
        uint64_t string_bytes = 0;
        uint32_t n_items = 0;

        for (uint32_t i = 0; i < view->item_count; i++) {
                struct nipc_cgroups_snapshot_item item;

                if (nipc_cgroups_snapshot_view_get(view, i, &item, NULL))
                        return 0;
                if (is_wanted(call, &item)) {
                        string_bytes += (uint64_t)item.name_len + item.path_len;
                        n_items++;
                }
        }
        return nipc_cgroups_snapshot_size_bound(n_items, string_bytes) +
               (uint64_t)view->item_count * NIPC_CGROUPS_SNAPSHOT_ENTRY_SIZE;
}

/* Keeps the answer as the provider would have sent it with the wanted items only. */
static bool add_filtered(struct call *call, const struct nipc_cgroups_snapshot_view *view)
{
        struct nipc_cgroups_snapshot_builder builder;
        uint64_t bound = measure_wanted(call, view);
        g_autofree guint8 *buf = bound && bound < G_MAXUINT32 ? g_malloc(bound) : NULL;
        size_t size;

        if (!buf)
                return false;
        nipc_cgroups_snapshot_builder_init(&builder, buf, bound, view->item_count);
        for (uint32_t i = 0; i < view->item_count; i++) {
                struct nipc_cgroups_snapshot_item item;

                if (nipc_cgroups_snapshot_view_get(view, i, &item, NULL) == 0 &&
                    is_wanted(call, &item))
                        nipc_cgroups_snapshot_builder_add(&builder, &item);
        }
        if (nipc_cgroups_snapshot_builder_finish(&builder, view->systemd_enabled, view->generation,
                                                 &size))
                return false;
        call_add_answer(call, buf, size);
        return true;
}

static int cgroups_ask(struct call *call)
{
        struct nipc_cgroups_snapshot_view view;
        int r = nipc_client_cgroups_snapshot(call->client, 0, &view);

        if (r)
                return r;
        if (call->n_keys == 0 || !add_filtered(call, &view)) /* malformed: print says how */
                call_add_answer(call, view.payload, view.size);
        return 0;
}

static void add_row(struct output_table *table, const struct nipc_cgroups_snapshot_item *item)
{
        g_autofree char *hash = g_strdup_printf("0x%08x", item->hash);
        g_autofree char *options = g_strdup_printf("0x%x", item->options);
        g_autofree char *enabled = g_strdup_printf("%u", item->enabled);
        g_autofree char *name = cgroup_name_show(item->name, item->name_len);
        g_autofree char *path = cgroup_name_show(item->path, item->path_len);

        output_table_add(table, hash, options, enabled, name, path, NULL);
}

static bool has_name(const struct nipc_cgroups_snapshot_view *view, const char *name)
{
        for (uint32_t i = 0; i < view->item_count; i++) {
                struct nipc_cgroups_snapshot_item item;

                if (nipc_cgroups_snapshot_view_get(view, i, &item, NULL) == 0 &&
                    strlen(name) == item.name_len && memcmp(item.name, name, item.name_len) == 0)
                        return true;
        }
        return false;
}

static int cgroups_check(const struct call *call)
{
        const GByteArray *answer = call->answers->pdata[0];
        struct nipc_cgroups_snapshot_view view;

        if (nipc_cgroups_snapshot_view_init(&view, answer->data, answer->len, NULL))
                return COMMAND_FAILURE;
        for (guint i = 0; i < call->n_keys; i++)
                if (!has_name(&view, call->keys[i]))
                        return command_fail(&command_call, "no cgroup is named '%s'",
                                            call->keys[i]);
        return COMMAND_SUCCESS;
}

static int cgroups_print(const struct call *call)
{
        const GByteArray *answer = call->answers->pdata[0];
        struct nipc_cgroups_snapshot_view view;
        struct nipc_fault fault = {0};
        struct output_table *table;
        int r = nipc_cgroups_snapshot_view_init(&view, answer->data, answer->len, &fault);

        table = output_table_new(5);
        output_table_add(table, "HASH", "OPTIONS", "ENABLED", "NAME", "PATH", NULL);
        for (uint32_t i = 0; !r && i < view.item_count; i++) {
                struct nipc_cgroups_snapshot_item item;

                r = nipc_cgroups_snapshot_view_get(&view, i, &item, &fault);
                if (!r)
                        add_row(table, &item);
        }
        output_table_finish(table, !r);
        if (r)
                return command_fail(&command_call,
                                    "%s: the answer is malformed, %s at offset %zu: %s",
                                    call->endpoint, nipc_proto_error_name(fault.error),
                                    fault.offset, fault.rule);
        return COMMAND_SUCCESS;
}

const struct call_service call_cgroups_snapshot = {
        .name = "cgroups-snapshot",
        .response_type = "cgroups_snapshot_response",
        .prepare = cgroups_prepare,
        .ask = cgroups_ask,
        .print = cgroups_print,
        .check = cgroups_check,
};
