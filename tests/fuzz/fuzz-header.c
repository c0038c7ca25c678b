/* SPDX-License-Identifier: MIT */

/* The outer header: what decodes encodes to the same 32 bytes. */

#include <nipc/header.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_HEADER_SIZE];
        struct nipc_fault fault = {0};
        struct nipc_header header;
        int r;

        r = nipc_header_decode(data, size, &header, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return 0;
        nipc_header_encode(&header, again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
        return 0;
}
