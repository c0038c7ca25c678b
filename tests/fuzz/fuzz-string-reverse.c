/* SPDX-License-Identifier: MIT */

/* Method 3: what decodes encodes to the same bytes, up to the NUL. */

#include <nipc/string-reverse.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nipc_string_reverse_view view;
        struct nipc_fault fault = {0};
        uint8_t *again;
        size_t n;
        int r;

        r = nipc_string_reverse_decode(data, size, &view, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r)
                return 0;
        fuzz_assert((size_t)view.str_len + 9 <= size && view.str[view.str_len] == '\0');
        again = fuzz_alloc(size);
        fuzz_assert(!nipc_string_reverse_encode(view.str, view.str_len, again, size, &n));
        fuzz_assert(n == (size_t)view.str_len + 9 && !memcmp(again, data, n));
        fuzz_assert(nipc_string_reverse_encode(view.str, view.str_len, again, n - 1, &n));
        free(again);
        return 0;
}
