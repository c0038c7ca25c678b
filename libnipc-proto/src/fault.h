/* SPDX-License-Identifier: MIT */
#pragma once

/* How a decoder says what it found. Kept out of line and cold: good messages never come here. */

#include <nipc/error.h>

/* Fills the optional fault and returns its cause, for `return fault_set(...)`. */
static __attribute__((__cold__, __noinline__, __unused__)) int fault_set(
        struct nipc_fault *ret_fault, int error, size_t offset, const char *rule)
{
        if (ret_fault) {
                ret_fault->error = error;
                ret_fault->offset = offset;
                ret_fault->rule = rule;
        }
        return error;
}
