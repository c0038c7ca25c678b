/* SPDX-License-Identifier: MIT */

/* Method 1: one u64 (codecs §1). */

#include <nipc/increment.h>
#include <nipc/wire.h>

#include "../fault.h"
#include "stdaux.h"

_Static_assert(NIPC_INCREMENT_SIZE == sizeof(uint64_t), "codecs §1");

NIPC__EXPORT int nipc_increment_decode(const void *buf, size_t size, uint64_t *ret_value,
                                       struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(size < NIPC_INCREMENT_SIZE))
                return fault_set(ret_fault, NIPC_PROTO_E_TRUNCATED, size, "INCREMENT has 8 bytes");
        *ret_value = nipc_load_u64(buf);
        return 0;
}

NIPC__EXPORT void nipc_increment_encode(uint64_t value, void *buf)
{
        nipc_store_u64(buf, value);
}
