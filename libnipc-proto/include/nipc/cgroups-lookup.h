/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 4, CGROUPS_LOOKUP: paths of cgroups ask, what is known about each answers (codecs §5).
 *
 * Requests, responses, labels: by the functions of <nipc/lookup.h>, with the class below. Here is
 * what the items mean.
 */

#include <nipc/lookup.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_CGROUPS_LOOKUP_ITEM_HEADER_SIZE 28u

/* Keys are paths; items: strings path and name, labels. Borrowed, lives for ever. Since: 0.1 */
const struct nipc_lookup_class *nipc_cgroups_lookup_get_class(void);

enum nipc_cgroups_lookup_status {
        NIPC_CGROUPS_LOOKUP_KNOWN = 0,
        NIPC_CGROUPS_LOOKUP_UNKNOWN_RETRY_LATER = 1, /* not known yet */
        NIPC_CGROUPS_LOOKUP_UNKNOWN_PERMANENT = 2,
        NIPC_CGROUPS_LOOKUP_PAYLOAD_EXCEEDED = 3, /* never seen by callers of a client */
        NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM = 4,   /* known, but larger than a response may be */
};

/* Who runs what is in a cgroup. Other values may come, and are passed on. */
enum nipc_orchestrator {
        NIPC_ORCHESTRATOR_UNKNOWN = 0,
        NIPC_ORCHESTRATOR_SYSTEMD = 1,
        NIPC_ORCHESTRATOR_DOCKER = 2,
        NIPC_ORCHESTRATOR_K8S = 3,
        NIPC_ORCHESTRATOR_KVM = 4,
        NIPC_ORCHESTRATOR_LXC = 5,
        NIPC_ORCHESTRATOR_PODMAN = 6,
        NIPC_ORCHESTRATOR_NSPAWN = 7,
};

/* Unless KNOWN, an item has nothing but its path. */
struct nipc_cgroups_lookup_item {
        uint16_t status;
        uint16_t orchestrator;
        struct nipc_lookup_string path; /* never empty */
        struct nipc_lookup_string name;
        uint32_t n_labels;
        const struct nipc_label *labels; /* to build; of a decoded item they are in raw */
        struct nipc_lookup_item raw;     /* decoded: for nipc_lookup_item_get_label() */
};

/* The fields of a checked item, borrowed from it. Since: 0.1 */
void nipc_cgroups_lookup_item_load(struct nipc_lookup_item raw,
                                   struct nipc_cgroups_lookup_item *ret_item);

/* Adds an item. Returns as nipc_lookup_builder_add(). Since: 0.1 */
int nipc_cgroups_lookup_builder_add(struct nipc_lookup_builder *builder,
                                    const struct nipc_cgroups_lookup_item *item);

/* "KNOWN" and so on, "?" for other values; never NULL. Since: 0.1 */
const char *nipc_cgroups_lookup_status_name(uint16_t status);

/* "docker" and so on, "unknown" for all other values; never NULL. Since: 0.1 */
const char *nipc_orchestrator_name(uint16_t orchestrator);

#ifdef __cplusplus
}
#endif
