/* SPDX-License-Identifier: MIT */

/* A NetIPC v1 peer of Windows shared memory, see the header. Numbers are those of the table. */

#include "util-v1-shm.h"
#include <stdio.h>
#include <string.h>

#define SPIN_TRIES 1024

static volatile LONG *word(const struct v1_shm *shm, size_t at)
{
        return (volatile LONG *)(void *)(shm->map + at);
}

static volatile LONG64 *counter(const struct v1_shm *shm, size_t at)
{
        return (volatile LONG64 *)(void *)(shm->map + at);
}

static const wchar_t *name(const wchar_t *stem, const wchar_t *suffix, wchar_t buf[256])
{
        wcscpy(buf, stem);
        return wcscat(buf, suffix);
}

static LONG align64(uint32_t v)
{
        return (LONG)((v + 63) & ~63u);
}

bool v1_shm_create(const wchar_t *stem, uint32_t profile, uint32_t max_request,
                   uint32_t max_response, struct v1_shm *ret_shm)
{
        LONG request = align64(max_request + 32), response = align64(max_response + 32);
        LONG size = 128 + request + response;
        wchar_t buf[256];

        *ret_shm = (struct v1_shm){.is_server = true, .expected = 1};
        ret_shm->mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0,
                                              (DWORD)size, name(stem, L"-mapping", buf));
        if (!ret_shm->mapping || GetLastError() == ERROR_ALREADY_EXISTS)
                return false;
        ret_shm->map = MapViewOfFile(ret_shm->mapping, FILE_MAP_ALL_ACCESS, 0, 0, (SIZE_T)size);
        if (!ret_shm->map)
                return false;
        memset(ret_shm->map, 0, (size_t)size);
        *word(ret_shm, 0) = 0x4e535748;
        *word(ret_shm, 4) = 3;
        *word(ret_shm, 8) = 128;
        *word(ret_shm, 12) = (LONG)profile;
        *word(ret_shm, 16) = 128;
        *word(ret_shm, 20) = request;
        *word(ret_shm, 24) = 128 + request;
        *word(ret_shm, 28) = response;
        *word(ret_shm, 32) = SPIN_TRIES;
        MemoryBarrier();
        if (profile == 2) {
                ret_shm->request_event =
                        CreateEventW(NULL, FALSE, FALSE, name(stem, L"-req_event", buf));
                ret_shm->response_event =
                        CreateEventW(NULL, FALSE, FALSE, name(stem, L"-resp_event", buf));
                return ret_shm->request_event && ret_shm->response_event;
        }
        return true;
}

bool v1_shm_attach(const wchar_t *stem, uint32_t profile, struct v1_shm *ret_shm)
{
        wchar_t buf[256];

        *ret_shm = (struct v1_shm){0};
        ret_shm->mapping =
                OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, name(stem, L"-mapping", buf));
        if (!ret_shm->mapping)
                return false;
        ret_shm->map = MapViewOfFile(ret_shm->mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
        if (!ret_shm->map || *word(ret_shm, 0) != 0x4e535748 || *word(ret_shm, 4) != 3 ||
            *word(ret_shm, 8) != 128 || *word(ret_shm, 12) != (LONG)profile)
                return false;
        ret_shm->expected = *counter(ret_shm, 72) + 1;
        if (profile == 2) {
                ret_shm->request_event = OpenEventW(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE,
                                                    name(stem, L"-req_event", buf));
                ret_shm->response_event = OpenEventW(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE,
                                                     name(stem, L"-resp_event", buf));
                return ret_shm->request_event && ret_shm->response_event;
        }
        return true;
}

void v1_shm_send(struct v1_shm *shm, const void *bytes, uint32_t size)
{
        const bool is_server = shm->is_server;
        HANDLE event = is_server ? shm->response_event : shm->request_event;

        memcpy(shm->map + *word(shm, is_server ? 24 : 16), bytes, size);
        InterlockedExchange(word(shm, is_server ? 40 : 36), (LONG)size);
        InterlockedIncrement64(counter(shm, is_server ? 72 : 64));
        if (event && InterlockedCompareExchange(word(shm, is_server ? 56 : 48), 0, 0) != 0)
                SetEvent(event);
}

enum { NOTHING_YET = -10 };

static int observe(struct v1_shm *shm, void *buf, uint32_t size)
{
        const bool is_server = shm->is_server;
        volatile LONG64 *seq = counter(shm, is_server ? 64 : 72);
        volatile LONG *len = word(shm, is_server ? 36 : 40);
        LONG64 s = InterlockedCompareExchange64(seq, 0, 0);
        LONG n;

        if (s < shm->expected)
                return NOTHING_YET;
        n = InterlockedCompareExchange(len, 0, 0);
        if (n <= 0 || n > (LONG)size)
                return -3;
        memcpy(buf, shm->map + *word(shm, is_server ? 16 : 24), (size_t)n);
        if (InterlockedCompareExchange(len, 0, 0) != n ||
            InterlockedCompareExchange64(seq, 0, 0) != s)
                return -3;
        shm->expected++;
        return n;
}

static int receive_busy(struct v1_shm *shm, void *buf, uint32_t size, uint32_t timeout_ms)
{
        const ULONGLONG start = GetTickCount64();
        volatile LONG *closed = word(shm, shm->is_server ? 44 : 52);
        int n;

        for (unsigned i = 1;; i++) {
                n = observe(shm, buf, size);
                if (n != NOTHING_YET)
                        return n;
                if (GetTickCount64() - start >= timeout_ms)
                        return -1;
                if (InterlockedCompareExchange(closed, 0, 0)) {
                        n = observe(shm, buf, size);
                        return n != NOTHING_YET ? n : -2;
                }
                if (i % 1024 == 0)
                        SwitchToThread();
                else
                        YieldProcessor();
        }
}

static int receive_event(struct v1_shm *shm, void *buf, uint32_t size, uint32_t timeout_ms)
{
        const ULONGLONG start = GetTickCount64();
        volatile LONG *closed = word(shm, shm->is_server ? 44 : 52);
        volatile LONG *waiting = word(shm, shm->is_server ? 48 : 56);
        HANDLE event = shm->is_server ? shm->request_event : shm->response_event;
        ULONGLONG passed;
        DWORD w;
        int n;

        for (;;) {
                InterlockedExchange(waiting, 1);
                MemoryBarrier();
                n = observe(shm, buf, size);
                passed = GetTickCount64() - start;
                if (n == NOTHING_YET && passed >= timeout_ms)
                        n = -1;
                if (n != NOTHING_YET) {
                        InterlockedExchange(waiting, 0);
                        return n;
                }
                w = WaitForSingleObject(event, timeout_ms - (DWORD)passed);
                InterlockedExchange(waiting, 0);
                n = observe(shm, buf, size);
                if (n != NOTHING_YET)
                        return n;
                if (InterlockedCompareExchange(closed, 0, 0)) {
                        n = observe(shm, buf, size);
                        return n != NOTHING_YET ? n : -2;
                }
                if (w == WAIT_TIMEOUT)
                        return -1;
        }
}

int v1_shm_receive(struct v1_shm *shm, void *buf, uint32_t size, uint32_t timeout_ms)
{
        int n;

        for (int i = 0; i < SPIN_TRIES; i++) {
                n = observe(shm, buf, size);
                if (n != NOTHING_YET)
                        return n;
                YieldProcessor();
        }
        return shm->request_event ? receive_event(shm, buf, size, timeout_ms)
                                  : receive_busy(shm, buf, size, timeout_ms);
}

void v1_shm_close(struct v1_shm *shm)
{
        InterlockedExchange(word(shm, shm->is_server ? 52 : 44), 1);
        MemoryBarrier();
        if (shm->request_event)
                SetEvent(shm->is_server ? shm->response_event : shm->request_event);
        v1_shm_drop(shm);
}

void v1_shm_drop(struct v1_shm *shm)
{
        if (shm->map)
                UnmapViewOfFile(shm->map);
        if (shm->mapping)
                CloseHandle(shm->mapping);
        if (shm->request_event)
                CloseHandle(shm->request_event);
        if (shm->response_event)
                CloseHandle(shm->response_event);
        *shm = (struct v1_shm){0};
}
