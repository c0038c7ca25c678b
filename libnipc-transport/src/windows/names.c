/* SPDX-License-Identifier: MIT */

/* The names of kernel objects on Windows (transport-windows §1). No calls to the system. */

#include "names.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FNV_PRIME UINT64_C(0x100000001b3)

uint64_t nipc__fnv1a64(uint64_t hash, const void *bytes, size_t size)
{
        const uint8_t *p = bytes;

        for (size_t i = 0; i < size; i++)
                hash = (hash ^ p[i]) * FNV_PRIME;
        return hash;
}

/* Each byte becomes one unit. Returns 0 or -ENAMETOOLONG. */
static int widen(const char *text, wchar_t ret_name[NIPC__NAME_MAX])
{
        size_t n = strlen(text);

        if (n >= NIPC__NAME_MAX)
                return -ENAMETOOLONG;
        for (size_t i = 0; i <= n; i++)
                ret_name[i] = (unsigned char)text[i];
        return 0;
}

int nipc__name_pipe(const char *run_dir, const char *service, wchar_t ret_name[NIPC__NAME_MAX])
{
        char text[NIPC__NAME_MAX];
        int n = snprintf(text, sizeof(text), "\\\\.\\pipe\\netipc-%016" PRIx64 "-%s",
                         nipc__fnv1a64(NIPC__FNV_BASIS, run_dir, strlen(run_dir)), service);

        if (n < 0 || (size_t)n >= sizeof(text))
                return -ENAMETOOLONG;
        return widen(text, ret_name);
}

static int name_object(const char *prefix, const char *suffix, wchar_t ret_name[NIPC__NAME_MAX])
{
        char text[NIPC__NAME_MAX];
        int n = snprintf(text, sizeof(text), "%s-%s", prefix, suffix);

        if (n < 0 || (size_t)n >= sizeof(text))
                return -ENAMETOOLONG;
        return widen(text, ret_name);
}

int nipc__name_shm(const char *run_dir, const char *service, uint64_t auth_token, uint32_t profile,
                   uint64_t session_id, struct nipc__shm_names *ret_names)
{
        struct nipc__shm_names names;
        char text[NIPC__NAME_TEXT_MAX];
        uint64_t hash;
        int n, r;

        n = snprintf(text, sizeof(text), "%s\n%s\n%" PRIu64, run_dir, service, auth_token);
        if (n < 0 || (size_t)n >= sizeof(text))
                return -ENAMETOOLONG;
        hash = nipc__fnv1a64(NIPC__FNV_BASIS, text, (size_t)n);
        if (!hash)
                return -EINVAL; /* peers take 0 for a failure */
        n = snprintf(text, sizeof(text),
                     "Local\\netipc-%016" PRIx64 "-%s-p%" PRIu32 "-s%016" PRIx64, hash, service,
                     profile, session_id);
        if (n < 0 || (size_t)n >= sizeof(text))
                return -ENAMETOOLONG;
        r = name_object(text, "mapping", names.mapping);
        if (r == 0)
                r = name_object(text, "req_event", names.request_event);
        if (r == 0)
                r = name_object(text, "resp_event", names.response_event);
        if (r == 0)
                *ret_names = names;
        return r;
}

#define PIPE_PREFIX L"\\\\.\\pipe\\"

int nipc__name_owner(const wchar_t *pipe, wchar_t ret_name[NIPC__NAME_MAX])
{
        const size_t skip = sizeof(PIPE_PREFIX) / sizeof(wchar_t) - 1;
        static const wchar_t prefix[] = L"Local\\", suffix[] = L"-owner";

        if (6 + wcslen(pipe + skip) + sizeof(suffix) / sizeof(suffix[0]) > NIPC__NAME_MAX)
                return -ENAMETOOLONG;
        wcscpy(ret_name, prefix);
        wcscat(ret_name, pipe + skip);
        wcscat(ret_name, suffix);
        return 0;
}
