/* SPDX-License-Identifier: MIT */

/* Method 5, both directions. */

#include <nipc/apps-lookup.h>

#include "fuzz-lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_check_request(nipc_apps_lookup_get_class(), data, size);
        fuzz_check_response(nipc_apps_lookup_get_class(), data, size);
        return 0;
}
