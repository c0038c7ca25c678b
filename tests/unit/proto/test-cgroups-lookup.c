/* SPDX-License-Identifier: MIT */

/* Method 4: what its items may say (codecs §5), their fields, its names. */

#include "util-lookup.h"

enum { ITEM = 24 }; /* of a response of one */

static void one_item(struct lookup_message *message, uint16_t status, uint16_t orchestrator,
                     const char *path, const char *name, size_t n_labels)
{
        static const char *const labels[] = {"k", "v"};
        uint8_t item[256];
        size_t size = lookup_put_cgroup(item, status, orchestrator, path, name);

        lookup_message_init(message, 1);
        lookup_message_add(message, item,
                           lookup_put_labels(item, &lookup_layout_cgroups, size, labels, n_labels));
}

static void test_class(void)
{
        const struct nipc_lookup_class *class_ = nipc_cgroups_lookup_get_class();

        tap_eq_int(nipc_lookup_class_check(class_, NULL), 0);
        tap_eq_uint(class_->method, 4);
        tap_eq_uint(class_->key_size, 0);
        tap_eq_uint(class_->item_header_size, NIPC_CGROUPS_LOOKUP_ITEM_HEADER_SIZE);
}

static void test_reserved(void)
{
        static const struct lookup_break breaks[] = {
                {ITEM + 6, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 6, 2, 0x8000, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 26, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 26},
                {ITEM + 2, 2, 5, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 2},
                {ITEM + 2, 2, 0xffff, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 2},
                {ITEM + 12, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 12},
        };
        struct lookup_message message;
        uint16_t status;

        for (status = 0; status <= 4; status++) {
                one_item(&message, status, 0, "/a", "", 0);
                check_breaks(nipc_cgroups_lookup_get_class(), false, &message, breaks);
        }
}

/* What is not known has a path and nothing more. */
static void test_neutral(void)
{
        struct lookup_message message;
        struct nipc_fault fault;
        uint16_t status;
        int r;

        for (status = 0; status <= 4; status++) {
                const int expected = status ? NIPC_PROTO_E_BAD_LAYOUT : 0;

                one_item(&message, status, 1, "/a", "", 0);
                r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes,
                                 message.size, &fault);
                tap_eq_int(r, expected);
                if (r)
                        check_fault(r, fault, expected, ITEM + 4);
                one_item(&message, status, 0, "/a", "n", 0);
                r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes,
                                 message.size, &fault);
                tap_eq_int(r, expected);
                if (r)
                        check_fault(r, fault, expected, ITEM + 20);
                one_item(&message, status, 0, "/a", "", 1);
                r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes,
                                 message.size, &fault);
                tap_eq_int(r, expected);
                if (r)
                        check_fault(r, fault, expected, ITEM + 24);
        }
}

/* Layout comes before what the method says, and that before the strings. */
static void test_order(void)
{
        struct lookup_message message;
        struct nipc_fault fault;
        int r;

        one_item(&message, 1, 1, "/a", "", 0);
        put_u32(message.bytes, ITEM + 8, 0);
        r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes, message.size,
                         &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 4);
        put_u16(message.bytes, ITEM + 26, 1);
        r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes, message.size,
                         &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 26);
        put_u16(message.bytes, ITEM, 0);
        r = lookup_judge(nipc_cgroups_lookup_get_class(), false, message.bytes, message.size,
                         &fault);
        check_fault(r, fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM);
}

static void test_load(void)
{
        struct nipc_cgroups_lookup_item item;
        struct lookup_message message;
        struct nipc_lookup_view view;

        one_item(&message, 0, 0xfffe, "/path", "name", 1);
        tap_require(!nipc_lookup_view_init(&view, nipc_cgroups_lookup_get_class(), message.bytes,
                                           message.size, NULL));
        nipc_cgroups_lookup_item_load(nipc_lookup_view_get(&view, 0), &item);
        tap_eq_uint(item.status, 0);
        tap_eq_uint(item.orchestrator, 0xfffe);
        tap_eq_str(item.path.str, "/path");
        tap_eq_uint(item.path.len, 5);
        tap_eq_str(item.name.str, "name");
        tap_eq_uint(item.name.len, 4);
        tap_eq_uint(item.n_labels, 1);
        tap_eq_ptr(item.labels, NULL);
        tap_eq_ptr(item.raw.bytes, message.bytes + ITEM);
        tap_eq_str(nipc_lookup_item_get_label(view.class_, item.raw, 0).value, "v");
        tap_check(nipc_lookup_item_is_for(view.class_, item.raw, "/path", 5));
        tap_check(!nipc_lookup_item_is_for(view.class_, item.raw, "/pat", 4));
        tap_check(!nipc_lookup_item_is_for(view.class_, item.raw, "/pats", 5));
        tap_check(!nipc_lookup_item_is_for(view.class_, item.raw, "/paths", 6));
}

/* What the builder makes are the bytes of the specification. */
static void test_build(void)
{
        static const struct nipc_label labels[] = {{"k", 1, "v", 1}};
        const struct nipc_cgroups_lookup_item item = {
                .orchestrator = 3,
                .path = {"/path", 5},
                .name = {"name", 4},
                .n_labels = 1,
                .labels = labels,
        };
        struct nipc_lookup_builder builder;
        struct lookup_message message;
        uint8_t buf[256];
        size_t size;

        one_item(&message, 0, 3, "/path", "name", 1);
        put_u64(message.bytes, 8, 5);
        memset(buf, 0xee, sizeof(buf));
        tap_require(!nipc_lookup_builder_init_unasked(&builder, nipc_cgroups_lookup_get_class(),
                                                      buf, sizeof(buf), 1));
        nipc_lookup_builder_set_generation(&builder, 5);
        tap_eq_int(nipc_cgroups_lookup_builder_add(&builder, &item), 0);
        tap_require(!nipc_lookup_builder_finish(&builder, &size));
        tap_eq_mem(buf, size, message.bytes, message.size);
}

static void test_provisional(void)
{
        static const bool expected[] = {false, true, false, false, false};
        uint8_t item[64];
        uint16_t status;

        for (status = 0; status <= 4; status++) {
                lookup_put_cgroup(item, status, 0, "/a", "");
                if (status != 3) /* never seen by a cache */
                        tap_eq_int(nipc_cgroups_lookup_get_class()->is_provisional(item),
                                   expected[status]);
        }
}

static void test_names(void)
{
        tap_eq_str(nipc_cgroups_lookup_status_name(0), "KNOWN");
        tap_eq_str(nipc_cgroups_lookup_status_name(1), "UNKNOWN_RETRY_LATER");
        tap_eq_str(nipc_cgroups_lookup_status_name(2), "UNKNOWN_PERMANENT");
        tap_eq_str(nipc_cgroups_lookup_status_name(3), "PAYLOAD_EXCEEDED");
        tap_eq_str(nipc_cgroups_lookup_status_name(4), "OVERSIZED_ITEM");
        tap_eq_str(nipc_cgroups_lookup_status_name(5), "?");
        tap_eq_str(nipc_cgroups_lookup_status_name(UINT16_MAX), "?");
        tap_eq_str(nipc_orchestrator_name(0), "unknown");
        tap_eq_str(nipc_orchestrator_name(1), "systemd");
        tap_eq_str(nipc_orchestrator_name(2), "docker");
        tap_eq_str(nipc_orchestrator_name(3), "k8s");
        tap_eq_str(nipc_orchestrator_name(4), "kvm");
        tap_eq_str(nipc_orchestrator_name(5), "lxc");
        tap_eq_str(nipc_orchestrator_name(6), "podman");
        tap_eq_str(nipc_orchestrator_name(7), "nspawn");
        tap_eq_str(nipc_orchestrator_name(8), "unknown");
        tap_eq_str(nipc_orchestrator_name(UINT16_MAX), "unknown");
}

TAP_MAIN(TAP_CASE(test_class), TAP_CASE(test_reserved), TAP_CASE(test_neutral),
         TAP_CASE(test_order), TAP_CASE(test_load), TAP_CASE(test_build),
         TAP_CASE(test_provisional), TAP_CASE(test_names))
