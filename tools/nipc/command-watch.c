/* SPDX-License-Identifier: MIT */
/*
 * nipc watch: keeps a cache of a snapshot service fresh, the way an agent does, and prints what
 * appeared, vanished and changed. A provider that vanishes is said once; the cache keeps what it
 * had, and goes on when the provider is back.
 */
#include "cgroup-name.h"
#include "codec/codec-private.h"
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "interrupt.h"
#include "number.h"
#include "output.h"
#include "profiles.h"

#include <errno.h>
#include <nipc/cgroups-cache.h>
#include <nipc/header.h>
#include <stdio.h>

struct watcher {
        const struct command_context *context;
        const char *service;
        struct nipc_cgroups_cache *cache;
        bool was_ready;  /* a refresh succeeded */
        bool is_failing; /* and that was said */
};

static void on_interrupt(void *data)
{
        nipc_cgroups_cache_cancel(data);
}

enum change { APPEARED, VANISHED, CHANGED };

static void print_change(const struct watcher *watcher, enum change change,
                         const struct nipc_cgroup *cgroup)
{
        static const char *const words[] = {"appeared", "vanished", "changed"};
        JsonObject *json;
        g_autoptr(JsonNode) root = NULL;

        if (!watcher->context->json) {
                g_autofree char *name = cgroup_name_show(cgroup->item.name, cgroup->item.name_len);
                g_autofree char *path = cgroup_name_show(cgroup->path, cgroup->path_len);

                printf("%c %s  %s\n", "+-~"[change], name, path);
                return;
        }
        json = json_object_new();
        json_object_set_string_member(json, "event", words[change]);
        codec_set_bytes(json, "name", cgroup->item.name, cgroup->item.name_len);
        codec_set_bytes(json, "path", cgroup->path, cgroup->path_len);
        codec_set_uint(json, "hash", cgroup->item.hash);
        codec_set_uint(json, "options", cgroup->options);
        codec_set_uint(json, "enabled", cgroup->enabled);
        root = json_node_new(JSON_NODE_OBJECT);
        json_node_take_object(root, json);
        output_json(root, TRUE);
}

static const struct nipc_cgroup *lookup(const struct nipc_cgroups_cache_snapshot *snapshot,
                                        const struct nipc_cgroup *cgroup)
{
        if (!snapshot)
                return NULL;
        return nipc_cgroups_cache_lookup(snapshot, cgroup->item.hash, cgroup->item.name,
                                         cgroup->item.name_len);
}

static bool is_same(const struct nipc_cgroup *a, const struct nipc_cgroup *b)
{
        return a->options == b->options && a->enabled == b->enabled && a->path_len == b->path_len &&
               memcmp(a->path, b->path, a->path_len) == 0;
}

static void print_changes(const struct watcher *watcher,
                          const struct nipc_cgroups_cache_snapshot *before,
                          const struct nipc_cgroups_cache_snapshot *now)
{
        uint32_t n_before = before ? nipc_cgroups_cache_get_count(before) : 0;
        uint32_t n_now = nipc_cgroups_cache_get_count(now);

        for (uint32_t i = 0; i < n_before; i++) {
                const struct nipc_cgroup *cgroup = nipc_cgroups_cache_get(before, i);

                if (!lookup(now, cgroup))
                        print_change(watcher, VANISHED, cgroup);
        }
        for (uint32_t i = 0; i < n_now; i++) {
                const struct nipc_cgroup *cgroup = nipc_cgroups_cache_get(now, i);
                const struct nipc_cgroup *old = lookup(before, cgroup);

                if (!old)
                        print_change(watcher, APPEARED, cgroup);
                else if (!is_same(cgroup, old))
                        print_change(watcher, CHANGED, cgroup);
        }
        fflush(stdout);
}

static void say_failure(struct watcher *watcher, int error)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct failure described;
        g_autofree char *reason = NULL;

        if (watcher->is_failing || error == -ECANCELED)
                return;
        watcher->is_failing = true;
        nipc_cgroups_cache_get_failure(watcher->cache, &failure);
        described = failure_from_client(&failure, failure.error ? failure.error : error);
        described.service = watcher->service;
        described.run_dir = watcher->context->run_dir;
        reason = failure_describe(&described);
        command_fail(&command_watch, "%s%s", reason,
                     watcher->was_ready ? "; keeping the last snapshot and trying again"
                                        : "; trying again");
}

static void say_success(struct watcher *watcher)
{
        if (watcher->is_failing)
                fprintf(stderr, "nipc watch: %s: the provider is %s\n", watcher->service,
                        watcher->was_ready ? "back" : "there");
        watcher->is_failing = false;
        watcher->was_ready = true;
}

static void watch_once(struct watcher *watcher)
{
        const struct nipc_cgroups_cache_snapshot *before =
                nipc_cgroups_cache_acquire(watcher->cache);
        const struct nipc_cgroups_cache_snapshot *now;
        int r = nipc_cgroups_cache_refresh(watcher->cache, 0);

        if (r) {
                say_failure(watcher, r);
        } else {
                say_success(watcher);
                now = nipc_cgroups_cache_acquire(watcher->cache);
                print_changes(watcher, before, now);
                nipc_cgroups_cache_release(watcher->cache, now);
        }
        nipc_cgroups_cache_release(watcher->cache, before);
}

static int watch(struct watcher *watcher, uint32_t count, double interval_s)
{
        for (uint32_t i = 0; !interrupt_is_set(); i++) {
                if (i > 0 && !interrupt_pause_us((int64_t)(interval_s * 1e6)))
                        break;
                watch_once(watcher);
                if (ferror(stdout))
                        return command_fail(&command_watch, "cannot write to standard output");
                if (count && i + 1 >= count)
                        break;
        }
        return watcher->was_ready || interrupt_is_set() ? COMMAND_SUCCESS : COMMAND_FAILURE;
}

static int watch_service(const struct command_context *context,
                         const struct nipc_client_config *config, uint32_t count, double interval_s)
{
        struct watcher watcher = {.context = context, .service = config->service};
        int status;
        int r = nipc_cgroups_cache_new(config, &watcher.cache);

        if (!r)
                r = interrupt_init(on_interrupt, watcher.cache);
        if (r) {
                const struct failure failure = {
                        .service = config->service,
                        .run_dir = config->run_dir,
                        .error = r,
                };
                g_autofree char *reason = failure_describe(&failure);

                nipc_cgroups_cache_free(watcher.cache);
                return command_fail(&command_watch, "%s", reason);
        }
        status = watch(&watcher, count, interval_s);
        interrupt_deinit();
        nipc_cgroups_cache_free(watcher.cache);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        g_autofree gchar *name = NULL;
        g_autofree gchar *profiles = NULL;
        gdouble interval_s = 1.0;
        gint64 count = 0;
        gint64 timeout_ms = 0;
        const GOptionEntry entries[] = {
                {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval_s,
                 "Seconds between refreshes (default: 1)", "S"},
                {"count", 'c', 0, G_OPTION_ARG_INT64, &count,
                 "Refreshes to make (default: until interrupted)", "N"},
                {"name", 'n', 0, G_OPTION_ARG_STRING, &name,
                 "Name of the endpoint (default: that of the service)", "NAME"},
                {"timeout", 0, 0, G_OPTION_ARG_INT64, &timeout_ms,
                 "Milliseconds a refresh may take (default: 30000)", "MS"},
                {"profiles", 0, 0, G_OPTION_ARG_STRING, &profiles,
                 "Profiles to offer, separated by commas (default: all)", "LIST"},
                {NULL},
        };
        uint32_t n_refreshes;
        int status;

        if (!command_parse(&command_watch, entries, &argc, &argv, &status))
                return status;
        if (argc != 2 || strcmp(argv[1], "cgroups-snapshot") != 0)
                return command_usage(&command_watch, "name one of the services that have a cache: "
                                                     "cgroups-snapshot");
        if (name && !endpoints_check_name(&command_watch, name))
                return COMMAND_USAGE;
        if (!(interval_s >= 0.001 && interval_s <= 86400))
                return command_usage(&command_watch,
                                     "--interval needs seconds from 0.001 to 86400");
        if (!number_check_u32(&command_watch, "--count", count, 0, UINT32_MAX, &n_refreshes) ||
            !number_check_u32(&command_watch, "--timeout", timeout_ms, 0, UINT32_MAX,
                              &config.timeout_ms) ||
            !profiles_parse(&command_watch, profiles, &config.profiles))
                return COMMAND_USAGE;
        config.run_dir = context->run_dir;
        config.service = name ? name : argv[1];
        config.auth_token = context->auth_token;
        return watch_service(context, &config, n_refreshes, interval_s);
}

const struct command command_watch = {
        .name = "watch",
        .arguments = "cgroups-snapshot",
        .summary = "Keep a cache of a snapshot service fresh and show what changes",
        .uses_run_dir = true,
        .run = run,
};
