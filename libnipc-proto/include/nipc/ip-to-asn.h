/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 0x8001, IP_TO_ASN: IP addresses ask, the autonomous system of each answers
 * (doc/ip-to-asn.md).
 *
 * Requests, responses, labels: by the functions of <nipc/lookup.h>, with the class below; keys by
 * nipc_lookup_keys_of_strings(), texts as inet_ntop() writes them. What is no address is answered
 * so by the provider: nothing here reads texts. Here is what the items mean.
 *
 * An answer says for which addresses it holds. A user who keeps it, with the generation of its
 * response, need not ask for its neighbours: nipc_ip_to_asn_item_contains().
 */

#include <nipc/lookup.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_IP_TO_ASN_ITEM_HEADER_SIZE 72u
#define NIPC_IP_TO_ASN_ADDRESS_SIZE     16u
#define NIPC_IP_TO_ASN_COUNTRY_SIZE     2u

/* Keys are texts; items: strings ip, as_name and country, labels. Borrowed, lives for ever.
 * Since: 0.1 */
const struct nipc_lookup_class *nipc_ip_to_asn_get_class(void);

enum nipc_ip_to_asn_status {
        NIPC_IP_TO_ASN_KNOWN = 0,
        NIPC_IP_TO_ASN_UNKNOWN_RETRY_LATER = 1, /* no data yet */
        NIPC_IP_TO_ASN_UNKNOWN_PERMANENT = 2,   /* an address, but of nobody: not routed */
        NIPC_IP_TO_ASN_PAYLOAD_EXCEEDED = 3,    /* never seen by callers of a client */
        NIPC_IP_TO_ASN_OVERSIZED_ITEM = 4,      /* known, but larger than a response may be */
        NIPC_IP_TO_ASN_NOT_AN_ADDRESS = 5,      /* the key is no IP address */
};

enum nipc_ip_to_asn_flag {
        NIPC_IP_TO_ASN_RANGE = 1u << 0, /* range_first and range_last are there */
};

/*
 * Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d: memcmp() orders them. Unless
 * KNOWN, an item has nothing but its text and, if UNKNOWN_PERMANENT, perhaps a range.
 */
struct nipc_ip_to_asn_item {
        uint16_t status;
        uint16_t flags; /* NIPC_IP_TO_ASN_RANGE: always when KNOWN */
        uint32_t asn;   /* not 0 when KNOWN */
        uint8_t range_first[NIPC_IP_TO_ASN_ADDRESS_SIZE];
        uint8_t range_last[NIPC_IP_TO_ASN_ADDRESS_SIZE]; /* of the range, too; zero without one */
        struct nipc_lookup_string ip;                    /* the key as it was asked, never empty */
        struct nipc_lookup_string as_name;               /* may be empty */
        struct nipc_lookup_string country;               /* ISO 3166-1 alpha-2, or empty */
        uint32_t n_labels;
        const struct nipc_label *labels; /* to build; of a decoded item they are in raw */
        struct nipc_lookup_item raw;     /* decoded: for nipc_lookup_item_get_label() */
};

/* The fields of a checked item, borrowed from it. Since: 0.1 */
void nipc_ip_to_asn_item_load(struct nipc_lookup_item raw, struct nipc_ip_to_asn_item *ret_item);

/* Adds an item. Returns as nipc_lookup_builder_add(). Since: 0.1 */
int nipc_ip_to_asn_builder_add(struct nipc_lookup_builder *builder,
                               const struct nipc_ip_to_asn_item *item);

/* The 16 bytes of an IPv4 address. ipv4: 4 bytes in network order. Since: 0.1 */
static inline void nipc_ip_to_asn_map_ipv4(const void *ipv4,
                                           uint8_t ret_address[NIPC_IP_TO_ASN_ADDRESS_SIZE])
{
        memset(ret_address, 0, 10);
        memset(ret_address + 10, 0xff, 2);
        memcpy(ret_address + 12, ipv4, 4);
}

/*
 * Whether the answer holds for this address, too; false for all when it has no range. address:
 * NIPC_IP_TO_ASN_ADDRESS_SIZE bytes. Since: 0.1
 */
static inline bool nipc_ip_to_asn_item_contains(const struct nipc_ip_to_asn_item *item,
                                                const void *address)
{
        return (item->flags & NIPC_IP_TO_ASN_RANGE) &&
               memcmp(item->range_first, address, NIPC_IP_TO_ASN_ADDRESS_SIZE) <= 0 &&
               memcmp(address, item->range_last, NIPC_IP_TO_ASN_ADDRESS_SIZE) <= 0;
}

/* "KNOWN" and so on, "?" for other values; never NULL. Since: 0.1 */
const char *nipc_ip_to_asn_status_name(uint16_t status);

#ifdef __cplusplus
}
#endif
