/* SPDX-License-Identifier: MIT */

/*
 * The cache of lookups as its users see it: what is kept, and the client that brings it.
 * What is known and for how long is in lookup-answers.c; here is when somebody is asked.
 */

#include <errno.h>
#include <nipc/lookup-cache.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "lookup-answers.h"
#include "not-ready.h"
#include "stdaux.h"

enum {
        DEFAULT_MAX_ITEMS = 65536,
        DEFAULT_MAX_WANTED = 65536, /* as many as a client asks for at once */
        DEFAULT_MAX_BYTES = 64 << 20,
        DEFAULT_MAX_AGE_MS = 60000,
        DEFAULT_RETRY_MS = 5000,
        DEFAULT_STALE_MS = 60000,
        MAX_COUNT = 1 << 30,
        DEFAULT_TIMEOUT_MS = 30000,      /* what the client takes 0 for, see <nipc/client.h> */
        DEFAULT_MAX_LOOKUP_KEYS = 65536, /* the same */
        /* How often a sweep begins again for another generation; chosen. */
        MAX_RESTARTS = 3,
};

struct nipc_lookup_cache {
        struct nipc__answers answers;
        struct nipc_client *client;
        uint32_t timeout_ms;      /* the client's */
        uint32_t max_lookup_keys; /* the client's */
        uint32_t keys_at_once;    /* less after an answer that was too large */
        uint64_t n_calls;
        uint64_t n_failures;
        uint64_t last_success_ms;
        struct nipc_client_failure failure; /* of ours; error 0: see the client's */
};

static uint64_t now_ms(void)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- life --------------------------------------------------------------------------------- */

static int config_complete(struct nipc_lookup_cache_config *config)
{
        if (!config->max_items)
                config->max_items = DEFAULT_MAX_ITEMS;
        if (!config->max_wanted)
                config->max_wanted = DEFAULT_MAX_WANTED;
        if (!config->max_bytes)
                config->max_bytes = DEFAULT_MAX_BYTES;
        if (!config->max_age_ms)
                config->max_age_ms = DEFAULT_MAX_AGE_MS;
        if (!config->retry_ms)
                config->retry_ms = DEFAULT_RETRY_MS;
        if (!config->stale_ms)
                config->stale_ms = DEFAULT_STALE_MS;
        else if (config->stale_ms == NIPC_LOOKUP_CACHE_NO_STALE)
                config->stale_ms = 0;
        if (config->max_items > MAX_COUNT || config->max_wanted > MAX_COUNT ||
            config->max_bytes < NIPC_LOOKUP_CACHE_MIN_BYTES)
                return -EINVAL;
        return 0;
}

static int cache_init(struct nipc_lookup_cache *cache,
                      const struct nipc_client_config *client_config,
                      const struct nipc_lookup_class *class_,
                      const struct nipc_lookup_cache_config *config)
{
        struct nipc_client_config copy;
        int r;

        r = nipc__abi_load(&copy, sizeof(copy), client_config);
        if (r)
                return r;
        cache->timeout_ms = copy.timeout_ms ? copy.timeout_ms : DEFAULT_TIMEOUT_MS;
        cache->max_lookup_keys =
                copy.max_lookup_keys ? copy.max_lookup_keys : DEFAULT_MAX_LOOKUP_KEYS;
        cache->keys_at_once = cache->max_lookup_keys;
        cache->answers.now_ms = now_ms();
        r = nipc__answers_init(&cache->answers, class_, config, sizeof(*cache));
        if (r)
                return r;
        return nipc_client_new(client_config, &cache->client);
}

NIPC__EXPORT int nipc_lookup_cache_new(const struct nipc_client_config *client_config,
                                       const struct nipc_lookup_class *class_,
                                       const struct nipc_lookup_cache_config *config,
                                       struct nipc_lookup_cache **ret_cache)
{
        struct nipc_lookup_cache_config copy = NIPC_LOOKUP_CACHE_CONFIG_INIT;
        struct nipc_lookup_cache *cache;
        int r;

        if (!ret_cache || !class_ || nipc_lookup_class_check(class_, NULL))
                return -EINVAL;
        r = config ? nipc__abi_load(&copy, sizeof(copy), config) : 0;
        if (!r)
                r = config_complete(&copy);
        if (r)
                return r;
        cache = calloc(1, sizeof(*cache));
        if (!cache)
                return -ENOMEM;
        r = cache_init(cache, client_config, class_, &copy);
        if (r) {
                nipc_lookup_cache_free(cache);
                return r;
        }
        *ret_cache = cache;
        return 0;
}

NIPC__EXPORT struct nipc_lookup_cache *nipc_lookup_cache_free(struct nipc_lookup_cache *cache)
{
        if (!cache)
                return NULL;
        nipc_client_free(cache->client);
        nipc__answers_deinit(&cache->answers);
        free(cache);
        return NULL;
}

/* ---- looking up --------------------------------------------------------------------------- */

static NIPC__ALWAYS_INLINE struct nipc_lookup_item probed(struct nipc__answers *answers,
                                                          const struct nipc__lookup_probe *probe,
                                                          enum nipc__lookup_kind kind, int *ret_r)
{
        struct nipc__lookup_entry *entry =
                nipc__lookup_table_find_fresh(&answers->table, probe, answers->now_ms, kind);

        if (NIPC__UNLIKELY(!entry))
                return nipc__answers_get_probed(answers, probe, ret_r);
        return nipc__answers_hit(answers, entry);
}

static NIPC__ALWAYS_INLINE struct nipc_lookup_item get(struct nipc__answers *answers,
                                                       const void *key, size_t size, int *ret_r)
{
        const struct nipc__lookup_table *table = &answers->table;
        struct nipc__lookup_probe probe;

        if (NIPC__UNLIKELY(!nipc__answers_is_key(answers, key, size)))
                return nipc__answers_get(answers, key, size, ret_r);
        nipc__lookup_probe_init(table, key, size, &probe);
        /* Each with what is its own alone. */
        if (table->kind == NIPC__LOOKUP_WORDS)
                return probed(answers, &probe, NIPC__LOOKUP_WORDS, ret_r);
        if (table->kind == NIPC__LOOKUP_STRINGS)
                return probed(answers, &probe, NIPC__LOOKUP_STRINGS, ret_r);
        return probed(answers, &probe, NIPC__LOOKUP_BYTES, ret_r);
}

NIPC__EXPORT struct nipc_lookup_item nipc_lookup_cache_get(struct nipc_lookup_cache *cache,
                                                           const void *key, size_t key_size)
{
        return get(&cache->answers, key, key_size, NULL);
}

/* For keys of 8 bytes, which are the bytes of their word. */
static NIPC__ALWAYS_INLINE struct nipc_lookup_item get_pid(struct nipc__answers *answers,
                                                           uint32_t pid, int *ret_r)
{
        struct nipc__lookup_probe probe;

        nipc__lookup_probe_word(&answers->table, nipc__lookup_pid_word(pid), &probe);
        probe.key = &probe.word;
        probe.size = sizeof(probe.word);
        return probed(answers, &probe, NIPC__LOOKUP_WORDS, ret_r);
}

static inline struct nipc_lookup_item get_listed(struct nipc__answers *answers,
                                                 const struct nipc_lookup_keys *keys,
                                                 uint32_t index, int *ret_r)
{
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        const void *key;
        size_t size;

        key = keys->get(keys, index, scratch, &size);
        return get(answers, key, size, ret_r);
}

NIPC__EXPORT struct nipc_lookup_item nipc_lookup_cache_get_pid(struct nipc_lookup_cache *cache,
                                                               uint32_t pid)
{
        const uint32_t key[2] = {pid, 0};

        if (NIPC__UNLIKELY(cache->answers.table.key_size != sizeof(key)))
                return nipc__answers_get(&cache->answers, key, sizeof(key), NULL);
        return get_pid(&cache->answers, pid, NULL);
}

NIPC__EXPORT void nipc_lookup_cache_forget(struct nipc_lookup_cache *cache, const void *key,
                                           size_t key_size)
{
        nipc__answers_forget(&cache->answers, key, key_size);
}

NIPC__EXPORT void nipc_lookup_cache_update_time(struct nipc_lookup_cache *cache)
{
        cache->answers.now_ms = now_ms();
}

/* ---- asking ------------------------------------------------------------------------------- */

/* A resolve or sweep under way. */
struct asking {
        uint64_t start_ms;
        uint32_t timeout_ms; /* of all of it */
        bool dropped;        /* what was known before */
};

static void asking_begin(struct nipc_lookup_cache *cache, uint32_t timeout_ms,
                         struct asking *ret_asking)
{
        *ret_asking = (struct asking){
                .start_ms = now_ms(),
                .timeout_ms = timeout_ms ? timeout_ms : cache->timeout_ms,
        };
        cache->failure = (struct nipc_client_failure){.step = "lookup"};
        cache->answers.now_ms = ret_asking->start_ms;
        nipc__answers_begin(&cache->answers);
}

/* r: of asking, which is what failures are. */
static int asking_end(struct nipc_lookup_cache *cache, int r)
{
        cache->failure.error = r;
        cache->n_failures += r != 0;
        nipc__answers_end(&cache->answers);
        return r;
}

static int connect_client(struct nipc_lookup_cache *cache)
{
        if (nipc_client_is_ready(cache->client))
                return 0;
        nipc_client_refresh(cache->client);
        return nipc_client_is_ready(cache->client) ? 0 : nipc__why_not_ready(cache->client);
}

static const void *get_wanted(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                              size_t *ret_size)
{
        const struct nipc__lookup_table *table = list->keys;

        return nipc__lookup_table_key(table, table->wanted[index], scratch, ret_size);
}

/* Asks for less from now on; what is too large alone must not keep the others from being asked. */
static void too_large(struct nipc_lookup_cache *cache, uint32_t n_keys)
{
        struct nipc__lookup_table *table = &cache->answers.table;
        const uint32_t first = table->wanted[0];

        cache->keys_at_once = NIPC__MAX(n_keys / 2, 1u);
        if (n_keys > 1)
                return;
        memmove(table->wanted, table->wanted + 1, (table->n_wanted - 1) * sizeof(*table->wanted));
        table->wanted[table->n_wanted - 1] = first;
}

/* One call for the first keys that are wanted, as many as may be. */
static int ask_once(struct nipc_lookup_cache *cache, struct asking *asking)
{
        struct nipc__lookup_table *table = &cache->answers.table;
        const struct nipc_lookup_keys keys = {
                .keys = table,
                .n_keys = NIPC__MIN(table->n_wanted, cache->keys_at_once),
                .get = get_wanted,
        };
        const uint64_t elapsed_ms = cache->answers.now_ms - asking->start_ms;
        struct nipc_lookup_view view;
        int r;

        if (elapsed_ms >= asking->timeout_ms)
                return -ETIMEDOUT;
        r = nipc_client_lookup(cache->client, cache->answers.class_, &keys,
                               asking->timeout_ms - (uint32_t)elapsed_ms, &view);
        cache->answers.now_ms = now_ms();
        if (r == -EMSGSIZE)
                too_large(cache, keys.n_keys);
        if (r == 0 && view.item_count != keys.n_keys)
                r = -EBADMSG;
        if (r)
                return r;
        cache->keys_at_once = (uint32_t)NIPC__MIN((uint64_t)cache->keys_at_once * 2,
                                                  (uint64_t)cache->max_lookup_keys);
        cache->n_calls++;
        cache->last_success_ms = cache->answers.now_ms;
        asking->dropped |= nipc__answers_put(&cache->answers, &view);
        return 0;
}

/* Asks for all that is wanted. */
static int ask(struct nipc_lookup_cache *cache, struct asking *asking)
{
        int r;

        r = connect_client(cache);
        cache->answers.now_ms = now_ms();
        while (r == 0 && cache->answers.table.n_wanted) {
                nipc__answers_release(&cache->answers);
                r = ask_once(cache, asking);
        }
        return r;
}

NIPC__EXPORT int nipc_lookup_cache_resolve(struct nipc_lookup_cache *cache, uint32_t timeout_ms)
{
        struct asking asking;

        asking_begin(cache, timeout_ms, &asking);
        return asking_end(cache, cache->answers.table.n_wanted ? ask(cache, &asking) : 0);
}

/* ---- sweeps ------------------------------------------------------------------------------- */

/* What looking up a list of keys has shown. */
struct sweep {
        const struct nipc_lookup_keys *keys;
        struct nipc_lookup_item *items;
        uint32_t n_missing; /* keys without an item, but for what is no key */
        bool has_bad;       /* something that is no key */
        int refused;        /* why a key could not be wanted, or 0 */
};

/*
 * Looks up the keys that have no item yet. is_last: takes what there is, however old; otherwise
 * what is past its time is left for after the call that will replace it. (To hash several keys
 * first and fetch ahead what they refer to gains nothing up to 10,000 keys: the processor does it.)
 */
static void look_up(struct nipc_lookup_cache *cache, struct sweep *sweep, bool is_last)
{
        const struct nipc_lookup_keys *keys = sweep->keys;
        /* Without a call, and without bytes that are written in halves and read as one word. */
        const bool is_pids = cache->answers.table.key_size == 2 * sizeof(uint32_t) &&
                             keys->get == nipc_lookup_keys_of_pids(NULL, 0).get;
        struct nipc_lookup_item item;
        uint32_t i;
        int r;

        sweep->refused = 0;
        sweep->n_missing = 0;
        for (i = 0; i < keys->n_keys; i++) {
                if (sweep->items[i].bytes)
                        continue;
                r = 0;
                item = is_pids ? get_pid(&cache->answers, ((const uint32_t *)keys->keys)[i], &r)
                               : get_listed(&cache->answers, keys, i, &r);
                if (NIPC__LIKELY(r == 0) || is_last)
                        sweep->items[i] = item;
                if (r == -EINVAL)
                        sweep->has_bad = true;
                else if (r < 0)
                        sweep->refused = r;
                sweep->n_missing += r != -EINVAL && !sweep->items[i].bytes;
        }
}

static void clear_items(struct sweep *sweep)
{
        if (sweep->keys->n_keys)
                memset(sweep->items, 0, sweep->keys->n_keys * sizeof(*sweep->items));
        sweep->n_missing = sweep->keys->n_keys;
}

/* Rounds of looking up and asking, of which one is the rule. */
static int sweep_rounds(struct nipc_lookup_cache *cache, struct asking *asking, struct sweep *sweep)
{
        struct nipc__answers *answers = &cache->answers;
        unsigned n_restarts = 0;
        int r;

        for (;;) {
                if (!answers->table.n_wanted)
                        return sweep->refused;
                asking->dropped = false;
                r = ask(cache, asking);
                if (asking->dropped)
                        clear_items(sweep);
                if (r || (!asking->dropped && !sweep->refused))
                        return r;
                /* Another call would take away what could not be kept. */
                if (sweep->refused && answers->n_borrowed)
                        return sweep->refused;
                if (asking->dropped && n_restarts++ == MAX_RESTARTS)
                        return -EBADMSG;
                if (answers->n_borrowed) {
                        nipc__answers_release(answers);
                        clear_items(sweep);
                }
                look_up(cache, sweep, false);
        }
}

NIPC__EXPORT int nipc_lookup_cache_sweep(struct nipc_lookup_cache *cache,
                                         const struct nipc_lookup_keys *keys, uint32_t timeout_ms,
                                         struct nipc_lookup_item *ret_items)
{
        struct sweep sweep = {.keys = keys, .items = ret_items};
        struct nipc__lookup_counters counters;
        struct asking asking;
        int r;

        if (!keys || (!ret_items && keys->n_keys))
                return -EINVAL;
        asking_begin(cache, timeout_ms, &asking);
        clear_items(&sweep);
        look_up(cache, &sweep, false);
        counters = cache->answers.counters;
        r = sweep_rounds(cache, &asking, &sweep);
        if (sweep.n_missing)
                look_up(cache, &sweep, true);
        /* Each key of the list counts once, as what it was before anybody was asked. */
        cache->answers.counters = counters;
        if (r == 0 && sweep.n_missing)
                r = -EMSGSIZE;
        if (r == -EMSGSIZE)
                cache->failure.fault.rule = "max_items or max_bytes of the cache is too low";
        r = asking_end(cache, r);
        return r == 0 && sweep.has_bad ? -EINVAL : r;
}

/* ---- the rest ----------------------------------------------------------------------------- */

NIPC__EXPORT void nipc_lookup_cache_cancel(struct nipc_lookup_cache *cache)
{
        nipc_client_cancel(cache->client);
}

NIPC__EXPORT void nipc_lookup_cache_reset_cancel(struct nipc_lookup_cache *cache)
{
        nipc__answers_release(&cache->answers);
        nipc_client_reset_cancel(cache->client);
}

/* Copies as much of a result as the caller's struct has, and zero beyond what we know. */
static int result_store(void *dst, const void *src, size_t src_size)
{
        size_t size;

        if (!dst)
                return -EINVAL;
        memcpy(&size, dst, sizeof(size));
        if (size < sizeof(size))
                return -EINVAL;
        memset(dst, 0, size);
        memcpy(dst, src, NIPC__MIN(size, src_size));
        memcpy(dst, &size, sizeof(size));
        return 0;
}

NIPC__EXPORT int nipc_lookup_cache_get_status(const struct nipc_lookup_cache *cache,
                                              struct nipc_lookup_cache_status *ret_status)
{
        const struct nipc__answers *answers = &cache->answers;
        const struct nipc_lookup_cache_status status = {
                .n_items = answers->n_items - answers->n_dead,
                .n_wanted = answers->table.n_wanted,
                .n_bytes = answers->n_bytes,
                .n_hits = answers->counters.n_hits,
                .n_misses = answers->counters.n_misses,
                .n_stale = answers->counters.n_stale,
                .n_forgotten = answers->counters.n_forgotten,
                .n_expired = answers->n_expired,
                .n_evictions = answers->n_evictions,
                .n_not_kept = answers->n_not_kept,
                .n_generations = answers->n_generations,
                .n_calls = cache->n_calls,
                .n_failures = cache->n_failures,
                .generation = answers->generation,
                .last_success_ms = cache->last_success_ms,
                .client_state = nipc_client_get_state(cache->client),
        };

        return result_store(ret_status, &status, sizeof(status));
}

NIPC__EXPORT int nipc_lookup_cache_get_failure(const struct nipc_lookup_cache *cache,
                                               struct nipc_client_failure *ret_failure)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        int r;

        r = nipc_client_get_failure(cache->client, &failure);
        if (r)
                return r;
        /* What failed without the client it knows nothing of. */
        if (cache->failure.error && failure.error == 0)
                failure = cache->failure;
        return result_store(ret_failure, &failure, sizeof(failure));
}
