/* SPDX-License-Identifier: MIT */

/* Method 4, both directions. */

#include <nipc/cgroups-lookup.h>

#include "fuzz-lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_check_request(nipc_cgroups_lookup_get_class(), data, size);
        fuzz_check_response(nipc_cgroups_lookup_get_class(), data, size);
        return 0;
}
