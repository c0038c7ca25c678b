/* SPDX-License-Identifier: MIT */

/* Method 5: what its items may say (codecs §6), their fields, its names. */

#include "util-lookup.h"

enum { ITEM = 24 }; /* of a response of one */

/* A known process; its other fields as the test wants them. */
static void known(struct lookup_message *message, uint16_t cgroup_status, uint16_t orchestrator,
                  const char *path, const char *name, size_t n_labels)
{
        static const char *const labels[] = {"k", "v"};
        uint8_t item[256];
        size_t size = lookup_put_app(item, 7, "comm", path, name);

        put_u16(item, 4, orchestrator);
        put_u16(item, 6, cgroup_status);
        lookup_message_init(message, 1);
        lookup_message_add(message, item,
                           lookup_put_labels(item, &lookup_layout_apps, size, labels, n_labels));
}

static int judge(const struct lookup_message *message, struct nipc_fault *ret_fault)
{
        return lookup_judge(nipc_apps_lookup_get_class(), false, message->bytes, message->size,
                            ret_fault);
}

static void test_class(void)
{
        const struct nipc_lookup_class *class_ = nipc_apps_lookup_get_class();

        tap_eq_int(nipc_lookup_class_check(class_, NULL), 0);
        tap_eq_uint(class_->method, 5);
        tap_eq_uint(class_->key_size, NIPC_APPS_LOOKUP_KEY_SIZE);
        tap_eq_uint(class_->item_header_size, 60);
}

static void test_known(void)
{
        static const struct lookup_break breaks[] = {
                {ITEM + 20, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 20},
                {ITEM + 58, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 58},
                {ITEM + 2, 2, 4, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 2},
                {ITEM + 2, 2, 0xffff, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 2},
                {ITEM + 6, 2, 4, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 6, 2, 0x100, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 36, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},
                {ITEM + 36, 4, 16, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},
                {ITEM + 36, 4, 0xffffffff, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},
                {ITEM + 32, 4, 59, NIPC_PROTO_E_OUT_OF_BOUNDS, ITEM + 32},
                {ITEM + 40, 4, 60, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 40}, /* comm shares its bytes */
                {ITEM + 48, 4, 64, NIPC_PROTO_E_MISSING_NUL, ITEM + 65},
        };
        struct lookup_message message;

        known(&message, 0, 2, "/pth", "n", 0);
        check_breaks(nipc_apps_lookup_get_class(), false, &message, breaks);
}

/* A comm has up to 15 bytes. */
static void test_comm(void)
{
        static const char comm[] = "0123456789abcdef";
        struct lookup_message message;
        struct nipc_fault fault;
        uint8_t item[256];
        size_t length;

        for (length = 0; length <= 16; length++) {
                lookup_message_init(&message, 1);
                lookup_message_add(&message, item,
                                   lookup_put_app(item, 7, comm + 16 - length, "/p", ""));
                if (length && length < 16)
                        tap_eq_int(judge(&message, NULL), 0);
                else
                        check_fault(judge(&message, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                                    ITEM + 36);
        }
}

/* What of a cgroup may be told, by cgroup_status. */
static void test_cgroup_statuses(void)
{
        static const struct {
                const char *path, *name;
                uint16_t orchestrator;
                uint16_t n_labels;
                size_t faults[4]; /* 0: good */
        } rows[] = {
                {"/p", "", 0, 0, {0, 0, 0, 44}},    {"", "", 0, 0, {44, 0, 44, 0}},
                {"/p", "", 9, 0, {0, 4, 4, 4}},     {"", "", 9, 0, {44, 4, 4, 4}},
                {"/p", "n", 0, 0, {0, 52, 52, 52}}, {"", "n", 0, 0, {44, 52, 52, 52}},
                {"/p", "", 0, 1, {0, 56, 56, 56}},  {"", "", 0, 1, {44, 56, 56, 56}},
                {"/p", "n", 9, 1, {0, 4, 4, 4}},
        };
        struct lookup_message message;
        struct nipc_fault fault;
        uint16_t status;
        size_t i;

        for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                for (status = 0; status < 4; status++) {
                        known(&message, status, rows[i].orchestrator, rows[i].path, rows[i].name,
                              rows[i].n_labels);
                        if (!rows[i].faults[status])
                                tap_eq_int(judge(&message, NULL), 0);
                        else if (!check_fault(judge(&message, &fault), fault,
                                              NIPC_PROTO_E_BAD_LAYOUT,
                                              ITEM + rows[i].faults[status]))
                                tap_note("row %zu, cgroup_status %u", i, (unsigned)status);
                }
        }
}

/* A process that is not known has its PID and no uid. */
static void test_unknown(void)
{
        static const struct lookup_break breaks[] = {
                {ITEM + 4, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 4},
                {ITEM + 6, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 6, 2, 4, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6},
                {ITEM + 12, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 12},
                {ITEM + 16, 4, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 16},
                {ITEM + 16, 4, 0xfffffffe, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 16},
                {ITEM + 20, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 20},
                {ITEM + 24, 8, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 24},
                {ITEM + 24, 8, UINT64_C(1) << 32, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 24},
                {ITEM + 36, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},
                {ITEM + 36, 4, 16, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},
                {ITEM + 44, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 44},
                {ITEM + 52, 4, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 52},
                {ITEM + 56, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 56},
                {ITEM + 58, 2, 1, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 58},
                {ITEM + 2, 2, 4, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 2},
                {ITEM + 2, 2, 0, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 36},   /* known, without a comm */
                {ITEM + 40, 4, 60, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 40}, /* the same NUL */
                {ITEM + 48, 4, 61, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 48},
                {ITEM + 60, 1, 1, NIPC_PROTO_E_MISSING_NUL, ITEM + 60},
        };
        struct lookup_message message;
        uint8_t item[64];
        uint16_t status;

        for (status = 1; status <= 3; status++) {
                lookup_message_init(&message, 1);
                lookup_message_add(&message, item, lookup_put_no_app(item, status, 7));
                tap_eq_uint(message.size, ITEM + 63);
                check_breaks(nipc_apps_lookup_get_class(), false, &message, breaks);
        }
}

static void test_load(void)
{
        struct nipc_apps_lookup_item item;
        const uint32_t key[] = {7, 0}, other[] = {8, 0};
        struct lookup_message message;
        struct nipc_lookup_view view;

        known(&message, 0, 6, "/path", "name", 1);
        tap_require(!nipc_lookup_view_init(&view, nipc_apps_lookup_get_class(), message.bytes,
                                           message.size, NULL));
        nipc_apps_lookup_item_load(nipc_lookup_view_get(&view, 0), &item);
        tap_eq_uint(item.status, 0);
        tap_eq_uint(item.cgroup_status, 0);
        tap_eq_uint(item.orchestrator, 6);
        tap_eq_uint(item.pid, 7);
        tap_eq_uint(item.ppid, 1);
        tap_eq_uint(item.uid, 1000);
        tap_eq_uint(item.starttime, UINT64_C(0x0102030405060708));
        tap_eq_str(item.comm.str, "comm");
        tap_eq_str(item.cgroup_path.str, "/path");
        tap_eq_str(item.cgroup_name.str, "name");
        tap_eq_uint(item.comm.len + item.cgroup_path.len + item.cgroup_name.len, 4 + 5 + 4);
        tap_eq_uint(item.n_labels, 1);
        tap_eq_ptr(item.labels, NULL);
        tap_eq_ptr(item.raw.bytes, message.bytes + ITEM);
        tap_check(nipc_lookup_item_is_for(view.class_, item.raw, key, 8));
        tap_check(!nipc_lookup_item_is_for(view.class_, item.raw, key, 4));
        tap_check(!nipc_lookup_item_is_for(view.class_, item.raw, other, 8));
        tap_eq_uint(nipc_apps_lookup_key_pid(key), 7);
}

/* What the builder makes are the bytes of the specification. */
static void test_build(void)
{
        static const struct nipc_label labels[] = {{"k", 1, "v", 1}};
        const struct nipc_apps_lookup_item item = {
                .cgroup_status = 0,
                .orchestrator = 6,
                .pid = 7,
                .ppid = 1,
                .uid = 1000,
                .starttime = UINT64_C(0x0102030405060708),
                .comm = {"comm", 4},
                .cgroup_path = {"/path", 5},
                .cgroup_name = {"name", 4},
                .n_labels = 1,
                .labels = labels,
        };
        const uint32_t key[] = {7, 0};
        struct nipc_lookup_builder builder;
        struct lookup_message message;
        uint8_t buf[256];
        size_t size;

        known(&message, 0, 6, "/path", "name", 1);
        memset(buf, 0xee, sizeof(buf));
        nipc_lookup_builder_init_unasked(&builder, nipc_apps_lookup_get_class(), buf, sizeof(buf),
                                         1);
        tap_eq_int(nipc_apps_lookup_builder_add(&builder, &item), 0);
        tap_require(!nipc_lookup_builder_finish(&builder, &size));
        tap_eq_mem(buf, size, message.bytes, message.size);

        lookup_message_init(&message, 1);
        lookup_message_add(&message, buf, lookup_put_no_app(buf, 1, 7));
        memset(buf, 0xee, sizeof(buf));
        nipc_lookup_builder_init_unasked(&builder, nipc_apps_lookup_get_class(), buf, sizeof(buf),
                                         1);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 8, NIPC_APPS_LOOKUP_UNKNOWN), 0);
        tap_require(!nipc_lookup_builder_finish(&builder, &size));
        tap_eq_mem(buf, size, message.bytes, message.size);
}

static void test_provisional(void)
{
        bool (*is_provisional)(const void *) = nipc_apps_lookup_get_class()->is_provisional;
        uint8_t item[128];

        lookup_put_app(item, 7, "c", "/p", "");
        tap_check(!is_provisional(item));
        put_u16(item, 6, NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_RETRY_LATER);
        tap_check(is_provisional(item));
        put_u16(item, 6, NIPC_APPS_LOOKUP_CGROUP_UNKNOWN_PERMANENT);
        tap_check(!is_provisional(item));
        put_u16(item, 6, NIPC_APPS_LOOKUP_CGROUP_HOST_ROOT);
        tap_check(!is_provisional(item));
        lookup_put_no_app(item, NIPC_APPS_LOOKUP_UNKNOWN, 7);
        tap_check(is_provisional(item));
        lookup_put_no_app(item, NIPC_APPS_LOOKUP_OVERSIZED_ITEM, 7);
        tap_check(!is_provisional(item));
}

static void test_names(void)
{
        tap_eq_str(nipc_apps_lookup_status_name(0), "KNOWN");
        tap_eq_str(nipc_apps_lookup_status_name(1), "UNKNOWN");
        tap_eq_str(nipc_apps_lookup_status_name(2), "PAYLOAD_EXCEEDED");
        tap_eq_str(nipc_apps_lookup_status_name(3), "OVERSIZED_ITEM");
        tap_eq_str(nipc_apps_lookup_status_name(4), "?");
        tap_eq_str(nipc_apps_lookup_cgroup_status_name(0), "KNOWN");
        tap_eq_str(nipc_apps_lookup_cgroup_status_name(1), "UNKNOWN_RETRY_LATER");
        tap_eq_str(nipc_apps_lookup_cgroup_status_name(2), "UNKNOWN_PERMANENT");
        tap_eq_str(nipc_apps_lookup_cgroup_status_name(3), "HOST_ROOT");
        tap_eq_str(nipc_apps_lookup_cgroup_status_name(4), "?");
}

TAP_MAIN(TAP_CASE(test_class), TAP_CASE(test_known), TAP_CASE(test_comm),
         TAP_CASE(test_cgroup_statuses), TAP_CASE(test_unknown), TAP_CASE(test_load),
         TAP_CASE(test_build), TAP_CASE(test_provisional), TAP_CASE(test_names))
