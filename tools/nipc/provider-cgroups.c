/* SPDX-License-Identifier: MIT */
/* cgroups-snapshot from a cgroup hierarchy or a JSON file, see provider-cgroups.h. */
#include "provider-cgroups.h"

#include "cgroup-name.h"
#include "cgroup-scan.h"
#include "json-source.h"

#include <errno.h>
#include <nipc/cgroups-snapshot.h>
#include <nipc/header.h>
#include <pthread.h>
#include <string.h>

#define CGROUPS_MAX_REQUEST_BYTES  4096u
#define CGROUPS_MIN_RESPONSE_BYTES 65536u /* what clients of NetIPC v1 expect of this service */
#define CGROUPS_MAX_RESPONSE_BYTES (64u * 1024u * 1024u)

struct cgroups_source {
        pthread_mutex_t mutex; /* guards all below */
        bool is_static;
        struct cgroup_hierarchy hierarchy;
        GByteArray *answer;
        uint64_t generation;
        gint64 scanned_at; /* monotonic us of the last attempt, 0: never */
        char *failure;     /* of the last attempt, as it was said; NULL: none */
};

static GByteArray *encode(const struct cgroup_hierarchy *hierarchy, const GPtrArray *groups,
                          uint64_t generation)
{
        struct nipc_cgroups_snapshot_builder builder;
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        uint64_t string_bytes = 0;
        size_t size;

        for (guint i = 0; i < groups->len; i++) {
                const struct cgroup *cgroup = groups->pdata[i];

                string_bytes += strlen(cgroup->name) + strlen(cgroup->path);
        }
        string_bytes = nipc_cgroups_snapshot_size_bound(groups->len, string_bytes);
        if (string_bytes > G_MAXUINT32)
                return NULL;
        g_byte_array_set_size(bytes, (guint)string_bytes);
        nipc_cgroups_snapshot_builder_init(&builder, bytes->data, bytes->len, groups->len);
        for (guint i = 0; i < groups->len; i++) {
                const struct cgroup *cgroup = groups->pdata[i];
                const struct nipc_cgroups_snapshot_item item = {
                        .hash = cgroup_name_hash(cgroup->name),
                        .options = hierarchy->unified ? CGROUPS_OPTION_UNIFIED : 0,
                        .enabled = 1,
                        .name = cgroup->name,
                        .name_len = (uint32_t)strlen(cgroup->name),
                        .path = cgroup->path,
                        .path_len = (uint32_t)strlen(cgroup->path),
                };

                nipc_cgroups_snapshot_builder_add(&builder, &item); /* errors stick until finish */
        }
        if (nipc_cgroups_snapshot_builder_finish(&builder, hierarchy->systemd, generation, &size))
                return NULL;
        g_byte_array_set_size(bytes, (guint)size);
        return g_steal_pointer(&bytes);
}

/* Looks again and keeps the result; the generation goes up when something differs. */
static gboolean rescan(struct cgroups_source *source, GError **error)
{
        g_autoptr(GPtrArray) groups = cgroup_scan(&source->hierarchy, error);
        g_autoptr(GByteArray) encoded = NULL;

        if (!groups)
                return FALSE;
        encoded = encode(&source->hierarchy, groups, source->generation);
        if (encoded && source->answer && encoded->len == source->answer->len &&
            memcmp(encoded->data, source->answer->data, encoded->len) == 0)
                return TRUE;
        g_clear_pointer(&encoded, g_byte_array_unref);
        encoded = encode(&source->hierarchy, groups, source->generation + 1);
        if (!encoded) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                            "%s: more cgroups than an answer can hold", source->hierarchy.path);
                return FALSE;
        }
        source->generation++;
        g_clear_pointer(&source->answer, g_byte_array_unref);
        source->answer = g_steal_pointer(&encoded);
        return TRUE;
}

/* Says what is wrong with the source when that changed; NULL: nothing is. */
static void note_failure(struct cgroups_source *source, const char *failure)
{
        if (g_strcmp0(source->failure, failure) == 0)
                return;
        if (failure)
                g_printerr("nipc serve: %s%s\n", failure,
                           source->answer ? "; serving what was there before" : "");
        else
                g_printerr("nipc serve: %s: readable again\n", source->hierarchy.path);
        g_free(source->failure);
        source->failure = g_strdup(failure);
}

/* Looks again when it is time to; what cannot be seen leaves the last answer as it is. */
static void refresh(struct cgroups_source *source)
{
        g_autoptr(GError) error = NULL;
        gint64 now = g_get_monotonic_time();

        if (source->is_static ||
            (source->scanned_at && now - source->scanned_at < CGROUPS_RESCAN_MS * 1000))
                return;
        source->scanned_at = now; /* a source that fails is not looked at more often either */
        note_failure(source, rescan(source, &error) ? NULL : error->message);
}

struct cgroups_source *cgroups_source_new(const char *path, GError **error)
{
        struct cgroups_source *source = g_new0(struct cgroups_source, 1);
        gboolean ok;

        pthread_mutex_init(&source->mutex, NULL);
        if (path && g_str_has_suffix(path, ".json")) {
                source->is_static = true;
                source->answer = json_source_load(path, "cgroups_snapshot_response", error);
                ok = source->answer != NULL;
        } else {
                ok = cgroup_hierarchy_find(path, &source->hierarchy, error) &&
                     rescan(source, error);
                source->scanned_at = g_get_monotonic_time();
        }
        return ok ? source : cgroups_source_free(source);
}

struct cgroups_source *cgroups_source_free(struct cgroups_source *source)
{
        if (!source)
                return NULL;
        g_clear_pointer(&source->answer, g_byte_array_unref);
        cgroup_hierarchy_clear(&source->hierarchy);
        g_free(source->failure);
        pthread_mutex_destroy(&source->mutex);
        g_free(source);
        return NULL;
}

size_t cgroups_source_get_size(struct cgroups_source *source)
{
        size_t size;

        pthread_mutex_lock(&source->mutex);
        size = source->answer->len;
        pthread_mutex_unlock(&source->mutex);
        return size;
}

static int answer(struct cgroups_source *source, void *buf, size_t capacity, size_t *ret_size)
{
        refresh(source);
        if (!source->answer)
                return -EIO;
        if (source->answer->len > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        memcpy(buf, source->answer->data, source->answer->len);
        *ret_size = source->answer->len;
        return 0;
}

int cgroups_source_answer(struct cgroups_source *source, void *buf, size_t capacity,
                          size_t *ret_size)
{
        int r;

        pthread_mutex_lock(&source->mutex);
        r = answer(source, buf, capacity, ret_size);
        pthread_mutex_unlock(&source->mutex);
        return r;
}

static uint32_t pow2_at_least(uint64_t value, uint32_t max)
{
        uint64_t result = 16;

        while (result < value && result < max)
                result *= 2;
        return (uint32_t)MIN(result, max);
}

static gboolean cgroups_open(const struct provider_options *options,
                             struct nipc_server_config *config, void **ret_data, GError **error)
{
        struct cgroups_source *source = cgroups_source_new(options->source, error);

        if (!source)
                return FALSE;
        if (!config->max_request_bytes)
                config->max_request_bytes = CGROUPS_MAX_REQUEST_BYTES;
        if (!config->max_response_bytes)
                config->max_response_bytes = CGROUPS_MAX_RESPONSE_BYTES;
        config->initial_request_bytes = config->max_request_bytes;
        /* Twice of what there is now, so that clients need not come back when a few groups come. */
        config->initial_response_bytes =
                pow2_at_least(MAX(CGROUPS_MIN_RESPONSE_BYTES, 2 * cgroups_source_get_size(source)),
                              config->max_response_bytes);
        *ret_data = source;
        return TRUE;
}

static int cgroups_handle(void *userdata, const struct nipc_request *request, void *response,
                          size_t capacity, size_t *ret_size)
{
        int r = nipc_cgroups_snapshot_request_decode(request->payload, request->payload_size, NULL);

        return r ? r : cgroups_source_answer(userdata, response, capacity, ret_size);
}

static int cgroups_new_server(void *data, const struct nipc_server_config *config,
                              struct nipc_server **ret_server)
{
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = NIPC_METHOD_CGROUPS_SNAPSHOT,
                .handle = cgroups_handle,
                .userdata = data,
        };

        return nipc_server_new(config, &handler, ret_server);
}

static void cgroups_close(void *data)
{
        cgroups_source_free(data);
}

const struct provider provider_cgroups_snapshot = {
        .name = "cgroups-snapshot",
        .takes_source = true,
        .open = cgroups_open,
        .new_server = cgroups_new_server,
        .close = cgroups_close,
};
