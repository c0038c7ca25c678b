/* SPDX-License-Identifier: MIT */
/*
 * See asn-source.h. A mutex around pointer and count, not something without locks: one request
 * costs a hundred times as much as it, and may look up any number of addresses in between.
 */
#include "asn-source.h"

#include <pthread.h>

struct asn_source {
        char *path;
        pthread_mutex_t reload_mutex; /* one load at a time; taken before the other */
        pthread_mutex_t mutex;        /* guards all below */
        struct asn_table *table;
        uint64_t generation;
};

struct asn_source *asn_source_new(const char *path, GError **error)
{
        struct asn_table *table = asn_table_load(path, error);
        struct asn_source *source;

        if (!table)
                return NULL;
        source = g_new0(struct asn_source, 1);
        source->path = g_strdup(path);
        pthread_mutex_init(&source->reload_mutex, NULL);
        pthread_mutex_init(&source->mutex, NULL);
        source->table = table;
        source->generation = 1;
        return source;
}

struct asn_source *asn_source_free(struct asn_source *source)
{
        if (!source)
                return NULL;
        asn_table_unref(source->table);
        pthread_mutex_destroy(&source->mutex);
        pthread_mutex_destroy(&source->reload_mutex);
        g_free(source->path);
        g_free(source);
        return NULL;
}

gboolean asn_source_reload(struct asn_source *source, GError **error)
{
        struct asn_table *table, *old = NULL;

        pthread_mutex_lock(&source->reload_mutex);
        table = asn_table_load_again(source->path, error);
        if (table) {
                pthread_mutex_lock(&source->mutex);
                old = source->table;
                source->table = table;
                source->generation++;
                pthread_mutex_unlock(&source->mutex);
        }
        pthread_mutex_unlock(&source->reload_mutex);
        asn_table_unref(old); /* to free it takes long: not under a lock */
        return table != NULL;
}

struct asn_table *asn_source_acquire(struct asn_source *source, uint64_t *ret_generation)
{
        struct asn_table *table;

        pthread_mutex_lock(&source->mutex);
        table = asn_table_ref(source->table);
        if (ret_generation)
                *ret_generation = source->generation;
        pthread_mutex_unlock(&source->mutex);
        return table;
}
