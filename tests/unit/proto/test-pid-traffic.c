/* SPDX-License-Identifier: MIT */

/* Method 0x8002: items as bytes, every rule with its offset, what can be built and what cannot. */

#include <nipc/header.h>
#include <nipc/pid-traffic.h>

#include "util-bytes.h"

enum {
        ITEM = 16 + 8,
        H = 104,
        TCP = 24,
        UDP = 64,
        SAMPLE_SIZE = ITEM + H,
};

/* One KNOWN item: all of TCP, the sockets of UDP. */
static void sample_bytes(uint8_t buf[SAMPLE_SIZE])
{
        uint8_t *item = buf + ITEM;

        memset(buf, 0, SAMPLE_SIZE);
        put_u16(buf, 0, 1);
        put_u32(buf, 4, 1);
        put_u32(buf, 20, H);
        put_u16(item, 0, 1);
        put_u16(item, 4, 3);
        put_u32(item, 8, 1234);
        put_u64(item, 16, UINT64_C(0x2122232425262728));
        put_u64(item, TCP, UINT64_MAX);
        put_u64(item, TCP + 8, 2);
        put_u64(item, TCP + 16, 3);
        put_u64(item, TCP + 24, 4);
        put_u32(item, TCP + 32, 5);
        put_u32(item, TCP + 36, 7);
        put_u32(item, UDP + 32, 6);
        put_u32(item, UDP + 36, 1);
}

static const struct nipc_pid_traffic_item sample_item = {
        .flags = NIPC_PID_TRAFFIC_PARTIAL | NIPC_PID_TRAFFIC_OPEN_ONLY,
        .pid = 1234,
        .starttime = UINT64_C(0x2122232425262728),
        .tcp = {UINT64_MAX, 2, 3, 4, 5, 7},
        .udp = {.n_sockets = 6, .counted = NIPC_PID_TRAFFIC_SOCKETS},
};

static int decode(const void *buf, size_t size, struct nipc_fault *ret_fault)
{
        struct nipc_lookup_view view;

        return nipc_lookup_view_init(&view, nipc_pid_traffic_get_class(), buf, size, ret_fault);
}

/* The item of buf with `size` bytes at `at` changed is refused, at `fault_at` of it. */
static void check_refused(const uint8_t buf[SAMPLE_SIZE], size_t at, uint64_t value, size_t size,
                          size_t fault_at)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t changed[SAMPLE_SIZE];

        memcpy(changed, buf, sizeof(changed));
        if (size == 2)
                put_u16(changed, ITEM + at, (uint16_t)value);
        else if (size == 4)
                put_u32(changed, ITEM + at, (uint32_t)value);
        else
                put_u64(changed, ITEM + at, value);
        if (!check_fault(decode(changed, sizeof(changed), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                         ITEM + fault_at))
                tap_note("%zu bytes at %zu", size, at);
}

static void test_class(void)
{
        const struct nipc_lookup_class *class_ = nipc_pid_traffic_get_class();
        struct nipc_fault fault = FAULT_NONE;

        tap_eq_int(nipc_lookup_class_check(class_, &fault), 0);
        tap_eq_uint(class_->method, NIPC_METHOD_PID_TRAFFIC);
        tap_eq_uint(class_->method, 0x8002);
        tap_eq_uint(class_->item_header_size, H);
        tap_eq_str(nipc_pid_traffic_status_name(NIPC_PID_TRAFFIC_KNOWN), "KNOWN");
        tap_eq_str(nipc_pid_traffic_status_name(NIPC_PID_TRAFFIC_NOT_PERMITTED), "NOT_PERMITTED");
        tap_eq_str(nipc_pid_traffic_status_name(5), "?");
}

static void test_key(void)
{
        const struct nipc_lookup_class *class_ = nipc_pid_traffic_get_class();
        const uint32_t pids[] = {1234, UINT32_MAX};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, 2);
        struct nipc_lookup_request_view view;
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[48];
        size_t size = 0;

        tap_require(nipc_lookup_request_encode(class_, &keys, 0, 2, buf, sizeof(buf), &size) == 0);
        tap_eq_uint(size, sizeof(buf));
        tap_require(nipc_lookup_request_view_init(&view, class_, buf, size, &fault) == 0);
        tap_eq_uint(nipc_pid_traffic_key_pid(nipc_lookup_request_view_get(&view, 1, &size)),
                    UINT32_MAX);
        tap_eq_uint(size, NIPC_PID_TRAFFIC_KEY_SIZE);
        put_u32(buf, 44, 1);
        check_fault(nipc_lookup_request_view_init(&view, class_, buf, sizeof(buf), &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 44);
        put_u32(buf, 28, 4);
        check_fault(nipc_lookup_request_view_init(&view, class_, buf, sizeof(buf), &fault), fault,
                    NIPC_PROTO_E_BAD_LAYOUT, 28);
}

static void test_item(void)
{
        const struct nipc_lookup_class *class_ = nipc_pid_traffic_get_class();
        struct nipc_pid_traffic_item item;
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_lookup_view view;
        uint8_t buf[SAMPLE_SIZE], key[8] = {0};

        sample_bytes(buf);
        tap_require(nipc_lookup_view_init(&view, class_, buf, sizeof(buf), &fault) == 0);
        tap_check(fault_untouched(&fault));
        nipc_pid_traffic_item_load(nipc_lookup_view_get(&view, 0), &item);
        tap_eq_uint(item.status, NIPC_PID_TRAFFIC_KNOWN);
        tap_eq_uint(item.flags, 3);
        tap_eq_uint(item.pid, 1234);
        tap_eq_uint(item.starttime, UINT64_C(0x2122232425262728));
        tap_eq_uint(item.tcp.rx_bytes, UINT64_MAX);
        tap_eq_uint(item.tcp.tx_bytes, 2);
        tap_eq_uint(item.tcp.rx_packets, 3);
        tap_eq_uint(item.tcp.tx_packets, 4);
        tap_eq_uint(item.tcp.n_sockets, 5);
        tap_eq_uint(item.tcp.counted, 7);
        tap_eq_uint(item.udp.rx_bytes | item.udp.tx_bytes, 0);
        tap_eq_uint(item.udp.n_sockets, 6);
        tap_eq_uint(item.udp.counted, NIPC_PID_TRAFFIC_SOCKETS);
        put_u32(key, 0, 1234);
        tap_check(nipc_lookup_item_is_for(class_, nipc_lookup_view_get(&view, 0), key, 8));
        tap_check(!nipc_lookup_item_is_for(class_, nipc_lookup_view_get(&view, 0), key, 4));
        put_u32(key, 0, 1235);
        tap_check(!nipc_lookup_item_is_for(class_, nipc_lookup_view_get(&view, 0), key, 8));
}

static void test_header_rules(void)
{
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        check_refused(buf, 0, 2, 2, 0);
        check_refused(buf, 6, 1, 2, 6);
        check_refused(buf, 12, 1, 4, 12);
        check_refused(buf, 4, 7, 2, 4);
        check_refused(buf, 4, 1u << 15, 2, 4);
        check_refused(buf, 2, 5, 2, 2);
        check_refused(buf, 2, UINT16_MAX, 2, 2);
}

/* A number at `at` of the item, neither the lowest nor the highest bit of it. */
static void check_number(const uint8_t buf[SAMPLE_SIZE], size_t at, size_t size)
{
        check_refused(buf, at, 1, size, at);
        check_refused(buf, at, UINT64_C(1) << (8 * size - 1), size, at);
}

/* A number that is not counted is 0, and every other may be. */
static void test_counted(void)
{
        static const struct {
                size_t at, size;
                uint32_t bit;
        } numbers[] = {{32, 4, 1}, {0, 8, 2}, {8, 8, 2}, {16, 8, 4}, {24, 8, 4}};
        static const size_t protocols[] = {TCP, UDP};
        uint8_t buf[SAMPLE_SIZE];
        uint32_t counted;
        size_t p, i;

        for (p = 0; p < 2; p++) {
                sample_bytes(buf);
                memset(buf + ITEM + TCP, 0, H - TCP);
                check_refused(buf, protocols[p] + 36, 8, 4, protocols[p] + 36);
                check_refused(buf, protocols[p] + 36, 1u << 31, 4, protocols[p] + 36);
                for (counted = 0; counted < 8; counted++) {
                        put_u32(buf, ITEM + protocols[p] + 36, counted);
                        tap_eq_int(decode(buf, sizeof(buf), NULL), 0);
                        for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                                if (!(counted & numbers[i].bit))
                                        check_number(buf, protocols[p] + numbers[i].at,
                                                     numbers[i].size);
                }
        }
}

static void test_statuses(void)
{
        uint8_t buf[SAMPLE_SIZE];
        uint16_t status;

        for (status = 1; status <= NIPC_PID_TRAFFIC_NOT_PERMITTED; status++) {
                sample_bytes(buf);
                check_refused(buf, 2, status, 2, 4);
                put_u16(buf, ITEM + 2, status);
                check_refused(buf, 4, 0, 2, 16);
                put_u16(buf, ITEM + 4, 0);
                check_refused(buf, 16, 0, 8, TCP + 36);
                put_u64(buf, ITEM + 16, 0);
                memset(buf + ITEM + TCP, 0, UDP - TCP);
                check_refused(buf, 12, 0, 4, UDP + 36);
                memset(buf + ITEM + UDP, 0, H - UDP);
                tap_eq_int(decode(buf, sizeof(buf), NULL), 0);
        }
}

/* Nor has one that is not KNOWN any of it. */
static void test_neutral(void)
{
        uint8_t buf[SAMPLE_SIZE];
        uint32_t bit;

        sample_bytes(buf);
        memset(buf + ITEM + 4, 0, 4);
        memset(buf + ITEM + 16, 0, H - 16);
        check_refused(buf, 2, 5, 2, 2);
        check_refused(buf, 2, 0x100, 2, 2);
        put_u16(buf + ITEM, 2, NIPC_PID_TRAFFIC_UNKNOWN);
        tap_eq_int(decode(buf, sizeof(buf), NULL), 0);
        check_number(buf, 16, 8);
        check_number(buf, 4, 2);
        for (bit = 1; bit <= 4; bit *= 2) {
                check_refused(buf, 4, bit, 2, 4);
                check_refused(buf, TCP + 36, bit, 4, TCP + 36);
                check_refused(buf, UDP + 36, bit, 4, UDP + 36);
        }
}

/* An item is its header. */
static void test_size(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE + 1] = {0};

        sample_bytes(buf);
        tap_eq_int(decode(buf, SAMPLE_SIZE + 1, &fault), 0); /* behind the message */
        put_u32(buf, 20, H + 1);
        check_fault(decode(buf, SAMPLE_SIZE, &fault), fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 20);
        check_fault(decode(buf, SAMPLE_SIZE + 1, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + H);
        put_u32(buf, 20, H - 1);
        check_fault(decode(buf, SAMPLE_SIZE, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 20);
}

static void test_build(void)
{
        uint8_t expected[SAMPLE_SIZE], buf[SAMPLE_SIZE];
        struct nipc_lookup_builder builder;
        size_t size = 0;

        sample_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        tap_require(nipc_lookup_builder_init_unasked(&builder, nipc_pid_traffic_get_class(), buf,
                                                     sizeof(buf), 1) == 0);
        tap_eq_int(nipc_pid_traffic_builder_add(&builder, &sample_item), 0);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
        tap_eq_mem(buf, size, expected, sizeof(expected));
}

/* A request for 1234 and 1. */
static bool begin_answer(struct nipc_lookup_builder *ret_builder,
                         struct nipc_lookup_request_view *ret_request, uint8_t asked[48],
                         uint8_t *buf, size_t budget)
{
        static const uint32_t pids[] = {1234, 1};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(pids, 2);
        const struct nipc_lookup_class *class_ = nipc_pid_traffic_get_class();
        size_t size;

        return tap_eq_int(nipc_lookup_request_encode(class_, &keys, 0, 2, asked, 48, &size), 0) &&
               tap_eq_int(nipc_lookup_request_view_init(ret_request, class_, asked, size, NULL),
                          0) &&
               tap_eq_int(nipc_lookup_builder_init(ret_builder, ret_request, buf, budget), 0);
}

static void test_build_refused(void)
{
        struct nipc_pid_traffic_item items[5];
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        uint8_t asked[48], buf[512];
        const uint8_t key[8] = {0};
        size_t i, size;

        for (i = 0; i < 5; i++)
                items[i] = sample_item;
        items[0].pid = 1; /* is asked for next */
        items[1] = (struct nipc_pid_traffic_item){.status = 2, .pid = 1234};
        items[2].udp.rx_packets = 1;
        items[3].flags = 4;
        items[4].status = NIPC_PID_TRAFFIC_NOT_PERMITTED;
        for (i = 0; i < 5; i++) {
                if (!begin_answer(&builder, &request, asked, buf, sizeof(buf)))
                        return;
                if (!tap_eq_int(nipc_pid_traffic_builder_add(&builder, &items[i]),
                                NIPC_PROTO_E_BAD_LAYOUT))
                        tap_note("item %zu", i);
                tap_eq_int(nipc_lookup_builder_finish(&builder, &size), NIPC_PROTO_E_BAD_LAYOUT);
        }
        if (begin_answer(&builder, &request, asked, buf, sizeof(buf)))
                tap_eq_int(nipc_lookup_builder_add_status(&builder, key, 4, 1),
                           NIPC_PROTO_E_BAD_LAYOUT);
}

/* What fits as placeholders fits as it is: 16 bytes and 112 for each process. */
static void test_budget(void)
{
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        struct nipc_pid_traffic_item item;
        struct nipc_lookup_view view;
        uint8_t asked[48], buf[240];
        size_t size = 0, key_size;
        const void *key;

        if (!begin_answer(&builder, &request, asked, buf, sizeof(buf)))
                return;
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), NIPC_PROTO_E_BAD_ITEM_COUNT);
        if (!begin_answer(&builder, &request, asked, buf, sizeof(buf)))
                return;
        tap_eq_int(nipc_pid_traffic_builder_add(&builder, &sample_item), 0);
        key = nipc_lookup_request_view_get(&request, 1, &key_size);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, key_size,
                                                  NIPC_PID_TRAFFIC_NOT_PERMITTED),
                   0);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
        tap_eq_uint(size, sizeof(buf));
        tap_require(nipc_lookup_view_init(&view, nipc_pid_traffic_get_class(), buf, size, NULL) ==
                    0);
        nipc_pid_traffic_item_load(nipc_lookup_view_get(&view, 1), &item);
        tap_eq_uint(item.status, NIPC_PID_TRAFFIC_NOT_PERMITTED);
        tap_eq_uint(item.pid, 1);

        if (!begin_answer(&builder, &request, asked, buf, sizeof(buf) - 1))
                return;
        tap_eq_int(nipc_pid_traffic_builder_add(&builder, &sample_item), 0);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, key, key_size, 1),
                   NIPC_PROTO_E_OVERFLOW);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), NIPC_PROTO_E_OVERFLOW);
}

static void test_provisional(void)
{
        const struct nipc_lookup_class *class_ = nipc_pid_traffic_get_class();
        uint8_t header[H] = {0};
        uint16_t status;

        for (status = 0; status <= NIPC_PID_TRAFFIC_NOT_PERMITTED; status++) {
                put_u16(header, 2, status);
                tap_eq_int(class_->is_provisional(header),
                           status != NIPC_PID_TRAFFIC_OVERSIZED_ITEM);
        }
}

TAP_MAIN(TAP_CASE(test_class), TAP_CASE(test_key), TAP_CASE(test_item), TAP_CASE(test_header_rules),
         TAP_CASE(test_counted), TAP_CASE(test_statuses), TAP_CASE(test_neutral),
         TAP_CASE(test_size), TAP_CASE(test_build), TAP_CASE(test_build_refused),
         TAP_CASE(test_budget), TAP_CASE(test_provisional))
