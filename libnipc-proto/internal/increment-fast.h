/* SPDX-License-Identifier: MIT */
#pragma once

/* The payload of increment, inline: for nipc_increment_decode() and for whoever serves millions. */

#include <nipc/increment.h>
#include <nipc/wire.h>
#include <stdbool.h>

static inline bool nipc__increment_read(const void *buf, size_t size, uint64_t *ret_value)
{
        if (size < NIPC_INCREMENT_SIZE)
                return false;
        *ret_value = nipc_load_u64(buf);
        return true;
}

static inline void nipc__increment_write(uint64_t value, void *buf)
{
        nipc_store_u64(buf, value);
}
