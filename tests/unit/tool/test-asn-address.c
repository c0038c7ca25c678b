/* SPDX-License-Identifier: MIT */
/* Text of addresses: what is one is what inet_pton() says is one. */
#include <arpa/inet.h>
#include <asn-address.h>
#include <tap.h>

static bool parse(const char *text, struct asn_address *ret_address)
{
        return asn_address_parse(text, strlen(text), ret_address);
}

static void test_values(void)
{
        struct asn_address address;

        tap_require(parse("192.0.2.1", &address));
        tap_eq_uint(address.high, 0);
        tap_eq_uint(address.low, UINT64_C(0xffffc0000201));
        tap_check(asn_address_is_v4(&address));
        tap_require(parse("::ffff:192.0.2.1", &address));
        tap_eq_uint(address.low, UINT64_C(0xffffc0000201));
        tap_require(parse("::FFFF:c000:201", &address));
        tap_eq_uint(address.low, UINT64_C(0xffffc0000201));
        tap_require(parse("2001:db8::8:800:200c:417A", &address));
        tap_eq_uint(address.high, UINT64_C(0x20010db800000000));
        tap_eq_uint(address.low, UINT64_C(0x00080800200c417a));
        tap_check(!asn_address_is_v4(&address));
        tap_require(parse("::", &address));
        tap_eq_uint(address.high | address.low, 0);
        tap_check(!asn_address_is_v4(&address));
        tap_require(parse("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", &address));
        tap_eq_uint(address.high & address.low, UINT64_MAX);
}

static void test_refused(void)
{
        static const char *const texts[] = {"",
                                            " ",
                                            "1.2.3",
                                            "1.2.3.4.",
                                            ".1.2.3.4",
                                            "1.2.3.4 ",
                                            " 1.2.3.4",
                                            "01.2.3.4",
                                            "1.2.3.00",
                                            "1.2.3.256",
                                            "1.2.3.1000",
                                            "1..2.3",
                                            "1.2.3.4/32",
                                            "0x1.2.3.4",
                                            "16909060",
                                            "1.2.3.+4",
                                            "1.2.3.-4",
                                            "::1%eth0",
                                            "fe80::1%2",
                                            "::/0",
                                            ":",
                                            ":::",
                                            "1:",
                                            ":1",
                                            "::1::",
                                            "1::2::3",
                                            "1:2:3:4:5:6:7",
                                            "1:2:3:4:5:6:7:8:9",
                                            "1:2:3:4:5:6:7:8::",
                                            "::1:2:3:4:5:6:7:8",
                                            "1:2:3:4::5:6:7:8",
                                            "12345::",
                                            "g::",
                                            "[::1]",
                                            "::1.2.3",
                                            "::1.2.3.4.5",
                                            "::01.2.3.4",
                                            "::1.2.3.4:5",
                                            "1:2:3:4:5:6:7:1.2.3.4",
                                            "1.2.3.4::",
                                            "localhost",
                                            "00000000000000000000000000000000000000000000::1"};
        struct asn_address address = {1, 2};

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (parse(texts[i], &address))
                        tap_fail("\"%s\" is taken for an address", texts[i]);
        tap_check(!asn_address_parse("1.2.3.4\0", 8, &address));
        tap_eq_uint(address.high, 1);
        tap_eq_uint(address.low, 2);
}

/* Exactly as many bytes as it was given. */
static void test_size(void)
{
        struct asn_address address;

        tap_require(asn_address_parse("1.2.3.45", 7, &address));
        tap_eq_uint(address.low, UINT64_C(0xffff01020304));
        tap_require(asn_address_parse("::12", 3, &address));
        tap_eq_uint(address.low, 1);
}

static bool system_parse(const char *text, struct asn_address *ret_address)
{
        unsigned char bytes[16] = {[10] = 0xff, [11] = 0xff};
        uint64_t halves[2] = {0, 0};

        if (inet_pton(AF_INET, text, bytes + 12) != 1 && inet_pton(AF_INET6, text, bytes) != 1)
                return false;
        for (unsigned i = 0; i < 16; i++)
                halves[i / 8] = halves[i / 8] << 8 | bytes[i];
        *ret_address = (struct asn_address){halves[0], halves[1]};
        return true;
}

static bool check_same(const char *text)
{
        struct asn_address own = {0}, other = {0};
        const bool is_own = parse(text, &own), is_other = system_parse(text, &other);

        if (is_own == is_other && asn_address_compare(&own, &other) == 0)
                return true;
        return tap_fail("\"%s\": %d, inet_pton() says %d", text, is_own, is_other);
}

/* A random address as inet_ntop() writes it, then with some bytes of it changed. */
static void test_as_the_system(void)
{
        static const char alphabet[] = "0123456789abcdefABCDEF::::....::%/ x";
        uint64_t state = 1;

        for (unsigned i = 0; i < 300000; i++) {
                char text[ASN_ADDRESS_MAX_TEXT + 1];
                const uint64_t random = tap_random(&state);
                const struct asn_address address = {
                        random % 3 ? tap_random(&state) >> random % 64 : 0,
                        random % 2 ? UINT64_C(0xffff) << 32 | (uint32_t)tap_random(&state)
                                   : tap_random(&state) << random % 61,
                };
                size_t len = strlen(asn_address_format(&address, text));
                struct asn_address again;

                if (!tap_check(parse(text, &again)) || !tap_check(check_same(text)))
                        return;
                tap_eq_int(asn_address_compare(&address, &again), 0);
                for (unsigned k = 0; k < 1 + random % 3; k++)
                        text[tap_random(&state) % len] =
                                alphabet[tap_random(&state) % (sizeof(alphabet) - 1)];
                if (!tap_check(check_same(text)))
                        return;
                text[tap_random(&state) % len] = '\0';
                if (!tap_check(check_same(text)))
                        return;
        }
}

/* Nothing but colons, dots and digits: where the rules are. */
static void test_random_forms(void)
{
        static const char *const pieces[] = {":",     "::",      ".", "1", "ffff",
                                             "12345", "1.2.3.4", "0", ":a"};
        uint64_t state = 2;

        for (unsigned i = 0; i < 300000; i++) {
                char text[128] = "";
                const unsigned n = (unsigned)(tap_random(&state) % 16);

                for (unsigned k = 0; k < n && strlen(text) < 39; k++)
                        strcat(text, pieces[tap_random(&state) % 9]);
                if (!check_same(text))
                        return;
        }
}

TAP_MAIN(TAP_CASE(test_values), TAP_CASE(test_refused), TAP_CASE(test_size),
         TAP_CASE(test_as_the_system), TAP_CASE(test_random_forms))
