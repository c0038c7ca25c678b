/* SPDX-License-Identifier: MIT */
#pragma once

/* A page between two that must not be touched, on each system that the tests run on. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

struct fence {
        uint8_t *map;
        size_t size;
        uint8_t *begin, *end;
};

#ifdef _WIN32

static bool fence_init(struct fence *fence)
{
        SYSTEM_INFO info;

        GetSystemInfo(&info);
        *fence = (struct fence){.size = 3 * (size_t)info.dwPageSize};
        fence->map = VirtualAlloc(NULL, fence->size, MEM_RESERVE, PAGE_NOACCESS);
        if (!fence->map)
                return false;
        fence->begin = fence->map + info.dwPageSize;
        fence->end = fence->begin + info.dwPageSize;
        return VirtualAlloc(fence->begin, info.dwPageSize, MEM_COMMIT, PAGE_READWRITE) != NULL;
}

static void fence_deinit(struct fence *fence)
{
        VirtualFree(fence->map, 0, MEM_RELEASE);
}

#else

static bool fence_init(struct fence *fence)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);

        *fence = (struct fence){.size = 3 * page};
        fence->map = mmap(NULL, fence->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fence->map == MAP_FAILED)
                return false;
        fence->begin = fence->map + page;
        fence->end = fence->begin + page;
        return mprotect(fence->begin, page, PROT_READ | PROT_WRITE) == 0;
}

static void fence_deinit(struct fence *fence)
{
        munmap(fence->map, fence->size);
}

#endif
