/* SPDX-License-Identifier: MIT */

/* The chunk header: what decodes encodes to the same 32 bytes. */

#include <nipc/chunk.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_CHUNK_HEADER_SIZE];
        struct nipc_fault fault = {0};
        struct nipc_chunk_header chunk;
        int r;

        r = nipc_chunk_header_decode(data, size, &chunk, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return 0;
        nipc_chunk_header_encode(&chunk, again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
        return 0;
}
