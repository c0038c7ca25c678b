/* SPDX-License-Identifier: MIT */

/*
 * A message from packets. Input: the packet size (u16), then packets, each after its length (u16);
 * both little-endian, whatever the machine. The counts of the assembly must agree with what was
 * put in, an error must change nothing, and a complete message takes no more.
 */

#include <nipc/chunk.h>

#include "fuzz.h"

/* Takes a u16 off the input; 0 at its end. */
static uint32_t take_u16(const uint8_t **data, size_t *size)
{
        uint32_t v;

        if (*size < 2)
                return 0;
        v = (uint32_t)((*data)[0] | (*data)[1] << 8);
        *data += 2;
        *size -= 2;
        return v;
}

static void continue_all(struct nipc_assembly *assembly, const uint8_t *data, size_t size)
{
        uint32_t n_packets = 1;

        while (size) {
                const struct nipc_assembly before = *assembly;
                size_t length = take_u16(&data, &size);

                length = length < size ? length : size;
                if (nipc_assembly_continue(assembly, data, length, NULL)) {
                        fuzz_assert(!memcmp(assembly, &before, sizeof(before)));
                        return;
                }
                n_packets++;
                fuzz_assert(nipc_assembly_missing(&before) > 0);
                fuzz_assert(assembly->received == before.received + (length - 32));
                fuzz_assert(assembly->received <= assembly->header.payload_len);
                fuzz_assert(assembly->next_index == n_packets);
                data += length;
                size -= length;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct nipc_limits limits = {.max_payload_bytes = 1 << 20, .max_items = 1000};
        uint32_t packet_size = take_u16(&data, &size);
        size_t length = take_u16(&data, &size);
        struct nipc_assembly assembly;
        struct nipc_header header;

        length = length < size ? length : size;
        if (nipc_header_decode(data, length, &header, NULL))
                return 0;
        /* Over a limit a server goes on to answer: the assembly must do for any header. */
        nipc_limits_check(&limits, &header, NULL);
        if (nipc_assembly_begin(&assembly, &header, length, packet_size, NULL))
                return 0;
        fuzz_assert(assembly.received == length - 32);
        fuzz_assert(assembly.received + nipc_assembly_missing(&assembly) == header.payload_len);
        continue_all(&assembly, data + length, size - length);
        return 0;
}
