/* SPDX-License-Identifier: MIT */

/*
 * Method 5 (codecs §6): what a class cannot say of its items, and their fields. The header of an
 * item is 60 bytes, not what a C struct of these fields would be.
 */

#include <nipc/apps-lookup.h>
#include <nipc/header.h>

#include "../lookup-own.h"

enum {
        KEY_PID = 0,
        KEY_RESERVED = 4,
        KEY_SIZE = 8,
};

enum {
        ITEM_ORCHESTRATOR = 4,
        ITEM_CGROUP_STATUS = 6,
        ITEM_PID = 8,
        ITEM_PPID = 12,
        ITEM_UID = 16,
        ITEM_RESERVED0 = 20,
        ITEM_STARTTIME = 24,
        ITEM_COMM = 32,
        ITEM_COMM_LENGTH = 36,
        ITEM_CGROUP_PATH = 40,
        ITEM_CGROUP_PATH_LENGTH = 44,
        ITEM_CGROUP_NAME = 48,
        ITEM_CGROUP_NAME_LENGTH = 52,
        ITEM_LABEL_COUNT = 56,
        ITEM_RESERVED1 = 58,
        ITEM_SIZE = 60,
};

_Static_assert(KEY_SIZE == NIPC_APPS_LOOKUP_KEY_SIZE, "codecs §6");
_Static_assert(ITEM_SIZE == NIPC_APPS_LOOKUP_ITEM_HEADER_SIZE, "codecs §6");
_Static_assert(ITEM_CGROUP_NAME_LENGTH + sizeof(uint32_t) == ITEM_LABEL_COUNT, "codecs §6");
_Static_assert(ITEM_RESERVED1 + sizeof(uint16_t) == ITEM_SIZE, "codecs §6");

static NIPC__ALWAYS_INLINE int check_key(const void *key, struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(nipc_load_u32((const uint8_t *)key + KEY_RESERVED)))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, KEY_RESERVED,
                                 "reserved of a key must be 0");
        return 0;
}

static int bad_field(struct nipc_fault *ret_fault, size_t offset, const char *rule)
{
        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, offset, rule);
}

static NIPC__COLD int cgroup_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        if (nipc_load_u16(p + ITEM_CGROUP_STATUS) == NIPC_APPS_LOOKUP_CGROUP_KNOWN)
                return bad_field(ret_fault, ITEM_CGROUP_PATH_LENGTH, "a known cgroup has a path");
        if (nipc_load_u16(p + ITEM_ORCHESTRATOR))
                return bad_field(ret_fault, ITEM_ORCHESTRATOR,
                                 "only a known cgroup has an orchestrator");
        if (nipc_load_u32(p + ITEM_CGROUP_NAME_LENGTH))
                return bad_field(ret_fault, ITEM_CGROUP_NAME_LENGTH,
                                 "only a known cgroup has a name");
        if (nipc_load_u16(p + ITEM_LABEL_COUNT))
                return bad_field(ret_fault, ITEM_LABEL_COUNT, "only a known cgroup has labels");
        return bad_field(ret_fault, ITEM_CGROUP_PATH_LENGTH,
                         "only a cgroup that is there has a path, and it must have one");
}

static NIPC__COLD int unknown_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        static const struct {
                uint8_t offset;
                uint8_t size;
                uint64_t value;
                const char *rule;
        } fields[] = {
                {ITEM_ORCHESTRATOR, 2, 0, "a process that is not KNOWN has no orchestrator"},
                {ITEM_CGROUP_STATUS, 2, 0, "a process that is not KNOWN has cgroup_status 0"},
                {ITEM_PPID, 4, 0, "a process that is not KNOWN has no ppid"},
                {ITEM_UID, 4, UINT32_MAX, "a process that is not KNOWN has uid 0xFFFFFFFF"},
                {ITEM_STARTTIME, 8, 0, "a process that is not KNOWN has no starttime"},
                {ITEM_COMM_LENGTH, 4, 0, "a process that is not KNOWN has no comm"},
                {ITEM_CGROUP_PATH_LENGTH, 4, 0, "a process that is not KNOWN has no cgroup_path"},
                {ITEM_CGROUP_NAME_LENGTH, 4, 0, "a process that is not KNOWN has no cgroup_name"},
                {ITEM_LABEL_COUNT, 2, 0, "a process that is not KNOWN has no labels"},
        };
        uint64_t value;
        size_t i;

        for (i = 0; i < NIPC__ARRAY_SIZE(fields); i++) {
                value = fields[i].size == 2   ? nipc_load_u16(p + fields[i].offset)
                        : fields[i].size == 4 ? nipc_load_u32(p + fields[i].offset)
                                              : nipc_load_u64(p + fields[i].offset);
                if (value != fields[i].value)
                        return bad_field(ret_fault, fields[i].offset, fields[i].rule);
        }
        return 0;
}

static NIPC__COLD int item_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);

        if (nipc_load_u32(p + ITEM_RESERVED0))
                return bad_field(ret_fault, ITEM_RESERVED0, "reserved0 of an item must be 0");
        if (nipc_load_u16(p + ITEM_RESERVED1))
                return bad_field(ret_fault, ITEM_RESERVED1, "reserved1 of an item must be 0");
        if (status > NIPC_APPS_LOOKUP_OVERSIZED_ITEM)
                return bad_field(ret_fault, ITEM_STATUS, "status must be one of 0 to 3");
        if (nipc_load_u16(p + ITEM_CGROUP_STATUS) > NIPC_APPS_LOOKUP_CGROUP_HOST_ROOT)
                return bad_field(ret_fault, ITEM_CGROUP_STATUS,
                                 "cgroup_status must be one of 0 to 3");
        if (nipc_load_u32(p + ITEM_COMM_LENGTH) > NIPC_APPS_LOOKUP_MAX_COMM)
                return bad_field(ret_fault, ITEM_COMM_LENGTH, "comm must be 15 bytes at most");
        if (status != NIPC_APPS_LOOKUP_KNOWN)
                return unknown_fault(p, ret_fault);
        if (!nipc_load_u32(p + ITEM_COMM_LENGTH))
                return bad_field(ret_fault, ITEM_COMM_LENGTH, "a KNOWN process has a comm");
        return cgroup_fault(p, ret_fault);
}

/* codecs §6, second table; p: of a known process. */
static NIPC__ALWAYS_INLINE bool is_cgroup_bad(const uint8_t *p)
{
        const uint32_t path_length = nipc_load_u32(p + ITEM_CGROUP_PATH_LENGTH);
        const bool has_more = nipc_load_u16(p + ITEM_ORCHESTRATOR) |
                              nipc_load_u32(p + ITEM_CGROUP_NAME_LENGTH) |
                              nipc_load_u16(p + ITEM_LABEL_COUNT);

        switch (nipc_load_u16(p + ITEM_CGROUP_STATUS)) {
        case NIPC_APPS_LOOKUP_CGROUP_KNOWN:
                return !path_length;
        case NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_RETRY_LATER:
                return has_more;
        case NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_PERMANENT:
                return has_more || !path_length;
        case NIPC_APPS_LOOKUP_CGROUP_HOST_ROOT:
                return has_more || path_length;
        default:
                return true;
        }
}

static NIPC__ALWAYS_INLINE bool is_unknown_bad(const uint8_t *p)
{
        return nipc_load_u16(p + ITEM_STATUS) > NIPC_APPS_LOOKUP_OVERSIZED_ITEM ||
               (nipc_load_u16(p + ITEM_ORCHESTRATOR) | nipc_load_u16(p + ITEM_CGROUP_STATUS) |
                nipc_load_u32(p + ITEM_PPID) | ~nipc_load_u32(p + ITEM_UID) |
                nipc_load_u64(p + ITEM_STARTTIME) | nipc_load_u32(p + ITEM_COMM_LENGTH) |
                nipc_load_u32(p + ITEM_CGROUP_PATH_LENGTH) |
                nipc_load_u32(p + ITEM_CGROUP_NAME_LENGTH) | nipc_load_u16(p + ITEM_LABEL_COUNT));
}

static NIPC__ALWAYS_INLINE int check_item(const void *header, struct nipc_fault *ret_fault)
{
        const uint8_t *p = header;
        bool bad = nipc_load_u32(p + ITEM_RESERVED0) | nipc_load_u16(p + ITEM_RESERVED1);

        if (NIPC__LIKELY(nipc_load_u16(p + ITEM_STATUS) == NIPC_APPS_LOOKUP_KNOWN))
                bad |= nipc_load_u32(p + ITEM_COMM_LENGTH) - 1 >= NIPC_APPS_LOOKUP_MAX_COMM ||
                       is_cgroup_bad(p);
        else
                bad |= is_unknown_bad(p);
        return NIPC__UNLIKELY(bad) ? item_fault(p, ret_fault) : 0;
}

/* A PID that nobody has may be somebody's soon. */
static bool is_provisional(const void *header)
{
        const uint8_t *p = header;
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);

        if (status == NIPC_APPS_LOOKUP_KNOWN)
                return nipc_load_u16(p + ITEM_CGROUP_STATUS) ==
                       NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_RETRY_LATER;
        return status != NIPC_APPS_LOOKUP_OVERSIZED_ITEM;
}

static const uint8_t neutral_header[ITEM_SIZE] = {
        [ITEM_UID] = 0xff, 0xff, 0xff, 0xff, /* NIPC_APPS_LOOKUP_UID_UNSET */
};

NIPC__LOOKUP_OWN_DECLARE;

static const struct nipc_lookup_class class_apps = {
        .size = sizeof(class_apps),
        .method = NIPC_METHOD_APPS_LOOKUP,
        .key_size = KEY_SIZE,
        .key_echo_size = sizeof(uint32_t),
        .key_offset = ITEM_PID,
        .item_header_size = ITEM_SIZE,
        .n_strings = 3,
        .strings_offset = ITEM_COMM,
        .labels_offset = ITEM_LABEL_COUNT,
        .status_exceeded = NIPC_APPS_LOOKUP_PAYLOAD_EXCEEDED,
        .status_oversized = NIPC_APPS_LOOKUP_OVERSIZED_ITEM,
        .neutral_header = neutral_header,
        .check_key = check_key,
        .check_item = check_item,
        .is_provisional = is_provisional,
        .own = &own,
};

NIPC__LOOKUP_OWN_DEFINE(&class_apps);

NIPC__EXPORT const struct nipc_lookup_class *nipc_apps_lookup_get_class(void)
{
        return &class_apps;
}

NIPC__EXPORT void nipc_apps_lookup_item_load(struct nipc_lookup_item raw,
                                             struct nipc_apps_lookup_item *ret_item)
{
        *ret_item = (struct nipc_apps_lookup_item){
                .status = nipc_load_u16(raw.bytes + ITEM_STATUS),
                .cgroup_status = nipc_load_u16(raw.bytes + ITEM_CGROUP_STATUS),
                .orchestrator = nipc_load_u16(raw.bytes + ITEM_ORCHESTRATOR),
                .pid = nipc_load_u32(raw.bytes + ITEM_PID),
                .ppid = nipc_load_u32(raw.bytes + ITEM_PPID),
                .uid = nipc_load_u32(raw.bytes + ITEM_UID),
                .starttime = nipc_load_u64(raw.bytes + ITEM_STARTTIME),
                .comm = nipc_lookup_item_get_string(&class_apps, raw, 0),
                .cgroup_path = nipc_lookup_item_get_string(&class_apps, raw, 1),
                .cgroup_name = nipc_lookup_item_get_string(&class_apps, raw, 2),
                .n_labels = nipc_load_u16(raw.bytes + ITEM_LABEL_COUNT),
                .raw = raw,
        };
}

static NIPC__ALWAYS_INLINE void fill_item(uint8_t *p, const void *arg)
{
        const struct nipc_apps_lookup_item *item = arg;

        nipc_store_u16(p + ITEM_STATUS, item->status);
        nipc_store_u16(p + ITEM_ORCHESTRATOR, item->orchestrator);
        nipc_store_u16(p + ITEM_CGROUP_STATUS, item->cgroup_status);
        nipc_store_u32(p + ITEM_PID, item->pid);
        nipc_store_u32(p + ITEM_PPID, item->ppid);
        nipc_store_u32(p + ITEM_UID, item->uid);
        nipc_store_u32(p + ITEM_RESERVED0, 0);
        nipc_store_u64(p + ITEM_STARTTIME, item->starttime);
        nipc_store_u16(p + ITEM_RESERVED1, 0);
}

NIPC__EXPORT int nipc_apps_lookup_builder_add(struct nipc_lookup_builder *builder,
                                              const struct nipc_apps_lookup_item *item)
{
        const struct nipc_lookup_string strings[] = {item->comm, item->cgroup_path,
                                                     item->cgroup_name};

        return nipc__lookup_add(builder, &class_apps, fill_item, item, strings, item->labels,
                                item->n_labels);
}

NIPC__EXPORT const char *nipc_apps_lookup_status_name(uint16_t status)
{
        static const char *const names[] = {
                "KNOWN",
                "UNKNOWN",
                "PAYLOAD_EXCEEDED",
                "OVERSIZED_ITEM",
        };

        return status < NIPC__ARRAY_SIZE(names) ? names[status] : "?";
}

NIPC__EXPORT const char *nipc_apps_lookup_cgroup_status_name(uint16_t status)
{
        static const char *const names[] = {
                "KNOWN",
                "UNKNOWN_RETRY_LATER",
                "UNKNOWN_PERMANENT",
                "HOST_ROOT",
        };

        return status < NIPC__ARRAY_SIZE(names) ? names[status] : "?";
}
