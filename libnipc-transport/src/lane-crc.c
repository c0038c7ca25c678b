/* SPDX-License-Identifier: MIT */

/*
 * CRC-32C of records: by the processor's instruction where it has one, asked for at run time, by a
 * table else. The table is made once, of constants alone: whoever is second makes the same one.
 */

#include "lane-private.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

/* Of one byte, four bits at a time: 64 bytes of constants, and no initialisation to race for. */
static const uint32_t nibbles[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

_Static_assert(POLYNOMIAL == 0x82f63b78, "as in the table at 8");

uint32_t nipc__crc32c_table(uint32_t crc, const void *data, size_t size)
{
        const uint8_t *p = data;

        crc = ~crc;
        for (; size; size--) {
                crc ^= *p++;
                crc = crc >> 4 ^ nibbles[crc & 15];
                crc = crc >> 4 ^ nibbles[crc & 15];
        }
        return ~crc;
}

#if defined(__x86_64__)
__attribute__((__target__("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc,
                                                                         const uint8_t *p,
                                                                         size_t size)
{
        uint64_t wide = ~crc, word;

        for (; size >= 8; p += 8, size -= 8) {
                memcpy(&word, p, sizeof(word));
                wide = _mm_crc32_u64(wide, word);
        }
        crc = (uint32_t)wide;
        for (; size; size--)
                crc = _mm_crc32_u8(crc, *p++);
        return ~crc;
}

static bool has_instruction(void)
{
        return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && defined(__linux__) && defined(__AARCH64EL__)
static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
        uint64_t word;

        crc = ~crc;
        for (; size >= 8; p += 8, size -= 8) {
                memcpy(&word, p, sizeof(word));
                __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
        }
        for (; size; size--) {
                uint32_t byte = *p++;

                __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(byte));
        }
        return ~crc;
}

static bool has_instruction(void)
{
        return getauxval(AT_HWCAP) >> 7 & 1; /* HWCAP_CRC32 */
}
#else
static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
        return nipc__crc32c_table(crc, p, size);
}

static bool has_instruction(void)
{
        return false;
}
#endif

uint32_t nipc__crc32c(uint32_t crc, const void *data, size_t size)
{
        return NIPC__LIKELY(has_instruction()) ? crc_by_instruction(crc, data, size)
                                               : nipc__crc32c_table(crc, data, size);
}

uint32_t nipc__lane_record_crc(uint32_t key, uint32_t offset, const uint8_t *record, uint32_t size)
{
        uint32_t seed[4];

        /* Of the record all but its CRC: the first word, then the sequence and the bytes. */
        seed[0] = key;
        seed[1] = offset;
        memcpy(&seed[2], record, 4);
        seed[3] = 0;
        return nipc__crc32c(nipc__crc32c(0, seed, sizeof(seed)), record + 8,
                            NIPC__LANE_CRC_HEAD - 8 + (size_t)size);
}
