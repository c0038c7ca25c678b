/* SPDX-License-Identifier: MIT */

/* Method 0x8001 (doc/ip-to-asn.md): what a class cannot say of its items, and their fields. */

#include <nipc/header.h>
#include <nipc/ip-to-asn.h>

#include "../lookup-own.h"

enum {
        ITEM_FLAGS = 4,
        ITEM_LABEL_COUNT = 6,
        ITEM_ASN = 8,
        ITEM_RESERVED0 = 12,
        ITEM_RANGE_FIRST = 16,
        ITEM_RANGE_LAST = 32,
        ITEM_IP = 48,
        ITEM_IP_LENGTH = 52,
        ITEM_AS_NAME = 56,
        ITEM_AS_NAME_LENGTH = 60,
        ITEM_COUNTRY = 64,
        ITEM_COUNTRY_LENGTH = 68,
        ITEM_SIZE = 72,
};

_Static_assert(ITEM_SIZE == NIPC_IP_TO_ASN_ITEM_HEADER_SIZE, "ip-to-asn §2");
_Static_assert(ITEM_RANGE_FIRST + NIPC_IP_TO_ASN_ADDRESS_SIZE == ITEM_RANGE_LAST, "ip-to-asn §2");
_Static_assert(ITEM_RANGE_LAST + NIPC_IP_TO_ASN_ADDRESS_SIZE == ITEM_IP, "ip-to-asn §2");
_Static_assert(ITEM_COUNTRY_LENGTH + sizeof(uint32_t) == ITEM_SIZE, "ip-to-asn §2");

/* The halves of an address, as numbers. Its bytes have an order of their own, on any machine. */
struct address {
        uint64_t high;
        uint64_t low;
};

static NIPC__ALWAYS_INLINE uint64_t load_network_u64(const uint8_t *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        v = __builtin_bswap64(v);
#endif
        return v;
}

static NIPC__ALWAYS_INLINE struct address load_address(const uint8_t *p)
{
        return (struct address){load_network_u64(p), load_network_u64(p + sizeof(uint64_t))};
}

/* Before, in or behind ::ffff:0:0/96, which is where IPv4 lies. */
static NIPC__ALWAYS_INLINE int find_side(struct address a)
{
        const uint64_t prefix = a.low >> 32;

        if (a.high || prefix > 0xffff)
                return 1;
        return prefix == 0xffff ? 0 : -1;
}

static NIPC__ALWAYS_INLINE bool is_range_bad(const uint8_t *p)
{
        const struct address first = load_address(p + ITEM_RANGE_FIRST);
        const struct address last = load_address(p + ITEM_RANGE_LAST);

        if (!(nipc_load_u16(p + ITEM_FLAGS) & NIPC_IP_TO_ASN_RANGE))
                return first.high | first.low | last.high | last.low;
        return first.high > last.high || (first.high == last.high && first.low > last.low) ||
               find_side(first) != find_side(last);
}

static int bad_field(struct nipc_fault *ret_fault, size_t offset, const char *rule)
{
        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, offset, rule);
}

static NIPC__COLD int range_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        const struct address first = load_address(p + ITEM_RANGE_FIRST);

        if (nipc_load_u16(p + ITEM_FLAGS) & NIPC_IP_TO_ASN_RANGE)
                return bad_field(ret_fault, ITEM_RANGE_LAST,
                                 "a range must not end before it begins, nor mix IPv4 and IPv6");
        return bad_field(ret_fault, first.high | first.low ? ITEM_RANGE_FIRST : ITEM_RANGE_LAST,
                         "without RANGE both addresses must be 0");
}

static NIPC__COLD int unknown_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        if (nipc_load_u32(p + ITEM_ASN))
                return bad_field(ret_fault, ITEM_ASN, "an item that is not KNOWN has no asn");
        if (nipc_load_u32(p + ITEM_AS_NAME_LENGTH))
                return bad_field(ret_fault, ITEM_AS_NAME_LENGTH,
                                 "an item that is not KNOWN has no as_name");
        if (nipc_load_u32(p + ITEM_COUNTRY_LENGTH))
                return bad_field(ret_fault, ITEM_COUNTRY_LENGTH,
                                 "an item that is not KNOWN has no country");
        if (nipc_load_u16(p + ITEM_LABEL_COUNT))
                return bad_field(ret_fault, ITEM_LABEL_COUNT,
                                 "an item that is not KNOWN has no labels");
        return bad_field(ret_fault, ITEM_FLAGS,
                         "only KNOWN and UNKNOWN_PERMANENT items have a range");
}

static NIPC__COLD int item_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);
        const uint32_t country_length = nipc_load_u32(p + ITEM_COUNTRY_LENGTH);

        if (nipc_load_u32(p + ITEM_RESERVED0))
                return bad_field(ret_fault, ITEM_RESERVED0, "reserved0 of an item must be 0");
        if (nipc_load_u16(p + ITEM_FLAGS) & ~NIPC_IP_TO_ASN_RANGE)
                return bad_field(ret_fault, ITEM_FLAGS, "flags other than RANGE must be 0");
        if (status > NIPC_IP_TO_ASN_NOT_AN_ADDRESS)
                return bad_field(ret_fault, ITEM_STATUS, "status must be one of 0 to 5");
        if (!nipc_load_u32(p + ITEM_IP_LENGTH))
                return bad_field(ret_fault, ITEM_IP_LENGTH, "ip must not be empty");
        if (country_length && country_length != NIPC_IP_TO_ASN_COUNTRY_SIZE)
                return bad_field(ret_fault, ITEM_COUNTRY_LENGTH,
                                 "country must be empty or of two letters");
        if (is_range_bad(p))
                return range_fault(p, ret_fault);
        if (status != NIPC_IP_TO_ASN_KNOWN)
                return unknown_fault(p, ret_fault);
        if (!nipc_load_u32(p + ITEM_ASN))
                return bad_field(ret_fault, ITEM_ASN, "a KNOWN address has an asn");
        return bad_field(ret_fault, ITEM_FLAGS, "a KNOWN address has a range");
}

/* Of an item that is not KNOWN. */
static NIPC__ALWAYS_INLINE bool is_unknown_bad(const uint8_t *p)
{
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);

        return status > NIPC_IP_TO_ASN_NOT_AN_ADDRESS ||
               (nipc_load_u32(p + ITEM_ASN) | nipc_load_u32(p + ITEM_AS_NAME_LENGTH) |
                nipc_load_u32(p + ITEM_COUNTRY_LENGTH) | nipc_load_u16(p + ITEM_LABEL_COUNT)) ||
               (status != NIPC_IP_TO_ASN_UNKNOWN_PERMANENT && nipc_load_u16(p + ITEM_FLAGS));
}

static NIPC__ALWAYS_INLINE int check_item(const void *header, struct nipc_fault *ret_fault)
{
        const uint8_t *p = header;
        const uint16_t flags = nipc_load_u16(p + ITEM_FLAGS);
        const uint32_t country_length = nipc_load_u32(p + ITEM_COUNTRY_LENGTH);
        bool bad = nipc_load_u32(p + ITEM_RESERVED0) || (flags & ~NIPC_IP_TO_ASN_RANGE) ||
                   !nipc_load_u32(p + ITEM_IP_LENGTH) ||
                   (country_length && country_length != NIPC_IP_TO_ASN_COUNTRY_SIZE) ||
                   is_range_bad(p);

        if (NIPC__LIKELY(nipc_load_u16(p + ITEM_STATUS) == NIPC_IP_TO_ASN_KNOWN))
                bad |= !nipc_load_u32(p + ITEM_ASN) || !flags;
        else
                bad |= is_unknown_bad(p);
        return NIPC__UNLIKELY(bad) ? item_fault(p, ret_fault) : 0;
}

static bool is_provisional(const void *header)
{
        return nipc_load_u16((const uint8_t *)header + ITEM_STATUS) ==
               NIPC_IP_TO_ASN_UNKNOWN_RETRY_LATER;
}

NIPC__LOOKUP_OWN_DECLARE;

static const struct nipc_lookup_class class_ip_to_asn = {
        .size = sizeof(class_ip_to_asn),
        .method = NIPC_METHOD_IP_TO_ASN,
        .item_header_size = ITEM_SIZE,
        .n_strings = 3,
        .strings_offset = ITEM_IP,
        .labels_offset = ITEM_LABEL_COUNT,
        .status_exceeded = NIPC_IP_TO_ASN_PAYLOAD_EXCEEDED,
        .status_oversized = NIPC_IP_TO_ASN_OVERSIZED_ITEM,
        .check_item = check_item,
        .is_provisional = is_provisional,
        .own = &own,
};

NIPC__LOOKUP_OWN_DEFINE(&class_ip_to_asn);

NIPC__EXPORT const struct nipc_lookup_class *nipc_ip_to_asn_get_class(void)
{
        return &class_ip_to_asn;
}

NIPC__EXPORT void nipc_ip_to_asn_item_load(struct nipc_lookup_item raw,
                                           struct nipc_ip_to_asn_item *ret_item)
{
        *ret_item = (struct nipc_ip_to_asn_item){
                .status = nipc_load_u16(raw.bytes + ITEM_STATUS),
                .flags = nipc_load_u16(raw.bytes + ITEM_FLAGS),
                .asn = nipc_load_u32(raw.bytes + ITEM_ASN),
                .ip = nipc_lookup_item_get_string(&class_ip_to_asn, raw, 0),
                .as_name = nipc_lookup_item_get_string(&class_ip_to_asn, raw, 1),
                .country = nipc_lookup_item_get_string(&class_ip_to_asn, raw, 2),
                .n_labels = nipc_load_u16(raw.bytes + ITEM_LABEL_COUNT),
                .raw = raw,
        };
        memcpy(ret_item->range_first, raw.bytes + ITEM_RANGE_FIRST, NIPC_IP_TO_ASN_ADDRESS_SIZE);
        memcpy(ret_item->range_last, raw.bytes + ITEM_RANGE_LAST, NIPC_IP_TO_ASN_ADDRESS_SIZE);
}

static NIPC__ALWAYS_INLINE void fill_item(uint8_t *p, const void *arg)
{
        const struct nipc_ip_to_asn_item *item = arg;

        nipc_store_u16(p + ITEM_STATUS, item->status);
        nipc_store_u16(p + ITEM_FLAGS, item->flags);
        nipc_store_u32(p + ITEM_ASN, item->asn);
        nipc_store_u32(p + ITEM_RESERVED0, 0);
        memcpy(p + ITEM_RANGE_FIRST, item->range_first, NIPC_IP_TO_ASN_ADDRESS_SIZE);
        memcpy(p + ITEM_RANGE_LAST, item->range_last, NIPC_IP_TO_ASN_ADDRESS_SIZE);
}

NIPC__EXPORT int nipc_ip_to_asn_builder_add(struct nipc_lookup_builder *builder,
                                            const struct nipc_ip_to_asn_item *item)
{
        const struct nipc_lookup_string strings[] = {item->ip, item->as_name, item->country};

        return nipc__lookup_add(builder, &class_ip_to_asn, fill_item, item, strings, item->labels,
                                item->n_labels);
}

NIPC__EXPORT const char *nipc_ip_to_asn_status_name(uint16_t status)
{
        static const char *const names[] = {
                "KNOWN",          "UNKNOWN_RETRY_LATER", "UNKNOWN_PERMANENT", "PAYLOAD_EXCEEDED",
                "OVERSIZED_ITEM", "NOT_AN_ADDRESS",
        };

        return status < NIPC__ARRAY_SIZE(names) ? names[status] : "?";
}
