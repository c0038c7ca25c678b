/* SPDX-License-Identifier: MIT */

/* A cache of lookups key by key: what is wanted, how long answers live, what failures leave. */

#include "util-fake-lookup.h"

static void test_get_and_resolve(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        const uint32_t key[2] = {7, 0};
        struct nipc_lookup_cache_status status;

        tap_require(cache != NULL);
        tap_eq_uint(get_pid(cache, 7), 0);
        tap_eq_uint(get_pid(cache, 7), 0);
        tap_eq_uint(get_pid(cache, UNKNOWN_PID), 0);
        tap_eq_uint(status_of(cache).n_wanted, 2);
        tap_eq_uint(provider.n_calls, 0);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 77), 0);
        tap_eq_uint(provider.n_calls, 1);
        tap_eq_uint(provider.n_keys, 2);
        tap_eq_uint(fake.call_timeout_ms, 77);
        tap_eq_uint(get_pid(cache, 7), 1);
        tap_eq_uint(get_pid(cache, UNKNOWN_PID), 1);
        tap_eq_uint(pid_version(nipc_lookup_cache_get(cache, key, 8), 7), 1);

        /* Nothing is wanted: nobody is asked. */
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_calls, 1);
        status = status_of(cache);
        tap_eq_uint(status.n_items, 2);
        tap_eq_uint(status.n_wanted, 0);
        tap_eq_uint(status.n_hits, 3);
        tap_eq_uint(status.n_misses, 3);
        tap_eq_uint(status.n_calls, 1);
        tap_eq_uint(status.n_failures, 0);
        tap_eq_uint(status.generation, 1);
        tap_eq_uint(status.last_success_ms, fake_now_ns / 1000000);
        tap_eq_uint(status.client_state, NIPC_CLIENT_STATE_READY);
        tap_eq_uint(status.n_bytes, alloc.n_bytes);
        tap_check(!nipc_lookup_cache_free(cache));
        tap_eq_uint(alloc.n_blocks, 0);
        tap_eq_uint(fake.n_frees, 1);
}

static void test_strings(void)
{
        static char text[512];
        struct nipc_lookup_cache *cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
        unsigned n;

        tap_require(cache != NULL);
        memset(text, 'k', sizeof(text) - 1);
        for (n = 1; n < sizeof(text); n++) {
                tap_eq_uint(get_string(cache, text + sizeof(text) - 1 - n), 0);
                tap_eq_uint(get_string(cache, text + sizeof(text) - 1 - n), 0);
        }
        tap_eq_uint(get_string(cache, ""), 0);
        tap_eq_uint(get_string(cache, NULL), 0);
        tap_check(!nipc_lookup_cache_get(cache, "a\0b", 3).bytes);
        tap_eq_uint(status_of(cache).n_forgotten, 3);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_keys, sizeof(text) - 1);
        for (n = 1; n < sizeof(text); n++)
                if (!tap_eq_uint(get_string(cache, text + sizeof(text) - 1 - n), 1))
                        break;
        tap_eq_uint(status_of(cache).n_items, sizeof(text) - 1);
        tap_eq_uint(status_of(cache).n_bytes, alloc.n_bytes);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_keys_of_16_bytes(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(bytes_class(), NULL, 0);
        uint8_t key[BYTES_KEY] = {0};
        unsigned i;

        tap_require(cache != NULL);
        for (i = 0; i < 1000; i++) {
                nipc_store_u32(key + 12, i);
                tap_eq_uint(get_bytes(cache, key), 0);
        }
        tap_check(!nipc_lookup_cache_get(cache, key, BYTES_KEY - 1).bytes);
        tap_check(!nipc_lookup_cache_get_pid(cache, 1).bytes);
        tap_eq_uint(status_of(cache).n_wanted, 1000);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        for (i = 0; i < 1000; i++) {
                nipc_store_u32(key + 12, i);
                if (!tap_eq_uint(get_bytes(cache, key), 1))
                        break;
        }
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* Each status lives as long as it says; get alone does not see time pass. */
static void test_age(void)
{
        static const char *const keys[] = {"/known", "!never", "+large", "?later"};
        const struct nipc_lookup_cache_config config = {
                .size = sizeof(config), .max_age_ms = 1000, .retry_ms = 100, .stale_ms = 500};
        struct nipc_lookup_cache *cache =
                cache_new_with(nipc_cgroups_lookup_get_class(), &config, 0);
        unsigned i;

        tap_require(cache != NULL);
        for (i = 0; i < 4; i++)
                get_string(cache, keys[i]);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        clock_advance(100);
        for (i = 0; i < 4; i++)
                tap_eq_uint(get_string(cache, keys[i]), 1);
        tap_eq_uint(status_of(cache).n_wanted, 0);

        nipc_lookup_cache_update_time(cache);
        for (i = 0; i < 4; i++)
                tap_eq_uint(get_string(cache, keys[i]), 1);
        tap_eq_uint(status_of(cache).n_wanted, 1);
        tap_eq_uint(status_of(cache).n_stale, 1);
        tap_eq_uint(status_of(cache).n_expired, 1);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_keys, 1);

        clock_advance(899);
        nipc_lookup_cache_update_time(cache);
        for (i = 0; i < 3; i++)
                tap_eq_uint(get_string(cache, keys[i]), 1);
        tap_eq_uint(status_of(cache).n_wanted, 0);
        clock_advance(1);
        nipc_lookup_cache_update_time(cache);
        for (i = 0; i < 3; i++)
                tap_eq_uint(get_string(cache, keys[i]), 1);
        tap_eq_uint(status_of(cache).n_wanted, 3);
        nipc_lookup_cache_free(cache);
}

/* Old answers are had while there is no newer one, and not for ever. */
static void test_stale(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config),
                                                        .max_age_ms = 1000,
                                                        .stale_ms = 500};
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), &config, 0);

        tap_require(cache != NULL);
        get_pid(cache, 1);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        provider.results[1] = provider.results[2] = -ETIMEDOUT;
        provider.version = 2;
        clock_advance(1499);
        nipc_lookup_cache_update_time(cache);
        tap_eq_uint(get_pid(cache, 1), 1);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -ETIMEDOUT);
        tap_eq_uint(get_pid(cache, 1), 1);
        clock_advance(1);
        nipc_lookup_cache_update_time(cache);
        tap_eq_uint(get_pid(cache, 1), 0);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), -ETIMEDOUT);
        tap_eq_uint(get_pid(cache, 1), 0);
        tap_eq_uint(status_of(cache).n_wanted, 1);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(get_pid(cache, 1), 2);
        tap_eq_uint(status_of(cache).n_expired, 1);

        /* Nobody asks for it any more: it goes by itself. */
        clock_advance(1500);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(status_of(cache).n_items, 0);
        tap_eq_uint(status_of(cache).n_expired, 2);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_no_stale(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config),
                                                        .max_age_ms = 1,
                                                        .stale_ms = NIPC_LOOKUP_CACHE_NO_STALE};
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), &config, 0);

        tap_require(cache != NULL);
        get_pid(cache, 1);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(get_pid(cache, 1), 1);
        clock_advance(1);
        nipc_lookup_cache_update_time(cache);
        tap_eq_uint(get_pid(cache, 1), 0);
        nipc_lookup_cache_free(cache);
}

static void test_generations(void)
{
        struct nipc_lookup_cache_config config = NIPC_LOOKUP_CACHE_CONFIG_INIT;
        struct nipc_lookup_cache *cache;
        unsigned keep;

        for (keep = 0; keep < 2; keep++) {
                config.keep_generations = keep;
                cache = cache_new_with(nipc_apps_lookup_get_class(), &config, 0);
                tap_require(cache != NULL);
                get_pid(cache, 1);
                get_pid(cache, 2);
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
                provider.generation = 9;
                provider.version = 2;
                get_pid(cache, 3);
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
                tap_eq_uint(get_pid(cache, 1), keep);
                tap_eq_uint(get_pid(cache, 3), 2);
                tap_eq_uint(status_of(cache).n_items, keep ? 3 : 1);
                tap_eq_uint(status_of(cache).n_generations, !keep);
                tap_eq_uint(status_of(cache).generation, 9);
                nipc_lookup_cache_free(cache);
                tap_eq_uint(alloc.n_blocks, 0);
        }
}

/* What is wanted when everything is dropped is asked for all the same: two calls, the second of
 * the new generation, for keys whose items are gone. */
static void test_generation_between_calls(void)
{
        const struct nipc_lookup_cache_config config = {.size = sizeof(config), .max_age_ms = 10};
        struct nipc_lookup_cache *cache =
                cache_new_with(nipc_cgroups_lookup_get_class(), &config, 2);

        tap_require(cache != NULL);
        get_string(cache, "/a/long/enough/path/one");
        get_string(cache, "/a/long/enough/path/two");
        get_string(cache, "/a/long/enough/path/three");
        get_string(cache, "/a/long/enough/path/four");
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_calls, 2);
        clock_advance(10);
        nipc_lookup_cache_update_time(cache);
        get_string(cache, "/a/long/enough/path/one");
        get_string(cache, "/a/long/enough/path/two");
        get_string(cache, "/a/long/enough/path/three");
        provider.generation = 2;
        provider.version = 2;
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(provider.n_calls, 4);
        tap_eq_uint(get_string(cache, "/a/long/enough/path/three"), 2);
        tap_eq_uint(get_string(cache, "/a/long/enough/path/one"), 2);
        tap_eq_uint(get_string(cache, "/a/long/enough/path/four"), 0);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_failures(void)
{
        static const int errors[] = {-ETIMEDOUT, -EBADMSG, -ECONNRESET,
                                     -EREMOTEIO, -ENOMEM,  -ECANCELED};
        struct nipc_lookup_cache *cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        unsigned i;

        tap_require(cache != NULL);
        get_string(cache, "/old");
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        get_string(cache, "/new");
        for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                provider.results[i + 1] = errors[i];
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), errors[i]);
                tap_eq_uint(get_string(cache, "/old"), 1);
                tap_eq_uint(get_string(cache, "/new"), 0);
                tap_eq_int(nipc_lookup_cache_get_failure(cache, &failure), 0);
                tap_eq_int(failure.error, errors[i]);
                tap_eq_uint(status_of(cache).n_wanted, 1);
                tap_eq_uint(status_of(cache).n_failures, i + 1);
        }
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(get_string(cache, "/new"), 1);
        tap_eq_int(nipc_lookup_cache_get_failure(cache, &failure), 0);
        tap_eq_int(failure.error, 0);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_not_connected(void)
{
        static const struct {
                enum nipc_client_state state;
                int error;
                int result;
        } rows[] = {
                {NIPC_CLIENT_STATE_NOT_FOUND, 0, -ENOTCONN},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ETIMEDOUT, -ETIMEDOUT},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ECANCELED, -ECANCELED},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ENOMEM, -ENOMEM},
                {NIPC_CLIENT_STATE_DISCONNECTED, -ECONNREFUSED, -ENOTCONN},
                {NIPC_CLIENT_STATE_AUTH_FAILED, -EACCES, -EACCES},
                {NIPC_CLIENT_STATE_INCOMPATIBLE, -EPROTO, -EPROTONOSUPPORT},
        };
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        unsigned i;

        tap_require(cache != NULL);
        get_pid(cache, 5);
        for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                fake.state = rows[i].state;
                fake.error = rows[i].error;
                tap_eq_int(nipc_lookup_cache_resolve(cache, 0), rows[i].result);
                tap_eq_int(nipc_lookup_cache_get_failure(cache, &failure), 0);
                tap_eq_int(failure.error, rows[i].error ? rows[i].error : -ENOTCONN);
        }
        tap_eq_uint(provider.n_calls, 0);
        fake.state = NIPC_CLIENT_STATE_READY;
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(get_pid(cache, 5), 1);
        nipc_lookup_cache_cancel(cache);
        nipc_lookup_cache_reset_cancel(cache);
        tap_eq_uint(fake.n_cancels, 1);
        tap_eq_uint(fake.n_resets, 1);
        nipc_lookup_cache_free(cache);
}

static void test_forget(void)
{
        struct nipc_lookup_cache *cache = cache_new_with(nipc_cgroups_lookup_get_class(), NULL, 0);
        struct nipc_lookup_item item;

        tap_require(cache != NULL);
        get_string(cache, "/one");
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        item = nipc_lookup_cache_get_string(cache, "/one");
        nipc_lookup_cache_forget(cache, "/one", 4);
        nipc_lookup_cache_forget(cache, "/one", 4);
        nipc_lookup_cache_forget(cache, "/two", 4);
        nipc_lookup_cache_forget(cache, NULL, 0);
        tap_eq_uint(status_of(cache).n_items, 0);
        /* It is not there any more, but what was handed out is. */
        tap_eq_uint(get_string(cache, "/one"), 0);
        tap_check(nipc_lookup_item_is_for(nipc_cgroups_lookup_get_class(), item, "/one", 4));
        provider.version = 2;
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(get_string(cache, "/one"), 2);
        nipc_lookup_cache_forget(cache, "/one", 4);
        tap_eq_int(nipc_lookup_cache_resolve(cache, 0), 0);
        tap_eq_uint(status_of(cache).n_bytes, alloc.n_bytes);
        tap_eq_uint(get_string(cache, "/one"), 0);
        nipc_lookup_cache_free(cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_new(void)
{
        const struct nipc_lookup_class *apps = nipc_apps_lookup_get_class();
        struct nipc_lookup_cache_config config = NIPC_LOOKUP_CACHE_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_lookup_class class_ = *apps;
        struct nipc_lookup_cache *cache = NULL;
        unsigned i;

        provider_reset();
        tap_eq_int(nipc_lookup_cache_new(&client_config, NULL, NULL, &cache), -EINVAL);
        tap_eq_int(nipc_lookup_cache_new(&client_config, apps, NULL, NULL), -EINVAL);
        tap_eq_int(nipc_lookup_cache_new(NULL, apps, NULL, &cache), -EINVAL);
        class_.item_header_size = 1;
        tap_eq_int(nipc_lookup_cache_new(&client_config, &class_, NULL, &cache), -EINVAL);
        config.max_bytes = NIPC_LOOKUP_CACHE_MIN_BYTES - 1;
        tap_eq_int(nipc_lookup_cache_new(&client_config, apps, &config, &cache), -EINVAL);
        config.max_bytes = 0;
        config.max_items = (1u << 30) + 1;
        tap_eq_int(nipc_lookup_cache_new(&client_config, apps, &config, &cache), -EINVAL);
        config.max_items = 0;
        config.size = 1;
        tap_eq_int(nipc_lookup_cache_new(&client_config, apps, &config, &cache), -EINVAL);
        for (i = 1; i <= 2; i++) {
                alloc_arm(i);
                tap_eq_int(nipc_lookup_cache_new(&client_config, apps, NULL, &cache), -ENOMEM);
        }
        alloc_arm(0);
        fake.new_result = -EMFILE;
        tap_eq_int(nipc_lookup_cache_new(&client_config, apps, NULL, &cache), -EMFILE);
        tap_check(cache == NULL);
        tap_check(!nipc_lookup_cache_free(NULL));
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_metrics(void)
{
        static const char misses[] =
                "nipc_lookup_cache_keys_total{service=\"s\",result=\"miss\"} 1\n";
        struct nipc_lookup_cache *cache = cache_new_with(nipc_apps_lookup_get_class(), NULL, 0);
        char text[8192];
        size_t size = 0;

        tap_require(cache != NULL);
        tap_eq_uint(get_pid(cache, 7), 0);
        tap_eq_int(nipc_lookup_cache_format_metrics(cache, "s", text, 100, &size), -ENOSPC);
        tap_require(size < sizeof(text));
        tap_eq_int(nipc_lookup_cache_format_metrics(cache, "s", text, sizeof(text) - 1, &size), 0);
        text[size] = '\0';
        tap_check(strstr(text, misses) != NULL);
        tap_check(strstr(text, "nipc_lookup_cache_wanted{service=\"s\"} 1\n") != NULL);
        tap_eq_int(nipc_lookup_cache_format_metrics(cache, NULL, text, 1, &size), -EINVAL);
        nipc_lookup_cache_free(cache);
}

TAP_MAIN(TAP_CASE(test_metrics), TAP_CASE(test_get_and_resolve), TAP_CASE(test_strings),
         TAP_CASE(test_keys_of_16_bytes), TAP_CASE(test_age), TAP_CASE(test_stale),
         TAP_CASE(test_no_stale), TAP_CASE(test_generations),
         TAP_CASE(test_generation_between_calls), TAP_CASE(test_failures),
         TAP_CASE(test_not_connected), TAP_CASE(test_forget), TAP_CASE(test_new))
