/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A cache of answers: what a lookup service said about each key, in this process's memory, so that
 * a loop over thousands of PIDs, paths or addresses asks only for what is new or old, all of it at
 * once. For any method that has a struct nipc_lookup_class, ours or one of your own. It makes a
 * client of its own and has no thread; nothing of it is shared.
 *
 * How to use, the loop of a plugin:
 *
 *      r = nipc_lookup_cache_new(&client_config, nipc_apps_lookup_get_class(), NULL, &cache);
 *      for (;;) {                                      // once a second
 *              keys = nipc_lookup_keys_of_pids(pids, n_pids);
 *              r = nipc_lookup_cache_sweep(cache, &keys, 0, items);
 *              for (i = 0; i < n_pids; i++)
 *                      if (items[i].bytes)
 *                              nipc_apps_lookup_item_load(items[i], &app);
 *      }
 *
 * Or key by key, where they are not in one list: nipc_lookup_cache_get() whatever comes up, pure
 * memory; what it does not have it remembers, and nipc_lookup_cache_resolve() asks for all of that.
 *
 * How long an answer is good: max_age_ms, or retry_ms if the class calls it provisional (what is
 * not known yet). Then it is wanted again. Until the new answer is there, because the provider is
 * down, say, the old one is still had, for stale_ms more. Time does not pass in get: it is looked
 * at by resolve, sweep and nipc_lookup_cache_update_time().
 *
 * Generations: an answer of another generation than those that are kept drops them all, since they
 * were about other data; see keep_generations.
 *
 * Limits: max_items and max_bytes. Where there is no room, answers go that were not asked for since
 * the last resolve or sweep, those that were not for longer first; those that were stay, and new
 * answers are had once and not kept.
 *
 * Items: checked, as a response has them: nipc_lookup_item_get_status() and the load functions of
 * the methods work on them. They are borrowed until the next resolve, sweep, reset_cancel or free,
 * whatever that returns; get, forget, update_time and cancel invalidate none.
 *
 * Threading: a cache belongs to one thread at a time, as a client; nipc_lookup_cache_cancel() from
 * any, and from signal handlers.
 */

#include <nipc/client.h>
#include <nipc/init.h>
#include <nipc/lookup.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; lives from new to free. */
struct nipc_lookup_cache;

#define NIPC_LOOKUP_CACHE_MIN_BYTES 65536u
#define NIPC_LOOKUP_CACHE_NO_STALE  UINT32_MAX /* for stale_ms: nothing old is ever had */

/* 0 is the default of each. */
struct nipc_lookup_cache_config {
        size_t size;           /* use NIPC_LOOKUP_CACHE_CONFIG_INIT */
        uint32_t max_items;    /* answers kept; 0: 65536; 2^30 at most */
        uint32_t max_wanted;   /* keys remembered by get; 0: 65536; 2^30 at most */
        uint64_t max_bytes;    /* everything that is allocated, the client apart; 0: 64 MiB */
        uint32_t max_age_ms;   /* of an answer that stays as it is; 0: 60000 */
        uint32_t retry_ms;     /* of a provisional one; 0: 5000 */
        uint32_t stale_ms;     /* how much longer they are had if there is no newer; 0: 60000 */
        bool keep_generations; /* answers of several generations live beside each other */
};

#define NIPC_LOOKUP_CACHE_CONFIG_INIT NIPC_INIT(struct nipc_lookup_cache_config)

/*
 * Makes an empty cache with a client of its own; no I/O. client_config, config: copied; config may
 * be NULL. class_: borrowed until free. ret_cache: owned.
 * Returns 0, -EINVAL (a class that cannot be, a limit out of range, max_bytes below
 * NIPC_LOOKUP_CACHE_MIN_BYTES), -E2BIG, -ENOMEM, and as nipc_client_new(). Since: 0.1
 */
int nipc_lookup_cache_new(const struct nipc_client_config *client_config,
                          const struct nipc_lookup_class *class_,
                          const struct nipc_lookup_cache_config *config,
                          struct nipc_lookup_cache **ret_cache);

/* Takes NULL. Never blocks. Returns NULL. Since: 0.1 */
struct nipc_lookup_cache *nipc_lookup_cache_free(struct nipc_lookup_cache *cache);

/*
 * What is known about a key: pure memory, a few nanoseconds, no clock, never an allocation when it
 * is there. key: class_->key_size bytes, or a string of key_size bytes; borrowed for the call.
 * Returns the item, or one with bytes NULL. What is missing or past its time is remembered as
 * wanted, once however often it is asked for, unless max_wanted or the memory does not allow it, or
 * it cannot be a key: then it is counted as n_forgotten. Since: 0.1
 */
struct nipc_lookup_item nipc_lookup_cache_get(struct nipc_lookup_cache *cache, const void *key,
                                              size_t key_size);

/* The same for a class whose keys are `u32 pid, u32 0`. Since: 0.1 */
struct nipc_lookup_item nipc_lookup_cache_get_pid(struct nipc_lookup_cache *cache, uint32_t pid);

/* The same for a NUL-terminated string. Since: 0.1 */
static inline struct nipc_lookup_item nipc_lookup_cache_get_string(struct nipc_lookup_cache *cache,
                                                                   const char *key)
{
        return nipc_lookup_cache_get(cache, key, key ? strlen(key) : 0);
}

/*
 * Asks for all that is wanted: connects if need be, then one nipc_client_lookup(), or more if there
 * are more keys than the client may look up at once; none if nothing is wanted. Then nothing is
 * wanted any more, and all answers can be had; those that there is no room for until the next
 * resolve or sweep (of several calls, those of the last). Blocks for the provider: at most
 * timeout_ms (0: the client's timeout), or while connecting the client's timeout if that is longer.
 *
 * Returns 0, or an error as calls of the client do (-ECHILD in a forked child, which can still look
 * up what there is), -ENOTCONN without a provider: all that was
 * cached can still be had, what was not answered stays wanted. After -EMSGSIZE the next resolve
 * asks for fewer keys in a call. Since: 0.1
 */
int nipc_lookup_cache_resolve(struct nipc_lookup_cache *cache, uint32_t timeout_ms);

/*
 * The items of a list of keys: looks all of them up, asks once for those that are missing or past
 * their time, and for what get remembered, as resolve does. keys: borrowed for the call; the same
 * key may be in it many times. ret_items: keys->n_keys items, all of them set, whatever is
 * returned; bytes is NULL where there is none. When the answers are of another generation, what
 * was found before is asked for as well, so that items are of one.
 *
 * Returns 0 if there is an item for each key; or as resolve, with the items that could be had,
 * stale ones among them; -EINVAL if something in the list cannot be a key (it has no item, all
 * others were looked up); -EMSGSIZE also if so many keys are missing that they need several calls
 * while there is no room to keep their answers; -EBADMSG also if the generation would not stay the
 * same; -ENOMEM. Blocks as resolve. Since: 0.1
 */
int nipc_lookup_cache_sweep(struct nipc_lookup_cache *cache, const struct nipc_lookup_keys *keys,
                            uint32_t timeout_ms, struct nipc_lookup_item *ret_items);

/*
 * From here on there is no answer for this key until it was asked for again: for a PID that has
 * another process now, say. Items of it that were handed out stay valid. Does nothing if there is
 * none. Never blocks. Since: 0.1
 */
void nipc_lookup_cache_forget(struct nipc_lookup_cache *cache, const void *key, size_t key_size);

/*
 * Reads the clock, for a thread that gets for long without a resolve or sweep. About 20 ns.
 * Since: 0.1
 */
void nipc_lookup_cache_update_time(struct nipc_lookup_cache *cache);

/*
 * Ends a resolve or sweep, and refuses new ones until reset: they return -ECANCELED. As
 * nipc_client_cancel(): any thread, signal handlers. Since: 0.1
 */
void nipc_lookup_cache_cancel(struct nipc_lookup_cache *cache);

/* By the owner. Since: 0.1 */
void nipc_lookup_cache_reset_cancel(struct nipc_lookup_cache *cache);

struct nipc_lookup_cache_status {
        size_t size;              /* use NIPC_LOOKUP_CACHE_STATUS_INIT */
        uint32_t n_items;         /* answers that are kept */
        uint32_t n_wanted;        /* keys that the next resolve asks for */
        uint64_t n_bytes;         /* that are allocated, the client apart */
        uint64_t n_hits;          /* keys looked up that had an item, stale ones too */
        uint64_t n_misses;        /* that had none */
        uint64_t n_stale;         /* of n_hits: past their time */
        uint64_t n_forgotten;     /* keys that could not be remembered */
        uint64_t n_expired;       /* answers that were dropped or asked for again for their age */
        uint64_t n_evictions;     /* answers that went to make room */
        uint64_t n_not_kept;      /* answers that there was no room for */
        uint64_t n_generations;   /* times that all was dropped for another generation */
        uint64_t n_calls;         /* logical lookups that succeeded */
        uint64_t n_failures;      /* and that did not, refused connections among them */
        uint64_t generation;      /* of the last answer */
        uint64_t last_success_ms; /* monotonic clock of the last successful lookup, 0: never */
        enum nipc_client_state client_state;
};

#define NIPC_LOOKUP_CACHE_STATUS_INIT NIPC_INIT(struct nipc_lookup_cache_status)

/* By the owner, never blocks. Returns 0, -EINVAL. Since: 0.1 */
int nipc_lookup_cache_get_status(const struct nipc_lookup_cache *cache,
                                 struct nipc_lookup_cache_status *ret_status);

/*
 * The status as text, see nipc_cache_format_metrics(). By the owner, never blocks.
 * Returns 0, -EINVAL, -ENOSPC (*ret_size is what is needed). Since: 0.1
 */
int nipc_lookup_cache_format_metrics(const struct nipc_lookup_cache *cache, const char *service,
                                     char *buf, size_t capacity, size_t *ret_size);

/*
 * Why the last resolve or sweep failed: the client's failure, or the cache's own. By the owner.
 * Returns 0, -EINVAL. Since: 0.1
 */
int nipc_lookup_cache_get_failure(const struct nipc_lookup_cache *cache,
                                  struct nipc_client_failure *ret_failure);

#ifdef __cplusplus
}
#endif
