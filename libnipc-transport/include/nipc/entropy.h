/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers that nobody else knows, from the system: for seeds of hash tables whose keys come from
 * other processes. Not for keys of ciphers: there is no promise about what the system had when it
 * was asked early.
 *
 * Threading: any thread.
 */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Fills buf with size bytes (256 at most) that the system made up. Never blocks. Returns 0,
 * -EINVAL (buf is NULL, or too much), or a negative errno when the system has none: -EAGAIN early
 * after boot, -ENOSYS, -EPERM where it is forbidden. Since: 0.1
 */
int nipc_entropy_get(void *buf, size_t size);

#ifdef __cplusplus
}
#endif
