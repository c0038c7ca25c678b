/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 3, STRING_REVERSE: a string asks, a string answers (codecs §2). Request and response have
 * one layout. Strings are opaque bytes; interior NULs are legal.
 *
 * How to build in place: write up to nipc_string_reverse_capacity(budget) bytes at
 * buf + NIPC_STRING_REVERSE_HEADER_SIZE, then nipc_string_reverse_finish(). Or encode, which
 * copies.
 */

#include <nipc/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_STRING_REVERSE_HEADER_SIZE 8u

struct nipc_string_reverse_view {
        const char *str;  /* borrowed from the payload, NUL-terminated */
        uint32_t str_len; /* bytes before the NUL */
};

/*
 * Borrows the string of a payload; bytes after its NUL are ignored.
 * Returns 0, TRUNCATED, BAD_LAYOUT (str_offset is not 8), OUT_OF_BOUNDS, MISSING_NUL. Since: 0.1
 */
int nipc_string_reverse_decode(const void *buf, size_t size,
                               struct nipc_string_reverse_view *ret_view,
                               struct nipc_fault *ret_fault);

/*
 * Encodes a string of str_len bytes into buf (size bytes). ret_size: bytes written, 9 + str_len.
 * Returns 0 or OVERFLOW. Since: 0.1
 */
int nipc_string_reverse_encode(const char *str, size_t str_len, void *buf, size_t size,
                               size_t *ret_size);

/* The longest string that fits a payload of `budget` bytes: budget - 9, or 0. Since: 0.1 */
size_t nipc_string_reverse_capacity(size_t budget);

/* Completes a payload whose str_len string bytes lie at buf + 8 already. As encode. Since: 0.1 */
int nipc_string_reverse_finish(void *buf, size_t size, size_t str_len, size_t *ret_size);

#ifdef __cplusplus
}
#endif
