/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Internet addresses as numbers that compare, and their text. One form for both families: an IPv4
 * address is its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that ::ffff:192.0.2.1 and
 * 192.0.2.1 are the same. No names, no scopes, no prefixes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest text of an address; what is longer is none. */
#define ASN_ADDRESS_MAX_TEXT (sizeof("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") - 1)

struct asn_address {
        uint64_t high, low; /* host order */
};

static inline bool asn_address_is_v4(const struct asn_address *address)
{
        return address->high == 0 && address->low >> 32 == 0xffff;
}

static inline struct asn_address asn_address_from_v4(uint32_t v4)
{
        return (struct asn_address){0, UINT64_C(0xffff) << 32 | v4};
}

static inline int asn_address_compare(const struct asn_address *a, const struct asn_address *b)
{
        if (a->high != b->high)
                return a->high < b->high ? -1 : 1;
        return (a->low > b->low) - (a->low < b->low);
}

/*
 * text: `size` bytes, without a NUL. Accepts exactly what inet_pton() does, for either family: four
 * decimal numbers without leading zeros, or the forms of RFC 4291, 2.2. Everything else is false,
 * above all what others read differently: 010.0.0.1, 10.1, fe80::1%eth0, 10.0.0.0/8, spaces.
 */
bool asn_address_parse(const char *text, size_t size, struct asn_address *ret_address);

/* Writes the usual form with a NUL and returns ret_text. */
const char *asn_address_format(const struct asn_address *address,
                               char ret_text[ASN_ADDRESS_MAX_TEXT + 1]);
