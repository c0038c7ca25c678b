/* SPDX-License-Identifier: MIT */

/* See <nipc/fault.h>: memory that is mapped here cannot be taken away by a peer. */

#include "stdaux.h"
#include <nipc/fault.h>

NIPC__EXPORT bool nipc_fault_handle(const void *address)
{
        return false;
}
