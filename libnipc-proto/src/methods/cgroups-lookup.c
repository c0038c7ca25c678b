/* SPDX-License-Identifier: MIT */

/* Method 4 (codecs §5): what a class cannot say of its items, and their fields. */

#include <nipc/cgroups-lookup.h>
#include <nipc/header.h>

#include "../lookup-own.h"

enum {
        ITEM_ORCHESTRATOR = 4,
        ITEM_RESERVED0 = 6,
        ITEM_PATH = 8,
        ITEM_PATH_LENGTH = 12,
        ITEM_NAME = 16,
        ITEM_NAME_LENGTH = 20,
        ITEM_LABEL_COUNT = 24,
        ITEM_RESERVED1 = 26,
        ITEM_SIZE = 28,
};

_Static_assert(ITEM_SIZE == NIPC_CGROUPS_LOOKUP_ITEM_HEADER_SIZE, "codecs §5");
_Static_assert(ITEM_RESERVED1 + sizeof(uint16_t) == ITEM_SIZE, "codecs §5");

static NIPC__COLD int item_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        if (nipc_load_u16(p + ITEM_RESERVED0))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_RESERVED0,
                                 "reserved0 of an item must be 0");
        if (nipc_load_u16(p + ITEM_RESERVED1))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_RESERVED1,
                                 "reserved1 of an item must be 0");
        if (nipc_load_u16(p + ITEM_STATUS) > NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM)
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_STATUS,
                                 "status must be one of 0 to 4");
        if (!nipc_load_u32(p + ITEM_PATH_LENGTH))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_PATH_LENGTH,
                                 "the path must not be empty");
        if (nipc_load_u16(p + ITEM_ORCHESTRATOR))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_ORCHESTRATOR,
                                 "an item that is not KNOWN has no orchestrator");
        if (nipc_load_u32(p + ITEM_NAME_LENGTH))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_NAME_LENGTH,
                                 "an item that is not KNOWN has no name");
        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM_LABEL_COUNT,
                         "an item that is not KNOWN has no labels");
}

static NIPC__ALWAYS_INLINE int check_item(const void *header, struct nipc_fault *ret_fault)
{
        const uint8_t *p = header;
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);
        bool bad = nipc_load_u16(p + ITEM_RESERVED0) | nipc_load_u16(p + ITEM_RESERVED1) |
                   !nipc_load_u32(p + ITEM_PATH_LENGTH);

        if (status != NIPC_CGROUPS_LOOKUP_KNOWN)
                bad |= (status > NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM) |
                       nipc_load_u16(p + ITEM_ORCHESTRATOR) | nipc_load_u32(p + ITEM_NAME_LENGTH) |
                       nipc_load_u16(p + ITEM_LABEL_COUNT);
        return NIPC__UNLIKELY(bad) ? item_fault(p, ret_fault) : 0;
}

static bool is_provisional(const void *header)
{
        return nipc_load_u16((const uint8_t *)header + ITEM_STATUS) ==
               NIPC_CGROUPS_LOOKUP_UNKNOWN_RETRY_LATER;
}

NIPC__LOOKUP_OWN_DECLARE;

static const struct nipc_lookup_class class_cgroups = {
        .size = sizeof(class_cgroups),
        .method = NIPC_METHOD_CGROUPS_LOOKUP,
        .item_header_size = ITEM_SIZE,
        .n_strings = 2,
        .strings_offset = ITEM_PATH,
        .labels_offset = ITEM_LABEL_COUNT,
        .status_exceeded = NIPC_CGROUPS_LOOKUP_PAYLOAD_EXCEEDED,
        .status_oversized = NIPC_CGROUPS_LOOKUP_OVERSIZED_ITEM,
        .check_item = check_item,
        .is_provisional = is_provisional,
        .own = &own,
};

NIPC__LOOKUP_OWN_DEFINE(&class_cgroups);

NIPC__EXPORT const struct nipc_lookup_class *nipc_cgroups_lookup_get_class(void)
{
        return &class_cgroups;
}

NIPC__EXPORT void nipc_cgroups_lookup_item_load(struct nipc_lookup_item raw,
                                                struct nipc_cgroups_lookup_item *ret_item)
{
        *ret_item = (struct nipc_cgroups_lookup_item){
                .status = nipc_load_u16(raw.bytes + ITEM_STATUS),
                .orchestrator = nipc_load_u16(raw.bytes + ITEM_ORCHESTRATOR),
                .path = nipc_lookup_item_get_string(&class_cgroups, raw, 0),
                .name = nipc_lookup_item_get_string(&class_cgroups, raw, 1),
                .n_labels = nipc_load_u16(raw.bytes + ITEM_LABEL_COUNT),
                .raw = raw,
        };
}

static NIPC__ALWAYS_INLINE void fill_item(uint8_t *p, const void *arg)
{
        const struct nipc_cgroups_lookup_item *item = arg;

        nipc_store_u16(p + ITEM_STATUS, item->status);
        nipc_store_u16(p + ITEM_ORCHESTRATOR, item->orchestrator);
        nipc_store_u16(p + ITEM_RESERVED0, 0);
        nipc_store_u16(p + ITEM_RESERVED1, 0);
}

NIPC__EXPORT int nipc_cgroups_lookup_builder_add(struct nipc_lookup_builder *builder,
                                                 const struct nipc_cgroups_lookup_item *item)
{
        const struct nipc_lookup_string strings[] = {item->path, item->name};

        return nipc__lookup_add(builder, &class_cgroups, fill_item, item, strings, item->labels,
                                item->n_labels);
}

NIPC__EXPORT const char *nipc_cgroups_lookup_status_name(uint16_t status)
{
        static const char *const names[] = {
                "KNOWN",          "UNKNOWN_RETRY_LATER", "UNKNOWN_PERMANENT", "PAYLOAD_EXCEEDED",
                "OVERSIZED_ITEM",
        };

        return status < NIPC__ARRAY_SIZE(names) ? names[status] : "?";
}

NIPC__EXPORT const char *nipc_orchestrator_name(uint16_t orchestrator)
{
        static const char *const names[] = {
                "unknown", "systemd", "docker", "k8s", "kvm", "lxc", "podman", "nspawn",
        };

        return orchestrator < NIPC__ARRAY_SIZE(names) ? names[orchestrator] : "unknown";
}
