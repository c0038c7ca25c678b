/* SPDX-License-Identifier: MIT */

/*
 * A million random operations, the same each time, against a model of what a cache of lookups
 * says: an array with a place for each key. Limits are out of reach, so that the model is exact;
 * once more with limits that are not, when what is had must be right and a sweep whole.
 */

#include "util-fake-lookup.h"

enum {
        N_KEYS = 3000,
        N_SWEEP = 100,
        N_OPERATIONS = 170000, /* for each of three kinds of keys, twice */
        MAX_AGE_MS = 1000,
        RETRY_MS = 100,
        STALE_MS = 300,
};

static struct {
        const struct nipc_lookup_class *class_;
        struct nipc_lookup_cache *cache;
        bool exact;
        uint64_t now_ms; /* as the cache knows it */
        uint64_t generation;
        struct {
                uint32_t version; /* 0: nothing */
                uint64_t fresh_until_ms;
                bool is_wanted;
        } keys[N_KEYS];
        uint64_t n_hits, n_had;
} model;

static uint64_t random_u64(void)
{
        static uint64_t x = 88172645463325252u;

        x ^= x << 13;
        x ^= x >> 7;
        return x ^= x << 17;
}

static uint32_t random_below(uint32_t n)
{
        return (uint32_t)(random_u64() >> 32) % n;
}

/* One in eight is not known yet. */
static bool is_provisional(uint32_t k)
{
        return k % 8 == 0 && model.class_ != bytes_class();
}

static const void *key_make(uint32_t k, char scratch[64], size_t *ret_size)
{
        const uint32_t pid[2] = {is_provisional(k) ? UNKNOWN_PID + k : k, 0};

        *ret_size = model.class_->key_size;
        if (model.class_ == nipc_apps_lookup_get_class())
                return memcpy(scratch, pid, sizeof(pid));
        if (model.class_ == bytes_class()) {
                memset(scratch, 0, BYTES_KEY);
                nipc_store_u32(scratch + 9, k);
                return scratch;
        }
        *ret_size = (size_t)snprintf(scratch, 64, "%s/%0*u", is_provisional(k) ? "?" : "",
                                     (int)(k % 50), k);
        return scratch;
}

/* The version an item is of, 0 without one; it must be for this key. */
static uint32_t version_of(struct nipc_lookup_item item, uint32_t k)
{
        char scratch[64];
        size_t size;
        const void *key = key_make(k, scratch, &size);

        if (!item.bytes)
                return 0;
        if (!tap_check(nipc_lookup_item_is_for(model.class_, item, key, size)))
                return UINT32_MAX;
        if (is_provisional(k))
                return 1;
        if (model.class_ == bytes_class())
                return nipc_load_u32(item.bytes + 4);
        if (model.class_ == nipc_apps_lookup_get_class())
                return pid_version(item, k);
        return (uint32_t)atoi(nipc_lookup_item_get_string(model.class_, item, 1).str);
}

/* What get must say; it may make the key wanted. */
static uint32_t model_get(uint32_t k)
{
        if (model.keys[k].version && model.now_ms < model.keys[k].fresh_until_ms)
                return model.keys[k].version;
        model.keys[k].is_wanted = true;
        if (model.keys[k].version && model.now_ms < model.keys[k].fresh_until_ms + STALE_MS)
                return model.keys[k].version;
        return 0;
}

/* The answers to all that is wanted. */
static void model_answer(void)
{
        const bool is_new = model.generation != provider.generation;
        bool any = false;
        uint32_t k;

        for (k = 0; k < N_KEYS; k++)
                any |= model.keys[k].is_wanted;
        for (k = 0; any && k < N_KEYS; k++) {
                if (is_new)
                        model.keys[k].version = 0;
                if (!model.keys[k].is_wanted)
                        continue;
                model.keys[k].is_wanted = false;
                model.keys[k].version = is_provisional(k) ? 1 : provider.version;
                model.keys[k].fresh_until_ms =
                        model.now_ms + (is_provisional(k) ? RETRY_MS : MAX_AGE_MS);
        }
        if (any)
                model.generation = provider.generation;
}

static bool operate_get(void)
{
        const uint32_t k = random_below(N_KEYS);
        char scratch[64];
        size_t size;
        const void *key = key_make(k, scratch, &size);
        const uint32_t version = version_of(nipc_lookup_cache_get(model.cache, key, size), k);

        model.n_hits += version != 0;
        model.n_had++;
        return model.exact ? tap_eq_uint(version, model_get(k))
                           : version == 0 || tap_check(version <= provider.version);
}

static bool operate_forget(void)
{
        const uint32_t k = random_below(N_KEYS);
        char scratch[64];
        size_t size;
        const void *key = key_make(k, scratch, &size);

        nipc_lookup_cache_forget(model.cache, key, size);
        model.keys[k].version = 0;
        return true;
}

/* The provider fails now and then. */
static int will_return(void)
{
        const int r = random_below(4) ? 0 : -ETIMEDOUT;

        /* results are for the first calls. */
        provider.n_calls &= 1;
        provider.results[provider.n_calls] = r;
        provider.results[provider.n_calls + 1] = 0;
        return r;
}

static bool operate_resolve(void)
{
        const bool any = status_of(model.cache).n_wanted != 0;
        const int r = will_return();

        model.now_ms = fake_now_ns / 1000000;
        if (!tap_eq_int(nipc_lookup_cache_resolve(model.cache, 0), any ? r : 0))
                return false;
        if (r == 0)
                model_answer();
        return true;
}

/* Never in a new generation: then there is one call more, and the model knows of none. */
static bool operate_sweep(void)
{
        static char texts[N_SWEEP][64];
        struct nipc_lookup_item items[N_SWEEP];
        static struct nipc_lookup_key list[N_SWEEP];
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of(list, N_SWEEP);
        uint32_t numbers[N_SWEEP], i;
        bool good;
        int r;

        if (model.generation != provider.generation)
                return operate_resolve();
        model.now_ms = fake_now_ns / 1000000;
        for (i = 0; i < N_SWEEP; i++) {
                numbers[i] = random_below(N_KEYS);
                list[i].data = key_make(numbers[i], texts[i], &list[i].size);
                model_get(numbers[i]);
        }
        if (will_return() == 0)
                model_answer();
        r = nipc_lookup_cache_sweep(model.cache, &keys, 0, items);
        good = tap_check(r == 0 || r == -ETIMEDOUT || (!model.exact && r == -EMSGSIZE));
        for (i = 0; good && i < N_SWEEP; i++) {
                const uint32_t version = version_of(items[i], numbers[i]);

                if (model.exact)
                        good = tap_eq_uint(version, model_get(numbers[i]));
                else if (r == 0)
                        good = tap_check(version && version <= provider.version);
        }
        return good;
}

static bool operate(void)
{
        const uint32_t dice = random_below(2000);

        if (dice < 1900)
                return operate_get();
        if (dice < 1940)
                return operate_forget();
        if (dice < 1960)
                clock_advance(random_below(60));
        else if (dice < 1970)
                provider.version++;
        else if (dice < 1980)
                return operate_resolve();
        else if (dice < 1997)
                return operate_sweep();
        else if (dice < 1998)
                provider.generation++;
        else
                nipc_lookup_cache_update_time(model.cache), model.now_ms = fake_now_ns / 1000000;
        return true;
}

static void run(const struct nipc_lookup_class *class_, bool exact)
{
        const struct nipc_lookup_cache_config config = {
                .size = sizeof(config),
                .max_items = exact ? 0 : 500,
                .max_wanted = exact ? 0 : 400,
                .max_bytes = exact ? 0 : 1 << 17,
                .max_age_ms = MAX_AGE_MS,
                .retry_ms = RETRY_MS,
                .stale_ms = STALE_MS,
        };
        unsigned i;

        memset(&model, 0, sizeof(model));
        alloc.peak_bytes = 0;
        model.class_ = class_;
        model.exact = exact;
        model.generation = 1;
        model.now_ms = fake_now_ns / 1000000;
        model.cache = cache_new_with(class_, &config, 0);
        tap_require(model.cache != NULL);
        for (i = 0; i < N_OPERATIONS && operate(); i++)
                ;
        tap_eq_uint(i, N_OPERATIONS);
        tap_eq_uint(status_of(model.cache).n_bytes, alloc.n_bytes);
        if (!exact)
                tap_check(alloc.peak_bytes <= 1 << 17);
        tap_note("%u of %u were there", (unsigned)model.n_hits, (unsigned)model.n_had);
        tap_check(model.n_hits > model.n_had / 20 && model.n_hits < model.n_had);
        nipc_lookup_cache_free(model.cache);
        tap_eq_uint(alloc.n_blocks, 0);
}

static void test_pids(void)
{
        run(nipc_apps_lookup_get_class(), true);
        run(nipc_apps_lookup_get_class(), false);
}

static void test_strings(void)
{
        run(nipc_cgroups_lookup_get_class(), true);
        run(nipc_cgroups_lookup_get_class(), false);
}

static void test_bytes(void)
{
        run(bytes_class(), true);
        run(bytes_class(), false);
}

TAP_MAIN(TAP_CASE(test_pids), TAP_CASE(test_strings), TAP_CASE(test_bytes))
