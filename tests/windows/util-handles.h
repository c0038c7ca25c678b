/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/*
 * The handles of this process. Wine's GetProcessHandleCount says 0; they are multiples of 4, and
 * the lowest free one is taken.
 */
static inline unsigned util_count_handles(void)
{
        unsigned n = 0;
        DWORD flags;

        for (uintptr_t i = 4; i < (uintptr_t)4 * 2048; i += 4)
                n += GetHandleInformation((HANDLE)i, &flags) != 0;
        return n;
}
