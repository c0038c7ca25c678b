/* SPDX-License-Identifier: MIT */

/* The status of a cache of answers in the text format of Prometheus. */

#include <errno.h>
#include <nipc/lookup-cache.h>
#include <time.h>

#include "stdaux.h"
#include "text.h"

static uint64_t now_ms(void)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add_lookups(struct nipc__text *text, const struct nipc_lookup_cache_status *status)
{
        static const char keys[] = "nipc_lookup_cache_keys_total";
        static const char calls[] = "nipc_lookup_cache_calls_total";

        nipc__text_describe(text, keys, "counter", "Keys looked up, by what was found.");
        nipc__text_sample(text, keys, "result", "hit", status->n_hits - status->n_stale);
        nipc__text_sample(text, keys, "result", "stale", status->n_stale);
        nipc__text_sample(text, keys, "result", "miss", status->n_misses);
        nipc__text_describe(text, calls, "counter", "Lookups at the provider, as they ended.");
        nipc__text_sample(text, calls, "result", "ok", status->n_calls);
        nipc__text_sample(text, calls, "result", "error", status->n_failures);
}

static void add_losses(struct nipc__text *text, const struct nipc_lookup_cache_status *status)
{
        nipc__text_metric(text, "nipc_lookup_cache_forgotten_total", "counter",
                          "Keys that could not be remembered.", status->n_forgotten);
        nipc__text_metric(text, "nipc_lookup_cache_expired_total", "counter",
                          "Answers that were dropped or asked for again for their age.",
                          status->n_expired);
        nipc__text_metric(text, "nipc_lookup_cache_evictions_total", "counter",
                          "Answers that went to make room.", status->n_evictions);
        nipc__text_metric(text, "nipc_lookup_cache_not_kept_total", "counter",
                          "Answers that there was no room for.", status->n_not_kept);
        nipc__text_metric(text, "nipc_lookup_cache_generations_total", "counter",
                          "Times that all was dropped for another generation.",
                          status->n_generations);
}

NIPC__EXPORT int nipc_lookup_cache_format_metrics(const struct nipc_lookup_cache *cache,
                                                  const char *service, char *buf, size_t capacity,
                                                  size_t *ret_size)
{
        struct nipc_lookup_cache_status status = NIPC_LOOKUP_CACHE_STATUS_INIT;
        struct nipc__text text = {.buf = buf, .capacity = capacity, .service = service};

        if (!cache || !service || !ret_size || (!buf && capacity))
                return -EINVAL;
        (void)nipc_lookup_cache_get_status(cache, &status);
        nipc__text_metric(&text, "nipc_lookup_cache_items", "gauge", "Answers that are kept.",
                          status.n_items);
        nipc__text_metric(&text, "nipc_lookup_cache_wanted", "gauge",
                          "Keys that are asked for next.", status.n_wanted);
        nipc__text_metric(&text, "nipc_lookup_cache_allocated_bytes", "gauge",
                          "Memory, the client apart.", status.n_bytes);
        add_lookups(&text, &status);
        add_losses(&text, &status);
        nipc__text_age(&text, "nipc_lookup_cache_age_seconds",
                       "Time since the last lookup that succeeded.", now_ms(),
                       status.last_success_ms);
        return nipc__text_finish(&text, ret_size);
}
