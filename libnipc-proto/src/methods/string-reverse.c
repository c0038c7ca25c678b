/* SPDX-License-Identifier: MIT */

/* Method 3: offset, length, bytes, NUL (codecs §2). Interior NULs and trailing bytes pass. */

#include <nipc/string-reverse.h>
#include <nipc/wire.h>

#include "../fault.h"
#include "stdaux.h"

enum {
        STRING_OFFSET = 0,
        STRING_LENGTH = 4,
        STRING_BYTES = 8,
        STRING_OVERHEAD = STRING_BYTES + 1, /* and the NUL */
};

_Static_assert(STRING_BYTES == NIPC_STRING_REVERSE_HEADER_SIZE, "codecs §2");

NIPC__EXPORT int nipc_string_reverse_decode(const void *buf, size_t size,
                                            struct nipc_string_reverse_view *ret_view,
                                            struct nipc_fault *ret_fault)
{
        const uint8_t *p = buf;
        uint32_t length;

        if (NIPC__UNLIKELY(size < STRING_BYTES))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size,
                                 "STRING_REVERSE has a header of 8 bytes");
        if (NIPC__UNLIKELY(nipc_load_u32(p + STRING_OFFSET) != STRING_BYTES))
                return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, STRING_OFFSET,
                                 "str_offset must be 8");
        length = nipc_load_u32(p + STRING_LENGTH);
        if (NIPC__UNLIKELY((uint64_t)length + STRING_OVERHEAD > size))
                return fault_set(ret_fault, NIPC_PROTO_E_OUT_OF_BOUNDS, STRING_LENGTH,
                                 "the string and its NUL must fit the payload");
        if (NIPC__UNLIKELY(p[STRING_BYTES + (size_t)length] != 0))
                return fault_set(ret_fault, NIPC_PROTO_E_MISSING_NUL, STRING_BYTES + (size_t)length,
                                 "the string must end in NUL");

        ret_view->str = (const char *)p + STRING_BYTES;
        ret_view->str_len = length;
        return 0;
}

NIPC__EXPORT size_t nipc_string_reverse_capacity(size_t budget)
{
        return budget > STRING_OVERHEAD ? budget - STRING_OVERHEAD : 0;
}

NIPC__EXPORT int nipc_string_reverse_finish(void *buf, size_t size, size_t str_len,
                                            size_t *ret_size)
{
        uint8_t *p = buf;

        /* The whole payload must fit its 32-bit length too. */
        if (NIPC__UNLIKELY(size < STRING_OVERHEAD || str_len > size - STRING_OVERHEAD ||
                           str_len > UINT32_MAX - STRING_OVERHEAD))
                return NIPC_PROTO_E_OVERFLOW;
        nipc_store_u32(p + STRING_OFFSET, STRING_BYTES);
        nipc_store_u32(p + STRING_LENGTH, (uint32_t)str_len);
        p[STRING_BYTES + str_len] = 0;
        *ret_size = STRING_OVERHEAD + str_len;
        return 0;
}

NIPC__EXPORT int nipc_string_reverse_encode(const char *str, size_t str_len, void *buf, size_t size,
                                            size_t *ret_size)
{
        int r;

        r = nipc_string_reverse_finish(buf, size, str_len, ret_size);
        if (!r && str_len)
                memcpy((uint8_t *)buf + STRING_BYTES, str, str_len);
        return r;
}
