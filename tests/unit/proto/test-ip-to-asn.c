/* SPDX-License-Identifier: MIT */

/* Method 0x8001: items as bytes, every rule with its offset, what can be built and what cannot. */

#include <nipc/header.h>
#include <nipc/ip-to-asn.h>

#include "util-bytes.h"

enum {
        ITEM = 16 + 8,
        H = 72,
        IP = H,           /* "1.2.3.4" */
        NAME = IP + 8,    /* "NET" */
        CC = NAME + 4,    /* "FR" */
        STRINGS = CC + 3, /* where they end */
        TABLE = 88,       /* of one label, "k" = "v" */
        LABEL = TABLE + 16,
        SAMPLE_SIZE = ITEM + LABEL + 4,
};

_Static_assert(STRINGS<TABLE && STRINGS + 8> TABLE, "the table is where they end, aligned");

static void put_ipv4(uint8_t *item, size_t at, uint32_t number)
{
        memset(item + at, 0, 10);
        memset(item + at + 10, 0xff, 2);
        item[at + 12] = (uint8_t)(number >> 24);
        item[at + 13] = (uint8_t)(number >> 16);
        item[at + 14] = (uint8_t)(number >> 8);
        item[at + 15] = (uint8_t)number;
}

static void put_string(uint8_t *item, size_t field, uint32_t offset, const char *text)
{
        put_u32(item, field, offset);
        put_u32(item, field + 4, (uint32_t)strlen(text));
        memcpy(item + offset, text, strlen(text) + 1);
}

/* One KNOWN item with one label, as an encoder must write it. */
static void sample_bytes(uint8_t buf[SAMPLE_SIZE])
{
        uint8_t *item = buf + ITEM;

        memset(buf, 0, SAMPLE_SIZE);
        put_u16(buf, 0, 1);
        put_u32(buf, 4, 1);
        put_u64(buf, 8, UINT64_C(0x1112131415161718));
        put_u32(buf, 20, SAMPLE_SIZE - ITEM);
        put_u16(item, 0, 1);
        put_u16(item, 4, 1);
        put_u16(item, 6, 1);
        put_u32(item, 8, 64500);
        put_ipv4(item, 16, 0x01020000);
        put_ipv4(item, 32, 0x0102ffff);
        put_string(item, 48, IP, "1.2.3.4");
        put_string(item, 56, NAME, "NET");
        put_string(item, 64, CC, "FR");
        put_string(item, TABLE, LABEL, "k");
        put_string(item, TABLE + 8, LABEL + 2, "v");
}

static int decode(const void *buf, size_t size, struct nipc_fault *ret_fault)
{
        struct nipc_lookup_view view;

        return nipc_lookup_view_init(&view, nipc_ip_to_asn_get_class(), buf, size, ret_fault);
}

/* The sample with `size` bytes at `at` of its item changed is refused, at `fault_at` of it. */
static void check_refused(size_t at, const void *bytes, size_t size, int cause, size_t fault_at)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        memcpy(buf + ITEM + at, bytes, size);
        if (!check_fault(decode(buf, sizeof(buf), &fault), fault, cause, ITEM + fault_at))
                tap_note("%zu bytes at %zu", size, at);
}

static void check_refused_u16(size_t at, uint16_t value, size_t fault_at)
{
        check_refused(at, &value, sizeof(value), NIPC_PROTO_E_BAD_LAYOUT, fault_at);
}

static void check_refused_u32(size_t at, uint32_t value, int cause, size_t fault_at)
{
        check_refused(at, &value, sizeof(value), cause, fault_at);
}

static void test_class(void)
{
        const struct nipc_lookup_class *class_ = nipc_ip_to_asn_get_class();
        struct nipc_fault fault = FAULT_NONE;

        tap_eq_int(nipc_lookup_class_check(class_, &fault), 0);
        tap_eq_uint(class_->method, NIPC_METHOD_IP_TO_ASN);
        tap_eq_uint(class_->method, 0x8001);
        tap_eq_uint(class_->item_header_size, H);
        tap_eq_str(nipc_ip_to_asn_status_name(NIPC_IP_TO_ASN_KNOWN), "KNOWN");
        tap_eq_str(nipc_ip_to_asn_status_name(NIPC_IP_TO_ASN_NOT_AN_ADDRESS), "NOT_AN_ADDRESS");
        tap_eq_str(nipc_ip_to_asn_status_name(6), "?");
}

static void test_item(void)
{
        const struct nipc_lookup_class *class_ = nipc_ip_to_asn_get_class();
        struct nipc_ip_to_asn_item item;
        struct nipc_fault fault = FAULT_NONE;
        struct nipc_lookup_view view;
        struct nipc_label label;
        uint8_t buf[SAMPLE_SIZE];

        sample_bytes(buf);
        tap_require(nipc_lookup_view_init(&view, class_, buf, sizeof(buf), &fault) == 0);
        tap_check(fault_untouched(&fault));
        tap_eq_uint(view.generation, UINT64_C(0x1112131415161718));
        nipc_ip_to_asn_item_load(nipc_lookup_view_get(&view, 0), &item);
        tap_eq_uint(item.status, NIPC_IP_TO_ASN_KNOWN);
        tap_eq_uint(item.flags, NIPC_IP_TO_ASN_RANGE);
        tap_eq_uint(item.asn, 64500);
        tap_eq_mem(item.range_first, 16, buf + ITEM + 16, 16);
        tap_eq_mem(item.range_last, 16, buf + ITEM + 32, 16);
        tap_eq_mem(item.ip.str, item.ip.len + 1, "1.2.3.4", 8);
        tap_eq_mem(item.as_name.str, item.as_name.len + 1, "NET", 4);
        tap_eq_mem(item.country.str, item.country.len + 1, "FR", 3);
        tap_require(item.n_labels == 1);
        label = nipc_lookup_item_get_label(class_, item.raw, 0);
        tap_eq_mem(label.key, label.key_len + 1, "k", 2);
        tap_eq_mem(label.value, label.value_len + 1, "v", 2);
        tap_check(nipc_lookup_item_is_for(class_, item.raw, "1.2.3.4", 7));
        tap_check(!nipc_lookup_item_is_for(class_, item.raw, "1.2.3.5", 7));
}

static void test_header_rules(void)
{
        check_refused_u16(0, 2, 0);
        check_refused_u32(12, 1, NIPC_PROTO_E_BAD_LAYOUT, 12);
        check_refused_u32(12, 1u << 31, NIPC_PROTO_E_BAD_LAYOUT, 12);
        check_refused_u16(4, 3, 4);
        check_refused_u16(4, 1u << 15, 4);
        check_refused_u16(2, 6, 2);
        check_refused_u16(2, UINT16_MAX, 2);
        check_refused_u32(52, 0, NIPC_PROTO_E_BAD_LAYOUT, 52);
        check_refused_u32(68, 1, NIPC_PROTO_E_BAD_LAYOUT, 68);
        check_refused_u32(68, 3, NIPC_PROTO_E_BAD_LAYOUT, 68);
        check_refused_u32(8, 0, NIPC_PROTO_E_BAD_LAYOUT, 8);
}

static void test_asn(void)
{
        static const uint32_t asns[] = {1, 1u << 8, 1u << 16, 1u << 24, UINT32_MAX};
        uint8_t buf[SAMPLE_SIZE];
        size_t i;

        sample_bytes(buf);
        for (i = 0; i < sizeof(asns) / sizeof(asns[0]); i++) {
                put_u32(buf + ITEM, 8, asns[i]);
                tap_eq_int(decode(buf, sizeof(buf), NULL), 0);
        }
}

static void test_range_rules(void)
{
        uint8_t buf[SAMPLE_SIZE], address[16] = {0};
        struct nipc_fault fault = FAULT_NONE;

        check_refused_u16(4, 0, 16); /* a range, and it is said that there is none */
        check_refused(16, address, 16, NIPC_PROTO_E_BAD_LAYOUT, 32); /* from before IPv4 */
        address[9] = 1;
        check_refused(32, address, 16, NIPC_PROTO_E_BAD_LAYOUT, 32); /* to behind it */
        put_ipv4(address, 0, 0x0101ffff);
        check_refused(32, address, 16, NIPC_PROTO_E_BAD_LAYOUT, 32); /* backwards */

        sample_bytes(buf);
        put_u16(buf + ITEM, 4, 0);
        memset(buf + ITEM + 16, 0, 16);
        check_fault(decode(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 32);
        memset(buf + ITEM + 32, 0, 16);
        check_fault(decode(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 4);
        put_u16(buf + ITEM, 4, 1); /* :: to :: is a range */
        tap_eq_int(decode(buf, sizeof(buf), &fault), 0);
        memset(buf + ITEM + 32, 0xff, 16); /* all of IPv6, with IPv4 in its middle */
        check_fault(decode(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 32);
}

/* Without RANGE not one bit of either address. */
static void test_no_range(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE], *item = buf + ITEM;
        size_t at;

        sample_bytes(buf);
        put_u16(item, 4, 0);
        for (at = 16; at < 48; at++) {
                memset(item + 16, 0, 32);
                item[at] = 1;
                check_fault(decode(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                            ITEM + (at < 32 ? 16 : 32));
        }
}

/* The first and last addresses before, in and behind IPv4. */
static void test_range_edges(void)
{
        static const struct {
                uint8_t bytes[7]; /* 9 to 15 */
                int side;
        } edges[] = {
                {{0, 0, 0, 0, 0, 0, 0}, -1},      {{0, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff}, -1},
                {{0, 0xff, 0xff, 0, 0, 0, 0}, 0}, {{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0},
                {{1, 0, 0, 0, 0, 0, 0}, 1},       {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1},
        };
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE];
        size_t i, k;

        sample_bytes(buf);
        memset(buf + ITEM + 16, 0, 32);
        for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
                for (k = 0; k < sizeof(edges) / sizeof(edges[0]); k++) {
                        memcpy(buf + ITEM + 16 + 9, edges[i].bytes, 7);
                        memcpy(buf + ITEM + 32 + 9, edges[k].bytes, 7);
                        if (i <= k && edges[i].side == edges[k].side)
                                tap_eq_int(decode(buf, sizeof(buf), &fault), 0);
                        else
                                check_fault(decode(buf, sizeof(buf), &fault), fault,
                                            NIPC_PROTO_E_BAD_LAYOUT, ITEM + 32);
                }
        }
}

/* What each status that is not KNOWN allows. */
static void test_statuses(void)
{
        const struct {
                size_t at;
                uint32_t value;
        } wrong[] = {{8, 1}, {60, 1}, {68, 2}};
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE], *item = buf + ITEM;
        const size_t size = ITEM + H + 10;
        uint16_t status;
        size_t i;

        sample_bytes(buf);
        put_u32(buf, 20, H + 10);
        put_u16(item, 6, 0);
        put_u32(item, 8, 0);
        put_string(item, 56, H + 8, "");
        put_string(item, 64, H + 9, "");
        for (status = 1; status <= NIPC_IP_TO_ASN_NOT_AN_ADDRESS; status++) {
                put_u16(item, 2, status);
                put_u16(item, 4, 1);
                put_ipv4(item, 16, 0x01020000);
                put_ipv4(item, 32, 0x0102ffff);
                if (status == NIPC_IP_TO_ASN_UNKNOWN_PERMANENT)
                        tap_eq_int(decode(buf, size, &fault), 0);
                else
                        check_fault(decode(buf, size, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                                    ITEM + 4);
                put_u16(item, 4, 0);
                memset(item + 16, 0, 32);
                tap_eq_int(decode(buf, size, &fault), 0);
                for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                        put_u32(item, wrong[i].at, wrong[i].value);
                        check_fault(decode(buf, size, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                                    ITEM + wrong[i].at);
                        put_u32(item, wrong[i].at, 0);
                }
                put_u16(item, 6, 1);
                check_fault(decode(buf, size, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, ITEM + 6);
                put_u16(item, 6, 0);
        }
}

static void test_text_rules(void)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t buf[SAMPLE_SIZE + 1] = {0};
        const uint16_t two = 2;

        check_refused_u32(48, H - 1, NIPC_PROTO_E_OUT_OF_BOUNDS, 48);
        check_refused_u32(56, 0, NIPC_PROTO_E_OUT_OF_BOUNDS, 56);
        check_refused_u32(60, SAMPLE_SIZE, NIPC_PROTO_E_OUT_OF_BOUNDS, 56);
        check_refused_u32(64, UINT32_MAX, NIPC_PROTO_E_OUT_OF_BOUNDS, 64);
        check_refused(NAME + 3, "x", 1, NIPC_PROTO_E_MISSING_NUL, NAME + 3);
        check_refused(CC, "", 1, NIPC_PROTO_E_BAD_LAYOUT, CC);
        check_refused_u32(56, IP + 4, NIPC_PROTO_E_BAD_LAYOUT, 56); /* "3.4" is of ip */
        check_refused(STRINGS, "x", 1, NIPC_PROTO_E_BAD_LAYOUT, STRINGS);
        check_refused_u32(TABLE + 4, 0, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 4);
        check_refused_u32(TABLE + 8, LABEL + 3, NIPC_PROTO_E_BAD_LAYOUT, TABLE + 8);
        check_refused_u16(6, 0, STRINGS);
        check_refused(6, &two, sizeof(two), NIPC_PROTO_E_OUT_OF_BOUNDS, SAMPLE_SIZE - ITEM);

        sample_bytes(buf);
        put_u32(buf, 20, H - 1);
        check_fault(decode(buf, sizeof(buf), &fault), fault, NIPC_PROTO_E_BAD_LAYOUT, 20);
        put_u32(buf, 20, SAMPLE_SIZE - ITEM + 1);
        check_fault(decode(buf, SAMPLE_SIZE, &fault), fault, NIPC_PROTO_E_OUT_OF_BOUNDS, 20);
        check_fault(decode(buf, SAMPLE_SIZE + 1, &fault), fault, NIPC_PROTO_E_BAD_LAYOUT,
                    SAMPLE_SIZE);
}

static void test_contains(void)
{
        struct nipc_ip_to_asn_item item = {.flags = NIPC_IP_TO_ASN_RANGE};
        const uint8_t first[] = {10, 0, 0, 0}, last[] = {10, 255, 255, 255}, behind[] = {11, 0};
        uint8_t address[16];

        nipc_ip_to_asn_map_ipv4(first, item.range_first);
        nipc_ip_to_asn_map_ipv4(last, item.range_last);
        put_ipv4(address, 0, 0x0a000000);
        tap_eq_mem(item.range_first, 16, address, 16);
        tap_check(nipc_ip_to_asn_item_contains(&item, address));
        tap_check(nipc_ip_to_asn_item_contains(&item, item.range_last));
        put_ipv4(address, 0, 0x09ffffff);
        tap_check(!nipc_ip_to_asn_item_contains(&item, address));
        memcpy(address + 12, behind, 2);
        tap_check(!nipc_ip_to_asn_item_contains(&item, address));
        item.flags = 0;
        tap_check(!nipc_ip_to_asn_item_contains(&item, item.range_first));
}

static struct nipc_ip_to_asn_item sample_item(const struct nipc_label *label)
{
        const uint8_t first[] = {1, 2, 0, 0}, last[] = {1, 2, 255, 255};
        struct nipc_ip_to_asn_item item = {
                .flags = NIPC_IP_TO_ASN_RANGE,
                .asn = 64500,
                .ip = {"1.2.3.4", 7},
                .as_name = {"NET", 3},
                .country = {"FR", 2},
                .n_labels = 1,
                .labels = label,
        };

        nipc_ip_to_asn_map_ipv4(first, item.range_first);
        nipc_ip_to_asn_map_ipv4(last, item.range_last);
        return item;
}

static const struct nipc_label label_kv = {"k", 1, "v", 1};

static void test_build(void)
{
        const struct nipc_ip_to_asn_item item = sample_item(&label_kv);
        uint8_t expected[SAMPLE_SIZE], buf[SAMPLE_SIZE];
        struct nipc_lookup_builder builder;
        size_t size = 0;

        sample_bytes(expected);
        memset(buf, 0xaa, sizeof(buf));
        tap_require(nipc_lookup_builder_init_unasked(&builder, nipc_ip_to_asn_get_class(), buf,
                                                     sizeof(buf), 1) == 0);
        nipc_lookup_builder_set_generation(&builder, UINT64_C(0x1112131415161718));
        tap_eq_int(nipc_ip_to_asn_builder_add(&builder, &item), 0);
        tap_eq_int(nipc_lookup_builder_finish(&builder, &size), 0);
        tap_eq_mem(buf, size, expected, sizeof(expected));
}

/* Starts the answer to a request for these two keys. */
static bool begin_answer(struct nipc_lookup_builder *ret_builder,
                         struct nipc_lookup_request_view *ret_request, uint8_t asked[64],
                         uint8_t *buf, size_t budget)
{
        static const char *const texts[] = {"1.2.3.4", "nobody"};
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_strings(texts, 2);
        const struct nipc_lookup_class *class_ = nipc_ip_to_asn_get_class();
        size_t size;

        return tap_eq_int(nipc_lookup_request_encode(class_, &keys, 0, 2, asked, 64, &size), 0) &&
               tap_eq_int(nipc_lookup_request_view_init(ret_request, class_, asked, size, NULL),
                          0) &&
               tap_eq_int(nipc_lookup_builder_init(ret_builder, ret_request, buf, budget), 0);
}

static void test_build_refused(void)
{
        static const struct nipc_label nameless = {"", 0, "v", 1};
        struct nipc_ip_to_asn_item items[8];
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        uint8_t asked[64], buf[512];
        size_t i, size;

        for (i = 0; i < 8; i++)
                items[i] = sample_item(&label_kv);
        items[0].ip = (struct nipc_lookup_string){"1.2.3.5", 7}; /* nobody asked */
        items[1].status = NIPC_IP_TO_ASN_PAYLOAD_EXCEEDED;
        items[2].country.len = 1;
        items[3].as_name = (struct nipc_lookup_string){"N\0T", 3};
        items[4].asn = 0;
        items[5].labels = &nameless;
        items[6].range_first[15] = 1;
        items[6].range_last[12] = 0;
        items[7].as_name = (struct nipc_lookup_string){NULL, 1};
        for (i = 0; i < 8; i++) {
                if (!begin_answer(&builder, &request, asked, buf, sizeof(buf)))
                        return;
                if (!tap_eq_int(nipc_ip_to_asn_builder_add(&builder, &items[i]),
                                NIPC_PROTO_E_BAD_LAYOUT))
                        tap_note("item %zu", i);
                tap_eq_int(nipc_lookup_builder_finish(&builder, &size), NIPC_PROTO_E_BAD_LAYOUT);
        }
}

/* Builds the sample and "nobody", who has no address, within a budget. Returns the statuses. */
static unsigned answer(size_t budget, size_t *ret_size)
{
        const struct nipc_ip_to_asn_item item = sample_item(&label_kv);
        struct nipc_lookup_request_view request;
        struct nipc_lookup_builder builder;
        struct nipc_ip_to_asn_item a, b;
        struct nipc_lookup_view view;
        uint8_t asked[64], buf[512];

        if (!begin_answer(&builder, &request, asked, buf, budget))
                return 0;
        tap_eq_int(nipc_ip_to_asn_builder_add(&builder, &item), 0);
        tap_eq_int(nipc_lookup_builder_add_status(&builder, "nobody", 6,
                                                  NIPC_IP_TO_ASN_NOT_AN_ADDRESS),
                   0);
        if (!tap_eq_int(nipc_lookup_builder_finish(&builder, ret_size), 0) ||
            !tap_eq_int(nipc_lookup_view_init(&view, nipc_ip_to_asn_get_class(), buf, *ret_size,
                                              NULL),
                        0))
                return 0;
        nipc_ip_to_asn_item_load(nipc_lookup_view_get(&view, 0), &a);
        nipc_ip_to_asn_item_load(nipc_lookup_view_get(&view, 1), &b);
        tap_eq_str(a.ip.str, "1.2.3.4");
        tap_eq_str(b.ip.str, "nobody");
        return a.status * 10u + b.status;
}

static void test_budget(void)
{
        const size_t known = SAMPLE_SIZE - ITEM, placeholder = H + 3 + 6;
        const size_t exact = 32 + ((known + 7) & ~(size_t)7) + ((placeholder + 7) & ~(size_t)7);
        size_t size = 0;

        tap_eq_uint(answer(512, &size), 5);
        tap_eq_uint(size, exact - ((placeholder + 7) & ~(size_t)7) + placeholder);
        tap_eq_uint(answer(exact, &size), 5);
        tap_eq_uint(answer(exact - 1, &size), 3); /* the last, for want of its padding */
        tap_eq_uint(answer(size, &size), 3);
        tap_eq_uint(answer(size - 1, &size), 45); /* now the first makes room */
}

static void test_provisional(void)
{
        const struct nipc_lookup_class *class_ = nipc_ip_to_asn_get_class();
        uint8_t header[H] = {0};
        uint16_t status;

        for (status = 0; status <= NIPC_IP_TO_ASN_NOT_AN_ADDRESS; status++) {
                put_u16(header, 2, status);
                tap_eq_int(class_->is_provisional(header),
                           status == NIPC_IP_TO_ASN_UNKNOWN_RETRY_LATER);
        }
}

TAP_MAIN(TAP_CASE(test_class), TAP_CASE(test_item), TAP_CASE(test_header_rules), TAP_CASE(test_asn),
         TAP_CASE(test_range_rules), TAP_CASE(test_no_range), TAP_CASE(test_range_edges),
         TAP_CASE(test_statuses), TAP_CASE(test_text_rules), TAP_CASE(test_contains),
         TAP_CASE(test_build), TAP_CASE(test_build_refused), TAP_CASE(test_budget),
         TAP_CASE(test_provisional))
