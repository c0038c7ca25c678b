/* SPDX-License-Identifier: MIT */
/*
 * Text of addresses, see asn-address.h. Not inet_pton(): that wants a NUL and takes several times
 * as long, which counts when a million lines have two addresses each.
 */
#include "asn-address.h"

#include <arpa/inet.h>
#include <string.h>

/* One to three digits without a leading zero, up to 255; NULL: something else. */
static const char *parse_octet(const char *at, const char *end, uint32_t *ret_octet)
{
        const char *first = at;
        uint32_t octet = 0;

        for (; at < end && (unsigned char)(*at - '0') < 10 && at - first < 3; at++)
                octet = octet * 10 + (uint32_t)(*at - '0');
        if (at == first || octet > 255 || (*first == '0' && at - first > 1))
                return NULL;
        *ret_octet = octet;
        return at;
}

static bool parse_v4(const char *at, const char *end, uint32_t *ret_v4)
{
        uint32_t v4 = 0, octet;

        for (unsigned i = 0; i < 4; i++) {
                if (i > 0 && (at == end || *at++ != '.'))
                        return false;
                at = parse_octet(at, end, &octet);
                if (!at)
                        return false;
                v4 = v4 << 8 | octet;
        }
        *ret_v4 = v4;
        return at == end;
}

static int hex_digit(char c)
{
        if ((unsigned char)(c - '0') < 10)
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct groups {
        uint16_t values[8];
        unsigned n;
        int gap; /* the number of groups before "::", -1: there is none */
};

/* One group of one to four hex digits; NULL: there is none, or a longer one. */
static const char *parse_group(const char *at, const char *end, struct groups *groups)
{
        const char *first = at;
        unsigned value = 0;
        int digit;

        for (; at < end && (digit = hex_digit(*at)) >= 0; at++) {
                if (at - first == 4)
                        return NULL;
                value = value << 4 | (unsigned)digit;
        }
        if (at == first || groups->n == 8)
                return NULL;
        groups->values[groups->n++] = (uint16_t)value;
        return at;
}

/* The dotted form that may take the place of the last two groups. */
static bool parse_tail(const char *at, const char *end, struct groups *groups)
{
        uint32_t v4;

        if (groups->n > 6 || !parse_v4(at, end, &v4))
                return false;
        groups->values[groups->n++] = (uint16_t)(v4 >> 16);
        groups->values[groups->n++] = (uint16_t)v4;
        return true;
}

static bool parse_groups(const char *at, const char *end, struct groups *groups)
{
        if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
                groups->gap = 0;
                at += 2;
        }
        while (at < end) {
                const char *next = parse_group(at, end, groups);

                if (!next)
                        return false;
                if (next < end && *next == '.') {
                        groups->n--; /* those digits were the first decimal number */
                        if (!parse_tail(at, end, groups))
                                return false;
                        break;
                }
                at = next;
                if (at == end)
                        break;
                if (*at++ != ':' || at == end)
                        return false;
                if (*at != ':')
                        continue;
                if (groups->gap >= 0)
                        return false;
                groups->gap = (int)groups->n;
                at++;
        }
        return groups->gap < 0 ? groups->n == 8 : groups->n < 8;
}

static bool parse_v6(const char *text, const char *end, struct asn_address *ret_address)
{
        struct groups groups = {.gap = -1};
        uint64_t halves[2] = {0, 0};

        if (!parse_groups(text, end, &groups))
                return false;
        for (unsigned i = 0; i < groups.n; i++) {
                const unsigned place =
                        groups.gap >= 0 && i >= (unsigned)groups.gap ? 8 - groups.n + i : i;

                halves[place / 4] |= (uint64_t)groups.values[i] << (48 - place % 4 * 16);
        }
        *ret_address = (struct asn_address){halves[0], halves[1]};
        return true;
}

bool asn_address_parse(const char *text, size_t size, struct asn_address *ret_address)
{
        uint32_t v4;

        if (size == 0 || size > ASN_ADDRESS_MAX_TEXT)
                return false;
        /* Where the first colon of an IPv6 address can be: at once or after up to four digits. */
        if (memchr(text, ':', size < 5 ? size : 5))
                return parse_v6(text, text + size, ret_address);
        if (!parse_v4(text, text + size, &v4))
                return false;
        *ret_address = asn_address_from_v4(v4);
        return true;
}

static void store_be64(unsigned char *at, uint64_t value)
{
        for (unsigned i = 0; i < 8; i++)
                at[i] = (unsigned char)(value >> (56 - i * 8));
}

const char *asn_address_format(const struct asn_address *address,
                               char ret_text[ASN_ADDRESS_MAX_TEXT + 1])
{
        unsigned char bytes[16];

        store_be64(bytes, address->high);
        store_be64(bytes + 8, address->low);
        if (asn_address_is_v4(address))
                inet_ntop(AF_INET, bytes + 12, ret_text, ASN_ADDRESS_MAX_TEXT + 1);
        else
                inet_ntop(AF_INET6, bytes, ret_text, ASN_ADDRESS_MAX_TEXT + 1);
        return ret_text;
}
