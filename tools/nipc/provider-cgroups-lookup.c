/* SPDX-License-Identifier: MIT */
/*
 * cgroups-lookup from a cgroup hierarchy or a JSON file. A path is known when there is such a group
 * now; what is known of it its path tells. What cannot be looked at for the moment is to be asked
 * for again.
 */
#include "cgroup-scan.h"
#include "origins.h"
#include "provider-lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <nipc/cgroups-lookup.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct live {
        struct cgroup_hierarchy hierarchy;
        int root_fd;
        pthread_mutex_t mutex; /* guards origins */
        struct origins origins;
};

/* A path that leads nowhere else: absolute, no "." nor "..", nothing empty. */
static bool is_path(const char *path)
{
        if (path[0] != '/')
                return false;
        if (path[1] == '\0')
                return true;
        while (*path == '/') {
                size_t len = strcspn(path + 1, "/");

                if (len == 0 || (len == 1 && path[1] == '.') ||
                    (len == 2 && path[1] == '.' && path[2] == '.'))
                        return false;
                path += 1 + len;
        }
        return true;
}

static uint16_t look(const struct live *live, const char *path)
{
        struct stat st;

        if (!is_path(path))
                return NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT;
        if (fstatat(live->root_fd, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) == 0)
                return S_ISDIR(st.st_mode) ? NIPC_CGROUPS_LOOKUP_KNOWN
                                           : NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT;
        switch (errno) {
        case ENOENT:
        case ENODEV: /* removed at this moment */
        case ENOTDIR:
        case ELOOP:
        case ENAMETOOLONG:
                return NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT;
        default:
                return NIPC_CGROUPS_LOOKUP_UNKNOWN_RETRY_LATER;
        }
}

static int answer_one(struct live *live, struct nipc_lookup_builder *builder, const char *path,
                      size_t path_len)
{
        struct nipc_cgroups_lookup_item item = {.path = {path, path_len}};
        const struct origin *origin;

        item.status = look(live, path);
        if (item.status == NIPC_CGROUPS_LOOKUP_KNOWN) {
                origin = origins_find(&live->origins, path);
                item.orchestrator = origin->orchestrator;
                item.name = origin->name;
                item.labels = origin->labels;
                item.n_labels = origin->n_labels;
        }
        return nipc_cgroups_lookup_builder_add(builder, &item);
}

static int answer(void *data, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        struct live *live = data;
        int r = 0;

        nipc_lookup_builder_set_generation(builder, 1); /* there is but one: what the kernel says */
        pthread_mutex_lock(&live->mutex);
        for (uint32_t i = 0; !r && i < request->item_count; i++) {
                size_t len;
                const char *path = nipc_lookup_request_view_get(request, i, &len);

                r = answer_one(live, builder, path, len);
        }
        pthread_mutex_unlock(&live->mutex);
        return r;
}

static void live_close(void *data)
{
        struct live *live = data;

        if (live->root_fd >= 0)
                close(live->root_fd);
        cgroup_hierarchy_clear(&live->hierarchy);
        origins_deinit(&live->origins);
        pthread_mutex_destroy(&live->mutex);
        g_free(live);
}

static void *live_open(const char *source, GError **error)
{
        struct live *live = g_new0(struct live, 1);

        live->root_fd = -1;
        pthread_mutex_init(&live->mutex, NULL);
        origins_init(&live->origins);
        if (!cgroup_hierarchy_find(source, &live->hierarchy, error)) {
                live_close(live);
                return NULL;
        }
        live->root_fd = open(live->hierarchy.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (live->root_fd < 0) {
                g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno), "%s: %s",
                            live->hierarchy.path, g_strerror(errno));
                live_close(live);
                return NULL;
        }
        return live;
}

static gboolean cgroups_lookup_open(const struct provider_options *options,
                                    struct nipc_server_config *config, void **ret_data,
                                    GError **error)
{
        static const struct lookup_service service = {
                .get_class = nipc_cgroups_lookup_get_class,
                .response_type = "cgroups_lookup_response",
                .unknown = NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT,
                .open = live_open,
                .answer = answer,
                .close = live_close,
        };

        return lookup_provider_open(&service, options, config, ret_data, error);
}

const struct provider provider_cgroups_lookup = {
        .name = "cgroups-lookup",
        .takes_source = true,
        .open = cgroups_lookup_open,
        .new_server = lookup_provider_new_server,
        .close = lookup_provider_close,
};
