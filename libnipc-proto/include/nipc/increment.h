/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 1, INCREMENT: a u64 asks, a u64 answers (codecs §1). Request and response are the same
 * eight bytes; items of batches are this payload. Adding one is the service's business.
 */

#include <nipc/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_INCREMENT_SIZE 8u

/* Returns 0 or TRUNCATED (fewer than 8 bytes); further bytes are ignored. Since: 0.1 */
int nipc_increment_decode(const void *buf, size_t size, uint64_t *ret_value,
                          struct nipc_fault *ret_fault);

/* Writes 8 bytes at buf, which must have room for them. Since: 0.1 */
void nipc_increment_encode(uint64_t value, void *buf);

#ifdef __cplusplus
}
#endif
