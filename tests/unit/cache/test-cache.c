/* SPDX-License-Identifier: MIT */

/* Refresh and what it leaves behind, over a client that does what the test says. */

#include <nipc/cgroups-cache.h>
#include <pthread.h>

#include "tap.h"
#include "util-alloc.h"
#include "util-fake-client.h"

static uint8_t payload[1 << 20];

static void item_fill(struct nipc_cgroups_snapshot_item *item, uint32_t number, char name[32],
                      char path[64])
{
        *item = (struct nipc_cgroups_snapshot_item){
                .hash = number * 7,
                .options = number + 1,
                .enabled = number % 2,
                .name = name,
                .path = path,
        };
        item->name_len = (uint32_t)snprintf(name, 32, "unit-%u", number);
        item->path_len = (uint32_t)snprintf(path, 64, "/sys/fs/cgroup/unit-%u", number);
}

/* What the provider says from now on. */
static void answer(uint32_t n_items, uint64_t generation)
{
        struct nipc_cgroups_snapshot_builder builder;
        struct nipc_cgroups_snapshot_item item;
        char name[32], path[64];
        uint32_t i;

        nipc_cgroups_snapshot_builder_init(&builder, payload, sizeof(payload), n_items);
        for (i = 0; i < n_items; i++) {
                item_fill(&item, i, name, path);
                nipc_cgroups_snapshot_builder_add(&builder, &item);
        }
        tap_eq_int(nipc_cgroups_snapshot_builder_finish(&builder, 1, generation,
                                                        &fake.payload_size),
                   0);
        fake.payload = payload;
}

static struct nipc_cgroups_cache *cache_new(uint32_t max_receive_bytes)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_cgroups_cache *cache = NULL;

        memset(&fake, 0, sizeof(fake));
        fake.state = NIPC_CLIENT_STATE_READY;
        config.run_dir = "/nowhere";
        config.service = "cgroups";
        config.max_receive_bytes = max_receive_bytes;
        config.timeout_ms = 60000;
        tap_eq_int(nipc_cgroups_cache_new(&config, &cache), 0);
        return cache;
}

static bool holds(struct nipc_cgroups_cache *cache, uint32_t n_items, uint64_t generation)
{
        const struct nipc_cgroups_cache_snapshot *snapshot = nipc_cgroups_cache_acquire(cache);
        struct nipc_cgroups_snapshot_item item;
        const struct nipc_cgroup *cgroup;
        char name[32], path[64];
        bool good = true;
        uint32_t i;

        good &= tap_check(snapshot != NULL);
        good &= tap_eq_uint(nipc_cgroups_cache_get_count(snapshot), n_items);
        good &= tap_eq_uint(nipc_cgroups_cache_get_generation(snapshot), generation);
        good &= tap_check(nipc_cgroups_cache_is_systemd(snapshot));
        for (i = 0; good && i < n_items; i++) {
                item_fill(&item, i, name, path);
                cgroup = nipc_cgroups_cache_get(snapshot, i);
                good &= tap_eq_ptr(nipc_cgroups_cache_lookup(snapshot, item.hash, name,
                                                             item.name_len),
                                   cgroup);
                good = good && tap_eq_str(cgroup->item.name, name);
                good = good && tap_eq_str(cgroup->path, path);
                good = good && tap_eq_uint(cgroup->path_len, item.path_len);
                good = good && tap_eq_uint(cgroup->item.hash, item.hash);
                good = good && tap_eq_uint(cgroup->options, item.options);
                good = good && tap_eq_uint(cgroup->enabled, item.enabled);
        }
        good &= tap_check(!nipc_cgroups_cache_get(snapshot, n_items));
        good &= tap_check(!nipc_cgroups_cache_lookup(snapshot, 1, "none", 4));
        nipc_cgroups_cache_release(cache, snapshot);
        return good;
}

static void test_refresh(void)
{
        struct nipc_cgroups_cache *cache = cache_new(0);
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;
        uint64_t first_ms;

        tap_require(cache != NULL);
        tap_check(!nipc_cgroups_cache_is_ready(cache));
        tap_check(!nipc_cgroups_cache_acquire(cache));
        tap_check(!nipc_cgroups_cache_release(cache, NULL));
        tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
        tap_check(!status.populated);
        tap_eq_uint(status.last_refresh_ms, 0);

        answer(1000, 5);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        tap_check(fake.call_timeout_ms <= 60000 && fake.call_timeout_ms > 0);
        tap_check(nipc_cgroups_cache_is_ready(cache));
        holds(cache, 1000, 5);
        tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
        tap_check(status.populated);
        tap_eq_uint(status.item_count, 1000);
        tap_eq_uint(status.generation, 5);
        tap_eq_uint(status.flags, 1);
        tap_eq_uint(status.n_successes, 1);
        tap_eq_uint(status.n_failures, 0);
        tap_eq_uint(status.client_state, NIPC_CLIENT_STATE_READY);
        first_ms = status.last_refresh_ms;
        tap_check(first_ms > 0);

        /* A lower generation is published too; an empty snapshot is one. */
        answer(0, 4);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 77), 0);
        tap_eq_uint(fake.call_timeout_ms, 77);
        holds(cache, 0, 4);
        tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
        tap_check(status.populated && status.last_refresh_ms >= first_ms);
        tap_eq_uint(fake.n_refreshes, 1);
        nipc_cgroups_cache_free(cache);
        tap_eq_uint(fake.n_frees, 1);
}

static void test_failures_keep_the_old(void)
{
        static const struct {
                enum nipc_client_state state;
                int error;
                int call_result;
                int expected;
        } cases[] = {
                {NIPC_CLIENT_STATE_NOT_FOUND, -ENOENT, 0, -ENOTCONN},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ECONNRESET, 0, -ENOTCONN},
                {NIPC_CLIENT_STATE_AUTH_FAILED, -EACCES, 0, -EACCES},
                {NIPC_CLIENT_STATE_INCOMPATIBLE, -EPROTONOSUPPORT, 0, -EPROTONOSUPPORT},
                {NIPC_CLIENT_STATE_BROKEN, -ECANCELED, 0, -ECANCELED},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ETIMEDOUT, 0, -ETIMEDOUT},
                {NIPC_CLIENT_STATE_READY, -ECONNRESET, -ECONNRESET, -ECONNRESET},
                {NIPC_CLIENT_STATE_READY, -EMSGSIZE, -EMSGSIZE, -EMSGSIZE},
        };
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_cgroups_cache *cache = cache_new(0);
        unsigned i;

        tap_require(cache != NULL);
        answer(10, 1);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                fake.current_state = NIPC_CLIENT_STATE_BROKEN;
                fake.state = cases[i].state;
                fake.error = cases[i].error;
                fake.call_result = cases[i].call_result;
                tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), cases[i].expected);
                tap_eq_int(nipc_cgroups_cache_get_failure(cache, &failure), 0);
                tap_eq_int(failure.error, cases[i].error);
                tap_eq_str(failure.step, "fake");
                tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
                tap_eq_uint(status.n_failures, i + 1);
                tap_eq_uint(status.n_successes, 1);
                tap_eq_uint(status.client_state, cases[i].state);
                holds(cache, 10, 1);
        }
        nipc_cgroups_cache_free(cache);
}

/* The last item lacks a NUL: what came before it is not published, the client is not to blame. */
static void test_bad_item(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;
        struct nipc_cgroups_cache *cache = cache_new(0);

        tap_require(cache != NULL);
        answer(10, 1);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        answer(20, 2);
        payload[fake.payload_size - 1] = 'x';
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), -EBADMSG);
        holds(cache, 10, 1);
        tap_eq_int(nipc_cgroups_cache_get_failure(cache, &failure), 0);
        tap_eq_int(failure.error, -EBADMSG);
        tap_eq_int(failure.fault.error, NIPC_PROTO_E_MISSING_NUL);
        tap_check(failure.fault.offset == fake.payload_size - 1);
        tap_eq_str(failure.step, "load");
        tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
        tap_eq_uint(status.client_state, NIPC_CLIENT_STATE_READY);
        payload[fake.payload_size - 1] = 0;
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        holds(cache, 20, 2);
        tap_eq_int(nipc_cgroups_cache_get_failure(cache, &failure), 0);
        tap_eq_int(failure.error, 0);
        nipc_cgroups_cache_free(cache);
}

/* 16 bytes of name and path, and n_items entries that all lead to one item with much of both. */
static void answer_shared(uint32_t n_items, uint32_t name_len)
{
        struct nipc_cgroups_snapshot_builder builder;
        struct nipc_cgroups_snapshot_item item = {.name_len = name_len};
        static char name[1 << 16];
        uint32_t i;

        memset(name, 'n', name_len);
        item.name = name;
        nipc_cgroups_snapshot_builder_init(&builder, payload, sizeof(payload), n_items);
        for (i = 0; i < n_items; i++) {
                nipc_cgroups_snapshot_builder_add(&builder, &item);
                item.name_len = 0;
                item.hash++;
        }
        nipc_cgroups_snapshot_builder_finish(&builder, 1, 1, &fake.payload_size);
        for (i = 1; i < n_items; i++)
                memcpy(payload + 24 + 8 * (size_t)i, payload + 24, 8);
        fake.payload = payload;
}

/* Items that share their bytes are fine, as long as their number does not add up to an attack. */
static void test_shared_bytes(void)
{
        const struct nipc_cgroups_cache_snapshot *snapshot;
        struct nipc_cgroups_cache *cache = cache_new(1 << 20);

        tap_require(cache != NULL);
        answer_shared(10, 60000);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        snapshot = nipc_cgroups_cache_acquire(cache);
        tap_eq_uint(nipc_cgroups_cache_get_count(snapshot), 10);
        tap_eq_uint(nipc_cgroups_cache_get(snapshot, 9)->item.name_len, 60000);
        tap_eq_uint(strlen(nipc_cgroups_cache_get(snapshot, 9)->item.name), 60000);
        nipc_cgroups_cache_release(cache, snapshot);
        answer_shared(1000, 60000);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), -EMSGSIZE);
        nipc_cgroups_cache_free(cache);

        cache = cache_new(10000);
        tap_require(cache != NULL);
        answer_shared(1000, 4);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), -EMSGSIZE);
        nipc_cgroups_cache_free(cache);
}

/* The largest response that the client would take is always loaded. */
static void test_limit_fits_what_is_received(void)
{
        struct nipc_cgroups_cache *cache;
        uint32_t n;

        for (n = 0; n < 200; n++) {
                answer(n, 1);
                cache = cache_new((uint32_t)fake.payload_size + 8);
                answer(n, 1);
                tap_require(cache != NULL);
                tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
                holds(cache, n, 1);
                nipc_cgroups_cache_free(cache);
        }
}

static void test_cancel(void)
{
        struct nipc_cgroups_cache *cache = cache_new(0);
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;

        tap_require(cache != NULL);
        nipc_cgroups_cache_cancel(cache);
        tap_eq_uint(fake.n_cancels, 1);
        nipc_cgroups_cache_reset_cancel(cache);
        tap_eq_uint(fake.n_resets, 1);
        tap_eq_int(nipc_cgroups_cache_get_status(cache, &status), 0);
        tap_eq_uint(status.client_state, NIPC_CLIENT_STATE_BROKEN);
        nipc_cgroups_cache_free(cache);
}

static void test_arguments(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_cache_class class_ = {.size = sizeof(class_)};
        struct nipc_cgroups_cache *cgroups = NULL;
        struct nipc_cache_status status = {0};
        struct nipc_cache *cache = NULL;

        memset(&fake, 0, sizeof(fake));
        tap_eq_int(nipc_cgroups_cache_new(NULL, &cgroups), -EINVAL);
        tap_eq_int(nipc_cgroups_cache_new(&config, NULL), -EINVAL);
        tap_eq_int(nipc_cache_new(&config, NULL, &cache), -EINVAL);
        tap_eq_int(nipc_cache_new(&config, &class_, &cache), -EINVAL);
        fake.new_result = -EMFILE;
        tap_eq_int(nipc_cgroups_cache_new(&config, &cgroups), -EMFILE);
        tap_check(!cgroups && !cache);
        tap_check(!nipc_cgroups_cache_free(NULL));
        tap_check(!nipc_cache_free(NULL));
        tap_check(!nipc_cgroups_cache_lookup(NULL, 0, "", 0));
        tap_check(!nipc_cache_snapshot_lookup(NULL, 0, "", 0));
        tap_check(!nipc_cgroups_cache_get(NULL, 0));
        tap_eq_uint(nipc_cgroups_cache_get_count(NULL), 0);

        cgroups = cache_new(0);
        tap_require(cgroups != NULL);
        tap_eq_int(nipc_cgroups_cache_get_status(cgroups, NULL), -EINVAL);
        tap_eq_int(nipc_cgroups_cache_get_status(cgroups, &status), -EINVAL);
        /* A caller of an older header: nothing is written beyond its struct. */
        memset(&status, 0xff, sizeof(status));
        status.size = offsetof(struct nipc_cache_status, generation);
        tap_eq_int(nipc_cgroups_cache_get_status(cgroups, &status), 0);
        tap_check(!status.populated);
        tap_check(status.generation == UINT64_MAX);
        nipc_cgroups_cache_free(cgroups);
}

static void test_out_of_memory(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_cgroups_cache *cache;
        unsigned n, n_failures = 0;
        int r = -1;

        for (n = 1; r; n++) {
                cache = NULL;
                memset(&fake, 0, sizeof(fake));
                alloc_arm(n);
                r = nipc_cgroups_cache_new(&config, &cache);
                tap_check(r == 0 || (r == -ENOMEM && !cache));
        }
        tap_check(n > 3);
        fake.state = NIPC_CLIENT_STATE_READY;
        answer(100, 1);
        for (r = -1, n = 1; r; n++) {
                alloc_arm(n);
                r = nipc_cgroups_cache_refresh(cache, 0);
                n_failures += r == -ENOMEM;
        }
        alloc_arm(0);
        tap_eq_uint(n_failures, 1); /* the arena; without an index it scans */
        holds(cache, 100, 1);
        nipc_cgroups_cache_free(cache);
}

/* A fetch that waits until it is let go. */
struct gate {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool inside, open;
        struct nipc_cache *cache;
};

static int fetch_waiting(void *userdata, struct nipc_client *client, uint32_t timeout_ms,
                         struct nipc_cache_loader *loader)
{
        struct gate *gate = userdata;
        void *item;

        pthread_mutex_lock(&gate->mutex);
        gate->inside = true;
        pthread_cond_broadcast(&gate->changed);
        while (!gate->open)
                pthread_cond_wait(&gate->changed, &gate->mutex);
        pthread_mutex_unlock(&gate->mutex);
        return nipc_cache_loader_add(loader, 1, "a", 1, &item);
}

static void *refresh_thread(void *userdata)
{
        tap_eq_int(nipc_cache_refresh(((struct gate *)userdata)->cache, 0), 0);
        return NULL;
}

/* While one thread refreshes, others are refused, and may do everything else. */
static void test_busy(void)
{
        struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false,
                            NULL};
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        const struct nipc_cache_class class_ = {sizeof(class_), sizeof(struct nipc_cache_item),
                                                fetch_waiting, &gate};
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;
        pthread_t thread;

        memset(&fake, 0, sizeof(fake));
        fake.state = NIPC_CLIENT_STATE_READY;
        tap_require(nipc_cache_new(&config, &class_, &gate.cache) == 0);
        tap_require(pthread_create(&thread, NULL, refresh_thread, &gate) == 0);
        pthread_mutex_lock(&gate.mutex);
        while (!gate.inside)
                pthread_cond_wait(&gate.changed, &gate.mutex);
        pthread_mutex_unlock(&gate.mutex);
        tap_eq_int(nipc_cache_refresh(gate.cache, 0), -EBUSY);
        tap_eq_int(nipc_cache_get_status(gate.cache, &status), 0);
        tap_eq_uint(status.n_failures + status.n_successes, 0);
        tap_check(!nipc_cache_acquire(gate.cache));
        nipc_cache_cancel(gate.cache);
        pthread_mutex_lock(&gate.mutex);
        gate.open = true;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.mutex);
        pthread_join(thread, NULL);
        tap_eq_int(nipc_cache_refresh(gate.cache, 0), 0);
        tap_eq_int(nipc_cache_get_status(gate.cache, &status), 0);
        tap_eq_uint(status.n_successes, 2);
        nipc_cache_free(gate.cache);
}

static bool has_line(const char *text, size_t size, const char *line)
{
        size_t n = strlen(line), i;

        for (i = 0; i + n <= size; i++)
                if ((!i || text[i - 1] == '\n') && !memcmp(text + i, line, n))
                        return true;
        return false;
}

static void test_metrics(void)
{
        struct nipc_cgroups_cache *cache = cache_new(0);
        char text[4096];
        size_t size = 0, needed;

        tap_require(cache != NULL);
        tap_eq_int(nipc_cgroups_cache_format_metrics(cache, "s", text, sizeof(text), &size), 0);
        tap_check(has_line(text, size, "nipc_cache_populated{service=\"s\"} 0\n"));
        tap_check(!has_line(text, size, "nipc_cache_age_seconds{"));
        answer(3, 1);
        tap_eq_int(nipc_cgroups_cache_refresh(cache, 0), 0);
        tap_eq_int(nipc_cgroups_cache_format_metrics(cache, "s", NULL, 0, &needed), -ENOSPC);
        tap_check(needed > size);
        tap_eq_int(nipc_cgroups_cache_format_metrics(cache, "s", text, sizeof(text), &size), 0);
        tap_check(has_line(text, size, "nipc_cache_items{service=\"s\"} 3\n"));
        tap_check(has_line(text, size,
                           "nipc_cache_refreshes_total{service=\"s\",result=\"ok\"} 1\n"));
        tap_check(has_line(text, size, "nipc_cache_age_seconds{service=\"s\"} "));
        tap_eq_int(nipc_cgroups_cache_format_metrics(cache, NULL, text, 1, &size), -EINVAL);
        tap_eq_int(nipc_cgroups_cache_format_metrics(NULL, "s", text, 1, &size), -EINVAL);
        nipc_cgroups_cache_free(cache);
}

TAP_MAIN(TAP_CASE(test_metrics), TAP_CASE(test_refresh), TAP_CASE(test_failures_keep_the_old),
         TAP_CASE(test_bad_item), TAP_CASE(test_shared_bytes),
         TAP_CASE(test_limit_fits_what_is_received), TAP_CASE(test_cancel),
         TAP_CASE(test_arguments), TAP_CASE(test_out_of_memory), TAP_CASE(test_busy))
