/* SPDX-License-Identifier: MIT */

/* The status of a snapshot cache in the text format of Prometheus. */

#include <errno.h>
#include <nipc/cache.h>
#include <time.h>

#include "stdaux.h"
#include "text.h"

static uint64_t now_ms(void)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

NIPC__EXPORT int nipc_cache_format_metrics(struct nipc_cache *cache, const char *service, char *buf,
                                           size_t capacity, size_t *ret_size)
{
        static const char refreshes[] = "nipc_cache_refreshes_total";
        struct nipc_cache_status status = NIPC_CACHE_STATUS_INIT;
        struct nipc__text text = {.buf = buf, .capacity = capacity, .service = service};

        if (!cache || !service || !ret_size || (!buf && capacity))
                return -EINVAL;
        (void)nipc_cache_get_status(cache, &status);
        nipc__text_metric(&text, "nipc_cache_items", "gauge", "Items of the snapshot.",
                          status.item_count);
        nipc__text_metric(&text, "nipc_cache_populated", "gauge", "1 once there is a snapshot.",
                          status.populated);
        nipc__text_describe(&text, refreshes, "counter", "Refreshes, as they ended.");
        nipc__text_sample(&text, refreshes, "result", "ok", status.n_successes);
        nipc__text_sample(&text, refreshes, "result", "error", status.n_failures);
        nipc__text_age(&text, "nipc_cache_age_seconds",
                       "Time since the last refresh that succeeded.", now_ms(),
                       status.last_refresh_ms);
        return nipc__text_finish(&text, ret_size);
}
