/* SPDX-License-Identifier: MIT */

/* The cgroups cache against a real server in the same process: what a refresh does to cache and
 * connection when the provider answers, is absent, goes away or talks nonsense. */

#include <errno.h>
#include <glib.h>
#include <nipc/cgroups-cache.h>
#include <nipc/server.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util-process.h"

/* What the server says. pthread, as a thread sanitizer does not see the locks of GLib. */
struct provider {
        pthread_mutex_t mutex; /* of all else */
        pthread_cond_t changed;
        uint32_t n_items;
        uint64_t generation;
        bool twice; /* every item a second time, with other options */
        bool bad;   /* the last byte, a NUL, is something else */
        bool hold;  /* do not answer while this is set */
        bool asked;
};

struct fixture {
        char *run_dir;
        struct provider provider;
        struct nipc_server *server;
        struct nipc_cgroups_cache *cache;
};

static uint32_t number_hash(uint32_t number)
{
        return number * 2654435761u;
}

static void provider_set(struct provider *provider, uint32_t n_items, uint64_t generation)
{
        pthread_mutex_lock(&provider->mutex);
        provider->n_items = n_items;
        provider->generation = generation;
        pthread_mutex_unlock(&provider->mutex);
}

static void provider_set_flag(struct provider *provider, bool *flag, bool value)
{
        pthread_mutex_lock(&provider->mutex);
        *flag = value;
        pthread_cond_broadcast(&provider->changed);
        pthread_mutex_unlock(&provider->mutex);
}

static void provider_wait_asked(struct provider *provider)
{
        pthread_mutex_lock(&provider->mutex);
        while (!provider->asked)
                pthread_cond_wait(&provider->changed, &provider->mutex);
        pthread_mutex_unlock(&provider->mutex);
}

static int provide_locked(struct provider *provider, void *response, size_t capacity,
                          size_t *ret_size)
{
        const uint32_t n = provider->n_items * (provider->twice ? 2 : 1);
        struct nipc_cgroups_snapshot_builder builder;
        struct nipc_cgroups_snapshot_item item = {0};
        char name[32], path[64];
        uint32_t i;
        int r;

        nipc_cgroups_snapshot_builder_init(&builder, response, capacity, n);
        for (i = 0; i < n; i++) {
                const uint32_t number = i % provider->n_items;

                item.hash = number_hash(number);
                item.options = i;
                item.name = name;
                item.path = path;
                item.name_len = (uint32_t)g_snprintf(name, sizeof(name), "unit-%u", number);
                item.path_len = (uint32_t)g_snprintf(path, sizeof(path), "/sys/unit-%u", number);
                nipc_cgroups_snapshot_builder_add(&builder, &item);
        }
        r = nipc_cgroups_snapshot_builder_finish(&builder, 1, provider->generation, ret_size);
        if (r == 0 && provider->bad)
                ((char *)response)[*ret_size - 1] = 'x';
        return r;
}

/* Holds the answer back for as long as the test wants it. */
static int provide(void *userdata, const struct nipc_request *request, void *response,
                   size_t capacity, size_t *ret_size)
{
        struct provider *provider = userdata;
        int r;

        pthread_mutex_lock(&provider->mutex);
        provider->asked = true;
        pthread_cond_broadcast(&provider->changed);
        while (provider->hold)
                pthread_cond_wait(&provider->changed, &provider->mutex);
        r = provide_locked(provider, response, capacity, ret_size);
        pthread_mutex_unlock(&provider->mutex);
        return r;
}

static void server_start(struct fixture *f)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = NIPC_METHOD_CGROUPS_SNAPSHOT,
                .handle = provide,
                .userdata = &f->provider,
        };

        config.run_dir = f->run_dir;
        config.service = "cgroups";
        config.n_workers = 1;
        config.max_response_bytes = 16 << 20;
        g_assert_cmpint(nipc_server_new(&config, &handler, &f->server), ==, 0);
        g_assert_cmpint(nipc_server_start(f->server), ==, 0);
}

static void setup(struct fixture *f, gconstpointer data)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;

        pthread_mutex_init(&f->provider.mutex, NULL);
        pthread_cond_init(&f->provider.changed, NULL);
        f->run_dir = process_make_dir();
        g_assert_nonnull(f->run_dir);
        config.run_dir = f->run_dir;
        config.service = "cgroups";
        g_assert_cmpint(nipc_cgroups_cache_new(&config, &f->cache), ==, 0);
}

static void teardown(struct fixture *f, gconstpointer data)
{
        f->cache = nipc_cgroups_cache_free(f->cache);
        f->server = nipc_server_free(f->server);
        process_remove_dir(f->run_dir);
        g_free(f->run_dir);
        pthread_cond_destroy(&f->provider.changed);
        pthread_mutex_destroy(&f->provider.mutex);
}

/* The cache holds n_items items of this generation, each to be found and in order. */
static void assert_holds(struct fixture *f, uint32_t n_items, uint64_t generation)
{
        const struct nipc_cgroups_cache_snapshot *snapshot = nipc_cgroups_cache_acquire(f->cache);
        const struct nipc_cgroup *cgroup;
        char name[32];
        uint32_t i;
        int len;

        g_assert_nonnull(snapshot);
        g_assert_cmpuint(nipc_cgroups_cache_get_count(snapshot), ==, n_items);
        g_assert_cmpuint(nipc_cgroups_cache_get_generation(snapshot), ==, generation);
        g_assert_true(nipc_cgroups_cache_is_systemd(snapshot));
        for (i = 0; i < n_items; i++) {
                len = g_snprintf(name, sizeof(name), "unit-%u", i);
                cgroup = nipc_cgroups_cache_lookup(snapshot, number_hash(i), name, (size_t)len);
                g_assert_nonnull(cgroup);
                g_assert_true(cgroup == nipc_cgroups_cache_get(snapshot, i));
                g_assert_cmpstr(cgroup->item.name, ==, name);
                g_assert_true(g_str_has_suffix(cgroup->path, name));
                g_assert_null(
                        nipc_cgroups_cache_lookup(snapshot, number_hash(i) + 1, name, (size_t)len));
        }
        g_assert_null(nipc_cgroups_cache_get(snapshot, n_items));
        nipc_cgroups_cache_release(f->cache, snapshot);
}

static struct nipc_cache_status get_status(struct fixture *f)
{
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;

        g_assert_cmpint(nipc_cgroups_cache_get_status(f->cache, &status), ==, 0);
        return status;
}

static void test_no_provider(struct fixture *f, gconstpointer data)
{
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, -ENOTCONN);
        g_assert_false(nipc_cgroups_cache_is_ready(f->cache));
        g_assert_null(nipc_cgroups_cache_acquire(f->cache));
        g_assert_cmpint(get_status(f).client_state, ==, NIPC_CLIENT_STATE_NOT_FOUND);
        g_assert_cmpuint(get_status(f).n_failures, ==, 1);

        /* It comes later. */
        provider_set(&f->provider, 3, 1);
        server_start(f);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 3, 1);
}

static void test_empty_snapshot(struct fixture *f, gconstpointer data)
{
        server_start(f);
        provider_set(&f->provider, 20, 7);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 20, 7);
        provider_set(&f->provider, 0, 6);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 0, 6);
        g_assert_true(get_status(f).populated);
        g_assert_cmpuint(get_status(f).n_successes, ==, 2);
        g_assert_cmpuint(get_status(f).n_failures, ==, 0);
}

/* Far beyond what the first session is offered. */
static void test_large_snapshot(struct fixture *f, gconstpointer data)
{
        server_start(f);
        provider_set(&f->provider, 20000, 0);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 20000, 0);
}

static void test_provider_gone(struct fixture *f, gconstpointer data)
{
        server_start(f);
        provider_set(&f->provider, 10, 1);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        f->server = nipc_server_free(f->server);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), <, 0);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), <, 0);
        g_assert_cmpint(get_status(f).client_state, !=, NIPC_CLIENT_STATE_READY);
        g_assert_cmpuint(get_status(f).n_failures, ==, 2);
        assert_holds(f, 10, 1);

        provider_set(&f->provider, 10, 2);
        server_start(f);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 10, 2);
}

/* The response as a whole is in order: the connection is, too. */
static void test_bad_item(struct fixture *f, gconstpointer data)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        server_start(f);
        provider_set(&f->provider, 10, 1);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        provider_set_flag(&f->provider, &f->provider.bad, true);
        provider_set(&f->provider, 10, 2);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, -EBADMSG);
        assert_holds(f, 10, 1);
        g_assert_cmpint(get_status(f).client_state, ==, NIPC_CLIENT_STATE_READY);
        g_assert_cmpint(nipc_cgroups_cache_get_failure(f->cache, &failure), ==, 0);
        g_assert_cmpint(failure.error, ==, -EBADMSG);
        g_assert_cmpint(failure.fault.error, ==, NIPC_PROTO_E_MISSING_NUL);
        provider_set_flag(&f->provider, &f->provider.bad, false);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 10, 2);
}

static void test_duplicates(struct fixture *f, gconstpointer data)
{
        const struct nipc_cgroups_cache_snapshot *snapshot;
        uint32_t i;

        server_start(f);
        provider_set(&f->provider, 50, 0);
        provider_set_flag(&f->provider, &f->provider.twice, true);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        snapshot = nipc_cgroups_cache_acquire(f->cache);
        g_assert_cmpuint(nipc_cgroups_cache_get_count(snapshot), ==, 100);
        for (i = 0; i < 100; i++) {
                const struct nipc_cgroup *cgroup = nipc_cgroups_cache_get(snapshot, i);

                g_assert_cmpuint(cgroup->options, ==, i);
                g_assert_true(nipc_cgroups_cache_lookup(snapshot, cgroup->item.hash,
                                                        cgroup->item.name, cgroup->item.name_len) ==
                              nipc_cgroups_cache_get(snapshot, i % 50));
        }
        nipc_cgroups_cache_release(f->cache, snapshot);
}

static gpointer refresh_in_thread(gpointer data)
{
        return GINT_TO_POINTER(nipc_cgroups_cache_refresh(data, 0));
}

/* A refresh that waits for the provider keeps others out and readers in, and can be ended. */
static void test_cancel(struct fixture *f, gconstpointer data)
{
        GThread *thread;

        server_start(f);
        provider_set(&f->provider, 5, 0);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        provider_set_flag(&f->provider, &f->provider.asked, false);
        provider_set_flag(&f->provider, &f->provider.hold, true);
        thread = g_thread_new("refresh", refresh_in_thread, f->cache);
        provider_wait_asked(&f->provider);

        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, -EBUSY);
        assert_holds(f, 5, 0);
        g_assert_cmpuint(get_status(f).n_successes, ==, 1);
        nipc_cgroups_cache_cancel(f->cache);
        g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(thread)), ==, -ECANCELED);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, -ECANCELED);

        provider_set_flag(&f->provider, &f->provider.hold, false);
        nipc_cgroups_cache_reset_cancel(f->cache);
        provider_set(&f->provider, 5, 1);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 5, 1);
}

/* Runs in a child, which has a copy of the cache: it can look things up, and not refresh. */
static void check_in_child(struct fixture *f, uint32_t n_items, uint64_t generation)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, -ECHILD);
                if (n_items)
                        assert_holds(f, n_items, generation);
                nipc_cgroups_cache_cancel(f->cache);
                f->cache = nipc_cgroups_cache_free(f->cache);
                _exit(0);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
}

static void test_child(struct fixture *f, gconstpointer data)
{
        check_in_child(f, 0, 0);
        provider_set(&f->provider, 3, 1);
        server_start(f);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        check_in_child(f, 3, 1);
        provider_set(&f->provider, 4, 2);
        g_assert_cmpint(nipc_cgroups_cache_refresh(f->cache, 0), ==, 0);
        assert_holds(f, 4, 2);
        g_assert_cmpuint(get_status(f).n_failures, ==, 0);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(struct fixture *f, gconstpointer data);
        } tests[] = {
                {"no-provider", test_no_provider},
                {"empty-snapshot", test_empty_snapshot},
                {"large-snapshot", test_large_snapshot},
                {"provider-gone", test_provider_gone},
                {"bad-item", test_bad_item},
                {"duplicates", test_duplicates},
                {"cancel", test_cancel},
                {"child", test_child},
        };
        size_t i;

        g_test_init(&argc, &argv, NULL);
        for (i = 0; i < G_N_ELEMENTS(tests); i++) {
                char *path = g_strconcat("/cgroups-cache/", tests[i].name, NULL);

                g_test_add(path, struct fixture, NULL, setup, tests[i].run, teardown);
                g_free(path);
        }
        return g_test_run();
}
