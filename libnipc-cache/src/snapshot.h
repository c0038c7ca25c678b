/* SPDX-License-Identifier: MIT */
#pragma once

/* What the caches of particular services share with the generic one. */

#include <nipc/cache.h>

#include "publication.h"

/* nipc_cache_snapshot_lookup(), for a typed lookup to have in itself; name_offset: item_size. */
static inline const void *nipc__snapshot_lookup(const struct nipc_cache_snapshot *snapshot,
                                                uint32_t hash, const char *name, size_t name_len,
                                                uint32_t name_offset)
{
        if (NIPC__UNLIKELY(!snapshot))
                return NULL;
        return nipc__table_lookup(&snapshot->table, hash, name, name_len, name_offset);
}
