/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 5, APPS_LOOKUP: PIDs ask, what is known about each process and its cgroup answers
 * (codecs §6).
 *
 * Requests, responses, labels: by the functions of <nipc/lookup.h>, with the class below; keys by
 * nipc_lookup_keys_of_pids(). Here is what the items mean.
 */

#include <nipc/cgroups-lookup.h>
#include <nipc/lookup.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_APPS_LOOKUP_KEY_SIZE         8u
#define NIPC_APPS_LOOKUP_ITEM_HEADER_SIZE 60u
#define NIPC_APPS_LOOKUP_MAX_COMM         15u
#define NIPC_APPS_LOOKUP_UID_UNSET        UINT32_MAX

/* Items: strings comm, cgroup_path and cgroup_name, labels. Borrowed, lives for ever. Since: 0.1 */
const struct nipc_lookup_class *nipc_apps_lookup_get_class(void);

enum nipc_apps_lookup_status {
        NIPC_APPS_LOOKUP_KNOWN = 0,
        NIPC_APPS_LOOKUP_UNKNOWN = 1,
        NIPC_APPS_LOOKUP_PAYLOAD_EXCEEDED = 2, /* never seen by callers of a client */
        NIPC_APPS_LOOKUP_OVERSIZED_ITEM = 3,   /* known, but larger than a response may be */
};

/* What is known about the cgroup of a known process. */
enum nipc_apps_lookup_cgroup_status {
        NIPC_APPS_LOOKUP_CGROUP_KNOWN = 0,
        NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_RETRY_LATER = 1, /* path may be empty, the rest is */
        NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_PERMANENT = 2,   /* only the path */
        NIPC_APPS_LOOKUP_CGROUP_HOST_ROOT = 3, /* in no cgroup; nothing, not even a path */
};

/* Unless KNOWN, an item has nothing but its PID, and uid is NIPC_APPS_LOOKUP_UID_UNSET. */
struct nipc_apps_lookup_item {
        uint16_t status;
        uint16_t cgroup_status;
        uint16_t orchestrator; /* enum nipc_orchestrator */
        uint32_t pid;
        uint32_t ppid;
        uint32_t uid;
        uint64_t starttime;
        struct nipc_lookup_string comm; /* 1 to 15 bytes */
        struct nipc_lookup_string cgroup_path;
        struct nipc_lookup_string cgroup_name;
        uint32_t n_labels;
        const struct nipc_label *labels; /* to build; of a decoded item they are in raw */
        struct nipc_lookup_item raw;     /* decoded: for nipc_lookup_item_get_label() */
};

/* The fields of a checked item, borrowed from it. Since: 0.1 */
void nipc_apps_lookup_item_load(struct nipc_lookup_item raw,
                                struct nipc_apps_lookup_item *ret_item);

/* Adds an item. Returns as nipc_lookup_builder_add(). Since: 0.1 */
int nipc_apps_lookup_builder_add(struct nipc_lookup_builder *builder,
                                 const struct nipc_apps_lookup_item *item);

/* The PID that a key of a request asks for. Since: 0.1 */
static inline uint32_t nipc_apps_lookup_key_pid(const void *key)
{
        return nipc_load_u32(key);
}

/* "KNOWN" and so on, "?" for other values; never NULL. Since: 0.1 */
const char *nipc_apps_lookup_status_name(uint16_t status);
const char *nipc_apps_lookup_cgroup_status_name(uint16_t status);

#ifdef __cplusplus
}
#endif
