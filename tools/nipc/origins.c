/* SPDX-License-Identifier: MIT */
/* Origins of cgroups by path, see origins.h. */
#include "origins.h"

#include <string.h>

struct entry {
        struct cgroup_origin read;
        struct origin origin; /* borrows from it */
};

static void free_entry(void *data)
{
        struct entry *entry = data;

        cgroup_origin_clear(&entry->read);
        g_free(entry);
}

static struct entry *make_entry(const char *path)
{
        struct entry *entry = g_new0(struct entry, 1);

        cgroup_origin_read(path, &entry->read);
        entry->origin.orchestrator = (uint16_t)entry->read.orchestrator;
        entry->origin.name.str = entry->read.name;
        entry->origin.name.len = strlen(entry->read.name);
        for (int i = 0; i < CGROUP_N_LABELS; i++) {
                const char *value = entry->read.labels[i];
                const char *key = cgroup_label_key((enum cgroup_label)i);

                if (value)
                        entry->origin.labels[entry->origin.n_labels++] = (struct nipc_label){
                                .key = key,
                                .key_len = strlen(key),
                                .value = value,
                                .value_len = strlen(value),
                        };
        }
        return entry;
}

void origins_init(struct origins *origins)
{
        origins->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_entry);
}

void origins_deinit(struct origins *origins)
{
        g_hash_table_unref(origins->by_path);
}

const struct origin *origins_find(struct origins *origins, const char *path)
{
        struct entry *entry = g_hash_table_lookup(origins->by_path, path);

        if (!entry) {
                if (g_hash_table_size(origins->by_path) >= ORIGINS_MAX)
                        g_hash_table_remove_all(origins->by_path);
                entry = make_entry(path);
                g_hash_table_insert(origins->by_path, g_strdup(path), entry);
        }
        return &entry->origin;
}
