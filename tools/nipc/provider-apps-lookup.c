/* SPDX-License-Identifier: MIT */
/*
 * apps-lookup from /proc or a JSON file. A request is answered by one reader; several at once have
 * one each, kept for those that come later.
 */
#include "failure.h"
#include "origins.h"
#include "process.h"
#include "provider-lookup.h"

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <pthread.h>
#include <string.h>

struct looker {
        struct looker *next;
        struct process_reader reader;
        struct origins origins;
};

struct live {
        char *proc; /* NULL: /proc */
        pthread_mutex_t mutex;
        struct looker *idle; /* guarded by it */
};

static struct looker *looker_new(const char *proc, int *ret_error)
{
        struct looker *looker = g_new0(struct looker, 1);

        *ret_error = process_reader_open(proc, &looker->reader);
        if (*ret_error) {
                g_free(looker);
                return NULL;
        }
        origins_init(&looker->origins);
        return looker;
}

static struct looker *looker_take(struct live *live, int *ret_error)
{
        struct looker *looker;

        pthread_mutex_lock(&live->mutex);
        looker = live->idle;
        if (looker)
                live->idle = looker->next;
        pthread_mutex_unlock(&live->mutex);
        return looker ? looker : looker_new(live->proc, ret_error);
}

static void looker_give_back(struct live *live, struct looker *looker)
{
        pthread_mutex_lock(&live->mutex);
        looker->next = live->idle;
        live->idle = looker;
        pthread_mutex_unlock(&live->mutex);
}

static uint16_t cgroup_status(enum process_cgroup_status status)
{
        return (uint16_t)status; /* the same values */
}

static int answer_one(struct looker *looker, struct nipc_lookup_builder *builder, const void *key,
                      size_t key_size)
{
        struct nipc_apps_lookup_item item = {.pid = nipc_apps_lookup_key_pid(key)};
        const struct origin *origin;
        struct process process;
        int r = process_read(&looker->reader, item.pid, &process);

        if (r == -ESRCH || r == -EACCES || r == -EBADMSG)
                return nipc_lookup_builder_add_status(builder, key, key_size,
                                                      NIPC_APPS_LOOKUP_UNKNOWN);
        if (r) /* out of descriptors, say: that says nothing about the process */
                return r;
        item.ppid = process.ppid;
        item.uid = process.uid;
        item.starttime = process.starttime;
        item.comm = (struct nipc_lookup_string){process.comm, process.comm_len};
        item.cgroup_status = cgroup_status(process.cgroup_status);
        item.cgroup_path =
                (struct nipc_lookup_string){process.cgroup_path, process.cgroup_path_len};
        if (process.cgroup_status == PROCESS_CGROUP_KNOWN) {
                origin = origins_find(&looker->origins, process.cgroup_path);
                item.orchestrator = origin->orchestrator;
                item.cgroup_name = origin->name;
                item.labels = origin->labels;
                item.n_labels = origin->n_labels;
        }
        return nipc_apps_lookup_builder_add(builder, &item);
}

static void say(int error)
{
        g_autofree char *reason = failure_describe_local(error);

        lookup_provider_say(reason);
}

static int answer(void *data, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        struct live *live = data;
        struct looker *looker;
        int r = 0;

        looker = looker_take(live, &r);
        if (!looker) {
                say(r);
                return r;
        }
        nipc_lookup_builder_set_generation(builder, 1); /* there is but one: what the kernel says */
        for (uint32_t i = 0; !r && i < request->item_count; i++) {
                size_t size;
                const void *key = nipc_lookup_request_view_get(request, i, &size);

                r = answer_one(looker, builder, key, size);
        }
        looker_give_back(live, looker);
        if (r < 0)
                say(r);
        return r;
}

static void live_close(void *data)
{
        struct live *live = data;

        while (live->idle) {
                struct looker *looker = live->idle;

                live->idle = looker->next;
                process_reader_close(&looker->reader);
                origins_deinit(&looker->origins);
                g_free(looker);
        }
        pthread_mutex_destroy(&live->mutex);
        g_free(live->proc);
        g_free(live);
}

/* Opens one reader at once, so that a /proc that cannot be read is found out now. */
static void *live_open(const char *source, GError **error)
{
        struct live *live = g_new0(struct live, 1);
        struct looker *looker;
        int r = 0;

        live->proc = g_strdup(source);
        pthread_mutex_init(&live->mutex, NULL);
        looker = looker_take(live, &r);
        if (!looker) {
                g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(-r), "%s: %s",
                            source ? source : "/proc", g_strerror(-r));
                live_close(live);
                return NULL;
        }
        looker_give_back(live, looker);
        return live;
}

static gboolean apps_lookup_open(const struct provider_options *options,
                                 struct nipc_server_config *config, void **ret_data, GError **error)
{
        static const struct lookup_service service = {
                .get_class = nipc_apps_lookup_get_class,
                .response_type = "apps_lookup_response",
                .unknown = NIPC_APPS_LOOKUP_UNKNOWN,
                .open = live_open,
                .answer = answer,
                .close = live_close,
        };

        return lookup_provider_open(&service, options, config, ret_data, error);
}

const struct provider provider_apps_lookup = {
        .name = "apps-lookup",
        .takes_source = true,
        .open = apps_lookup_open,
        .new_server = lookup_provider_new_server,
        .close = lookup_provider_close,
};
