/* SPDX-License-Identifier: MIT */

/* The cgroups of snapshots and lookups, see subject-items.h. */

#include "subject-items.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#define ITEM_STRINGS 160u /* at most, name and path */

/* ---- snapshots ------------------------------------------------------------------------------ */

static void make_item(struct nipc_cgroups_snapshot_item *item, uint32_t index)
{
        uint32_t id = subject_item_hash(index);
        guint64 wide = (guint64)id * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        char *name, *path;

        switch (index % 4) {
        case 0:
                name = g_strdup_printf("docker-%012" G_GINT64_MODIFIER "x", wide >> 16);
                path = g_strdup_printf("/system.slice/docker-%016" G_GINT64_MODIFIER
                                       "x%016x%016x%016x.scope",
                                       wide, id, ~id, index);
                break;
        case 1:
                name = g_strdup_printf("k8s-pod-%08x-%04x-4a1c-%08x", id, index & 0xffff, ~id);
                path = g_strdup_printf("/kubepods.slice/kubepods-burstable.slice/"
                                       "kubepods-burstable-pod%08x_%04x_4a1c_%08x.slice",
                                       id, index & 0xffff, ~id);
                break;
        case 2:
                name = g_strdup_printf("user@1000.service/app-%08x.scope", id);
                path = g_strdup_printf("/user.slice/user-1000.slice/user@1000.service/app.slice/"
                                       "app-%08x.scope",
                                       id);
                break;
        default:
                name = g_strdup_printf("instance@%08x-%04x.service", id, index & 0xffff);
                path = g_strdup_printf("/system.slice/system-instance.slice/"
                                       "instance@%08x-%04x.service",
                                       id, index & 0xffff);
                break;
        }
        *item = (struct nipc_cgroups_snapshot_item){
                .hash = id,
                .options = 1,
                .enabled = 1,
                .name_len = (uint32_t)strlen(name),
                .path_len = (uint32_t)strlen(path),
                .name = name,
                .path = path,
        };
        g_assert(item->name_len + item->path_len <= ITEM_STRINGS);
}

struct nipc_cgroups_snapshot_item *subject_items_new(uint32_t n_items)
{
        struct nipc_cgroups_snapshot_item *items =
                g_new(struct nipc_cgroups_snapshot_item, n_items);

        for (uint32_t i = 0; i < n_items; i++)
                make_item(&items[i], i);
        return items;
}

size_t subject_items_size_bound(uint32_t n_items)
{
        return (size_t)nipc_cgroups_snapshot_size_bound(n_items, (uint64_t)n_items * ITEM_STRINGS);
}

int subject_items_encode(struct nipc_cgroups_snapshot_builder *builder,
                         const struct nipc_cgroups_snapshot_item *items, uint32_t n_items,
                         void *buf, size_t capacity, size_t *ret_size)
{
        nipc_cgroups_snapshot_builder_init(builder, buf, capacity, n_items);
        for (uint32_t i = 0; i < n_items; i++)
                nipc_cgroups_snapshot_builder_add(builder, &items[i]);
        return nipc_cgroups_snapshot_builder_finish(builder, 1, 1, ret_size);
}

int subject_items_check(const struct nipc_cgroups_snapshot_view *view, uint32_t n_items)
{
        struct nipc_cgroups_snapshot_item item;

        if (view->item_count != n_items)
                return -EBADMSG;
        for (uint32_t i = 0; i < n_items; i++)
                if (nipc_cgroups_snapshot_view_get(view, i, &item, NULL) ||
                    item.hash != subject_item_hash(i))
                        return -EBADMSG;
        return 0;
}

/* ---- lookups -------------------------------------------------------------------------------- */

char **subject_paths_new(uint32_t n_paths)
{
        char **paths = g_new0(char *, (gsize)n_paths + 1);

        for (uint32_t i = 0; i < n_paths; i++) {
                uint32_t id = subject_item_hash(i);

                paths[i] = g_strdup_printf("/system.slice/docker-%016x%016x.scope/%04x%08x", id,
                                           ~id, i & 0xffff, id);
        }
        return paths;
}

void subject_paths_free(char **paths)
{
        g_strfreev(paths);
}

int subject_lookup_answer(const struct nipc_lookup_request_view *request,
                          struct nipc_lookup_builder *builder)
{
        static const struct nipc_label labels[] = {{"image", 5, "registry.example/web:1.27", 25},
                                                   {"namespace", 9, "production", 10}};
        int r = 0;

        nipc_lookup_builder_set_generation(builder, 1);
        for (uint32_t i = 0; r == 0 && i < request->item_count; i++) {
                size_t len;
                const char *path = nipc_lookup_request_view_get(request, i, &len);
                size_t name_len = MIN(len, SUBJECT_LOOKUP_NAME_LEN);
                const struct nipc_cgroups_lookup_item item = {
                        .status = NIPC_CGROUPS_LOOKUP_KNOWN,
                        .orchestrator = NIPC_ORCHESTRATOR_DOCKER,
                        .path = {path, len},
                        .name = {path + len - name_len, name_len},
                        .labels = labels,
                        .n_labels = G_N_ELEMENTS(labels),
                };

                r = nipc_cgroups_lookup_builder_add(builder, &item);
        }
        return r;
}

/* That an item has its key's path was checked by the client. */
int subject_lookup_check(const struct nipc_lookup_view *view, char *const *paths, uint32_t n_paths)
{
        struct nipc_cgroups_lookup_item item;

        if (view->item_count != n_paths)
                return -EBADMSG;
        for (uint32_t i = 0; i < n_paths; i++) {
                nipc_cgroups_lookup_item_load(nipc_lookup_view_get(view, i), &item);
                if (item.status != NIPC_CGROUPS_LOOKUP_KNOWN || item.n_labels != 2 ||
                    item.name.len != SUBJECT_LOOKUP_NAME_LEN ||
                    memcmp(item.name.str, paths[i] + item.path.len - SUBJECT_LOOKUP_NAME_LEN,
                           SUBJECT_LOOKUP_NAME_LEN) != 0)
                        return -EBADMSG;
        }
        return 0;
}
