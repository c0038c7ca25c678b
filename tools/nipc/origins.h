/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Origins of cgroups that were read before: processes share cgroups, and a path says the same each
 * time. One thread at a time.
 */

#include "cgroup-origin.h"

#include <nipc/lookup.h>

/* Beyond, all are forgotten: whoever may create cgroups must not fill our memory. Chosen. */
#define ORIGINS_MAX 4096u

struct origins {
        GHashTable *by_path;
};

/* What a path tells, as items of lookups have it. Borrowed until the next find. */
struct origin {
        uint16_t orchestrator;
        struct nipc_lookup_string name;
        struct nipc_label labels[CGROUP_N_LABELS];
        uint32_t n_labels;
};

void origins_init(struct origins *origins);
void origins_deinit(struct origins *origins);
const struct origin *origins_find(struct origins *origins, const char *path);
