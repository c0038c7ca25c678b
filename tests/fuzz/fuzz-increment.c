/* SPDX-License-Identifier: MIT */

/* Method 1: what decodes encodes to the same eight bytes. */

#include <nipc/increment.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_INCREMENT_SIZE];
        struct nipc_fault fault = {0};
        uint64_t value;
        int r;

        r = nipc_increment_decode(data, size, &value, &fault);
        fuzz_assert(r == fault.error && !r == (size >= NIPC_INCREMENT_SIZE));
        if (r)
                return 0;
        nipc_increment_encode(value, again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
        return 0;
}
