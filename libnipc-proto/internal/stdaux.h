/* SPDX-License-Identifier: MIT */
#pragma once

/* What the C library lacks: cleanup at end of scope, likely branches, sizes. Internal. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* On definitions of public functions; all else is hidden. The symbol map must agree. */
#ifndef NIPC__EXPORT /* meson.build knows of systems that say it in another way */
#define NIPC__EXPORT __attribute__((__visibility__("default")))
#endif

#define NIPC__CLEANUP(fn)   __attribute__((__cleanup__(fn)))
#define NIPC__LIKELY(x)     __builtin_expect(!!(x), 1)
#define NIPC__UNLIKELY(x)   __builtin_expect(!!(x), 0)
#define NIPC__COLD          __attribute__((__cold__, __noinline__)) /* out of the way of the rest */
#define NIPC__ALWAYS_INLINE inline __attribute__((__always_inline__))
#define NIPC__ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NIPC__MIN(a, b)     ((a) < (b) ? (a) : (b))
#define NIPC__MAX(a, b)     ((a) > (b) ? (a) : (b))
#define NIPC__CONTAINER_OF(ptr, type, member) \
        ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* gcc says so by a macro, clang by a feature. */
#ifdef __SANITIZE_THREAD__
#define NIPC__THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NIPC__THREAD_SANITIZER 1
#endif
#endif

static inline void nipc__freep(void *p)
{
        free(*(void **)p);
}

#define NIPC__FREE NIPC__CLEANUP(nipc__freep)
