/* SPDX-License-Identifier: MIT */

/* CRC-32C: what others say it is of the same bytes, and that both ways to compute it agree. */

#include "lane-private.h"
#include "tap.h"

#define MAX_LENGTH 4096u
#define MAX_SHIFT  16u

static void check(const void *bytes, size_t size, uint32_t crc)
{
        tap_eq_uint(nipc__crc32c(0, bytes, size), crc);
        tap_eq_uint(nipc__crc32c_table(0, bytes, size), crc);
}

static void test_known(void)
{
        /* RFC 3720, B.4: as the bytes stand in an iSCSI packet, that is little-endian. */
        static const uint8_t read_pdu[48] = {
                0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
                0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
                0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        };
        uint8_t bytes[32];

        check("", 0, 0);
        check("123456789", 9, 0xe3069283);
        check("a", 1, 0xc1d04330);
        memset(bytes, 0, sizeof(bytes));
        check(bytes, sizeof(bytes), 0x8a9136aa);
        memset(bytes, 0xff, sizeof(bytes));
        check(bytes, sizeof(bytes), 0x62a8ab43);
        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)i;
        check(bytes, sizeof(bytes), 0x46dd794e);
        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(31 - i);
        check(bytes, sizeof(bytes), 0x113fdb5c);
        check(read_pdu, sizeof(read_pdu), 0xd9963a56);
}

/* By its definition: one bit at a time. */
static uint32_t step(uint32_t crc, uint8_t byte)
{
        crc ^= byte;
        for (unsigned i = 0; i < 8; i++)
                crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        return crc;
}

static void test_all_lengths(void)
{
        static uint8_t bytes[MAX_SHIFT + MAX_LENGTH];
        uint64_t random = 1;
        unsigned n_wrong = 0;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)tap_random(&random);
        for (unsigned shift = 0; shift < MAX_SHIFT; shift++) {
                uint32_t crc = UINT32_MAX;

                for (unsigned length = 0; length <= MAX_LENGTH; length++) {
                        const uint8_t *from = bytes + shift;

                        n_wrong += nipc__crc32c(0, from, length) != ~crc;
                        n_wrong += nipc__crc32c_table(0, from, length) != ~crc;
                        if (length < MAX_LENGTH)
                                crc = step(crc, from[length]);
                }
        }
        tap_eq_uint(n_wrong, 0);
}

/* In two parts, at every place. */
static void test_continued(void)
{
        uint8_t bytes[257];
        uint64_t random = 2;
        uint32_t whole;

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)tap_random(&random);
        whole = nipc__crc32c(0, bytes, sizeof(bytes));
        for (size_t i = 0; i <= sizeof(bytes); i++) {
                tap_eq_uint(nipc__crc32c(nipc__crc32c(0, bytes, i), bytes + i, sizeof(bytes) - i),
                            whole);
                tap_eq_uint(nipc__crc32c_table(nipc__crc32c_table(0, bytes, i), bytes + i,
                                               sizeof(bytes) - i),
                            whole);
        }
}

TAP_MAIN(TAP_CASE(test_known), TAP_CASE(test_all_lengths), TAP_CASE(test_continued))
